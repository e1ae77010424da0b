/* Constants for builders. */
#include "base/half.h"
#include "graph/inside.h"
#include "graph/tensor.h"

hone_value *hone_graph_scalar(hone_graph *g, hone_dtype dtype, double x) {
    hone_tensor *t = NULL;
    if (hone_tensor_new(dtype, 0, NULL, &t, NULL) != HONE_OK) {
        hone_graph_out_of_memory(g);
        return NULL;
    }
    switch (dtype) {
    case HONE_FLOAT32: *(float *)t->data = (float)x; break;
    case HONE_FLOAT64: *(double *)t->data = x; break;
    case HONE_INT64: *(int64_t *)t->data = (int64_t)x; break;
    case HONE_INT32: *(int32_t *)t->data = (int32_t)x; break;
    case HONE_INT16: *(int16_t *)t->data = (int16_t)x; break;
    case HONE_INT8: *(int8_t *)t->data = (int8_t)x; break;
    case HONE_UINT64: *(uint64_t *)t->data = (uint64_t)x; break;
    case HONE_UINT32: *(uint32_t *)t->data = (uint32_t)x; break;
    case HONE_UINT16: *(uint16_t *)t->data = (uint16_t)x; break;
    case HONE_BOOL:
    case HONE_UINT8: *(uint8_t *)t->data = (uint8_t)x; break;
    case HONE_FLOAT16: *(uint16_t *)t->data = hone_half_of_float((float)x); break;
    case HONE_BFLOAT16: *(uint16_t *)t->data = hone_bfloat_of_float((float)x); break;
    default: hone_graph_fault(g, "a scalar of a type that no number is converted to");
    }
    hone_value *v = hone_graph_add_constant(g, "scalar", t);
    hone_tensor_free(t);
    return v;
}

static hone_value *add_list(hone_graph *g, const char *name, hone_dtype dtype, const void *x, int64_t n) {
    hone_tensor *t = NULL;
    if (hone_tensor_copy_of(dtype, 1, &n, x, &t, NULL) != HONE_OK) {
        hone_graph_out_of_memory(g);
        return NULL;
    }
    hone_value *v = hone_graph_add_constant(g, name, t);
    hone_tensor_free(t);
    return v;
}

hone_value *hone_graph_ints(hone_graph *g, const int64_t *x, int64_t n) {
    return add_list(g, "ints", HONE_INT64, x, n);
}

hone_value *hone_graph_floats(hone_graph *g, const float *x, int64_t n) {
    return add_list(g, "floats", HONE_FLOAT32, x, n);
}
