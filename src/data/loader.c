#include "data/loader.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/thread.h"
#include "data/augment.h"
#include "data/even.h"
#include "graph/tensor.h"

#include <inttypes.h>
#include <string.h>

enum { RING_MAX = 64, AHEAD = 2 }; /* batches that a thread makes ahead */

/* A buffer of the ring: a tensor for each feed. */
typedef struct slot {
    hone_tensor **full;
    hone_tensor **tail; /* the smaller last batch, in the same memory; NULL if there is none */
} slot;

/* A batch that was made ahead. */
typedef struct made {
    hone_batch batch;
    hone_status status;
    hone_error error;
} made;

/* The thread that makes batches ahead. All is guarded by the lock but what the loader's fields say about the next batch, which
 * belong to the thread while it runs. */
typedef struct worker {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool runs, quits;
    made made[AHEAD];
    uint64_t first, end;     /* made[first % AHEAD …): made, and not handed out */
    int64_t epoch;           /* of the batch that was handed out last: what is two epochs ahead has to wait */
    hone_loader_position at; /* behind it */
} worker;

struct hone_loader {
    const hone_dataset *data;
    hone_feed *feeds;
    int feed_count;
    hone_loader_options options;
    int ring;                /* buffers: more than asked for where batches are made ahead */
    int64_t count, tail;     /* samples in the set, and in the last smaller batch */
    uint32_t *orders[2];     /* of an even and of an odd epoch */
    int64_t order_epochs[2]; /* which epoch's permutation orders[…] is; < 0: none */
    hone_loader_position at; /* of the next batch to be made */
    uint64_t served;         /* batches made */
    hone_augment augment;
    hone_even even; /* all zero: each sample is drawn once */
    float *scratch; /* of a sample that is augmented; NULL: there is none */
    int64_t scratch_size;
    double seconds;
    slot slots[RING_MAX + AHEAD];
    worker *worker; /* NULL: batches are made when they are asked for */
};

/* Of `whole` samples the first of this loader's part, and how many it is. */
static int64_t part_of(const hone_loader *l, int64_t whole, int64_t *first) {
    int64_t parts = l->options.parts > 0 ? l->options.parts : 1, part = l->options.part, rest = whole % parts;
    *first = part * (whole / parts) + (part < rest ? part : rest);
    return whole / parts + (part < rest);
}

/* Samples of its tensors. */
static int64_t size_of(const hone_loader *l, int64_t whole) {
    int64_t first, n = part_of(l, whole, &first);
    return n > 0 ? n : 1;
}

static hone_status make_slot(hone_loader *l, slot *s, hone_error *err) {
    bool tail = l->tail > 0 && !l->options.drop_last;
    s->full = hone_calloc((size_t)l->feed_count + 1, sizeof(hone_tensor *));
    if (tail) s->tail = hone_calloc((size_t)l->feed_count + 1, sizeof(hone_tensor *));
    if (!s->full || (tail && !s->tail)) return hone_fail_memory(err);
    for (int i = 0; i < l->feed_count; i++) {
        HONE_TRY(hone_feed_tensor(&l->feeds[i], size_of(l, l->options.batch), NULL, &s->full[i], err));
        if (tail)
            HONE_TRY(hone_feed_tensor(&l->feeds[i], size_of(l, l->tail), hone_tensor_data(s->full[i]),
                                      &s->tail[i], err));
    }
    return HONE_OK;
}

/* Are samples made one by one? */
static bool is_slow(const hone_loader *l) {
    for (int i = 0; i < l->feed_count; i++)
        if (l->data->columns[l->feeds[i].reading.column].source) return true;
    return false;
}

/* Without memory or a thread batches are made when they are asked for. */
static hone_status start(hone_loader *l, hone_error *err) {
    worker *w = hone_calloc(1, sizeof *w);
    if (!w) return hone_fail_memory(err);
    pthread_mutex_init(&w->lock, NULL);
    hone_cond_init(&w->changed);
    l->worker = w;
    l->ring += AHEAD;
    return HONE_OK;
}

static hone_status fill(hone_loader *l, const hone_feed *feeds, hone_error *err) {
    l->feeds = hone_alloc(((size_t)l->feed_count + 1) * sizeof *l->feeds);
    if (!l->feeds) return hone_fail_memory(err);
    memcpy(l->feeds, feeds, (size_t)l->feed_count * sizeof *feeds);
    for (int k = 0; k < 2; k++) {
        if (!(l->orders[k] = hone_alloc((size_t)l->count * sizeof(uint32_t)))) return hone_fail_memory(err);
        for (int64_t i = 0; i < l->count; i++) l->orders[k][i] = (uint32_t)i;
    }
    for (int i = 0; i < l->options.augmented && l->options.augment; i++) {
        int64_t size = 1;
        for (int d = 0; d < feeds[i].rank; d++) size *= feeds[i].dims[d];
        bool sound = feeds[i].rank == 1 && l->data->rate > 0;
        if ((sound || feeds[i].rank == 3) && feeds[i].reading.dtype == HONE_FLOAT32 && size > l->scratch_size)
            l->scratch_size = size;
    }
    l->augment.rate = l->data->rate;
    if (l->options.even) HONE_TRY(hone_even_make(l->data, l->options.even, &l->even, err));
    if (l->scratch_size && !(l->scratch = hone_alloc((size_t)l->scratch_size * sizeof(float))))
        return hone_fail_memory(err);
    l->ring = l->options.ring;
    if (is_slow(l)) HONE_TRY(start(l, err));
    for (int i = 0; i < l->ring; i++) HONE_TRY(make_slot(l, &l->slots[i], err));
    return HONE_OK;
}

hone_status hone_loader_new(const hone_dataset *d, const hone_feed *feeds, int feed_count,
                            const hone_loader_options *options, hone_loader **out, hone_error *err) {
    int64_t count = hone_dataset_count(d);
    HONE_TRY(hone_check_options_size(options->size, sizeof *options, err));
    hone_augment parsed = {0};
    if (options->augment) HONE_TRY(hone_augment_parse(options->augment, &parsed, err));
    if (options->batch < 1 || (options->drop_last && options->batch > count))
        return hone_fail(err, HONE_INVALID_ARGUMENT, "batches of %" PRId64 " of %" PRId64 " samples",
                         options->batch, count);
    if (options->part < 0 || options->part > options->parts ||
        (options->parts && options->part == options->parts))
        return hone_fail(err, HONE_INVALID_ARGUMENT, "part %d of %d parts", options->part, options->parts);
    if (options->ring < 1 || options->ring > RING_MAX)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "a ring of %d; 1 to %d are possible", options->ring,
                         RING_MAX);
    hone_loader *l = hone_calloc(1, sizeof *l);
    if (!l) return hone_fail_memory(err);
    l->data = d;
    l->feed_count = feed_count;
    l->options = *options;
    l->augment = parsed;
    if (l->options.batch > count) l->options.batch = count;
    l->count = count;
    l->tail = count % l->options.batch;
    l->order_epochs[0] = l->order_epochs[1] = -1;
    hone_status status = fill(l, feeds, err);
    if (status == HONE_OK)
        *out = l;
    else
        hone_loader_free(l);
    return status;
}

/* Ends the thread; what it has made ahead is lost. */
static void stop(hone_loader *l) {
    worker *w = l->worker;
    if (!w || !w->runs) return;
    pthread_mutex_lock(&w->lock);
    w->quits = true;
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
    for (; w->first < w->end; w->first++) l->served -= w->made[w->first % AHEAD].status == HONE_OK;
    l->at = w->at;
    w->first = w->end = 0;
    w->runs = w->quits = false;
}

void hone_loader_free(hone_loader *l) {
    if (!l) return;
    stop(l);
    if (l->worker) {
        pthread_cond_destroy(&l->worker->changed);
        pthread_mutex_destroy(&l->worker->lock);
    }
    hone_free(l->worker);
    for (int i = 0; i < RING_MAX + AHEAD; i++) {
        slot *s = &l->slots[i];
        for (int k = 0; s->tail && k < l->feed_count; k++) hone_tensor_free(s->tail[k]);
        for (int k = 0; s->full && k < l->feed_count; k++) hone_tensor_free(s->full[k]);
        hone_free(s->tail);
        hone_free(s->full);
    }
    hone_free(l->feeds);
    hone_free(l->orders[0]);
    hone_free(l->orders[1]);
    hone_even_free(&l->even);
    hone_free(l->scratch);
    hone_free(l);
}

int64_t hone_loader_batches(const hone_loader *l) {
    return l->count / l->options.batch + (l->tail && !l->options.drop_last);
}

/* Samples that an epoch hands out. */
static int64_t epoch_size(const hone_loader *l) {
    return l->options.drop_last ? l->count - l->tail : l->count;
}

static void augment(const hone_loader *l, const hone_batch *b) {
    for (int i = 0; i < l->options.augmented && l->options.augment; i++) {
        const hone_tensor *t = b->tensors[i];
        int64_t size = t->count / t->dims[0];
        bool image = t->rank == 4 && t->dtype == HONE_FLOAT32, sound = t->rank == 2 && l->data->rate > 0;
        if (!(image || sound) || size > l->scratch_size) continue;
        hone_picture_layout layout = image ? hone_picture_layout_of(t->dims) : (hone_picture_layout){0};
        for (int64_t k = 0; k < b->n; k++) {
            /* drawn evenly, a sample may come more than once in an epoch: it is its place that counts */
            uint64_t epoch = (uint64_t)b->position.epoch,
                     place = (uint64_t)(b->indices - l->orders[b->position.epoch & 1] + k),
                     sample = l->even.groups ? place : b->indices[k];
            float *x = (float *)t->data + k * size;
            if (image)
                hone_augment_image(&l->augment, l->options.seed, epoch, sample, x, &layout, l->scratch);
            else
                hone_augment_sound(&l->augment, l->options.seed, epoch, sample, x, size, l->scratch);
        }
    }
}

static const uint32_t *order_of(hone_loader *l, int64_t epoch) {
    int k = (int)(epoch & 1);
    if (l->options.shuffle && l->order_epochs[k] != epoch) {
        if (l->even.groups)
            hone_even_order(&l->even, l->options.seed, (uint64_t)epoch, l->orders[k]);
        else
            hone_rng_permutation(l->options.seed, (uint64_t)epoch, l->orders[k], (uint32_t)l->count);
        l->order_epochs[k] = epoch;
    }
    return l->orders[k];
}

static hone_status make_batch(hone_loader *l, hone_batch *out, hone_error *err) {
    int64_t left = epoch_size(l) - l->at.sample, first;
    bool full = left >= l->options.batch;
    const slot *s = &l->slots[l->served % (uint64_t)l->ring];
    hone_batch b = {
        .tensors = full ? s->full : s->tail, .whole = full ? l->options.batch : left, .position = l->at};
    b.own = part_of(l, b.whole, &first);
    b.n = b.own > 0 ? b.own : 1;
    if (first + b.n > b.whole) first = b.whole - b.n;
    b.indices = order_of(l, l->at.epoch) + l->at.sample + first;
    b.last = b.whole == left;
    for (int i = 0; i < l->feed_count; i++)
        HONE_TRY(hone_dataset_read(l->data, &l->feeds[i].reading, b.indices, 0, b.n,
                                   hone_tensor_data(b.tensors[i]), err));
    augment(l, &b);
    l->served++;
    l->at.sample += b.whole;
    if (b.last) l->at = (hone_loader_position){l->at.epoch + 1, 0};
    *out = b;
    return HONE_OK;
}

/* --- ahead --- */

static void *work(void *arg) {
    hone_loader *l = arg;
    worker *w = l->worker;
    hone_thread_be_patient();
    pthread_mutex_lock(&w->lock);
    while (!w->quits) {
        if (w->end - w->first == AHEAD || l->at.epoch > w->epoch + 1 ||
            (w->end > w->first && w->made[(w->end - 1) % AHEAD].status != HONE_OK)) {
            pthread_cond_wait(&w->changed, &w->lock);
            continue;
        }
        pthread_mutex_unlock(&w->lock);
        made m = {.status = HONE_OK};
        m.status = make_batch(l, &m.batch, &m.error);
        pthread_mutex_lock(&w->lock);
        w->made[w->end++ % AHEAD] = m;
        pthread_cond_broadcast(&w->changed);
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

/* The next batch that was made ahead. The first failure ends the thread; the same batch is then made once more. */
static hone_status take_batch(hone_loader *l, hone_batch *out, hone_error *err) {
    worker *w = l->worker;
    pthread_mutex_lock(&w->lock);
    while (w->end == w->first) pthread_cond_wait(&w->changed, &w->lock);
    made m = w->made[w->first++ % AHEAD];
    if (m.status == HONE_OK) {
        w->epoch = m.batch.position.epoch;
        w->at = m.batch.last ? (hone_loader_position){w->epoch + 1, 0}
                             : (hone_loader_position){w->epoch, m.batch.position.sample + m.batch.whole};
    }
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
    if (m.status != HONE_OK) {
        stop(l);
        if (err) *err = m.error;
        return m.status;
    }
    *out = m.batch;
    return HONE_OK;
}

hone_status hone_loader_next(hone_loader *l, hone_batch *out, hone_error *err) {
    double start = hone_seconds_now();
    worker *w = l->worker;
    if (w && !w->runs) {
        w->epoch = l->at.epoch;
        w->at = l->at;
        w->runs = hone_thread_start(&w->thread, work, l, "hone-loader") == 0;
    }
    HONE_TRY(w && w->runs ? take_batch(l, out, err) : make_batch(l, out, err));
    l->seconds += hone_seconds_now() - start;
    return HONE_OK;
}

hone_loader_position hone_loader_tell(const hone_loader *l) {
    return l->worker && l->worker->runs ? l->worker->at : l->at;
}

hone_status hone_loader_seek(hone_loader *l, hone_loader_position position, hone_error *err) {
    if (position.epoch < 0 || position.sample < 0 || position.sample >= epoch_size(l) ||
        position.sample % l->options.batch != 0)
        return hone_fail(err, HONE_OUT_OF_RANGE,
                         "no batch of %" PRId64 " begins at sample %" PRId64 " of epoch %" PRId64,
                         l->options.batch, position.sample, position.epoch);
    stop(l);
    l->at = position;
    return HONE_OK;
}

double hone_loader_seconds(const hone_loader *l) {
    return l->seconds;
}
