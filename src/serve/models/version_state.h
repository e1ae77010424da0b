/* The life of a version. */
#ifndef HONE_SERVE_MODELS_VERSION_STATE_H
#define HONE_SERVE_MODELS_VERSION_STATE_H

/* Numbered as in tensorflow.serving.ModelVersionStatus.State. */
typedef enum hone_version_state {
    HONE_VERSION_START = 10,
    HONE_VERSION_LOADING = 20,
    HONE_VERSION_AVAILABLE = 30,
    HONE_VERSION_UNLOADING = 40,
    HONE_VERSION_END = 50
} hone_version_state;
const char *hone_version_state_name(hone_version_state state); /* "AVAILABLE" */

#endif
