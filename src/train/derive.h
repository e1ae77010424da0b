/* The training graph, derived from a model and thrown away afterwards:
 *
 *   copy → functions expanded, canonical rewrites → parametrizations → weights become variables → training forms →
 *   objective → autodiff → optimizer nodes, bound to variables
 *
 *   inputs    the model's | settings, float32 scalars (optimizer.h) | target | mixing labels: those of the samples that are
 *             mixed in | targets of other outputs | distilling: the teacher's output, like the first output
 *   outputs   loss float32, the mean over the batch | the model's first output
 *
 * Where a step has several batches there is a second graph, of all but the last of them: in place of optimizer nodes it has
 * sums of gradients, bound to variables that the first graph adds to its own and that are to be zeros when a step begins. */
#ifndef HONE_TRAIN_DERIVE_H
#define HONE_TRAIN_DERIVE_H

#include "train/goals.h"
#include "train/optimizer.h"
#include "train/parametrize.h"

#include <hone/train.h>

/* The trainable weights of a model: float constants of rank 1 and more in weight slots, also behind operators
 * that only move elements (a weight stored as its transpose), and those that the model's metadata lists
 * ("hone.trainable": parameters of an architecture that no slot tells of, such as a table of positions). */
bool hone_is_trainable(const hone_graph *g, const hone_value *v);
/* Does one of the shell patterns, with commas between them, match? `list` NULL: none. */
bool hone_matches(const char *list, const char *name);
/* Do the options keep that weight as it is? */
bool hone_is_frozen(const hone_train_options *o, const char *name);
/* Lists in the metadata what is marked `trainable` and no slot tells of. */
hone_status hone_remember_trainable(hone_graph *g, hone_error *err);

/* What is to be derived. */
typedef struct hone_derivation {
    const hone_graph *model;
    const hone_train_options *options;
    const hone_objective *objective;
    const hone_aims *aims; /* NULL: the first output alone is trained */
    const hone_parametrization *parametrizations;
    int parametrization_count;
    bool only_trained; /* what has no trained weight runs as in the model, what has no weights, too */
    bool exchanges;    /* gradients are those of all ranks (exchange.h) */
} hone_derivation;

typedef struct hone_training {
    hone_graph *graph;         /* a step */
    bool needs[HONE_SETTINGS]; /* which settings are inputs */
    hone_graph
        *gather; /* of a step's other batches; its settings: PART, and MIX if the step has it. NULL: none */
    const char **gathered; /* names of the variables of sums, in the arena of `gather` */
    int gathered_count;
    /* Which variables have an average, and which that is: values of `graph`, in its arena. */
    hone_value *(*averaged)[2];
    int averaged_count;
    hone_graph *values; /* output i is what parametrization i makes of its variables; NULL: there are none */
} hone_training;

/* On success the graphs belong to the caller: hone_training_free(). HONE_INVALID_ARGUMENT if nothing would be trained;
 * HONE_UNSUPPORTED lists all operators without a gradient. */
hone_status hone_derive_training(const hone_derivation *d, hone_training *out, hone_error *err);
void hone_training_free(hone_training *t);

#endif
