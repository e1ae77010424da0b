#include "data/loader.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/random.h"

#include <inttypes.h>
#include <string.h>

enum { RING_MAX = 64 };

typedef struct slot {
    hone_tensor *x, *y;           /* full batches */
    hone_tensor *tail_x, *tail_y; /* the smaller last one, in the same memory; NULL if there is none */
} slot;

struct hone_loader {
    const hone_dataset *data;
    hone_loader_options options;
    int64_t count, tail; /* samples in the set, and in the last smaller batch */
    uint32_t *order;
    int64_t order_epoch; /* which epoch's permutation `order` is; < 0: none */
    hone_loader_position at;
    uint64_t served;
    double seconds;
    slot slots[RING_MAX];
};

static hone_status make_slot(hone_loader *l, slot *s, hone_error *err) {
    int rank = 0;
    int64_t dims[HONE_MAX_RANK];
    const int64_t *sample = hone_dataset_sample_shape(l->data, &rank);
    if (rank + 1 > HONE_MAX_RANK) return hone_fail(err, HONE_UNSUPPORTED, "samples of rank %d", rank);
    memcpy(dims + 1, sample, (size_t)rank * sizeof *dims);
    dims[0] = l->options.batch;
    HONE_TRY(hone_tensor_new(HONE_FLOAT32, rank + 1, dims, &s->x, err));
    HONE_TRY(hone_tensor_new(HONE_INT64, 1, dims, &s->y, err));
    if (l->tail == 0 || l->options.drop_last) return HONE_OK;
    dims[0] = l->tail;
    HONE_TRY(hone_tensor_wrap(HONE_FLOAT32, rank + 1, dims, hone_tensor_data(s->x), &s->tail_x, err));
    return hone_tensor_wrap(HONE_INT64, 1, dims, hone_tensor_data(s->y), &s->tail_y, err);
}

static hone_status fill(hone_loader *l, hone_error *err) {
    l->order = hone_alloc((size_t)l->count * sizeof *l->order);
    if (!l->order) return hone_fail_memory(err);
    for (int64_t i = 0; i < l->count; i++) l->order[i] = (uint32_t)i;
    for (int i = 0; i < l->options.ring; i++) HONE_TRY(make_slot(l, &l->slots[i], err));
    return HONE_OK;
}

hone_status hone_loader_new(const hone_dataset *d, const hone_loader_options *options, hone_loader **out,
                            hone_error *err) {
    int64_t count = hone_dataset_count(d);
    HONE_TRY(hone_check_options_size(options->size, sizeof *options, err));
    if (options->batch < 1 || (options->drop_last && options->batch > count))
        return hone_fail(err, HONE_INVALID_ARGUMENT, "batches of %" PRId64 " of %" PRId64 " samples",
                         options->batch, count);
    if (options->ring < 1 || options->ring > RING_MAX)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "a ring of %d; 1 to %d are possible", options->ring,
                         RING_MAX);
    hone_loader *l = hone_calloc(1, sizeof *l);
    if (!l) return hone_fail_memory(err);
    l->data = d;
    l->options = *options;
    if (l->options.batch > count) l->options.batch = count;
    l->count = count;
    l->tail = count % l->options.batch;
    l->order_epoch = -1;
    hone_status status = fill(l, err);
    if (status == HONE_OK)
        *out = l;
    else
        hone_loader_free(l);
    return status;
}

void hone_loader_free(hone_loader *l) {
    if (!l) return;
    for (int i = 0; i < RING_MAX; i++) {
        slot *s = &l->slots[i];
        hone_tensor_free(s->tail_x);
        hone_tensor_free(s->tail_y);
        hone_tensor_free(s->x);
        hone_tensor_free(s->y);
    }
    hone_free(l->order);
    hone_free(l);
}

int64_t hone_loader_batches(const hone_loader *l) {
    return l->count / l->options.batch + (l->tail && !l->options.drop_last);
}

/* Samples that an epoch hands out. */
static int64_t epoch_size(const hone_loader *l) {
    return l->options.drop_last ? l->count - l->tail : l->count;
}

hone_status hone_loader_next(hone_loader *l, hone_batch *out, hone_error *err) {
    double start = hone_seconds_now();
    if (l->options.shuffle && l->order_epoch != l->at.epoch) {
        hone_rng_permutation(l->options.seed, (uint64_t)l->at.epoch, l->order, (uint32_t)l->count);
        l->order_epoch = l->at.epoch;
    }
    int64_t left = epoch_size(l) - l->at.sample;
    bool full = left >= l->options.batch;
    const slot *s = &l->slots[l->served % (uint64_t)l->options.ring];
    hone_batch b = {.x = full ? s->x : s->tail_x,
                    .y = full ? s->y : s->tail_y,
                    .indices = l->order + l->at.sample,
                    .n = full ? l->options.batch : left,
                    .position = l->at};
    b.last = b.n == left;
    HONE_TRY(
        hone_dataset_read(l->data, b.indices, 0, b.n, hone_tensor_data(b.x), hone_tensor_data(b.y), err));
    l->served++;
    l->at.sample += b.n;
    if (b.last) l->at = (hone_loader_position){l->at.epoch + 1, 0};
    l->seconds += hone_seconds_now() - start;
    *out = b;
    return HONE_OK;
}

hone_loader_position hone_loader_tell(const hone_loader *l) {
    return l->at;
}

hone_status hone_loader_seek(hone_loader *l, hone_loader_position position, hone_error *err) {
    if (position.epoch < 0 || position.sample < 0 || position.sample >= epoch_size(l) ||
        position.sample % l->options.batch != 0)
        return hone_fail(err, HONE_OUT_OF_RANGE,
                         "no batch of %" PRId64 " begins at sample %" PRId64 " of epoch %" PRId64,
                         l->options.batch, position.sample, position.epoch);
    l->at = position;
    return HONE_OK;
}

double hone_loader_seconds(const hone_loader *l) {
    return l->seconds;
}
