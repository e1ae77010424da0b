/* How one version of a model is run. */
#ifndef HONE_SERVE_SERVABLE_SETTINGS_H
#define HONE_SERVE_SERVABLE_SETTINGS_H

#include "serve/language/settings.h"

#include <hone/graph.h>

#include <stdbool.h>
#include <stdint.h>

#define HONE_MAX_BATCH_SIZES 16
#define HONE_MAX_BATCH_ROWS 4096
#define HONE_MAX_QUEUE 1000000
#define HONE_AUTO_BATCH_ROWS 32

#define HONE_MAX_DIM_SETTINGS 16
#define HONE_MAX_DIM_SIZES 16
#define HONE_MAX_BUCKETS 64 /* combinations of the sizes of all dimensions */
#define HONE_MAX_TENSOR_SETTINGS 32
#define HONE_MAX_SETTING_NAME 127

/* A free dimension of the model, by its name: that in the model's signature, or the one that the settings
 * give it. */
typedef struct hone_dim_setting {
    char name[HONE_MAX_SETTING_NAME + 1];
    int64_t sizes[HONE_MAX_DIM_SIZES]; /* ascending: that warm-up is to prepare, and that are padded to */
    int size_count;                    /* 0: not said */
    bool pad;                          /* requests are padded along it */
} hone_dim_setting;

/* An input or output, by its name. */
typedef struct hone_tensor_setting {
    char name[HONE_MAX_SETTING_NAME + 1];
    int rank; /* < 0: its dimensions are as the model says */
    /* >= 0 the size that warm-up takes; -1 as the model says; -2 - i: the one of the settings' dimensions
     * i. */
    int64_t dims[HONE_MAX_RANK];
    /* What an input is padded with: `whole`, or `real`. */
    bool is_real;
    int64_t whole;
    double real;
} hone_tensor_setting;

typedef struct hone_servable_settings {
    int threads; /* of one run; 0: as the server's */
    bool batching;
    int max_batch; /* rows of a run that is put together from several requests; 0: as many as make it faster,
                      at most HONE_AUTO_BATCH_ROWS */
    int64_t max_delay_us;                /* that a request waits for others when a thread is free */
    int preferred[HONE_MAX_BATCH_SIZES]; /* ascending; sizes that a batch is brought to */
    int preferred_count;                 /* 0: the powers of two */
    int max_queue;            /* requests that wait; more: HONE_RESOURCE_EXHAUSTED; 0: as the server's */
    int64_t max_rows;         /* of one request; 0: no limit */
    int64_t timeout_ms;       /* for a request to be answered; 0: as the server's */
    hone_precision precision; /* of versions that are loaded from then on */
    hone_dim_setting dims[HONE_MAX_DIM_SETTINGS];
    int dim_count;
    hone_tensor_setting tensors[HONE_MAX_TENSOR_SETTINGS];
    int tensor_count;
    bool pad_all;         /* requests are padded along all free dimensions that have a name */
    double pad_tolerance; /* how far padding may move an answer, as a part of the largest value beside it */
    hone_language_settings language;
} hone_servable_settings;
#define HONE_PAD_TOLERANCE 1e-4
#define HONE_SERVABLE_SETTINGS_INIT                                                                          \
    { .batching = true, .pad_tolerance = HONE_PAD_TOLERANCE }

bool hone_servable_settings_equal(const hone_servable_settings *a, const hone_servable_settings *b);

/* The dimension of that name; -1: the settings don't speak of it. */
int hone_settings_find_dim(const hone_servable_settings *s, const char *name);
/* The input or output of that name; NULL: the settings don't speak of it. */
const hone_tensor_setting *hone_settings_find_tensor(const hone_servable_settings *s, const char *name);
/* Combinations of the sizes of all dimensions: at least 1. More than HONE_MAX_BUCKETS count as one more than
 * that. */
int hone_settings_buckets(const hone_servable_settings *s);

#endif
