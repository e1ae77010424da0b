/* What the integer GEMMs share, for one ISA level: packed B, and what becomes of the sums. Before including, define
 *
 *   GEMM_GROUP      values of k in one word of A and of packed B
 *   GEMM_DEPTH      k is filled up to a multiple of this
 *   GEMM_COLUMNS    n likewise
 *   GEMM_PANEL      columns of a panel
 *
 * Packed B:  panel | group of k | column of the panel | k within the group. k and columns beyond the end are
 * zero. */
#include "kernels/levels.h"
#include "kernels/vec_bytes.h"

static int64_t round_up(int64_t x, int64_t unit) {
    return (x + unit - 1) / unit * unit;
}

/* Columns that are stored of the panel from column j on. */
static int64_t panel_width(int64_t n, int64_t j) {
    return round_up(n - j < GEMM_PANEL ? n - j : GEMM_PANEL, GEMM_COLUMNS);
}

static size_t packed_size(int64_t k, int64_t n) {
    return (size_t)round_up(k, GEMM_DEPTH) * (size_t)round_up(n, GEMM_COLUMNS);
}

/* A group of k for `width` columns: the whole one, from rows or from columns that are contiguous, ... */
VEC_FN void pack_group(const uint8_t *restrict x, const int64_t x_row, const int64_t x_col, int64_t width,
                       uint8_t flip, int8_t *restrict packed, int32_t *restrict sum) {
    for (int64_t j = 0; j < width; j++) {
        int32_t total = 0;
#pragma GCC unroll 4
        for (int t = 0; t < GEMM_GROUP; t++) {
            const int8_t value = (int8_t)(x[t * x_row + j * x_col] ^ flip);
            packed[j * GEMM_GROUP + t] = value;
            total += value;
        }
        sum[j] += total;
    }
}

/* ... or what there is of rows [l, l1) and of `columns` columns from p on, the rest being zero. */
static void pack_edge(const hone_gemm_b *b, int64_t l, int64_t l1, int64_t p, int64_t columns, int64_t width,
                      int8_t *packed, int32_t *sum) {
    memset(packed, 0, (size_t)(width * GEMM_GROUP));
    for (int64_t t = 0; t < GEMM_GROUP && l + t < l1; t++)
        for (int64_t j = 0; j < columns; j++) {
            const uint8_t x = ((const uint8_t *)b->b)[(l + t) * b->b_row + (p + j) * b->b_col];
            packed[j * GEMM_GROUP + t] = (int8_t)(x ^ b->flip);
            sum[j] += packed[j * GEMM_GROUP + t];
        }
}

static void pack(const hone_gemm_b *b, int64_t l0, int64_t l1, int64_t n0, int64_t n1) {
    const int64_t end = round_up(l1, GEMM_DEPTH);
    for (int64_t p = n0; p < n1; p += GEMM_PANEL) {
        const int64_t width = panel_width(b->n, p), columns = n1 - p < width ? n1 - p : width;
        const uint8_t *x = (const uint8_t *)b->b + l0 * b->b_row + p * b->b_col;
        int8_t *packed = (int8_t *)b->packed + p * round_up(b->k, GEMM_DEPTH) + l0 * width;
        int32_t sum[GEMM_PANEL] = {0};
        for (int64_t l = l0; l < end; l += GEMM_GROUP, packed += width * GEMM_GROUP) {
            if (l + GEMM_GROUP > l1 || columns < width) {
                pack_edge(b, l, l1, p, columns, width, packed, sum);
                continue;
            }
            if (b->b_col == 1)
                pack_group(x, b->b_row, 1, width, b->flip, packed, sum);
            else
                pack_group(x, b->b_row, b->b_col, width, b->flip, packed, sum);
            x += GEMM_GROUP * b->b_row;
        }
        for (int64_t j = 0; b->column_sum && j < columns; j++)
            __atomic_fetch_add(&b->column_sum[p + j], sum[j], __ATOMIC_RELAXED);
    }
}

VEC_FN vec_f32 load_columns(const float *p, int n) {
    return n == VEC_F32 ? vec_load(p) : vec_load_n(p, n);
}
VEC_FN vec_i32 load_columns_i32(const int32_t *p, int n) {
    return n == VEC_F32 ? vec_load_i32(p) : vec_load_i32_n(p, n);
}

/* A number as it lies between both; the first of them where it is NaN. */
VEC_FN vec_f32 between(vec_f32 x, float lo, float hi) {
    return vec_min(vec_max(x, vec_set1(lo)), vec_set1(hi)); /* these give their second operand for NaN */
}

/* Bounds of a code less its zero point. */
static float least_code(const hone_epilogue *e, int32_t zero) {
    return (e->store == HONE_STORE_U8 ? 0.0f : -128.0f) - (float)zero;
}

/* n <= VEC_F32 codes from `at` on of those that are added. */
VEC_FN vec_i32 load_codes(const void *p, int64_t at, int n, const bool is_signed) {
    const uint8_t *u = (const uint8_t *)p + at;
    const int8_t *s = (const int8_t *)p + at;
    if (n == VEC_F32) return is_signed ? vec_load_s8(s) : vec_load_u8(u);
    return is_signed ? vec_load_s8_n(s, n) : vec_load_u8_n(u, n);
}

/* n <= VEC_F32 codes, less their zero point, as real numbers, to which others are added. */
VEC_FN vec_f32 sum_of_codes(const hone_byte_sum *p, vec_f32 code, int64_t i, int64_t j, int n,
                            const bool is_signed) {
    vec_f32 sum = code * p->scale;
    if (p->other) {
        const vec_i32 other = load_codes(p->other, i * p->other_row + j, n, is_signed);
        sum = sum + vec_from_i32(vec_sub_i32(other, vec_set1_i32(p->other_zero))) * p->other_scale;
    }
    return between(sum, p->lo, p->hi);
}

VEC_FN void store_codes(void *p, int64_t at, int n, const bool is_signed, vec_i32 s) {
    uint8_t *to = (uint8_t *)p + at;
    if (!is_signed && n == VEC_F32)
        vec_store_u8(to, s);
    else if (!is_signed)
        vec_store_u8_n(to, s, n);
    else if (n == VEC_F32)
        vec_store_s8((int8_t *)to, s);
    else
        vec_store_s8_n((int8_t *)to, s, n);
}

/* What becomes of n <= VEC_F32 sums of row i from column j on. lo and hi are those of the value before
 * rounding. */
VEC_FN void store_vector(const hone_gemm *g, int64_t i, int64_t j, int n, vec_i32 s, float lo, float hi) {
    const hone_epilogue *e = &g->epilogue;
    const hone_byte_sum *plus = &e->plus;
    const bool is_signed = e->store == HONE_STORE_S8;
    const int64_t at = i * g->c_row + j;
    if (e->sum_bias) s = vec_add_i32(s, load_columns_i32(e->sum_bias + j, n));
    if (e->row_sum_bias) s = vec_add_i32(s, vec_set1_i32(e->row_sum_bias[i]));
    if (e->b_zero)
        s = vec_sub_i32(s, vec_mul_i32(load_columns_i32(e->b_zero + j, n), vec_set1_i32(e->a_sum[i])));
    if (e->store == HONE_STORE_I32) {
        vec_store_i32_n((int32_t *)g->c + at, s, n);
        return;
    }
    vec_f32 v = vec_from_i32(s) * (e->row_scale ? vec_set1(e->row_scale[i]) : load_columns(e->scale + j, n));
    if (e->bias) v = v + load_columns((const float *)e->bias + j, n);
    if (e->row_bias) v = v + ((const float *)e->row_bias)[i];
    if (e->residual) v = v + load_columns((const float *)e->residual + i * e->residual_row + j, n);
    if (e->store == HONE_STORE_F32) { /* vec_max and vec_min give b where either is NaN */
        vec_store_n((float *)g->c + at, vec_min(vec_set1(hi), vec_max(vec_set1(lo), v)), n);
        return;
    }
    v = between(v, lo, hi);
    int32_t zero = e->zero;
    if (plus->step != 0) {
        v = sum_of_codes(plus, vec_round(v), i, j, n, is_signed);
        zero = plus->zero;
        v = between(v / plus->step, least_code(e, zero), least_code(e, zero) + 255.0f);
    }
    store_codes(g->c, at, n, is_signed, vec_add_i32(vec_to_i32(v), vec_set1_i32(zero)));
}

static float clamp(float x, float lo, float hi) {
    return x < lo ? lo : x > hi ? hi : x;
}

#if VEC_F32 == 16
/* The usual bytes: quick where k is small, when what becomes of a sum takes longer than the sum. Four vectors are packed into
 * one, of one row, or of two where panels are narrow. Saturation does the clamping but for numbers that are too large for
 * integers; NaN becomes the least. */
#define PANEL_VECTORS (GEMM_PANEL / VEC_F32)
#define ROWS_AT_ONCE (4 / PANEL_VECTORS)

typedef struct byte_columns {
    vec_i32 bias[PANEL_VECTORS];
    vec_f32 scale[PANEL_VECTORS], more[PANEL_VECTORS];
    bool has_more;
    float lo, hi;
} byte_columns;

/* A row's vector v, rounded; `n` columns of it are there. */
VEC_FN vec_i32 code_of(const hone_gemm *g, const byte_columns *c, int64_t i, int64_t j, const int v, int n,
                       vec_i32 sum, const bool is_signed, const bool plus) {
    const hone_byte_sum *p = &g->epilogue.plus;
    vec_f32 x = vec_from_i32(vec_add_i32(sum, c->bias[v])) * c->scale[v];
    if (c->has_more) x = x + c->more[v];
    if (!plus) return vec_to_i32(vec_min(vec_set1(c->hi), x));
    x = sum_of_codes(p, vec_round(between(x, c->lo, c->hi)), i, j + v * VEC_F32, n, is_signed);
    return vec_to_i32(vec_fma(x, vec_set1(p->inverse), x * p->inverse_rest));
}

/* `vectors` vectors of columns, the last of them of `lanes`. */
VEC_FN void store_bytes(const hone_gemm *g, int64_t i, int rows, int64_t j, const int vectors, int lanes,
                        const int32_t *sums, float lo, float hi, const bool is_signed, const bool plus) {
    const hone_epilogue *e = &g->epilogue;
    const __m512i zero = _mm512_set1_epi16((short)(plus ? e->plus.zero : e->zero)),
                  order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    byte_columns c = {.has_more = e->bias, .lo = lo, .hi = hi};
    VEC_UNROLL
    for (int v = 0; v < vectors; v++) {
        const int n = v + 1 < vectors ? VEC_F32 : lanes;
        c.bias[v] = load_columns_i32(e->sum_bias + j + v * VEC_F32, n);
        c.scale[v] = load_columns(e->scale + j + v * VEC_F32, n);
        if (e->bias) c.more[v] = load_columns((const float *)e->bias + j + v * VEC_F32, n);
    }
    const int width = (vectors - 1) * VEC_F32 + lanes;
    for (int r = 0; r < rows; r += ROWS_AT_ONCE) {
        const int row[2] = {r, r + 1 < rows ? r + 1 : r};
        __m512i s[4] = {_mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512(),
                        _mm512_setzero_si512()};
        VEC_UNROLL
        for (int q = 0; q < ROWS_AT_ONCE; q++) VEC_UNROLL
        for (int v = 0; v < vectors; v++)
            s[q * PANEL_VECTORS + v] =
                (__m512i)code_of(g, &c, i + row[q], j, v, v + 1 < vectors ? VEC_F32 : lanes,
                                 vec_load_i32(sums + row[q] * GEMM_PANEL + v * VEC_F32), is_signed, plus);
        const __m512i low = _mm512_adds_epi16(_mm512_packs_epi32(s[0], s[1]), zero),
                      high = _mm512_adds_epi16(_mm512_packs_epi32(s[2], s[3]), zero);
        const __m512i bytes = _mm512_permutexvar_epi32(order, is_signed ? _mm512_packs_epi16(low, high)
                                                                        : _mm512_packus_epi16(low, high));
        uint8_t *to = (uint8_t *)g->c + (i + r) * g->c_row + j;
        vec_store_bytes(to, (vec_i32)bytes, width);
        if (row[1] > r && ROWS_AT_ONCE == 2)
            vec_store_bytes(to + g->c_row, (vec_i32)_mm512_shuffle_i64x2(bytes, bytes, 0xee), width);
    }
}

/* True: `columns` columns of the rows from column j on are stored. `lo`, `hi`: as in `store`. */
static bool stored_bytes(const hone_gemm *g, int64_t i, int rows, int64_t j, int64_t columns,
                         const int32_t *sums, float lo, float hi) {
    const hone_epilogue *e = &g->epilogue;
    const bool is_signed = e->store == HONE_STORE_S8, plus = e->plus.step != 0;
    if ((!is_signed && e->store != HONE_STORE_U8) || !e->sum_bias || e->row_sum_bias || e->b_zero ||
        e->row_scale || e->row_bias || e->residual)
        return false;
    if (plus ? e->plus.inverse == 0 : lo > least_code(e, e->zero)) return false;
    const int vectors = (int)(columns + VEC_F32 - 1) / VEC_F32,
              lanes = (int)columns - (vectors - 1) * VEC_F32;
#define AS_BYTES(count, width, sign, sum) store_bytes(g, i, rows, j, count, width, sums, lo, hi, sign, sum)
    if (is_signed && columns < GEMM_PANEL)
        return false;
    else if (is_signed && plus)
        AS_BYTES(PANEL_VECTORS, VEC_F32, true, true);
    else if (is_signed)
        AS_BYTES(PANEL_VECTORS, VEC_F32, true, false);
    else if (columns == GEMM_PANEL && plus)
        AS_BYTES(PANEL_VECTORS, VEC_F32, false, true);
    else if (columns == GEMM_PANEL)
        AS_BYTES(PANEL_VECTORS, VEC_F32, false, false);
    else if (plus && vectors == 1)
        AS_BYTES(1, lanes, false, true);
    else if (plus)
        return false;
    else if (vectors == 1)
        AS_BYTES(1, lanes, false, false);
    else if (vectors == 2)
        AS_BYTES(2, lanes, false, false);
#if PANEL_VECTORS == 4
    else if (vectors == 3)
        AS_BYTES(3, lanes, false, false);
    else
        AS_BYTES(4, lanes, false, false);
#endif
#undef AS_BYTES
    return true;
}
#endif

/* sums[rows][GEMM_PANEL], of `columns` from column j on. */
static void store(const hone_gemm *g, int64_t i, int rows, int64_t j, int64_t columns, const int32_t *sums) {
    const hone_epilogue *e = &g->epilogue;
    float lo = (float)e->lo, hi = (float)e->hi;
    if (e->store == HONE_STORE_U8 || e->store == HONE_STORE_S8) {
        /* Saturation is one more clamp, and clamping to whole numbers may come before rounding. */
        const float least = least_code(e, e->zero);
        lo = clamp(lo, least, least + 255.0f);
        hi = clamp(hi, least, least + 255.0f);
    }
#if VEC_F32 == 16
    if (stored_bytes(g, i, rows, j, columns, sums, lo, hi)) return;
#endif
    for (int r = 0; r < rows; r++, sums += GEMM_PANEL) {
        int64_t v = 0;
        for (; v + VEC_F32 <= columns; v += VEC_F32)
            store_vector(g, i + r, j + v, VEC_F32, vec_load_i32(sums + v), lo, hi);
        if (v < columns) store_vector(g, i + r, j + v, (int)(columns - v), vec_load_i32(sums + v), lo, hi);
    }
}
