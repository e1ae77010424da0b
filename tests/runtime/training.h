/* A training step as a graph: two layers, cross-entropy, gradients, momentum; every weight is bound. */
#ifndef HONE_TESTS_TRAINING_H
#define HONE_TESTS_TRAINING_H

#include "graph/autodiff.h"
#include "support/graphs.h"

enum { TRAINING_INPUTS = 24, TRAINING_HIDDEN = 40, TRAINING_CLASSES = 10 };

static inline hone_value *training_weight(hone_graph *g, const char *name, int rank, const int64_t *dims,
                                          uint64_t seed) {
    return graph_variable(g, name, tensor_random(HONE_FLOAT32, rank, dims, seed));
}

static inline void training_update(hone_graph *g, hone_value *w, hone_value *gradient) {
    hone_tensor *zero = tensor_make(HONE_FLOAT32, w->data->rank, w->data->dims);
    hone_value *v = graph_variable(g, "momentum", zero);
    hone_value *in[] = {w, v, gradient, hone_graph_scalar(g, HONE_FLOAT32, 0.05)};
    hone_node *n = hone_graph_add_node(g, hone_op_find(HONE_PRIVATE_DOMAIN, "Sgd"), NULL, 4, in, 2);
    hone_node_set_float(g, n, "momentum", 0.9f);
    hone_graph_bind(g, n->outputs[0], w);
    hone_graph_bind(g, n->outputs[1], v);
}

/* Inputs x [batch, TRAINING_INPUTS] and labels [batch]; outputs the loss and the logits. */
static inline hone_graph *training_graph(void) {
    hone_error err;
    hone_graph *g = hone_graph_new("training");
    int64_t batch = hone_graph_symbol(g, "batch");
    hone_value *x = graph_input(g, "x", HONE_FLOAT32, SHAPE(batch, TRAINING_INPUTS)),
               *labels = graph_input(g, "labels", HONE_INT64, SHAPE(batch));
    hone_value *w[] = {training_weight(g, "w1", SHAPE(TRAINING_INPUTS, TRAINING_HIDDEN), 1),
                       training_weight(g, "b1", SHAPE(TRAINING_HIDDEN), 2),
                       training_weight(g, "w2", SHAPE(TRAINING_HIDDEN, TRAINING_CLASSES), 3),
                       training_weight(g, "b2", SHAPE(TRAINING_CLASSES), 4)};
    hone_value *gradients[COUNT(w)];
    hone_value *hidden = graph_op(g, "Gelu", graph_op(g, "Gemm", x, w[0], w[1]));
    hone_value *logits = graph_op(g, "Gemm", hidden, w[2], w[3]), *in[] = {logits, labels};
    hone_value *loss =
        hone_graph_add_node(g, hone_op_find("", "SoftmaxCrossEntropyLoss"), "loss", 2, in, 2)->outputs[0];
    check_ok(hone_graph_infer(g, &err));
    hone_value *one = hone_graph_scalar(g, HONE_FLOAT32, 1);
    check_ok(hone_graph_differentiate(g, 1, &loss, &one, COUNT(w), w, gradients, &err));
    for (int i = 0; i < COUNT(w); i++) training_update(g, w[i], gradients[i]);
    hone_graph_add_output(g, loss);
    hone_graph_add_output(g, logits);
    check_ok(hone_graph_check(g, &err));
    return g;
}

/* x and labels, to be freed one by one. */
static inline void training_batch(int64_t size, uint64_t seed, hone_tensor *out[2]) {
    out[0] = tensor_random(HONE_FLOAT32, SHAPE(size, TRAINING_INPUTS), seed);
    out[1] = tensor_make(HONE_INT64, SHAPE(size));
    for (int64_t i = 0; i < size; i++)
        tensor_set(out[1], i, (double)((i * 7 + (int64_t)seed) % TRAINING_CLASSES));
}

#endif
