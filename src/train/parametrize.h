/* A parametrization is a subgraph between what is trained and all users of a weight: W⊙mask, W + B A, and later DQ(Q(W)).
 * At write-back it is evaluated, and its value is the new weight. */
#ifndef HONE_TRAIN_PARAMETRIZE_H
#define HONE_TRAIN_PARAMETRIZE_H

#include "graph/op.h"

#include <hone/train.h>

#define HONE_PARAMETRIZATION_VARIABLES 4

/* What a weight is made of while training. */
typedef struct hone_parametrized {
    hone_value *value; /* what the weight's users read; of the weight's type */
    /* What is trained: float32 constants, the weight itself or new ones. The weight stays as it is if it is none of
     * them. */
    hone_value *variables[HONE_PARAMETRIZATION_VARIABLES];
    int variable_count;
} hone_parametrized;

typedef struct hone_parametrization {
    const char *weight; /* the initializer's name */
    /* Emits the subgraph for the constant `w`. New constants get names of their own, the same at each call. */
    hone_parametrized (*apply)(hone_graph *g, hone_value *w, const void *arg);
    const void *arg;
} hone_parametrization;

/* As hone_train, with parametrizations, one for a weight at most. */
hone_status hone_train_parametrized(hone_graph *g, const hone_dataset *data,
                                    const hone_train_options *options,
                                    const hone_parametrization *parametrizations, int parametrization_count,
                                    hone_train_report *report, hone_error *err);

#endif
