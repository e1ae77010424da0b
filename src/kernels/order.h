/* Kernels that order elements, in portable C: scans, keys that compare as the elements do, and what sorts by them. */
#ifndef HONE_KERNELS_ORDER_H
#define HONE_KERNELS_ORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A running sum or product of `n` rows of `columns` elements each, `row` elements apart: y's row i is that of x's rows up
 * to i (`exclusive`: before it), from the last one on if `reverse`. Halves add up in float, integers wrap. `dtype`: a
 * number of hone_dtype, of whole bytes, no float8 and no bool. y may be x. */
typedef struct hone_scan {
    int dtype;
    bool product, exclusive, reverse;
    int64_t n, row;
} hone_scan;
void hone_scan_rows(const hone_scan *s, const void *x, int64_t columns, void *y);
/* The gradient to x of running products, s->dtype being float32 or float64:
 * dx[i] = (product of x before i) * (sum over j from i on of dy[j] * product of x behind i up to j). */
void hone_scan_product_gradient(const hone_scan *s, const void *dy, const void *x, int64_t columns, void *dx);

/* keys[i] of element x[i * stride]: keys compare as the elements do. -0 is 0, every NaN the same and the largest. Of all
 * dtypes of whole bytes but strings and float8. */
void hone_order_keys(int dtype, const void *x, int64_t stride, int64_t n, uint64_t *keys);

/* An element to be sorted: by descending key, then by ascending index. */
typedef struct hone_ranked {
    uint64_t key;
    int64_t index;
} hone_ranked;
/* Adds elements `first` … first + n - 1, of those keys, to the `count` best of a heap of at most `most`, whose root is the
 * worst; returns how many there are now. */
int64_t hone_best_of(hone_ranked *heap, int64_t count, int64_t most, const uint64_t *keys, int64_t first,
                     int64_t n);
/* Adds e to the `count` best of a heap of at most `most`, whose root is the worst; returns how many there are now. */
int64_t hone_best_add(hone_ranked *heap, int64_t count, int64_t most, hone_ranked e);
/* Sorts a heap: the best comes first. */
void hone_best_sort(hone_ranked *heap, int64_t count);

/* Makes a heap of n elements whose root is the best, and takes the root out of one of n: n - 1 are left. */
void hone_heap_make(hone_ranked *heap, int64_t n);
hone_ranked hone_heap_take(hone_ranked *heap, int64_t n);

/* Is a before b: < 0, equal: 0? */
typedef int hone_compare_fn(const void *arg, int64_t a, int64_t b);
/* Sorts indices; equal ones stay in their order. `room` has space for n more. */
void hone_sort_indices(int64_t *index, int64_t n, int64_t *room, hone_compare_fn *compare, const void *arg);

#endif
