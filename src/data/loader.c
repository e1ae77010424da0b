#include "data/loader.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/random.h"

#include <inttypes.h>
#include <string.h>

enum { RING_MAX = 64 };

/* A buffer of the ring: a tensor for each feed. */
typedef struct slot {
    hone_tensor **full;
    hone_tensor **tail; /* the smaller last batch, in the same memory; NULL if there is none */
} slot;

struct hone_loader {
    const hone_dataset *data;
    hone_feed *feeds;
    int feed_count;
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
    bool tail = l->tail > 0 && !l->options.drop_last;
    s->full = hone_calloc((size_t)l->feed_count + 1, sizeof(hone_tensor *));
    if (tail) s->tail = hone_calloc((size_t)l->feed_count + 1, sizeof(hone_tensor *));
    if (!s->full || (tail && !s->tail)) return hone_fail_memory(err);
    for (int i = 0; i < l->feed_count; i++) {
        HONE_TRY(hone_feed_tensor(&l->feeds[i], l->options.batch, NULL, &s->full[i], err));
        if (tail)
            HONE_TRY(hone_feed_tensor(&l->feeds[i], l->tail, hone_tensor_data(s->full[i]), &s->tail[i], err));
    }
    return HONE_OK;
}

static hone_status fill(hone_loader *l, const hone_feed *feeds, hone_error *err) {
    l->order = hone_alloc((size_t)l->count * sizeof *l->order);
    l->feeds = hone_alloc(((size_t)l->feed_count + 1) * sizeof *l->feeds);
    if (!l->order || !l->feeds) return hone_fail_memory(err);
    memcpy(l->feeds, feeds, (size_t)l->feed_count * sizeof *feeds);
    for (int64_t i = 0; i < l->count; i++) l->order[i] = (uint32_t)i;
    for (int i = 0; i < l->options.ring; i++) HONE_TRY(make_slot(l, &l->slots[i], err));
    return HONE_OK;
}

hone_status hone_loader_new(const hone_dataset *d, const hone_feed *feeds, int feed_count,
                            const hone_loader_options *options, hone_loader **out, hone_error *err) {
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
    l->feed_count = feed_count;
    l->options = *options;
    if (l->options.batch > count) l->options.batch = count;
    l->count = count;
    l->tail = count % l->options.batch;
    l->order_epoch = -1;
    hone_status status = fill(l, feeds, err);
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
        for (int k = 0; s->tail && k < l->feed_count; k++) hone_tensor_free(s->tail[k]);
        for (int k = 0; s->full && k < l->feed_count; k++) hone_tensor_free(s->full[k]);
        hone_free(s->tail);
        hone_free(s->full);
    }
    hone_free(l->feeds);
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
    hone_batch b = {.tensors = full ? s->full : s->tail,
                    .indices = l->order + l->at.sample,
                    .n = full ? l->options.batch : left,
                    .position = l->at};
    b.last = b.n == left;
    for (int i = 0; i < l->feed_count; i++)
        HONE_TRY(hone_dataset_read(l->data, &l->feeds[i].reading, b.indices, 0, b.n,
                                   hone_tensor_data(b.tensors[i]), err));
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
