#include "ops/quant/quantize.h"

#include "graph/infer.h"
#include "kernels/kernels.h"
#include "kernels/portable.h"
#include "ops/common/cut.h"
#include "ops/common/walk.h"
#include "ops/quant/quantize_any.h"

/* Bytes (and int32) with scales of float32, one for all or one for each position of an axis: [outer, channels, inner]. Each
 * run of `inner` elements has one scale, or inner is 1. All else: quantize_any.c. */

typedef struct params {
    hone_dtype from, to;
    const hone_kernels *kernels;
    int64_t outer, channels, inner;
    hone_cut cut; /* of rows of channels where inner is 1, else of elements */
} params;

#define NANOSECONDS 0.3 /* an element */

static hone_status prepare_channels(hone_prepare *p, int x, hone_run_fn *fn, const char *kernel,
                                    hone_error *err) {
    params *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    const hone_scales s = hone_scales_make(p->node, p->in[x], p->in[x + 1]);
    *q = (params){.from = p->in[x]->dtype,
                  .to = p->out[0].dtype,
                  .kernels = hone_kernels_get(),
                  .outer = s.outer,
                  .channels = s.length,
                  .inner = s.inner};
    q->cut = q->inner == 1 ? hone_cut_make(q->outer, NANOSECONDS * (double)q->channels, 1)
                           : hone_cut_make(q->outer * q->channels * q->inner, NANOSECONDS, 64);
    p->params = q;
    p->run = fn;
    p->kernel = kernel;
    return HONE_OK;
}

typedef struct job {
    const params *p;
    const char *x, *zero;
    const float *scale, *dy;
    char *y;
} job;

static int32_t zero_at(const void *zero, hone_dtype dtype, int64_t i) {
    if (!zero) return 0;
    if (dtype == HONE_UINT8) return ((const uint8_t *)zero)[i];
    if (dtype == HONE_INT8) return ((const int8_t *)zero)[i];
    return ((const int32_t *)zero)[i];
}

static void quantize_part(const job *j, int64_t at, int64_t n, int64_t channel) {
    const float *x = (const float *)j->x + at;
    int32_t zero = zero_at(j->zero, j->p->to, channel);
    if (j->p->to == HONE_UINT8)
        j->p->kernels->quantize_u8(x, (uint8_t *)j->y + at, n, j->scale[channel], zero);
    else
        j->p->kernels->quantize_s8(x, (int8_t *)j->y + at, n, j->scale[channel], zero);
}

static void quantize_row(const job *j, int64_t at) {
    const float *x = (const float *)j->x + at;
    if (j->p->to == HONE_UINT8)
        hone_quantize_rows_u8(x, (uint8_t *)j->y + at, j->p->channels, j->scale, (const uint8_t *)j->zero);
    else
        hone_quantize_rows_s8(x, (int8_t *)j->y + at, j->p->channels, j->scale, (const int8_t *)j->zero);
}

static void dequantize_part(const job *j, int64_t at, int64_t n, int64_t channel) {
    float *y = (float *)j->y + at, scale = j->scale[channel];
    int32_t zero = zero_at(j->zero, j->p->from, channel);
    if (j->p->from == HONE_UINT8)
        j->p->kernels->dequantize_u8((const uint8_t *)j->x + at, y, n, scale, zero);
    else if (j->p->from == HONE_INT8)
        j->p->kernels->dequantize_s8((const int8_t *)j->x + at, y, n, scale, zero);
    else
        hone_dequantize_i32((const int32_t *)j->x + at, y, n, scale, zero);
}

static void dequantize_row(const job *j, int64_t at) {
    float *y = (float *)j->y + at;
    int64_t n = j->p->channels;
    if (j->p->from == HONE_UINT8)
        hone_dequantize_rows_u8((const uint8_t *)j->x + at, y, n, j->scale, (const uint8_t *)j->zero);
    else if (j->p->from == HONE_INT8)
        hone_dequantize_rows_s8((const int8_t *)j->x + at, y, n, j->scale, (const int8_t *)j->zero);
    else
        hone_dequantize_rows_i32((const int32_t *)j->x + at, y, n, j->scale, (const int32_t *)j->zero);
}

static void gradient_part(const job *j, int64_t at, int64_t n, int64_t channel) {
    int32_t zero = zero_at(j->zero, j->p->to, channel), low = j->p->to == HONE_UINT8 ? 0 : -128;
    hone_quantize_grad(j->dy + at, (const float *)j->x + at, (float *)j->y + at, n, j->scale[channel],
                       low - zero, low + 255 - zero);
}

static void gradient_row(const job *j, int64_t at) {
    const float *x = (const float *)j->x + at;
    float *dx = (float *)j->y + at;
    if (j->p->to == HONE_UINT8)
        hone_quantize_grad_rows_u8(j->dy + at, x, dx, j->p->channels, j->scale, (const uint8_t *)j->zero);
    else
        hone_quantize_grad_rows_s8(j->dy + at, x, dx, j->p->channels, j->scale, (const int8_t *)j->zero);
}

typedef void part_fn(const job *j, int64_t at, int64_t n, int64_t channel);
typedef void row_fn(const job *j, int64_t at);

static void run_range(const job *j, int64_t begin, int64_t end, part_fn *part, row_fn *row) {
    const params *p = j->p;
    for (int64_t i = begin; i < end && p->inner == 1; i++) row(j, i * p->channels);
    for (int64_t i = begin, n; i < end && p->inner != 1; i += n) {
        n = hone_min_i64(p->inner - i % p->inner, end - i);
        part(j, i, n, i / p->inner % p->channels);
    }
}

static void quantize_range(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    run_range(arg, begin, end, quantize_part, quantize_row);
}
static void dequantize_range(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    run_range(arg, begin, end, dequantize_part, dequantize_row);
}
static void gradient_range(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    run_range(arg, begin, end, gradient_part, gradient_row);
}

/* A step of (x, scale[, zero point]); a gradient's has dy before them. */
static void run_step(const hone_step *step, hone_frame *frame, bool gradient, hone_range_fn *fn) {
    int x = gradient ? 1 : 0;
    job j = {.p = step->params,
             .dy = gradient ? hone_step_in(step, frame, 0) : NULL,
             .x = hone_step_in(step, frame, x),
             .scale = hone_step_in(step, frame, x + 1),
             .zero = hone_step_in(step, frame, x + 2),
             .y = hone_step_out(step, frame, 0)};
    hone_cut_run(&j.p->cut, frame, fn, &j);
}

static hone_status run_quantize(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    run_step(step, frame, false, quantize_range);
    return HONE_OK;
}

static hone_status run_dequantize(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    run_step(step, frame, false, dequantize_range);
    return HONE_OK;
}

static hone_status run_gradient(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    run_step(step, frame, true, gradient_range);
    return HONE_OK;
}

/* --- preparing --- */

static bool is_byte(hone_dtype dtype) {
    return dtype == HONE_UINT8 || dtype == HONE_INT8;
}

static bool has_float_scales(const hone_prepare *p, int x) {
    return p->in[x + 1]->dtype == HONE_FLOAT32 && !hone_scales_make(p->node, p->in[x], p->in[x + 1]).blocked;
}

hone_status hone_prepare_quantize(hone_prepare *p, hone_error *err) {
    bool plain = p->in[0]->dtype == HONE_FLOAT32 && is_byte(p->out[0].dtype) && has_float_scales(p, 0) &&
                 hone_quantize_precision(p->node, HONE_FLOAT32) == HONE_FLOAT32;
    return plain ? prepare_channels(p, 0, run_quantize, "quantize", err)
                 : hone_prepare_any(p, HONE_SCALES_QUANTIZE, err);
}

hone_status hone_prepare_dequantize(hone_prepare *p, hone_error *err) {
    hone_dtype from = p->in[0]->dtype;
    bool plain =
        (is_byte(from) || from == HONE_INT32) && p->out[0].dtype == HONE_FLOAT32 && has_float_scales(p, 0);
    return plain ? prepare_channels(p, 0, run_dequantize, "dequantize", err)
                 : hone_prepare_any(p, HONE_SCALES_DEQUANTIZE, err);
}

hone_status hone_prepare_quantize_grad(hone_prepare *p, hone_error *err) {
    const hone_dtype to = (hone_dtype)hone_node_int(p->node, "to");
    if (!is_byte(to) || !has_float_scales(p, 1)) return hone_prepare_any(p, HONE_SCALES_GRADIENT, err);
    HONE_TRY(prepare_channels(p, 1, run_gradient, "quantize_grad", err));
    ((params *)p->params)->to = to;
    return HONE_OK;
}
