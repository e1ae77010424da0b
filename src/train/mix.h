/* Mixup and cutmix: samples of a batch become mixtures of two of them, sample i with sample n - 1 - i, in place. */
#ifndef HONE_TRAIN_MIX_H
#define HONE_TRAIN_MIX_H

#include "data/loader.h"
#include "train/objective.h"

typedef struct hone_mixer {
    double mixup, cutmix;
    int target;   /* the feed of the target; those before it are the model's inputs */
    bool labels;  /* the target is labels: those of the samples mixed in are the feed behind it */
    double share; /* of sample i in what it has become */
} hone_mixer;

/* HONE_INVALID_ARGUMENT says what can't be mixed. */
hone_status hone_mixer_make(const hone_train_options *o, const hone_objective *objective,
                            const hone_dataset *data, const hone_feed *feeds, int target, hone_mixer *out,
                            hone_error *err);
/* Mixes a batch, which depends on the seed and on where the batch is. Sets `share`. */
void hone_mixer_mix(hone_mixer *m, uint64_t seed, const hone_batch *b);

#endif
