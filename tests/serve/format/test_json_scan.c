#include "serve/format/json_scan.h"
#include "serve/format/json_write.h"

#include "base/memory.h"

#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static char padded[1 << 16];

static hone_json json(const char *text) {
    hone_json j;
    size_t n = strlen(text);
    assert_true(n + HONE_JSON_PAD < sizeof padded);
    memcpy(padded, text, n);
    memset(padded + n, 0, HONE_JSON_PAD);
    hone_json_init(&j, padded, n);
    return j;
}

static hone_status scan(hone_json_tensor *t, hone_dtype dtype, const char *text, hone_error *err) {
    hone_json j = json(text);
    hone_json_tensor_reset(t, dtype, SIZE_MAX);
    hone_status status = hone_json_scan_tensor(&j, t, err);
    if (status != HONE_OK) return status;
    return hone_json_peek(&j) ? HONE_INVALID_ARGUMENT : HONE_OK; /* nothing may follow */
}

static uint64_t random_bits(void) {
    static uint64_t x = 88172645463325252u;
    x ^= x << 13, x ^= x >> 7, x ^= x << 17;
    return x;
}

/* In lists, behind a number of another length, and before all that may follow. */
static void check_run(const char *text, float want) {
    static const char *const lists[] = {"[%s]", "[0.5,%s,%s]", "[0.25, %s ,%s\n, 1]", "[1,%s\t]"};
    static hone_json_tensor t = {0};
    char list[512];
    hone_error err;
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        snprintf(list, sizeof list, lists[i], text, text);
        if (scan(&t, HONE_FLOAT32, list, &err) != HONE_OK) fail_msg("%s: %s", list, err.message);
        for (size_t k = i > 0; k < t.count && k < i + 1; k++)
            if (memcmp((float *)t.data + k, &want, sizeof want) != 0)
                fail_msg("%s: %a, expected %a", list, (double)((float *)t.data)[k], (double)want);
    }
    hone_json_tensor_free(&t);
}

/* A number that strtof reads too: the scanner must give the same bits, or refuse what strtof takes for
 * infinite. */
static void check_float(const char *text) {
    float want = strtof(text, NULL), got = 0;
    hone_error err;
    hone_json j = json(text);
    hone_status status = hone_json_float(&j, &got, &err);
    if (isinf(want)) {
        if (status == HONE_OK) fail_msg("%s is out of range, but %a came", text, (double)got);
        return;
    }
    if (status != HONE_OK) fail_msg("%s: %s", text, err.message);
    if (memcmp(&want, &got, sizeof want) != 0)
        fail_msg("%s: %a, expected %a", text, (double)got, (double)want);
    assert_ptr_equal(j.cursor, j.end);
    check_run(text, want);
}

static void rounds_edge_floats(void **state) {
    (void)state;
    static const char *const texts[] = {
        "0",
        "-0",
        "0.0",
        "-0.0",
        "0e5",
        "0.000e-400",
        "1",
        "-1",
        "16777216",
        "16777217",
        "16777219",
        "33554433",
        "0.1",
        "0.2",
        "0.3",
        "3.4028234663852886e38",
        "3.4028235e38",
        "3.4028235677973366e38",
        "340282356779733661637539395458142568447",
        "340282356779733661637539395458142568448",
        "3.5e38",
        "1e39",
        "1e400",
        "1e99999999999",
        "1.1754943508222875e-38",
        "1.17549435e-38",
        "1.1754942e-38",
        "1.4e-45",
        "1e-45",
        "7e-46",
        "7.006492321624085e-46",
        "7.0064923216240853e-46",
        "7.0064923216240854e-46",
        "7.0064923216240862e-46",
        "1e-46",
        "1e-400",
        "1e-99999999999",
        "5.8774717541114375398436826861112283890933277838604376075437585313920862972736e-39",
        "0.00000000000000000000000000000000000000000000000000000000000000000000000000000001e80",
        "100000000000000000000000000000000000000",
        "123456789012345678901234567890",
        "9007199254740993",
        "1.00000005960464477539",
        "1.000000059604644775390625",
        "1.00000005960464477539062500000000000000000000000001",
        "1.0000000596046447753906249999999",
        "1.0000001788139343",
        "1.00000017881393432617187499",
        "1.00000017881393432617187501",
        "8388608.5",
        "8388609.5",
        "0.30000001192092896",
        "0.100000001490116119384765625",
        "12345678.9012345678901",
        "1234567890123456789e-18",
        "12345678901234567890e-19",
        "99999999999999999999",
        "2.5e-1",
        "2.5E+1",
        "2.5E1",
        "1e22",
        "1e23",
        "1e-22",
        "1e-23",
        "4e-38"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) check_float(texts[i]);
}

/* All that are written with few digits take a short way. */
static void rounds_short_floats(void **state) {
    (void)state;
    char text[32];
    for (int digits = 1; digits <= 8; digits++)
        for (int places = 0; places < digits; places++)
            for (int i = 0; i < 3000; i++) {
                uint32_t most = 1;
                for (int k = 0; k < digits; k++) most *= 10;
                uint32_t x = i == 0 ? 0 : i == 1 ? most - 1 : (uint32_t)(random_bits() % most);
                int n = snprintf(text, sizeof text, "%s%0*u", i & 4 ? "-" : "", places + 1, x);
                if (places) {
                    memmove(text + n - places + 1, text + n - places, (size_t)places + 1);
                    text[n - places] = '.';
                }
                check_float(text);
            }
}

static void rounds_random_floats(void **state) {
    (void)state;
    char text[128];
    for (int i = 0; i < 150000; i++) {
        uint32_t bits = (uint32_t)random_bits() & 0xff7fffff;
        float x;
        memcpy(&x, &bits, sizeof x);
        if (!isfinite(x)) continue;
        static const char *const formats[] = {"%.4f", "%.9g", "%.6g", "%.17g", "%.8e", "%.12f", "%.40g"};
        float unit = (float)(random_bits() >> 40) * 0x1p-24f;
        snprintf(text, sizeof text, formats[i % 7], (double)(i & 8 ? x : unit));
        check_float(text);
        /* the middle between two floats, and its neighbours, are the hard cases */
        double middle = ((double)x + (double)nextafterf(x, INFINITY)) / 2;
        if (!isfinite(middle)) continue;
        snprintf(text, sizeof text, "%.*e", 15 + i % 5, middle);
        check_float(text);
    }
    for (int i = 0; i < 150000; i++) {
        int n =
            snprintf(text, sizeof text, "%llu", (unsigned long long)(random_bits() >> random_bits() % 64));
        n += snprintf(text + n, sizeof text - (size_t)n, ".%llu",
                      (unsigned long long)(random_bits() >> random_bits() % 64));
        if (i & 1) snprintf(text + n, sizeof text - (size_t)n, "e%d", (int)(random_bits() % 100) - 60);
        check_float(text);
    }
}

static void rounds_in_any_locale(void **state) {
    (void)state;
    if (!setlocale(LC_ALL, "de_DE.UTF-8") && !setlocale(LC_ALL, "fr_FR.UTF-8"))
        print_message("no locale with a decimal comma here\n");
    hone_json j = json("1.00000005960464477539062500000001");
    float x;
    assert_int_equal(hone_json_float(&j, &x, NULL), HONE_OK);
    assert_true(x == 1.0f + 0x1p-23f);
    setlocale(LC_ALL, "C");
}

static void refuses_bad_numbers(void **state) {
    (void)state;
    static const char *const texts[] = {"",    "-",   "+1",  ".5",  "1.",        "01",          "-01",
                                        "00",  "1e",  "1e+", "0x1", "1.e5",      "1.5.2",       "1,",
                                        "--1", "nan", "inf", "Na",  "infinity",  "1f",          "1_0",
                                        "１",  "e5",  "-e5", "1 2", "000000001", "0123456789.5"};
    hone_json_tensor t = {0};
    char list[64];
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        snprintf(list, sizeof list, "[0.5,%s,0.5]", texts[i]);
        if (scan(&t, HONE_FLOAT32, list, NULL) == HONE_OK) fail_msg("%s was taken", list);
        if (scan(&t, HONE_FLOAT32, texts[i], NULL) == HONE_OK) fail_msg("float: %s was taken", texts[i]);
        if (scan(&t, HONE_FLOAT64, texts[i], NULL) == HONE_OK) fail_msg("double: %s was taken", texts[i]);
        if (scan(&t, HONE_INT32, texts[i], NULL) == HONE_OK) fail_msg("int32: %s was taken", texts[i]);
    }
    hone_json_tensor_free(&t);
}

static void takes_specials(void **state) {
    (void)state;
    hone_json_tensor t = {0};
    assert_int_equal(scan(&t, HONE_FLOAT32, "[NaN, Infinity, -Infinity, Inf, -Inf, -NaN]", NULL), HONE_OK);
    const float *x = t.data;
    assert_true(isnan(x[0]) && isnan(x[5]));
    assert_true(x[1] == INFINITY && x[2] == -INFINITY && x[3] == INFINITY && x[4] == -INFINITY);
    assert_int_equal(scan(&t, HONE_FLOAT64, "-Infinity", NULL), HONE_OK);
    assert_true(*(double *)t.data == (double)-INFINITY);
    assert_int_equal(t.rank, 0);
    hone_json_tensor_free(&t);
}

typedef struct shape_case {
    const char *text;
    int rank; /* -1: refused */
    int64_t dims[4];
    size_t count;
} shape_case;

/* Half precision: rounded once, and no number becomes infinite. */
static void reads_halves(void **state) {
    static const struct {
        hone_dtype dtype;
        const char *text;
        int bits; /* -1: an error */
    } cases[] = {
        {HONE_FLOAT16, "65504", 0x7bff},
        {HONE_FLOAT16, "65519.99999", 0x7bff},
        {HONE_FLOAT16, "65520", -1},
        {HONE_FLOAT16, "-65520", -1},
        {HONE_FLOAT16, "1e6", -1},
        {HONE_FLOAT16, "1e39", -1},
        {HONE_FLOAT16, "1e999", -1},
        {HONE_FLOAT16, "Infinity", 0x7c00},
        {HONE_FLOAT16, "-Infinity", 0xfc00},
        {HONE_FLOAT16, "6e-8", 1},
        {HONE_FLOAT16, "-1e-9", 0x8000},
        {HONE_FLOAT16, "1.000488281250001", 0x3c01}, /* as float32 it lies between two halves */
        {HONE_BFLOAT16, "3.3895e38", 0x7f7f},
        {HONE_BFLOAT16, "3.3962e38", -1},
        {HONE_BFLOAT16, "-3.4028234e38", -1},
        {HONE_BFLOAT16, "1e39", -1},
        {HONE_BFLOAT16, "-Infinity", 0xff80},
        {HONE_BFLOAT16, "1.00390625000001", 0x3f81},
    };
    hone_json_tensor t = {0};
    hone_error err;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char list[40];
        snprintf(list, sizeof list, "[%s]", cases[i].text);
        hone_status status = scan(&t, cases[i].dtype, list, &err);
        if (cases[i].bits < 0) {
            assert_int_equal(status, HONE_INVALID_ARGUMENT);
            if (!strstr(err.message, "without loss of precision")) fail_msg("%s: %s", list, err.message);
        } else if (status != HONE_OK || *(uint16_t *)t.data != cases[i].bits) {
            fail_msg("%s: %#x", list, status == HONE_OK ? *(uint16_t *)t.data : 0u);
        }
    }
    hone_json_tensor_free(&t);
}

static void finds_shapes(void **state) {
    (void)state;
    static const shape_case cases[] = {
        {"1", 0, {0}, 1},
        {"[]", 1, {0}, 0},
        {"[ 1 ]", 1, {1}, 1},
        {"[1,2 , 3]", 1, {3}, 3},
        {"[[1,2],[3,4],[5,6]]", 2, {3, 2}, 6},
        {" [ [ 1 , 2 ] ,\n\t[ 3 , 4 ]\r\n] ", 2, {2, 2}, 4},
        {"[[[1],[2]],[[3],[4]]]", 3, {2, 2, 1}, 4},
        {"[[],[]]", 2, {2, 0}, 0},
        {"[[[]],[[]]]", 3, {2, 1, 0}, 0},
        {"[[1,2],[3]]", -1, {0}, 0},
        {"[[1],[2,3]]", -1, {0}, 0},
        {"[[1],2]", -1, {0}, 0},
        {"[1,[2]]", -1, {0}, 0},
        {"[[1],[[2]]]", -1, {0}, 0},
        {"[[],[1]]", -1, {0}, 0},
        {"[[1],[]]", -1, {0}, 0},
        {"[1,]", -1, {0}, 0},
        {"[,1]", -1, {0}, 0},
        {"[1 2]", -1, {0}, 0},
        {"[1", -1, {0}, 0},
        {"[1,", -1, {0}, 0},
        {"[[1]", -1, {0}, 0},
        {"[1}", -1, {0}, 0},
        {"[1]]", -1, {0}, 0},
        {"[", -1, {0}, 0},
        {"]", -1, {0}, 0},
        {"[null]", -1, {0}, 0},
        {"[\"a\"]", -1, {0}, 0},
        {"[{}]", -1, {0}, 0},
        {"[true]", -1, {0}, 0},
        {"[[[[[[[[1]]]]]]]]", 8, {1, 1, 1, 1}, 1},
        {"[[[[[[[[[1]]]]]]]]]", -1, {0}, 0},
    };
    static const hone_dtype dtypes[] = {HONE_FLOAT32, HONE_FLOAT64, HONE_INT64, HONE_UINT8};
    hone_json_tensor t = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t d = 0; d < sizeof dtypes / sizeof *dtypes; d++) {
            const shape_case *c = &cases[i];
            hone_error err = {0};
            hone_status status = scan(&t, dtypes[d], c->text, &err);
            if ((status == HONE_OK) != (c->rank >= 0))
                fail_msg("%s: %s", c->text, status == HONE_OK ? "taken" : err.message);
            if (status != HONE_OK) continue;
            assert_int_equal(t.rank, c->rank);
            assert_int_equal(t.count, c->count);
            for (int k = 0; k < t.rank && k < 4; k++) assert_int_equal(t.dims[k], c->dims[k]);
        }
    hone_json_tensor_free(&t);
}

static void keeps_values_in_order(void **state) {
    (void)state;
    hone_json_tensor t = {0};
    char text[32768];
    int n = sprintf(text, "[");
    for (int i = 0; i < 2000; i++)
        n += sprintf(text + n, "%s[%d.5,%s%d]", i ? "," : "", i, i % 3 ? " " : "", -i);
    sprintf(text + n, "]");
    assert_int_equal(scan(&t, HONE_FLOAT32, text, NULL), HONE_OK);
    assert_int_equal(t.count, 4000);
    for (int i = 0; i < 2000; i++) {
        assert_true(((float *)t.data)[2 * i] == (float)i + 0.5f);
        assert_true(((float *)t.data)[2 * i + 1] == (float)-i);
    }
    hone_json_tensor_free(&t);
}

static void reads_integers(void **state) {
    (void)state;
    static const struct {
        hone_dtype dtype;
        const char *text;
        bool good;
        int64_t value;
    } cases[] = {
        {HONE_INT8, "-128", true, -128},
        {HONE_INT8, "127", true, 127},
        {HONE_INT8, "128", false, 0},
        {HONE_INT8, "-129", false, 0},
        {HONE_UINT8, "255", true, 255},
        {HONE_UINT8, "256", false, 0},
        {HONE_UINT8, "-1", false, 0},
        {HONE_INT32, "2147483647", true, 2147483647},
        {HONE_INT32, "2147483648", false, 0},
        {HONE_INT32, "1.0", false, 0},
        {HONE_INT32, "1e2", false, 0},
        {HONE_INT64, "-9223372036854775808", true, INT64_MIN},
        {HONE_INT64, "9223372036854775808", false, 0},
        {HONE_INT64, "-9223372036854775809", false, 0},
        {HONE_UINT64, "18446744073709551615", true, -1},
        {HONE_UINT64, "18446744073709551616", false, 0},
        {HONE_BOOL, "true", true, 1},
        {HONE_BOOL, "false", true, 0},
        {HONE_BOOL, "1", false, 0},
        {HONE_BOOL, "truth", false, 0},
    };
    hone_json_tensor t = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hone_status status = scan(&t, cases[i].dtype, cases[i].text, NULL);
        if ((status == HONE_OK) != cases[i].good)
            fail_msg("%s as %s", cases[i].text, hone_dtype_name(cases[i].dtype));
        if (!cases[i].good) continue;
        int64_t got = 0;
        memcpy(&got, t.data, hone_dtype_size(cases[i].dtype));
        size_t size = hone_dtype_size(cases[i].dtype);
        assert_memory_equal(&got, &cases[i].value, size);
    }
    hone_json_tensor_free(&t);
}

static void reads_strings(void **state) {
    (void)state;
    hone_json_tensor t = {0};
    assert_int_equal(
        scan(&t, HONE_STRING, "[\"\", \"a\\n\\\"\\\\\\/\\u00e9\\ud83d\\ude00b\", \"\xc3\xa9\"]", NULL),
        HONE_OK);
    const hone_string *s = t.data;
    assert_string_equal(s[0].data, "");
    assert_string_equal(s[1].data, "a\n\"\\/\xc3\xa9\xf0\x9f\x98\x80"
                                   "b");
    assert_int_equal(s[1].size, strlen(s[1].data));
    assert_string_equal(s[2].data, "\xc3\xa9");
    assert_int_equal(scan(&t, HONE_STRING, "\"\\u0000a\\u0000\"", NULL), HONE_OK);
    s = t.data;
    assert_int_equal(s[0].size, 3);
    assert_memory_equal(s[0].data, "\0a\0", 4);
    static const char *const bad[] = {
        "\"",          "\"a",      "\"\\",    "\"\\x\"", "\"\\u12\"", "\"\\ud83d\"", "\"\\ud83d\\u0041\"",
        "\"\\ude00\"", "\"a\nb\"", "\"\\u00", "'a'"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (scan(&t, HONE_STRING, bad[i], NULL) == HONE_OK) fail_msg("%s was taken", bad[i]);
    hone_json_tensor_free(&t);
}

static void skips_values(void **state) {
    (void)state;
    static const char *const good[] = {
        "{}", "[]", "{\"a\": [1, {\"b\": null}], \"c\": \"\\n\"}", "true", "-1.5e3", " \"x\" ", "NaN"};
    static const char *const bad[] = {"",      "{",   "{\"a\"}", "{\"a\":}",  "{\"a\":1,}", "{a:1}",
                                      "[1 2]", "tru", "nul",     "{\"a\":1]", "@",          "\x01"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        hone_json j = json(good[i]);
        if (hone_json_skip(&j, NULL) != HONE_OK || hone_json_peek(&j)) fail_msg("%s was refused", good[i]);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        hone_json j = json(bad[i]);
        if (hone_json_skip(&j, NULL) == HONE_OK) fail_msg("%s was taken", bad[i]);
    }
    char deep[4000];
    memset(deep, '[', sizeof deep);
    deep[sizeof deep - 1] = 0;
    hone_json j = json(deep);
    assert_int_equal(hone_json_skip(&j, NULL), HONE_INVALID_ARGUMENT);
}

static void explains_errors(void **state) {
    (void)state;
    hone_json_tensor t = {0};
    hone_error err;
    static const struct {
        hone_dtype dtype;
        const char *text, *message;
    } cases[] = {
        {HONE_FLOAT32, "[1, \"abc\"]", "JSON Value: \"abc\" Type: String is not of expected type: float"},
        {HONE_FLOAT32, "[1, true]", "JSON Value: true Type: True is not of expected type: float"},
        {HONE_INT32, "1.5", "JSON Value: 1.5 Type: Number is not of expected type: int32"},
        {HONE_STRING, "[12]", "JSON Value: 12 Type: Number is not of expected type: string"},
        {HONE_FLOAT32, "[1e39]", "Cannot convert JSON value: 1e39 to float without loss of precision."},
        {HONE_FLOAT32, "[1, @]", "JSON Parse error: Invalid value at offset: 4"},
        {HONE_FLOAT32, "[1, 2", "JSON Parse error: Expected ',' at offset: 5 (the end)"},
        {HONE_FLOAT32, "[[1, 2], [3]]",
         "Encountered list at unexpected size: 1 at level: 1 expected size: 2"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_not_equal(scan(&t, cases[i].dtype, cases[i].text, &err), HONE_OK);
        assert_string_equal(err.message, cases[i].message);
    }
    hone_json_tensor_free(&t);
}

static const char *written(hone_buffer *b, float x) {
    b->size = 0;
    hone_json_write_float(b, x);
    hone_buffer_byte(b, 0);
    return b->data;
}

/* As few digits as printf can do with, and the same number when read. */
static void writes_shortest_floats(void **state) {
    (void)state;
    hone_buffer b = {0};
    for (int i = 0; i < 60000; i++) {
        uint32_t bits = (uint32_t)random_bits();
        float x;
        memcpy(&x, &bits, sizeof x);
        if (i % 3 == 0) x = (float)(int)(random_bits() % 100000) / 1000.0f;
        if (!isfinite(x) || x == 0) continue;
        const char *text = written(&b, x);
        if (strtof(text, NULL) != x) fail_msg("%s is not %a", text, (double)x);
        size_t digits = 0, zeros = 0;
        for (const char *p = text; *p && *p != 'e'; p++)
            if (*p >= '0' && *p <= '9' && (digits || *p != '0')) digits++, zeros = *p == '0' ? zeros + 1 : 0;
        int least = 1;
        char trial[40];
        for (; least < 9; least++) {
            snprintf(trial, sizeof trial, "%.*e", least - 1, (double)x);
            if (strtof(trial, NULL) == x) break;
        }
        if ((int)(digits - zeros) > least) fail_msg("%s has more digits than %s", text, trial);
    }
    hone_buffer_free(&b);
}

static void writes_floats_like_tensorflow(void **state) {
    (void)state;
    static const struct {
        float x;
        const char *text;
    } cases[] = {{0, "0.0"},
                 {-0.0f, "-0.0"},
                 {1, "1.0"},
                 {-2, "-2.0"},
                 {2.5f, "2.5"},
                 {0.1f, "0.1"},
                 {100000, "100000.0"},
                 {999999, "999999.0"},
                 {1e6f, "1e+06"},
                 {9e6f, "9e+06"},
                 {1234567, "1234567.0"},
                 {16777216, "16777216.0"},
                 {0.0001f, "0.0001"},
                 {0.00003f, "3e-05"},
                 {1.5e-7f, "1.5e-07"},
                 {3.4028235e38f, "3.4028235e+38"},
                 {1e-45f, "1e-45"},
                 {123.456f, "123.456"},
                 {0.33333334f, "0.33333334"},
                 {NAN, "NaN"},
                 {INFINITY, "Infinity"},
                 {-INFINITY, "-Infinity"},
                 {1.17549435e-38f, "1.1754944e-38"},
                 {1234.5f, "1234.5"}};
    hone_buffer b = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(written(&b, cases[i].x), cases[i].text);
    static const double doubles[] = {0.1, 1.0 / 3, 1e300, 123456789012345678.0, 5e-324, -2, 1e22};
    for (size_t i = 0; i < sizeof doubles / sizeof *doubles; i++) {
        b.size = 0;
        hone_json_write_double(&b, doubles[i]);
        hone_buffer_byte(&b, 0);
        assert_true(strtod(b.data, NULL) == doubles[i]);
        assert_non_null(strpbrk(b.data, ".e"));
    }
    hone_buffer_free(&b);
}

static void writes_tensors(void **state) {
    (void)state;
    hone_buffer b = {0};
    float x[] = {1, 2, 3, 4, 5, 6};
    const int64_t dims[] = {2, 3, 1};
    hone_tensor *t;
    assert_int_equal(hone_tensor_wrap(HONE_FLOAT32, 3, dims, x, &t, NULL), HONE_OK);
    assert_true(hone_json_write_tensor(&b, t, 0, 0));
    hone_buffer_byte(&b, 0);
    assert_string_equal(b.data, "[[[1.0], [2.0], [3.0]], [[4.0], [5.0], [6.0]]]");
    b.size = 0;
    assert_true(hone_json_write_tensor(&b, t, 1, 3));
    hone_buffer_byte(&b, 0);
    assert_string_equal(b.data, "[[4.0], [5.0], [6.0]]");
    hone_tensor_free(t);
    int64_t y[] = {INT64_MIN, 0, 105};
    assert_int_equal(hone_tensor_wrap(HONE_INT64, 1, (int64_t[]){3}, y, &t, NULL), HONE_OK);
    b.size = 0;
    assert_true(hone_json_write_tensor(&b, t, 0, 0));
    hone_buffer_byte(&b, 0);
    assert_string_equal(b.data, "[-9223372036854775808, 0, 105]");
    hone_tensor_free(t);
    b.size = 0;
    hone_json_write_string(&b, "a\"\\\n\x01\xff\xc3\xa9", 8);
    hone_buffer_byte(&b, 0);
    assert_string_equal(b.data, "\"a\\\"\\\\\\n\\u0001\xef\xbf\xbd\xc3\xa9\"");
    hone_buffer_free(&b);
}

static hone_tensor *wrapped(hone_dtype dtype, int rank, const int64_t *dims, void *data) {
    hone_tensor *t = NULL;
    assert_int_equal(hone_tensor_wrap(dtype, rank, dims, data, &t, NULL), HONE_OK);
    return t;
}

/* Rows as objects; none where a row has other numbers than keys, or is no row. */
static void writes_maps(void **state) {
    (void)state;
    hone_buffer b = {0};
    float x[] = {1, 2, 3, 4};
    int64_t names[] = {-1, 7, 9}, dims[] = {2, 2}, two = 2, three = 3;
    hone_tensor *rows = wrapped(HONE_FLOAT32, 2, dims, x), *row = wrapped(HONE_FLOAT32, 1, &two, x),
                *one = wrapped(HONE_FLOAT32, 0, NULL, x), *keys = wrapped(HONE_INT64, 1, &two, names),
                *more = wrapped(HONE_INT64, 1, &three, names);
    const struct {
        const hone_tensor *t;
        int axis;
        int64_t first;
        const char *want;
    } good[] = {{rows, 0, 0, "[{\"-1\": 1.0, \"7\": 2.0}, {\"-1\": 3.0, \"7\": 4.0}]"},
                {rows, 1, 2, "{\"-1\": 3.0, \"7\": 4.0}"},
                {row, 0, 0, "{\"-1\": 1.0, \"7\": 2.0}"}};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        b.size = 0;
        assert_true(hone_json_write_maps(&b, good[i].t, keys, good[i].axis, good[i].first));
        hone_buffer_byte(&b, 0);
        assert_string_equal(b.data, good[i].want);
    }
    assert_false(hone_json_write_maps(&b, rows, more, 0, 0));
    assert_false(hone_json_write_maps(&b, rows, keys, 2, 0));
    assert_false(hone_json_write_maps(&b, row, keys, 1, 1));
    assert_false(hone_json_write_maps(&b, one, keys, 0, 0));
    hone_tensor *all[] = {rows, row, one, keys, more};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) hone_tensor_free(all[i]);
    hone_buffer_free(&b);
}

static void survives_lack_of_memory(void **state) {
    (void)state;
    for (uint64_t n = 1; n < 20; n++) {
        hone_json_tensor t = {.dtype = HONE_STRING};
        hone_json j = json("[\"a\", \"b\", \"c\", \"d\", \"e\", \"f\", \"g\", \"h\", \"i\"]");
        hone_alloc_fail_at(n, true);
        hone_status status = hone_json_scan_tensor(&j, &t, NULL);
        hone_alloc_fail_at(0, false);
        assert_int_equal(status, n <= 2 ? HONE_OUT_OF_MEMORY : HONE_OK);
        hone_json_tensor_free(&t);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rounds_edge_floats),
        cmocka_unit_test(rounds_short_floats),
        cmocka_unit_test(rounds_random_floats),
        cmocka_unit_test(rounds_in_any_locale),
        cmocka_unit_test(refuses_bad_numbers),
        cmocka_unit_test(takes_specials),
        cmocka_unit_test(reads_halves),
        cmocka_unit_test(finds_shapes),
        cmocka_unit_test(keeps_values_in_order),
        cmocka_unit_test(reads_integers),
        cmocka_unit_test(reads_strings),
        cmocka_unit_test(skips_values),
        cmocka_unit_test(explains_errors),
        cmocka_unit_test(writes_shortest_floats),
        cmocka_unit_test(writes_floats_like_tensorflow),
        cmocka_unit_test(writes_maps),
        cmocka_unit_test(writes_tensors),
        cmocka_unit_test(survives_lack_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
