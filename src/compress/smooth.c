#include "compress/equalize.h"

#include "compress/calibrate.h"
#include "compress/channels.h"
#include "train/evaluate.h"

#include <math.h>
#include <string.h>

/* Channels that become smaller: along `axis` of x. */
typedef struct target {
    hone_channels channels; /* fixed: a Mul stands in front of the products that read x */
    hone_value *x;
    int axis;
    double *largest; /* [size of the axis]: magnitudes that were seen */
} target;

typedef struct targets {
    target *items;
    int count;
} targets;

static void free_targets(targets *t) {
    for (int i = 0; i < t->count; i++) {
        hone_channels_free(&t->items[i].channels);
        hone_free(t->items[i].largest);
    }
    hone_free(t->items);
}

/* --- which --- */

static bool is_there(const targets *t, const hone_value *x, int axis) {
    for (int i = 0; i < t->count; i++)
        if ((t->items[i].x == x && t->items[i].axis == axis) ||
            hone_channels_have(&t->items[i].channels, x, axis))
            return true;
    return false;
}

/* Does n, a product, sum over axis `axis` of x with a weight of its own? */
static hone_status reads(const hone_node *n, int index, int axis, bool *out, hone_error *err) {
    int of_weight;
    *out = false;
    if (index != 0 || !hone_multiplies(n) || n->inputs[1]->use_count != 1) return HONE_OK;
    HONE_TRY(hone_summed_axis(n, axis, &of_weight, err));
    *out = of_weight >= 0;
    return HONE_OK;
}

/* An image's channels are not worth a pass over it, and inputs are what their sender makes them. */
static bool may_multiply(const target *t) {
    return t->x->producer && t->axis == t->x->type.rank - 1;
}

static hone_status find_target(hone_graph *g, hone_node *n, targets *out, hone_error *err) {
    hone_value *x = n->inputs[0];
    for (int axis = 1; axis < x->type.rank; axis++) {
        bool summed;
        HONE_TRY(reads(n, 0, axis, &summed, err));
        if (!summed || x->type.dims[axis] < 2 || is_there(out, x, axis)) continue;
        target *t = &out->items[out->count];
        *t = (target){
            .x = x, .axis = axis, .largest = hone_calloc((size_t)x->type.dims[axis], sizeof(double))};
        hone_status status =
            t->largest ? hone_channels_find(g, x, axis, &t->channels, err) : hone_fail_memory(err);
        if (status == HONE_OK && (!t->channels.fixed || may_multiply(t))) {
            out->count++;
        } else {
            hone_channels_free(&t->channels);
            hone_free(t->largest);
        }
        HONE_TRY(status);
    }
    return HONE_OK;
}

static hone_status find_targets(hone_graph *g, targets *out, hone_error *err) {
    size_t room = 1;
    for (hone_node *n = g->first; n; n = n->next)
        if (hone_multiplies(n)) room += (size_t)n->inputs[0]->type.rank;
    out->items = hone_calloc(room, sizeof *out->items);
    if (!out->items) return hone_fail_memory(err);
    for (hone_node *n = g->first; n; n = n->next)
        if (hone_multiplies(n)) HONE_TRY(find_target(g, n, out, err));
    return HONE_OK;
}

/* --- how large activations are --- */

/* An output of the largest magnitude for each position of the axis. */
static void add_largest(hone_graph *g, const target *t) {
    int64_t others[HONE_MAX_RANK], count = 0;
    for (int i = 0; i < t->x->type.rank; i++)
        if (i != t->axis) others[count++] = i;
    hone_value *size = HONE_EMIT(g, "", "Abs", hone_graph_find(g, t->x->name)),
               *y = HONE_EMIT(g, "", "ReduceMax", size, hone_graph_ints(g, others, count));
    if (y) hone_graph_add_output(g, y);
}

static hone_status keep_largest(void *user, int64_t first, int64_t n, const hone_tensor *const *outputs,
                                hone_error *err) {
    const targets *t = user;
    (void)first;
    (void)n; /* rows beyond n are of samples, too */
    for (int i = 0; i < t->count; i++)
        for (int64_t p = 0; p < outputs[i]->count; p++) {
            const double x = ((const float *)outputs[i]->data)[p];
            if (!isfinite(x))
                return hone_fail_node(err, HONE_OUT_OF_RANGE, t->items[i].x->name, NULL,
                                      "is infinite on calibration data");
            t->items[i].largest[p] = fmax(t->items[i].largest[p], x);
        }
    return HONE_OK;
}

static hone_status watch(const hone_graph *g, const hone_dataset *data, const hone_feed *inputs, int threads,
                         targets *t, hone_error *err) {
    hone_graph *copy = NULL;
    hone_model *m = NULL;
    HONE_TRY(hone_graph_copy(g, &copy, err));
    copy->output_count = 0;
    for (int i = 0; i < t->count; i++) add_largest(copy, &t->items[i]);
    hone_status status = hone_graph_check(copy, err);
    if (status == HONE_OK) {
        hone_graph_prune(copy);
        status = hone_model_compile(copy, NULL, &m, err);
    }
    hone_graph_free(copy);
    if (status == HONE_OK) status = hone_run_samples(m, data, inputs, 0, threads, keep_largest, t, NULL, err);
    hone_model_free(m);
    return status;
}

static hone_status find_largest(const hone_graph *g, const hone_dataset *data, const hone_quantize_options *o,
                                targets *t, hone_error *err) {
    hone_dataset *drawn = NULL;
    int column;
    hone_feed *inputs = hone_calloc(g->input_count + 1, sizeof *inputs);
    hone_status status = inputs ? hone_calibration_draw(data, &o->task, o->calibration_samples, &drawn, err)
                                : hone_fail_memory(err);
    if (drawn) data = drawn;
    if (status == HONE_OK) status = hone_task_wire(g, data, &o->task, inputs, &column, err);
    if (status == HONE_OK) status = watch(g, data, inputs, o->threads, t, err);
    hone_dataset_free(drawn);
    hone_free(inputs);
    return status;
}

/* --- making them smaller --- */

/* What the products that read x alone see of it: ties as channels that a Mul gives would have. */
static hone_status tie_readers(target *t, hone_error *err) {
    hone_channels *c = &t->channels;
    hone_channels_free(c);
    c->size = t->x->type.dims[t->axis];
    c->ties = hone_calloc(t->x->use_count + 1, sizeof *c->ties);
    if (!c->ties) return hone_fail_memory(err);
    for (size_t u = 0; u < t->x->use_count; u++) {
        hone_node *n = t->x->uses[u].node;
        bool summed;
        int axis;
        HONE_TRY(reads(n, t->x->uses[u].index, t->axis, &summed, err));
        if (!summed) continue;
        HONE_TRY(hone_summed_axis(n, t->axis, &axis, err));
        c->ties[c->tie_count++] = (hone_channel_tie){n, n->inputs[1], axis, 1, .weight = true};
    }
    return HONE_OK;
}

static hone_status multiply(hone_graph *g, const target *t, const double *s, hone_error *err) {
    const hone_channels *c = &t->channels;
    hone_tensor *f = NULL;
    HONE_TRY(hone_tensor_new(HONE_FLOAT32, 1, &c->size, &f, err));
    for (int64_t p = 0; p < c->size; p++) ((float *)f->data)[p] = (float)(1 / s[p]);
    hone_value *k = hone_graph_add_constant(g, hone_arena_printf(g->arena, "%s.smooth", t->x->name), f);
    hone_tensor_free(f);
    g->insert_before = t->x->producer->next;
    hone_value *y = HONE_EMIT(g, "", "Mul", t->x, k);
    g->insert_before = NULL;
    if (y) y->type = t->x->type;
    for (int i = 0; i < c->tie_count && y; i++) hone_node_set_input(g, (hone_node *)c->ties[i].node, 0, y);
    return hone_graph_check(g, err);
}

/* Channels that are never seen, or read by nothing, stay. */
static void factors(const target *t, const double *read, double alpha, double *s) {
    for (int64_t p = 0; p < t->channels.size; p++) {
        const double seen = t->largest[p];
        s[p] = seen > 0 && read[p] > 0 ? pow(seen, alpha) / pow(read[p], 1 - alpha) : 1;
        if (!(s[p] > 1e-6 && s[p] < 1e6)) s[p] = 1;
    }
}

static hone_status smooth(hone_graph *g, target *t, double alpha, hone_error *err) {
    const bool in_front = t->channels.fixed;
    if (in_front) HONE_TRY(tie_readers(t, err));
    const hone_channels *c = &t->channels;
    double *s = hone_calloc((size_t)c->size, sizeof *s), *read = hone_calloc((size_t)c->size, sizeof *read);
    hone_status status = s && read ? HONE_OK : hone_fail_memory(err);
    for (int i = 0; i < c->tie_count && status == HONE_OK; i++)
        if (c->ties[i].weight && !c->ties[i].gives) hone_tie_largest(&c->ties[i], c->size, read);
    if (status == HONE_OK) {
        factors(t, read, alpha, s);
        status = hone_channels_scale(c, s, err);
    }
    if (status == HONE_OK && in_front) status = multiply(g, t, s, err);
    hone_free(s);
    hone_free(read);
    return status;
}

hone_status hone_smooth(hone_graph *g, const hone_dataset *data, const hone_quantize_options *o,
                        int64_t *groups, hone_error *err) {
    targets t = {NULL, 0};
    hone_status status = find_targets(g, &t, err);
    if (status == HONE_OK && t.count) status = find_largest(g, data, o, &t, err);
    for (int i = 0; i < t.count && status == HONE_OK; i++) status = smooth(g, &t.items[i], o->smooth, err);
    *groups = t.count;
    free_targets(&t);
    return status;
}
