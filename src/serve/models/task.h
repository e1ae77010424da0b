/* Something that the loader's thread is to do, and somebody waits for. */
#ifndef HONE_SERVE_MODELS_TASK_H
#define HONE_SERVE_MODELS_TASK_H

#include "serve/batching/prediction.h"
#include "serve/models/model_config.h"

typedef enum hone_task_kind {
    HONE_TASK_ADD,    /* a servable that was made elsewhere */
    HONE_TASK_RELOAD, /* a set of models that replaces the one before */
    HONE_TASK_LOAD,
    HONE_TASK_UNLOAD,
    HONE_TASK_REFRESH
} hone_task_kind;

/* Lives with the caller until `done` was called: by hone_core_turn of `worker`, or on the loader's thread if
 * that is -1, or by hone_core_stop with HONE_UNAVAILABLE. */
typedef struct hone_model_task {
    int worker;
    void (*done)(struct hone_model_task *t, hone_status status, const hone_error *err);
    void *user;
    /* The loader's. */
    hone_post post;
    struct hone_model_task *next;
    hone_task_kind kind;
    char *name, *text; /* text NULL: none */
    size_t text_size;
    hone_servable *servable;
    hone_model_set set;
    hone_status status;
    hone_error err;
} hone_model_task;

#endif
