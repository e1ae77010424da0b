/* Adapters in files, as Hugging Face's peft writes and reads them:
 *
 *      adapter_config.json         r, lora_alpha, target_modules, …
 *      adapter_model.safetensors   base_model.model.NAME.lora_A.weight [r, in], base_model.model.NAME.lora_B.weight [out, r] */
#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "graph/adapter.h"
#include "graph/infer.h"
#include "import/safetensors.h"

#include <hone/adapter.h>

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX "base_model.model."
#define CONFIG "adapter_config.json"
#define WEIGHTS "adapter_model.safetensors"

enum { LONGEST_PATH = 4096, LONGEST_NAME = 512, LARGEST_TEXT = 16 << 20 };

static hone_status join(char *path, const char *directory, const char *name, hone_error *err) {
    if (hone_path_join(path, LONGEST_PATH, directory, name)) return HONE_OK;
    return hone_fail_file(err, HONE_INVALID_ARGUMENT, directory, "the path is too long");
}

/* --- writing --- */

/* The branches of a graph, those of a matrix that several products read once. */
typedef struct branches {
    hone_adapter_branch *items;
    size_t count, capacity;
} branches;

static bool is_there(const branches *b, const hone_value *a) {
    for (size_t i = 0; i < b->count; i++)
        if (b->items[i].a == a) return true;
    return false;
}

static hone_status find(const hone_graph *g, branches *out, hone_error *err) {
    for (hone_node *n = g->first; n; n = n->next) {
        hone_adapter_branch b;
        if (!hone_adapter_branch_of(n, &b) || is_there(out, b.a)) continue;
        if (!hone_reserve(&out->items, &out->capacity, out->count + 1, sizeof b))
            return hone_fail_memory(err);
        out->items[out->count++] = b;
    }
    if (out->count) return HONE_OK;
    return hone_fail(err, HONE_INVALID_ARGUMENT, "the graph has no adapter");
}

int hone_adapter_count(const hone_graph *g) {
    int count = 0;
    hone_adapter_branch b;
    for (hone_node *n = g->first; n; n = n->next) count += hone_adapter_branch_of(n, &b);
    return count;
}

static json_t *entry(const hone_tensor *t, size_t *offset) {
    json_t *x = json_pack("{s:s, s:[I, I], s:[I, I]}", "dtype", "F32", "shape", (json_int_t)t->dims[0],
                          (json_int_t)t->dims[1], "data_offsets", (json_int_t)*offset,
                          (json_int_t)(*offset + t->bytes));
    *offset += t->bytes;
    return x;
}

static const hone_tensor *factor(const branches *b, size_t i) {
    return i % 2 ? b->items[i / 2].b->data : b->items[i / 2].a->data;
}

/* free() it; padded with spaces to a multiple of 8. NULL: out of memory. */
static char *make_header(const branches *b) {
    json_t *root = json_pack("{s:{s:s}}", "__metadata__", "format", "pt");
    size_t offset = 0;
    for (size_t i = 0; root && i < 2 * b->count; i++) {
        char name[LONGEST_NAME];
        const hone_value *v = i % 2 ? b->items[i / 2].b : b->items[i / 2].a;
        snprintf(name, sizeof name, PREFIX "%s", v->name);
        json_object_set_new(root, name, entry(factor(b, i), &offset));
    }
    char *text = root ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(root);
    const size_t size = text ? strlen(text) : 0, padded = (size + 7) / 8 * 8;
    char *wide = text ? realloc(text, padded + 1) : NULL;
    if (!wide) {
        free(text);
        return NULL;
    }
    memset(wide + size, ' ', padded - size);
    wide[padded] = 0;
    return wide;
}

static hone_status save_weights(const branches *b, const char *path, hone_error *err) {
    char *header = make_header(b);
    hone_writer *w = NULL;
    if (!header) return hone_fail_memory(err);
    const uint64_t size = strlen(header);
    hone_status status = hone_writer_open(path, &w, err);
    if (status == HONE_OK) status = hone_writer_write(w, &size, sizeof size, err);
    if (status == HONE_OK) status = hone_writer_write(w, header, size, err);
    for (size_t i = 0; i < 2 * b->count && status == HONE_OK; i++)
        status = hone_writer_write(w, factor(b, i)->data, factor(b, i)->bytes, err);
    free(header);
    if (status == HONE_OK) return hone_writer_commit(w, err);
    hone_writer_abort(w);
    return status;
}

/* The last parts of the names: "q_proj". */
static json_t *target_modules(const branches *b) {
    json_t *set = json_object(), *list = json_array(), *value;
    const char *key;
    for (size_t i = 0; i < b->count; i++) {
        char name[LONGEST_NAME];
        const hone_adapter_site *s = &b->items[i].site;
        snprintf(name, sizeof name, "%.*s", hone_adapter_name(s), s->weight->name);
        const char *point = strrchr(name, '.');
        json_object_set_new(set, point ? point + 1 : name, json_true());
    }
    json_object_foreach(set, key, value) json_array_append_new(list, json_string(key));
    json_decref(set);
    return list;
}

static double alpha_of(const hone_adapter_branch *b) {
    return (double)b->scale * (double)b->a->data->dims[0];
}

/* What differs from the first: modules by their whole names. */
static void note_others(const branches *b, json_t *ranks, json_t *alphas) {
    const hone_adapter_branch *first = b->items;
    for (size_t i = 1; i < b->count; i++) {
        char name[LONGEST_NAME];
        const hone_adapter_branch *x = &b->items[i];
        snprintf(name, sizeof name, "%.*s", hone_adapter_name(&x->site), x->site.weight->name);
        if (x->a->data->dims[0] != first->a->data->dims[0])
            json_object_set_new(ranks, name, json_integer(x->a->data->dims[0]));
        if (alpha_of(x) != alpha_of(first)) json_object_set_new(alphas, name, json_real(alpha_of(x)));
    }
}

static hone_status save_config(const branches *b, const char *path, const char *base, hone_error *err) {
    json_t *ranks = json_object(), *alphas = json_object();
    note_others(b, ranks, alphas);
    json_t *root = json_pack(
        "{s:s, s:s, s:o, s:I, s:f, s:f, s:o, s:o, s:o, s:s, s:b, s:b, s:b, s:b}", "peft_type", "LORA",
        "task_type", "CAUSAL_LM", "base_model_name_or_path", base ? json_string(base) : json_null(), "r",
        (json_int_t)b->items[0].a->data->dims[0], "lora_alpha", alpha_of(b->items), "lora_dropout", 0.0,
        "target_modules", target_modules(b), "rank_pattern", ranks, "alpha_pattern", alphas, "bias", "none",
        "fan_in_fan_out", 0, "inference_mode", 1, "use_rslora", 0, "use_dora", 0);
    char *text = root ? json_dumps(root, JSON_INDENT(2)) : NULL;
    json_decref(root);
    if (!text) return hone_fail_memory(err);
    const hone_status status = hone_file_replace(path, text, strlen(text), err);
    free(text);
    return status;
}

hone_status hone_adapter_save(const hone_graph *g, const char *directory, const char *base, hone_error *err) {
    char weights[LONGEST_PATH], config[LONGEST_PATH];
    branches b = {NULL};
    HONE_TRY(join(weights, directory, WEIGHTS, err));
    HONE_TRY(join(config, directory, CONFIG, err));
    hone_status status = find(g, &b, err);
    if (status == HONE_OK) status = hone_dir_make(directory, err);
    if (status == HONE_OK) status = save_weights(&b, weights, err);
    if (status == HONE_OK) status = save_config(&b, config, base, err);
    hone_free(b.items);
    return status;
}

/* --- reading --- */

typedef struct adapter {
    char path[LONGEST_PATH]; /* of the weights */
    json_t *config;
    hone_blob blob;
    hone_arena *arena;
    hone_stored *tensors;
    size_t count, capacity;
    bool *used;
} adapter;

static hone_status read_config(const char *path, json_t **out, hone_error *err) {
    hone_blob blob;
    HONE_TRY(hone_file_read(path, LARGEST_TEXT, &blob, err));
    *out = json_loadb((const char *)blob.data, blob.size, 0, NULL);
    hone_blob_free(&blob);
    const json_t *c = *out, *kind = json_object_get(c, "peft_type"), *bias = json_object_get(c, "bias");
    if (!json_is_object(c)) return hone_fail_file(err, HONE_CORRUPT, path, "is no JSON object");
    if (!json_is_string(kind) || strcmp(json_string_value(kind), "LORA") != 0)
        return hone_fail_file(err, HONE_UNSUPPORTED, path, "peft_type is not LORA");
    if (json_is_true(json_object_get(c, "use_dora")))
        return hone_fail_file(err, HONE_UNSUPPORTED, path, "use_dora: adapters with magnitudes");
    if (json_is_string(bias) && strcmp(json_string_value(bias), "none") != 0)
        return hone_fail_file(err, HONE_UNSUPPORTED, path, "bias: trained biases");
    const char *key;
    json_t *value;
    json_object_foreach(
        json_object_get(c, "alpha_pattern"), key,
        value) if (strpbrk(key, "^$*+?()[]{}|\\") ||
                   !json_is_number(value)) return hone_fail_file(err, HONE_UNSUPPORTED, path,
                                                                 "alpha_pattern: %s is no name with a number",
                                                                 key);
    if (!json_is_integer(json_object_get(c, "r")) || json_integer_value(json_object_get(c, "r")) < 1 ||
        !json_is_number(json_object_get(c, "lora_alpha")))
        return hone_fail_file(err, HONE_CORRUPT, path, "r and lora_alpha are needed");
    return HONE_OK;
}

/* Of one module, which alpha_pattern may name by its end. */
static float scale_of(const adapter *a, const char *module, int64_t rank) {
    double alpha = json_number_value(json_object_get(a->config, "lora_alpha"));
    const char *key;
    json_t *value;
    json_object_foreach(json_object_get(a->config, "alpha_pattern"), key, value) {
        const size_t n = strlen(module), k = strlen(key);
        const bool ends = n >= k && strcmp(module + n - k, key) == 0 && (n == k || module[n - k - 1] == '.');
        if (ends && json_is_number(value)) alpha = json_number_value(value);
    }
    const bool root = json_is_true(json_object_get(a->config, "use_rslora"));
    return (float)(root ? alpha / sqrt((double)rank) : alpha / (double)rank);
}

static hone_status open_adapter(adapter *a, const char *directory, hone_error *err) {
    char config[LONGEST_PATH];
    HONE_TRY(join(a->path, directory, WEIGHTS, err));
    HONE_TRY(join(config, directory, CONFIG, err));
    HONE_TRY(read_config(config, &a->config, err));
    HONE_TRY(hone_file_read(a->path, 0, &a->blob, err));
    a->arena = hone_arena_new();
    if (!a->arena) return hone_fail_memory(err);
    HONE_TRY(hone_safetensors_parse(a->blob.data, a->blob.size, a->path, a->arena, &a->tensors, &a->count,
                                    &a->capacity, err));
    a->used = hone_calloc(a->count + 1, sizeof *a->used);
    if (!a->used) return hone_fail_memory(err);
    (void)hone_stored_sort(a->tensors, a->count);
    return HONE_OK;
}

static void close_adapter(adapter *a) {
    json_decref(a->config);
    hone_blob_free(&a->blob);
    hone_arena_free(a->arena);
    hone_free(a->tensors);
    hone_free(a->used);
}

/* `rows` or `columns` < 0: any. */
static hone_status take(const adapter *a, const char *module, const char *which, int64_t rows,
                        int64_t columns, hone_tensor **out, hone_error *err) {
    char name[LONGEST_NAME];
    const hone_store store = {a->path, a->tensors, a->count, a->used, false};
    snprintf(name, sizeof name, PREFIX "%s.%s.weight", module, which);
    const hone_stored *t = hone_store_take(&store, name);
    *out = NULL;
    if (!t) return HONE_OK;
    if (!t->format)
        return hone_fail_file(err, HONE_UNSUPPORTED, a->path, "the tensor %s is not of F32, F16 or BF16",
                              name);
    if (t->rank != 2 || t->dims[0] < 1 || t->dims[1] < 1 || (rows >= 0 && t->dims[0] != rows) ||
        (columns >= 0 && t->dims[1] != columns))
        return hone_fail_file(err, HONE_CORRUPT, a->path,
                              "the tensor %s is of another shape than the model's", name);
    HONE_TRY(hone_tensor_new(HONE_FLOAT32, 2, t->dims, out, err));
    hone_blocks_to_floats(t->format, t->data, (size_t)(*out)->count, (*out)->data);
    return HONE_OK;
}

static hone_status put(hone_graph *g, const adapter *a, const hone_adapter_site *s, hone_error *err) {
    char module[LONGEST_NAME];
    hone_tensor *down = NULL, *up = NULL;
    snprintf(module, sizeof module, "%.*s", hone_adapter_name(s), s->weight->name);
    hone_status status = take(a, module, "lora_A", -1, s->in, &down, err);
    if (status == HONE_OK && down) status = take(a, module, "lora_B", s->out, down->dims[0], &up, err);
    if (status == HONE_OK && down && !up)
        status = hone_fail_file(err, HONE_CORRUPT, a->path, "%s has a lora_A and no lora_B", module);
    if (status == HONE_OK && down) hone_adapter_put(g, s, down, up, scale_of(a, module, down->dims[0]));
    hone_tensor_free(down);
    hone_tensor_free(up);
    return status;
}

static hone_status put_all(hone_graph *g, const adapter *a, hone_error *err) {
    HONE_TRY(hone_graph_infer(g, err));
    for (hone_node *n = g->first, *next; n; n = next) {
        hone_adapter_site s;
        next = n->next;
        if (hone_adapter_site_of(n, &s)) HONE_TRY(put(g, a, &s, err));
    }
    HONE_TRY(hone_graph_check(g, err));
    for (size_t i = 0; i < a->count; i++)
        if (!a->used[i])
            return hone_fail_file(err, HONE_NOT_FOUND, a->path, "the tensor %s is for nothing in the model",
                                  a->tensors[i].name);
    return a->count ? HONE_OK : hone_fail_file(err, HONE_CORRUPT, a->path, "has no tensors");
}

hone_status hone_adapter_load(hone_graph *g, const char *directory, hone_error *err) {
    adapter a = {.config = NULL};
    hone_status status = open_adapter(&a, directory, err);
    if (status == HONE_OK) status = put_all(g, &a, err);
    close_adapter(&a);
    return status;
}

/* --- merging --- */

hone_status hone_adapter_merge(hone_graph *g, int *left, hone_error *err) {
    return hone_graph_merge_adapter(g, left, err);
}
