/* Other outputs than the first that are trained, too: which they are, what they are compared with, and their losses. */
#ifndef HONE_TRAIN_GOALS_H
#define HONE_TRAIN_GOALS_H

#include "train/task.h"

typedef struct hone_aim {
    const hone_goal *goal;
    const hone_objective *objective;
    int output; /* which of the model's */
} hone_aim;

typedef struct hone_aims {
    hone_aim *items;
    int count;
} hone_aims;

/* Finds the outputs and rows of the options' goals. HONE_INVALID_ARGUMENT names what is not there, or is there twice.
 * hone_aims_free() when done, also after a failure. */
hone_status hone_aims_find(const hone_graph *g, const hone_train_options *o, hone_aims *out, hone_error *err);
void hone_aims_free(hone_aims *a); /* all zero is fine */
/* The targets: feeds [count]. */
hone_status hone_aims_wire(const hone_aims *a, const hone_graph *g, const hone_dataset *d, hone_feed *feeds,
                           hone_error *err);
/* Outputs 1 … count of a training graph become those of the aims, behind their links (graph.h) where the loss has them; output 0
 * that of `objective` likewise. */
void hone_aims_take_outputs(hone_graph *g, const hone_objective *objective, const hone_aims *a);
/* Inputs "target.NAME" for the targets, and `loss`, `weight` times, with the losses of those outputs added. */
hone_status hone_aims_add(hone_graph *g, const hone_train_options *o, const hone_aims *a, hone_value **loss,
                          hone_error *err);
/* Notes in the model what its outputs were trained for. */
hone_status hone_aims_remember(hone_graph *g, const hone_aims *a, hone_error *err);

#endif
