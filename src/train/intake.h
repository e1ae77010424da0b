/* What stands before and behind a network that is built for a data set: inputs that take raw samples, the nodes that make
 * them ready, and those that give answers in the target's units.
 *
 *      one column    input [batch, sample shape] ── - mean ── × scale ──► x        mean and scale of each feature or channel
 *
 *      a table       number [batch, 1] ─┐
 *                    number [batch, 1] ─┴ Concat ┬ NaN: mean ── - mean ── × scale ─┐
 *                                                └ IsNaN, of columns that lack some ┼ Concat ──► x [batch, features]
 *                    text [batch, 1] ── one-hot, all zeros for unknown ones ────────┘
 *
 *      sound         audio [batch, samples] ── log-mel spectrogram ──► x [batch, 1, frames, mels]
 *
 *      texts         input_ids [batch, tokens] ──► x
 *
 * What is fitted is fitted on the samples of `data`: the training part. */
#ifndef HONE_TRAIN_INTAKE_H
#define HONE_TRAIN_INTAKE_H

#include "train/task.h"

typedef struct hone_intake {
    hone_value
        *x; /* what the network reads, float32: [batch, features], [batch, channels, height, width] of images
                      (also where the data has channels last), else [batch, sample shape] */
    int64_t dims[HONE_MAX_RANK]; /* of a sample of it */
    int rank;
    int target;                      /* the target's column; -1: nothing says which it is */
    const hone_objective *objective; /* the task's; else what suits the target, noted in the model */
    int64_t
        outputs; /* what the network has to give for a sample: classes, or numbers of the target; 0: not known */
    int64_t vocabulary,
        pad;     /* where x is ids of tokens, int64 [batch, tokens]: how many there are, and what fills up */
    bool places; /* each place of a sample has outputs of its own */
    int classes; /* of the target, where the objective wants labels; else 0 */
    float *mean,
        *deviation; /* of the target, [outputs], where the objective wants numbers of any size; else NULL */
} hone_intake;

/* Adds inputs and nodes to `g`, which has no inputs yet. hone_intake_free() when done, also after a failure.
 * HONE_INVALID_ARGUMENT names a column that feeds nothing, or has no two different values, or values that are no numbers. */
hone_status hone_intake_make(hone_graph *g, const hone_dataset *data, const hone_build_options *options,
                             hone_intake *out, hone_error *err);
/* What stands behind the input `audio`, float32 [batch, samples], of so many samples a second: fills f->x and its shape. */
hone_status hone_intake_sound(hone_graph *g, hone_value *audio, int64_t samples, int rate, hone_intake *f,
                              hone_error *err);
/* Makes `y`, float32 [batch, outputs], the model's output: "logits", or "prediction" in the target's units. Notes the
 * names of classes in the model. */
hone_status hone_intake_finish(hone_graph *g, const hone_intake *f, const hone_dataset *data, hone_value *y,
                               hone_error *err);
/* Notes the names of the first so many classes in the model, where the data has names. */
hone_status hone_intake_note_classes(hone_graph *g, const hone_dataset *data, int classes, hone_error *err);
void hone_intake_free(hone_intake *f); /* all zero is fine */

#endif
