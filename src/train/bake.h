/* Write-back: from the variables of a training into the weights of a model. */
#ifndef HONE_TRAIN_BAKE_H
#define HONE_TRAIN_BAKE_H

#include "runtime/variables.h"
#include "train/derive.h"

/* Evaluates what parametrizations make of the variables of now. */
typedef struct hone_baker hone_baker;

/* `training` is only looked at; the parametrizations are those that it was derived with, and outlive the baker. */
hone_status hone_baker_new(const hone_training *training, const hone_parametrization *parametrizations,
                           int count, hone_variables *variables, int threads, hone_baker **out,
                           hone_error *err);
/* Does training change the constant of that name? */
bool hone_baker_changes(const hone_baker *b, const char *name);
void hone_baker_free(hone_baker *b); /* NULL is fine */

/* Fills tensors[id] for the constants of `g` that training has changed, by name: the variable's content, or the value of
 * the parametrization. They belong to the caller. HONE_OUT_OF_RANGE names a weight that is not finite. */
hone_status hone_bake(hone_baker *b, const hone_graph *g, hone_tensor **tensors, hone_error *err);

#endif
