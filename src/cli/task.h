/* What a model has to do with the columns of the data, and how well it does. */
#ifndef HONE_CLI_TASK_H
#define HONE_CLI_TASK_H

#include "json.h"
#include "options.h"

#include <hone/graph.h>
#include <hone/train.h>

/* Which columns feed the model, and what its output is compared with. */
typedef struct cli_task {
    const char *objective, *target;
    cli_list inputs; /* NAME=COLUMN */
    hone_pairing pairings[64];
} cli_task;
#define OPT_TASK(t)                                                                                          \
    OPT_TEXT("objective", "NAME", (t).objective,                                                             \
             "what the output is for: cross-entropy (classes), mean-squared-error or huber (numbers), "      \
             "binary-cross-entropy (yes or no), cosine (vectors), next-token (language models), ctc "        \
             "(sequences of symbols, as what is said in a clip), contrastive (vectors that lie by label) "   \
             "or info-nce (vectors each nearest to its own target) (default: what the model was trained "    \
             "for, else cross-entropy)"),                                                                    \
        OPT_TEXT("target", "COLUMN", (t).target,                                                             \
                 "column to compare the output with (default: y, label or target, else the one left)"),      \
        OPT_LIST("input", "NAME=COLUMN", (t).inputs,                                                         \
                 "column that feeds an input (default: the one of its name, else x or the one left)")

/* What outputs are for: "[OUTPUT=]NAME[:WEIGHT][@COLUMN]". */
typedef struct cli_losses {
    cli_list texts;
    /* set as they are read */
    hone_goal goals[64];
    int count;
} cli_losses;
#define OPT_LOSSES(l)                                                                                        \
    OPT_LIST(                                                                                                \
        "loss", "[OUTPUT=]NAME[:WEIGHT][@COLUMN]", (l).texts,                                                \
        "of a model of several outputs: train this one, too, for the objective NAME, its loss counting "     \
        "WEIGHT (1), against COLUMN (the one of the output's name); may be given more than once. Without "   \
        "OUTPUT: "                                                                                           \
        "the first one, as --objective")

/* Reads them; those without an output go into the task and the weight of the first one. Gives CLI_OK, or CLI_USAGE after
 * saying what is wrong. */
int cli_read_losses(cli_losses *l, hone_train_options *o);
/* When the model is there: a loss of its first output goes where those without an output do, the others become goals. */
void cli_place_losses(cli_losses *l, const hone_graph *g, hone_train_options *o);

/* Gives CLI_OK, or CLI_USAGE after saying what is wrong. */
int cli_read_task(cli_task *t, hone_task *out);
const char *cli_metric_value(const hone_metric *m); /* "88.53 %", "0.1234" */
const char *cli_metric_name(const hone_metric *m);  /* "mean absolute error" */
const char *cli_metrics(const hone_eval_report *r); /* "accuracy 88.53 %" */
/* Sets PREFIXaccuracy, …, PREFIXloss. */
void cli_json_metrics(json_t *object, const char *prefix, const hone_eval_report *r);

#endif
