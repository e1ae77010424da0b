/* Networks that begin anew: specs and files of ONNX text that lack weights.
 *
 *   spec ─► ONNX text ─┐
 *   file of ONNX text ─┴─► graph ─► parameters initialized ─► inputs standardized ─► class names, what is trainable */
#include "base/file.h"
#include "graph/infer.h"
#include "onnx/onnx.h"
#include "train/derive.h"
#include "train/intake.h"
#include "train/parameters.h"
#include "train/spec.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The graph of the network alone, from the value that it reads to the one that it gives. */
typedef struct network {
    hone_graph *g;
    bool fresh; /* it had parameters without a value */
} network;

static hone_status read_spec(const char *description, const hone_intake *f, const hone_build_options *o,
                             network *out, hone_error *err) {
    hone_spec_site site = {.rank = f->rank,
                           .outputs = f->outputs > 0 ? f->outputs : 1,
                           .vocabulary = f->vocabulary,
                           .pad = f->pad,
                           .places = f->places,
                           .dropout = o->dropout};
    char *text = NULL;
    if (f->rank < 1 || f->rank > HONE_SPEC_RANK)
        return hone_fail(err, HONE_UNSUPPORTED, "model \"%s\": samples of %d axes", description, f->rank);
    memcpy(site.dims, f->dims, (size_t)f->rank * sizeof *site.dims);
    HONE_TRY(hone_spec_write(description, &site, &text, err));
    hone_status status = hone_onnx_read_architecture(text, strlen(text), description, NULL, &out->g, err);
    free(text);
    out->fresh = true;
    return status;
}

static hone_status read_file(const char *path, network *out, hone_error *err) {
    enum { LIMIT = 1 << 30 };
    hone_blob text;
    HONE_TRY(hone_file_read(path, LIMIT, &text, err));
    const char *slash = strrchr(path, '/');
    char *dir = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup("");
    hone_status status = dir ? hone_onnx_read_architecture(text.data, text.size, path, dir, &out->g, err)
                             : hone_fail_memory(err);
    free(dir);
    hone_blob_free(&text);
    for (size_t i = 0; status == HONE_OK && i < out->g->value_count; i++)
        out->fresh = out->fresh || (out->g->values[i] && out->g->values[i]->trainable);
    return status;
}

static hone_status begin_anew(hone_graph *g, const hone_build_options *o, hone_error *err) {
    if (o->initialize) hone_graph_prune(g); /* files declare values that they no longer have */
    for (size_t i = 0; o->initialize && i < g->value_count; i++)
        if (hone_is_trainable(g, g->values[i])) g->values[i]->trainable = true;
    HONE_TRY(hone_initialize_parameters(g, o->seed, err));
    HONE_TRY(hone_remember_trainable(g, err));
    for (size_t i = 0; i < g->value_count; i++)
        if (g->values[i]) g->values[i]->trainable = false;
    return HONE_OK;
}

/* Puts the network between what the intake makes ready and what it makes of the answers. */
static hone_status join(hone_graph *g, hone_intake *f, const hone_dataset *data, const hone_graph *n,
                        hone_error *err) {
    const hone_value *output = n->outputs[0];
    hone_value **map = hone_calloc(n->value_count + 1, sizeof(hone_value *));
    if (!map) return hone_fail_memory(err);
    map[n->inputs[0]->id] = f->x;
    const char *list = hone_graph_metadata(n, "hone.trainable");
    hone_status status = list ? hone_graph_set_metadata(g, "hone.trainable", list, err) : HONE_OK;
    if (status == HONE_OK) status = hone_graph_append(g, n, NULL, map, err);
    hone_value *y = map[output->id];
    hone_free(map);
    HONE_TRY(status);
    return hone_intake_finish(g, f, data, y, err);
}

static hone_status build_around(hone_graph *g, hone_intake *f, const hone_dataset *data, network *n,
                                const hone_build_options *o, hone_error *err) {
    HONE_TRY(begin_anew(n->g, o, err));
    return join(g, f, data, n->g, err);
}

static hone_status build_spec(const char *description, const hone_dataset *data, const hone_build_options *o,
                              hone_graph *g, hone_error *err) {
    hone_intake intake = {0};
    network n = {NULL, false};
    hone_status status = hone_intake_make(g, data, o, &intake, err);
    if (status == HONE_OK) status = read_spec(description, &intake, o, &n, err);
    if (status == HONE_OK) status = build_around(g, &intake, data, &n, o, err);
    hone_graph_free(n.g);
    hone_intake_free(&intake);
    return status;
}

/* A network of one float input gets what a spec gets around it; its input and output keep their names. */
static hone_status surround(network *n, const hone_dataset *data, const hone_build_options *o,
                            hone_graph **out, hone_error *err) {
    hone_intake intake = {0};
    hone_graph *g = hone_graph_new(n->g->name);
    if (!g) return hone_fail_memory(err);
    hone_status status = hone_intake_make(g, data, o, &intake, err);
    if (status == HONE_OK) status = build_around(g, &intake, data, n, o, err);
    if (status == HONE_OK && g->input_count == 1) hone_graph_rename(g, g->inputs[0], n->g->inputs[0]->name);
    if (status == HONE_OK && !intake.mean) hone_graph_rename(g, g->outputs[0], n->g->outputs[0]->name);
    hone_intake_free(&intake);
    if (status == HONE_OK) status = hone_graph_check(g, err);
    if (status == HONE_OK)
        *out = g;
    else
        hone_graph_free(g);
    return status;
}

static hone_status build_file(const char *path, const hone_dataset *data, const hone_build_options *o,
                              hone_graph **out, hone_error *err) {
    network n = {NULL, false};
    hone_status status = read_file(path, &n, err);
    if (status == HONE_OK && n.fresh && n.g->input_count == 1 && n.g->output_count == 1 &&
        n.g->inputs[0]->type.dtype == HONE_FLOAT32) {
        status = hone_error_in_file(err, surround(&n, data, o, out, err), path);
        hone_graph_free(n.g);
        return status;
    }
    if (status == HONE_OK) status = begin_anew(n.g, o, err);
    if (status == HONE_OK)
        *out = n.g;
    else
        hone_graph_free(n.g);
    return status;
}

static hone_status unknown(const char *description, hone_error *err) {
    char list[256] = "";
    size_t used = 0;
    for (int i = 0; hone_family_at(i) && used < sizeof list; i++)
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s:…", i ? ", " : "",
                                 hone_family_at(i)->name);
    return hone_fail(err, HONE_INVALID_ARGUMENT, "model \"%s\" is neither a file nor known; there are %s",
                     description, list);
}

hone_status hone_build_model(const char *description, const hone_dataset *data,
                             const hone_build_options *options, hone_graph **out, hone_error *err) {
    static const hone_build_options defaults = HONE_BUILD_OPTIONS_INIT;
    if (!options) options = &defaults;
    HONE_TRY(hone_check_options_size(options->size, sizeof *options, err));
    if (!(options->dropout >= 0 && options->dropout < 1))
        return hone_fail(err, HONE_INVALID_ARGUMENT, "dropout %g is not in [0, 1)", options->dropout);
    if (!hone_is_spec(description) && access(description, F_OK) != 0) return unknown(description, err);
    if (!hone_is_spec(description)) return build_file(description, data, options, out, err);
    hone_graph *g = hone_graph_new(description);
    if (!g) return hone_fail_memory(err);
    hone_status status = build_spec(description, data, options, g, err);
    if (status == HONE_OK)
        *out = g;
    else
        hone_graph_free(g);
    return status;
}

const char *hone_model_family(int index, const char **form, const char **about) {
    int i = 0;
    while (i < index && hone_family_at(i)) i++;
    const hone_family *f = hone_family_at(i);
    if (!f) return NULL;
    *form = f->form;
    *about = f->about;
    return f->name;
}
