#include "ops/tensor/resize.h"

#include "graph/infer.h"

#include <math.h>
#include <string.h>

typedef enum coordinates {
    HALF_PIXEL,
    HALF_PIXEL_SYMMETRIC,
    PYTORCH_HALF_PIXEL,
    ALIGN_CORNERS,
    ASYMMETRIC,
    CROP_AND_RESIZE,
    TF_HALF_PIXEL /* of opset 11 alone */
} coordinates;
static const char *const coordinate_names[] = {
    "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel",  "align_corners",
    "asymmetric", "tf_crop_and_resize",   "tf_half_pixel_for_nn"};
static const char *const mode_names[] = {"nearest", "linear", "cubic"};
typedef enum rounding { PREFER_FLOOR, PREFER_CEIL, FLOOR, CEIL } rounding;
static const char *const rounding_names[] = {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"};
typedef enum policy { STRETCH, NOT_LARGER, NOT_SMALLER } policy;
static const char *const policy_names[] = {"stretch", "not_larger", "not_smaller"};

/* Which of the names the attribute has. */
static hone_status choose(const hone_infer *ctx, const char *attr, const char *const *names, int count,
                          int *out, hone_error *err) {
    const char *given = hone_node_string(ctx->node, attr);
    for (*out = 0; *out < count; ++*out)
        if (strcmp(given, names[*out]) == 0) return HONE_OK;
    return hone_infer_fail(ctx, err, "%s \"%s\" is unknown", attr, given);
}
#define CHOOSE(ctx, attr, names, out, err)                                                                   \
    choose(ctx, attr, names, (int)(sizeof names / sizeof *names), out, err)

static hone_status read_settings(const hone_infer *ctx, hone_resize_settings *s, hone_error *err) {
    HONE_TRY(CHOOSE(ctx, "coordinate_transformation_mode", coordinate_names, &s->coordinates, err));
    HONE_TRY(CHOOSE(ctx, "mode", mode_names, &s->mode, err));
    HONE_TRY(CHOOSE(ctx, "nearest_mode", rounding_names, &s->rounding, err));
    HONE_TRY(CHOOSE(ctx, "keep_aspect_ratio_policy", policy_names, &s->policy, err));
    s->antialias = hone_node_int(ctx->node, "antialias") != 0;
    s->exclude_outside = hone_node_int(ctx->node, "exclude_outside") != 0;
    s->cubic_a = hone_node_float(ctx->node, "cubic_coeff_a");
    if (s->antialias && s->mode == HONE_RESIZE_NEAREST)
        return hone_infer_fail(ctx, err, "the nearest position has no antialiasing");
    return HONE_OK;
}

/* --- lengths --- */

static bool given(const hone_infer *ctx, int input) {
    const hone_type *t = input < ctx->input_count ? ctx->in[input] : NULL;
    return t && !(hone_type_is_concrete(t) && hone_type_count(t) == 0);
}

/* The axes that scales, sizes and region speak of, in their order. */
static hone_status listed_axes(const hone_infer *ctx, int rank, int *count, int *axes, hone_error *err) {
    size_t n;
    const int64_t *list = hone_node_ints(ctx->node, "axes", &n);
    bool seen[HONE_MAX_RANK] = {false};
    *count = list && n ? (int)n : rank;
    if (*count > rank) return hone_infer_fail(ctx, err, "an axis is there twice");
    for (int i = 0; i < *count; i++) {
        HONE_TRY(hone_infer_axis(ctx, list && n ? list[i] : i, rank, false, &axes[i], err));
        if (seen[axes[i]]) return hone_infer_fail(ctx, err, "axis %d is there twice", axes[i]);
        seen[axes[i]] = true;
    }
    return HONE_OK;
}

static hone_status check_count(const hone_infer *ctx, const char *what, int64_t found, int wanted,
                               hone_error *err) {
    if (found == wanted) return HONE_OK;
    return hone_infer_fail(ctx, err, "%lld %s for %d axes", (long long)found, what, wanted);
}

hone_status hone_resize_use_scales(const hone_infer *ctx, int count, const int *axes, hone_resize_axis *a,
                                   hone_error *err) {
    const hone_tensor *t = ctx->constant[HONE_RESIZE_SCALES];
    if (!t) return HONE_OK;
    HONE_TRY(check_count(ctx, "scales", t->count, count, err));
    for (int i = 0; i < count; i++) {
        hone_resize_axis *d = &a[axes[i]];
        float scale = (float)hone_tensor_number(t, i);
        if (!(scale > 0 && scale < 1e9f)) return hone_infer_fail(ctx, err, "scale %g is out of range", scale);
        d->scale = scale;
        if (scale == 1) d->out = d->in;
        /* in float, as ONNX's own inference has it */
        if (scale != 1 && d->in >= 0) d->out = (int64_t)floorf((float)d->in * scale);
    }
    return HONE_OK;
}

/* The scale that keeps the shape of what is seen; false: some length is not known. */
static bool common_scale(int kind, int count, const int *axes, const hone_resize_axis *a, double *scale) {
    for (int i = 0; i < count; i++) {
        const hone_resize_axis *d = &a[axes[i]];
        if (d->in <= 0 || d->out < 0) return false;
        double s = (double)d->out / (double)d->in;
        if (i == 0 || (kind == NOT_LARGER ? s < *scale : s > *scale)) *scale = s;
    }
    return count > 0;
}

static hone_status use_sizes(const hone_infer *ctx, const hone_resize_settings *s, int count, const int *axes,
                             hone_resize_axis *a, hone_error *err) {
    hone_content sizes;
    double scale = 0;
    if (!hone_infer_items(ctx, HONE_RESIZE_SIZES, &sizes)) return HONE_OK;
    HONE_TRY(check_count(ctx, "sizes", sizes.count, count, err));
    for (int i = 0; i < count; i++) {
        a[axes[i]].out = hone_dim_of_item(sizes.item[i]);
        if (sizes.item[i].kind == HONE_ITEM_NUMBER && sizes.item[i].value < 0)
            return hone_infer_fail(ctx, err, "a size is negative");
    }
    if (s->policy == STRETCH) return HONE_OK;
    for (int i = 0; i < count; i++)
        if (a[axes[i]].in == 0)
            return hone_infer_fail(ctx, err, "axis %d without elements has no scale", axes[i]);
    bool known = common_scale(s->policy, count, axes, a, &scale);
    for (int i = 0; i < count; i++) {
        hone_resize_axis *d = &a[axes[i]];
        d->scale = scale;
        d->out = known ? (int64_t)(scale * (double)d->in + 0.5) : HONE_DIM_ANY;
    }
    return HONE_OK;
}

/* Reads roi, where it counts. */
static hone_status use_region(const hone_infer *ctx, int count, const int *axes, hone_resize_axis *a,
                              hone_error *err) {
    const hone_tensor *t = given(ctx, HONE_RESIZE_ROI) ? ctx->constant[HONE_RESIZE_ROI] : NULL;
    for (int i = 0; i < count; i++) a[axes[i]].end = 1;
    if (!t) return HONE_OK;
    HONE_TRY(check_count(ctx, "ends of the region", t->count, 2 * count, err));
    for (int i = 0; i < count; i++) {
        a[axes[i]].start = hone_tensor_number(t, i);
        a[axes[i]].end = hone_tensor_number(t, count + i);
    }
    return HONE_OK;
}

/* What is known of the axes of a tensor of x's shape. */
hone_status hone_resize_find_axes(const hone_infer *ctx, const hone_type *x, hone_resize_settings *s,
                                  hone_resize_axis *a, hone_error *err) {
    int count, axes[HONE_MAX_RANK];
    HONE_TRY(read_settings(ctx, s, err));
    HONE_TRY(listed_axes(ctx, x->rank, &count, axes, err));
    for (int d = 0; d < x->rank; d++) a[d] = (hone_resize_axis){.in = x->dims[d], .out = x->dims[d]};
    for (int i = 0; i < count; i++) {
        a[axes[i]].listed = true;
        a[axes[i]].out = HONE_DIM_ANY;
    }
    if (given(ctx, HONE_RESIZE_SCALES) == given(ctx, HONE_RESIZE_SIZES))
        return hone_infer_fail(ctx, err, "either scales or sizes are needed");
    if (given(ctx, HONE_RESIZE_SCALES))
        HONE_TRY(hone_resize_use_scales(ctx, count, axes, a, err));
    else
        HONE_TRY(use_sizes(ctx, s, count, axes, a, err));
    if (s->coordinates == CROP_AND_RESIZE) HONE_TRY(use_region(ctx, count, axes, a, err));
    return HONE_OK;
}

/* --- coordinates --- */

/* Position `at` of y in elements of x. A scale is a float: what it gives is rounded to float, so that a third of 3 is 1. */
static double unscaled(const hone_resize_axis *a, double at) {
    return a->scale ? (float)(at / a->scale) : at * (double)a->in / (double)a->out;
}

/* Where position i of y lies on the axis of x. */
static double coordinate(const hone_resize_settings *s, const hone_resize_axis *a, int64_t i) {
    const double last = (double)(a->in - 1), at = (double)i, length = (double)a->out;
    const double resized = a->scale ? a->scale * (double)a->in : length; /* not rounded */
    switch ((coordinates)s->coordinates) {
    case HALF_PIXEL: break;
    case HALF_PIXEL_SYMMETRIC:
        return (float)((double)a->in / 2 * (1 - length / resized) + unscaled(a, at + 0.5) - 0.5);
    case PYTORCH_HALF_PIXEL:
        if (a->out == 1) return 0;
        break;
    case TF_HALF_PIXEL: return unscaled(a, at + 0.5);
    case ALIGN_CORNERS: return resized == 1 ? 0 : (float)(at * last / (resized - 1));
    case ASYMMETRIC: return unscaled(a, at);
    case CROP_AND_RESIZE:
        if (resized == 1) return (float)((a->start + a->end) * last / 2);
        return (float)(a->start * last + at * (a->end - a->start) * last / (resized - 1));
    }
    return unscaled(a, at + 0.5) - 0.5;
}

/* Beyond the ends: filled by extrapolation_value. */
static bool is_outside(const hone_resize_settings *s, const hone_resize_axis *a, double x) {
    return s->coordinates == CROP_AND_RESIZE && !(x >= 0 && x <= (double)(a->in - 1));
}

bool hone_resize_stays(const hone_resize_settings *s, const hone_resize_axis *a) {
    return !a->listed ||
           (a->in == a->out && (a->scale == 0 || a->scale == 1) && s->coordinates != CROP_AND_RESIZE);
}

static int64_t clamped(double x, int64_t n) {
    return x < 0 ? 0 : x > (double)(n - 1) ? n - 1 : (int64_t)x;
}

static int64_t nearest(int kind, double x, int64_t n) {
    switch ((rounding)kind) {
    case PREFER_FLOOR: return clamped(ceil(x - 0.5), n);
    case PREFER_CEIL: return clamped(floor(x + 0.5), n);
    case FLOOR: return clamped(floor(x), n);
    case CEIL: break;
    }
    return clamped(ceil(x), n);
}

/* The table of hone_pick_make. */
int64_t *hone_resize_nearest(hone_prepare *p, const hone_resize_settings *s, const hone_resize_axis *a) {
    int64_t *from = hone_prepare_alloc(p, ((size_t)a->out + 1) * sizeof *from);
    for (int64_t i = 0; from && i < a->out; i++) {
        double x = coordinate(s, a, i);
        from[i] = is_outside(s, a, x) ? -1 : nearest(s->rounding, x, a->in);
    }
    return from;
}

/* --- weights --- */

/* Keys' cubic of parameter a, of distance x. */
static double cubic(double a, double x) {
    x = fabs(x);
    if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

static double weight_at(const hone_resize_settings *s, double x) {
    if (s->mode == HONE_RESIZE_CUBIC) return cubic(s->cubic_a, x);
    x = fabs(x);
    return x < 1 ? 1 - x : 0;
}

/* A filter as wide as needed when an axis shrinks: as many positions on either side, `scale` narrower than they are. */
typedef struct filter {
    double scale;
    int side;
} filter;

static filter filter_of(const hone_resize_settings *s, const hone_resize_axis *a) {
    double scale = a->scale ? a->scale : (double)a->out / (double)a->in,
           reach = s->mode == HONE_RESIZE_CUBIC ? 2 : 1;
    if (!s->antialias || scale > 1) scale = 1;
    return (filter){scale, (int)ceil(reach / scale)};
}

/* Weights of the positions around x: taps of one sum, which is 1. Returns how many. */
static int64_t find_weights(const hone_resize_settings *s, const hone_resize_axis *a, filter f, double x,
                            int64_t *from, double *weight) {
    double base = floor(x), sum = 0;
    int64_t count = 0;
    for (int k = 1 - f.side; k <= f.side; k++) {
        double at = base + k, w = weight_at(s, (at - x) * f.scale);
        bool outside = at < 0 || at > (double)(a->in - 1);
        if (w == 0 || (outside && s->exclude_outside)) continue;
        int64_t position = clamped(at, a->in);
        sum += w;
        if (count && from[count - 1] == position)
            weight[count - 1] += w;
        else {
            from[count] = position;
            weight[count++] = w;
        }
    }
    for (int64_t t = 0; t < count; t++) weight[t] /= sum;
    if (count) return count;
    from[0] = clamped(base, a->in); /* all of them are excluded */
    weight[0] = 0;
    return 1;
}

const hone_taps *hone_resize_taps(hone_prepare *p, const hone_resize_settings *s, const hone_resize_axis *a) {
    if (s->mode == HONE_RESIZE_NEAREST) {
        const int64_t *from = hone_resize_nearest(p, s, a);
        return from ? hone_taps_of(p, from, a->out) : NULL;
    }
    filter f = filter_of(s, a);
    hone_taps *t = hone_taps_new(p, a->out, a->out * 2 * f.side);
    int64_t taps = 0;
    for (int64_t i = 0; t && i < a->out; i++) {
        double x = coordinate(s, a, i);
        if (!is_outside(s, a, x)) taps += find_weights(s, a, f, x, t->from + taps, t->weight + taps);
        t->start[i + 1] = taps;
    }
    return t;
}
