/* Monitoring: metrics for Prometheus, event files for TensorBoard. */
#ifndef HONE_MONITOR_H
#define HONE_MONITOR_H

#include <hone/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hone_graph hone_graph;

/* --- metrics ---
 *
 *      registry ─── metric (name, help, label names) ─── series (label values) ─── shards
 *
 * A shard serves a few threads.
 *
 * Setting up takes a lock and allocates; counting (hone_series_…) does neither. Counts land in a shard of the
 * calling thread and are added up when somebody reads them. */

typedef struct hone_metrics hone_metrics; /* the registry */
typedef struct hone_metric hone_metric;   /* all series of one name */
typedef struct hone_series hone_series;   /* one of them */

typedef enum hone_metric_type {
    HONE_METRIC_COUNTER,
    HONE_METRIC_GAUGE,
    HONE_METRIC_HISTOGRAM
} hone_metric_type;

typedef struct hone_metric_options {
    size_t size;
    hone_metric_type type;
    /* "hone_request_seconds": letters, digits, '_', ':'; counters end in _total, others do not. */
    const char *name;
    const char *help;          /* one sentence, not empty */
    const char *const *labels; /* names, up to a NULL; NULL: none */
    /* Histograms: increasing, finite upper bounds; NULL: 1 ms … 10 s in steps of 1, 2.5, 5. */
    const double *buckets;
    int bucket_count; /* at most 64 */
    int max_series;   /* label values come from outside and must not fill the memory */
    bool foreign;     /* another program's name: it may be one that promtool would warn of */
} hone_metric_options;
#define HONE_METRIC_OPTIONS_INIT                                                                             \
    { .size = sizeof(hone_metric_options), .max_series = 1000 }

/* The most label names of a metric. */
#define HONE_METRIC_MAX_LABELS 8

/* An empty registry; hone_metrics_free() when no thread uses its series any more. */
HONE_API hone_status hone_metrics_new(hone_metrics **out, hone_error *err);
HONE_API void hone_metrics_free(hone_metrics *m); /* NULL is fine */

/* Adds a metric, which lives as long as the registry. The options' texts are copied. HONE_INVALID_ARGUMENT
 * for names and buckets that Prometheus would refuse or promtool would warn of; HONE_ALREADY_EXISTS if the
 * name is taken. */
HONE_API hone_status hone_metrics_add(hone_metrics *m, const hone_metric_options *options, hone_metric **out,
                                      hone_error *err);
/* The series of these label values, one for each label name (NULL where there are none); made if it is not
 * there yet. Each call takes a reference, to be given back by hone_series_drop. Bytes that are not UTF-8
 * become U+FFFD. HONE_RESOURCE_EXHAUSTED when there are max_series. */
HONE_API hone_status hone_metric_series(hone_metric *metric, const char *const *values, hone_series **out,
                                        hone_error *err);
/* Gives a reference back. With the last one the series is gone from the text: a model that is unloaded leaves
 * nothing behind. NULL is fine. */
HONE_API void hone_series_drop(hone_series *s);

/* Counters and gauges: adds. Counters take only x >= 0; others are ignored. */
HONE_API void hone_series_add(hone_series *s, double x);
/* Gauges: sets. Counters: takes over a total that is counted elsewhere (then nobody may call
 * hone_series_add). */
HONE_API void hone_series_set(hone_series *s, double x);
/* Histograms: counts one observation. A NaN is ignored. */
HONE_API void hone_series_observe(hone_series *s, double x);
/* The value of a counter or gauge, the number of observations of a histogram. */
HONE_API double hone_series_value(const hone_series *s);
/* The sum of a histogram's observations, else the value. */
HONE_API double hone_series_sum(const hone_series *s);

/* `fn` is called at the beginning of each hone_metrics_write, to bring series up to date that are expensive
 * or that live elsewhere. It must not add or drop anything. */
typedef void hone_metrics_fn(void *user);
HONE_API hone_status hone_metrics_on_write(hone_metrics *m, hone_metrics_fn *fn, void *user, hone_error *err);
/* Adds hone_build_info and the standard process_… metrics (CPU, memory, file descriptors, start time). After
 * a failure the registry has some of them. */
HONE_API hone_status hone_metrics_add_process(hone_metrics *m, hone_error *err);

/* All series in Prometheus' text format 0.0.4, zero-terminated; `*size` (may be NULL) is without the zero. On
 * success hone_metrics_free_text() when done. */
HONE_API hone_status hone_metrics_write(hone_metrics *m, char **text, size_t *size, hone_error *err);
HONE_API void hone_metrics_free_text(char *text);
#define HONE_METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* --- event files ---
 *
 * What TensorBoard reads: DIR/events.out.tfevents.SECONDS.HOST.PID.hone. Runs are directories: one for
 * training, one for validation, under one log directory. Any number of threads may write to one hone_events.
 * Events are buffered for some 2 seconds; a file that the process left without closing holds whole records up to the last flush.
 * When a write fails (full disk) the events of the buffer are lost, HONE_IO is returned once, and the file
 * stays readable and may be written on. */

typedef struct hone_events hone_events;

/* Makes the directory and a new file in it. On success hone_events_close() when done. */
HONE_API hone_status hone_events_open(const char *directory, hone_events **out, hone_error *err);
/* Flushes and frees, also when it fails. NULL is fine. */
HONE_API hone_status hone_events_close(hone_events *e, hone_error *err);
HONE_API hone_status hone_events_flush(hone_events *e, hone_error *err);
/* A run goes on from `step`: what earlier files of the directory say of that step and later ones is no longer shown. */
HONE_API hone_status hone_events_restart(hone_events *e, int64_t step, hone_error *err);
/* Path of the file. Borrowed. */
HONE_API const char *hone_events_path(const hone_events *e);

/* One point of the curve `tag` ("loss", "accuracy/top1"; slashes group). */
HONE_API hone_status hone_events_scalar(hone_events *e, const char *tag, int64_t step, double value,
                                        hone_error *err);
/* The distribution of n values over 30 buckets of equal width. Values that are not finite are left out. */
HONE_API hone_status hone_events_histogram(hone_events *e, const char *tag, int64_t step, const float *values,
                                           int64_t n, hone_error *err);
/* A text, shown as Markdown. */
HONE_API hone_status hone_events_text(hone_events *e, const char *tag, int64_t step, const char *text,
                                      hone_error *err);
/* An image, [height, width] pixels of red, green and blue. `description` (Markdown) stands beside it; NULL: none. */
HONE_API hone_status hone_events_image(hone_events *e, const char *tag, int64_t step, const uint8_t *rgb,
                                       int height, int width, const char *description, hone_error *err);
/* Precision and recall over 101 thresholds of the scores, in [0, 1], that n samples have for a class; is[i]: sample i is
 * of it. */
HONE_API hone_status hone_events_curve(hone_events *e, const char *tag, int64_t step, const float *scores,
                                       const bool *is, int64_t n, hone_error *err);
typedef struct hone_hparam {
    const char *name, *text; /* its text; NULL: it is a number */
    double number;
} hone_hparam;
/* What the run was made with, and the tags of scalars that say how good it is: a row of the table of all runs. */
HONE_API hone_status hone_events_hparams(hone_events *e, const hone_hparam *params, int count,
                                         const char *const *metrics, int metric_count, hone_error *err);
/* The graph: one for a file. Names with slashes become nested boxes. Weights' shapes are written, not their
 * content. */
HONE_API hone_status hone_events_graph(hone_events *e, const hone_graph *g, hone_error *err);

#ifdef __cplusplus
}
#endif
#endif
