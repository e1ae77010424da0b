/* Servables that were warmed up, without a core. */
#ifndef HONE_TESTS_SERVE_SERVABLES_H
#define HONE_TESTS_SERVE_SERVABLES_H

#include "serve/servable/warmup.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { WORKERS = 2, COMPUTE = 3 };

typedef struct fixture {
    hone_stats *stats;
    hone_servable *s;
} fixture;

static inline void warm(fixture *f, hone_graph *g, const hone_servable_settings *settings,
                        const hone_recorded *recorded) {
    hone_error err = {0};
    assert_int_equal(hone_stats_new(&f->stats, NULL), HONE_OK);
    hone_servable_options o = {.name = "m",
                               .version = 1,
                               .settings = settings,
                               .workers = WORKERS,
                               .compute_threads = COMPUTE,
                               .model_threads = 1,
                               .max_queue = 8,
                               .stats = f->stats};
    if (hone_servable_new(&o, g, &f->s, &err) != HONE_OK) fail_msg("%s", err.message);
    hone_graph_free(g);
    if (hone_warm_up(f->s, recorded, 1e9, NULL, &err) != HONE_OK) fail_msg("%s", err.message);
}

static inline void cool(fixture *f) {
    hone_servable_release(f->s);
    hone_stats_free(f->stats);
}

#endif
