/* Convolution as a product whose rows are the positions of windows over an image with its channels last. Rows are read where
 * they lie; with pads, some lines of positions at a time, in a copy of what they see that has zeros around it:
 *
 *             ┌───────────────┐ zeros
 *   image ──► │ ▒▒▒▒▒▒▒▒▒▒▒▒▒ │ ──► A, row by row ──► kernel ──► Y, line by line
 *             └───────────────┘
 *
 * k is the taps' elements: those of a line of the window are neighbours, in one run. Of bytes, whose copies are cheap, rows of A
 * are laid out whole, some at a time. */
#include "ops/common/walk.h"
#include "ops/engine/product_inside.h"

#include <string.h>

#define ROOM_BYTES (192 * 1024) /* of what is copied at once, about: it stays in the second-level cache */
#define LAID_BYTES (768 * 1024) /* the same of what kernels lay out */
#define LEAST_ROWS 128          /* of A in it, where there are so many */

/* Elements of x under `count` positions of an axis. */
static int64_t reach(const hone_windows *w, int axis, int64_t count) {
    return (count - 1) * w->stride[axis] + (w->kernel[axis] - 1) * w->dilation[axis] + 1;
}

static bool copies(const hone_windows *w) {
    return w->pad[1] || w->pad[2] || reach(w, 1, w->out[1]) > w->in[1] || reach(w, 2, w->out[2]) > w->in[2];
}

/* Lines [line, line + count) of the image at x, in `room`, elements of `size` bytes, which are `fill` around it. */
static void copy_lines(const hone_product_windows *q, const char *x, int64_t line, int64_t count, size_t size,
                       int fill, char *room) {
    const hone_windows *w = &q->w;
    const int64_t width = reach(w, 2, w->out[2]), rows = reach(w, 1, count);
    const int64_t left = hone_min_i64(w->pad[2], width), middle = hone_min_i64(w->in[2], width - left);
    const size_t element = (size_t)w->channels * size, pitch = (size_t)q->pitch * size;
    const size_t before = (size_t)left * element, between = (size_t)middle * element;
    for (int64_t i = 0; i < rows; i++, room += pitch) {
        const int64_t h = line * w->stride[1] - w->pad[1] + i;
        if (h < 0 || h >= w->in[1]) {
            memset(room, fill, pitch);
            continue;
        }
        memset(room, fill, before);
        memcpy(room + before, x + (size_t)(h * w->in[2]) * element, between);
        memset(room + before + between, fill, pitch - before - between);
    }
}

/* What positions [begin, begin + count) of an image of one line see, likewise. */
static void copy_part(const hone_product_windows *q, const char *x, int64_t begin, int64_t count, size_t size,
                      int fill, char *room) {
    const hone_windows *w = &q->w;
    const int64_t first = begin * w->stride[2] - w->pad[2], end = first + reach(w, 2, count);
    const int64_t from = first < 0 ? hone_min_i64(0, end) : first, last = hone_min_i64(end, w->in[2]);
    const int64_t to = last > from ? last : from;
    const size_t element = (size_t)w->channels * size, before = (size_t)(from - first) * element;
    const size_t between = (size_t)(to - from) * element;
    memset(room, fill, before);
    memcpy(room + before, x + (size_t)from * element, between);
    memset(room + before + between, fill, (size_t)(end - first) * element - before - between);
}

/* n elements of x, a multiple of HONE_GEMM_LAY, or zeros, as the kernel wants them. */
static void lay(const hone_product_params *p, const float *x, int64_t n, uint16_t *out) {
    const int64_t part = p->windows.a_part;
    if (n <= 0) return;
    if (x)
        p->family->lay(x, n, out, part);
    else
        for (int i = 0; i < p->family->parts; i++) memset(out + i * part, 0, (size_t)n * sizeof *out);
}

/* As copy_lines, of positions [begin, begin + count) of each line; in parts. */
static void lay_lines(const hone_product_params *p, const float *x, int64_t line, int64_t rows, int64_t begin,
                      int64_t count, uint16_t *room) {
    const hone_windows *w = &p->windows.w;
    const int64_t first = begin * w->stride[2] - w->pad[2], width = reach(w, 2, count), c = w->channels;
    const int64_t left = hone_min_i64(hone_max_i64(-first, 0), width),
                  middle = hone_max_i64(hone_min_i64(w->in[2] - first - left, width - left), 0);
    for (int64_t i = 0; i < rows; i++, room += width * c) {
        const int64_t h = line * w->stride[1] - w->pad[1] + i;
        const bool inside = h >= 0 && h < w->in[1];
        const float *from = inside ? x + (h * w->in[2] + first + left) * c : NULL;
        lay(p, NULL, inside ? left * c : width * c, room);
        if (!inside) continue;
        lay(p, from, middle * c, room + left * c);
        lay(p, NULL, (width - left - middle) * c, room + (left + middle) * c);
    }
}

static char *room_of(const hone_product_job *j, int worker) {
    return (char *)hone_step_worker_scratch(j->step, j->frame, worker) + j->p->windows.at;
}

static const char *image_of(const hone_product_job *j, int64_t batch) {
    const hone_windows *w = &j->p->windows.w;
    return j->a + (size_t)(batch * w->channels * w->plane) * j->p->a_size;
}

/* Whole rows of A, [begin, end) of them. */
static void lay_rows(const hone_product_job *j, int64_t batch, int64_t begin, int64_t end, int worker,
                     hone_gemm *g) {
    const hone_product_windows *q = &j->p->windows;
    uint8_t *rows = (uint8_t *)room_of(j, worker);
    hone_kernels_get()->windows_8(&q->w, (const uint8_t *)image_of(j, batch), begin, end, rows, q->pitch,
                                  (uint8_t)j->x_zero);
    g->a = (const void *)((uintptr_t)rows - (uintptr_t)(begin * q->pitch));
    if (!j->p->integer.sums_a) return;
    int32_t *sums = (int32_t *)(void *)(rows + q->at_sums);
    for (int64_t i = 0; i < end - begin; i++)
        sums[i] = hone_kernels_get()->sum_u8(rows + i * q->pitch, j->p->s.k);
    g->epilogue.a_sum = (const void *)((uintptr_t)sums - (uintptr_t)begin * sizeof *sums);
}

/* What lines [line, line + count) of positions see of image `batch`, count at most windows.lines. */
static const char *lines_at(const hone_product_job *j, int64_t batch, int64_t line, int64_t count,
                            int worker) {
    const hone_product_windows *q = &j->p->windows;
    const char *x = image_of(j, batch);
    if (!q->copies) return x + (size_t)(line * q->line_step) * j->p->a_size;
    char *room = room_of(j, worker);
    if (q->a_part)
        lay_lines(j->p, (const float *)(const void *)x, line, reach(&q->w, 1, count), 0, q->w.out[2],
                  (uint16_t *)(void *)room);
    else
        copy_lines(q, x, line, count, j->p->a_size, j->x_zero & 0xff, room);
    return room;
}

/* The same of positions [begin, begin + count) of an image of one line, count at most windows.part. */
static const char *part_at(const hone_product_job *j, int64_t batch, int64_t begin, int64_t count,
                           int worker) {
    const hone_product_windows *q = &j->p->windows;
    const char *x = image_of(j, batch);
    if (!q->copies) return x + (size_t)(begin * j->p->s.a_row) * j->p->a_size;
    char *room = room_of(j, worker);
    if (q->a_part)
        lay_lines(j->p, (const float *)(const void *)x, 0, 1, begin, count, (uint16_t *)(void *)room);
    else
        copy_part(q, x, begin, count, j->p->a_size, j->x_zero & 0xff, room);
    return room;
}

/* Kernels count rows from the first of all: `first` elements before what lies at `from`. */
static const void *counted_from(const hone_product_job *j, const char *from, int64_t first) {
    const size_t size = j->p->windows.a_part ? sizeof(uint16_t) : j->p->a_size;
    return (const void *)((uintptr_t)from - (uintptr_t)first * size);
}

int64_t hone_product_windows_next(const hone_product_job *j, int64_t batch, int64_t begin, int64_t last,
                                  int worker, hone_gemm *g) {
    const hone_product_windows *q = &j->p->windows;
    const int64_t image = hone_product_a_of(&j->p->s, batch), width = q->w.out[2], line = begin / width;
    if (q->rows) {
        const int64_t end = hone_min_i64(begin + q->rows, last);
        lay_rows(j, image, begin, end, worker, g);
        return end;
    }
    if (q->part) {
        const int64_t end = hone_min_i64(begin + q->part, last);
        g->a = counted_from(j, part_at(j, image, begin, end - begin, worker), begin * j->p->s.a_row);
        return end;
    }
    const int64_t end = hone_min_i64((line + q->lines) * width, last);
    g->a =
        counted_from(j, lines_at(j, image, line, hone_tasks(end, width) - line, worker), line * q->line_step);
    return end;
}

/* --- each channel by itself --- */

void hone_product_depthwise_vectors(const hone_product_params *p, const hone_product_operands *o,
                                    const int8_t *w, hone_product_vectors *v) {
    const int64_t n = p->s.n;
    int32_t *sums = v->correction; /* which is made of them, one by one */
    memset(sums, 0, (size_t)n * sizeof *sums);
    for (int64_t tap = 0; tap < p->s.k; tap++)
        for (int64_t i = 0; i < n; i++) sums[i] += w[tap * n + i];
    hone_product_vectors_make(p, o, sums, 0, v);
}

static void complete_epilogue(const hone_product_job *j, hone_epilogue *e) {
    const hone_product_params *p = j->p;
    hone_gemm g = p->gemm;
    if (p->b.sums) {
        hone_product_vectors v =
            p->integer.fixed ? p->integer.fixed[0]
                             : hone_product_vectors_at(p->s.n, (char *)hone_step_scratch(j->step, j->frame) +
                                                                   p->at_vectors);
        hone_product_integer_gemm(j, 0, 0, &v, &g);
    }
    *e = g.epilogue;
    if (!p->b.sums) e->bias = j->bias;
}

/* `count` lines of d->width positions, which see what lies at x and are rows from `row` on, over all images. */
static void run_depthwise(const hone_product_job *j, hone_depthwise *d, const void *x, int64_t row,
                          int64_t count, int worker) {
    const hone_product_params *p = j->p;
    const int64_t n = p->s.n;
    char *y = j->y + (size_t)(row * n) * p->y_size;
    if (j->residual) d->epilogue.residual = (const float *)(const void *)j->residual + row * n;
    if (p->b.sums)
        hone_kernels_get()->depthwise_8(d, x, count, y, room_of(j, worker) + p->windows.at_sums);
    else
        hone_kernels_get()->depthwise_f32(d, x, count, (float *)(void *)y);
    if (p->epilogue.map) hone_product_map_run(j, row, row + count * d->width, 0, n, worker);
}

void hone_product_depthwise_run(void *arg, int64_t begin, int64_t end, int worker) {
    const hone_product_job *j = arg;
    const hone_product_params *p = j->p;
    const hone_product_windows *q = &p->windows;
    const int64_t width = q->w.out[2], lines = q->part ? hone_tasks(width, q->part) : q->w.out[1];
    hone_depthwise d = q->depthwise;
    d.weight = hone_step_in(j->step, j->frame, p->s.b);
    complete_epilogue(j, &d.epilogue);
    for (int64_t at = begin, count; at < end; at += count) {
        const int64_t batch = at / lines, line = at % lines;
        if (q->part) {
            const int64_t first = line * q->part;
            d.width = hone_min_i64(q->part, width - first);
            run_depthwise(j, &d, part_at(j, batch, first, d.width, worker), batch * width + first, 1, worker);
            count = 1;
        } else {
            count = hone_min_i64(hone_min_i64(q->lines, lines - line), end - at);
            run_depthwise(j, &d, lines_at(j, batch, line, count, worker), at * width, count, worker);
        }
    }
}

/* --- preparing --- */

/* The runs of a window's elements: a line of them at once where these are neighbours. */
static bool make_runs(hone_prepare *p, hone_product_windows *q) {
    const hone_windows *w = &q->w;
    const bool whole = w->dilation[2] == 1 || w->kernel[2] == 1;
    const int64_t each = whole ? w->kernel[2] * w->channels : w->channels, across = whole ? 1 : w->kernel[2];
    const int64_t unit = q->in_place ? HONE_GEMM_PACK_ROWS : each % HONE_GEMM_LAY ? 1 : HONE_GEMM_LAY;
    const int64_t pieces = hone_tasks(each, HONE_GEMM_RUN),
                  row = q->copies ? q->pitch : w->in[2] * w->channels;
    hone_gemm_run *to = hone_prepare_alloc(p, (size_t)(w->kernel[1] * across * pieces + 1) * sizeof *to);
    q->runs = to;
    for (int64_t i = 0; to && i < w->kernel[1] * across; i++) {
        const int64_t from = i / across * w->dilation[1] * row + i % across * w->dilation[2] * w->channels;
        for (int64_t piece = 0, at = 0; piece < pieces; piece++, to++) {
            const int64_t end = each / unit * (piece + 1) / pieces * unit;
            *to = (hone_gemm_run){from + at, end - at};
            at = end;
        }
    }
    return q->runs != NULL;
}

static bool make_offsets(hone_prepare *p, hone_product_windows *q) {
    const hone_windows *w = &q->w;
    const int64_t row = q->copies ? q->pitch : w->in[2] * w->channels;
    const int64_t taps = hone_windows_taps(w), groups = hone_tasks(taps, 4);
    int64_t *offset = hone_prepare_alloc(p, (size_t)groups * 4 * sizeof *offset);
    q->depthwise = (hone_depthwise){.channels = w->channels,
                                    .width = w->out[2],
                                    .step = w->stride[2] * w->channels,
                                    .line = q->line_step,
                                    .y_step = w->channels,
                                    .y_line = w->out[2] * w->channels,
                                    .taps = taps,
                                    .slides = w->kernel[1] == 3 && w->kernel[2] == 3 && w->stride[2] == 1 &&
                                              w->dilation[2] == 1,
                                    .offset = offset};
    for (int64_t i = 0; offset && i < groups * 4; i++) offset[i] = 0;
    for (int64_t i = 0; offset && i < taps; i++)
        offset[i] = i / w->kernel[2] * w->dilation[1] * row + i % w->kernel[2] * w->dilation[2] * w->channels;
    return offset != NULL;
}

#define FULL_TILE 12 /* rows, about, with which a tile takes little longer than what it reads */

/* Bytes that a kernel over tiles reads as windows: lines of a window are whole steps of k, lines of positions full tiles. */
static bool lie_in_steps(const hone_prepare *p, const hone_product *s, const hone_windows *w) {
    const hone_gemm_family *f = hone_kernels_get()->gemm[s->kind];
    const int64_t each = w->dilation[2] == 1 ? w->kernel[2] * w->channels : w->channels, width = w->out[2];
    const int64_t tiles = hone_tasks(width, f->rows / 2);
    return f->windows && each % HONE_GEMM_PACK_ROWS == 0 && hone_tasks(width, tiles) >= FULL_TILE &&
           hone_windows_taps(w) > 1 && !hone_product_needs_b_zero(p, s);
}

/* Images of one line, and windows of one element: rows lie evenly, over all images. */
static bool is_plain(const hone_product_windows *q) {
    const hone_windows *w = &q->w;
    return hone_windows_taps(w) == 1 && w->in[1] == 1 && w->out[1] == 1 && w->stride[2] == 1 &&
           w->in[2] == w->out[2] && !q->copies;
}

/* So many rows at once that they stay in the cache, of whole groups of k: packed B is zero there. */
static void choose_rows(const hone_product *s, hone_product_windows *q) {
    const int64_t group = hone_kernels_get()->gemm[s->kind]->group;
    q->pitch = hone_tasks(s->k, group) * group;
    const int64_t rows = q->pitch ? ROOM_BYTES / q->pitch : LEAST_ROWS;
    q->rows = hone_min_i64(rows > LEAST_ROWS ? rows / LEAST_ROWS * LEAST_ROWS : LEAST_ROWS, s->m);
    q->at_sums = hone_align_64((size_t)(q->rows * q->pitch) +
                               HONE_GEMM_PACK_ROWS); /* a row is read on into the next */
    q->bytes = q->at_sums + (size_t)q->rows * sizeof(int32_t);
}

/* Images of one line go part by part. */
static void choose_part(const hone_product *s, hone_product_windows *q, int64_t size) {
    const hone_windows *w = &q->w;
    const int64_t position = s->a_row * size, most = position ? ROOM_BYTES / position : LEAST_ROWS;
    q->part = hone_min_i64(most > LEAST_ROWS ? most / LEAST_ROWS * LEAST_ROWS : LEAST_ROWS, w->out[2]);
    if (s->depthwise) q->part = hone_min_i64(LEAST_ROWS, w->out[2]);
    if (q->copies) q->bytes = (size_t)(reach(w, 2, q->part) * w->channels * size);
}

/* Can and should the kernel lay the image out? Rows lie evenly then, with those between the ends of lines among them. */
static bool pays_to_lay(const hone_product_params *q) {
    const hone_windows *w = &q->windows.w;
    const int64_t line = reach(w, 2, w->out[2]);
    return q->family->lay && hone_windows_taps(w) > 1 && w->channels % HONE_GEMM_LAY == 0 &&
           w->stride[2] == 1 && (w->stride[1] == 1 || w->out[1] == 1) && 5 * w->out[2] >= 3 * line;
}

/* Lines at once, as many as the cache takes, and room for what is read beyond the last. */
static void choose_laid(const hone_product *s, hone_product_windows *q, const hone_gemm_family *f) {
    const hone_windows *w = &q->w;
    const int64_t line = q->pitch * f->parts * (int64_t)sizeof(uint16_t),
                  most = LAID_BYTES / (line ? line : 1);
    const int64_t beside = reach(w, 1, 1) - 1, least = hone_tasks(LEAST_ROWS, w->out[2]);
    q->line_rows = q->pitch / w->channels;
    q->lines = hone_min_i64(hone_max_i64(most - beside, least), w->out[1]);
    q->a_part = reach(w, 1, q->lines) * q->pitch + HONE_GEMM_LAID_ROWS * s->a_row;
    if (w->out[1] == 1 && w->kernel[1] == 1 && w->pad[1] == 0) {
        const int64_t position = w->channels * f->parts * (int64_t)sizeof(uint16_t),
                      some = LAID_BYTES / position;
        q->part = hone_min_i64(hone_max_i64(some / LEAST_ROWS, 1) * LEAST_ROWS, w->out[2]);
        q->a_part = (reach(w, 2, q->part) + HONE_GEMM_LAID_ROWS) * w->channels;
    }
    q->bytes = (size_t)(q->a_part * f->parts) * sizeof(uint16_t);
}

hone_status hone_product_windows_choose(hone_prepare *p, hone_product_params *q, hone_error *err) {
    hone_product_windows *windows = &q->windows;
    hone_product *s = &q->s;
    const hone_windows *w = &windows->w;
    windows->w = *s->a_windows;
    s->a_windows = &windows->w;
    const bool bytes = s->kind == HONE_GEMM_U8S8;
    const int64_t size = (int64_t)hone_dtype_size(p->in[s->a]->dtype);
    windows->copies = copies(w);
    if (!s->depthwise && !s->winograd && is_plain(windows)) {
        s->a_windows = NULL;
        s->m *= s->batch;
        s->batch = 1;
        s->a_row = s->k;
        s->a_col = 1;
        return HONE_OK;
    }
    const bool laid = pays_to_lay(q);
    windows->in_place = bytes && !s->depthwise && lie_in_steps(p, s, w);
    windows->copies |=
        laid || (bytes && !windows->in_place); /* bytes, depthwise: they are read beyond their end */
    windows->pitch = reach(w, 2, w->out[2]) * w->channels;
    windows->line_step = w->stride[1] * (windows->copies ? windows->pitch : w->in[2] * w->channels);
    s->a_row = w->stride[2] * w->channels;
    s->a_col = 1;
    if (s->m * s->batch == 0 || s->winograd) return HONE_OK;
    int64_t *matrix = hone_prepare_alloc(p, (size_t)s->batch * sizeof *matrix);
    if (!matrix) return hone_fail_memory(err);
    for (int64_t i = 0; i < s->batch; i++) matrix[i] = i;
    s->a_matrix = matrix;
    if (bytes && !s->depthwise && !windows->in_place) {
        choose_rows(s, windows);
        return HONE_OK;
    }
    if (!(s->depthwise ? make_offsets(p, windows) : make_runs(p, windows))) return hone_fail_memory(err);
    if (laid) {
        choose_laid(s, windows, q->family);
        return HONE_OK;
    }
    const int64_t row = windows->pitch * w->stride[1] * size;
    int64_t lines = row ? ROOM_BYTES / row : w->out[1], least = hone_tasks(LEAST_ROWS, w->out[2]);
    lines = hone_min_i64(lines > least ? lines : least, w->out[1]);
    windows->lines = windows->copies ? lines : w->out[1];
    windows->bytes = windows->copies ? (size_t)(reach(w, 1, windows->lines) * windows->pitch * size) : 0;
    if (w->out[1] == 1 && w->kernel[1] == 1 && w->pad[1] == 0) choose_part(s, windows, size);
    if (!bytes || windows->in_place) return HONE_OK;
    windows->at_sums = hone_align_64(windows->bytes + HONE_DEPTHWISE_SLACK);
    windows->bytes = windows->at_sums + (size_t)hone_tasks(s->k, 4) * HONE_DEPTHWISE_GROUP;
    return HONE_OK;
}

/* Blocks of whole lines, where a line is not too long. */
void hone_product_windows_cut(hone_product_params *q) {
    const hone_product *s = &q->s;
    hone_product_blocks *b = &q->blocks;
    const int64_t width = q->windows.w.out[2];
    if (s->depthwise) {
        const int64_t part = q->windows.part, along = part ? part : width,
                      lines = (part ? hone_tasks(width, part) : q->windows.w.out[1]) * s->batch;
        const double line = 10 + (double)(along * s->n) * (0.15 + 2 * q->family->nanoseconds * (double)s->k);
        b->cut = hone_cut_make(s->m && s->n ? lines : 0, line, 1);
        return;
    }
    if (q->windows.rows || q->windows.part || b->row_blocks == 1 || b->rows % width == 0) return;
    const double each = b->cut.nanoseconds;
    b->rows = b->rows < width ? width / hone_tasks(width, b->rows) : b->rows / width * width;
    b->row_blocks = hone_tasks(s->m, b->rows);
    int64_t count = s->batch * b->row_blocks * b->column_blocks;
    b->cut = hone_cut_make(b->cut.count ? count : 0, each / (double)count, 1);
}
