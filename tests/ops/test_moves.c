/* Operators that only move elements move those of every dtype that they take: where an element comes from is found with int64, and
 * must be the same with strings, with floats of a byte, and with elements that share one. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/bits.h"
#include "graph/tensor.h"
#include "ops/op_cases.h"

/* The slot of what the operator moves; NULL: it does more than that. What takes strings and numbers does not look at
 * them, unless it is to combine them or to find one between them. */
static const hone_slot *moved_slot(const op_case *c) {
    const uint32_t moved = HONE_TYPES_FIXED | HONE_TYPE(HONE_STRING);
    const hone_slot *y = hone_op_output(case_op(c), 0), *found = NULL;
    if (strstr(c->attrs, "reduction=") || strstr(c->attrs, "mode=linear") || strstr(c->attrs, "mode=cubic"))
        return NULL;
    for (int i = 0; i < CASE_MAX_INPUTS; i++) {
        const hone_slot *x = hone_op_input(case_op(c), i);
        if (!x) break;
        bool asked = i == 0 || strcmp(c->op, "Where") == 0 || strcmp(c->op, "OneHot") == 0;
        if (asked && !found && x->var && y && x->var == y->var && (x->types & moved) == moved) found = x;
        bool floats = x->types & HONE_TYPES_FLOAT && !(x->types & HONE_TYPES_INT);
        if (floats && !(x->flags & HONE_SLOT_SHAPE))
            return NULL; /* what reads floats of other kinds computes */
    }
    return found;
}

/* Element i of a tensor whose first element is number `first` among all that are moved. */
static void set_element(hone_tensor *t, int64_t i, int64_t first) {
    const uint64_t number = (uint64_t)(first + i), bits = number * 0x9e3779b97f4a7c15u >> 7;
    int size = hone_dtype_bits(t->dtype);
    char text[40];
    if (t->dtype == HONE_INT64)
        ((int64_t *)t->data)[i] = (int64_t)number;
    else if (t->dtype == HONE_STRING) {
        int n = snprintf(text, sizeof text, "%d%c%d", (int)number, 0, (int)bits);
        assert_int_equal(hone_tensor_set_string(t, i, text, number ? (size_t)n : 0, NULL), HONE_OK);
    } else if (size < 8)
        hone_bits_set(t->data, i, size, (unsigned)bits);
    else
        for (int b = 0; b < size / 8; b++)
            ((uint8_t *)t->data)[i * size / 8 + b] =
                t->dtype == HONE_BOOL ? bits & 1 : (uint8_t)(bits >> 8 * b);
}

static bool same_element(const hone_tensor *a, int64_t i, const hone_tensor *b, int64_t k) {
    int bits = hone_dtype_bits(a->dtype);
    if (a->dtype == HONE_STRING) {
        size_t n, m;
        const char *s = hone_tensor_string(a, i, &n), *r = hone_tensor_string(b, k, &m);
        return n == m && memcmp(s, r, n + 1) == 0;
    }
    if (bits < 8) return hone_bits_get(a->data, i, bits) == hone_bits_get(b->data, k, bits);
    bool half = a->dtype == HONE_FLOAT16 || a->dtype == HONE_BFLOAT16; /* NaN may become another one */
    if (half && isnan(hone_tensor_number(a, i)) && isnan(hone_tensor_number(b, k))) return true;
    return memcmp((char *)a->data + i * bits / 8, (char *)b->data + k * bits / 8, (size_t)bits / 8) == 0;
}

/* Runs the case with elements of `dtype`; out[0 … outputs-1] are views of the runner's. */
static void run_case(const op_case *c, hone_dtype dtype, int threads, built_case *b, runner *r,
                     const hone_tensor **out) {
    hone_error err = {0};
    if (!case_build(c, dtype, b)) fail_msg("%s %s cannot be built", c->op, c->inputs);
    int64_t first = 0;
    for (int i = 0; i < b->inputs; i++) {
        for (int64_t k = 0; b->real[i] && k < b->data[i]->count; k++) set_element(b->data[i], k, first);
        if (b->real[i]) first += b->data[i]->count;
    }
    if (runner_open(b->g, "all", threads, r, &err) != HONE_OK ||
        hone_context_run(r->context, (const hone_tensor *const *)b->data, out, &err) != HONE_OK)
        fail_msg("%s %s with %s: %s", c->op, c->inputs, hone_dtype_name(dtype), err.message);
}

/* The input that has element `number`, which becomes its index there. */
static const hone_tensor *find_element(const built_case *b, int64_t *number) {
    for (int i = 0; i < b->inputs; i++) {
        if (!b->real[i]) continue;
        if (*number < b->data[i]->count) return b->data[i];
        *number -= b->data[i]->count;
    }
    fail_msg("no such element");
    return NULL;
}

static void check_dtype(const op_case *c, hone_dtype dtype, const hone_tensor *const *from) {
    built_case b;
    runner r;
    const hone_tensor *out[CASE_MAX_OUTPUTS];
    run_case(c, dtype, 2, &b, &r, out);
    for (int o = 0; o < c->outputs; o++) {
        if (hone_op_output(b.node->op, o)->var != moved_slot(c)->var) continue;
        assert_int_equal(out[o]->dtype, dtype);
        assert_int_equal(out[o]->count, from[o]->count);
        for (int64_t i = 0; i < out[o]->count; i++) {
            int64_t number = ((const int64_t *)from[o]->data)[i];
            const hone_tensor *in = find_element(&b, &number);
            if (!same_element(out[o], i, in, number))
                fail_msg("%s %s %s with %s: element %lld", c->op, c->inputs, c->attrs, hone_dtype_name(dtype),
                         (long long)i);
        }
        int bits = hone_dtype_bits(dtype);
        for (int64_t i = out[o]->count; bits < 8 && i < (int64_t)out[o]->bytes * 8 / bits; i++)
            assert_int_equal(hone_bits_get(out[o]->data, i, bits), 0); /* behind the last element */
    }
    runner_close(&r);
    case_free(&b);
}

static void every_dtype_is_moved(void **state) {
    (void)state;
    int checked = 0;
    for (int i = 0; i < OP_CASE_COUNT; i++) {
        const op_case *c = &op_cases[i];
        if (!moved_slot(c)) continue;
        built_case b;
        runner r;
        const hone_tensor *from[CASE_MAX_OUTPUTS];
        run_case(c, HONE_INT64, 1, &b, &r, from);
        for (int d = HONE_FLOAT32; d < HONE_DTYPE_COUNT; d++)
            if (moved_slot(c)->types & HONE_TYPE(d)) check_dtype(c, (hone_dtype)d, from);
        runner_close(&r);
        case_free(&b);
        checked++;
    }
    assert_true(checked >= 25);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_dtype_is_moved)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
