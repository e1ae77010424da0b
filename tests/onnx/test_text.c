#include "support/files.h"

#include "onnx/onnx.h"
#include "onnx/text/text.h"

#include <string.h>

static hone_error err;

static hone_graph *load(const char *text) {
    hone_graph *g = NULL;
    if (hone_graph_load_memory(text, strlen(text), "m.txt", &g, &err) != HONE_OK) fail_msg("%s", err.message);
    return g;
}

static void refuses(const char *text, const char *message) {
    hone_graph *g = NULL;
    hone_status status = hone_graph_load_memory(text, strlen(text), "m.txt", &g, &err);
    if (status == HONE_OK) fail_msg("is read: %s", text);
    if (!strstr(err.message, message)) fail_msg("%s\nis refused with: %s", text, err.message);
    assert_string_equal(err.file, "m.txt");
}

static void test_forms(void **state) {
    (void)state;
    static const struct {
        const char *text;
        hone_script_form form;
    } rows[] = {{"{\"irVersion\": 8}", HONE_SCRIPT_JSON},
                {"\n # a comment\nir_version: 8", HONE_SCRIPT_PROTO},
                {"graph {", HONE_SCRIPT_PROTO},
                {"# c\n<ir_version: 8", HONE_SCRIPT_ONNX},
                {"\x08\x08", HONE_SCRIPT_NONE},
                {"", HONE_SCRIPT_NONE},
                {"# nothing", HONE_SCRIPT_NONE},
                {"noise of some kind", HONE_SCRIPT_NONE},
                {"[1]", HONE_SCRIPT_NONE}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(hone_script_form_of(rows[i].text, strlen(rows[i].text)), rows[i].form);
}

static void test_json(void **state) {
    (void)state;
    hone_graph *g =
        load("{\"irVersion\": \"8\", \"opset_import\": [{\"domain\": \"\", \"version\": 17}], \"unknown\": "
             "[{}, null],\n"
             " \"graph\": {\"name\": \"g\\u00e9\\ud83d\\ude00\", \"node\": [{\"input\": [\"x\", \"w\"], "
             "\"output\": [\"y\"], \"opType\": \"Add\"}],\n"
             " \"initializer\": [{\"dims\": [\"2\"], \"dataType\": 1, \"floatData\": [1.5, \"-Infinity\"], "
             "\"name\": \"w\"},"
             " {\"dims\": [], \"dataType\": 7, \"rawData\": \"AgAAAAAAAAA=\", \"name\": \"unused\"}],\n"
             " \"input\": [{\"name\": \"x\", \"type\": {\"tensorType\": {\"elemType\": 1, \"shape\": "
             "{\"dim\": [{\"dimValue\": \"2\"}]}}}}],\n"
             " \"output\": [{\"name\": \"y\", \"type\": {\"tensorType\": {\"elemType\": 1}}}]}}");
    assert_string_equal(hone_graph_name(g), "gé😀");
    const hone_tensor *w = hone_graph_initializer(g, "w");
    assert_true(hone_tensor_number(w, 0) == 1.5 && hone_tensor_number(w, 1) < -1e300);
    hone_graph_free(g);
    refuses("{\"irVersion\": 8,\n \"graph\": {\"node\": [\n {\"opType\": 3}]}}",
            "line 3, column 13: op_type needs a string");
    refuses("{\"irVersion\": \"eight\"}", "line 1, column 15: ir_version needs a whole number");
    refuses("{\"graph\": {\"initializer\": [{\"rawData\": \"A!\"}]}}",
            "column 40: bytes that are not in base64");
    refuses("{\"graph\": 1}", "graph needs a message");
    refuses("{\"irVersion\": 8", "'}' is due");
    refuses("{\"irVersion\": 8} x", "something behind the model");
    refuses("{\"graph\": {\"name\": \"\\x\"}}", "an escape that JSON does not have");
    refuses("{\"graph\": {\"name\": \"a}", "column 20: a string that does not end");
    refuses("{\"graph\": {\"node\": [{\"attribute\": [{\"type\": \"WRONG\"}]}]}}", "type has no value WRONG");
    refuses("{\"graph\": {\"initializer\": [{\"dataType\": 5000000000}]}}",
            "data_type needs a number of 32 bits");
    char deep[4096] = "{\"x\": ";
    memset(deep + 6, '[', 3000);
    refuses(deep, "nested too deeply");
}

static void test_proto(void **state) {
    (void)state;
    hone_graph *g =
        load("# a model\nir_version: 8 opset_import { version: 0x11 }\nmetadata_props < key: 'k', value: "
             "\"a\" \"\\x62\\143\\n\" >;\n"
             "graph: { name: \"g\" node { input: [\"x\", 'w'] output: \"y\" op_type: \"Add\" }\n"
             " initializer { dims: 2 data_type: 1 float_data: [1.5f, -inf] name: \"w\" }\n"
             " input { name: \"x\" type { tensor_type { elem_type: 1 shape { dim { dim_value: 2 } } } } }\n"
             " output { name: \"y\" type { tensor_type { elem_type: 1 } } } unknown { a: 1 b: [2] } }");
    assert_string_equal(hone_graph_metadata(g, "k"), "abc\n");
    assert_true(hone_tensor_number(hone_graph_initializer(g, "w"), 1) < -1e300);
    hone_graph_free(g);
    refuses("ir_version: x", "line 1, column 13: ir_version needs a whole number");
    refuses("graph {\n  name 3 }", "line 2, column 8: ':' is due");
    refuses("graph {\n  name: \"g", "line 2, column 9: a string that does not end");
    refuses("graph { name: { } }", "name is no message");
    refuses("graph { ", "the name of a field is due");
    refuses("ir_version: [1, 2", "',' or ']' is due");
}

#define HEAD "<ir_version: 8, opset_import: [\"\": 17, \"my\": 1]>\n"

static void test_syntax(void **state) {
    (void)state;
    hone_graph *g = load(
        "<ir_version: 8, opset_import: [\"\": 17, \"my\": 1], producer_name: \"me\", metadata_props: [\"k\": "
        "\"v \\\"q\\\"\"]>\n"
        "\"a graph\" (float[N, 2] x, float[2] d = {7, 8}, bool c) => (float[N,2] y, seq(float[]) s)\n"
        "<float[2] w = {1, -2.5e-1}, string[1] t = {\"a\\\"b\"}, int64 i = {3}, float[N,2] h> # comment\n"
        "{ [first] h = Add(x, w)\n k = Mul (h, d)\n"
        "  z = If (c) <then_branch = a () => (float[] p) { p = Neg(k) }, else_branch: graph = b () => "
        "(float[] q) { q = Abs(k) }>\n"
        "  y = my.twice <by: float = 3> (z)\n"
        "  m = Constant <value = float[1,2] {5, 6}> ()\n  s = SequenceConstruct (m, h) }\n"
        "<domain: \"my\", opset_import: [\"\": 17]>\n"
        "twice <by: float = 2, unused> (a) => (b) { f = Constant <value_float: float = @by> () b = Mul (a, "
        "f) }");
    hone_value_info v;
    assert_string_equal(hone_graph_name(g), "a graph");
    assert_string_equal(hone_graph_metadata(g, "k"), "v \"q\"");
    assert_int_equal(hone_graph_input_count(g), 2); /* d has a default */
    assert_true(hone_graph_input(g, 0, &v) && v.rank == 2 && v.dims[1] == 2);
    assert_true(hone_graph_input(g, 1, &v) && v.rank == 0 && v.dtype == HONE_BOOL);
    assert_true(hone_graph_output(g, 1, &v) && v.kind == HONE_KIND_SEQUENCE);
    assert_true(hone_tensor_number(hone_graph_initializer(g, "d"), 1) == 8);
    assert_true(hone_tensor_number(hone_graph_initializer(g, "w"), 1) == -0.25);
    hone_graph_free(g);
    refuses("<ir_version: 8,\n wrong: 1>", "line 2, column 2: 'wrong' is none of the keys");
    refuses(HEAD "g (float[2] x) => (float[2] y) {\n y = Relu(x }", "line 3, column 13: ')' is due");
    refuses(HEAD "g (flout[2] x)", "line 2, column 4: 'flout' is no type");
    refuses(HEAD "g () -> ()", "'=' is due");
    refuses(HEAD "g () => () { y = Foo <a = []> () }", "an empty list needs a type");
    refuses(HEAD "g () => () <float[N] w = {1}> { }", "a shape of numbers");
    refuses(HEAD "g () => () <int8[1] w = {x}> { }", "int32_data needs a whole number");
    refuses(HEAD "g () => () { y = Foo <a: what = 1> () }", "'what' is no type of an attribute");
    refuses(HEAD "g () => () {", "'=' is due");
}

static hone_status read_and_free(hone_script_form form, const char *text) {
    hone_blob made = {0};
    hone_status status = hone_script_read(form, text, strlen(text), &made, NULL);
    hone_blob_free(&made);
    return status;
}

static void test_out_of_memory(void **state) {
    (void)state;
    const char *json = "{\"irVersion\": 8, \"graph\": {\"name\": \"some longer name of a graph\", \"node\": "
                       "[{\"opType\": \"Add\"}]}}";
    const char *proto = "ir_version: 8 graph { name: 'some longer name of a graph' node { op_type: 'Add' } }";
    const char *onnx =
        "<ir_version: 8> g (float[2] x) => (float[2] y) <int8[2] w = {1, 2}> { y = Add <a = [1, 2]> (x, w) }";
    FAIL_EACH_ALLOCATION(read_and_free(HONE_SCRIPT_JSON, json), (void)0);
    FAIL_EACH_ALLOCATION(read_and_free(HONE_SCRIPT_PROTO, proto), (void)0);
    FAIL_EACH_ALLOCATION(read_and_free(HONE_SCRIPT_ONNX, onnx), (void)0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_forms), cmocka_unit_test(test_json),
                                       cmocka_unit_test(test_proto), cmocka_unit_test(test_syntax),
                                       cmocka_unit_test(test_out_of_memory)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
