#include "ops/engine/transposed.h"

#include "graph/infer.h"
#include "kernels/portable.h"
#include "ops/common/cut.h"
#include "ops/common/walk.h"
#include "ops/engine/patches.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define BLOCK_BYTES (192 * 1024) /* of packed patches of all phases of a line */
#define ROWS_BYTES (64 * 1024)   /* of what is made of them, before it is woven */
#define PATCH_BYTE 0.03          /* nanoseconds to make one */
#define WEAVE 0.3                /* and to weave an element */
#define MOST_DIRECT 8            /* channels of a group from which on a product pays */
#define MOST_STRIDE 65536
#define MOST_PHASES ((int64_t)1 << 20)

static size_t align_64(size_t n) {
    return (n + 63) & ~(size_t)63;
}

/* --- weights --- */

static hone_phases phases_of(const hone_transposed *t) {
    hone_phases p = {t->groups, t->channels, t->w.channels, {0}, {0}, {0}};
    for (int i = 0; i < 3; i++) {
        p.kernel[i] = t->w.kernel[i];
        p.stride[i] = t->w.stride[i];
        p.dilation[i] = t->w.dilation[i];
    }
    return p;
}

/* Too many phases to go through them one by one? Such weights are not packed, and no plan takes them. */
static bool is_coarse(const hone_transposed *t) {
    int64_t phases = 1;
    for (int i = 0; i < 3; i++) {
        if (t->w.stride[i] > MOST_STRIDE) return true;
        phases *= t->w.stride[i];
    }
    return phases > MOST_PHASES;
}

typedef struct packing {
    hone_phases phases;
    int64_t step; /* channels of a part */
    size_t size;
} packing;

static void pack_part(const void *source, const void *arg, int64_t part, void *out) {
    const packing *a = arg;
    hone_phase_weights(&a->phases, a->size, source, part * a->step,
                       hone_min_i64((part + 1) * a->step, a->phases.groups * a->phases.channels), out);
}

#define FORMAT_SIZE 160

/* A form is told by what decides it. */
static const char *format_of(const hone_phases *p, char *text) {
    int n = snprintf(text, FORMAT_SIZE, "phases of %lld groups", (long long)p->groups);
    for (int i = 0; i < 3; i++)
        if (p->kernel[i] > 1)
            n += snprintf(text + n, (size_t)(FORMAT_SIZE - n), ", stride %lld dilation %lld",
                          (long long)p->stride[i], (long long)p->dilation[i]);
    return text;
}

hone_status hone_transposed_pack(hone_packer *p, int input, const hone_transposed *t, hone_dtype dtype,
                                 hone_error *err) {
    packing a = {.phases = phases_of(t), .size = hone_dtype_size(dtype)};
    char format[FORMAT_SIZE];
    size_t row = (size_t)(t->w.channels * hone_windows_taps(&t->w)) * a.size;
    a.step = hone_pack_rows(row, 1);
    hone_packing form = {.format = format_of(&a.phases, format),
                         .bytes = row * (size_t)(t->groups * t->channels),
                         .part_bytes = row * (size_t)a.step,
                         .pack = pack_part,
                         .arg = &a,
                         .arg_size = sizeof a};
    return form.bytes && !is_coarse(t) ? hone_pack_constant(p, input, &form, err) : HONE_OK;
}

/* --- the plan --- */

/* Elements first, first + stride, … of an axis of Y. */
typedef struct phase {
    int64_t count, taps;
    int64_t pad, dilation; /* of the convolution over X that makes them */
    int64_t before;        /* taps of the phases before it, as weights are ordered */
} phase;

typedef struct params {
    hone_transposed t;
    hone_gemm_kind kind;
    const hone_gemm_family *family;
    size_t size;          /* of an element */
    const phase *axis[3]; /* by the first element */
    int64_t phases[3];    /* of each axis */
    const void *packed;   /* weights in order; NULL: put in order at each run, in scratch */
    hone_cut order;       /* of the channels */
    bool direct;          /* by windows of weights */
    int64_t lines,
        width; /* of a block: lines of a phase, and elements of each; one line, unless they are whole */
    int64_t rows, strip;   /* of a block, and of a part of it that is woven at once */
    int64_t across, down;  /* blocks along a line, and along the rows */
    const int64_t *blocks; /* [phases[0] * phases[1] + 1]: blocks of lines before those phases */
    size_t at_c, part; /* in worker scratch, behind patches or room, a phase of the line takes `part` bytes */
    hone_cut cut;
} params;

/* Weights of one phase of all axes begin here, by the axes' phases. */
static int64_t weights_before(const params *q, const int64_t *f) {
    const phase *d = &q->axis[0][f[0]], *h = &q->axis[1][f[1]], *v = &q->axis[2][f[2]];
    const hone_windows *w = &q->t.w;
    int64_t taps =
        d->before * w->kernel[1] * w->kernel[2] + d->taps * (h->before * w->kernel[2] + h->taps * v->before);
    return taps * q->t.groups * q->t.channels * w->channels;
}

/* The windows over X that make a phase. */
static hone_windows windows_of(const params *q, const int64_t *f) {
    const hone_windows *w = &q->t.w;
    hone_windows out = {.channels = q->t.channels, .plane = w->out[0] * w->out[1] * w->out[2]};
    for (int i = 0; i < 3; i++) {
        const phase *h = &q->axis[i][f[i]];
        out.in[i] = w->out[i];
        out.out[i] = h->count;
        out.kernel[i] = h->taps;
        out.stride[i] = 1;
        out.dilation[i] = h->dilation;
        out.pad[i] = h->pad;
    }
    return out;
}

/* --- running --- */

/* A block of one group of an image: some lines of a phase of depths and heights. */
typedef struct block {
    int64_t group, f[3];
    int64_t line, lines, column, columns; /* elements [column, column + columns) of a line */
    int64_t row0, row1;
} block;

typedef struct job {
    const params *p;
    const hone_step *step;
    const hone_frame *frame;
    const char *x, *weights, *bias;
    char *y;
} job;

static block block_of(const params *p, int64_t item) {
    block b = {.row0 = item % p->down * p->rows};
    b.row1 = hone_min_i64(b.row0 + p->rows, p->t.w.channels);
    item /= p->down;
    int64_t across = item % p->across, low = 0, high = p->phases[0] * p->phases[1];
    item /= p->across;
    b.group = item / p->blocks[high];
    item %= p->blocks[high];
    while (high - low > 1) {
        int64_t middle = (low + high) / 2;
        if (item < p->blocks[middle])
            high = middle;
        else
            low = middle;
    }
    b.f[0] = low / p->phases[1];
    b.f[1] = low % p->phases[1];
    int64_t lines = p->axis[0][b.f[0]].count * p->axis[1][b.f[1]].count, width = p->axis[2][0].count;
    b.line = (item - p->blocks[low]) * p->lines;
    b.lines = hone_min_i64(p->lines, lines - b.line);
    b.column = across * p->width;
    b.columns = hone_min_i64(p->width, width - b.column);
    return b;
}

static const void *bias_of(const job *j, const block *b) {
    int64_t group = b->group % j->p->t.groups;
    return j->bias ? j->bias + (size_t)(group * j->p->t.w.channels) * j->p->size : NULL;
}

/* Elements of a phase that no window sees. */
static void fill_rows(const job *j, const block *b, int64_t row0, int64_t row1, char *c) {
    static const double zero = 0;
    const char *bias = bias_of(j, b);
    int64_t n = b->lines * b->columns;
    for (int64_t i = row0; i < row1; i++, c += (size_t)n * j->p->size)
        hone_fill(bias ? bias + (size_t)i * j->p->size : (const char *)&zero, j->p->size, c, n);
}

/* Rows [row0, row1) of a phase of the block. */
static void multiply_rows(const job *j, const block *b, const hone_windows *w, const char *weights,
                          const void *patches, int64_t row0, int64_t row1, char *c) {
    const params *p = j->p;
    int64_t n = b->lines * b->columns, k = w->channels * hone_windows_taps(w);
    hone_gemm g = {.m = p->t.w.channels,
                   .n = n,
                   .k = k,
                   .a = weights,
                   .a_row = k,
                   .a_col = 1,
                   .b = patches,
                   .b_row = p->kind == HONE_GEMM_F64 ? n : 0,
                   .b_col = 1,
                   .c = c - (size_t)(row0 * n) * p->size,
                   .c_row = n,
                   .epilogue = {.store = p->kind == HONE_GEMM_F64 ? HONE_STORE_F64 : HONE_STORE_F32,
                                .alpha = 1,
                                .row_bias = bias_of(j, b),
                                .lo = -INFINITY,
                                .hi = INFINITY}};
    p->family->run(&g, row0, row1, 0, n);
}

/* The same where a block has whole lines. */
static void run_windows(const job *j, const block *b, const hone_windows *w, const char *weights, char *room,
                        char *c) {
    const params *p = j->p;
    hone_direct d = {.w = *w,
                     .groups = 1,
                     .outputs = p->t.w.channels,
                     .weight = weights,
                     .epilogue = {.row_bias = bias_of(j, b), .lo = -INFINITY, .hi = INFINITY}};
    const char *x = j->x + (size_t)(b->group * w->channels * w->plane) * p->size;
    int64_t lines = w->out[0] * w->out[1];
    hone_direct_room(&d);
    for (int64_t i = 0; i < p->t.w.channels; i++) {
        int64_t line = i * lines + b->line;
        char *y = c - (size_t)((line - i * b->lines) * w->out[2]) * p->size;
        if (p->kind == HONE_GEMM_F64)
            hone_direct_f64(&d, (const void *)x, (void *)y, line, line + b->lines);
        else
            hone_kernels_get()->direct_f32(&d, (const void *)x, (void *)y, line, line + b->lines,
                                           (void *)room);
    }
}

/* Rows [row0, row1) of the block's phases, which lie at c, into Y. */
static void weave_rows(const job *j, const block *b, int64_t row0, int64_t row1, const char *c) {
    const params *p = j->p;
    const hone_windows *w = &p->t.w;
    int64_t stride = w->stride[2], from = b->column * stride, high = p->axis[1][b->f[1]].count;
    int64_t n = hone_min_i64(from + b->columns * stride, w->in[2]) - from,
            part = (int64_t)(p->part / p->size);
    for (int64_t i = row0; i < row1; i++)
        for (int64_t line = b->line; line < b->line + b->lines; line++) {
            int64_t depth = b->f[0] + line / high * w->stride[0],
                    height = b->f[1] + line % high * w->stride[1];
            int64_t at = (((b->group * w->channels + i) * w->in[0] + depth) * w->in[1] + height) * w->in[2];
            char *y = j->y + (size_t)(at + from) * p->size;
            if (p->kind == HONE_GEMM_F64)
                hone_weave_f64((const void *)c, part, p->phases[2], n, (void *)y);
            else
                hone_kernels_get()->weave_f32((const void *)c, part, p->phases[2], n, (void *)y);
            c += (size_t)b->columns * p->size;
        }
}

/* The patches of all phases of the block's lines, one behind the other. */
static void make_patches(const job *j, const block *b, char *patches) {
    const params *p = j->p;
    const char *x = j->x + (size_t)(b->group * p->t.channels * hone_windows_positions(&p->t.w)) * p->size;
    int64_t n0 = b->line * p->axis[2][0].count + b->column, n1 = n0 + b->lines * b->columns;
    for (int64_t f = 0; f < p->phases[2]; f++) {
        hone_windows w = windows_of(p, (int64_t[]){b->f[0], b->f[1], f});
        if (hone_windows_taps(&w) == 0) continue;
        hone_patches_pack(p->kind, &w, x, n0, n1, patches);
        patches += align_64(hone_patches_bytes(p->kind, &w, n1 - n0));
    }
}

static void run_block(const job *j, const block *b, char *memory) {
    const params *p = j->p;
    if (!p->direct) make_patches(j, b, memory);
    for (int64_t row = b->row0, end; row < b->row1; row = end) {
        const char *patches = memory;
        end = hone_min_i64(row + p->strip, b->row1);
        for (int64_t f = 0; f < p->phases[2]; f++) {
            int64_t phases[] = {b->f[0], b->f[1], f};
            hone_windows w = windows_of(p, phases);
            int64_t taps = hone_windows_taps(&w), k = w.channels * taps;
            const char *weights =
                j->weights +
                (size_t)(weights_before(p, phases) + b->group % p->t.groups * p->t.w.channels * k) * p->size;
            char *c = memory + p->at_c + (size_t)f * p->part;
            if (k == 0) {
                fill_rows(j, b, row, end, c);
            } else if (p->direct) {
                run_windows(j, b, &w, weights, memory, c);
            } else {
                multiply_rows(j, b, &w, weights, patches, row, end, c);
                patches += align_64(hone_patches_bytes(p->kind, &w, b->lines * b->columns));
            }
        }
        weave_rows(j, b, row, end, memory + p->at_c);
    }
}

static void run_blocks(void *arg, int64_t begin, int64_t end, int worker) {
    const job *j = arg;
    char *memory = hone_step_worker_scratch(j->step, j->frame, worker);
    for (int64_t i = begin; i < end; i++) {
        block b = block_of(j->p, i);
        run_block(j, &b, memory);
    }
}

static void order_weights(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    hone_phases phases = phases_of(&j->p->t);
    hone_phase_weights(&phases, j->p->size, hone_step_in(j->step, j->frame, j->p->t.weights), begin, end,
                       hone_step_scratch(j->step, j->frame));
}

static hone_status run(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    const params *p = step->params;
    job j = {.p = p,
             .step = step,
             .frame = frame,
             .x = hone_step_in(step, frame, p->t.x),
             .weights = p->packed,
             .bias = p->t.bias >= 0 ? hone_step_in(step, frame, p->t.bias) : NULL,
             .y = hone_step_out(step, frame, 0)};
    if (p->cut.count == 0) return HONE_OK;
    if (!j.weights) {
        hone_cut_run(&p->order, frame, order_weights, &j);
        j.weights = hone_step_scratch(step, frame);
    }
    hone_cut_run(&p->cut, frame, run_blocks, &j);
    return HONE_OK;
}

/* --- preparing --- */

/* All phases of an axis. Those of a line are as long as its first one: what is too much is not woven. */
static hone_status make_phases(hone_prepare *p, params *q, int axis, hone_error *err) {
    const hone_windows *w = &q->t.w;
    hone_phases all = phases_of(&q->t);
    int64_t stride = w->stride[axis], dilation = w->dilation[axis], count = hone_min_i64(stride, w->in[axis]);
    phase *phases = hone_prepare_alloc(p, (size_t)(count + 1) * sizeof *phases);
    int64_t *before = hone_prepare_alloc(p, (size_t)(stride + 1) * sizeof *before);
    if (!phases || !before) return hone_fail_memory(err);
    for (int64_t r = 0, last, step; r < stride; r++)
        before[r + 1] = before[r] + hone_phase_taps(&all, axis, r, &last, &step);
    for (int64_t f = 0; f < count; f++) {
        int64_t at = f + w->pad[axis], rest = (at % stride + stride) % stride, last, step;
        phase *h = &phases[f];
        h->count = (w->in[axis] - (axis == 2 ? 0 : f) + stride - 1) / stride;
        h->taps = hone_phase_taps(&all, axis, rest, &last, &step);
        h->dilation = h->taps > 1 ? step * dilation / stride : 1;
        h->pad = h->taps ? (last * dilation - at) / stride : 0;
        h->before = before[rest];
    }
    q->axis[axis] = phases;
    q->phases[axis] = count;
    return HONE_OK;
}

static int64_t clamp(int64_t x, int64_t low, int64_t high) {
    return x < low ? low : x > high ? high : x;
}

static int64_t even(int64_t size, int64_t unit, int64_t wanted) {
    int64_t units = hone_tasks(size, unit), blocks = hone_tasks(units, clamp(wanted / unit, 1, units));
    return hone_tasks(units, blocks) * unit;
}

/* How large blocks are, by what an element of all phases of a line costs. */
static hone_status cut(hone_prepare *p, params *q, hone_error *err) {
    const hone_windows *w = &q->t.w;
    int64_t m = w->channels, width = q->axis[2][0].count, positions = w->in[0] * w->in[1] * width,
            panel = q->family->panel;
    int64_t heights = hone_tasks(w->kernel[0], w->stride[0]) * hone_tasks(w->kernel[1], w->stride[1]);
    double depth = (double)(q->t.channels * heights * w->kernel[2] + 1), parts = (double)q->phases[2];
    double column = depth * ((double)m * q->family->nanoseconds + PATCH_BYTE * (double)q->size) +
                    (double)m * parts * WEAVE;
    double all = column * (double)(q->t.batch * q->t.groups * positions), task = hone_task_nanoseconds(all);
    int64_t columns = (int64_t)fmin(BLOCK_BYTES / (depth * (double)q->size), task / column);
    if (columns < panel) columns = panel;
    q->width = q->direct || columns >= width ? width : even(width, panel, columns);
    q->lines = q->width < width ? 1 : clamp(columns / width, 1, w->in[0] * w->in[1]);
    columns = q->width * q->lines;
    q->rows =
        q->direct || column * (double)columns < 2 * task
            ? m
            : even(m, q->family->rows, clamp((int64_t)(task / column / (double)columns * (double)m), 96, m));
    int64_t room = ROWS_BYTES / ((int64_t)parts * columns * (int64_t)q->size + 1);
    q->strip = q->direct
                   ? m
                   : clamp(room / q->family->rows, 1, hone_tasks(q->rows, q->family->rows)) * q->family->rows;
    q->across = hone_tasks(width, q->width);
    q->down = hone_tasks(m, q->rows);
    int64_t pairs = q->phases[0] * q->phases[1],
            *blocks = hone_prepare_alloc(p, (size_t)(pairs + 1) * sizeof *blocks);
    if (!blocks) return hone_fail_memory(err);
    for (int64_t i = 0; i < pairs; i++) {
        int64_t lines = q->axis[0][i / q->phases[1]].count * q->axis[1][i % q->phases[1]].count;
        blocks[i + 1] = blocks[i] + hone_tasks(lines, q->lines);
    }
    q->blocks = blocks;
    int64_t count = q->t.batch * q->t.groups * blocks[pairs] * q->across * q->down;
    q->cut = hone_cut_make(count, all / (double)count, 1);
    return HONE_OK;
}

static bool has_wide_phase(const params *q) {
    for (int64_t i = 0; i < q->phases[0] * q->phases[1] * q->phases[2]; i++) {
        const int64_t at[] = {i / q->phases[2] / q->phases[1], i / q->phases[2] % q->phases[1],
                              i % q->phases[2]};
        const hone_windows w = windows_of(q, at);
        if (hone_direct_is_wide(&w)) return true;
    }
    return false;
}

/* Worker scratch: patches of the phases of a line, or room for their windows; and what is woven. */
static void lay_out(hone_prepare *p, params *q) {
    size_t most = 0;
    int64_t columns = q->lines * q->width;
    for (int64_t i = 0; i < q->phases[0] * q->phases[1]; i++) {
        size_t patches = 0;
        for (int64_t f = 0; f < q->phases[2]; f++) {
            hone_windows w = windows_of(q, (int64_t[]){i / q->phases[1], i % q->phases[1], f});
            hone_direct d = {.w = w};
            if (hone_windows_taps(&w) == 0 || w.channels == 0) continue;
            if (q->direct) {
                size_t room = align_64((size_t)hone_direct_room(&d) * q->size);
                patches = room > patches ? room : patches;
            } else {
                patches += align_64(hone_patches_bytes(q->kind, &w, columns));
            }
        }
        most = patches > most ? patches : most;
    }
    q->at_c = most;
    q->part = align_64((size_t)(q->strip * columns) * q->size);
    p->worker_scratch = q->at_c + q->part * (size_t)q->phases[2];
}

hone_status hone_transposed_prepare(hone_prepare *p, const hone_transposed *t, hone_error *err) {
    params *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    if (is_coarse(t))
        return hone_prepare_fail(p, err, "strides of %lld x %lld x %lld", (long long)t->w.stride[0],
                                 (long long)t->w.stride[1], (long long)t->w.stride[2]);
    char format[FORMAT_SIZE];
    hone_phases phases = phases_of(t);
    int64_t taps = hone_windows_taps(&t->w), k = t->channels * taps;
    q->t = *t;
    q->size = hone_dtype_size(p->out[0].dtype);
    q->kind = p->out[0].dtype == HONE_FLOAT64 ? HONE_GEMM_F64 : HONE_GEMM_F32;
    q->family = hone_kernels_get()->gemm[q->kind];
    q->direct = t->w.channels < MOST_DIRECT && k > 0 && k <= HONE_DIRECT_TAPS;
    q->packed = hone_prepare_packed(p, t->weights, format_of(&phases, format));
    p->params = q;
    p->run = run;
    p->kernel = "phases of patches";
    if (hone_type_count(&p->out[0]) == 0) return HONE_OK;
    if (!q->packed) {
        q->order = hone_cut_make(t->groups * t->channels, (double)(t->w.channels * taps), 1);
        p->scratch = (size_t)(t->groups * t->channels * t->w.channels * taps) * q->size;
        if (p->scratch == 0) p->scratch = 1;
    }
    for (int i = 0; i < 3; i++) HONE_TRY(make_phases(p, q, i, err));
    if (has_wide_phase(q)) q->direct = false;
    if (q->direct) p->kernel = "phases of windows";
    HONE_TRY(cut(p, q, err));
    lay_out(p, q);
    return HONE_OK;
}
