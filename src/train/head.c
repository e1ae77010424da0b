/* New heads: what a trained model's last layer becomes when it has to tell other classes, or numbers. */
#include "base/random.h"
#include "graph/infer.h"
#include "graph/op.h"
#include "train/intake.h"

#include <math.h>
#include <string.h>

typedef struct site {
    hone_graph *g;
    const hone_head_options *options;
    int64_t outputs;
} site;

/* --- where it goes --- */

static hone_status choose_output(const site *s, hone_value **out, hone_error *err) {
    const char *name = s->options->output;
    *out = name ? hone_graph_find(s->g, name) : s->g->outputs[0];
    if (*out) return HONE_OK;
    return hone_fail_node(err, HONE_NOT_FOUND, name, NULL, "the model has no such value to put a head on");
}

/* The one input of `n` that is no constant, where all others are; NULL: there is none, or more. */
static hone_value *only_variable_input(const hone_node *n) {
    hone_value *found = NULL;
    for (int i = 0; i < n->input_count; i++) {
        if (!n->inputs[i] || n->inputs[i]->data) continue;
        if (found) return NULL;
        found = n->inputs[i];
    }
    return found;
}

/* What a layer with weight `w` reads: [batch, features], also where a file's shapes do not say so. */
static bool takes_vectors(hone_value *x, const hone_node *n, const hone_value *w) {
    const hone_type *y = &n->outputs[0]->type;
    if (x->type.rank == 2 && x->type.dims[1] > 0) return true;
    if (y->rank != 2 || y->dims[1] <= 0 || x->type.rank > 2) return false;
    x->type = hone_type_make(HONE_FLOAT32, 2, (int64_t[]){y->dims[0], w->data->count / y->dims[1]});
    return true;
}

/* The input of the last fully connected layer that `v` comes from: behind it are elementwise operators and moves alone. */
static hone_value *behind_last_layer(hone_value *v) {
    while (v && v->producer) {
        const hone_node *n = v->producer;
        const hone_slot *slot = n->input_count > 1 ? hone_op_input(n->op, 1) : NULL;
        const hone_value *w = n->input_count > 1 ? n->inputs[1] : NULL;
        bool dense = slot && (slot->flags & HONE_SLOT_WEIGHT) && w && w->data && w->data->rank == 2;
        if (dense && n->inputs[0] && takes_vectors(n->inputs[0], n, w)) return n->inputs[0];
        if (dense || !(n->op->map || n->op->link || n->op->quantize == HONE_QUANTIZE_BITS)) return NULL;
        v = only_variable_input(n);
    }
    return NULL;
}

/* --- one vector a sample --- */

/* Of ReduceMean or ReduceSum: the axes go. */
static hone_value *without_axes(hone_graph *g, hone_value *y) {
    if (y) hone_node_set_int(g, y->producer, "keepdims", 0);
    return y;
}

static hone_value *mean_over(hone_graph *g, hone_value *x, const int64_t *axes, int n) {
    return without_axes(g, HONE_EMIT(g, "", "ReduceMean", x, hone_graph_ints(g, axes, n)));
}

static hone_value *sum_over(hone_graph *g, hone_value *x, const int64_t *axes, int n) {
    return without_axes(g, HONE_EMIT(g, "", "ReduceSum", x, hone_graph_ints(g, axes, n)));
}

/* An input of integers [batch, places] that says which places count. */
static hone_value *mask_of(const hone_graph *g) {
    for (size_t i = 0; i < g->input_count; i++) {
        const hone_type *t = &g->inputs[i]->type;
        if (t->rank == 2 && !hone_dtype_is_float(t->dtype) && strstr(g->inputs[i]->name, "mask"))
            return g->inputs[i];
    }
    return NULL;
}

/* [batch, places, d]: the mean over the places that count. */
static hone_value *mean_of_places(hone_graph *g, hone_value *x) {
    static const int64_t places = 1, last = 2;
    hone_value *mask = mask_of(g);
    if (!mask) return mean_over(g, x, &places, 1);
    hone_value *ones = HONE_EMIT(g, "", "Cast", mask);
    if (ones) hone_node_set_int(g, ones->producer, "to", HONE_FLOAT32);
    hone_value *column = HONE_EMIT(g, "", "Unsqueeze", ones, hone_graph_ints(g, &last, 1));
    hone_value *sum = sum_over(g, HONE_EMIT(g, "", "Mul", x, column), &places, 1);
    hone_value *count =
        HONE_EMIT(g, "", "Max", sum_over(g, column, &places, 1), hone_graph_scalar(g, HONE_FLOAT32, 1e-9));
    return HONE_EMIT(g, "", "Div", sum, count);
}

static hone_status vector_of(const site *s, hone_value **x, hone_error *err) {
    hone_graph *g = s->g;
    const hone_type *t = &(*x)->type;
    char text[96];
    if (t->dtype != HONE_FLOAT32 || t->rank < 2 || t->rank > 4)
        return hone_fail_node(
            err, HONE_UNSUPPORTED, (*x)->name, NULL,
            "is %s: a head takes float32 [batch, features], [batch, places, features] or [batch, "
            "channels, height, width]",
            hone_type_format(g, t, text, sizeof text));
    if (t->rank == 3) *x = mean_of_places(g, *x);
    if (t->rank == 4) *x = mean_over(g, *x, (int64_t[]){2, 3}, 2);
    HONE_TRY(hone_graph_check(g, err));
    HONE_TRY(hone_graph_infer(g, err));
    if ((*x)->type.rank == 2 && (*x)->type.dims[1] > 0) return HONE_OK;
    return hone_fail_node(err, HONE_UNSUPPORTED, (*x)->name, NULL,
                          "is %s: the head must know how many features there are",
                          hone_type_format(g, &(*x)->type, text, sizeof text));
}

/* --- the layer --- */

static hone_value *layer(const site *s, hone_value *x) {
    hone_graph *g = s->g;
    int64_t dims[] = {x->type.dims[1], s->outputs};
    hone_tensor *weight = NULL, *bias = NULL;
    if (hone_tensor_new(HONE_FLOAT32, 2, dims, &weight, NULL) != HONE_OK ||
        hone_tensor_new(HONE_FLOAT32, 1, dims + 1, &bias, NULL) != HONE_OK) {
        hone_tensor_free(weight);
        hone_graph_out_of_memory(g);
        return NULL;
    }
    hone_rng rng = hone_rng_make(s->options->seed, hone_hash("head", 4));
    float bound = 1 / sqrtf((float)dims[0]);
    for (int64_t i = 0; i < weight->count; i++)
        ((float *)weight->data)[i] = (2 * hone_rng_uniform(&rng) - 1) * bound;
    hone_value *w = hone_graph_add_constant(g, "head.weight", weight),
               *b = hone_graph_add_constant(g, "head.bias", bias);
    hone_tensor_free(weight);
    hone_tensor_free(bias);
    hone_value *in[] = {x, w, b};
    return hone_graph_emit(g, "", "Gemm", in, 3);
}

static hone_status attach(site *s, hone_error *err) {
    hone_graph *g = s->g;
    hone_value *at;
    HONE_TRY(choose_output(s, &at, err));
    if (s->options->kind == HONE_HEAD_REPLACE) {
        hone_value *before = behind_last_layer(at);
        if (!before)
            return hone_fail_node(
                err, HONE_UNSUPPORTED, at->name, NULL,
                "does not come from a fully connected layer that could be replaced; a new one can be "
                "put behind a value instead");
        at = before;
    }
    HONE_TRY(vector_of(s, &at, err));
    hone_value *y = layer(s, at);
    HONE_TRY(hone_graph_check(g, err));
    g->output_count = 0;
    hone_graph_rename(g, y, "logits");
    hone_graph_add_output(g, y);
    hone_graph_prune(g);
    HONE_TRY(hone_graph_check(g, err));
    return hone_graph_infer(g, err);
}

/* Classes, or numbers, from the target. */
static hone_status look_at_target(site *s, const hone_dataset *data, int *classes, hone_error *err) {
    const hone_objective *objective;
    hone_column c;
    int target;
    HONE_TRY(hone_task_find_target(s->g, data, &s->options->task, &target, err));
    const char *name = s->options->task.objective;
    HONE_TRY(hone_objective_find(name ? name : "cross-entropy", &objective, err));
    hone_type out = hone_type_make(HONE_FLOAT32, 2, (int64_t[]){HONE_DIM_ANY, HONE_DIM_ANY}), wanted;
    *classes = objective->target(&out, &wanted) && hone_dtype_is_int(wanted.dtype)
                   ? hone_dataset_classes(data, target)
                   : 0;
    s->outputs = *classes;
    if (*classes == 0 && hone_dataset_column(data, target, &c)) s->outputs = c.rank == 1 ? c.dims[0] : 1;
    return HONE_OK;
}

hone_status hone_graph_set_head(hone_graph *g, const hone_dataset *data, const hone_head_options *options,
                                hone_error *err) {
    site s = {.g = g, .options = options};
    int classes;
    HONE_TRY(hone_check_options_size(options->size, sizeof *options, err));
    if (g->output_count < 1) return hone_fail(err, HONE_INVALID_ARGUMENT, "the model has no output");
    HONE_TRY(look_at_target(&s, data, &classes, err));
    HONE_TRY(attach(&s, err));
    HONE_TRY(hone_intake_note_classes(g, data, classes, err));
    return hone_graph_check(g, err);
}
