/* ReverseSequence: the first elements of each sequence of a batch in reverse order. */
#include "graph/infer.h"
#include "ops/common/axes.h"
#include "ops/common/cut.h"
#include "ops/common/gradient.h"
#include "ops/common/walk.h"
#include "ops/engine/copy.h"

#include <stdatomic.h>

static hone_status infer(hone_infer *ctx, hone_error *err) {
    const hone_type *x = ctx->in[0], *lengths = ctx->in[1];
    int64_t time = hone_node_int(ctx->node, "time_axis"), batch = hone_node_int(ctx->node, "batch_axis"),
            same;
    HONE_TRY(hone_infer_same(ctx, err));
    if (time < 0 || time > 1 || batch != 1 - time)
        return hone_infer_fail(ctx, err, "time_axis and batch_axis must be 0 and 1");
    if (x->rank < 0) return HONE_OK;
    if (x->rank < 2) return hone_infer_fail(ctx, err, "the input has %d dimensions, no sequences", x->rank);
    if (lengths->rank < 0) return HONE_OK;
    if (lengths->rank != 1)
        return hone_infer_fail(ctx, err, "the lengths have %d dimensions where 1 is needed", lengths->rank);
    return hone_infer_same_dim(ctx, x->dims[batch], lengths->dims[0], &same, err);
}

static void axes(const hone_node *n, hone_axes *out) {
    int batch = (int)hone_node_int(n, "batch_axis");
    hone_axes_same(out, 0, batch, batch);
    hone_axes_same(out, 1, 0, batch);
    for (int i = 2; i < n->inputs[0]->type.rank; i++) hone_axes_same(out, 0, i, i);
}

typedef struct params {
    hone_element element;
    bool time_first;
    int64_t time, batch, inner;
    hone_cut cut; /* of the rows of `inner` elements */
} params;

typedef struct job {
    const params *p;
    const void *x;
    void *y;
    const int64_t *lengths;
    _Atomic int64_t bad; /* a sequence whose length is out of range; -1: none */
} job;

static void reverse(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    job *j = arg;
    const params *p = j->p;
    for (int64_t row = begin; row < end; row++) {
        int64_t second = p->time_first ? p->batch : p->time, a = row / second, b = row % second;
        int64_t t = p->time_first ? a : b, sequence = p->time_first ? b : a, length = j->lengths[sequence];
        if (length < 0 || length > p->time) {
            j->bad = sequence;
            return;
        }
        int64_t from = t < length ? length - 1 - t : t;
        from = p->time_first ? from * p->batch + sequence : sequence * p->time + from;
        hone_move(p->element, j->x, from * p->inner, j->y, row * p->inner, p->inner);
    }
}

static hone_status run(const hone_step *step, hone_frame *frame, hone_error *err) {
    const params *p = step->params;
    job j = {.p = p,
             .x = hone_step_in(step, frame, 0),
             .y = hone_step_out(step, frame, 0),
             .lengths = hone_step_in(step, frame, 1),
             .bad = -1};
    if (p->element.size) {
        hone_cut_run(&p->cut, frame, reverse, &j);
    } else {
        hone_clear_end(j.y, p->cut.count * p->inner, p->element.bits);
        reverse(&j, 0, p->cut.count, 0);
    }
    if (j.bad < 0) return HONE_OK;
    return hone_step_fail(step, err, "sequence %lld has length %lld, of at most %lld", (long long)j.bad,
                          (long long)j.lengths[j.bad], (long long)p->time);
}

static hone_status prepare(hone_prepare *p, hone_error *err) {
    const hone_type *x = p->in[0];
    params *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    q->element = hone_element_of(x->dtype);
    q->time_first = hone_node_int(p->node, "time_axis") == 0;
    q->time = x->dims[q->time_first ? 0 : 1];
    q->batch = x->dims[q->time_first ? 1 : 0];
    q->inner = hone_dims_product(x, 2, x->rank);
    q->cut = hone_cut_make(q->inner ? q->time * q->batch : 0,
                           8 + 0.05 * (double)(q->inner * (int64_t)q->element.size), 1);
    p->params = q;
    p->run = run;
    p->kernel = "reverse sequences";
    return HONE_OK;
}

/* What is reversed twice is as before. */
static void gradient(hone_gradient *ctx) {
    ctx->din[0] = HONE_EMIT(ctx->graph, "", "ReverseSequence", ctx->dout[0], ctx->node->inputs[1]);
    if (ctx->din[0]) hone_node_copy_attrs(ctx->graph, ctx->din[0]->producer, ctx->node);
}

const hone_op hone_op_reverse_sequence = {
    .name = "ReverseSequence",
    .since = 10,
    .oldest = 10,
    .inputs = HONE_SLOTS({"input", 'T', HONE_TYPES_ALL, 0}, {"sequence_lens", 0, HONE_TYPE(HONE_INT64), 0}),
    .outputs = HONE_SLOTS({"Y", 'T', HONE_TYPES_ALL, 0}),
    .attrs = HONE_ATTRS({"time_axis", HONE_ATTR_INT}, {"batch_axis", HONE_ATTR_INT, .i = 1}),
    .infer = infer,
    .axes = axes,
    .moves = true,
    .prepare = prepare,
    .gradient_kind = HONE_GRADIENT_EXACT,
    .gradient = gradient,
    .quantize = HONE_QUANTIZE_BITS,
    .doc = "the first elements of each sequence of a batch in reverse order"};
