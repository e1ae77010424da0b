#include "kernels/levels.h"
#include "kernels/vec.h"

#define PATCH_TYPE uint8_t
#if defined(HONE_ISA_v4)
#define PATCH_LANES 64
#elif defined(HONE_ISA_v3)
#define PATCH_LANES 32
#else
#define PATCH_LANES 16
#endif

#if defined(HONE_ISA_v4)
VEC_FN __mmask64 first(int n) {
    return n == 64 ? ~(__mmask64)0 : ((__mmask64)1 << n) - 1;
}

/* Bytes [lo, hi) of p[0], p[step], …, others of `old`. */
VEC_FN __m512i load_bytes(const uint8_t *p, const int64_t step, int lo, int hi, __m512i old) {
    const __mmask64 inside = first(hi) & ~first(lo);
    if (step == 1) return _mm512_mask_loadu_epi8(old, inside, p);
    if (step == 2) {
        /* Every second byte is the low one of two, of which the last one's other is not ours. */
        const __mmask64 even = 0x5555555555555555;
        const __m512i a = _mm512_maskz_loadu_epi8(even & _pdep_u64(inside, even), p),
                      b = _mm512_maskz_loadu_epi8(even & _pdep_u64(inside >> 32, even), p + 64);
        const __m512i both =
            _mm512_inserti64x4(_mm512_castsi256_si512(_mm512_cvtepi16_epi8(a)), _mm512_cvtepi16_epi8(b), 1);
        return _mm512_mask_mov_epi8(old, inside, both);
    }
    uint8_t bytes[64];
    _mm512_storeu_si512(bytes, old);
    for (int i = lo; i < hi; i++) bytes[i] = p[i * step];
    return _mm512_loadu_si512(bytes);
}

VEC_FN void copy_run(const uint8_t *x, uint8_t *y, const int64_t step, int lo, int hi, int lanes,
                     uint8_t fill) {
    const __m512i v = load_bytes(x, step, lo, hi, _mm512_set1_epi8((char)fill));
    _mm512_mask_storeu_epi8(y, first(lanes), v);
}
#else
VEC_FN void copy_run(const uint8_t *x, uint8_t *y, const int64_t step, int lo, int hi, int lanes,
                     uint8_t fill) {
    if (step == 1 && lo == 0 && hi == PATCH_LANES) {
        memcpy(y, x, PATCH_LANES);
        return;
    }
    int i = 0;
    for (; i < lo; i++) y[i] = fill;
    for (; step == 1 && i + 8 <= hi; i += 8) memcpy(y + i, x + i, 8);
    for (; i < hi; i++) y[i] = x[i * step];
    for (; i < lanes; i++) y[i] = fill;
}
#endif

#include "kernels/patches.inc.h"

void HONE_ISA_NAME(patches_8)(const hone_windows *w, const uint8_t *x, int64_t c0, int64_t c1, int64_t j0,
                              int64_t j1, uint8_t *y, int64_t y_row, uint8_t fill) {
    copy_patches(w, x, c0, c1, j0, j1, y, y_row, fill);
}
