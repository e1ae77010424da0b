#include "compress/codes.h"

#include <float.h>
#include <math.h>

#define MOST_BIAS (1 << 30)      /* the other half is for the products */
#define FINE_BIAS (1 << 24)      /* steps of a bias without weights beside it */
#define LEAST_STEP (2 * FLT_MIN) /* of products */

void hone_codes_free(hone_codes *c) {
    hone_tensor_free(c->q);
    hone_tensor_free(c->scale);
    hone_tensor_free(c->zero);
    *c = (hone_codes){.q = NULL};
}

/* --- weights --- */

static int64_t inner_of(const hone_tensor *w, int axis) {
    return hone_weight_view_of(w, axis).inner;
}

/* The codes of channel c by another scale. */
static void rescale(const hone_tensor *w, int axis, int64_t c, float scale, hone_codes *out) {
    int64_t inner = inner_of(w, axis), channels = w->dims[axis];
    const float most = (float)((1 << (out->bits - 1)) - 1);
    ((float *)out->scale->data)[c] = scale;
    for (int64_t at = c * inner; at < w->count; at += channels * inner)
        for (int64_t i = at; i < at + inner; i++)
            ((int8_t *)out->q->data)[i] =
                (int8_t)fminf(fmaxf(rintf(((const float *)w->data)[i] / scale), -most), most);
}

static bool is_zero(const hone_codes *weight, const hone_tensor *w, int axis, int64_t c) {
    int64_t inner = inner_of(w, axis), channels = w->dims[axis];
    for (int64_t at = c * inner; at < w->count; at += channels * inner)
        for (int64_t i = at; i < at + inner; i++)
            if (((const int8_t *)weight->q->data)[i]) return false;
    return true;
}

/* --- biases --- */

/* The scale that channel c needs at least, or (where it has no weights) best. */
static double scale_for(double b, double x_scale, double scale, bool no_weights) {
    if (no_weights && b != 0) scale = fabs(b) / x_scale / FINE_BIAS;
    return fmax(scale, fmax(fabs(b) / x_scale / MOST_BIAS, LEAST_STEP / x_scale));
}

/* Where all channels share a scale, it is the one that the largest bias needs. */
static void share_scale(const hone_tensor *b, const hone_tensor *w, int axis, float x_scale,
                        hone_codes *weight) {
    float *scale = weight->scale->data, most = 0;
    for (int64_t c = 0; c < b->count; c++)
        most = fmaxf(most, (float)scale_for(((const float *)b->data)[c], x_scale, scale[c], false));
    for (int64_t c = 0; c < b->count; c++)
        if (scale[c] != most) rescale(w, axis, c, most, weight);
}

hone_status hone_codes_of_bias(const hone_tensor *b, const hone_tensor *w, int axis, float x_scale,
                               hone_codes *weight, hone_codes *out, bool *fits, hone_error *err) {
    int64_t channels = w->dims[axis];
    float *scale = weight->scale->data;
    const float *x = b->data;
    *fits = b->dtype == HONE_FLOAT32 && b->count == channels && b->rank == 1;
    for (int64_t c = 0; c < channels && *fits; c++)
        *fits = isfinite((float)scale_for(x[c], x_scale, scale[c], false));
    if (!*fits) return HONE_OK;
    HONE_TRY(hone_tensor_new(HONE_INT32, 1, b->dims, &out->q, err));
    hone_status status = hone_tensor_new(HONE_FLOAT32, 1, b->dims, &out->scale, err);
    if (status != HONE_OK) {
        hone_codes_free(out);
        return status;
    }
    if (weight->shared) share_scale(b, w, axis, x_scale, weight);
    for (int64_t c = 0; c < channels; c++) {
        const bool zero = !weight->shared && is_zero(weight, w, axis, c);
        float s = weight->shared ? scale[c] : (float)scale_for(x[c], x_scale, scale[c], zero);
        if (s != scale[c]) rescale(w, axis, c, s, weight);
        float step = x_scale * s;
        ((float *)out->scale->data)[c] = step;
        ((int32_t *)out->q->data)[c] = (int32_t)rint((double)x[c] / step);
    }
    return HONE_OK;
}

/* --- activations --- */

hone_grid hone_grid_of(hone_range r) {
    double min = r.min < 0 ? r.min : 0, max = r.max > 0 ? r.max : 0;
    hone_grid g = {1, 0};
    if (max > min) g.scale = fmaxf((float)((max - min) / 255), FLT_MIN);
    double zero = rint(-min / g.scale);
    g.zero = (int)(zero > 255 ? 255 : zero);
    return g;
}

int hone_grid_code(hone_grid g, double x) {
    double code = rint(x / g.scale) + g.zero;
    return (int)(code > 255 ? 255 : code < 0 ? 0 : code);
}
