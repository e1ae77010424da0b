/* Parting the samples of a data set: at random, as many of each class as of all, groups whole; or by their order. */
#include "base/error.h"
#include "base/memory.h"
#include "base/random.h"
#include "data/dataset.h"
#include "graph/tensor.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct drawing {
    const hone_dataset *data;
    const hone_draw_options *options;
    int64_t wanted;
    bool *drawn; /* of each sample */
} drawing;

static hone_status count_wanted(const hone_dataset *d, const hone_draw_options *o, int64_t *out,
                                hone_error *err) {
    double all = (double)d->count, wanted = o->share < 1 ? round(o->share * all) : o->share;
    if (!(o->share > 0) || (o->share >= 1 && o->share != floor(o->share)))
        return hone_fail(err, HONE_INVALID_ARGUMENT, "%g is neither a share of the samples nor their number",
                         o->share);
    if (o->share < 1 && wanted < 1) wanted = 1;
    if (wanted >= all)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "%g of %" PRId64 " samples leave none", o->share,
                         d->count);
    *out = (int64_t)wanted;
    return HONE_OK;
}

static uint64_t stream(const char *what) {
    return hone_hash(what, strlen(what));
}

/* --- classes --- */

/* The column whose classes are to be told apart; -1: none. */
static int strata_of(const hone_dataset *d, const char *target) {
    int column = hone_dataset_usual_target(d, target);
    return hone_dataset_classes(d, column) > 1 ? column : -1;
}

/* So many of each class, in the order of their rests: all together are `wanted`. */
static void share_out(const int64_t *counts, int classes, int64_t all, int64_t wanted, int64_t *quota) {
    int64_t left = wanted;
    for (int c = 0; c < classes; c++) {
        quota[c] = (int64_t)((double)counts[c] * (double)wanted / (double)all);
        left -= quota[c];
    }
    while (left > 0) {
        int best = -1;
        double most = -INFINITY;
        for (int c = 0; c < classes; c++) {
            double rest = (double)counts[c] * (double)wanted / (double)all - (double)quota[c];
            if (quota[c] < counts[c] && rest > most) best = c;
            if (quota[c] < counts[c] && rest > most) most = rest;
        }
        quota[best]++;
        left--;
    }
}

/* places: the samples class after class; counts[c] of class c. */
static hone_status draw_classes(const drawing *w, const int64_t *labels, int classes, hone_error *err) {
    int64_t n = w->data->count;
    int64_t *counts = hone_calloc(3 * (size_t)classes + 1, sizeof *counts), *quota = counts + classes,
            *start = quota + classes;
    uint32_t *places = hone_alloc((size_t)n * sizeof *places), *order = hone_alloc((size_t)n * sizeof *order);
    if (!counts || !places || !order) {
        hone_free(counts);
        hone_free(places);
        hone_free(order);
        return hone_fail_memory(err);
    }
    for (int64_t i = 0; i < n; i++) counts[labels[i]]++;
    for (int c = 1; c < classes; c++) start[c] = start[c - 1] + counts[c - 1];
    for (int64_t i = 0; i < n; i++) places[start[labels[i]]++] = (uint32_t)i;
    share_out(counts, classes, n, w->wanted, quota);
    for (int64_t c = 0, at = 0; c < classes; at += counts[c++]) {
        if (quota[c] == 0) continue;
        hone_rng_permutation(w->options->seed, stream("draw") + (uint64_t)c, order, (uint32_t)counts[c]);
        for (int64_t i = 0; i < quota[c]; i++) w->drawn[places[at + order[i]]] = true;
    }
    hone_free(counts);
    hone_free(places);
    hone_free(order);
    return HONE_OK;
}

static hone_status draw_samples(const drawing *w, hone_error *err) {
    int column = strata_of(w->data, w->options->target);
    int64_t n = w->data->count, *labels = hone_calloc((size_t)n, sizeof *labels);
    if (!labels) return hone_fail_memory(err);
    hone_status status = HONE_OK;
    if (column >= 0) status = hone_dataset_read_labels(w->data, column, NULL, 0, n, labels, err);
    if (status == HONE_OK)
        status = draw_classes(w, labels, column >= 0 ? hone_dataset_classes(w->data, column) : 1, err);
    hone_free(labels);
    return status;
}

/* --- groups --- */

typedef struct member {
    const hone_stored_column *column;
    int64_t at;      /* where its value is stored */
    uint32_t sample; /* whose it is */
} member;

static int compare_values(const member *a, const member *b) {
    const hone_stored_column *c = a->column;
    if (c->dtype != HONE_STRING) {
        size_t size = (size_t)c->size * hone_dtype_size(c->dtype);
        const char *data = c->data->data;
        return memcmp(data + (size_t)a->at * size, data + (size_t)b->at * size, size);
    }
    const hone_string *x = (const hone_string *)c->data->data + a->at,
                      *y = (const hone_string *)c->data->data + b->at;
    size_t least = x->size < y->size ? x->size : y->size;
    int order = least ? memcmp(x->data, y->data, least) : 0;
    return order ? order : (x->size > y->size) - (x->size < y->size);
}

static int by_value(const void *a, const void *b) {
    const member *x = a, *y = b;
    int order = compare_values(x, y);
    return order ? order : (x->sample > y->sample) - (x->sample < y->sample);
}

/* Whole groups in random order, each that brings the number nearer to what is wanted; starts[g] is group g's first
 * member. */
static void take_groups(const drawing *w, const member *members, const int64_t *starts, int64_t groups,
                        const uint32_t *order) {
    int64_t taken = 0, whole = 0;
    for (int64_t i = 0; i < groups && whole < groups - 1; i++) {
        int64_t first = starts[order[i]], end = starts[order[i] + 1], with = taken + end - first;
        if (whole > 0 && llabs(with - w->wanted) >= llabs(taken - w->wanted)) continue;
        for (int64_t m = first; m < end; m++) w->drawn[members[m].sample] = true;
        taken = with;
        whole++;
    }
}

static hone_status draw_groups(const drawing *w, int column, hone_error *err) {
    const hone_stored_column *c = &w->data->columns[column];
    int64_t n = w->data->count, groups = 0;
    if (!c->data) return hone_fail(err, HONE_INVALID_ARGUMENT, "column '%s' can't be one of groups", c->name);
    member *members = hone_alloc((size_t)n * sizeof *members);
    int64_t *starts = hone_alloc(((size_t)n + 1) * sizeof *starts);
    uint32_t *order = hone_alloc((size_t)n * sizeof *order);
    hone_status status = members && starts && order ? HONE_OK : hone_fail_memory(err);
    for (int64_t i = 0; i < n && status == HONE_OK; i++)
        members[i] = (member){c, c->rows ? c->rows->at[i] : i, (uint32_t)i};
    if (status == HONE_OK) {
        qsort(members, (size_t)n, sizeof *members, by_value);
        for (int64_t i = 0; i < n; i++)
            if (i == 0 || compare_values(&members[i - 1], &members[i]) != 0) starts[groups++] = i;
        starts[groups] = n;
        if (groups < 2)
            status = hone_fail(err, HONE_INVALID_ARGUMENT,
                               "all samples are of one group of column '%s': they can't be parted", c->name);
    }
    if (status == HONE_OK) {
        hone_rng_permutation(w->options->seed, stream("groups"), order, (uint32_t)groups);
        take_groups(w, members, starts, groups, order);
    }
    hone_free(members);
    hone_free(starts);
    hone_free(order);
    return status;
}

/* --- drawing --- */

static hone_status draw(const drawing *w, hone_error *err) {
    const hone_draw_options *o = w->options;
    const hone_dataset *d = w->data;
    const char *group = o->group ? o->group : d->group;
    for (int64_t i = d->count - w->wanted; o->in_order && i < d->count; i++) w->drawn[i] = true;
    if (o->in_order) return HONE_OK;
    if (!*group) return draw_samples(w, err);
    int column = hone_dataset_find(d, group);
    if (column < 0)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "%s has no column '%s' of groups",
                         hone_dataset_describe(d), group);
    return draw_groups(w, column, err);
}

/* Those samples that are drawn, or those that aren't, in their order. */
static hone_status take(const drawing *w, bool drawn, uint32_t *indices, hone_dataset **out,
                        hone_error *err) {
    int64_t n = 0;
    for (int64_t i = 0; i < w->data->count; i++)
        if (w->drawn[i] == drawn) indices[n++] = (uint32_t)i;
    return hone_dataset_subset(w->data, indices, n, out, err);
}

hone_status hone_dataset_draw(const hone_dataset *d, const hone_draw_options *options, hone_dataset **drawn,
                              hone_dataset **rest, hone_error *err) {
    HONE_TRY(hone_check_options_size(options->size, sizeof *options, err));
    drawing w = {.data = d, .options = options};
    HONE_TRY(count_wanted(d, options, &w.wanted, err));
    w.drawn = hone_calloc((size_t)d->count, sizeof *w.drawn);
    uint32_t *indices = hone_alloc((size_t)d->count * sizeof *indices);
    hone_dataset *one = NULL, *other = NULL;
    hone_status status = w.drawn && indices ? draw(&w, err) : hone_fail_memory(err);
    if (status == HONE_OK) status = take(&w, true, indices, &one, err);
    if (status == HONE_OK && rest) status = take(&w, false, indices, &other, err);
    hone_free(indices);
    hone_free(w.drawn);
    if (status != HONE_OK) {
        hone_dataset_free(one);
        return status;
    }
    *drawn = one;
    if (rest) *rest = other;
    return HONE_OK;
}

int hone_dataset_usual_target(const hone_dataset *d, const char *target) {
    static const char *const usual[] = {"y",       "Y",     "label",   "labels", "target",
                                        "targets", "class", "classes", "arr_1"};
    if (target) return hone_dataset_find(d, target);
    int column = *d->target ? hone_dataset_find(d, d->target) : -1;
    for (size_t i = 0; column < 0 && i < sizeof usual / sizeof *usual; i++)
        column = hone_dataset_find(d, usual[i]);
    return column;
}

hone_status hone_dataset_class_counts(const hone_dataset *d, int column, int64_t *counts, hone_error *err) {
    enum { SOME = 512 };
    int64_t labels[SOME];
    int classes = hone_dataset_classes(d, column);
    memset(counts, 0, (size_t)classes * sizeof *counts);
    for (int64_t at = 0; classes > 0 && at < d->count; at += SOME) {
        int64_t n = d->count - at < SOME ? d->count - at : SOME;
        HONE_TRY(hone_dataset_read_labels(d, column, NULL, at, n, labels, err));
        for (int64_t i = 0; i < n; i++) counts[labels[i]]++;
    }
    return HONE_OK;
}
