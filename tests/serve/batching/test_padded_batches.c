/* Requests of different lengths that run together. */
#include "base/memory.h"
#include "serve/batches.h"
#include "serve/batching/batch_list.h"
#include "serve/models.h"

#include <stdio.h>
#include <stdlib.h>

#define OPEN "{\"pad\": true, \"batching\": {\"max_batch_size\": 8}}"
#define LISTED "{\"pad\": true, \"dims\": {\"length\": [4, 8, 16]}, \"batching\": {\"max_batch_size\": 8}}"

static int64_t length_of(int i) {
    static const int64_t lengths[] = {3, 7, 1, 12, 16, 5, 4, 9, 20, 2, 8, 15};
    return lengths[i % 12];
}

/* What is in the result of run, beside what is right: y = x · total, total = Σ x. */
static void check(const job *j) {
    const float *x = j->in[0]->data, *y = j->out->data;
    int64_t rows = j->in[0]->dims[0], length = j->in[0]->dims[1];
    if (j->status != HONE_OK) fail_msg("%s", j->err.message);
    assert_int_equal(j->done, 1);
    assert_int_equal(j->out->rank, 2);
    assert_int_equal(j->out->dims[0], rows);
    assert_int_equal(j->out->dims[1], length);
    for (int64_t r = 0; r < rows; r++) {
        double sum = 0;
        for (int64_t i = 0; i < length; i++) sum += (double)x[r * length + i];
        for (int64_t i = 0; i < length; i++)
            assert_float_equal(y[r * length + i], (double)x[r * length + i] * sum, 1e-5);
    }
}

/* Rows of a batch are the cheaper, the more there are; or all cost the same. */
static void set_costs(hone_servable *s, bool same) {
    for (int n = 0; n < s->bucket_count; n++)
        for (int i = 0; i < s->buckets[n].size_count; i++)
            s->buckets[n].cost[i] = same ? s->buckets[n].sizes[i] : 1 + 0.01 * s->buckets[n].sizes[i];
}

static void answer_as_alone(const char *settings, double inline_cost, int threads) {
    enum { COUNT = 240 };
    fixture f;
    hone_core_options o = core_options(inline_cost, threads);
    start(&f, lengths_model("ReduceSum"), &o, settings);
    assert_string_equal(f.s->unpadded, "");
    set_costs(f.s, false);
    job *jobs = calloc(COUNT, sizeof *jobs);
    int left[2] = {0, 0};
    int64_t most = 0;
    for (int i = 0; i < COUNT; i++) {
        int64_t rows = i % 29 == 0 ? 11 : 1 + i % 2; /* some are larger than any batch */
        make_job(&jobs[i], f.s, rows, length_of(i), (unsigned)i, &left[i % 2]);
        jobs[i].p.worker = i % 2;
        left[i % 2]++;
        hone_core_submit(f.core, &jobs[i].p);
    }
    for (int k = 0; k < 2; k++) turn_until(&f.w[k], &left[k], 0);
    for (int i = 0; i < COUNT; i++) {
        check(&jobs[i]);
        if (i % 29 && jobs[i].p.batch_rows > most) most = jobs[i].p.batch_rows;
        free_job(&jobs[i]);
    }
    assert_true(most > 2);
    free(jobs);
    stop(&f);
}

static void answers_as_alone(void **state) {
    (void)state;
    answer_as_alone(OPEN, 1e9, 0);
    answer_as_alone(OPEN, -1, 2);
    answer_as_alone(LISTED, 1e9, 0);
    answer_as_alone(LISTED, -1, 2);
}

/* How many of the predictions of these lengths run together with the first one. */
static int taken(hone_servable *s, const int64_t *lengths, int count, int *which) {
    hone_prediction p[12] = {0};
    hone_tensor t[12];
    const hone_tensor *in[12];
    hone_batch_list l = {0}, out = {0};
    for (int i = 0; i < count; i++) {
        t[i] = (hone_tensor){.dtype = HONE_FLOAT32,
                             .rank = 2,
                             .dims = {1, lengths[i]},
                             .count = lengths[i],
                             .bytes = (size_t)lengths[i] * 4};
        in[i] = &t[i];
        p[i] = (hone_prediction){.servable = s, .part = hone_part_of(s, &in[i])};
        hone_batch_list_append(&l, &p[i]);
    }
    hone_batch_list_take(s, &l, hone_batch_list_choose(s, &l), &out);
    int n = 0;
    for (hone_prediction *q = out.first; q; q = q->next) which[n++] = (int)(q - p);
    return n;
}

static void expect_taken(hone_servable *s, const int64_t *lengths, int count, int wanted, const int *which) {
    int is[12];
    assert_int_equal(taken(s, lengths, count, is), wanted);
    for (int i = 0; i < wanted; i++) assert_int_equal(is[i], which[i]);
}

static void chooses_who_runs_together(void **state) {
    (void)state;
    fixture f;
    hone_core_options o = core_options(1e9, 0);
    start(&f, lengths_model("ReduceSum"), &o, LISTED);
    set_costs(f.s, false);
    /* those of the same listed size; beyond the largest one of the same length; and not where most is
     * padding */
    expect_taken(f.s, (int64_t[]){5, 8, 3, 6, 9, 7}, 6, 4, (int[]){0, 1, 3, 5});
    expect_taken(f.s, (int64_t[]){20, 16, 20, 21, 19}, 5, 2, (int[]){0, 2});
    expect_taken(f.s, (int64_t[]){4, 1, 1, 1, 1, 3}, 6, 4, (int[]){0, 1, 2, 5});
    set_costs(f.s, true);
    expect_taken(f.s, (int64_t[]){5, 8, 6, 7}, 4, 1, (int[]){0}); /* alone nothing is padded */
    expect_taken(f.s, (int64_t[]){8, 3, 5, 8, 7}, 5, 2, (int[]){0, 3});
    expect_taken(f.s, (int64_t[]){8, 8, 8, 8}, 4, 4, (int[]){0, 1, 2, 3});
    stop(&f);
    start(&f, lengths_model("ReduceSum"), &o, OPEN);
    set_costs(f.s, false);
    expect_taken(f.s, (int64_t[]){5, 8, 100, 6, 2}, 5, 4, (int[]){0, 1, 3, 4});
    stop(&f);
    start(&f, lengths_model("ReduceMean"), &o, OPEN); /* is not padded */
    set_costs(f.s, false);
    expect_taken(f.s, (int64_t[]){5, 8, 5, 6}, 4, 2, (int[]){0, 2});
    stop(&f);
}

/* Submits a turn's predictions of these lengths. */
static void run_turn(fixture *f, job *jobs, int count) {
    int left = count;
    for (int i = 0; i < count; i++) {
        jobs[i].left = &left;
        jobs[i].done = 0;
        hone_core_submit(f->core, &jobs[i].p);
    }
    turn_until(&f->w[0], &left, 0);
    for (int i = 0; i < count; i++) check(&jobs[i]);
}

/* Of listed sizes warm-up has left everything ready; of others, once they were there. */
static void allocate_nothing(const char *settings, bool listed) {
    enum { COUNT = 6 };
    fixture f;
    hone_core_options o = core_options(1e9, 0);
    start(&f, lengths_model("ReduceSum"), &o, settings);
    set_costs(f.s, false);
    job jobs[COUNT], small[COUNT];
    for (int i = 0; i < COUNT; i++) {
        make_job(&jobs[i], f.s, 1, 11 + i % 5, (unsigned)i, NULL);
        make_job(&small[i], f.s, 1, 3 + i % 2, (unsigned)i, NULL);
        assert_int_equal(hone_tensor_copy_of(HONE_FLOAT32, 2, jobs[i].in[0]->dims, jobs[i].in[0]->data,
                                             &jobs[i].out, NULL),
                         HONE_OK); /* what a job keeps is its own */
    }
    run_turn(&f, listed ? small : jobs, COUNT); /* series are made when they are first used */
    uint64_t plans = hone_session_plans_compiled(f.s->session), before = hone_alloc_count();
    run_turn(&f, jobs, COUNT);
    assert_int_equal(jobs[0].p.batch_rows, 8); /* six, filled up */
    assert_int_equal(hone_session_plans_compiled(f.s->session), plans);
    assert_int_equal(hone_alloc_count(), before);
    for (int i = 0; i < COUNT; i++) free_job(&jobs[i]), free_job(&small[i]);
    stop(&f);
}

static void allocates_nothing(void **state) {
    (void)state;
    allocate_nothing(LISTED, true);
    allocate_nothing(OPEN, false);
}

static double metric_of(fixture *f, const char *series) {
    char *text;
    assert_int_equal(hone_metrics_write(hone_stats_metrics(f->stats), &text, NULL, NULL), HONE_OK);
    const char *at = strstr(text, series);
    double value = at ? atof(at + strlen(series)) : -1;
    hone_metrics_free_text(text);
    return value;
}

static void counts_what_is_padded(void **state) {
    (void)state;
    fixture f;
    hone_core_options o = core_options(1e9, 0);
    start(&f, lengths_model("ReduceSum"), &o, LISTED);
    set_costs(f.s, false);
    const char *own = "\nhone_padded_elements_total{model=\"m\",kind=\"own\"} ";
    const char *padding = "\nhone_padded_elements_total{model=\"m\",kind=\"padding\"} ";
    assert_true(metric_of(&f, own) < 0);
    job jobs[3];
    for (int i = 0; i < 3; i++) make_job(&jobs[i], f.s, 2, 14 + i, (unsigned)i, NULL);
    run_turn(&f, jobs, 3);
    assert_float_equal(metric_of(&f, own), 2 * (14 + 15 + 16), 0);
    assert_float_equal(metric_of(&f, padding), 2 * (2 + 1), 0);
    run_turn(&f, jobs, 1); /* alone it is not padded */
    assert_float_equal(metric_of(&f, own), 2 * (14 + 15 + 16 + 14), 0);
    assert_float_equal(metric_of(&f, padding), 2 * (2 + 1), 0);
    for (int i = 0; i < 3; i++) free_job(&jobs[i]);
    stop(&f);
}

/* That is a state of the version, for whoever asks why nothing runs together. */
typedef struct look {
    hone_version_state state;
    hone_status code;
    char message[400];
} look;

static void see(void *user, const hone_version_status *v) {
    look *l = user;
    l->state = v->state;
    l->code = v->code;
    snprintf(l->message, sizeof l->message, "%s", v->message);
}

static void says_why_nothing_is_padded(void **state) {
    (void)state;
    static const char *const ops[] = {"ReduceMean", "ReduceSum"};
    for (int i = 0; i < 2; i++) {
        fixture f;
        look l = {0};
        hone_core_options o = core_options(1e9, 0);
        start(&f, lengths_model(ops[i]), &o, OPEN);
        hone_core_states(f.core, slice("m"), see, &l);
        assert_int_equal(l.state, HONE_VERSION_AVAILABLE);
        assert_int_equal(l.code, HONE_OK);
        if (i)
            assert_string_equal(l.message, "");
        else
            assert_non_null(strstr(l.message, "requests are not padded: \"y\" changes by "));
        stop(&f);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_as_alone),           cmocka_unit_test(chooses_who_runs_together),
        cmocka_unit_test(allocates_nothing),          cmocka_unit_test(counts_what_is_padded),
        cmocka_unit_test(says_why_nothing_is_padded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
