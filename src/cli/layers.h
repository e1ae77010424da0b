/* What each weight costs when it is quantized alone. */
#ifndef HONE_CLI_LAYERS_H
#define HONE_CLI_LAYERS_H

#include "json.h"

#include <hone/compress.h>

typedef struct cli_layer {
    char *weight;
    int64_t numbers;
    double error; /* of the output, as a share of it */
} cli_layer;

/* The one that costs most first. */
typedef struct cli_layers {
    cli_layer *items;
    int count;
} cli_layers;

/* hone_quantize_sensitivity. */
hone_status cli_layers_find(const hone_graph *g, const hone_dataset *data, const hone_quantize_options *o,
                            cli_layers *out, hone_error *err);
/* [{"weight": ..., "numbers": ..., "error": ...}, ...], and back; what is no such list is empty. */
json_t *cli_layers_json(const cli_layers *l);
void cli_layers_read(const json_t *array, cli_layers *out);
void cli_layers_free(cli_layers *l);

#endif
