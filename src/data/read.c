/* Reading samples of a column, converted on the way, and their mean and deviation. */
#include "base/error.h"
#include "base/memory.h"
#include "data/convert.h"
#include "data/dataset.h"
#include "graph/tensor.h"
#include "kernels/portable.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

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

/* Where sample i of the column is stored. */
static int64_t stored(const hone_stored_column *c, int64_t i) {
    return c->rows ? c->rows->at[i] : i;
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

/* Values at `from` as another dtype. */
typedef struct conversion {
    hone_dtype from, to;
    bool unit;     /* bytes to [0, 1] */
    bool narrower; /* to an integer dtype that does not hold all: each is looked at */
} conversion;

static hone_status choose(const hone_stored_column *c, const hone_reading *r, conversion *out,
                          hone_error *err) {
    hone_dtype from = c->dtype, to = r->dtype;
    bool number = (hone_dtype_is_float(to) || hone_dtype_is_int(to)) && hone_dtype_size(to) > 0;
    if (from == HONE_STRING ? to != HONE_STRING : !number)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "column '%s' can't be read as %s", c->name,
                         hone_dtype_name(to));
    *out = (conversion){.from = from,
                        .to = to,
                        .unit = r->unit && from == HONE_UINT8 && hone_dtype_is_float(to),
                        .narrower = hone_dtype_is_int(to) &&
                                    (hone_dtype_is_float(from) || !hone_dtype_holds_all(to, from))};
    return HONE_OK;
}

static void convert(const conversion *v, const void *in, void *out, int64_t n) {
    if (v->unit && v->to == HONE_FLOAT32) {
        scale_bytes(in, out, n);
    } else if (v->unit) {
        float part[256];
        for (int64_t at = 0, some; at < n; at += some) {
            some = n - at < 256 ? n - at : 256;
            scale_bytes((const uint8_t *)in + at, part, some);
            hone_cast(HONE_FLOAT32, v->to, part, (char *)out + (size_t)at * hone_dtype_size(v->to), some);
        }
    } else if (v->from == v->to) {
        memcpy(out, in, (size_t)n * hone_dtype_size(v->to));
    } else {
        hone_cast(v->from, v->to, in, out, n);
    }
}

/* Whole numbers, so large that the dtype holds them. */
static hone_status check_whole(const hone_stored_column *c, const conversion *v, int64_t sample,
                               int64_t first, hone_error *err) {
    for (int64_t j = 0; j < c->size; j++) {
        double x = hone_tensor_number(c->data, first + j);
        if (x != floor(x)) /* NaN, too */
            return hone_fail(err, HONE_INVALID_ARGUMENT,
                             "column '%s' has %g in sample %" PRId64 ", where a whole number is needed",
                             c->name, x, sample);
        if (!(fabs(x) < 0x1p63) || !hone_dtype_holds(v->to, HONE_INT64, (int64_t)x))
            return hone_fail(err, HONE_OUT_OF_RANGE,
                             "column '%s' has %g in sample %" PRId64 ", which %s can't hold", c->name, x,
                             sample, hone_dtype_name(v->to));
    }
    return HONE_OK;
}

static hone_status check_held(const hone_stored_column *c, const conversion *v, int64_t sample, int64_t first,
                              hone_error *err) {
    if (hone_dtype_is_float(v->from)) return check_whole(c, v, sample, first, err);
    for (int64_t j = 0; j < c->size; j++) {
        int64_t x = hone_tensor_int(c->data, first + j);
        if (!hone_dtype_holds(v->to, v->from, x))
            return hone_fail(err, HONE_OUT_OF_RANGE,
                             "column '%s' has %" PRId64 " in sample %" PRId64 ", which %s can't hold",
                             c->name, x, sample, hone_dtype_name(v->to));
    }
    return HONE_OK;
}

/* Labels: one integer each. A loop of its own for the dtypes that they come in: a batch has many, and each is little. */
static void read_integers(const hone_stored_column *c, const uint32_t *indices, int64_t first, int64_t n,
                          int64_t *out) {
#define GATHER(type)                                                                                         \
    for (int64_t i = 0; i < n; i++)                                                                          \
        out[i] = ((const type *)c->data->data)[stored(c, indices ? indices[i] : first + i)];                 \
    break
    switch (c->dtype) {
    case HONE_UINT8: GATHER(uint8_t);
    case HONE_INT32: GATHER(int32_t);
    case HONE_INT64: GATHER(int64_t);
    default:
        for (int64_t i = 0; i < n; i++)
            out[i] = hone_tensor_int(c->data, stored(c, indices ? indices[i] : first + i));
    }
#undef GATHER
}

/* Where the 1 stands in each row. */
static hone_status read_places(const hone_stored_column *c, const uint32_t *indices, int64_t first, int64_t n,
                               int64_t *out) {
    for (int64_t i = 0; i < n; i++) {
        int64_t row = stored(c, indices ? indices[i] : first + i) * c->size;
        for (out[i] = 0; hone_tensor_number(c->data, row + out[i]) == 0;) out[i]++;
    }
    return HONE_OK;
}

/* Samples that are made one by one, in `out`'s dtype. */
static hone_status read_made(const hone_stored_column *c, const conversion *v, const uint32_t *indices,
                             int64_t first, int64_t n, char *out, hone_error *err) {
    size_t step = (size_t)c->size * hone_dtype_size(v->to);
    bool same = v->from == v->to && !v->unit;
    char *made = same ? NULL : hone_alloc((size_t)c->size * hone_dtype_size(v->from));
    if (!same && !made) return hone_fail_memory(err);
    hone_status status = HONE_OK;
    for (int64_t i = 0; i < n && status == HONE_OK; i++, out += step) {
        status =
            c->source->read(c->source, stored(c, indices ? indices[i] : first + i), same ? out : made, err);
        if (status == HONE_OK && !same) convert(v, made, out, c->size);
    }
    hone_free(made);
    return status;
}

hone_status hone_dataset_read(const hone_dataset *d, const hone_reading *reading, const uint32_t *indices,
                              int64_t first, int64_t n, void *out, hone_error *err) {
    if (reading->column < 0 || reading->column >= d->column_count)
        return hone_fail(err, HONE_OUT_OF_RANGE, "column %d of %d", reading->column, d->column_count);
    const hone_stored_column *c = &d->columns[reading->column];
    conversion v;
    HONE_TRY(choose(c, reading, &v, err));
    HONE_TRY(check_indices(d, indices, first, n, err));
    if (reading->labels && c->one_hot && v.to == HONE_INT64) return read_places(c, indices, first, n, out);
    if (c->source) return read_made(c, &v, indices, first, n, out, err);
    if (c->size == 1 && v.to == HONE_INT64 && !v.narrower) {
        read_integers(c, indices, first, n, out);
        return HONE_OK;
    }
    size_t bytes = (size_t)c->size * hone_dtype_size(v.from), step = (size_t)c->size * hone_dtype_size(v.to);
    const char *data = c->data->data;
    for (int64_t i = 0; i < n; i++) {
        int64_t sample = indices ? indices[i] : first + i, from = stored(c, sample);
        if (indices && i + AHEAD < n)
            prefetch(data + (size_t)stored(c, indices[i + AHEAD]) * bytes, (int64_t)bytes);
        if (v.narrower) HONE_TRY(check_held(c, &v, sample, from * c->size, err));
        convert(&v, data + (size_t)from * bytes, (char *)out + (size_t)i * step, c->size);
    }
    return HONE_OK;
}

hone_status hone_dataset_read_labels(const hone_dataset *d, int column, const uint32_t *indices,
                                     int64_t first, int64_t n, int64_t *out, hone_error *err) {
    hone_reading r = {.column = column, .dtype = HONE_INT64, .labels = true};
    return hone_dataset_read(d, &r, indices, first, n, out, err);
}

/* --- feeds --- */

hone_feed hone_feed_of(const hone_dataset *d, int column, hone_dtype dtype, bool unit) {
    const hone_stored_column *c = &d->columns[column];
    hone_feed f = {.reading = {column, dtype, unit}, .rank = c->rank};
    memcpy(f.dims, c->dims, sizeof f.dims);
    return f;
}

/* Of strings that stay the data set's. */
static hone_status text_tensor(int rank, const int64_t *dims, void *data, hone_tensor **out,
                               hone_error *err) {
    size_t bytes = 0;
    HONE_TRY(hone_shape_size(HONE_STRING, rank, dims, NULL, &bytes, err));
    void *made = data ? NULL : hone_calloc(bytes ? bytes : 1, 1);
    if (!data && !made) return hone_fail_memory(err);
    hone_status status =
        hone_tensor_borrow_strings(rank, dims, data ? data : made, made ? hone_free : NULL, made, out, err);
    if (status != HONE_OK) hone_free(made);
    return status;
}

hone_status hone_feed_tensor(const hone_feed *f, int64_t n, void *data, hone_tensor **out, hone_error *err) {
    int64_t dims[HONE_MAX_RANK] = {n};
    if (f->rank + 1 > HONE_MAX_RANK) return hone_fail(err, HONE_UNSUPPORTED, "samples of rank %d", f->rank);
    memcpy(dims + 1, f->dims, (size_t)f->rank * sizeof *dims);
    if (f->reading.dtype == HONE_STRING) return text_tensor(f->rank + 1, dims, data, out, err);
    if (data) return hone_tensor_wrap(f->reading.dtype, f->rank + 1, dims, data, out, err);
    return hone_tensor_new(f->reading.dtype, f->rank + 1, dims, out, err);
}
