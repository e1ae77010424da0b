/* What the server counts. Counting takes no lock and allocates nothing once a series was used. */
#ifndef HONE_SERVE_OBSERVE_STATS_H
#define HONE_SERVE_OBSERVE_STATS_H

#include "serve/observe/tally.h"
#include "serve/observe/text_stats.h"

#include <hone/monitor.h>

#include <stddef.h>
#include <stdint.h>

typedef enum hone_method {
    HONE_METHOD_OTHER,
    HONE_METHOD_PREDICT,
    HONE_METHOD_CLASSIFY,
    HONE_METHOD_REGRESS,
    HONE_METHOD_STATUS,
    HONE_METHOD_METADATA,
    HONE_METHOD_HEALTH,
    HONE_METHOD_METRICS,
    HONE_METHOD_CHAT,
    HONE_METHOD_COMPLETE,
    HONE_METHOD_EMBED,
    HONE_METHOD_COUNT
} hone_method;

/* Why a request or a connection failed. */
typedef enum hone_reason {
    HONE_REASON_MALFORMED,  /* no HTTP that is taken here */
    HONE_REASON_TOO_LARGE,  /* head or body */
    HONE_REASON_TIMEOUT,    /* the client was too slow */
    HONE_REASON_INVALID,    /* well formed, but wrong: JSON, shapes, paths */
    HONE_REASON_DENIED,     /* without a secret that is good for it, or at the wrong port */
    HONE_REASON_NOT_FOUND,  /* model or path */
    HONE_REASON_DEADLINE,   /* the answer came too late */
    HONE_REASON_CANCELLED,  /* the client has gone */
    HONE_REASON_OVERLOADED, /* a limit: connections, memory */
    HONE_REASON_ACCEPT,     /* no descriptors for a new connection */
    HONE_REASON_INTERNAL,
    HONE_REASON_COUNT
} hone_reason;

typedef enum hone_stage {
    HONE_STAGE_READ,   /* from the first byte to the last */
    HONE_STAGE_DECODE, /* the body to tensors */
    HONE_STAGE_QUEUE,  /* from submitting to the start of the run */
    HONE_STAGE_BATCH,  /* putting requests together */
    HONE_STAGE_COMPUTE,
    HONE_STAGE_SERIALIZE, /* tensors to the answer's body */
    HONE_STAGE_COUNT
} hone_stage;

typedef struct hone_stats hone_stats;
/* The series of one model name. */
typedef struct hone_model_stats hone_model_stats;

hone_status hone_stats_new(hone_stats **out, hone_error *err);
void hone_stats_free(hone_stats *s);
hone_metrics *hone_stats_metrics(hone_stats *s);
/* Those by TensorFlow Serving's names. */
hone_metrics *hone_stats_tfs_metrics(hone_stats *s);

/* With one reference: requests take their own, so that what they count is still there when the model is
 * unloaded. On success hone_model_stats_release() when done. */
hone_status hone_model_stats_new(hone_stats *s, const char *model, int64_t version, double bytes,
                                 hone_model_stats **out, hone_error *err);
hone_model_stats *hone_model_stats_retain(hone_model_stats *m);
void hone_model_stats_release(hone_model_stats *m); /* NULL is fine */
const char *hone_model_stats_name(const hone_model_stats *m);
int64_t hone_model_stats_version(const hone_model_stats *m);
hone_tally *hone_model_stats_tally(hone_model_stats *m);

/* The series of a language model; on failure, too, hone_text_stats_close() when done. */
hone_status hone_stats_texts(hone_stats *s, const char *model, hone_text_stats *out, hone_error *err);

void hone_model_stats_bytes(hone_model_stats *m, double bytes);
/* A run of so many rows, requested ones. */
void hone_model_stats_run(hone_model_stats *m, double rows);
/* … of a model whose requests are padded: elements of their inputs, and those that were added. */
void hone_model_stats_padding(hone_model_stats *m, double own, double padding);
/* The queue grew by so many, or shrank. */
void hone_model_stats_queue(hone_model_stats *m, int change);
void hone_model_stats_waited(hone_model_stats *m, double seconds);
/* A request was not run: HONE_RESOURCE_EXHAUSTED, HONE_DEADLINE_EXCEEDED or HONE_CANCELLED. */
void hone_model_stats_dropped(hone_model_stats *m, hone_status why);

/* The series of one version, whatever becomes of it: its state, and how often it was loaded. */
typedef struct hone_version_stats hone_version_stats;
hone_status hone_version_stats_new(hone_stats *s, const char *model, int64_t version,
                                   hone_version_stats **out, hone_error *err);
void hone_version_stats_free(hone_version_stats *v); /* NULL is fine */
/* "AVAILABLE". */
void hone_version_stats_state(hone_version_stats *v, const char *state);
/* Is it served in place of one that is wanted and can't be loaded? */
void hone_version_stats_fallback(hone_version_stats *v, bool fallback);
/* Of the model's name: lives as long as one of its versions. */
void hone_version_stats_loaded(hone_version_stats *v, bool ok, double seconds);

typedef struct hone_answered {
    hone_model_stats *model; /* NULL: it was about none */
    hone_method method;
    int code;         /* of HTTP, or what stands for gRPC's */
    int grpc;         /* gRPC's; -1: it was no gRPC call */
    double seconds;   /* since its first byte */
    double computing; /* of them, running the model; 0: it did not come to that */
} hone_answered;
/* A request got its answer. */
void hone_stats_answered(hone_stats *s, const hone_answered *a);
/* Lines of the access log: put in, and lost because there was no room. */
void hone_stats_logged(hone_stats *s, size_t lines, size_t dropped);
void hone_stats_failed(hone_stats *s, hone_reason reason);
void hone_stats_stage(hone_stats *s, hone_stage stage, double seconds);
void hone_stats_in_flight(hone_stats *s, int change);
void hone_stats_connection(hone_stats *s, int change);
void hone_stats_ready(hone_stats *s, bool ready);
void hone_stats_memory_limit(hone_stats *s, double bytes);

/* The reason that an HTTP status of 400 and more stands for. */
hone_reason hone_reason_of(int code);

/* As the labels and the access log have them. */
const char *hone_reason_name(hone_reason reason);
const char *hone_stage_name(hone_stage stage);

#endif
