/* What others need of the objective ctc. */
#ifndef HONE_TRAIN_OBJECTIVE_CTC_H
#define HONE_TRAIN_OBJECTIVE_CTC_H

#include "train/objective.h"

/* The symbols that [places, classes] say; gives how many. `out` has room for `places`. */
int64_t hone_ctc_read(const float *logits, int64_t places, int64_t classes, int64_t *out);

#endif
