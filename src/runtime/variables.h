/* The store of variables: parameters, optimizer state, statistics. Several models may share one, each knowing
 * its variables by name: the training graph writes what the evaluation graph reads. Not guarded: a store
 * belongs to those who run its models in turn. */
#ifndef HONE_RUNTIME_VARIABLES_H
#define HONE_RUNTIME_VARIABLES_H

#include "graph/graph.h"

typedef struct hone_variables hone_variables;

hone_variables *hone_variables_new(void); /* NULL when out of memory */
hone_variables *hone_variables_retain(hone_variables *s);
void hone_variables_free(hone_variables *s); /* gives a reference back */
/* The tensor of that name, borrowed and writable; NULL if there is none. Its address never changes. */
hone_tensor *hone_variables_get(const hone_variables *s, const char *name);
/* Adds a copy of `content`, unless the name is there already with the same type. HONE_INVALID_ARGUMENT if
 * with another one. `*out` (may be NULL) is the tensor, borrowed. */
hone_status hone_variables_add(hone_variables *s, const char *name, const hone_tensor *content,
                               hone_tensor **out, hone_error *err);
size_t hone_variables_count(const hone_variables *s);
/* In the order in which they were added; borrowed. */
const char *hone_variables_at(const hone_variables *s, size_t index, hone_tensor **tensor);

#endif
