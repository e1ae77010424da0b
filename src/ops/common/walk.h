/* Small index spaces, and what many descriptors need of shapes. */
#ifndef HONE_OPS_COMMON_WALK_H
#define HONE_OPS_COMMON_WALK_H

#include "graph/graph.h"

/* Positions 0 … count-1 of a space of `rank` dimensions, row-major, and where each lies. */
typedef struct hone_walk {
    int rank;
    int64_t count;
    int64_t dims[HONE_MAX_RANK], strides[HONE_MAX_RANK];
} hone_walk;

static inline void hone_walk_init(hone_walk *w) {
    *w = (hone_walk){.count = 1};
}

/* Appends an innermost dimension; 1 is left out. */
static inline void hone_walk_add(hone_walk *w, int64_t dim, int64_t stride) {
    w->count *= dim;
    if (dim == 1) return;
    w->dims[w->rank] = dim;
    w->strides[w->rank++] = stride;
}

static inline int64_t hone_walk_offset(const hone_walk *w, int64_t index) {
    int64_t offset = 0;
    for (int i = w->rank - 1; i > 0; i--) {
        offset += index % w->dims[i] * w->strides[i];
        index /= w->dims[i];
    }
    return w->rank ? offset + index * w->strides[0] : 0;
}

/* Product of dims[from … to-1] of a concrete type. */
static inline int64_t hone_dims_product(const hone_type *t, int from, int to) {
    int64_t n = 1;
    for (int i = from; i < to; i++) n *= t->dims[i];
    return n;
}

/* Product of dimensions that may be symbols: HONE_DIM_ANY if one is none that is known, INT64_MAX if it is
 * too large. */
static inline int64_t hone_known_product(const int64_t *dims, int count) {
    int64_t n = 1;
    for (int i = 0; i < count; i++)
        if (dims[i] < 0) return HONE_DIM_ANY;
    for (int i = 0; i < count; i++)
        if (__builtin_mul_overflow(n, dims[i], &n)) return INT64_MAX;
    return n;
}

static inline int64_t hone_min_i64(int64_t a, int64_t b) {
    return a < b ? a : b;
}
static inline int64_t hone_max_i64(int64_t a, int64_t b) {
    return a > b ? a : b;
}

/* Tasks of `size` each that `n` makes. */
static inline int64_t hone_tasks(int64_t n, int64_t size) {
    return (n + size - 1) / size;
}

#endif
