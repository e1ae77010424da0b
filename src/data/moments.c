/* Mean and deviation of a column, of all of its values or of each feature's. */
#include "base/error.h"
#include "base/memory.h"
#include "data/dataset.h"
#include "graph/tensor.h"
#include "kernels/portable.h"

#include <inttypes.h>
#include <math.h>

static int64_t stored(const hone_stored_column *c, int64_t i) {
    return c->rows ? c->rows->at[i] : i;
}

/* --- of all values --- */

/* In integers, so exact but for the last division. */
static void byte_moments(const hone_stored_column *c, int64_t n, double *mean, double *deviation) {
    uint64_t sum = 0, squares = 0, values = (uint64_t)n * (uint64_t)c->size;
    for (int64_t i = 0; i < n; i++) {
        const uint8_t *v = (const uint8_t *)c->data->data + stored(c, i) * c->size;
        for (int64_t j = 0; j < c->size; j++) {
            sum += v[j];
            squares += (uint64_t)v[j] * v[j];
        }
    }
    unsigned __int128 spread = (unsigned __int128)values * squares - (unsigned __int128)sum * sum;
    *mean = (double)sum / ((double)values * 255);
    *deviation = sqrt((double)spread) / ((double)values * 255);
}

/* Neumaier's compensated sum. */
typedef struct sum {
    double high, lost;
} sum;

static void add(sum *s, double term) {
    double next = s->high + term;
    s->lost += fabs(s->high) >= fabs(term) ? (s->high - next) + term : (term - next) + s->high;
    s->high = next;
}

/* The sum of (v - shift)^power over the values in their order. */
static double power_sum(const hone_stored_column *c, int64_t n, double shift, bool squared) {
    enum { CHUNK = 256 };
    sum s = {0, 0};
    size_t size = hone_dtype_size(c->data->dtype);
    for (int64_t i = 0; i < n; i++) {
        const char *sample = (const char *)c->data->data + (size_t)(stored(c, i) * c->size) * size;
        for (int64_t at = 0; at < c->size; at += CHUNK) {
            float v[CHUNK];
            int64_t some = c->size - at < CHUNK ? c->size - at : CHUNK;
            hone_cast(c->data->dtype, HONE_FLOAT32, sample + (size_t)at * size, v, some);
            for (int64_t j = 0; j < some; j++) {
                double term = v[j] - shift;
                add(&s, squared ? term * term : term);
            }
        }
    }
    return s.high + s.lost;
}

void hone_dataset_moments(const hone_dataset *d, int column, int64_t samples, double *mean,
                          double *deviation) {
    int64_t n = samples > 0 && samples < d->count ? samples : d->count;
    const hone_stored_column *c = &d->columns[column];
    if (c->data->dtype == HONE_UINT8) {
        byte_moments(c, n, mean, deviation);
        return;
    }
    double values = (double)n * (double)c->size;
    *mean = power_sum(c, n, 0, false) / values;
    *deviation = sqrt(power_sum(c, n, *mean, true) / values);
}

/* --- of each feature --- */

/* Sums of value - shift, where the shift is the feature's first value: no difference of large numbers. */
typedef struct spread {
    double shift, sum, squares;
    int64_t count;
} spread;

static void widen(spread *s, double x) {
    if (isnan(x)) return;
    if (s->count++ == 0) s->shift = x;
    double moved = x - s->shift;
    s->sum += moved;
    s->squares += moved * moved;
}

/* Which samples: all of them, or some that lie evenly where each has to be read from its file. */
static int64_t sample_step(const hone_stored_column *c, int64_t count) {
    enum { ENOUGH = 2048 };
    return c->source && count > ENOUGH ? count / ENOUGH : 1;
}

static hone_status gather(const hone_dataset *d, int column, int64_t features, int64_t inner, int64_t samples,
                          spread *spreads, float *values, hone_error *err) {
    const hone_stored_column *c = &d->columns[column];
    hone_reading r = {.column = column, .dtype = HONE_FLOAT32, .unit = true};
    int64_t n = samples > 0 && samples < d->count ? samples : d->count;
    for (int64_t i = 0; i < n; i += sample_step(c, n)) {
        HONE_TRY(hone_dataset_read(d, &r, NULL, i, 1, values, err));
        for (int64_t j = 0, feature = 0; j < c->size; feature = feature + 1 < features ? feature + 1 : 0)
            for (int64_t end = j + inner; j < end; j++) widen(&spreads[feature], values[j]);
    }
    return HONE_OK;
}

hone_status hone_dataset_feature_moments(const hone_dataset *d, int column, int64_t features, int64_t inner,
                                         int64_t samples, hone_feature_moments *out, hone_error *err) {
    const hone_stored_column *c = &d->columns[column];
    if (features < 1 || inner < 1 || c->size % (features * inner) != 0)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "column '%s' has no %" PRId64 " features", c->name,
                         features);
    spread *spreads = hone_calloc((size_t)features, sizeof *spreads);
    float *values = hone_alloc((size_t)c->size * sizeof *values);
    hone_status status = spreads && values ? gather(d, column, features, inner, samples, spreads, values, err)
                                           : hone_fail_memory(err);
    for (int64_t f = 0; f < features && status == HONE_OK; f++) {
        const spread *s = &spreads[f];
        double n = (double)s->count, mean = s->count ? s->sum / n : 0;
        double variance = s->count ? s->squares / n - mean * mean : 0;
        out[f] = (hone_feature_moments){s->shift + mean, variance > 0 ? sqrt(variance) : 0, s->count};
    }
    hone_free(values);
    hone_free(spreads);
    return status;
}

/* --- values that are no numbers --- */

bool hone_dataset_find_nan(const hone_dataset *d, int column, int64_t *sample, int64_t *value) {
    const hone_stored_column *c = &d->columns[column];
    if (!c->data || !hone_dtype_is_float(c->dtype)) return false;
    for (int64_t i = 0; i < d->count; i++) {
        for (int64_t j = 0, first = stored(c, i) * c->size; j < c->size; j++) {
            double x = c->dtype == HONE_FLOAT32 ? ((const float *)c->data->data)[first + j]
                                                : hone_tensor_number(c->data, first + j);
            if (isfinite(x)) continue;
            *sample = i;
            *value = j;
            return true;
        }
    }
    return false;
}

bool hone_dataset_is_whole(const hone_dataset *d, int column) {
    const hone_stored_column *c = &d->columns[column];
    for (int64_t i = 0; c->data && i < d->count; i++) {
        for (int64_t j = 0; j < c->size; j++) {
            double x = hone_tensor_number(c->data, stored(c, i) * c->size + j);
            if (!(x >= 0) || x != floor(x)) return false;
        }
    }
    return c->data != NULL;
}

hone_status hone_dataset_check_numbers(const hone_dataset *d, int column, hone_error *err) {
    int64_t sample, value;
    if (!hone_dataset_find_nan(d, column, &sample, &value)) return HONE_OK;
    return hone_fail(err, HONE_INVALID_ARGUMENT,
                     "%s: column '%s' has a value that is no number (NaN or infinite): sample %" PRId64
                     ", value %" PRId64,
                     d->describe, d->columns[column].name, sample, value);
}
