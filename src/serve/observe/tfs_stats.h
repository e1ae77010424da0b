/* Counters by TensorFlow Serving's names, for the dashboards of those who come from there; in a registry of
 * their own, since its names are not what promtool wants to see. Predictions are counted, through whatever
 * API they came. */
#ifndef HONE_SERVE_OBSERVE_TFS_STATS_H
#define HONE_SERVE_OBSERVE_TFS_STATS_H

#include <hone/monitor.h>

#include <stdatomic.h>

enum { HONE_TFS_APIS = 3 /* Predict, Classify, Regress */, HONE_TFS_CODES = 17 /* gRPC's */ };

typedef struct hone_tfs_stats {
    hone_metrics *metrics;
    hone_metric *requests, *latency, *runtime;
} hone_tfs_stats;

/* The series of a model, each made when it is first used. A zeroed struct has none. */
typedef struct hone_tfs_series {
    _Atomic(hone_series *) requests[HONE_TFS_CODES];
    _Atomic(hone_series *) latency[HONE_TFS_APIS][2]; /* by REST, by gRPC */
    _Atomic(hone_series *) runtime[HONE_TFS_APIS];
} hone_tfs_series;

hone_status hone_tfs_stats_init(hone_tfs_stats *t, hone_error *err);
void hone_tfs_stats_done(hone_tfs_stats *t); /* when all series are dropped */
void hone_tfs_series_drop(hone_tfs_series *s);

/* `code` is gRPC's; seconds to the answer, and of it computing (0: it did not come to that). */
void hone_tfs_stats_answered(hone_tfs_stats *t, hone_tfs_series *s, const char *model, int api, bool grpc,
                             int code, double seconds, double computing);

/* --- MonitoringConfig: prometheus_config { enable: true path: "/monitoring/prometheus/metrics" } --- */

#define HONE_TFS_METRICS_PATH "/monitoring/prometheus/metrics"

/* On success *path is where the metrics are to be had, hone_free() it; NULL: nowhere. HONE_INVALID_ARGUMENT
 * for what is no MonitoringConfig, or for a path that Hone itself serves. */
hone_status hone_tfs_monitoring_parse(const char *text, size_t size, char **path, hone_error *err);
hone_status hone_tfs_monitoring_read(const char *file, char **path, hone_error *err);

#endif
