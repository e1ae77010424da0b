#include "data/dataset.h"

#include "base/error.h"
#include "base/memory.h"
#include "graph/tensor.h"

#include <hone/text.h>

#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static hone_rows *retain_rows(hone_rows *r) {
    if (r) atomic_fetch_add_explicit(&r->references, 1, memory_order_relaxed);
    return r;
}

static void free_rows(hone_rows *r) {
    if (r && atomic_fetch_sub_explicit(&r->references, 1, memory_order_acq_rel) == 1) hone_free(r);
}

static hone_sample_source *retain_source(hone_sample_source *s) {
    if (s) atomic_fetch_add_explicit(&s->references, 1, memory_order_relaxed);
    return s;
}

static void free_source(hone_sample_source *s) {
    if (s && atomic_fetch_sub_explicit(&s->references, 1, memory_order_acq_rel) == 1) s->free(s);
}

/* --- texts --- */

static hone_texts *retain_texts(hone_texts *t) {
    if (t) atomic_fetch_add_explicit(&t->references, 1, memory_order_relaxed);
    return t;
}

static void free_texts(hone_texts *t) {
    if (!t || atomic_fetch_sub_explicit(&t->references, 1, memory_order_acq_rel) != 1) return;
    for (int i = 0; i < t->class_count; i++) hone_free(t->class_names[i]);
    for (int i = 0; i < t->note_count; i++) hone_free(t->notes[i]);
    hone_free(t->class_names);
    hone_free(t->notes);
    hone_tokenizer_free(t->tokenizer);
    hone_free(t);
}

static hone_texts *texts_of(hone_dataset *d) {
    if (!d->texts && (d->texts = hone_calloc(1, sizeof *d->texts))) atomic_init(&d->texts->references, 1);
    return d->texts;
}

void hone_dataset_note_down(hone_dataset *d, const char *format, ...) {
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    hone_texts *t = texts_of(d);
    char *copy = t ? hone_strdup(text) : NULL;
    char **more = copy ? hone_realloc(t->notes, ((size_t)t->note_count + 1) * sizeof *more) : NULL;
    if (!more) {
        hone_free(copy);
        return;
    }
    t->notes = more;
    t->notes[t->note_count++] = copy;
}

hone_status hone_dataset_name_classes(hone_dataset *d, const hone_string *names, int count, hone_error *err) {
    hone_texts *t = texts_of(d);
    if (!t || !(t->class_names = hone_calloc((size_t)count + 1, sizeof *t->class_names)))
        return hone_fail_memory(err);
    for (; t->class_count < count; t->class_count++) {
        const hone_string *name = &names[t->class_count];
        char *copy = hone_alloc(name->size + 1);
        if (!copy) return hone_fail_memory(err);
        if (name->size) memcpy(copy, name->data, name->size);
        copy[name->size] = 0;
        t->class_names[t->class_count] = copy;
    }
    d->class_names = (const char *const *)t->class_names;
    d->class_name_count = count;
    return HONE_OK;
}

hone_status hone_dataset_set_tokenizer(hone_dataset *d, const hone_tokenizer *t, hone_error *err) {
    hone_texts *texts = texts_of(d);
    if (!texts) return hone_fail_memory(err);
    texts->tokenizer = hone_tokenizer_retain(t);
    return HONE_OK;
}

int hone_dataset_rate(const hone_dataset *d) {
    return d->rate;
}

const hone_tokenizer *hone_dataset_tokenizer(const hone_dataset *d) {
    return d->texts ? d->texts->tokenizer : NULL;
}

const char *hone_dataset_note(const hone_dataset *d, int index) {
    return d->texts && index >= 0 && index < d->texts->note_count ? d->texts->notes[index] : NULL;
}

/* --- columns --- */

/* 1 + the largest, as far as the values can be classes. */
static int count_integers(const hone_tensor *t) {
    int64_t most = -1;
    for (int64_t i = 0; i < t->count; i++) {
        int64_t label = hone_tensor_int(t, i);
        if (label < 0 || label >= INT_MAX) return 0;
        if (label > most) most = label;
    }
    return (int)most + 1;
}

/* Of floats that are few whole numbers. */
static int count_floats(const hone_tensor *t) {
    enum { FEW = 20 };
    double most = 0;
    for (int64_t i = 0; i < t->count; i++) {
        double x = hone_tensor_number(t, i);
        if (!(x >= 0 && x < FEW) || x != floor(x)) return 0;
        if (x > most) most = x;
    }
    return (int)most + 1;
}

static bool is_one_hot(const hone_tensor *t) {
    enum { MOST = 65536 };
    int64_t size = t->rank == 2 ? t->dims[1] : 0;
    if (size < 2 || size > MOST || t->dtype == HONE_STRING) return false;
    for (int64_t i = 0; i < t->count; i += size) {
        int ones = 0;
        for (int64_t j = 0; j < size; j++) {
            double x = hone_tensor_number(t, i + j);
            if ((x != 0 && x != 1) || (ones += x == 1) > 1) return false;
        }
        if (ones != 1) return false;
    }
    return true;
}

static int count_classes(const hone_tensor *t) {
    if (hone_dtype_is_int(t->dtype)) return count_integers(t);
    return hone_dtype_is_float(t->dtype) ? count_floats(t) : 0;
}

static hone_status check_column(const hone_dataset *d, const char *name, const hone_tensor *t,
                                hone_error *err) {
    char text[128];
    if (hone_dataset_find(d, name) >= 0)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "there are two columns '%s'", name);
    if (t->dtype != HONE_STRING && !hone_dtype_is_float(t->dtype) &&
        (!hone_dtype_is_int(t->dtype) || hone_dtype_size(t->dtype) == 0))
        return hone_fail(err, HONE_UNSUPPORTED, "column '%s' is %s, which no column can be", name,
                         hone_dtype_name(t->dtype));
    if (t->rank < 1 || t->count == 0 || t->dims[0] > UINT32_MAX)
        return hone_fail(err, HONE_INVALID_ARGUMENT,
                         "column '%s' has the shape %s; [samples, values …] is needed", name,
                         hone_shape_format(t->rank, t->dims, text, sizeof text));
    if (d->column_count && t->dims[0] != d->count)
        return hone_fail(err, HONE_INVALID_ARGUMENT,
                         "column '%s' has %" PRId64 " samples, but column '%s' has %" PRId64, name,
                         t->dims[0], d->columns[0].name, d->count);
    return HONE_OK;
}

/* There is room for it. */
static hone_status add_column(hone_dataset *d, const char *name, hone_tensor *t, hone_error *err) {
    HONE_TRY(check_column(d, name, t, err));
    hone_stored_column *c = &d->columns[d->column_count];
    *c = (hone_stored_column){.name = hone_strdup(name)};
    if (!c->name) return hone_fail_memory(err);
    c->data = hone_tensor_retain(t);
    c->dtype = t->dtype;
    if (t->dtype == HONE_UINT8 && t->rank == 3) c->dims[c->rank++] = 1; /* images of one channel */
    for (int i = 1; i < t->rank; i++) c->dims[c->rank++] = t->dims[i];
    c->size = t->count / t->dims[0];
    if (c->size == 1) c->classes = count_classes(t);
    c->one_hot = is_one_hot(t);
    if (c->one_hot) c->classes = (int)c->size;
    d->count = t->dims[0];
    d->column_count++;
    return HONE_OK;
}

static hone_dataset *new_dataset(int columns) {
    hone_dataset *d = hone_calloc(1, sizeof *d);
    if (d && !(d->columns = hone_calloc((size_t)columns + 1, sizeof *d->columns))) {
        hone_free(d);
        return NULL;
    }
    return d;
}

/* All but the columns. */
static void copy_properties(hone_dataset *to, const hone_dataset *from) {
    hone_stored_column *columns = to->columns;
    *to = *from;
    to->columns = columns;
    to->column_count = 0;
    retain_texts(to->texts);
}

/* Takes a reference of `rows`. */
static hone_status share_column(hone_dataset *d, const hone_stored_column *from, hone_rows *rows,
                                hone_error *err) {
    char *name = hone_strdup(from->name);
    if (!name) return hone_fail_memory(err);
    hone_stored_column *c = &d->columns[d->column_count++];
    *c = *from;
    c->name = name;
    c->data = from->data ? hone_tensor_retain(from->data) : NULL;
    c->source = retain_source(from->source);
    c->rows = retain_rows(rows);
    return HONE_OK;
}

/* --- data sets --- */

static void say(hone_dataset *d, int64_t of) {
    if (of == d->count)
        snprintf(d->describe, sizeof d->describe, "%s (%s%" PRId64 " samples)", d->name, d->part, d->count);
    else
        snprintf(d->describe, sizeof d->describe, "%s (%s%" PRId64 " of %" PRId64 " samples)", d->name,
                 d->part, d->count, of);
}

void hone_dataset_label(hone_dataset *d, const char *name, const char *part) {
    snprintf(d->name, sizeof d->name, "%.180s", name);
    snprintf(d->part, sizeof d->part, *part ? "%.8s, " : "%s", part);
    say(d, d->count);
}

hone_status hone_dataset_make(const hone_named_tensor *columns, int count, const char *describe,
                              hone_dataset **out, hone_error *err) {
    if (count < 1) return hone_fail(err, HONE_INVALID_ARGUMENT, "a data set without columns");
    hone_dataset *d = new_dataset(count);
    if (!d) return hone_fail_memory(err);
    hone_status status = HONE_OK;
    for (int i = 0; i < count && status == HONE_OK; i++)
        status = add_column(d, columns[i].name, columns[i].tensor, err);
    if (status != HONE_OK) {
        hone_dataset_free(d);
        return status;
    }
    hone_dataset_label(d, describe, "");
    *out = d;
    return HONE_OK;
}

hone_status hone_dataset_make_streamed(const char *column, hone_dtype dtype, int rank, const int64_t *dims,
                                       int64_t count, hone_sample_source *source, hone_dataset **out,
                                       hone_error *err) {
    hone_dataset *d = new_dataset(1);
    hone_stored_column c = {.dtype = dtype, .source = source, .rank = rank, .size = 1};
    if (d) c.name = hone_strdup(column);
    if (!d || !c.name) {
        free_source(source);
        hone_dataset_free(d);
        return hone_fail_memory(err);
    }
    for (int i = 0; i < rank; i++) c.size *= c.dims[i] = dims[i];
    d->columns[d->column_count++] = c;
    d->count = count;
    *out = d;
    return HONE_OK;
}

hone_status hone_dataset_with_column(const hone_dataset *d, const char *name, hone_tensor *data,
                                     hone_dataset **out, hone_error *err) {
    hone_dataset *more = new_dataset(d->column_count + 1);
    if (!more) return hone_fail_memory(err);
    copy_properties(more, d);
    hone_status status = HONE_OK;
    for (int i = 0; i < d->column_count && status == HONE_OK; i++)
        status = share_column(more, &d->columns[i], d->columns[i].rows, err);
    if (status == HONE_OK) status = add_column(more, name, data, err);
    if (status == HONE_OK)
        *out = more;
    else
        hone_dataset_free(more);
    return status;
}

/* The stored samples behind samples indices[0 … n-1] of a column. */
static hone_rows *chosen_rows(const hone_stored_column *c, const uint32_t *indices, int64_t n) {
    hone_rows *r = hone_alloc(sizeof *r + (size_t)n * sizeof *r->at);
    if (!r) return NULL;
    atomic_init(&r->references, 1);
    for (int64_t i = 0; i < n; i++) r->at[i] = c->rows ? c->rows->at[indices[i]] : indices[i];
    return r;
}

static hone_status choose(hone_dataset *s, const hone_dataset *d, const uint32_t *indices, int64_t n,
                          hone_error *err) {
    hone_rows *rows = NULL;
    hone_status status = HONE_OK;
    for (int i = 0; i < d->column_count && status == HONE_OK; i++) {
        const hone_stored_column *c = &d->columns[i];
        if (i == 0 || c->rows != c[-1].rows) { /* columns of one file share their rows */
            free_rows(rows);
            rows = chosen_rows(c, indices, n);
        }
        status = rows ? share_column(s, c, rows, err) : hone_fail_memory(err);
    }
    free_rows(rows);
    return status;
}

hone_status hone_dataset_subset(const hone_dataset *d, const uint32_t *indices, int64_t n, hone_dataset **out,
                                hone_error *err) {
    if (n <= 0 || n > UINT32_MAX)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "a subset of %" PRId64 " samples", n);
    for (int64_t i = 0; i < n; i++)
        if (indices[i] >= d->count)
            return hone_fail(err, HONE_OUT_OF_RANGE, "sample %u of %" PRId64, indices[i], d->count);
    hone_dataset *s = new_dataset(d->column_count);
    if (!s) return hone_fail_memory(err);
    copy_properties(s, d);
    s->count = n;
    say(s, d->count);
    hone_status status = choose(s, d, indices, n, err);
    if (status == HONE_OK)
        *out = s;
    else
        hone_dataset_free(s);
    return status;
}

void hone_dataset_free(hone_dataset *d) {
    if (!d) return;
    for (int i = 0; i < d->column_count; i++) {
        hone_free(d->columns[i].name);
        hone_tensor_free(d->columns[i].data);
        free_source(d->columns[i].source);
        free_rows(d->columns[i].rows);
    }
    hone_free(d->columns);
    free_texts(d->texts);
    hone_free(d);
}

bool hone_dataset_is_split(const hone_dataset *d) {
    return !d->whole;
}

int64_t hone_dataset_count(const hone_dataset *d) {
    return d->count;
}

int hone_dataset_column_count(const hone_dataset *d) {
    return d->column_count;
}

bool hone_dataset_column(const hone_dataset *d, int index, hone_column *out) {
    if (index < 0 || index >= d->column_count) return false;
    const hone_stored_column *c = &d->columns[index];
    *out = (hone_column){c->name, c->dtype, c->rank, c->dims};
    return true;
}

int hone_dataset_find(const hone_dataset *d, const char *name) {
    for (int i = 0; i < d->column_count; i++)
        if (strcmp(d->columns[i].name, name) == 0) return i;
    return -1;
}

int hone_dataset_classes(const hone_dataset *d, int column) {
    return column >= 0 && column < d->column_count ? d->columns[column].classes : 0;
}

const char *hone_dataset_class_name(const hone_dataset *d, int label) {
    return label >= 0 && label < d->class_name_count ? d->class_names[label] : NULL;
}

const char *hone_dataset_describe(const hone_dataset *d) {
    return d->describe;
}
