#include "base/clock.h"
#include "base/error.h"
#include "base/mapping.h"
#include "base/memory.h"
#include "runtime/growth.h"
#include "runtime/model.h"
#include "serve/servable/servable.h"

#include <string.h>

/* What an instance keeps of each kind of memory, where warm-up has not needed more. */
#define KEEP ((size_t)4 << 20)
#define PIECE ((size_t)256 << 10)
enum { MANY = 64 }; /* times the largest size */

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

static hone_status grow(hone_store *store, size_t bytes, hone_room *room, hone_error *err) {
    if (bytes <= store->capacity && store->data) return HONE_OK;
    if (bytes > store->capacity && !hone_room_take(room, bytes - store->capacity))
        return hone_fail(err, HONE_RESOURCE_EXHAUSTED, "there is no room for %zu bytes of rows", bytes);
    char *made = hone_alloc(bytes);
    if (!made) return hone_fail_memory(err);
    hone_free(store->data);
    store->data = made;
    store->capacity = bytes;
    return HONE_OK;
}

static bool reserve(hone_store *store, const size_t *row, int count, int64_t rows) {
    size_t bytes;
    if (!sum_bytes(row, count, rows, &bytes) || grow(store, bytes, NULL, NULL) != HONE_OK) return false;
    store->usual = store->capacity;
    return true;
}

bool hone_instance_reserve(hone_servable *s, hone_instance *instance, const size_t *inputs, int64_t rows,
                           const size_t *outputs, int64_t result_rows) {
    return reserve(&instance->inputs, inputs, s->input_count, rows) &&
           reserve(&instance->pieces, outputs, s->output_count, result_rows);
}

static void shrink(hone_store *store) {
    if (store->capacity <= KEEP || store->capacity <= store->usual) return;
    hone_free(store->data);
    store->data = NULL;
    store->capacity = 0;
}

void hone_instance_shrink(hone_instance *instance) {
    size_t bytes = hone_context_memory(instance->context);
    if (bytes > KEEP && bytes > instance->usual) hone_context_trim(instance->context);
    shrink(&instance->inputs);
    shrink(&instance->pieces);
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
static hone_status feed_copy(hone_servable *s, hone_instance *instance, const hone_run *run, int64_t at,
                             int64_t size, hone_error *err) {
    const hone_part *first = run->first;
    size_t total = 0;
    for (int i = 0; i < s->input_count; i++) total += round_up(row_bytes(first->inputs[i]) * (size_t)size);
    HONE_TRY(grow(&instance->inputs, total, run->room, err));
    char *to = instance->inputs.data;
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
static void borrow(hone_servable *s, hone_instance *instance) {
    for (int i = 0; i < s->output_count; i++) view_whole(&instance->outputs[i], instance->results[i]);
}

/* At the first piece: room for `total` rows. */
static hone_status lay_out(hone_servable *s, hone_instance *instance, const hone_run *run, int64_t total,
                           hone_error *err) {
    size_t sum = 0;
    for (int i = 0; i < s->output_count; i++)
        sum += round_up(row_bytes(instance->results[i]) * (size_t)total);
    HONE_TRY(grow(&instance->pieces, sum, run->room, err));
    char *to = instance->pieces.data;
    for (int i = 0; i < s->output_count; i++) {
        view_rows(&instance->outputs[i], instance->results[i], total, to);
        to += round_up(instance->outputs[i].bytes);
    }
    return HONE_OK;
}

static hone_status keep_rows(hone_servable *s, hone_instance *instance, const hone_run *run, int64_t at,
                             int64_t n, int64_t total, hone_error *err) {
    if (at == 0) HONE_TRY(lay_out(s, instance, run, total, err));
    for (int i = 0; i < s->output_count; i++) {
        hone_tensor *to = &instance->outputs[i];
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

const hone_tensor *const *hone_instance_view(hone_servable *s, hone_instance *instance, const hone_part *p) {
    for (int i = 0; i < s->output_count; i++) {
        const hone_tensor *t = &instance->outputs[i];
        hone_tensor *to = &instance->out[i];
        if (p->rows > 0)
            view_rows(to, t, p->rows, (char *)t->data + row_bytes(t) * (size_t)p->offset);
        else
            view_whole(to, t);
    }
    return instance->out_list;
}

/* --- runs --- */

static bool may_grow(void *room, size_t bytes) {
    return hone_room_take(room, bytes);
}

static hone_status compute(hone_instance *instance, hone_run *run, const hone_tensor *const *inputs,
                           hone_error *err) {
    uint64_t start = hone_now();
    if (run->dry) return hone_context_reserve(instance->context, inputs, err);
    hone_context_set_cancel(instance->context, run->cancel, run->user);
    hone_context_set_growth(instance->context, &(hone_growth){run->room ? may_grow : NULL, run->room});
    hone_status status = hone_context_run(instance->context, inputs, instance->results, err);
    hone_context_set_growth(instance->context, &(hone_growth){NULL, NULL});
    hone_context_set_cancel(instance->context, NULL, NULL);
    run->computed += (double)(hone_now() - start) * 1e-9;
    return status;
}

static hone_status run_whole(hone_servable *s, hone_instance *instance, hone_run *run, hone_error *err) {
    run->first->offset = 0;
    HONE_TRY(compute(instance, run, run->first->inputs, err));
    if (!run->dry) borrow(s, instance);
    return HONE_OK;
}

/* Rows of a piece: the largest size, or, of a request of very many, as many times that as are PIECE bytes. A run costs a
 * microsecond, however little there is to do. */
static int64_t piece_of(const hone_servable *s, const hone_run *run, int64_t total) {
    int64_t rows = s->sizes[s->size_count - 1];
    if (run->first->next || total / MANY < rows) return rows;
    size_t bytes = 1, usual = (size_t)(s->warm_bytes > 0 ? s->warm_bytes : 1);
    for (int i = 0; i < s->input_count; i++) bytes += row_bytes(run->first->inputs[i]);
    bytes += bytes > usual ? (size_t)s->result_bytes * (bytes / usual + 1) : (size_t)s->result_bytes;
    while (2 * (size_t)rows * bytes <= PIECE) rows *= 2;
    return rows;
}

static hone_status run_piece(hone_servable *s, hone_instance *instance, hone_run *run, int64_t at, int64_t n,
                             int64_t total, hone_error *err) {
    int64_t size = s->sizes[hone_servable_size_index(s, n)];
    if (size < n) size = n;
    uint64_t start = hone_now();
    if (!run->first->next && size == n)
        feed_view(s, instance, run->first, at, n);
    else
        HONE_TRY(feed_copy(s, instance, run, at, size, err));
    run->staged += (double)(hone_now() - start) * 1e-9;
    run->size = size;
    HONE_TRY(compute(instance, run, instance->in_list, err));
    if (run->dry) return HONE_OK;
    HONE_TRY(check_rows(s, instance, size, err));
    if (n < total) return keep_rows(s, instance, run, at, n, total, err);
    borrow(s, instance);
    return HONE_OK;
}

static hone_status run_pieces(hone_servable *s, hone_instance *instance, hone_run *run, hone_error *err) {
    int64_t total = 0;
    for (hone_part *p = run->first; p; p = p->next) {
        p->offset = total;
        total += p->rows;
    }
    int64_t piece = piece_of(s, run, total), most = s->sizes[s->size_count - 1];
    for (int64_t at = 0, n; at < total; at += n) {
        n = total - at >= piece ? piece : total - at < most ? total - at : most;
        HONE_TRY(run_piece(s, instance, run, at, n, total, err));
    }
    return HONE_OK;
}

/* Weights that a file has lost meanwhile were zeros for the run. */
static hone_status check_weights(hone_servable *s, hone_error *err) {
    unsigned cuts = hone_mapping_cuts();
    if (cuts != atomic_load(&s->cuts_seen)) {
        if (hone_model_is_cut(s->model)) atomic_store(&s->cut, true);
        atomic_store(&s->cuts_seen, cuts);
    }
    if (!atomic_load_explicit(&s->cut, memory_order_relaxed)) return HONE_OK;
    return hone_fail(err, HONE_UNAVAILABLE,
                     "The weights of the model %s version %lld are gone: their file was cut short", s->name,
                     (long long)s->version);
}

hone_status hone_instance_run(hone_servable *s, hone_instance *instance, hone_run *run, hone_error *err) {
    run->staged = run->computed = 0;
    run->size = 0;
    HONE_TRY(run->first->rows < 0 ? run_whole(s, instance, run, err) : run_pieces(s, instance, run, err));
    return check_weights(s, err);
}

hone_status hone_servable_run(hone_servable *s, int worker, const hone_tensor *const *inputs,
                              const hone_tensor **outputs, hone_cancel_fn *cancel, void *user,
                              hone_error *err) {
    hone_context *c = s->instances[worker].context;
    HONE_TRY(hone_servable_check(s, inputs, err));
    hone_context_set_cancel(c, cancel, user);
    hone_status status = hone_context_run(c, inputs, outputs, err);
    hone_context_set_cancel(c, NULL, NULL);
    return status == HONE_OK ? check_weights(s, err) : status;
}
