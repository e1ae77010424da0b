/* How a language model is run. */
#ifndef HONE_SERVE_LANGUAGE_SETTINGS_H
#define HONE_SERVE_LANGUAGE_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

/* 0: as the server's, which are 0 for what is usual. */
typedef struct hone_language_settings {
    int64_t context;  /* tokens of a text with its answer */
    int64_t kv_bytes; /* for keys and values of all texts */
    int64_t queue;    /* texts that wait to begin; more are refused */
    int64_t running;  /* texts that are worked on at a time */
    int64_t step_ms;  /* that a step may take when prompts share it with answers */
} hone_language_settings;

static inline bool hone_language_settings_equal(const hone_language_settings *a,
                                                const hone_language_settings *b) {
    return a->context == b->context && a->kv_bytes == b->kv_bytes && a->queue == b->queue &&
           a->running == b->running && a->step_ms == b->step_ms;
}

#endif
