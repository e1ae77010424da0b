/* What samples of each class count in the loss. */
#ifndef HONE_TRAIN_CLASS_WEIGHTS_H
#define HONE_TRAIN_CLASS_WEIGHTS_H

#include "data/dataset.h"
#include "train/objective.h"

/* Checks the weights that the options give; where they ask for balance, makes such of the target's column, `*made` (NULL
 * else, hone_free() when done), and puts them into the options. HONE_INVALID_ARGUMENT: not with that objective, or not for
 * that many classes. */
hone_status hone_class_weights(hone_train_options *o, const hone_graph *g, const hone_objective *objective,
                               const hone_dataset *data, const hone_feed *target, float **made,
                               hone_error *err);

#endif
