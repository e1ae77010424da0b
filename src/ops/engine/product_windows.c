/* Convolution as a product whose rows are the positions of windows over an image with its channels last. Rows are read where
 * they lie; with pads, some lines of positions at a time, in a copy of what they see that has zeros around it:
 *
 *             ┌───────────────┐ zeros
 *   image ──► │ ▒▒▒▒▒▒▒▒▒▒▒▒▒ │ ──► A, row by row ──► kernel ──► Y, line by line
 *             └───────────────┘
 *
 * k is the taps' elements: those of a line of the window are neighbours, in one run. */
#include "ops/common/walk.h"
#include "ops/engine/product_inside.h"

#include <string.h>

#define ROOM_BYTES (192 * 1024) /* of what is copied at once, about: it stays in the second-level cache */
#define LEAST_ROWS 128          /* of A in it, where there are so many */

/* Elements of x under `count` positions of an axis. */
static int64_t reach(const hone_windows *w, int axis, int64_t count) {
    return (count - 1) * w->stride[axis] + (w->kernel[axis] - 1) * w->dilation[axis] + 1;
}

static bool copies(const hone_windows *w) {
    return w->pad[1] || w->pad[2] || reach(w, 1, w->out[1]) > w->in[1] || reach(w, 2, w->out[2]) > w->in[2];
}

/* Lines [line, line + count) of the image at x, in `room`. */
static const float *copy_lines(const hone_product_windows *q, const float *x, int64_t line, int64_t count,
                               float *room) {
    const hone_windows *w = &q->w;
    const int64_t c = w->channels, width = q->pitch / c, rows = reach(w, 1, count);
    const int64_t left = hone_min_i64(w->pad[2], width), middle = hone_min_i64(w->in[2], width - left);
    float *to = room;
    for (int64_t i = 0; i < rows; i++, to += q->pitch) {
        const int64_t h = line * w->stride[1] - w->pad[1] + i;
        if (h < 0 || h >= w->in[1]) {
            memset(to, 0, (size_t)q->pitch * sizeof *to);
            continue;
        }
        memset(to, 0, (size_t)(left * c) * sizeof *to);
        memcpy(to + left * c, x + h * w->in[2] * c, (size_t)(middle * c) * sizeof *to);
        memset(to + (left + middle) * c, 0, (size_t)((width - left - middle) * c) * sizeof *to);
    }
    return room;
}

const float *hone_product_windows_at(const hone_product_job *j, int64_t batch, int64_t line, int64_t count,
                                     int worker) {
    const hone_product_params *p = j->p;
    const hone_product_windows *q = &p->windows;
    const hone_windows *w = &q->w;
    const float *x = (const float *)(const void *)j->a + batch * w->channels * w->plane;
    if (!q->copies) return x + line * q->line_step;
    char *room = (char *)hone_step_worker_scratch(j->step, j->frame, worker) + q->at;
    return copy_lines(q, x, line, count, (float *)(void *)room);
}

/* --- each channel by itself --- */

void hone_product_depthwise_run(void *arg, int64_t begin, int64_t end, int worker) {
    const hone_product_job *j = arg;
    const hone_product_params *p = j->p;
    const hone_product_windows *q = &p->windows;
    const int64_t lines = q->w.out[1], width = q->w.out[2], n = p->s.n;
    hone_depthwise d = q->depthwise;
    d.weight = hone_step_in(j->step, j->frame, p->s.b);
    d.epilogue = p->gemm.epilogue;
    d.epilogue.bias = j->bias;
    for (int64_t at = begin, count; at < end; at += count) {
        const int64_t batch = at / lines, line = at % lines, row = at * width;
        count = hone_min_i64(hone_min_i64(q->lines, lines - line), end - at);
        const float *x = hone_product_windows_at(j, batch, line, count, worker);
        if (j->residual) d.epilogue.residual = (const float *)(const void *)j->residual + row * n;
        hone_kernels_get()->depthwise_f32(&d, x, count, (float *)(void *)j->y + row * n);
        if (p->epilogue.map) hone_product_map_run(j, row, row + count * width, 0, n, worker);
    }
}

/* --- preparing --- */

/* The runs of a window's elements: a line of them at once where these are neighbours. */
static bool make_runs(hone_prepare *p, hone_product_windows *q) {
    const hone_windows *w = &q->w;
    const bool whole = w->dilation[2] == 1 || w->kernel[2] == 1;
    const int64_t each = whole ? w->kernel[2] * w->channels : w->channels, across = whole ? 1 : w->kernel[2];
    const int64_t pieces = hone_tasks(each, HONE_GEMM_RUN),
                  row = q->copies ? q->pitch : w->in[2] * w->channels;
    hone_gemm_run *to = hone_prepare_alloc(p, (size_t)(w->kernel[1] * across * pieces + 1) * sizeof *to);
    q->runs = to;
    for (int64_t i = 0; to && i < w->kernel[1] * across; i++) {
        const int64_t from = i / across * w->dilation[1] * row + i % across * w->dilation[2] * w->channels;
        for (int64_t piece = 0, at = 0; piece < pieces; piece++, to++) {
            const int64_t end = each * (piece + 1) / pieces;
            *to = (hone_gemm_run){from + at, end - at};
            at = end;
        }
    }
    return q->runs != NULL;
}

static bool make_offsets(hone_prepare *p, hone_product_windows *q) {
    const hone_windows *w = &q->w;
    const int64_t row = q->copies ? q->pitch : w->in[2] * w->channels;
    int64_t *offset = hone_prepare_alloc(p, (size_t)hone_windows_taps(w) * sizeof *offset);
    q->depthwise = (hone_depthwise){.channels = w->channels,
                                    .width = w->out[2],
                                    .step = w->stride[2] * w->channels,
                                    .line = q->line_step,
                                    .taps = hone_windows_taps(w),
                                    .offset = offset};
    for (int64_t i = 0; offset && i < q->depthwise.taps; i++)
        offset[i] = i / w->kernel[2] * w->dilation[1] * row + i % w->kernel[2] * w->dilation[2] * w->channels;
    return offset != NULL;
}

/* Images of one line, and windows of one element: rows lie evenly, over all images. */
static bool is_plain(const hone_product_windows *q) {
    const hone_windows *w = &q->w;
    return hone_windows_taps(w) == 1 && w->in[1] == 1 && w->out[1] == 1 && w->stride[2] == 1 &&
           w->in[2] == w->out[2] && !q->copies;
}

hone_status hone_product_windows_choose(hone_prepare *p, hone_product_params *q, hone_error *err) {
    hone_product_windows *windows = &q->windows;
    hone_product *s = &q->s;
    const hone_windows *w = &windows->w;
    windows->w = *s->a_windows;
    s->a_windows = &windows->w;
    windows->copies = copies(w);
    windows->pitch = reach(w, 2, w->out[2]) * w->channels;
    windows->line_step = w->stride[1] * (windows->copies ? windows->pitch : w->in[2] * w->channels);
    if (!s->depthwise && !s->winograd && is_plain(windows)) {
        s->a_windows = NULL;
        s->m *= s->batch;
        s->batch = 1;
        s->a_row = s->k;
        s->a_col = 1;
        return HONE_OK;
    }
    s->a_row = w->stride[2] * w->channels;
    s->a_col = 1;
    if (s->m * s->batch == 0 || s->winograd) return HONE_OK;
    int64_t *matrix = hone_prepare_alloc(p, (size_t)s->batch * sizeof *matrix);
    if (!matrix || !(s->depthwise ? make_offsets(p, windows) : make_runs(p, windows)))
        return hone_fail_memory(err);
    for (int64_t i = 0; i < s->batch; i++) matrix[i] = i;
    s->a_matrix = matrix;
    const int64_t row = windows->pitch * w->stride[1] * (int64_t)sizeof(float);
    int64_t lines = ROOM_BYTES / row, least = hone_tasks(LEAST_ROWS, w->out[2]);
    lines = hone_min_i64(lines > least ? lines : least, w->out[1]);
    windows->lines = windows->copies ? lines : w->out[1];
    windows->bytes =
        windows->copies ? (size_t)(reach(w, 1, windows->lines) * windows->pitch) * sizeof(float) : 0;
    return HONE_OK;
}

/* Blocks of whole lines, where a line is not too long. */
void hone_product_windows_cut(hone_product_params *q) {
    const hone_product *s = &q->s;
    hone_product_blocks *b = &q->blocks;
    const int64_t width = q->windows.w.out[2];
    if (s->depthwise) {
        const int64_t lines = q->windows.w.out[1] * s->batch;
        const double line = 10 + (double)(width * s->n) * (0.15 + 2 * q->family->nanoseconds * (double)s->k);
        b->cut = hone_cut_make(s->m ? lines : 0, line, 1);
        return;
    }
    if (b->row_blocks == 1 || b->rows % width == 0) return;
    const double each = b->cut.nanoseconds;
    b->rows = b->rows < width ? width / hone_tasks(width, b->rows) : b->rows / width * width;
    b->row_blocks = hone_tasks(s->m, b->rows);
    int64_t count = s->batch * b->row_blocks * b->column_blocks;
    b->cut = hone_cut_make(b->cut.count ? count : 0, each / (double)count, 1);
}
