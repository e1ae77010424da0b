/* Gradients to the inputs of ConvLast and DepthwiseLast, phase by phase (conv_back.h), some lines of dY at a time, in a copy
 * with zeros around them where positions outside are seen. A phase's weights are packed once a run:
 *
 *   ConvLastGradX        rows are elements of X, k is the phase's taps times M, columns are channels of X
 *   DepthwiseLastGradX   the kernel of DepthwiseLast, whose taps are the phase's */
#include "graph/infer.h"
#include "graph/run.h"
#include "kernels/kernels.h"
#include "ops/common/channels_last.h"
#include "ops/common/cut.h"
#include "ops/common/walk.h"
#include "ops/engine/product_b.h"
#include "ops/engine/window.h"
#include "ops/nn/conv_back.h"
#include "ops/nn/conv_last.h"

#include <math.h>
#include <string.h>

#define FLOAT HONE_TYPE(HONE_FLOAT32)
#define ROOM_BYTES (192 * 1024) /* of what is copied at once, about: it stays in the second-level cache */
#define LEAST_ROWS 96           /* elements of x in it, where there are so many */

enum { DY, W, LIKE };

/* --- phases --- */

hone_back_axis hone_back_axis_of(const hone_windows *w, int axis) {
    const int64_t s = w->stride[axis], pad = w->pad[axis];
    hone_back_axis a = {.stride = s,
                        .step = s == 1 ? w->dilation[axis] : 1,
                        .tap_step = s,
                        .first = pad / s,
                        .high = (w->in[axis] - 1 + pad) / s + 1};
    const int64_t most = (w->kernel[axis] + s - 1) / s;
    a.low = hone_min_i64(0, a.first - (most - 1) * a.step);
    for (int64_t r = 0; r < s; r++) {
        hone_back_phase *p = &a.phase[r];
        p->first = ((r - pad) % s + s) % s;
        p->count = p->first < w->in[axis] ? (w->in[axis] - p->first + s - 1) / s : 0;
        p->taps = r < w->kernel[axis] ? (w->kernel[axis] - r + s - 1) / s : 0;
        p->last = r + (p->taps - 1) * s;
        p->from = (p->first + pad) / s - (p->taps - 1) * a.step;
    }
    return a;
}

bool hone_back_takes(const hone_windows *w) {
    bool takes = w->in[0] == 1 && w->out[0] == 1 && w->kernel[0] == 1;
    for (int i = 1; i < 3; i++)
        takes &= w->stride[i] <= HONE_BACK_PHASES && (w->stride[i] == 1 || w->dilation[i] == 1);
    return takes;
}

/* --- preparing --- */

typedef struct params {
    hone_windows w;
    hone_back_axis down, across; /* axes 1 and 2 */
    bool depthwise, copies;
    int64_t m, c, batch;  /* channels of dY, of X */
    int64_t lines, bands; /* positions down (of one phase) in a band; how many bands an image has */
    int64_t width, pitch; /* of a line of the copy: positions, elements */
    const hone_gemm_run *runs[HONE_BACK_PHASES][HONE_BACK_PHASES];
    int run_counts[HONE_BACK_PHASES][HONE_BACK_PHASES];
    const int64_t *offsets[HONE_BACK_PHASES][HONE_BACK_PHASES]; /* depthwise: of the taps */
    size_t at[HONE_BACK_PHASES][HONE_BACK_PHASES];              /* packed weights, in scratch */
    const hone_gemm_family *family;
    hone_cut cut, packing;
} params;

static int64_t taps_of(const params *p, int64_t rh, int64_t rw) {
    const hone_back_phase *h = &p->down.phase[rh], *w = &p->across.phase[rw];
    return h->count && w->count ? h->taps * w->taps : 0;
}

/* Runs of a phase's k: taps of a line that are neighbours together. */
static bool make_runs(hone_prepare *p, params *q, int64_t rh, int64_t rw) {
    const int64_t taps = q->across.phase[rw].taps, down = q->down.phase[rh].taps;
    const bool whole = q->across.step == 1;
    const int64_t each = whole ? taps * q->m : q->m, many = whole ? 1 : taps,
                  pieces = hone_tasks(each, HONE_GEMM_RUN);
    hone_gemm_run *to = hone_prepare_alloc(p, (size_t)(down * many * pieces + 1) * sizeof *to);
    if (!to) return false;
    q->runs[rh][rw] = to;
    for (int64_t i = 0; i < down * many; i++)
        for (int64_t piece = 0; piece < pieces; piece++) {
            const int64_t begin = each * piece / pieces, end = each * (piece + 1) / pieces;
            *to++ = (hone_gemm_run){
                i / many * q->down.step * q->pitch + i % many * q->across.step * q->m + begin, end - begin};
        }
    q->run_counts[rh][rw] = (int)(down * many * pieces);
    return true;
}

static bool make_offsets(hone_prepare *p, params *q, int64_t rh, int64_t rw) {
    const int64_t taps = q->across.phase[rw].taps, all = taps_of(q, rh, rw);
    int64_t *to = hone_prepare_alloc(p, (size_t)(all + 1) * sizeof *to);
    q->offsets[rh][rw] = to;
    for (int64_t i = 0; to && i < all; i++)
        to[i] = i / taps * q->down.step * q->pitch + i % taps * q->across.step * q->m;
    return to != NULL;
}

/* So many lines that their copy stays in the cache, or that make enough rows. */
static void choose_lines(params *q) {
    const hone_windows *w = &q->w;
    const int64_t row = q->pitch * (int64_t)sizeof(float), all = q->down.high - q->down.first,
                  beside = q->down.first - q->down.low;
    int64_t lines = row ? ROOM_BYTES / row - beside : 1;
    lines = hone_max_i64(lines, hone_tasks(LEAST_ROWS, w->in[2]));
    q->bands = hone_tasks(all, hone_max_i64(hone_min_i64(lines, all), 1));
    q->lines = hone_tasks(all, hone_max_i64(q->bands, 1));
}

static hone_status set_up_phases(hone_prepare *p, params *q, hone_error *err) {
    size_t scratch = 0;
    for (int64_t rh = 0; rh < q->down.stride; rh++)
        for (int64_t rw = 0; rw < q->across.stride; rw++) {
            const int64_t taps = taps_of(q, rh, rw);
            if (taps == 0) continue;
            q->at[rh][rw] = scratch;
            scratch += hone_align_64(q->depthwise ? (size_t)(taps * q->c) * sizeof(float)
                                                  : q->family->packed_size(taps * q->m, q->c));
            if (!(q->depthwise ? make_offsets : make_runs)(p, q, rh, rw)) return hone_fail_memory(err);
        }
    p->scratch = scratch;
    return HONE_OK;
}

static hone_run_fn run;

static hone_status prepare(hone_prepare *p, bool depthwise, hone_error *err) {
    const hone_type dy = hone_type_channels_first(p->in[DY]), x = hone_type_channels_first(p->in[LIKE]);
    params *q = hone_prepare_alloc(p, sizeof *q);
    hone_window window;
    if (!q) return hone_fail_memory(err);
    HONE_TRY(hone_window_read(p->node, x.rank, NULL, &window, err));
    q->w = hone_windows_of(&window, x.dims[1], &x, &dy);
    if (!hone_back_takes(&q->w))
        return hone_prepare_fail(p, err, "strides or dilations beyond what it takes");
    q->depthwise = depthwise;
    q->m = dy.dims[1];
    q->c = x.dims[1];
    q->batch = x.dims[0];
    q->family = hone_kernels_get()->gemm[HONE_GEMM_F32];
    q->down = hone_back_axis_of(&q->w, 1);
    q->across = hone_back_axis_of(&q->w, 2);
    const hone_windows *w = &q->w;
    q->copies =
        q->down.low < 0 || q->across.low < 0 || q->down.high > w->out[1] || q->across.high > w->out[2];
    q->width = q->copies ? q->across.high - q->across.low : w->out[2];
    q->pitch = q->width * q->m;
    const double taps = (double)hone_windows_taps(w), positions = (double)hone_windows_positions(w);
    const double image =
        depthwise ? 10 + (double)(w->in[1] * w->in[2] * q->c) * 0.15 + positions * (double)q->c * taps * 0.03
                  : positions * taps * (double)(q->m * q->c) * (double)q->family->nanoseconds;
    choose_lines(q);
    const int64_t bands = q->batch * q->bands;
    q->cut = hone_cut_make(hone_type_count(&x) ? bands : 0, image / (double)hone_max_i64(q->bands, 1), 1);
    q->packing = hone_cut_make(q->depthwise ? 0 : hone_tasks(q->c, q->family->panel),
                               taps * (double)(q->m * q->family->panel) * 0.3, 1);
    HONE_TRY(set_up_phases(p, q, err));
    if (q->copies)
        p->worker_scratch =
            (size_t)((q->lines + q->down.first - q->down.low) * q->pitch) * sizeof(float) + 64;
    p->params = q;
    p->run = run;
    p->kernel = depthwise ? "phases of channels" : "phases of windows";
    return HONE_OK;
}

/* --- running --- */

typedef struct job {
    const params *p;
    const hone_step *step;
    const hone_frame *frame;
    const float *dy, *w;
    float *x;
    char *packed;
} job;

/* Panels [begin, end) of all phases' weights: row (a, b, m) of a phase is what tap (last - a, last - b) of channel m has for
 * the channels of X. */
static void pack(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const params *p = j->p;
    const int64_t panel = p->family->panel, taps = hone_windows_taps(&p->w), row = taps * p->c;
    for (int64_t rh = 0; rh < p->down.stride; rh++)
        for (int64_t rw = 0; rw < p->across.stride; rw++) {
            const hone_back_phase *h = &p->down.phase[rh], *w = &p->across.phase[rw];
            const int64_t all = taps_of(p, rh, rw);
            for (int64_t i = 0; i < all; i++) {
                const int64_t tap = (h->last - i / w->taps * p->down.tap_step) * p->w.kernel[2] + w->last -
                                    i % w->taps * p->across.tap_step;
                hone_gemm_b b = {.k = all * p->m,
                                 .n = p->c,
                                 .b = (const void *)((uintptr_t)(j->w + tap * p->c) -
                                                     (uintptr_t)(i * p->m * row) * sizeof(float)),
                                 .b_row = row,
                                 .b_col = 1,
                                 .packed = j->packed + p->at[rh][rw]};
                p->family->pack(&b, i * p->m, (i + 1) * p->m, begin * panel, hone_min_i64(end * panel, p->c));
            }
        }
}

static void lay_taps(const job *j) {
    const params *p = j->p;
    for (int64_t rh = 0; rh < p->down.stride; rh++)
        for (int64_t rw = 0; rw < p->across.stride; rw++) {
            const hone_back_phase *h = &p->down.phase[rh], *w = &p->across.phase[rw];
            float *to = (float *)(void *)(j->packed + p->at[rh][rw]);
            for (int64_t i = 0; i < taps_of(p, rh, rw); i++, to += p->c) {
                const int64_t tap = (h->last - i / w->taps * p->down.tap_step) * p->w.kernel[2] + w->last -
                                    i % w->taps * p->across.tap_step;
                memcpy(to, j->w + tap * p->c, (size_t)p->c * sizeof *to);
            }
        }
}

/* Lines of dY from `line` on, `count` of them, with zeros outside. */
static const float *copy_lines(const params *p, const float *dy, int64_t line, int64_t count, float *room) {
    const hone_windows *w = &p->w;
    const size_t left = (size_t)(-p->across.low * p->m),
                 middle = (size_t)(hone_min_i64(w->out[2], p->across.high) * p->m),
                 right = (size_t)p->pitch - left - middle;
    float *to = room;
    for (int64_t i = line; i < line + count; i++, to += p->pitch) {
        if (i < 0 || i >= w->out[1]) {
            memset(to, 0, (size_t)p->pitch * sizeof *to);
            continue;
        }
        memset(to, 0, left * sizeof *to);
        memcpy(to + left, dy + i * w->out[2] * p->m, middle * sizeof *to);
        memset(to + left + middle, 0, right * sizeof *to);
    }
    return room;
}

/* Elements that nobody sees. */
static void clear(const params *p, const hone_back_phase *across, float *x, int64_t count) {
    for (int64_t i = 0; i < count; i++)
        for (int64_t k = 0; k < across->count; k++)
            memset(x + (i * p->down.stride * p->w.in[2] + k * p->across.stride) * p->c, 0,
                   (size_t)p->c * sizeof *x);
}

/* `count` lines of elements of a phase, the first at x, which see what lies at `from`. */
static void multiply(const job *j, int64_t rh, int64_t rw, const float *from, float *x, int64_t count) {
    const params *p = j->p;
    const int64_t width = p->across.phase[rw].count, step = p->across.stride * p->c,
                  line = p->down.stride * p->w.in[2] * p->c;
    const bool together = p->across.stride == 1 && p->down.stride == 1;
    hone_gemm g = {.m = together ? count * width : width,
                   .n = p->c,
                   .k = taps_of(p, rh, rw) * p->m,
                   .a = from,
                   .a_row = p->m,
                   .a_col = 1,
                   .runs = p->runs[rh][rw],
                   .a_line = width,
                   .a_line_step = p->pitch,
                   .b = j->packed + p->at[rh][rw],
                   .c = x,
                   .c_row = step,
                   .epilogue = {.store = HONE_STORE_F32, .alpha = 1, .lo = -INFINITY, .hi = INFINITY}};
    if (together) {
        p->family->run(&g, 0, g.m, 0, g.n);
        return;
    }
    for (int64_t i = 0; i < count; i++) {
        g.a = from + i * p->pitch;
        g.c = x + i * line;
        p->family->run(&g, 0, width, 0, g.n);
    }
}

static void weigh(const job *j, int64_t rh, int64_t rw, const float *from, float *x, int64_t count) {
    const params *p = j->p;
    hone_depthwise d = {.channels = p->c,
                        .width = p->across.phase[rw].count,
                        .step = p->m,
                        .line = p->pitch,
                        .taps = taps_of(p, rh, rw),
                        .offset = p->offsets[rh][rw],
                        .weight = j->packed + p->at[rh][rw],
                        .y_step = p->across.stride * p->c,
                        .y_line = p->down.stride * p->w.in[2] * p->c,
                        .epilogue = {.store = HONE_STORE_F32, .alpha = 1, .lo = -INFINITY, .hi = INFINITY}};
    hone_kernels_get()->depthwise_f32(&d, from, count, x);
}

/* Lines q in [q0, q1) of phase (rh, rw) of an image of X; `from` has lines of dY from `top` on. */
static void run_phase(const job *j, int64_t rh, int64_t rw, int64_t q0, int64_t q1, const float *from,
                      int64_t top, float *x) {
    const params *p = j->p;
    const hone_back_phase *h = &p->down.phase[rh], *w = &p->across.phase[rw];
    const int64_t first = (h->first + p->w.pad[1]) / p->down.stride, begin = hone_max_i64(q0, first),
                  end = hone_min_i64(q1, first + h->count), left = p->copies ? p->across.low : 0;
    if (begin >= end || w->count == 0) return;
    x += ((h->first + (begin - first) * p->down.stride) * p->w.in[2] + w->first) * p->c;
    if (taps_of(p, rh, rw) == 0) {
        clear(p, w, x, end - begin);
        return;
    }
    from += (h->from + begin - first - top) * p->pitch + (w->from - left) * p->m;
    (p->depthwise ? weigh : multiply)(j, rh, rw, from, x, end - begin);
}

static void run_bands(void *arg, int64_t begin, int64_t end, int worker) {
    const job *j = arg;
    const params *p = j->p;
    const hone_windows *w = &p->w;
    float *room = hone_step_worker_scratch(j->step, j->frame, worker);
    for (int64_t item = begin; item < end; item++) {
        const int64_t image = item / p->bands, q0 = p->down.first + item % p->bands * p->lines,
                      q1 = hone_min_i64(q0 + p->lines, p->down.high);
        const float *dy = j->dy + image * w->out[1] * w->out[2] * p->m, *from = dy;
        float *x = j->x + image * w->in[1] * w->in[2] * p->c;
        const int64_t top = p->copies ? q0 - p->down.first + p->down.low : 0;
        if (p->copies) from = copy_lines(p, dy, top, q1 - q0 + p->down.first - p->down.low, room);
        for (int64_t rh = 0; rh < p->down.stride; rh++)
            for (int64_t rw = 0; rw < p->across.stride; rw++) run_phase(j, rh, rw, q0, q1, from, top, x);
    }
}

static hone_status run(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    job j = {step->params,
             step,
             frame,
             hone_step_in(step, frame, DY),
             hone_step_in(step, frame, W),
             hone_step_out(step, frame, 0),
             hone_step_scratch(step, frame)};
    if (j.p->cut.count == 0) return HONE_OK;
    if (j.p->depthwise)
        lay_taps(&j);
    else
        hone_cut_run(&j.p->packing, frame, pack, &j);
    hone_cut_run(&j.p->cut, frame, run_bands, &j);
    return HONE_OK;
}

/* --- the operators --- */

static hone_status infer(hone_infer *ctx, hone_error *err) {
    (void)err;
    return hone_infer_as_input(ctx, LIKE);
}

static int64_t multiply_adds(const hone_node *n, const hone_type *const *in, const hone_type *out) {
    (void)n;
    (void)out;
    return hone_type_count(in[DY]) * in[W]->dims[1];
}

static int64_t multiply_adds_depthwise(const hone_node *n, const hone_type *const *in, const hone_type *out) {
    (void)n;
    (void)out;
    return hone_type_count(in[DY]) * in[W]->dims[0];
}

/* A convolution of dY by the weights turned. */
static hone_status prepare_winograd(hone_prepare *p, int size, hone_error *err) {
    const hone_type dy = hone_type_channels_first(p->in[DY]), x = hone_type_channels_first(&p->out[0]);
    hone_product s = HONE_PRODUCT_INIT;
    hone_window window;
    HONE_TRY(hone_window_read(p->node, x.rank, NULL, &window, err));
    for (int i = 0; i < window.axes; i++) {
        window.pad[i] = 2 - window.pad[i];
        window.end[i] = 2 - window.end[i];
    }
    const hone_windows windows = hone_windows_of(&window, dy.dims[1], &dy, &x);
    s.b = W;
    s.winograd = size;
    s.turned = true;
    s.b_columns = true;
    s.a_windows = &windows;
    s.m = hone_windows_positions(&windows);
    s.k = 9 * dy.dims[1];
    s.n = x.dims[1];
    s.batch = x.dims[0];
    return hone_product_prepare(p, &s, err);
}

static hone_status prepare_conv(hone_prepare *p, hone_error *err) {
    const int size = (int)hone_node_int(p->node, "winograd");
    return size ? prepare_winograd(p, size, err) : prepare(p, false, err);
}

static hone_status prepare_depthwise(hone_prepare *p, hone_error *err) {
    return prepare(p, true, err);
}

#define BACKWARD                                                                                             \
    .domain = HONE_PRIVATE_DOMAIN, .since = 1, .oldest = 1,                                                  \
    .inputs = HONE_SLOTS({"dY", 'T', FLOAT, 0}, {"W", 'T', FLOAT, 0}, {"X", 'T', FLOAT, 0}),                 \
    .outputs = HONE_SLOTS({"dX", 'T', FLOAT, 0}),                                                            \
    .attrs = HONE_ATTRS(HONE_WINDOW_ATTRS, {"dilations", HONE_ATTR_INTS}, {"winograd", HONE_ATTR_INT}),      \
    .infer = infer

const hone_op hone_op_conv_last_grad_x = {.name = "ConvLastGradX",
                                          BACKWARD,
                                          .multiply_adds = multiply_adds,
                                          .prepare = prepare_conv,
                                          .doc = "gradient of ConvLast to its input"};

const hone_op hone_op_depthwise_last_grad_x = {.name = "DepthwiseLastGradX",
                                               BACKWARD,
                                               .multiply_adds = multiply_adds_depthwise,
                                               .prepare = prepare_depthwise,
                                               .doc = "gradient of DepthwiseLast to its input"};
