/* Language models that are trained further. They are trained as they read whole texts; what is written is the model as it
 * was, with what was learned, or the adapter alone. */
#ifndef HONE_CLI_TUNING_H
#define HONE_CLI_TUNING_H

#include "data.h"

#include <hone/import.h>

typedef struct cli_tuning {
    hone_import *import; /* without its graph; NULL: the model is of another kind */
} cli_tuning;

/* Opens a model, `*graph`; of another kind than language models with a past it is as in its file, or NULL where it is not read. `d` then reads texts as such a model does. Gives an exit status. cli_tuning_end() in any case. */
int cli_tuning_begin(cli_tuning *t, const char *path, cli_data *d, hone_graph **graph);
/* Writes a directory: the adapter of what `graph` has become, alone (`apart`), or the model, with its past again. */
hone_status cli_tuning_save(cli_tuning *t, const hone_graph *graph, const char *base, bool apart,
                            const char *directory, hone_error *err);
/* Whether that can be written: a directory, or a file of a model of another kind. */
hone_status cli_tuning_check_output(const cli_tuning *t, const char *path, hone_error *err);
/* The path of the ONNX file that `path`, a directory or a file, is. */
const char *cli_tuning_file(const cli_tuning *t, const char *path);
void cli_tuning_end(cli_tuning *t);

#endif
