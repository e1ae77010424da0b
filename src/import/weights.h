/* Stored tensors as values of a graph, exactly: numbers as they are, blocks as DequantizeLinear (and Add, where a format has
 * offsets) of their codes, scales and steps, which become constants of their own. Nothing is rounded again. */
#ifndef HONE_IMPORT_WEIGHTS_H
#define HONE_IMPORT_WEIGHTS_H

#include "graph/graph.h"
#include "import/stored.h"

/* How rows are taken out of a file. */
typedef struct hone_row_order {
    int64_t
        head; /* rows of a head, whose pairs of neighbours (2j, 2j + 1) become rows j and head/2 + j; 0: as they lie */
} hone_row_order;

/* The tensor as float32 of its shape. `name` is its constant's; those of scales and offsets begin with it. */
hone_status hone_weight_emit(hone_graph *g, const hone_store *s, const hone_stored *t, const char *name,
                             hone_row_order order, hone_value **out, hone_error *err);
/* Rows of a matrix as float32: [ids' shape, columns] for int64 ids of rank 2. Its constants are those that
 * hone_weight_emit() has made, or makes, of the same name. */
hone_status hone_weight_emit_rows(hone_graph *g, const hone_store *s, const hone_stored *t, const char *name,
                                  hone_value *ids, hone_value **out, hone_error *err);
/* A vector as float32, with `plus` added to each element. */
hone_status hone_weight_emit_vector(hone_graph *g, const hone_store *s, const hone_stored *t,
                                    const char *name, float plus, hone_row_order order, hone_value **out,
                                    hone_error *err);

#endif
