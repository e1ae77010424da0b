/* Batches for training: a permutation for each epoch, a ring of buffers, a position that can be saved.
 *
 *      seed, epoch ──► permutation ──► batch: a tensor [n, sample] for each feed
 *
 * The order depends on seed and epoch alone. Batches go on for ever, from epoch to epoch; each says where it
 * is. */
#ifndef HONE_DATA_LOADER_H
#define HONE_DATA_LOADER_H

#include "data/dataset.h"

typedef struct hone_loader hone_loader;

typedef struct hone_loader_options {
    size_t size;
    int64_t batch; /* samples in a batch */
    int part,
        parts; /* each batch is cut in `parts`, and this loader gives part `part` of them; 0 parts: it is whole */
    bool shuffle;   /* false: in the data set's order */
    bool drop_last; /* leave out the last samples of an epoch that do not fill a batch; else it is a smaller
                       batch */
    uint64_t seed;
    const char *augment; /* what is done to images, as hone_train_options.augment; NULL: nothing */
    int augmented;       /* to those of the first so many feeds that are images */
    const char *even;    /* a column of whose values as many samples each are drawn; NULL: each sample once */
    int ring;            /* buffers: a batch stays valid until `ring` more have been asked for, less one */
} hone_loader_options;
#define HONE_LOADER_OPTIONS_INIT                                                                             \
    { .size = sizeof(hone_loader_options), .batch = 64, .shuffle = true, .ring = 2 }

/* Where the loader is: `sample` samples of epoch `epoch` have been handed out. What a checkpoint saves. */
typedef struct hone_loader_position {
    int64_t epoch, sample;
} hone_loader_position;

typedef struct hone_batch {
    hone_tensor *const *tensors; /* one for each feed, [n, sample shape], borrowed from the ring */
    const uint32_t *indices;     /* which samples, [n]; valid until the next epoch begins */
    int64_t n;                   /* samples in it */
    int64_t
        own; /* how many of them count: n, or none where there are too few for all parts, and one stands in */
    int64_t whole;                 /* samples of all parts together */
    hone_loader_position position; /* of the whole batch's first sample */
    bool last;                     /* the epoch's last one */
} hone_batch;

/* A batch has a tensor for each of the feeds, which are copied. The data set must outlive the loader.
 * HONE_INVALID_ARGUMENT if there would be no batch at all. */
hone_status hone_loader_new(const hone_dataset *d, const hone_feed *feeds, int feed_count,
                            const hone_loader_options *options, hone_loader **out, hone_error *err);
void hone_loader_free(hone_loader *l); /* NULL is fine */

/* The next batch. Its content does not depend on when this is called: where samples are made one by one (of files), a thread
 * makes batches ahead; else it allocates nothing. */
hone_status hone_loader_next(hone_loader *l, hone_batch *out, hone_error *err);
/* Batches in an epoch. */
int64_t hone_loader_batches(const hone_loader *l);
/* The position of the next batch's first sample; after the last batch of an epoch the next epoch's begin. */
hone_loader_position hone_loader_tell(const hone_loader *l);
/* Goes to a position that tell gave. HONE_OUT_OF_RANGE if there is no such batch. */
hone_status hone_loader_seek(hone_loader *l, hone_loader_position position, hone_error *err);
/* Seconds that callers have spent in hone_loader_next so far. */
double hone_loader_seconds(const hone_loader *l);

#endif
