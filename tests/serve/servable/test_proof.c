/* Which models are padded, and what is said of the others. */
#include "graph/infer.h"
#include "serve/models.h"
#include "serve/models/model_config.h"
#include "serve/servables.h"

#include <string.h>

static void warm_with(fixture *f, hone_graph *g, const char *text, const hone_recorded *recorded) {
    hone_model_settings s;
    hone_error err = {0};
    assert_non_null(g);
    if (hone_model_settings_parse(text, strlen(text), NULL, &s, &err) != HONE_OK) fail_msg("%s", err.message);
    warm(f, g, &s.run, recorded);
    hone_model_settings_free(&s);
}

static void expect(hone_graph *g, const char *text, const char *why) {
    fixture f;
    warm_with(&f, g, text, NULL);
    if (strcmp(f.s->unpadded, why) != 0) fail_msg("%s: \"%s\", not \"%s\"", text, f.s->unpadded, why);
    assert_int_equal(f.s->padded != 0, !*why && strstr(text, "pad") != NULL);
    cool(&f);
}

static hone_type matrix_of(hone_graph *g, hone_dtype dtype, const char *rows, const char *columns) {
    return (hone_type){
        HONE_KIND_TENSOR, dtype, 2, {hone_graph_symbol(g, rows), hone_graph_symbol(g, columns)}};
}

/* As sentence models: y [batch, 1] = Σ mask · (ids + bias) / Σ mask, and each [batch, length]; bias [batch,
 * 1] has no length. `masked` false: the mask is not heeded. The model calls dimensions by `rows` and
 * `columns`. */
static hone_graph *sentences(bool masked, const char *rows, const char *columns) {
    hone_graph *g = hone_graph_new("sentences");
    hone_type type = matrix_of(g, HONE_INT64, rows, columns), one = matrix_of(g, HONE_FLOAT32, rows, rows);
    one.dims[1] = 1;
    hone_tensor *t = NULL;
    assert_int_equal(hone_tensor_copy_of(HONE_INT64, 1, (int64_t[]){1}, (int64_t[]){1}, &t, NULL), HONE_OK);
    hone_value *ids = hone_graph_add_input(g, "ids", &type), *mask = hone_graph_add_input(g, "mask", &type);
    hone_value *bias = hone_graph_add_input(g, "bias", &one), *axes = hone_graph_add_constant(g, "axes", t);
    hone_value *x = HONE_EMIT(g, "", "Cast", ids), *m = HONE_EMIT(g, "", "Cast", mask);
    hone_node_set_int(g, x->producer, "to", HONE_FLOAT32);
    hone_node_set_int(g, m->producer, "to", HONE_FLOAT32);
    x = HONE_EMIT(g, "", "Add", x, bias);
    hone_value *sum = HONE_EMIT(g, "", "ReduceSum", masked ? HONE_EMIT(g, "", "Mul", x, m) : x, axes);
    hone_value *mean = HONE_EMIT(g, "", "Div", sum, HONE_EMIT(g, "", "ReduceSum", m, axes));
    hone_graph_rename(g, mean, "mean");
    hone_graph_rename(g, x, "each");
    hone_graph_add_output(g, mean);
    hone_graph_add_output(g, x);
    hone_tensor_free(t);
    assert_int_equal(hone_graph_infer(g, NULL), HONE_OK);
    return g;
}

static void pads_what_keeps_its_answers(void **state) {
    (void)state;
    expect(lengths_model("ReduceSum"), "{\"pad\": true}", "");
    expect(lengths_model("ReduceSum"), "{\"pad\": {\"dims\": [\"length\"]}}", "");
    expect(lengths_model("ReduceSum"), "{\"pad\": true, \"dims\": {\"length\": [4, 8, 32]}}", "");
    expect(lengths_model("ReduceMin"), "{\"pad\": {\"values\": {\"x\": 2.5}}}", "");
    expect(sentences(true, "batch", "length"), "{\"pad\": true}", "");
    expect(sentences(true, "batch", "length"), "{\"pad\": {\"values\": {\"ids\": 1}}}", "");
    expect(lengths_model("ReduceMean"), "{}", ""); /* nobody asks for it */
    expect(lengths_model("ReduceMean"), "{\"pad\": {\"tolerance\": 1}}", "");
}

static void refuses_what_changes_them(void **state) {
    (void)state;
    fixture f;
    static const struct {
        const char *op, *text, *why;
    } cases[] = {{"ReduceMean", "{\"pad\": true}", "\"y\" changes by "},
                 {"ReduceMin", "{\"pad\": true}", "\"y\" changes by 1 of its largest value (length 4 as 8)"},
                 {"ReduceMean", "{\"pad\": true, \"dims\": {\"length\": [4, 6]}}", "(length 2 as 4)"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        warm_with(&f, lengths_model(cases[i].op), cases[i].text, NULL);
        assert_true(f.s->batchable); /* those of one length */
        assert_int_equal(f.s->padded, 0);
        if (strncmp(f.s->unpadded, "requests are not padded: ", 25) != 0 ||
            !strstr(f.s->unpadded, cases[i].why))
            fail_msg("%s", f.s->unpadded);
        cool(&f);
    }
    warm_with(&f, sentences(false, "batch", "length"), "{\"pad\": {\"values\": {\"ids\": 1}}}", NULL);
    assert_non_null(strstr(f.s->unpadded, "\"mean\" changes by "));
    cool(&f);
}

/* The largest of whole numbers. */
static hone_graph *largest_model(void) {
    hone_graph *g = hone_graph_new("largest");
    hone_type type = matrix_of(g, HONE_INT64, "batch", "length");
    hone_value *x = hone_graph_add_input(g, "x", &type);
    hone_value *y = HONE_EMIT(g, "", "ReduceMax", x, hone_graph_ints(g, (int64_t[]){1}, 1));
    hone_graph_rename(g, y, "y");
    hone_graph_add_output(g, y);
    assert_int_equal(hone_graph_infer(g, NULL), HONE_OK);
    return g;
}

static void tells_of_whole_numbers(void **state) {
    (void)state;
    expect(largest_model(), "{\"pad\": true}", "");
    expect(largest_model(), "{\"pad\": {\"values\": {\"x\": 5}}}",
           "requests are not padded: \"y\" changes (length 4 as 8)");
}

static void says_what_is_in_the_way(void **state) {
    (void)state;
    expect(lengths_model("ReduceSum"), "{\"pad\": true, \"batching\": {\"enabled\": false}}",
           "requests are not padded: batching is switched off");
    expect(sentences(true, "batch", "length"), "{\"pad\": {\"values\": {\"ids\": 0.5}}}",
           "requests are not padded: \"ids\" does not hold the value that \"pad\" has for it");
    expect(lengths_model("ReduceSum"), "{\"pad\": true, \"dims\": {\"length\": 1}}",
           "requests are not padded: no shorter request could be tried");
}

/* A model whose rows are called as its columns needs other names. */
static void takes_names_from_settings(void **state) {
    (void)state;
    fixture f;
    warm_with(&f, sentences(true, "n", "n"), "{\"pad\": true}", NULL);
    assert_string_equal(f.s->unbatched, "the leading dimension of an input stands elsewhere, too");
    cool(&f);
    const char *inputs = "{\"pad\": {\"dims\": [\"length\"]}, \"shapes\": {\"ids\": [\"batch\", \"length\"], "
                         "\"mask\": [\"batch\", \"length\"], \"bias\": [\"batch\", 1]}}";
    expect(sentences(true, "n", "n"), inputs,
           "requests are not padded: \"each\" comes out as [1, 8], alone as [1, 4] (\"shapes\" can name its "
           "dimensions)");
    const char *all = "{\"pad\": {\"dims\": [\"length\"]}, \"shapes\": {\"ids\": [\"batch\", \"length\"], "
                      "\"mask\": [\"batch\", \"length\"], \"bias\": [\"batch\", 1], "
                      "\"each\": [\"batch\", \"length\"]}}";
    expect(sentences(true, "n", "n"), all, "");
}

/* Made-up numbers are not negative: only a recorded request shows that the largest of them may be the
 * padding. */
static void heeds_recorded_requests(void **state) {
    (void)state;
    fixture f;
    static const char *const texts[] = {"{\"pad\": true}", "{\"pad\": true, \"dims\": {\"length\": [4, 8]}}"};
    for (int i = 0; i < 4; i++) {
        hone_tensor *x = NULL;
        assert_int_equal(hone_tensor_new(HONE_FLOAT32, 2, (int64_t[]){3, 5}, &x, NULL), HONE_OK);
        for (int k = 0; k < 15; k++) ((float *)x->data)[k] = i < 2 ? (float)-k - 1 : (float)k + 1;
        hone_recorded recorded = {.tensors = &x, .count = 1};
        warm_with(&f, lengths_model("ReduceMax"), texts[i % 2], &recorded);
        assert_int_equal(f.s->padded != 0, i >= 2);
        assert_int_equal(strstr(f.s->unpadded, "length 5 as 8") != NULL, i < 2);
        cool(&f);
        hone_tensor_free(x);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pads_what_keeps_its_answers), cmocka_unit_test(refuses_what_changes_them),
        cmocka_unit_test(says_what_is_in_the_way),     cmocka_unit_test(takes_names_from_settings),
        cmocka_unit_test(heeds_recorded_requests),     cmocka_unit_test(tells_of_whole_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
