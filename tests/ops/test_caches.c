/* Attention with caches: what is written where, and that a sequence step by step gives what it gives at once. */
#include "support/graphs.h"

static hone_tensor *int64s(int64_t a, int64_t b) {
    hone_tensor *t = tensor_make(HONE_INT64, SHAPE(2));
    ((int64_t *)t->data)[0] = a;
    ((int64_t *)t->data)[1] = b;
    return t;
}

/* --- GroupQueryAttention --- a sequence in pieces, each with the cache of those before */

enum { HEADS = 4, SHARED = 2, WIDTH = 8, LENGTH = 7, BATCH = 2 };

typedef struct model {
    hone_graph *g;
    runner r;
} model;

static model open_model(void) {
    hone_graph *g = hone_graph_new("cache");
    int64_t t = hone_graph_symbol(g, "t"), past = hone_graph_symbol(g, "past");
    hone_value *cos = graph_constant(g, "cos", tensor_random(HONE_FLOAT32, SHAPE(20, WIDTH / 2), 8)),
               *sin = graph_constant(g, "sin", tensor_random(HONE_FLOAT32, SHAPE(20, WIDTH / 2), 9));
    hone_value *in[] = {graph_input(g, "q", HONE_FLOAT32, SHAPE(BATCH, t, HEADS * WIDTH)),
                        graph_input(g, "k", HONE_FLOAT32, SHAPE(BATCH, t, SHARED * WIDTH)),
                        graph_input(g, "v", HONE_FLOAT32, SHAPE(BATCH, t, SHARED * WIDTH)),
                        graph_input(g, "past_k", HONE_FLOAT32, SHAPE(BATCH, SHARED, past, WIDTH)),
                        graph_input(g, "past_v", HONE_FLOAT32, SHAPE(BATCH, SHARED, past, WIDTH)),
                        graph_input(g, "lengths", HONE_INT32, SHAPE(BATCH)),
                        graph_input(g, "total", HONE_INT32, 0, NULL), /* only the run knows it */
                        cos,
                        sin};
    hone_node *n =
        hone_graph_add_node(g, hone_op_find("com.microsoft", "GroupQueryAttention"), "n", COUNT(in), in, 3);
    hone_node_set_int(g, n, "num_heads", HEADS);
    hone_node_set_int(g, n, "kv_num_heads", SHARED);
    hone_node_set_int(g, n, "do_rotary", 1);
    for (int o = 0; o < 3; o++) hone_graph_add_output(g, n->outputs[o]);
    return (model){g, runner_make(g, NULL, 1)};
}

static void close_model(model *m) {
    runner_free(&m->r);
    hone_graph_free(m->g);
}

/* Elements [from, to) of the sequences' axis 1 or 2. */
static hone_tensor *piece(const hone_tensor *x, int64_t from, int64_t to) {
    hone_tensor *y = tensor_make(HONE_FLOAT32, SHAPE(x->dims[0], to - from, x->dims[2]));
    for (int64_t b = 0; b < x->dims[0]; b++)
        memcpy((float *)y->data + b * (to - from) * x->dims[2],
               (const float *)x->data + (b * x->dims[1] + from) * x->dims[2],
               (size_t)((to - from) * x->dims[2]) * sizeof(float));
    return y;
}

static hone_tensor *lengths_of(int64_t a, int64_t b) {
    hone_tensor *t = tensor_make(HONE_INT32, SHAPE(BATCH));
    ((int32_t *)t->data)[0] = (int32_t)a - 1;
    ((int32_t *)t->data)[1] = (int32_t)b - 1;
    return t;
}

static hone_tensor *total_of(int64_t n) {
    hone_tensor *t = tensor_make(HONE_INT32, 0, NULL);
    *(int32_t *)t->data = (int32_t)n;
    return t;
}

/* Runs [from, to) of q, k, v after the caches, which are replaced by those that come out; gives Y. */
static hone_tensor *step(model *m, hone_tensor *const *qkv, int64_t from, int64_t to, hone_tensor **cache) {
    hone_tensor *in[7];
    const hone_tensor *out[3];
    for (int i = 0; i < 3; i++) in[i] = piece(qkv[i], from, to);
    in[3] = cache[0];
    in[4] = cache[1];
    in[5] = lengths_of(to, to);
    in[6] = total_of(to);
    runner_run(&m->r, in, out);
    hone_tensor *y = tensor_copy(out[0]);
    cache[0] = tensor_copy(out[1]);
    cache[1] = tensor_copy(out[2]);
    for (int i = 0; i < 7; i++) hone_tensor_free(in[i]);
    return y;
}

static void make_sequence(hone_tensor **qkv, hone_tensor **cache, int64_t room) {
    for (int i = 0; i < 3; i++)
        qkv[i] =
            tensor_random(HONE_FLOAT32, SHAPE(BATCH, LENGTH, (i ? SHARED : HEADS) * WIDTH), (uint64_t)i + 1);
    for (int i = 0; i < 2; i++) {
        cache[i] = tensor_make(HONE_FLOAT32, SHAPE(BATCH, SHARED, room, WIDTH));
        for (int64_t k = 0; k < cache[i]->count; k++) tensor_set(cache[i], k, 1e9); /* nobody may see it */
    }
}

/* A cache that grows, and one that has room for all from the start. */
static void test_pieces_agree(void **state) {
    (void)state;
    for (int64_t room = 0; room <= LENGTH + 2; room += LENGTH + 2) {
        hone_tensor *qkv[3], *whole_cache[2], *cache[2];
        model m = open_model();
        make_sequence(qkv, whole_cache, room);
        hone_tensor *whole = step(&m, qkv, 0, LENGTH, whole_cache);
        for (int i = 0; i < 3; i++) hone_tensor_free(qkv[i]);
        make_sequence(qkv, cache, room);
        static const int64_t cuts[] = {0, 3, 4, 5, LENGTH};
        for (int i = 0; i + 1 < COUNT(cuts); i++) {
            hone_tensor *y = step(&m, qkv, cuts[i], cuts[i + 1], cache),
                        *want = piece(whole, cuts[i], cuts[i + 1]);
            assert_close(y, want, 1e-5);
            assert_int_equal(cache[0]->dims[2], room ? room : cuts[i + 1]);
            hone_tensor_free(y);
            hone_tensor_free(want);
        }
        for (int i = 0; i < 2; i++) {
            assert_close(cache[i], whole_cache[i], 1e-6);
            hone_tensor_free(cache[i]);
            hone_tensor_free(whole_cache[i]);
        }
        for (int i = 0; i < 3; i++) hone_tensor_free(qkv[i]);
        hone_tensor_free(whole);
        close_model(&m);
    }
}

/* Sequences of different lengths go on at their own places, as they would alone. */
static void test_different_lengths(void **state) {
    (void)state;
    hone_tensor *qkv[3], *cache[2], *whole_cache[2], *in[7];
    const hone_tensor *out[3];
    model m = open_model();
    make_sequence(qkv, whole_cache, 0);
    hone_tensor *whole = step(&m, qkv, 0, LENGTH, whole_cache);
    for (int i = 0; i < 3; i++) hone_tensor_free(qkv[i]);
    make_sequence(qkv, cache, LENGTH);
    /* the first prompt: 4 of sequence 0, 2 of sequence 1, padded to 4 */
    for (int i = 0; i < 3; i++) in[i] = piece(qkv[i], 0, 4);
    in[3] = cache[0];
    in[4] = cache[1];
    in[5] = lengths_of(4, 2);
    in[6] = total_of(4);
    runner_run(&m.r, in, out);
    for (int i = 0; i < HEADS * WIDTH; i++) {
        assert_true(fabs(tensor_at(out[0], 3 * HEADS * WIDTH + i) - tensor_at(whole, 3 * HEADS * WIDTH + i)) <
                    1e-5);
        assert_true(fabs(tensor_at(out[0], 5 * HEADS * WIDTH + i) -
                         tensor_at(whole, (LENGTH + 1) * HEADS * WIDTH + i)) < 1e-5);
    }
    cache[0] = tensor_copy(out[1]);
    cache[1] = tensor_copy(out[2]);
    for (int i = 0; i < 7; i++) hone_tensor_free(in[i]);
    /* the next of each: element 4 of sequence 0, element 2 of sequence 1 */
    for (int i = 0; i < 3; i++) {
        hone_tensor *first = piece(qkv[i], 4, 5), *second = piece(qkv[i], 2, 3);
        size_t row = first->bytes / 2;
        memcpy((char *)first->data + row, (char *)second->data + row, row);
        in[i] = first;
        hone_tensor_free(second);
    }
    in[3] = cache[0];
    in[4] = cache[1];
    in[5] = lengths_of(5, 3);
    in[6] = total_of(5);
    runner_run(&m.r, in, out);
    for (int i = 0; i < HEADS * WIDTH; i++) {
        assert_true(fabs(tensor_at(out[0], i) - tensor_at(whole, 4 * HEADS * WIDTH + i)) < 1e-5);
        assert_true(fabs(tensor_at(out[0], HEADS * WIDTH + i) -
                         tensor_at(whole, (LENGTH + 2) * HEADS * WIDTH + i)) < 1e-5);
    }
    for (int i = 0; i < 7; i++) hone_tensor_free(in[i]);
    for (int i = 0; i < 3; i++) hone_tensor_free(qkv[i]);
    for (int i = 0; i < 2; i++) hone_tensor_free(whole_cache[i]);
    hone_tensor_free(whole);
    close_model(&m);
}

/* --- Attention --- rows see what is around their own places among the keys: the same as by a mask that says so */

typedef struct around {
    int64_t left, right; /* -1: without end */
    bool causal, past, counted;
} around;

enum { ROWS = 3, KEYS = 9, PAST_KEYS = 4 };

/* Of what the second sequence has filled, and of the first one less than the rows. */
static int64_t filled(int64_t b) {
    return b ? 7 : 2;
}

static bool sees(const around *a, int64_t b, int64_t row, int64_t key) {
    int64_t at = row + (a->past ? PAST_KEYS : a->counted ? filled(b) - ROWS : 0);
    return !(a->counted && key >= filled(b)) && !(a->causal && key > at) &&
           !(a->left >= 0 && at - key > a->left) && !(a->right >= 0 && key - at > a->right);
}

static hone_tensor *run_around(const around *a, const hone_tensor *mask) {
    hone_graph *g = hone_graph_new("windows");
    hone_value *in[7] = {NULL};
    hone_tensor *data[6], *y;
    int count = 0;
    const int64_t keys = a->past ? KEYS - PAST_KEYS : KEYS;
    for (int i = 0; i < 7; i++) {
        int64_t rows = i == 0 ? ROWS : i < 3 ? keys : PAST_KEYS;
        if (i == 3 ? !mask : i == 6 ? !a->counted || mask : i > 3 && !a->past) continue;
        data[count] = i == 3   ? tensor_copy(mask)
                      : i == 6 ? int64s(filled(0), filled(1))
                               : tensor_random(HONE_FLOAT32, SHAPE(BATCH, 2, rows, WIDTH), (uint64_t)i);
        in[i] = graph_input(g, "x", data[count]->dtype, data[count]->rank, data[count]->dims);
        count++;
    }
    hone_node *n = hone_graph_add_node(g, hone_op_find("", "Attention"), "n", COUNT(in), in, 1);
    if (!mask) {
        hone_node_set_int(g, n, "left_window_size", a->left);
        hone_node_set_int(g, n, "right_window_size", a->right);
        hone_node_set_int(g, n, "is_causal", a->causal);
    }
    hone_graph_add_output(g, n->outputs[0]);
    const hone_tensor *out;
    runner r = runner_make(g, NULL, 1);
    runner_run(&r, data, &out);
    y = tensor_copy(out);
    runner_free(&r);
    for (int i = 0; i < count; i++) hone_tensor_free(data[i]);
    hone_graph_free(g);
    return y;
}

static void test_windows(void **state) {
    (void)state;
    static const around all[] = {
        {-1, -1, .causal = true, .counted = true},
        {-1, -1, .causal = true, .past = true},
        {2, 0},
        {2, 1},
        {-1, 2, .counted = true},
        {0, -1, .past = true},
        {1, 2, .causal = true, .counted = true},
        {0, 0, .past = true},
        {INT64_MAX, INT64_MAX, .counted = true},
    };
    for (int k = 0; k < COUNT(all); k++) {
        hone_tensor *mask = tensor_make(HONE_BOOL, SHAPE(BATCH, 1, ROWS, KEYS));
        for (int64_t i = 0; i < mask->count; i++)
            ((uint8_t *)mask->data)[i] = sees(&all[k], i / KEYS / ROWS, i / KEYS % ROWS, i % KEYS);
        hone_tensor *y = run_around(&all[k], NULL), *want = run_around(&all[k], mask);
        assert_close(y, want, 1e-5);
        hone_tensor_free(y);
        hone_tensor_free(want);
        hone_tensor_free(mask);
    }
}

/* A place far beyond all keys is no fault. */
static void test_far_places(void **state) {
    (void)state;
    static const int64_t far[] = {INT64_MAX, INT64_MIN, INT64_MIN + ROWS};
    for (int k = 0; k < COUNT(far); k++) {
        hone_graph *g = hone_graph_new("far");
        hone_tensor *in[] = {tensor_random(HONE_FLOAT32, SHAPE(BATCH, 1, ROWS, WIDTH), 1),
                             tensor_random(HONE_FLOAT32, SHAPE(BATCH, 1, KEYS, WIDTH), 2),
                             int64s(far[k], KEYS)};
        hone_value *v[7] = {graph_input(g, "q", HONE_FLOAT32, SHAPE(BATCH, 1, ROWS, WIDTH))};
        v[1] = v[2] = graph_input(g, "k", HONE_FLOAT32, SHAPE(BATCH, 1, KEYS, WIDTH));
        v[6] = graph_input(g, "end", HONE_INT64, SHAPE(BATCH));
        hone_node *n = hone_graph_add_node(g, hone_op_find("", "Attention"), "n", COUNT(v), v, 1);
        hone_node_set_int(g, n, "is_causal", 1);
        hone_node_set_int(g, n, "left_window_size", INT64_MAX - 1);
        hone_graph_add_output(g, n->outputs[0]);
        const hone_tensor *out;
        runner r = runner_make(g, NULL, 1);
        runner_run(&r, in, &out);
        for (int64_t i = 0; i < out->count; i++) assert_true(isfinite(tensor_at(out, i)));
        if (far[k] < 0)
            for (int64_t i = 0; i < ROWS * WIDTH; i++) assert_true(tensor_at(out, i) == 0);
        runner_free(&r);
        for (int i = 0; i < 3; i++) hone_tensor_free(in[i]);
        hone_graph_free(g);
    }
}

/* --- what only the data can show to be wrong --- */

static void check_fails(const char *domain, const char *op, hone_tensor **data, int count, const char *attr,
                        int64_t value, const char *says) {
    hone_graph *g = hone_graph_new(op);
    hone_value *in[8] = {NULL};
    hone_error err;
    for (int i = 0; i < count; i++)
        if (data[i]) in[i] = graph_input(g, "x", data[i]->dtype, data[i]->rank, data[i]->dims);
    hone_value *y = hone_graph_emit(g, domain, op, in, count);
    y->producer->name = "here";
    if (attr) hone_node_set_int(g, y->producer, attr, value);
    hone_graph_add_output(g, y);
    runner r = runner_make(g, NULL, 1);
    assert_int_equal(hone_context_run(r.context, (const hone_tensor *const *)data, NULL, &err),
                     HONE_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, says));
    runner_free(&r);
    for (int i = 0; i < count; i++) hone_tensor_free(data[i]);
    hone_graph_free(g);
}

static void test_places_are_checked(void **state) {
    (void)state;
    for (int k = 0; k < 2; k++) {
        hone_tensor *scatter[] = {tensor_random(HONE_FLOAT32, SHAPE(2, 1, 5, 2), 1),
                                  tensor_random(HONE_FLOAT32, SHAPE(2, 1, 3, 2), 2), int64s(2, k ? -1 : 3)};
        check_fails("", "TensorScatter", scatter, 3, NULL, 0, "do not fit");
        hone_tensor *rotary[] = {
            tensor_random(HONE_FLOAT32, SHAPE(1, 1, 2, 4), 1), tensor_random(HONE_FLOAT32, SHAPE(5, 2), 2),
            tensor_random(HONE_FLOAT32, SHAPE(5, 2), 3), tensor_make(HONE_INT64, SHAPE(1, 2))};
        ((int64_t *)rotary[3]->data)[1] = k ? -1 : 5;
        check_fails("", "RotaryEmbedding", rotary, 4, NULL, 0, "position");
    }
}

/* Of packed elements and strings, round and round. */
static void test_scatter_of_all_kinds(void **state) {
    (void)state;
    static const hone_dtype dtypes[] = {HONE_UINT4, HONE_INT2, HONE_UINT8, HONE_FLOAT64};
    for (int k = 0; k < COUNT(dtypes); k++) {
        hone_graph *g = hone_graph_new("scatter");
        hone_tensor *in[] = {tensor_make(dtypes[k], SHAPE(2, 3, 5, 3)),
                             tensor_make(dtypes[k], SHAPE(2, 3, 4, 3)), int64s(1, 4)};
        for (int i = 0; i < 2; i++)
            for (size_t b = 0; b < in[i]->bytes; b++)
                ((uint8_t *)in[i]->data)[b] = (uint8_t)(b * 73 + 11 * (size_t)i);
        const int bits = hone_dtype_bits(dtypes[k]);
        if (in[0]->count * bits % 8)
            ((uint8_t *)in[0]->data)[in[0]->bytes - 1] &= (uint8_t)((1 << in[0]->count * bits % 8) - 1);
        hone_value *y = graph_op(g, "TensorScatter", graph_input(g, "a", dtypes[k], SHAPE(2, 3, 5, 3)),
                                 graph_input(g, "b", dtypes[k], SHAPE(2, 3, 4, 3)),
                                 graph_input(g, "at", HONE_INT64, SHAPE(2)));
        hone_node_set_string(g, y->producer, "mode", "circular");
        hone_graph_add_output(g, y);
        const hone_tensor *out;
        runner r = runner_make(g, NULL, 1);
        runner_run(&r, in, &out);
        for (int64_t i = 0; i < 2 * 3 * 5 * 3; i++) {
            int64_t row = i / 3 % 5, head = i / 15, at = ((const int64_t *)in[2]->data)[head / 3],
                    t = (row - at + 5) % 5;
            int64_t from = t < 4 ? (head * 4 + t) * 3 + i % 3 : i;
            const hone_tensor *x = in[t < 4];
            for (int bit = 0; bit < bits; bit++) {
                int64_t p = i * bits + bit, q = from * bits + bit;
                assert_int_equal(((const uint8_t *)out->data)[p / 8] >> p % 8 & 1,
                                 ((const uint8_t *)x->data)[q / 8] >> q % 8 & 1);
            }
        }
        runner_free(&r);
        for (int i = 0; i < 3; i++) hone_tensor_free(in[i]);
        hone_graph_free(g);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_pieces_agree),
                                       cmocka_unit_test(test_different_lengths),
                                       cmocka_unit_test(test_windows),
                                       cmocka_unit_test(test_far_places),
                                       cmocka_unit_test(test_places_are_checked),
                                       cmocka_unit_test(test_scatter_of_all_kinds)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
