/* Low-rank adaptation (Hu et al. 2021, arXiv 2106.09685): a matrix W stays as it is, and W + alpha/rank A B takes its
 * place, of which A [in, rank] and B [rank, out] are trained. */
#ifndef HONE_TRAIN_LORA_H
#define HONE_TRAIN_LORA_H

#include "train/parametrize.h"

typedef struct hone_lora {
    hone_parametrization *items; /* one for each trainable matrix of the model */
    int count;
    struct hone_adapter *adapter; /* what all of them have in common */
} hone_lora;

/* Options give rank, alpha, seed, and which weights get no adapter: what is frozen, what is trained itself. Tables of rows
 * get none either. A is drawn from the seed and the weight's name, uniformly in ±1/sqrt(in); B is zero, so that training starts with W.
 * HONE_INVALID_ARGUMENT if there is no matrix. The model must outlive it; hone_lora_free() also after a failure. */
hone_status hone_lora_make(const hone_graph *model, const hone_train_options *o, hone_lora *out,
                           hone_error *err);
void hone_lora_free(hone_lora *l);

#endif
