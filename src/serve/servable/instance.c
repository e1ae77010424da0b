#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "serve/servable/servable.h"

#include <string.h>

#define KEEP_STORAGE ((size_t)1 << 20)
enum { EXTRA_MOST = 1000 }; /* batches */

static size_t round_up(size_t bytes) {
    return (bytes + 63) & ~(size_t)63;
}

static size_t row_bytes(const hone_tensor *t) {
    return t->dims[0] > 0 ? t->bytes / (size_t)t->dims[0] : 0;
}

static bool sum_bytes(const size_t *row, int count, int64_t rows, size_t *total) {
    size_t sum = 0;
    for (int i = 0; i < count; i++) {
        size_t bytes;
        if (!hone_mul_size(row[i], (size_t)rows, &bytes) || bytes > SIZE_MAX / 2 ||
            !hone_add_size(sum, round_up(bytes), &sum))
            return false;
    }
    *total = sum;
    return true;
}

/* --- room --- */

static bool grow(char **block, size_t *capacity, size_t bytes) {
    if (bytes <= *capacity && *block) return true;
    char *made = hone_alloc(bytes);
    if (!made) return false;
    hone_free(*block);
    *block = made;
    *capacity = bytes;
    return true;
}

bool hone_batch_reserve(hone_servable *s, hone_batch *batch, const size_t *row, int64_t rows) {
    size_t bytes;
    if (!sum_bytes(row, s->output_count, rows, &bytes) || !grow(&batch->storage, &batch->capacity, bytes))
        return false;
    batch->usual = batch->capacity;
    return true;
}

bool hone_instance_reserve(hone_servable *s, hone_instance *instance, const size_t *row, int64_t rows) {
    size_t bytes;
    return sum_bytes(row, s->input_count, rows, &bytes) &&
           grow(&instance->staging, &instance->capacity, bytes);
}

bool hone_servable_has_batch(const hone_servable *s) {
    return s->spare || s->extra_count < EXTRA_MOST;
}

hone_batch *hone_servable_take_batch(hone_servable *s) {
    hone_batch *b = s->spare;
    if (b) {
        s->spare = b->next;
    } else {
        b = hone_calloc(1, sizeof *b);
        if (b) b->outputs = hone_calloc((size_t)s->output_count + 1, sizeof *b->outputs);
        if (!b || !b->outputs) {
            hone_free(b);
            return NULL;
        }
        b->extra = true;
        s->extra_count++;
    }
    b->servable = s;
    b->status = HONE_OK;
    b->err.message[0] = 0;
    return b;
}

void hone_servable_give_batch(hone_servable *s, hone_batch *b) {
    if (!b->extra) {
        b->servable = NULL;
        b->next = s->spare;
        s->spare = b;
        return;
    }
    s->extra_count--;
    hone_free(b->storage);
    hone_free(b->outputs);
    hone_free(b);
}

void hone_batch_shrink(hone_batch *batch) {
    if (batch->capacity <= KEEP_STORAGE || batch->capacity <= batch->usual) return;
    hone_free(batch->storage);
    batch->storage = NULL;
    batch->capacity = 0;
}

/* --- views --- of the elements of others: `to` keeps its reference count */

static void view_whole(hone_tensor *to, const hone_tensor *t) {
    to->dtype = t->dtype;
    to->rank = t->rank;
    memcpy(to->dims, t->dims, sizeof to->dims);
    to->count = t->count;
    to->bytes = t->bytes;
    to->data = t->data;
}

/* `rows` rows at `data`, each as those of `like`. */
static void view_rows(hone_tensor *to, const hone_tensor *like, int64_t rows, void *data) {
    view_whole(to, like);
    to->dims[0] = rows;
    to->count = like->count / like->dims[0] * rows;
    to->bytes = row_bytes(like) * (size_t)rows;
    to->data = data;
}

/* --- inputs --- */

/* Rows `at` to at + n of one request, where they lie. */
static void feed_view(hone_servable *s, hone_instance *instance, const hone_part *p, int64_t at, int64_t n) {
    for (int i = 0; i < s->input_count; i++) {
        const hone_tensor *t = p->inputs[i];
        view_rows(&instance->in[i], t, n, (char *)t->data + row_bytes(t) * (size_t)at);
    }
}

/* The rows of all parts, from row `at` of the first one on, and copies of the last row up to `size`. */
static hone_status feed_copy(hone_servable *s, hone_instance *instance, const hone_part *first, int64_t at,
                             int64_t size, hone_error *err) {
    size_t total = 0;
    for (int i = 0; i < s->input_count; i++) total += round_up(row_bytes(first->inputs[i]) * (size_t)size);
    if (!grow(&instance->staging, &instance->capacity, total)) return hone_fail_memory(err);
    char *to = instance->staging;
    for (int i = 0; i < s->input_count; i++) {
        size_t row = row_bytes(first->inputs[i]), used = 0, skip = row * (size_t)at;
        for (const hone_part *p = first; p; p = p->next, skip = 0) {
            const hone_tensor *t = p->inputs[i];
            memcpy(to + used, (const char *)t->data + skip, t->bytes - skip);
            used += t->bytes - skip;
        }
        for (; used < row * (size_t)size; used += row) memcpy(to + used, to + used - row, row);
        view_rows(&instance->in[i], first->inputs[i], size, to);
        to += round_up(row * (size_t)size);
    }
    return HONE_OK;
}

/* --- results --- */

/* The results as they lie in the context, to be read before its next run. */
static void borrow(hone_servable *s, hone_instance *instance, hone_batch *batch) {
    for (int i = 0; i < s->output_count; i++) view_whole(&batch->outputs[i], instance->results[i]);
}

/* Bytes of a tensor with its strings. */
static bool whole_bytes(const hone_tensor *t, size_t *bytes) {
    const hone_string *strings = t->data;
    *bytes = t->bytes;
    for (int64_t i = 0; t->dtype == HONE_STRING && i < t->count; i++)
        if (!hone_add_size(*bytes, strings[i].size, bytes) || !hone_add_size(*bytes, 1, bytes)) return false;
    return *bytes <= SIZE_MAX / 2;
}

/* The strings of a tensor, borrowed until here, behind its elements. */
static void keep_strings(hone_tensor *t) {
    hone_string *strings = t->data;
    char *to = (char *)t->data + t->bytes;
    for (int64_t i = 0; i < t->count; i++) {
        if (strings[i].size) memcpy(to, strings[i].data, strings[i].size);
        to[strings[i].size] = 0;
        strings[i].data = to;
        to += strings[i].size + 1;
    }
}

static hone_status keep_whole(hone_servable *s, hone_instance *instance, hone_batch *batch, hone_error *err) {
    size_t total = 0, bytes;
    borrow(s, instance, batch);
    for (int i = 0; i < s->output_count; i++)
        if (!whole_bytes(&batch->outputs[i], &bytes) || !hone_add_size(total, round_up(bytes), &total))
            return hone_fail_memory(err);
    if (!grow(&batch->storage, &batch->capacity, total)) return hone_fail_memory(err);
    char *to = batch->storage;
    for (int i = 0; i < s->output_count; i++) {
        hone_tensor *t = &batch->outputs[i];
        whole_bytes(t, &bytes);
        memcpy(to, t->data, t->bytes);
        t->data = to;
        if (t->dtype == HONE_STRING) keep_strings(t);
        to += round_up(bytes);
    }
    return HONE_OK;
}

/* At the first piece: room for `total` rows. */
static hone_status lay_out(hone_servable *s, hone_instance *instance, hone_batch *batch, int64_t total,
                           hone_error *err) {
    size_t sum = 0;
    for (int i = 0; i < s->output_count; i++)
        sum += round_up(row_bytes(instance->results[i]) * (size_t)total);
    if (!grow(&batch->storage, &batch->capacity, sum)) return hone_fail_memory(err);
    char *to = batch->storage;
    for (int i = 0; i < s->output_count; i++) {
        view_rows(&batch->outputs[i], instance->results[i], total, to);
        to += round_up(batch->outputs[i].bytes);
    }
    return HONE_OK;
}

static hone_status keep_rows(hone_servable *s, hone_instance *instance, hone_batch *batch, int64_t at,
                             int64_t n, int64_t total, hone_error *err) {
    if (at == 0) HONE_TRY(lay_out(s, instance, batch, total, err));
    for (int i = 0; i < s->output_count; i++) {
        hone_tensor *to = &batch->outputs[i];
        size_t row = row_bytes(instance->results[i]);
        if (row * (size_t)total != to->bytes)
            return hone_fail(err, HONE_INTERNAL, "the rows of \"%s\" are of different sizes",
                             s->outputs[i].name);
        memcpy((char *)to->data + row * (size_t)at, instance->results[i]->data, row * (size_t)n);
    }
    return HONE_OK;
}

static hone_status check_rows(hone_servable *s, hone_instance *instance, int64_t size, hone_error *err) {
    for (int i = 0; i < s->output_count; i++) {
        const hone_tensor *t = instance->results[i];
        if (t->rank < 1 || t->dims[0] != size)
            return hone_fail(err, HONE_INTERNAL, "the output \"%s\" has not a row for each row of the inputs",
                             s->outputs[i].name);
    }
    return HONE_OK;
}

const hone_tensor *const *hone_instance_view(hone_servable *s, hone_instance *instance,
                                             const hone_batch *batch, const hone_part *p) {
    for (int i = 0; i < s->output_count; i++) {
        const hone_tensor *t = &batch->outputs[i];
        hone_tensor *to = &instance->out[i];
        if (p->rows > 0)
            view_rows(to, t, p->rows, (char *)t->data + row_bytes(t) * (size_t)p->offset);
        else
            view_whole(to, t);
    }
    return instance->out_list;
}

/* --- runs --- */

static hone_status compute(hone_instance *instance, hone_run *run, const hone_tensor *const *inputs,
                           hone_error *err) {
    uint64_t start = hone_now();
    if (run->dry) return hone_context_reserve(instance->context, inputs, err);
    hone_context_set_cancel(instance->context, run->cancel, run->user);
    hone_status status = hone_context_run(instance->context, inputs, instance->results, err);
    hone_context_set_cancel(instance->context, NULL, NULL);
    run->computed += (double)(hone_now() - start) * 1e-9;
    return status;
}

static hone_status run_whole(hone_servable *s, hone_instance *instance, hone_run *run, hone_batch *batch,
                             hone_error *err) {
    run->first->offset = 0;
    HONE_TRY(compute(instance, run, run->first->inputs, err));
    if (run->dry) return HONE_OK;
    if (run->keep) return keep_whole(s, instance, batch, err);
    borrow(s, instance, batch);
    return HONE_OK;
}

static hone_status run_piece(hone_servable *s, hone_instance *instance, hone_run *run, hone_batch *batch,
                             int64_t at, int64_t n, int64_t total, hone_error *err) {
    int64_t size = s->sizes[hone_servable_size_index(s, n)];
    uint64_t start = hone_now();
    if (!run->first->next && size == n)
        feed_view(s, instance, run->first, at, n);
    else
        HONE_TRY(feed_copy(s, instance, run->first, at, size, err));
    run->staged += (double)(hone_now() - start) * 1e-9;
    run->size = size;
    HONE_TRY(compute(instance, run, instance->in_list, err));
    if (run->dry) return HONE_OK;
    HONE_TRY(check_rows(s, instance, size, err));
    if (run->keep || n < total) return keep_rows(s, instance, batch, at, n, total, err);
    borrow(s, instance, batch);
    return HONE_OK;
}

hone_status hone_instance_run(hone_servable *s, hone_instance *instance, hone_run *run, hone_batch *batch,
                              hone_error *err) {
    run->staged = run->computed = 0;
    run->size = 0;
    if (run->first->rows < 0) return run_whole(s, instance, run, batch, err);
    int64_t total = 0, most = s->sizes[s->size_count - 1];
    for (hone_part *p = run->first; p; p = p->next) {
        p->offset = total;
        total += p->rows;
    }
    for (int64_t at = 0; at < total; at += most)
        HONE_TRY(run_piece(s, instance, run, batch, at, total - at < most ? total - at : most, total, err));
    return HONE_OK;
}

hone_status hone_servable_run(hone_servable *s, int worker, const hone_tensor *const *inputs,
                              const hone_tensor **outputs, hone_cancel_fn *cancel, void *user,
                              hone_error *err) {
    hone_context *c = s->instances[worker].context;
    HONE_TRY(hone_servable_check(s, inputs, err));
    hone_context_set_cancel(c, cancel, user);
    hone_status status = hone_context_run(c, inputs, outputs, err);
    hone_context_set_cancel(c, NULL, NULL);
    return status;
}
