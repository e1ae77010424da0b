/* What a graph tells of itself: the public accessors of hone/graph.h. */
#include "base/bits.h"
#include "base/narrow.h"
#include "graph/infer.h"

#include <string.h>

const char *hone_graph_name(const hone_graph *g) {
    return g->name;
}
int hone_graph_input_count(const hone_graph *g) {
    return (int)g->input_count;
}
int hone_graph_output_count(const hone_graph *g) {
    return (int)g->output_count;
}

static bool info(hone_value *const *list, size_t count, int index, hone_value_info *out) {
    if (index < 0 || (size_t)index >= count) return false;
    const hone_value *v = list[index];
    *out = (hone_value_info){
        .name = v->name, .kind = v->type.kind, .dtype = v->type.dtype, .rank = v->type.rank};
    memcpy(out->dims, v->type.dims, sizeof out->dims);
    return true;
}

bool hone_graph_input(const hone_graph *g, int index, hone_value_info *out) {
    return info(g->inputs, g->input_count, index, out);
}

bool hone_graph_output(const hone_graph *g, int index, hone_value_info *out) {
    return info(g->outputs, g->output_count, index, out);
}

const hone_tensor *hone_graph_initializer(const hone_graph *g, const char *name) {
    const hone_value *v = hone_graph_find(g, name);
    return v ? v->data : NULL;
}

const char *hone_graph_initializer_name(const hone_graph *g, int index) {
    for (size_t i = 0; i < g->value_count; i++)
        if (g->values[i] && g->values[i]->data && index-- == 0) return g->values[i]->name;
    return NULL;
}

/* What inference has found out from what an initializer held. */
static void forget_shapes(hone_graph *g) {
    for (size_t i = 0; i < g->value_count; i++)
        if (g->values[i] && g->values[i]->storage == HONE_STORAGE_INTERMEDIATE)
            g->values[i]->type.rank = HONE_RANK_ANY;
    hone_graph *sub;
    for (const hone_node *n = g->first; n; n = n->next)
        for (int i = 0; (sub = hone_node_subgraph(n, i)); i++) forget_shapes(sub);
}

hone_status hone_graph_set_initializer(hone_graph *g, const char *name, hone_tensor *t, hone_error *err) {
    hone_value *v = hone_graph_find(g, name);
    if (!v || !v->data) return hone_fail(err, HONE_NOT_FOUND, "no initializer '%s'", name);
    hone_type found = hone_type_of(t);
    bool fits = found.kind == v->type.kind && found.dtype == v->type.dtype && found.rank == v->type.rank;
    for (int i = 0; fits && i < found.rank; i++) fits = found.dims[i] == v->type.dims[i];
    if (!fits) {
        char a[96], b[96];
        return hone_fail_node(err, HONE_INVALID_ARGUMENT, name, NULL, "is %s and can't become %s",
                              hone_type_format(g, &v->type, a, sizeof a),
                              hone_type_format(g, &found, b, sizeof b));
    }
    hone_tensor_retain(t);
    hone_tensor_free(v->data);
    v->data = t;
    forget_shapes(g);
    return hone_graph_infer(g, err);
}

const char *hone_graph_metadata(const hone_graph *g, const char *key) {
    for (size_t i = 0; i < g->metadata_count; i++)
        if (strcmp(g->metadata[i].key, key) == 0) return g->metadata[i].value;
    return NULL;
}

hone_status hone_graph_set_metadata(hone_graph *g, const char *key, const char *value, hone_error *err) {
    const char *copy = hone_arena_strdup(g->arena, value);
    if (!copy) return hone_fail_memory(err);
    for (size_t i = 0; i < g->metadata_count; i++) {
        if (strcmp(g->metadata[i].key, key) != 0) continue;
        g->metadata[i].value = copy;
        return HONE_OK;
    }
    const char *name = hone_arena_strdup(g->arena, key);
    if (!name ||
        !hone_reserve(&g->metadata, &g->metadata_capacity, g->metadata_count + 1, sizeof *g->metadata))
        return hone_fail_memory(err);
    g->metadata[g->metadata_count++] = (hone_metadata){name, copy};
    return HONE_OK;
}

/* Zero as a number: of quantized weights it is the zero point, which DequantizeLinear's users know; weights
 * that Hone quantizes have zero point 0. */
static int64_t count_nonzero(const hone_tensor *t) {
    int bits = hone_dtype_bits(t->dtype);
    static const char zero[8];
    int64_t n = 0;
    for (int64_t i = 0; i < t->count; i++)
        n += bits < 8 ? hone_bits_get(t->data, i, bits) != 0
                      : memcmp((const char *)t->data + i * bits / 8, zero, (size_t)bits / 8) != 0;
    return n;
}

static bool is_parameter(const hone_value *v) {
    return v->data && v->data->rank > 0 && v->data->count > 1 &&
           (hone_dtype_is_float(v->data->dtype) || hone_dtype_is_small_float(v->data->dtype) ||
            (hone_dtype_is_int(v->data->dtype) && hone_dtype_bits(v->data->dtype) <= 8 &&
             v->data->dtype != HONE_BOOL));
}

/* The node's multiply-adds; 0 where shapes are unknown or no memory could hold them. Each is the product of
 * an output's elements and a dimension of an input. */
static int64_t count_multiply_adds(const hone_node *n, const hone_type *types, const hone_type **in) {
    if (!n->op->multiply_adds || !n->outputs[0]) return 0;
    const hone_type *y = &types[n->outputs[0]->id];
    int64_t longest = 1;
    for (int i = 0; i < n->input_count; i++) {
        in[i] = n->inputs[i] ? &types[n->inputs[i]->id] : NULL;
        if (!in[i]) continue;
        if (!hone_type_is_concrete(in[i])) return 0;
        for (int d = 0; d < in[i]->rank; d++)
            if (in[i]->dims[d] > longest) longest = in[i]->dims[d];
    }
    int64_t bound;
    if (!hone_type_is_concrete(y) || __builtin_mul_overflow(hone_type_count(y), longest, &bound)) return 0;
    return n->op->multiply_adds(n, in, y);
}

/* All types, with symbols of the inputs as they are or taken as 1. */
static hone_status infer_for_one(const hone_graph *g, bool as_one, hone_type *types, hone_error *err) {
    for (size_t i = 0; i < g->input_count; i++) {
        hone_type *t = &types[g->inputs[i]->id];
        *t = g->inputs[i]->type;
        for (int d = 0; as_one && d < t->rank; d++)
            if (t->dims[d] < 0) t->dims[d] = 1;
    }
    return hone_graph_infer_types(g, types, NULL, err);
}

/* Nodes and weights of a graph and of those inside of its nodes. What is captured counts where it is made. */
static void count_contents(const hone_graph *g, hone_graph_stats *out) {
    out->nodes += (int64_t)g->node_count;
    for (size_t i = 0; i < g->value_count; i++) {
        const hone_value *v = g->values[i];
        if (!v || !v->data) continue;
        out->initializers++;
        out->parameter_bytes += (int64_t)v->data->bytes;
        if (!is_parameter(v)) continue;
        out->parameters += v->data->count;
        out->nonzero_parameters += count_nonzero(v->data);
    }
    const hone_graph *sub;
    for (const hone_node *n = g->first; n; n = n->next)
        for (int i = 0; (sub = hone_node_subgraph(n, i)) != NULL; i++) count_contents(sub, out);
}

hone_status hone_graph_get_stats(const hone_graph *g, hone_graph_stats *out, hone_error *err) {
    int inputs, outputs;
    hone_graph_widest(g, &inputs, &outputs);
    hone_type *types = hone_calloc(g->value_count + 1, sizeof *types);
    const hone_type **in = hone_calloc((size_t)inputs + 1, sizeof *in);
    if (!types || !in) {
        hone_free(types);
        hone_free(in);
        return hone_fail_memory(err);
    }
    *out = (hone_graph_stats){0};
    count_contents(g, out);
    hone_status status = infer_for_one(g, true, types, err);
    if (status ==
        HONE_INVALID_ARGUMENT) { /* a symbol must be something else: only what has none is counted */
        memset(types, 0, g->value_count * sizeof *types);
        status = infer_for_one(g, false, types, err);
    }
    for (const hone_node *n = g->first; n && status == HONE_OK; n = n->next) {
        if (__builtin_add_overflow(out->multiply_adds, count_multiply_adds(n, types, in),
                                   &out->multiply_adds))
            out->multiply_adds = INT64_MAX;
    }
    hone_free(types);
    hone_free(in);
    return status;
}

typedef struct op_list {
    const hone_op **ops; /* in the order of their first use */
    int64_t *counts;
    size_t count, ops_capacity, counts_capacity;
} op_list;

static bool count_op(op_list *l, const hone_op *op) {
    size_t i = 0;
    while (i < l->count && l->ops[i] != op) i++;
    if (i == l->count) {
        if (!hone_reserve(&l->ops, &l->ops_capacity, i + 1, sizeof *l->ops) ||
            !hone_reserve(&l->counts, &l->counts_capacity, i + 1, sizeof *l->counts))
            return false;
        l->ops[l->count] = op;
        l->counts[l->count++] = 0;
    }
    l->counts[i]++;
    return true;
}

static bool count_graph_ops(op_list *l, const hone_graph *g) {
    const hone_graph *sub;
    for (const hone_node *n = g->first; n; n = n->next) {
        if (!count_op(l, n->op)) return false;
        for (int i = 0; (sub = hone_node_subgraph(n, i)) != NULL; i++)
            if (!count_graph_ops(l, sub)) return false;
    }
    return true;
}

hone_status hone_graph_count_ops(const hone_graph *g, hone_op_count_fn *fn, void *user, hone_error *err) {
    op_list l = {0};
    bool counted = count_graph_ops(&l, g);
    for (size_t i = 0; i < l.count && counted; i++)
        fn(user, hone_op_domain(l.ops[i]), l.ops[i]->name, l.counts[i]);
    hone_free(l.ops);
    hone_free(l.counts);
    return counted ? HONE_OK : hone_fail_memory(err);
}
