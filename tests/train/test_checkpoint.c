/* Checkpoints: resuming at any step gives the uninterrupted weights bit for bit; another recipe and damaged
 * files are refused. */
#include "train/small.h"

#include "train/checkpoint.h"

#include <dirent.h>
#include <sys/stat.h>

static const char *dir(void) {
    static char path[512];
    snprintf(path, sizeof path, "%s/ck", test_dir);
    return path;
}

static void clear(void) {
    ok(hone_dir_remove(dir(), &err));
}

/* --- the files --- */

static const char recipe[] = "{\"batch\": 64, \"rate\": 0.1}";

static hone_variables *store(float first) {
    hone_variables *s = hone_variables_new();
    hone_tensor *t = NULL;
    ok(hone_tensor_new(HONE_FLOAT32, 1, (int64_t[]){3}, &t, &err));
    for (int i = 0; i < 3; i++) ((float *)t->data)[i] = first + (float)i;
    ok(hone_variables_add(s, "w", t, NULL, &err));
    hone_tensor_free(t);
    return s;
}

static float first_of(const hone_variables *s) {
    return *(const float *)hone_variables_get(s, "w")->data;
}

static hone_status save(float first, int64_t step) {
    hone_variables *s = store(first);
    hone_train_state state = {.step = step, .epoch = 1, .sample = 64, .loss_sum = 0.1, .score_sum = 7};
    hone_status status = hone_checkpoint_save(dir(), s, &state, recipe, &err);
    hone_variables_free(s);
    return status;
}

static hone_status load(float *first, hone_train_state *state) {
    hone_variables *s = store(0);
    hone_status status = hone_checkpoint_load(dir(), s, state, recipe, &err);
    *first = first_of(s);
    hone_variables_free(s);
    return status;
}

static int entries(void) {
    int count = 0;
    DIR *d = opendir(dir());
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));) count += e->d_name[0] != '.' || strlen(e->d_name) > 2;
    closedir(d);
    return count;
}

static void test_round_trip(void **state) {
    (void)state;
    hone_train_state s = {0};
    float first;
    clear();
    ok(save(5, 12));
    ok(load(&first, &s));
    assert_true(first == 5);
    assert_int_equal(s.step, 12);
    assert_int_equal(s.epoch, 1);
    assert_int_equal(s.sample, 64);
    assert_true(s.loss_sum == 0.1);
    assert_true(s.score_sum == 7);
}

static void test_the_newest_two_are_kept(void **state) {
    (void)state;
    hone_train_state s;
    float first;
    clear();
    for (int i = 1; i <= 5; i++) {
        ok(save((float)i, 10 * i));
        ok(load(&first, &s));
        assert_true(first == (float)i && s.step == 10 * i);
        assert_int_equal(entries(), i == 1 ? 2 : 3); /* LATEST and one or two steps */
    }
    assert_true(hone_file_exists(test_path("ck/step-000000040")));
}

/* Training anew in a directory that another training left: its step of the same number is not ours. */
static void test_same_step_of_another_training(void **state) {
    (void)state;
    hone_train_state s;
    float first;
    clear();
    for (int i = 1; i <= 4; i++) {
        ok(save((float)i, 10));
        ok(load(&first, &s));
        assert_true(first == (float)i);
        assert_true(entries() <= 3);
    }
    ok(save(7, 5)); /* and an earlier one */
    ok(load(&first, &s));
    assert_true(first == 7 && s.step == 5);
    ok(save(8, 10));
    ok(load(&first, &s));
    assert_true(first == 8);
}

/* What killed processes leave. */
static void test_leftovers_are_swept(void **state) {
    (void)state;
    hone_train_state s;
    float first;
    clear();
    ok(save(1, 1));
    ok(hone_dir_make(test_path("ck/step-000000002.tmp"), &err));
    write_file(test_path("ck/step-000000002.tmp/state.json"), "{", 1);
    ok(hone_dir_make(test_path("ck/step-000000003"), &err));
    write_file(test_path("ck/step-000000003/state.json"), "{", 1);
    write_file(test_path("ck/.LATEST.tmp-99-0"), "step", 4);
    write_file(test_path("ck/notes"), "mine", 4);
    ok(load(&first, &s));
    assert_true(first == 1);
    ok(save(2, 2));
    ok(save(3, 3));
    ok(load(&first, &s));
    assert_true(first == 3);
    assert_int_equal(entries(), 4);
    assert_true(hone_file_exists(test_path("ck/notes"))); /* no file of ours */
}

static void test_nothing_there(void **state) {
    (void)state;
    hone_train_state s;
    float first;
    clear();
    refused(load(&first, &s), HONE_NOT_FOUND, "ck: there is no checkpoint here");
    ok(hone_dir_make(dir(), &err));
    refused(load(&first, &s), HONE_NOT_FOUND, "ck: there is no checkpoint here");
    clear();
    write_file(dir(), "a file", 6);
    assert_int_not_equal(load(&first, &s), HONE_OK);
    assert_int_not_equal(save(1, 1), HONE_OK);
    unlink(dir());
}

static void test_latest_that_names_nothing(void **state) {
    (void)state;
    static const char *const bad[] = {"",      "\n",          "step", "../step-1", "step-1/../..",
                                      "notes", "/etc/passwd", ".."};
    hone_train_state s;
    float first;
    clear();
    ok(save(1, 1));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        write_file(test_path("ck/LATEST"), bad[i], strlen(bad[i]));
        refused(load(&first, &s), HONE_CORRUPT, "LATEST: does not name a checkpoint");
    }
    write_file(test_path("ck/LATEST"), "step-000000009", 14);
    ok(load(&first, &s)); /* the one before */
    assert_true(first == 1);
    char big[1000];
    memset(big, 'a', sizeof big);
    write_file(test_path("ck/LATEST"), big, sizeof big);
    refused(load(&first, &s), HONE_CORRUPT, "LATEST: does not name a checkpoint");
    write_file(test_path("ck/LATEST"), "step-000000001\n", 15);
    ok(load(&first, &s));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) { /* a new one takes its place */
        write_file(test_path("ck/LATEST"), bad[i], strlen(bad[i]));
        ok(save(2, 2));
    }
    write_file(test_path("ck/LATEST"), big, sizeof big);
    ok(save(3, 3));
    ok(load(&first, &s));
    assert_true(first == 3);
}

static void test_damaged_state(void **state) {
    (void)state;
    static const char *const bad[] = {
        "",
        "[]",
        "{}",
        "{\"format\": 1",
        "{\"format\":3,\"checksum\":\"0\"}",
        "{\"format\":3,\"checksum\":\"0\",\"state\":{\"step\":1}}",
        "{\"format\":3,\"checksum\":\"0\",\"state\":{\"step\":1,\"epoch\":1,\"sample\":0,\"loss_sum\":\"0x0p+"
        "0\","
        "\"score_sum\":\"0x0p+0\",\"rate_factor\":\"0x1p+0\",\"best\":\"0x0p+0\",\"best_epoch\":0,"
        "\"variables\":\"0\",\"recipe\":{}}}",
    };
    hone_train_state s;
    float first;
    clear();
    ok(save(1, 1));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        write_file(test_path("ck/step-000000001/state.json"), bad[i], strlen(bad[i]));
        hone_status status = load(&first, &s);
        if (status != HONE_CORRUPT || !strstr(error_text(), "state.json"))
            fail_msg("%s: %s", bad[i], error_text());
    }
    static const char later[] = "{\"format\":4,\"state\":{}}";
    write_file(test_path("ck/step-000000001/state.json"), later, sizeof later - 1);
    refused(load(&first, &s), HONE_UNSUPPORTED, "format 4");
}

static void test_cut_short_anywhere(void **state) {
    (void)state;
    static const char *const names[] = {"ck/step-000000001/state.json",
                                        "ck/step-000000001/variables.safetensors", "ck/LATEST"};
    hone_train_state s;
    float first;
    clear();
    ok(save(1, 1));
    for (int f = 0; f < 3; f++) {
        hone_blob blob;
        ok(hone_file_read(test_path(names[f]), 0, &blob, &err));
        for (size_t size = 0; size < blob.size; size++) {
            write_file(test_path(names[f]), blob.data, size);
            hone_status status = load(&first, &s);
            if (f == 2 && status == HONE_OK && first == 1) continue; /* found without it */
            if (status == HONE_OK) fail_msg("%s of %zu bytes is taken", names[f], size);
            if (f < 2) refused(status, HONE_CORRUPT, strrchr(names[f], '/') + 1);
        }
        write_file(test_path(names[f]), blob.data, blob.size);
        hone_blob_free(&blob);
        ok(load(&first, &s));
    }
}

static void test_another_recipe(void **state) {
    (void)state;
    static const char *const other[][2] = {
        {"{\"batch\": 32, \"rate\": 0.1}", "made with batch 64, not 32"},
        {"{\"batch\": 64, \"rate\": 0.2}", "made with rate 0.1, not 0.2"},
        {"{\"batch\": 64, \"rate\": 0.1, \"seed\": 1}", "made with seed unknown, not 1"},
    };
    hone_variables *v = store(0);
    hone_train_state s;
    clear();
    ok(save(1, 1));
    for (int i = 0; i < 3; i++) {
        refused(hone_checkpoint_load(dir(), v, &s, other[i][0], &err), HONE_FAILED_PRECONDITION, other[i][1]);
        assert_true(first_of(v) == 0);
    }
    ok(hone_checkpoint_load(dir(), v, &s, "{\"rate\": 0.1, \"batch\": 64}", &err));
    hone_variables_free(v);
}

static void test_out_of_memory(void **state) {
    (void)state;
    hone_variables *v = store(3), *w = store(0);
    hone_train_state s = {.step = 2}, got;
    float first;
    clear();
    ok(save(1, 1));
    FAIL_EACH_ALLOCATION(hone_checkpoint_save(dir(), v, &s, recipe, &err), {
        ok(load(&first, &got));
        assert_true(first == 1 || first == 3);
    });
    FAIL_EACH_ALLOCATION(hone_checkpoint_load(dir(), w, &got, recipe, &err), (void)0);
    assert_true(first_of(w) == 3 && got.step == 2);
    hone_variables_free(v);
    hone_variables_free(w);
}

/* --- training --- */

static hone_dataset *data; /* 50 samples: batches of 16, 16, 16, 2 */
static hone_graph *teacher;

static int set_up(void **state) {
    data = blobs(50, 10, 3, 1);
    teacher = mlp("10-3", data, 9);
    return make_test_dir(state);
}

static int tear_down(void **state) {
    hone_graph_free(teacher);
    hone_dataset_free(data);
    return remove_test_dir(state);
}

static hone_train_options options(void) {
    hone_train_options o = HONE_TRAIN_OPTIONS_INIT;
    o.epochs = 3;
    o.batch = 16;
    o.learning_rate = 0.1;
    o.threads = 1;
    return o;
}

static bool stop_at(void *user, const hone_train_progress *p) {
    return p->step != *(const int64_t *)user;
}

static void stopped_and_resumed(hone_train_options o, int64_t at, const hone_graph *whole,
                                const hone_train_report *want) {
    hone_graph *g = mlp("10-8-3", data, 1);
    hone_train_report r;
    clear();
    o.checkpoint_dir = dir();
    o.progress = stop_at;
    o.user = &at;
    ok(hone_train(g, data, &o, &r, &err));
    assert_int_equal(r.steps, at);
    hone_graph_free(g);
    g = mlp("10-8-3", data, 2); /* other first weights: all comes from the checkpoint */
    o.resume_dir = dir();
    o.progress = NULL;
    o.threads = at % 3 ? 2 : 1;
    ok(hone_train(g, data, &o, &r, &err));
    if (!same_weights(g, whole)) fail_msg("other weights after a stop at step %d", (int)at);
    assert_int_equal(r.steps, want->steps);
    assert_true(r.loss == want->loss && r.metric.value == want->metric.value);
    assert_false(r.stopped);
    hone_graph_free(g);
}

static void resumes_at_every_step(hone_train_options o, int64_t steps) {
    hone_graph *whole = mlp("10-8-3", data, 1);
    hone_train_report want;
    ok(hone_train(whole, data, &o, &want, &err));
    assert_int_equal(want.steps, steps);
    for (int64_t at = 1; at <= steps; at++) {
        static const int64_t every[] = {1000, 0, 1000, 3}; /* beside the one at the stop */
        o.checkpoint_steps = every[at % 4];
        stopped_and_resumed(o, at, whole, &want);
    }
    hone_graph_free(whole);
}

static void test_resuming_at_every_step(void **state) {
    (void)state;
    resumes_at_every_step(options(), 12);
}

static void test_resuming_a_distillation(void **state) {
    (void)state;
    hone_train_options o = options();
    o.teacher = teacher;
    o.weight_decay = 0.01;
    o.schedule = HONE_SCHEDULE_CONSTANT;
    o.max_samples = 33; /* 16, 16, 1 */
    resumes_at_every_step(o, 9);
}

/* Stopped after each step, again and again. */
static void test_resuming_many_times(void **state) {
    (void)state;
    hone_train_options o = options();
    hone_graph *whole = mlp("10-8-3", data, 1), *g = NULL;
    hone_train_report r = {0};
    ok(hone_train(whole, data, &o, NULL, &err));
    clear();
    o.checkpoint_dir = dir();
    o.progress = stop_at;
    for (int64_t at = 1; at <= 13; at++) {
        hone_graph_free(g);
        g = mlp("10-8-3", data, 1);
        o.user = &at;
        o.threads = 1 + at % 2;
        o.resume_dir = at > 1 ? dir() : NULL;
        ok(hone_train(g, data, &o, &r, &err));
        assert_int_equal(r.steps, at < 12 ? at : 12);
    }
    assert_true(same_weights(g, whole));
    hone_graph_free(g);
    hone_graph_free(whole);
}

/* The number of the last step that is kept. */
static int last_checkpoint(int64_t every) {
    hone_train_options o = options();
    hone_graph *g = mlp("10-8-3", data, 1);
    hone_blob blob;
    char last[64];
    clear();
    o.checkpoint_dir = dir();
    o.checkpoint_steps = every;
    ok(hone_train(g, data, &o, NULL, &err));
    ok(hone_file_read(test_path("ck/LATEST"), 0, &blob, &err));
    snprintf(last, sizeof last, "%.*s", (int)blob.size, (const char *)blob.data);
    hone_blob_free(&blob);
    hone_graph_free(g);
    return atoi(last + strlen("step-"));
}

static void test_when_checkpoints_are_written(void **state) {
    (void)state;
    assert_int_equal(last_checkpoint(0), 12); /* the end of the last epoch */
    assert_true(hone_file_exists(test_path("ck/step-000000008")));
    assert_int_equal(last_checkpoint(5), 10);
    assert_true(hone_file_exists(test_path("ck/step-000000005")));
    assert_int_equal(last_checkpoint(1), 12);
    assert_true(hone_file_exists(test_path("ck/step-000000011")));
    assert_int_equal(entries(), 3);
}

/* A second training into the directory of the first, without resuming. */
static void test_training_anew_in_the_same_directory(void **state) {
    (void)state;
    hone_train_options o = options();
    hone_graph *a = mlp("10-8-3", data, 1), *b = mlp("10-8-3", data, 1), *c = mlp("10-8-3", data, 1);
    clear();
    o.checkpoint_dir = dir();
    o.checkpoint_steps = 12;
    ok(hone_train(a, data, &o, NULL, &err));
    o.seed = 2;
    ok(hone_train(b, data, &o, NULL, &err));
    assert_false(same_weights(a, b));
    o.resume_dir = dir();
    ok(hone_train(c, data, &o, NULL, &err));
    assert_true(same_weights(b, c));
    hone_graph_free(a);
    hone_graph_free(b);
    hone_graph_free(c);
}

/* Two at once would remove each other's steps. */
static bool train_inside(void *user, const hone_train_progress *p) {
    (void)user;
    hone_train_options o = options();
    hone_graph *other = mlp("10-8-3", data, 1);
    o.checkpoint_dir = dir();
    if (p->step == 3) refused(hone_train(other, data, &o, NULL, &err), HONE_UNAVAILABLE, "another training");
    hone_graph_free(other);
    return true;
}

static void test_two_trainings_in_one_directory(void **state) {
    (void)state;
    hone_train_options o = options();
    hone_graph *g = mlp("10-8-3", data, 1), *alone = copy_of(g);
    ok(hone_train(alone, data, &o, NULL, &err));
    clear();
    o.checkpoint_dir = dir();
    o.checkpoint_steps = 1;
    o.progress = train_inside;
    ok(hone_train(g, data, &o, NULL, &err));
    assert_true(same_weights(g, alone));
    assert_int_equal(entries(), 3);
    o.progress = NULL; /* released */
    ok(hone_train(g, data, &o, NULL, &err));
    hone_graph_free(alone);
    hone_graph_free(g);
}

static hone_status resume(const char *widths, const hone_dataset *d, const hone_train_options *o) {
    hone_graph *g = mlp(widths, d, 1), *before = copy_of(g);
    hone_status status = hone_train(g, d, o, NULL, &err);
    if (status != HONE_OK) assert_true(same_weights(g, before));
    hone_graph_free(g);
    hone_graph_free(before);
    return status;
}

static void test_other_settings_are_refused(void **state) {
    (void)state;
    int64_t at = 5;
    hone_train_options o = options();
    hone_graph *other_teacher = mlp("10-3", data, 10);
    clear();
    o.teacher = teacher;
    o.checkpoint_dir = dir();
    o.progress = stop_at;
    o.user = &at;
    ok(resume("10-8-3", data, &o));
    o.checkpoint_dir = NULL;
    o.resume_dir = dir();
    o.progress = NULL;
#define OTHER(assignment, text)                                                                              \
    do {                                                                                                     \
        hone_train_options other = o;                                                                        \
        other.assignment;                                                                                    \
        refused(resume("10-8-3", data, &other), HONE_FAILED_PRECONDITION, text);                             \
    } while (0)
    OTHER(epochs = 2, "made with epochs 3, not 2");
    OTHER(batch = 8, "made with batch 16, not 8");
    OTHER(learning_rate = 0.2, "made with learning rate 0.1, not 0.2");
    OTHER(momentum = 0, "made with momentum 0.9");
    OTHER(weight_decay = 0.5, "made with weight decay 0.0, not 0.5");
    OTHER(schedule = HONE_SCHEDULE_CONSTANT, "made with schedule");
    OTHER(seed = 3, "made with seed 1, not 3");
    OTHER(seed = UINT64_MAX, "made with seed 1, not ");
    OTHER(max_samples = 49, "made with data");
    OTHER(temperature = 5, "made with temperature 4.0, not 5.0");
    OTHER(alpha = 0.5, "made with alpha 0.7, not 0.5");
    OTHER(teacher = NULL, "made with teacher");
    OTHER(teacher = other_teacher, "made with teacher");
    refused(resume("10-9-3", data, &o), HONE_FAILED_PRECONDITION, "made with weights");
    hone_dataset *other = blobs(50, 10, 3, 2); /* as many samples, by the same name */
    refused(resume("10-8-3", other, &o), HONE_FAILED_PRECONDITION, "made with network");
    ok(resume("10-8-3", data, &o));
    hone_dataset_free(other);
    hone_graph_free(other_teacher);
}

/* The weights fit, but what lies between them is another function. */
static void test_another_network_is_refused(void **state) {
    (void)state;
    static const char *const activations[] = {"Relu", "Tanh", "Relu"};
    for (int i = 0; i < 3; i++) {
        int64_t at = 5;
        hone_train_options o = options();
        hone_graph *g = hone_graph_new("net");
        hone_value *h = HONE_EMIT(g, "", "MatMul", INPUT(g, 10), WEIGHT(g, "w", 1, 10, 8));
        finished(g, HONE_EMIT(g, "", "MatMul", HONE_EMIT(g, "", activations[i], h), WEIGHT(g, "v", 1, 8, 3)));
        if (i == 0) clear();
        o.checkpoint_dir = i == 0 ? dir() : NULL;
        o.resume_dir = i == 0 ? NULL : dir();
        o.progress = i == 0 ? stop_at : NULL;
        o.user = &at;
        hone_status status = hone_train(g, data, &o, NULL, &err);
        if (i == 1)
            refused(status, HONE_FAILED_PRECONDITION, "made with network");
        else
            ok(status);
        hone_graph_free(g);
    }
}

/* A state whose numbers do not belong together. */
static void test_a_position_that_cannot_be(void **state) {
    (void)state;
    static const char *const keys[] = {"step", "epoch", "sample", "score_sum"};
    static const int bad[] = {3, 4, 6, 11, 100000, -1};
    int64_t at = 5;
    hone_train_options o = options();
    clear();
    o.checkpoint_dir = dir();
    o.progress = stop_at;
    o.user = &at;
    ok(resume("10-8-3", data, &o));
    o.checkpoint_dir = NULL;
    o.resume_dir = dir();
    o.progress = NULL;
    hone_blob blob;
    ok(hone_file_read(test_path("ck/step-000000005/state.json"), 0, &blob, &err));
    for (int k = 0; k < 4; k++)
        for (size_t b = 0; b < sizeof bad / sizeof *bad; b++) {
            char text[8192], key[32];
            if (k == 3 && bad[b] >= 0 && bad[b] <= 16) continue; /* may well be */
            snprintf(key, sizeof key, "\"%s\": ", keys[k]);
            const char *found = strstr((const char *)blob.data, key), *comma = strchr(found, ',');
            snprintf(text, sizeof text, k == 3 ? "%.*s%s\"%d\"%.*s" : "%.*s%s%d%.*s",
                     (int)(found - (const char *)blob.data), (const char *)blob.data, key, bad[b],
                     (int)((const char *)blob.data + blob.size - comma), comma);
            write_file(test_path("ck/step-000000005/state.json"), text, strlen(text));
            ok(resume("10-8-3", data, &o)); /* from the step before */
        }
    write_file(test_path("ck/step-000000005/state.json"), blob.data, blob.size);
    ok(resume("10-8-3", data, &o));
    hone_blob_free(&blob);
}

static void test_resuming_out_of_memory(void **state) {
    (void)state;
    int64_t at = 5;
    hone_train_options o = options();
    hone_graph *whole = mlp("10-8-3", data, 1), *g = mlp("10-8-3", data, 1), *before = copy_of(g);
    ok(hone_train(whole, data, &o, NULL, &err));
    clear();
    o.checkpoint_dir = dir();
    o.progress = stop_at;
    o.user = &at;
    ok(resume("10-8-3", data, &o));
    o.resume_dir = dir();
    o.checkpoint_dir = NULL;
    o.progress = NULL;
    FAIL_EACH_ALLOCATION(hone_train(g, data, &o, NULL, &err), assert_true(same_weights(g, before)));
    assert_true(same_weights(g, whole));
    hone_graph_free(whole);
    hone_graph_free(before);
    hone_graph_free(g);
}

/* Nothing can be written: the training ends with the reason, the graph as it was. */
static void test_a_directory_that_cannot_be_written(void **state) {
    (void)state;
    hone_train_options o = options();
    clear();
    write_file(dir(), "", 0);
    o.checkpoint_dir = dir();
    assert_int_not_equal(resume("10-8-3", data, &o), HONE_OK);
    assert_non_null(strstr(error_text(), "ck"));
    unlink(dir());
    ok(hone_dir_make(dir(), &err));
    o.checkpoint_dir = test_path("ck/deeper/and/deeper"); /* made on the way */
    ok(resume("10-8-3", data, &o));
    assert_true(hone_file_exists(test_path("ck/deeper/and/deeper/LATEST")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_the_newest_two_are_kept),
        cmocka_unit_test(test_same_step_of_another_training),
        cmocka_unit_test(test_leftovers_are_swept),
        cmocka_unit_test(test_nothing_there),
        cmocka_unit_test(test_latest_that_names_nothing),
        cmocka_unit_test(test_damaged_state),
        cmocka_unit_test(test_cut_short_anywhere),
        cmocka_unit_test(test_another_recipe),
        cmocka_unit_test(test_out_of_memory),
        cmocka_unit_test(test_resuming_at_every_step),
        cmocka_unit_test(test_resuming_a_distillation),
        cmocka_unit_test(test_resuming_many_times),
        cmocka_unit_test(test_when_checkpoints_are_written),
        cmocka_unit_test(test_training_anew_in_the_same_directory),
        cmocka_unit_test(test_two_trainings_in_one_directory),
        cmocka_unit_test(test_other_settings_are_refused),
        cmocka_unit_test(test_another_network_is_refused),
        cmocka_unit_test(test_a_position_that_cannot_be),
        cmocka_unit_test(test_resuming_out_of_memory),
        cmocka_unit_test(test_a_directory_that_cannot_be_written),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
