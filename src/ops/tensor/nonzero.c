/* NonZero: how many positions it gives is known only when it has run. */
#include "graph/infer.h"
#include "graph/run.h"

#define NUMBERS (HONE_TYPES_FIXED)

static hone_status infer(hone_infer *ctx, hone_error *err) {
    (void)err;
    const hone_type *x = ctx->in[0];
    ctx->out[0].rank = 2;
    ctx->out[0].dims[0] = x->rank < 0 ? HONE_DIM_ANY : x->rank == 0 ? 1 : x->rank;
    ctx->out[0].dims[1] = HONE_DIM_ANY;
    return HONE_OK;
}

typedef struct params {
    int rank;
    int64_t dims[HONE_MAX_RANK], count;
    hone_dtype dtype;
} params;

/* -0.0 is zero, NaN is not. */
static bool is_zero(const params *p, const void *x, int64_t i) {
    switch (p->dtype) {
    case HONE_FLOAT32: return ((const float *)x)[i] == 0;
    case HONE_FLOAT64: return ((const double *)x)[i] == 0;
    case HONE_FLOAT16:
    case HONE_BFLOAT16: return (((const uint16_t *)x)[i] & 0x7fff) == 0;
    default: break;
    }
    switch (hone_dtype_size(p->dtype)) {
    case 1: return ((const uint8_t *)x)[i] == 0;
    case 2: return ((const uint16_t *)x)[i] == 0;
    case 4: return ((const uint32_t *)x)[i] == 0;
    default: return ((const uint64_t *)x)[i] == 0;
    }
}

static hone_status run(const hone_step *step, hone_frame *frame, hone_error *err) {
    const params *p = step->params;
    const void *x = hone_step_in(step, frame, 0);
    void *y;
    int64_t found = 0, at = 0;
    for (int64_t i = 0; i < p->count; i++) found += !is_zero(p, x, i);
    HONE_TRY(frame->output(frame, step, 0, 2, (int64_t[]){p->rank, found}, &y, err));
    for (int64_t i = 0; y && i < p->count; i++) {
        if (is_zero(p, x, i)) continue;
        int64_t rest = i;
        for (int d = p->rank - 1; d >= 0; d--) {
            ((int64_t *)y)[d * found + at] = rest % p->dims[d];
            rest /= p->dims[d];
        }
        at++;
    }
    return HONE_OK;
}

static hone_status prepare(hone_prepare *p, hone_error *err) {
    params *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    const hone_type *x = p->in[0];
    *q = (params){.rank = x->rank ? x->rank : 1, .dims = {1}, .count = hone_type_count(x), .dtype = x->dtype};
    for (int i = 0; i < x->rank; i++) q->dims[i] = x->dims[i];
    p->params = q;
    p->run = run;
    p->kernel = "nonzero";
    return HONE_OK;
}

const hone_op hone_op_nonzero = {.name = "NonZero",
                                 .since = 13,
                                 .oldest = 9,
                                 .inputs = HONE_SLOTS({"X", 0, NUMBERS, 0}),
                                 .outputs = HONE_SLOTS({"Y", 0, HONE_TYPE(HONE_INT64), 0}),
                                 .infer = infer,
                                 .run_shapes = 1,
                                 .prepare = prepare,
                                 .gradient_kind = HONE_GRADIENT_ZERO,
                                 .doc = "the positions of elements that are not zero: [rank, how many]"};
