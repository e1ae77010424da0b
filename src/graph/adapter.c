#include "graph/adapter.h"

#include "base/error.h"
#include "base/random.h"
#include "graph/infer.h"
#include "graph/op.h"

#include <math.h>
#include <string.h>

enum { DEEPEST = 12 };

/* --- sites --- */

static bool is_constant(const hone_value *v, int depth) {
    if (!v || v->storage == HONE_STORAGE_CONSTANT) return true;
    if (!v->producer || depth == DEEPEST) return false;
    const hone_node *n = v->producer;
    for (int i = 0; i < n->input_count; i++)
        if (!is_constant(n->inputs[i], depth + 1)) return false;
    return true;
}

static bool is_table(const hone_value *v) {
    for (size_t u = 0; u < v->use_count; u++) {
        const hone_slot *slot = hone_op_input(v->uses[u].node->op, v->uses[u].index);
        if (slot && (slot->flags & HONE_SLOT_ROWS)) return true;
    }
    return false;
}

/* The constant that stands first in what `v` is made of. */
static hone_value *first_constant(hone_value *v) {
    for (int depth = 0; v && v->storage != HONE_STORAGE_CONSTANT; depth++) {
        if (!v->producer || depth == DEEPEST || v->producer->input_count < 1) return NULL;
        v = v->producer->inputs[0];
    }
    return v;
}

static bool is_plain_gemm(const hone_node *n) {
    return n->op == hone_op_find("", "Gemm") && hone_node_float(n, "alpha") == 1 &&
           !hone_node_int(n, "transA") && n->inputs[0]->type.rank == 2;
}

bool hone_adapter_site_of(hone_node *n, hone_adapter_site *out) {
    const bool gemm = is_plain_gemm(n);
    if (!gemm && n->op != hone_op_find("", "MatMul")) return false;
    const hone_value *w = n->inputs[1];
    if (w->type.rank != 2 || w->type.dims[0] < 1 || w->type.dims[1] < 1 || w->type.dtype != HONE_FLOAT32)
        return false;
    hone_value *weight = is_constant(w, 0) ? first_constant(n->inputs[1]) : NULL;
    if (!weight || weight->type.rank < 2 || is_table(weight)) return false;
    const bool rows = gemm && hone_node_int(n, "transB");
    *out = (hone_adapter_site){n, weight, w->type.dims[rows], w->type.dims[!rows]};
    return true;
}

int hone_adapter_name(const hone_adapter_site *s) {
    const size_t n = strlen(s->weight->name), end = strlen(".weight");
    return (int)(n > end && strcmp(s->weight->name + n - end, ".weight") == 0 ? n - end : n);
}

/* --- putting branches in --- */

static hone_value *factor(hone_graph *g, const hone_adapter_site *s, const char *which, hone_tensor *t) {
    const char *name =
        hone_arena_printf(g->arena, "%.*s.%s.weight", hone_adapter_name(s), s->weight->name, which);
    if (!name) {
        hone_graph_out_of_memory(g);
        return NULL;
    }
    hone_value *there = hone_graph_find(g, name);
    return there ? there : hone_graph_add_constant(g, name, t);
}

void hone_adapter_put(hone_graph *g, const hone_adapter_site *s, hone_tensor *a, hone_tensor *b,
                      float scale) {
    hone_node *n = s->node;
    hone_value *y = n->outputs[0], *wa = factor(g, s, "lora_A", a), *wb = factor(g, s, "lora_B", b);
    g->insert_before = n->next;
    hone_value *few = HONE_EMIT(g, "", "MatMul", n->inputs[0], HONE_EMIT(g, "", "Transpose", wa));
    few = HONE_EMIT(g, "", "Mul", few, hone_graph_scalar(g, HONE_FLOAT32, scale));
    hone_value *change = HONE_EMIT(g, "", "MatMul", few, HONE_EMIT(g, "", "Transpose", wb));
    /* all that read y read the sum, which itself reads y */
    hone_value *sum = HONE_EMIT(g, "", "Add", change, change);
    g->insert_before = NULL;
    if (!sum) return;
    hone_graph_replace(g, y, sum);
    hone_node_set_input(g, sum->producer, 0, y);
}

static hone_status new_factors(const hone_adapter_site *s, int rank, uint64_t seed, hone_tensor **a,
                               hone_tensor **b, hone_error *err) {
    const float bound = 1 / sqrtf((float)s->in);
    HONE_TRY(hone_tensor_new(HONE_FLOAT32, 2, (int64_t[]){rank, s->in}, a, err));
    hone_rng rng = hone_rng_make(seed, hone_hash(s->weight->name, strlen(s->weight->name)));
    float *x = (*a)->data;
    for (int64_t i = 0; i < (*a)->count; i++) x[i] = (2 * hone_rng_uniform(&rng) - 1) * bound;
    HONE_TRY(hone_tensor_new(HONE_FLOAT32, 2, (int64_t[]){s->out, rank}, b, err));
    memset((*b)->data, 0, (*b)->bytes);
    return HONE_OK;
}

hone_status hone_graph_add_adapter(hone_graph *g, int rank, float alpha, uint64_t seed,
                                   hone_adapter_fn *wants, const void *arg, int *count, hone_error *err) {
    hone_status status = hone_graph_infer(g, err);
    *count = 0;
    for (hone_node *n = g->first, *next; n && status == HONE_OK; n = next) {
        hone_adapter_site s;
        hone_tensor *a = NULL, *b = NULL;
        next = n->next;
        if (!hone_adapter_site_of(n, &s) || (wants && !wants(arg, s.weight->name))) continue;
        status = new_factors(&s, rank, seed, &a, &b, err);
        if (status == HONE_OK) hone_adapter_put(g, &s, a, b, alpha / (float)rank);
        hone_tensor_free(a);
        hone_tensor_free(b);
        ++*count;
    }
    return status == HONE_OK ? hone_graph_check(g, err) : status;
}

/* --- branches that are there --- */

static const hone_node *made_by(const hone_value *v, const hone_op *op) {
    return v && v->producer && v->producer->op == op ? v->producer : NULL;
}

/* The constant of a factor that is read transposed. */
static hone_value *factor_of(const hone_node *product, const char *which) {
    const hone_node *t = product ? made_by(product->inputs[1], hone_op_find("", "Transpose")) : NULL;
    hone_value *v = t ? t->inputs[0] : NULL;
    return v && hone_value_constant(v) && v->type.dtype == HONE_FLOAT32 && v->type.rank == 2 &&
                   strstr(v->name, which)
               ? v
               : NULL;
}

static bool find_branch(hone_node *add, int side, hone_adapter_branch *out) {
    const hone_node *up = made_by(add->inputs[1 - side], hone_op_find("", "MatMul")),
                    *scaled = up ? made_by(up->inputs[0], hone_op_find("", "Mul")) : NULL,
                    *down = scaled ? made_by(scaled->inputs[0], hone_op_find("", "MatMul")) : NULL;
    hone_node *product = add->inputs[side]->producer;
    hone_value *b = factor_of(up, ".lora_B."), *a = factor_of(down, ".lora_A.");
    const hone_tensor *scale = scaled ? hone_value_constant(scaled->inputs[1]) : NULL;
    if (!a || !b || !scale || scale->count != 1 || scale->dtype != HONE_FLOAT32 || !product ||
        !hone_adapter_site_of(product, &out->site) || down->inputs[0] != product->inputs[0])
        return false;
    const int64_t rank = a->data->dims[0];
    if (a->data->dims[1] != out->site.in || b->data->dims[0] != out->site.out || b->data->dims[1] != rank)
        return false;
    out->add = add;
    out->a = a;
    out->b = b;
    out->scale = *(const float *)scale->data;
    return true;
}

bool hone_adapter_branch_of(hone_node *add, hone_adapter_branch *out) {
    return add->op == hone_op_find("", "Add") && (find_branch(add, 0, out) || find_branch(add, 1, out));
}

/* --- merging --- */

/* W, or its transposed form, is read as it is stored. */
static bool is_mergeable(const hone_adapter_branch *b, bool *stored_out_in) {
    const hone_node *n = b->site.node;
    const hone_value *w = b->site.weight, *read = n->inputs[1];
    const hone_node *t = made_by(read, hone_op_find("", "Transpose"));
    *stored_out_in = n->op == hone_op_find("", "Gemm") && hone_node_int(n, "transB");
    if (t && t->inputs[0] == w) {
        size_t count;
        const int64_t *perm = hone_node_ints(t, "perm", &count);
        if (count && perm[0] == 0) return false;
        *stored_out_in = !*stored_out_in;
    } else if (read != w) {
        return false;
    }
    return hone_value_constant(w) && w->type.dtype == HONE_FLOAT32 && w->type.rank == 2;
}

static hone_status add_product(const hone_adapter_branch *b, bool out_in, hone_error *err) {
    const int64_t in = b->site.in, out = b->site.out, rank = b->a->data->dims[0];
    const float *va = b->a->data->data, *vb = b->b->data->data;
    hone_value *w = b->site.weight;
    hone_tensor *t = NULL;
    HONE_TRY(hone_tensor_new(HONE_FLOAT32, 2, w->data->dims, &t, err));
    const float *from = w->data->data;
    float *to = t->data;
    for (int64_t o = 0; o < out; o++)
        for (int64_t i = 0; i < in; i++) {
            double sum = 0;
            for (int64_t k = 0; k < rank; k++) sum += (double)vb[o * rank + k] * (double)va[k * in + i];
            const int64_t at = out_in ? o * in + i : i * out + o;
            to[at] = from[at] + (float)((double)b->scale * sum);
        }
    hone_tensor_free(w->data);
    w->data = t;
    return HONE_OK;
}

/* A weight that several products read is to be merged once. */
static bool is_first_of_weight(const hone_graph *g, const hone_adapter_branch *b) {
    for (hone_node *n = g->first; n && n != b->add; n = n->next) {
        hone_adapter_branch other;
        if (hone_adapter_branch_of(n, &other) && other.site.weight == b->site.weight) return false;
    }
    return true;
}

hone_status hone_graph_merge_adapter(hone_graph *g, int *left, hone_error *err) {
    int stay = 0;
    HONE_TRY(hone_graph_infer(g, err));
    for (hone_node *n = g->first; n; n = n->next) {
        hone_adapter_branch b;
        bool out_in;
        if (!hone_adapter_branch_of(n, &b)) continue;
        if (is_mergeable(&b, &out_in) && is_first_of_weight(g, &b)) HONE_TRY(add_product(&b, out_in, err));
    }
    for (hone_node *n = g->first, *next; n; n = next) {
        hone_adapter_branch b;
        bool out_in;
        next = n->next;
        if (!hone_adapter_branch_of(n, &b)) continue;
        if (is_mergeable(&b, &out_in))
            hone_graph_replace(g, n->outputs[0], b.site.node->outputs[0]);
        else
            stay++;
    }
    hone_graph_prune(g);
    if (left) *left = stay;
    return hone_graph_check(g, err);
}
