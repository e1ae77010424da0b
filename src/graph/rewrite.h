/* Rewrites and the driver that runs them. A rewrite is a named function over a whole graph: quantized forms, fusions;
 * what it makes is for running only. The list of them stands in ops/rewrites.c, so that the compiler (src/runtime)
 * names no operator. */
#ifndef HONE_GRAPH_REWRITE_H
#define HONE_GRAPH_REWRITE_H

#include "graph/op.h"

typedef struct hone_rewrite {
    const char *name; /* "fuse-elementwise": how it is switched off */
    /* Changes the graph, whose types are inferred; adds the number of changes to *changes. New values may
     * lack types: the driver infers again after each rewrite that changed something. */
    hone_status (*run)(hone_graph *g, int *changes, hone_error *err);
    const char *doc;
} hone_rewrite;

/* hone_rewrite_at(0) … in the order in which they run, until NULL. Defined by the operators' room. */
const hone_rewrite *hone_rewrite_at(int index);

/* Runs all rewrites but those named in `disabled` ("a,b", "all", or NULL). HONE_INVALID_ARGUMENT
 * names a rewrite in `disabled` that does not exist. */
hone_status hone_graph_rewrite(hone_graph *g, const char *disabled, hone_error *err);

#endif
