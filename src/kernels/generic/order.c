#include "kernels/order.h"

#include "base/half.h"

#include <hone/tensor.h>
#include <string.h>

/* --- scans --- */

#define WIDTH 64 /* columns at a time */

/* y[c] becomes what was before, or what is then; sum[c] goes on. */
#define SCAN(type, wide, LOAD, STORE, op, neutral)                                                           \
    do {                                                                                                     \
        wide sum[WIDTH];                                                                                     \
        for (int64_t c = 0; c < columns; c++) sum[c] = neutral;                                              \
        for (int64_t k = 0; k < s->n; k++) {                                                                 \
            const int64_t at = (s->reverse ? s->n - 1 - k : k) * s->row;                                     \
            for (int64_t c = 0; c < columns; c++) {                                                          \
                const wide before = sum[c];                                                                  \
                sum[c] = sum[c] op LOAD(((const type *)x)[at + c]);                                          \
                ((type *)y)[at + c] = STORE(s->exclusive ? before : sum[c]);                                 \
            }                                                                                                \
        }                                                                                                    \
    } while (0)
#define BOTH(type, wide, LOAD, STORE)                                                                        \
    if (s->product)                                                                                          \
        SCAN(type, wide, LOAD, STORE, *, 1);                                                                 \
    else                                                                                                     \
        SCAN(type, wide, LOAD, STORE, +, 0);                                                                 \
    break

static void scan(const hone_scan *s, const void *x, int64_t columns, void *y) {
    switch (s->dtype) {
    case HONE_FLOAT32: BOTH(float, float, (float), (float));
    case HONE_FLOAT64: BOTH(double, double, (double), (double));
    case HONE_FLOAT16: BOTH(uint16_t, float, hone_float_of_half, hone_half_of_float);
    case HONE_BFLOAT16: BOTH(uint16_t, float, hone_float_of_bfloat, hone_bfloat_of_float);
    case HONE_INT8:
    case HONE_UINT8: BOTH(uint8_t, uint32_t, (uint32_t), (uint8_t));
    case HONE_INT16:
    case HONE_UINT16: BOTH(uint16_t, uint32_t, (uint32_t), (uint16_t));
    case HONE_INT32:
    case HONE_UINT32: BOTH(uint32_t, uint32_t, (uint32_t), (uint32_t));
    case HONE_INT64:
    case HONE_UINT64: BOTH(uint64_t, uint64_t, (uint64_t), (uint64_t));
    default: break;
    }
}

static size_t size_of(int dtype) {
    return hone_dtype_size((hone_dtype)dtype);
}

void hone_scan_rows(const hone_scan *s, const void *x, int64_t columns, void *y) {
    for (int64_t c = 0; c < columns; c += WIDTH) {
        size_t at = (size_t)c * size_of(s->dtype);
        scan(s, (const char *)x + at, columns - c < WIDTH ? columns - c : WIDTH, (char *)y + at);
    }
}

/* dx first has the products before each; the sums then come from behind: s[i] = dy[i] + x[i + 1] s[i + 1]. */
#define PRODUCT_GRADIENT(type)                                                                               \
    for (int64_t c = 0; c < columns; c++) {                                                                  \
        const int64_t step = s->reverse ? -s->row : s->row,                                                  \
                      first = c + (s->reverse ? (s->n - 1) * s->row : 0);                                    \
        const type *from = (const type *)x + first, *d = (const type *)dy + first;                           \
        type *to = (type *)dx + first, product = 1, sum = 0;                                                 \
        for (int64_t k = 0; k < s->n; k++) {                                                                 \
            to[k * step] = product;                                                                          \
            product *= from[k * step];                                                                       \
        }                                                                                                    \
        for (int64_t k = s->n - 1; k >= 0; k--) {                                                            \
            if (!s->exclusive) sum += d[k * step];                                                           \
            to[k * step] *= sum;                                                                             \
            sum *= from[k * step];                                                                           \
            if (s->exclusive) sum += d[k * step];                                                            \
        }                                                                                                    \
    }

void hone_scan_product_gradient(const hone_scan *s, const void *dy, const void *x, int64_t columns,
                                void *dx) {
    if (s->dtype == HONE_FLOAT64) {
        PRODUCT_GRADIENT(double)
    } else {
        PRODUCT_GRADIENT(float)
    }
}

/* --- keys --- */

static uint64_t key_of_float(float x) {
    if (x != x) return UINT64_MAX;
    const uint32_t bits = hone_bits_of_float(x == 0 ? 0 : x);
    return bits >> 31 ? (uint32_t)~bits : bits | 0x80000000u;
}

static uint64_t key_of_double(double x) {
    uint64_t bits;
    if (x != x) return UINT64_MAX;
    if (x == 0) x = 0;
    memcpy(&bits, &x, sizeof bits);
    return bits >> 63 ? ~bits : bits | (uint64_t)1 << 63;
}

static uint64_t key_of_signed(int64_t x) {
    return (uint64_t)x ^ (uint64_t)1 << 63;
}

#define KEYS(type, KEY)                                                                                      \
    for (int64_t i = 0; i < n; i++) keys[i] = KEY(((const type *)x)[i * stride]);                            \
    break
#define KEY_OF_HALF(x) key_of_float(hone_float_of_half(x))
#define KEY_OF_BFLOAT(x) key_of_float(hone_float_of_bfloat(x))

void hone_order_keys(int dtype, const void *x, int64_t stride, int64_t n, uint64_t *keys) {
    switch (dtype) {
    case HONE_FLOAT32: KEYS(float, key_of_float);
    case HONE_FLOAT64: KEYS(double, key_of_double);
    case HONE_FLOAT16: KEYS(uint16_t, KEY_OF_HALF);
    case HONE_BFLOAT16: KEYS(uint16_t, KEY_OF_BFLOAT);
    case HONE_INT8: KEYS(int8_t, key_of_signed);
    case HONE_INT16: KEYS(int16_t, key_of_signed);
    case HONE_INT32: KEYS(int32_t, key_of_signed);
    case HONE_INT64: KEYS(int64_t, key_of_signed);
    case HONE_BOOL:
    case HONE_UINT8: KEYS(uint8_t, (uint64_t));
    case HONE_UINT16: KEYS(uint16_t, (uint64_t));
    case HONE_UINT32: KEYS(uint32_t, (uint64_t));
    case HONE_UINT64: KEYS(uint64_t, (uint64_t));
    default: break;
    }
}

/* --- the best --- */

/* Without branches, which nobody could foresee. */
static inline bool is_better(hone_ranked a, hone_ranked b) {
    return (a.key > b.key) | ((a.key == b.key) & (a.index < b.index));
}

/* Puts e at `at`, whose place is free, or below it: over it nothing is worse (`best_first`: better) than it. */
static inline void sink(hone_ranked *heap, int64_t at, int64_t count, hone_ranked e, bool best_first) {
    for (int64_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count) child += is_better(heap[child], heap[child + 1]) != best_first;
        if (is_better(e, heap[child]) == best_first) break;
        heap[at] = heap[child];
    }
    heap[at] = e;
}

int64_t hone_best_add(hone_ranked *heap, int64_t count, int64_t most, hone_ranked e) {
    if (count == most) {
        if (most && is_better(e, heap[0])) sink(heap, 0, count, e, false);
        return count;
    }
    int64_t at = count;
    for (int64_t up; at > 0 && is_better(heap[up = (at - 1) / 2], e); at = up) heap[at] = heap[up];
    heap[at] = e;
    return count + 1;
}

int64_t hone_best_of(hone_ranked *heap, int64_t count, int64_t most, const uint64_t *keys, int64_t first,
                     int64_t n) {
    int64_t i = 0;
    for (; i < n && count < most; i++)
        count = hone_best_add(heap, count, most, (hone_ranked){keys[i], first + i});
    for (; i < n && most; i++) /* of equal ones the first stays */
        if (keys[i] > heap[0].key) sink(heap, 0, count, (hone_ranked){keys[i], first + i}, false);
    return count;
}

void hone_best_sort(hone_ranked *heap, int64_t count) {
    while (count > 1) {
        hone_ranked worst = heap[0], last = heap[--count];
        sink(heap, 0, count, last, false);
        heap[count] = worst;
    }
}

void hone_heap_make(hone_ranked *heap, int64_t n) {
    for (int64_t i = n / 2 - 1; i >= 0; i--) sink(heap, i, n, heap[i], true);
}

hone_ranked hone_heap_take(hone_ranked *heap, int64_t n) {
    hone_ranked best = heap[0];
    sink(heap, 0, n - 1, heap[n - 1], true);
    return best;
}

/* --- sorting --- */

void hone_sort_indices(int64_t *index, int64_t n, int64_t *room, hone_compare_fn *compare, const void *arg) {
    int64_t *from = index, *to = room;
    for (int64_t run = 1; run < n; run *= 2) {
        for (int64_t first = 0; first < n; first += 2 * run) {
            int64_t a = first, middle = first + run < n ? first + run : n, b = middle,
                    end = middle + run < n ? middle + run : n;
            for (int64_t k = first; k < end; k++)
                to[k] =
                    b == end || (a < middle && compare(arg, from[a], from[b]) <= 0) ? from[a++] : from[b++];
        }
        int64_t *sorted = to;
        to = from;
        from = sorted;
    }
    if (from != index && n) memcpy(index, from, (size_t)n * sizeof *index);
}
