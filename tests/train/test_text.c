/* Networks on texts: what fills up has no say, later tokens have none on earlier ones, and they learn. */
#include "train/small.h"

#include "graph/tensor.h"
#include "runtime/model.h"

#include <math.h>

#include <hone/text.h>

/* A class by whether "not" stands before "good" or "bad": words alone do not tell. */
static void write_reviews(const char *path, int n, uint64_t seed) {
    static const char *const fillers[] = {"the", "film", "was", "really", "a", "story", "we", "saw"};
    FILE *f = fopen(path, "w");
    hone_rng rng = hone_rng_make(seed, 1);
    for (int i = 0; i < n; i++) {
        bool negated = hone_rng_below(&rng, 2), good = hone_rng_below(&rng, 2);
        fprintf(f, "%s\t", good != negated ? "up" : "down");
        for (uint32_t k = hone_rng_below(&rng, 4); k > 0; k--)
            fprintf(f, "%s ", fillers[hone_rng_below(&rng, 8)]);
        fprintf(f, "%s%s", negated ? "not " : "indeed ", good ? "good" : "bad");
        for (uint32_t k = hone_rng_below(&rng, 3); k > 0; k--)
            fprintf(f, " %s", fillers[hone_rng_below(&rng, 8)]);
        fprintf(f, "\n");
    }
    fclose(f);
}

static hone_dataset *opened(const char *kind, const char *path, const char *tokenizer, int64_t tokens) {
    hone_data_options o = HONE_DATA_OPTIONS_INIT;
    hone_dataset *d = NULL;
    char spec[600];
    o.tokenizer = tokenizer;
    o.tokens = tokens;
    snprintf(spec, sizeof spec, "%s:%s", kind, path);
    ok(hone_dataset_open_with(spec, HONE_SPLIT_TRAIN, &o, &d, &err));
    return d;
}

static hone_dataset *reviews(int n, const char *tokenizer, int64_t tokens) {
    write_reviews(test_path("reviews.tsv"), n, 1);
    return opened("text", test_path("reviews.tsv"), tokenizer, tokens);
}

/* The first output for ids [n, tokens]; the caller frees it. */
static float *answers(const hone_graph *g, const int64_t *ids, int64_t n, int64_t tokens, int64_t *count) {
    hone_model *m = NULL;
    hone_session *s = NULL;
    hone_context *c = NULL;
    hone_tensor *x = NULL;
    const hone_tensor *y;
    ok(hone_tensor_copy_of(HONE_INT64, 2, (int64_t[]){n, tokens}, ids, &x, &err));
    ok(hone_model_compile(g, NULL, &m, &err));
    ok(hone_session_create(m, NULL, &s, &err));
    ok(hone_context_create(s, &c, &err));
    ok(hone_context_run(c, (const hone_tensor *[]){x}, &y, &err));
    float *out = malloc(y->bytes);
    memcpy(out, y->data, y->bytes);
    *count = y->count;
    hone_context_free(c);
    hone_session_free(s);
    hone_model_free(m);
    hone_tensor_free(x);
    return out;
}

static hone_graph *built(const char *spec, const hone_dataset *d) {
    hone_graph *g = NULL;
    ok(hone_build_model(spec, d, NULL, &g, &err));
    return g;
}

/* Longer texts of nothing but padding give what short ones give. */
static void test_padding(void **state) {
    (void)state;
    static const char *const specs[] = {"bag:8", "encoder:1x16h2"};
    int64_t ids[2][12] = {{4, 3, 7, 5, 2}, {4, 3, 7, 5, 2}}, few, many;
    hone_dataset *shorter = reviews(200, "words:100", 8), *longer = reviews(200, "words:100", 12);
    for (int k = 0; k < 2; k++) {
        hone_graph *a = built(specs[k], shorter), *b = built(specs[k], longer);
        float *x = answers(a, ids[0], 1, 8, &few), *y = answers(b, ids[0], 1, 12, &many);
        assert_int_equal(few, 2);
        /* positions are drawn by the table's shape, too: an encoder differs there */
        for (int i = 0; i < 2 && k == 0; i++) assert_true(fabsf(x[i] - y[i]) < 1e-6f);
        int64_t filled[12] = {4, 3, 7, 5, 2, 6};
        float *z = answers(b, filled, 1, 12, &many);
        assert_true(fabsf(z[0] - y[0]) > 1e-6f); /* a token more does make a difference */
        free(x);
        free(y);
        free(z);
        hone_graph_free(a);
        hone_graph_free(b);
    }
    hone_dataset_free(shorter);
    hone_dataset_free(longer);
}

static double trained(const char *spec, const hone_dataset *d, int epochs, double rate) {
    hone_graph *g = built(spec, d);
    hone_train_options o = HONE_TRAIN_OPTIONS_INIT;
    hone_eval_report r;
    o.optimizer = HONE_OPTIMIZER_ADAMW;
    o.epochs = epochs;
    o.batch = 16;
    o.learning_rate = rate;
    o.warmup = 0.1;
    o.threads = 1;
    ok(hone_train(g, d, &o, NULL, &err));
    ok(hone_evaluate(g, d, NULL, 1, &r, &err));
    hone_graph_free(g);
    return r.metrics[0].value;
}

static void test_learning(void **state) {
    (void)state;
    hone_dataset *d = reviews(400, "words:100", 0);
    double bag = trained("bag:16", d, 8, 0.02), encoder = trained("encoder:1x16h2", d, 20, 0.01);
    if (!(bag > 0.99)) fail_msg("bag: %g", bag); /* pairs of neighbours tell */
    if (!(encoder > 0.95)) fail_msg("encoder: %g", encoder);
    hone_dataset_free(d);
}

static void write_story(const char *path) {
    FILE *f = fopen(path, "w");
    for (int i = 0; i < 300; i++) fprintf(f, "one two three four five six seven eight nine ten. ");
    fclose(f);
}

static void test_causal(void **state) {
    (void)state;
    enum { TOKENS = 8, VOCABULARY = 280 };
    write_story(test_path("story.txt"));
    hone_dataset *d = opened("lm", test_path("story.txt"), "bpe:280", TOKENS);
    hone_graph *g = built("lm:2x16h2", d);
    int64_t a[TOKENS] = {1, 5, 9, 70, 80, 90, 100, 110}, b[TOKENS] = {1, 5, 9, 70, 80, 7, 3, 2}, count;
    float *x = answers(g, a, 1, TOKENS, &count), *y = answers(g, b, 1, TOKENS, &count);
    int64_t vocabulary = count / TOKENS;
    for (int64_t i = 0; i < 5 * vocabulary; i++) assert_true(x[i] == y[i]);
    assert_true(memcmp(x + 5 * vocabulary, y + 5 * vocabulary, (size_t)vocabulary * sizeof *x) != 0);
    free(x);
    free(y);
    hone_graph_free(g);
    hone_dataset_free(d);
}

/* What comes again and again is learned; bits a byte are nats a token over bytes a token. */
static void test_language(void **state) {
    (void)state;
    write_story(test_path("story.txt"));
    hone_dataset *d = opened("lm", test_path("story.txt"), "bpe:290", 16);
    hone_graph *g = built("lm:1x32h2", d);
    hone_train_options o = HONE_TRAIN_OPTIONS_INIT;
    hone_eval_report before, after;
    ok(hone_evaluate(g, d, NULL, 1, &before, &err));
    assert_string_equal(before.objective, "next-token");
    assert_string_equal(before.metrics[1].name, "perplexity");
    assert_string_equal(before.metrics[2].name, "bits_per_byte");
    assert_true(fabs(before.metrics[1].value / exp(before.loss) - 1) < 1e-9);
    o.optimizer = HONE_OPTIMIZER_ADAMW;
    o.learning_rate = 0.01;
    o.epochs = 6;
    o.batch = 16;
    o.threads = 1;
    ok(hone_train(g, d, &o, NULL, &err));
    ok(hone_evaluate(g, d, NULL, 1, &after, &err));
    if (!(after.metrics[2].value < 0.2 && before.metrics[2].value > 1.5))
        fail_msg("bits a byte: %g, then %g", before.metrics[2].value, after.metrics[2].value);
    /* places without a target count for nothing: bits a byte of all windows are those of tokens over those of bytes */
    int64_t places = 0, row[16], bytes = 0, one;
    hone_reading y = {hone_dataset_find(d, "y"), HONE_INT64, false},
                 t = {hone_dataset_find(d, "text_bytes"), HONE_INT64, false};
    for (int64_t i = 0; i < hone_dataset_count(d); i++) {
        ok(hone_dataset_read(d, &y, NULL, i, 1, row, &err));
        ok(hone_dataset_read(d, &t, NULL, i, 1, &one, &err));
        bytes += one;
        for (int k = 0; k < 16; k++) places += row[k] >= 0;
    }
    assert_true(fabs(after.metrics[2].value - after.loss / log(2) * (double)places / (double)bytes) < 1e-9);
    hone_graph_free(g);
    hone_dataset_free(d);
}

static void test_refusals(void **state) {
    (void)state;
    hone_graph *g = NULL;
    hone_dataset *texts = reviews(50, "words:100", 8), *numbers = blobs(50, 4, 3, 1);
    refused(hone_build_model("cnn:8", texts, NULL, &g, &err), HONE_INVALID_ARGUMENT, "the data are texts");
    refused(hone_build_model("bag:8", numbers, NULL, &g, &err), HONE_INVALID_ARGUMENT,
            "it takes tokens of texts");
    refused(hone_build_model("bag:8-8-8", texts, NULL, &g, &err), HONE_INVALID_ARGUMENT, "64-32768");
    refused(hone_build_model("encoder:2", texts, NULL, &g, &err), HONE_INVALID_ARGUMENT, "2x128h4");
    refused(hone_build_model("encoder:2x15h2", texts, NULL, &g, &err), HONE_INVALID_ARGUMENT,
            "2 heads of an even width");
    hone_dataset_free(texts);
    hone_dataset_free(numbers);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_padding), cmocka_unit_test(test_learning),
                                       cmocka_unit_test(test_causal), cmocka_unit_test(test_language),
                                       cmocka_unit_test(test_refusals)};
    return cmocka_run_group_tests(tests, make_test_dir, remove_test_dir);
}
