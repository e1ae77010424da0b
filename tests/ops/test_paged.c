/* Attention over pages: each text sees its own keys, the same bits however its tokens come and whatever comes with them. */
#include "ops/attention/paged.h"
#include "support/graphs.h"

enum { TEXTS = 3, LENGTH = 75, HEADS = 6, SHARED = 2, D = 5, E = 20, PAGES = 9, COLUMNS = 3, PAGE = 32 };

static hone_error err;
static const int64_t length[TEXTS] = {75, 33, 1};
/* In no order; the pages of text 2 but for the first are never needed. */
static const int64_t tables[TEXTS][COLUMNS] = {{5, 0, 8}, {7, 3, -1}, {2, 99, 99}};

typedef struct texts {
    hone_tensor *q, *k, *v; /* [TEXTS * LENGTH, ...] */
    float *y;
} texts;

static texts texts_new(void) {
    return (texts){.q = tensor_random(HONE_FLOAT32, SHAPE(TEXTS * LENGTH, HEADS * D), 1),
                   .k = tensor_random(HONE_FLOAT32, SHAPE(TEXTS * LENGTH, SHARED * D), 2),
                   .v = tensor_random(HONE_FLOAT32, SHAPE(TEXTS * LENGTH, SHARED * E), 3),
                   .y = calloc(TEXTS * LENGTH * HEADS * E, sizeof(float))};
}

static void texts_free(texts *t) {
    hone_tensor_free(t->q);
    hone_tensor_free(t->k);
    hone_tensor_free(t->v);
    free(t->y);
}

/* --- what it should be --- */

typedef struct how {
    int64_t window;
    float scale, softcap;
} how;

static double score_of(const texts *t, const how *h, int64_t text, int64_t row, int64_t key, int64_t head) {
    const float *q = (const float *)t->q->data + (text * LENGTH + row) * HEADS * D + head * D;
    const float *k =
        (const float *)t->k->data + (text * LENGTH + key) * SHARED * D + head / (HEADS / SHARED) * D;
    double sum = 0;
    for (int l = 0; l < D; l++) sum += (double)q[l] * (double)k[l];
    sum *= h->scale != 0 ? (double)h->scale : 1 / sqrt((double)D);
    return h->softcap > 0 ? (double)h->softcap * tanh(sum / (double)h->softcap) : sum;
}

static void check_values(const texts *t, const how *h) {
    for (int64_t text = 0; text < TEXTS; text++)
        for (int64_t row = 0; row < length[text]; row++)
            for (int64_t head = 0; head < HEADS; head++) {
                double shares[LENGTH], all = 0;
                const int64_t first = h->window > 0 && row + 1 > h->window ? row + 1 - h->window : 0;
                for (int64_t key = first; key <= row; key++)
                    all += shares[key] = exp(score_of(t, h, text, row, key, head));
                for (int j = 0; j < E; j++) {
                    double want = 0;
                    for (int64_t key = first; key <= row; key++)
                        want += shares[key] / all *
                                (double)((const float *)t->v->data)[(text * LENGTH + key) * SHARED * E +
                                                                    head / (HEADS / SHARED) * E + j];
                    const double got = t->y[(text * LENGTH + row) * HEADS * E + head * E + j];
                    if (!(fabs(got - want) < 1e-5))
                        fail_msg("text %d, token %d, head %d: %g, not %g", (int)text, (int)row, (int)head,
                                 got, want);
                }
            }
}

/* --- running --- */

static hone_tensor *filled(int rank, const int64_t *dims, float x) {
    hone_tensor *t = tensor_make(HONE_FLOAT32, rank, dims);
    for (int64_t i = 0; i < t->count; i++) ((float *)t->data)[i] = x;
    return t;
}

/* Pages begin as no numbers: what is not of a text must not be seen. */
static hone_graph *make(const how *h) {
    hone_graph *g = hone_graph_new("pages");
    const int64_t t = hone_graph_symbol(g, "tokens");
    hone_value *in[] = {graph_variable(g, "keys", filled(SHAPE(PAGES, SHARED, D, PAGE), NAN)),
                        graph_variable(g, "values", filled(SHAPE(PAGES, SHARED, PAGE, E), NAN)),
                        graph_input(g, "q", HONE_FLOAT32, SHAPE(1, t, HEADS * D)),
                        graph_input(g, "k", HONE_FLOAT32, SHAPE(1, t, SHARED * D)),
                        graph_input(g, "v", HONE_FLOAT32, SHAPE(1, t, SHARED * E)),
                        graph_input(g, "position", HONE_INT64, SHAPE(1, t)),
                        graph_input(g, "text", HONE_INT64, SHAPE(t)),
                        graph_input(g, "tables", HONE_INT64, SHAPE(TEXTS, COLUMNS))};
    hone_node *n =
        hone_graph_add_node(g, hone_op_find(HONE_PRIVATE_DOMAIN, "PagedAttention"), "n", COUNT(in), in, 3);
    hone_node_set_int(g, n, "q_heads", HEADS);
    hone_node_set_int(g, n, "kv_heads", SHARED);
    hone_node_set_int(g, n, "window", h->window);
    hone_node_set_float(g, n, "scale", h->scale);
    hone_node_set_float(g, n, "softcap", h->softcap);
    hone_graph_bind(g, n->outputs[0], in[0]);
    hone_graph_bind(g, n->outputs[1], in[1]);
    hone_graph_add_output(g, n->outputs[2]);
    check_ok(hone_graph_infer(g, &err));
    return g;
}

/* A run's tokens: of each text so many behind those that were there, and some that stand for nothing. */
typedef struct bring {
    int64_t count[TEXTS], nothing;
} bring;

static void bring_tokens(runner *r, texts *t, int64_t *done, const bring *b) {
    int64_t total = b->nothing, row = 0;
    for (int i = 0; i < TEXTS; i++) total += b->count[i];
    hone_tensor *in[] = {
        filled(SHAPE(1, total, HEADS * D), NAN),  filled(SHAPE(1, total, SHARED * D), NAN),
        filled(SHAPE(1, total, SHARED * E), NAN), tensor_make(HONE_INT64, SHAPE(1, total)),
        tensor_make(HONE_INT64, SHAPE(total)),    tensor_make(HONE_INT64, SHAPE(TEXTS, COLUMNS))};
    int64_t *position = in[3]->data, *text = in[4]->data;
    memcpy(in[5]->data, tables, sizeof tables);
    for (; row < b->nothing; row++) text[row] = -1;
    for (int i = 0; i < TEXTS; i++)
        for (int64_t n = 0; n < b->count[i]; n++, row++) {
            const int64_t from = i * LENGTH + done[i] + n;
            text[row] = i;
            position[row] = done[i] + n;
            const hone_tensor *all[] = {t->q, t->k, t->v};
            for (int x = 0; x < 3; x++) {
                const int64_t width = all[x]->dims[1];
                memcpy((float *)in[x]->data + row * width, (const float *)all[x]->data + from * width,
                       (size_t)width * sizeof(float));
            }
        }
    const hone_tensor *y;
    runner_run(r, in, &y);
    const float *rows = y->data;
    for (int64_t i = 0; i < b->nothing * HEADS * E; i++) assert_true(rows[i] == 0);
    rows += b->nothing * HEADS * E;
    for (int i = 0; i < TEXTS; i++) {
        memcpy(t->y + (i * LENGTH + done[i]) * HEADS * E, rows,
               (size_t)(b->count[i] * HEADS * E) * sizeof(float));
        rows += b->count[i] * HEADS * E;
        done[i] += b->count[i];
    }
    for (int i = 0; i < COUNT(in); i++) hone_tensor_free(in[i]);
}

/* All texts, in runs of so many tokens at most. */
static texts run_texts(const how *h, int threads, const int64_t *each, int64_t nothing) {
    hone_graph *g = make(h);
    runner r = runner_make(g, NULL, threads);
    texts t = texts_new();
    int64_t done[TEXTS] = {0};
    for (bool more = true; more;) {
        bring b = {.nothing = nothing};
        more = false;
        for (int i = 0; i < TEXTS; i++) {
            b.count[i] = length[i] - done[i] < each[i] ? length[i] - done[i] : each[i];
            more |= b.count[i] > 0;
        }
        if (more) bring_tokens(&r, &t, done, &b);
    }
    runner_free(&r);
    hone_graph_free(g);
    return t;
}

static void test_texts(void **state) {
    (void)state;
    static const how hows[] = {
        {0}, {.window = 9}, {.window = 40, .scale = 0.7f, .softcap = 0.8f}, {.window = 1}};
    static const int64_t each[][TEXTS] = {{1, 1, 1}, {7, 0, 1}, {33, 32, 1}, {31, 5, 0}, {LENGTH, 1, 1}};
    for (int i = 0; i < COUNT(hows); i++) {
        texts whole = run_texts(&hows[i], 1, (const int64_t[]){LENGTH, LENGTH, LENGTH}, 0);
        check_values(&whole, &hows[i]);
        for (int k = 0; k < COUNT(each); k++) {
            int64_t own[TEXTS];
            for (int x = 0; x < TEXTS; x++) own[x] = each[k][x] ? each[k][x] : LENGTH;
            texts parts = run_texts(&hows[i], 1 + k % 3, own, k % 2 * 3);
            assert_memory_equal(parts.y, whole.y, TEXTS * LENGTH * HEADS * E * sizeof(float));
            texts_free(&parts);
        }
        texts_free(&whole);
    }
}

/* --- what does not fit --- */

static void refused(int input, int64_t at, int64_t value, const char *message) {
    hone_graph *g = make(&(how){0});
    runner r = runner_make(g, NULL, 1);
    hone_tensor *in[] = {filled(SHAPE(1, 2, HEADS * D), 1),  filled(SHAPE(1, 2, SHARED * D), 1),
                         filled(SHAPE(1, 2, SHARED * E), 1), tensor_make(HONE_INT64, SHAPE(1, 2)),
                         tensor_make(HONE_INT64, SHAPE(2)),  tensor_make(HONE_INT64, SHAPE(TEXTS, COLUMNS))};
    const hone_tensor *y;
    ((int64_t *)in[3]->data)[1] = 1;
    runner_run(&r, in, &y);
    ((int64_t *)in[input]->data)[at] = value;
    assert_int_equal(hone_context_run(r.context, (const hone_tensor *const *)in, &y, &err),
                     HONE_INVALID_ARGUMENT);
    if (!strstr(err.message, message)) fail_msg("\"%s\", not \"%s\"", err.message, message);
    for (int i = 0; i < COUNT(in); i++) hone_tensor_free(in[i]);
    runner_free(&r);
    hone_graph_free(g);
}

static void test_refused(void **state) {
    (void)state;
    refused(3, 0, COLUMNS * PAGE, "position 96 of a text of 3 pages");
    refused(3, 1, -1, "position -1");
    refused(4, 1, TEXTS, "text 3 of 3");
    refused(5, 0, PAGES, "page 9 of 9");
    refused(5, 0, -1, "page -1 of 9");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_texts), cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
