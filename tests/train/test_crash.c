/* Killed at any moment, training goes on to the very bits that it would have given: before every rename and
 * fsync, again and again, over another training's checkpoints, and at random times. Each training is a
 * process of its own. */
#include "base/clock.h"
#include "train/small.h"

#include <signal.h>
#include <sys/wait.h>
#include <time.h>

static char checkpoints[300], whole_path[300], out_path[300];

/* What the children do. */
typedef struct plan {
    int stop_at; /* the n-th rename or fsync; 0: none */
    uint64_t seed;
    int threads, epochs;
    int64_t every;
    bool resume, keep; /* keep: write checkpoints */
} plan;

static int train_here(const plan *p, const char *out) {
    char n[20];
    snprintf(n, sizeof n, "%d", p->stop_at);
    if (p->stop_at) setenv("HONE_TEST_STOP_AT", n, 1);
    hone_dataset *d = blobs(90, 12, 4, 1);
    hone_graph *g = mlp("12-9-4", d, 1);
    hone_train_options o = HONE_TRAIN_OPTIONS_INIT;
    o.epochs = p->epochs;
    o.batch = 16;
    o.seed = p->seed;
    o.threads = p->threads;
    o.checkpoint_steps = p->every;
    if (p->keep) o.checkpoint_dir = checkpoints;
    if (p->resume) o.resume_dir = checkpoints;
    hone_status status = hone_train(g, d, &o, NULL, &err);
    if (status == HONE_OK) status = hone_graph_save(g, out, &err);
    hone_graph_free(g);
    hone_dataset_free(d);
    return status == HONE_OK ? 0 : status == HONE_FAILED_PRECONDITION ? 2 : 1;
}

static pid_t begin(plan p, const char *out) {
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) _exit(train_here(&p, out));
    return pid;
}

/* The exit status, or minus the signal. */
static int ended(pid_t pid) {
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static int run(plan p) {
    return ended(begin(p, out_path));
}

static void clear(void) {
    ok(hone_dir_remove(checkpoints, &err));
    unlink(out_path);
}

static bool has_checkpoint(void) {
    return hone_file_exists(test_path("ck/LATEST"));
}

static bool same_files(const char *a, const char *b) {
    hone_blob x, y;
    ok(hone_file_read(a, 0, &x, &err));
    ok(hone_file_read(b, 0, &y, &err));
    bool same = x.size == y.size && memcmp(x.data, y.data, x.size) == 0;
    hone_blob_free(&x);
    hone_blob_free(&y);
    return same;
}

static plan make_plan(void) {
    return (plan){.seed = 1, .threads = 1, .epochs = 2, .every = 5, .keep = true};
}

static int set_up(void **state) {
    if (make_test_dir(state) != 0) return -1;
    snprintf(checkpoints, sizeof checkpoints, "%s/ck", test_dir);
    snprintf(whole_path, sizeof whole_path, "%s/whole.onnx", test_dir);
    snprintf(out_path, sizeof out_path, "%s/out.onnx", test_dir);
    plan p = make_plan();
    p.keep = false;
    return ended(begin(p, whole_path));
}

static void test_killed_before_every_rename_and_fsync(void **state) {
    (void)state;
    int n = 1;
    for (;; n++) {
        plan p = make_plan();
        p.stop_at = n;
        clear();
        int status = run(p);
        if (status == 0) break;
        assert_int_equal(status, -SIGKILL);
        if (hone_file_exists(out_path)) assert_true(same_files(out_path, whole_path));
        p.stop_at = 0;
        p.resume = has_checkpoint();
        p.threads = 1 + n % 2;
        assert_int_equal(run(p), 0);
        if (!same_files(out_path, whole_path)) fail_msg("other weights after a kill at %d", n);
    }
    assert_true(n > 20);
    assert_true(same_files(out_path, whole_path));
}

static void test_killed_again_and_again(void **state) {
    (void)state;
    int kills = 0;
    plan p = make_plan();
    p.every = 1;
    clear();
    for (;; kills++) {
        p.stop_at = 10 + kills % 7; /* enough for one checkpoint */
        p.resume = has_checkpoint();
        p.threads = 1 + kills % 2;
        int status = run(p);
        if (status == 0) break;
        assert_int_equal(status, -SIGKILL);
        assert_true(kills < 100);
    }
    assert_true(kills >= 5);
    assert_true(same_files(out_path, whole_path));
}

/* The checkpoints of another training, of the same steps, are there: until ours is whole, theirs is. */
static void test_killed_over_another_training(void **state) {
    (void)state;
    char other_path[300];
    int ours = 0, theirs = 0, n = 1;
    snprintf(other_path, sizeof other_path, "%s/other.onnx", test_dir);
    plan other = make_plan();
    other.seed = 2;
    other.every = 12;
    for (;; n++) {
        plan p = make_plan();
        p.every = 12;
        p.stop_at = n;
        clear();
        assert_int_equal(ended(begin(other, other_path)), 0);
        int status = run(p);
        if (status == 0) break;
        assert_int_equal(status, -SIGKILL);
        p.stop_at = 0;
        p.resume = true;
        status = run(p);
        if (status == 0) {
            assert_true(same_files(out_path, whole_path));
            ours++;
            continue;
        }
        assert_int_equal(status, 2); /* the recipe's seed is theirs */
        p.seed = 2;
        assert_int_equal(run(p), 0);
        assert_true(same_files(out_path, other_path));
        theirs++;
    }
    assert_true(ours > 0 && theirs > 0);
}

static void test_killed_at_random(void **state) {
    (void)state;
    int kills = 0;
    hone_rng rng = hone_rng_make(1, 1);
    plan p = make_plan();
    p.every = 1;
    clear();
    double took = hone_seconds_now();
    assert_int_equal(run(p), 0);
    took = hone_seconds_now() - took;
    for (int round = 0; round < 10 || (kills == 0 && round < 100); round++) {
        clear();
        for (int i = 0;; i++) {
            p.resume = has_checkpoint();
            p.threads = 1 + i % 2;
            pid_t pid = begin(p, out_path);
            double wait = took * hone_rng_uniform(&rng);
            struct timespec t = {(time_t)wait, (long)(1e9 * (wait - (double)(time_t)wait))};
            if (i < 10) nanosleep(&t, NULL);
            if (i < 10) kill(pid, SIGKILL);
            int status = ended(pid);
            if (status == 0) break;
            assert_int_equal(status, -SIGKILL);
            kills++;
        }
        assert_true(same_files(out_path, whole_path));
    }
    assert_true(kills > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_killed_before_every_rename_and_fsync),
        cmocka_unit_test(test_killed_again_and_again),
        cmocka_unit_test(test_killed_over_another_training),
        cmocka_unit_test(test_killed_at_random),
    };
    return cmocka_run_group_tests(tests, set_up, remove_test_dir);
}
