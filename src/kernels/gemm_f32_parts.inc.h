/* Floats as values of bfloat16, one or three each, in tiles of A and B: a part of gemm_f32_tiles.inc.h, which tells of them and defines
 * what is used here. */

/* The upper 8 of 24 bits. */
VEC_FN vec_f32 upper(vec_f32 x) {
    return vec_from_bits(vec_bits(x) & vec_set1_i32(-65536));
}

/* The value that part has, in the upper half of each lane; x becomes what is left. */
VEC_FN vec_i32 next_part(vec_f32 *x, const int part) {
    if (PARTS == 1) { /* to the nearest, ties to even; NaN stays */
        const vec_i32 bits = vec_bits(*x);
        const vec_i32 even = vec_shr_u32(bits, 16) & vec_set1_i32(1);
        const vec_i32 rounded = vec_add_i32(bits, vec_add_i32(even, vec_set1_i32(0x7fff)));
        return vec_select_i32(vec_is_nan(*x), bits | vec_set1_i32(0x400000), rounded);
    }
    const vec_f32 top = upper(*x);
    if (part + 1 < PARTS) *x = *x - top;
    return vec_bits(top);
}

/* Two values become a word. */
VEC_FN vec_i32 pair_of(vec_i32 first, vec_i32 second) {
    return vec_shr_u32(first, 16) | (second & vec_set1_i32(-65536));
}

#if PARTS == 1

/* 32 values of k of a row, rounded. */
VEC_FN void split_row(const float *a, uint16_t *out, int64_t out_part) {
    (void)out_part;
#ifdef __AVX512BF16__
    const vec_f32 x = vec_load(a), y = vec_load(a + COLUMNS);
    _mm512_storeu_si512(out, (__m512i)_mm512_cvtne2ps_pbh((__m512)y, (__m512)x));
#else
    for (int v = 0; v < 2 * COLUMNS; v += VEC_F32) {
        vec_f32 x = vec_load(a + v);
        int32_t bits[VEC_F32];
        vec_store_i32(bits, next_part(&x, 0));
        for (int i = 0; i < VEC_F32; i++) out[v + i] = (uint16_t)((uint32_t)bits[i] >> 16);
    }
#endif
}

static void lay(const float *a, int64_t n, void *out, int64_t out_part) {
    for (int64_t l = 0; l < n; l += STEP) split_row(a + l, (uint16_t *)out + l, out_part);
}

#else

/* 32 values of k of a row, into one row of each part. */
VEC_FN void split_row(const float *a, uint16_t *out, int64_t out_part) {
    VEC_UNROLL
    for (int v = 0; v < LANES; v++) {
        vec_f32 x = vec_load(a + v * VEC_F32), y = vec_load(a + COLUMNS + v * VEC_F32);
        VEC_UNROLL
        for (int part = 0; part < PARTS; part++) {
            const vec_i32 first = next_part(&x, part), second = next_part(&y, part);
            vec_store_i32((int32_t *)(void *)(out + part * out_part) + v * VEC_F32, pair_of(first, second));
        }
    }
}

/* For hone_gemm_family's lay: as split_row, but what is left of numbers without parts is 0, so that the parts' sum is x. */
static void lay(const float *a, int64_t n, void *out, int64_t out_part) {
    uint16_t *to = out;
    for (int64_t l = 0; l < n; l += STEP, a += STEP, to += STEP) VEC_UNROLL
    for (int v = 0; v < LANES; v++) {
        vec_f32 x = vec_load(a + v * VEC_F32), y = vec_load(a + COLUMNS + v * VEC_F32);
        VEC_UNROLL
        for (int part = 0; part < PARTS; part++) {
            const vec_i32 first = next_part(&x, part), second = next_part(&y, part);
            vec_store_i32((int32_t *)(void *)(to + part * out_part) + v * VEC_F32, pair_of(first, second));
            if (PARTS == 3 && part == 0) {
                x = vec_select(vec_is_nan(x), vec_zero(), x);
                y = vec_select(vec_is_nan(y), vec_zero(), y);
            }
        }
    }
}

/* The sum of the parts of 32 values. */
static void join_row(const uint16_t *a, int64_t a_part, float *out) {
    for (int l = 0; l < COLUMNS; l++) {
        out[FIRST(l)] = out[SECOND(l)] = 0;
        for (int part = PARTS - 1; part >= 0; part--) {
            uint32_t first = (uint32_t)a[part * a_part + 2 * l] << 16,
                     second = (uint32_t)a[part * a_part + 2 * l + 1] << 16;
            float x, y;
            memcpy(&x, &first, sizeof x);
            memcpy(&y, &second, sizeof y);
            out[FIRST(l)] += x;
            out[SECOND(l)] += y;
        }
    }
}

#endif

/* Vectors [v0, v1) of pairs of step `step` of the panel, of LANES times `across` a pair, into `across` tiles. `whole`: none
 * of it is beyond k or the columns. */
VEC_FN void split_pairs(const panel_work *w, const int across, const bool whole, int64_t step, const int v0,
                        const int v1, uint16_t *out) {
    const int64_t row = w->from_row, rest = w->k - step * STEP;
    const float *from = w->from + step * STEP * row;
    VEC_UNROLL
    for (int v = v0; v < v1; v++) {
        const int l = v / (across * LANES), lane = v % (across * LANES), at = lane * VEC_F32;
        const float *first = from + FIRST(l) * row + at, *second = from + SECOND(l) * row + at;
        vec_f32 x, y;
        if (whole) {
            x = vec_load(first);
            y = vec_load(second);
        } else {
            const int64_t count = min_i64(w->columns - at, VEC_F32);
            const int some = count > 0 ? (int)count : 0;
            x = vec_load_n(first, FIRST(l) < rest ? some : 0);
            y = vec_load_n(second, SECOND(l) < rest ? some : 0);
        }
        VEC_UNROLL
        for (int part = 0; part < PARTS; part++) {
            const vec_i32 low = next_part(&x, part), high = next_part(&y, part);
            int32_t *words = (int32_t *)(void *)(out + (part * across + lane / LANES) * TILE);
            vec_store_i32(words + l * COLUMNS + lane % LANES * VEC_F32, pair_of(low, high));
        }
    }
}

/* A whole step's, which may end beyond k or the columns. */
VEC_FN void split_step(const panel_work *w, const int across, int64_t step, uint16_t *out) {
    for (int l = 0; l < COLUMNS; l++) {
        const panel_work one = {.from = w->from + FIRST(l) * w->from_row,
                                .from_row = w->from_row,
                                .k = w->k - FIRST(l),
                                .columns = w->columns};
        split_pairs(&one, across, false, step, 0, across * LANES, out + 2 * COLUMNS * l);
    }
}

#if PARTS == 1
/* --- packing --- */

static size_t packed_size(int64_t k, int64_t n) {
    return (size_t)(tasks(k, STEP) * STEP * tasks(n, COLUMNS) * COLUMNS) * sizeof(uint16_t);
}

static uint16_t rounded(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return (uint16_t)(x != x ? bits >> 16 | 0x40 : (bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/* Elements [l, l + 2) of k of columns [j, j + 16), beyond k and n zeros. */
static void pack_pair(const hone_gemm_b *b, int64_t l, int64_t j, uint16_t *out) {
    const float *from = (const float *)b->b + l * b->b_row + j * b->b_col;
    const int64_t columns = min_i64(b->n - j, COLUMNS), values = min_i64(b->k - l, 2);
    memset(out, 0, 2 * COLUMNS * sizeof *out);
    for (int64_t c = 0; c < columns; c++)
        for (int64_t i = 0; i < values; i++) out[2 * c + i] = rounded(from[i * b->b_row + c * b->b_col]);
}

static void pack(const hone_gemm_b *b, int64_t l0, int64_t l1, int64_t n0, int64_t n1) {
    for (int64_t j = n0; j < n1; j += PANEL) {
        const int64_t across = tasks(min_i64(b->n - j, PANEL), COLUMNS);
        uint16_t *panel = (uint16_t *)b->packed + tasks(b->k, STEP) * STEP * j;
        for (int64_t l = l0; l < tasks(l1, STEP) * STEP; l += 2)
            for (int64_t i = 0; i < across; i++) {
                uint16_t *out = panel + (l / STEP * across + i) * TILE + l % STEP * COLUMNS;
                if (l < l1)
                    pack_pair(b, l, j + i * COLUMNS, out);
                else
                    memset(out, 0, 2 * COLUMNS * sizeof *out);
            }
    }
}
#endif
