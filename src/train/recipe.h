/* The recipe: all settings that decide the bits of a training, as JSON text. */
#ifndef HONE_TRAIN_RECIPE_H
#define HONE_TRAIN_RECIPE_H

#include "graph/graph.h"

#include <hone/train.h>
#include <jansson.h>

/* `model` is what is trained, `training` the graph derived from it. `*out` belongs to the caller: free(). */
hone_status hone_recipe_make(const hone_train_options *o, const hone_graph *model, const hone_graph *training,
                             const hone_dataset *data, char **out, hone_error *err);
/* Compares two recipes, parsed. HONE_FAILED_PRECONDITION names the first setting of `now` that is not as it
 * was. */
hone_status hone_recipe_compare(const json_t *saved, const json_t *now, hone_error *err);

#endif
