#include "train/options.h"

#include "base/error.h"

#include <math.h>

static bool is_share(double x) {
    return x >= 0 && x < 1;
}

hone_status hone_train_options_check(const hone_train_options *o, hone_error *err) {
    if (o->epochs < 1 || o->batch < 1)
        return hone_fail(err, HONE_INVALID_ARGUMENT,
                         "training needs at least one epoch and a batch of at least 1");
    if (!((float)o->learning_rate > 0) || !isfinite((float)o->learning_rate) ||
        !(o->momentum >= 0 && o->momentum < 1) || !(o->weight_decay >= 0) ||
        !isfinite((float)o->weight_decay))
        return hone_fail(err, HONE_INVALID_ARGUMENT,
                         "learning rate %g, momentum %g or weight decay %g is out of range", o->learning_rate,
                         o->momentum, o->weight_decay);
    if ((unsigned)o->schedule > HONE_SCHEDULE_PLATEAU || (unsigned)o->optimizer > HONE_OPTIMIZER_RMSPROP)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "there is no schedule %d or no optimizer %d",
                         (int)o->schedule, (int)o->optimizer);
    if (!is_share(o->beta1) || !is_share(o->beta2) || !is_share(o->label_smoothing) ||
        !is_share(o->average) || !(o->floor >= 0 && o->floor <= 1) || !(o->warmup >= 0) ||
        !(o->clip_norm >= 0) || !(o->clip_value >= 0) || !((float)o->epsilon > 0) || o->cycles < 0 ||
        o->plateau < 0 || o->patience < 0)
        return hone_fail(
            err, HONE_INVALID_ARGUMENT,
            "betas %g and %g, epsilon %g, label smoothing %g, average %g, floor %g, warmup %g, clipping at "
            "%g and %g, %d cycles, plateau %d or patience %d is out of range",
            o->beta1, o->beta2, o->epsilon, o->label_smoothing, o->average, o->floor, o->warmup, o->clip_norm,
            o->clip_value, o->cycles, o->plateau, o->patience);
    if (o->augment) HONE_TRY(hone_augment_check(o->augment, err));
    if (o->accumulate < 1 || !(o->mixup >= 0 && o->mixup <= 100) || !(o->cutmix >= 0 && o->cutmix <= 100) ||
        !is_share(o->stochastic_depth))
        return hone_fail(err, HONE_INVALID_ARGUMENT,
                         "%d batches a step, mixup %g, cutmix %g or stochastic depth %g is out of range",
                         o->accumulate, o->mixup, o->cutmix, o->stochastic_depth);
    if (o->teacher && (o->mixup > 0 || o->cutmix > 0))
        return hone_fail(err, HONE_INVALID_ARGUMENT, "a teacher does not go with mixup or cutmix");
    if (o->goal_count < 0 || (o->goal_count > 0 && !o->goals))
        return hone_fail(err, HONE_INVALID_ARGUMENT, "%d goals of other outputs", o->goal_count);
    if (o->threads < 0 || o->max_samples < 0 || o->checkpoint_steps < 0)
        return hone_fail(err, HONE_INVALID_ARGUMENT,
                         "threads %d, max_samples %lld or checkpoint_steps %lld is negative", o->threads,
                         (long long)o->max_samples, (long long)o->checkpoint_steps);
    if (o->lora_rank < 0 || (o->lora_rank > 0 && !isfinite((float)o->lora_alpha)))
        return hone_fail(err, HONE_INVALID_ARGUMENT, "adapters of rank %d with alpha %g", o->lora_rank,
                         o->lora_alpha);
    if (o->teacher && (!((float)o->temperature > 0) || !isfinite((float)o->temperature) ||
                       !(o->alpha >= 0 && o->alpha <= 1)))
        return hone_fail(err, HONE_INVALID_ARGUMENT,
                         "temperature %g must be above 0 and alpha %g within [0, 1]", o->temperature,
                         o->alpha);
    return HONE_OK;
}
