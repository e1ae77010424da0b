/* Every file that a version is made of, and everything that may happen to it. */
#include "serve/cores.h"

#include "onnx/model.h"
#include "onnx/onnx.h"

#include <hone/log.h>

#include <sys/socket.h>
#include <sys/un.h>

/* --- the files --- */

enum { WIDTH = 20000 }; /* floats: enough to be mapped */

typedef enum part { MODEL, DATA, NESTED, RECORD, SETTINGS, PARTS } part;
static const char *const files[PARTS] = {"1/model.onnx", "1/w.bin", "1/data/w.bin", "1/warmup/r0/input_0.pb",
                                         "config.json"};

typedef struct content {
    uint8_t *data;
    size_t size;
} content;

static content copy_of(const void *data, size_t size) {
    content c = {malloc(size), size};
    if (!c.data) abort();
    memcpy(c.data, data, size);
    return c;
}

static content floats(float x) {
    static float w[WIDTH];
    for (int i = 0; i < WIDTH; i++) w[i] = x;
    return copy_of(w, sizeof w);
}

/* y = x + [x, …], with the numbers in the file. */
static content model_with(float x) {
    hone_graph *g = hone_graph_new("plus");
    hone_type type = {HONE_KIND_TENSOR, HONE_FLOAT32, 2, {hone_graph_symbol(g, "batch"), WIDTH}};
    hone_tensor *t = NULL;
    hone_blob blob;
    content w = floats(x);
    if (hone_tensor_copy_of(HONE_FLOAT32, 1, (int64_t[]){WIDTH}, w.data, &t, NULL) != HONE_OK) abort();
    hone_value *v = hone_graph_add_input(g, "x", &type);
    v = HONE_EMIT(g, "", "Add", v, hone_graph_add_constant(g, "w", t));
    hone_graph_rename(g, v, "y");
    hone_graph_add_output(g, v);
    if (hone_graph_infer(g, NULL) != HONE_OK || hone_onnx_write(g, &blob, NULL) != HONE_OK) abort();
    content c = copy_of(blob.data, blob.size);
    hone_blob_free(&blob);
    hone_tensor_free(t);
    hone_graph_free(g);
    free(w.data);
    return c;
}

/* The same, with the numbers beside it. */
static content model_beside(const char *location) {
    static bytes tensor, graph, model;
    graph.size = 0;
    tensor_begin(&tensor, "w", HONE_FLOAT32, 1, (int64_t[]){WIDTH});
    put_entry(&tensor, 13, "location", location);
    put_int(&tensor, 14, 1);
    put_message(&graph, 5, &tensor);
    put_node(&graph, "Add", "n", "x,w", "y", NULL);
    put_value(&graph, PART_INPUT, "x", HONE_FLOAT32, "batch,20000");
    put_value(&graph, PART_OUTPUT, "y", HONE_FLOAT32, "batch,20000");
    model_of(&model, &graph, 14);
    return copy_of(model.data, model.size);
}

static content request_with(float x) {
    static uint8_t message[WIDTH * 4 + 64];
    static const uint8_t head[] = {0x08, 1, 0x08, 0xa0, 0x9c, 1, 0x10, 1, 0x4a, 0x80, 0xf1, 4};
    content w = floats(x);
    memcpy(message, head, sizeof head);
    memcpy(message + sizeof head, w.data, w.size);
    content c = copy_of(message, sizeof head + w.size);
    free(w.data);
    return c;
}

static content content_of(part p, int x) {
    char text[40];
    switch (p) {
    case MODEL: return model_with((float)x);
    case RECORD: return request_with((float)x);
    case SETTINGS:
        return copy_of(text, (size_t)snprintf(text, sizeof text, "{\"limits\": {\"queue\": %d}}", x));
    default: return floats((float)x);
    }
}

static void write_new(const char *path, content c) {
    char dir[PATH_MAX];
    snprintf(dir, sizeof dir, "%s", path);
    *strrchr(dir, '/') = 0;
    repo_mkdir(dir);
    repo_write(path, c.data, c.size);
    free(c.data);
}

/* All files of a version but the one in question. */
static void write_others(const char *model, const char *version, part p) {
    const char *location = p == NESTED ? "data/w.bin" : "w.bin";
    if (p == MODEL) return;
    write_new(repo_path("%s/%s/model.onnx", model, version), model_beside(location));
    if (p != DATA && p != NESTED) write_new(repo_path("%s/%s/w.bin", model, version), floats(1));
}

/* --- what happens to them --- */

typedef enum event {
    CHANGED,   /* in its place, by as many bytes */
    DISGUISED, /* so, and given its old time back */
    HELD,      /* so, and its writer keeps it open */
    REPLACED,  /* another file takes its name */
    RELINKED,  /* it is a link, which leads elsewhere by now */
    FAR,       /* it is a link through a link that does */
    TRUNCATED,
    REMOVED,
    PIPE,      /* takes its name */
    SOCKET,    /* likewise */
    DIRECTORY, /* likewise */
    EVENTS
} event;
static const char *const events[EVENTS] = {"changed",  "disguised", "held open",  "replaced",
                                           "relinked", "far link",  "truncated",  "removed",
                                           "a pipe",   "a socket",  "a directory"};

static int held = -1;

static void write_in_place(const char *path, content c, bool hold) {
    int fd = open(path, O_WRONLY);
    assert_true(fd >= 0 && pwrite(fd, c.data, c.size, 0) == (ssize_t)c.size);
    free(c.data);
    if (hold)
        held = fd;
    else
        close(fd);
}

static void move_to(const char *from, const char *to) {
    assert_int_equal(rename(from, to), 0);
}

static void link_to(const char *what, const char *path) {
    char *hidden = repo_path(".link");
    assert_int_equal(symlink(what, hidden), 0);
    move_to(hidden, path);
}

static int64_t changed_at(const char *path) {
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    return hone_fingerprint_of(&info).changed;
}

/* How it is before. */
static void prepare(part p, event e, const char *path) {
    const char *up = p == RECORD ? "../../../.." : p == NESTED ? "../../.." : p == SETTINGS ? ".." : "../..";
    char text[PATH_MAX];
    write_new(path, content_of(p, 1));
    if (e != RELINKED && e != FAR) return;
    for (int x = 1; x <= 2; x++) {
        /* external data may lie nowhere but in the version's directory */
        bool inside = p == DATA || p == NESTED;
        write_new(repo_path(inside ? "m/1/.store/rev%d/file" : ".store/rev%d/file", x), content_of(p, x));
    }
    bool inside = p == DATA || p == NESTED;
    if (e == FAR) link_to("rev1", inside ? repo_path("m/1/.store/current") : repo_path(".store/current"));
    snprintf(text, sizeof text, "%s/.store/%s/file", inside ? (p == NESTED ? ".." : ".") : up,
             e == FAR ? "current" : "rev1");
    link_to(text, path);
}

static void make_socket(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    close(fd);
}

static void happen(part p, event e, const char *path) {
    struct stat info;
    char text[PATH_MAX];
    bool inside = p == DATA || p == NESTED;
    assert_int_equal(stat(path, &info), 0);
    struct timespec times[] = {info.st_atim, info.st_mtim};
    switch (e) {
    case CHANGED: write_in_place(path, content_of(p, 2), false); break;
    case DISGUISED:
        for (int64_t before = changed_at(path);
             changed_at(path) == before;) { /* the clock of files ticks slowly */
            write_in_place(path, content_of(p, 2), false);
            assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
        }
        break;
    case HELD: write_in_place(path, content_of(p, 2), true); break;
    case REPLACED:
        write_new(repo_path(".new"), content_of(p, 2));
        move_to(repo_path(".new"), path);
        break;
    case RELINKED:
        assert_true(readlink(path, text, sizeof text) > 0);
        strstr(text, "rev1")[3] = '2';
        strstr(text, "/file")[5] = 0;
        link_to(text, path);
        break;
    case FAR: link_to("rev2", inside ? repo_path("m/1/.store/current") : repo_path(".store/current")); break;
    case TRUNCATED: assert_int_equal(truncate(path, info.st_size / 2), 0); break;
    case REMOVED: assert_int_equal(unlink(path), 0); break;
    case PIPE:
        assert_int_equal(mkfifo(repo_path(".pipe"), 0600), 0);
        move_to(repo_path(".pipe"), path);
        break;
    case SOCKET:
        make_socket(repo_path(".socket"));
        move_to(repo_path(".socket"), path);
        break;
    case DIRECTORY:
        assert_int_equal(unlink(path), 0);
        repo_mkdir(path);
        break;
    case EVENTS: break;
    }
}

/* --- what is to come of it --- */

#define NEW NULL /* the new content is served; else the old one is, and this is told */

static const char *const outcomes[PARTS][EVENTS] = {
    [MODEL] = {NEW, NEW, NEW, NEW, NEW, NEW, "is not a ModelProto", "its files are gone", "but a pipe",
               "but a socket", "but a directory"},
    [DATA] = {NEW, NEW, NEW, NEW, NEW, NEW, "are needed from byte 0 on", "cannot open the external data",
              "is not a regular file", "is not a regular file", "is not a regular file"},
    [NESTED] = {NEW, NEW, NEW, NEW, NEW, NEW, "are needed from byte 0 on", "cannot open the external data",
                "is not a regular file", "is not a regular file", "is not a regular file"},
    [RECORD] = {NEW, NEW, NEW, NEW, NEW, NEW, "input_0.pb", "input_0.pb", "but a pipe", "but a socket",
                "but a directory"},
    [SETTINGS] = {NEW, NEW, NEW, NEW, NEW, NEW, "config.json", NEW, "but a pipe", "but a socket",
                  "but a directory"},
};

static int queue_of(const char *name) {
    hone_servable *s = hone_core_find(f.core, slice(name), HONE_LATEST);
    int queue = s ? s->settings.max_queue : -1;
    hone_servable_release(s);
    return queue;
}

static int loads(const char *name) {
    char *text, series[100];
    snprintf(series, sizeof series, "hone_model_loads_total{model=\"%s\",result=\"ok\"} ", name);
    assert_int_equal(hone_metrics_write(hone_stats_metrics(f.stats), &text, NULL, NULL), HONE_OK);
    const char *at = strstr(text, series);
    int count = at ? atoi(at + strlen(series)) : 0;
    hone_metrics_free_text(text);
    return count;
}

/* Is the content with this number in use? Of recorded requests it can only be told how often they were used. */
static bool serves(part p, int x) {
    if (p == SETTINGS) return queue_of("m") == x;
    if (p == RECORD) return loads("m") >= x;
    return ask("m", HONE_LATEST) == (float)x && loads("m") >= x;
}

static void expect(part p, event e, const char *outcome, const char *mode) {
    int x = e == REMOVED && p == SETTINGS ? 0 : 2;
    look l = {0};
    for (int i = 0; i < WAIT_MS / 2; i++, usleep(2000)) {
        l = look_at("m", 1);
        if (outcome == NEW && serves(p, x) && l.state == HONE_VERSION_AVAILABLE && !l.message[0]) return;
        if (outcome != NEW && l.state == HONE_VERSION_AVAILABLE && strstr(l.message, outcome)) break;
    }
    if (outcome != NEW && strstr(l.message, outcome) && serves(p, 1)) return;
    fail_msg("%s, %s, %s: %s \"%s\", answers %g, loaded %d times", files[p], events[e], mode,
             hone_version_state_name(l.state), l.message, (double)ask("m", HONE_LATEST), loads("m"));
}

static void walk(bool polling, bool mapped) {
    const char *mode = polling ? "polling" : mapped ? "mapped" : "watching";
    hone_core_options o = options();
    o.polling = polling;
    o.map_weights = mapped;
    for (part p = 0; p < PARTS; p++)
        for (event e = 0; e < EVENTS; e++) {
            if (mapped && e == TRUNCATED && p <= NESTED) continue; /* what was loaded can't go on then */
            char *path = repo_path("m/%s", files[p]), file[PATH_MAX];
            snprintf(file, sizeof file, "%s", path);
            write_others("m", "1", p);
            prepare(p, e, file);
            start_with(&o);
            assert_true(serves(p, 1));
            happen(p, e, file);
            expect(p, e, outcomes[p][e], mode);
            stop();
            if (held >= 0) close(held);
            held = -1;
            assert_int_equal(hone_dir_remove(repo_path("m"), NULL), HONE_OK);
            assert_int_equal(hone_dir_remove(repo_path(".store"), NULL), HONE_OK);
        }
}

static void follows_every_file_by_watching(void **state) {
    (void)state;
    walk(false, false);
}
static void follows_every_file_by_polling(void **state) {
    (void)state;
    walk(true, false);
}
static void follows_every_file_that_is_mapped(void **state) {
    (void)state;
    walk(false, true);
}

/* --- versions that come in pieces --- */

static void make_sparse(const char *path, size_t size) {
    write_new(path, (content){malloc(1), 0});
    assert_int_equal(truncate(path, (off_t)size), 0);
}

static size_t size_of(part p) {
    content c = content_of(p, 2);
    free(c.data);
    return c.size;
}

/* A download in several streams: a file has its size, and reads as zeros, before its content. */
static void wait_for_content(hone_reload_policy policy) {
    hone_core_options o = options();
    part end =
        policy == HONE_RELOAD_REPLACE ? RECORD : SETTINGS; /* requests are read when the old one has gone */
    o.reload = policy;
    for (part p = MODEL; p < end; p++) {
        char *path = repo_path("m/2/%s", files[p] + 2), file[PATH_MAX];
        snprintf(file, sizeof file, "%s", path);
        write_others("m", "1", DATA);
        write_new(repo_path("m/1/w.bin"), floats(1));
        start_with(&o);
        make_sparse(file, size_of(p));
        write_others("m", "2", p);
        if (p == RECORD) /* the model itself answers 1 */
            expect_state("m", 2, HONE_VERSION_END, "input_0.pb");
        else
            expect_state("m", 2, HONE_VERSION_START, "has holes");
        errand e;
        assert_int_equal(refresh(&e), HONE_OK); /* SIGHUP changes nothing of that */
        assert_true(ask("m", HONE_LATEST) == 1 && loads("m") == 1);
        write_in_place(file, content_of(p, 2), true);
        expect_state("m", 2, HONE_VERSION_AVAILABLE, "");
        assert_true(ask("m", 2) == (p == RECORD ? 1 : 2) && loads("m") == 2);
        stop();
        close(held);
        held = -1;
        assert_int_equal(hone_dir_remove(repo_path("m"), NULL), HONE_OK);
    }
}

static void waits_for_content(void **state) {
    (void)state;
    wait_for_content(HONE_RELOAD_OVERLAP);
}
static void waits_for_content_before_it_replaces(void **state) {
    (void)state;
    wait_for_content(HONE_RELOAD_REPLACE);
}

/* Zeros may be meant: at the start, and when somebody asks for that model, it is served as it is. */
static void takes_holes_as_they_are(void **state) {
    (void)state;
    errand e;
    write_others("m", "1", DATA);
    make_sparse(repo_path("m/1/w.bin"), size_of(DATA));
    start();
    assert_true(ask("m", 1) == 0);
    write_others("m", "2", DATA);
    make_sparse(repo_path("m/2/w.bin"), size_of(DATA));
    assert_int_equal(load(&e, "m", NULL), HONE_OK);
    assert_true(ask("m", 2) == 0 && loads("m") == 2);
}

static atomic_int errors;
static void count_errors(void *user, hone_log_level level, const char *message) {
    (void)user, (void)message;
    if (level == HONE_LOG_ERROR) atomic_fetch_add(&errors, 1);
}

/* The model is there before its data, which are there bit by bit: that is said once, not at each try. */
static void waits_for_late_data(void **state) {
    (void)state;
    content c = floats(2);
    hone_log_set(count_errors, NULL, HONE_LOG_ERROR);
    atomic_store(&errors, 0);
    write_others("m", "1", DATA);
    write_new(repo_path("m/1/w.bin"), floats(1));
    start();
    write_others("m", "2", DATA);
    expect_state("m", 2, HONE_VERSION_END, "cannot open the external data");
    assert_int_equal(atomic_load(&errors), 1);
    int fd = open(repo_path("m/2/w.bin"), O_WRONLY | O_CREAT, 0600);
    char text[60];
    for (size_t at = 0; at < c.size; at += c.size / 4) {
        assert_int_equal(write(fd, c.data + at, c.size / 4), c.size / 4);
        snprintf(text, sizeof text, "has %zu bytes; %zu are needed", at + c.size / 4, c.size);
        if (at + c.size / 4 < c.size) expect_state("m", 2, HONE_VERSION_END, text);
    }
    expect_answer("m", 2, 2);
    assert_int_equal(atomic_load(&errors), 2);
    close(fd);
    free(c.data);
    stop();
    hone_log_set(NULL, NULL, HONE_LOG_INFO);
}

/* Data that lie in another directory, or may not be read, are asked for less and less often, until they can be. */
static void waits_for_data_out_of_reach(void **state) {
    (void)state;
    bool root = geteuid() == 0;
    hone_log_set(count_errors, NULL, HONE_LOG_ERROR);
    atomic_store(&errors, 0);
    for (int v = 1; v <= 2; v++) write_others(v == 1 ? "far" : "shut", "1", DATA);
    write_new(repo_path("w.bin"), floats(2));
    write_new(repo_path("shut/1/w.bin"), floats(3));
    assert_int_equal(symlink("../../w.bin", repo_path("far/1/w.bin")), 0);
    assert_int_equal(chmod(repo_root, 0755) | chmod(repo_path("shut/1/w.bin"), 0), 0);
    if (root) assert_int_equal(seteuid(65534), 0);
    start();
    for (int i = 0; i < 3; i++) {
        expect_state("far", 1, HONE_VERSION_END, "leads out of the model's directory");
        expect_state("shut", 1, HONE_VERSION_END, "Permission denied");
        errand e;
        assert_int_equal(refresh(&e), HONE_OK);
    }
    assert_int_equal(atomic_load(&errors), 2);
    if (root) assert_int_equal(seteuid(0), 0);
    move_to(repo_path("w.bin"), repo_path("far/1/w.bin"));
    assert_int_equal(chmod(repo_path("shut/1/w.bin"), 0644), 0);
    expect_answer("far", 1, 2);
    expect_answer("shut", 1, 3);
    stop();
    hone_log_set(NULL, NULL, HONE_LOG_INFO);
}

/* --- what changes nothing --- */

/* Another link to a file, other permissions, and files that no version reads. */
static void ignores_what_is_no_change(void **state) {
    (void)state;
    write_others("m", "1", DATA);
    write_new(repo_path("m/1/w.bin"), floats(1));
    start();
    write_new(repo_path("y/1/w.bin"), floats(1));
    write_others("y", "1", DATA); /* when this is served, m was looked at once more after it was loaded */
    expect_state("y", 1, HONE_VERSION_AVAILABLE, "");
    assert_int_equal(link(repo_path("m/1/w.bin"), repo_path(".another")), 0);
    assert_int_equal(chmod(repo_path("m/1/w.bin"), 0644), 0);
    assert_int_equal(chmod(repo_path("m/1/model.onnx"), 0644), 0);
    usleep(60000); /* so that what comes now is another event */
    write_new(repo_path("m/1/notes.txt"), floats(3));
    write_new(repo_path("m/1/other.bin"), floats(3));
    write_new(repo_path("z/1/w.bin"), floats(1));
    write_others("z", "1", DATA); /* when this is served, all before it was looked at */
    expect_state("z", 1, HONE_VERSION_AVAILABLE, "");
    assert_int_equal(loads("m"), 1);
}

/* --- mapped files --- */

static char warning[1024], failure[1024];
static void keep_mapped(void *user, hone_log_level level, const char *message) {
    (void)user;
    char *to = level == HONE_LOG_WARNING ? warning : failure;
    if (strstr(message, "mapped")) snprintf(to, sizeof warning, "%s", message);
}

/* What is served has the new content, whether it is a model's or not: where it is none, it is served no more. */
static void withdraws_what_was_overwritten(void **state) {
    (void)state;
    hone_core_options o = options();
    content garbage = content_of(MODEL, 2);
    hone_log_set(keep_mapped, NULL, HONE_LOG_WARNING);
    memset(garbage.data, 0xff, 100);
    o.map_weights = true;
    for (int v = 1; v <= 2; v++) write_new(repo_path("m/%d/model.onnx", v), content_of(MODEL, v));
    start_with(&o);
    assert_true(ask("m", HONE_LATEST) == 2);
    write_in_place(repo_path("m/2/model.onnx"), garbage, false);
    expect_answer("m", HONE_LATEST, 1);
    expect_state("m", 2, HONE_VERSION_END, "is not a ModelProto");
    assert_non_null(strstr(failure,
                           "model m version 2: model.onnx, which was mapped, was changed in place, so "
                           "that what was loaded can't go on"));
    assert_non_null(strstr(warning, "model m version 2: model.onnx, which is mapped, was changed in place"));
    write_in_place(repo_path("m/2/model.onnx"), content_of(MODEL, 2), false);
    expect_answer("m", HONE_LATEST, 2);
    stop();
    hone_log_set(NULL, NULL, HONE_LOG_INFO);
}

/* Who reads what is gone is not killed, and what came of it is told to nobody. */
static void withdraws_what_was_cut_short(void **state) {
    (void)state;
    hone_core_options o = options();
    o.map_weights = true;
    for (part p = MODEL; p <= DATA; p++) {
        const char *file = p == MODEL ? "m/2/model.onnx" : "m/2/w.bin";
        struct stat info;
        hone_log_set(keep_mapped, NULL, HONE_LOG_WARNING);
        for (int v = 1; v <= 2; v++) {
            write_new(repo_path("m/%d/%s", v, files[p] + 2), content_of(p, v));
            if (p == DATA) write_new(repo_path("m/%d/model.onnx", v), model_beside("w.bin"));
        }
        start_with(&o);
        assert_true(ask("m", HONE_LATEST) == 2);
        assert_int_equal(stat(repo_path("%s", file), &info), 0);
        assert_int_equal(truncate(repo_path("%s", file), info.st_size / 2), 0);
        for (float y = 0; y != 1;) {
            y = ask("m", HONE_LATEST);
            assert_true(y == 2 || y == 1 || y < 0);
        }
        expect_state("m", 2, HONE_VERSION_END, p == MODEL ? "is not a ModelProto" : "are needed");
        assert_non_null(strstr(failure, "which was mapped, was changed in place"));
        write_new(repo_path("%s", file), content_of(p, 2));
        expect_answer("m", HONE_LATEST, 2);
        stop();
        hone_log_set(NULL, NULL, HONE_LOG_INFO);
        assert_int_equal(hone_dir_remove(repo_path("m"), NULL), HONE_OK);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(follows_every_file_by_watching),
        TEST(follows_every_file_by_polling),
        TEST(follows_every_file_that_is_mapped),
        TEST(waits_for_content),
        TEST(waits_for_content_before_it_replaces),
        TEST(takes_holes_as_they_are),
        TEST(waits_for_late_data),
        TEST(waits_for_data_out_of_reach),
        TEST(ignores_what_is_no_change),
        TEST(withdraws_what_was_overwritten),
        TEST(withdraws_what_was_cut_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
