/* A compiled model: the lowered graph with its constants. */
#ifndef HONE_RUNTIME_MODEL_H
#define HONE_RUNTIME_MODEL_H

#include "graph/run.h"
#include "runtime/body.h"
#include "runtime/variables.h"

#include <hone/session.h>

struct hone_model {
    atomic_int references;
    hone_body *bodies; /* lowered; the first is the main graph */
    size_t body_count;
    hone_precision precision;
    hone_graph *signature; /* inputs, outputs and texts as they were given */
    hone_variables *variables;
};

/* As hone_model_compile, over a store of variables that may have other users. Variables of the graph that the
 * store lacks are added with their first content. `variables` NULL: a store of its own. */
hone_status hone_model_compile_shared(const hone_graph *g, const hone_model_options *options,
                                      hone_variables *variables, hone_model **out, hone_error *err);

/* Has a file lost weights that are mapped? What was computed since may be of zeros (hone_mapping_guard). */
bool hone_model_is_cut(const hone_model *m);
#endif
