/* Predictions that tests submit to a core with one model, "m", and two workers. */
#ifndef HONE_TESTS_SERVE_BATCHES_H
#define HONE_TESTS_SERVE_BATCHES_H

#include "graph/tensor.h"
#include "serve/models/core_inside.h"
#include "serve/starting.h"
#include "serve/workers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* --- predictions --- */

typedef struct job {
    hone_prediction p;
    hone_tensor *in[2];
    const hone_tensor *list[2];
    hone_tensor *out; /* a copy of the first output */
    hone_status status;
    hone_error err;
    int *left, done;
} job;

static inline hone_status take(hone_prediction *p, const hone_tensor *const *outputs, hone_error *err) {
    job *j = p->user;
    const hone_tensor *t = outputs[0];
    if (!j->out || j->out->bytes != t->bytes) {
        hone_tensor_free(j->out);
        j->out = NULL;
        return hone_tensor_copy_of(t->dtype, t->rank, t->dims, t->data, &j->out, err);
    }
    memcpy(j->out->data, t->data, t->bytes);
    return HONE_OK;
}

static inline void done(hone_prediction *p, hone_status status) {
    job *j = p->user;
    j->status = status;
    j->done++;
    (*j->left)--;
}

static inline void fill_floats(hone_tensor *t, unsigned seed) {
    float *x = t->data;
    for (int64_t i = 0; i < t->count; i++) {
        seed = seed * 1664525u + 1013904223u;
        x[i] = (float)(seed >> 8) / (float)(1 << 24) - 0.5f;
    }
}

static inline void make_job(job *j, hone_servable *s, int64_t rows, int64_t width, unsigned seed, int *left) {
    *j = (job){.left = left};
    int64_t dims[2] = {rows, width};
    assert_int_equal(hone_tensor_new(HONE_FLOAT32, 2, dims, &j->in[0], NULL), HONE_OK);
    fill_floats(j->in[0], seed);
    j->list[0] = j->in[0];
    j->p = (hone_prediction){
        .servable = s, .inputs = j->list, .take = take, .done = done, .err = &j->err, .user = j};
}

static inline void free_job(job *j) {
    hone_tensor_free(j->in[0]);
    hone_tensor_free(j->in[1]);
    hone_tensor_free(j->out);
}

/* --- a core --- */

typedef struct fixture {
    hone_stats *stats;
    hone_core *core;
    hone_servable *s;
    worker w[2];
} fixture;

static inline hone_core_options core_options(double inline_cost, int threads) {
    hone_core_options o = HONE_CORE_OPTIONS_INIT;
    o.inline_cost = inline_cost;
    o.compute_threads = threads;
    return o;
}

static inline hone_slice slice(const char *text) {
    return (hone_slice){text, strlen(text)};
}

static inline void tell_task(hone_model_task *t, hone_status status, const hone_error *err) {
    if (status != HONE_OK) print_error("%s\n", err->message);
    (*(int *)t->user)--;
}

static inline void start(fixture *f, hone_graph *g, const hone_core_options *o, const char *settings) {
    hone_error err = {0};
    *f = (fixture){0};
    assert_int_equal(hone_stats_new(&f->stats, NULL), HONE_OK);
    assert_int_equal(hone_core_new(2, 1, f->stats, &f->core, NULL), HONE_OK);
    assert_int_equal(hone_core_configure(f->core, o, NULL), HONE_OK);
    assert_int_equal(start_core(f->core, &err), HONE_OK);
    for (int i = 0; i < 2; i++) attach(&f->w[i], f->core, i);
    if (hone_core_add(f->core, "m", 1, g, &err) != HONE_OK) fail_msg("%s", err.message);
    hone_graph_free(g);
    if (settings) {
        int left = 1;
        hone_model_task t = {.worker = 0, .done = tell_task, .user = &left};
        hone_core_load_model(f->core, &t, slice("m"), slice(settings));
        turn_until(&f->w[0], &left, 0);
        assert_int_equal(t.status, HONE_OK);
    }
    f->s = hone_core_find(f->core, slice("m"), HONE_LATEST);
    assert_non_null(f->s);
}

static inline void stop(fixture *f) {
    hone_servable_release(f->s);
    hone_core_free(f->core);
    hone_stats_free(f->stats);
    for (int i = 0; i < 2; i++) detach(&f->w[i]);
}

#endif
