/* Fusions: chains of elementwise operators become one vector program, and programs become epilogues. */
#include "graph/infer.h"
#include "ops/engine/elementwise.h"
#include "ops/engine/program.h"
#include "ops/rewrites/rewrites.h"

#include <string.h>

#define MAX_OPERANDS 16 /* of a fused node: beyond, registers get short */

/* Narrow integers are not joined: they wrap when they are stored, after each operator. */
static bool is_elementwise(const hone_node *n) {
    if (n->op->prepare != hone_prepare_elementwise || !n->outputs[0]) return false;
    hone_dtype dtype = n->outputs[0]->type.dtype;
    return (HONE_TYPE(dtype) & (HONE_TYPES_FLOAT | HONE_TYPES_INT)) != 0;
}

static bool same_type(const hone_value *a, const hone_value *b) {
    if (a->type.dtype != b->type.dtype || a->type.rank < 0 || a->type.rank != b->type.rank) return false;
    for (int i = 0; i < a->type.rank; i++)
        if (a->type.dims[i] != b->type.dims[i] || a->type.dims[i] == HONE_DIM_ANY) return false;
    return true;
}

/* Is v made for `n` alone, in the shape of n's result? Then its maker may be joined with n. */
static bool private_to(const hone_graph *g, const hone_value *v, const hone_node *n) {
    if (!v || !v->producer || v->producer->output_count != 1 || hone_graph_is_output(g, v)) return false;
    for (size_t i = 0; i < v->use_count; i++)
        if (v->uses[i].node != n) return false;
    return same_type(v, n->outputs[0]);
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
    return hone_map_input(m, i);
}

/* Emits node n, an operator or a fused node, with the given registers for its inputs. */
static hone_reg emit(hone_map *m, const hone_node *n, const hone_reg *in) {
    hone_reg out[HONE_MAP_MAX_OUTPUTS];
    if (!n->map) {
        hone_map_emit(m, n, in, out);
        return out[0];
    }
    return hone_map_inline(m, n->map, in);
}

/* Joins the elementwise maker of input `index` into n; NULL if the program gets too long. */
static hone_node *join(hone_graph *g, hone_node *n, int index) {
    hone_value *joined = n->inputs[index];
    hone_node *maker = joined->producer;
    hone_map *m = hone_map_new(g->arena);
    operands o = {.count = 0};
    hone_reg in[MAX_OPERANDS];
    if (!m || maker->input_count > MAX_OPERANDS || n->input_count > MAX_OPERANDS) return NULL;
    bool fits = true;
    for (int i = 0; i < maker->input_count; i++) fits &= (in[i] = operand(m, &o, maker->inputs[i])) >= 0;
    if (!fits) return NULL;
    hone_reg inner = emit(m, maker, in);
    for (int i = 0; i < n->input_count; i++)
        fits &= (in[i] = n->inputs[i] == joined ? inner : operand(m, &o, n->inputs[i])) >= 0;
    if (!fits) return NULL;
    hone_map_add_output(m, emit(m, n, in));
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
        if (!is_elementwise(n) || n->output_count != 1) continue;
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
    hone_reg in[MAX_OPERANDS], own = m ? hone_map_input(m, 0) : -1;
    hone_value *others[MAX_OPERANDS];
    int count = 0;
    if (!m || n->input_count > MAX_OPERANDS) return false;
    for (int i = 0; i < n->input_count; i++) {
        in[i] = own;
        if (n->inputs[i] == strip) continue;
        others[count++] = n->inputs[i];
        in[i] = hone_map_input(m, count);
    }
    hone_map_add_output(m, emit(m, n, in));
    hone_program trial;
    if (hone_program_make(m, &trial, NULL) != HONE_OK) return false;
    maker->map = m;
    maker->map_input = maker->input_count;
    for (int i = 0; i < count; i++) hone_node_set_input(g, maker, maker->map_input + i, others[i]);
    hone_graph_replace(g, n->outputs[0], strip);
    hone_graph_remove_node(g, n);
    return true;
}

hone_status hone_rewrite_fuse_epilogue(hone_graph *g, int *changes, hone_error *err) {
    for (hone_node *n = g->first, *next; n; n = next) {
        next = n->next;
        if (!is_elementwise(n) || n->output_count != 1) continue;
        for (int i = 0; i < n->input_count; i++) {
            if (!private_to(g, n->inputs[i], n)) continue;
            const hone_node *maker = n->inputs[i]->producer;
            if (!maker->op->epilogue || maker->map || !attach(g, n, i)) continue;
            ++*changes;
            break;
        }
    }
    return hone_graph_check(g, err);
}
