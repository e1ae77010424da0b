/* Running a model over a data set. */
#ifndef HONE_TRAIN_EVALUATE_H
#define HONE_TRAIN_EVALUATE_H

#include <hone/train.h>

/* Index of the largest of n values, the first of equals. */
int hone_argmax(const float *x, int64_t n);

/* Called with the outputs of one batch: samples [first, first+n), logits [n, classes]. */
typedef hone_status hone_predict_fn(void *user, int64_t first, int64_t n, const float *logits,
                                    int64_t classes, hone_error *err);
/* Runs `g` over all samples of `data` in order, output 0 being float32 [batch, classes]. `seconds` (may be
 * NULL) gets the time without compiling. */
hone_status hone_predict_all(const hone_graph *g, const hone_dataset *data, int threads, hone_predict_fn *fn,
                             void *user, double *seconds, hone_error *err);
double hone_seconds_now(void);

#endif
