/* What is known of answers beyond their loss: which classes are taken for which, how well scores tell two apart. */
#ifndef HONE_TRAIN_DETAILS_H
#define HONE_TRAIN_DETAILS_H

#include "train/objective.h"

typedef struct hone_collector hone_collector;

/* For answers of `classes` classes (0: numbers; 2 with one output: yes or no). NULL when out of memory. */
hone_collector *hone_collector_new(int classes, int top);
void hone_collector_free(hone_collector *c); /* NULL is fine */
/* Adds the answers of some samples, whose targets were checked. */
hone_status hone_collector_add(hone_collector *c, const hone_answers *a, hone_error *err);
/* What follows of all of them; hone_eval_details_free() when done. */
hone_status hone_collector_finish(hone_collector *c, hone_eval_details **out, hone_error *err);

#endif
