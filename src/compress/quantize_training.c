/* Training with rounded weights. What is trained is the float weight w and, of each scale, the logarithm t of a factor:
 *
 *   s = s0 exp(t)     w' = s round(clip(w / s))     in the place of w
 *
 * round() is a QuantizeLinear and a DequantizeLinear of step 1, whose gradient is 1; so that of s is, as it should be,
 * round(u) - u within the range of the codes, and the bound beyond it. Baked, weights are codes times scales, exactly. */
#include "compress/quantize.h"
#include "compress/sparsify.h"
#include "graph/infer.h"
#include "train/parametrize.h"

bool hone_quantize_trains(const hone_quantize_options *o) {
    return o->finetune && o->finetune->epochs > 0;
}

/* A weight, and how its scales are broadcast. */
typedef struct rounded {
    const char *name;
    const hone_tensor *scale; /* as in hone_codes */
    int axis, rank;
    int64_t block, terms, dims[HONE_MAX_RANK]; /* the scales' */
    int low, high;
} rounded;

static rounded rounded_of(const hone_value *w, int axis, const hone_code_format *f, const hone_codes *codes) {
    rounded r = {.name = w->name,
                 .scale = codes->scale,
                 .axis = axis,
                 .rank = w->data->rank,
                 .block = f->block,
                 .low = hone_code_lowest(f),
                 .high = hone_code_highest(f)};
    for (int i = 0; i < r.rank; i++)
        r.dims[i] = f->block ? codes->scale->dims[i] : i == axis ? w->data->dims[i] : 1;
    r.terms = f->block ? w->data->dims[1 - axis] : 0;
    return r;
}

static hone_value *constant(hone_graph *g, const rounded *r, const char *suffix, const void *data) {
    hone_tensor *t = NULL;
    const char *name = hone_arena_printf(g->arena, "%s.%s", r->name, suffix);
    hone_status status = data ? hone_tensor_copy_of(HONE_FLOAT32, r->rank, r->dims, data, &t, NULL)
                              : hone_tensor_new(HONE_FLOAT32, r->rank, r->dims, &t, NULL);
    if (!name || status != HONE_OK) {
        hone_tensor_free(t);
        hone_graph_out_of_memory(g);
        return NULL;
    }
    hone_value *v = hone_graph_add_constant(g, name, t);
    hone_tensor_free(t);
    return v;
}

static hone_value *scalar(hone_graph *g, double x) {
    return hone_graph_scalar(g, HONE_FLOAT32, x);
}

/* Each block's scale for all of its weights. */
static hone_value *spread(hone_graph *g, const rounded *r, hone_value *s) {
    hone_tensor *t = NULL;
    if (!r->block) return s;
    if (hone_tensor_new(HONE_INT64, 1, &r->terms, &t, NULL) != HONE_OK) {
        hone_graph_out_of_memory(g);
        return NULL;
    }
    for (int64_t i = 0; i < r->terms; i++) ((int64_t *)t->data)[i] = i / r->block;
    hone_value *y = HONE_EMIT(g, "", "Gather", s, hone_graph_add_constant(g, "blocks", t));
    hone_tensor_free(t);
    if (y) hone_node_set_int(g, y->producer, "axis", 1 - r->axis);
    return y;
}

static hone_parametrized apply(hone_graph *g, hone_value *w, const void *arg) {
    const rounded *r = arg;
    hone_value *start = constant(g, r, "start", r->scale->data), *t = constant(g, r, "factor", NULL);
    hone_value *s = spread(g, r, HONE_EMIT(g, "", "Mul", start, HONE_EMIT(g, "", "Exp", t)));
    hone_value *u =
        HONE_EMIT(g, "", "Clip", HONE_EMIT(g, "", "Div", w, s), scalar(g, r->low), scalar(g, r->high));
    hone_value *one = scalar(g, 1), *zero = hone_graph_scalar(g, HONE_INT8, 0);
    hone_value *q = HONE_EMIT(g, "", "QuantizeLinear", u, one, zero);
    hone_value *y = HONE_EMIT(g, "", "Mul", HONE_EMIT(g, "", "DequantizeLinear", q, one, zero), s);
    return (hone_parametrized){.value = y, .variables = {w, t}, .variable_count = 2};
}

static hone_status train(hone_quantize_job *j, const hone_dataset *data, const hone_parametrization *items,
                         int count) {
    const hone_quantize_options *o = j->options;
    hone_train_options t;
    HONE_TRY(hone_finetune_options(j->g, j->original, o->finetune, o->distill, &t, j->err));
    HONE_TRY(hone_graph_infer(j->g, j->err));
    return hone_train_parametrized(j->g, data, &t, items, count, NULL, j->err);
}

/* Which node's weight comes up again in a later one: trained once. */
static bool is_again(hone_value *const *weights, int i) {
    for (int k = 0; k < i; k++)
        if (weights[k] == weights[i]) return true;
    return false;
}

hone_status hone_quantize_train(hone_quantize_job *j, const hone_dataset *data, hone_value *const *weights,
                                const hone_code_format *formats) {
    rounded *args = hone_calloc((size_t)j->count + 1, sizeof *args);
    hone_parametrization *items = hone_calloc((size_t)j->count + 1, sizeof *items);
    hone_status status = args && items ? HONE_OK : hone_fail_memory(j->err);
    int count = 0;
    for (int i = 0; i < j->count && status == HONE_OK; i++) {
        if (is_again(weights, i)) continue;
        args[count] = rounded_of(weights[i], j->nodes[i].axis, &formats[i], &j->nodes[i].weight);
        items[count] = (hone_parametrization){weights[i]->name, apply, &args[count]};
        count++;
    }
    if (status == HONE_OK) status = train(j, data, items, count);
    for (int i = 0; i < j->count && status == HONE_OK; i++) {
        hone_code_format f = formats[i];
        f.on_grid = true;
        hone_codes_free(&j->nodes[i].weight);
        status =
            hone_codes_of_weight(weights[i]->data, j->nodes[i].axis, &f, NULL, &j->nodes[i].weight, j->err);
    }
    hone_free(args);
    hone_free(items);
    return status;
}
