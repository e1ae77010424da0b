/* Calibration: the ranges of values on data, streamed; memory does not grow with the number of samples. */
#ifndef HONE_COMPRESS_CALIBRATE_H
#define HONE_COMPRESS_CALIBRATE_H

#include "graph/graph.h"

#include <hone/compress.h>

typedef struct hone_range {
    float min, max; /* min > max: nothing seen */
} hone_range;

/* `samples` samples of the data, of each class as many as of all; always the same ones. `*out` is NULL if all are wanted (0,
 * or no more are there), else the caller's. */
hone_status hone_calibration_draw(const hone_dataset *data, const hone_task *task, int64_t samples,
                                  hone_dataset **out, hone_error *err);

/* Runs `samples` samples (0: all), drawn, through `g`, whose inputs are wired as `task` (may be NULL) says, and finds the
 * range of each of `values` (names of float32 values, inputs included) as `how` says: ranges[i]. All but min-max run the
 * samples twice: for the ends, and for histograms between them. HONE_OUT_OF_RANGE names a value that became infinite or
 * NaN. */
hone_status hone_calibrate(const hone_graph *g, const hone_dataset *data, const hone_task *task,
                           int64_t samples, int threads, const char *const *values, int count,
                           const hone_calibration *how, hone_range *ranges, hone_error *err);

#endif
