#include "ops/engine/product.h"
#include "ops/common/walk.h"
#include "ops/engine/product_inside.h"

#include <math.h>
#include <string.h>

/* --- the cut --- */

/* Up to so many rows take several panels at once, or they would wait for their sums. */
#define FEW_ROWS 3
#define FEW_ROWS_PANELS 4
#define MOST_ROWS 128    /* of a block that has not all columns */
#define NARROW 512       /* columns */
#define B_BYTE 0.005     /* nanoseconds to read a byte of B once */
#define SMALL 40000      /* nanoseconds of a matrix that one task may pack and multiply by itself */
#define STRIP 4096       /* elements of C that stay in the cache behind the kernel */
#define WIDE_STRIP 49152 /* behind one that lays out A and B anew for each: in the second-level cache */

static int64_t clamp(int64_t x, int64_t low, int64_t high) {
    return x < low ? low : x > high ? high : x;
}

/* `size` cut into blocks of about `wanted`, of whole units, and as equal as can be: how large. */
static int64_t even(int64_t size, int64_t unit, int64_t wanted) {
    int64_t units = hone_tasks(size, unit), blocks = hone_tasks(units, clamp(wanted / unit, 1, units));
    return hone_tasks(units, blocks) * unit;
}

/* Blocks of `area` elements: all columns where these are few, or where many rows of them fit. Else a block is some four
 * times as wide as high, so that what it reads of A and of B is little beside its work, and its rows are long. */
static void cut_matrix(const hone_gemm_family *f, int64_t m, int64_t n, int64_t area,
                       hone_product_blocks *c) {
    int64_t panel = m <= FEW_ROWS ? f->panel * FEW_ROWS_PANELS : f->panel, rows = area / n;
    bool whole = rows >= 4 * f->rows || (rows >= f->rows && n <= NARROW);
    if (!whole) rows = clamp((int64_t)sqrt((double)area / 4), f->rows, MOST_ROWS);
    c->rows = even(m, f->rows, rows);
    c->columns = whole ? n : even(n, panel, area / hone_min_i64(c->rows, m));
    c->row_blocks = hone_tasks(m, c->rows);
    c->column_blocks = hone_tasks(n, c->columns);
}

hone_product_blocks hone_product_cut(const hone_gemm_family *f, const hone_product *s, size_t b_size,
                                     bool small) {
    double elements = (double)s->m * (double)s->n;
    double each = (double)s->k * (f->nanoseconds + B_BYTE * (double)b_size / (double)(s->m ? s->m : 1));
    double matrix = elements * each, task = hone_task_nanoseconds(matrix * (double)s->batch);
    hone_product_blocks c = {.rows = s->m, .columns = s->n, .row_blocks = 1, .column_blocks = 1};
    c.whole = matrix * (double)s->batch < HONE_PARALLEL_NANOSECONDS || (small && matrix < SMALL);
    if (!c.whole && matrix > task) cut_matrix(f, s->m, s->n, (int64_t)(task / each) + 1, &c);
    int64_t blocks = c.row_blocks * c.column_blocks;
    c.cut = hone_cut_make(elements > 0 ? s->batch * blocks : 0, matrix / (double)blocks, 1);
    return c;
}

/* --- running --- */

/* A matrix of B, ready for the kernel. */
typedef struct operand {
    const void *b;
    hone_product_vectors vectors; /* for integers */
} operand;

static bool is_integer(const hone_product_params *p) {
    return p->b.sums;
}

static const void *raw_matrix(const hone_product_job *j, int64_t matrix) {
    const hone_product_b *b = &j->p->b;
    return (const char *)hone_step_in(j->step, j->frame, j->p->s.b) +
           (size_t)(matrix * b->k * b->n) * b->size;
}

/* The sums of a matrix whose columns are to be packed, all 0. */
static int32_t *clear_sums(const hone_product_b *b, void *packed) {
    int32_t *sums = hone_product_b_sums(b, packed, 1);
    if (sums) memset(sums, 0, (size_t)b->n * sizeof *sums);
    return sums;
}

/* What lies packed at `memory`, where a run packs one matrix. */
static operand packed_here(const hone_product_job *j, char *memory, int64_t matrix, bool make) {
    const hone_product_params *p = j->p;
    operand o = {.b = memory + p->at_b};
    if (!is_integer(p)) return o;
    o.vectors = hone_product_vectors_at(p->s.n, memory + p->at_vectors);
    if (make)
        hone_product_vectors_make(p, &j->o, hone_product_b_sums(&p->b, memory + p->at_b, 1), matrix,
                                  &o.vectors);
    return o;
}

static operand pack_in_task(const hone_product_job *j, int64_t matrix, int worker) {
    const hone_product_params *p = j->p;
    char *memory = hone_step_worker_scratch(j->step, j->frame, worker);
    hone_product_b_pack(&p->b, raw_matrix(j, matrix), 0, p->s.n, memory + p->at_b,
                        clear_sums(&p->b, memory + p->at_b));
    return packed_here(j, memory, matrix, true);
}

static operand ready_operand(const hone_product_job *j, int64_t matrix, int worker) {
    const hone_product_params *p = j->p;
    if (p->form == HONE_B_DIRECT) return (operand){.b = raw_matrix(j, matrix)};
    if (p->form == HONE_B_TASK) return pack_in_task(j, matrix, worker);
    char *scratch = j->step->scratch >= 0 ? hone_step_scratch(j->step, j->frame) : NULL;
    if (p->form == HONE_B_PACK) return packed_here(j, scratch, matrix, false);
    operand o = {.b = (const char *)p->packed + (size_t)matrix * p->b.packed};
    if (p->integer.fixed)
        o.vectors = p->integer.fixed[matrix];
    else if (is_integer(p))
        o.vectors = hone_product_vectors_at(p->s.n, scratch + p->at_vectors +
                                                        (size_t)matrix * hone_product_vectors_size(p->s.n));
    return o;
}

/* The kernel's work for one matrix of Y. Copied from the plan's, not from what this run has just written. */
static hone_gemm gemm_of(const hone_product_job *j, int64_t batch, const operand *o) {
    const hone_product_params *p = j->p;
    const hone_product *s = &p->s;
    int64_t a_matrix = hone_product_a_of(s, batch), y = batch * s->m * s->n;
    hone_gemm g = p->gemm;
    g.a = j->a + (size_t)(a_matrix * s->m * s->k) * p->a_size;
    g.b = o->b;
    g.c = j->y + (size_t)y * p->y_size;
    g.epilogue.bias = j->bias;
    if (j->residual) g.epilogue.residual = j->residual + (size_t)y * p->y_size;
    if (j->other) g.epilogue.plus.other = j->other + (size_t)y * p->y_size;
    if (is_integer(p)) hone_product_integer_gemm(j, batch, a_matrix, &o->vectors, &g);
    return g;
}

/* The kernel, with what stands before and behind it. */
static void run_strip(const hone_product_job *j, int64_t batch, const hone_gemm *g, const operand *o,
                      int64_t m0, int64_t m1, int64_t n0, int64_t n1, int worker) {
    const hone_product_params *p = j->p;
    int64_t row = batch * p->s.m;
    if (p->epilogue.addend) hone_product_addend_run(j, row + m0, row + m1, n0, n1, worker);
    p->family->run(g, m0, m1, n0, n1);
    if (p->integer.row_wise)
        hone_product_integer_finish(j, batch, hone_product_a_of(&p->s, batch), &o->vectors, m0, m1, n0, n1);
    if (p->epilogue.map) hone_product_map_run(j, row + m0, row + m1, n0, n1, worker);
}

/* Rows [m0, m1) of columns [n0, n1) of a matrix of Y, in strips where something runs over them. */
static void run_strips(const hone_product_job *j, int64_t batch, const hone_gemm *g, const operand *o,
                       int64_t m0, int64_t m1, int64_t n0, int64_t n1, int worker) {
    const hone_product_params *p = j->p;
    int64_t rows = m1 - m0, columns = n1 - n0;
    const int64_t strip = p->family->room ? WIDE_STRIP : STRIP;
    if ((p->epilogue.addend || p->epilogue.map) && rows * columns > strip) {
        int64_t tile = hone_min_i64(p->family->rows, rows), panel = p->family->panel;
        if (columns * tile > strip)
            columns = clamp(strip / hone_min_i64(4 * tile, rows) / panel, 1, columns) * panel;
        rows = clamp(strip / columns / tile, 1, rows) * tile;
    }
    for (int64_t i = m0; i < m1; i += rows)
        for (int64_t l = n0; l < n1; l += columns)
            run_strip(j, batch, g, o, i, hone_min_i64(i + rows, m1), l, hone_min_i64(l + columns, n1),
                      worker);
}

static void run_rectangle(const hone_product_job *j, int64_t batch, const operand *o, int64_t m0, int64_t m1,
                          int64_t n0, int64_t n1, int worker) {
    const hone_product_params *p = j->p;
    hone_gemm g = gemm_of(j, batch, o);
    g.room = hone_product_room(j, worker);
    for (int64_t at = m0, end; at < m1; at = end) {
        end = m1;
        if (p->s.a_windows) end = hone_product_windows_next(j, batch, at, m1, worker, &g);
        run_strips(j, batch, &g, o, at, end, n0, n1, worker);
    }
}

/* a / b, mostly of 1: the usual product is one block of one matrix. */
static int64_t quotient(int64_t a, int64_t b) {
    return b == 1 ? a : a / b;
}

/* Blocks [begin, end), in as large rectangles as they make: whole rows of blocks, and parts of one. */
static void run_blocks(void *arg, int64_t begin, int64_t end, int worker) {
    const hone_product_job *j = arg;
    const hone_product_params *p = j->p;
    const hone_product_blocks *b = &p->blocks;
    int64_t across = b->column_blocks, each = b->row_blocks * across, last = -1;
    operand o;
    for (int64_t at = begin, count; at < end; at += count) {
        int64_t batch = quotient(at, each), first = at - batch * each, row = quotient(first, across);
        int64_t column = first - row * across, rows = 1, columns = across - column;
        if (column == 0 && end - at >= across)
            rows = hone_min_i64(quotient(end - at, across), b->row_blocks - row);
        else
            columns = hone_min_i64(columns, end - at);
        count = rows * columns;
        batch += j->batch;
        int64_t matrix = hone_product_b_of(&p->s, batch);
        if (matrix != last) o = ready_operand(j, matrix, worker);
        last = matrix;
        run_rectangle(j, batch, &o, row * b->rows, hone_min_i64((row + rows) * b->rows, p->s.m),
                      column * b->columns, hone_min_i64((column + columns) * b->columns, p->s.n), worker);
    }
}

static void pack_panels(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const hone_product_job *j = arg;
    const hone_product_params *p = j->p;
    char *packed = (char *)hone_step_scratch(j->step, j->frame) + p->at_b;
    int64_t panel = p->family->panel;
    hone_product_b_pack(&p->b, raw_matrix(j, hone_product_b_of(&p->s, j->batch)), begin * panel,
                        hone_min_i64(end * panel, p->s.n), packed, hone_product_b_sums(&p->b, packed, 1));
}

/* One room for packed B: matrix by matrix, or once for all. */
static void run_packing(hone_product_job *j) {
    const hone_product_params *p = j->p;
    char *scratch = hone_step_scratch(j->step, j->frame);
    if (!p->s.b_matrix) {
        clear_sums(&p->b, scratch + p->at_b);
        hone_cut_run(&p->panels, j->frame, pack_panels, j);
        packed_here(j, scratch, 0, true);
        hone_cut_run(&p->blocks.cut, j->frame, run_blocks, j);
        return;
    }
    hone_cut one = p->blocks.cut;
    one.count /= p->s.batch;
    one.nanoseconds /= (double)p->s.batch;
    for (int64_t last = -1; j->batch < p->s.batch; j->batch++) {
        int64_t matrix = hone_product_b_of(&p->s, j->batch);
        if (matrix != last) {
            clear_sums(&p->b, scratch + p->at_b);
            hone_cut_run(&p->panels, j->frame, pack_panels, j);
            packed_here(j, scratch, matrix, true);
        }
        last = matrix;
        hone_cut_run(&one, j->frame, run_blocks, j);
    }
}

/* For packed B, and for channels' weights, whose scales are known now only. */
static void make_vectors(const hone_product_job *j) {
    const hone_product_params *p = j->p;
    if (p->form == HONE_B_CHANNELS) {
        hone_product_vectors v =
            hone_product_vectors_at(p->s.n, (char *)hone_step_scratch(j->step, j->frame) + p->at_vectors);
        hone_product_depthwise_vectors(p, &j->o, hone_step_in(j->step, j->frame, p->s.b), &v);
        return;
    }
    const int32_t *sums = hone_product_b_sums(&p->b, p->packed, p->b.matrices);
    size_t size = hone_product_vectors_size(p->s.n);
    for (int64_t i = 0; i < p->b.matrices; i++) {
        char *memory = (char *)hone_step_scratch(j->step, j->frame) + p->at_vectors + (size_t)i * size;
        hone_product_vectors v = hone_product_vectors_at(p->s.n, memory);
        hone_product_vectors_make(p, &j->o, sums + i * p->s.n, i, &v);
    }
}

static hone_status run(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    const hone_product_params *p = step->params;
    hone_product_job j;
    j.p = p;
    j.step = step;
    j.frame = frame;
    j.batch = 0;
    j.x_zero = 0;
    j.a = hone_step_in(step, frame, p->s.a);
    j.y = hone_step_out(step, frame, 0);
    j.bias = hone_product_input(&j, p->epilogue.bias);
    j.residual = p->epilogue.addend ? j.y : hone_product_input(&j, p->epilogue.residual);
    j.other = hone_product_input(&j, p->epilogue.other);
    if (p->blocks.cut.count == 0) return HONE_OK;
    if (is_integer(p)) (p->s.patches ? hone_product_rows_begin : hone_product_integer_begin)(&j);
    if (is_integer(p) && (p->form == HONE_B_PACKED || p->form == HONE_B_CHANNELS) && !p->integer.fixed)
        make_vectors(&j);
    if (p->form == HONE_B_WINOGRAD)
        hone_product_winograd_run(&j);
    else if (p->form == HONE_B_CHANNELS)
        hone_cut_run(&p->blocks.cut, frame, hone_product_depthwise_run, &j);
    else if (p->form == HONE_B_WINDOWS)
        hone_cut_run(&p->blocks.cut, frame, hone_product_direct_run, &j);
    else if (p->s.patches)
        hone_cut_run(&p->blocks.cut, frame, hone_product_patches_run, &j);
    else if (p->form == HONE_B_PACK)
        run_packing(&j);
    else
        hone_cut_run(&p->blocks.cut, frame, run_blocks, &j);
    return HONE_OK;
}

/* --- preparing --- */

/* Rows of A from which packing B at every run pays, being spread over many tiles. */
#define PACK_ROWS 96

static void choose_form(const hone_prepare *p, hone_product_params *q) {
    const hone_product *s = &q->s;
    if (s->winograd) {
        q->form = HONE_B_WINOGRAD;
        hone_product_winograd_choose(q);
        return;
    }
    q->b = hone_product_b_make(s->kind, p->in[s->b], s->b_columns);
    q->packed = hone_product_b_find(p, &q->b, s->b);
    const hone_gemm_family *f = q->family;
    if (s->depthwise) {
        q->form = HONE_B_CHANNELS;
        hone_product_windows_cut(q);
        return;
    }
    const bool few = s->m < PACK_ROWS || f != q->b.family; /* tiles are made anew in any case */
    bool packs = !q->packed && q->b.family->pack && !(f->direct && !s->b_columns && few);
    q->panels = hone_cut_make(hone_tasks(s->n, f->panel), 0.5 * (double)(s->k * f->panel), 1);
    const bool anew = packs && s->batch > 1 && s->b_matrix; /* for each matrix of Y */
    q->blocks = hone_product_cut(f, s, q->b.size, anew);
    q->form = q->packed ? HONE_B_PACKED : !packs ? HONE_B_DIRECT : HONE_B_PACK;
    if (anew && q->blocks.whole) q->form = HONE_B_TASK;
    if (s->a_windows) hone_product_windows_cut(q);
}

/* Room for a packed matrix (or for none), and for vectors. */
static void lay_out(hone_prepare *p, hone_product_params *q) {
    const bool integer = is_integer(q) && !q->s.patches,
               by_worker = q->form >= HONE_B_TASK && q->form < HONE_B_CHANNELS;
    const bool packs = q->form == HONE_B_PACK || by_worker;
    size_t *scratch = by_worker ? &p->worker_scratch : &p->scratch;
    q->at_b = hone_align_64(*scratch);
    q->at_vectors = q->at_b + (packs ? hone_align_64(hone_product_b_bytes(&q->b, 1)) : 0);
    size_t vectors = integer && !q->integer.fixed ? hone_product_vectors_size(q->s.n) : 0;
    if (q->form == HONE_B_PACKED) vectors *= (size_t)q->b.matrices;
    *scratch = q->at_vectors + vectors;
    if (packs && *scratch == 0) *scratch = 1;
    if (q->s.winograd && !q->packed) *scratch += q->b.packed * (size_t)hone_winograd_matrices(q->s.winograd);
    if (q->s.a_windows) {
        q->windows.at = hone_align_64(p->worker_scratch);
        p->worker_scratch = q->windows.at + q->windows.bytes;
    }
    if (!q->family->room) return;
    q->at_room = hone_align_64(p->worker_scratch);
    p->worker_scratch = q->at_room + q->family->room(q->s.winograd ? q->blocks.rows : q->s.m, q->s.n, q->s.k,
                                                     q->windows.a_part != 0);
}

/* What of the kernel's work is the same at each run, for matrix 0 of everything. */
static hone_gemm fixed_gemm(const hone_product_params *q) {
    const hone_product *s = &q->s;
    return (hone_gemm){.m = s->m,
                       .n = s->n,
                       .k = q->windows.rows ? q->windows.pitch : s->k,
                       .a_row = q->windows.rows ? q->windows.pitch : s->a_row,
                       .a_col = s->a_col,
                       .runs = s->a_windows ? q->windows.runs : NULL,
                       .a_line = q->windows.w.out[2],
                       .a_line_step = q->windows.line_step,
                       .a_part = q->windows.a_part,
                       .a_line_rows = q->windows.line_rows,
                       .b_row = q->form != HONE_B_DIRECT ? 0
                                : s->b_columns           ? 1
                                                         : s->n,
                       .b_col = s->b_columns ? s->k : 1,
                       .c_row = s->n,
                       .epilogue = {.store = q->y_size == sizeof(double) ? HONE_STORE_F64 : HONE_STORE_F32,
                                    .alpha = s->alpha,
                                    .residual_row = s->n,
                                    .lo = q->epilogue.lo,
                                    .hi = q->epilogue.hi,
                                    .ramp = q->epilogue.ramp,
                                    .slope = q->epilogue.slope,
                                    .offset = q->epilogue.offset,
                                    .plus = q->epilogue.plus}};
}

#define FORMS(name, more)                                                                                    \
    {                                                                                                        \
        name " packed" more, name " direct" more, name " packing" more, name " packing" more,                \
            name " patches" more, name " windows" more, name " channels" more, name " winograd" more         \
    }

static const char *name_of(const hone_product_params *q) {
    static const char *const names[HONE_GEMM_KINDS + 1][2][8] = {
        [HONE_GEMM_F32] = {FORMS("gemm_f32", ""), FORMS("gemm_f32", ", strips")},
        [HONE_GEMM_F64] = {FORMS("gemm_f64", ""), FORMS("gemm_f64", ", strips")},
        [HONE_GEMM_U8S8] = {FORMS("gemm_u8s8", ""), FORMS("gemm_u8s8", ", strips")},
        [HONE_GEMM_BF16] = {FORMS("gemm_bf16", ""), FORMS("gemm_bf16", ", strips")},
        [HONE_GEMM_KINDS] = {FORMS("gemm_f32 tiles", ""), FORMS("gemm_f32 tiles", ", strips")},
    };
    bool strips = q->epilogue.map || q->epilogue.addend;
    return names[q->s.kind == HONE_GEMM_F32 && q->family->room ? HONE_GEMM_KINDS : q->s.kind][strips]
                [q->form];
}

hone_status hone_product_prepare(hone_prepare *p, const hone_product *s, hone_error *err) {
    hone_product_params *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    q->s = *s;
    q->a_size = hone_dtype_size(p->in[s->a]->dtype);
    q->y_size = hone_dtype_size(p->out[0].dtype);
    if (s->winograd && !hone_product_winograd_find(p, q)) q->s.winograd = 0;
    if (!s->patches && !s->depthwise && !q->s.winograd) hone_product_choose_bf16(p, &q->s);
    q->family = hone_product_family(p, &q->s, hone_kernels_get()->gemm[q->s.kind]);
    if (s->a_windows) HONE_TRY(hone_product_windows_choose(p, q, err));
    if (s->patches)
        hone_product_patches_choose(q);
    else
        choose_form(p, q);
    HONE_TRY(hone_product_epilogue_prepare(p, &q->s, &q->epilogue, err));
    if (is_integer(q))
        HONE_TRY((s->patches ? hone_product_rows_prepare : hone_product_integer_prepare)(p, q, err));
    lay_out(p, q);
    q->gemm = fixed_gemm(q);
    if (is_integer(q)) q->gemm.epilogue.store = hone_product_integer_store(&q->integer);
    p->params = q;
    p->run = run;
    p->kernel = name_of(q);
    return HONE_OK;
}
