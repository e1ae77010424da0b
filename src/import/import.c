#include "import/import.h"

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "import/beside.h"
#include "import/config_model.h"
#include "import/gguf_model.h"
#include "onnx/onnx.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LONGEST_PATH = 4096, LARGEST_TEXT = 64 << 20 };

void hone_import_add_end(hone_import *m, int64_t id) {
    if (id < 0 || id > INT32_MAX || m->end_count == HONE_IMPORT_ENDS) return;
    for (size_t i = 0; i < m->end_count; i++)
        if (m->ends[i] == id) return;
    m->ends[m->end_count++] = (int32_t)id;
}

/* --- GGUF --- */

static hone_status read_gguf(hone_import *m, const hone_gguf *g, int64_t context, hone_error *err) {
    static const char *const ends[] = {"eos", "eot", "eom"};
    int64_t id;
    bool add = false;
    const char *text;
    size_t size;
    HONE_TRY(hone_gguf_graph(g, context, &m->graph, err));
    HONE_TRY(hone_gguf_tokenizer(g, &m->tokenizer, err));
    for (int i = 0; i < 3; i++) {
        char key[64];
        snprintf(key, sizeof key, "tokenizer.ggml.%s_token_id", ends[i]);
        if (hone_gguf_int(g, key, &id)) hone_import_add_end(m, id);
    }
    if (hone_gguf_bool(g, "tokenizer.ggml.add_bos_token", &add) && add &&
        hone_gguf_int(g, "tokenizer.ggml.bos_token_id", &id) && id >= 0 && id <= INT32_MAX)
        m->begin = (int32_t)id;
    if (!hone_gguf_string(g, "tokenizer.chat_template", &text, &size)) return HONE_OK;
    m->chat_template = hone_alloc(size + 1);
    if (!m->chat_template) return hone_fail_memory(err);
    memcpy(m->chat_template, text, size);
    m->chat_template[size] = 0;
    return HONE_OK;
}

hone_status hone_import_gguf(hone_import *m, const char *path, const hone_import_options *options,
                             hone_error *err) {
    hone_gguf *g;
    HONE_TRY(hone_gguf_open(path, &g, err));
    hone_status status = read_gguf(m, g, options->context, err);
    hone_gguf_free(g);
    return status == HONE_OK ? status : hone_error_in_file(err, status, path);
}

/* --- ONNX files with others beside them --- */

/* "DIR/NAME" of the directory that `path` lies in. */
static hone_status beside(const char *path, const char *name, char *out, hone_error *err) {
    const char *slash = strrchr(path, '/');
    char directory[LONGEST_PATH];
    const size_t n = slash ? (size_t)(slash - path) : 1;
    if (n < sizeof directory) {
        memcpy(directory, slash ? path : ".", n);
        directory[n] = 0;
        if (hone_path_join(out, LONGEST_PATH, n ? directory : "/", name)) return HONE_OK;
    }
    return hone_fail_file(err, HONE_INVALID_ARGUMENT, path, "the path is too long");
}

static hone_status read_template(hone_import *m, const char *path, hone_error *err) {
    char file[LONGEST_PATH];
    hone_blob blob;
    HONE_TRY(beside(path, "chat_template.jinja", file, err));
    if (!hone_file_exists(file)) return HONE_OK;
    HONE_TRY(hone_file_read(file, LARGEST_TEXT, &blob, err));
    m->chat_template = hone_alloc(blob.size + 1);
    if (m->chat_template) {
        memcpy(m->chat_template, blob.data, blob.size);
        m->chat_template[blob.size] = 0;
    }
    hone_blob_free(&blob);
    return m->chat_template ? HONE_OK : hone_fail_memory(err);
}

/* generation_config.json: {"bos_token_id": 1, "eos_token_id": [2, 32000]}; hone.add_bos says whether texts begin so. */
static hone_status read_generation(hone_import *m, const char *path, hone_error *err) {
    char file[LONGEST_PATH];
    hone_blob blob;
    HONE_TRY(beside(path, "generation_config.json", file, err));
    if (!hone_file_exists(file)) return HONE_OK;
    HONE_TRY(hone_file_read(file, LARGEST_TEXT, &blob, err));
    json_t *root = json_loadb((const char *)blob.data, blob.size, 0, NULL);
    hone_blob_free(&blob);
    if (!json_is_object(root)) {
        json_decref(root);
        return hone_fail_file(err, HONE_CORRUPT, file, "is no JSON object");
    }
    const json_t *end = json_object_get(root, "eos_token_id"), *begin = json_object_get(root, "bos_token_id");
    bool ids = !end || json_is_null(end) || json_is_integer(end) || json_is_array(end);
    if (json_is_integer(end)) hone_import_add_end(m, json_integer_value(end));
    for (size_t i = 0; i < json_array_size(end); i++) {
        const json_t *one = json_array_get(end, i);
        ids = ids && json_is_integer(one);
        if (ids) hone_import_add_end(m, json_integer_value(one));
    }
    if (!ids) {
        json_decref(root);
        return hone_fail_file(err, HONE_CORRUPT, file, "eos_token_id is no id, and no list of ids");
    }
    const json_int_t id = json_integer_value(begin);
    if (json_is_true(json_object_get(root, "hone_add_bos")) && json_is_integer(begin) && id >= 0 &&
        id <= INT32_MAX)
        m->begin = (int32_t)id;
    json_decref(root);
    return HONE_OK;
}

static hone_status read_beside(hone_import *m, const char *path, hone_error *err) {
    char file[LONGEST_PATH];
    HONE_TRY(beside(path, "tokenizer.json", file, err));
    if (hone_file_exists(file)) HONE_TRY(hone_tokenizer_load(file, &m->tokenizer, err));
    HONE_TRY(read_template(m, path, err));
    return read_generation(m, path, err);
}

hone_status hone_import_onnx(hone_import *m, const char *path, hone_error *err) {
    HONE_TRY(hone_graph_load(path, &m->graph, err));
    return read_beside(m, path, err);
}

/* --- any --- */

static bool is_directory(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

static bool is_gguf(const char *path) {
    char head[4] = {0};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return false;
    const bool same = read(fd, head, 4) == 4 && memcmp(head, "GGUF", 4) == 0;
    close(fd);
    return same;
}

bool hone_import_takes(const char *path) {
    return is_directory(path) || is_gguf(path);
}

/* As Hugging Face has it: weights by config.json, and what lies beside them. */
static hone_status read_hugging_face(hone_import *m, const char *directory, const char *config,
                                     int64_t context, hone_error *err) {
    HONE_TRY(hone_config_graph(directory, context, &m->graph, err));
    return read_beside(m, config, err);
}

static hone_status read_directory(hone_import *m, const char *path, int64_t context, hone_error *err) {
    char file[LONGEST_PATH];
    if (!hone_path_join(file, sizeof file, path, "model.onnx"))
        return hone_fail_file(err, HONE_INVALID_ARGUMENT, path, "the path is too long");
    if (hone_file_exists(file)) return hone_import_onnx(m, file, err);
    hone_path_join(file, sizeof file, path, "config.json");
    if (hone_file_exists(file)) return read_hugging_face(m, path, file, context, err);
    return hone_fail_file(err, HONE_NOT_FOUND, path, "there is neither model.onnx nor config.json in it");
}

static hone_import *new_import(void) {
    hone_import *m = hone_calloc(1, sizeof *m);
    if (m) m->begin = -1;
    return m;
}

hone_status hone_import_beside(const char *path, hone_graph *g, hone_import **out, hone_error *err) {
    hone_import *m = new_import();
    if (!m) return hone_fail_memory(err);
    hone_status status = read_beside(m, path, err);
    if (status != HONE_OK) {
        hone_import_free(m);
        return status;
    }
    m->graph = g;
    *out = m;
    return HONE_OK;
}

hone_status hone_import_open(const char *path, const hone_import_options *options, hone_import **out,
                             hone_error *err) {
    const hone_import_options usual = HONE_IMPORT_OPTIONS_INIT, *o = options ? options : &usual;
    HONE_TRY(hone_check_options_size(o->size, sizeof *o, err));
    if (o->context < 0)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "a context of %lld", (long long)o->context);
    hone_import *m = new_import();
    if (!m) return hone_fail_memory(err);
    hone_status status = is_directory(path) ? read_directory(m, path, o->context, err)
                         : is_gguf(path)    ? hone_import_gguf(m, path, o, err)
                                            : hone_import_onnx(m, path, err);
    hone_trim(); /* what the file's parts were taken apart in */
    if (status == HONE_OK)
        *out = m;
    else
        hone_import_free(m);
    return status;
}

void hone_import_free(hone_import *m) {
    if (!m) return;
    hone_graph_free(m->graph);
    hone_tokenizer_free(m->tokenizer);
    hone_free(m->chat_template);
    hone_free(m);
}

const hone_graph *hone_import_graph(const hone_import *m) {
    return m->graph;
}

hone_graph *hone_import_take_graph(hone_import *m) {
    hone_graph *g = m->graph;
    m->graph = NULL;
    return g;
}

void hone_import_give_graph(hone_import *m, hone_graph *g) {
    hone_graph_free(m->graph);
    m->graph = g;
}

const hone_tokenizer *hone_import_tokenizer(const hone_import *m) {
    return m->tokenizer;
}

const char *hone_import_template(const hone_import *m) {
    return m->chat_template;
}

int32_t hone_import_begin(const hone_import *m) {
    return m->begin;
}

const int32_t *hone_import_ends(const hone_import *m, size_t *count) {
    *count = m->end_count;
    return m->ends;
}

/* --- writing --- */

static hone_status save_generation(const hone_import *m, const char *path, hone_error *err) {
    json_t *root = json_object(), *ends = json_array();
    for (size_t i = 0; i < m->end_count; i++) json_array_append_new(ends, json_integer(m->ends[i]));
    if (m->begin >= 0) {
        json_object_set_new(root, "bos_token_id", json_integer(m->begin));
        json_object_set_new(root, "hone_add_bos", json_true());
    }
    json_object_set_new(root, "eos_token_id", ends);
    char *text = json_dumps(root, JSON_INDENT(2));
    json_decref(root);
    hone_status status = text ? hone_file_replace(path, text, strlen(text), err) : hone_fail_memory(err);
    free(text);
    return status;
}

hone_status hone_import_save(const hone_import *m, const char *directory, hone_error *err) {
    enum { INLINE_LIMIT = 1 << 18 };
    char file[LONGEST_PATH];
    if (!m->graph) return hone_fail(err, HONE_INVALID_ARGUMENT, "the graph was taken");
    if (!hone_path_join(file, sizeof file, directory, "generation_config.json"))
        return hone_fail_file(err, HONE_INVALID_ARGUMENT, directory, "the path is too long");
    HONE_TRY(hone_dir_make(directory, err));
    HONE_TRY(save_generation(m, file, err));
    hone_path_join(file, sizeof file, directory, "tokenizer.json");
    if (m->tokenizer) HONE_TRY(hone_tokenizer_save(m->tokenizer, file, err));
    hone_path_join(file, sizeof file, directory, "chat_template.jinja");
    if (m->chat_template) HONE_TRY(hone_file_replace(file, m->chat_template, strlen(m->chat_template), err));
    hone_path_join(file, sizeof file, directory, "model.onnx");
    return hone_onnx_save(m->graph, file, INLINE_LIMIT, err);
}
