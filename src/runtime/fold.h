/* Constant folding: nodes whose inputs are all constants are run once, at compile time. */
#ifndef HONE_RUNTIME_FOLD_H
#define HONE_RUNTIME_FOLD_H

#include "graph/graph.h"

/* Folds what dequantizes only if nobody looks for integers any more (`lowered`), and never what would make a constant
 * much more than twice as large as its inputs. The graph is sorted, its types inferred. */
hone_status hone_graph_fold(hone_graph *g, bool lowered, hone_error *err);

#endif
