/* Objectives: functions of a model's first output and a target column, by name. Each is a row of one table: the
 * target that it wants, the loss as nodes, and how well the model does, in numbers for people. */
#ifndef HONE_TRAIN_OBJECTIVE_H
#define HONE_TRAIN_OBJECTIVE_H

#include "graph/graph.h"

#include <hone/train.h>

/* The first output and the target of n samples. */
typedef struct hone_answers {
    const float *output;
    const void *target; /* int64 labels, or floats like the output */
    int64_t n;
    int64_t size;    /* values of the output in a sample */
    int64_t targets; /* values of the target in a sample */
    int64_t last;    /* of the output's last axis; 0: not known */
} hone_answers;

/* Sums over samples, of which metrics are made. */
typedef struct hone_tally {
    int64_t samples;
    double loss, score;
    double scale;   /* hone_objective_scale() */
    double squares; /* of the errors */
    double reached,
        weight; /* the first metric is their ratio, where the weight is not 0; else score / samples */
    double word_errors, words; /* of sequences of symbols that are parted into words … */
    int64_t separator;         /* … by this one; 0: they are not */
    int64_t places;            /* that the loss is the sum over; 0: samples */
    double bytes;              /* of text that all samples stand for; 0: not known */
    double *shift, *sum,
        *sum_of_squares; /* of target - shift, the first sample's, for each value of a sample */
} hone_tally;

typedef struct hone_objective {
    const char *name;
    const char *wants; /* of the first output and the target, in words */
    /* The target's type for an output of that type, batch axis included; false if the output does not suit. */
    bool (*target)(const hone_type *output, hone_type *target);
    /* Emits the mean loss over the batch. */
    hone_value *(*emit)(hone_graph *g, const hone_train_options *o, hone_value *output, hone_value *target);
    hone_link link; /* behind which a network's logits may stand */
    bool scales;    /* its numbers have units, which the network need not know */
    bool smoothes;  /* it knows what label smoothing is */
    bool
        sequences; /* the output has a class for each place, and the target of a sample is a sequence of them */
    bool embeds;   /* the output is a vector of any size, and samples are compared with others */
    /* HONE_INVALID_ARGUMENT for a target that can't be. `a->output` is not looked at, `a->size` may be < 0: unknown. */
    hone_status (*check)(const hone_answers *a, int64_t values, hone_error *err);
    hone_metric metric; /* the first one, without a value */
    /* Its sum over the samples; targets were checked. */
    double (*score)(const hone_answers *a);
    /* Adds the samples' loss, and what else `more` needs, to the tally. */
    void (*add)(hone_tally *t, const hone_answers *a);
    /* Further metrics; gives how many. NULL: none. */
    int (*more)(const hone_tally *t, int64_t size, hone_metric *out);
} hone_objective;

extern const hone_objective hone_objective_next_token, hone_objective_ctc, hone_objective_contrastive,
    hone_objective_info_nce;

/* The row of that name; else HONE_INVALID_ARGUMENT lists those that are there. */
hone_status hone_objective_find(const char *name, const hone_objective **out, hone_error *err);
/* What the loss of a model is of the order of: its gradient is divided by that. 1, or for errors that are squared in the
 * units of a target that the model gives back its units (metadata "hone.target_variance") the variance of the target. */
double hone_objective_scale(const hone_graph *g);
/* Index of the largest of n values, the first of equals. */
int64_t hone_argmax(const float *x, int64_t n);

#endif
