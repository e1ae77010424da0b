/* Training forms: what stands for a node while training (hone_op.train_form). */
#ifndef HONE_GRAPH_TRAIN_FORM_H
#define HONE_GRAPH_TRAIN_FORM_H

#include "graph/op.h"

/* Replaces the nodes that have a training form by it, but for those whose weights all stay constant: what is frozen
 * does what the model does. `only_trained`: nodes without weights, too, stay as they are. The graph is sorted and its types inferred; afterwards the types of
 * new values are not. */
hone_status hone_graph_train_form(hone_graph *g, bool only_trained, hone_error *err);

/* For training forms: the variable that constant input `index` of the node becomes, to be read and bound; NULL if that
 * input is no constant or left out. A constant of two nodes can be bound for one of them only: compiling names it. */
hone_value *hone_train_statistic(hone_train_form *ctx, int index);

#endif
