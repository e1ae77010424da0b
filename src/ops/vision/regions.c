/* RoiAlign and MaxRoiPool: regions of images, each pooled into the same number of bins. */
#include "kernels/regions.h"
#include "graph/infer.h"
#include "graph/run.h"
#include "kernels/portable.h"
#include "ops/common/axes.h"
#include "ops/common/cut.h"
#include "ops/common/legacy.h"
#include "ops/common/walk.h"

#include <math.h>
#include <string.h>

#define FLOATS (HONE_TYPES_FLOAT | HONE_TYPES_HALF)
#define LARGEST ((int64_t)1 << 24) /* bins along an axis */
enum { MOST_SAMPLES = 1024 };      /* of a bin along an axis: models ask for a handful */

enum { X, REGIONS, INDEX };
enum { CORNERS = 4 };

/* --- shapes --- X [N, C, H, W], Y [regions, C, bins, bins] */

/* `columns`: numbers that a region has. */
static hone_status infer_regions(hone_infer *ctx, const hone_type *x, const hone_type *regions, int columns,
                                 int64_t height, int64_t width, hone_error *err) {
    hone_type *y = &ctx->out[0];
    int64_t same;
    if (height < 1 || width < 1 || height > LARGEST || width > LARGEST)
        return hone_infer_fail(ctx, err, "regions become %lld x %lld", (long long)height, (long long)width);
    if (x->rank >= 0 && x->rank != 4)
        return hone_infer_fail(ctx, err, "the input has %d dimensions where 4 are needed", x->rank);
    if (regions->rank >= 0 && regions->rank != 2)
        return hone_infer_fail(ctx, err, "rois have %d dimensions where 2 are needed", regions->rank);
    y->rank = 4;
    y->dims[0] = regions->rank < 0 ? HONE_DIM_ANY : regions->dims[0];
    y->dims[1] = x->rank < 0 ? HONE_DIM_ANY : x->dims[1];
    y->dims[2] = height;
    y->dims[3] = width;
    return regions->rank < 0 ? HONE_OK : hone_infer_same_dim(ctx, regions->dims[1], columns, &same, err);
}

/* Regions [begin, end) of `columns` numbers as double. */
static void read_regions(hone_dtype dtype, const void *regions, int columns, int64_t i, double *out) {
    hone_cast(dtype, HONE_FLOAT64, (const char *)regions + (size_t)(i * columns) * hone_dtype_size(dtype),
              out, columns);
}

static hone_status check_finite(const hone_step *step, const double *region, int columns, int64_t i,
                                hone_error *err) {
    for (int c = 0; c < columns; c++)
        if (!isfinite(region[c]))
            return hone_step_fail(step, err, "region %lld has coordinates that are not finite", (long long)i);
    return HONE_OK;
}

static hone_status fail_image(const hone_step *step, int64_t i, double image, int64_t images,
                              hone_error *err) {
    return hone_step_fail(step, err, "region %lld is of image %.17g, of %lld", (long long)i, image,
                          (long long)images);
}

typedef struct params {
    hone_align align;
    hone_dtype dtype;
    int64_t images, channels, plane, regions, bins;
    int64_t each; /* channels of an item */
    hone_cut cut;
} params;

typedef struct job {
    const params *p;
    const hone_step *step;
    const hone_frame *frame;
    const char *x, *regions, *dy;
    const int64_t *index;
    char *y;
} job;

static const char *at_element(const params *p, const char *x, int64_t i) {
    return x + (size_t)i * hone_dtype_size(p->dtype);
}

/* --- RoiAlign --- */

static bool is_half_pixel(const hone_node *n) {
    return strcmp(hone_node_string(n, "coordinate_transformation_mode"), "half_pixel") == 0;
}

static bool is_max(const hone_node *n) {
    return strcmp(hone_node_string(n, "mode"), "max") == 0;
}

static hone_status infer_align(hone_infer *ctx, hone_error *err) {
    const hone_node *n = ctx->node;
    const hone_type *index = ctx->in[INDEX];
    const char *mode = hone_node_string(n, "mode"),
               *transform = hone_node_string(n, "coordinate_transformation_mode");
    int64_t ratio = hone_node_int(n, "sampling_ratio");
    if (!is_max(n) && strcmp(mode, "avg") != 0)
        return hone_infer_fail(ctx, err, "mode \"%s\" is unknown", mode);
    if (!is_half_pixel(n) && strcmp(transform, "output_half_pixel") != 0)
        return hone_infer_fail(ctx, err, "coordinate_transformation_mode \"%s\" is unknown", transform);
    if (ratio < 0 || ratio > MOST_SAMPLES)
        return hone_infer_fail(ctx, err, "sampling_ratio %lld is out of range", (long long)ratio);
    if (!isfinite(hone_node_float(n, "spatial_scale")))
        return hone_infer_fail(ctx, err, "spatial_scale is not finite");
    if (index->rank >= 0 && index->rank != 1)
        return hone_infer_fail(ctx, err, "batch_indices have %d dimensions where 1 is needed", index->rank);
    HONE_TRY(infer_regions(ctx, ctx->in[X], ctx->in[REGIONS], CORNERS, hone_node_int(n, "output_height"),
                           hone_node_int(n, "output_width"), err));
    int64_t *regions = &ctx->out[0].dims[0];
    return index->rank < 0 ? HONE_OK : hone_infer_same_dim(ctx, *regions, index->dims[0], regions, err);
}

static void axes(const hone_node *n, hone_axes *out) {
    if (n->inputs[X]->type.rank == 4) hone_axes_same(out, X, 1, 1);
}

/* Items are parts of the channels of a region. */
static void align_regions(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const params *p = j->p;
    const int64_t parts = hone_tasks(p->channels, p->each);
    for (int64_t i = begin; i < end; i++) {
        int64_t r = i / parts, c = i % parts * p->each, n = hone_min_i64(p->each, p->channels - c);
        double region[CORNERS];
        read_regions(p->dtype, j->regions, CORNERS, r, region);
        const char *x = at_element(p, j->x, (j->index[r] * p->channels + c) * p->plane);
        char *y = j->y + (size_t)((r * p->channels + c) * p->bins) * hone_dtype_size(p->dtype);
        if (p->dtype == HONE_FLOAT64)
            hone_align_f64(&p->align, region, (const void *)x, n, (void *)y);
        else
            hone_align_f32(&p->align, region, (const void *)x, n, (void *)y);
    }
}

static hone_status check_align(const job *j, hone_error *err) {
    const params *p = j->p;
    for (int64_t r = 0; r < p->regions; r++) {
        double region[CORNERS];
        read_regions(p->dtype, j->regions, CORNERS, r, region);
        HONE_TRY(check_finite(j->step, region, CORNERS, r, err));
        if (j->index[r] < 0 || j->index[r] >= p->images)
            return fail_image(j->step, r, (double)j->index[r], p->images, err);
    }
    return HONE_OK;
}

static job job_of(const hone_step *step, hone_frame *frame) {
    return (job){step->params,
                 step,
                 frame,
                 .x = hone_step_in(step, frame, X),
                 .regions = hone_step_in(step, frame, REGIONS),
                 .index = hone_step_in(step, frame, INDEX),
                 .y = hone_step_out(step, frame, 0)};
}

static hone_status run_align(const hone_step *step, hone_frame *frame, hone_error *err) {
    job j = job_of(step, frame);
    HONE_TRY(check_align(&j, err));
    hone_cut_run(&j.p->cut, frame, align_regions, &j);
    return HONE_OK;
}

static hone_status make(hone_prepare *p, const hone_type *y, params **out, hone_error *err) {
    const hone_type *x = p->in[X];
    params *q = *out = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    *q = (params){.align = {.height = x->dims[2],
                            .width = x->dims[3],
                            .out_height = y->dims[2],
                            .out_width = y->dims[3],
                            .scale = hone_node_float(p->node, "spatial_scale")},
                  .dtype = x->dtype,
                  .images = x->dims[0],
                  .channels = x->dims[1],
                  .plane = hone_type_count(x) ? x->dims[2] * x->dims[3] : 0,
                  .regions = y->dims[0],
                  .bins = y->dims[2] * y->dims[3],
                  .each = 16};
    if (q->plane == 0) q->align.height = q->align.width = 0;
    p->params = q;
    return HONE_OK;
}

/* Of regions whose sizes nobody knows, about a quarter of the image each. */
static hone_status make_align(hone_prepare *p, const hone_type *y, params **out, hone_error *err) {
    const hone_node *n = p->node;
    HONE_TRY(make(p, y, out, err));
    params *q = *out;
    q->align.grid = hone_node_int(n, "sampling_ratio");
    q->align.shift = is_half_pixel(n) ? 0.5 : 0;
    q->align.whole = !is_half_pixel(n);
    q->align.largest = is_max(n);
    return HONE_OK;
}

static double samples_of(const params *q) {
    double grid = (double)q->align.grid;
    return grid > 0 ? grid * grid * (double)q->bins : (double)q->bins + (double)q->plane / 4;
}

static hone_status prepare_align(hone_prepare *p, hone_error *err) {
    params *q;
    HONE_TRY(make_align(p, &p->out[0], &q, err));
    q->cut = hone_cut_make(q->regions * hone_tasks(q->channels, q->each),
                           samples_of(q) * (10 + 3 * (double)hone_min_i64(q->each, q->channels)), 1);
    p->run = run_align;
    p->kernel = "regions sampled";
    return HONE_OK;
}

static void gradient(hone_gradient *ctx) {
    const hone_node *n = ctx->node;
    if (!ctx->wanted[X]) return;
    hone_value *dx = HONE_EMIT(ctx->graph, HONE_PRIVATE_DOMAIN, "RoiAlignGrad", n->inputs[X],
                               n->inputs[REGIONS], n->inputs[INDEX], ctx->dout[0]);
    if (dx) hone_node_copy_attrs(ctx->graph, dx->producer, n);
    ctx->din[X] = dx;
}

#define ALIGN_ATTRS                                                                                          \
    {"mode", HONE_ATTR_STRING, .s = "avg"}, {"output_height", HONE_ATTR_INT, .i = 1},                        \
        {"output_width", HONE_ATTR_INT, .i = 1}, {"sampling_ratio", HONE_ATTR_INT}, {                        \
        "spatial_scale", HONE_ATTR_FLOAT, .f = 1                                                             \
    }
#define TRANSFORM                                                                                            \
    { "coordinate_transformation_mode", HONE_ATTR_STRING, .s = "half_pixel" }

/* Before opset 16 elements were at whole coordinates. */
static hone_status lift_align(hone_graph *g, hone_node *n, hone_error *err) {
    hone_node_set_string(g, n, "coordinate_transformation_mode", "output_half_pixel");
    return hone_graph_check(g, err);
}

static const hone_attr_def align_10[] = {ALIGN_ATTRS, {NULL}};
static const hone_op_version older_align[] = {{16, NULL, NULL}, {10, align_10, lift_align}, {0}};

const hone_op hone_op_roi_align = {
    .name = "RoiAlign",
    .since = 22,
    .oldest = 10,
    .older = older_align,
    .widened = HONE_TYPES_HALF,
    .inputs = HONE_SLOTS({"X", 'T', FLOATS, 0}, {"rois", 'T', FLOATS, 0},
                         {"batch_indices", 0, HONE_TYPE(HONE_INT64), 0}),
    .outputs = HONE_SLOTS({"Y", 'T', FLOATS, 0}),
    .attrs = HONE_ATTRS(TRANSFORM, ALIGN_ATTRS),
    .infer = infer_align,
    .axes = axes,
    .prepare = prepare_align,
    .gradient_kind = HONE_GRADIENT_EXACT,
    .gradient = gradient,
    .doc =
        "regions of images, sampled between their elements and pooled into bins; no gradient to the regions"};

/* --- RoiAlignGrad --- of X, rois, batch_indices, dY */

static void clear_channels(const job *j, int64_t begin, int64_t end) {
    const params *p = j->p;
    const size_t size = hone_dtype_size(p->dtype);
    for (int64_t n = 0; n < p->images; n++)
        memset(j->y + (size_t)((n * p->channels + begin) * p->plane) * size, 0,
               (size_t)((end - begin) * p->plane) * size);
}

/* Items are channels, of all images: what regions share is added in their order. */
static void spread_channels(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const params *p = j->p;
    const size_t size = hone_dtype_size(p->dtype);
    clear_channels(j, begin, end);
    for (int64_t r = 0; r < p->regions && p->plane > 0; r++) {
        int64_t at = (j->index[r] * p->channels + begin) * p->plane;
        double region[CORNERS];
        read_regions(p->dtype, j->regions, CORNERS, r, region);
        const char *x = at_element(p, j->x, at),
                   *dy = at_element(p, j->dy, (r * p->channels + begin) * p->bins);
        void *dx = j->y + (size_t)at * size;
        if (p->dtype == HONE_FLOAT64)
            hone_align_grad_f64(&p->align, region, (const void *)x, (const void *)dy, end - begin, dx);
        else
            hone_align_grad_f32(&p->align, region, (const void *)x, (const void *)dy, end - begin, dx);
    }
}

enum { DY = 3 };

static hone_status run_align_gradient(const hone_step *step, hone_frame *frame, hone_error *err) {
    job j = job_of(step, frame);
    j.dy = hone_step_in(step, frame, DY);
    HONE_TRY(check_align(&j, err));
    hone_cut_run(&j.p->cut, frame, spread_channels, &j);
    return HONE_OK;
}

static hone_status infer_gradient(hone_infer *ctx, hone_error *err) {
    (void)err;
    return hone_infer_as_input(ctx, X);
}

static hone_status prepare_align_gradient(hone_prepare *p, hone_error *err) {
    params *q;
    HONE_TRY(make_align(p, p->in[DY], &q, err));
    q->cut = hone_cut_make(q->plane ? q->channels : 0, 10 * samples_of(q) * (double)q->regions + 1, 1);
    p->run = run_align_gradient;
    p->kernel = "regions' gradient";
    return HONE_OK;
}

const hone_op hone_op_roi_align_grad = {
    .domain = HONE_PRIVATE_DOMAIN,
    .name = "RoiAlignGrad",
    .since = 1,
    .oldest = 1,
    .inputs = HONE_SLOTS({"X", 'T', HONE_TYPES_FLOAT, 0}, {"rois", 'T', HONE_TYPES_FLOAT, 0},
                         {"batch_indices", 0, HONE_TYPE(HONE_INT64), 0}, {"dY", 'T', HONE_TYPES_FLOAT, 0}),
    .outputs = HONE_SLOTS({"dX", 'T', HONE_TYPES_FLOAT, 0}),
    .attrs = HONE_ATTRS(TRANSFORM, ALIGN_ATTRS),
    .infer = infer_gradient,
    .prepare = prepare_align_gradient,
    .doc = "the gradient of RoiAlign to the images"};

/* --- MaxRoiPool --- regions of whole elements, their last ones included: [image, x0, y0, x1, y1] */

enum { NUMBERS = 5 };

static hone_status infer_pool(hone_infer *ctx, hone_error *err) {
    size_t count;
    const int64_t *shape = hone_node_ints(ctx->node, "pooled_shape", &count);
    if (count != 2) return hone_infer_fail(ctx, err, "pooled_shape has %zu numbers, not 2", count);
    if (!isfinite(hone_node_float(ctx->node, "spatial_scale")))
        return hone_infer_fail(ctx, err, "spatial_scale is not finite");
    return infer_regions(ctx, ctx->in[X], ctx->in[REGIONS], NUMBERS, shape[0], shape[1], err);
}

/* The nearest element, far outside at most. */
static int64_t element(double x, double scale) {
    return (int64_t)fmin(fmax(round(x * scale), -1e9), 1e9);
}

static int64_t clamp(int64_t x, int64_t high) {
    return x < 0 ? 0 : x > high ? high : x;
}

/* Bin `i` of `count` of elements [first, last] of an axis of `size`. */
static void cut_bin(int64_t first, int64_t last, int64_t i, int64_t count, int64_t size, int64_t *out) {
    int64_t length = last < first ? 1 : last - first + 1;
    out[0] = clamp(first + i * length / count, size);
    out[1] = clamp(first + ((i + 1) * length + count - 1) / count, size);
}

/* The bins of a region, in the worker's scratch. */
static int64_t (*cut_bins(const job *j, const double *region, int worker))[4] {
    const hone_align *a = &j->p->align;
    int64_t(*bins)[4] = hone_step_worker_scratch(j->step, j->frame, worker);
    int64_t x0 = element(region[1], a->scale), y0 = element(region[2], a->scale),
            x1 = element(region[3], a->scale), y1 = element(region[4], a->scale);
    for (int64_t b = 0; b < j->p->bins; b++) {
        cut_bin(y0, y1, b / a->out_width, a->out_height, a->height, bins[b]);
        cut_bin(x0, x1, b % a->out_width, a->out_width, a->width, bins[b] + 2);
    }
    return bins;
}

/* Items are regions. */
static void pool_regions(void *arg, int64_t begin, int64_t end, int worker) {
    const job *j = arg;
    const params *p = j->p;
    const hone_align *a = &p->align;
    for (int64_t r = begin; r < end; r++) {
        double region[NUMBERS];
        read_regions(p->dtype, j->regions, NUMBERS, r, region);
        int64_t(*bins)[4] = cut_bins(j, region, worker);
        const char *x = at_element(p, j->x, (int64_t)region[0] * p->channels * p->plane);
        void *y = j->y + (size_t)(r * p->channels * p->bins) * hone_dtype_size(p->dtype);
        if (p->dtype == HONE_FLOAT64)
            hone_bins_max_f64((const void *)x, a->height, a->width, bins, p->bins, p->channels, y);
        else
            hone_bins_max_f32((const void *)x, a->height, a->width, bins, p->bins, p->channels, y);
    }
}

static hone_status check_pool(const job *j, hone_error *err) {
    const params *p = j->p;
    for (int64_t r = 0; r < p->regions; r++) {
        double region[NUMBERS];
        read_regions(p->dtype, j->regions, NUMBERS, r, region);
        HONE_TRY(check_finite(j->step, region, NUMBERS, r, err));
        if (region[0] <= -1 || region[0] >= (double)p->images)
            return fail_image(j->step, r, region[0], p->images, err);
    }
    return HONE_OK;
}

static hone_status run_pool(const hone_step *step, hone_frame *frame, hone_error *err) {
    job j = job_of(step, frame);
    HONE_TRY(check_pool(&j, err));
    hone_cut_run(&j.p->cut, frame, pool_regions, &j);
    return HONE_OK;
}

/* Nanoseconds that a channel of a region takes. */
static double pooling(const params *q) {
    return 3 * (double)q->bins + 0.3 * (double)q->plane;
}

static hone_status make_pool(hone_prepare *p, const hone_type *y, params **out, hone_error *err) {
    HONE_TRY(make(p, y, out, err));
    params *q = *out;
    if (q->bins > LARGEST) return hone_prepare_fail(p, err, "%lld bins", (long long)q->bins);
    p->worker_scratch = (size_t)q->bins * 4 * sizeof(int64_t);
    return HONE_OK;
}

static hone_status prepare_pool(hone_prepare *p, hone_error *err) {
    params *q;
    HONE_TRY(make_pool(p, &p->out[0], &q, err));
    q->cut = hone_cut_make(q->regions, 20 * (double)q->bins + (double)q->channels * pooling(q), 1);
    p->run = run_pool;
    p->kernel = "regions pooled";
    return HONE_OK;
}

static void gradient_pool(hone_gradient *ctx) {
    const hone_node *n = ctx->node;
    if (!ctx->wanted[X]) return;
    hone_value *dx = HONE_EMIT(ctx->graph, HONE_PRIVATE_DOMAIN, "MaxRoiPoolGrad", n->inputs[X],
                               n->inputs[REGIONS], ctx->dout[0]);
    if (dx) hone_node_copy_attrs(ctx->graph, dx->producer, n);
    ctx->din[X] = dx;
}

#define POOL_ATTRS                                                                                           \
    {"pooled_shape", HONE_ATTR_INTS, .required = true}, {                                                    \
        "spatial_scale", HONE_ATTR_FLOAT, .f = 1                                                             \
    }

const hone_op hone_op_max_roi_pool = {.name = "MaxRoiPool",
                                      .since = 22,
                                      .oldest = 1,
                                      .widened = HONE_TYPES_HALF,
                                      .inputs = HONE_SLOTS({"X", 'T', FLOATS, 0}, {"rois", 'T', FLOATS, 0}),
                                      .outputs = HONE_SLOTS({"Y", 'T', FLOATS, 0}),
                                      .attrs = HONE_ATTRS(POOL_ATTRS),
                                      .infer = infer_pool,
                                      .axes = axes,
                                      .prepare = prepare_pool,
                                      .gradient_kind = HONE_GRADIENT_EXACT,
                                      .gradient = gradient_pool,
                                      .doc = "the largest element of each bin of regions of images"};

/* --- MaxRoiPoolGrad --- of X, rois, dY */

enum { POOL_DY = 2 };

/* Items are channels, as of RoiAlignGrad. */
static void spread_maxima(void *arg, int64_t begin, int64_t end, int worker) {
    const job *j = arg;
    const params *p = j->p;
    const hone_align *a = &p->align;
    clear_channels(j, begin, end);
    for (int64_t r = 0; r < p->regions && p->plane > 0; r++) {
        double region[NUMBERS];
        read_regions(p->dtype, j->regions, NUMBERS, r, region);
        int64_t(*bins)[4] = cut_bins(j, region, worker);
        int64_t at = ((int64_t)region[0] * p->channels + begin) * p->plane;
        const void *x = at_element(p, j->x, at),
                   *dy = at_element(p, j->dy, (r * p->channels + begin) * p->bins);
        void *dx = j->y + (size_t)at * hone_dtype_size(p->dtype);
        if (p->dtype == HONE_FLOAT64)
            hone_bins_max_grad_f64(x, a->height, a->width, bins, p->bins, end - begin, dy, dx);
        else
            hone_bins_max_grad_f32(x, a->height, a->width, bins, p->bins, end - begin, dy, dx);
    }
}

static hone_status run_pool_gradient(const hone_step *step, hone_frame *frame, hone_error *err) {
    job j = job_of(step, frame);
    j.dy = hone_step_in(step, frame, POOL_DY);
    HONE_TRY(check_pool(&j, err));
    hone_cut_run(&j.p->cut, frame, spread_maxima, &j);
    return HONE_OK;
}

static hone_status prepare_pool_gradient(hone_prepare *p, hone_error *err) {
    params *q;
    HONE_TRY(make_pool(p, p->in[POOL_DY], &q, err));
    q->cut = hone_cut_make(q->plane ? q->channels : 0,
                           (20 * (double)q->bins + pooling(q)) * (double)q->regions + 1, 1);
    p->run = run_pool_gradient;
    p->kernel = "pooled regions' gradient";
    return HONE_OK;
}

const hone_op hone_op_max_roi_pool_grad = {.domain = HONE_PRIVATE_DOMAIN,
                                           .name = "MaxRoiPoolGrad",
                                           .since = 1,
                                           .oldest = 1,
                                           .inputs = HONE_SLOTS({"X", 'T', HONE_TYPES_FLOAT, 0},
                                                                {"rois", 'T', HONE_TYPES_FLOAT, 0},
                                                                {"dY", 'T', HONE_TYPES_FLOAT, 0}),
                                           .outputs = HONE_SLOTS({"dX", 'T', HONE_TYPES_FLOAT, 0}),
                                           .attrs = HONE_ATTRS(POOL_ATTRS),
                                           .infer = infer_gradient,
                                           .prepare = prepare_pool_gradient,
                                           .doc = "the gradient of MaxRoiPool to the images"};
