#include "runtime/control.h"

hone_status hone_session_create(hone_model *m, const hone_session_options *options, hone_session **out,
                                hone_error *err) {
    hone_session_options defaults = HONE_SESSION_OPTIONS_INIT;
    if (!options) options = &defaults;
    HONE_TRY(hone_check_options_size(options->size, sizeof *options, err));
    if (options->threads < 0 || options->max_plans < 1)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "a session needs threads >= 0 and at least one plan");
    hone_session *s = hone_calloc(1, sizeof *s);
    if (!s) return hone_fail_memory(err);
    s->model = hone_model_retain(m);
    hone_status status = hone_pool_shared(options->threads, &s->pool, err);
    if (status == HONE_OK)
        status = hone_plan_cache_new(m, hone_pool_threads(s->pool), (size_t)options->max_plans,
                                     hone_control_prepare, &s->plans, err);
    if (status != HONE_OK)
        hone_session_free(s);
    else
        *out = s;
    return status;
}

void hone_session_free(hone_session *s) {
    if (!s) return;
    hone_plan_cache_free(s->plans);
    hone_pool_free(s->pool);
    hone_model_free(s->model);
    hone_free(s);
}

const hone_model *hone_session_model(const hone_session *s) {
    return s->model;
}

uint64_t hone_session_plans_compiled(const hone_session *s) {
    return hone_plan_cache_compiled(s->plans);
}
