/* How one version of a model is run. */
#ifndef HONE_SERVE_SERVABLE_SETTINGS_H
#define HONE_SERVE_SERVABLE_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#define HONE_MAX_BATCH_SIZES 16
#define HONE_MAX_BATCH_ROWS 4096
#define HONE_MAX_QUEUE 1000000
#define HONE_AUTO_BATCH_ROWS 32

#define HONE_MAX_DIM_SETTINGS 16
#define HONE_MAX_DIM_NAME 127

/* The size that a free dimension of the model is taken to have where inputs are made up. */
typedef struct hone_dim_setting {
    char name[HONE_MAX_DIM_NAME + 1]; /* as in the model's signature */
    int64_t size;
} hone_dim_setting;

typedef struct hone_servable_settings {
    int threads; /* of one run; 0: as the server's */
    bool batching;
    int max_batch; /* rows of a run that is put together from several requests; 0: as many as make it faster,
                      at most HONE_AUTO_BATCH_ROWS */
    int64_t max_delay_us;                /* that a request waits for others when a thread is free */
    int preferred[HONE_MAX_BATCH_SIZES]; /* ascending; sizes that a batch is brought to */
    int preferred_count;                 /* 0: the powers of two */
    int max_queue;      /* requests that wait; more: HONE_RESOURCE_EXHAUSTED; 0: as the server's */
    int64_t max_rows;   /* of one request; 0: no limit */
    int64_t timeout_ms; /* for a request to be answered; 0: as the server's */
    hone_dim_setting dims[HONE_MAX_DIM_SETTINGS];
    int dim_count;
} hone_servable_settings;
#define HONE_SERVABLE_SETTINGS_INIT                                                                          \
    { .batching = true }

bool hone_servable_settings_equal(const hone_servable_settings *a, const hone_servable_settings *b);

#endif
