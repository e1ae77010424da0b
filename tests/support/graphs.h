/* For tests: small graphs, repeatable tensors, and running a graph once. Failures fail the test. */
#ifndef HONE_TESTS_GRAPHS_H
#define HONE_TESTS_GRAPHS_H

#include "base/half.h"
#include "base/random.h"
#include "graph/infer.h"
#include "graph/op.h"
#include "runtime/model.h"

#include <hone/session.h>

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))
#define SHAPE(...) COUNT(((int64_t[]){__VA_ARGS__})), ((int64_t[]){__VA_ARGS__})

#define check_ok(expression)                                                                                 \
    do {                                                                                                     \
        hone_status check_status_ = (expression);                                                            \
        if (check_status_ != HONE_OK)                                                                        \
            fail_msg("status %d: %s %s: %s", (int)check_status_, err.node, err.op, err.message);             \
    } while (0)

static inline hone_tensor *tensor_make(hone_dtype dtype, int rank, const int64_t *dims) {
    hone_tensor *t = NULL;
    hone_error err;
    check_ok(hone_tensor_new(dtype, rank, dims, &t, &err));
    return t;
}

/* Those of `count` tensors that are there, into `out`; how many. */
static inline int tensors_given(int count, hone_tensor *const *in, hone_tensor **out) {
    int n = 0;
    for (int i = 0; i < count; i++)
        if (in[i]) out[n++] = in[i];
    return n;
}

/* Element i as double, and back. */
static inline double tensor_at(const hone_tensor *t, int64_t i) {
    if (t->dtype == HONE_FLOAT32) return ((const float *)t->data)[i];
    if (t->dtype == HONE_FLOAT64) return ((const double *)t->data)[i];
    if (t->dtype == HONE_FLOAT16) return hone_float_of_half(((const uint16_t *)t->data)[i]);
    if (t->dtype == HONE_BFLOAT16) return hone_float_of_bfloat(((const uint16_t *)t->data)[i]);
    if (t->dtype == HONE_UINT64) return (double)((const uint64_t *)t->data)[i];
    return (double)hone_tensor_int(t, i);
}

static inline void tensor_set(hone_tensor *t, int64_t i, double x) {
    switch (t->dtype) {
    case HONE_FLOAT32: ((float *)t->data)[i] = (float)x; break;
    case HONE_FLOAT64: ((double *)t->data)[i] = x; break;
    case HONE_INT32: ((int32_t *)t->data)[i] = (int32_t)x; break;
    case HONE_INT64: ((int64_t *)t->data)[i] = (int64_t)x; break;
    case HONE_UINT64: ((uint64_t *)t->data)[i] = (uint64_t)x; break;
    case HONE_UINT32: ((uint32_t *)t->data)[i] = (uint32_t)x; break;
    case HONE_INT16: ((int16_t *)t->data)[i] = (int16_t)x; break;
    case HONE_UINT16: ((uint16_t *)t->data)[i] = (uint16_t)x; break;
    case HONE_INT8: ((int8_t *)t->data)[i] = (int8_t)x; break;
    case HONE_BOOL:
    case HONE_UINT8: ((uint8_t *)t->data)[i] = (uint8_t)x; break;
    case HONE_FLOAT16: ((uint16_t *)t->data)[i] = hone_half_of_float((float)x); break;
    case HONE_BFLOAT16: ((uint16_t *)t->data)[i] = hone_bfloat_of_float((float)x); break;
    default: fail_msg("a test has no use for %s", hone_dtype_name(t->dtype));
    }
}

/* In [-1, 1), or integers in [-9, 9]. */
static inline hone_tensor *tensor_random(hone_dtype dtype, int rank, const int64_t *dims, uint64_t seed) {
    hone_tensor *t = tensor_make(dtype, rank, dims);
    hone_rng r = hone_rng_make(seed, 7);
    bool whole = hone_dtype_is_int(dtype);
    for (int64_t i = 0; i < t->count; i++)
        tensor_set(t, i, whole ? (double)hone_rng_below(&r, 19) - 9 : 2.0 * hone_rng_uniform(&r) - 1);
    return t;
}

static inline hone_tensor *tensor_of(int rank, const int64_t *dims, const float *x) {
    hone_tensor *t = NULL;
    hone_error err;
    check_ok(hone_tensor_copy_of(HONE_FLOAT32, rank, dims, x, &t, &err));
    return t;
}

/* --- graphs --- */

static inline hone_value *graph_input(hone_graph *g, const char *name, hone_dtype dtype, int rank,
                                      const int64_t *dims) {
    hone_type type = hone_type_make(dtype, rank, dims);
    return hone_graph_add_input(g, name, &type);
}

/* Takes the tensor over. */
static inline hone_value *graph_constant(hone_graph *g, const char *name, hone_tensor *t) {
    hone_value *v = hone_graph_add_constant(g, name, t);
    hone_tensor_free(t);
    return v;
}

static inline hone_value *graph_variable(hone_graph *g, const char *name, hone_tensor *t) {
    hone_value *v = hone_graph_add_variable(g, name, t);
    hone_tensor_free(t);
    return v;
}

/* An operator of ONNX's, or of Hone's own if ONNX has none of that name; one output. */
#define graph_op(g, op, ...)                                                                                 \
    hone_graph_emit(g, hone_op_find("", op) ? "" : HONE_PRIVATE_DOMAIN, op, (hone_value *[]){__VA_ARGS__},   \
                    COUNT(((hone_value *[]){__VA_ARGS__})))

/* --- running --- */

/* Nodes of the compiled model's main graph that are no views: the steps of its plans. */
static inline int model_steps(const hone_model *m) {
    int steps = 0;
    for (const hone_node *n = m->bodies[0].graph->first; n; n = n->next)
        steps += n->op->view != hone_view_whole;
    return steps;
}

typedef struct runner {
    hone_model *model;
    hone_session *session;
    hone_context *context;
} runner;

static inline runner runner_of(hone_model *model, int threads) {
    runner r = {.model = model};
    hone_session_options options = HONE_SESSION_OPTIONS_INIT;
    hone_error err;
    options.threads = threads;
    check_ok(hone_session_create(r.model, &options, &r.session, &err));
    check_ok(hone_context_create(r.session, &r.context, &err));
    return r;
}

/* `disable`: rewrites that are switched off, or NULL. */
static inline runner runner_make(const hone_graph *g, const char *disable, int threads) {
    hone_model_options options = HONE_MODEL_OPTIONS_INIT;
    hone_model *model = NULL;
    hone_error err;
    options.disable_rewrites = disable;
    check_ok(hone_model_compile(g, &options, &model, &err));
    return runner_of(model, threads);
}

static inline void runner_free(runner *r) {
    hone_context_free(r->context);
    hone_session_free(r->session);
    hone_model_free(r->model);
}

static inline void runner_run(runner *r, hone_tensor *const *inputs, const hone_tensor **outputs) {
    hone_error err;
    check_ok(hone_context_run(r->context, (const hone_tensor *const *)inputs, outputs, &err));
}

static inline hone_tensor *tensor_copy(const hone_tensor *t) {
    hone_tensor *copy = NULL;
    hone_error err;
    check_ok(hone_tensor_copy_of(t->dtype, t->rank, t->dims, t->data, &copy, &err));
    return copy;
}

/* Compiles, runs once and copies output 0 … count-1 into `outputs`, which the caller frees. */
static inline void graph_run(const hone_graph *g, const char *disable, hone_tensor *const *inputs,
                             hone_tensor **outputs, int count) {
    const hone_tensor *views[64];
    runner r = runner_make(g, disable, 1);
    runner_run(&r, inputs, views);
    for (int i = 0; i < count; i++) outputs[i] = tensor_copy(views[i]);
    runner_free(&r);
}

static inline bool same_shape(const hone_tensor *a, const hone_tensor *b) {
    return a->dtype == b->dtype && a->rank == b->rank &&
           memcmp(a->dims, b->dims, (size_t)a->rank * sizeof *a->dims) == 0;
}

static inline void assert_same_bits(const hone_tensor *a, const hone_tensor *b) {
    assert_true(same_shape(a, b));
    if (a->bytes) assert_memory_equal(a->data, b->data, a->bytes);
}

/* |a - b| <= bound (1 + |b|) for every element. */
static inline void assert_close(const hone_tensor *a, const hone_tensor *b, double bound) {
    assert_true(same_shape(a, b));
    for (int64_t i = 0; i < a->count; i++) {
        double x = tensor_at(a, i), y = tensor_at(b, i);
        if (x != x && y != y) continue;
        if (x == y) continue;
        if (!(fabs(x - y) <= bound * (1 + fabs(y)))) fail_msg("[%lld]: %.9g, not %.9g", (long long)i, x, y);
    }
}

#endif
