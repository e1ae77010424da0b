/* Tasks, resolved: which columns of a data set feed a model, and what its output is compared with. */
#ifndef HONE_TRAIN_TASK_H
#define HONE_TRAIN_TASK_H

#include "data/dataset.h"
#include "train/objective.h"

/* The objective that the task names, or the model does, or that suits what the model ends in, or cross-entropy.
 * HONE_INVALID_ARGUMENT: the model ends in a softmax or sigmoid, and the objective wants other logits. */
hone_status hone_task_objective(const hone_graph *g, const hone_task *task, const hone_objective **out,
                                hone_error *err);

/* The target's column: the one that the task names, or the model does (metadata "hone.target"), or the data set, or has a
 * usual name; -1 if there is none. HONE_INVALID_ARGUMENT: the task's is not there. */
hone_status hone_task_find_target(const hone_graph *g, const hone_dataset *d, const hone_task *task,
                                  int *target, hone_error *err);

/* Logits of n numbers that a model with that link gives: where the objective has the same link, such that it gives the
 * numbers again, else the numbers themselves. In place, too. */
void hone_task_logits(const hone_objective *objective, hone_link link, const float *output, int64_t n,
                      float *logits);

/* Finds the columns that feed the inputs of `g`: inputs[i] for input i. `*target` becomes the target's column, -1
 * if nothing says which it is. HONE_INVALID_ARGUMENT names an input that no column feeds, or that one doesn't fit. */
hone_status hone_task_wire(const hone_graph *g, const hone_dataset *d, const hone_task *task,
                           hone_feed *inputs, int *target, hone_error *err);

/* The target of `objective` for the graph's first output, of inferred type, read from column `column` (of
 * hone_task_wire). */
hone_status hone_task_target(const hone_graph *g, const hone_dataset *d, const hone_objective *objective,
                             int column, hone_feed *out, hone_error *err);
/* The same for any output. */
hone_status hone_task_target_of(const hone_graph *g, const hone_value *output, const hone_dataset *d,
                                const hone_objective *objective, int column, hone_feed *out, hone_error *err);

/* Looks at a target's values in all samples; `size` and `last` are the output's, as in hone_answers. */
hone_status hone_task_check_target(const hone_dataset *d, const hone_feed *target,
                                   const hone_objective *objective, int64_t size, int64_t last,
                                   hone_error *err);

/* The values of an output in a sample; -1: not known. */
int64_t hone_task_size(const hone_type *output);
/* The size of the last axis of an output; 0: not known. */
int64_t hone_task_last(const hone_type *output);

/* Remembers in the model what it was trained for. */
hone_status hone_task_remember(hone_graph *g, const hone_objective *objective, hone_error *err);

#endif
