/* SeededUniformLike: the numbers that NumPy draws for a seed, which the data sets of ONNX's Dropout have. One
 * after the other: what has no seed of its own draws from the counter-based generator (random.c). */
#include "base/mersenne.h"
#include "graph/infer.h"
#include "graph/run.h"

static hone_status infer(hone_infer *ctx, hone_error *err) {
    ctx->out[0].dtype = HONE_FLOAT64;
    return hone_infer_same(ctx, err);
}

typedef struct params {
    int64_t seed, count;
} params;

/* Run r of a context has the numbers of seed + r, modulo 2^32. */
static hone_status run(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    const params *p = step->params;
    double *y = hone_step_out(step, frame, 0);
    hone_mersenne m;
    hone_mersenne_seed(&m, (uint32_t)((uint64_t)p->seed + frame->draws->run));
    for (int64_t i = 0; i < p->count; i++) y[i] = hone_mersenne_uniform(&m);
    return HONE_OK;
}

static hone_status prepare(hone_prepare *p, hone_error *err) {
    params *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    *q = (params){hone_node_int(p->node, "seed"), hone_type_count(&p->out[0])};
    p->params = q;
    p->run = run;
    p->kernel = "twister";
    return HONE_OK;
}

const hone_op hone_op_seeded_uniform_like = {
    .domain = HONE_PRIVATE_DOMAIN,
    .name = "SeededUniformLike",
    .since = 1,
    .oldest = 1,
    .inputs = HONE_SLOTS({"input", 0, HONE_TYPES_ALL, 0}),
    .outputs = HONE_SLOTS({"output", 0, HONE_TYPE(HONE_FLOAT64), 0}),
    .attrs = HONE_ATTRS({"seed", HONE_ATTR_INT}),
    .infer = infer,
    .draws = true,
    .prepare = prepare,
    .gradient_kind = HONE_GRADIENT_ZERO,
    .doc = "uniform random numbers in another tensor's shape, as NumPy draws them for a seed"};
