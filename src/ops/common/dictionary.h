/* Where a key stands in a list: integers, real numbers (a NaN is every NaN's key), texts. */
#ifndef HONE_OPS_COMMON_DICTIONARY_H
#define HONE_OPS_COMMON_DICTIONARY_H

#include "graph/graph.h"

typedef struct hone_dictionary {
    hone_tensor keys; /* a view */
    int64_t *slots;   /* positions, found by hash; -1: free */
    uint64_t mask;    /* of hashes */
} hone_dictionary;

/* In the arena, and no longer there than the keys are. `last`: of equal keys the last one counts, else the first. False
 * when out of memory. */
bool hone_dictionary_make(hone_arena *arena, const hone_tensor *keys, bool last, hone_dictionary *out);
/* The position of x[i], whose dtype is of the keys' kind; -1: it is no key. */
int64_t hone_dictionary_find(const hone_dictionary *d, const hone_tensor *x, int64_t i);

#endif
