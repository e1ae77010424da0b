#include "graph/expand.h"

#include "graph/infer.h"
#include "graph/inside.h"
#include "graph/map.h"

/* Functions of functions are no deeper. */
enum { MAX_ROUNDS = 8 };

bool hone_op_expands(const hone_op *op, bool training) {
    bool runs = op->prepare || op->view || hone_op_is_control(op);
    bool has_rule = op->gradient || op->gradient_kind == HONE_GRADIENT_ZERO;
    return op->expand && (training ? !has_rule : !runs);
}

/* --- dtypes that are widened ---
 *
 *      x ─► Conv ─► y of half precision        x ─► Cast ─► Conv ─► w ─► Cast ─► y
 *
 * What follows takes w itself, if it is widened, too, or elementwise: between such nodes nothing is rounded, and a chain of
 * them is computed in float32 from end to end. */

typedef struct pass {
    hone_graph *graph;
    hone_value **wide; /* by value id: what was made narrow to be this value; NULL: nothing was */
    size_t capacity;
    bool training, any;
} pass;

static hone_value *wide_of(const pass *p, const hone_value *v) {
    return (size_t)v->id < p->capacity ? p->wide[v->id] : NULL;
}

static void note_wide(pass *p, const hone_value *narrow, hone_value *wide) {
    size_t before = p->capacity;
    if (!narrow) return;
    if (!hone_graph_reserve(p->graph, &p->wide, &p->capacity, (size_t)narrow->id + 1, sizeof(hone_value *)))
        return;
    for (size_t i = before; i < p->capacity; i++) p->wide[i] = NULL;
    p->wide[narrow->id] = wide;
}

static bool is_of(const hone_value *v, uint32_t types) {
    return v && v->type.kind == HONE_KIND_TENSOR && (types & HONE_TYPE(v->type.dtype));
}

/* May the input be float32 instead, and the outputs of its letter with it? What converts on purpose has no letter. */
static bool can_widen(const hone_node *n, int input) {
    const hone_slot *slot = hone_op_input(n->op, input);
    return slot && slot->var && (slot->types & HONE_TYPE(HONE_FLOAT32)) &&
           is_of(n->inputs[input], HONE_TYPES_HALF);
}

/* The dtypes in which the node is not computed: those of its operator, and halves of what is elementwise, or where
 * something wide is there to go on with. */
static uint32_t widened_by(const pass *p, const hone_node *n) {
    bool any = false, goes_on = false;
    if (p->training || n->op->role != HONE_ROLE_PLAIN || hone_node_subgraph(n, 0)) return 0;
    for (int i = 0; i < n->input_count; i++) {
        any |= is_of(n->inputs[i], n->op->widened);
        goes_on |= can_widen(n, i) && (hone_node_is_elementwise(n) || wide_of(p, n->inputs[i]));
    }
    return (any ? n->op->widened : 0) | (goes_on ? HONE_TYPES_HALF : 0);
}

static hone_value *cast(hone_graph *g, hone_value *v, hone_dtype dtype) {
    hone_value *y = HONE_EMIT(g, "", "Cast", v);
    if (y) hone_node_set_int(g, y->producer, "to", dtype);
    return y;
}

/* What a dtype that is widened becomes. */
static hone_dtype wide_dtype(hone_dtype dtype) {
    hone_dtype computes = hone_map_computes(dtype);
    return computes == HONE_UNDEFINED ? HONE_FLOAT32 : computes; /* floats of 8 bits: no map has them */
}

/* The same node of wider inputs, its outputs made narrow again. */
static void widen(pass *p, hone_graph *g, hone_node *n, uint32_t types) {
    hone_value **inputs = hone_arena_array(g->arena, (size_t)n->input_count + 1, sizeof *inputs);
    if (!inputs) {
        hone_graph_out_of_memory(g);
        return;
    }
    for (int i = 0; i < n->input_count; i++) {
        inputs[i] = n->inputs[i];
        if (!is_of(inputs[i], types)) continue;
        hone_value *wide = wide_of(p, inputs[i]);
        inputs[i] = wide ? wide : cast(g, inputs[i], wide_dtype(inputs[i]->type.dtype));
    }
    hone_node *wide = hone_graph_add_node(g, n->op, n->name, n->input_count, inputs, 0);
    if (!wide) return;
    hone_node_copy_attrs(g, wide, n);
    for (int o = 0; o < n->output_count; o++) {
        hone_value *old = n->outputs[o];
        hone_value *y = old ? hone_node_ask_output(g, wide, o) : NULL, *narrow = y;
        if (!y) continue;
        if (is_of(old, types)) {
            narrow = cast(g, y, old->type.dtype);
            note_wide(p, narrow, y);
        }
        hone_graph_replace(g, old, narrow);
    }
}

/* --- all nodes --- */

/* Something else stands for the node: it goes. */
static hone_status put_in_place(pass *p, hone_node *n, uint32_t types, hone_error *err) {
    hone_graph *g = p->graph;
    hone_node *before = g->insert_before;
    hone_status status = HONE_OK;
    g->insert_before = n;
    g->stands_for = n;
    if (types)
        widen(p, g, n, types);
    else
        status = n->op->expand(g, n, err);
    g->insert_before = before;
    g->stands_for = NULL;
    HONE_TRY(status);
    HONE_TRY(hone_graph_check(g, err));
    hone_graph_remove_node(g, n);
    return HONE_OK;
}

static hone_status expand_all(hone_graph *g, bool training, bool *any, hone_error *err);

static hone_status expand_nodes(pass *p, hone_error *err) {
    for (hone_node *n = p->graph->first, *next; n; n = next) {
        hone_graph *sub;
        next = n->next;
        for (int i = 0; (sub = hone_node_subgraph(n, i)); i++)
            HONE_TRY(expand_all(sub, p->training, &p->any, err));
        uint32_t types = widened_by(p, n);
        bool expands = hone_op_expands(n->op, p->training) || (n->op->expands && n->op->expands(n));
        if (!types && !expands) continue;
        p->any = true;
        HONE_TRY(put_in_place(p, n, types, err));
    }
    return HONE_OK;
}

static hone_status expand_all(hone_graph *g, bool training, bool *any, hone_error *err) {
    pass p = {.graph = g, .training = training};
    hone_status status = expand_nodes(&p, err);
    *any |= p.any;
    hone_free(p.wide);
    return status;
}

hone_status hone_graph_expand(hone_graph *g, bool training, hone_error *err) {
    for (int round = 0; round < MAX_ROUNDS; round++) {
        bool any = false;
        HONE_TRY(expand_all(g, training, &any, err));
        if (!any) return HONE_OK;
        HONE_TRY(hone_graph_infer(g, err));
    }
    return hone_fail(err, HONE_INTERNAL, "function operators are nested more than %d deep", MAX_ROUNDS);
}
