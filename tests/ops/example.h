/* Reads the examples of rewrites' rows (hone_rewrite.example): gives the names of a pattern values in a graph. */
#ifndef HONE_TESTS_OPS_EXAMPLE_H
#define HONE_TESTS_OPS_EXAMPLE_H

#include "graph/pattern.h"

#include "support/graphs.h"

#define EXAMPLE_INPUTS 12
#define EXAMPLE_SYMBOL 3 /* what symbolic dimensions are when it runs */

typedef struct example {
    hone_graph *g;
    hone_match match;
    hone_dtype real; /* of the numbers in patterns: the first dtype of the example that is no byte */
    hone_tensor *data[EXAMPLE_INPUTS];
    int inputs;
    hone_value *named[2 * EXAMPLE_INPUTS]; /* what the names stand for */
    size_t named_count;
    hone_value *end; /* of the pattern */
} example;

static inline hone_dtype example_dtype(const char **at) {
    static const struct {
        const char *name;
        hone_dtype dtype;
    } names[] = {{"f32", HONE_FLOAT32}, {"f64", HONE_FLOAT64}, {"i32", HONE_INT32}, {"i64", HONE_INT64},
                 {"u8", HONE_UINT8},    {"i8", HONE_INT8},     {"bool", HONE_BOOL}};
    for (int i = 0; i < COUNT(names); i++) {
        size_t n = strlen(names[i].name);
        if (strncmp(*at, names[i].name, n) != 0) continue;
        *at += n;
        return names[i].dtype;
    }
    return HONE_UNDEFINED;
}

static inline void example_blanks(const char **at) {
    *at += strspn(*at, " ");
}

static inline void example_set(hone_tensor *t, int64_t i, double x) {
    if (t->dtype == HONE_UINT8)
        ((uint8_t *)t->data)[i] = (uint8_t)x;
    else if (t->dtype == HONE_INT8)
        ((int8_t *)t->data)[i] = (int8_t)x;
    else if (t->dtype == HONE_BOOL)
        ((bool *)t->data)[i] = x > 0;
    else
        tensor_set(t, i, x);
}

static inline double example_random(hone_dtype dtype, bool positive, hone_rng *r) {
    double x = hone_rng_uniform(r);
    switch (dtype) {
    case HONE_UINT8: return (double)hone_rng_below(r, 256);
    case HONE_INT8: return (double)hone_rng_below(r, 256) - 128;
    case HONE_INT32:
    case HONE_INT64: return (double)hone_rng_below(r, 4000) - (positive ? 0 : 2000);
    default: return positive ? 0.1 + x : 2 * x - 1;
    }
}

/* "[batch, 3]": the type has the symbol, the tensor a number in its place. */
static inline int example_dims(hone_graph *g, const char **at, int64_t *type, int64_t *data) {
    int rank = 0;
    for (++*at; **at != ']'; rank++) {
        example_blanks(at);
        char *end, name[32];
        type[rank] = data[rank] = strtoll(*at, &end, 10);
        if (end == *at) {
            size_t n = strcspn(*at, ",]");
            snprintf(name, sizeof name, "%.*s", (int)n, *at);
            type[rank] = hone_graph_symbol(g, name);
            data[rank] = EXAMPLE_SYMBOL;
            end += n;
        }
        *at = end;
        if (**at == ',') ++*at;
    }
    ++*at;
    return rank;
}

static inline hone_value *example_tensor(example *e, const char *name, const char **at, hone_rng *r) {
    example_blanks(at);
    bool constant = strncmp(*at, "const ", 6) == 0;
    *at += constant ? 6 : 0;
    hone_dtype dtype = example_dtype(at);
    if (dtype == HONE_UNDEFINED || **at != '[') fail_msg("example, at \"%s\"", *at);
    if (e->real == HONE_UNDEFINED && hone_dtype_size(dtype) > 1) e->real = dtype;
    int64_t dims[HONE_MAX_RANK], concrete[HONE_MAX_RANK];
    int rank = example_dims(e->g, at, dims, concrete);
    example_blanks(at);
    bool positive = strncmp(*at, "> 0", 3) == 0;
    *at += positive ? 3 : 0;
    hone_tensor *t = tensor_make(dtype, rank, concrete);
    for (int64_t i = 0; i < t->count; i++) example_set(t, i, example_random(dtype, positive, r));
    if (constant) return graph_constant(e->g, name, t);
    assert_true(e->inputs < EXAMPLE_INPUTS);
    e->data[e->inputs++] = t;
    return graph_input(e->g, name, dtype, rank, dims);
}

static inline hone_value *example_constant(example *e, const char **at) {
    example_blanks(at);
    if (**at == '[') {
        int64_t dims[HONE_MAX_RANK], ints[HONE_MAX_RANK];
        int count = example_dims(e->g, at, dims, ints);
        return hone_graph_ints(e->g, ints, count);
    }
    hone_dtype dtype = example_dtype(at);
    char *end;
    double x = strtod(*at, &end);
    if (end == *at) fail_msg("example, at \"%s\"", *at);
    *at = end;
    return hone_graph_scalar(e->g, dtype == HONE_UNDEFINED ? HONE_FLOAT32 : dtype, x);
}

/* Gives the names in `text` their values. */
static inline void example_read(example *e, const char *text) {
    hone_rng r = hone_rng_make(11, hone_hash(text, strlen(text)));
    for (const char *at = text; *at;) {
        example_blanks(&at);
        size_t n = strcspn(at, ":= ");
        char name[32];
        snprintf(name, sizeof name, "%.*s", (int)n, at);
        at += n;
        example_blanks(&at);
        char kind = *at++;
        hone_value *v = kind == ':' ? example_tensor(e, name, &at, &r) : example_constant(e, &at);
        if (!hone_match_set(&e->match, name, v)) fail_msg("no pattern has a name %s", name);
        assert_true(e->named_count < COUNT(e->named));
        e->named[e->named_count++] = v;
        example_blanks(&at);
        if (*at && *at++ != ';') fail_msg("example \"%s\", before \"%s\"", text, at - 1);
    }
    if (e->real == HONE_UNDEFINED) e->real = HONE_FLOAT32;
}

static inline void example_free(example *e) {
    for (int i = 0; i < e->inputs; i++) hone_tensor_free(e->data[i]);
    hone_graph_free(e->g);
}

#endif
