/* Scan as opset 8 had it: sequence_lens?, states and scan inputs, each with a leading axis of the batch; the
 * second axis of scan inputs is scanned. It becomes a Scan over the batch around one over the elements of a
 * sequence:
 *
 *   Scan over batch   (length?, state …, x …) of one sequence
 *      x = x[: length]
 *      state …, y … = Scan(state …, x …)          with the body that there was
 *      y = y, zeros behind it up to all elements
 */
#include "ops/control/scan_8.h"

#include "ops/common/emit.h"

const hone_attr_def hone_scan_8_attrs[] = {{"body", HONE_ATTR_GRAPH, .required = true},
                                           {"num_scan_inputs", HONE_ATTR_INT, .required = true},
                                           {"directions", HONE_ATTR_INTS},
                                           {NULL}};

typedef struct lift {
    hone_graph *g, *sequence; /* what runs for one sequence */
    hone_node *old, *outer;
    int states, scans;
    hone_value *length, *all; /* int64 [1]; length NULL: all */
} lift;

static hone_value **room(hone_graph *g, int count) {
    hone_value **v = hone_arena_array(g->arena, (size_t)count + 1, sizeof *v);
    if (!v) hone_graph_out_of_memory(g);
    return v;
}

/* The Scan over the batch, and the inputs of its body. */
static bool begin_batch(lift *l) {
    hone_node *n = l->old;
    const int count = n->capture_first, first = n->inputs[0] ? 0 : 1;
    l->outer = hone_graph_add_node(l->g, n->op, n->name, count - first, n->inputs + first, n->output_count);
    l->sequence = l->outer ? hone_node_add_graph(l->g, l->outer, "body") : NULL;
    if (!l->sequence) return false;
    hone_node_set_int(l->g, l->outer, "num_scan_inputs", count - first);
    for (int i = first; i < count; i++) {
        const hone_type any = {.kind = HONE_KIND_TENSOR, .rank = HONE_RANK_ANY};
        hone_graph_add_input(l->sequence, n->inputs[i] ? n->inputs[i]->name : NULL, &any);
    }
    return true;
}

/* What is left of x, and how much of it counts. */
static void cut_scans(lift *l, hone_value **x) {
    hone_graph *s = l->sequence;
    const int64_t one = 1, zero = 0;
    l->all = hone_emit_dim(s, x[0], 0);
    if (!l->old->inputs[0]) return;
    hone_value *given = hone_emit_shaped(s, s->input_count ? s->inputs[0] : NULL, &one, 1);
    given = HONE_EMIT(s, "", "Max", given, hone_graph_ints(s, &zero, 1));
    l->length = HONE_EMIT(s, "", "Min", given, l->all);
    for (int i = 0; i < l->scans; i++)
        x[i] = HONE_EMIT(s, "", "Slice", x[i], hone_graph_ints(s, &zero, 1), l->length,
                         hone_graph_ints(s, &zero, 1));
}

/* The Scan over elements, which takes the body over. */
static hone_node *add_inner(lift *l, hone_value **inputs) {
    hone_graph *s = l->sequence;
    hone_node *n = l->old;
    const int own = l->states + l->scans, captured = n->input_count - n->capture_first;
    for (int k = 0; k < captured; k++)
        inputs[own + k] = hone_graph_capture(s, n->inputs[n->capture_first + k]);
    hone_node *inner = hone_graph_add_node(s, n->op, NULL, own + captured, inputs, n->output_count);
    if (!inner || hone_graph_check(l->g, NULL) != HONE_OK) return NULL;
    inner->capture_first = own;
    hone_node_set_int(s, inner, "num_scan_inputs", l->scans);
    size_t count;
    const int64_t *directions = hone_node_ints(n, "directions", &count);
    if (directions) hone_node_set_ints(s, inner, "scan_input_directions", directions, count);
    hone_node_move_graph(s, inner, n, "body");
    return inner;
}

static hone_value *padded(lift *l, hone_value *y) {
    hone_graph *s = l->sequence;
    const int64_t zero = 0;
    if (!l->length) return y;
    hone_value *none = hone_graph_ints(s, &zero, 1);
    hone_value *pads = hone_emit_joined(s, none, HONE_EMIT(s, "", "Sub", l->all, l->length), 0);
    return HONE_EMIT(s, "", "Pad", y, pads, NULL, none);
}

static void build(lift *l) {
    hone_node *n = l->old;
    const int first = n->inputs[0] ? 1 : 0; /* among the inputs of the body */
    if (!begin_batch(l) || hone_graph_check(l->g, NULL) != HONE_OK) return;
    hone_value **inputs = room(l->sequence, n->input_count);
    if (!inputs) return;
    for (int i = 0; i < l->states + l->scans; i++) inputs[i] = l->sequence->inputs[first + i];
    cut_scans(l, inputs + l->states);
    hone_node *inner = add_inner(l, inputs);
    for (int o = 0; inner && o < n->output_count; o++) {
        hone_value *y = inner->outputs[o];
        hone_graph_add_output(l->sequence, o < l->states ? y : padded(l, y));
        if (n->outputs[o]) hone_graph_replace(l->g, n->outputs[o], l->outer->outputs[o]);
    }
}

hone_status hone_scan_8_lift(hone_graph *g, hone_node *n, hone_error *err) {
    const int64_t scans = hone_node_int(n, "num_scan_inputs");
    const int own = n->capture_first - 1;
    bool fits = own > 0 && scans >= 1 && scans <= own && hone_node_graph(n, "body");
    for (int i = 1; fits && i <= own; i++) fits = n->inputs[i] != NULL;
    if (!fits)
        return hone_fail_node(err, HONE_CORRUPT, n->name, hone_node_op_name(n), "scans %lld of its %d inputs",
                              (long long)scans, own > 0 ? own : 0);
    lift l = {.g = g, .old = n, .states = own - (int)scans, .scans = (int)scans};
    build(&l);
    HONE_TRY(hone_graph_check(g, err));
    hone_graph_remove_node(g, n);
    return HONE_OK;
}
