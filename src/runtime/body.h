/* A body: one graph of a compiled model that runs as a whole. The main graph is body 0; each branch of an If and each
 * body of a Loop or Scan is another one. */
#ifndef HONE_RUNTIME_BODY_H
#define HONE_RUNTIME_BODY_H

#include "runtime/packs.h"

typedef struct hone_body {
    hone_graph *graph;      /* lowered; the marks of its nodes count them in order */
    int index;              /* in the model's list */
    int depth;              /* 0: the main graph */
    const hone_node **node; /* by mark */
    int node_count;
    int *
        last_reader; /* by value id: the mark of the last node that reads it; node_count: the caller does; -1 */
    bool *borrowed;    /* by value id: may lie in memory of the caller's, which is there during a run only */
    hone_packs *packs; /* the graph's packed constants */
    hone_tensor **variable; /* by value id: where a variable lives at first; NULL for other values */
} hone_body;

/* Numbers the nodes of `g`, which is sorted and stays the caller's. HONE_OUT_OF_MEMORY. */
hone_status hone_body_init(hone_body *b, hone_graph *g, hone_error *err);
void hone_body_clear(hone_body *b);

#endif
