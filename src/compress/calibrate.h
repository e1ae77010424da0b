/* Calibration: the ranges that values take on data, streamed; memory does not grow with the number of
 * samples. */
#ifndef HONE_COMPRESS_CALIBRATE_H
#define HONE_COMPRESS_CALIBRATE_H

#include "graph/graph.h"

#include <hone/train.h>

typedef struct hone_range {
    float min, max; /* min > max: nothing seen */
} hone_range;

/* Runs `samples` samples (0: all), drawn, through `g`, whose inputs are wired as `task` (may be NULL) says, and notes the range of each of `values` (names of float32
 * values, inputs included) in ranges[i]. HONE_OUT_OF_RANGE names a value that became infinite or NaN. */
hone_status hone_calibrate(const hone_graph *g, const hone_dataset *data, const hone_task *task,
                           int64_t samples, int threads, const char *const *values, int count,
                           hone_range *ranges, hone_error *err);

#endif
