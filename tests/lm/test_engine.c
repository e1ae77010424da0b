/* Many texts at once: each gets what it gets alone. */
#include "lm/heard.h"

/* --- tests --- */

static void test_one(void **state) {
    (void)state;
    hone_lm_engine *e = engine_new(true, 40, 1, NULL);
    assert_true(hone_lm_engine_context(e) == 40 && hone_lm_engine_vocabulary(e) == VOCABULARY);
    const int32_t ids[] = {0, 1, 2}, ends[] = {9};
    heard *h = heard_new();
    hone_lm_job_options o = job_options(ids, 3, h);
    hone_lm_job *j;
    check_ok(hone_lm_submit(e, &o, &j, &err));
    wait_end(h);
    assert_int_equal(h->count, 37);
    for (int i = 0; i < 37; i++) assert_true(h->ids[i] == i + 3 && isnan(h->marks[i]));
    assert_true(h->last.status == HONE_OK && h->last.finish == HONE_FINISH_LENGTH && !h->last.error);
    assert_true(h->last.prompt_tokens == 3 && h->last.tokens == 37);
    assert_true(h->last.queued && h->last.queued <= h->last.begun && h->last.begun <= h->last.first &&
                h->last.first <= h->last.ended);
    hone_lm_job_release(j);
    free(h);
    h = heard_new(); /* ends, which do not come before the fifth token: 9 would be the fourth; then it goes around 9 */
    o = job_options((int32_t[]){5}, 1, h);
    o.ends = ends;
    o.end_count = 1;
    check_ok(hone_lm_submit(e, &o, NULL, &err));
    wait_end(h);
    assert_true(h->last.finish == HONE_FINISH_END && h->count == 3 && h->last.tokens == 3);
    free(h);
    h = heard_new();
    o.user = h;
    o.min_tokens = 5;
    o.max_tokens = 6;
    check_ok(hone_lm_submit(e, &o, NULL, &err));
    wait_end(h);
    assert_true(h->last.finish == HONE_FINISH_LENGTH && h->count == 6 && h->ids[3] != 9);
    free(h);
    h = heard_new();
    o = job_options(ids, 3, h);
    h->most = 4;
    check_ok(hone_lm_submit(e, &o, NULL, &err));
    wait_end(h);
    assert_true(h->last.finish == HONE_FINISH_ASKED && h->count == 4);
    free(h);
    hone_lm_engine_free(e);
}

static void test_marks(void **state) {
    (void)state;
    hone_lm_engine *e = engine_new(false, 0, 1, NULL);
    hone_lm *lm = small_lm(false, 0, 1);
    hone_lm_sequence *s = small_sequence(lm);
    int32_t ids[50];
    double scores[50];
    for (int i = 0; i < 50; i++) ids[i] = (i * 31 + 5) % VOCABULARY;
    heard *h = heard_new();
    hone_lm_job_options o = job_options(ids, 50, h);
    o.echo_scores = true;
    o.likely = 3;
    o.max_tokens = -1;
    check_ok(hone_lm_submit(e, &o, NULL, &err));
    wait_end(h);
    check_ok(hone_lm_score(s, ids, 50, 1, scores, &err));
    assert_true(h->count == 50 && h->last.finish == HONE_FINISH_LENGTH && isnan(h->marks[0]));
    assert_int_equal(h->likely, 49 * 3);
    for (int i = 1; i < 50; i++)
        if (fabs((double)h->marks[i] - scores[i - 1]) > 1e-4) fail_msg("token %d: %g", i, h->marks[i]);
    free(h);
    h = heard_new();
    o = job_options(ids, 50, h);
    o.likely = 0;
    o.max_tokens = 1;
    check_ok(hone_lm_submit(e, &o, NULL, &err));
    wait_end(h);
    ids[0] = h->ids[0];
    assert_true(h->count == 1 && h->likely == 0 && h->marks[0] < 0);
    free(h);
    hone_lm_engine_free(e);
    hone_lm_sequence_free(s);
    hone_lm_free(lm);
}

static void refused(hone_lm_engine *e, const hone_lm_job_options *o, hone_status want, const char *message) {
    hone_lm_job *j = NULL;
    assert_int_equal(hone_lm_submit(e, o, &j, &err), want);
    assert_null(j);
    if (!strstr(err.message, message)) fail_msg("\"%s\", not \"%s\"", err.message, message);
}

static void test_refused(void **state) {
    (void)state;
    hone_lm_engine *e = engine_new(true, 40, 1, NULL);
    int32_t ids[41] = {0};
    hone_lm_job_options o = job_options(ids, 41, NULL), good = job_options(ids, 2, NULL);
    refused(e, &o, HONE_OUT_OF_RANGE, "41 tokens and up to 0 more, but a context of 40");
    o = good;
    o.max_tokens = 39;
    refused(e, &o, HONE_OUT_OF_RANGE, "2 tokens and up to 39 more, but a context of 40");
    o.max_tokens = INT64_MAX;
    refused(e, &o, HONE_OUT_OF_RANGE, "a context of 40");
    o = good;
    o.count = 0;
    refused(e, &o, HONE_INVALID_ARGUMENT, "no tokens");
    o = good;
    o.sampling.top_p = 0;
    refused(e, &o, HONE_INVALID_ARGUMENT, "top_p");
    o = good;
    o.likely = HONE_LM_MOST_LIKELY + 1;
    refused(e, &o, HONE_INVALID_ARGUMENT, "likeliest");
    o = good;
    o.bias = (hone_lm_bias[]){{VOCABULARY, 1}};
    o.bias_count = 1;
    refused(e, &o, HONE_INVALID_ARGUMENT, "token 97");
    o.bias = (hone_lm_bias[]){{1, INFINITY}};
    refused(e, &o, HONE_INVALID_ARGUMENT, "a bias of token 1");
    ids[1] = -1;
    refused(e, &good, HONE_INVALID_ARGUMENT, "token -1");
    o = good;
    o.size--;
    refused(e, &o, HONE_INVALID_ARGUMENT, "");
    hone_lm_engine_free(e);
}

/* The queue takes as many as it says, to the job. */
static void test_queue(void **state) {
    (void)state;
    hone_lm_engine_options eo = HONE_LM_ENGINE_OPTIONS_INIT;
    eo.most_waiting = 3;
    eo.most_running = 1;
    hone_lm_engine *e = engine_new(true, 40, 1, &eo);
    const int32_t ids[] = {0};
    heard *h[5];
    hone_lm_job *j[5];
    for (int i = 0; i < 5; i++) h[i] = heard_new();
    hone_lm_job_options o = job_options(ids, 1, h[0]);
    check_ok(hone_lm_submit(e, &o, &j[0], &err));
    wait_for(h[0], 1); /* it runs */
    hone_lm_job_pause(j[0], true);
    for (int i = 1; i < 4; i++) {
        o.user = h[i];
        check_ok(hone_lm_submit(e, &o, &j[i], &err));
    }
    o.user = h[4];
    refused(e, &o, HONE_RESOURCE_EXHAUSTED, "3 texts are waiting already");
    hone_lm_job_cancel(j[2]);
    hone_lm_job_pause(j[0], false);
    for (int i = 0; i < 4; i++) wait_end(h[i]);
    assert_true(h[2]->last.status == HONE_CANCELLED && h[2]->count == 0 && h[2]->message[0]);
    for (int i = 0; i < 4; i++) assert_true(i == 2 || (h[i]->last.status == HONE_OK && h[i]->count == 39));
    for (int i = 0; i < 4; i++) hone_lm_job_release(j[i]);
    for (int i = 0; i < 5; i++) free(h[i]);
    hone_lm_engine_free(e);
}

/* Jobs that an engine is freed with end, and may be released later. */
static void test_freed(void **state) {
    (void)state;
    hone_lm_engine *e = engine_new(true, 40, 1, NULL);
    const int32_t ids[] = {0};
    heard *h[3];
    hone_lm_job *j[3];
    for (int i = 0; i < 3; i++) {
        h[i] = heard_new();
        hone_lm_job_options o = job_options(ids, 1, h[i]);
        check_ok(hone_lm_submit(e, &o, &j[i], &err));
        hone_lm_job_pause(j[i], true);
    }
    hone_lm_engine_free(e);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(h[i]->ends, 1);
        assert_true(h[i]->last.status == HONE_CANCELLED || h[i]->count == 39);
        hone_lm_job_release(j[i]);
        free(h[i]);
    }
    hone_lm_engine_free(NULL);
    hone_lm_job_release(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_one), cmocka_unit_test(test_marks),
                                       cmocka_unit_test(test_refused), cmocka_unit_test(test_queue),
                                       cmocka_unit_test(test_freed)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
