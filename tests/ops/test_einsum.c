/* Einsum where lengths are known only in a run: as by counting. */
#include "support/graphs.h"

typedef struct einsum_case {
    const char *equation;
    int ranks[2];
    int64_t dims[2][4];
} einsum_case;

static const einsum_case cases[] = {
    {"abij,bjk->abki", {4, 3}, {{2, 1, 3, 4}, {5, 4, 2}}}, /* b is of one element in one of them */
    {"abi,cdi->abcd", {3, 3}, {{2, 3, 4}, {2, 5, 4}}},
    {"abcd,cdab->ba", {4, 4}, {{2, 3, 2, 4}, {2, 4, 2, 3}}},
    {"aab,bc->ca", {3, 2}, {{3, 3, 2}, {2, 4}}},
    {"ab,cd->dbca", {2, 2}, {{2, 3}, {4, 2}}},
    {"abi,bi->ab", {3, 2}, {{2, 3, 4}, {3, 4}}},
    {"ij,jk->ik", {2, 2}, {{3, 0}, {0, 2}}},
};

/* The length of a letter, and the element of operand k where letters have values at[]. */
static int64_t length_of(const einsum_case *c, char letter) {
    int64_t n = 1;
    for (int k = 0, place = 0, first = 0; k < 2; k++, first = ++place)
        for (; place - first < c->ranks[k]; place++)
            if (c->equation[place] == letter && c->dims[k][place - first] != 1) n = c->dims[k][place - first];
    return n;
}

static double element(const einsum_case *c, int k, const hone_tensor *t, const int64_t *at) {
    const char *letters = k ? strchr(c->equation, ',') + 1 : c->equation;
    int64_t i = 0;
    for (int d = 0; d < c->ranks[k]; d++) {
        int64_t value = c->dims[k][d] == 1 ? 0 : at[(int)letters[d]];
        i = i * c->dims[k][d] + value;
    }
    return tensor_at(t, i);
}

/* The sum over all letters that the output does not have. */
static double sum_over(const einsum_case *c, const char *rest, int64_t *at, hone_tensor *const *in) {
    if (!*rest) return element(c, 0, in[0], at) * element(c, 1, in[1], at);
    double sum = 0;
    for (int64_t i = 0; i < length_of(c, *rest); i++) {
        at[(int)*rest] = i;
        sum += sum_over(c, rest + 1, at, in);
    }
    return sum;
}

static void check(const einsum_case *c) {
    hone_graph *g = hone_graph_new("einsum");
    hone_value *v[2];
    hone_tensor *in[2], *out;
    for (int k = 0; k < 2; k++) {
        int64_t unknown[4];
        for (int d = 0; d < c->ranks[k]; d++) {
            char name[] = {(char)('a' + k), (char)('0' + d), 0};
            unknown[d] = hone_graph_symbol(g, name);
        }
        v[k] = graph_input(g, "x", HONE_FLOAT32, c->ranks[k], unknown);
        in[k] = tensor_random(HONE_FLOAT32, c->ranks[k], c->dims[k], (uint64_t)k + 1);
    }
    hone_value *y = graph_op(g, "Einsum", v[0], v[1]);
    hone_node_set_string(g, y->producer, "equation", c->equation);
    hone_graph_add_output(g, y);
    graph_run(g, NULL, in, &out, 1);
    const char *output = strstr(c->equation, "->") + 2;
    char rest[8] = "";
    for (const char *l = c->equation; *l != '-'; l++)
        if (*l != ',' && !strchr(output, *l) && !strchr(rest, *l)) strncat(rest, l, 1);
    assert_int_equal(out->rank, strlen(output));
    for (int64_t i = 0; i < out->count; i++) {
        int64_t at[128], left = i;
        for (int d = out->rank - 1; d >= 0; left /= out->dims[d--]) at[(int)output[d]] = left % out->dims[d];
        double want = sum_over(c, rest, at, in);
        if (fabs(tensor_at(out, i) - want) > 1e-5)
            fail_msg("%s [%d]: %g, not %g", c->equation, (int)i, tensor_at(out, i), want);
    }
    for (int d = 0; d < out->rank; d++) assert_int_equal(out->dims[d], length_of(c, output[d]));
    for (int k = 0; k < 2; k++) hone_tensor_free(in[k]);
    hone_tensor_free(out);
    hone_graph_free(g);
}

static void unknown_lengths(void **state) {
    (void)state;
    for (int i = 0; i < COUNT(cases); i++) check(&cases[i]);
}

/* Sums that wrap as those of the element type do. */
static void narrow_integers(void **state) {
    (void)state;
    static const hone_dtype dtypes[] = {HONE_UINT8, HONE_INT8, HONE_UINT16, HONE_INT16};
    static const double want[][2] = {{100 * 2 + 50 * 3 - 256, 100},
                                     {100 * 2 + 50 * 3 - 256, 100},
                                     {100 * 2 + 50 * 3, 100},
                                     {100 * 2 + 50 * 3, 100}};
    for (int d = 0; d < COUNT(dtypes); d++) {
        hone_graph *g = hone_graph_new("einsum");
        hone_value *a = graph_input(g, "a", dtypes[d], 1, (int64_t[]){2}),
                   *b = graph_input(g, "b", dtypes[d], 2, (int64_t[]){2, 2});
        hone_value *y = graph_op(g, "Einsum", a, b);
        hone_node_set_string(g, y->producer, "equation", "i,ij->j");
        hone_graph_add_output(g, y);
        hone_tensor *in[] = {tensor_make(dtypes[d], 1, (int64_t[]){2}),
                             tensor_make(dtypes[d], 2, (int64_t[]){2, 2})};
        hone_tensor *out;
        static const double numbers[] = {100, 50, 2, 1, 3, 0};
        for (int i = 0; i < 6; i++) tensor_set(in[i > 1], i < 2 ? i : i - 2, numbers[i]);
        graph_run(g, NULL, in, &out, 1);
        assert_int_equal(out->dtype, dtypes[d]);
        for (int i = 0; i < 2; i++) assert_true(tensor_at(out, i) == want[d][i]);
        hone_tensor_free(in[0]);
        hone_tensor_free(in[1]);
        hone_tensor_free(out);
        hone_graph_free(g);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(unknown_lengths), cmocka_unit_test(narrow_integers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
