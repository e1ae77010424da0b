/* Short forms with which attention operators are expanded. NULL values are passed on. */
#ifndef HONE_OPS_ATTENTION_EMIT_H
#define HONE_OPS_ATTENTION_EMIT_H

#include "graph/op.h"

/* Input (output) i of a node; NULL: left out. */
static inline hone_value *hone_input(const hone_node *n, int i) {
    return i < n->input_count ? n->inputs[i] : NULL;
}
static inline hone_value *hone_output(const hone_node *n, int i) {
    return i < n->output_count ? n->outputs[i] : NULL;
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
/* As the dtype that attention computes in: float64 of float64, else float32; itself where it is that already. */
hone_dtype hone_attention_computes(hone_dtype dtype);
hone_value *hone_emit_wide(hone_graph *g, hone_value *v, hone_dtype computes);
/* `v`, of dtype `computes`, takes the place of n's output o, made narrow. */
void hone_give_output(hone_graph *g, hone_node *n, int o, hone_value *v, hone_dtype computes);
/* [B, S, heads D] as [B, heads, S, D]. */
hone_value *hone_emit_heads(hone_graph *g, hone_value *v, int64_t heads);
/* Where the bool mask is false, -infinity of that dtype, else 0. */
hone_value *hone_emit_mask(hone_graph *g, hone_value *mask, hone_dtype dtype);

#endif
