/* Small models for the serving tests, built in memory. */
#ifndef HONE_TESTS_SERVE_MODELS_H
#define HONE_TESTS_SERVE_MODELS_H

#include "graph/graph.h"
#include "graph/infer.h"

/* y [batch, 2] = x [batch, 3] · W, W = [[1, 2], [3, 4], [5, 6]]. */
static inline hone_graph *matrix_model(void) {
    static const float w[] = {1, 2, 3, 4, 5, 6};
    hone_graph *g = hone_graph_new("matrix");
    hone_type type = {HONE_KIND_TENSOR, HONE_FLOAT32, 2, {hone_graph_symbol(g, "batch"), 3}};
    hone_tensor *t = NULL;
    if (hone_tensor_copy_of(HONE_FLOAT32, 2, (int64_t[]){3, 2}, w, &t, NULL) != HONE_OK) return NULL;
    hone_value *x = hone_graph_add_input(g, "x", &type);
    hone_value *y = HONE_EMIT(g, "", "MatMul", x, hone_graph_add_constant(g, "W", t));
    hone_tensor_free(t);
    hone_graph_rename(g, y, "y");
    hone_graph_add_output(g, y);
    return hone_graph_infer(g, NULL) == HONE_OK ? g : NULL;
}

/* sum = a + b, difference = a - b, all [batch]. */
static inline hone_graph *pair_model(void) {
    hone_graph *g = hone_graph_new("pair");
    hone_type type = {HONE_KIND_TENSOR, HONE_FLOAT32, 1, {hone_graph_symbol(g, "batch")}};
    hone_value *a = hone_graph_add_input(g, "a", &type), *b = hone_graph_add_input(g, "b", &type);
    hone_value *sum = HONE_EMIT(g, "", "Add", a, b), *difference = HONE_EMIT(g, "", "Sub", a, b);
    hone_graph_rename(g, sum, "sum");
    hone_graph_rename(g, difference, "difference");
    hone_graph_add_output(g, sum);
    hone_graph_add_output(g, difference);
    return hone_graph_infer(g, NULL) == HONE_OK ? g : NULL;
}

/* y = 2 x, int32 [batch]. */
static inline hone_graph *integer_model(void) {
    hone_graph *g = hone_graph_new("integer");
    hone_type type = {HONE_KIND_TENSOR, HONE_INT32, 1, {hone_graph_symbol(g, "batch")}};
    hone_value *x = hone_graph_add_input(g, "x", &type);
    hone_value *y = HONE_EMIT(g, "", "Add", x, x);
    hone_graph_rename(g, y, "y");
    hone_graph_add_output(g, y);
    return g;
}

/* sum = x + x, x [batch, 2], as maps with these keys; and [batch] of its largest index, as converters of pipelines write it. */
static inline hone_graph *maps_model(bool texts) {
    static const hone_string words[] = {{(char *)"no", 2}, {(char *)"a \"b\"", 5}};
    hone_graph *g = hone_graph_new("maps");
    hone_type type = {HONE_KIND_TENSOR, HONE_FLOAT32, 2, {hone_graph_symbol(g, "batch"), 2}};
    hone_value *x = hone_graph_add_input(g, "x", &type), *sum = HONE_EMIT(g, "", "Add", x, x);
    hone_value *label = HONE_EMIT(g, "", "ArgMax", sum), *maps = HONE_EMIT(g, "ai.onnx.ml", "ZipMap", sum);
    hone_node_set_int(g, label->producer, "axis", 1);
    hone_node_set_int(g, label->producer, "keepdims", 0);
    if (texts)
        hone_node_set_strings(g, maps->producer, "classlabels_strings", words, 2);
    else
        hone_node_set_ints(g, maps->producer, "classlabels_int64s", (int64_t[]){-1, 7}, 2);
    hone_graph_rename(g, label, "label");
    hone_graph_rename(g, maps, "scores");
    hone_graph_add_output(g, label);
    hone_graph_add_output(g, maps);
    return hone_graph_infer(g, NULL) == HONE_OK ? g : NULL;
}

/* The same of rows of any length, of which only those of two fit the keys. */
static inline hone_graph *loose_maps_model(void) {
    hone_graph *g = maps_model(false);
    g->inputs[0]->type.dims[1] = hone_graph_symbol(g, "width");
    return hone_graph_infer(g, NULL) == HONE_OK ? g : NULL;
}

/* y = x · total [batch, length] and total = Σ x [batch, 1] of x [batch, length]: what is padded by 0 comes
 * out as it does alone. By ReduceMean instead of ReduceSum it does not, and by ReduceMax only where x has
 * something above 0. */
static inline hone_graph *lengths_model(const char *reduce) {
    hone_graph *g = hone_graph_new("lengths");
    hone_type type = {
        HONE_KIND_TENSOR, HONE_FLOAT32, 2, {hone_graph_symbol(g, "batch"), hone_graph_symbol(g, "length")}};
    hone_tensor *t = NULL;
    if (hone_tensor_copy_of(HONE_INT64, 1, (int64_t[]){1}, (int64_t[]){1}, &t, NULL) != HONE_OK) return NULL;
    hone_value *x = hone_graph_add_input(g, "x", &type);
    hone_value *total = HONE_EMIT(g, "", reduce, x, hone_graph_add_constant(g, "axes", t));
    hone_value *y = HONE_EMIT(g, "", "Mul", x, total);
    hone_tensor_free(t);
    hone_graph_rename(g, y, "y");
    hone_graph_rename(g, total, "total");
    hone_graph_add_output(g, y);
    hone_graph_add_output(g, total);
    return hone_graph_infer(g, NULL) == HONE_OK ? g : NULL;
}

/* y = softmax(softmax(… x)), `steps` times, of [batch, width]: as slow as wanted. */
static inline hone_graph *slow_model(int steps, int64_t width) {
    hone_graph *g = hone_graph_new("slow");
    hone_type type = {HONE_KIND_TENSOR, HONE_FLOAT32, 2, {hone_graph_symbol(g, "batch"), width}};
    hone_value *x = hone_graph_add_input(g, "x", &type);
    for (int i = 0; i < steps; i++) x = HONE_EMIT(g, "", "Softmax", x);
    hone_graph_rename(g, x, "y");
    hone_graph_add_output(g, x);
    return g;
}

/* y = (x xᵀ)(x xᵀ)… of x [n, 1]: next to nothing for a few rows, as warm-up sends them, and minutes for
 * ENDLESS_ROWS, in steps of a few milliseconds. For what must not end before a test breaks it off. */
enum { ENDLESS_ROWS = 768 };
static inline hone_graph *endless_of(int64_t rows) {
    hone_graph *g = hone_graph_new("endless");
    hone_type type = {HONE_KIND_TENSOR, HONE_FLOAT32, 2, {rows ? rows : hone_graph_symbol(g, "batch"), 1}};
    hone_value *x = hone_graph_add_input(g, "x", &type);
    x = HONE_EMIT(g, "", "MatMul", x, HONE_EMIT(g, "", "Transpose", x));
    for (int i = 0; i < 5000; i++) x = HONE_EMIT(g, "", "MatMul", x, x);
    hone_graph_rename(g, x, "y");
    hone_graph_add_output(g, x);
    return hone_graph_infer(g, NULL) == HONE_OK ? g : NULL;
}

static inline hone_graph *endless_model(void) {
    return endless_of(0);
}

/* y = x, of any type and shape [batch, …]. */
static inline hone_graph *echo_model(hone_dtype dtype, int rank, const char *output) {
    hone_graph *g = hone_graph_new("echo");
    hone_type type = {HONE_KIND_TENSOR, dtype, rank, {hone_graph_symbol(g, "batch")}};
    for (int i = 1; i < rank; i++) type.dims[i] = HONE_DIM_ANY;
    hone_value *x = hone_graph_add_input(g, "x", &type);
    hone_value *y = HONE_EMIT(g, "", "Identity", x);
    hone_graph_rename(g, y, output);
    hone_graph_add_output(g, y);
    return hone_graph_infer(g, NULL) == HONE_OK ? g : NULL;
}

#endif
