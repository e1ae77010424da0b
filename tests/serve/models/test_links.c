/* Directories whose place another one takes, by a link on the way to them: as git-sync, Capistrano and Kubernetes do. */
#include "onnx/onnx.h"
#include "serve/cores.h"

static void link_to(const char *what, const char *path) {
    char *hidden = repo_path(".link");
    assert_int_equal(symlink(what, hidden), 0);
    assert_int_equal(rename(hidden, path), 0);
}

static hone_core_options options_for(const char *repository, bool polling) {
    hone_core_options o = options();
    o.repository = repository;
    o.polling = polling;
    return o;
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

static void put(const char *model, int version, float number) {
    repo_mkdir(repo_path("%s", model));
    repo_put(model, version, repo_graph(number, 3, 0, "x"));
}

/* The repository is a link, or lies behind one. */
static void follows_swapped_repositories(void **state) {
    (void)state;
    static const char *const behind[] = {"current", "current/deep/er", "a/b"};
    for (int polling = 0; polling < 2; polling++)
        for (int i = 0; i < 3; i++) {
            const char *inner = i == 1 ? "deep/er/" : "";
            for (int x = 1; x <= 3; x++) {
                repo_mkdir(repo_path("rev%d/%s", x, inner));
                put(repo_path("rev%d/%sm", x, inner) + strlen(repo_root) + 1, x == 2 ? 2 : 1, (float)x);
            }
            put(repo_path("rev2/%snew", inner) + strlen(repo_root) + 1, 1, 5);
            repo_mkdir(repo_path("a"));
            link_to("rev1", repo_path("current"));
            link_to("../current", repo_path("a/b")); /* a link to a link */
            char root[PATH_MAX];
            snprintf(root, sizeof root, "%s", repo_path("%s", behind[i]));
            hone_core_options o = options_for(root, polling);
            start_with(&o);
            assert_true(ask("m", HONE_LATEST) == 1);
            link_to("rev2", repo_path("current"));
            expect_answer("m", HONE_LATEST, 2);
            expect_answer("new", HONE_LATEST, 5);
            link_to("rev3", repo_path("current")); /* version 1 again, with another model in it */
            expect_answer("m", HONE_LATEST, 3);
            stop();
            repo_remove();
            repo_mkdir(repo_root);
        }
}

/* A directory above it is renamed, and another one takes its name. */
static void follows_renamed_directories(void **state) {
    (void)state;
    char root[PATH_MAX];
    snprintf(root, sizeof root, "%s", repo_path("above/models"));
    repo_mkdir(root);
    repo_mkdir(repo_path("next/models"));
    put("above/models/m", 1, 1);
    put("next/models/m", 2, 2);
    hone_core_options o = options_for(root, false);
    start_with(&o);
    assert_true(ask("m", HONE_LATEST) == 1);
    assert_int_equal(rename(repo_path("above"), repo_path("gone")), 0);
    assert_int_equal(rename(repo_path("next"), repo_path("above")), 0);
    expect_answer("m", HONE_LATEST, 2);
    put("above/models/m", 3, 3); /* and it is watched */
    expect_answer("m", HONE_LATEST, 3);
}

/* A model, a version and a file may be links inside of the repository, and lead through links. */
static void follows_swapped_links_inside(void **state) {
    (void)state;
    for (int polling = 0; polling < 2; polling++) {
        for (int x = 1; x <= 2; x++) {
            repo_mkdir(repo_path(".rev%d", x));
            for (const char *name = "abcd"; *name; name++)
                put(repo_path(".rev%d/%c", x, *name) + strlen(repo_root) + 1, 1, (float)x);
        }
        link_to(".rev1", repo_path(".data"));
        link_to(".rev1/a", repo_path("a")); /* swapped itself */
        link_to(".data/b", repo_path("b")); /* as a ConfigMap that is mounted as the repository */
        repo_mkdir(repo_path("c"));
        link_to("../.data/c/1", repo_path("c/1"));
        repo_mkdir(repo_path("d/1"));
        link_to("../../.data/d/1/model.onnx", repo_path("d/1/model.onnx"));
        hone_core_options o = options_for(repo_root, polling);
        start_with(&o);
        for (const char *name = "abcd"; *name; name++) assert_true(ask((char[]){*name, 0}, HONE_LATEST) == 1);
        link_to(".rev2/a", repo_path("a"));
        link_to(".rev2", repo_path(".data"));
        for (const char *name = "abcd"; *name; name++) expect_answer((char[]){*name, 0}, HONE_LATEST, 2);
        stop();
        repo_remove();
        repo_mkdir(repo_root);
    }
}

/* What was missing behind a link comes. */
static void follows_links_that_led_nowhere(void **state) {
    (void)state;
    repo_mkdir(repo_path("b"));
    repo_mkdir(repo_path("c/1"));
    link_to(".store/a", repo_path("a"));
    link_to("../.store/b/1", repo_path("b/1"));
    link_to("../../.store/c/1/model.onnx", repo_path("c/1/model.onnx"));
    start();
    repo_mkdir(repo_path(".away"));
    for (const char *name = "abc"; *name; name++)
        put(repo_path(".away/%c", *name) + strlen(repo_root) + 1, 1, 4);
    assert_int_equal(rename(repo_path(".away"), repo_path(".store")), 0);
    for (const char *name = "abc"; *name; name++) expect_answer((char[]){*name, 0}, HONE_LATEST, 4);
}

/* A model that is named by its file, and the data beside it. */
static void follows_files_by_name(void **state) {
    (void)state;
    hone_core_options o = options();
    o.repository = NULL;
    for (int x = 1; x <= 2; x++) {
        hone_graph *g = repo_graph((float)x, 64, 4096, "x");
        repo_mkdir(repo_path("rev%d", x));
        assert_int_equal(hone_onnx_save(g, repo_path("rev%d/m.onnx", x), 1024, NULL), HONE_OK);
        hone_graph_free(g);
    }
    repo_put_plus("a", 7);
    link_to("rev1", repo_path("current"));
    link_to("a/7/model.onnx", repo_path("alone.onnx"));
    make_core(&o);
    assert_int_equal(hone_core_add_path(f.core, "m", repo_path("current/m.onnx"), NULL), HONE_OK);
    assert_int_equal(hone_core_add_path(f.core, "alone", repo_path("alone.onnx"), NULL), HONE_OK);
    assert_int_equal(start_core(f.core, NULL), HONE_OK);
    assert_true(ask("m", 1) == 1 && ask("alone", 1) == 7);
    repo_copy(repo_path("rev2/m.onnx.data"), repo_path("rev1/m.onnx.data"));
    WAIT_FOR(loads("m") == 2);
    link_to("rev2", repo_path("current"));
    expect_answer("m", 1, 2);
    repo_put_plus("a", 8);
    link_to("a/8/model.onnx", repo_path("alone.onnx"));
    expect_answer("alone", 1, 8);
}

/* rsync --link-dest, cp -al: what has not changed is the same file in both, and is not loaded again. */
static void leaves_alone_what_is_the_same(void **state) {
    (void)state;
    char root[PATH_MAX];
    repo_mkdir(repo_path("rev1"));
    repo_mkdir(repo_path("rev2/same/1"));
    put("rev1/same", 1, 1);
    put("rev1/other", 1, 1);
    put("rev2/other", 1, 2);
    link_to("rev1", repo_path("current"));
    snprintf(root, sizeof root, "%s", repo_path("current"));
    hone_core_options o = options_for(root, false);
    start_with(&o);
    put("rev1/new", 1, 1); /* when this is served, all were looked at once more after they were loaded */
    expect_answer("new", 1, 1);
    assert_int_equal(link(repo_path("rev1/same/1/model.onnx"), repo_path("rev2/same/1/model.onnx")), 0);
    usleep(60000); /* so that nothing else is told of together with it */
    link_to("rev2", repo_path("current"));
    expect_answer("other", HONE_LATEST, 2);
    put("rev2/same", 2, 7);
    expect_answer("same", HONE_LATEST, 7);
    assert_int_equal(loads("same"), 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(follows_swapped_repositories), TEST(follows_renamed_directories),
        TEST(follows_swapped_links_inside), TEST(follows_links_that_led_nowhere),
        TEST(follows_files_by_name),        TEST(leaves_alone_what_is_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
