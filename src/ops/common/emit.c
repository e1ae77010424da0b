#include "ops/common/emit.h"

#include <math.h>

hone_value *hone_emit_cast(hone_graph *g, hone_value *v, hone_dtype to) {
    hone_value *y = v ? HONE_EMIT(g, "", "Cast", v) : NULL;
    if (y) hone_node_set_int(g, y->producer, "to", to);
    return y;
}

hone_value *hone_emit_shaped(hone_graph *g, hone_value *v, const int64_t *shape, int rank) {
    return v ? HONE_EMIT(g, "", "Reshape", v, hone_graph_ints(g, shape, rank)) : NULL;
}

hone_value *hone_emit_turned(hone_graph *g, hone_value *v, const int64_t *perm, int rank) {
    hone_value *y = v ? HONE_EMIT(g, "", "Transpose", v) : NULL;
    if (y) hone_node_set_ints(g, y->producer, "perm", perm, (size_t)rank);
    return y;
}

hone_value *hone_emit_joined(hone_graph *g, hone_value *a, hone_value *b, int64_t axis) {
    hone_value *y = HONE_EMIT(g, "", "Concat", a, b);
    if (y) hone_node_set_int(g, y->producer, "axis", axis);
    return y;
}

hone_value *hone_emit_part(hone_graph *g, hone_value *v, int64_t axis, int64_t begin, int64_t end) {
    return HONE_EMIT(g, "", "Slice", v, hone_graph_ints(g, &begin, 1), hone_graph_ints(g, &end, 1),
                     hone_graph_ints(g, &axis, 1));
}

hone_value *hone_emit_dim(hone_graph *g, hone_value *v, int64_t axis) {
    hone_value *y = HONE_EMIT(g, "", "Shape", v);
    if (!y) return NULL;
    hone_node_set_int(g, y->producer, "start", axis);
    hone_node_set_int(g, y->producer, "end", axis + 1);
    return y;
}

hone_dtype hone_wide_dtype(hone_dtype dtype) {
    return dtype == HONE_FLOAT64 ? HONE_FLOAT64 : HONE_FLOAT32;
}

hone_value *hone_emit_wide(hone_graph *g, hone_value *v, hone_dtype computes) {
    return !v || v->type.dtype == computes ? v : hone_emit_cast(g, v, computes);
}

void hone_give_output(hone_graph *g, hone_node *n, int o, hone_value *v, hone_dtype computes) {
    hone_value *y = hone_output(g, n, o);
    if (!y) return;
    hone_graph_replace(g, y, y->type.dtype == computes ? v : hone_emit_cast(g, v, y->type.dtype));
}

hone_value *hone_emit_heads(hone_graph *g, hone_value *v, int64_t heads) {
    static const int64_t perm[] = {0, 2, 1, 3};
    const int64_t shape[] = {0, 0, heads, -1};
    return hone_emit_turned(g, hone_emit_shaped(g, v, shape, 4), perm, 4);
}

hone_value *hone_emit_mask(hone_graph *g, hone_value *mask, hone_dtype dtype) {
    return HONE_EMIT(g, "", "Where", mask, hone_graph_scalar(g, dtype, 0),
                     hone_graph_scalar(g, dtype, -INFINITY));
}
