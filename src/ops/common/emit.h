/* Short forms with which function operators are expanded. NULL values are passed on. */
#ifndef HONE_OPS_COMMON_EMIT_H
#define HONE_OPS_COMMON_EMIT_H

#include "graph/op.h"

/* Input i of a node; NULL: left out. */
static inline hone_value *hone_input(const hone_node *n, int i) {
    return i < n->input_count ? n->inputs[i] : NULL;
}
/* Output i of a node; NULL: nobody reads it. */
static inline hone_value *hone_output(const hone_graph *g, const hone_node *n, int i) {
    hone_value *v = i < n->output_count ? n->outputs[i] : NULL;
    return v && (v->use_count || hone_graph_is_output(g, v)) ? v : NULL;
}
/* Nodes with one attribute, or with lists; v NULL: NULL. */
hone_value *hone_emit_cast(hone_graph *g, hone_value *v, hone_dtype to); /* always a node */
hone_value *hone_emit_shaped(hone_graph *g, hone_value *v, const int64_t *shape, int rank);
hone_value *hone_emit_turned(hone_graph *g, hone_value *v, const int64_t *perm, int rank);
hone_value *hone_emit_joined(hone_graph *g, hone_value *a, hone_value *b, int64_t axis);
/* v[begin … end-1] along an axis. */
hone_value *hone_emit_part(hone_graph *g, hone_value *v, int64_t axis, int64_t begin, int64_t end);
/* The dimension of axis `axis`, as int64 [1]. */
hone_value *hone_emit_dim(hone_graph *g, hone_value *v, int64_t axis);
/* The dtype to compute in: float64 of float64, else float32. */
hone_dtype hone_wide_dtype(hone_dtype dtype);
/* v as that, itself if it is so already: v is an input of the node, whose type is known. */
hone_value *hone_emit_wide(hone_graph *g, hone_value *v, hone_dtype computes);
/* `v`, of dtype `computes`, takes the place of n's output o, made narrow. */
void hone_give_output(hone_graph *g, hone_node *n, int o, hone_value *v, hone_dtype computes);
/* [B, S, heads D] as [B, heads, S, D]. */
hone_value *hone_emit_heads(hone_graph *g, hone_value *v, int64_t heads);
/* Where the bool mask is false, -infinity of that dtype, else 0. */
hone_value *hone_emit_mask(hone_graph *g, hone_value *mask, hone_dtype dtype);

#endif
