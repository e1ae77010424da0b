/* Who manages the models: what the front ends ask beyond using versions that are loaded. The repository fills
 * one; where a server has none, front ends tell what the core serves and refuse to change it.
 *
 * Every function may be called from any loop's thread, and blocks until it is done. A function that is NULL
 * is a thing that this server cannot do: callers answer HONE_FAILED_PRECONDITION. */
#ifndef HONE_SERVE_CONTROL_H
#define HONE_SERVE_CONTROL_H

#include "serve/head.h"

#include <hone/error.h>

/* The life of a version, numbered as in tensorflow.serving.ModelVersionStatus.State. */
typedef enum hone_version_state {
    HONE_VERSION_START = 10,
    HONE_VERSION_LOADING = 20,
    HONE_VERSION_AVAILABLE = 30,
    HONE_VERSION_UNLOADING = 40,
    HONE_VERSION_END = 50
} hone_version_state;

typedef struct hone_version_status {
    const char *model; /* borrowed during the call */
    int64_t version;
    hone_version_state state;
    hone_status code;    /* HONE_OK, or why it failed */
    const char *message; /* never NULL */
} hone_version_status;

typedef void hone_version_status_fn(void *user, const hone_version_status *v);

typedef enum hone_version_policy {
    HONE_POLICY_LATEST, /* the newest `latest` versions */
    HONE_POLICY_ALL,
    HONE_POLICY_SPECIFIC
} hone_version_policy;

typedef struct hone_version_label {
    const char *label;
    int64_t version;
} hone_version_label;

/* One model as a configuration names it. All is borrowed during the call. */
typedef struct hone_model_entry {
    const char *name, *base_path;
    hone_version_policy policy;
    int64_t latest; /* at least 1 */
    const int64_t *versions;
    size_t version_count;
    const hone_version_label *labels;
    size_t label_count;
} hone_model_entry;

typedef struct hone_control {
    void *self;
    /* Calls `fn` for each version that is known of a model (name.data NULL: of all models, model by model),
     * newest first; returns how many. */
    int (*list)(void *self, hone_slice name, hone_version_status_fn *fn, void *user);
    /* The version that a label stands for. HONE_NOT_FOUND if the model has no such label. */
    hone_status (*label)(void *self, hone_slice name, hone_slice label, int64_t *version, hone_error *err);
    /* Loads (again) what the repository has of a model. `config`: settings as JSON, data NULL if none were
     * sent. HONE_NOT_FOUND if there is nothing of that name. */
    hone_status (*load)(void *self, hone_slice name, hone_slice config, hone_error *err);
    hone_status (*unload)(void *self, hone_slice name, hone_error *err);
    /* Replaces the whole set of models. */
    hone_status (*replace)(void *self, const hone_model_entry *models, size_t count, hone_error *err);
} hone_control;

#endif
