#include "files.h"

#include "base/memory.h"
#include "base/thread.h"
#include "data/loader.h"
#include "graph/tensor.h"

/* Samples that are made when they are read; `fails_at` can't be. */
typedef struct maker {
    hone_sample_source base;
    atomic_int reads;
} maker;
static bool streamed;
static int64_t fails_at = -1;

static hone_status make_sample(hone_sample_source *s, int64_t at, void *out, hone_error *err) {
    atomic_fetch_add(&((maker *)s)->reads, 1);
    if (at == fails_at) return hone_fail(err, HONE_CORRUPT, "sample %d is bad", (int)at);
    for (int j = 0; j < 3; j++) ((float *)out)[j] = (float)at;
    return HONE_OK;
}

static void free_maker(hone_sample_source *s) {
    hone_free(s);
}

static hone_dataset *made_numbers(int64_t n, hone_tensor *y) {
    maker *m = hone_calloc(1, sizeof *m);
    m->base = (hone_sample_source){.read = make_sample, .free = free_maker};
    atomic_init(&m->base.references, 1);
    hone_dataset *x = NULL, *d = NULL;
    int64_t dims = 3;
    assert_int_equal(hone_dataset_make_streamed("x", HONE_FLOAT32, 1, &dims, n, &m->base, &x, NULL), HONE_OK);
    assert_int_equal(hone_dataset_with_column(x, "y", y, &d, NULL), HONE_OK);
    hone_dataset_free(x);
    return d;
}

/* n samples of 3 values, all the sample's own number, which is its label, too. */
static hone_dataset *numbers(int64_t n) {
    hone_tensor *x = NULL, *y = NULL;
    assert_int_equal(hone_tensor_new(HONE_FLOAT32, 2, (int64_t[]){n, 3}, &x, NULL), HONE_OK);
    assert_int_equal(hone_tensor_new(HONE_INT32, 1, &n, &y, NULL), HONE_OK);
    for (int64_t i = 0; i < n; i++) {
        ((int32_t *)y->data)[i] = (int32_t)i;
        for (int j = 0; j < 3; j++) ((float *)x->data)[3 * i + j] = (float)i;
    }
    hone_dataset *d = NULL;
    hone_named_tensor columns[] = {{"x", x}, {"y", y}};
    if (streamed)
        d = made_numbers(n, y);
    else
        assert_int_equal(hone_dataset_make(columns, 2, "numbers", &d, NULL), HONE_OK);
    hone_tensor_free(x);
    hone_tensor_free(y);
    return d;
}

/* x as floats, y as int64. */
static hone_status make_loader(const hone_dataset *d, const hone_loader_options *o, hone_loader **out) {
    hone_feed feeds[] = {hone_feed_of(d, 0, HONE_FLOAT32, true), hone_feed_of(d, 1, HONE_INT64, false)};
    return hone_loader_new(d, feeds, 2, o, out, NULL);
}

static hone_loader *new_loader(const hone_dataset *d, int64_t batch, bool shuffle, bool drop_last,
                               uint64_t seed) {
    hone_loader_options o = HONE_LOADER_OPTIONS_INIT;
    o.batch = batch;
    o.shuffle = shuffle;
    o.drop_last = drop_last;
    o.seed = seed;
    hone_loader *l = NULL;
    assert_int_equal(make_loader(d, &o, &l), HONE_OK);
    return l;
}

static hone_batch next(hone_loader *l) {
    hone_batch b;
    assert_int_equal(hone_loader_next(l, &b, NULL), HONE_OK);
    assert_int_equal(hone_tensor_dims(b.tensors[0])[0], b.n);
    assert_int_equal(hone_tensor_dims(b.tensors[0])[1], 3);
    assert_int_equal(hone_tensor_dims(b.tensors[1])[0], b.n);
    const float *x = hone_tensor_data(b.tensors[0]);
    const int64_t *y = hone_tensor_data(b.tensors[1]);
    for (int64_t i = 0; i < b.n; i++) {
        assert_int_equal(y[i], b.indices[i]);
        for (int j = 0; j < 3; j++) assert_true(x[3 * i + j] == (float)y[i]);
    }
    return b;
}

/* The labels of one epoch, in order; returns how many. */
static int64_t epoch(hone_loader *l, int64_t *out) {
    int64_t n = 0, number = hone_loader_tell(l).epoch;
    for (bool last = false; !last;) {
        hone_batch b = next(l);
        assert_int_equal(b.position.epoch, number);
        assert_int_equal(b.position.sample, n);
        memcpy(out + n, hone_tensor_data(b.tensors[1]), (size_t)b.n * sizeof *out);
        n += b.n;
        last = b.last;
    }
    return n;
}

static void test_order(void **state) {
    (void)state;
    hone_dataset *d = numbers(10);
    hone_loader *l = new_loader(d, 4, false, false, 0);
    assert_int_equal(hone_loader_batches(l), 3);
    hone_batch b = next(l);
    assert_true(b.n == 4 && !b.last && b.indices[3] == 3);
    b = next(l);
    b = next(l);
    assert_true(b.n == 2 && b.last && b.indices[0] == 8);
    b = next(l); /* the next epoch */
    assert_true(b.n == 4 && b.position.epoch == 1 && b.position.sample == 0 && b.indices[0] == 0);
    hone_loader_free(l);
    l = new_loader(d, 4, false, true, 0);
    assert_int_equal(hone_loader_batches(l), 2);
    next(l);
    b = next(l);
    assert_true(b.last && b.n == 4);
    hone_loader_free(l);
    l = new_loader(d, 64, false, false, 0); /* a batch larger than the set */
    b = next(l);
    assert_true(b.n == 10 && b.last && hone_loader_batches(l) == 1);
    hone_loader_free(l);
    hone_loader_free(NULL);
    hone_dataset_free(d);
}

static void test_shuffle(void **state) {
    (void)state;
    hone_dataset *d = numbers(101);
    hone_loader *l = new_loader(d, 8, true, false, 5), *same = new_loader(d, 25, true, false, 5),
                *other = new_loader(d, 8, true, false, 6);
    int64_t a[101], b[101], first[101];
    for (int e = 0; e < 3; e++) {
        bool seen[101] = {false};
        assert_int_equal(epoch(l, a), 101);
        for (int i = 0; i < 101; i++) {
            assert_false(seen[a[i]]);
            seen[a[i]] = true;
        }
        epoch(same, b); /* the batch size does not change the order */
        assert_memory_equal(a, b, sizeof a);
        epoch(other, b);
        assert_memory_not_equal(a, b, sizeof a);
        if (e == 0)
            memcpy(first, a, sizeof a);
        else
            assert_memory_not_equal(a, first, sizeof a);
    }
    hone_loader_free(l);
    hone_loader_free(same);
    hone_loader_free(other);
    hone_dataset_free(d);
}

/* A loader that is put where another one was goes on with the same batches. */
static void test_resume(void **state) {
    (void)state;
    hone_dataset *d = numbers(50);
    hone_loader *l = new_loader(d, 8, true, false, 9);
    for (int steps = 0; steps < 20; steps++) {
        hone_loader *fresh = new_loader(d, 8, true, false, 9);
        assert_int_equal(hone_loader_seek(fresh, hone_loader_tell(l), NULL), HONE_OK);
        hone_batch a = next(l), b = next(fresh);
        assert_true(a.n == b.n && a.last == b.last);
        assert_true(a.position.epoch == b.position.epoch && a.position.sample == b.position.sample);
        assert_memory_equal(hone_tensor_data(a.tensors[1]), hone_tensor_data(b.tensors[1]), (size_t)a.n * 8);
        hone_loader_free(fresh);
    }
    hone_loader_position end = hone_loader_tell(l), back = {1, 16};
    assert_true(end.epoch == 2 && end.sample == 48);
    assert_int_equal(hone_loader_seek(l, back, NULL), HONE_OK); /* to an earlier epoch */
    hone_batch b = next(l);
    hone_loader *fresh = new_loader(d, 8, true, false, 9);
    for (int i = 0; i < 9; i++) next(fresh);
    hone_batch a = next(fresh);
    assert_memory_equal(hone_tensor_data(a.tensors[1]), hone_tensor_data(b.tensors[1]), (size_t)a.n * 8);
    hone_loader_free(fresh);
    static const hone_loader_position bad[] = {{-1, 0}, {0, -8}, {0, 3}, {0, 50}, {0, 56}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(hone_loader_seek(l, bad[i], NULL), HONE_OUT_OF_RANGE);
    hone_loader_free(l);
    hone_dataset_free(d);
}

static void test_ring(void **state) {
    (void)state;
    hone_dataset *d = numbers(64);
    hone_loader_options o = HONE_LOADER_OPTIONS_INIT;
    o.batch = 10;
    o.ring = 3;
    hone_loader *l = NULL;
    assert_int_equal(make_loader(d, &o, &l), HONE_OK);
    uint64_t before = hone_alloc_count();
    int64_t kept[10];
    hone_batch b = next(l);
    memcpy(kept, hone_tensor_data(b.tensors[1]), sizeof kept);
    for (int i = 0; i < 2; i++) next(l);
    assert_memory_equal(kept, hone_tensor_data(b.tensors[1]), sizeof kept); /* still there after two more */
    for (int i = 0; i < 20; i++) next(l);
    if (!streamed) assert_int_equal(hone_alloc_count(), before);
    assert_true(hone_loader_seconds(l) > 0);
    hone_loader_free(l);
    hone_dataset_free(d);
}

static hone_status make_and_free(const hone_dataset *d) {
    hone_loader_options o = HONE_LOADER_OPTIONS_INIT;
    o.batch = 7;
    hone_loader *l = NULL;
    hone_status status = make_loader(d, &o, &l);
    hone_loader_free(l);
    return status;
}

/* The parts of each batch are together the batch, one behind the other. */
static void test_parts(void **state) {
    (void)state;
    enum { COUNT = 31, BATCH = 7 };
    hone_dataset *d = numbers(COUNT);
    for (int parts = 1; parts <= 9; parts++) {
        hone_loader *whole = new_loader(d, BATCH, true, false, 5), *l[9];
        hone_loader_options o = HONE_LOADER_OPTIONS_INIT;
        o.batch = BATCH;
        o.seed = 5;
        o.parts = parts;
        for (o.part = 0; o.part < parts; o.part++) assert_int_equal(make_loader(d, &o, &l[o.part]), HONE_OK);
        for (int step = 0; step < 12; step++) {
            hone_batch all = next(whole);
            int64_t at = 0;
            for (int i = 0; i < parts; i++) {
                hone_batch b = next(l[i]);
                assert_true(b.whole == all.n && b.last == all.last && b.n == (b.own ? b.own : 1));
                assert_memory_equal(&b.position, &all.position, sizeof all.position);
                assert_memory_equal(b.indices, all.indices + (b.own ? at : all.n - 1),
                                    (size_t)b.n * sizeof *b.indices);
                at += b.own;
            }
            assert_int_equal(at, all.n);
        }
        for (int i = 0; i < parts; i++) hone_loader_free(l[i]);
        hone_loader_free(whole);
    }
    hone_dataset_free(d);
}

static void test_refused(void **state) {
    (void)state;
    hone_dataset *d = numbers(10);
    hone_loader *l = NULL;
    static const hone_loader_options bad[] = {{.batch = 0, .ring = 1},
                                              {.batch = -3, .ring = 1},
                                              {.batch = 11, .ring = 1, .drop_last = true},
                                              {.batch = 1, .ring = 0},
                                              {.batch = 1, .ring = 65},
                                              {.batch = 1, .ring = 1, .part = 1},
                                              {.batch = 1, .ring = 1, .part = 2, .parts = 2},
                                              {.batch = 1, .ring = 1, .part = -1, .parts = 2}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(make_loader(d, &bad[i], &l), HONE_INVALID_ARGUMENT);
    assert_null(l);
    FAIL_EACH_ALLOCATION(make_and_free(d), (void)0);
    hone_dataset_free(d);
}

/* Batches ahead of a sample that can't be read come first; then it is told, each time. */
static void test_a_sample_that_fails(void **state) {
    (void)state;
    streamed = true;
    hone_dataset *d = numbers(30);
    hone_loader *l = new_loader(d, 5, false, false, 1);
    hone_error err;
    hone_batch b;
    fails_at = 17;
    for (int i = 0; i < 3; i++) assert_int_equal(next(l).position.sample, 5 * i);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(hone_loader_next(l, &b, &err), HONE_CORRUPT);
        assert_string_equal(err.message, "sample 17 is bad");
        assert_int_equal(hone_loader_tell(l).sample, 15);
    }
    fails_at = -1;
    assert_int_equal(next(l).position.sample, 15);
    hone_loader_free(l);
    hone_dataset_free(d);
    streamed = false;
}

/* Without a thread batches are made when they are asked for. */
static void test_without_threads(void **state) {
    (void)state;
    streamed = true;
    hone_dataset *d = numbers(30);
    hone_loader *l = new_loader(d, 5, true, false, 1), *other = new_loader(d, 5, true, false, 1);
    hone_thread_fail_after(0);
    next(l);
    hone_thread_fail_after(-1);
    next(other);
    for (int i = 0; i < 20; i++) {
        hone_batch a = next(l), b = next(other);
        assert_memory_equal(a.indices, b.indices, 5 * sizeof *a.indices);
    }
    hone_loader_free(l);
    hone_loader_free(other);
    hone_dataset_free(d);
    streamed = false;
}

static int stream(void **state) {
    (void)state;
    streamed = true;
    return 0;
}

static int stop_streaming(void **state) {
    (void)state;
    streamed = false;
    return 0;
}
#define STREAMED(test)                                                                                       \
    { #test " of a source", test, stream, stop_streaming, NULL }

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_order),
                                       cmocka_unit_test(test_shuffle),
                                       cmocka_unit_test(test_resume),
                                       cmocka_unit_test(test_ring),
                                       cmocka_unit_test(test_parts),
                                       cmocka_unit_test(test_refused),
                                       STREAMED(test_parts),
                                       STREAMED(test_order),
                                       STREAMED(test_shuffle),
                                       STREAMED(test_resume),
                                       STREAMED(test_ring),
                                       STREAMED(test_refused),
                                       cmocka_unit_test(test_a_sample_that_fails),
                                       cmocka_unit_test(test_without_threads)};
    return cmocka_run_group_tests(tests, make_test_dir, remove_test_dir);
}
