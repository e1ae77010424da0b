#include "text.h"

#include "report.h"

#include <string.h>

const char *cli_tokenizer_path(const hone_graph *g, const char *path) {
    const char *name = hone_graph_metadata(g, CLI_TOKENIZER_KEY), *slash = strrchr(path, '/');
    /* a model may come from anywhere: it names a file of its own directory, nothing else */
    if (!name || strchr(name, '/') || strcmp(name, "..") == 0) name = "tokenizer.json";
    static char text[4096];
    snprintf(text, sizeof text, "%.*s%s", slash ? (int)(slash - path) + 1 : 0, path, name);
    return text;
}

hone_status cli_load_tokenizer(const char *path, hone_tokenizer **out, hone_error *err) {
    hone_graph *g = NULL;
    hone_status status = hone_graph_load(path, &g, err);
    if (status == HONE_OK) status = hone_tokenizer_load(cli_tokenizer_path(g, path), out, err);
    hone_graph_free(g);
    return status;
}

hone_status cli_save_tokenizer(const hone_dataset *data, hone_graph *g, const char *path, hone_error *err) {
    const hone_tokenizer *t = hone_dataset_tokenizer(data);
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    size_t length = strlen(name);
    char file[512];
    if (!t) return HONE_OK;
    if (length > 5 && strcmp(name + length - 5, ".onnx") == 0) length -= 5;
    snprintf(file, sizeof file, "%.*s.tokenizer.json", (int)length, name);
    hone_status status = hone_graph_set_metadata(g, CLI_TOKENIZER_KEY, file, err);
    if (status == HONE_OK) status = hone_tokenizer_save(t, cli_tokenizer_path(g, path), err);
    return status;
}
