/* Runs steps of training: a batch through the graph of a step, behind as many through that which gathers gradients as the
 * step has. */
#ifndef HONE_TRAIN_STEPPER_H
#define HONE_TRAIN_STEPPER_H

#include "base/random.h"
#include "train/derive.h"

#include <hone/session.h>

typedef struct hone_stepper hone_stepper;

/* `model_inputs`: how many of the feeds stand before the settings. The training is not looked at afterwards. */
hone_status hone_stepper_new(const hone_training *training, hone_variables *variables, int threads,
                             int model_inputs, hone_stepper **out, hone_error *err);
void hone_stepper_free(hone_stepper *s); /* NULL is fine */
/* A batch of a step; behind the last one the step is done. `feeds`: the model's inputs, the target, and what stands behind
 * it. `random`: what random operators draw from, and the number of the run. `outputs` are borrowed until the next run. */
hone_status hone_stepper_run(hone_stepper *s, hone_tensor *const *feeds, int feed_count,
                             const double settings[HONE_SETTINGS], hone_random random, bool last,
                             const hone_tensor *outputs[2], hone_error *err);

#endif
