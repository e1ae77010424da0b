#include "ops/quant/quantize_any.h"

#include "graph/infer.h"
#include "kernels/kernels.h"
#include "kernels/portable.h"
#include "ops/common/cut.h"
#include "ops/common/walk.h"

#include <math.h>

#define TILE 256 /* elements: whole bytes of all dtypes */

hone_dtype hone_quantize_precision(const hone_node *n, hone_dtype scale) {
    hone_dtype asked =
        hone_attr_find(n->op->attrs, "precision") ? (hone_dtype)hone_node_int(n, "precision") : 0;
    if (asked != HONE_UNDEFINED) return asked;
    return scale == HONE_FLOAT16 || scale == HONE_BFLOAT16 ? scale : HONE_FLOAT32;
}

void hone_quantize_ends(hone_dtype dtype, int32_t *low, int32_t *high) {
    const int bits = hone_dtype_bits(dtype);
    bool is_signed = dtype == HONE_INT8 || dtype == HONE_INT16 || dtype == HONE_INT4 || dtype == HONE_INT2;
    *low = is_signed ? -(1 << (bits - 1)) : 0;
    *high = *low + (1 << bits) - 1;
}

typedef struct params {
    hone_scales_use use;
    hone_scales scales;
    int x; /* its input */
    hone_dtype from, to, scale, zero, precision, y;
    bool whole; /* `to` is an integer */
    int32_t low, high;
    hone_small_rounding rounding;
    const hone_kernels *kernels;
    hone_cut cut;
} params;

typedef struct job {
    const params *p;
    const char *x;
    const float *dy, *scale, *zero; /* tables */
    char *y;
} job;

static const char *at(const char *base, int64_t i, hone_dtype dtype) {
    return base + i * hone_dtype_bits(dtype) / 8;
}

/* Elements as floats: where they are if they are so already. */
static const float *widened(const params *p, hone_dtype from, const char *x, float *tile, int64_t n) {
    if (from == HONE_FLOAT32) return (const float *)(const void *)x;
    if (hone_cast_is_small(from))
        hone_cast(from, HONE_FLOAT32, x, tile, n);
    else
        p->kernels->cast(from, HONE_FLOAT32, x, tile, n);
    return tile;
}

static void quantize_tile(const params *p, const float *x, const float *scale, const float *zero, char *y,
                          int64_t n) {
    float q[TILE];
    int32_t codes[TILE];
    hone_divide_scales(x, scale, q, n, p->precision);
    if (!p->whole) {
        hone_cast_small(HONE_FLOAT32, p->to, q, y, n, p->rounding);
        return;
    }
    hone_round_codes(q, zero, codes, n, p->low, p->high);
    hone_cast(HONE_INT32, p->to, codes, y, n);
}

static void dequantize_tile(const params *p, const float *x, const float *scale, const float *zero, char *y,
                            int64_t n) {
    float tile[TILE], *out = p->to == HONE_FLOAT32 ? (float *)(void *)y : tile;
    hone_apply_scales(x, scale, zero, out, n);
    if (out == tile) p->kernels->cast(HONE_FLOAT32, p->to, tile, y, n);
}

static void run_range(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const params *p = j->p;
    float wide[TILE], scale[TILE], zero[TILE];
    for (int64_t i = begin, n; i < end; i += n) {
        n = hone_min_i64(TILE, end - i);
        const float *x = widened(p, p->from, at(j->x, i, p->from), wide, n);
        char *y = (char *)at(j->y, i, p->y);
        hone_scales_spread(&p->scales, j->scale, i, n, scale);
        hone_scales_spread(&p->scales, j->zero, i, n, zero);
        if (p->use == HONE_SCALES_QUANTIZE)
            quantize_tile(p, x, scale, zero, y, n);
        else if (p->use == HONE_SCALES_DEQUANTIZE)
            dequantize_tile(p, x, scale, zero, y, n);
        else
            hone_quantize_grad_any(j->dy + i, x, scale, zero, (float *)(void *)y, n, (float)p->low,
                                   (float)p->high);
    }
}

static hone_status run(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    const params *p = step->params;
    float *scale = hone_step_scratch(step, frame), *zero = scale + p->scales.count;
    const void *zeros = hone_step_in(step, frame, p->x + 2);
    hone_cast(p->scale, HONE_FLOAT32, hone_step_in(step, frame, p->x + 1), scale, p->scales.count);
    if (zeros)
        hone_cast(p->zero, HONE_FLOAT32, zeros, zero, p->scales.count);
    else
        hone_fill(&(float){0}, sizeof *zero, zero, p->scales.count);
    job j = {.p = p,
             .x = hone_step_in(step, frame, p->x),
             .dy = p->use == HONE_SCALES_GRADIENT ? hone_step_in(step, frame, 0) : NULL,
             .scale = scale,
             .zero = zero,
             .y = hone_step_out(step, frame, 0)};
    hone_cut_run(&p->cut, frame, run_range, &j);
    return HONE_OK;
}

/* Small floats have ends, too, in the same units: what lies beyond is cut off. */
static void set_ends(params *q) {
    q->whole = hone_dtype_is_int(q->to);
    if (q->whole) {
        hone_quantize_ends(q->to, &q->low, &q->high);
    } else if (hone_dtype_is_small_float(q->to)) {
        unsigned most = hone_small_of_float(q->to, INFINITY, HONE_SMALL_ROUNDING);
        q->high = (int32_t)hone_float_of_small(q->to, most);
        q->low = -q->high;
    }
}

hone_status hone_prepare_any(hone_prepare *p, hone_scales_use use, hone_error *err) {
    static const char *const names[] = {"quantize, any", "dequantize, any", "quantize_grad, any"};
    params *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    const int x = use == HONE_SCALES_GRADIENT ? 1 : 0;
    const hone_type *scale = p->in[x + 1], *zero = x + 2 < p->in_count ? p->in[x + 2] : NULL;
    *q = (params){.use = use,
                  .x = x,
                  .from = p->in[x]->dtype,
                  .to = use == HONE_SCALES_GRADIENT ? (hone_dtype)hone_node_int(p->node, "to")
                                                    : p->out[0].dtype,
                  .y = p->out[0].dtype,
                  .scale = scale->dtype,
                  .zero = zero ? zero->dtype : HONE_UNDEFINED,
                  .precision = hone_quantize_precision(p->node, scale->dtype),
                  .scales = hone_scales_make(p->node, p->in[x], scale),
                  .rounding = HONE_SMALL_ROUNDING,
                  .kernels = hone_kernels_get()};
    if (use == HONE_SCALES_QUANTIZE) q->rounding.saturate = hone_node_int(p->node, "saturate") != 0;
    set_ends(q);
    bool is_small = hone_cast_is_small(q->from) || hone_cast_is_small(q->to);
    q->cut = hone_cut_make(hone_type_count(p->in[x]), is_small ? 4 : 1, TILE);
    p->scratch = (size_t)(2 * q->scales.count) * sizeof(float) + 1;
    p->params = q;
    p->run = run;
    p->kernel = names[use];
    return HONE_OK;
}
