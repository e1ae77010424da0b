/* Weights of a convolution as its forms on images with their channels last read them, where they are no constants: those
 * that are trained.
 *
 *   [M, C, taps] ─► [M, taps * C]      each channel by itself: [M, 1, taps] ─► [taps, M] */
#include "graph/infer.h"
#include "graph/run.h"
#include "kernels/kernels.h"
#include "ops/common/cut.h"
#include "ops/common/walk.h"
#include "ops/nn/conv_last.h"

#define FLOAT HONE_TYPE(HONE_FLOAT32)

static hone_status infer(hone_infer *ctx, hone_error *err) {
    const hone_type *w = ctx->in[0];
    const bool depthwise = hone_node_int(ctx->node, "depthwise") != 0;
    if (w->rank < 0) return HONE_OK;
    if (w->rank < 3) return hone_infer_fail(ctx, err, "weights of rank %d", w->rank);
    int64_t taps = hone_known_product(w->dims + 2, w->rank - 2),
            dims[] = {taps, hone_known_product(w->dims + 1, w->rank - 1)};
    ctx->out[0].rank = 2;
    ctx->out[0].dims[0] = depthwise ? dims[0] : w->dims[0];
    ctx->out[0].dims[1] = depthwise ? w->dims[0] : dims[1];
    return HONE_OK;
}

typedef struct params {
    int64_t channels, taps; /* rows and columns of a matrix that is turned */
    hone_cut cut;           /* of the matrices */
} params;

typedef struct job {
    const params *p;
    const uint32_t *x;
    uint32_t *y;
} job;

static void turn(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const int64_t c = j->p->channels, taps = j->p->taps;
    for (int64_t i = begin; i < end; i++)
        hone_kernels_get()->transpose_32(j->x + i * c * taps, c, taps, taps, j->y + i * c * taps, c);
}

static hone_status run(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    job j = {step->params, hone_step_in(step, frame, 0), hone_step_out(step, frame, 0)};
    hone_cut_run(&j.p->cut, frame, turn, &j);
    return HONE_OK;
}

static hone_status prepare(hone_prepare *p, hone_error *err) {
    const hone_type *w = p->in[0];
    const bool depthwise = hone_node_int(p->node, "depthwise") != 0;
    params *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    q->taps = hone_dims_product(w, 2, w->rank);
    q->channels = depthwise ? w->dims[0] : w->dims[1];
    const int64_t size = q->taps * q->channels;
    q->cut = hone_cut_make(size == 0 ? 0 : depthwise ? 1 : w->dims[0], 5 + 0.5 * (double)size, 1);
    p->params = q;
    p->run = run;
    p->kernel = "transpose";
    return HONE_OK;
}

const hone_op hone_op_conv_weights_last = {.domain = HONE_PRIVATE_DOMAIN,
                                           .name = "ConvWeightsLast",
                                           .since = 1,
                                           .oldest = 1,
                                           .inputs = HONE_SLOTS({"W", 'T', FLOAT, 0}),
                                           .outputs = HONE_SLOTS({"Y", 'T', FLOAT, 0}),
                                           .attrs = HONE_ATTRS({"depthwise", HONE_ATTR_INT}),
                                           .infer = infer,
                                           .prepare = prepare,
                                           .doc =
                                               "weights of a convolution for images whose channels are last"};

/* Of windows of one element they lie so already. */
static hone_value *as_they_lie(hone_graph *g, hone_value *w) {
    hone_value *y = HONE_EMIT(g, "", "Reshape", w, hone_graph_ints(g, w->type.dims, 2));
    if (y) y->type = hone_type_make(HONE_FLOAT32, 2, w->type.dims);
    return y;
}

hone_value *hone_conv_weights_last(hone_graph *g, hone_value *w, bool depthwise) {
    if (!depthwise && hone_dims_product(&w->type, 2, w->type.rank) == 1) return as_they_lie(g, w);
    for (size_t u = 0; u < w->use_count; u++) {
        const hone_node *n = w->uses[u].node;
        if (n->op == &hone_op_conv_weights_last && n->outputs[0] &&
            (hone_node_int(n, "depthwise") != 0) == depthwise)
            return n->outputs[0];
    }
    hone_value *y = HONE_EMIT(g, HONE_PRIVATE_DOMAIN, "ConvWeightsLast", w);
    if (!y) return NULL;
    const hone_type *t = &w->type;
    const int64_t taps = hone_dims_product(t, 2, t->rank),
                  dims[] = {depthwise ? taps : t->dims[0], depthwise ? t->dims[0] : t->dims[1] * taps};
    if (depthwise) hone_node_set_int(g, y->producer, "depthwise", 1);
    y->type = hone_type_make(HONE_FLOAT32, 2, dims);
    return y;
}
