/* The different texts of a column. */
#include "base/error.h"
#include "base/memory.h"
#include "data/dataset.h"
#include "graph/tensor.h"

#include <stdlib.h>
#include <string.h>

typedef struct category {
    const hone_string *text;
    int64_t count;
} category;

static int compare_texts(const hone_string *a, const hone_string *b) {
    size_t least = a->size < b->size ? a->size : b->size;
    int order = least ? memcmp(a->data, b->data, least) : 0;
    return order ? order : (a->size > b->size) - (a->size < b->size);
}

static int by_text(const void *a, const void *b) {
    return compare_texts(((const category *)a)->text, ((const category *)b)->text);
}

/* The most frequent first. */
static int by_count(const void *a, const void *b) {
    const category *x = a, *y = b;
    return x->count != y->count ? (x->count < y->count) - (x->count > y->count) : by_text(a, b);
}

/* Puts equal ones together; gives how many are left. */
static int64_t join(category *c, int64_t n) {
    int64_t kept = 0;
    qsort(c, (size_t)n, sizeof *c, by_text);
    for (int64_t i = 0; i < n; i++) {
        if (kept && compare_texts(c[kept - 1].text, c[i].text) == 0)
            c[kept - 1].count++;
        else
            c[kept++] = c[i];
    }
    return kept;
}

static hone_status make(const category *c, int64_t n, hone_tensor **out, hone_error *err) {
    hone_tensor *t = NULL;
    HONE_TRY(hone_tensor_new(HONE_STRING, 1, &n, &t, err));
    hone_status status = HONE_OK;
    for (int64_t i = 0; i < n && status == HONE_OK; i++)
        status = hone_tensor_set_string(t, i, c[i].text->data ? c[i].text->data : "", c[i].text->size, err);
    if (status == HONE_OK)
        *out = t;
    else
        hone_tensor_free(t);
    return status;
}

hone_status hone_dataset_categories(const hone_dataset *d, int column, int64_t most, int64_t *all,
                                    hone_tensor **out, hone_error *err) {
    const hone_stored_column *c = &d->columns[column];
    if (c->dtype != HONE_STRING || c->size != 1 || !c->data)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "column '%s' has no categories", c->name);
    category *found = hone_alloc((size_t)d->count * sizeof *found);
    if (!found) return hone_fail_memory(err);
    for (int64_t i = 0; i < d->count; i++)
        found[i] = (category){(const hone_string *)c->data->data + (c->rows ? c->rows->at[i] : i), 1};
    int64_t n = join(found, d->count);
    if (all) *all = n;
    if (n > most) {
        qsort(found, (size_t)n, sizeof *found, by_count);
        n = most;
        qsort(found, (size_t)n, sizeof *found, by_text);
    }
    hone_status status = make(found, n, out, err);
    hone_free(found);
    return status;
}
