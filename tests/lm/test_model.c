/* Steps of language models: the same bits of logits however a text is cut, and those of the graph itself, nearly. */
#include "lm/small.h"

static hone_error err;
static int32_t ids[CONTEXT];

static void make_ids(void) {
    for (int i = 0; i < CONTEXT; i++) ids[i] = (int32_t)((i * 37 + i * i * 5) % VOCABULARY);
}

static void keep(const float *logits, float *out) {
    memcpy(out, logits, VOCABULARY * sizeof *out);
}

static void same(const float *a, const float *b) {
    assert_memory_equal(a, b, VOCABULARY * sizeof *a);
}

static void close_to(const float *a, const float *b) {
    for (int i = 0; i < VOCABULARY; i++)
        if (fabsf(a[i] - b[i]) > 2e-5f * (1 + fabsf(b[i]))) fail_msg("logit %d: %g, not %g", i, a[i], b[i]);
}

/* The last row of the plain graph's logits, without a past. */
static void by_graph(int64_t count, float *out) {
    hone_graph *g = small_graph(false);
    hone_tensor *in[2 + 2 * LAYERS], *past[1];
    in[0] = tensor_make(HONE_INT64, SHAPE(1, count));
    in[1] = tensor_make(HONE_INT64, SHAPE(1, count));
    past[0] = tensor_make(HONE_FLOAT32, SHAPE(1, KV_HEADS, 0, HEAD));
    for (int64_t i = 0; i < count; i++) {
        ((int64_t *)in[0]->data)[i] = ids[i];
        ((int64_t *)in[1]->data)[i] = i;
    }
    for (int i = 0; i < 2 * LAYERS; i++) in[2 + i] = past[0];
    const hone_tensor *results[1 + 2 * LAYERS];
    runner r = runner_make(g, NULL, 1);
    runner_run(&r, in, results);
    assert_int_equal(results[0]->dims[1], count);
    assert_int_equal(results[1]->dims[2], count);
    keep((const float *)results[0]->data + (count - 1) * VOCABULARY, out);
    runner_free(&r);
    hone_graph_free(g);
    hone_tensor *all[] = {in[0], in[1], past[0]};
    for (int i = 0; i < 3; i++) hone_tensor_free(all[i]);
}

static void test_cuts(void **state) {
    (void)state;
    const size_t count = 203;
    float whole[VOCABULARY], parts[VOCABULARY], graph[VOCABULARY];
    const float *logits;
    by_graph((int64_t)count, graph);
    for (int threads = 1; threads <= 3; threads += 2) {
        hone_lm *lm = small_lm(false, 0, threads);
        assert_int_equal(hone_lm_context(lm), CONTEXT);
        assert_int_equal(hone_lm_vocabulary(lm), VOCABULARY);
        hone_lm_sequence *a = small_sequence(lm), *b = small_sequence(lm);
        check_ok(hone_lm_feed(a, ids, count, &logits, &err));
        keep(logits, whole);
        close_to(whole, graph);
        for (size_t n = 1; n <= count; n += n < 20 ? 1 : n < 100 ? 7 : count - n ? count - n : 1) {
            check_ok(hone_lm_feed(b, ids, n, &logits, &err));
            if (n == count) break;
        }
        keep(logits, parts);
        same(parts, whole);
        hone_lm_sequence_free(a);
        hone_lm_sequence_free(b);
        hone_lm_free(lm);
    }
}

/* Weights in blocks of few bits: the same bits for any cut and any number of threads. */
static void test_cuts_of_blocks(void **state) {
    (void)state;
    static const size_t cuts[] = {1, 3, 8, 31, 100, 203};
    const size_t count = 203;
    float first[VOCABULARY];
    const float *logits;
    for (int threads = 1; threads <= 4; threads *= 2) {
        hone_lm *lm = small_lm_of(small_graph_of(false, true), 0, threads);
        for (int i = 0; i < COUNT(cuts); i++) {
            hone_lm_sequence *s = small_sequence(lm);
            for (size_t n = 0; n < count;) {
                n = n + cuts[i] < count ? n + cuts[i] : count;
                check_ok(hone_lm_feed(s, ids, n, &logits, &err));
            }
            if (threads == 1 && i == 0)
                keep(logits, first);
            else
                same(logits, first);
            hone_lm_sequence_free(s);
        }
        hone_lm_free(lm);
    }
}

/* What two texts have in common stays; what stood behind it has no say. */
static void test_rewinding(void **state) {
    (void)state;
    float want[VOCABULARY], got[VOCABULARY];
    const float *logits;
    size_t count;
    hone_lm *lm = small_lm(false, 0, 1);
    hone_lm_sequence *a = small_sequence(lm), *b = small_sequence(lm);
    int32_t other[60];
    memcpy(other, ids, sizeof other);
    for (int i = 31; i < 60; i++) other[i] = (ids[i] + 11) % VOCABULARY;
    check_ok(hone_lm_feed(a, other, 60, NULL, &err));
    check_ok(hone_lm_feed(a, ids, 45, &logits, &err));
    keep(logits, got);
    check_ok(hone_lm_feed(b, ids, 45, &logits, &err));
    keep(logits, want);
    same(got, want);
    check_ok(hone_lm_feed(a, ids, 45, &logits, &err)); /* the same again: its last token is run */
    same(logits, want);
    const int32_t *tokens = hone_lm_sequence_tokens(a, &count);
    assert_true(count == 45 && memcmp(tokens, ids, 45 * sizeof *ids) == 0);
    hone_lm_sequence_free(a);
    hone_lm_sequence_free(b);
    hone_lm_free(lm);
}

static void test_scores(void **state) {
    (void)state;
    hone_lm *lm = small_lm(false, 0, 1);
    hone_lm_sequence *a = small_sequence(lm), *b = small_sequence(lm);
    double scores[CONTEXT], sum = 0;
    const size_t count = 180;
    check_ok(hone_lm_score(a, ids, count, 70, scores, &err));
    for (size_t i = 70; i < count; i += 13) {
        const float *logits;
        double all = 0;
        check_ok(hone_lm_feed(b, ids, i, &logits, &err));
        for (int k = 0; k < VOCABULARY; k++) all += exp((double)logits[k]);
        const double want = (double)logits[ids[i]] - log(all);
        if (fabs(scores[i - 70] - want) > 1e-4) fail_msg("token %zu: %g, not %g", i, scores[i - 70], want);
    }
    hone_perplexity p;
    check_ok(hone_lm_perplexity(lm, ids, 150, 60, 0, -1, &p, &err));
    assert_int_equal(p.tokens, 60);
    for (int w = 0; w < 2; w++) {
        check_ok(hone_lm_score(a, ids + 60 * w, 60, 30, scores, &err));
        for (int i = 0; i < 30; i++) sum -= scores[i];
    }
    assert_true(fabs(p.loss - sum / 60) < 1e-6 && fabs(p.perplexity - exp(p.loss)) < 1e-9);
    hone_lm_sequence_free(a);
    hone_lm_sequence_free(b);
    hone_lm_free(lm);
}

static void refused(hone_status got, hone_status want, const char *message) {
    assert_int_equal(got, want);
    if (!strstr(err.message, message)) fail_msg("\"%s\", not \"%s\"", err.message, message);
}

static void test_refused(void **state) {
    (void)state;
    hone_lm *lm = small_lm(false, 50, 1), *none = NULL;
    hone_lm_sequence *s = small_sequence(lm);
    hone_perplexity p;
    double scores[4];
    refused(hone_lm_feed(s, ids, 0, NULL, &err), HONE_INVALID_ARGUMENT, "no tokens");
    refused(hone_lm_feed(s, ids, 51, NULL, &err), HONE_OUT_OF_RANGE, "51 tokens, but a context of 50");
    refused(hone_lm_feed(s, (int32_t[]){1, VOCABULARY}, 2, NULL, &err), HONE_INVALID_ARGUMENT, "token 97");
    refused(hone_lm_feed(s, (int32_t[]){1, -1}, 2, NULL, &err), HONE_INVALID_ARGUMENT, "token -1");
    refused(hone_lm_score(s, ids, 4, 0, scores, &err), HONE_INVALID_ARGUMENT, "from token 0 of 4");
    refused(hone_lm_perplexity(lm, ids, 100, 52, 0, -1, &p, &err), HONE_INVALID_ARGUMENT, "a window of 52");
    refused(hone_lm_perplexity(lm, ids, 20, 40, 0, -1, &p, &err), HONE_INVALID_ARGUMENT,
            "shorter than a window");
    check_ok(hone_lm_feed(s, ids, 50, NULL, &err)); /* and goes on */
    hone_lm_options o = HONE_LM_OPTIONS_INIT;
    o.context = CONTEXT + 1;
    refused(hone_lm_create(small_graph(false), &o, &none, &err), HONE_INVALID_ARGUMENT,
            "has positions for 300");
    hone_graph *g = hone_graph_new("other");
    hone_graph_add_output(g, graph_op(g, "Relu", graph_input(g, "x", HONE_FLOAT32, SHAPE(1, 2))));
    assert_false(hone_lm_takes(g));
    refused(hone_lm_create(g, NULL, &none, &err), HONE_UNSUPPORTED, "no language model that Hone can run");
    hone_lm_sequence_free(s);
    hone_lm_free(lm);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cuts), cmocka_unit_test(test_cuts_of_blocks),
                                       cmocka_unit_test(test_rewinding), cmocka_unit_test(test_scores),
                                       cmocka_unit_test(test_refused)};
    make_ids();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
