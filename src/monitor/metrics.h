/* The inside of the metrics registry.
 *
 * A series' numbers are 64-bit cells, a stretch of them for each shard on cache lines of its own:
 *   counter, gauge   [value]                    a gauge uses the first shard only
 *   histogram        [sum, count of each bucket …, count above the last]
 * value and sum are the bits of a double. */
#ifndef HONE_MONITOR_METRICS_H
#define HONE_MONITOR_METRICS_H

#include <hone/monitor.h>

#include <pthread.h>
#include <stdatomic.h>

#define HONE_METRIC_MAX_BUCKETS 64

typedef _Atomic uint64_t hone_cell;

struct hone_series {
    hone_metric *metric;
    char *labels; /* a="x",b="y" with escapes, as in the text; also what tells series apart */
    int references;
    unsigned shards; /* a power of two */
    size_t stride;   /* cells from one shard to the next */
    hone_cell *cells;
};

struct hone_metric {
    hone_metrics *owner;
    hone_metric_type type;
    char *name, *help;
    char *labels[HONE_METRIC_MAX_LABELS];
    int label_count;
    double buckets[HONE_METRIC_MAX_BUCKETS];
    int bucket_count;
    size_t max_series;
    hone_series **series;
    size_t series_count, series_capacity;
};

typedef struct hone_metrics_hook {
    hone_metrics_fn *fn;
    void *user;
} hone_metrics_hook;

struct hone_metrics {
    pthread_mutex_t lock; /* guards what follows, not the cells */
    hone_metric **metrics;
    size_t metric_count, metric_capacity;
    hone_metrics_hook *hooks;
    size_t hook_count, hook_capacity;
    void *process; /* of hone_metrics_add_process */
};

/* Number of observations in bucket i (the last is above all bounds), over all shards. */
uint64_t hone_series_bucket(const hone_series *s, int i);

/* What hone_metrics_add_process has made; NULL is fine. */
void hone_metrics_free_process(void *process);

#endif
