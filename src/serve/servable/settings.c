#include "serve/servable/settings.h"

#include <string.h>

bool hone_servable_settings_equal(const hone_servable_settings *a, const hone_servable_settings *b) {
    if (a->threads != b->threads || a->batching != b->batching || a->max_batch != b->max_batch ||
        a->max_delay_us != b->max_delay_us || a->preferred_count != b->preferred_count ||
        a->max_queue != b->max_queue || a->max_rows != b->max_rows || a->timeout_ms != b->timeout_ms)
        return false;
    if (a->dim_count != b->dim_count) return false;
    for (int i = 0; i < a->dim_count; i++)
        if (a->dims[i].size != b->dims[i].size || strcmp(a->dims[i].name, b->dims[i].name) != 0) return false;
    return memcmp(a->preferred, b->preferred, (size_t)a->preferred_count * sizeof *a->preferred) == 0;
}
