/* Optimizers: how a step changes a weight, as nodes of the training graph. Each is a row of one table. */
#ifndef HONE_TRAIN_OPTIMIZER_H
#define HONE_TRAIN_OPTIMIZER_H

#include "graph/graph.h"

#include <hone/train.h>

/* Numbers that change from step to step: float32 scalars, inputs of the training graph. */
typedef enum hone_setting {
    HONE_SETTING_RATE,    /* the learning rate */
    HONE_SETTING_FIRST,   /* 1 / (1 - beta1^t): what bias correction multiplies a mean of gradients by */
    HONE_SETTING_SECOND,  /* 1 / (1 - beta2^t): likewise of their squares */
    HONE_SETTING_AVERAGE, /* how far the averaged weights go to the new ones */
    HONE_SETTING_PART,    /* of the step's samples that are in the batch, where it has more of them */
    HONE_SETTING_MIX,     /* what the first of two targets counts, where samples are mixed */
    HONE_SETTINGS
} hone_setting;

/* The inputs of a graph for them; NULL: not needed. */
typedef struct hone_settings {
    hone_value *at[HONE_SETTINGS];
    hone_value *(*averaged)[2]; /* variables and their averages, in the graph's arena */
    int averaged_count;
} hone_settings;

/* Adds those inputs that the options need; `parts`: the batch is a part of a step. `mixes`: there are two targets. `gathers`:
 * gradients are added up only. */
void hone_settings_add(hone_graph *g, const hone_train_options *o, bool parts, bool mixes, bool gathers,
                       hone_settings *out);
/* The number for step `step`, from 0, of `steps`, of what follows from these. `factor` multiplies the learning rate (HONE_SCHEDULE_PLATEAU). */
double hone_setting_value(const hone_train_options *o, hone_setting setting, int64_t step, int64_t steps,
                          double factor);

/* A variable of zeros like `w`, where gradients of several batches are added up; and what it becomes, their sum with one
 * more. */
hone_value *hone_gather_gradient(hone_graph *g, const hone_value *w, hone_value *gradient,
                                 hone_value **variable);
/* Gradients as the options want them: clipped by value, and by the norm of all together. */
void hone_clip_gradients(hone_graph *g, const hone_train_options *o, hone_value **gradients, int count);
/* The nodes that give the variable `w` its next content, bound to it, with variables of their own for their state; and
 * those of its average. Weight decay is for what has two axes and more. */
void hone_optimizer_add(hone_graph *g, const hone_train_options *o, hone_settings *settings, hone_value *w,
                        hone_value *gradient);
/* The average of a variable that `next` becomes after each step. */
void hone_average_add(hone_graph *g, hone_settings *settings, hone_value *w, hone_value *next);

#endif
