/* Parts of a data set: as many of each class, groups whole, the last ones. */
#include "files.h"

#include "data/dataset.h"
#include "graph/tensor.h"

#include <stdlib.h>

static hone_error err;

/* Columns x (the sample's own number), y (its class), g (its group). Sorted by class. */
static hone_dataset *made(int64_t n, const int64_t *of_class, int classes, int groups) {
    hone_tensor *t[3];
    for (int i = 0; i < 3; i++) assert_int_equal(hone_tensor_new(HONE_INT64, 1, &n, &t[i], NULL), HONE_OK);
    int64_t at = 0;
    for (int c = 0; c < classes; c++)
        for (int64_t i = 0; i < of_class[c]; i++, at++) {
            ((int64_t *)t[0]->data)[at] = at;
            ((int64_t *)t[1]->data)[at] = c;
            ((int64_t *)t[2]->data)[at] = -7 * (at % groups); /* any numbers */
        }
    assert_int_equal(at, n);
    hone_dataset *d = NULL;
    assert_int_equal(
        hone_dataset_make((hone_named_tensor[]){{"x", t[0]}, {"y", t[1]}, {"g", t[2]}}, 3, "made", &d, &err),
        HONE_OK);
    for (int i = 0; i < 3; i++) hone_tensor_free(t[i]);
    return d;
}

static void read_all(const hone_dataset *d, const char *column, int64_t *out) {
    hone_reading r = {.column = hone_dataset_find(d, column), .dtype = HONE_INT64};
    assert_int_equal(hone_dataset_read(d, &r, NULL, 0, hone_dataset_count(d), out, &err), HONE_OK);
}

/* Both parts are in order, and together all samples, each once. */
static void whole(const hone_dataset *a, const hone_dataset *b, int64_t n) {
    int64_t x[1000];
    bool seen[1000] = {false};
    assert_int_equal(hone_dataset_count(a) + hone_dataset_count(b), n);
    const hone_dataset *parts[] = {a, b};
    for (int p = 0; p < 2; p++) {
        read_all(parts[p], "x", x);
        for (int64_t i = 0; i < hone_dataset_count(parts[p]); i++) {
            assert_false(seen[x[i]]);
            seen[x[i]] = true;
            assert_true(i == 0 || x[i - 1] < x[i]);
        }
    }
}

static void count(const hone_dataset *d, int64_t *counts) {
    assert_int_equal(hone_dataset_class_counts(d, hone_dataset_find(d, "y"), counts, &err), HONE_OK);
}

static void test_each_class_has_its_share(void **state) {
    (void)state;
    static const struct {
        double share;
        int64_t drawn[4];
    } cases[] = {{0.1, {60, 30, 9, 1}}, {10, {6, 3, 1, 0}}, {0.5, {300, 150, 45, 5}}, {100, {60, 30, 9, 1}}};
    hone_dataset *d = made(1000, (int64_t[]){600, 300, 90, 10}, 4, 5);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hone_draw_options o = HONE_DRAW_OPTIONS_INIT;
        hone_dataset *drawn = NULL, *rest = NULL;
        int64_t counts[4];
        o.share = cases[i].share;
        assert_int_equal(hone_dataset_draw(d, &o, &drawn, &rest, &err), HONE_OK);
        count(drawn, counts);
        assert_memory_equal(counts, cases[i].drawn, sizeof counts);
        whole(drawn, rest, 1000);
        hone_dataset_free(drawn);
        hone_dataset_free(rest);
    }
    hone_dataset_free(d);
}

static void drawn_numbers(const hone_dataset *d, uint64_t seed, int64_t *out) {
    hone_draw_options o = HONE_DRAW_OPTIONS_INIT;
    hone_dataset *drawn = NULL;
    o.seed = seed;
    o.share = 20;
    assert_int_equal(hone_dataset_draw(d, &o, &drawn, NULL, &err), HONE_OK);
    read_all(drawn, "x", out);
    hone_dataset_free(drawn);
}

static void test_the_seed_decides(void **state) {
    (void)state;
    hone_dataset *d = made(200, (int64_t[]){100, 100}, 2, 5);
    int64_t one[20], again[20], other[20], sum = 0;
    drawn_numbers(d, 1, one);
    drawn_numbers(d, 1, again);
    drawn_numbers(d, 2, other);
    assert_memory_equal(one, again, sizeof one);
    assert_memory_not_equal(one, other, sizeof one);
    for (int i = 0; i < 20; i++) sum += one[i];
    assert_true(sum > 20 * 60 && sum < 20 * 140); /* from all over the place: the mean is 100, of one sd 13 */
    hone_dataset_free(d);
}

static void test_the_last_ones(void **state) {
    (void)state;
    hone_dataset *d = made(100, (int64_t[]){50, 50}, 2, 5), *drawn = NULL, *rest = NULL;
    hone_draw_options o = HONE_DRAW_OPTIONS_INIT;
    o.in_order = true;
    o.share = 0.25;
    int64_t x[100];
    assert_int_equal(hone_dataset_draw(d, &o, &drawn, &rest, &err), HONE_OK);
    read_all(drawn, "x", x);
    for (int i = 0; i < 25; i++) assert_int_equal(x[i], 75 + i);
    whole(drawn, rest, 100);
    hone_dataset_free(drawn);
    hone_dataset_free(rest);
    hone_dataset_free(d);
}

static void test_groups_stay_together(void **state) {
    (void)state;
    hone_dataset *d = made(100, (int64_t[]){50, 50}, 2, 7), *drawn = NULL, *rest = NULL;
    hone_draw_options o = HONE_DRAW_OPTIONS_INIT;
    int64_t g[100], h[100];
    o.group = "g";
    o.share = 0.3;
    assert_int_equal(hone_dataset_draw(d, &o, &drawn, &rest, &err), HONE_OK);
    whole(drawn, rest, 100);
    assert_in_range(hone_dataset_count(drawn), 28, 29); /* two groups of 14 or 15 samples */
    read_all(drawn, "g", g);
    read_all(rest, "g", h);
    for (int64_t i = 0; i < hone_dataset_count(drawn); i++)
        for (int64_t k = 0; k < hone_dataset_count(rest); k++) assert_true(g[i] != h[k]);
    hone_dataset_free(drawn);
    hone_dataset_free(rest);
    o.share = 1; /* the smallest part is a group */
    assert_int_equal(hone_dataset_draw(d, &o, &drawn, &rest, &err), HONE_OK);
    assert_in_range(hone_dataset_count(drawn), 14, 15);
    hone_dataset_free(drawn);
    hone_dataset_free(rest);
    hone_dataset_free(d);
}

static void refused(const hone_dataset *d, double share, const char *group, const char *text) {
    hone_draw_options o = HONE_DRAW_OPTIONS_INIT;
    hone_dataset *drawn = NULL;
    o.share = share;
    o.group = group;
    assert_int_equal(hone_dataset_draw(d, &o, &drawn, NULL, &err), HONE_INVALID_ARGUMENT);
    if (!strstr(err.message, text)) fail_msg("%s", err.message);
}

static void test_what_is_refused(void **state) {
    (void)state;
    hone_dataset *d = made(10, (int64_t[]){5, 5}, 2, 1);
    refused(d, 0, NULL, "neither a share");
    refused(d, -1, NULL, "neither a share");
    refused(d, 2.5, NULL, "neither a share");
    refused(d, 10, NULL, "leave none");
    refused(d, 0.99, NULL, "leave none");
    refused(d, 3, "z", "no column 'z' of groups");
    refused(d, 3, "g", "all samples are of one group of column 'g'");
    hone_dataset_free(d);
}

static void test_out_of_memory(void **state) {
    (void)state;
    hone_dataset *d = made(20, (int64_t[]){10, 10}, 2, 4), *drawn = NULL, *rest = NULL;
    hone_draw_options o = HONE_DRAW_OPTIONS_INIT;
    FAIL_EACH_ALLOCATION(hone_dataset_draw(d, &o, &drawn, &rest, &err), assert_null(drawn));
    hone_dataset_free(drawn);
    hone_dataset_free(rest);
    drawn = rest = NULL;
    o.group = "g";
    FAIL_EACH_ALLOCATION(hone_dataset_draw(d, &o, &drawn, &rest, &err), assert_null(drawn));
    hone_dataset_free(drawn);
    hone_dataset_free(rest);
    hone_dataset_free(d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_class_has_its_share),
        cmocka_unit_test(test_the_seed_decides),
        cmocka_unit_test(test_the_last_ones),
        cmocka_unit_test(test_groups_stay_together),
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
