/* Constant folding: nodes whose inputs are all constants are run once, at compile time. */
#ifndef HONE_RUNTIME_FOLD_H
#define HONE_RUNTIME_FOLD_H

#include "graph/graph.h"

/* Never folds what quantizes or dequantizes (the integer form is the one to keep), or what would make a
 * constant more than twice as large as its inputs. The graph is sorted, its types inferred. */
hone_status hone_graph_fold(hone_graph *g, hone_error *err);

#endif
