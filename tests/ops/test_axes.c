/* The axis links of every operator and case are true: where axes are linked, permuting the inputs along them
 * permutes the outputs likewise, and changes nothing where an axis is summed over. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "graph/infer.h"
#include "graph/tensor.h"
#include "ops/op_cases.h"

#define TOLERANCE 2e-5

/* The axes that one permutation goes along: everything linked with each other, directly or not. */
typedef struct group {
    int64_t size;                                 /* positions */
    bool in[CASE_MAX_INPUTS][HONE_MAX_RANK];      /* by input of the node */
    int64_t out[CASE_MAX_OUTPUTS][HONE_MAX_RANK]; /* elements that a position is wide; 0: not in the group */
    bool sums; /* has a contracted axis: unlinked outputs keep their content */
} group;

static bool join(group *g, const hone_axis_link *l) {
    bool has_in = g->in[l->input][l->axis], grows = false;
    bool has_in2 = l->kind == HONE_AXIS_CONTRACTED && l->input2 >= 0 && g->in[l->input2][l->axis2];
    bool has_out = l->kind != HONE_AXIS_CONTRACTED && l->output >= 0 && g->out[l->output][l->output_axis] > 0;
    if (l->kind == HONE_AXIS_BLOCKED || !(has_in || has_in2 || has_out)) return false;
    if (!has_in) grows = g->in[l->input][l->axis] = true;
    if (l->kind == HONE_AXIS_CONTRACTED) {
        g->sums = true;
        if (l->input2 >= 0 && !has_in2) grows = g->in[l->input2][l->axis2] = true;
    } else if (!has_out) {
        g->out[l->output][l->output_axis] = l->kind == HONE_AXIS_FACTORED ? l->inner : 1;
        grows = true;
    }
    return grows;
}

static group group_of(const hone_axes *axes, int first, const built_case *b) {
    const hone_axis_link *l = &axes->links[first];
    group g = {.size = b->node->inputs[l->input]->type.dims[l->axis]};
    g.in[l->input][l->axis] = true;
    for (bool grows = true; grows;) {
        grows = false;
        for (int i = 0; i < axes->count; i++) grows |= join(&g, &axes->links[i]);
    }
    return g;
}

/* Position p goes to (p * 2 + 1) mod size or its like: a rotation that is no symmetry of small sizes. */
static int64_t moved(int64_t p, int64_t size) {
    return size == 2 ? 1 - p : (p + 1) % size;
}

/* Blocks of `width` elements of an axis permuted. */
static void permute(const hone_tensor *from, int axis, int64_t size, int64_t width, hone_tensor *to) {
    int64_t outer = 1, inner = 1, blocks = from->dims[axis] / width;
    size_t element = hone_dtype_size(from->dtype);
    assert_int_equal(blocks, size);
    for (int i = 0; i < axis; i++) outer *= from->dims[i];
    for (int i = axis + 1; i < from->rank; i++) inner *= from->dims[i];
    size_t bytes = (size_t)(width * inner) * element;
    for (int64_t o = 0; o < outer; o++)
        for (int64_t p = 0; p < blocks; p++)
            memcpy((char *)to->data + (size_t)(o * blocks + moved(p, size)) * bytes,
                   (const char *)from->data + (size_t)(o * blocks + p) * bytes, bytes);
}

static hone_tensor *copy_tensor(const hone_tensor *t) {
    hone_tensor *copy = NULL;
    assert_int_equal(hone_tensor_copy_of(t->dtype, t->rank, t->dims, t->data, &copy, NULL), HONE_OK);
    return copy;
}

static bool close_enough(const hone_tensor *a, const hone_tensor *b) {
    for (int64_t i = 0; i < a->count; i++) {
        double x = tensor_at(a, i), y = tensor_at(b, i);
        if (!(fabs(x - y) <= TOLERANCE * fmax(1, fabs(y)))) return false;
    }
    return true;
}

static bool check_group(const op_case *c, runner *r, const built_case *b, const group *g,
                        hone_tensor *const *base) {
    hone_error err;
    hone_tensor *in[CASE_MAX_INPUTS];
    const hone_tensor *out[CASE_MAX_OUTPUTS];
    bool ok = true;
    for (int i = 0; i < b->inputs; i++) {
        in[i] = copy_tensor(b->data[i]);
        for (int a = 0; a < in[i]->rank; a++)
            if (g->in[b->slot[i]][a]) permute(b->data[i], a, g->size, 1, in[i]);
    }
    if (hone_context_run(r->context, (const hone_tensor *const *)in, out, &err) != HONE_OK)
        fail_msg("%s", err.message);
    for (int o = 0; o < c->outputs; o++) {
        hone_tensor *wanted = copy_tensor(base[o]);
        bool linked = false;
        for (int a = 0; a < wanted->rank; a++) {
            if (!g->out[o][a]) continue;
            permute(base[o], a, g->size, g->out[o][a], wanted);
            linked = true;
        }
        if (linked || g->sums) ok &= close_enough(out[o], wanted);
        hone_tensor_free(wanted);
    }
    for (int i = 0; i < b->inputs; i++) hone_tensor_free(in[i]);
    return ok;
}

/* Groups of the case that were checked. */
static int check_case(const op_case *c, int *failures) {
    hone_error err;
    built_case b;
    runner r;
    HONE_AXES(axes);
    hone_tensor *base[CASE_MAX_OUTPUTS];
    const hone_tensor *out[CASE_MAX_OUTPUTS];
    if (!case_build(c, HONE_FLOAT32, &b)) fail_msg("case %s %s cannot be built", c->op, c->inputs);
    if (hone_graph_infer(b.g, &err) != HONE_OK) fail_msg("%s %s: %s", c->op, c->inputs, err.message);
    if (runner_open(b.g, NULL, 1, &r, &err) != HONE_OK) fail_msg("%s %s: %s", c->op, c->inputs, err.message);
    if (hone_context_run(r.context, (const hone_tensor *const *)b.data, out, &err) != HONE_OK)
        fail_msg("%s %s: %s", c->op, c->inputs, err.message);
    for (int o = 0; o < c->outputs; o++) base[o] = copy_tensor(out[o]);
    if (b.node->op->axes) b.node->op->axes(b.node, &axes);
    int checked = 0;
    for (int i = 0; i < axes.count; i++) {
        if (axes.links[i].kind == HONE_AXIS_BLOCKED) continue;
        group g = group_of(&axes, i, &b);
        if (g.size < 2) continue;
        checked++;
        if (check_group(c, &r, &b, &g, base)) continue;
        print_message("%s %s %s: the link of input %d axis %d is wrong\n", c->op, c->inputs, c->attrs,
                      axes.links[i].input, axes.links[i].axis);
        (*failures)++;
    }
    for (int o = 0; o < c->outputs; o++) hone_tensor_free(base[o]);
    runner_close(&r);
    case_free(&b);
    return checked;
}

static void test_links(void **state) {
    (void)state;
    int failures = 0, checked = 0;
    for (int i = 0; i < OP_CASE_COUNT; i++) checked += check_case(&op_cases[i], &failures);
    print_message("%d links\n", checked);
    assert_int_equal(failures, 0);
    assert_true(checked > 200);
}

/* An operator that says how its axes map has a case that shows it. */
static void test_every_operator_with_links_has_a_case(void **state) {
    (void)state;
    int missing = 0;
    for (int k = 0; hone_op_at(k); k++) {
        const hone_op *op = hone_op_at(k);
        bool found =
            !op->axes || (op->inputs[0].flags & HONE_SLOT_VARIADIC); /* a fused node is no operator */
        for (int i = 0; i < OP_CASE_COUNT; i++) found |= case_op(&op_cases[i]) == op;
        if (!found) print_message("%s has axis links and no case\n", op->name);
        missing += !found;
    }
    assert_int_equal(missing, 0);
}

/* However many links a node has, all of them are there. */
static void test_many_links(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("many");
    int64_t dims[] = {2, 3, 4, 5, 6, 7};
    hone_type type = hone_type_make(HONE_FLOAT32, 6, dims);
    hone_value *in[20];
    for (int i = 0; i < 20; i++) in[i] = hone_graph_add_input(g, "x", &type);
    hone_node *n = hone_graph_add_node(g, hone_op_find("", "Sum"), "sum", 20, in, 1);
    assert_int_equal(hone_graph_infer(g, NULL), HONE_OK);
    HONE_AXES(axes);
    n->op->axes(n, &axes);
    assert_int_equal(axes.count, 20 * 6);
    for (int i = 0; i < axes.count; i++) assert_int_equal(axes.links[i].axis, axes.links[i].output_axis);
    hone_graph_free(g);
}

/* --- scaling --- */

static bool is_scaled(const hone_op *op, const built_case *b, int i) {
    const hone_slot *slot = hone_op_input(op, b->slot[i]);
    if (b->data[i]->dtype != HONE_FLOAT32) return false;
    return op->scaling != HONE_SCALING_WEIGHTS || (slot->flags & HONE_SLOT_WEIGHT);
}

static hone_tensor *times(const hone_tensor *t, float s) {
    hone_tensor *copy = copy_tensor(t);
    for (int64_t i = 0; i < copy->count; i++) ((float *)copy->data)[i] *= s;
    return copy;
}

/* What says that it makes 3 y of 3 x does so. */
static void check_scaling(const op_case *c, int *checked, int *failures) {
    hone_error err;
    built_case b;
    runner r;
    hone_tensor *in[CASE_MAX_INPUTS];
    const hone_tensor *out[CASE_MAX_OUTPUTS];
    if (!case_build(c, HONE_FLOAT32, &b)) fail_msg("case %s %s cannot be built", c->op, c->inputs);
    if (hone_graph_infer(b.g, &err) != HONE_OK || runner_open(b.g, NULL, 1, &r, &err) != HONE_OK)
        fail_msg("%s %s: %s", c->op, c->inputs, err.message);
    if (hone_context_run(r.context, (const hone_tensor *const *)b.data, out, &err) != HONE_OK)
        fail_msg("%s", err.message);
    bool is_float = out[0]->dtype == HONE_FLOAT32;
    hone_tensor *wanted = is_float ? times(out[0], 3) : NULL;
    for (int i = 0; i < b.inputs; i++)
        in[i] = is_scaled(case_op(c), &b, i) ? times(b.data[i], 3) : copy_tensor(b.data[i]);
    if (is_float && hone_context_run(r.context, (const hone_tensor *const *)in, out, &err) != HONE_OK)
        fail_msg("%s", err.message);
    if (is_float && !close_enough(out[0], wanted)) {
        print_message("%s %s %s does not scale\n", c->op, c->inputs, c->attrs);
        (*failures)++;
    }
    *checked += is_float;
    for (int i = 0; i < b.inputs; i++) hone_tensor_free(in[i]);
    hone_tensor_free(wanted);
    runner_close(&r);
    case_free(&b);
}

static void test_scaling(void **state) {
    (void)state;
    int checked = 0, failures = 0;
    for (int i = 0; i < OP_CASE_COUNT; i++) {
        const hone_op *op = case_op(&op_cases[i]);
        const bool says = op->scaling != HONE_SCALING_NONE || op->moves || op->quantize == HONE_QUANTIZE_BITS;
        if (says) check_scaling(&op_cases[i], &checked, &failures);
    }
    print_message("%d cases\n", checked);
    assert_int_equal(failures, 0);
    assert_true(checked > 40);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_links), cmocka_unit_test(test_scaling),
                                       cmocka_unit_test(test_every_operator_with_links_has_a_case),
                                       cmocka_unit_test(test_many_links)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
