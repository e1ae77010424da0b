/* Lists of predictions, and which of them run together. */
#ifndef HONE_SERVE_BATCHING_BATCH_LIST_H
#define HONE_SERVE_BATCHING_BATCH_LIST_H

#include "serve/batching/prediction.h"

/* A zeroed struct is empty. */
typedef struct hone_batch_list {
    hone_prediction *first, *last;
    int count;
    int64_t rows; /* of those that are cut in rows */
} hone_batch_list;

void hone_batch_list_append(hone_batch_list *l, hone_prediction *p);
hone_prediction *hone_batch_list_pop(hone_batch_list *l);            /* not of an empty one */
void hone_batch_list_remove(hone_batch_list *l, hone_prediction *p); /* which is in it */

/* The rows for which nobody waits any longer where requests wait for others (batching.max_delay_us). */
int64_t hone_batch_list_enough(const hone_servable *s, const hone_prediction *head);

/* How many of those that could run together with the head, which is of servable `s`, should do so: as many as
 * give the most rows a second by what warm-up measured; where requests wait for others, no fewer than are enough.
 * Others between them may be of other servables and shapes. */
int hone_batch_list_choose(const hone_servable *s, const hone_batch_list *l);
/* Moves the head and `count` - 1 that join it to an empty list. */
void hone_batch_list_take(const hone_servable *s, hone_batch_list *from, int count, hone_batch_list *out);

#endif
