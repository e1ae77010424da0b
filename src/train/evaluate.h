/* Running a model over a data set. */
#ifndef HONE_TRAIN_EVALUATE_H
#define HONE_TRAIN_EVALUATE_H

#include "train/task.h"

/* Called with the outputs for samples [first, first+n). A model that takes batches of one size only gives
 * more rows, of which the first n count. */
typedef hone_status hone_outputs_fn(void *user, int64_t first, int64_t n, const hone_tensor *const *outputs,
                                    hone_error *err);
/* Runs `m` over the first `samples` samples of `data` (0: all) in order. `inputs` says what feeds each of its inputs
 * (hone_task_wire). `seconds` (may be NULL) gets the time that it took. */
hone_status hone_run_samples(hone_model *m, const hone_dataset *data, const hone_feed *inputs,
                             int64_t samples, int threads, hone_outputs_fn *fn, void *user, double *seconds,
                             hone_error *err);

/* Called with the first output of one batch: samples [first, first+n), `size` values each. */
typedef hone_status hone_predict_fn(void *user, int64_t first, int64_t n, const float *output, int64_t size,
                                    hone_error *err);
/* As hone_run_samples over all samples, output 0 being float32 [batch, …]. */
hone_status hone_predict_all(hone_model *m, const hone_dataset *data, const hone_feed *inputs, int threads,
                             hone_predict_fn *fn, void *user, double *seconds, hone_error *err);

#endif
