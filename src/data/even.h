/* The order of an epoch that has as many samples of each value of a column, however many there are. */
#ifndef HONE_DATA_EVEN_H
#define HONE_DATA_EVEN_H

#include "data/dataset.h"

typedef struct hone_even {
    int groups;
    uint32_t count;   /* samples */
    uint32_t *starts; /* [groups + 1]: where a group begins in `samples` */
    uint32_t *samples;
    uint32_t *scratch; /* [count] */
} hone_even;

/* HONE_INVALID_ARGUMENT: there is no such column, or its samples are no single integers or texts. */
hone_status hone_even_make(const hone_dataset *d, const char *column, hone_even *out, hone_error *err);
/* As many samples as there are, in an order of the seed and the epoch. Of a group that is larger than its part others come in
 * another epoch; of a smaller one all come again. */
void hone_even_order(const hone_even *e, uint64_t seed, uint64_t epoch, uint32_t *out);
void hone_even_free(hone_even *e); /* all zero is fine */

#endif
