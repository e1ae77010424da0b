/* Constant folding: nodes whose inputs are all constants are run once, at compile time. */
#ifndef HONE_RUNTIME_FOLD_H
#define HONE_RUNTIME_FOLD_H

#include "graph/graph.h"

typedef enum hone_fold {
    HONE_FOLD_FIRST, /* nothing that dequantizes: rewrites look for integers */
    HONE_FOLD_LOWERED, /* that, too, but nothing that makes a constant much more than twice as large as its inputs */
    HONE_FOLD_ALL /* however large: weights of few bits become numbers, but for codes that others read, too */
} hone_fold;
/* The graph is sorted, its types inferred. */
hone_status hone_graph_fold(hone_graph *g, hone_fold how, hone_error *err);

#endif
