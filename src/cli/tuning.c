#include "tuning.h"

#include "files.h"
#include "language.h"
#include "report.h"
#include "text.h"

#include <hone/adapter.h>
#include <hone/generate.h>

#include <string.h>

int cli_tuning_begin(cli_tuning *t, const char *path, cli_data *d, hone_graph **graph) {
    hone_error err = {0};
    const int status = cli_open_language(path, &t->import, graph);
    if (status != CLI_OK || !t->import) return status;
    *graph = hone_import_take_graph(t->import);
    CLI_TRY_MODEL(path, hone_lm_forget_past(*graph, &err));
    d->reads = hone_import_tokenizer(t->import);
    if (!d->reads) return cli_error("%s: the model has no tokenizer", path);
    /* texts without labels, whatever they are called */
    if (d->spec && strncmp(d->spec, "text:", 5) == 0) d->spec = cli_text("lm:%s", d->spec + 5);
    return CLI_OK;
}

hone_status cli_tuning_save(cli_tuning *t, const hone_graph *graph, const char *base, bool apart,
                            const char *directory, hone_error *err) {
    if (apart) return hone_adapter_save(graph, directory, base, err);
    hone_graph *whole = NULL;
    hone_status status = hone_graph_copy(graph, &whole, err);
    if (status == HONE_OK) status = hone_adapter_merge(whole, NULL, err);
    if (status == HONE_OK) status = hone_lm_recall_past(whole, err);
    if (whole) hone_import_give_graph(t->import, whole);
    return status == HONE_OK ? hone_import_save(t->import, directory, err) : status;
}

hone_status cli_tuning_check_output(const cli_tuning *t, const char *path, hone_error *err) {
    return t->import ? cli_check_directory(path, err) : cli_check_output(path, err);
}

const char *cli_tuning_file(const cli_tuning *t, const char *path) {
    const char *file = cli_text("%s/model.onnx", path);
    return t->import && cli_file_bytes(file) >= 0 ? file : path;
}

void cli_tuning_end(cli_tuning *t) {
    hone_import_free(t->import);
}
