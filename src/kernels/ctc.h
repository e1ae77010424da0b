/* Connectionist temporal classification: the probability of a text of symbols among the classes of places, by all ways to lay
 * it over them, with repetitions and blanks between (Graves et al. 2006, ICML). */
#ifndef HONE_KERNELS_CTC_H
#define HONE_KERNELS_CTC_H

#include <stddef.h>
#include <stdint.h>

/* Doubles of scratch for so many places and symbols at most. */
size_t hone_ctc_scratch(int64_t places, int64_t symbols);
/* -log P(symbols | log_p), log_p [places, classes] being logarithms of probabilities, no symbol the blank. Infinity: they find
 * no room. `gradient` (may be NULL) gets that to the scores that log_p is the log-softmax of, [places, classes]; zeros
 * where the loss is infinite. */
double hone_ctc(const double *log_p, int64_t places, int64_t classes, const int64_t *symbols, int64_t count,
                int64_t blank, double *gradient, double *scratch);

#endif
