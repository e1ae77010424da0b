#include "base/clock.h"
#include "base/memory.h"
#include "base/thread.h"
#include "graph/graph.h"
#include "graph/infer.h"
#include "runtime/growth.h"
#include "serve/batches.h"
#include "serve/batching/batcher_inside.h"
#include "serve/models.h"
#include "serve/request/request.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

/* --- a model that is worth batching: y = relu(x · W1) · W2 --- */

enum { WIDTH = 96, HIDDEN = 128, CLASSES = 10 };

static hone_tensor *random_matrix(int64_t rows, int64_t columns, unsigned seed) {
    hone_tensor *t = NULL;
    assert_int_equal(hone_tensor_new(HONE_FLOAT32, 2, (int64_t[]){rows, columns}, &t, NULL), HONE_OK);
    fill_floats(t, seed);
    return t;
}

static hone_graph *mlp(void) {
    hone_graph *g = hone_graph_new("mlp");
    hone_type type = {HONE_KIND_TENSOR, HONE_FLOAT32, 2, {hone_graph_symbol(g, "batch"), WIDTH}};
    hone_tensor *a = random_matrix(WIDTH, HIDDEN, 1), *b = random_matrix(HIDDEN, CLASSES, 2);
    hone_value *x = hone_graph_add_input(g, "x", &type);
    hone_value *h = HONE_EMIT(g, "", "MatMul", x, hone_graph_add_constant(g, "A", a));
    h = HONE_EMIT(g, "", "Relu", h);
    hone_value *y = HONE_EMIT(g, "", "MatMul", h, hone_graph_add_constant(g, "B", b));
    hone_graph_rename(g, y, "y");
    hone_graph_add_output(g, y);
    assert_int_equal(hone_graph_infer(g, NULL), HONE_OK);
    hone_tensor_free(a);
    hone_tensor_free(b);
    return g;
}

/* y = softmax of x over all rows: a row's result depends on other rows. */
static hone_graph *centering(void) {
    hone_graph *g = hone_graph_new("centering");
    hone_type type = {HONE_KIND_TENSOR, HONE_FLOAT32, 2, {hone_graph_symbol(g, "batch"), WIDTH}};
    hone_value *x = hone_graph_add_input(g, "x", &type);
    hone_value *t = HONE_EMIT(g, "", "Transpose", x);
    hone_value *y = HONE_EMIT(g, "", "Softmax", t); /* over the rows */
    y = HONE_EMIT(g, "", "Transpose", y);
    hone_graph_rename(g, y, "y");
    hone_graph_add_output(g, y);
    assert_int_equal(hone_graph_infer(g, NULL), HONE_OK);
    return g;
}

#define BATCHES_OF_32 "{\"batching\": {\"max_batch_size\": 32}}"

/* --- the tests --- */

static void chooses_by_measured_cost(void **state) {
    (void)state;
    hone_bucket b = {.size_count = 4, .sizes = {1, 2, 4, 8}};
    hone_servable s = {.batchable = true, .buckets = &b, .bucket_count = 1};
    hone_prediction p[10] = {0};
    hone_tensor t = {.rank = 2, .dims = {1, 5}};
    const hone_tensor *in = &t;
    hone_batch_list costly = {0};
    s.input_count = 1;
    const struct {
        double cost[4];
        int queued, taken;
    } cases[] = {
        {{1, 1.1, 1.2, 1.3}, 1, 1}, {{1, 1.1, 1.2, 1.3}, 3, 3}, {{1, 1.1, 1.2, 1.3}, 5, 5},
        {{1, 1.1, 1.2, 1.3}, 9, 8}, {{1, 2, 4, 8}, 5, 4}, /* 5 of 8 rows for the price of 8 */
        {{1, 2, 4, 8}, 8, 8},       {{1, 1.9, 3.7, 7.3}, 3, 2}, {{1, 3, 9, 27}, 8, 1},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        hone_batch_list l = {0}, out = {0};
        memcpy(b.cost, cases[c].cost, sizeof cases[c].cost);
        for (int i = 0; i < cases[c].queued; i++) {
            p[i] = (hone_prediction){.servable = &s, .part = {.rows = 1, .inputs = &in, .bucket = &b}};
            hone_batch_list_append(&l, &p[i]);
        }
        assert_int_equal(hone_batch_list_choose(&s, &l), cases[c].taken);
        hone_batch_list_take(&s, &l, cases[c].taken, &out);
        assert_int_equal(out.count, cases[c].taken);
        assert_int_equal(l.count, cases[c].queued - cases[c].taken);
        assert_int_equal(out.rows + l.rows, cases[c].queued);
        assert_ptr_equal(out.first, &p[0]);
        for (hone_prediction *q = out.first; q && q->next; q = q->next) assert_true(q->next == q + 1);
    }
    /* … but what waited for others runs with them */
    s.settings = (hone_servable_settings){.max_delay_us = 1000, .preferred_count = 1, .preferred = {4}};
    for (int i = 0; i < 8; i++) hone_batch_list_append(&costly, &p[i]);
    assert_int_equal(hone_batch_list_choose(&s, &costly), 4);
    s.settings.preferred_count = 0;
    assert_int_equal(hone_batch_list_choose(&s, &costly), 8);
    s.settings.max_delay_us = 0;
    assert_int_equal(hone_batch_list_choose(&s, &costly), 1);
    /* others in between stay, in their order */
    hone_servable other = s;
    hone_batch_list l = {0}, out = {0};
    hone_tensor wide = {.rank = 2, .dims = {1, 6}};
    const hone_tensor *in_wide = &wide;
    memcpy(b.cost, (double[]){1, 1.1, 1.2, 1.3}, sizeof(double[4]));
    for (int i = 0; i < 8; i++) {
        p[i] = (hone_prediction){
            .servable = i % 4 == 1 ? &other : &s,
            .part = {.rows = i == 6 ? 7 : 1, .inputs = i % 4 == 3 ? &in_wide : &in, .bucket = &b}};
        hone_batch_list_append(&l, &p[i]);
    }
    hone_batch_list_take(&s, &l, hone_batch_list_choose(&s, &l), &out);
    const int taken[] = {0, 2, 4}, left[] = {1, 3, 5, 6, 7}; /* 6 has too many rows */
    hone_prediction *q = out.first;
    for (int i = 0; i < 3; i++, q = q->next) assert_ptr_equal(q, &p[taken[i]]);
    assert_null(q);
    q = l.first;
    for (int i = 0; i < 5; i++, q = q->next) assert_ptr_equal(q, &p[left[i]]);
    assert_null(q);
    assert_ptr_equal(l.last, &p[7]);
}

/* What each request gets alone, bit for bit, whatever it is put together with. */
static void check_answers(fixture *f, job *jobs, int count) {
    for (int i = 0; i < count; i++) {
        job *j = &jobs[i];
        const hone_tensor *out = NULL;
        if (j->status != HONE_OK) fail_msg("job %d: %s", i, j->err.message);
        assert_int_equal(j->done, 1);
        assert_int_equal(hone_servable_run(f->s, 0, j->list, &out, NULL, NULL, NULL), HONE_OK);
        assert_int_equal(out->bytes, j->out->bytes);
        assert_memory_equal(out->dims, j->out->dims, sizeof(int64_t) * 2);
        if (memcmp(out->data, j->out->data, out->bytes) != 0)
            fail_msg("job %d with %lld rows is not as it is alone", i, (long long)j->in[0]->dims[0]);
    }
}

static void batches_change_no_answer(double inline_cost, int threads) {
    enum { COUNT = 300 };
    fixture f;
    hone_core_options o = core_options(inline_cost, threads);
    start(&f, mlp(), &o, BATCHES_OF_32);
    assert_true(f.s->batchable);
    assert_int_equal(f.s->buckets->size_count, 6);
    job *jobs = calloc(COUNT, sizeof *jobs);
    assert_non_null(jobs);
    int left[2] = {0, 0};
    int64_t largest = 0;
    for (int i = 0; i < COUNT; i++) {
        int64_t rows = i % 7 == 0 ? 1 + i % 100 : 1 + i % 3; /* some are larger than any batch */
        make_job(&jobs[i], f.s, rows, WIDTH, (unsigned)i, &left[i % 2]);
        jobs[i].p.worker = i % 2;
        left[i % 2]++;
        hone_core_submit(f.core, &jobs[i].p);
    }
    for (int k = 0; k < 2; k++) turn_until(&f.w[k], &left[k], 0);
    for (int i = 0; i < COUNT; i++)
        if (jobs[i].p.batch_rows > largest) largest = jobs[i].p.batch_rows;
    assert_int_equal(largest, 32);
    check_answers(&f, jobs, COUNT);
    for (int i = 0; i < COUNT; i++) free_job(&jobs[i]);
    free(jobs);
    stop(&f);
}

static void batches_queued_requests(void **state) {
    (void)state;
    batches_change_no_answer(-1, 2);
}

/* Without any, the workers run what is costly, too. */
static void goes_on_with_the_threads_it_gets(void **state) {
    (void)state;
    for (int given = 0; given < 3; given++) {
        fixture f;
        hone_core_options o = core_options(-1, 3);
        job jobs[20];
        int left = 20;
        hone_thread_fail_after(1 + given); /* the loader's is the first one */
        start(&f, mlp(), &o, NULL);
        hone_thread_fail_after(-1);
        assert_int_equal(f.s->instance_count, f.s->workers + given);
        for (int i = 0; i < 20; i++) {
            make_job(&jobs[i], f.s, 1 + i % 3, WIDTH, (unsigned)i, &left);
            hone_core_submit(f.core, &jobs[i].p);
        }
        turn_until(&f.w[0], &left, 0);
        check_answers(&f, jobs, 20);
        for (int i = 0; i < 20; i++) free_job(&jobs[i]);
        stop(&f);
    }
}

static void batches_the_requests_of_a_turn(void **state) {
    (void)state;
    batches_change_no_answer(10, 1);
}

static void runs_cheap_ones_at_the_end_of_the_turn(void **state) {
    (void)state;
    fixture f;
    hone_core_options o = core_options(10, 1);
    start(&f, matrix_model(), &o, BATCHES_OF_32);
    job jobs[5];
    int left = 5, woken = f.w[0].wakes;
    for (int i = 0; i < 5; i++) {
        make_job(&jobs[i], f.s, 1, 3, (unsigned)i, &left);
        hone_core_submit(f.core, &jobs[i].p);
    }
    assert_int_equal(left, 5);
    assert_int_equal(f.w[0].defers, 1);
    assert_int_equal(f.w[0].wakes, woken);
    hone_core_turn(f.core, 0);
    assert_int_equal(left, 0);
    for (int i = 0; i < 5; i++) assert_true(jobs[i].p.batch_rows >= 1);
    check_answers(&f, jobs, 5);
    for (int i = 0; i < 5; i++) free_job(&jobs[i]);
    stop(&f);
}

/* That a row's result depends on others is found out by running them, whatever the graph looks like. */
static void leaves_apart_what_depends_on_each_other(void **state) {
    (void)state;
    fixture f;
    hone_core_options o = core_options(-1, 1);
    start(&f, centering(), &o, NULL);
    assert_false(f.s->batchable);
    assert_string_equal(f.s->unbatched, "a row's result depends on other rows");
    enum { COUNT = 20 };
    job jobs[COUNT];
    int left = COUNT;
    for (int i = 0; i < COUNT; i++) {
        make_job(&jobs[i], f.s, 1 + i % 3, WIDTH, (unsigned)i, &left);
        hone_core_submit(f.core, &jobs[i].p);
    }
    turn_until(&f.w[0], &left, 0);
    check_answers(&f, jobs, COUNT);
    for (int i = 0; i < COUNT; i++) free_job(&jobs[i]);
    stop(&f);
}

static void does_as_it_is_told(void **state) {
    (void)state;
    static const struct {
        const char *settings, *why; /* why not batchable */
        int sizes[8];
    } cases[] = {{"{\"batching\": {\"enabled\": false}}", "batching is switched off", {0}},
                 {"{\"batching\": {\"max_batch_size\": 1}}", "its batches have one row", {0}},
                 {"{\"batching\": {\"max_batch_size\": 20}}", "", {1, 2, 4, 8, 16, 20}},
                 {"{\"batching\": {\"preferred_batch_sizes\": [3, 10]}}", "", {1, 3, 10}}};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        fixture f;
        hone_core_options o = core_options(-1, 1);
        start(&f, mlp(), &o, cases[c].settings);
        assert_string_equal(f.s->unbatched, cases[c].why);
        assert_int_equal(f.s->batchable, cases[c].sizes[0] > 0);
        for (int i = 0; cases[c].sizes[i]; i++) {
            assert_true(i < f.s->buckets->size_count);
            assert_int_equal(f.s->buckets->sizes[i], cases[c].sizes[i]);
        }
        stop(&f);
    }
}

/* --- load --- */

/* Keeps a compute thread busy until it is let go. */
typedef struct blocker {
    hone_work w;
    pthread_mutex_t lock;
    pthread_cond_t news;
    bool runs, let_go;
    int left;
} blocker;

static void block(hone_work *w) {
    blocker *b = w->user;
    pthread_mutex_lock(&b->lock);
    b->runs = true;
    pthread_cond_broadcast(&b->news);
    while (!b->let_go) pthread_cond_wait(&b->news, &b->lock);
    pthread_mutex_unlock(&b->lock);
}

static void blocker_done(hone_work *w) {
    ((blocker *)w->user)->left--;
}

static void occupy(blocker *b, hone_core *core) {
    *b = (blocker){.left = 1, .lock = PTHREAD_MUTEX_INITIALIZER, .news = PTHREAD_COND_INITIALIZER};
    b->w = (hone_work){.run = block, .done = blocker_done, .user = b};
    hone_core_offload(core, &b->w);
    pthread_mutex_lock(&b->lock);
    while (!b->runs) pthread_cond_wait(&b->news, &b->lock);
    pthread_mutex_unlock(&b->lock);
}

static void let_go(blocker *b) {
    pthread_mutex_lock(&b->lock);
    b->let_go = true;
    pthread_cond_broadcast(&b->news);
    pthread_mutex_unlock(&b->lock);
}

static void drops_what_is_late_and_refuses_what_is_too_much(void **state) {
    (void)state;
    fixture f;
    hone_core_options o = core_options(-1, 1);
    start(&f, mlp(), &o, "{\"limits\": {\"queue\": 4}}");
    enum { COUNT = 12 };
    job jobs[COUNT];
    blocker b;
    hone_request *late = hone_request_new(NULL), *gone = hone_request_new(NULL);
    int left = COUNT;
    occupy(&b, f.core);
    late->deadline = hone_now() + HONE_MILLISECOND;
    for (int i = 0; i < COUNT; i++) {
        make_job(&jobs[i], f.s, 1, WIDTH, (unsigned)i, &left);
        if (i == 1) jobs[i].p.request = late;
        if (i == 2) jobs[i].p.request = gone;
        hone_core_submit(f.core, &jobs[i].p);
    }
    hone_request_cancel(gone);
    assert_int_equal(left, 4);
    usleep(2000);
    let_go(&b);
    turn_until(&f.w[0], &left, 0);
    turn_until(&f.w[0], &b.left, 0);
    for (int i = 0; i < COUNT; i++) {
        hone_status expected = i == 1   ? HONE_DEADLINE_EXCEEDED
                               : i == 2 ? HONE_CANCELLED
                               : i < 4  ? HONE_OK
                                        : HONE_RESOURCE_EXHAUSTED;
        assert_int_equal(jobs[i].status, expected);
        assert_int_equal(jobs[i].done, 1);
    }
    assert_int_equal(jobs[1].p.compute_time, 0);
    assert_non_null(strstr(jobs[COUNT - 1].err.message, "queue of model m is full: 4"));
    for (int i = 0; i < COUNT; i++) free_job(&jobs[i]);
    hone_request_release(late);
    hone_request_release(gone);
    stop(&f);
}

/* What has queued up while the only thread was busy runs together. */
static void puts_together_what_waits(void **state) {
    (void)state;
    fixture f;
    hone_core_options o = core_options(-1, 1);
    start(&f, mlp(), &o, "{\"batching\": {\"preferred_batch_sizes\": [16]}}");
    job jobs[16];
    blocker b;
    int left = 16, wakes;
    occupy(&b, f.core);
    for (int i = 0; i < 16; i++) {
        make_job(&jobs[i], f.s, 1, WIDTH, (unsigned)i, &left);
        hone_core_submit(f.core, &jobs[i].p);
    }
    wakes = f.w[0].wakes;
    let_go(&b);
    turn_until(&f.w[0], &b.left, 0);
    turn_until(&f.w[0], &left, 0);
    for (int i = 0; i < 16; i++) assert_int_equal(jobs[i].p.batch_rows, 16);
    assert_true(f.w[0].wakes - wakes <= 2); /* one for the batch, one for the other work */
    check_answers(&f, jobs, 16);
    for (int i = 0; i < 16; i++) free_job(&jobs[i]);
    stop(&f);
}

/* Cancels a request that takes minutes; false if it was still queued then. */
static bool breaks_off(fixture *f) {
    job j;
    int left = 1;
    hone_request *r = hone_request_new(NULL);
    make_job(&j, f->s, ENDLESS_ROWS, 1, 1, &left);
    memset(j.in[0]->data, 0, j.in[0]->bytes);
    j.p.request = r;
    hone_core_submit(f->core, &j.p);
    usleep(20000);
    hone_request_cancel(r);
    turn_until(&f->w[0], &left, 0);
    assert_int_equal(j.status, HONE_CANCELLED);
    bool ran = j.p.compute_time > 0;
    free_job(&j);
    hone_request_release(r);
    return ran;
}

/* A run whose requests are all gone ends between two steps. */
static void breaks_off_runs_that_nobody_waits_for(void **state) {
    (void)state;
    fixture f;
    hone_core_options o = core_options(-1, 1);
    start(&f, endless_model(), &o, NULL);
    int tries = 0;
    while (tries < 1000 && !breaks_off(&f)) tries++;
    assert_true(tries < 1000);
    stop(&f);
}

static void waits_for_others_as_long_as_it_is_told(void **state) {
    (void)state;
    fixture f;
    hone_core_options o = core_options(-1, 2);
    start(&f, mlp(), &o, "{\"batching\": {\"max_delay_us\": 100000, \"preferred_batch_sizes\": [4]}}");
    job jobs[4];
    int left = 1;
    uint64_t began = hone_now();
    make_job(&jobs[0], f.s, 1, WIDTH, 0, &left);
    hone_core_submit(f.core, &jobs[0].p);
    turn_until(&f.w[0], &left, 0);
    assert_true(hone_now() - began >= 100 * HONE_MILLISECOND);
    free_job(&jobs[0]);
    stop(&f);
    /* and no longer: without enough of them it would be a minute */
    start(&f, mlp(), &o, "{\"batching\": {\"max_delay_us\": 60000000, \"preferred_batch_sizes\": [4]}}");
    left = 4;
    for (int i = 0; i < 4; i++) {
        make_job(&jobs[i], f.s, 1, WIDTH, (unsigned)i, &left);
        hone_core_submit(f.core, &jobs[i].p);
    }
    turn_until(&f.w[0], &left, 0);
    for (int i = 0; i < 4; i++) assert_int_equal(jobs[i].p.batch_rows, 4);
    check_answers(&f, jobs, 4);
    for (int i = 0; i < 4; i++) free_job(&jobs[i]);
    stop(&f);
}

static void runs_lone_requests_alone(void **state) {
    (void)state;
    fixture f;
    hone_core_options o = core_options(-1, 1);
    start(&f, mlp(), &o, NULL);
    uint64_t best = UINT64_MAX;
    for (int i = 0; i < 200; i++) {
        job j;
        int left = 1;
        make_job(&j, f.s, 1, WIDTH, 0, &left);
        hone_core_submit(f.core, &j.p);
        turn_until(&f.w[0], &left, 0);
        if (j.p.queue_time < best) best = j.p.queue_time;
        assert_int_equal(j.status, HONE_OK);
        assert_int_equal(j.p.batch_rows, 1);
        free_job(&j);
    }
    print_message("a lone request waits %.1f us for a compute thread\n", (double)best * 1e-3);
    stop(&f);
}

static void refuses_wrong_inputs(void **state) {
    (void)state;
    fixture f;
    hone_core_options o = core_options(-1, 1);
    start(&f, mlp(), &o, "{\"limits\": {\"rows\": 10}}");
    job j;
    int left = 1;
    make_job(&j, f.s, 1, WIDTH + 1, 0, &left);
    hone_core_submit(f.core, &j.p);
    assert_int_equal(left, 0);
    assert_int_equal(j.status, HONE_INVALID_ARGUMENT);
    assert_non_null(strstr(j.err.message, "\"x\" has the shape [1, 97], but the model takes [batch, 96]"));
    free_job(&j);
    left = 1;
    make_job(&j, f.s, 11, WIDTH, 0, &left);
    hone_core_submit(f.core, &j.p);
    assert_int_equal(j.status, HONE_INVALID_ARGUMENT);
    free_job(&j);
    left = 1;
    make_job(&j, f.s, 1, WIDTH, 0, &left);
    j.in[0]->dtype = HONE_INT32;
    hone_core_submit(f.core, &j.p);
    assert_int_equal(j.status, HONE_INVALID_ARGUMENT);
    assert_non_null(strstr(j.err.message, "int32"));
    free_job(&j);
    stop(&f);
}

/* --- other work --- */

typedef struct chore {
    hone_work w;
    pthread_t ran, told;
    int *left;
} chore;

static void run_chore(hone_work *w) {
    ((chore *)w->user)->ran = pthread_self();
}
static void chore_done(hone_work *w) {
    chore *c = w->user;
    c->told = pthread_self();
    (*c->left)--;
}

static void does_other_work_elsewhere(void **state) {
    (void)state;
    fixture f;
    hone_core_options o = core_options(-1, 2);
    start(&f, mlp(), &o, NULL);
    chore chores[50];
    int left = 50;
    for (int i = 0; i < 50; i++) {
        chores[i] = (chore){.left = &left};
        chores[i].w = (hone_work){.worker = 1, .run = run_chore, .done = chore_done, .user = &chores[i]};
        hone_core_offload(f.core, &chores[i].w);
    }
    turn_until(&f.w[1], &left, 0);
    for (int i = 0; i < 50; i++) {
        assert_false(pthread_equal(chores[i].ran, pthread_self()));
        assert_true(pthread_equal(chores[i].told, pthread_self()));
    }
    stop(&f);
}

/* Lets go when the batcher has been told to stop. */
typedef struct stopper {
    hone_batcher *batcher;
    blocker *b;
} stopper;

static void *let_go_later(void *arg) {
    stopper *s = arg;
    for (bool stopping = false; !stopping; usleep(1000)) {
        pthread_mutex_lock(&s->batcher->lock);
        stopping = s->batcher->stop;
        pthread_mutex_unlock(&s->batcher->lock);
    }
    let_go(s->b);
    return NULL;
}

static void fails_what_is_queued_when_it_stops(void **state) {
    (void)state;
    fixture f;
    hone_core_options o = core_options(-1, 1);
    start(&f, mlp(), &o, NULL);
    job jobs[8];
    blocker b;
    pthread_t thread;
    int left = 8;
    occupy(&b, f.core);
    for (int i = 0; i < 8; i++) {
        make_job(&jobs[i], f.s, 1, WIDTH, 0, &left);
        hone_core_submit(f.core, &jobs[i].p);
    }
    stopper when = {f.core->batcher, &b};
    assert_int_equal(pthread_create(&thread, NULL, let_go_later, &when), 0);
    hone_core_stop(f.core);
    pthread_join(thread, NULL);
    assert_int_equal(left, 0);
    assert_int_equal(b.left, 0);
    for (int i = 0; i < 8; i++) {
        assert_int_equal(jobs[i].status, HONE_UNAVAILABLE);
        free_job(&jobs[i]);
    }
    stop(&f);
}

/* --- nothing is made after warm-up --- */

/* Loads of all kinds from two threads: one row and many, in bursts of all lengths, cheap and costly. */
typedef struct client {
    fixture *f;
    hone_servable *s[2];
    job jobs[40];
    int index, failures;
} client;

static void *client_thread(void *arg) {
    client *c = arg;
    unsigned random = (unsigned)c->index + 1;
    for (int round = 0; round < 150; round++) {
        int left = 0, burst = (int)((random = random * 1664525u + 1013904223u) >> 16) % 40 + 1;
        for (int i = 0; i < burst; i++) {
            job *j = &c->jobs[i];
            j->left = &left;
            left++;
            j->p.worker = c->index;
            hone_core_submit(c->f->core, &j->p);
        }
        turn_until(&c->f->w[c->index], &left, 0);
        for (int i = 0; i < burst; i++) c->failures += c->jobs[i].status != HONE_OK;
    }
    return NULL;
}

static void runs_without_allocating(void **state) {
    (void)state;
    fixture f;
    hone_error err = {0};
    hone_core_options o = core_options(60e-6, 2);
    start(&f, mlp(), &o, BATCHES_OF_32);
    hone_graph *g = slow_model(30, 96);
    if (hone_core_add(f.core, "slow", 1, g, &err) != HONE_OK) fail_msg("%s", err.message);
    hone_graph_free(g);
    hone_servable *slow = hone_core_find(f.core, slice("slow"), 1);
    client *clients = calloc(2, sizeof *clients);
    assert_non_null(clients);
    for (int k = 0; k < 2; k++) {
        clients[k] = (client){.f = &f, .index = k};
        for (int i = 0; i < 40; i++) {
            int64_t rows = i % 10 == 9 ? i - 8 : 1 + i % 3;
            hone_servable *s = i % 2 ? slow : f.s;
            int left = 0;
            make_job(&clients[k].jobs[i], s, rows, WIDTH, (unsigned)i, &left);
            /* the copies of the answers are the test's own */
            int64_t dims[2] = {rows, i % 2 ? 96 : CLASSES};
            hone_tensor_new(HONE_FLOAT32, 2, dims, &clients[k].jobs[i].out, NULL);
        }
    }
    pthread_t threads[2];
    uint64_t plans = hone_session_plans_compiled(f.s->session) + hone_session_plans_compiled(slow->session);
    uint64_t before = hone_alloc_count();
    for (int k = 0; k < 2; k++) pthread_create(&threads[k], NULL, client_thread, &clients[k]);
    for (int k = 0; k < 2; k++) pthread_join(threads[k], NULL);
    assert_int_equal(hone_alloc_count() - before, 0);
    assert_int_equal(hone_session_plans_compiled(f.s->session) + hone_session_plans_compiled(slow->session),
                     plans);
    for (int k = 0; k < 2; k++) {
        assert_int_equal(clients[k].failures, 0);
        for (int i = 0; i < 40; i++) {
            job *j = &clients[k].jobs[i];
            const hone_tensor *out = NULL;
            assert_int_equal(hone_servable_run(j->p.servable, 0, j->list, &out, NULL, NULL, NULL), HONE_OK);
            if (j->done) assert_memory_equal(out->data, j->out->data, out->bytes);
            free_job(j);
        }
    }
    free(clients);
    hone_servable_release(slow);
    stop(&f);
}

/* What a run needs beyond the usual is asked for before it is there, by compute threads and by workers, and given back
 * afterwards; rows or not. */
static void takes_no_more_than_there_is_room_for(void **state) {
    (void)state;
    for (int k = 0; k < 4; k++) {
        bool rows = k % 2, inside = k / 2;
        fixture f;
        hone_budget budget = {.limit = 64 << 20};
        hone_core_options o = core_options(inside ? HUGE_VAL : -1, 1);
        o.budget = &budget;
        start(&f, rows ? mlp() : centering(), &o, NULL);
        assert_int_equal(f.s->batchable, rows);
        hone_instance *instance = &f.s->instances[inside ? 0 : f.s->instance_count - 1];
        size_t usual = hone_context_memory(instance->context);
        for (int full = 1; full >= 0; full--) {
            job j;
            int left = 1;
            hone_budget_share other = {0};
            if (full) assert_true(hone_budget_take(&budget, &other, 64 << 20));
            make_job(&j, f.s, rows ? 200000 : 20000, WIDTH, 3, &left); /* 8 MB of results */
            hone_core_submit(f.core, &j.p);
            turn_until(&f.w[0], &left, 0);
            assert_int_equal(j.status, full ? HONE_RESOURCE_EXHAUSTED : HONE_OK);
            if (full) assert_non_null(strstr(j.err.message, "(--body-budget)"));
            hone_budget_release(&other);
            assert_int_equal(atomic_load(&budget.used), 0);
            assert_true(hone_context_memory(instance->context) <= usual + (4 << 20));
            assert_true(instance->pieces.capacity <= 4 << 20);
            if (!full) check_answers(&f, &j, 1);
            free_job(&j);
        }
        stop(&f);
    }
}

static void survives_lack_of_memory(void **state) {
    (void)state;
    fixture f;
    hone_core_options o = core_options(-1, 1);
    start(&f, mlp(), &o, BATCHES_OF_32);
    int failed = 0;
    for (uint64_t n = 1; n < 40; n++) {
        job j;
        int left = 1;
        make_job(&j, f.s, 4000, WIDTH, 3, &left); /* its answer is larger than what was set aside */
        hone_tensor_new(HONE_FLOAT32, 2, (int64_t[]){4000, CLASSES}, &j.out, NULL);
        hone_alloc_fail_at(n, true);
        hone_core_submit(f.core, &j.p);
        turn_until(&f.w[0], &left, 0);
        hone_alloc_fail_at(0, false);
        assert_true(j.status == HONE_OK || j.status == HONE_OUT_OF_MEMORY);
        failed += j.status != HONE_OK;
        free_job(&j);
        /* so that the next one needs memory again */
        hone_growing *pieces = &f.s->instances[f.s->instance_count - 1].pieces;
        hone_free(pieces->data);
        *pieces = (hone_growing){0};
    }
    assert_true(failed > 0);
    stop(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chooses_by_measured_cost),
        cmocka_unit_test(batches_queued_requests),
        cmocka_unit_test(goes_on_with_the_threads_it_gets),
        cmocka_unit_test(batches_the_requests_of_a_turn),
        cmocka_unit_test(runs_cheap_ones_at_the_end_of_the_turn),
        cmocka_unit_test(leaves_apart_what_depends_on_each_other),
        cmocka_unit_test(does_as_it_is_told),
        cmocka_unit_test(drops_what_is_late_and_refuses_what_is_too_much),
        cmocka_unit_test(puts_together_what_waits),
        cmocka_unit_test(breaks_off_runs_that_nobody_waits_for),
        cmocka_unit_test(waits_for_others_as_long_as_it_is_told),
        cmocka_unit_test(runs_lone_requests_alone),
        cmocka_unit_test(refuses_wrong_inputs),
        cmocka_unit_test(does_other_work_elsewhere),
        cmocka_unit_test(fails_what_is_queued_when_it_stops),
        cmocka_unit_test(runs_without_allocating),
        cmocka_unit_test(takes_no_more_than_there_is_room_for),
        cmocka_unit_test(survives_lack_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
