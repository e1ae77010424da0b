#include "base/random.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The known-answer vectors that come with the authors' Random123 library. */
static void test_philox_known_answers(void **state) {
    (void)state;
    static const struct {
        uint64_t key, high, low;
        uint32_t out[4];
    } cases[] = {
        {0, 0, 0, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {UINT64_MAX, UINT64_MAX, UINT64_MAX, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {0x299f31d0a4093822,
         0x0370734413198a2e,
         0x85a308d3243f6a88,
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint32_t out[4];
        hone_philox(cases[i].key, cases[i].high, cases[i].low, out);
        assert_memory_equal(out, cases[i].out, sizeof out);
    }
}

static void test_stream_can_start_anywhere(void **state) {
    (void)state;
    hone_rng r = hone_rng_make(42, 7);
    assert_true(r.position == 0);
    for (uint64_t i = 0; i < 1000; i++) {
        uint32_t four[4];
        hone_philox(42, 7, i / 4, four);
        hone_rng jumped = {.key = 42, .stream = 7, .position = i};
        uint32_t drawn = hone_rng_u32(&r);
        assert_true(drawn == four[i % 4]);
        assert_true(drawn == hone_rng_u32(&jumped));
        assert_true(r.position == i + 1);
    }
}

static void test_streams_and_keys_differ(void **state) {
    (void)state;
    int same = 0;
    hone_rng a = hone_rng_make(1, 1), b = hone_rng_make(1, 2), c = hone_rng_make(2, 1);
    for (int i = 0; i < 10000; i++) {
        uint32_t x = hone_rng_u32(&a), y = hone_rng_u32(&b), z = hone_rng_u32(&c);
        same += (x == y) + (x == z) + (y == z);
    }
    assert_int_equal(same, 0);
}

static void test_below_is_uniform(void **state) {
    (void)state;
    enum { BOUND = 10, DRAWS = 100000 };
    int counts[BOUND] = {0};
    hone_rng r = hone_rng_make(3, 0);
    for (int i = 0; i < DRAWS; i++) {
        uint32_t x = hone_rng_below(&r, BOUND);
        assert_true(x < BOUND);
        counts[x]++;
    }
    double chi2 = 0;
    for (int i = 0; i < BOUND; i++) chi2 += pow(counts[i] - DRAWS / BOUND, 2) / (DRAWS / BOUND);
    assert_true(chi2 < 27.9); /* 9 degrees of freedom, p = 0.001 */
    for (int i = 0; i < 100; i++) assert_true(hone_rng_below(&r, 1) == 0);

    /* A remainder modulo 3*2^30 would be below 2^30 half of the time. */
    int low = 0;
    for (int i = 0; i < DRAWS; i++) low += hone_rng_below(&r, 3u << 30) < 1u << 30;
    assert_true(fabs(low - DRAWS / 3.0) < 700);
}

static void test_uniform(void **state) {
    (void)state;
    enum { DRAWS = 200000 };
    hone_rng r = hone_rng_make(4, 0);
    double sum = 0;
    for (int i = 0; i < DRAWS; i++) {
        float x = hone_rng_uniform(&r);
        assert_true(x >= 0 && x < 1);
        assert_true(ldexpf(x, 24) == floorf(ldexpf(x, 24)));
        sum += x;
    }
    assert_true(fabs(sum / DRAWS - 0.5) < 0.003);
    assert_true(r.position == DRAWS);
}

static void test_hash_is_fnv_1a(void **state) {
    (void)state;
    assert_true(hone_hash("", 0) == 0xcbf29ce484222325u);
    assert_true(hone_hash("a", 1) == 0xaf63dc4c8601ec8cu);
    assert_true(hone_hash("foobar", 6) == 0x85944171f73967e8u);
}

static void test_permutation(void **state) {
    (void)state;
    enum { N = 10000 };
    static uint32_t first[N], second[N];
    static uint8_t seen[N];
    hone_rng_permutation(9, 1, first, N);
    hone_rng_permutation(9, 1, second, N);
    assert_memory_equal(first, second, sizeof first);
    int fixed = 0;
    for (int i = 0; i < N; i++) {
        assert_true(first[i] < N);
        assert_int_equal(seen[first[i]]++, 0);
        fixed += first[i] == (uint32_t)i;
    }
    assert_true(fixed < 10);
    hone_rng_permutation(9, 2, second, N);
    assert_memory_not_equal(first, second, sizeof first);
    second[0] = 77;
    hone_rng_permutation(9, 2, second, 0);
    assert_int_equal(second[0], 77);
    hone_rng_permutation(9, 2, second, 1);
    assert_int_equal(second[0], 0);
}

static void test_all_permutations_are_as_likely(void **state) {
    (void)state;
    enum { DRAWS = 24000 };
    int counts[64] = {0};
    for (uint64_t stream = 0; stream < DRAWS; stream++) {
        uint32_t p[4];
        hone_rng_permutation(11, stream, p, 4);
        counts[p[0] * 16 + p[1] * 4 + p[2]]++;
    }
    int kinds = 0;
    double chi2 = 0;
    for (int i = 0; i < 64; i++) {
        if (counts[i] == 0) continue;
        kinds++;
        chi2 += pow(counts[i] - DRAWS / 24, 2) / (DRAWS / 24);
    }
    assert_int_equal(kinds, 24);
    assert_true(chi2 < 49.7); /* 23 degrees of freedom, p = 0.001 */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_philox_known_answers),
        cmocka_unit_test(test_stream_can_start_anywhere),
        cmocka_unit_test(test_streams_and_keys_differ),
        cmocka_unit_test(test_below_is_uniform),
        cmocka_unit_test(test_uniform),
        cmocka_unit_test(test_hash_is_fnv_1a),
        cmocka_unit_test(test_permutation),
        cmocka_unit_test(test_all_permutations_are_as_likely),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
