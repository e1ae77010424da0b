/* What is to be served, and how: the set of models (TensorFlow Serving's ModelServerConfig, as text protobuf
 * or JSON) and one model's settings (config.json beside its versions).
 *
 *      model_config_list {                               {"modelConfigList": {"config": [{
 *        config {                                            "name": "digits",
 *          name: "digits"                                    "basePath": "/models/digits",
 *          base_path: "/models/digits"                       "modelVersionPolicy": {"specific": {"versions":
 *          model_version_policy {                                                  ["1", "2"]}},
 *            specific { versions: 1 versions: 2 }            "versionLabels": {"stable": "1"}}]}}
 *          }
 *          version_labels { key: "stable" value: 1 }     Names may be written in either way in either form.
 *        }
 *      }                                                                                                   */
#ifndef HONE_SERVE_MODELS_MODEL_CONFIG_H
#define HONE_SERVE_MODELS_MODEL_CONFIG_H

#include "serve/models/policy.h"
#include "serve/servable/settings.h"

/* Limits on a text: what breaks them is HONE_INVALID_ARGUMENT. */
#define HONE_CONFIG_MAX_BYTES ((size_t)4 << 20)
#define HONE_CONFIG_MAX_DEPTH 32
#define HONE_CONFIG_MAX_MODELS 10000
#define HONE_CONFIG_MAX_VERSIONS 10000 /* listed for one model */
#define HONE_CONFIG_MAX_LABELS 1000
#define HONE_CONFIG_MAX_NAME 255

typedef struct hone_label {
    char *name;
    int64_t version;
} hone_label;

/* --- the set of models --- */

typedef struct hone_model_source {
    char *name, *base_path;
    hone_policy policy;
    hone_label *labels;
    size_t label_count, label_capacity;
} hone_model_source;

/* A zeroed struct is an empty set. */
typedef struct hone_model_set {
    hone_model_source *entries;
    size_t count, capacity;
} hone_model_set;

/* A new entry, valid until the next one is added. HONE_INVALID_ARGUMENT: no name for a model (empty, too
 * long, with '/', ':' or control characters, or "." or ".."), or no path; HONE_ALREADY_EXISTS. */
hone_status hone_model_set_add(hone_model_set *set, const char *name, const char *base_path,
                               hone_model_source **out, hone_error *err);
/* HONE_ALREADY_EXISTS if the label has another version. */
hone_status hone_model_source_add_label(hone_model_source *e, const char *label, int64_t version,
                                        hone_error *err);
void hone_model_set_free(hone_model_set *set); /* what it holds; then it is empty */
hone_status hone_model_name_check(const char *name, hone_error *err);

/* Reads a ModelServerConfig: JSON if the text starts with '{', else text protobuf. On success the set
 * is to be given to hone_model_set_free(). `text` need not be terminated. */
hone_status hone_model_set_parse(const char *text, size_t size, hone_model_set *out, hone_error *err);

/* --- one model's settings --- */

/*      {"threads": 2,
 *       "batching": {"enabled": true, "max_batch_size": 32, "max_delay_us": 0,
 *                    "preferred_batch_sizes": [8, 32]},
 *       "limits": {"queue": 1024, "rows": 0, "timeout_ms": 0},
 *       "dims": {"sequence": 128},
 *       "precision": "bfloat16",
 *       "language": {"context": 4096, "kv_memory_mb": 512, "queue": 256, "running": 64, "step_budget_ms": 100},
 *       "version_policy": {"latest": 1} | "all" | {"specific": [1, 2]},
 *       "labels": {"stable": 1}} */
typedef struct hone_model_settings {
    hone_servable_settings run; /* what a loaded version depends on */
    bool has_policy, has_labels;
    hone_policy policy;
    hone_label *labels;
    size_t label_count, label_capacity;
} hone_model_settings;
#define HONE_MODEL_SETTINGS_INIT                                                                             \
    { .run = HONE_SERVABLE_SETTINGS_INIT }

/* What the text does not speak of is as in `defaults` (NULL: as in HONE_MODEL_SETTINGS_INIT), which have
 * neither policy nor labels. An unknown key is an error, so that a typing error does not pass for a setting.
 * On success hone_model_settings_free() when done. */
hone_status hone_model_settings_parse(const char *text, size_t size, const hone_model_settings *defaults,
                                      hone_model_settings *out, hone_error *err);
/* TensorFlow Serving's BatchingParameters, as text protobuf: defaults for all models, and in `*threads` how
 * many are to run batches, 0 if it does not say. */
hone_status hone_batching_parameters_parse(const char *text, size_t size, hone_model_settings *out,
                                           int *threads, hone_error *err);
void hone_model_settings_free(hone_model_settings *s); /* what it holds */
bool hone_model_settings_copy(hone_model_settings *to, const hone_model_settings *from);

#endif
