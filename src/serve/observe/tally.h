/* Sums over the predictions of one model version, as the Open Inference Protocol tells them. Any thread. A
 * zeroed struct is ready. */
#ifndef HONE_SERVE_OBSERVE_TALLY_H
#define HONE_SERVE_OBSERVE_TALLY_H

#include <stdatomic.h>
#include <stdint.h>

typedef enum hone_tally_item {
    HONE_TALLY_SUCCESS, /* from the last byte of the request to the answer */
    HONE_TALLY_FAIL,
    HONE_TALLY_QUEUE,
    HONE_TALLY_INPUT,  /* decoding */
    HONE_TALLY_INFER,  /* the run, in which other requests may have part */
    HONE_TALLY_OUTPUT, /* encoding */
    HONE_TALLY_ITEMS
} hone_tally_item;

typedef struct hone_tally {
    atomic_uint_least64_t count[HONE_TALLY_ITEMS], ns[HONE_TALLY_ITEMS];
    atomic_uint_least64_t rows; /* of all predictions; one that is not cut in rows counts as one */
    atomic_uint_least64_t runs;
    atomic_uint_least64_t last; /* milliseconds since 1970 */
} hone_tally;

static inline void hone_tally_add(hone_tally *t, hone_tally_item item, uint64_t ns) {
    atomic_fetch_add_explicit(&t->count[item], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&t->ns[item], ns, memory_order_relaxed);
}

#endif
