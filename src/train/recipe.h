/* The recipe: all settings that decide the bits of a training, as JSON text. */
#ifndef HONE_TRAIN_RECIPE_H
#define HONE_TRAIN_RECIPE_H

#include "train/task.h"

#include <jansson.h>

/* What is trained. */
typedef struct hone_recipe_subject {
    const hone_objective *objective;
    const hone_graph *model, *training; /* and the graph derived from it */
    const hone_dataset *data;
    const hone_feed *feeds; /* which columns feed the model's inputs and the target */
    int feed_count;
} hone_recipe_subject;

/* `*out` belongs to the caller: free(). */
hone_status hone_recipe_make(const hone_train_options *o, const hone_recipe_subject *subject, char **out,
                             hone_error *err);
/* Compares two recipes, parsed. HONE_FAILED_PRECONDITION names the first setting of `now` that is not as it
 * was. */
hone_status hone_recipe_compare(const json_t *saved, const json_t *now, hone_error *err);

#endif
