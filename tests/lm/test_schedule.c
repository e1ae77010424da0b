/* Which texts run, and how many tokens of each a step takes. */
#include "lm/schedule.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { VOCABULARY = 1000, CONTEXT = 640, COLUMNS = CONTEXT / 32, MOST = 6 };

static hone_error err;
static hone_lm_schedule s;
static hone_lm_pages *pages;
static int64_t tables[MOST * COLUMNS];

static void begin(int64_t page_count, int64_t running) {
    assert_int_equal(hone_lm_pages_new(page_count, 32, &pages, &err), HONE_OK);
    assert_int_equal(hone_lm_schedule_init(&s, 20, running, pages, tables, COLUMNS, &err), HONE_OK);
}

static void finish(void) {
    while (s.running_count) {
        hone_lm_job *j = s.running[0];
        hone_lm_schedule_remove(&s, j);
        hone_lm_job_release(j);
    }
    while (s.waiting_count) {
        hone_lm_job *j = s.waiting[0];
        hone_lm_schedule_remove(&s, j);
        hone_lm_job_release(j);
    }
    assert_int_equal(hone_lm_pages_held(pages), 0);
    assert_int_equal(s.slot_count, s.most_running);
    hone_lm_schedule_clear(&s);
    hone_lm_pages_free(pages);
}

/* A prompt of `count` tokens, from `first` on. */
static hone_lm_job *add(uint64_t client, size_t count, int32_t first) {
    int32_t ids[CONTEXT];
    hone_lm_job_options o = HONE_LM_JOB_OPTIONS_INIT;
    hone_lm_job *j = NULL;
    for (size_t i = 0; i < count; i++) ids[i] = (first + (int32_t)i) % VOCABULARY;
    o.ids = ids;
    o.count = count;
    o.client = client;
    assert_int_equal(hone_lm_job_new(&o, CONTEXT, CONTEXT, VOCABULARY, &j, &err), HONE_OK);
    hone_lm_schedule_add(&s, j);
    return j;
}

static void begin_all(void) {
    while (hone_lm_schedule_begin(&s)) continue;
}

/* A step; those whose prompts are done draw a token. */
static int64_t step(int64_t budget, int64_t least) {
    const int64_t tokens = hone_lm_schedule_turn(&s, budget, least);
    for (int64_t i = 0; i < s.running_count; i++) {
        hone_lm_job *j = s.running[i];
        assert_true(j->held * 32 >= j->done + j->turn);
        hone_lm_schedule_advance(&s, j);
        if (j->done == j->count) j->ids[j->count++] = 7;
    }
    return tokens;
}

static void test_fair(void **state) {
    (void)state;
    begin(100, MOST);
    hone_lm_job *a[4], *b = add(9, 200, 500);
    for (int i = 0; i < 4; i++) a[i] = add(2, 100, i * 100);
    begin_all();
    for (int i = 1; i <= 3; i++) { /* both clients the same, a client's oldest text first */
        assert_int_equal(step(64, 0), 64);
        assert_true(b->done == 32u * (unsigned)i && a[0]->done == 32u * (unsigned)i);
        assert_int_equal(a[1]->done, 0);
    }
    assert_int_equal(step(64, 0), 64);
    assert_true(b->done == 128 && a[0]->done == 100 && a[1]->done == 28);
    assert_int_equal(hone_lm_schedule_answers(&s), 1);
    assert_int_equal(step(1, 16), 17); /* no time for prompts: few tokens of them */
    assert_int_equal(a[0]->done, 101);
    assert_int_equal(step(1, 0), 1);
    assert_int_equal(a[0]->done, 102);
    a[0]->paused = true;
    b->paused = true;
    assert_int_equal(step(40, 0), 40); /* whoever is there gets all */
    assert_true(a[0]->done == 102 && b->done + a[1]->done == 128 + 28 + 16 + 40);
    finish();
}

/* A step that is shorter than what a client gets at once: the next one goes on with the next client. */
static void test_short_steps(void **state) {
    (void)state;
    begin(100, MOST);
    hone_lm_job *j[3];
    for (int i = 0; i < 3; i++) j[i] = add((uint64_t)(30 - i * 10), 100, i * 100);
    begin_all();
    for (int i = 0; i < 6; i++) step(8, 0);
    for (int i = 0; i < 3; i++) assert_int_equal(j[i]->done, 16);
    finish();
}

/* Places go to the client that has the fewest, and to its oldest text. */
static void test_places(void **state) {
    (void)state;
    begin(100, 3);
    hone_lm_job *j[5];
    for (int i = 0; i < 4; i++) j[i] = add(1, 10, i * 100);
    j[4] = add(2, 10, 400);
    j[0]->paused = true;
    begin_all();
    assert_true(j[0]->slot < 0 && j[1]->slot >= 0 && j[2]->slot >= 0 && j[3]->slot < 0 && j[4]->slot >= 0);
    step(100, 0);
    j[2]->paused = true; /* gives way to what waits, and comes back */
    begin_all();
    assert_true(j[2]->slot < 0 && j[3]->slot >= 0 && s.preempted == 1);
    j[2]->paused = false;
    hone_lm_schedule_remove(&s, j[1]);
    hone_lm_job_release(j[1]);
    begin_all();
    assert_true(j[2]->slot >= 0 && j[2]->done == 0);
    finish();
}

static void test_preemption(void **state) {
    (void)state;
    begin(6, MOST);
    hone_lm_job *a = add(1, 60, 0), *b = add(2, 60, 100), *c = add(3, 60, 200);
    begin_all();
    assert_int_equal(s.running_count, 3);
    step(256, 0);
    for (int i = 0; i < 4; i++) assert_int_equal(step(256, 0), 3);
    assert_true(a->count == 65 && c->count == 65 && s.preempted == 0);
    step(256, 0); /* each wants a third page: the youngest goes */
    assert_true(c->slot < 0 && c->done == 0 && c->count == 65 && a->done == 65 && b->done == 65);
    assert_int_equal(s.preempted, 1);
    assert_null(hone_lm_schedule_begin(&s)); /* there is no room for it */
    for (int i = 0; i < 31; i++) step(256, 0);
    assert_true(a->done == 96 && b->done == 96);
    step(256, 0); /* now b goes, too */
    assert_true(a->done == 97 && b->slot < 0);
    hone_lm_schedule_remove(&s, a);
    hone_lm_job_release(a);
    begin_all(); /* the older one first */
    assert_true(b->slot >= 0 && c->slot < 0 && b->held > 0);
    assert_true(b->news.cached_tokens == 0 && s.cached == 0); /* its own pages are no gift */
    finish();
}

static void test_paused_first(void **state) {
    (void)state;
    begin(6, MOST);
    hone_lm_job *a = add(1, 64, 0), *b = add(2, 60, 100), *c = add(3, 60, 200);
    begin_all();
    assert_int_equal(s.running_count, 2); /* a wants three pages */
    hone_lm_schedule_remove(&s, a);
    hone_lm_job_release(a);
    begin_all();
    step(256, 0);
    b->paused = true;
    hone_lm_job *d = add(4, 90, 300);
    begin_all(); /* a paused text gives way to one that begins */
    assert_true(b->slot < 0 && d->slot >= 0 && c->slot >= 0);
    finish();
}

static void test_sharing(void **state) {
    (void)state;
    begin(30, MOST);
    hone_lm_job *a = add(1, 100, 0), *b;
    begin_all();
    step(256, 0);
    b = add(2, 100, 0); /* the same prompt */
    begin_all();
    assert_true(b->done == 96 && b->held == 3 && b->news.cached_tokens == 96 && s.cached == 96);
    for (int i = 0; i < 3; i++) assert_int_equal(a->pages[i], b->pages[i]);
    step(256, 0);
    assert_true(b->pages[3] != a->pages[3] && b->done == 100);
    hone_lm_job *c = add(3, 96, 0), *d = add(3, 96, 0); /* a token is left to run */
    begin_all();
    assert_true(c->done == 64 && d->done == 64);
    hone_lm_job *e = add(4, 200, 600),
                *f = add(4, 200, 600); /* at once: the second waits for what the first does */
    begin_all();
    assert_int_equal(s.running_count, 6);
    while (f->done < 200) step(64 + hone_lm_schedule_answers(&s), 0);
    assert_true(e->news.cached_tokens == 0 && f->news.cached_tokens == 192);
    finish();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fair),         cmocka_unit_test(test_short_steps),
        cmocka_unit_test(test_places),       cmocka_unit_test(test_preemption),
        cmocka_unit_test(test_paused_first), cmocka_unit_test(test_sharing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
