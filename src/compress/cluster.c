/* Weights of few kinds: each becomes one of some numbers that all of its tensor share, and these are trained.
 *
 *   w  ≈  book[kind]         kind constant: found by k-means of the numbers (Han et al. 2016, arXiv 1510.00149)
 *   while training           w = Gather(book, kind) ⊙ mask, so that a number's gradient is the sum over its members
 *
 * Zeros stay zero, beside the book. What is written are plain tensors; packed, they take the bits of their kinds. */
#include "base/half.h"
#include "compress/quantize.h"
#include "compress/sparsify.h"
#include "graph/infer.h"
#include "train/derive.h"
#include "train/parametrize.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MOST_ROUNDS 60

typedef struct book {
    hone_value *weight;
    const char *name;
    hone_tensor *kinds; /* int64, as the weight */
    hone_tensor *mask;  /* float32, as the weight: 0 where it is zero; NULL: nowhere */
    hone_tensor *entries;
} book;

typedef struct books {
    book *items;
    int count;
} books;

static void free_books(books *b) {
    for (int i = 0; i < b->count; i++) {
        hone_tensor_free(b->items[i].kinds);
        hone_tensor_free(b->items[i].mask);
        hone_tensor_free(b->items[i].entries);
    }
    hone_free(b->items);
}

/* --- k-means of sorted numbers --- */

static int by_size(const void *a, const void *b) {
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* The first of x[0 … n-1], sorted, that is nearer to the entry behind than to this one. */
static int64_t border(const float *x, int64_t n, float entry, float next) {
    const float middle = entry + (next - entry) / 2;
    int64_t low = 0, high = n;
    while (low < high) {
        const int64_t at = (low + high) / 2;
        if (x[at] <= middle)
            low = at + 1;
        else
            high = at;
    }
    return low;
}

/* Entries become the means of what is nearest to them; those of nothing stay. Is there a change? */
static bool move_entries(const float *x, int64_t n, float *entries, int64_t count) {
    bool moved = false;
    int64_t from = 0;
    for (int64_t k = 0; k < count; k++) {
        const int64_t to = k + 1 < count ? border(x, n, entries[k], entries[k + 1]) : n;
        double sum = 0;
        for (int64_t i = from; i < to; i++) sum += x[i];
        if (to > from) {
            const float mean = (float)(sum / (double)(to - from));
            moved |= mean != entries[k];
            entries[k] = mean;
        }
        from = to;
    }
    return moved;
}

/* They begin evenly between the least and the largest: large weights, which are few, count. */
static void find_entries(const float *x, int64_t n, float *entries, int64_t count) {
    for (int64_t k = 0; k < count; k++)
        entries[k] = n ? x[0] + (x[n - 1] - x[0]) * ((float)k + 0.5f) / (float)count : 0;
    for (int round = 0; round < MOST_ROUNDS && move_entries(x, n, entries, count); round++) continue;
}

/* The nearest entry. */
static int64_t kind_of(float x, const float *entries, int64_t count) {
    int64_t best = 0;
    for (int64_t k = 1; k < count; k++)
        if (fabsf(x - entries[k]) < fabsf(x - entries[best])) best = k;
    return best;
}

/* --- books --- */

static hone_status make_book(hone_value *w, int64_t entries, book *b, hone_error *err) {
    const hone_tensor *t = w->data;
    const float *x = t->data;
    float *sorted = hone_alloc((size_t)(t->count + 1) * sizeof *sorted);
    int64_t n = 0;
    *b = (book){.weight = w, .name = w->name};
    if (!sorted) return hone_fail_memory(err);
    for (int64_t i = 0; i < t->count; i++)
        if (x[i] != 0) sorted[n++] = x[i];
    qsort(sorted, (size_t)n, sizeof *sorted, by_size);
    hone_status status = hone_tensor_new(HONE_INT64, t->rank, t->dims, &b->kinds, err);
    if (status == HONE_OK) status = hone_tensor_new(HONE_FLOAT32, 1, &entries, &b->entries, err);
    if (status == HONE_OK && n < t->count)
        status = hone_tensor_new(HONE_FLOAT32, t->rank, t->dims, &b->mask, err);
    if (status == HONE_OK) find_entries(sorted, n, b->entries->data, entries);
    for (int64_t i = 0; i < t->count && status == HONE_OK; i++) {
        ((int64_t *)b->kinds->data)[i] = kind_of(x[i], b->entries->data, entries);
        if (b->mask) ((float *)b->mask->data)[i] = x[i] != 0;
    }
    hone_free(sorted);
    return status;
}

/* Numbers of a book have 8 bits behind the first: its steps are far larger, and the file is smaller. */
static float shortened(float x) {
    return hone_float_of_bfloat(hone_bfloat_of_float(x));
}

/* The weight by the book's entries, or with those that it has learned. */
static hone_status set_weight(const book *b, bool learned, hone_error *err) {
    hone_tensor *t = NULL, *was = b->weight->data;
    HONE_TRY(hone_tensor_copy_of(HONE_FLOAT32, was->rank, was->dims, was->data, &t, err));
    float *x = t->data;
    for (int64_t i = 0; i < t->count; i++) {
        if (!learned) x[i] = ((const float *)b->entries->data)[((const int64_t *)b->kinds->data)[i]];
        x[i] = b->mask && ((const float *)b->mask->data)[i] == 0 ? 0 : shortened(x[i]);
    }
    hone_tensor_free(was);
    b->weight->data = t;
    return HONE_OK;
}

/* --- training --- */

static hone_parametrized apply(hone_graph *g, hone_value *w, const void *arg) {
    const book *b = arg;
    (void)w;
    const char *name = hone_arena_printf(g->arena, "%s.book", b->name);
    hone_value *entries = hone_graph_add_constant(g, name, b->entries);
    hone_value *y = HONE_EMIT(g, "", "Gather", entries, hone_graph_add_constant(g, "kinds", b->kinds));
    if (b->mask) y = HONE_EMIT(g, "", "Mul", y, hone_graph_add_constant(g, "mask", b->mask));
    return (hone_parametrized){.value = y, .variables = {entries}, .variable_count = 1};
}

static hone_status train(hone_quantize_job *j, const hone_dataset *data, const books *b) {
    const hone_quantize_options *o = j->options;
    hone_train_options t;
    hone_parametrization *items = hone_calloc((size_t)b->count + 1, sizeof *items);
    hone_status status = items ? HONE_OK : hone_fail_memory(j->err);
    for (int i = 0; i < b->count && status == HONE_OK; i++)
        items[i] = (hone_parametrization){b->items[i].name, apply, &b->items[i]};
    if (status == HONE_OK)
        status = hone_finetune_options(j->g, j->original, o->finetune, o->distill, &t, j->err);
    if (status == HONE_OK) status = hone_train_parametrized(j->g, data, &t, items, b->count, NULL, j->err);
    hone_free(items);
    return status;
}

/* Worth a book: more numbers than some books have. */
static bool is_candidate(const hone_graph *g, const hone_value *v, int clusters) {
    return hone_is_trainable(g, v) && v->data && v->type.rank >= 1 && v->data->count > 4 * clusters;
}

static hone_status make_books(hone_quantize_job *j, books *b) {
    hone_graph *g = j->g;
    b->items = hone_calloc(g->value_count + 1, sizeof *b->items);
    if (!b->items) return hone_fail_memory(j->err);
    for (size_t i = 0; i < g->value_count; i++) {
        hone_value *v = g->values[i];
        if (!v || !is_candidate(g, v, j->options->clusters)) continue;
        for (int64_t k = 0; k < v->data->count; k++)
            if (!isfinite(((const float *)v->data->data)[k]))
                return hone_fail_node(j->err, HONE_OUT_OF_RANGE, v->name, NULL, "weight %lld is not finite",
                                      (long long)k);
        HONE_TRY(make_book(v, j->options->clusters, &b->items[b->count++], j->err));
    }
    return HONE_OK;
}

hone_status hone_quantize_clusters(hone_quantize_job *j, const hone_dataset *data) {
    books b = {NULL, 0};
    const bool trains = hone_quantize_trains(j->options);
    hone_status status = make_books(j, &b);
    for (int i = 0; i < b.count && status == HONE_OK; i++) status = set_weight(&b.items[i], false, j->err);
    if (status == HONE_OK && trains && b.count) status = train(j, data, &b);
    for (int i = 0; i < b.count && status == HONE_OK && trains; i++)
        status = set_weight(&b.items[i], true, j->err);
    j->report->quantized_nodes = b.count;
    free_books(&b);
    return status;
}
