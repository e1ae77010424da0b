/* A compiled model: the lowered graph, its constants, and one store of packed weights. */
#ifndef HONE_RUNTIME_MODEL_H
#define HONE_RUNTIME_MODEL_H

#include "graph/run.h"
#include "runtime/packs.h"
#include "runtime/variables.h"

#include <hone/session.h>

struct hone_model {
    atomic_int references;
    hone_graph *graph;     /* lowered; its values' ids are those of plans, its nodes' marks their steps */
    int step_count;        /* of every plan: nodes that are no views */
    hone_graph *signature; /* inputs, outputs and texts as they were given */
    hone_variables *variables;
    hone_tensor **variable; /* by value id: where a variable lives; NULL for other values */
    hone_packs *packs;
};

/* As hone_model_compile, over a store of variables that may have other users. Variables of the graph that the
 * store lacks are added with their first content. `variables` NULL: a store of its own. */
hone_status hone_model_compile_shared(const hone_graph *g, const hone_model_options *options,
                                      hone_variables *variables, hone_model **out, hone_error *err);
#endif
