/* Many texts at once: each gets what it gets alone. */
#include "base/memory.h"
#include "lm/heard.h"
#include "support/files.h"

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
    /* Whatever allocation fails, nothing is queued. The engine's thread is held meanwhile: it must not meet the failure. */
    heard *h = heard_new(), *holder = heard_new();
    hone_lm_job *j = NULL;
    hone_lm_engine_state state_now;
    ids[1] = 1;
    o = good;
    o.user = h;
    good.user = holder;
    holder->block = 1;
    check_ok(hone_lm_submit(e, &good, NULL, &err));
    wait_for(holder, 1);
    FAIL_EACH_ALLOCATION(hone_lm_submit(e, &o, &j, &err), assert_null(j));
    unblock(holder);
    wait_end(holder);
    wait_end(h);
    hone_lm_engine_look(e, &state_now);
    assert_true(h->last.status == HONE_OK && state_now.waiting == 0 && state_now.prompt_tokens == 4);
    hone_lm_job_release(j);
    free(h);
    free(holder);
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
    h[0]->block = 1;
    check_ok(hone_lm_submit(e, &o, &j[0], &err));
    wait_for(h[0], 1); /* it runs */
    for (int i = 1; i < 4; i++) {
        o.user = h[i];
        check_ok(hone_lm_submit(e, &o, &j[i], &err));
    }
    o.user = h[4];
    refused(e, &o, HONE_RESOURCE_EXHAUSTED, "3 texts are waiting already");
    hone_lm_job_cancel(j[2]);
    unblock(h[0]);
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

/* A text that goes gives its pages back before its last news. */
static void test_pages(void **state) {
    (void)state;
    hone_lm_engine_state before, after;
    hone_lm_engine *e = engine_new(false, 0, 1, NULL);
    int32_t ids[100];
    for (int i = 0; i < 100; i++) ids[i] = (i * 31 + 5) % VOCABULARY;
    heard *h = heard_new();
    hone_lm_job *j;
    hone_lm_job_options o = job_options(ids, 100, h);
    h->block = 3;
    check_ok(hone_lm_submit(e, &o, &j, &err));
    wait_for(h, 3);
    hone_lm_engine_look(e, &before);
    hone_lm_job_cancel(j);
    unblock(h);
    wait_end(h);
    assert_int_equal(h->count, 3);
    hone_lm_engine_look(e, &after);
    assert_true(before.pages_used >= 4 && after.pages_used == 0 && after.pages_cached >= 3);
    assert_true(h->last.status == HONE_CANCELLED && after.running == 0 && after.paused == 0);
    hone_lm_job_release(j);
    free(h);
    h = heard_new(); /* the same prompt again: all but its last page is there */
    o.user = h;
    o.max_tokens = 1;
    check_ok(hone_lm_submit(e, &o, NULL, &err));
    wait_end(h);
    hone_lm_engine_look(e, &after);
    assert_true(h->last.cached_tokens == 96 && after.cached_tokens == 96 && after.prompt_tokens == 200);
    free(h);
    hone_lm_engine_free(e);
    /* Pages for 64 tokens, where the context has 300. */
    hone_lm_engine_options eo = HONE_LM_ENGINE_OPTIONS_INIT;
    eo.kv_bytes = (size_t)(2 * LAYERS * KV_HEADS * HEAD * 64) * sizeof(float) + 1;
    e = engine_new(true, 0, 1, &eo);
    o = job_options(ids, 65, NULL);
    refused(e, &o, HONE_OUT_OF_RANGE, "65 tokens and up to 0 more, but memory for keys and values of 64");
    o.count = 10;
    o.max_tokens = 55;
    refused(e, &o, HONE_OUT_OF_RANGE, "10 tokens and up to 55 more, but memory for keys and values of 64");
    h = heard_new();
    o.user = h;
    o.max_tokens = 0; /* as many as fit */
    check_ok(hone_lm_submit(e, &o, NULL, &err));
    wait_end(h);
    assert_true(h->count == 54 && h->last.finish == HONE_FINISH_LENGTH);
    free(h);
    hone_lm_engine_free(e);
    eo.kv_bytes = 1000;
    hone_lm_options m = HONE_LM_OPTIONS_INIT;
    assert_int_equal(hone_lm_engine_create(small_graph(true), &m, &eo, &e, &err), HONE_RESOURCE_EXHAUSTED);
}

/* --- constraints --- */

static const char *const pieces[] = {"\"", "a", "b", "c", "[", "]", ",", " "};

static void test_constraint(void **state) {
    (void)state;
    static const char json[] =
        "{\"model\": {\"type\": \"BPE\", \"vocab\": {\"\\\"\": 0, \"a\": 1, \"b\": 2, \"c\": "
        "3, \"[\": 4, \"]\": 5, \",\": 6, \"\u0120\": 7}, \"merges\": []}, "
        "\"decoder\": {\"type\": \"ByteLevel\"}}";
    static const char schema[] = "{\"enum\": [\"abc\", \"cab\"]}";
    hone_tokenizer *t = NULL;
    hone_token_trie *trie = NULL;
    hone_grammar *g = NULL;
    check_ok(hone_tokenizer_parse(json, strlen(json), &t, &err));
    check_ok(hone_token_trie_new(t, &trie, &err));
    check_ok(hone_grammar_from_schema(schema, strlen(schema), &g, &err));
    hone_lm_engine *e = engine_new(false, 0, 2, NULL);
    heard *h[12];
    int abc = 0;
    for (int i = 0; i < COUNT(h); i++) {
        const int32_t prompt[] = {i, 40}, end[] = {50};
        h[i] = heard_new();
        hone_lm_job_options o = job_options(prompt, 2, h[i]);
        check_ok(hone_constraint_new(g, trie, &o.constraint, &err));
        o.sampling.temperature = 1.5;
        o.sampling.seed = (uint64_t)i;
        o.ends = end;
        o.end_count = (size_t)(i % 2); /* nothing else may come, with an end or without one */
        o.min_tokens = i % 3 ? 0 : 20;
        check_ok(hone_lm_submit(e, &o, NULL, &err));
    }
    for (int i = 0; i < COUNT(h); i++) {
        char text[64] = "";
        wait_end(h[i]);
        assert_true(h[i]->last.status == HONE_OK && h[i]->last.finish == HONE_FINISH_END);
        for (size_t k = 0; k < h[i]->count; k++) strcat(text, pieces[h[i]->ids[k]]);
        if (strcmp(text, "\"abc\"") != 0 && strcmp(text, "\"cab\"") != 0) fail_msg("%s", text);
        abc += text[1] == 'a';
        free(h[i]);
    }
    assert_true(abc > 0 && abc < COUNT(h));
    hone_lm_engine_free(e);
    hone_grammar_free(g);
    hone_token_trie_free(trie);
    hone_tokenizer_free(t);
}

/* --- memory --- */

typedef struct counted {
    heard *h;
    uint64_t first, last; /* allocations of the process so far */
} counted;

static bool count_allocations(void *user, const hone_lm_news *n) {
    counted *c = user;
    if (n->kind == HONE_LM_TOKEN && n->tokens == 1) c->first = hone_alloc_count();
    if (n->kind == HONE_LM_TOKEN) c->last = hone_alloc_count();
    return hear(c->h, n);
}

/* Steps allocate nothing once steps of as many tokens have been there. */
static void test_steps_allocate_nothing(void **state) {
    (void)state;
    hone_lm_engine *e = engine_new(false, 0, 1, NULL);
    const int32_t ids[] = {1, 2, 3};
    for (int round = 0; round < 2; round++) {
        counted c = {.h = heard_new()};
        hone_lm_job_options o = job_options(ids, 3, NULL);
        o.news = count_allocations;
        o.user = &c;
        o.max_tokens = 100;
        o.sampling.temperature = 1;
        o.sampling.top_p = 0.9;
        o.sampling.presence_penalty = 0.1;
        o.likely = 5;
        check_ok(hone_lm_submit(e, &o, NULL, &err));
        wait_end(c.h);
        assert_true(c.h->count == 100 && c.first > 0);
        if (round) assert_int_equal(c.last, c.first);
        free(c.h);
    }
    hone_lm_engine_free(e);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one),        cmocka_unit_test(test_marks),
        cmocka_unit_test(test_refused),    cmocka_unit_test(test_queue),
        cmocka_unit_test(test_freed),      cmocka_unit_test(test_pages),
        cmocka_unit_test(test_constraint), cmocka_unit_test(test_steps_allocate_nothing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
