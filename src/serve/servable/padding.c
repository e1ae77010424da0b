#include "serve/servable/padding.h"

#include "base/half.h"

#include <math.h>
#include <string.h>

/* --- values --- */

/* Both as a real number and as a whole one, if it is one. */
typedef struct number {
    double real;
    int64_t whole;
    bool is_whole;
} number;

static number number_of(const hone_tensor_setting *t) {
    if (!t) return (number){.is_whole = true};
    if (!t->is_real) return (number){(double)t->whole, t->whole, true};
    bool whole = t->real >= -0x1p53 && t->real <= 0x1p53 && nearbyint(t->real) == t->real;
    return (number){t->real, whole ? (int64_t)t->real : 0, whole};
}

static bool put_float(hone_dtype dtype, double x, void *out) {
    float f = (float)x;
    uint16_t half;
    switch (dtype) {
    case HONE_FLOAT64: memcpy(out, &x, sizeof x); return true;
    case HONE_FLOAT32: memcpy(out, &f, sizeof f); return isfinite(f);
    case HONE_FLOAT16:
        half = hone_half_of_float(hone_odd_float_of_double(x));
        memcpy(out, &half, sizeof half);
        return (half & 0x7c00) != 0x7c00;
    case HONE_BFLOAT16:
        half = hone_bfloat_of_float(hone_odd_float_of_double(x));
        memcpy(out, &half, sizeof half);
        return (half & 0x7f80) != 0x7f80;
    default: return false;
    }
}

static bool put_whole(hone_dtype dtype, int64_t x, void *out) {
    int64_t least, most;
    switch (dtype) {
    case HONE_BOOL: least = 0, most = 1; break;
    case HONE_INT8: least = INT8_MIN, most = INT8_MAX; break;
    case HONE_INT16: least = INT16_MIN, most = INT16_MAX; break;
    case HONE_INT32: least = INT32_MIN, most = INT32_MAX; break;
    case HONE_INT64: least = INT64_MIN, most = INT64_MAX; break;
    case HONE_UINT8: least = 0, most = UINT8_MAX; break;
    case HONE_UINT16: least = 0, most = UINT16_MAX; break;
    case HONE_UINT32: least = 0, most = UINT32_MAX; break;
    case HONE_UINT64: least = 0, most = INT64_MAX; break;
    default: return false;
    }
    memcpy(out, &x, hone_dtype_size(dtype)); /* little-endian */
    return x >= least && x <= most;
}

bool hone_pad_element(hone_dtype dtype, const hone_tensor_setting *t, void *out) {
    number x = number_of(t);
    memset(out, 0, HONE_PAD_ELEMENT);
    if (x.is_whole && x.whole == 0) return true;
    return (x.is_whole && put_whole(dtype, x.whole, out)) || put_float(dtype, x.real, out);
}

/* --- rows --- */

/* What is copied: `box` elements of both, from their beginnings. */
static void copy_box(char *to, const int64_t *to_dims, const char *from, const int64_t *from_dims,
                     const int64_t *box, int rank, size_t element) {
    int outer = rank;
    size_t to_step[HONE_MAX_RANK], from_step[HONE_MAX_RANK], to_bytes = element, from_bytes = element;
    int64_t at[HONE_MAX_RANK] = {0};
    for (int d = rank - 1; d >= 0; d--) {
        if (box[d] == 0) return;
        to_step[d] = to_bytes;
        from_step[d] = from_bytes;
        if (outer == d + 1 && to_bytes == from_bytes) outer = d;
        to_bytes *= (size_t)to_dims[d];
        from_bytes *= (size_t)from_dims[d];
    }
    /* dimensions from `outer` on lie together in both */
    size_t piece = (size_t)box[outer] * to_step[outer];
    for (;;) {
        memcpy(to, from, piece);
        int d = outer - 1;
        for (; d >= 0; d--) {
            to += to_step[d];
            from += from_step[d];
            if (++at[d] < box[d]) break;
            to -= (size_t)box[d] * to_step[d];
            from -= (size_t)box[d] * from_step[d];
            at[d] = 0;
        }
        if (d < 0) return;
    }
}

static void fill(char *to, size_t bytes, size_t element, const void *value) {
    static const char zeros[HONE_PAD_ELEMENT];
    if (memcmp(value, zeros, element) == 0) {
        memset(to, 0, bytes);
        return;
    }
    if (bytes) memcpy(to, value, element);
    for (size_t done = element; done < bytes; done *= 2)
        memcpy(to + done, to, done < bytes - done ? done : bytes - done);
}

void hone_pad_rows(void *to, const int64_t *to_dims, const void *from, const int64_t *from_dims, int rank,
                   int64_t rows, size_t element, const void *value) {
    int64_t box[HONE_MAX_RANK];
    size_t bytes = element * (size_t)rows;
    box[0] = rows;
    bool same = true;
    for (int d = 1; d < rank; d++) {
        box[d] = from_dims[d];
        same = same && from_dims[d] == to_dims[d];
        bytes *= (size_t)to_dims[d];
    }
    if (!same) fill(to, bytes, element, value);
    copy_box(to, to_dims, from, from_dims, box, rank, element);
}

void hone_cut_rows(void *to, const int64_t *to_dims, const void *from, const int64_t *from_dims, int rank,
                   int64_t rows, size_t element) {
    int64_t box[HONE_MAX_RANK];
    box[0] = rows;
    for (int d = 1; d < rank; d++) box[d] = to_dims[d];
    copy_box(to, to_dims, from, from_dims, box, rank, element);
}
