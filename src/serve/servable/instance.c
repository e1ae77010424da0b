#include "base/clock.h"
#include "base/error.h"
#include "base/mapping.h"
#include "base/memory.h"
#include "runtime/growth.h"
#include "runtime/model.h"
#include "serve/servable/padding.h"
#include "serve/servable/shapes.h"

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

static hone_status grow(hone_growing *store, size_t bytes, hone_room *room, hone_error *err) {
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

static bool reserve(hone_growing *store, const size_t *row, int count, int64_t rows) {
    size_t bytes;
    if (!sum_bytes(row, count, rows, &bytes) || grow(store, bytes, NULL, NULL) != HONE_OK) return false;
    store->usual = store->capacity;
    return true;
}

bool hone_instance_reserve(hone_servable *s, hone_instance *instance, const size_t *inputs, int64_t rows,
                           const size_t *outputs, int64_t result_rows) {
    return reserve(&instance->inputs, inputs, s->input_count, rows) &&
           reserve(&instance->pieces, outputs, s->output_count, result_rows) &&
           (!s->padded || reserve(&instance->cuts, outputs, s->output_count, rows));
}

static void shrink(hone_growing *store) {
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
    shrink(&instance->cuts);
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

/* What all parts are padded to. True: some are. */
static bool aim(hone_servable *s, hone_instance *instance, const hone_run *run) {
    const hone_part *first = run->first;
    bool padded = false, alone = !first->next && !run->pad;
    memcpy(instance->target, alone ? first->sizes : first->target, sizeof instance->target);
    for (const hone_part *p = first->next; p; p = p->next)
        for (int j = 0; j < s->settings.dim_count; j++)
            if (p->target[j] > instance->target[j]) instance->target[j] = p->target[j];
    for (const hone_part *p = first; p; p = p->next)
        padded = padded || hone_shapes_is_padded(s, p, instance->target);
    return padded;
}

/* `size` rows of an input as they are padded, without elements. */
static hone_status lay_rows(hone_servable *s, hone_instance *instance, const hone_part *first, int input,
                            int64_t size, hone_error *err) {
    const hone_tensor *like = first->inputs[input];
    hone_tensor *to = &instance->in[input];
    to->dtype = like->dtype;
    to->rank = like->rank;
    hone_shapes_pad(s, first, input, instance->target, to->dims);
    to->dims[0] = size;
    return hone_shape_size(to->dtype, to->rank, to->dims, &to->count, &to->bytes, err);
}

/* The rows of all parts, from row `at` of the first one on, and copies of the last row up to `size`. */
static hone_status feed_copy(hone_servable *s, hone_instance *instance, const hone_run *run, int64_t at,
                             int64_t n, int64_t size, hone_error *err) {
    const hone_part *first = run->first;
    size_t total = 0;
    for (int i = 0; i < s->input_count; i++) {
        HONE_TRY(lay_rows(s, instance, first, i, size, err));
        if (!hone_add_size(total, round_up(instance->in[i].bytes), &total))
            return hone_fail(err, HONE_INVALID_ARGUMENT, "the rows of \"%s\" are too large",
                             s->inputs[i].name);
    }
    HONE_TRY(grow(&instance->inputs, total, run->room, err));
    char *to = instance->inputs.data;
    for (int i = 0; i < s->input_count; i++) {
        hone_tensor *in = &instance->in[i];
        const char *value = (const char *)s->pad_elements + (size_t)i * HONE_PAD_ELEMENT;
        size_t row = row_bytes(in);
        int64_t used = 0, skip = at;
        for (const hone_part *p = first; p && used < n; p = p->next, skip = 0) {
            const hone_tensor *t = p->inputs[i];
            int64_t rows = p->rows - skip < n - used ? p->rows - skip : n - used;
            hone_pad_rows(to + row * (size_t)used, in->dims,
                          (const char *)t->data + row_bytes(t) * (size_t)skip, t->dims, t->rank, rows,
                          hone_dtype_size(t->dtype), value);
            used += rows;
        }
        for (; used < size; used++) memcpy(to + row * (size_t)used, to + row * (size_t)(used - 1), row);
        in->data = to;
        to += round_up(in->bytes);
    }
    return HONE_OK;
}

/* Elements that requests have, and those that they are padded with. */
static void count_padding(hone_servable *s, const hone_instance *instance, hone_run *run) {
    for (const hone_part *p = run->first; p; p = p->next)
        for (int i = 0; i < s->input_count; i++) {
            const hone_tensor *t = p->inputs[i];
            double own = (double)t->count, padded = 1;
            int64_t dims[HONE_MAX_RANK];
            hone_shapes_pad(s, p, i, instance->target, dims);
            for (int d = 0; d < t->rank; d++) padded *= (double)dims[d];
            run->own += own;
            run->padding += padded - own;
        }
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

/* What a part has of an output: its rows, without what was padded. True: that is not all of these rows. */
static bool cut_dims(hone_servable *s, const hone_instance *instance, const hone_part *p, int output,
                     int64_t *dims) {
    const hone_tensor *t = &instance->outputs[output];
    bool cut = false;
    memcpy(dims, t->dims, sizeof t->dims);
    dims[0] = p->rows;
    for (int d = 1; d < t->rank; d++) {
        int j = s->out_axes[output][d];
        if (!p->pads || j < 0 || !(s->padded >> j & 1) || t->dims[d] != instance->target[j]) continue;
        cut = cut || p->sizes[j] != t->dims[d];
        dims[d] = p->sizes[j];
    }
    return cut;
}

/* `to` is of its dims: the part's rows, cut, at `data`. */
static void cut_rows(const hone_tensor *t, const hone_part *p, hone_tensor *to, void *data) {
    to->data = data;
    hone_cut_rows(data, to->dims, (const char *)t->data + row_bytes(t) * (size_t)p->offset, t->dims, t->rank,
                  p->rows, hone_dtype_size(t->dtype));
}

hone_status hone_instance_view(hone_servable *s, hone_instance *instance, const hone_part *p, hone_room *room,
                               const hone_tensor *const **out, hone_error *err) {
    size_t total = 0;
    for (int i = 0; i < s->output_count; i++) {
        const hone_tensor *t = &instance->outputs[i];
        hone_tensor *to = &instance->out[i];
        if (p->rows <= 0)
            view_whole(to, t);
        else
            view_rows(to, t, p->rows, (char *)t->data + row_bytes(t) * (size_t)p->offset);
        if (p->rows <= 0 || !cut_dims(s, instance, p, i, to->dims)) continue;
        HONE_TRY(hone_shape_size(to->dtype, to->rank, to->dims, &to->count, &to->bytes, err));
        to->data = NULL;
        total += round_up(to->bytes); /* less than what they are cut from */
    }
    if (total > 0) HONE_TRY(grow(&instance->cuts, total, room, err));
    char *data = instance->cuts.data;
    for (int i = 0; i < s->output_count && total > 0; i++) {
        hone_tensor *to = &instance->out[i];
        if (to->data) continue;
        cut_rows(&instance->outputs[i], p, to, data);
        data += round_up(to->bytes);
    }
    *out = instance->out_list;
    return HONE_OK;
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
    const hone_bucket *b = run->first->bucket;
    int64_t rows = hone_bucket_most(b);
    if (run->first->next || total / MANY < rows) return rows;
    size_t bytes = 1, usual = (size_t)(b->warm_bytes > 0 ? b->warm_bytes : 1);
    for (int i = 0; i < s->input_count; i++) bytes += row_bytes(run->first->inputs[i]);
    bytes += bytes > usual ? (size_t)b->result_bytes * (bytes / usual + 1) : (size_t)b->result_bytes;
    while (2 * (size_t)rows * bytes <= PIECE) rows *= 2;
    return rows;
}

static hone_status run_piece(hone_servable *s, hone_instance *instance, hone_run *run, int64_t at, int64_t n,
                             int64_t total, bool padded, hone_error *err) {
    const hone_bucket *b = run->first->bucket;
    int64_t size = b->sizes[hone_bucket_size_index(b, n)];
    if (size < n) size = n;
    uint64_t start = hone_now();
    if (!run->first->next && size == n && !padded)
        feed_view(s, instance, run->first, at, n);
    else
        HONE_TRY(feed_copy(s, instance, run, at, n, size, err));
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
    int64_t piece = piece_of(s, run, total), most = hone_bucket_most(run->first->bucket);
    bool padded = aim(s, instance, run);
    if (s->padded) count_padding(s, instance, run);
    for (int64_t at = 0, n; at < total; at += n) {
        n = total - at >= piece ? piece : total - at < most ? total - at : most;
        HONE_TRY(run_piece(s, instance, run, at, n, total, padded, err));
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
    run->staged = run->computed = run->own = run->padding = 0;
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
