/* A parametrization is a subgraph between a weight's variable and all its users while training: W⊙mask, and
 * later DQ(Q(W)), W+BA. At write-back it is baked into the weight. */
#ifndef HONE_TRAIN_PARAMETRIZE_H
#define HONE_TRAIN_PARAMETRIZE_H

#include "graph/op.h"

#include <hone/train.h>

typedef struct hone_parametrization {
    const char *weight; /* the initializer's name */
    /* Emits the subgraph for the variable `w` and returns what its users read. */
    hone_value *(*apply)(hone_graph *g, hone_value *w, const void *arg);
    /* Does to the final content what the subgraph does. */
    void (*bake)(hone_tensor *w, const void *arg);
    const void *arg;
} hone_parametrization;

/* As hone_train, with parametrizations. */
hone_status hone_train_parametrized(hone_graph *g, const hone_dataset *data,
                                    const hone_train_options *options,
                                    const hone_parametrization *parametrizations, int parametrization_count,
                                    hone_train_report *report, hone_error *err);

#endif
