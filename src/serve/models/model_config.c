#include "serve/models/model_config.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "serve/format/text_format.h"
#include "serve/models/shape_settings.h"

#include <stdio.h>
#include <string.h>

/* --- the set --- */

hone_status hone_model_name_check(const char *name, hone_error *err) {
    size_t size = strlen(name);
    if (size == 0) return hone_fail(err, HONE_INVALID_ARGUMENT, "a model has no name");
    if (size > HONE_CONFIG_MAX_NAME)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "the model name \"%.*s…\" is too long",
                         HONE_UTF8_SHOWN(name, 40));
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)name[i] < ' ' || name[i] == 0x7f || name[i] == '/' || name[i] == ':')
            return hone_fail(err, HONE_INVALID_ARGUMENT,
                             "the model name \"%s\" has a '/', a ':' or a control character in it", name);
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "\"%s\" is no name for a model", name);
    return HONE_OK;
}

hone_status hone_model_set_add(hone_model_set *set, const char *name, const char *base_path,
                               hone_model_source **out, hone_error *err) {
    HONE_TRY(hone_model_name_check(name, err));
    if (!*base_path) return hone_fail(err, HONE_INVALID_ARGUMENT, "the model %s has no base_path", name);
    for (size_t i = 0; i < set->count; i++)
        if (strcmp(set->entries[i].name, name) == 0)
            return hone_fail(err, HONE_ALREADY_EXISTS, "the model %s is there twice", name);
    if (set->count == HONE_CONFIG_MAX_MODELS)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "more than %d models", HONE_CONFIG_MAX_MODELS);
    if (!hone_reserve(&set->entries, &set->capacity, set->count + 1, sizeof *set->entries))
        return hone_fail_memory(err);
    hone_model_source e = {.name = hone_strdup(name), .base_path = hone_strdup(base_path)};
    if (!e.name || !e.base_path) {
        hone_free(e.name);
        hone_free(e.base_path);
        return hone_fail_memory(err);
    }
    set->entries[set->count] = e;
    if (out) *out = &set->entries[set->count];
    set->count++;
    return HONE_OK;
}

static void free_labels(hone_label *labels, size_t count) {
    for (size_t i = 0; i < count; i++) hone_free(labels[i].name);
    hone_free(labels);
}

static hone_status add_label(hone_label **labels, size_t *count, size_t *capacity, const char *name,
                             int64_t version, hone_error *err) {
    if (!*name || strlen(name) > HONE_CONFIG_MAX_NAME)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "\"%.*s\" is no label", HONE_UTF8_SHOWN(name, 40));
    for (size_t i = 0; i < *count; i++) {
        if (strcmp((*labels)[i].name, name) != 0) continue;
        if ((*labels)[i].version == version) return HONE_OK;
        return hone_fail(err, HONE_ALREADY_EXISTS, "the label %s is there twice", name);
    }
    if (*count == HONE_CONFIG_MAX_LABELS)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "more than %d labels", HONE_CONFIG_MAX_LABELS);
    char *copy = hone_strdup(name);
    if (!copy || !hone_reserve(labels, capacity, *count + 1, sizeof **labels)) {
        hone_free(copy);
        return hone_fail_memory(err);
    }
    (*labels)[(*count)++] = (hone_label){copy, version};
    return HONE_OK;
}

hone_status hone_model_source_add_label(hone_model_source *e, const char *label, int64_t version,
                                        hone_error *err) {
    return add_label(&e->labels, &e->label_count, &e->label_capacity, label, version, err);
}

void hone_model_set_free(hone_model_set *set) {
    for (size_t i = 0; i < set->count; i++) {
        hone_model_source *e = &set->entries[i];
        hone_free(e->name);
        hone_free(e->base_path);
        hone_policy_free(&e->policy);
        free_labels(e->labels, e->label_count);
    }
    hone_free(set->entries);
    *set = (hone_model_set){0};
}

/* --- policies and labels --- */

static hone_status read_versions(hone_config_reader *r, const hone_config_field *f, hone_policy *out) {
    size_t count = hone_config_count(f->value);
    if (count > HONE_CONFIG_MAX_VERSIONS)
        return hone_fail(r->err, HONE_INVALID_ARGUMENT, "more than %d versions", HONE_CONFIG_MAX_VERSIONS);
    for (size_t i = 0; i < count; i++) {
        int64_t version = 0;
        HONE_TRY(hone_config_int_of(r, f->name, hone_config_at(f->value, i), 0, INT64_MAX, &version));
        if (!hone_policy_add(out, version)) return hone_fail_memory(r->err);
    }
    return HONE_OK;
}

/* {latest: {num_versions: 2}}, {all: {}}, {specific: {versions: […]}}; in settings also 2 and […] alone. */
static hone_status read_policy(hone_config_reader *r, json_t *message, hone_policy *out) {
    hone_config_field kinds[] = {{"latest", NULL}, {"all", NULL}, {"specific", NULL}, {NULL, NULL}};
    HONE_TRY(hone_config_fields(r, message, "version_policy", kinds));
    if (!!kinds[0].value + !!kinds[1].value + !!kinds[2].value > 1)
        return hone_fail(r->err, HONE_INVALID_ARGUMENT,
                         "version_policy has more than one of latest, all, specific");
    if (kinds[1].value) out->kind = HONE_POLICY_ALL;
    if (kinds[0].value) {
        hone_config_field number = {"num_versions", kinds[0].value},
                          inner[] = {{"num_versions", NULL}, {NULL, NULL}};
        json_t *v = NULL;
        HONE_TRY(hone_config_only(r, &kinds[0], &v));
        if (json_is_object(v)) {
            HONE_TRY(hone_config_fields(r, v, "latest", inner));
            number = inner[0];
        }
        HONE_TRY(hone_config_int(r, &number, 0, INT32_MAX, &out->latest));
    }
    if (kinds[2].value) {
        hone_config_field versions = {"versions", kinds[2].value},
                          inner[] = {{"versions", NULL}, {NULL, NULL}};
        json_t *v = hone_config_count(kinds[2].value) == 1 ? hone_config_at(kinds[2].value, 0) : NULL;
        out->kind = HONE_POLICY_SPECIFIC;
        if (json_is_object(v)) {
            HONE_TRY(hone_config_fields(r, v, "specific", inner));
            versions = inner[0];
        }
        HONE_TRY(read_versions(r, &versions, out));
    }
    return HONE_OK;
}

typedef struct labels {
    hone_label **items;
    size_t *count, *capacity;
} labels;

static hone_status read_labels(hone_config_reader *r, const hone_config_field *f, labels out) {
    if (!r->text) {
        const char *key;
        json_t *value, *map = NULL;
        if (!f->value) return HONE_OK;
        HONE_TRY(hone_config_only(r, f, &map));
        if (!json_is_object(map))
            return hone_fail(r->err, HONE_INVALID_ARGUMENT, "\"%s\" is no object", f->name);
        json_object_foreach(map, key, value) {
            int64_t version = 0;
            HONE_TRY(hone_config_int_of(r, key, value, 0, INT64_MAX, &version));
            HONE_TRY(add_label(out.items, out.count, out.capacity, key, version, r->err));
        }
        return HONE_OK;
    }
    for (size_t i = 0; i < hone_config_count(f->value); i++) {
        hone_config_field pair[] = {{"key", NULL}, {"value", NULL}, {NULL, NULL}};
        const char *name = "";
        int64_t version = 0;
        HONE_TRY(hone_config_fields(r, hone_config_at(f->value, i), f->name, pair));
        if (pair[0].value) HONE_TRY(hone_config_text(r, &pair[0], &name));
        HONE_TRY(hone_config_int(r, &pair[1], 0, INT64_MAX, &version));
        HONE_TRY(add_label(out.items, out.count, out.capacity, name, version, r->err));
    }
    return HONE_OK;
}

/* --- ModelServerConfig --- */

static hone_status read_model(hone_config_reader *r, json_t *message, hone_model_set *out) {
    hone_config_field f[] = {{"name", NULL},
                             {"base_path", NULL},
                             {"model_platform", NULL},
                             {"model_type", NULL},
                             {"model_version_policy", NULL},
                             {"version_labels", NULL},
                             {"logging_config", NULL},
                             {"logging_configs", NULL},
                             {NULL, NULL}};
    const char *name = "", *path = "";
    hone_model_source *e = NULL;
    json_t *policy = NULL;
    HONE_TRY(hone_config_fields(r, message, "config", f));
    if (f[0].value) HONE_TRY(hone_config_text(r, &f[0], &name));
    if (f[1].value) HONE_TRY(hone_config_text(r, &f[1], &path));
    HONE_TRY(hone_model_set_add(out, name, path, &e, r->err));
    if (f[4].value) {
        HONE_TRY(hone_config_only(r, &f[4], &policy));
        HONE_TRY(read_policy(r, policy, &e->policy));
    }
    return read_labels(r, &f[5], (labels){&e->labels, &e->label_count, &e->label_capacity});
}

static hone_status read_set(hone_config_reader *r, json_t *tree, hone_model_set *out) {
    hone_config_field top[] = {{"model_config_list", NULL}, {NULL, NULL}},
                      list[] = {{"config", NULL}, {NULL, NULL}};
    json_t *inner = NULL;
    HONE_TRY(hone_config_fields(r, tree, "the configuration", top));
    if (!top[0].value) return HONE_OK;
    HONE_TRY(hone_config_only(r, &top[0], &inner));
    HONE_TRY(hone_config_fields(r, inner, "model_config_list", list));
    for (size_t i = 0; i < hone_config_count(list[0].value); i++)
        HONE_TRY(read_model(r, hone_config_at(list[0].value, i), out));
    return HONE_OK;
}

static bool is_json(const char *text, size_t size) {
    size_t i = 0;
    while (i < size && (text[i] == ' ' || (text[i] >= '\t' && text[i] <= '\r'))) i++;
    return i < size && text[i] == '{';
}

static hone_status check_size(size_t size, hone_error *err) {
    if (size <= HONE_CONFIG_MAX_BYTES) return HONE_OK;
    return hone_fail(err, HONE_INVALID_ARGUMENT, "a configuration of %zu bytes is too long", size);
}

hone_status hone_model_set_parse(const char *text, size_t size, hone_model_set *out, hone_error *err) {
    json_t *tree = NULL;
    hone_config_reader r = {.text = !is_json(text, size), .err = err};
    *out = (hone_model_set){0};
    HONE_TRY(check_size(size, err));
    HONE_TRY(r.text ? hone_text_format_parse(text, size, HONE_CONFIG_MAX_DEPTH, &tree, err)
                    : hone_config_json(text, size, &tree, err));
    hone_status status = read_set(&r, tree, out);
    json_decref(tree);
    if (status != HONE_OK) hone_model_set_free(out);
    return status;
}

/* --- settings --- */

static hone_status read_sizes(hone_config_reader *r, const hone_config_field *f,
                              hone_servable_settings *out) {
    size_t count = hone_config_count(f->value);
    if (count > HONE_MAX_BATCH_SIZES)
        return hone_fail(r->err, HONE_INVALID_ARGUMENT, "\"%s\" has more than %d sizes", f->name,
                         HONE_MAX_BATCH_SIZES);
    for (size_t i = 0; i < count; i++) {
        int64_t x = 0;
        HONE_TRY(hone_config_int_of(r, f->name, hone_config_at(f->value, i), 1, HONE_MAX_BATCH_ROWS, &x));
        if (i > 0 && x <= out->preferred[i - 1])
            return hone_fail(r->err, HONE_INVALID_ARGUMENT, "the sizes in \"%s\" do not ascend", f->name);
        out->preferred[i] = (int)x;
    }
    out->preferred_count = (int)count;
    return HONE_OK;
}

static hone_status read_batching(hone_config_reader *r, const hone_config_field *f,
                                 hone_servable_settings *out) {
    hone_config_field b[] = {{"enabled", NULL},
                             {"max_batch_size", NULL},
                             {"max_delay_us", NULL},
                             {"preferred_batch_sizes", NULL},
                             {NULL, NULL}};
    if (!f->value) return HONE_OK;
    HONE_TRY(hone_config_fields(r, f->value, "batching", b));
    if (b[0].value && !json_is_boolean(b[0].value))
        return hone_fail(r->err, HONE_INVALID_ARGUMENT, "\"enabled\" is neither true nor false");
    if (b[0].value) out->batching = json_is_true(b[0].value);
    if (b[1].value || b[3].value) out->max_batch = out->preferred_count = 0; /* not half of the defaults */
    HONE_TRY(hone_config_int32(r, &b[1], 0, HONE_MAX_BATCH_ROWS, &out->max_batch));
    HONE_TRY(hone_config_int(r, &b[2], 0, 60000000, &out->max_delay_us));
    HONE_TRY(read_sizes(r, &b[3], out));
    if (out->preferred_count > 0) {
        int most = out->preferred[out->preferred_count - 1];
        if (b[1].value && out->max_batch && out->max_batch < most)
            return hone_fail(r->err, HONE_INVALID_ARGUMENT, "\"max_batch_size\" is less than %d", most);
        if (!b[1].value) out->max_batch = most;
    }
    return HONE_OK;
}

static hone_status read_precision(hone_config_reader *r, const json_t *v, hone_precision *out) {
    const char *text = v && json_is_string(v) ? json_string_value(v) : "";
    if (!v) return HONE_OK;
    if (strcmp(text, "float32") != 0 && strcmp(text, "bfloat16") != 0)
        return hone_fail(r->err, HONE_INVALID_ARGUMENT,
                         "\"precision\" is neither \"float32\" nor \"bfloat16\"");
    *out = strcmp(text, "bfloat16") == 0 ? HONE_PRECISION_BFLOAT16 : HONE_PRECISION_FLOAT32;
    return HONE_OK;
}

static hone_status read_language(hone_config_reader *r, const hone_config_field *f,
                                 hone_language_settings *out) {
    enum { MOST_TOKENS = 1 << 24, MOST_MB = 1 << 30, MOST_MS = 60000 };
    hone_config_field l[] = {{"context", NULL}, {"kv_memory_mb", NULL},   {"queue", NULL},
                             {"running", NULL}, {"step_budget_ms", NULL}, {NULL, NULL}};
    int64_t megabytes = out->kv_bytes >> 20;
    if (!f->value) return HONE_OK;
    HONE_TRY(hone_config_fields(r, f->value, f->name, l));
    HONE_TRY(hone_config_int(r, &l[0], 0, MOST_TOKENS, &out->context));
    HONE_TRY(hone_config_int(r, &l[1], 0, MOST_MB, &megabytes));
    HONE_TRY(hone_config_int(r, &l[2], 0, HONE_MAX_QUEUE, &out->queue));
    HONE_TRY(hone_config_int(r, &l[3], 0, HONE_MAX_QUEUE, &out->running));
    HONE_TRY(hone_config_int(r, &l[4], 0, MOST_MS, &out->step_ms));
    out->kv_bytes = megabytes << 20;
    return HONE_OK;
}

static hone_status read_settings(hone_config_reader *r, json_t *tree, hone_model_settings *out) {
    hone_config_field f[] = {{"threads", NULL},        {"batching", NULL}, {"limits", NULL},
                             {"version_policy", NULL}, {"labels", NULL},   {"dims", NULL},
                             {"shapes", NULL},         {"pad", NULL},      {"precision", NULL},
                             {"language", NULL},       {NULL, NULL}};
    hone_config_field l[] = {{"queue", NULL}, {"rows", NULL}, {"timeout_ms", NULL}, {NULL, NULL}};
    HONE_TRY(hone_config_fields(r, tree, "the settings", f));
    HONE_TRY(hone_config_int32(r, &f[0], 0, 1024, &out->run.threads));
    HONE_TRY(read_precision(r, f[8].value, &out->run.precision));
    HONE_TRY(read_batching(r, &f[1], &out->run));
    HONE_TRY(hone_shape_settings_read(r, &f[5], &f[6], &f[7], &out->run));
    HONE_TRY(read_language(r, &f[9], &out->run.language));
    if (f[2].value) HONE_TRY(hone_config_fields(r, f[2].value, "limits", l));
    HONE_TRY(hone_config_int32(r, &l[0], 1, HONE_MAX_QUEUE, &out->run.max_queue));
    HONE_TRY(hone_config_int(r, &l[1], 0, INT64_MAX, &out->run.max_rows));
    HONE_TRY(hone_config_int(r, &l[2], 0, INT32_MAX, &out->run.timeout_ms));
    out->has_policy = f[3].value != NULL;
    if (json_is_string(f[3].value) && strcmp(json_string_value(f[3].value), "all") == 0)
        out->policy.kind = HONE_POLICY_ALL;
    else if (f[3].value)
        HONE_TRY(read_policy(r, f[3].value, &out->policy));
    out->has_labels = f[4].value != NULL;
    return read_labels(r, &f[4], (labels){&out->labels, &out->label_count, &out->label_capacity});
}

hone_status hone_model_settings_parse(const char *text, size_t size, const hone_model_settings *defaults,
                                      hone_model_settings *out, hone_error *err) {
    json_t *tree = NULL;
    hone_config_reader r = {.err = err};
    *out = defaults ? *defaults : (hone_model_settings)HONE_MODEL_SETTINGS_INIT;
    HONE_TRY(check_size(size, err));
    HONE_TRY(hone_config_json(text, size, &tree, err));
    hone_status status = read_settings(&r, tree, out);
    json_decref(tree);
    if (status != HONE_OK) hone_model_settings_free(out);
    return status;
}

/* --- BatchingParameters --- */

/* "max_batch_size { value: 8 }", the value in a message of its own. */
static hone_status read_wrapped(hone_config_reader *r, const hone_config_field *f, int64_t most,
                                int64_t *out) {
    hone_config_field inner[] = {{"value", NULL}, {NULL, NULL}};
    json_t *v = NULL;
    if (!f->value) return HONE_OK;
    HONE_TRY(hone_config_only(r, f, &v));
    if (!json_is_object(v)) return hone_config_int_of(r, f->name, v, 0, most, out);
    HONE_TRY(hone_config_fields(r, v, f->name, inner));
    inner[0].name = f->name;
    return hone_config_int(r, &inner[0], 0, most, out);
}

static hone_status read_parameters(hone_config_reader *r, json_t *tree, hone_servable_settings *out,
                                   int *threads) {
    hone_config_field f[] = {{"max_batch_size", NULL},
                             {"batch_timeout_micros", NULL},
                             {"max_enqueued_batches", NULL},
                             {"num_batch_threads", NULL},
                             {"allowed_batch_sizes", NULL},
                             {"pad_variable_length_inputs", NULL},
                             {"max_execution_batch_size", NULL},
                             /* larger requests are always run in parts, and threads have no names */
                             {"enable_large_batch_splitting", NULL},
                             {"thread_pool_name", NULL},
                             {NULL, NULL}};
    int64_t rows = 0, run = 0, batches = 0, count = 0;
    HONE_TRY(hone_config_fields(r, tree, "the file of batching parameters", f));
    HONE_TRY(read_wrapped(r, &f[0], INT32_MAX, &rows));
    HONE_TRY(read_wrapped(r, &f[1], 60000000, &out->max_delay_us));
    HONE_TRY(read_wrapped(r, &f[2], INT32_MAX, &batches));
    HONE_TRY(read_wrapped(r, &f[3], 1024, &count));
    HONE_TRY(read_sizes(r, &f[4], out));
    HONE_TRY(read_wrapped(r, &f[6], INT32_MAX, &run));
    if (run > 0) rows = run;
    if (out->preferred_count > 0 && rows > 0 && out->preferred[out->preferred_count - 1] != rows)
        return hone_fail(r->err, HONE_INVALID_ARGUMENT,
                         "the last of \"allowed_batch_sizes\" is not %lld, the largest", (long long)rows);
    if (out->preferred_count > 0) rows = out->preferred[out->preferred_count - 1];
    out->max_batch = (int)(rows < HONE_MAX_BATCH_ROWS ? rows : HONE_MAX_BATCH_ROWS);
    int64_t waiting = batches * (out->max_batch ? out->max_batch : HONE_AUTO_BATCH_ROWS);
    out->max_queue = (int)(waiting < HONE_MAX_QUEUE ? waiting : HONE_MAX_QUEUE);
    *threads = (int)count;
    json_t *pads = f[5].value ? hone_config_at(f[5].value, 0) : NULL;
    out->pad_all = json_is_string(pads) && strcmp(json_string_value(pads), "true") == 0;
    return HONE_OK;
}

hone_status hone_batching_parameters_parse(const char *text, size_t size, hone_model_settings *out,
                                           int *threads, hone_error *err) {
    json_t *tree = NULL;
    hone_config_reader r = {.text = true, .err = err};
    *out = (hone_model_settings)HONE_MODEL_SETTINGS_INIT;
    *threads = 0;
    HONE_TRY(check_size(size, err));
    HONE_TRY(hone_text_format_parse(text, size, HONE_CONFIG_MAX_DEPTH, &tree, err));
    hone_status status = read_parameters(&r, tree, &out->run, threads);
    json_decref(tree);
    return status;
}

/* --- copies --- */

void hone_model_settings_free(hone_model_settings *s) {
    hone_policy_free(&s->policy);
    free_labels(s->labels, s->label_count);
    *s = (hone_model_settings){0};
}

bool hone_model_settings_copy(hone_model_settings *to, const hone_model_settings *from) {
    *to = *from;
    to->policy = (hone_policy){0};
    to->labels = NULL;
    to->label_count = to->label_capacity = 0;
    bool fine = hone_policy_copy(&to->policy, &from->policy);
    for (size_t i = 0; fine && i < from->label_count; i++)
        fine = add_label(&to->labels, &to->label_count, &to->label_capacity, from->labels[i].name,
                         from->labels[i].version, NULL) == HONE_OK;
    if (!fine) hone_model_settings_free(to);
    return fine;
}
