/* DynamicQuantizeLinear: x → y uint8, its scale and zero point. */
#include "graph/infer.h"
#include "kernels/kernels.h"
#include "ops/common/channels_last.h"
#include "ops/common/cut.h"
#include "ops/common/range.h"
#include "ops/common/walk.h"

#define FLOAT HONE_TYPE(HONE_FLOAT32)

static hone_status infer_dynamic(hone_infer *ctx, hone_error *err) {
    HONE_TRY(hone_infer_same(ctx, err));
    for (int i = 1; i < ctx->output_count; i++) ctx->out[i].rank = 0;
    return HONE_OK;
}

typedef struct job {
    const hone_cut *cut;
    const float *x;
    float *ends; /* [tasks][min, max] */
    float scale;
    uint8_t zero, *y;
} job;

static void min_max_range(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    int64_t each = j->cut->each;
    for (int64_t i = begin; i < end; i += each) {
        float *ends = &j->ends[2 * (i / each)];
        hone_kernels_get()->min_max_f32(j->x + i, hone_min_i64(each, end - i), ends, ends + 1);
    }
}

static void quantize_range(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    hone_kernels_get()->quantize_u8(j->x + begin, j->y + begin, end - begin, j->scale, j->zero);
}

static hone_status run_dynamic(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    const hone_cut *cut = step->params;
    job j = {.cut = cut,
             .x = hone_step_in(step, frame, 0),
             .ends = hone_step_scratch(step, frame),
             .y = hone_step_out(step, frame, 0)};
    float low = 0, high = 0, *scale = hone_step_out(step, frame, 1);
    uint8_t *zero = hone_step_out(step, frame, 2);
    hone_cut_run(cut, frame, min_max_range, &j);
    for (int64_t i = 0; i < hone_cut_tasks(cut); i++) {
        if (low == low && !(j.ends[2 * i] >= low)) low = j.ends[2 * i]; /* NaN stays */
        if (high == high && !(j.ends[2 * i + 1] <= high)) high = j.ends[2 * i + 1];
    }
    hone_dynamic_range(low, high, &j.scale, &j.zero);
    if (j.y) hone_cut_run(cut, frame, quantize_range, &j);
    if (scale) *scale = j.scale;
    if (zero) *zero = j.zero;
    return HONE_OK;
}

#define NANOSECONDS 0.3 /* an element */

static hone_status prepare_dynamic(hone_prepare *p, hone_error *err) {
    hone_cut *cut = hone_prepare_alloc(p, sizeof *cut);
    if (!cut) return hone_fail_memory(err);
    *cut = hone_cut_make(hone_type_count(p->in[0]), NANOSECONDS, 64);
    p->scratch = (size_t)(hone_cut_tasks(cut) + 1) * 2 * sizeof(float);
    p->params = cut;
    p->run = run_dynamic;
    p->kernel = "dynamic quantize";
    return HONE_OK;
}

static hone_value *channels_last(hone_channels_last *ctx) {
    hone_value *x = hone_value_channels_last(ctx->graph, ctx->node->inputs[0]);
    return x ? hone_last_copy(ctx, 1, &x) : NULL;
}

const hone_op hone_op_dynamic_quantize_linear = {
    .name = "DynamicQuantizeLinear",
    .since = 11,
    .oldest = 11,
    .role = HONE_ROLE_QUANTIZE,
    .inputs = HONE_SLOTS({"x", 0, FLOAT, 0}),
    .outputs = HONE_SLOTS({"y", 0, HONE_TYPE(HONE_UINT8), 0}, {"y_scale", 0, FLOAT, 0},
                          {"y_zero_point", 0, HONE_TYPE(HONE_UINT8), 0}),
    .infer = infer_dynamic,
    .channels_last = channels_last,
    .prepare = prepare_dynamic,
    .doc = "uint8 with scale and zero point that fit x's range"};
