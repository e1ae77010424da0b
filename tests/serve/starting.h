/* A core that is started and has tried its models. */
#ifndef HONE_TESTS_SERVE_STARTING_H
#define HONE_TESTS_SERVE_STARTING_H

#include "base/error.h"
#include "serve/models/core.h"

static inline hone_status start_core(hone_core *core, hone_error *err) {
    HONE_TRY(hone_core_start(core, err));
    hone_core_load(core, NULL, NULL);
    return hone_core_wait(core, err);
}

#endif
