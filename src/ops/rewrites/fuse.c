/* Fusions: chains of elementwise operators become one vector program, and programs become epilogues. */
#include "graph/infer.h"
#include "graph/pattern.h"
#include "ops/engine/elementwise.h"
#include "ops/engine/program.h"
#include "ops/rewrites/rewrites.h"

#include <math.h>

#define MAX_OPERANDS 16 /* of a fused node: beyond, registers get short */

static bool is_elementwise(const hone_node *n) {
    return hone_node_is_elementwise(n) && n->output_count == 1 && n->outputs[0];
}

static bool same_shape(const hone_value *a, const hone_value *b) {
    if (a->type.rank < 0 || a->type.rank != b->type.rank) return false;
    for (int i = 0; i < a->type.rank; i++)
        if (a->type.dims[i] != b->type.dims[i] || a->type.dims[i] == HONE_DIM_ANY) return false;
    return true;
}

/* Is v made for `n` alone, in the shape of n's result? Then its maker may be joined with n. */
static bool private_to(const hone_graph *g, const hone_value *v, const hone_node *n) {
    if (!v || !v->producer || v->producer->output_count != 1 || hone_graph_is_output(g, v)) return false;
    for (size_t i = 0; i < v->use_count; i++)
        if (v->uses[i].node != n) return false;
    return same_shape(v, n->outputs[0]);
}

/* The operands of a fused node while it is put together: a value each, once. */
typedef struct operands {
    hone_value *value[MAX_OPERANDS];
    int count;
} operands;

static hone_reg operand(hone_map *m, operands *o, hone_value *v) {
    int i = 0;
    while (i < o->count && o->value[i] != v) i++;
    if (i == MAX_OPERANDS) return -1;
    if (i == o->count) o->value[o->count++] = v;
    return hone_map_input(m, i, v->type.dtype);
}

/* Is v a constant of one number that a double has exactly, and adds no axis to n's result? It becomes code. */
static bool is_number(const hone_node *n, const hone_value *v) {
    double x = hone_constant_number(v);
    int most = -1;
    for (int i = 0; i < n->input_count; i++) {
        const hone_value *other = n->inputs[i];
        if (other && other->storage != HONE_STORAGE_CONSTANT && other->type.rank > most)
            most = other->type.rank;
    }
    return !isnan(x) && (hone_dtype_is_float(v->type.dtype) || fabs(x) < 0x1p53) && v->type.rank <= most;
}

/* The register of n's input v, which is `joined` (in register `inner`), a number, or an operand; < 0: those are too many. */
static hone_reg register_of(hone_map *m, operands *o, const hone_node *n, hone_value *v,
                            const hone_value *joined, hone_reg inner) {
    if (v == joined) return inner;
    if (is_number(n, v)) return hone_map_number(m, hone_constant_number(v), v->type.dtype);
    return operand(m, o, v);
}

static bool registers_of(hone_map *m, operands *o, const hone_node *n, const hone_value *joined,
                         hone_reg inner, hone_reg *in) {
    for (int i = 0; i < n->input_count; i++) {
        in[i] = n->inputs[i] ? register_of(m, o, n, n->inputs[i], joined, inner) : -1;
        if (n->inputs[i] && in[i] < 0) return false;
    }
    return true;
}

/* Joins the elementwise maker of input `index` into n; NULL if the program gets too long. */
static hone_node *join(hone_graph *g, hone_node *n, int index) {
    hone_value *joined = n->inputs[index];
    hone_node *maker = joined->producer;
    hone_map *m = hone_map_new(g->arena);
    operands o = {.count = 0};
    hone_reg in[MAX_OPERANDS];
    if (!m || maker->input_count > MAX_OPERANDS || n->input_count > MAX_OPERANDS) return NULL;
    hone_reg inner, result;
    if (!registers_of(m, &o, maker, NULL, -1, in)) return NULL;
    hone_map_emit(m, maker, in, &inner);
    if (!registers_of(m, &o, n, joined, inner, in)) return NULL;
    hone_map_emit(m, n, in, &result);
    hone_map_add_output(m, result);
    hone_program trial;
    if (hone_program_make(m, &trial, NULL) != HONE_OK) return NULL;
    g->insert_before = n;
    hone_node *fused =
        hone_graph_add_node(g, hone_op_find(HONE_PRIVATE_DOMAIN, "Map"), n->name, o.count, o.value, 1);
    g->insert_before = NULL;
    if (!fused) return NULL;
    fused->map = m;
    fused->outputs[0]->type = n->outputs[0]->type;
    hone_graph_replace(g, n->outputs[0], fused->outputs[0]);
    hone_graph_remove_node(g, n);
    hone_graph_remove_node(g, maker);
    return fused;
}

hone_status hone_rewrite_fuse_elementwise(hone_graph *g, int *changes, hone_error *err) {
    for (hone_node *n = g->first; n; n = n->next) {
        if (!is_elementwise(n)) continue;
        for (int i = 0; i < n->input_count; i++) {
            if (!private_to(g, n->inputs[i], n) || !is_elementwise(n->inputs[i]->producer)) continue;
            hone_node *fused = join(g, n, i);
            if (!fused) continue;
            ++*changes;
            n = fused;
            i = -1; /* its operands anew */
        }
    }
    return hone_graph_check(g, err);
}

/* Hangs elementwise node n behind the maker of its input `index`, as a program over each finished strip. */
static bool attach(hone_graph *g, hone_node *n, int index) {
    hone_value *strip = n->inputs[index];
    hone_node *maker = strip->producer;
    hone_map *m = hone_map_new(g->arena);
    operands o = {.value = {strip}, .count = 1}; /* operand 0 is the strip itself */
    hone_reg in[MAX_OPERANDS], result;
    if (!m || n->input_count > MAX_OPERANDS) return false;
    if (!registers_of(m, &o, n, strip, operand(m, &o, strip), in)) return false;
    hone_map_emit(m, n, in, &result);
    hone_map_add_output(m, result);
    hone_program trial;
    if (hone_program_make(m, &trial, NULL) != HONE_OK) return false;
    maker->map = m;
    maker->map_input = maker->input_count;
    for (int i = 1; i < o.count; i++) hone_node_set_input(g, maker, maker->map_input + i - 1, o.value[i]);
    hone_graph_replace(g, n->outputs[0], strip);
    hone_graph_remove_node(g, n);
    return true;
}

hone_status hone_rewrite_fuse_epilogue(hone_graph *g, int *changes, hone_error *err) {
    for (hone_node *n = g->first, *next; n; n = next) {
        next = n->next;
        if (!is_elementwise(n)) continue;
        for (int i = 0; i < n->input_count; i++) {
            if (!private_to(g, n->inputs[i], n) || n->inputs[i]->type.dtype != n->outputs[0]->type.dtype)
                continue;
            const hone_node *maker = n->inputs[i]->producer;
            if (!maker->op->epilogue || maker->map) continue;
            if (maker->op->without_epilogue && maker->op->without_epilogue(maker)) continue;
            if (!attach(g, n, i)) continue;
            ++*changes;
            break;
        }
    }
    return hone_graph_check(g, err);
}
