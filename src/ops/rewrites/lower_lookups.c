/* Elementwise work on bytes becomes a table of 256 entries:
 *
 *   a program of x and single constants, as DQ ─ Sigmoid ─ Q makes it     ⇒  Lookup(x, the program of all 256 codes)
 *
 * The program over the codes is a constant that folding computes with the program's own kernels, so that every bit is as
 * it would have been. */
#include "graph/infer.h"
#include "ops/engine/program.h"
#include "ops/ops.h"
#include "ops/rewrites/rewrites.h"

#define CODES 256
#define FEWEST 5 /* instructions that a table is faster than, a function of libm's kind counting as 3 */

static bool is_scalar(const hone_value *v) {
    return v && v->storage == HONE_STORAGE_CONSTANT && v->data && v->data->count == 1;
}

static bool is_byte(const hone_value *v) {
    return (HONE_TYPE(v->type.dtype) & HONE_TYPES_BYTE) != 0;
}

static bool same_shape(const hone_type *a, const hone_type *b) {
    if (a->rank < 0 || a->rank != b->rank) return false;
    for (int i = 0; i < a->rank; i++)
        if (a->dims[i] != b->dims[i] || a->dims[i] == HONE_DIM_ANY) return false;
    return true;
}

/* What `n` reads apart from single constants; NULL: several values, or one of another shape. */
static hone_value *only_operand(const hone_node *n) {
    hone_value *only = NULL;
    for (int i = 0; i < n->input_count; i++) {
        hone_value *v = n->inputs[i];
        if (!v || is_scalar(v) || v == only) continue;
        if (only) return NULL;
        only = v;
    }
    return only && same_shape(&only->type, &n->outputs[0]->type) ? only : NULL;
}

static int cost(hone_vop op) {
    bool transcendental = op >= HONE_VOP_EXP && op <= HONE_VOP_ATANH;
    return transcendental || op == HONE_VOP_POW || op == HONE_VOP_REM ? 3 : 1;
}

static bool pays(const hone_node *n) {
    hone_program p;
    int sum = 0;
    if (!n->map || hone_program_make(n->map, &p, NULL) != HONE_OK) return false;
    for (int i = 0; i < p.count; i++) sum += cost((hone_vop)p.code[i].op);
    return sum >= FEWEST;
}

/* All codes, in the order of their bits. */
static hone_value *codes_of(hone_graph *g, hone_dtype dtype) {
    hone_tensor *t = NULL;
    if (hone_tensor_new(dtype, 1, (int64_t[]){CODES}, &t, NULL) != HONE_OK) {
        hone_graph_out_of_memory(g);
        return NULL;
    }
    for (int i = 0; i < CODES; i++) ((uint8_t *)t->data)[i] = (uint8_t)i;
    hone_value *v = hone_graph_add_constant(g, "codes", t);
    hone_tensor_free(t);
    return v;
}

/* `n` once more, over the codes. */
static hone_node *over_codes(hone_graph *g, const hone_node *n, const hone_value *operand) {
    hone_value *codes = codes_of(g, operand->type.dtype);
    hone_node *copy = codes ? hone_graph_add_node(g, n->op, n->name, 0, NULL, 1) : NULL;
    for (int i = 0; copy && i < n->input_count; i++)
        hone_node_set_input(g, copy, i, n->inputs[i] == operand ? codes : n->inputs[i]);
    if (copy) copy->map = n->map;
    return copy;
}

static bool lower(hone_graph *g, hone_node *n) {
    if (!hone_node_is_elementwise(n) || n->output_count != 1 || !pays(n)) return false;
    hone_value *x = only_operand(n);
    if (!x || !is_byte(x) || x->storage == HONE_STORAGE_CONSTANT) return false;
    g->insert_before = n;
    const hone_node *values = over_codes(g, n, x);
    hone_node *lookup = values ? hone_graph_add_node(g, &hone_op_lookup, n->name, 2,
                                                     (hone_value *[]){x, values->outputs[0]}, 1)
                               : NULL;
    g->insert_before = NULL;
    if (!lookup) return false;
    lookup->outputs[0]->type = n->outputs[0]->type;
    hone_graph_replace(g, n->outputs[0], lookup->outputs[0]);
    hone_graph_remove_node(g, n);
    return true;
}

hone_status hone_rewrite_lower_lookups(hone_graph *g, int *changes, hone_error *err) {
    for (hone_node *n = g->first, *next; n; n = next) {
        next = n->next;
        *changes += lower(g, n);
    }
    return hone_graph_check(g, err);
}
