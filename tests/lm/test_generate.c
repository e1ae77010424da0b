/* Texts that a model continues, which counts: behind token i comes token i + 1. */
#include "lm/small.h"

static hone_error err;

/* Pieces of the tokens from 1 on; the two halves of an e with an accent are tokens of their own. */
static const char *const pieces[] = {"a", "b", "\u00c3", "\u00a9", "c", "st", "op", "d", "e"};

static hone_tokenizer *make_tokenizer(void) {
    char json[4096];
    size_t n =
        (size_t)snprintf(json, sizeof json,
                         "{\"decoder\": {\"type\": \"ByteLevel\"}, \"model\": {\"type\": \"WordLevel\", "
                         "\"unk_token\": \"?\", \"vocab\": {\"?\": 0");
    for (int i = 0; i < COUNT(pieces); i++)
        n += (size_t)snprintf(json + n, sizeof json - n, ", \"%s\": %d", pieces[i], i + 1);
    n += (size_t)snprintf(json + n, sizeof json - n, "}}}");
    hone_tokenizer *t = NULL;
    check_ok(hone_tokenizer_parse(json, n, &t, &err));
    return t;
}

typedef struct heard {
    char text[256];
    int parts, most;
} heard;

static bool hear(void *user, const char *text, size_t size) {
    heard *h = user;
    strncat(h->text, text, size);
    strcat(h->text, "|");
    return ++h->parts != h->most;
}

static hone_generate_report generate(hone_generate_options *o, const char *want) {
    hone_lm *lm = small_lm(true, 40, 1);
    hone_lm_sequence *s = small_sequence(lm);
    hone_tokenizer *t = make_tokenizer();
    heard h = {.most = o->user ? *(int *)o->user : 0};
    hone_generate_report r;
    o->text = hear;
    o->user = &h;
    check_ok(hone_lm_generate(s, t, (int32_t[]){0}, 1, o, &r, &err));
    assert_string_equal(h.text, want);
    hone_tokenizer_free(t);
    hone_lm_sequence_free(s);
    hone_lm_free(lm);
    return r;
}

static void test_texts(void **state) {
    (void)state;
    hone_generate_options o = HONE_GENERATE_OPTIONS_INIT;
    o.max_tokens = 9;
    hone_generate_report r = generate(&o, "a|b|\u00e9|c|st|op|d|e|");
    assert_true(r.finish == HONE_FINISH_LENGTH && r.tokens == 9 && r.prompt_tokens == 1);
    o.max_tokens = 3; /* ends inside of a character, which is no text */
    r = generate(&o, "a|b|\ufffd|");
    assert_true(r.finish == HONE_FINISH_LENGTH && r.tokens == 3);
    o.max_tokens = 0;
    const int32_t ends[] = {50, 5};
    o.ends = ends;
    o.end_count = 2;
    r = generate(&o, "a|b|\u00e9|");
    assert_true(r.finish == HONE_FINISH_END && r.tokens == 4);
}

static void test_stops(void **state) {
    (void)state;
    hone_generate_options o = HONE_GENERATE_OPTIONS_INIT;
    const char *const stops[] = {"zz", "stop"};
    o.stops = stops;
    o.stop_count = 2;
    hone_generate_report r = generate(&o, "a|b|\u00e9|c|"); /* "st" is held back until it is sure */
    assert_true(r.finish == HONE_FINISH_END && r.tokens == 7);
    const char *const almost[] = {"stoq", "cstops"};
    o.stops = almost;
    o.max_tokens = 9;
    r = generate(&o, "a|b|\u00e9|cstopd|e|");
    assert_true(r.finish == HONE_FINISH_LENGTH);
    int most = 2;
    o.user = &most;
    r = generate(&o, "a|b|");
    assert_true(r.finish == HONE_FINISH_ASKED && r.tokens == 2);
}

static void test_context(void **state) {
    (void)state;
    hone_lm *lm = small_lm(true, 40, 1);
    hone_lm_sequence *s = small_sequence(lm);
    hone_generate_report r;
    size_t count;
    check_ok(hone_lm_generate(s, NULL, (int32_t[]){0, 1, 2}, 3, NULL, &r, &err));
    assert_true(r.finish == HONE_FINISH_LENGTH && r.tokens == 37);
    const int32_t *ids = hone_lm_sequence_tokens(s, &count);
    assert_int_equal(count, 40);
    for (int i = 0; i < 40; i++) assert_int_equal(ids[i], i);
    check_ok(hone_lm_generate(s, NULL, (int32_t[]){0, 1, 2, 3, 4, 60}, 6, NULL, &r, &err));
    assert_true(r.reused_tokens == 5 && r.tokens == 34);
    hone_lm_sequence_free(s);
    hone_lm_free(lm);
}

/* --- sampling --- */

enum { N = 6 };
static const float logits[N] = {0.5f, 2, -1, 2, 1.5f, -30};

static hone_lm_sampler *sampler;

static int32_t draw(const hone_sampling *h, size_t position) {
    const int32_t ids[64] = {1, 1, 4};
    const hone_lm_draw d = {.how = h, .ids = ids, .count = position};
    return hone_lm_sampler_draw(sampler, &d, logits);
}

/* How often each is drawn, of 20,000. */
static void draw_many(const hone_sampling *h, double *share) {
    hone_sampling own = *h;
    for (int i = 0; i < N; i++) share[i] = 0;
    for (int i = 0; i < 20000; i++) {
        own.seed = (uint64_t)i;
        share[draw(&own, 0)] += 1 / 20000.0;
    }
}

static void test_sampling(void **state) {
    (void)state;
    hone_sampling h = HONE_SAMPLING_INIT;
    double share[N], all = 0;
    assert_int_equal(draw(&h, 0), 1); /* of equals the first */
    h.temperature = 0.7;
    for (int i = 0; i < N; i++) all += exp(logits[i] / 0.7);
    draw_many(&h, share);
    for (int i = 0; i < N; i++) assert_true(fabs(share[i] - exp(logits[i] / 0.7) / all) < 0.012);
    h.top_k = 2;
    draw_many(&h, share);
    assert_true(share[1] > 0.48 && share[3] > 0.48 && share[1] + share[3] > 0.99999);
    h.top_k = 0;
    h.temperature = 1;
    h.top_p = 0.3; /* the first has 0.345 */
    draw_many(&h, share);
    assert_true(share[1] == 1 || fabs(share[1] - 1) < 1e-9);
    h.top_p = 1;
    h.min_p = 0.5; /* e^-0.5 = 0.61 is more, e^-1.5 is not */
    draw_many(&h, share);
    assert_true(share[0] == 0 && share[2] == 0 && fabs(share[4] - 0.61 / 2.61) < 0.012);
    h.min_p = 0;
    for (size_t i = 0; i < 20; i++) assert_int_equal(draw(&h, i), draw(&h, i));
    int differ = 0;
    for (size_t i = 0; i < 20; i++) differ += draw(&h, i) != draw(&h, i + 20);
    assert_true(differ > 3);
}

static void test_penalties(void **state) {
    (void)state;
    hone_sampling h = HONE_SAMPLING_INIT;
    h.repetition_penalty = 1.5; /* 1 and 4 are there: 2 / 1.5 */
    assert_int_equal(draw(&h, 3), 3);
    h.repetition_penalty = 1;
    h.frequency_penalty = 0.3; /* 1 twice */
    assert_int_equal(draw(&h, 3), 3);
    h.frequency_penalty = 0;
    h.presence_penalty = -0.6; /* 4 becomes 2.1, 1 becomes 2.6 */
    assert_int_equal(draw(&h, 3), 1);
    hone_sampling bad[] = {HONE_SAMPLING_INIT, HONE_SAMPLING_INIT, HONE_SAMPLING_INIT, HONE_SAMPLING_INIT};
    bad[0].temperature = -1;
    bad[1].top_p = 0;
    bad[2].min_p = 1.5;
    bad[3].repetition_penalty = NAN;
    for (int i = 0; i < 4; i++)
        assert_int_equal(hone_lm_check_sampling(&bad[i], &err), HONE_INVALID_ARGUMENT);
}

/* Biases come before the mask, ends where they may, and beyond the mask's end nothing. */
static void test_held(void **state) {
    (void)state;
    const hone_sampling h = HONE_SAMPLING_INIT;
    const hone_lm_bias bias[] = {{5, 40}, {0, 1.2f}};
    const uint32_t mask[] = {0x2d}; /* 0, 2, 3, 5 */
    hone_lm_draw d = {.how = &h, .bias = bias, .bias_count = 2, .mask_size = N};
    assert_int_equal(hone_lm_sampler_draw(sampler, &d, logits), 5);
    d.bias_count = 0;
    d.mask = mask;
    assert_int_equal(hone_lm_sampler_draw(sampler, &d, logits), 3);
    d.mask_size = 3;
    assert_int_equal(hone_lm_sampler_draw(sampler, &d, logits), 0);
    d.ends = (const int32_t[]){0, 1};
    d.end_count = 2;
    assert_int_equal(hone_lm_sampler_draw(sampler, &d, logits), 2);
    d.may_end = true;
    assert_int_equal(hone_lm_sampler_draw(sampler, &d, logits), 1);
    d.mask_size = 0;
    d.may_end = false;
    assert_int_equal(hone_lm_sampler_draw(sampler, &d, logits), -1);
    /* other choices of a seed are other numbers */
    hone_sampling warm = HONE_SAMPLING_INIT;
    int differ = 0;
    warm.temperature = 2;
    hone_lm_draw a = {.how = &warm}, b = {.how = &warm, .choice = 1};
    for (warm.seed = 0; warm.seed < 30; warm.seed++)
        differ += hone_lm_sampler_draw(sampler, &a, logits) != hone_lm_sampler_draw(sampler, &b, logits);
    assert_true(differ > 5);
}

static void test_likeliest(void **state) {
    (void)state;
    hone_lm_likely best[N];
    const double sum = hone_lm_log_sum(logits, N);
    assert_int_equal(hone_lm_likeliest(logits, N, sum, 0, best), 0);
    assert_int_equal(hone_lm_likeliest(logits, N, sum, 3, best), 3);
    assert_true(best[0].id == 1 && best[1].id == 3 && best[2].id == 4);
    assert_true(fabs((double)best[2].log_probability - hone_lm_log_probability(logits, N, 4)) < 1e-6);
    double all = 0;
    assert_int_equal(hone_lm_likeliest(logits, N, sum, N, best), N);
    for (int i = 0; i < N; i++) all += exp((double)best[i].log_probability);
    assert_true(fabs(all - 1) < 1e-6);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_texts),     cmocka_unit_test(test_stops),
                                       cmocka_unit_test(test_context),   cmocka_unit_test(test_sampling),
                                       cmocka_unit_test(test_penalties), cmocka_unit_test(test_held),
                                       cmocka_unit_test(test_likeliest)};
    check_ok(hone_lm_sampler_new(N, &sampler, &err));
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    hone_lm_sampler_free(sampler);
    return failed;
}
