#include "layers.h"

#include "report.h"

#include <stdlib.h>
#include <string.h>

static void add(cli_layers *l, const char *weight, int64_t numbers, double error) {
    char *name = cli_alloc(strlen(weight) + 1);
    l->items[l->count++] = (cli_layer){strcpy(name, weight), numbers, error};
}

hone_status cli_layers_find(const hone_graph *g, const hone_dataset *data, const hone_quantize_options *o,
                            cli_layers *out, hone_error *err) {
    hone_sensitivity *found = NULL;
    int count = 0;
    *out = (cli_layers){NULL, 0};
    hone_status status = hone_quantize_sensitivity(g, data, o, &found, &count, err);
    if (status != HONE_OK) return status;
    out->items = cli_alloc((size_t)(count + 1) * sizeof *out->items);
    for (int i = 0; i < count; i++) add(out, found[i].weight, found[i].numbers, found[i].error);
    hone_sensitivity_free(found, count);
    return HONE_OK;
}

json_t *cli_layers_json(const cli_layers *l) {
    json_t *all = json_array();
    for (int i = 0; i < l->count; i++)
        json_array_append_new(all, json_pack("{s:o, s:I, s:o}", "weight", cli_json_text(l->items[i].weight),
                                             "numbers", (json_int_t)l->items[i].numbers, "error",
                                             cli_json_number(l->items[i].error)));
    return all;
}

void cli_layers_read(const json_t *array, cli_layers *out) {
    size_t i;
    json_t *o;
    *out = (cli_layers){.items = cli_alloc((json_array_size(array) + 1) * sizeof *out->items)};
    json_array_foreach(array, i, o) {
        const char *weight = json_string_value(json_object_get(o, "weight"));
        if (weight)
            add(out, weight, (int64_t)json_integer_value(json_object_get(o, "numbers")),
                json_number_value(json_object_get(o, "error")));
    }
}

void cli_layers_free(cli_layers *l) {
    for (int i = 0; i < l->count; i++) free(l->items[i].weight);
    free(l->items);
    *l = (cli_layers){NULL, 0};
}
