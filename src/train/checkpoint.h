/* Checkpoints:
 *
 *   DIR/step-000000938/variables.safetensors    weights and optimizer state
 *                      state.json               where training stands, and with which options
 *   DIR/LATEST                                  "step-000000938", replaced by rename when the step is whole
 *
 * (step-N-b where LATEST names a step-N that another training left.)
 *
 * A step is written as step-N.tmp, synced and renamed; the previous one is kept. Killed at any moment, DIR
 * has a whole checkpoint or none. */
#ifndef HONE_TRAIN_CHECKPOINT_H
#define HONE_TRAIN_CHECKPOINT_H

#include "base/file.h"
#include "runtime/variables.h"

/* Where training stands. All that is not in the variables. */
typedef struct hone_train_state {
    int64_t step;          /* optimizer steps done */
    int64_t epoch, sample; /* the loader's position */
    double loss_sum;       /* of the epoch that step belongs to, over its samples so far */
    double score_sum;      /* likewise, of the objective's first metric */
    double rate_factor;    /* what plateaus have left of the learning rate */
    double best;           /* how good the best epoch was on validation data */
    int64_t best_epoch;    /* which; 0: none yet */
} hone_train_state;

/* Makes `dir` and keeps other trainings off it until hone_dir_release(): HONE_UNAVAILABLE while one is there. */
hone_status hone_checkpoint_hold(const char *dir, int *hold, hone_error *err);
/* `recipe` says what is being trained and how ("batch": 64, …), as JSON text: resuming with another one is
 * refused. */
hone_status hone_checkpoint_save(const char *dir, const hone_variables *variables,
                                 const hone_train_state *state, const char *recipe, hone_error *err);
/* Reads the newest checkpoint of `dir`. HONE_NOT_FOUND if there is none; HONE_FAILED_PRECONDITION names the
 * first setting that differs from `recipe`. */
hone_status hone_checkpoint_load(const char *dir, hone_variables *variables, hone_train_state *state,
                                 const char *recipe, hone_error *err);

#endif
