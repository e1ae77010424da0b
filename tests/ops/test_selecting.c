/* Operators whose results are as long as the data make them: Compress, Unique, NonMaxSuppression. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "graph/infer.h"
#include "graph/tensor.h"
#include "ops/op_cases.h"

/* A node over tensors, of which it takes no reference, as inputs; with its outputs. */
typedef struct selection {
    hone_graph *g;
    hone_node *node;
    runner r;
    const hone_tensor *out[4];
} selection;

static void select_with(const char *op, int inputs, hone_tensor *const *data, int outputs, const char *attrs,
                        selection *s) {
    hone_error err = {0};
    hone_value *in[5];
    built_case b = {.g = hone_graph_new(op)};
    for (int i = 0; i < inputs; i++) {
        hone_type type = hone_type_make(data[i]->dtype, data[i]->rank, data[i]->dims);
        in[i] = hone_graph_add_input(b.g, "x", &type);
    }
    b.node = hone_graph_add_node(b.g, hone_op_find("", op), "node", inputs, in, outputs);
    case_attrs(&b, attrs);
    for (int o = 0; o < outputs; o++) hone_graph_add_output(b.g, b.node->outputs[o]);
    *s = (selection){b.g, b.node};
    if (runner_open(b.g, NULL, 2, &s->r, &err) != HONE_OK ||
        hone_context_run(s->r.context, (const hone_tensor *const *)data, s->out, &err) != HONE_OK)
        fail_msg("%s %s: %s", op, attrs, err.message);
}

static void drop(selection *s) {
    runner_close(&s->r);
    hone_graph_free(s->g);
}

static hone_tensor *ints(int rank, const int64_t *dims, const int64_t *x) {
    hone_tensor *t = NULL;
    assert_int_equal(hone_tensor_new(HONE_INT64, rank, dims, &t, NULL), HONE_OK);
    if (t->count) memcpy(t->data, x, t->bytes);
    return t;
}

static hone_tensor *floats(int rank, const int64_t *dims, const float *x) {
    hone_tensor *t = NULL;
    assert_int_equal(hone_tensor_new(HONE_FLOAT32, rank, dims, &t, NULL), HONE_OK);
    if (t->count) memcpy(t->data, x, t->bytes);
    return t;
}

static void check_ints(const hone_tensor *t, int64_t count, const int64_t *want) {
    assert_int_equal(t->count, count);
    for (int64_t i = 0; i < count; i++) assert_int_equal(((const int64_t *)t->data)[i], want[i]);
}
#define CHECK_INTS(t, ...) check_ints(t, sizeof((int64_t[]){__VA_ARGS__}) / 8, (int64_t[]){__VA_ARGS__})

static void test_unique(void **state) {
    (void)state;
    selection s;
    hone_tensor *x = ints(1, (int64_t[]){6}, (int64_t[]){2, 1, 1, 3, 4, 3});
    select_with("Unique", 1, &x, 4, "", &s);
    CHECK_INTS(s.out[0], 1, 2, 3, 4);
    CHECK_INTS(s.out[1], 1, 0, 3, 4);
    CHECK_INTS(s.out[2], 1, 0, 0, 2, 3, 2);
    CHECK_INTS(s.out[3], 2, 1, 2, 1);
    drop(&s);
    select_with("Unique", 1, &x, 4, "sorted=0", &s);
    CHECK_INTS(s.out[0], 2, 1, 3, 4);
    CHECK_INTS(s.out[1], 0, 1, 3, 4);
    CHECK_INTS(s.out[2], 0, 1, 1, 2, 3, 2);
    CHECK_INTS(s.out[3], 1, 2, 2, 1);
    drop(&s);
    hone_tensor_free(x);
    x = ints(3, (int64_t[]){2, 3, 1}, (int64_t[]){5, 1, 5, 0, 2, 0});
    select_with("Unique", 1, &x, 2, "axis=-2", &s);
    CHECK_INTS(s.out[0], 1, 5, 2, 0);
    CHECK_INTS(s.out[1], 1, 0);
    assert_int_equal(s.out[0]->dims[1], 2);
    drop(&s);
    hone_tensor_free(x);
    x = ints(1, (int64_t[]){0}, NULL);
    select_with("Unique", 1, &x, 4, "", &s);
    for (int o = 0; o < 4; o++) assert_int_equal(s.out[o]->count, 0);
    drop(&s);
    hone_tensor_free(x);
}

static void test_unique_strings_and_numbers(void **state) {
    (void)state;
    static const char *const texts[] = {"b", "", "ab", "b", "a"};
    selection s;
    hone_tensor *x = NULL;
    assert_int_equal(hone_tensor_new(HONE_STRING, 1, (int64_t[]){5}, &x, NULL), HONE_OK);
    for (int i = 0; i < 5; i++) hone_tensor_set_string(x, i, texts[i], strlen(texts[i]), NULL);
    select_with("Unique", 1, &x, 3, "", &s);
    assert_int_equal(s.out[0]->count, 4);
    static const char *const want[] = {"", "a", "ab", "b"};
    for (int i = 0; i < 4; i++) assert_string_equal(hone_tensor_string(s.out[0], i, NULL), want[i]);
    CHECK_INTS(s.out[1], 1, 4, 2, 0);
    CHECK_INTS(s.out[2], 3, 0, 2, 3, 1);
    drop(&s);
    hone_tensor_free(x);
    x = floats(1, (int64_t[]){5}, (float[]){9, 1, -0.0f, 0, -1});
    ((float *)x->data)[0] = __builtin_nanf("");
    select_with("Unique", 1, &x, 2, "", &s);
    CHECK_INTS(s.out[1], 4, 2, 1, 0); /* -0 is 0, what is no number comes last */
    drop(&s);
    hone_tensor_free(x);
}

static void test_compress(void **state) {
    (void)state;
    selection s;
    hone_tensor *in[2] = {ints(2, (int64_t[]){3, 2}, (int64_t[]){1, 2, 3, 4, 5, 6})};
    assert_int_equal(hone_tensor_new(HONE_BOOL, 1, (int64_t[]){2}, &in[1], NULL), HONE_OK);
    memcpy(in[1]->data, (uint8_t[]){0, 1}, 2);
    select_with("Compress", 2, in, 1, "axis=0", &s);
    CHECK_INTS(s.out[0], 3, 4);
    drop(&s);
    select_with("Compress", 2, in, 1, "axis=1", &s);
    CHECK_INTS(s.out[0], 2, 4, 6);
    assert_int_equal(s.out[0]->rank, 2);
    drop(&s);
    select_with("Compress", 2, in, 1, "", &s);
    CHECK_INTS(s.out[0], 2);
    drop(&s);
    hone_tensor_free(in[1]);
    assert_int_equal(hone_tensor_new(HONE_BOOL, 1, (int64_t[]){4}, &in[1], NULL), HONE_OK);
    memcpy(in[1]->data, (uint8_t[]){0, 0, 1, 0}, 4);
    select_with("Compress", 2, in, 1, "axis=0", &s);
    CHECK_INTS(s.out[0], 5, 6);
    hone_error err;
    ((uint8_t *)in[1]->data)[3] = 1; /* beyond the axis */
    assert_int_equal(hone_context_run(s.r.context, (const hone_tensor *const *)in, s.out, &err),
                     HONE_INVALID_ARGUMENT);
    assert_string_equal(err.message, "position 3 is taken of an axis of 3");
    drop(&s);
    for (int i = 0; i < 2; i++) hone_tensor_free(in[i]);
}

/* Three boxes, the first two nearly the same, of two classes. */
static void test_boxes(void **state) {
    (void)state;
    static const float boxes[] = {0, 0, 1, 1, 1, 1.1f, 0, 0.1f, 0, 10, 1, 11};
    static const float scores[] = {0.8f, 0.9f, 0.3f, 0.5f, 0.5f, 0.6f};
    selection s;
    hone_tensor *in[] = {floats(3, (int64_t[]){1, 3, 4}, boxes), floats(3, (int64_t[]){1, 2, 3}, scores),
                         ints(0, NULL, (int64_t[]){2}), floats(0, NULL, (float[]){0.5f}),
                         floats(0, NULL, (float[]){0.4f})};
    select_with("NonMaxSuppression", 5, in, 1, "", &s);
    CHECK_INTS(s.out[0], 0, 0, 1, 0, 1, 2, 0, 1, 0);
    assert_int_equal(s.out[0]->dims[1], 3);
    drop(&s);
    select_with("NonMaxSuppression", 3, in, 1, "", &s); /* no overlap is borne, any score is good */
    CHECK_INTS(s.out[0], 0, 0, 1, 0, 0, 2, 0, 1, 2, 0, 1, 0);
    drop(&s);
    select_with("NonMaxSuppression", 2, in, 1, "", &s); /* none are asked for */
    assert_int_equal(s.out[0]->count, 0);
    drop(&s);
    for (int i = 0; i < 5; i++) hone_tensor_free(in[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_unique),
                                       cmocka_unit_test(test_unique_strings_and_numbers),
                                       cmocka_unit_test(test_compress), cmocka_unit_test(test_boxes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
