/* Cores under traffic: memory that is given back, versions that change. */
#include "serve/cores.h"
#include "serve/workers.h"

#include <stdatomic.h>

/* --- memory --- */

static void gives_memory_back(void **state) {
    (void)state;
    bool large = getenv("HONE_LONG") != NULL;
    int64_t floats = (int64_t)(large ? 256 : 64) << 18;
    int rounds = large ? 20 : 3;
    hone_core_options o = options();
    o.compute_threads = 2;
    repo_put("big", 1, repo_graph(1, 256, floats, "x"));
    start_with(&o);
    errand e;
    expect_answer("big", 1, 1);
    size_t loaded = resident();
    assert_int_equal(unload(&e, "big"), HONE_OK);
    expect_state("big", 1, HONE_VERSION_END, "");
    size_t before = resident(), after = 0;
    for (int i = 0; i < rounds; i++) {
        assert_int_equal(load(&e, "big", NULL), HONE_OK);
        assert_true(ask("big", 1) == 1);
        assert_int_equal(unload(&e, "big"), HONE_OK);
        expect_state("big", 1, HONE_VERSION_END, "");
        after = resident();
    }
    print_message("loaded %zu MB, unloaded %zu MB, after %d more loads %zu MB\n", loaded >> 20, before >> 20,
                  rounds, after >> 20);
    if (is_sanitized()) return;
    assert_true(loaded > (size_t)floats * 4);
    assert_true(before < (size_t)floats * 4 / 2);
    assert_true((double)after <= (double)before * 1.05 + (1 << 20));
}

static void keeps_the_memory_limit(void **state) {
    (void)state;
    hone_core_options o = options();
    o.memory_limit = (size_t)24 << 20;
    repo_put("a", 1, repo_graph(1, 256, 1 << 20, "x")); /* 4 MB, in memory 8 and more */
    start_with(&o);
    expect_answer("a", 1, 1);
    repo_put("b", 1, repo_graph(1, 256, 4 << 20, "x"));
    expect_state("b", 1, HONE_VERSION_END, "of memory");
    assert_int_equal(look_at("b", 1).code, HONE_RESOURCE_EXHAUSTED);
    assert_true(ask("a", 1) == 1);
    errand e;
    assert_int_equal(load(&e, "b", NULL), HONE_RESOURCE_EXHAUSTED);
    repo_put_plus("c", 1); /* there is room for small ones */
    expect_answer("c", 1, 1);
    assert_int_equal(hone_dir_remove(repo_path("b"), NULL), HONE_OK);
    repo_put("b", 1, repo_graph(2, 256, 1 << 16, "x"));
    expect_answer("b", 1, 2);
    stop();
    assert_null(f.core);
}

static void replaces_before_loading(void **state) {
    (void)state;
    hone_core_options o = options();
    o.reload = HONE_RELOAD_REPLACE;
    o.memory_limit = (size_t)24 << 20;
    repo_put("a", 1, repo_graph(1, 256, 1 << 20, "x"));
    start_with(&o);
    expect_answer("a", 1, 1);
    for (int v = 2; v < 5; v++) { /* two at once would be too much */
        repo_put("a", v, repo_graph((float)v, 256, 1 << 20, "x"));
        expect_answer("a", v, (float)v);
        expect_state("a", v - 1, HONE_VERSION_END, "");
    }
}

static void survives_lack_of_memory(void **state) {
    (void)state;
    hone_graph *g = repo_graph(1, 3, 0, "x");
    assert_int_equal(hone_stats_new(&f.stats, NULL), HONE_OK);
    assert_int_equal(hone_core_new(3, 1, f.stats, &f.core, NULL), HONE_OK);
    int n = 0;
    for (hone_status status = HONE_OUT_OF_MEMORY; status != HONE_OK;) {
        hone_alloc_fail_at((uint64_t)++n, false);
        status = hone_core_add(f.core, "a", 1, g, NULL);
        hone_alloc_fail_at(0, false);
        assert_true(status == HONE_OK || status == HONE_OUT_OF_MEMORY);
        assert_true(n < 5000);
    }
    hone_graph_free(g);
    assert_true(n > 20);
    assert_true(ask("a", 1) == 1);
    stop();
    /* the loader's thread, too, only ever reports */
    repo_put_plus("a", 1);
    start();
    errand e;
    for (uint64_t k = 1; k < 400; k += 3) {
        repo_text(repo_path("a/config.json"), "{\"threads\": 1}");
        hone_alloc_fail_at(k, true);
        begin(&e);
        hone_core_load_model(f.core, &e.task, slice("a"), (hone_slice){0});
        finish(&e);
        hone_alloc_fail_at(0, false);
    }
    assert_int_equal(load(&e, "a", NULL), HONE_OK);
    assert_true(ask("a", 1) == 1);
}

/* --- traffic --- */

typedef struct client {
    worker w;
    pthread_t thread;
    atomic_bool *stop;
    atomic_llong *greatest; /* version that was put there */
    atomic_long asked;
    long failed;
    float last;
} client;

typedef struct question {
    hone_prediction p;
    client *c;
    float
        least; /* the newest version that had answered when it was asked; those asked beside it may overtake it */
    int *left;
    float y;
    hone_error err;
} question;

static hone_status take(hone_prediction *p, const hone_tensor *const *outputs, hone_error *err) {
    (void)err;
    ((question *)p->user)->y = ((const float *)outputs[0]->data)[0];
    return HONE_OK;
}

static void answered(hone_prediction *p, hone_status status) {
    question *q = p->user;
    (*q->left)--;
    atomic_fetch_add(&q->c->asked, 1);
    float y = status == HONE_OK ? q->y : -1;
    /* the version that is newest or was a moment ago, and never an older one than before */
    if (status != HONE_OK || y < q->least || y > (float)atomic_load(q->c->greatest)) {
        print_error("answer %g after %g: %s\n", (double)y, (double)q->least, q->err.message);
        q->c->failed++;
    }
    if (y > q->c->last) q->c->last = y;
}

/* Asks for the newest version of "a". */
static void ask_question(client *c, question *q, const hone_tensor *const *inputs, int *left) {
    hone_servable *s = hone_core_find(f.core, slice("a"), HONE_LATEST);
    *q = (question){.c = c, .least = c->last, .left = left};
    if (!s) {
        c->failed++;
        return;
    }
    q->p = (hone_prediction){.servable = s,
                             .inputs = inputs,
                             .worker = c->w.index,
                             .take = take,
                             .done = answered,
                             .err = &q->err,
                             .user = q};
    (*left)++;
    hone_core_submit(f.core, &q->p);
    hone_servable_release(s);
}

/* Requests of one, three and five rows at once. */
static void *ask_on(void *arg) {
    client *c = arg;
    float zeros[8 * 3] = {0};
    hone_tensor *x[3];
    for (int i = 0; i < 3; i++)
        hone_tensor_wrap(HONE_FLOAT32, 2, (int64_t[]){i * 2 + 1, 3}, zeros, &x[i], NULL);
    const hone_tensor *inputs[3][1] = {{x[0]}, {x[1]}, {x[2]}};
    while (!atomic_load(c->stop)) {
        question q[3];
        int left = 0;
        for (int i = 0; i < 3; i++) ask_question(c, &q[i], inputs[i], &left);
        turn_until(&c->w, &left, 0);
        usleep(200);
    }
    for (int i = 0; i < 3; i++) hone_tensor_free(x[i]);
    return NULL;
}

/* --- versions that change --- */

/* `changes` new versions of "a", `every_ms` apart, under questions from two threads; none of these may
 * fail. */
static void loses_nothing(double inline_cost, int changes, int every_ms) {
    hone_core_options o = options();
    o.inline_cost = inline_cost;
    atomic_bool done = false;
    atomic_llong greatest = 1;
    client *c = calloc(2, sizeof *c);
    assert_non_null(c);
    repo_put_plus("a", 1);
    start_with(&o);
    for (int i = 0; i < 2; i++) {
        c[i] = (client){.stop = &done, .greatest = &greatest};
        attach(&c[i].w, f.core, i);
    }
    for (int i = 0; i < 2; i++) assert_int_equal(pthread_create(&c[i].thread, NULL, ask_on, &c[i]), 0);
    errand e;
    for (int v = 2; v < 2 + changes; v++) {
        long before = atomic_load(&c[0].asked);
        atomic_store(&greatest, v);
        repo_put_plus("a", v);
        assert_int_equal(load(&e, "a", NULL), HONE_OK);
        if (v % 10 == 0)
            assert_int_equal(load(&e, "a", v % 20 ? "{}" : "{\"batching\": {\"max_batch_size\": 4}}"),
                             HONE_OK);
        if (v > 3) repo_drop("a", v - 2);
        WAIT_FOR(atomic_load(&c[0].asked) > before);
        if (every_ms) usleep((useconds_t)every_ms * 1000);
    }
    expect_answer("a", HONE_LATEST, (float)(1 + changes));
    atomic_store(&done, true);
    long asked = 0, failed = 0;
    for (int i = 0; i < 2; i++) {
        pthread_join(c[i].thread, NULL);
        asked += c[i].asked;
        failed += c[i].failed;
        assert_true(c[i].last >= (float)changes);
    }
    print_message("%d version changes under %ld predictions: %ld failed\n", changes, asked, failed);
    assert_int_equal(failed, 0);
    stop();
    for (int i = 0; i < 2; i++) detach(&c[i].w);
    free(c);
}

static void changes_versions_under_traffic(void **state) {
    (void)state;
    loses_nothing(100e-6, 100, getenv("HONE_LONG") ? 600 : 0);
}
static void changes_versions_under_queued_traffic(void **state) {
    (void)state;
    loses_nothing(-1, getenv("HONE_LONG") ? 100 : 50, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(gives_memory_back),
        TEST(keeps_the_memory_limit),
        TEST(replaces_before_loading),
        TEST(survives_lack_of_memory),
        TEST(changes_versions_under_traffic),
        TEST(changes_versions_under_queued_traffic),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
