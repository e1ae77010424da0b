/* Where models come from, and what they may take. */
#ifndef HONE_SERVE_MODELS_CORE_OPTIONS_H
#define HONE_SERVE_MODELS_CORE_OPTIONS_H

#include "serve/models/model_config.h"

typedef enum hone_reload_policy {
    HONE_RELOAD_OVERLAP, /* a new version is loaded before the old one goes */
    HONE_RELOAD_REPLACE  /* the old one goes first: needs less memory, and requests fail meanwhile */
} hone_reload_policy;

/* Texts are copied. */
typedef struct hone_core_options {
    const char *repository;  /* DIR/NAME/VERSION/model.onnx: every NAME is a model; NULL: none */
    const char *config_file; /* a ModelServerConfig; NULL: none */
    int64_t config_poll_ms;  /* 0: the file is read once, and by hone_core_refresh */
    int64_t file_poll_ms;    /* for what directories don't tell; 0: looked at once, and by refresh */
    hone_reload_policy reload;
    size_t memory_limit; /* bytes of all loaded versions; 0: none */
    bool map_weights;    /* weights stay in their files */
    int compute_threads; /* that run costly models; 0: as many as workers */
    double inline_cost;  /* seconds; what costs less is run on the worker's thread; < 0: nothing */
    int max_queue;       /* requests that wait for a model whose settings don't say; more are refused */
    hone_language_settings language;     /* what a model's own settings don't say */
    const hone_model_settings *defaults; /* what a model's own settings don't say; copied; NULL: the usual */
    bool polling;                        /* never inotify */
    struct hone_budget *budget;          /* of what runs need beyond the usual; borrowed; NULL: no limit */
    uint64_t retry_least, retry_most;    /* nanoseconds between tries to load what failed */
} hone_core_options;
#define HONE_CORE_OPTIONS_INIT                                                                               \
    {                                                                                                        \
        .file_poll_ms = 1000, .inline_cost = 100e-6, .max_queue = 1024, .retry_least = 1000000000u,          \
        .retry_most = 60000000000u                                                                           \
    }

#endif
