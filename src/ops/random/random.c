/* RandomUniform, RandomNormal and their Like forms: a stream of the context's generator, or of a seed, for each run. */
#include "graph/infer.h"
#include "graph/run.h"
#include "kernels/portable.h"
#include "ops/common/cut.h"

#include <string.h>

#define FLOATS (HONE_TYPES_FLOAT | HONE_TYPES_HALF)

/* --- shapes --- */

/* dtype 0: as the input's. */
static hone_status infer_dtype(hone_infer *ctx, hone_error *err) {
    int64_t dtype = hone_node_int(ctx->node, "dtype");
    if (dtype == 0 && ctx->input_count) dtype = ctx->in[0]->dtype;
    if (dtype < 0 || dtype >= HONE_DTYPE_COUNT || (dtype && !(FLOATS & HONE_TYPE(dtype))))
        return hone_infer_fail(ctx, err, "random numbers of dtype %lld", (long long)dtype);
    ctx->out[0].dtype = (hone_dtype)dtype;
    return HONE_OK;
}

static hone_status infer(hone_infer *ctx, hone_error *err) {
    size_t rank;
    const int64_t *shape = hone_node_ints(ctx->node, "shape", &rank);
    HONE_TRY(infer_dtype(ctx, err));
    if (rank > HONE_MAX_RANK)
        return hone_infer_fail(ctx, err, "the shape asks for more than %d dimensions", HONE_MAX_RANK);
    ctx->out[0].rank = (int)rank;
    for (size_t i = 0; i < rank; i++) {
        if (shape[i] < 0) return hone_infer_fail(ctx, err, "the shape has a negative dimension");
        ctx->out[0].dims[i] = shape[i];
    }
    return HONE_OK;
}

static hone_status infer_like(hone_infer *ctx, hone_error *err) {
    HONE_TRY(infer_dtype(ctx, err));
    return hone_infer_same(ctx, err);
}

/* --- running --- */

typedef struct params {
    hone_dtype dtype;
    bool normal;
    double a, b; /* low and high, or mean and scale */
    const float *seed;
    hone_cut cut;
} params;

typedef struct job {
    const params *p;
    hone_random random;
    void *y;
} job;

static void run_range(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const params *p = j->p;
    if (p->dtype == HONE_FLOAT64)
        (p->normal ? hone_random_normal_f64 : hone_random_uniform_f64)(j->random, begin, end - begin, p->a,
                                                                       p->b, (double *)j->y + begin);
    else
        (p->normal ? hone_random_normal_f32 : hone_random_uniform_f32)(
            j->random, begin, end - begin, (float)p->a, (float)p->b, (float *)j->y + begin);
}

static hone_status run(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    const params *p = step->params;
    job j = {p, hone_frame_random(frame, p->seed), hone_step_out(step, frame, 0)};
    hone_cut_run(&p->cut, frame, run_range, &j);
    return HONE_OK;
}

static hone_status prepare(hone_prepare *p, bool normal, hone_error *err) {
    params *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    const hone_attr *seed = hone_node_attr(p->node, "seed");
    *q = (params){.dtype = p->out[0].dtype,
                  .normal = normal,
                  .a = hone_node_float(p->node, normal ? "mean" : "low"),
                  .b = hone_node_float(p->node, normal ? "scale" : "high"),
                  .seed = seed ? &seed->f : NULL,
                  .cut = hone_cut_make(hone_type_count(&p->out[0]), normal ? 20 : 5, 64)};
    p->params = q;
    p->run = run;
    p->kernel = normal ? "normal" : "uniform";
    return HONE_OK;
}

static hone_status prepare_uniform(hone_prepare *p, hone_error *err) {
    return prepare(p, false, err);
}
static hone_status prepare_normal(hone_prepare *p, hone_error *err) {
    return prepare(p, true, err);
}

/* --- halves --- rounded from float32 */

static bool expands(const hone_node *n) {
    return HONE_TYPES_HALF & HONE_TYPE(n->outputs[0]->type.dtype);
}

static hone_status expand(hone_graph *g, hone_node *n, hone_error *err) {
    (void)err;
    hone_value *wide = hone_graph_emit(g, "", n->op->name, n->inputs, n->input_count);
    if (!wide) return HONE_OK;
    hone_node_copy_attrs(g, wide->producer, n);
    hone_node_set_int(g, wide->producer, "dtype", HONE_FLOAT32);
    hone_value *y = HONE_EMIT(g, "", "Cast", wide);
    if (!y) return HONE_OK;
    hone_node_set_int(g, y->producer, "to", n->outputs[0]->type.dtype);
    hone_graph_replace(g, n->outputs[0], y);
    return HONE_OK;
}

/* --- descriptors --- */

#define DRAWS                                                                                                \
    .since = 22, .oldest = 1, .outputs = HONE_SLOTS({"output", 0, FLOATS, 0}), .draws = true,                \
    .expand = expand, .expands = expands, .gradient_kind = HONE_GRADIENT_ZERO
#define LIKE .inputs = HONE_SLOTS({"input", 0, HONE_TYPES_ALL, 0}), .infer = infer_like
#define SEED                                                                                                 \
    { "seed", HONE_ATTR_FLOAT }
#define BOUNDS                                                                                               \
    {"low", HONE_ATTR_FLOAT}, {                                                                              \
        "high", HONE_ATTR_FLOAT, .f = 1                                                                      \
    }
#define MOMENTS                                                                                              \
    {"mean", HONE_ATTR_FLOAT}, {                                                                             \
        "scale", HONE_ATTR_FLOAT, .f = 1                                                                     \
    }
#define SHAPE                                                                                                \
    {"dtype", HONE_ATTR_INT, .i = HONE_FLOAT32}, {                                                           \
        "shape", HONE_ATTR_INTS, .required = true                                                            \
    }

const hone_op hone_op_random_uniform = {.name = "RandomUniform",
                                        DRAWS,
                                        .attrs = HONE_ATTRS(BOUNDS, SEED, SHAPE),
                                        .infer = infer,
                                        .prepare = prepare_uniform,
                                        .doc = "uniform random numbers"};

const hone_op hone_op_random_normal = {.name = "RandomNormal",
                                       DRAWS,
                                       .attrs = HONE_ATTRS(MOMENTS, SEED, SHAPE),
                                       .infer = infer,
                                       .prepare = prepare_normal,
                                       .doc = "normally distributed random numbers"};

const hone_op hone_op_random_uniform_like = {.name = "RandomUniformLike",
                                             DRAWS,
                                             LIKE,
                                             .attrs = HONE_ATTRS(BOUNDS, SEED, {"dtype", HONE_ATTR_INT}),
                                             .prepare = prepare_uniform,
                                             .doc = "uniform random numbers in another tensor's shape"};

const hone_op hone_op_random_normal_like = {
    .name = "RandomNormalLike",
    DRAWS,
    LIKE,
    .attrs = HONE_ATTRS(MOMENTS, SEED, {"dtype", HONE_ATTR_INT}),
    .prepare = prepare_normal,
    .doc = "normally distributed random numbers in another tensor's shape"};
