/* Configurations of models: text protobuf, JSON, and one model's settings. What is taken must hold what
 * the limits promise; everything is given back. */
#include "serve/models/model_config.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_policy(const hone_policy *p) {
    if (p->version_count > HONE_CONFIG_MAX_VERSIONS || p->latest < 0) abort();
    for (size_t i = 0; i < p->version_count; i++)
        if (p->versions[i] < 0) abort();
}

static void check_labels(const hone_label *labels, size_t count) {
    if (count > HONE_CONFIG_MAX_LABELS) abort();
    for (size_t i = 0; i < count; i++)
        if (!labels[i].name[0] || strlen(labels[i].name) > HONE_CONFIG_MAX_NAME || labels[i].version < 0)
            abort();
}

static void check_set(const hone_model_set *set) {
    if (set->count > HONE_CONFIG_MAX_MODELS) abort();
    for (size_t i = 0; i < set->count; i++) {
        const hone_model_source *e = &set->entries[i];
        if (hone_model_name_check(e->name, NULL) != HONE_OK || !e->base_path[0]) abort();
        for (size_t k = 0; k < i; k++)
            if (strcmp(set->entries[k].name, e->name) == 0) abort();
        check_policy(&e->policy);
        check_labels(e->labels, e->label_count);
    }
}

static void check_shapes(const hone_servable_settings *s) {
    if (s->dim_count < 0 || s->dim_count > HONE_MAX_DIM_SETTINGS || s->tensor_count < 0 ||
        s->tensor_count > HONE_MAX_TENSOR_SETTINGS || hone_settings_buckets(s) > HONE_MAX_BUCKETS ||
        !(s->pad_tolerance >= 0 && s->pad_tolerance <= 1))
        abort();
    for (int i = 0; i < s->dim_count; i++) {
        const hone_dim_setting *d = &s->dims[i];
        if (hone_settings_find_dim(s, d->name) != i || d->size_count < 0 ||
            d->size_count > HONE_MAX_DIM_SIZES)
            abort();
        for (int k = 0; k < d->size_count; k++)
            if (d->sizes[k] < 1 || d->sizes[k] > INT32_MAX || (k > 0 && d->sizes[k] <= d->sizes[k - 1]))
                abort();
    }
    for (int i = 0; i < s->tensor_count; i++) {
        const hone_tensor_setting *t = &s->tensors[i];
        if (hone_settings_find_tensor(s, t->name) != t || t->rank > HONE_MAX_RANK) abort();
        for (int d = 0; d < t->rank; d++)
            if (t->dims[d] > INT32_MAX || t->dims[d] < -1 - s->dim_count) abort();
    }
}

static void check_settings(const hone_model_settings *s) {
    hone_model_settings copy;
    if (s->run.threads < 0 || s->run.max_batch < 0 || s->run.max_batch > HONE_MAX_BATCH_ROWS ||
        s->run.max_queue < 0 || s->run.preferred_count < 0 || s->run.preferred_count > HONE_MAX_BATCH_SIZES)
        abort();
    for (int i = 0; i < s->run.preferred_count; i++)
        if (s->run.preferred[i] < 1 || s->run.preferred[i] > HONE_MAX_BATCH_ROWS ||
            (i > 0 && s->run.preferred[i] <= s->run.preferred[i - 1]))
            abort();
    check_shapes(&s->run);
    check_policy(&s->policy);
    check_labels(s->labels, s->label_count);
    if (!hone_model_settings_copy(&copy, s)) abort();
    if (!hone_servable_settings_equal(&copy.run, &s->run) || copy.policy.kind != s->policy.kind ||
        copy.policy.version_count != s->policy.version_count)
        abort();
    hone_model_settings_free(&copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    hone_model_set set;
    hone_model_settings settings;
    hone_error err = {0};
    const char *text = (const char *)data;
    if (size > 1 << 16) return 0;
    hone_status status = hone_model_set_parse(text, size, &set, &err);
    if (status == HONE_OK) {
        check_set(&set);
        hone_model_set_free(&set);
    } else if (err.code != status || !err.message[0]) {
        abort();
    }
    err = (hone_error){0};
    status = hone_model_settings_parse(text, size, NULL, &settings, &err);
    if (status == HONE_OK) {
        check_settings(&settings);
        hone_model_settings_free(&settings);
    } else if (err.code != status || !err.message[0]) {
        abort();
    }
    err = (hone_error){0};
    int threads;
    status = hone_batching_parameters_parse(text, size, &settings, &threads, &err);
    if (status == HONE_OK)
        check_settings(&settings);
    else if (err.code != status || !err.message[0])
        abort();
    return 0;
}
