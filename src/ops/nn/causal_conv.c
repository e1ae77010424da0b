/* CausalConvWithState: each channel of [B, C, L] is a sequence, and Y[t] = bias + the sum over j < k of
 * W[j] x[t - (k - 1) + j]. What comes before x is a state, the last k - 1 elements of the part before, or
 * zeros; the last k - 1 of both are the next state. An activation is a node of its own. */
#include "graph/infer.h"
#include "kernels/kernels.h"
#include "ops/common/cut.h"
#include "ops/common/emit.h"
#include "ops/common/walk.h"

#include <string.h>

#define FLOATS (HONE_TYPES_FLOAT | HONE_TYPES_HALF)

enum { X, W, BIAS, PAST };
enum { Y, PRESENT };

/* --- shapes --- */

static const hone_type *type_at(const hone_infer *ctx, int i) {
    return i < ctx->input_count ? ctx->in[i] : NULL;
}

static bool has_activation(const hone_node *n) {
    return strcmp(hone_node_string(n, "activation"), "none") != 0;
}

/* An operand's dimensions agree with `dims`, and those with them. */
static hone_status join_dims(const hone_infer *ctx, const hone_type *t, const char *name, int rank,
                             int64_t *const *dims, hone_error *err) {
    if (!t || t->rank < 0) return HONE_OK;
    if (t->rank != rank) return hone_infer_fail(ctx, err, "%s must have rank %d", name, rank);
    for (int i = 0; i < rank; i++) HONE_TRY(hone_infer_same_dim(ctx, *dims[i], t->dims[i], dims[i], err));
    return HONE_OK;
}

static hone_status infer(hone_infer *ctx, hone_error *err) {
    int64_t batch = HONE_DIM_ANY, channels = HONE_DIM_ANY, length = HONE_DIM_ANY, one = 1,
            taps = HONE_DIM_ANY;
    const char *activation = hone_node_string(ctx->node, "activation");
    if (has_activation(ctx->node) && strcmp(activation, "silu") != 0 && strcmp(activation, "swish") != 0)
        return hone_infer_fail(ctx, err, "activation '%s'", activation);
    HONE_TRY(join_dims(ctx, ctx->in[X], "input", 3, (int64_t *[]){&batch, &channels, &length}, err));
    HONE_TRY(join_dims(ctx, ctx->in[W], "weight", 3, (int64_t *[]){&channels, &one, &taps}, err));
    HONE_TRY(join_dims(ctx, type_at(ctx, BIAS), "bias", 1, (int64_t *[]){&channels}, err));
    if (taps == 0) return hone_infer_fail(ctx, err, "a kernel has at least one element");
    int64_t before = taps > 0 ? taps - 1 : HONE_DIM_ANY;
    HONE_TRY(
        join_dims(ctx, type_at(ctx, PAST), "past_state", 3, (int64_t *[]){&batch, &channels, &before}, err));
    const int64_t y[] = {batch, channels, length}, state[] = {batch, channels, before};
    const hone_dtype dtype = ctx->in[X]->dtype;
    ctx->out[Y] = hone_type_make(dtype, 3, y);
    if (ctx->output_count > PRESENT) ctx->out[PRESENT] = hone_type_make(dtype, 3, state);
    return HONE_OK;
}

static int64_t multiply_adds(const hone_node *n, const hone_type *const *in, const hone_type *out) {
    (void)n;
    return hone_type_count(&out[Y]) * in[W]->dims[2];
}

/* --- running --- */

typedef struct params {
    bool is_double;
    int64_t channels, length, taps;
    const hone_kernels *kernels;
    int64_t *from; /* 0, 1, … taps - 1 */
    hone_cut rows;
} params;

typedef struct job {
    const params *p;
    const char *x, *w, *bias, *past;
    char *y, *present;
} job;

/* Outputs whose windows begin before x: t < `count`. */
#define DEFINE_FIRST(REAL, name)                                                                             \
    static void name(const params *p, const REAL *x, const REAL *w, const REAL *past, int64_t count,         \
                     REAL *y) {                                                                              \
        const int64_t before = p->taps - 1;                                                                  \
        for (int64_t t = 0; t < count; t++) {                                                                \
            REAL sum = 0;                                                                                    \
            for (int64_t j = t < before && !past ? before - t : 0; j < p->taps; j++)                         \
                sum += w[j] * (t + j < before ? past[t + j] : x[t + j - before]);                            \
            y[t] = sum;                                                                                      \
        }                                                                                                    \
    }
DEFINE_FIRST(float, first_f32)
DEFINE_FIRST(double, all_f64)

static void run_f32(const job *j, int64_t row) {
    const params *p = j->p;
    const int64_t channel = row % p->channels, before = p->taps - 1, first = hone_min_i64(before, p->length);
    const float *x = (const float *)(const void *)j->x + row * p->length,
                *w = (const float *)(const void *)j->w + channel * p->taps,
                *past = j->past ? (const float *)(const void *)j->past + row * before : NULL;
    float *y = (float *)(void *)j->y + row * p->length;
    first_f32(p, x, w, past, first, y);
    if (first < p->length)
        p->kernels->weigh_rows_f32(x, 1, p->from, w, (int)p->taps, p->length - first, y + first);
    if (!j->bias) return;
    const float bias = ((const float *)(const void *)j->bias)[channel];
    for (int64_t t = 0; t < p->length; t++) y[t] += bias;
}

static void run_f64(const job *j, int64_t row) {
    const params *p = j->p;
    const int64_t channel = row % p->channels, before = p->taps - 1;
    double *y = (double *)(void *)j->y + row * p->length;
    all_f64(p, (const double *)(const void *)j->x + row * p->length,
            (const double *)(const void *)j->w + channel * p->taps,
            j->past ? (const double *)(const void *)j->past + row * before : NULL, p->length, y);
    if (!j->bias) return;
    const double bias = ((const double *)(const void *)j->bias)[channel];
    for (int64_t t = 0; t < p->length; t++) y[t] += bias;
}

/* The last elements of the past and x. */
static void keep_state(const job *j, int64_t row, size_t size) {
    const params *p = j->p;
    const int64_t before = p->taps - 1, added = hone_min_i64(before, p->length), kept = before - added;
    char *to = j->present + (size_t)(row * before) * size;
    const char *x = j->x + (size_t)(row * p->length + p->length - added) * size;
    if (kept && j->past) memcpy(to, j->past + (size_t)(row * before + added) * size, (size_t)kept * size);
    if (kept && !j->past) memset(to, 0, (size_t)kept * size);
    if (added) memcpy(to + (size_t)kept * size, x, (size_t)added * size);
}

static void run_rows(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const bool is_double = j->p->is_double;
    for (int64_t row = begin; row < end; row++) {
        if (j->y && is_double) run_f64(j, row);
        if (j->y && !is_double) run_f32(j, row);
        if (j->present) keep_state(j, row, is_double ? sizeof(double) : sizeof(float));
    }
}

static hone_status run(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    const params *p = step->params;
    job j = {.p = p,
             .x = hone_step_in(step, frame, X),
             .w = hone_step_in(step, frame, W),
             .bias = hone_step_in(step, frame, BIAS),
             .past = hone_step_in(step, frame, PAST),
             .y = hone_step_out(step, frame, Y),
             .present = hone_step_out(step, frame, PRESENT)};
    hone_cut_run(&p->rows, frame, run_rows, &j);
    return HONE_OK;
}

static hone_status prepare(hone_prepare *p, hone_error *err) {
    params *q = hone_prepare_alloc(p, sizeof *q);
    const int64_t *dims = p->in[X]->dims, taps = p->in[W]->dims[2];
    const bool keeps = p->out_count > PRESENT && p->node->outputs[PRESENT],
               any = hone_type_count(&p->out[Y]) > 0 || (keeps && hone_type_count(&p->out[PRESENT]) > 0);
    if (!q) return hone_fail_memory(err);
    if (taps > INT32_MAX) return hone_prepare_fail(p, err, "a kernel of %lld elements", (long long)taps);
    *q = (params){.is_double = p->in[X]->dtype == HONE_FLOAT64,
                  .channels = dims[1],
                  .length = dims[2],
                  .taps = taps,
                  .kernels = hone_kernels_get()};
    if (any && q->length >= taps) {
        q->from = hone_prepare_alloc(p, (size_t)taps * sizeof(int64_t));
        if (!q->from) return hone_fail_memory(err);
        for (int64_t i = 0; i < taps; i++) q->from[i] = i;
    }
    q->rows = hone_cut_make(any ? dims[0] * dims[1] : 0, 10 + 0.15 * (double)q->length * (double)taps, 1);
    p->params = q;
    p->run = run;
    p->kernel = q->is_double ? "causal conv, double" : "causal conv";
    return HONE_OK;
}

/* --- as other operators: an activation, and for training --- */

/* The same without activation; then the activation. */
static hone_status expand_activation(hone_graph *g, hone_node *n, hone_error *err) {
    hone_node *plain = hone_graph_add_node(g, n->op, n->name, n->input_count, n->inputs, n->output_count);
    if (!plain) return hone_graph_check(g, err);
    if (hone_output(g, n, Y))
        hone_graph_replace(g, n->outputs[Y], HONE_EMIT(g, "", "Swish", plain->outputs[Y]));
    if (hone_output(g, n, PRESENT)) hone_graph_replace(g, n->outputs[PRESENT], plain->outputs[PRESENT]);
    return hone_graph_check(g, err);
}

/* Y is a Conv of the past and x, the next state its last elements. */
static hone_status expand(hone_graph *g, hone_node *n, hone_error *err) {
    if (has_activation(n)) return expand_activation(g, n, err);
    const hone_type *w = &n->inputs[W]->type;
    hone_value *x = n->inputs[X], *past = hone_input(n, PAST);
    if (w->rank != 3 || w->dims[0] < 0 || w->dims[2] < 0)
        return hone_fail_node(err, HONE_UNSUPPORTED, n->name, hone_node_op_name(n),
                              "a kernel of unknown size in training");
    const int64_t before = w->dims[2] - 1, pads[] = {0, 0, before, 0, 0, 0};
    hone_value *all =
        past ? hone_emit_joined(g, past, x, 2) : HONE_EMIT(g, "", "Pad", x, hone_graph_ints(g, pads, 6));
    hone_value *y = HONE_EMIT(g, "", "Conv", all, n->inputs[W], hone_input(n, BIAS));
    if (y) hone_node_set_int(g, y->producer, "group", w->dims[0]);
    if (hone_output(g, n, Y)) hone_graph_replace(g, n->outputs[Y], y);
    if (hone_output(g, n, PRESENT))
        hone_graph_replace(g, n->outputs[PRESENT],
                           hone_emit_part(g, all, 2, before ? -before : INT64_MAX, INT64_MAX));
    return hone_graph_check(g, err);
}

#define OPTIONAL HONE_SLOT_OPTIONAL

const hone_op hone_op_causal_conv_with_state = {
    .name = "CausalConvWithState",
    .since = 27,
    .oldest = 27,
    .widened = HONE_TYPES_HALF,
    .inputs =
        HONE_SLOTS({"input", 'T', FLOATS, 0}, {"weight", 'T', FLOATS, HONE_SLOT_WEIGHT},
                   {"bias", 'T', FLOATS, OPTIONAL | HONE_SLOT_WEIGHT | HONE_SLOT_ZEROS}, {"past_state", 'T', FLOATS, OPTIONAL}),
    .outputs = HONE_SLOTS({"output", 'T', FLOATS, 0}, {"present_state", 'T', FLOATS, 0}),
    .attrs = HONE_ATTRS({"activation", HONE_ATTR_STRING, .s = "none"}),
    .infer = infer,
    .multiply_adds = multiply_adds,
    .prepare = prepare,
    .expand = expand,
    .expands = has_activation,
    .doc = "a window of weights over each channel's past, which a state carries on"};
