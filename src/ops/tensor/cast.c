#include "graph/infer.h"
#include "graph/run.h"
#include "kernels/kernels.h"
#include "kernels/portable.h"
#include "ops/common/axes.h"
#include "ops/common/cut.h"
#include "ops/common/walk.h"

static hone_status infer(hone_infer *ctx, hone_error *err) {
    int64_t to = hone_node_int(ctx->node, "to");
    if (to <= 0 || to > HONE_BFLOAT16 || !(HONE_TYPES_FIXED & HONE_TYPE(to)))
        return hone_fail_node(err, HONE_UNSUPPORTED, ctx->node->name, "Cast",
                              "to dtype %lld is not supported", (long long)to);
    HONE_TRY(hone_infer_same(ctx, err));
    ctx->out[0].dtype = (hone_dtype)to;
    return HONE_OK;
}

static bool is_real(hone_dtype dtype) {
    return dtype == HONE_FLOAT32 || dtype == HONE_FLOAT64;
}

/* Back to the input's dtype. To an integer nothing flows. */
static void gradient(hone_gradient *ctx) {
    hone_dtype from = ctx->node->inputs[0]->type.dtype, to = ctx->node->outputs[0]->type.dtype;
    if (!is_real(from) || !is_real(to)) return;
    hone_value *d = HONE_EMIT(ctx->graph, "", "Cast", ctx->dout[0]);
    if (d) hone_node_set_int(ctx->graph, d->producer, "to", from);
    ctx->din[0] = d;
}

typedef struct params {
    hone_dtype from, to;
    hone_cut cut;
    const hone_kernels *kernels;
} params;

typedef struct job {
    const params *p;
    const char *x;
    char *y;
} job;

static void convert(void *arg, int64_t first, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const params *p = j->p;
    int64_t n = end - first;
    const void *x = j->x + (size_t)first * hone_dtype_size(p->from);
    void *y = j->y + (size_t)first * hone_dtype_size(p->to);
    if (p->from == HONE_UINT8 && p->to == HONE_FLOAT32)
        p->kernels->dequantize_u8(x, y, n, 1, 0);
    else if (p->from == HONE_INT8 && p->to == HONE_FLOAT32)
        p->kernels->dequantize_s8(x, y, n, 1, 0);
    else
        hone_cast(p->from, p->to, x, y, n);
}

static hone_status run(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    const params *p = step->params;
    job j = {p, hone_step_in(step, frame, 0), hone_step_out(step, frame, 0)};
    hone_cut_run(&p->cut, frame, convert, &j);
    return HONE_OK;
}

static hone_status prepare(hone_prepare *p, hone_error *err) {
    params *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    *q = (params){p->in[0]->dtype, p->out[0].dtype, hone_cut_make(hone_type_count(&p->out[0]), 1, 64),
                  hone_kernels_get()};
    p->params = q;
    p->run = run;
    p->kernel = "cast";
    return HONE_OK;
}

/* `saturate` and `round_mode` are about 8-bit floats, which Hone lacks. */
static const hone_attr_def cast_19[] = {
    {"to", HONE_ATTR_INT, .required = true}, {"saturate", HONE_ATTR_INT, .i = 1}, {NULL}};
static const hone_attr_def cast_6[] = {{"to", HONE_ATTR_INT, .required = true}, {NULL}};
static const hone_op_version older[] = {{19, cast_19, NULL}, {6, cast_6, NULL}, {0}};

const hone_op hone_op_cast = {.name = "Cast",
                              .since = 24,
                              .oldest = 6,
                              .older = older,
                              .inputs = HONE_SLOTS({"input", 0, HONE_TYPES_FIXED, 0}),
                              .outputs = HONE_SLOTS({"output", 0, HONE_TYPES_FIXED, 0}),
                              .attrs = HONE_ATTRS({"to", HONE_ATTR_INT, .required = true},
                                                  {"saturate", HONE_ATTR_INT, .i = 1},
                                                  {"round_mode", HONE_ATTR_STRING, .s = "up"}),
                              .infer = infer,
                              .axes = hone_axes_broadcast,
                              .prepare = prepare,
                              .gradient_kind = HONE_GRADIENT_EXACT,
                              .gradient = gradient,
                              .doc = "another element type: toward zero and held at the ends of the range"};
