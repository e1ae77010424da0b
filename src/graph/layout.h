/* How tensors lie in memory, chosen once a model:
 *
 *   x ─► Conv ─► Relu ─► Conv ─► y          each Conv is fastest on blocks of channels
 *   x ─► ⇄ ─► Conv ─► Relu ─► Conv ─► ⇄ ─► y     ⇄ Reorder: only where rows are needed
 *
 * A node whose kernel knows layouts says so by its descriptor's `layouts`; elementwise operators follow their operands,
 * if zeros stay zeros (the lanes that pad channels to whole blocks hold zeros). Everything else sees rows. */
#ifndef HONE_GRAPH_LAYOUT_H
#define HONE_GRAPH_LAYOUT_H

#include "graph/op.h"

/* Chooses layouts and inserts Reorder nodes, of which pairs cancel; types are inferred before, and have to be again
 * afterwards. Adds the number of nodes that lie differently now to *changes. */
hone_status hone_graph_choose_layouts(hone_graph *g, const hone_cpu *cpu, int *changes, hone_error *err);

/* Elementwise operators see what lies in blocks as one row of elements, padding included: the type as that. */
hone_type hone_type_flat(const hone_type *t);
bool hone_layout_equal(hone_layout a, hone_layout b);

#endif
