/* Convolution by windows of weights (kernels/image.h). The rows of the image under some lines are laid out first, with zeros
 * at the edges and split by the stride, so that every tap of a line is one run of elements:
 *
 *   x   a b c d e f g        stride 2, one pad:   0 b d f . . | a c e g . .
 *
 * Before including, define DIRECT_TYPE, x's, and as functions that are inlined
 *
 *   load_row(d, p, n)       the first n lanes as floats
 *   load_second(d, p)       p[0], p[2], … as floats
 *   load_one(d, p)
 *   finish(d, sum, channel, y, at, n)   n finished sums, which lie at element `at` of y */
#include "kernels/levels.h"
#include "kernels/vec_range.h"

#define SLACK 32       /* as in generic/direct.c */
#define WIDE_LINES 4   /* of two vectors at once, ... */
#define NARROW_LINES 8 /* ... of one */

typedef struct layout {
    int64_t part, row,
        set; /* elements from one part of a row to the next, from row to row, and from set to set of them */
    int64_t rows, line; /* of a set; from line to line of the output */
    int64_t offset[HONE_DIRECT_TAPS];
} layout;

static int64_t min_i64(int64_t a, int64_t b) {
    return a < b ? a : b;
}
/* A set of rows for each channel and tap in depth. */
static void lay_out(const hone_direct *d, layout *l) {
    const hone_windows *w = &d->w;
    const int64_t step = w->stride[2];
    l->part = w->out[2] + (w->kernel[2] - 1) * w->dilation[2] / step + 1 + SLACK;
    l->row = step * l->part;
    l->rows = (d->lines - 1) * w->stride[1] + (w->kernel[1] - 1) * w->dilation[1] + 1;
    l->set = l->rows * l->row;
    l->line = w->stride[1] * l->row;
    int64_t *to = l->offset;
    for (int64_t set = 0; set < w->channels * w->kernel[0]; set++)
        for (int64_t i = 0; i < w->kernel[1]; i++)
            for (int64_t k = 0; k < w->kernel[2]; k++) {
                const int64_t at = k * w->dilation[2];
                *to++ = set * l->set + i * w->dilation[1] * l->row + at % step * l->part + at / step;
            }
}

/* `rows` rows of the image, one below the other, of which elements first, first + step, … make a part of ours, as far as
 * they are inside; those outside are zeros already. */
static void copy_part(const hone_direct *d, const layout *l, const DIRECT_TYPE *x, int64_t rows,
                      int64_t first, float *y) {
    const hone_windows *w = &d->w;
    const int64_t step = w->stride[2], width = w->in[2];
    const int64_t from = first >= 0 ? 0 : (-first + step - 1) / step;
    const int64_t end = width > first ? min_i64((width - first + step - 1) / step, l->part - SLACK) : 0;
    x += first;
    for (; rows > 0; rows--, x += width, y += l->row) {
        int64_t i = from;
        if (step == 1) {
            for (; i + VEC_F32 <= end; i += VEC_F32) vec_store(y + i, load_row(d, x + i, VEC_F32));
            if (i < end) vec_store_n(y + i, load_row(d, x + i, (int)(end - i)), (int)(end - i));
            continue;
        }
        if (step == 2)
            for (; i + VEC_F32 <= end; i += VEC_F32) vec_store(y + i, load_second(d, x + 2 * i));
        for (; i < end; i++) y[i] = load_one(d, x + i * step);
    }
}

static void clear_rows(const layout *l, int64_t rows, float *y) {
    if (rows > 0) memset(y, 0, (size_t)(rows * l->row) * sizeof *y);
}

/* The rows under lines [line, line + count) of depth `depth`. `cleared`: rows outside have zeros already. */
static void copy_rows(const hone_direct *d, const layout *l, const DIRECT_TYPE *x, int64_t depth,
                      int64_t line, int64_t count, bool cleared, float *room) {
    const hone_windows *w = &d->w;
    const int64_t h0 = line * w->stride[1] - w->pad[1], rows = l->rows - (d->lines - count) * w->stride[1];
    for (int64_t set = 0; set < w->channels * w->kernel[0]; set++, room += l->set) {
        const int64_t z = depth * w->stride[0] - w->pad[0] + set % w->kernel[0] * w->dilation[0];
        int64_t first = min_i64(h0 < 0 ? -h0 : 0, rows), end = min_i64(w->in[1] - h0, rows);
        if (z < 0 || z >= w->in[0] || end < first) end = first;
        if (!cleared) {
            clear_rows(l, first, room);
            clear_rows(l, rows - end, room + end * l->row);
        }
        if (end == first) continue;
        const DIRECT_TYPE *from = x + set / w->kernel[0] * w->plane + (z * w->in[1] + h0 + first) * w->in[2];
        for (int64_t part = 0; part < w->stride[2]; part++)
            copy_part(d, l, from, end - first, part - w->pad[2], room + first * l->row + part * l->part);
    }
}

typedef struct line_work {
    const hone_direct *d;
    const layout *layout;
    int64_t taps, width, channel;
    const float *weight;
    void *y;
} line_work;

/* `lines` lines of `vecs` vectors, the last of them of `last` lanes, at element `at` of y. */
VEC_FN void tile(const line_work *t, const int lines, const int vecs, int last, const float *x, int64_t at) {
    vec_f32 sum[NARROW_LINES];
    const int64_t line = t->layout->line;
    VEC_UNROLL
    for (int i = 0; i < lines * vecs; i++) sum[i] = vec_zero();
    for (int64_t tap = 0; tap < t->taps; tap++) {
        const float *from = x + t->layout->offset[tap];
        const vec_f32 weight = vec_set1(t->weight[tap]);
        VEC_UNROLL
        for (int i = 0; i < lines; i++) {
            VEC_UNROLL
            for (int v = 0; v < vecs; v++)
                sum[i * vecs + v] =
                    vec_fma(weight, vec_load(from + i * line + v * VEC_F32), sum[i * vecs + v]);
        }
    }
    VEC_UNROLL
    for (int i = 0; i < lines; i++) {
        VEC_UNROLL
        for (int v = 0; v < vecs; v++)
            finish(t->d, sum[i * vecs + v], t->channel, t->y, at + i * t->width + v * VEC_F32,
                   v + 1 < vecs ? VEC_F32 : last);
    }
}

VEC_FN void run_lines(const line_work *t, const int lines, const float *x, int64_t at) {
    int64_t i = 0;
    for (; lines <= WIDE_LINES && i + VEC_F32 < t->width; i += 2 * VEC_F32)
        tile(t, lines, 2, (int)min_i64(t->width - i - VEC_F32, VEC_F32), x + i, at + i);
    for (; i < t->width; i += VEC_F32) tile(t, lines, 1, (int)min_i64(t->width - i, VEC_F32), x + i, at + i);
}

#define LINES(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8)
#define DEFINE(lines)                                                                                        \
    static void run_##lines(const line_work *t, const float *x, int64_t at) {                                \
        run_lines(t, lines, x, at);                                                                          \
    }
LINES(DEFINE)
typedef void lines_fn(const line_work *t, const float *x, int64_t at);
#define ENTER(lines) run_##lines,
static lines_fn *const by_lines[NARROW_LINES + 1] = {NULL, LINES(ENTER)};

/* `count` lines of which the rows lie in x, in parts of as many lines as can be, all alike. */
static void run_block(const line_work *t, const float *x, int64_t at, int64_t count) {
    const int64_t most = t->width <= VEC_F32 ? NARROW_LINES : WIDE_LINES, parts = (count + most - 1) / most;
    for (int64_t part = 0, line = 0; part < parts; part++) {
        const int64_t n = count * (part + 1) / parts - line;
        by_lines[n](t, x + line * t->layout->line, at + line * t->width);
        line += n;
    }
}

static void run_direct(const hone_direct *d, const DIRECT_TYPE *x, void *y, int64_t line0, int64_t line1,
                       float *room) {
    const hone_windows *w = &d->w;
    const int64_t taps = w->channels * hone_windows_taps(w), lines = w->out[0] * w->out[1],
                  channels = d->groups * d->outputs;
    layout l;
    lay_out(d, &l);
    line_work t = {.d = d, .layout = &l, .taps = taps, .width = w->out[2], .y = y};
    const size_t bytes = (size_t)(w->channels * w->kernel[0] * l.set + SLACK) * sizeof *room;
    bool cleared = false; /* of whole channels the same rows are outside */
    memset(room, 0, bytes);
    for (int64_t at = line0, channel = line0 / lines, line = line0 % lines, count; at < line1; at += count) {
        const int64_t height = line % w->out[1];
        count = min_i64(min_i64(d->lines, w->out[1] - height), line1 - at);
        t.channel = channel % channels;
        t.weight = (const float *)d->weight + t.channel * taps;
        if (count < lines) cleared = false;
        copy_rows(d, &l, x + channel / d->outputs * w->channels * w->plane, line / w->out[1], height, count,
                  cleared, room);
        cleared = count == lines;
        run_block(&t, room, at * t.width, count);
        line += count;
        if (line == lines) line = 0, channel++;
    }
}
