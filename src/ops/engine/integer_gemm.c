#include "ops/engine/integer_gemm.h"

#include "graph/infer.h"
#include "kernels/kernels.h"
#include "kernels/portable.h"
#include "ops/common/walk.h"

#include <math.h>
#include <string.h>

/* What of the operands is turned into vectors of [n], one set for each matrix of B. */
typedef struct vectors {
    float *multiplier, *offset;
    int32_t *bias, *b_zero, *correction; /* correction[j]: column sum - k * zero, times A's zero point */
} vectors;

/* What packing has to know of B, [k, n] matrices or (`columns`) one of [n, k]. */
typedef struct packing {
    const hone_kernels *kernels;
    int64_t k, n, matrices;
    int64_t step; /* rows or columns of a part of a single matrix */
    bool columns, flips;
} packing;

typedef struct params {
    hone_integer_gemm shape;
    const hone_kernels *kernels;
    packing b;
    hone_dtype a_dtype, b_dtype, y_dtype, bias_dtype;
    int64_t a_matrices, b_matrices;
    bool row_wise; /* A has scales or zero points for its rows: sums go to scratch, rows are finished one by
                      one */
    bool flips, sums_a; /* A is flipped into scratch; rows of A are summed */
    bool has_b_zero;
    const int8_t *packed; /* of the plan; NULL: packed at each run */
    const int32_t *column_sums;
    const vectors *fixed; /* NULL: made at each run */
    size_t packed_size;   /* of one matrix */
    int64_t counts[8];    /* elements of inputs, see count_of */
    int64_t block_rows, block_columns, row_blocks, column_blocks;
    /* offsets in scratch */
    size_t at_a, at_sums, at_packed, at_column_sums, at_vectors, at_rows;
} params;

static size_t align(size_t n) {
    return (n + 63) & ~(size_t)63;
}

/* --- small operands --- */

static int32_t int_at(const void *x, hone_dtype dtype, int64_t i) {
    if (!x) return 0;
    if (dtype == HONE_UINT8) return ((const uint8_t *)x)[i];
    if (dtype == HONE_INT8) return ((const int8_t *)x)[i];
    return ((const int32_t *)x)[i];
}

/* Element j of matrix `matrix` in an operand of `count` elements: one, `n`, or `n` for each matrix. */
static int64_t index_of(int64_t count, int64_t n, int64_t matrix, int64_t j) {
    return count == 1 ? 0 : count == n ? j : matrix * n + j;
}

/* Zero points as the kernels see them: of u8 A and of s8 B. */
static int32_t a_zero_at(const params *p, const void *zero, int64_t count, int64_t matrix, int64_t row) {
    return int_at(zero, p->a_dtype, index_of(count, p->shape.m, matrix, row)) +
           (p->a_dtype == HONE_INT8 ? 128 : 0);
}

static int32_t b_zero_at(const params *p, const void *zero, int64_t count, int64_t matrix, int64_t column) {
    return int_at(zero, p->b_dtype, index_of(count, p->shape.n, matrix, column)) -
           (p->b_dtype == HONE_UINT8 ? 128 : 0);
}

typedef struct operands {
    const void *a_scale, *a_zero, *b_scale, *b_zero, *y_scale, *y_zero, *bias;
} operands;
enum { COUNT_A_SCALE, COUNT_A_ZERO, COUNT_B_SCALE, COUNT_B_ZERO };

static int32_t wrap_sub(int32_t a, int32_t b) {
    return (int32_t)((uint32_t)a - (uint32_t)b);
}
static int32_t wrap_mul(int32_t a, int32_t b) {
    return (int32_t)((uint32_t)a * (uint32_t)b);
}

/* sum (a-az)(b-bz) = sum a b - bz sum a - az (sum b - k bz): the last term is the integer bias. */
static void make_vectors(const params *p, const operands *o, const int32_t *column_sums, int64_t matrix,
                         vectors *v) {
    int64_t n = p->shape.n;
    float y_scale = o->y_scale ? *(const float *)o->y_scale : p->shape.y_scale_value;
    if (y_scale == 0) y_scale = 1; /* none */
    int32_t a_zero = p->row_wise ? 0 : a_zero_at(p, o->a_zero, p->counts[COUNT_A_ZERO], 0, 0);
    for (int64_t j = 0; j < n; j++) {
        int32_t b_zero = p->has_b_zero ? b_zero_at(p, o->b_zero, p->counts[COUNT_B_ZERO], matrix, j) : 0;
        v->b_zero[j] = b_zero;
        v->correction[j] = wrap_sub(column_sums[j], wrap_mul((int32_t)p->shape.k, b_zero));
        v->bias[j] = wrap_mul(-a_zero, v->correction[j]);
        if (o->bias && p->bias_dtype == HONE_INT32)
            v->bias[j] = wrap_sub(v->bias[j], -((const int32_t *)o->bias)[j]);
        if (!o->b_scale) continue;
        float b_scale = ((const float *)o->b_scale)[index_of(p->counts[COUNT_B_SCALE], n, matrix, j)];
        v->multiplier[j] = p->row_wise ? b_scale : *(const float *)o->a_scale * b_scale / y_scale;
        v->offset[j] = o->bias && p->bias_dtype == HONE_FLOAT32 ? ((const float *)o->bias)[j] / y_scale : 0;
    }
}

static size_t vectors_size(const params *p) {
    return 5 * align((size_t)p->shape.n * 4);
}

static vectors vectors_at(const params *p, void *memory, int64_t matrix) {
    char *base = (char *)memory + (size_t)matrix * vectors_size(p);
    size_t step = align((size_t)p->shape.n * 4);
    return (vectors){(float *)base, (float *)(base + step), (int32_t *)(base + 2 * step),
                     (int32_t *)(base + 3 * step), (int32_t *)(base + 4 * step)};
}

/* --- B --- */

/* Rows that are packed at once: a multiple of all groups. */
#define PACK_STRIP 64
#define WIDEST_PANEL 128

static size_t packed_matrix(const packing *a) {
    return align(a->kernels->gemm_u8s8_packed_size(a->k, a->n));
}

/* Rows [l0, l1) of one panel's `width` columns from j on; l0 is a multiple of all groups. A u8 B is flipped on the
 * way. Column sums are added to. */
static void pack_strip(const packing *a, const int8_t *b, int64_t l0, int64_t l1, int64_t j, int64_t width,
                       int8_t *packed, int32_t *column_sums) {
    uint8_t flipped[PACK_STRIP * WIDEST_PANEL];
    int32_t sums[WIDEST_PANEL];
    int64_t row = a->columns ? 1 : a->n, column = a->columns ? a->k : 1;
    const int8_t *from = b + l0 * row + j * column;
    packed += a->kernels->gemm_u8s8_packed_size(a->k, j) + a->kernels->gemm_u8s8_packed_size(l0, width);
    if (a->flips) {
        for (int64_t l = 0; l < l1 - l0; l++)
            for (int64_t c = 0; c < width; c++)
                flipped[l * width + c] = (uint8_t)from[l * row + c * column] ^ 0x80;
        from = (const int8_t *)flipped;
        row = width;
        column = 1;
    }
    a->kernels->gemm_u8s8_pack(l1 - l0, width, from, row, column, packed, sums);
    for (int64_t c = 0; c < width; c++)
        __atomic_fetch_add(&column_sums[j + c], sums[c], __ATOMIC_RELAXED); /* parts share columns */
}

static void pack_block(const packing *a, const int8_t *b, int64_t l0, int64_t l1, int64_t j0, int64_t j1,
                       int8_t *packed, int32_t *column_sums) {
    int64_t panel = a->kernels->gemm_u8s8_panel;
    for (int64_t j = j0; j < j1; j += panel)
        for (int64_t l = l0; l < l1; l += PACK_STRIP)
            pack_strip(a, b, l, hone_min_i64(l + PACK_STRIP, l1), j, hone_min_i64(panel, j1 - j), packed,
                       column_sums);
}

/* The packed form: matrices, then their column sums. */
static void pack_part(const void *source, const void *arg, int64_t part, void *out) {
    const packing *a = arg;
    int32_t *sums = (int32_t *)((char *)out + packed_matrix(a) * (size_t)a->matrices);
    int64_t first = part * a->step, end = first + a->step;
    if (a->matrices != 1)
        pack_block(a, (const int8_t *)source + part * a->k * a->n, 0, a->k, 0, a->n,
                   (int8_t *)out + (size_t)part * packed_matrix(a), sums + part * a->n);
    else if (a->columns)
        pack_block(a, source, 0, a->k, first, hone_min_i64(end, a->n), out, sums);
    else
        pack_block(a, source, first, hone_min_i64(end, a->k), 0, a->n, out, sums);
}

static const char *format_of(bool columns) {
    return columns ? "gemm_u8s8 columns" : "gemm_u8s8 rows";
}

static packing packing_of(const hone_type *b, bool columns) {
    packing a = {hone_kernels_get(), .matrices = 1, .columns = columns, .flips = b->dtype == HONE_UINT8};
    a.k = b->dims[columns ? 1 : b->rank > 1 ? b->rank - 2 : 0];
    a.n = columns ? b->dims[0] : b->rank > 1 ? b->dims[b->rank - 1] : 1;
    for (int i = 0; i + 2 < b->rank; i++) a.matrices *= b->dims[i];
    a.step = columns ? hone_pack_rows((size_t)a.k, a.kernels->gemm_u8s8_panel)
                     : hone_pack_rows((size_t)a.n, PACK_STRIP);
    return a;
}

hone_status hone_integer_gemm_pack(hone_packer *p, const hone_node *node, int input, bool b_columns,
                                   hone_error *err) {
    const hone_type *b = &node->inputs[input]->type;
    if (b->rank < 1 || !hone_type_is_concrete(b)) return HONE_OK;
    packing a = packing_of(b, b_columns);
    size_t row = (size_t)(b_columns ? a.k : a.n);
    hone_packing form = {.format = format_of(b_columns),
                         .bytes = (packed_matrix(&a) + (size_t)a.n * sizeof(int32_t)) * (size_t)a.matrices,
                         .part_bytes = row * (size_t)(a.matrices == 1 ? a.step : a.k),
                         .pack = pack_part,
                         .arg = &a,
                         .arg_size = sizeof a};
    return form.bytes ? hone_pack_constant(p, input, &form, err) : HONE_OK;
}

/* --- running --- */

typedef struct job {
    const params *p;
    operands o;
    const uint8_t *a_raw, *a;
    uint8_t *a_flipped;
    int32_t *a_sums;
    const int8_t *b_raw, *packed;
    int8_t *packed_here;
    int32_t *column_sums, *rows;
    void *vectors;
    char *y;
    int32_t y_zero;
} job;

#define A_ROWS 64

static void prepare_rows(void *arg, int64_t task, int worker) {
    (void)worker;
    const job *j = arg;
    const params *p = j->p;
    int64_t k = p->shape.k, rows = p->a_matrices * p->shape.m, end = hone_min_i64((task + 1) * A_ROWS, rows);
    if (p->flips)
        p->kernels->flip_sign(j->a_raw + task * A_ROWS * k, j->a_flipped + task * A_ROWS * k,
                              (end - task * A_ROWS) * k);
    for (int64_t i = task * A_ROWS; i < end && p->sums_a; i++)
        j->a_sums[i] = p->kernels->sum_u8(j->a + i * k, k);
}

static void prepare_matrix(const job *j, int64_t i) {
    const packing *b = &j->p->b;
    int32_t *sums = j->column_sums + i * b->n;
    memset(sums, 0, (size_t)b->n * sizeof *sums);
    pack_block(b, j->b_raw + i * b->k * b->n, 0, b->k, 0, b->n, j->packed_here + (size_t)i * packed_matrix(b),
               sums);
}

static size_t y_size(const params *p) {
    return hone_dtype_size(p->y_dtype);
}

static void finish_row(const job *j, const vectors *v, int64_t a_matrix, int64_t row, const int32_t *s,
                       int64_t n, char *y) {
    const params *p = j->p;
    int32_t zero = a_zero_at(p, j->o.a_zero, p->counts[COUNT_A_ZERO], a_matrix, row);
    if (p->y_dtype == HONE_INT32) {
        hone_correct_row_i32(s, n, zero, v->correction, (int32_t *)y);
        return;
    }
    float a_scale =
        ((const float *)j->o.a_scale)[index_of(p->counts[COUNT_A_SCALE], p->shape.m, a_matrix, row)];
    float y_scale = *(const float *)j->o.y_scale;
    hone_requantize_row(s, n, zero, v->correction, a_scale, v->multiplier, y_scale, j->y_zero,
                        p->y_dtype == HONE_INT8, y);
}

static void run_block(void *arg, int64_t task, int worker) {
    (void)worker;
    const job *j = arg;
    const params *p = j->p;
    const hone_integer_gemm *s = &p->shape;
    int64_t column = task % p->column_blocks, row = task / p->column_blocks % p->row_blocks;
    int64_t batch = task / (p->column_blocks * p->row_blocks);
    int64_t m0 = row * p->block_rows, n0 = column * p->block_columns;
    int64_t m1 = hone_min_i64(m0 + p->block_rows, s->m), n1 = hone_min_i64(n0 + p->block_columns, s->n);
    int64_t a_matrix = s->a_matrix ? s->a_matrix[batch] : 0, b_matrix = s->b_matrix ? s->b_matrix[batch] : 0;
    vectors v = p->fixed ? p->fixed[b_matrix] : vectors_at(p, j->vectors, b_matrix);
    char *y = j->y + (size_t)(batch * s->m * s->n) * y_size(p);
    hone_gemm_u8s8 g = {.m = s->m,
                        .n = s->n,
                        .k = s->k,
                        .a = j->a + a_matrix * s->m * s->k,
                        .a_row = s->k,
                        .b = j->packed + (size_t)b_matrix * p->packed_size,
                        .bias = v.bias,
                        .b_zero = p->sums_a ? v.b_zero : NULL,
                        .a_sum = p->sums_a ? j->a_sums + a_matrix * s->m : NULL,
                        .store = HONE_STORE_I32,
                        .scale = v.multiplier,
                        .offset = j->o.bias && p->bias_dtype == HONE_FLOAT32 ? v.offset : NULL,
                        .lo = s->relu ? 0 : -INFINITY,
                        .hi = INFINITY,
                        .c_zero = j->y_zero,
                        .c = y,
                        .c_row = s->n};
    if (p->row_wise)
        g.c = j->rows + batch * s->m * s->n;
    else if (p->y_dtype != HONE_INT32)
        g.store = p->y_dtype == HONE_FLOAT32 ? HONE_STORE_F32
                  : p->y_dtype == HONE_UINT8 ? HONE_STORE_U8
                                             : HONE_STORE_S8;
    p->kernels->gemm_u8s8(&g, m0, m1, n0, n1);
    if (!p->row_wise) return;
    vectors part = {v.multiplier + n0, v.offset + n0, v.bias + n0, v.b_zero + n0, v.correction + n0};
    for (int64_t i = m0; i < m1; i++)
        finish_row(j, &part, a_matrix, i, (int32_t *)g.c + i * s->n + n0, n1 - n0,
                   y + (size_t)(i * s->n + n0) * y_size(p));
}

static const void *input(const hone_step *step, hone_frame *frame, int i) {
    return i >= 0 ? hone_step_in(step, frame, i) : NULL;
}

static hone_status run(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    const params *p = step->params;
    const hone_integer_gemm *s = &p->shape;
    char *scratch = step->scratch >= 0 ? hone_step_scratch(step, frame) : NULL;
    job j = {.p = p,
             .a_raw = input(step, frame, s->a),
             .b_raw = input(step, frame, s->b),
             .packed = p->packed,
             .y = hone_step_out(step, frame, 0)};
    j.o = (operands){input(step, frame, s->a_scale), input(step, frame, s->a_zero),
                     input(step, frame, s->b_scale), input(step, frame, s->b_zero),
                     input(step, frame, s->y_scale), input(step, frame, s->y_zero),
                     input(step, frame, s->bias)};
    j.a = j.a_raw;
    j.y_zero = j.o.y_zero ? int_at(j.o.y_zero, p->y_dtype, 0) : s->y_zero_value;
    if (p->flips) j.a = j.a_flipped = (uint8_t *)scratch + p->at_a;
    if (p->sums_a) j.a_sums = (int32_t *)(scratch + p->at_sums);
    if (p->row_wise) j.rows = (int32_t *)(scratch + p->at_rows);
    if (!p->fixed) j.vectors = scratch + p->at_vectors;
    double work = (double)s->m * (double)s->n * (double)s->k * (double)s->batch;
    if (!p->packed) {
        j.packed = j.packed_here = (int8_t *)scratch + p->at_packed;
        j.column_sums = (int32_t *)(scratch + p->at_column_sums);
        for (int64_t i = 0; i < p->b_matrices; i++) prepare_matrix(&j, i);
    }
    const int32_t *column_sums = p->packed ? p->column_sums : j.column_sums;
    for (int64_t i = 0; i < p->b_matrices && !p->fixed; i++) {
        vectors v = vectors_at(p, j.vectors, i);
        make_vectors(p, &j.o, column_sums + i * s->n, i, &v);
    }
    int64_t rows = p->a_matrices * s->m;
    if (p->flips || p->sums_a)
        hone_pool_run(hone_frame_pool(frame, 0.1 * (double)(rows * s->k)), hone_tasks(rows, A_ROWS),
                      prepare_rows, &j);
    hone_pool_run(hone_frame_pool(frame, 0.01 * work), s->batch * p->row_blocks * p->column_blocks, run_block,
                  &j);
    return HONE_OK;
}

/* --- preparing --- */

static const hone_type *type_of(const hone_prepare *p, int i) {
    return i >= 0 && i < p->in_count ? p->in[i] : NULL;
}

static int64_t count_of(const hone_prepare *p, int i) {
    const hone_type *t = type_of(p, i);
    return t ? hone_type_count(t) : 1;
}

static const void *content(const hone_prepare *p, int i) {
    return i >= 0 && i < p->in_count && p->constant[i] ? p->constant[i]->data : NULL;
}

/* Is operand i left out, or its content known? */
static bool is_known(const hone_prepare *p, int i) {
    return !type_of(p, i) || p->constant[i];
}

/* Matrices in an operand, which may be empty ones. */
static int64_t matrix_count(const hone_type *t) {
    int64_t n = 1;
    for (int i = 0; i + 2 < t->rank; i++) n *= t->dims[i];
    return n;
}

static hone_status check_count(const hone_prepare *p, int i, int64_t n, int64_t matrices, hone_error *err) {
    int64_t count = count_of(p, i);
    if (count == 1 || count == n || count == n * matrices) return HONE_OK;
    return hone_prepare_fail(p, err, "input %d has %lld elements, neither one nor %lld", i, (long long)count,
                             (long long)n);
}

static void prepare_b(hone_prepare *p, params *q) {
    const hone_integer_gemm *s = &q->shape;
    q->b = packing_of(p->in[s->b], s->b_columns);
    q->packed_size = packed_matrix(&q->b);
    const char *packed = hone_prepare_packed(p, s->b, format_of(s->b_columns));
    if (!packed) return;
    q->packed = (const int8_t *)packed;
    q->column_sums = (const int32_t *)(packed + q->packed_size * (size_t)q->b_matrices);
}

/* A zero point of B that is 0 everywhere costs nothing. */
static bool needs_b_zero(const hone_prepare *p, const params *q) {
    const hone_integer_gemm *s = &q->shape;
    if (!is_known(p, s->b_zero)) return true;
    const void *zero = content(p, s->b_zero);
    int64_t count = q->counts[COUNT_B_ZERO];
    for (int64_t i = 0; i < count; i++)
        if (int_at(zero, q->b_dtype, i) != (q->b_dtype == HONE_UINT8 ? 128 : 0)) return true;
    return false;
}

static hone_status prepare_vectors(hone_prepare *p, params *q, hone_error *err) {
    const hone_integer_gemm *s = &q->shape;
    if (!q->packed || !is_known(p, s->a_scale) || !is_known(p, s->a_zero) || !is_known(p, s->b_scale) ||
        !is_known(p, s->b_zero) || !is_known(p, s->y_scale) || !is_known(p, s->bias))
        return HONE_OK;
    vectors *fixed = hone_prepare_alloc(p, (size_t)q->b_matrices * sizeof *fixed);
    void *memory = hone_prepare_alloc(p, (size_t)q->b_matrices * vectors_size(q));
    if (!fixed || !memory) return hone_fail_memory(err);
    operands o = {content(p, s->a_scale), content(p, s->a_zero),  content(p, s->b_scale),
                  content(p, s->b_zero),  content(p, s->y_scale), content(p, s->y_zero),
                  content(p, s->bias)};
    for (int64_t i = 0; i < q->b_matrices; i++) {
        fixed[i] = vectors_at(q, memory, i);
        make_vectors(q, &o, q->column_sums + i * s->n, i, &fixed[i]);
    }
    q->fixed = fixed;
    return HONE_OK;
}

/* Blocks of whole tiles, some sixteen in all. */
static void cut(params *q) {
    const hone_integer_gemm *s = &q->shape;
    int64_t tile = q->kernels->gemm_u8s8_rows, panel = q->kernels->gemm_u8s8_panel;
    int64_t tiles = hone_tasks(s->m, tile), panels = hone_tasks(s->n, panel);
    int64_t rows = tiles < 16 ? tiles : 16, columns = rows >= 8 || rows == 0 ? 1 : 16 / rows;
    columns = hone_min_i64(columns, panels);
    q->block_rows = (rows ? hone_tasks(tiles, rows) : 1) * tile;
    q->block_columns = (columns ? hone_tasks(panels, columns) : 1) * panel;
    q->row_blocks = hone_tasks(s->m, q->block_rows);
    q->column_blocks = hone_tasks(s->n, q->block_columns);
}

static size_t take(hone_prepare *p, size_t bytes) {
    size_t at = p->scratch;
    p->scratch += align(bytes);
    return at;
}

static void lay_out_scratch(hone_prepare *p, params *q) {
    const hone_integer_gemm *s = &q->shape;
    int64_t rows = q->a_matrices * s->m;
    if (q->flips) q->at_a = take(p, (size_t)(rows * s->k));
    if (q->sums_a) q->at_sums = take(p, (size_t)rows * 4);
    if (!q->packed) {
        q->at_packed = take(p, q->packed_size * (size_t)q->b_matrices);
        q->at_column_sums = take(p, (size_t)(q->b_matrices * s->n) * 4);
    }
    if (!q->fixed) q->at_vectors = take(p, vectors_size(q) * (size_t)q->b_matrices);
    if (q->row_wise) q->at_rows = take(p, (size_t)(s->batch * s->m * s->n) * 4);
}

hone_status hone_integer_gemm_prepare(hone_prepare *p, const hone_integer_gemm *shape, hone_error *err) {
    params *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    q->shape = *shape;
    const hone_integer_gemm *s = &q->shape;
    q->kernels = hone_kernels_get();
    q->a_dtype = p->in[s->a]->dtype;
    q->b_dtype = p->in[s->b]->dtype;
    q->y_dtype = p->out[0].dtype;
    q->bias_dtype = type_of(p, s->bias) ? p->in[s->bias]->dtype : HONE_UNDEFINED;
    q->a_matrices = s->a_matrix ? matrix_count(p->in[s->a]) : 1; /* 1: all are rows of one */
    q->b_matrices = matrix_count(p->in[s->b]);
    HONE_TRY(check_count(p, s->a_scale, s->m, q->a_matrices, err));
    HONE_TRY(check_count(p, s->a_zero, s->m, q->a_matrices, err));
    HONE_TRY(check_count(p, s->b_scale, s->n, q->b_matrices, err));
    HONE_TRY(check_count(p, s->b_zero, s->n, q->b_matrices, err));
    q->counts[COUNT_A_SCALE] = count_of(p, s->a_scale);
    q->counts[COUNT_A_ZERO] = count_of(p, s->a_zero);
    q->counts[COUNT_B_SCALE] = count_of(p, s->b_scale);
    q->counts[COUNT_B_ZERO] = count_of(p, s->b_zero);
    q->row_wise = q->counts[COUNT_A_SCALE] != 1 || q->counts[COUNT_A_ZERO] != 1;
    q->flips = q->a_dtype == HONE_INT8;
    q->has_b_zero = q->sums_a = needs_b_zero(p, q);
    prepare_b(p, q);
    HONE_TRY(prepare_vectors(p, q, err));
    cut(q);
    lay_out_scratch(p, q);
    p->params = q;
    p->run = run;
    p->kernel = q->packed ? "gemm_u8s8" : "gemm_u8s8 packing";
    return HONE_OK;
}

/* --- shapes --- */

/* Which of t's matrices belongs to each matrix of y. */
static hone_status matrices(hone_prepare *p, const hone_type *t, const hone_type *y, int y_batch,
                            int64_t batch, const int64_t **out, hone_error *err) {
    *out = NULL;
    if (t->rank <= 2) return HONE_OK;
    int64_t *index = hone_prepare_alloc(p, (size_t)batch * sizeof *index);
    if (!index) return hone_fail_memory(err);
    for (int64_t i = 0; i < batch; i++) {
        int64_t rest = i, stride = 1;
        for (int d = y_batch - 1, e = t->rank - 3; d >= 0 && e >= 0; d--, e--) {
            if (t->dims[e] != 1) index[i] += rest % y->dims[d] * stride;
            stride *= t->dims[e];
            rest /= y->dims[d];
        }
    }
    *out = index;
    return HONE_OK;
}

hone_status hone_integer_gemm_shape(hone_prepare *p, hone_integer_gemm *s, hone_error *err) {
    const hone_type *a = p->in[s->a], *b = p->in[s->b], *y = &p->out[0];
    s->k = a->dims[a->rank - 1];
    s->m = a->rank > 1 ? a->dims[a->rank - 2] : 1;
    s->n = b->rank > 1 ? b->dims[b->rank - 1] : 1;
    s->batch = 1;
    bool one_scale = count_of(p, s->a_scale) == 1 && count_of(p, s->a_zero) == 1;
    if (b->rank <= 2 && (one_scale || a->rank <= 2)) { /* one B for all: the batch is just more rows */
        for (int i = 0; i + 2 < a->rank; i++) s->m *= a->dims[i];
        return HONE_OK;
    }
    int batch_rank = y->rank - (a->rank > 1) - (b->rank > 1);
    for (int i = 0; i < batch_rank; i++) s->batch *= y->dims[i];
    HONE_TRY(matrices(p, a, y, batch_rank, s->batch, &s->a_matrix, err));
    return matrices(p, b, y, batch_rank, s->batch, &s->b_matrix, err);
}

hone_status hone_infer_matmul_shape(const hone_infer *ctx, const hone_type *a, const hone_type *b,
                                    hone_type *y, hone_error *err) {
    if (a->rank < 0 || b->rank < 0) return HONE_OK;
    if (a->rank == 0 || b->rank == 0)
        return hone_infer_fail(ctx, err, "a scalar cannot be multiplied as a matrix");
    int64_t k;
    HONE_TRY(hone_infer_same_dim(ctx, a->dims[a->rank - 1], b->dims[b->rank > 1 ? b->rank - 2 : 0], &k, err));
    hone_type left = *a, right = *b, batch = *y;
    left.rank = a->rank > 2 ? a->rank - 2 : 0;
    right.rank = b->rank > 2 ? b->rank - 2 : 0;
    HONE_TRY(hone_infer_broadcast(ctx, &left, &right, &batch, err));
    y->rank = batch.rank;
    memcpy(y->dims, batch.dims, sizeof y->dims);
    if (a->rank > 1) y->dims[y->rank++] = a->dims[a->rank - 2];
    if (b->rank > 1) y->dims[y->rank++] = b->dims[b->rank - 1];
    return HONE_OK;
}
