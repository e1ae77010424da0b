/* Older forms of operators, told with a table of operators made for it (this program has its own
 * hone_op_find):
 *
 *      Scale  newest 15: Y = X * factor, the factor an input    14: the same, without attribute `mode`
 *             9: the factor is an attribute (lifted)            7: as 9, and `mode` required
 *      Split2 has an optional second output */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/memory.h"
#include "graph/infer.h"
#include "graph/op.h"
#include "onnx/form.h"
#include "onnx/model.h"
#include "onnx/onnx.h"

#include <string.h>

static hone_status lift_scale(hone_graph *g, hone_node *n, hone_error *err);

static const hone_attr_def scale_14[] = {{.name = NULL}};
static const hone_attr_def scale_9[] = {{"factor", HONE_ATTR_FLOAT, .required = false, .f = 1},
                                        {.name = NULL}};
static const hone_attr_def scale_7[] = {{"factor", HONE_ATTR_FLOAT, .required = false, .f = 1},
                                        {"mode", HONE_ATTR_STRING, .required = true},
                                        {.name = NULL}};
static const hone_op_version scale_older[] = {
    {14, scale_14, NULL}, {9, scale_9, lift_scale}, {7, scale_7, lift_scale}, {0, NULL, NULL}};
static const hone_op scale = {
    .name = "Scale",
    .since = 15,
    .oldest = 7,
    .older = scale_older,
    .late_types = HONE_TYPE(HONE_INT32),
    .inputs = HONE_SLOTS({"X", 'T', HONE_TYPES_FIXED, 0}, {"factor", 'T', HONE_TYPES_FIXED, 0}),
    .outputs = HONE_SLOTS({"Y", 'T', HONE_TYPES_FIXED, 0}),
    .attrs = HONE_ATTRS({"mode", HONE_ATTR_STRING, .s = "plain"}, {"level", HONE_ATTR_INT, .i = 3}),
    .infer = hone_infer_same};

static hone_status infer_split2(hone_infer *ctx, hone_error *err) {
    (void)err;
    for (int i = 0; i < ctx->output_count; i++)
        ctx->out[i].rank = ctx->in[0] ? ctx->in[0]->rank : HONE_RANK_ANY;
    for (int i = 0; i < ctx->output_count; i++)
        if (ctx->in[0]) memcpy(ctx->out[i].dims, ctx->in[0]->dims, sizeof ctx->out[i].dims);
    return HONE_OK;
}

static const hone_op split2 = {
    .name = "Split2",
    .since = 16,
    .oldest = 3,
    .inputs = HONE_SLOTS({"X", 'T', HONE_TYPES_FIXED, 0}, {"A", 0, HONE_TYPES_FIXED, HONE_SLOT_OPTIONAL},
                         {"B", 0, HONE_TYPES_FIXED, HONE_SLOT_OPTIONAL}),
    .outputs =
        HONE_SLOTS({"Y", 'T', HONE_TYPES_FIXED, 0}, {"Mask", 'T', HONE_TYPES_FIXED, HONE_SLOT_OPTIONAL}),
    .infer = infer_split2};
static hone_status lift_join(hone_graph *g, hone_node *n, hone_error *err);
static const hone_attr_def join_1[] = {{"dim", HONE_ATTR_INT, .required = true}, {.name = NULL}};
static const hone_op_version join_older[] = {{2, NULL, NULL}, {1, join_1, lift_join}, {0, NULL, NULL}};
static const hone_op join = {
    .name = "Join",
    .domain = "com.example",
    .since = 3,
    .oldest = 1,
    .older = join_older,
    .inputs = HONE_SLOTS({"X", 'T', HONE_TYPES_FIXED, HONE_SLOT_VARIADIC}),
    .outputs = HONE_SLOTS({"Y", 'T', HONE_TYPES_FIXED, 0}),
    .attrs = HONE_ATTRS(
        {"axis", HONE_ATTR_INT, .required = true}, {"names", HONE_ATTR_STRINGS, .required = false},
        {"weights", HONE_ATTR_FLOATS, .required = false}, {"sizes", HONE_ATTR_INTS, .required = false},
        {"table", HONE_ATTR_TENSOR, .required = false}, {"tables", HONE_ATTR_TENSORS, .required = false},
        {"body", HONE_ATTR_GRAPH, .required = false}, {"bodies", HONE_ATTR_GRAPHS, .required = false},
        {"kind", HONE_ATTR_TYPE, .required = false}, {"kinds", HONE_ATTR_TYPES, .required = false}),
    .infer = hone_infer_same};
static const hone_op own = {.name = "Own",
                            .domain = HONE_PRIVATE_DOMAIN,
                            .since = 1,
                            .oldest = 1,
                            .inputs = HONE_SLOTS({"X", 'T', HONE_TYPES_FIXED, 0}),
                            .outputs = HONE_SLOTS({"Y", 'T', HONE_TYPES_FIXED, 0}),
                            .infer = hone_infer_same};
static const hone_op *const table[] = {&scale, &split2, &join, &own};

const hone_op *hone_op_at(int index) {
    return index < 4 ? table[index] : NULL;
}

const hone_op *hone_op_find(const char *domain, const char *name) {
    for (int i = 0; i < 4; i++)
        if (strcmp(table[i]->name, name) == 0 && strcmp(hone_op_domain(table[i]), domain ? domain : "") == 0)
            return table[i];
    return NULL;
}

static bool types_were_known;

static hone_status lift_scale(hone_graph *g, hone_node *n, hone_error *err) {
    hone_value *factor = hone_graph_scalar(g, HONE_FLOAT32, hone_node_float(n, "factor"));
    hone_node *lifted = hone_graph_add_node(g, &scale, NULL, 2, (hone_value *[]){n->inputs[0], factor}, 1);
    if (!lifted) return hone_fail_memory(err);
    types_were_known = n->inputs[0]->producer == NULL || n->inputs[0]->producer->op == &scale;
    hone_graph_replace(g, n->outputs[0], lifted->outputs[0]);
    hone_graph_remove_node(g, n);
    return HONE_OK;
}

static hone_status lift_join(hone_graph *g, hone_node *n, hone_error *error) {
    hone_node *lifted = hone_graph_add_node(g, &join, n->name, n->input_count, n->inputs, 1);
    if (!lifted) return hone_fail_memory(error);
    hone_node_set_int(g, lifted, "axis", hone_node_int(n, "dim"));
    hone_graph_replace(g, n->outputs[0], lifted->outputs[0]);
    hone_graph_remove_node(g, n);
    return HONE_OK;
}

static bytes graph, attrs, model;
static hone_error err;

static int setup(void **state) {
    (void)state;
    graph.size = attrs.size = model.size = 0;
    err = (hone_error){0};
    return 0;
}

static hone_graph *load(void) {
    hone_graph *g = NULL;
    if (hone_graph_load_memory(model.data, model.size, "m", &g, &err) != HONE_OK) fail_msg("%s", err.message);
    return g;
}

static void refuses(hone_status status, const char *message) {
    hone_graph *g = NULL;
    hone_status got = hone_graph_load_memory(model.data, model.size, "m", &g, &err);
    if (got != status || !strstr(err.message, message))
        fail_msg("%s: %s", hone_status_name(got), err.message);
}

static void two_scales(int64_t opset) {
    graph.size = 0;
    put_node(&graph, "Scale", "second", "h", "y", &attrs); /* the file's order is not the graph's */
    put_node(&graph, "Scale", "first", "x", "h", &attrs);
    put_value(&graph, PART_INPUT, "x", HONE_FLOAT32, "n,2");
    put_value(&graph, PART_OUTPUT, "y", HONE_FLOAT32, "n,2");
    model_of(&model, &graph, opset);
}

static void test_form_in_force(void **state) {
    (void)state;
    assert_null(hone_op_form(&scale, 15));
    assert_null(hone_op_form(&scale, 28));
    assert_int_equal(hone_op_form(&scale, 14)->since, 14);
    assert_int_equal(hone_op_form(&scale, 13)->since, 9);
    assert_int_equal(hone_op_form(&scale, 9)->since, 9);
    assert_int_equal(hone_op_form(&scale, 8)->since, 7);
    assert_null(hone_op_form(&scale, 6));
    assert_null(hone_op_form(&split2, 5));
    assert_ptr_equal(hone_op_form_attrs(&split2, NULL), split2.attrs);
    assert_ptr_equal(hone_op_form_attrs(&scale, hone_op_form(&scale, 8)), scale_7);
    assert_non_null(hone_attr_find(scale_7, "mode"));
    assert_null(hone_attr_find(scale_9, "mode"));
}

static void test_lift(void **state) {
    (void)state;
    attr_float(&attrs, "factor", 2);
    two_scales(13);
    types_were_known = false;
    hone_graph *g = load();
    assert_true(types_were_known);
    assert_int_equal(g->node_count, 2);
    assert_int_equal(g->first->input_count, 2);
    assert_true(*(float *)g->first->inputs[1]->data->data == 2);
    assert_string_equal(g->outputs[0]->name, "y");
    assert_ptr_equal(g->outputs[0]->producer, g->last);
    assert_ptr_equal(g->last->inputs[0], g->first->outputs[0]);
    assert_int_equal(g->outputs[0]->type.dims[1], 2);
    hone_graph_free(g);
}

static void test_form_attributes(void **state) {
    (void)state;
    two_scales(8);
    refuses(HONE_CORRUPT, "attribute mode is missing");
    attr_string(&attrs, "mode", "plain");
    two_scales(8);
    hone_graph_free(load());
    two_scales(9);
    refuses(HONE_UNSUPPORTED, "attribute mode of Scale");
    two_scales(15);
    refuses(HONE_CORRUPT, "input factor is missing"); /* the newest form has no default for it */
    two_scales(6);
    refuses(HONE_UNSUPPORTED, "only from 7 on");
}

/* What the older form's first input is, its lift may rely on. */
static void test_lift_needs_input(void **state) {
    (void)state;
    put_node(&graph, "Scale", "n", "", "y", NULL);
    put_value(&graph, PART_OUTPUT, "y", HONE_FLOAT32, NULL);
    model_of(&model, &graph, 13);
    refuses(HONE_CORRUPT, "input X is missing");
    assert_string_equal(err.node, "n");
}

/* --- writing --- */

static hone_graph *begin(hone_dtype dtype, hone_value **x) {
    hone_graph *g = hone_graph_new("g");
    hone_type type = hone_type_make(dtype, 2, (int64_t[]){hone_graph_symbol(g, "n"), 2});
    *x = hone_graph_add_input(g, "x", &type);
    return g;
}

static hone_graph *rewritten(hone_graph *g) {
    hone_blob blob = {0};
    hone_graph *again = NULL;
    if (hone_onnx_write(g, &blob, &err) != HONE_OK) fail_msg("%s", err.message);
    if (hone_graph_load_memory(blob.data, blob.size, "again", &again, &err) != HONE_OK)
        fail_msg("%s", err.message);
    hone_blob_free(&blob);
    hone_graph_free(g);
    return again;
}

static int opset_of(hone_dtype dtype, const char *mode, int level) {
    hone_value *x;
    hone_graph *g = begin(dtype, &x);
    hone_node *n = hone_graph_add_node(g, &scale, "s", 2, (hone_value *[]){x, x}, 1);
    if (mode) hone_node_set_string(g, n, "mode", mode);
    if (level >= 0) hone_node_set_int(g, n, "level", level);
    hone_graph_add_output(g, n->outputs[0]);
    assert_int_equal(hone_graph_infer(g, &err), HONE_OK);
    g = rewritten(g);
    int opset = (int)hone_graph_opset(g, "");
    if (opset == 14) assert_int_equal(g->first->attr_count, 0);
    hone_graph_free(g);
    return opset;
}

static void test_written_opset(void **state) {
    (void)state;
    assert_int_equal(opset_of(HONE_FLOAT32, NULL, -1), 14);   /* at 13 the factor was an attribute */
    assert_int_equal(opset_of(HONE_FLOAT32, "plain", 3), 14); /* what 14 lacks says nothing new */
    assert_int_equal(opset_of(HONE_FLOAT32, "wild", -1), 15);
    assert_int_equal(opset_of(HONE_FLOAT32, NULL, 4), 15);
    assert_int_equal(opset_of(HONE_INT32, NULL, -1), 15); /* a late type of this operator */
    assert_int_equal(opset_of(HONE_BFLOAT16, NULL, -1), 15);
    hone_value *x;
    hone_graph *g = begin(HONE_FLOAT32, &x);
    hone_graph_add_output(g, hone_graph_add_node(g, &split2, "s", 1, &x, 1)->outputs[0]);
    g = rewritten(g);
    assert_int_equal(hone_graph_opset(g, ""), 13);
    hone_graph_free(g);
}

static void test_optional_outputs(void **state) {
    (void)state;
    hone_value *x;
    hone_graph *g = begin(HONE_FLOAT32, &x);
    hone_node *n = hone_graph_add_node(g, &split2, "s", 3, (hone_value *[]){x, NULL, x}, 2);
    hone_graph_add_output(g, n->outputs[0]);
    g = rewritten(g);
    assert_int_equal(g->first->input_count, 3);
    assert_null(g->first->inputs[1]);
    assert_ptr_equal(g->first->inputs[2], g->inputs[0]);
    assert_int_equal(g->first->output_count, 1); /* nobody wants the mask */
    hone_graph_free(g);
    g = begin(HONE_FLOAT32, &x);
    n = hone_graph_add_node(g, &split2, "s", 1, &x, 2);
    hone_graph_add_output(g, n->outputs[1]);
    g = rewritten(g);
    assert_int_equal(g->first->output_count, 2);
    hone_graph_free(g);
}

static void test_other_domain(void **state) {
    (void)state;
    hone_value *x;
    hone_tensor *t = NULL;
    hone_graph *g = begin(HONE_FLOAT32, &x);
    hone_node *n = hone_graph_add_node(g, &join, "j", 3, (hone_value *[]){x, x, x}, 1);
    assert_int_equal(hone_tensor_copy_of(HONE_INT8, 1, (int64_t[]){2}, "\x01\x02", &t, &err), HONE_OK);
    hone_node_set_int(g, n, "axis", -1);
    hone_node_set_strings(g, n, "names", (const hone_string[]){{"a", 1}, {NULL, 0}, {"c\0d", 3}}, 3);
    hone_node_set_floats(g, n, "weights", (float[]){0.5f, -1}, 2);
    hone_node_set_ints(g, n, "sizes", (int64_t[]){-1, 1LL << 40}, 2);
    hone_node_set_tensor(g, n, "table", t);
    hone_node_set_tensors(g, n, "tables", (hone_tensor *[]){t, t}, 2);
    hone_tensor_free(t);
    hone_type kind = hone_type_make(HONE_INT64, 2, (int64_t[]){3, HONE_DIM_ANY}), optional = kind;
    optional.kind = HONE_KIND_OPTIONAL;
    optional.element = &kind;
    hone_node_set_type(g, n, "kind", &optional);
    hone_node_set_types(g, n, "kinds", (hone_type[]){kind, optional, *hone_type_any(HONE_UNDEFINED)}, 3);
    hone_graph *body = hone_node_add_graph(g, n, "body");
    hone_graph *const *bodies = hone_node_add_graphs(g, n, "bodies", 2);
    hone_value *captured = hone_graph_capture(body, x);
    hone_graph_add_output(body, hone_graph_add_node(body, &split2, "in", 1, &captured, 1)->outputs[0]);
    hone_graph_add_output(bodies[1], hone_graph_scalar(bodies[1], HONE_FLOAT32, 4));
    hone_graph_add_output(g, n->outputs[0]);
    g = rewritten(g);
    assert_int_equal(hone_graph_opset(g, "com.example"), 2); /* 1 would have to say it in another way */
    n = g->first;
    size_t count;
    assert_string_equal(hone_op_domain(n->op), "com.example");
    assert_int_equal(n->input_count, 4);
    assert_int_equal(hone_node_int(n, "axis"), -1);
    assert_int_equal(hone_node_attr(n, "names")->strings[2].size, 3);
    assert_memory_equal(hone_node_attr(n, "names")->strings[2].data, "c\0d", 3);
    assert_int_equal(hone_node_attr(n, "names")->count, 3);
    assert_true(hone_node_attr(n, "weights")->floats[1] == -1);
    assert_true(hone_node_ints(n, "sizes", &count)[1] == 1LL << 40);
    assert_memory_equal(hone_node_tensor(n, "table")->data, "\x01\x02", 2);
    assert_memory_equal(hone_node_attr(n, "tables")->tensors[1]->data, "\x01\x02", 2);
    assert_true(hone_type_equal(hone_node_attr(n, "kind")->types, &optional));
    assert_true(hone_type_equal(&hone_node_attr(n, "kinds")->types[1], &optional));
    assert_int_equal(hone_node_attr(n, "kinds")->types[2].dtype, HONE_UNDEFINED);
    assert_int_equal(hone_node_attr(n, "kinds")->count, 3);
    assert_int_equal(n->capture_first, 3);
    assert_ptr_equal(n->inputs[3], g->inputs[0]);
    assert_int_equal(hone_node_graph(n, "body")->first->inputs[0]->storage, HONE_STORAGE_CAPTURED);
    assert_int_equal(hone_node_attr(n, "bodies")->graphs[0]->output_count, 0);
    assert_true(*(float *)hone_node_attr(n, "bodies")->graphs[1]->outputs[0]->data->data == 4);
    hone_graph_free(g);
}

/* An older form of an operator of another domain, beside one of ONNX's. */
static void test_lift_in_other_domain(void **state) {
    (void)state;
    attr_int(&attrs, "dim", 1);
    put_node_of(&graph, "com.example", "Join", "j", "x", "h", &attrs);
    attrs.size = 0;
    attr_float(&attrs, "factor", 2);
    put_node(&graph, "Scale", "s", "h", "y", &attrs);
    put_value(&graph, PART_INPUT, "x", HONE_FLOAT32, "2");
    put_value(&graph, PART_OUTPUT, "y", HONE_FLOAT32, "2");
    model_of(&model, &graph, 9);
    put_opset(&model, "com.example", 1);
    hone_graph *g = load();
    assert_int_equal(hone_graph_opset(g, ""), 9);
    assert_int_equal(hone_graph_opset(g, "com.example"), 1);
    assert_int_equal(hone_node_int(g->first, "axis"), 1);
    assert_int_equal(g->last->input_count, 2);
    g = rewritten(g);
    assert_int_equal(hone_graph_opset(g, ""), 14);
    assert_int_equal(hone_graph_opset(g, "com.example"), 2);
    hone_graph_free(g);
}

static void test_required_and_variadic(void **state) {
    (void)state;
    put_node_of(&graph, "com.example", "Join", "j", "x", "y", NULL);
    put_value(&graph, PART_INPUT, "x", HONE_FLOAT32, "2");
    put_value(&graph, PART_OUTPUT, "y", HONE_FLOAT32, "2");
    model_of(&model, &graph, 13);
    put_opset(&model, "com.example", 2);
    refuses(HONE_CORRUPT, "attribute axis is missing");
    assert_string_equal(err.node, "j");
    graph.size = 0;
    attr_int(&attrs, "axis", 0);
    put_node_of(&graph, "com.example", "Join", "j", "", "y", &attrs);
    put_value(&graph, PART_OUTPUT, "y", HONE_FLOAT32, "2");
    model_of(&model, &graph, 13);
    put_opset(&model, "com.example", 2);
    refuses(HONE_CORRUPT, "input X is missing");
    graph.size = 0;
    put_node_of(&graph, "com.example", "Join", "j", "x,,x", "y", &attrs);
    put_value(&graph, PART_INPUT, "x", HONE_FLOAT32, "2");
    put_value(&graph, PART_OUTPUT, "y", HONE_FLOAT32, "2");
    model_of(&model, &graph, 13);
    put_opset(&model, "com.example", 2);
    refuses(HONE_CORRUPT, "input X is missing");
}

static void cannot_write(hone_graph *g, const char *node) {
    hone_blob blob = {0};
    err = (hone_error){0};
    assert_int_equal(hone_onnx_write(g, &blob, &err), HONE_FAILED_PRECONDITION);
    assert_string_equal(err.node, node);
    hone_graph_free(g);
}

static void test_unwritable(void **state) {
    (void)state;
    hone_value *x;
    hone_graph *g = begin(HONE_FLOAT32, &x);
    hone_graph_add_output(g, hone_graph_add_node(g, &own, "mine", 1, &x, 1)->outputs[0]);
    cannot_write(g, "mine");
    g = begin(HONE_FLOAT32, &x);
    hone_node *n = hone_graph_add_node(g, &split2, "s", 1, &x, 1);
    hone_node_set_int(g, n, "private", 1);
    cannot_write(g, "s");
    g = begin(HONE_FLOAT32, &x);
    n = hone_graph_add_node(g, &split2, "fused", 1, &x, 1);
    int something;
    n->map = (hone_map *)&something;
    cannot_write(g, "fused");
    g = begin(HONE_FLOAT32, &x);
    hone_value *v = hone_graph_scalar(g, HONE_FLOAT32, 1);
    v->storage = HONE_STORAGE_VARIABLE;
    hone_graph_bind(g, x, v);
    cannot_write(g, v->name);
    g = begin(HONE_FLOAT32, &x);
    hone_graph_add_output(g, x);
    hone_graph_add_output(g, x);
    cannot_write(g, "x");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_form_in_force, setup),
        cmocka_unit_test_setup(test_lift, setup),
        cmocka_unit_test_setup(test_form_attributes, setup),
        cmocka_unit_test_setup(test_lift_needs_input, setup),
        cmocka_unit_test_setup(test_written_opset, setup),
        cmocka_unit_test_setup(test_optional_outputs, setup),
        cmocka_unit_test_setup(test_other_domain, setup),
        cmocka_unit_test_setup(test_lift_in_other_domain, setup),
        cmocka_unit_test_setup(test_required_and_variadic, setup),
        cmocka_unit_test_setup(test_unwritable, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
