#include "onnx/onnx.h"
#include "onnx/packed.h"
#include "onnx/scope.h"
#include "onnx/text/text.h"

#include "graph/infer.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Setting one looks at all others. */
#define MAX_METADATA 4096
/* Bytes that sparse tensors may take whatever their size in the file. */
#define DENSE_ALWAYS ((size_t)64 << 20)

static hone_status read_texts(hone_graph *g, const hone_model_message *m, hone_error *err) {
    const char *doc = hone_message_text(m->graph->doc_string);
    for (size_t i = 0; i < m->n_opset_import; i++)
        hone_graph_set_opset(g, hone_message_domain(m->opset_import[i]->domain), m->opset_import[i]->version);
    if (m->n_metadata_props > MAX_METADATA)
        return hone_fail(err, HONE_UNSUPPORTED, "more than %d entries of metadata", MAX_METADATA);
    if (*doc && !(g->doc = hone_arena_strdup(g->arena, doc))) return hone_fail_memory(err);
    for (size_t i = 0; i < m->n_metadata_props; i++) {
        const hone_entry_message *entry = m->metadata_props[i];
        if (!entry->key || !*entry->key) return hone_fail(err, HONE_CORRUPT, "metadata without a key");
        HONE_TRY(hone_graph_set_metadata(g, entry->key, hone_message_text(entry->value), err));
    }
    return HONE_OK;
}

static hone_status read_graph(hone_reader *r, hone_onnx_source *source, hone_graph *g, hone_error *err) {
    hone_onnx_scope *s = NULL;
    HONE_TRY(hone_message_needed(r->model, r->arena, &r->nodes, err));
    HONE_TRY(hone_message_survey(r->model, &r->nodes, NULL, NULL, err));
    HONE_TRY(read_texts(g, r->model, err));
    HONE_TRY(hone_onnx_source_gather(source, err));
    HONE_TRY(hone_onnx_scope_of_graph(r, NULL, g, r->model->graph, &s, err));
    HONE_TRY(hone_onnx_scope_build(s, err));
    HONE_TRY(hone_graph_sort(g, err));
    HONE_TRY(hone_onnx_scope_lift(r, err));
    HONE_TRY(hone_graph_check(g, err));
    HONE_TRY(hone_graph_infer(g, err));
    hone_onnx_scope_refine(r, g);
    return HONE_OK;
}

static hone_status read_model(const hone_model_message *m, hone_onnx_source *source, bool parameters,
                              hone_graph **out, hone_error *err) {
    if (!m->graph || !m->has_ir_version) return hone_fail(err, HONE_CORRUPT, "is not an ONNX model");
    hone_reader r = {.model = m,
                     .source = source,
                     .arena = hone_arena_new(),
                     .dense_left = DENSE_ALWAYS,
                     .parameters = parameters};
    const char *name = hone_message_text(m->graph->name);
    hone_graph *g = r.arena ? hone_graph_new(*name ? name : NULL) : NULL;
    hone_status status = g ? read_graph(&r, source, g, err) : hone_fail_memory(err);
    hone_onnx_scope_clear(&r);
    if (r.arena) hone_arena_free(r.arena);
    /* the builder's and the inference's complaints are about the file */
    if (status == HONE_INVALID_ARGUMENT) {
        status = HONE_CORRUPT;
        if (err) err->code = status;
    }
    if (status == HONE_OK)
        *out = g;
    else
        hone_graph_free(g);
    return status;
}

/* What is text, or packed, becomes a message, to which the source then refers: `made` must outlive it. */
static hone_status read_form(hone_onnx_source *s, hone_blob *made, hone_error *err) {
    char head[4096];
    size_t size = s->size < sizeof head ? (size_t)s->size : sizeof head;
    if (s->data)
        memcpy(head, s->data, size);
    else
        HONE_TRY(hone_file_read_at(s->fd, s->name, 0, head, size, err));
    const bool packed = hone_is_packed(head, size);
    hone_script_form form = packed ? HONE_SCRIPT_NONE : hone_script_form_of(head, size);
    if (form == HONE_SCRIPT_NONE && !packed) return HONE_OK;
    char *text = s->data ? NULL : hone_alloc((size_t)s->size);
    if (!s->data && !text) return hone_fail_memory(err);
    hone_status status = text ? hone_file_read_at(s->fd, s->name, 0, text, (size_t)s->size, err) : HONE_OK;
    const char *from = text ? text : (const char *)s->data;
    if (status == HONE_OK)
        status = packed ? hone_packed_read(from, (size_t)s->size, made, err)
                        : hone_script_read(form, from, (size_t)s->size, made, err);
    hone_free(text);
    s->data = made->data ? made->data : (const uint8_t *)"";
    s->size = made->size;
    s->map = false; /* nothing of it lies in the file */
    return status;
}

/* What a file that changes was read to be does not count: that it changed does. */
static hone_status read_source(hone_onnx_source *source, bool parameters, hone_graph **out, hone_error *err) {
    hone_unpacked m = {0};
    hone_graph *g = NULL;
    hone_blob made = {0};
    hone_status status = read_form(source, &made, err);
    if (status == HONE_OK)
        status = hone_message_unpack(&hone__onnx__model_proto__descriptor, source, &m, err);
    if (status == HONE_OK) status = read_model(m.message, source, parameters, &g, err);
    hone_message_free(&m);
    hone_onnx_source_clear(source);
    hone_blob_free(&made);
    const char *changed = hone_file_list_unite(source->external);
    if (changed)
        status = hone_fail(err, HONE_UNAVAILABLE, "its external data '%s' was written to while it was read",
                           changed);
    if (status == HONE_OK)
        *out = g;
    else
        hone_graph_free(g);
    return status == HONE_OK ? status : hone_error_in_file(err, status, source->name);
}

static hone_status read_memory(const void *data, size_t size, const char *name, const char *dir,
                               bool parameters, hone_graph **out, hone_error *err) {
    hone_file_list external = {0};
    /* no address stands for a file */
    hone_onnx_source source = {.data = data ? data : (const uint8_t *)"",
                               .fd = -1,
                               .size = size,
                               .name = name,
                               .dir = dir,
                               .external = &external};
    hone_status status = read_source(&source, parameters, out, err);
    hone_file_list_free(&external);
    return status;
}

hone_status hone_onnx_read(const void *data, size_t size, const char *name, const char *dir, hone_graph **out,
                           hone_error *err) {
    return read_memory(data, size, name, dir, false, out, err);
}

hone_status hone_onnx_read_architecture(const void *data, size_t size, const char *name, const char *dir,
                                        hone_graph **out, hone_error *err) {
    return read_memory(data, size, name, dir, true, out, err);
}

hone_status hone_onnx_read_file(const hone_onnx_file *file, hone_graph **out, hone_error *err) {
    hone_file_list external = {0};
    hone_onnx_source source = {.fd = file->fd,
                               .size = file->size,
                               .name = file->name,
                               .dir = file->dir,
                               .map = file->map,
                               .external = &external};
    hone_status status = read_source(&source, false, out, err);
    if (file->external)
        *file->external = external;
    else
        hone_file_list_free(&external);
    return status;
}

hone_status hone_graph_load_memory(const void *data, size_t size, const char *name, hone_graph **out,
                                   hone_error *err) {
    return hone_onnx_read(data, size, name, NULL, out, err);
}

static hone_status load(const char *path, bool map, hone_graph **out, hone_error *err) {
    char dir[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t length = slash ? (size_t)(slash - path) + 1 : 0; /* with the slash, so that "/" stays itself */
    uint64_t size;
    int fd;
    if (length >= sizeof dir) return hone_fail_file(err, HONE_INVALID_ARGUMENT, path, "the path is too long");
    memcpy(dir, path, length);
    dir[length] = 0;
    HONE_TRY(hone_file_open(path, &fd, &size, err));
    hone_onnx_file file = {.fd = fd, .size = size, .name = path, .dir = dir, .map = map};
    hone_status status = hone_onnx_read_file(&file, out, err);
    close(fd);
    return status;
}

hone_status hone_graph_load(const char *path, hone_graph **out, hone_error *err) {
    return load(path, false, out, err);
}

hone_status hone_graph_load_mapped(const char *path, hone_graph **out, hone_error *err) {
    return load(path, true, out, err);
}

static hone_status survey(hone_onnx_source *source, hone_lack_fn *fn, void *user, hone_error *err) {
    hone_unpacked m = {0};
    hone_nodes nodes;
    hone_blob made = {0};
    hone_arena *arena = hone_arena_new();
    hone_status status = arena ? read_form(source, &made, err) : hone_fail_memory(err);
    if (status == HONE_OK)
        status = hone_message_unpack(&hone__onnx__model_proto__descriptor, source, &m, err);
    const hone_model_message *model = m.message;
    if (status == HONE_OK && !model->graph) status = hone_fail(err, HONE_CORRUPT, "is not an ONNX model");
    if (status == HONE_OK) status = hone_message_needed(model, arena, &nodes, err);
    if (status == HONE_OK) status = hone_message_survey(model, &nodes, fn, user, err);
    hone_message_free(&m);
    hone_onnx_source_clear(source);
    hone_blob_free(&made);
    if (arena) hone_arena_free(arena);
    return hone_error_in_file(err, status, source->name);
}

hone_status hone_graph_survey(const char *path, hone_lack_fn *fn, void *user, hone_error *err) {
    hone_onnx_source source = {.name = path};
    HONE_TRY(hone_file_open(path, &source.fd, &source.size, err));
    hone_status status = survey(&source, fn, user, err);
    close(source.fd);
    return status;
}

/* --- sizes --- */

static const char *location_of(const hone_tensor_message *m) {
    for (size_t i = 0; i < m->n_external_data; i++)
        if (strcmp(hone_message_text(m->external_data[i]->key), "location") == 0)
            return hone_message_text(m->external_data[i]->value);
    return NULL;
}

/* Initializers that have their data in one file mostly stand together. */
static int64_t external_bytes(const hone_graph_message *g, const char *path) {
    const char *slash = strrchr(path, '/');
    int64_t sum = 0;
    for (size_t i = 0; g && i < g->n_initializer; i++) {
        const char *file = location_of(g->initializer[i]);
        bool counted = !file;
        for (size_t k = 0; k < i && !counted; k++) {
            const char *other = location_of(g->initializer[i - 1 - k]);
            counted = other && strcmp(other, file) == 0;
        }
        char full[PATH_MAX];
        struct stat info;
        if (counted || snprintf(full, sizeof full, "%.*s%s", slash ? (int)(slash - path) + 1 : 0, path,
                                file) >= (int)sizeof full)
            continue;
        if (stat(full, &info) == 0) sum += (int64_t)info.st_size;
    }
    return sum;
}

hone_status hone_graph_file_bytes(const char *path, int64_t *out, hone_error *err) {
    hone_onnx_source source = {.name = path};
    hone_unpacked m = {0};
    hone_blob made = {0};
    HONE_TRY(hone_file_open(path, &source.fd, &source.size, err));
    int64_t bytes = (int64_t)source.size;
    hone_status status = read_form(&source, &made, err);
    if (status == HONE_OK)
        status = hone_message_unpack(&hone__onnx__model_proto__descriptor, &source, &m, err);
    const hone_model_message *model = m.message;
    if (status == HONE_OK) *out = bytes + external_bytes(model->graph, path);
    hone_message_free(&m);
    hone_onnx_source_clear(&source);
    hone_blob_free(&made);
    close(source.fd);
    return hone_error_in_file(err, status, path);
}
