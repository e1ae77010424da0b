#include "data/text.h"

#include "graph/tensor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- tokenizers --- */

static hone_status make(const char *description, const hone_corpus *c, hone_tokenizer **out,
                        hone_error *err) {
    hone_tokenizer_trainer *t = NULL;
    HONE_TRY(hone_tokenizer_trainer_new(description, &t, err));
    hone_status status = HONE_OK;
    for (size_t i = 0; i < c->count && status == HONE_OK; i++)
        status = hone_tokenizer_trainer_add(t, c->items[i].text, c->items[i].size, err);
    if (status == HONE_OK) status = hone_tokenizer_trainer_finish(t, out, err);
    hone_tokenizer_trainer_free(t);
    return status;
}

hone_status hone_text_tokenizer(const char *description, const hone_corpus *c, hone_tokenizer **out,
                                hone_error *err) {
    size_t length = strlen(description);
    bool file = length > 5 && strcmp(description + length - 5, ".json") == 0;
    return file ? hone_tokenizer_load(description, out, err) : make(description, c, out, err);
}

/* --- ids of all documents --- */

/* Document i has ids starts[i] … starts[i + 1]. */
typedef struct all_ids {
    int32_t *items;
    size_t count, capacity;
    size_t *starts;
} all_ids;

static hone_status encode_one(hone_encoder *e, const hone_document *d, unsigned flags, all_ids *out,
                              hone_error *err) {
    const int32_t *ids;
    size_t n;
    HONE_TRY(hone_encoder_encode(e, d->text, d->size, flags, &ids, &n, err));
    if (out->capacity - out->count < n &&
        !hone_reserve(&out->items, &out->capacity, out->count + n, sizeof *ids))
        return hone_fail_memory(err);
    if (n) memcpy(out->items + out->count, ids, n * sizeof *ids);
    out->count += n;
    return HONE_OK;
}

static hone_status encode_all(const hone_corpus *c, const hone_tokenizer *t, unsigned flags, all_ids *out,
                              hone_error *err) {
    hone_encoder *e = NULL;
    out->starts = hone_calloc(c->count + 1, sizeof *out->starts);
    hone_status status = out->starts ? hone_encoder_new(t, &e, err) : hone_fail_memory(err);
    for (size_t i = 0; i < c->count && status == HONE_OK; i++) {
        status = encode_one(e, &c->items[i], flags | HONE_ENCODE_PLAIN, out, err);
        out->starts[i + 1] = out->count;
    }
    hone_encoder_free(e);
    return status;
}

static void free_ids(all_ids *a) {
    hone_free(a->items);
    hone_free(a->starts);
}

/* --- columns --- */

static hone_dtype id_dtype(const hone_tokenizer *t) {
    return hone_tokenizer_size(t) <= 1 << 16 ? HONE_UINT16 : HONE_INT32;
}

static void set_id(hone_tensor *t, int64_t at, int64_t id) {
    if (t->dtype == HONE_UINT16)
        ((uint16_t *)t->data)[at] = (uint16_t)id;
    else if (t->dtype == HONE_INT16)
        ((int16_t *)t->data)[at] = (int16_t)id;
    else
        ((int32_t *)t->data)[at] = (int32_t)id;
}

static int by_size(const void *a, const void *b) {
    const int64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* What 95 % of the documents have no more of. */
static hone_status usual_length(const all_ids *ids, size_t count, int64_t *out, hone_error *err) {
    enum { MOST = 512, STEP = 8 };
    int64_t *sizes = hone_alloc(count * sizeof *sizes);
    if (!sizes) return hone_fail_memory(err);
    for (size_t i = 0; i < count; i++) sizes[i] = (int64_t)(ids->starts[i + 1] - ids->starts[i]);
    qsort(sizes, count, sizeof *sizes, by_size);
    int64_t n = sizes[count * 95 / 100];
    n = (n + STEP - 1) / STEP * STEP;
    *out = n < STEP ? STEP : n > MOST ? MOST : n;
    hone_free(sizes);
    return HONE_OK;
}

/* A text that is cut keeps its last id where that stands for its end. */
static void fill_row(const hone_tokenizer *t, const int32_t *ids, int64_t n, int64_t tokens, int64_t row,
                     hone_tensor *const *to) {
    int32_t pad = hone_tokenizer_pad(t), end = hone_tokenizer_end(t);
    bool keeps_end = n > tokens && end >= 0 && ids[n - 1] == end;
    uint8_t *mask = (uint8_t *)to[1]->data + row * tokens;
    for (int64_t i = 0; i < tokens; i++) {
        int32_t id = i < n ? ids[i] : pad < 0 ? 0 : pad;
        if (keeps_end && i == tokens - 1) id = end;
        set_id(to[0], row * tokens + i, id);
        mask[i] = i < n;
    }
}

static int by_text(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

typedef struct labels {
    const char **names;
    size_t count, capacity;
} labels;

static bool add_label(labels *l, const char *name) {
    if (l->count == l->capacity && !hone_reserve(&l->names, &l->capacity, l->count + 1, sizeof *l->names))
        return false;
    l->names[l->count++] = name;
    return true;
}

/* The names that a model has, in its order; else those that are there, sorted. */
static hone_status find_labels(const hone_corpus *c, const char *classes, labels *out, hone_error *err) {
    while (classes && *classes) {
        size_t n = strcspn(classes, "\n");
        const char *name = hone_arena_strndup(c->arena, classes, n);
        if (!name || !add_label(out, name)) return hone_fail_memory(err);
        classes += n + (classes[n] == '\n');
    }
    if (out->count) return HONE_OK;
    const char **all = hone_alloc((c->count + 1) * sizeof *all);
    if (!all) return hone_fail_memory(err);
    for (size_t i = 0; i < c->count; i++) all[i] = c->items[i].label;
    qsort(all, c->count, sizeof *all, by_text);
    bool good = true;
    for (size_t i = 0; i < c->count && good; i++)
        if (i == 0 || strcmp(all[i], all[i - 1]) != 0) good = add_label(out, all[i]);
    hone_free(all);
    return good ? HONE_OK : hone_fail_memory(err);
}

/* Names in the model's order need not be sorted: a search by size serves a few hundred. */
static hone_status set_labels(const hone_corpus *c, const labels *l, hone_tensor *y, hone_error *err) {
    for (size_t i = 0; i < c->count; i++) {
        size_t k = 0;
        const hone_document *before = i ? &c->items[i - 1] : NULL;
        if (before && strcmp(before->label, c->items[i].label) == 0) {
            ((int32_t *)y->data)[i] = ((int32_t *)y->data)[i - 1];
            continue;
        }
        while (k < l->count && strcmp(l->names[k], c->items[i].label) != 0) k++;
        if (k == l->count)
            return hone_fail(err, HONE_INVALID_ARGUMENT, "the label '%.80s' is no class of the model",
                             c->items[i].label);
        ((int32_t *)y->data)[i] = (int32_t)k;
    }
    return HONE_OK;
}

static hone_status fill_columns(const hone_corpus *c, const hone_tokenizer *t, const all_ids *ids,
                                int64_t tokens, hone_tensor **to, hone_error *err) {
    int64_t dims[] = {(int64_t)c->count, tokens};
    HONE_TRY(hone_tensor_new(id_dtype(t), 2, dims, &to[0], err));
    HONE_TRY(hone_tensor_new(HONE_UINT8, 2, dims, &to[1], err));
    HONE_TRY(hone_tensor_new(HONE_UINT8, 2, dims, &to[2], err));
    memset(to[2]->data, 0, to[2]->bytes);
    for (size_t i = 0; i < c->count; i++)
        fill_row(t, ids->items + ids->starts[i], (int64_t)(ids->starts[i + 1] - ids->starts[i]), tokens,
                 (int64_t)i, to);
    return HONE_OK;
}

static hone_status make_columns(const hone_corpus *c, const hone_tokenizer *t, int64_t tokens,
                                const labels *l, hone_tensor **to, hone_dataset **out, hone_error *err) {
    all_ids ids = {NULL};
    hone_status status = encode_all(c, t, HONE_ENCODE_TEMPLATE, &ids, err);
    if (status == HONE_OK && tokens <= 0) status = usual_length(&ids, c->count, &tokens, err);
    if (status == HONE_OK) status = fill_columns(c, t, &ids, tokens, to, err);
    free_ids(&ids);
    HONE_TRY(status);
    if (l->count) {
        int64_t count = (int64_t)c->count;
        HONE_TRY(hone_tensor_new(HONE_INT32, 1, &count, &to[3], err));
        HONE_TRY(set_labels(c, l, to[3], err));
    }
    hone_named_tensor columns[] = {
        {"input_ids", to[0]}, {"attention_mask", to[1]}, {"token_type_ids", to[2]}, {"y", to[3]}};
    return hone_dataset_make(columns, l->count ? 4 : 3, "text", out, err);
}

static hone_status name_classes(hone_dataset *d, const labels *l, hone_error *err) {
    hone_string *names = hone_calloc(l->count + 1, sizeof *names);
    if (!names) return hone_fail_memory(err);
    for (size_t i = 0; i < l->count; i++)
        names[i] = (hone_string){(char *)(uintptr_t)l->names[i], strlen(l->names[i])};
    hone_status status = hone_dataset_name_classes(d, names, (int)l->count, err);
    hone_free(names);
    return status;
}

hone_status hone_text_columns(const hone_corpus *c, const hone_tokenizer *t, int64_t tokens,
                              const char *classes, hone_dataset **out, hone_error *err) {
    hone_tensor *to[4] = {NULL};
    labels l = {NULL};
    if (c->count == 0) return hone_fail(err, HONE_INVALID_ARGUMENT, "no texts");
    if (c->labeled && c->labeled < c->count)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "%zu of %zu texts have no label", c->count - c->labeled,
                         c->count);
    hone_status status = c->labeled ? find_labels(c, classes, &l, err) : HONE_OK;
    if (status == HONE_OK) status = make_columns(c, t, tokens, &l, to, out, err);
    for (int i = 0; i < 4; i++) hone_tensor_free(to[i]);
    if (status == HONE_OK && l.count) {
        status = name_classes(*out, &l, err);
        if (status != HONE_OK) hone_dataset_free(*out);
    }
    hone_free(l.names);
    return status;
}

/* --- windows --- */

static int64_t windows_of(size_t ids, int64_t tokens) {
    return ((int64_t)ids + 1 + tokens - 1) / tokens; /* each id and the end are one target */
}

/* Place k of a document: its ids between two end tokens. */
static int32_t token_at(const int32_t *ids, size_t n, size_t k, int32_t end) {
    return k == 0 || k > n ? end : ids[k - 1];
}

/* The bytes of a document, shared out over its windows as its tokens are; what is rounded goes to the last one. */
static int64_t bytes_until(size_t bytes, size_t ids, int64_t targets) {
    return (int64_t)((double)bytes * (double)targets / (double)(ids + 1) + 0.5);
}

static void fill_windows(const hone_document *d, const int32_t *ids, size_t n, int64_t tokens, int32_t end,
                         int32_t pad, int64_t *row, hone_tensor *const *to) {
    for (int64_t w = 0, at = 0; w < windows_of(n, tokens); w++, ++*row) {
        int64_t first = at;
        for (int64_t i = 0; i < tokens; i++, at++) {
            bool there = at <= (int64_t)n;
            set_id(to[0], *row * tokens + i, there ? token_at(ids, n, (size_t)at, end) : pad);
            set_id(to[1], *row * tokens + i, there ? token_at(ids, n, (size_t)at + 1, end) : HONE_NO_TOKEN);
        }
        int64_t last = at > (int64_t)n + 1 ? (int64_t)n + 1 : at;
        ((int64_t *)to[2]->data)[*row] = bytes_until(d->size, n, last) - bytes_until(d->size, n, first);
    }
}

static hone_status make_windows(const hone_corpus *c, const hone_tokenizer *t, int64_t tokens,
                                hone_tensor **to, hone_error *err) {
    int32_t end = hone_tokenizer_end(t), pad = hone_tokenizer_pad(t);
    all_ids ids = {NULL};
    hone_status status = encode_all(c, t, 0, &ids, err);
    int64_t count = 0, row = 0;
    for (size_t i = 0; i < c->count && status == HONE_OK; i++)
        count += windows_of(ids.starts[i + 1] - ids.starts[i], tokens);
    int64_t dims[] = {count, tokens};
    hone_dtype target = hone_tokenizer_size(t) <= INT16_MAX ? HONE_INT16 : HONE_INT32;
    if (status == HONE_OK) status = hone_tensor_new(id_dtype(t), 2, dims, &to[0], err);
    if (status == HONE_OK) status = hone_tensor_new(target, 2, dims, &to[1], err);
    if (status == HONE_OK) status = hone_tensor_new(HONE_INT64, 1, dims, &to[2], err);
    for (size_t i = 0; i < c->count && status == HONE_OK; i++)
        fill_windows(&c->items[i], ids.items + ids.starts[i], ids.starts[i + 1] - ids.starts[i], tokens, end,
                     pad < 0 ? end : pad, &row, to);
    free_ids(&ids);
    return status;
}

hone_status hone_text_windows(const hone_corpus *c, const hone_tokenizer *t, int64_t tokens,
                              hone_dataset **out, hone_error *err) {
    enum { USUAL = 128 };
    hone_tensor *to[3] = {NULL};
    if (c->count == 0) return hone_fail(err, HONE_INVALID_ARGUMENT, "no texts");
    if (hone_tokenizer_end(t) < 0)
        return hone_fail(err, HONE_UNSUPPORTED,
                         "the tokenizer has no token for the end of a text, such as </s>");
    hone_status status = make_windows(c, t, tokens > 0 ? tokens : USUAL, to, err);
    hone_named_tensor columns[] = {{"input_ids", to[0]}, {"y", to[1]}, {"text_bytes", to[2]}};
    if (status == HONE_OK) status = hone_dataset_make(columns, 3, "text", out, err);
    for (int i = 0; i < 3; i++) hone_tensor_free(to[i]);
    return status;
}
