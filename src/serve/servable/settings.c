#include "serve/servable/settings.h"

#include <string.h>

static bool same_dim(const hone_dim_setting *a, const hone_dim_setting *b) {
    return strcmp(a->name, b->name) == 0 && a->pad == b->pad && a->size_count == b->size_count &&
           memcmp(a->sizes, b->sizes, (size_t)a->size_count * sizeof *a->sizes) == 0;
}

static bool same_tensor(const hone_tensor_setting *a, const hone_tensor_setting *b) {
    if (strcmp(a->name, b->name) != 0 || a->rank != b->rank || a->is_real != b->is_real ||
        a->whole != b->whole || a->real != b->real)
        return false;
    return a->rank <= 0 || memcmp(a->dims, b->dims, (size_t)a->rank * sizeof *a->dims) == 0;
}

bool hone_servable_settings_equal(const hone_servable_settings *a, const hone_servable_settings *b) {
    if (a->threads != b->threads || a->batching != b->batching || a->max_batch != b->max_batch ||
        a->max_delay_us != b->max_delay_us || a->preferred_count != b->preferred_count ||
        a->max_queue != b->max_queue || a->max_rows != b->max_rows || a->timeout_ms != b->timeout_ms ||
        a->pad_all != b->pad_all || a->pad_tolerance != b->pad_tolerance ||
        !hone_language_settings_equal(&a->language, &b->language))
        return false;
    if (a->dim_count != b->dim_count || a->tensor_count != b->tensor_count) return false;
    for (int i = 0; i < a->dim_count; i++)
        if (!same_dim(&a->dims[i], &b->dims[i])) return false;
    for (int i = 0; i < a->tensor_count; i++)
        if (!same_tensor(&a->tensors[i], &b->tensors[i])) return false;
    return memcmp(a->preferred, b->preferred, (size_t)a->preferred_count * sizeof *a->preferred) == 0;
}

int hone_settings_find_dim(const hone_servable_settings *s, const char *name) {
    for (int i = 0; i < s->dim_count; i++)
        if (strcmp(s->dims[i].name, name) == 0) return i;
    return -1;
}

const hone_tensor_setting *hone_settings_find_tensor(const hone_servable_settings *s, const char *name) {
    for (int i = 0; i < s->tensor_count; i++)
        if (strcmp(s->tensors[i].name, name) == 0) return &s->tensors[i];
    return NULL;
}

int hone_settings_buckets(const hone_servable_settings *s) {
    int count = 1;
    for (int i = 0; i < s->dim_count; i++) {
        if (s->dims[i].size_count > 0) count *= s->dims[i].size_count;
        if (count > HONE_MAX_BUCKETS) return HONE_MAX_BUCKETS + 1;
    }
    return count;
}
