/* What `hone eval` writes beyond a line: tables of classes, predictions. */
#ifndef HONE_CLI_ANSWERS_H
#define HONE_CLI_ANSWERS_H

#include "json.h"
#include "report.h"

#include <hone/train.h>

/* Names of classes, of a data set or of a model's metadata. */
typedef struct cli_classes {
    const hone_dataset *data; /* may be NULL */
    const char *noted;        /* one a line; may be NULL */
} cli_classes;

/* The name of class k; its number where it has none. */
const char *cli_class_name(const cli_classes *c, int k);

/* For people: scores of each class, and which are taken for which; of many classes the worst. */
void cli_print_details(const hone_eval_details *d, const cli_classes *c);
/* For machines: "classes", "confusion", "macro_f1", … into `object`. */
void cli_json_details(json_t *object, const hone_eval_details *d, const cli_classes *c);

/* A table of text of all predictions, made line by line. */
typedef struct cli_predictions {
    const cli_classes *classes;
    bool regression; /* the output is numbers */
    FILE *file;
    char *text;
    size_t size;
    bool begun;
} cli_predictions;

bool cli_predictions_begin(cli_predictions *p); /* false: out of memory */
/* A hone_prediction_fn; `user` is the cli_predictions. */
bool cli_predictions_add(void *user, const hone_prediction *p);
/* Writes the file at `path`, whole or not at all, if that is not NULL; frees all. */
hone_status cli_predictions_end(cli_predictions *p, const char *path, hone_error *err);

#endif
