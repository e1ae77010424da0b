/* Small data sets and networks for the tests of training and compression. */
#ifndef TESTS_TRAIN_SMALL_H
#define TESTS_TRAIN_SMALL_H

#include "support/files.h"

#include "base/error.h"
#include "base/random.h"
#include "data/dataset.h"
#include "graph/infer.h"
#include "graph/op.h"

#include <hone/train.h>
#include <string.h>

static hone_error err;

static inline const char *error_text(void) {
    static char text[1024];
    return hone_error_format(&err, text, sizeof text);
}

static inline void ok(hone_status status) {
    if (status != HONE_OK) fail_msg("%s", error_text());
}

/* The call failed with that status, and its error has the text. */
static inline void refused_at(hone_status status, hone_status wanted, const char *text, int line) {
    if (status != wanted || !strstr(error_text(), text))
        fail_msg("line %d: status %s, \"%s\"; wanted %s with \"%s\"", line, hone_status_name(status),
                 status == HONE_OK ? "" : error_text(), hone_status_name(wanted), text);
}
#define refused(status, wanted, text) refused_at(status, wanted, text, __LINE__)

/* --- data --- */

/* Columns x and y. */
static inline hone_dataset *dataset_of(const char *name, hone_tensor *x, hone_tensor *y) {
    hone_dataset *d = NULL;
    ok(hone_dataset_make((hone_named_tensor[]){{"x", x}, {"y", y}}, 2, name, &d, &err));
    hone_tensor_free(x);
    hone_tensor_free(y);
    return d;
}

static inline hone_column column_of(const hone_dataset *d, const char *name) {
    hone_column c;
    if (!hone_dataset_column(d, hone_dataset_find(d, name), &c)) fail_msg("no column %s", name);
    return c;
}

/* As a model sees them. */
static inline void read_x(const hone_dataset *d, int64_t first, int64_t n, float *x) {
    hone_reading r = {hone_dataset_find(d, "x"), HONE_FLOAT32, true};
    ok(hone_dataset_read(d, &r, NULL, first, n, x, &err));
}

static inline void read_y(const hone_dataset *d, int64_t first, int64_t n, int64_t *y) {
    hone_reading r = {hone_dataset_find(d, "y"), HONE_INT64, false};
    ok(hone_dataset_read(d, &r, NULL, first, n, y, &err));
}

/* n samples of `features` floats: class c lies around a point of its own. */
static inline hone_dataset *blobs(int64_t n, int64_t features, int classes, uint64_t seed) {
    int64_t dims[] = {n, features};
    hone_tensor *x = NULL, *y = NULL;
    ok(hone_tensor_new(HONE_FLOAT32, 2, dims, &x, &err));
    ok(hone_tensor_new(HONE_INT64, 1, dims, &y, &err));
    hone_rng rng = hone_rng_make(seed, 1);
    for (int64_t i = 0; i < n; i++) {
        int64_t label = i < classes ? i : hone_rng_below(&rng, (uint32_t)classes);
        hone_rng center = hone_rng_make(77, (uint64_t)label);
        ((int64_t *)y->data)[i] = label;
        for (int64_t j = 0; j < features; j++)
            ((float *)x->data)[i * features + j] =
                hone_rng_uniform(&center) + 0.3f * (hone_rng_uniform(&rng) - 0.5f);
    }
    return dataset_of("blobs", x, y);
}

/* `data` for all tests of a program, and a directory for its files: set up and torn down with the group. */
#define SHARED_BLOBS(samples, features, classes)                                                             \
    static hone_dataset *data;                                                                               \
    static int make_data(void **state) {                                                                     \
        data = blobs(samples, features, classes, 1);                                                         \
        return make_test_dir(state);                                                                         \
    }                                                                                                        \
    static int free_data(void **state) {                                                                     \
        hone_dataset_free(data);                                                                             \
        return remove_test_dir(state);                                                                       \
    }

static inline hone_graph *mlp(const char *widths, const hone_dataset *d, uint64_t seed) {
    char text[64];
    hone_graph *g = NULL;
    hone_build_options o = HONE_BUILD_OPTIONS_INIT;
    snprintf(text, sizeof text, "mlp:%s", widths);
    o.seed = seed;
    ok(hone_build_model(text, d, &o, &g, &err));
    return g;
}

/* --- graphs --- */

static inline hone_value *add_weight(hone_graph *g, const char *name, int rank, const int64_t *dims,
                                     uint64_t seed) {
    hone_tensor *t = NULL;
    ok(hone_tensor_new(HONE_FLOAT32, rank, dims, &t, &err));
    hone_rng rng = hone_rng_make(seed, hone_hash(name, strlen(name)));
    for (int64_t i = 0; i < t->count; i++) ((float *)t->data)[i] = hone_rng_uniform(&rng) - 0.5f;
    hone_value *v = hone_graph_add_constant(g, name, t);
    hone_tensor_free(t);
    return v;
}
#define WEIGHT(g, name, seed, ...)                                                                           \
    add_weight(g, name, (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (int64_t[]){__VA_ARGS__}, \
               seed)

/* The float input "input" [batch, …]. */
#define INPUT(g, ...)                                                                                        \
    add_input(g, (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (int64_t[]){__VA_ARGS__})
static inline hone_value *add_input(hone_graph *g, int rank, const int64_t *sample) {
    int64_t dims[HONE_MAX_RANK] = {hone_graph_symbol(g, "batch")};
    memcpy(dims + 1, sample, (size_t)rank * sizeof *sample);
    hone_type type = hone_type_make(HONE_FLOAT32, rank + 1, dims);
    return hone_graph_add_input(g, "input", &type);
}

static inline hone_graph *finished(hone_graph *g, hone_value *y) {
    hone_graph_rename(g, y, "logits");
    hone_graph_add_output(g, y);
    ok(hone_graph_check(g, &err));
    ok(hone_graph_infer(g, &err));
    return g;
}

static inline const hone_tensor *weight_of(const hone_graph *g, const char *name) {
    const hone_tensor *t = hone_graph_initializer(g, name);
    if (!t) fail_msg("no initializer %s", name);
    return t;
}

static inline bool same_tensor(const hone_tensor *a, const hone_tensor *b) {
    return a->dtype == b->dtype && a->rank == b->rank && memcmp(a->dims, b->dims, sizeof a->dims) == 0 &&
           memcmp(a->data, b->data, a->bytes) == 0;
}

/* All initializers, bit for bit. */
static inline bool same_weights(const hone_graph *a, const hone_graph *b) {
    const char *name;
    int i = 0;
    for (; (name = hone_graph_initializer_name(a, i)); i++) {
        const hone_tensor *other = hone_graph_initializer(b, name);
        if (!other || !same_tensor(hone_graph_initializer(a, name), other)) return false;
    }
    return i > 0 && !hone_graph_initializer_name(b, i);
}

static inline hone_graph *copy_of(const hone_graph *g) {
    hone_graph *copy = NULL;
    ok(hone_graph_copy(g, &copy, &err));
    return copy;
}

/* Output 0 of `g` for the first n samples; a copy that belongs to the caller. */
static inline hone_tensor *predict(const hone_graph *g, const hone_dataset *d, int64_t n) {
    hone_model *m = NULL;
    hone_session *s = NULL;
    hone_context *c = NULL;
    hone_tensor *x = NULL, *y = NULL;
    const hone_tensor *outputs[8];
    hone_column sample = column_of(d, "x");
    int64_t dims[HONE_MAX_RANK] = {n};
    memcpy(dims + 1, sample.dims, (size_t)sample.rank * sizeof *dims);
    ok(hone_tensor_new(HONE_FLOAT32, sample.rank + 1, dims, &x, &err));
    read_x(d, 0, n, x->data);
    ok(hone_model_compile(g, NULL, &m, &err));
    ok(hone_session_create(m, NULL, &s, &err));
    ok(hone_context_create(s, &c, &err));
    ok(hone_context_run(c, (const hone_tensor *[]){x}, outputs, &err));
    ok(hone_tensor_copy_of(outputs[0]->dtype, outputs[0]->rank, outputs[0]->dims, outputs[0]->data, &y,
                           &err));
    hone_tensor_free(x);
    hone_context_free(c);
    hone_session_free(s);
    hone_model_free(m);
    return y;
}

#endif
