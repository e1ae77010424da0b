#include "data/even.h"

#include "base/memory.h"
#include "base/random.h"

#include <stdlib.h>
#include <string.h>

/* A sample and its value: an integer, or the hash of a text. */
typedef struct entry {
    int64_t value;
    uint32_t sample;
} entry;

static int by_value(const void *a, const void *b) {
    const entry *x = a, *y = b;
    if (x->value != y->value) return (x->value > y->value) - (x->value < y->value);
    return (x->sample > y->sample) - (x->sample < y->sample);
}

static hone_status read_values(const hone_dataset *d, int column, entry *out, hone_error *err) {
    bool texts = d->columns[column].dtype == HONE_STRING;
    hone_reading r = {.column = column, .dtype = texts ? HONE_STRING : HONE_INT64};
    for (int64_t i = 0; i < d->count; i++) {
        hone_string text;
        out[i].sample = (uint32_t)i;
        HONE_TRY(hone_dataset_read(d, &r, NULL, i, 1, texts ? (void *)&text : &out[i].value, err));
        if (texts) out[i].value = (int64_t)hone_hash(text.data, text.size);
    }
    return HONE_OK;
}

static hone_status part(const entry *entries, int64_t n, hone_even *e, hone_error *err) {
    e->count = (uint32_t)n;
    e->samples = hone_alloc((size_t)n * sizeof *e->samples);
    e->scratch = hone_alloc((size_t)n * sizeof *e->scratch);
    e->starts = hone_alloc(((size_t)n + 1) * sizeof *e->starts);
    if (!e->samples || !e->scratch || !e->starts) return hone_fail_memory(err);
    for (int64_t i = 0; i < n; i++) {
        if (i == 0 || entries[i].value != entries[i - 1].value) e->starts[e->groups++] = (uint32_t)i;
        e->samples[i] = entries[i].sample;
    }
    e->starts[e->groups] = (uint32_t)n;
    return HONE_OK;
}

hone_status hone_even_make(const hone_dataset *d, const char *column, hone_even *out, hone_error *err) {
    int at = hone_dataset_find(d, column);
    if (at < 0)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "%s has no column '%s' to draw evenly by",
                         hone_dataset_describe(d), column);
    if (d->columns[at].size != 1)
        return hone_fail(err, HONE_INVALID_ARGUMENT,
                         "column '%s' has %lld values in a sample: none to draw evenly by", column,
                         (long long)d->columns[at].size);
    entry *entries = hone_alloc(((size_t)d->count + 1) * sizeof *entries);
    if (!entries) return hone_fail_memory(err);
    hone_status status = read_values(d, at, entries, err);
    if (status == HONE_OK && d->count) qsort(entries, (size_t)d->count, sizeof *entries, by_value);
    if (status == HONE_OK) status = part(entries, d->count, out, err);
    hone_free(entries);
    return status;
}

void hone_even_order(const hone_even *e, uint64_t seed, uint64_t epoch, uint32_t *out) {
    uint32_t at = 0;
    for (int g = 0; g < e->groups; g++) {
        const uint32_t *members = e->samples + e->starts[g];
        uint32_t size = e->starts[g + 1] - e->starts[g],
                 end = (uint32_t)((uint64_t)e->count * (uint64_t)(g + 1) / (uint64_t)e->groups);
        uint64_t stream[] = {epoch, (uint64_t)g + 1};
        for (uint32_t i = 0; i < size; i++) e->scratch[i] = i;
        hone_rng_permutation(seed, hone_hash(stream, sizeof stream), e->scratch, size);
        for (uint32_t i = 0; at < end; i++) out[at++] = members[e->scratch[i % size]];
    }
    uint64_t stream[] = {epoch, 0};
    hone_rng rng = hone_rng_make(seed, hone_hash(stream, sizeof stream));
    for (uint32_t i = e->count; i > 1; i--) { /* Fisher and Yates */
        uint32_t k = hone_rng_below(&rng, i), kept = out[i - 1];
        out[i - 1] = out[k];
        out[k] = kept;
    }
}

void hone_even_free(hone_even *e) {
    hone_free(e->starts);
    hone_free(e->samples);
    hone_free(e->scratch);
    *e = (hone_even){0};
}
