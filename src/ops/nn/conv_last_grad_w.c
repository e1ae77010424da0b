/* Gradients to the weights of ConvLast and DepthwiseLast, as the weights of a convolution lie, [M, C, taps].
 *
 *   ConvLastGradW        dW [M, taps * C] = dY^T [M, positions] times what the windows see [positions, taps * C], which is
 *                        laid out for some positions at a time; positions are those of all images
 *   DepthwiseLastGradW   channel by channel, some lines of positions at a time, in a copy with zeros around it
 *
 * Positions are cut into parts that depend on sizes alone; each has a sum of its own, which are added in order. */
#include "graph/infer.h"
#include "graph/run.h"
#include "kernels/kernels.h"
#include "ops/common/channels_last.h"
#include "ops/common/cut.h"
#include "ops/common/walk.h"
#include "ops/engine/window.h"
#include "ops/nn/conv_last.h"

#include <math.h>
#include <string.h>

#define FLOAT HONE_TYPE(HONE_FLOAT32)
#define POSITIONS 128           /* at once: what they see and their dY stay near */
#define COLUMNS 1152            /* of dW in a task, about */
#define ROWS 128                /* of dW in a task */
#define TASKS 24                /* from so many on positions are not cut */
#define LEAST_PART 512          /* positions of a part, ... */
#define LEAST_LINES 8           /* ... and lines of a part of channels by themselves */
#define ROOM_BYTES (192 * 1024) /* of lines that are copied at once, about */

enum { DY, X, LIKE };

typedef struct params {
    hone_windows w;
    bool depthwise, direct; /* direct: windows see one element, each position one of its own */
    int64_t m, c, batch, taps, positions;
    /* products */
    int64_t each, blocks;     /* taps (direct: channels) of a block of columns, and how many blocks */
    int64_t rows, row_blocks; /* of dW */
    int64_t part, parts;      /* positions, or bands, of a part */
    const hone_gemm_family *family;
    /* channels by themselves */
    hone_depthwise windows;
    int64_t lines, bands, width,
        pitch; /* lines of positions in a band, bands of an image, a line of the copy */
    bool copies;
    hone_cut cut, sum;
} params;

typedef struct job {
    const params *p;
    const hone_step *step;
    const hone_frame *frame;
    const float *dy, *x;
    float *sums; /* [parts, M, taps * C], or [parts, taps, C] */
} job;

/* --- what windows see --- */

/* Taps [t0, t1) of a window's line that begins at element `at` of the image's line `from` (NULL: outside). */
static float *lay_line(const hone_windows *w, const float *from, int64_t at, int64_t t0, int64_t t1,
                       float *to) {
    const int64_t c = w->channels, step = w->dilation[2];
    if (from && step == 1 && at + t0 >= 0 && at + t1 <= w->in[2]) {
        memcpy(to, from + (at + t0) * c, (size_t)((t1 - t0) * c) * sizeof *to);
        return to + (t1 - t0) * c;
    }
    for (int64_t t = t0; t < t1; t++, to += c) {
        const int64_t i = at + t * step;
        if (from && i >= 0 && i < w->in[2])
            memcpy(to, from + i * c, (size_t)c * sizeof *to);
        else
            memset(to, 0, (size_t)c * sizeof *to);
    }
    return to;
}

/* Taps [t0, t1) of `count` windows from position `first` on, counted over all images: a row each. */
static void lay(const params *p, const float *x, int64_t first, int64_t count, int64_t t0, int64_t t1,
                float *to) {
    const hone_windows *w = &p->w;
    const int64_t across = w->kernel[2], image_size = w->in[1] * w->in[2] * w->channels;
    int64_t image = first / p->positions, line = first % p->positions / w->out[2], column = first % w->out[2];
    for (int64_t i = 0; i < count; i++) {
        for (int64_t t = t0, end; t < t1; t = end) {
            const int64_t row = t / across, h = line * w->stride[1] - w->pad[1] + row * w->dilation[1];
            end = hone_min_i64((row + 1) * across, t1);
            const float *from =
                h >= 0 && h < w->in[1] ? x + image * image_size + h * w->in[2] * w->channels : NULL;
            to = lay_line(w, from, column * w->stride[2] - w->pad[2], t - row * across, end - row * across,
                          to);
        }
        if (++column < w->out[2]) continue;
        column = 0;
        if (++line < w->out[1]) continue;
        line = 0;
        image++;
    }
}

/* --- products --- */

static void add_positions(const job *j, int64_t first, int64_t count, int64_t block, int64_t m0, int64_t m1,
                          float *sum, bool begin, float *room) {
    const params *p = j->p;
    const int64_t k = p->taps * p->c, c0 = block * p->each,
                  c1 = hone_min_i64(c0 + p->each, p->direct ? p->c : p->taps);
    const int64_t columns = p->direct ? c1 - c0 : (c1 - c0) * p->c;
    float *c = sum + (p->direct ? c0 : c0 * p->c);
    const float *b = j->x + first * p->c + c0;
    if (!p->direct) {
        lay(p, j->x, first, count, c0, c1, room);
        b = room;
    }
    hone_gemm g = {.m = p->m,
                   .n = columns,
                   .k = count,
                   .a = j->dy + first * p->m,
                   .a_row = 1,
                   .a_col = p->m,
                   .b = b,
                   .b_row = p->direct ? p->c : columns,
                   .b_col = 1,
                   .c = c,
                   .c_row = k,
                   .epilogue = {.store = HONE_STORE_F32,
                                .alpha = 1,
                                .residual = begin ? NULL : c,
                                .residual_row = k,
                                .lo = -INFINITY,
                                .hi = INFINITY}};
    p->family->run(&g, m0, m1, 0, columns);
}

/* Items: part, block of columns, block of rows. */
static void run_products(void *arg, int64_t begin, int64_t end, int worker) {
    const job *j = arg;
    const params *p = j->p;
    float *room = hone_step_worker_scratch(j->step, j->frame, worker);
    for (int64_t item = begin; item < end; item++) {
        const int64_t m0 = item % p->row_blocks * p->rows, m1 = hone_min_i64(m0 + p->rows, p->m);
        const int64_t block = item / p->row_blocks % p->blocks, part = item / p->row_blocks / p->blocks;
        const int64_t first = part * p->part, last = hone_min_i64(first + p->part, p->batch * p->positions);
        float *sum = j->sums + part * p->m * p->taps * p->c;
        for (int64_t at = first; at < last; at += POSITIONS)
            add_positions(j, at, hone_min_i64(POSITIONS, last - at), block, m0, m1, sum, at == first, room);
    }
}

/* --- channels by themselves --- */

/* What `count` lines of positions from `line` on see of an image. */
static const float *copy_lines(const params *p, const float *x, int64_t line, int64_t count, float *room) {
    const hone_windows *w = &p->w;
    const int64_t left = hone_min_i64(w->pad[2], p->width), middle = hone_min_i64(w->in[2], p->width - left);
    const int64_t rows = (count - 1) * w->stride[1] + (w->kernel[1] - 1) * w->dilation[1] + 1, c = p->c;
    float *to = room;
    for (int64_t i = 0; i < rows; i++, to += p->pitch) {
        const int64_t h = line * w->stride[1] - w->pad[1] + i;
        if (h < 0 || h >= w->in[1]) {
            memset(to, 0, (size_t)p->pitch * sizeof *to);
            continue;
        }
        memset(to, 0, (size_t)(left * c) * sizeof *to);
        memcpy(to + left * c, x + h * w->in[2] * c, (size_t)(middle * c) * sizeof *to);
        memset(to + (left + middle) * c, 0, (size_t)(p->pitch - (left + middle) * c) * sizeof *to);
    }
    return room;
}

/* Items are parts: bands of lines, counted over all images. */
static void run_channels(void *arg, int64_t begin, int64_t end, int worker) {
    const job *j = arg;
    const params *p = j->p;
    const hone_windows *w = &p->w;
    float *room = hone_step_worker_scratch(j->step, j->frame, worker);
    for (int64_t part = begin; part < end; part++) {
        float *sum = j->sums + part * p->taps * p->c;
        memset(sum, 0, (size_t)(p->taps * p->c) * sizeof *sum);
        for (int64_t at = part * p->part; at < hone_min_i64((part + 1) * p->part, p->batch * p->bands);
             at++) {
            const int64_t image = at / p->bands, line = at % p->bands * p->lines,
                          count = hone_min_i64(p->lines, w->out[1] - line);
            const float *x = j->x + image * w->in[1] * w->in[2] * p->c,
                        *dy = j->dy + (image * w->out[1] + line) * w->out[2] * p->c,
                        *from = p->copies ? copy_lines(p, x, line, count, room)
                                          : x + line * w->stride[1] * w->in[2] * p->c;
            hone_kernels_get()->depthwise_grad_f32(&p->windows, from, dy, count, sum);
        }
    }
}

/* --- the sum of parts, as weights lie --- */

/* Items are rows of dW; of channels by themselves there is one, of all. */
static void sum_parts(void *arg, int64_t begin, int64_t end, int worker) {
    const job *j = arg;
    const params *p = j->p;
    const int64_t k = p->taps * p->c, all = (p->depthwise ? 1 : p->m) * k;
    const int64_t columns = p->c;
    float *row = hone_step_worker_scratch(j->step, j->frame, worker),
          *y = hone_step_out(j->step, j->frame, 0);
    for (int64_t i = begin; i < end; i++) {
        const float *from = j->sums + i * k;
        float *to = y + i * k;
        if (p->parts > 1) {
            float *sum = p->taps == 1 ? to : row;
            hone_kernels_get()->fold_f32[HONE_FOLD_SUM].rows(from, p->parts, k, all, sum, false);
            from = sum;
        }
        if (p->taps == 1 && from != to) memcpy(to, from, (size_t)k * sizeof *to);
        if (p->taps > 1)
            hone_kernels_get()->transpose_32((const uint32_t *)(const void *)from, p->taps, columns, columns,
                                             (uint32_t *)(void *)to, p->taps);
    }
}

static hone_status run(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    const params *p = step->params;
    job j = {p, step, frame, hone_step_in(step, frame, DY), hone_step_in(step, frame, X), NULL};
    float *y = hone_step_out(step, frame, 0);
    if (p->cut.count == 0) {
        memset(y, 0, (size_t)((p->depthwise ? 1 : p->m) * p->taps * p->c) * sizeof *y);
        return HONE_OK;
    }
    const bool plain = p->parts == 1 && p->taps == 1;
    j.sums = plain ? y : hone_step_scratch(step, frame);
    hone_cut_run(&p->cut, frame, p->depthwise ? run_channels : run_products, &j);
    if (!plain) hone_cut_run(&p->sum, frame, sum_parts, &j);
    return HONE_OK;
}

/* --- preparing --- */

static int64_t clamp(int64_t x, int64_t low, int64_t high) {
    return x < low ? low : x > high ? high : x;
}

/* `size` in blocks of about `wanted`, of whole units, as equal as can be. */
static int64_t even(int64_t size, int64_t unit, int64_t wanted) {
    const int64_t units = hone_tasks(size, unit), blocks = hone_tasks(units, clamp(wanted / unit, 1, units));
    return hone_tasks(units, blocks) * unit;
}

static bool is_direct(const hone_windows *w) {
    return hone_windows_taps(w) == 1 && w->in[1] == w->out[1] && w->in[2] == w->out[2] && w->stride[1] == 1 &&
           w->stride[2] == 1 && w->pad[1] == 0 && w->pad[2] == 0;
}

static void cut_products(hone_prepare *p, params *q) {
    const int64_t all = q->batch * q->positions;
    const double work =
        (double)all * (double)(q->taps * q->c) * ((double)q->m * (double)q->family->nanoseconds + 0.1);
    q->direct = is_direct(&q->w);
    if (q->direct)
        q->each = even(q->c, q->family->panel, COLUMNS / 4);
    else
        q->each = even(q->taps, 1, COLUMNS / q->c);
    q->blocks = hone_tasks(q->direct ? q->c : q->taps, q->each);
    q->rows = even(q->m, q->family->rows, ROWS);
    q->row_blocks = hone_tasks(q->m, q->rows);
    const int64_t tasks = q->blocks * q->row_blocks,
                  parts = clamp(hone_min_i64(TASKS / tasks, all / LEAST_PART), 1, all);
    q->part = hone_tasks(hone_tasks(all, parts), POSITIONS) * POSITIONS;
    q->parts = hone_tasks(all, q->part);
    q->cut = hone_cut_make(tasks * q->parts, work / (double)(tasks * q->parts), 1);
    if (!q->direct) p->worker_scratch = (size_t)(POSITIONS * q->each * q->c) * sizeof(float);
}

static hone_status cut_channels(hone_prepare *p, params *q, hone_error *err) {
    const hone_windows *w = &q->w;
    const int64_t reach = (w->out[2] - 1) * w->stride[2] + (w->kernel[2] - 1) * w->dilation[2] + 1,
                  down = (w->out[1] - 1) * w->stride[1] + (w->kernel[1] - 1) * w->dilation[1] + 1;
    q->copies = w->pad[1] || w->pad[2] || reach > w->in[2] || down > w->in[1];
    q->width = q->copies ? reach : w->in[2];
    q->pitch = q->width * q->c;
    const int64_t row = q->pitch * w->stride[1] * (int64_t)sizeof(float);
    q->bands = hone_tasks(w->out[1], clamp(ROOM_BYTES / (row ? row : 1), 1, w->out[1]));
    q->lines = hone_tasks(w->out[1], q->bands);
    q->bands = hone_tasks(w->out[1], q->lines);
    int64_t *offset = hone_prepare_alloc(p, (size_t)q->taps * sizeof *offset);
    if (!offset) return hone_fail_memory(err);
    for (int64_t t = 0; t < q->taps; t++)
        offset[t] = t / w->kernel[2] * w->dilation[1] * q->pitch + t % w->kernel[2] * w->dilation[2] * q->c;
    q->windows = (hone_depthwise){.channels = q->c,
                                  .width = w->out[2],
                                  .step = w->stride[2] * q->c,
                                  .line = w->stride[1] * q->pitch,
                                  .y_step = q->c,
                                  .y_line = w->out[2] * q->c,
                                  .taps = q->taps,
                                  .offset = offset};
    const int64_t all = q->batch * q->bands, least = hone_tasks(LEAST_LINES, q->lines);
    q->part = hone_max_i64(hone_tasks(all, TASKS), least);
    q->parts = hone_tasks(all, q->part);
    const double work = (double)(q->batch * q->positions * q->c) * (0.1 + 0.04 * (double)q->taps);
    q->cut = hone_cut_make(q->parts, work / (double)q->parts, 1);
    if (q->copies)
        p->worker_scratch =
            (size_t)(((q->lines - 1) * w->stride[1] + (w->kernel[1] - 1) * w->dilation[1] + 1) * q->pitch) *
            sizeof(float);
    return HONE_OK;
}

static hone_status prepare(hone_prepare *p, bool depthwise, hone_error *err) {
    const hone_type dy = hone_type_channels_first(p->in[DY]), x = hone_type_channels_first(p->in[X]);
    params *q = hone_prepare_alloc(p, sizeof *q);
    hone_window window;
    if (!q) return hone_fail_memory(err);
    HONE_TRY(hone_window_read(p->node, x.rank, NULL, &window, err));
    q->w = hone_windows_of(&window, x.dims[1], &x, &dy);
    q->depthwise = depthwise;
    q->m = dy.dims[1];
    q->c = x.dims[1];
    q->batch = x.dims[0];
    q->taps = hone_windows_taps(&q->w);
    q->positions = hone_windows_positions(&q->w);
    q->family = hone_kernels_get()->gemm[HONE_GEMM_F32];
    p->params = q;
    p->run = run;
    p->kernel = depthwise ? "channels" : "products of windows";
    if (hone_type_count(&dy) == 0 || hone_type_count(&x) == 0) return HONE_OK;
    if (depthwise)
        HONE_TRY(cut_channels(p, q, err));
    else
        cut_products(p, q);
    const int64_t rows = depthwise ? 1 : q->m, k = q->taps * q->c;
    q->sum = hone_cut_make(rows, (double)k * (0.3 + 0.05 * (double)q->parts), 1);
    if (q->parts > 1 || q->taps > 1) {
        p->scratch = (size_t)(q->parts * rows * k) * sizeof(float);
        if (p->worker_scratch < (size_t)k * sizeof(float)) p->worker_scratch = (size_t)k * sizeof(float);
    }
    return HONE_OK;
}

/* --- the operators --- */

static hone_status infer(hone_infer *ctx, hone_error *err) {
    (void)err;
    return hone_infer_as_input(ctx, LIKE);
}

static int64_t multiply_adds(const hone_node *n, const hone_type *const *in, const hone_type *out) {
    (void)n;
    return hone_type_count(in[DY]) * hone_dims_product(out, 1, out->rank);
}

static hone_status prepare_conv(hone_prepare *p, hone_error *err) {
    return prepare(p, false, err);
}

static hone_status prepare_depthwise(hone_prepare *p, hone_error *err) {
    return prepare(p, true, err);
}

#define BACKWARD                                                                                             \
    .domain = HONE_PRIVATE_DOMAIN, .since = 1, .oldest = 1,                                                  \
    .inputs = HONE_SLOTS({"dY", 'T', FLOAT, 0}, {"X", 'T', FLOAT, 0}, {"W", 'T', FLOAT, 0}),                 \
    .outputs = HONE_SLOTS({"dW", 'T', FLOAT, 0}),                                                            \
    .attrs = HONE_ATTRS(HONE_WINDOW_ATTRS, {"dilations", HONE_ATTR_INTS}), .infer = infer,                   \
    .multiply_adds = multiply_adds

const hone_op hone_op_conv_last_grad_w = {.name = "ConvLastGradW",
                                          BACKWARD,
                                          .prepare = prepare_conv,
                                          .doc = "gradient of ConvLast to its weights, as those of Conv lie"};

const hone_op hone_op_depthwise_last_grad_w = {
    .name = "DepthwiseLastGradW",
    BACKWARD,
    .prepare = prepare_depthwise,
    .doc = "gradient of DepthwiseLast to its weights, as those of Conv lie"};
