/* The training graph, derived from a model and thrown away afterwards:
 *
 *   copy → weights become variables → parametrizations → objective → autodiff → optimizer nodes, bound to variables
 *
 *   inputs    the model's | rate float32 | target | distilling: the teacher's output, like the first output
 *   outputs   loss float32, the mean over the batch | the model's first output */
#ifndef HONE_TRAIN_DERIVE_H
#define HONE_TRAIN_DERIVE_H

#include "train/objective.h"
#include "train/parametrize.h"

#include <hone/train.h>

/* The trainable weights of a model: float constants of rank 1 and more in weight slots, also behind operators
 * that only move elements (a weight stored as its transpose). */
bool hone_is_trainable(const hone_value *v);

hone_status hone_derive_training(const hone_graph *model, const hone_train_options *options,
                                 const hone_objective *objective,
                                 const hone_parametrization *parametrizations, int parametrization_count,
                                 hone_graph **out, hone_error *err);

#endif
