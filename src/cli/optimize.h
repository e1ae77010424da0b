/* What `hone optimize` finds: smaller forms of a model, each made from another one by a step, and what they are worth. */
#ifndef HONE_CLI_OPTIMIZE_H
#define HONE_CLI_OPTIMIZE_H

#include "energy.h"
#include "layers.h"
#include "training.h"

#include <hone/compress.h>

/* A way to make a form out of another one. */
typedef struct cli_recipe {
    const char *name, *from; /* from NULL: the model itself */
    double structured;       /* share of units that go, */
    double sparsity;         /* or of weights that become zero; both 0: it is quantized instead */
    hone_quantize_mode mode;
    int bits, edge_bits;
    bool gptq;    /* and biases corrected */
    int keep_one; /* of so many weights the one that costs most stays at 8 bits; 0: none */
    int clusters; /* of mode CLUSTERS, and it is packed */
    int epochs;   /* of training, times --finetune-epochs */
} cli_recipe;

/* A form, and what was measured of it. */
typedef struct cli_point {
    const cli_recipe *recipe;
    char *path;    /* of its file */
    bool there;    /* made and measured */
    char why[256]; /* it is not */
    double
        quality; /* higher is better: the objective's metric where it is a share, else minus the loss; on validation data */
    double test; /* the same on test data; NaN: not looked at */
    int64_t bytes, multiply_adds;
    double ms[2];   /* a sample alone, by one thread and by two */
    double joules;  /* of a sample, by one thread */
    double seconds; /* that making it took */
    bool best;      /* no other one is as good, as small and as fast */
} cli_point;

typedef struct cli_search {
    const char *model, *dir, *metric; /* metric: "accuracy", or "loss" */
    bool share;                       /* quality is one */
    const hone_task *task;
    hone_train_options finetune;
    cli_parts data;
    hone_graph *graph; /* the model */
    cli_point *points;
    int count;
    cli_energy energy; /* how it is measured */
    cli_layers layers; /* of the model in 4 bits; none: not known */
    double deadline;   /* by cli_seconds_now(); training stops then */
} cli_search;

extern const cli_recipe cli_recipes[];
int cli_recipe_count(void);

/* Makes points[i] and measures it; hone_error of what could not be done. HONE_CANCELLED: a signal, or no time. */
hone_status cli_point_make(cli_search *s, int i, hone_error *err);
/* The command that does the same. */
const char *cli_point_command(const cli_search *s, int i);
/* Marks those that no other one beats. */
void cli_points_compare(cli_search *s);
/* "92.17 %", or a loss. */
const char *cli_quality_text(const cli_search *s, double quality);

/* optimize_report.c: what was found, for people and machines. */
void cli_search_print(const cli_search *s, int chosen);
json_t *cli_search_json(const cli_search *s, int chosen); /* chosen -1: none */
hone_status cli_search_html(const cli_search *s, int chosen, const char *path, hone_error *err);

#endif
