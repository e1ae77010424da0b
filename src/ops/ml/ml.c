#include "ops/ml/ml.h"

#include "graph/infer.h"
#include "graph/tensor.h"

#include <string.h>

hone_value *hone_ml_constant(hone_graph *g, hone_dtype dtype, int rank, const int64_t *dims,
                             const void *data) {
    hone_tensor *t = NULL;
    if (hone_tensor_copy_of(dtype, rank, dims, data, &t, NULL) != HONE_OK) {
        hone_graph_out_of_memory(g);
        return NULL;
    }
    hone_value *v = hone_graph_add_constant(g, NULL, t);
    hone_tensor_free(t);
    return v;
}

hone_value *hone_ml_list(hone_graph *g, const hone_node *n, const char *name) {
    const hone_attr *a = hone_node_attr(n, name);
    if (!a) return NULL;
    int64_t count = (int64_t)a->count;
    switch (a->type) {
    case HONE_ATTR_FLOATS: return hone_ml_constant(g, HONE_FLOAT32, 1, &count, a->floats);
    case HONE_ATTR_INTS: return hone_ml_constant(g, HONE_INT64, 1, &count, a->ints);
    case HONE_ATTR_STRINGS: return hone_ml_constant(g, HONE_STRING, 1, &count, a->strings);
    default: return NULL;
    }
}

size_t hone_ml_count(const hone_node *n, const char *name) {
    const hone_attr *a = hone_node_attr(n, name);
    return a ? a->count : 0;
}

hone_value *hone_ml_find(hone_graph *g, hone_value *x, hone_value *keys, bool last) {
    hone_value *y = HONE_EMIT(g, HONE_PRIVATE_DOMAIN, "FindKey", x, keys);
    if (y) hone_node_set_int(g, y->producer, "last", last);
    return y;
}

/* --- scores --- */

bool hone_ml_transform_known(const hone_node *n) {
    static const char *const known[] = {"NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT"};
    const char *t = hone_node_string(n, "post_transform");
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(t, known[i]) == 0) return true;
    return false;
}

hone_value *hone_ml_transform(hone_graph *g, hone_value *scores, const char *transform) {
    if (strcmp(transform, "NONE") == 0) return scores;
    if (strcmp(transform, "SOFTMAX") == 0) return HONE_EMIT(g, "", "Softmax", scores);
    if (strcmp(transform, "LOGISTIC") == 0) return HONE_EMIT(g, "", "Sigmoid", scores);
    return HONE_EMIT(g, HONE_PRIVATE_DOMAIN, strcmp(transform, "PROBIT") == 0 ? "Probit" : "SoftmaxZero",
                     scores);
}

hone_status hone_ml_infer_classes(hone_infer *ctx, const char *texts, const char *integers, int64_t columns,
                                  hone_error *err) {
    const hone_type *x = ctx->in[0];
    bool strings = hone_ml_count(ctx->node, texts) > 0;
    if (strings && hone_ml_count(ctx->node, integers) > 0)
        return hone_infer_fail(ctx, err, "has both %s and %s", texts, integers);
    if (!hone_ml_transform_known(ctx->node))
        return hone_infer_fail(ctx, err, "post_transform %s is not known",
                               hone_node_string(ctx->node, "post_transform"));
    if (x->rank == 0 || x->rank > 2) return hone_infer_fail(ctx, err, "X must be a row or a list of rows");
    int64_t rows = x->rank == 2 ? x->dims[0] : x->rank == 1 ? 1 : HONE_DIM_ANY;
    ctx->out[0].dtype = strings ? HONE_STRING : HONE_INT64;
    ctx->out[0].rank = 1;
    ctx->out[0].dims[0] = rows;
    if (ctx->output_count < 2) return HONE_OK;
    ctx->out[1].dtype = HONE_FLOAT32;
    ctx->out[1].rank = 2;
    ctx->out[1].dims[0] = rows;
    ctx->out[1].dims[1] = columns;
    return HONE_OK;
}

void hone_ml_give_classes(hone_graph *g, const hone_node *n, const char *texts, const char *integers,
                          hone_value *index, hone_value *scores) {
    bool strings = hone_ml_count(n, texts) > 0;
    hone_value *labels = hone_ml_list(g, n, strings ? texts : integers);
    if (hone_ml_count(n, strings ? texts : integers) == 1) {
        int64_t none = 0;
        hone_value *other = strings
                                ? hone_ml_constant(g, HONE_STRING, 1, (int64_t[]){1}, &(hone_string){"", 0})
                                : hone_graph_ints(g, &none, 1);
        labels = HONE_EMIT(g, "", "Concat", other, labels);
        if (labels) hone_node_set_int(g, labels->producer, "axis", 0);
    }
    if (n->outputs[0])
        hone_graph_replace(g, n->outputs[0], labels ? HONE_EMIT(g, "", "Gather", labels, index) : index);
    if (n->output_count > 1 && n->outputs[1])
        hone_graph_replace(g, n->outputs[1], hone_ml_cast(g, scores, HONE_FLOAT32));
}

hone_value *hone_ml_rows(hone_graph *g, hone_value *x, hone_dtype dtype) {
    hone_value *y = hone_ml_cast(g, x, dtype);
    if (x->type.rank != 1) return y;
    return HONE_EMIT(g, "", "Unsqueeze", y, hone_graph_ints(g, (int64_t[]){0}, 1));
}
