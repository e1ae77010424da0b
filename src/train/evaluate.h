/* Running a model over a data set. */
#ifndef HONE_TRAIN_EVALUATE_H
#define HONE_TRAIN_EVALUATE_H

#include <hone/train.h>

/* Index of the largest of n values, the first of equals. */
int hone_argmax(const float *x, int64_t n);

/* HONE_INVALID_ARGUMENT, with both shapes, unless samples of `data` fit the first input of `g`. */
hone_status hone_check_samples(const hone_graph *g, const hone_dataset *data, hone_error *err);

/* HONE_INVALID_ARGUMENT unless the label is one of the classes. */
hone_status hone_check_label(int64_t label, int64_t classes, hone_error *err);

/* Called with the outputs for samples [first, first+n). A model that takes batches of one size only gives
 * more rows, of which the first n count. */
typedef hone_status hone_outputs_fn(void *user, int64_t first, int64_t n, const hone_tensor *const *outputs,
                                    hone_error *err);
/* Runs `g`, which has one input, over the first `samples` samples of `data` (0: all) in order. `seconds` (may
 * be NULL) gets the time without compiling. */
hone_status hone_run_samples(const hone_graph *g, const hone_dataset *data, int64_t samples, int threads,
                             hone_outputs_fn *fn, void *user, double *seconds, hone_error *err);

/* Called with the outputs of one batch: samples [first, first+n), logits [n, classes]. */
typedef hone_status hone_predict_fn(void *user, int64_t first, int64_t n, const float *logits,
                                    int64_t classes, hone_error *err);
/* As hone_run_samples over all samples, output 0 being float32 [batch, classes]. */
hone_status hone_predict_all(const hone_graph *g, const hone_dataset *data, int threads, hone_predict_fn *fn,
                             void *user, double *seconds, hone_error *err);

#endif
