#include "data/dataset.h"

#include "base/error.h"
#include "base/memory.h"
#include "graph/tensor.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *split_name(hone_split split) {
    return split == HONE_SPLIT_TRAIN ? "train" : "test";
}

static hone_status take_labels(hone_dataset *d, const hone_tensor *y, hone_error *err) {
    d->labels = hone_alloc((size_t)d->count * sizeof *d->labels);
    if (!d->labels) return hone_fail_memory(err);
    d->owns_labels = true;
    for (int64_t i = 0; i < d->count; i++) {
        int64_t label = hone_tensor_int(y, i);
        if (label < 0 || label > UINT16_MAX)
            return hone_fail(err, HONE_OUT_OF_RANGE,
                             "label %" PRId64 " of sample %" PRId64 " is not in 0 … 65535", label, i);
        d->labels[i] = (uint16_t)label;
        if (label >= d->classes) d->classes = (int)label + 1;
    }
    return HONE_OK;
}

static hone_status take_samples(hone_dataset *d, hone_tensor *x, hone_error *err) {
    if (x->dtype == HONE_UINT8 || x->dtype == HONE_FLOAT32) {
        d->x = hone_tensor_retain(x);
        return HONE_OK;
    }
    HONE_TRY(hone_tensor_new(HONE_FLOAT32, x->rank, x->dims, &d->x, err));
    const double *in = x->data;
    float *out = d->x->data;
    for (int64_t i = 0; i < x->count; i++) out[i] = (float)in[i];
    return HONE_OK;
}

static hone_status check_fit(const hone_tensor *x, const hone_tensor *y, hone_error *err) {
    char text[128];
    if (x->dtype != HONE_UINT8 && x->dtype != HONE_FLOAT32 && x->dtype != HONE_FLOAT64)
        return hone_fail(err, HONE_UNSUPPORTED, "samples of %s; uint8, float32 and float64 are possible",
                         hone_dtype_name(x->dtype));
    if (!hone_dtype_is_int(y->dtype) || y->dtype == HONE_BOOL)
        return hone_fail(err, HONE_UNSUPPORTED, "labels of %s; they must be integers",
                         hone_dtype_name(y->dtype));
    if (x->rank < 2 || x->count == 0 || x->dims[0] > UINT32_MAX)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "samples of shape %s; [n, values …] is needed",
                         hone_shape_format(x->rank, x->dims, text, sizeof text));
    if (y->rank != 1)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "labels of shape %s; [n] is needed",
                         hone_shape_format(y->rank, y->dims, text, sizeof text));
    if (y->dims[0] != x->dims[0])
        return hone_fail(err, HONE_INVALID_ARGUMENT, "%" PRId64 " samples but %" PRId64 " labels", x->dims[0],
                         y->dims[0]);
    return HONE_OK;
}

hone_status hone_dataset_make(hone_tensor *x, const hone_tensor *y, const char *name, hone_split split,
                              hone_dataset **out, hone_error *err) {
    HONE_TRY(check_fit(x, y, err));
    hone_dataset *d = hone_calloc(1, sizeof *d);
    if (!d) return hone_fail_memory(err);
    d->count = x->dims[0];
    d->sample_size = x->count / d->count;
    if (x->rank == 3) d->dims[d->rank++] = 1; /* [n, h, w]: images of one channel */
    for (int i = 1; i < x->rank; i++) d->dims[d->rank++] = x->dims[i];
    snprintf(d->describe, sizeof d->describe, "%.180s (%s, %" PRId64 " samples)", name, split_name(split),
             d->count);
    hone_status status = take_samples(d, x, err);
    if (status == HONE_OK) status = take_labels(d, y, err);
    if (status == HONE_OK)
        *out = d;
    else
        hone_dataset_free(d);
    return status;
}

hone_status hone_dataset_subset(const hone_dataset *d, const uint32_t *indices, int64_t n, hone_dataset **out,
                                hone_error *err) {
    if (n <= 0 || n > UINT32_MAX)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "a subset of %" PRId64 " samples", n);
    for (int64_t i = 0; i < n; i++)
        if (indices[i] >= d->count)
            return hone_fail(err, HONE_OUT_OF_RANGE, "sample %u of %" PRId64, indices[i], d->count);
    hone_dataset *s = hone_alloc(sizeof *s);
    uint32_t *chosen = s ? hone_alloc((size_t)n * sizeof *chosen) : NULL;
    if (!chosen) {
        hone_free(s);
        return hone_fail_memory(err);
    }
    for (int64_t i = 0; i < n; i++) chosen[i] = d->indices ? d->indices[indices[i]] : indices[i];
    *s = *d;
    s->x = hone_tensor_retain(d->x);
    s->owns_labels = false;
    s->indices = chosen;
    s->count = n;
    const char *total = strrchr(d->describe, ',');
    int prefix = total ? (int)(total - d->describe) : (int)strlen(d->describe);
    snprintf(s->describe, sizeof s->describe, "%.*s, %" PRId64 " of %" PRId64 " samples)", prefix,
             d->describe, n, d->count);
    *out = s;
    return HONE_OK;
}

void hone_dataset_free(hone_dataset *d) {
    if (!d) return;
    hone_tensor_free(d->x);
    if (d->owns_labels) hone_free(d->labels);
    hone_free((void *)d->indices);
    hone_free(d);
}

bool hone_dataset_is_split(const hone_dataset *d) {
    return !d->whole;
}

int64_t hone_dataset_count(const hone_dataset *d) {
    return d->count;
}

const int64_t *hone_dataset_sample_shape(const hone_dataset *d, int *rank) {
    *rank = d->rank;
    return d->dims;
}

int hone_dataset_classes(const hone_dataset *d) {
    return d->classes;
}

const char *hone_dataset_class_name(const hone_dataset *d, int label) {
    return label >= 0 && label < d->class_name_count ? d->class_names[label] : NULL;
}

const char *hone_dataset_describe(const hone_dataset *d) {
    return d->describe;
}

/* --- reading --- */

/* x / 255, rounded once: 1/255 in two parts, the first of so few bits that its product is exact. (The product with
 * 1/255 would round twice; a division costs several times as much.) */
static float scaled(uint8_t x) {
    return (float)x * 0x1.01p-8f + (float)x * 0x1.010102p-24f;
}

/* The fixed inner length lets it be vectorized. */
static void scale_bytes(const uint8_t *restrict in, float *restrict out, int64_t n) {
    enum { BLOCK = 16 };
    int64_t i = 0;
    for (; i + BLOCK <= n; i += BLOCK)
        for (int j = 0; j < BLOCK; j++) out[i + j] = scaled(in[i + j]);
    for (; i < n; i++) out[i] = scaled(in[i]);
}

/* Samples in a random order are not in the cache: they are asked for some samples ahead. */
enum { AHEAD = 3, AHEAD_BYTES = 4096, LINE = 64 };

static void prefetch(const void *sample, int64_t bytes) {
    for (int64_t i = 0; i < bytes && i < AHEAD_BYTES; i += LINE) __builtin_prefetch((const char *)sample + i);
}

static int64_t stored_index(const hone_dataset *d, int64_t i) {
    return d->indices ? d->indices[i] : i;
}

static hone_status check_indices(const hone_dataset *d, const uint32_t *indices, int64_t first, int64_t n,
                                 hone_error *err) {
    if (n < 0 || (!indices && (first < 0 || first > d->count || n > d->count - first)))
        return hone_fail(err, HONE_OUT_OF_RANGE, "%" PRId64 " samples from %" PRId64 " on, of %" PRId64, n,
                         first, d->count);
    for (int64_t i = 0; indices && i < n; i++)
        if (indices[i] >= d->count)
            return hone_fail(err, HONE_OUT_OF_RANGE, "sample %u of %" PRId64, indices[i], d->count);
    return HONE_OK;
}

hone_status hone_dataset_read(const hone_dataset *d, const uint32_t *indices, int64_t first, int64_t n,
                              float *x, int64_t *y, hone_error *err) {
    HONE_TRY(check_indices(d, indices, first, n, err));
    int64_t size = d->sample_size, bytes = size * (int64_t)hone_dtype_size(d->x->dtype);
    for (int64_t i = 0; i < n; i++) {
        int64_t from = stored_index(d, indices ? indices[i] : first + i);
        if (y) y[i] = d->labels[from];
        if (!x) continue;
        const char *sample = (const char *)d->x->data + from * bytes;
        if (indices && i + AHEAD < n)
            prefetch((const char *)d->x->data + stored_index(d, indices[i + AHEAD]) * bytes, bytes);
        if (d->x->dtype == HONE_UINT8)
            scale_bytes((const uint8_t *)sample, x + i * size, size);
        else
            memcpy(x + i * size, sample, (size_t)bytes);
    }
    return HONE_OK;
}

/* --- moments --- */

/* In integers, so exact but for the last division. */
static void byte_moments(const hone_dataset *d, int64_t n, double *mean, double *deviation) {
    uint64_t sum = 0, squares = 0, values = (uint64_t)n * (uint64_t)d->sample_size;
    for (int64_t i = 0; i < n; i++) {
        const uint8_t *v = (const uint8_t *)d->x->data + stored_index(d, i) * d->sample_size;
        for (int64_t j = 0; j < d->sample_size; j++) {
            sum += v[j];
            squares += (uint64_t)v[j] * v[j];
        }
    }
    unsigned __int128 spread = (unsigned __int128)values * squares - (unsigned __int128)sum * sum;
    *mean = (double)sum / ((double)values * 255);
    *deviation = sqrt((double)spread) / ((double)values * 255);
}

/* Neumaier's compensated sum of (v - shift)^power over the values in their order. */
static double power_sum(const hone_dataset *d, int64_t n, double shift, bool squared) {
    double sum = 0, lost = 0;
    for (int64_t i = 0; i < n; i++) {
        const float *v = (const float *)d->x->data + stored_index(d, i) * d->sample_size;
        for (int64_t j = 0; j < d->sample_size; j++) {
            double term = v[j] - shift, next;
            if (squared) term *= term;
            next = sum + term;
            lost += fabs(sum) >= fabs(term) ? (sum - next) + term : (term - next) + sum;
            sum = next;
        }
    }
    return sum + lost;
}

void hone_dataset_moments(const hone_dataset *d, int64_t samples, double *mean, double *deviation) {
    int64_t n = samples > 0 && samples < d->count ? samples : d->count;
    if (d->x->dtype == HONE_UINT8) {
        byte_moments(d, n, mean, deviation);
        return;
    }
    double values = (double)n * (double)d->sample_size;
    *mean = power_sum(d, n, 0, false) / values;
    *deviation = sqrt(power_sum(d, n, *mean, true) / values);
}
