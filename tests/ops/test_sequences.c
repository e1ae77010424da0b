/* Sequences and optional values: what ONNX's node tests leave out. */
#include "support/control.h"

static hone_value *sequence_input(hone_graph *g, const char *name, hone_dtype dtype) {
    return hone_graph_add_input(g, name, hone_type_any_sequence(dtype));
}

static hone_tensor *sequence_of(hone_dtype dtype, hone_tensor **items, int64_t count) {
    hone_tensor *t = NULL;
    hone_error err;
    check_ok(hone_tensor_of_items(HONE_KIND_SEQUENCE, dtype, items, count, &t, &err));
    for (int64_t i = 0; i < count; i++) hone_tensor_free(items[i]);
    return t;
}

static hone_tensor *number(int64_t x) {
    hone_tensor *t = tensor_make(HONE_INT64, 0, NULL);
    *(int64_t *)t->data = x;
    return t;
}

/* Positions count from both ends; what lies outside names the node. */
static void test_positions(void **state) {
    (void)state;
    static const char *const ops[] = {"SequenceAt", "SequenceErase", "SequenceInsert"};
    for (int o = 0; o < 3; o++) {
        hone_error err;
        hone_graph *g = hone_graph_new("positions");
        hone_value *s = sequence_input(g, "s", HONE_FLOAT32), *at = graph_input(g, "at", HONE_INT64, 0, NULL);
        hone_value *x = graph_constant(g, "x", tensor_make(HONE_FLOAT32, SHAPE(7)));
        hone_value *y = o == 2 ? graph_op(g, ops[o], s, x, at) : graph_op(g, ops[o], s, at);
        hone_graph_add_output(g, o == 0 ? y : graph_op(g, "SequenceLength", y));
        runner r = runner_make(g, NULL, 1);
        for (int64_t count = 0; count < 4; count++)
            for (int64_t i = -5; i < 5; i++) {
                hone_tensor *items[4], *given[2];
                const hone_tensor *out;
                for (int64_t k = 0; k < count; k++)
                    items[k] = tensor_random(HONE_FLOAT32, SHAPE(k + 1, 2), (uint64_t)k);
                given[0] = sequence_of(HONE_FLOAT32, items, count);
                given[1] = number(i);
                hone_status status =
                    hone_context_run(r.context, (const hone_tensor *const *)given, &out, &err);
                bool right = i >= -count && i < count + (o == 2);
                assert_int_equal(status, right ? HONE_OK : HONE_INVALID_ARGUMENT);
                if (!right) assert_string_equal(err.op, ops[o]);
                int64_t at_end = i < 0 ? i + count : i;
                if (right && o == 0) {
                    const hone_tensor *item = hone_tensor_item(given[0], at_end);
                    assert_int_equal(out->dims[0], at_end + 1);
                    assert_memory_equal(out->data, item->data, item->bytes);
                }
                if (right && o > 0) assert_int_equal(hone_tensor_int(out, 0), o == 1 ? count - 1 : count + 1);
                hone_tensor_free(given[0]);
                hone_tensor_free(given[1]);
            }
        runner_free(&r);
        hone_graph_free(g);
    }
}

/* A loop collects rows of growing length; they are joined, and the sequence is the second result. */
static void test_collecting(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("collect");
    hone_value *x = graph_input(g, "x", HONE_FLOAT32, SHAPE(HONE_DIM_ANY)),
               *n = graph_input(g, "n", HONE_INT64, 0, NULL);
    hone_value *none = hone_graph_emit(g, "", "SequenceEmpty", NULL, 0);
    hone_node *loop = control_node(g, "Loop", "loop", 1, 3, (hone_value *[]){n, NULL, none});
    hone_graph *body = hone_node_add_graph(g, loop, "body");
    hone_value *i = control_input(body, "i", HONE_INT64), *go = control_input(body, "go", HONE_BOOL);
    hone_value *list = hone_graph_add_input(body, "list", hone_type_any_sequence(HONE_FLOAT32));
    hone_value *end = graph_op(body, "Add", i, graph_constant(body, "one", number(1)));
    hone_value *part =
        graph_op(body, "Slice", hone_graph_capture(body, x), hone_graph_ints(body, (int64_t[]){0}, 1),
                 graph_op(body, "Unsqueeze", end, hone_graph_ints(body, (int64_t[]){0}, 1)));
    hone_graph_add_output(body, go);
    hone_graph_add_output(body, graph_op(body, "SequenceInsert", list, part));
    hone_value *all = graph_op(g, "ConcatFromSequence", loop->outputs[0]);
    hone_node_set_int(g, all->producer, "axis", 0);
    hone_graph_add_output(g, all);
    hone_graph_add_output(g, loop->outputs[0]);
    runner r = runner_make(g, NULL, 1);
    for (int64_t count = 1; count < 6; count++) {
        hone_tensor *given[] = {tensor_random(HONE_FLOAT32, SHAPE(8), 1), number(count)};
        const hone_tensor *out[2];
        runner_run(&r, given, out);
        assert_int_equal(out[0]->count, count * (count + 1) / 2);
        assert_int_equal(hone_tensor_kind(out[1]), HONE_KIND_SEQUENCE);
        assert_int_equal(out[1]->count, count);
        for (int64_t k = 0, at = 0; k < count; at += ++k) {
            const hone_tensor *row = hone_tensor_item(out[1], k);
            assert_int_equal(row->count, k + 1);
            assert_memory_equal(row->data, given[0]->data, row->bytes);
            assert_memory_equal((const float *)out[0]->data + at, given[0]->data, row->bytes);
        }
        hone_tensor_free(given[0]);
        hone_tensor_free(given[1]);
    }
    runner_free(&r);
    hone_graph_free(g);
}

/* Parts of each dtype, taken apart and joined again; strings and elements of less than a byte too. */
static void test_apart_and_together(void **state) {
    (void)state;
    static const hone_dtype dtypes[] = {HONE_FLOAT32, HONE_INT8, HONE_STRING,
                                        HONE_INT4,    HONE_BOOL, HONE_FLOAT16};
    for (int d = 0; d < COUNT(dtypes); d++)
        for (int keep = 0; keep < 2; keep++) {
            hone_error err;
            hone_graph *g = hone_graph_new("parts");
            hone_value *x = graph_input(g, "x", dtypes[d], SHAPE(2, HONE_DIM_ANY, 3));
            hone_value *s = graph_op(g, "SplitToSequence", x);
            hone_node_set_int(g, s->producer, "axis", -2);
            hone_node_set_int(g, s->producer, "keepdims", keep);
            hone_value *y = graph_op(g, "ConcatFromSequence", graph_op(g, "Identity", s));
            hone_node_set_int(g, y->producer, "axis", 1);
            hone_node_set_int(g, y->producer, "new_axis", !keep);
            hone_graph_add_output(g, y);
            runner r = runner_make(g, NULL, 1);
            for (int64_t n = 1; n < 5; n++) {
                hone_tensor *given = tensor_make(dtypes[d], SHAPE(2, n, 3));
                char text[8];
                for (int64_t i = 0; i < given->count; i++) {
                    snprintf(text, sizeof text, "t%d", (int)i);
                    if (dtypes[d] == HONE_STRING)
                        check_ok(hone_tensor_set_string(given, i, text, strlen(text), &err));
                }
                for (size_t i = 0; dtypes[d] != HONE_STRING && i < given->bytes; i++)
                    ((uint8_t *)given->data)[i] = dtypes[d] == HONE_BOOL ? i % 2 : (uint8_t)(37 * i + 1);
                const hone_tensor *out;
                runner_run(&r, &given, &out);
                assert_int_equal(out->rank, 3);
                assert_int_equal(out->dims[1], n);
                for (int64_t i = 0; i < given->count && dtypes[d] == HONE_STRING; i++)
                    assert_string_equal(hone_tensor_string(out, i, NULL), hone_tensor_string(given, i, NULL));
                if (dtypes[d] != HONE_STRING) assert_memory_equal(out->data, given->data, given->bytes);
                hone_tensor_free(given);
            }
            runner_free(&r);
            hone_graph_free(g);
        }
}

/* Nothing, and parts that don't add up. */
static void test_refused_at_run(void **state) {
    (void)state;
    for (int which = 0; which < 4; which++) {
        hone_error err;
        hone_graph *g = hone_graph_new("refused");
        hone_value *x = graph_input(g, "x", HONE_FLOAT32, SHAPE(4)),
                   *n = graph_input(g, "n", HONE_INT64, SHAPE(2));
        hone_value *none = hone_graph_emit(g, "", "SequenceEmpty", NULL, 0), *y;
        if (which == 0) {
            y = graph_op(g, "ConcatFromSequence", none);
            hone_node_set_int(g, y->producer, "axis", 0);
        } else if (which == 1) {
            y = graph_op(g, "SequenceErase", none);
        } else if (which == 2) {
            hone_value *nothing = hone_graph_emit(g, "", "Optional", NULL, 0);
            hone_node_set_type(g, nothing->producer, "type", hone_type_any(HONE_FLOAT32));
            y = graph_op(g, "OptionalGetElement", nothing);
        } else {
            y = graph_op(g, "SplitToSequence", x, n);
        }
        hone_graph_add_output(g, y);
        runner r = runner_make(g, NULL, 1);
        hone_tensor *given[] = {tensor_make(HONE_FLOAT32, SHAPE(4)), tensor_make(HONE_INT64, SHAPE(2))};
        const hone_tensor *out;
        assert_int_equal(hone_context_run(r.context, (const hone_tensor *const *)given, &out, &err),
                         HONE_INVALID_ARGUMENT);
        assert_string_equal(err.node, y->producer->name);
        hone_tensor_free(given[0]);
        hone_tensor_free(given[1]);
        runner_free(&r);
        hone_graph_free(g);
    }
}

/* What is in an input is looked at, each time. */
static void test_inputs(void **state) {
    (void)state;
    hone_error err;
    hone_graph *g = hone_graph_new("inputs");
    hone_value *s = sequence_input(g, "s", HONE_FLOAT32);
    hone_graph_add_output(g, graph_op(g, "SequenceLength", s));
    runner r = runner_make(g, NULL, 1);
    for (int round = 0; round < 6; round++) {
        hone_tensor *item = tensor_make(round % 2 ? HONE_FLOAT64 : HONE_FLOAT32, SHAPE(2));
        hone_tensor *given = round < 4 ? sequence_of(item->dtype, &item, 1) : item;
        const hone_tensor *out;
        bool right = round < 4 && round % 2 == 0;
        assert_int_equal(hone_context_run(r.context, (const hone_tensor *const *)&given, &out, &err),
                         right ? HONE_OK : HONE_INVALID_ARGUMENT);
        if (!right) assert_string_equal(err.node, "s");
        hone_tensor_free(given);
    }
    hone_tensor *t = tensor_make(HONE_INT64, 0, NULL);
    assert_int_equal(hone_context_bind_output(r.context, 0, t, &err), HONE_OK);
    hone_tensor_free(t);
    runner_free(&r);
    hone_graph_free(g);
}

/* Items that make no such value. */
static void test_items(void **state) {
    (void)state;
    hone_error err;
    hone_tensor *a = tensor_make(HONE_FLOAT32, SHAPE(2)), *b = tensor_make(HONE_INT64, SHAPE(2)),
                *c = tensor_make(HONE_INT64, SHAPE(3)), *t = NULL;
    hone_tensor *mixed[] = {a, b}, *map[] = {b, a}, *uneven[] = {c, a};
    assert_int_equal(hone_tensor_of_items(HONE_KIND_SEQUENCE, HONE_FLOAT32, mixed, 2, &t, &err),
                     HONE_INVALID_ARGUMENT);
    assert_int_equal(hone_tensor_of_items(HONE_KIND_OPTIONAL, HONE_FLOAT32, mixed, 2, &t, &err),
                     HONE_INVALID_ARGUMENT);
    assert_int_equal(hone_tensor_of_items(HONE_KIND_MAP, HONE_INT64, uneven, 2, &t, &err),
                     HONE_INVALID_ARGUMENT);
    assert_int_equal(hone_tensor_of_items(HONE_KIND_TENSOR, HONE_FLOAT32, &a, 1, &t, &err),
                     HONE_INVALID_ARGUMENT);
    assert_null(t);
    check_ok(hone_tensor_of_items(HONE_KIND_MAP, HONE_INT64, map, 2, &t, &err));
    assert_true(isnan(hone_tensor_number(t, 0)));
    assert_int_equal(hone_tensor_set_string(t, 0, "x", 1, &err), HONE_INVALID_ARGUMENT);
    hone_tensor *wrapped[] = {t}, *list = NULL;
    check_ok(hone_tensor_of_items(HONE_KIND_SEQUENCE, HONE_INT64, wrapped, 1, &list, &err));
    hone_tensor_free(t);
    assert_ptr_equal(hone_tensor_item(hone_tensor_item(list, 0), 1), a); /* the list holds them */
    hone_tensor_free(list);
    hone_tensor_free(a);
    hone_tensor_free(b);
    hone_tensor_free(c);
}

/* For each item, with what is captured and what is the same for all; sequences of different lengths are refused. */
static void test_mapped(void **state) {
    (void)state;
    hone_error err;
    hone_graph *g = hone_graph_new("mapped");
    hone_value *s = sequence_input(g, "s", HONE_FLOAT32), *t = sequence_input(g, "t", HONE_FLOAT32),
               *x = graph_input(g, "x", HONE_FLOAT32, SHAPE(1)),
               *two = graph_constant(g, "two", tensor_of(SHAPE(1), (const float[]){2}));
    hone_node *map = control_node(g, "SequenceMap", "map", 2, 3, (hone_value *[]){s, t, x});
    hone_graph *body = hone_node_add_graph(g, map, "body");
    hone_value *a = control_input(body, "a", HONE_FLOAT32), *b = control_input(body, "b", HONE_FLOAT32),
               *c = control_input(body, "c", HONE_FLOAT32);
    hone_graph_add_output(body,
                          graph_op(body, "Add", graph_op(body, "Mul", a, hone_graph_capture(body, two)), c));
    hone_graph_add_output(body, graph_op(body, "Shape", b));
    hone_graph_add_output(g, map->outputs[0]);
    hone_graph_add_output(g, map->outputs[1]);
    runner r = runner_make(g, NULL, 1);
    for (int64_t count = 0; count < 4; count++)
        for (int64_t other = count; other < count + 2; other++) {
            hone_tensor *items[2][4], *given[3];
            const hone_tensor *out[2];
            for (int k = 0; k < 2; k++) {
                for (int64_t i = 0; i < (k ? other : count); i++)
                    items[k][i] = tensor_random(HONE_FLOAT32, SHAPE(i + 1, k + 1), (uint64_t)(7 * i + k));
                given[k] = sequence_of(HONE_FLOAT32, items[k], k ? other : count);
            }
            given[2] = tensor_of(SHAPE(1), (const float[]){0.5f});
            hone_status status = hone_context_run(r.context, (const hone_tensor *const *)given, out, &err);
            assert_int_equal(status, count == other ? HONE_OK : HONE_INVALID_ARGUMENT);
            if (status != HONE_OK) assert_string_equal(err.node, "map");
            for (int64_t i = 0; status == HONE_OK && i < count; i++) {
                const hone_tensor *in = hone_tensor_item(given[0], i), *y = hone_tensor_item(out[0], i);
                assert_int_equal(y->count, i + 1);
                for (int64_t k = 0; k <= i; k++) assert_true(tensor_at(y, k) == 2 * tensor_at(in, k) + 0.5);
                assert_int_equal(hone_tensor_int(hone_tensor_item(out[1], i), 1), 2);
            }
            for (int k = 0; k < 3; k++) hone_tensor_free(given[k]);
        }
    runner_free(&r);
    hone_graph_free(g);
}

/* --- maps --- ai.onnx.ml */

static hone_value *ml_op(hone_graph *g, const char *op, hone_value *x) {
    return hone_graph_emit(g, "ai.onnx.ml", op, &x, 1);
}

static void test_zip_map(void **state) {
    (void)state;
    static const hone_string names[] = {{"cat", 3}, {"dog", 3}, {"cow", 3}};
    for (int strings = 0; strings < 2; strings++) {
        hone_graph *g = hone_graph_new("zip");
        hone_value *x = graph_input(g, "x", HONE_FLOAT32, SHAPE(HONE_DIM_ANY, 3)), *z = ml_op(g, "ZipMap", x);
        if (strings)
            hone_node_set_strings(g, z->producer, "classlabels_strings", names, 3);
        else
            hone_node_set_ints(g, z->producer, "classlabels_int64s", (int64_t[]){10, -20, 30}, 3);
        hone_graph_add_output(g, z);
        runner r = runner_make(g, NULL, 1);
        for (int64_t rows = 0; rows < 4; rows++) {
            hone_tensor *given = tensor_random(HONE_FLOAT32, SHAPE(rows, 3), 1);
            const hone_tensor *out;
            runner_run(&r, &given, &out);
            assert_int_equal(out->count, rows);
            for (int64_t i = 0; i < rows; i++) {
                const hone_tensor *map = hone_tensor_item(out, i), *keys = hone_tensor_item(map, 0);
                assert_int_equal(hone_tensor_kind(map), HONE_KIND_MAP);
                assert_memory_equal(hone_tensor_item(map, 1)->data, (float *)given->data + 3 * i, 12);
                if (strings)
                    assert_string_equal(hone_tensor_string(keys, 1, NULL), "dog");
                else
                    assert_int_equal(hone_tensor_int(keys, 1), -20);
            }
            hone_tensor_free(given);
        }
        runner_free(&r);
        hone_graph_free(g);
    }
}

static hone_tensor *map_of(hone_tensor *keys, hone_tensor *values) {
    hone_tensor *items[] = {keys, values}, *t = NULL;
    hone_error err;
    check_ok(hone_tensor_of_items(HONE_KIND_MAP, keys->dtype, items, 2, &t, &err));
    hone_tensor_free(keys);
    hone_tensor_free(values);
    return t;
}

static void test_rows_of_maps(void **state) {
    (void)state;
    const hone_type type = {.kind = HONE_KIND_MAP,
                            .dtype = HONE_INT64,
                            .rank = HONE_RANK_ANY,
                            .element = &(const hone_type){.kind = HONE_KIND_TENSOR, .dtype = HONE_FLOAT32}};
    enum { VECTOR, DENSE, SPARSE, TEXTS, CASES };
    static const float wanted[CASES][6] = {{0, 2, 1}, {2, 3, 1}, {0, 2, 0, 3, 0, 1}, {0}};
    static const int64_t columns[CASES] = {3, 3, 6, 3};
    for (int c = 0; c < CASES; c++)
        for (int outside = 0; outside < 2; outside++) {
            hone_error err;
            hone_graph *g = hone_graph_new("rows");
            hone_value *x = hone_graph_add_input(g, "x", &type),
                       *y = ml_op(g, c == VECTOR ? "DictVectorizer" : "CastMap", x);
            if (c == VECTOR) hone_node_set_ints(g, y->producer, "int64_vocabulary", (int64_t[]){7, 1, 5}, 3);
            if (c == SPARSE) hone_node_set_string(g, y->producer, "map_form", "SPARSE");
            if (c == SPARSE) hone_node_set_int(g, y->producer, "max_map", 6);
            if (c == TEXTS) hone_node_set_string(g, y->producer, "cast_to", "TO_STRING");
            hone_graph_add_output(g, y);
            runner r = runner_make(g, NULL, 1);
            hone_tensor *keys = tensor_make(HONE_INT64, SHAPE(3)),
                        *values = tensor_of(SHAPE(3), (const float[]){1, 2, 3});
            memcpy(keys->data, (int64_t[]){5, 1, outside ? 9 : 3}, 24);
            hone_tensor *given = map_of(keys, values);
            const hone_tensor *out;
            hone_status status = hone_context_run(r.context, (const hone_tensor *const *)&given, &out, &err);
            bool refused = c == SPARSE && outside;
            assert_int_equal(status, refused ? HONE_INVALID_ARGUMENT : HONE_OK);
            if (!refused) assert_int_equal(out->dims[1], columns[c]);
            for (int64_t i = 0; !refused && !outside && c != TEXTS && i < columns[c]; i++)
                assert_true(tensor_at(out, i) == (double)wanted[c][i]);
            if (c == TEXTS && !outside) assert_string_equal(hone_tensor_string(out, 0, NULL), "2.000000");
            hone_tensor_free(given);
            runner_free(&r);
            hone_graph_free(g);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_positions),
        cmocka_unit_test(test_collecting),
        cmocka_unit_test(test_apart_and_together),
        cmocka_unit_test(test_refused_at_run),
        cmocka_unit_test(test_inputs),
        cmocka_unit_test(test_items),
        cmocka_unit_test(test_mapped),
        cmocka_unit_test(test_zip_map),
        cmocka_unit_test(test_rows_of_maps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
