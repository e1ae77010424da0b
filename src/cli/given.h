/* What --input and --output are given: files for a model's values. */
#ifndef HONE_CLI_GIVEN_H
#define HONE_CLI_GIVEN_H

#include "options.h"

/* A value and its file. */
typedef struct cli_given {
    char *name;
    int index; /* of the input or output; -1: an initializer */
    char *file;
} cli_given;

typedef struct cli_givens {
    cli_given *list;
    int count, capacity;
} cli_givens;

/* Reads each of `texts`, the arguments of an option:
 *
 *      NAME=@FILE            a name may hold anything: the longest one that the model has counts. NAME==@FILE is the same
 *      {"NAME": "FILE", …}   a JSON object
 *      @MAP.json             a file with one in it
 *      @FILE                 of a model with one input (output) only
 *
 * NAME is an input of `g` or, where an input was asked for, an initializer; else an output. Gives CLI_OK, or what the
 * command ends with after saying what is wrong; cli_givens_free() in any case. */
int cli_givens_read(bool inputs, const cli_list *texts, const char *model, const hone_graph *g,
                    cli_givens *out);
void cli_givens_free(cli_givens *givens);

#endif
