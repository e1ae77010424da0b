/* Counter-based random numbers: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
 * A number depends on key and counter alone, so results depend on neither threads nor order, and a saved random
 * state is two integers. */
#ifndef HONE_BASE_RANDOM_H
#define HONE_BASE_RANDOM_H

#include <stdint.h>

/* Four independent 32-bit numbers for a 64-bit key and a 128-bit counter. */
void hone_philox(uint64_t key, uint64_t counter_high, uint64_t counter_low, uint32_t out[4]);

/* What numbers follow from that are made all at once (kernels/portable.h): key and upper half of the counter. */
typedef struct hone_random {
    uint64_t key, stream;
} hone_random;

/* A seed that the system gives, another one at each call. */
uint64_t hone_random_seed(void);

/* A stream over one key: `position` counts numbers drawn, and may be set to go anywhere at once. */
typedef struct hone_rng {
    uint64_t key, stream, position;
} hone_rng;

/* Streams of different `stream` (an epoch, a parameter's hash) are independent. */
hone_rng hone_rng_make(uint64_t key, uint64_t stream);
uint32_t hone_rng_u32(hone_rng *r);
uint32_t hone_rng_below(hone_rng *r,
                        uint32_t bound); /* uniform in [0, bound), without modulo bias; bound > 0 */
float hone_rng_uniform(hone_rng *r);     /* [0, 1), 24 bits */
/* FNV-1a, to make a stream number of a name. */
uint64_t hone_hash(const void *data, uint64_t size);
/* A permutation of 0 … n-1 (Fisher-Yates), the same for the same (key, stream). */
void hone_rng_permutation(uint64_t key, uint64_t stream, uint32_t *out, uint32_t n);

#endif
