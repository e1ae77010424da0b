/* Small operands of integer products: scales, zero points, biases; as types and constants while preparing, as numbers. */
#ifndef HONE_OPS_ENGINE_OPERANDS_H
#define HONE_OPS_ENGINE_OPERANDS_H

#include "graph/infer.h"
#include "graph/run.h"

/* Element i of uint8, int8 or int32; 0 where x is NULL. */
static inline int32_t hone_int_at(const void *x, hone_dtype dtype, int64_t i) {
    if (!x) return 0;
    if (dtype == HONE_UINT8) return ((const uint8_t *)x)[i];
    if (dtype == HONE_INT8) return ((const int8_t *)x)[i];
    return ((const int32_t *)x)[i];
}

static inline int32_t hone_wrap_sub(int32_t a, int32_t b) {
    return (int32_t)((uint32_t)a - (uint32_t)b);
}
static inline int32_t hone_wrap_add(int32_t a, int32_t b) {
    return (int32_t)((uint32_t)a + (uint32_t)b);
}
static inline int32_t hone_wrap_mul(int32_t a, int32_t b) {
    return (int32_t)((uint32_t)a * (uint32_t)b);
}

/* Input i; NULL: there is none. */
static inline const hone_type *hone_prepare_type(const hone_prepare *p, int i) {
    return i >= 0 && i < p->in_count ? p->in[i] : NULL;
}

static inline int64_t hone_prepare_count(const hone_prepare *p, int i) {
    const hone_type *t = hone_prepare_type(p, i);
    return t ? hone_type_count(t) : 1;
}

static inline const void *hone_prepare_content(const hone_prepare *p, int i) {
    return i >= 0 && i < p->in_count && p->constant[i] ? p->constant[i]->data : NULL;
}

/* Is operand i left out, or its content known? */
static inline bool hone_prepare_knows(const hone_prepare *p, int i) {
    return !hone_prepare_type(p, i) || p->constant[i];
}

#endif
