/* LinearAttention: a state of each head of keys takes in one token after the other
 * (kernels/linear_attention.h). */
#include "graph/autodiff.h"
#include "graph/infer.h"
#include "kernels/kernels.h"
#include "ops/common/cut.h"
#include "ops/common/emit.h"
#include "ops/common/walk.h"

#include <math.h>
#include <string.h>

#define REAL (HONE_TYPES_FLOAT | HONE_TYPES_HALF)
#define FLOATS HONE_TYPES_FLOAT

enum { Q, K, V, PAST, DECAY, BETA, INPUTS };
enum { Y, PRESENT };
/* The gradient has cotangents first, and gives one result for each input. */
enum { DY, DPRESENT, BEHIND };

/* --- shapes --- */

/* What is known of the operands, HONE_DIM_ANY where nothing is. */
typedef struct sizes {
    int64_t batch, steps, heads, kv_heads, depth, columns; /* depth, columns: of a state */
    bool each, shared; /* a decay for each row of the state; one beta for all heads */
} sizes;

static const hone_type *type_at(const hone_type *const *in, int count, int i) {
    return i < count ? in[i] : NULL;
}

/* An operand [batch, steps, heads width]: takes batch and steps, gives the width of a head. */
static hone_status read_packed(const hone_infer *ctx, const hone_type *t, const char *name, int64_t heads,
                               sizes *s, int64_t *width, hone_error *err) {
    *width = HONE_DIM_ANY;
    if (!t || t->rank < 0) return HONE_OK;
    if (t->rank != 3) return hone_infer_fail(ctx, err, "%s must have rank 3", name);
    HONE_TRY(hone_infer_same_dim(ctx, s->batch, t->dims[0], &s->batch, err));
    HONE_TRY(hone_infer_same_dim(ctx, s->steps, t->dims[1], &s->steps, err));
    if (t->dims[2] < 0) return HONE_OK;
    if (t->dims[2] % heads)
        return hone_infer_fail(ctx, err, "%s: %lld elements make no %lld heads", name, (long long)t->dims[2],
                               (long long)heads);
    *width = t->dims[2] / heads;
    return HONE_OK;
}

static hone_status read_gates(const hone_infer *ctx, const hone_type *const *in, int count, sizes *s,
                              hone_error *err) {
    const char *rule = hone_node_string(ctx->node, "update_rule");
    const bool gated = strcmp(rule, "gated") == 0 || strcmp(rule, "gated_delta") == 0,
               delta = strcmp(rule, "delta") == 0 || strcmp(rule, "gated_delta") == 0;
    const hone_type *decay = type_at(in, count, DECAY), *beta = type_at(in, count, BETA);
    int64_t width;
    if (!gated && !delta && strcmp(rule, "linear") != 0)
        return hone_infer_fail(ctx, err, "update_rule '%s'", rule);
    if (gated != (decay != NULL) || delta != (beta != NULL))
        return hone_infer_fail(ctx, err, "update_rule '%s' %s", rule,
                               gated != (decay != NULL) ? gated ? "needs a decay" : "has no decay"
                               : delta                  ? "needs a beta"
                                                        : "has no beta");
    HONE_TRY(read_packed(ctx, decay, "decay", s->kv_heads, s, &width, err));
    s->each = width != 1;
    if (width >= 0 && s->each) HONE_TRY(hone_infer_same_dim(ctx, s->depth, width, &s->depth, err));
    s->shared = beta && beta->rank == 3 && beta->dims[2] == 1 && s->kv_heads > 1;
    HONE_TRY(read_packed(ctx, beta, "beta", s->shared ? 1 : s->kv_heads, s, &width, err));
    return width < 0 || width == 1
               ? HONE_OK
               : hone_infer_fail(ctx, err, "beta is not one number for each head, or for all");
}

/* Of operands as the operator has them. */
static hone_status read_sizes(const hone_infer *ctx, const hone_type *const *in, int count, sizes *s,
                              hone_error *err) {
    const hone_type *past = type_at(in, count, PAST);
    int64_t width, all;
    *s = (sizes){HONE_DIM_ANY,
                 HONE_DIM_ANY,
                 hone_node_int(ctx->node, "q_num_heads"),
                 hone_node_int(ctx->node, "kv_num_heads"),
                 HONE_DIM_ANY,
                 HONE_DIM_ANY,
                 false,
                 false};
    if (s->heads <= 0 || s->kv_heads <= 0 || s->heads % s->kv_heads)
        return hone_infer_fail(ctx, err, "%lld heads of the query can't share %lld of the key",
                               (long long)s->heads, (long long)s->kv_heads);
    HONE_TRY(read_packed(ctx, in[Q], "query", s->heads, s, &s->depth, err));
    HONE_TRY(read_packed(ctx, in[K], "key", s->kv_heads, s, &width, err));
    HONE_TRY(hone_infer_same_dim(ctx, s->depth, width, &s->depth, err));
    HONE_TRY(read_packed(ctx, in[V], "value", s->kv_heads, s, &s->columns, err));
    HONE_TRY(read_gates(ctx, in, count, s, err));
    if (past && past->rank >= 0) {
        if (past->rank != 4) return hone_infer_fail(ctx, err, "a state must have rank 4");
        int64_t *const own[] = {&s->batch, &s->kv_heads, &s->depth, &s->columns};
        for (int i = 0; i < 4; i++) HONE_TRY(hone_infer_same_dim(ctx, *own[i], past->dims[i], own[i], err));
    }
    if (s->columns >= 0 && __builtin_mul_overflow(s->heads, s->columns, &all))
        return hone_infer_fail(ctx, err, "%lld heads are too many", (long long)s->heads);
    return HONE_OK;
}

static hone_status infer(hone_infer *ctx, hone_error *err) {
    sizes s;
    HONE_TRY(read_sizes(ctx, ctx->in, ctx->input_count, &s, err));
    const int64_t y[] = {s.batch, s.steps, s.columns >= 0 ? s.heads * s.columns : HONE_DIM_ANY},
                  state[] = {s.batch, s.kv_heads, s.depth, s.columns};
    const hone_type *past = type_at(ctx->in, ctx->input_count, PAST);
    const hone_dtype dtype = ctx->in[Q]->dtype, other = past ? past->dtype : dtype;
    if ((dtype == HONE_FLOAT64) != (other == HONE_FLOAT64))
        return hone_infer_fail(ctx, err, "a state must be double where the query is, and only there");
    ctx->out[Y] = hone_type_make(dtype, 3, y);
    if (ctx->output_count > PRESENT) ctx->out[PRESENT] = hone_type_make(other, 4, state);
    return HONE_OK;
}

/* q S of all heads; k u and S k of those that have a state. */
static int64_t multiply_adds(const hone_node *n, const hone_type *const *in, const hone_type *out) {
    (void)out;
    return in[Q]->dims[0] * in[Q]->dims[1] * (in[Q]->dims[2] + 2 * in[K]->dims[2]) *
           (in[V]->dims[2] / hone_node_int(n, "kv_num_heads"));
}

/* --- running --- */

/* Columns of a state at once: those of 128 rows stay in the cache for all steps. */
#define COLUMNS 64

typedef struct params {
    sizes s;
    int64_t states, blocks; /* blocks: of columns */
    double scale;
    size_t size; /* of an element */
    void (*run)(const hone_linear_attention *a);
    size_t zeros[INPUTS]; /* of the gradient: bytes of an output that begin as zeros */
    hone_cut cut;
} params;

typedef struct job {
    const params *p;
    const hone_step *step;
    const hone_frame *frame;
    const char *in[INPUTS];
    char *y, *present; /* of the gradient: their cotangents */
    char *out[INPUTS];
} job;

/* Element i of x. */
static void *at(const params *p, const void *x, int64_t i) {
    return x ? (char *)x + i * (int64_t)p->size : NULL;
}

/* Where the operands of one state lie, and of the columns from `column` on. */
typedef struct places {
    int64_t q, k, v, y, state, decay, beta;
} places;

static places places_of(const sizes *s, int64_t batch, int64_t head, int64_t column) {
    const int64_t group = s->heads / s->kv_heads, tokens = batch * s->steps, kv = tokens * s->kv_heads + head;
    return (places){.q = (tokens * s->heads + head * group) * s->depth,
                    .k = kv * s->depth,
                    .v = kv * s->columns + column,
                    .y = (tokens * s->heads + head * group) * s->columns + column,
                    .state = (batch * s->kv_heads + head) * s->depth * s->columns + column,
                    .decay = s->each ? kv * s->depth : kv,
                    .beta = s->shared ? tokens : kv};
}

static hone_linear_attention attention_of(const job *j, const places *w, int64_t columns) {
    const params *p = j->p;
    const sizes *s = &p->s;
    return (hone_linear_attention){.steps = s->steps,
                                   .depth = s->depth,
                                   .columns = columns,
                                   .group = s->heads / s->kv_heads,
                                   .scale = p->scale,
                                   .q = at(p, j->in[Q], w->q),
                                   .k = at(p, j->in[K], w->k),
                                   .v = at(p, j->in[V], w->v),
                                   .decay = at(p, j->in[DECAY], w->decay),
                                   .beta = at(p, j->in[BETA], w->beta),
                                   .each = s->each,
                                   .q_step = s->heads * s->depth,
                                   .k_step = s->kv_heads * s->depth,
                                   .v_step = s->kv_heads * s->columns,
                                   .decay_step = s->each ? s->kv_heads * s->depth : s->kv_heads,
                                   .beta_step = s->shared ? 1 : s->kv_heads,
                                   .y_step = s->heads * s->columns,
                                   .y_head = s->columns,
                                   .state_row = s->columns,
                                   .from = at(p, j->in[PAST], w->state)};
}

static void run_blocks(void *arg, int64_t begin, int64_t end, int worker) {
    const job *j = arg;
    const params *p = j->p;
    char *room = hone_step_worker_scratch(j->step, j->frame, worker);
    for (int64_t i = begin; i < end; i++) {
        const int64_t state = i / p->blocks, column = i % p->blocks * COLUMNS;
        const places w = places_of(&p->s, state / p->s.kv_heads, state % p->s.kv_heads, column);
        hone_linear_attention a = attention_of(j, &w, hone_min_i64(COLUMNS, p->s.columns - column));
        a.y = at(p, j->y, w.y);
        a.to = at(p, j->present, w.state);
        a.room = room;
        p->run(&a);
    }
}

static hone_status run(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    const params *p = step->params;
    job j = {.p = p, .step = step, .frame = frame};
    for (int i = 0; i < INPUTS; i++) j.in[i] = hone_step_in(step, frame, i);
    j.y = hone_step_out(step, frame, Y);
    j.present = hone_step_out(step, frame, PRESENT);
    if (!j.y) j.y = hone_step_scratch(step, frame);
    if (!j.present) j.present = hone_step_scratch(step, frame);
    hone_cut_run(&p->cut, frame, run_blocks, &j);
    return HONE_OK;
}

/* Of the operands `in`. */
static hone_status make_params(hone_prepare *p, const hone_type *const *in, int count, params **out,
                               hone_error *err) {
    const hone_infer ctx = {.node = p->node};
    const float given = hone_node_float(p->node, "scale");
    params *q = *out = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    HONE_TRY(read_sizes(&ctx, in, count, &q->s, err));
    if (__builtin_mul_overflow(q->s.batch, q->s.kv_heads, &q->states))
        return hone_prepare_fail(p, err, "%lld heads are too many", (long long)q->s.kv_heads);
    q->scale = given != 0 ? (double)given : q->s.depth > 0 ? 1 / sqrt((double)q->s.depth) : 1;
    q->size = hone_dtype_size(in[Q]->dtype);
    p->params = q;
    return HONE_OK;
}

static bool is_wanted(const hone_prepare *p, int o) {
    return o < p->out_count && p->node->outputs[o];
}

/* Room for output o, of those dimensions, if nobody wants it; SIZE_MAX: more than there can be. */
static size_t left_out(const hone_prepare *p, int o, int rank, const int64_t *dims) {
    const hone_type t = hone_type_make(p->in[Q]->dtype, rank, dims);
    return is_wanted(p, o) ? 0 : hone_type_bytes(&t);
}

static hone_status prepare(hone_prepare *p, hone_error *err) {
    params *q;
    HONE_TRY(make_params(p, p->in, p->in_count, &q, err));
    const sizes *s = &q->s;
    const double token = 0.03 * (double)s->depth * (2 + (double)s->heads / (double)s->kv_heads) * COLUMNS;
    const bool any =
        hone_type_count(&p->out[Y]) > 0 || (is_wanted(p, PRESENT) && hone_type_count(&p->out[PRESENT]) > 0);
    q->run = q->size == sizeof(double) ? hone_linear_attention_f64 : hone_kernels_get()->linear_attention_f32;
    q->blocks = hone_tasks(s->columns, COLUMNS);
    q->cut = hone_cut_make(any ? q->states * q->blocks : 0, (double)(s->steps + 1) * (token + 20), 1);
    if (q->cut.count > 0) p->worker_scratch = (size_t)(2 * s->depth + COLUMNS) * q->size;
    if (any) {
        const int64_t state_dims[] = {s->batch, s->kv_heads, s->depth, s->columns};
        const size_t y = left_out(p, Y, 3, p->out[Y].dims), state = left_out(p, PRESENT, 4, state_dims);
        p->scratch = y > state ? y : state > 0 ? state : 1; /* there is a place for an empty one, too */
    }
    if (p->scratch == SIZE_MAX) return hone_prepare_fail(p, err, "a state too large for any memory");
    p->run = run;
    p->kernel = q->size == sizeof(double) ? "linear attention, double" : "linear attention";
    return HONE_OK;
}

/* --- the gradient --- states are computed again */

/* The operands are behind the cotangents; the type of one that is left out is as the query's. */
static hone_status infer_grad(hone_infer *ctx, hone_error *err) {
    (void)err;
    for (int o = 0; o < ctx->output_count; o++)
        if (BEHIND + o < ctx->input_count && ctx->in[BEHIND + o]) ctx->out[o] = *ctx->in[BEHIND + o];
    return HONE_OK;
}

/* Heads that share a beta, one after the other: their shares are added up. */
static void run_grads(void *arg, int64_t begin, int64_t end, int worker) {
    const job *j = arg;
    const params *p = j->p;
    const sizes *s = &p->s;
    char *room = hone_step_worker_scratch(j->step, j->frame, worker);
    const int64_t heads = s->shared ? s->kv_heads : 1;
    for (int64_t state = begin * heads; state < end * heads; state++) {
        const places w = places_of(s, state / s->kv_heads, state % s->kv_heads, 0);
        const hone_linear_attention_grad g = {.forward = attention_of(j, &w, s->columns),
                                              .dy = at(p, j->y, w.y),
                                              .dto = at(p, j->present, w.state),
                                              .dq = at(p, j->out[Q], w.q),
                                              .dk = at(p, j->out[K], w.k),
                                              .dv = at(p, j->out[V], w.v),
                                              .ddecay = at(p, j->out[DECAY], w.decay),
                                              .dbeta = at(p, j->out[BETA], w.beta),
                                              .dfrom = at(p, j->out[PAST], w.state),
                                              .room = room};
        if (p->size == sizeof(double))
            hone_linear_attention_grad_f64(&g);
        else
            hone_linear_attention_grad_f32(&g);
    }
}

static hone_status run_grad(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    const params *p = step->params;
    job j = {.p = p,
             .step = step,
             .frame = frame,
             .y = hone_step_in(step, frame, DY),
             .present = hone_step_in(step, frame, DPRESENT)};
    for (int i = 0; i < INPUTS; i++) {
        j.in[i] = hone_step_in(step, frame, BEHIND + i);
        j.out[i] = hone_step_out(step, frame, i);
    }
    for (int i = 0; i < INPUTS; i++)
        if (j.out[i] && p->zeros[i]) memset(j.out[i], 0, p->zeros[i]);
    hone_cut_run(&p->cut, frame, run_grads, &j);
    return HONE_OK;
}

static hone_status prepare_grad(hone_prepare *p, hone_error *err) {
    params *q;
    HONE_TRY(make_params(p, p->in + BEHIND, p->in_count - BEHIND, &q, err));
    const sizes *s = &q->s;
    const bool flows = s->depth > 0 && s->columns > 0; /* states without elements give nothing, take nothing */
    bool any = false;
    for (int o = 0; o < p->out_count; o++) {
        if (!is_wanted(p, o)) continue;
        any |= hone_type_count(&p->out[o]) > 0;
        if (!flows || o == BETA) q->zeros[o] = hone_type_bytes(&p->out[o]);
    }
    const int64_t tasks = !any || !flows ? 0 : s->shared ? s->batch : q->states,
                  room = hone_linear_attention_grad_room(s->steps, s->depth, s->columns);
    const double state = 4 * ((double)s->depth * (double)s->columns + 20) * (double)(s->steps + 1);
    q->cut = hone_cut_make(tasks, state * (s->shared ? (double)s->kv_heads : 1), 1);
    if (tasks > 0 && (room < 0 || room > INT64_MAX / (int64_t)sizeof(double)))
        return hone_prepare_fail(p, err, "states too large to keep");
    p->worker_scratch = tasks > 0 ? (size_t)room * q->size : 0;
    p->run = run_grad;
    p->kernel = "linear attention gradient";
    return HONE_OK;
}

static void gradient(hone_gradient *ctx) {
    hone_graph *g = ctx->graph;
    const hone_node *n = ctx->node;
    hone_value *in[BEHIND + INPUTS] = {ctx->dout[Y], n->output_count > PRESENT ? ctx->dout[PRESENT] : NULL};
    for (int i = 0; i < n->input_count; i++) in[BEHIND + i] = n->inputs[i];
    hone_node *d = hone_graph_add_node(g, hone_op_find(HONE_PRIVATE_DOMAIN, "LinearAttentionGrad"), NULL,
                                       BEHIND + INPUTS, in, 0);
    if (!d) return;
    hone_node_copy_attrs(g, d, n);
    for (int i = 0; i < n->input_count; i++)
        if (ctx->wanted[i]) ctx->din[i] = hone_node_ask_output(g, d, i);
}

#define OPTIONAL HONE_SLOT_OPTIONAL
#define ATTRS                                                                                                \
    HONE_ATTRS({"q_num_heads", HONE_ATTR_INT, .required = true},                                             \
               {"kv_num_heads", HONE_ATTR_INT, .required = true},                                            \
               {"update_rule", HONE_ATTR_STRING, .s = "gated_delta"}, {"scale", HONE_ATTR_FLOAT},            \
               {"chunk_size", HONE_ATTR_INT, .i = 64} /* a hint to those who cut prompts into chunks */)

const hone_op hone_op_linear_attention = {
    .name = "LinearAttention",
    .since = 27,
    .oldest = 27,
    .widened = HONE_TYPES_HALF,
    .inputs = HONE_SLOTS({"query", 'T', REAL, 0}, {"key", 'T', REAL, 0}, {"value", 'T', REAL, 0},
                         {"past_state", 'S', REAL, OPTIONAL}, {"decay", 'T', REAL, OPTIONAL},
                         {"beta", 'T', REAL, OPTIONAL}),
    .outputs = HONE_SLOTS({"output", 'T', REAL, 0}, {"present_state", 'S', REAL, 0}),
    .attrs = ATTRS,
    .infer = infer,
    .multiply_adds = multiply_adds,
    .prepare = prepare,
    .gradient_kind = HONE_GRADIENT_EXACT,
    .gradient = gradient,
    .doc = "attention whose past is a state of each head, with gates and the delta rule"};

const hone_op hone_op_linear_attention_grad = {
    .domain = HONE_PRIVATE_DOMAIN,
    .name = "LinearAttentionGrad",
    .since = 1,
    .oldest = 1,
    .inputs = HONE_SLOTS({"d_output", 'T', FLOATS, OPTIONAL}, {"d_present_state", 'T', FLOATS, OPTIONAL},
                         {"query", 'T', FLOATS, 0}, {"key", 'T', FLOATS, 0}, {"value", 'T', FLOATS, 0},
                         {"past_state", 'T', FLOATS, OPTIONAL}, {"decay", 'T', FLOATS, OPTIONAL},
                         {"beta", 'T', FLOATS, OPTIONAL}),
    .outputs = HONE_SLOTS({"d_query", 'T', FLOATS, OPTIONAL}, {"d_key", 'T', FLOATS, OPTIONAL},
                          {"d_value", 'T', FLOATS, OPTIONAL}, {"d_past_state", 'T', FLOATS, OPTIONAL},
                          {"d_decay", 'T', FLOATS, OPTIONAL}, {"d_beta", 'T', FLOATS, OPTIONAL}),
    .attrs = ATTRS,
    .infer = infer_grad,
    .prepare = prepare_grad,
    .doc = "the gradient of LinearAttention"};
