/* The store of variables: parameters, optimizer state, statistics. Several models may share one, each knowing
 * its variables by name: the training graph writes what the evaluation graph reads. Not guarded: a store
 * belongs to those who run its models in turn. */
#ifndef HONE_RUNTIME_VARIABLES_H
#define HONE_RUNTIME_VARIABLES_H

#include "graph/graph.h"

#include <hone/session.h>

hone_variables *hone_variables_new(void); /* NULL when out of memory */
hone_variables *hone_variables_retain(hone_variables *s);
/* Adds a copy of `content`, unless the name is there already with the same type. HONE_INVALID_ARGUMENT if
 * with another one. `*out` (may be NULL) is the tensor, borrowed. */
hone_status hone_variables_add(hone_variables *s, const char *name, const hone_tensor *content,
                               hone_tensor **out, hone_error *err);
/* The same, but content that nobody else holds becomes the variable itself: of gigabytes of zeros nothing is read. */
hone_status hone_variables_take(hone_variables *s, const char *name, hone_tensor *content, hone_tensor **out,
                                hone_error *err);
/* Fails with HONE_INVALID_ARGUMENT: the variable is of one type, what should be in it of another. */
hone_status hone_variable_mismatch(const char *name, const hone_tensor *there, const hone_tensor *other,
                                   hone_error *err);
/* The store of a model, borrowed. */
hone_variables *hone_model_variables(const hone_model *m);
size_t hone_variables_count(const hone_variables *s);
/* In the order in which they were added; borrowed. */
const char *hone_variables_at(const hone_variables *s, size_t index, hone_tensor **tensor);

#endif
