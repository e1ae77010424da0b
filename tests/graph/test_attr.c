#include "support/graphs.h"

static hone_node *gemm(hone_graph *g) {
    return hone_graph_add_node(g, hone_op_find("", "Gemm"), "gemm", 0, NULL, 1);
}

static void test_defaults(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("attrs");
    hone_node *n = gemm(g), *gelu = hone_graph_add_node(g, hone_op_find("", "Gelu"), "", 0, NULL, 1);
    size_t count = 7;
    assert_true(hone_node_float(n, "alpha") == 1);
    assert_int_equal(hone_node_int(n, "transA"), 0);
    assert_string_equal(hone_node_string(gelu, "approximate"), "none");
    assert_null(hone_node_attr(n, "alpha")); /* its own only */
    assert_int_equal(hone_node_int(n, "nothing"), 0);
    assert_true(hone_node_float(n, "nothing") == 0);
    assert_null(hone_node_string(n, "nothing"));
    assert_null(hone_node_ints(n, "nothing", &count));
    assert_int_equal(count, 0);
    hone_graph_free(g);
}

static void test_every_type(void **state) {
    (void)state;
    hone_error err;
    hone_graph *g = hone_graph_new("attrs");
    hone_node *n = gemm(g);
    hone_tensor *t = tensor_make(HONE_FLOAT32, SHAPE(2));
    size_t count;
    hone_node_set_int(g, n, "i", INT64_MIN);
    hone_node_set_float(g, n, "f", 0.5f);
    hone_node_set_string(g, n, "s", "text");
    hone_node_set_ints(g, n, "ints", (const int64_t[]){3, -4}, 2);
    hone_node_set_floats(g, n, "floats", (const float[]){1.5f}, 1);
    hone_node_set_strings(g, n, "strings", (const hone_string[]){{"a", 1}, {"b\0c", 3}}, 2);
    hone_node_set_bytes(g, n, "bytes", "\0x", 2);
    hone_node_set_tensor(g, n, "t", t);
    hone_node_set_ints(g, n, "empty", NULL, 0);
    check_ok(hone_graph_check(g, &err));
    assert_int_equal(n->attr_count, 9);
    assert_true(hone_node_int(n, "i") == INT64_MIN);
    assert_true(hone_node_float(n, "f") == 0.5f);
    assert_string_equal(hone_node_string(n, "s"), "text");
    assert_int_equal(hone_node_ints(n, "ints", &count)[1], -4);
    assert_int_equal(count, 2);
    assert_true(hone_node_attr(n, "floats")->floats[0] == 1.5f);
    assert_int_equal(hone_node_attr(n, "s")->s.size, 4);
    assert_memory_equal(hone_node_attr(n, "strings")->strings[1].data, "b\0c", 4); /* a zero behind it */
    assert_int_equal(hone_node_attr(n, "strings")->strings[1].size, 3);
    assert_memory_equal(hone_node_attr(n, "bytes")->s.data, "\0x", 3);
    assert_int_equal(hone_node_attr(n, "bytes")->s.size, 2);
    assert_ptr_equal(hone_node_tensor(n, "t"), t);
    assert_int_equal(t->references, 2);
    assert_non_null(hone_node_attr(n, "empty"));
    assert_null(hone_node_ints(n, "i", &count)); /* of another type */
    hone_graph_free(g);
    assert_int_equal(t->references, 1);
    hone_tensor_free(t);
}

static void test_setting_again(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("attrs");
    hone_node *n = gemm(g);
    hone_tensor *t = tensor_make(HONE_FLOAT32, SHAPE(2));
    size_t count;
    hone_node_set_ints(g, n, "x", (const int64_t[]){1, 2, 3}, 3);
    hone_node_set_ints(g, n, "x", (const int64_t[]){9}, 1);
    assert_int_equal(hone_node_ints(n, "x", &count)[0], 9);
    assert_int_equal(count, 1);
    hone_node_set_tensor(g, n, "x", t);
    hone_tensor_free(t); /* the node has the only reference */
    hone_node_set_tensor(g, n, "x", hone_node_tensor(n, "x"));
    assert_int_equal(hone_node_tensor(n, "x")->references, 1);
    assert_int_equal(hone_node_tensor(n, "x")->count, 2);
    hone_node_set_int(g, n, "x", 5); /* gives the tensor back */
    assert_null(hone_node_tensor(n, "x"));
    assert_int_equal(n->attr_count, 1);
    hone_node_set_int(g, NULL, "x", 5); /* a node that memory was out for */
    hone_graph_free(g);
}

static void test_copies(void **state) {
    (void)state;
    hone_error err;
    hone_graph *g = hone_graph_new("from"), *other = hone_graph_new("to");
    hone_node *n = gemm(g), *to = gemm(other);
    hone_tensor *t = tensor_make(HONE_FLOAT32, SHAPE(2));
    char text[] = "text";
    hone_node_set_int(g, n, "i", 4);
    hone_node_set_float(g, n, "f", 2);
    hone_node_set_string(g, n, "s", text);
    hone_node_set_ints(g, n, "ints", (const int64_t[]){3, -4}, 2);
    hone_node_set_floats(g, n, "floats", (const float[]){1.5f}, 1);
    hone_node_set_strings(g, n, "strings", (const hone_string[]){{"a", 1}, {"b\0c", 3}}, 2);
    hone_node_set_tensor(g, n, "t", t);
    hone_node_set_tensors(g, n, "tensors", (hone_tensor *[]){t, t}, 2);
    hone_type type = hone_type_make(HONE_INT64, SHAPE(2, 3)), seq = {HONE_KIND_SEQUENCE, .dtype = HONE_INT64};
    seq.element = &type;
    hone_node_set_type(g, n, "type", &type);
    hone_node_set_types(g, n, "types", (hone_type[]){type, seq}, 2);
    hone_graph *body = hone_node_add_graph(g, n, "g");
    graph_constant(body, "inner", tensor_make(HONE_FLOAT32, SHAPE(3)));
    graph_constant(hone_node_add_graphs(g, n, "graphs", 2)[1], "second", tensor_make(HONE_FLOAT32, SHAPE(3)));
    hone_node_copy_attrs(other, to, n);
    check_ok(hone_graph_check(other, &err));
    hone_graph_free(g); /* what was copied stands alone */
    size_t count;
    assert_int_equal(to->attr_count, 12);
    assert_int_equal(hone_node_int(to, "i"), 4);
    assert_string_equal(hone_node_string(to, "s"), "text");
    assert_int_equal(hone_node_ints(to, "ints", &count)[0], 3);
    assert_memory_equal(hone_node_attr(to, "strings")->strings[1].data, "b\0c", 4);
    assert_ptr_equal(hone_node_tensor(to, "t"), t); /* shared */
    assert_non_null(hone_graph_find(hone_node_graph(to, "g"), "inner"));
    assert_ptr_equal(hone_node_graph(to, "g")->outer, other);
    assert_ptr_equal(hone_node_graph(to, "g")->owner, to);
    assert_int_equal(hone_node_attr(to, "graphs")->count, 2);
    assert_non_null(hone_graph_find(hone_node_subgraph(to, 2), "second")); /* counted over all attributes */
    assert_null(hone_node_subgraph(to, 3));
    assert_ptr_equal(hone_node_attr(to, "tensors")->tensors[1], t);
    assert_int_equal(hone_node_attr(to, "type")->types->dims[1], 3);
    assert_int_equal(hone_node_attr(to, "types")->types[1].element->dims[1], 3);
    hone_graph_free(other);
    assert_int_equal(t->references, 1);
    hone_tensor_free(t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_every_type),
        cmocka_unit_test(test_setting_again),
        cmocka_unit_test(test_copies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
