/* Sound at another rate. */
#ifndef HONE_DATA_RESAMPLE_H
#define HONE_DATA_RESAMPLE_H

#include "base/error.h"
#include "base/memory.h"

/* Between two rates: made once, for many sounds. */
typedef struct hone_resampler hone_resampler;

/* Rates of at most 2^20 samples a second. */
hone_status hone_resampler_new(int from, int to, hone_resampler **out, hone_error *err);
void hone_resampler_free(hone_resampler *r); /* NULL is fine */
/* Samples that `count` become: ceil(count to / from). */
int64_t hone_resampler_count(const hone_resampler *r, int64_t count);
/* x [count] to y [hone_resampler_count()]: a sinc of 16 zero crossings each way under a Kaiser window (beta 8), cut off at
 * the lower of both rates' halves. Sound ends in silence. */
void hone_resample(const hone_resampler *r, const float *x, int64_t count, float *y);

#endif
