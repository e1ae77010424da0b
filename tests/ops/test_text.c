/* Operators of texts: parts, stop words, patterns, n-grams; bytes of any kind, and runs after runs. */
#include "graph/tensor.h"
#include "support/graphs.h"

static hone_error err;

static hone_tensor *texts_of(int rank, const int64_t *dims, const char *const *texts) {
    hone_tensor *t = tensor_make(HONE_STRING, rank, dims);
    for (int64_t i = 0; i < t->count; i++)
        check_ok(hone_tensor_set_string(t, i, texts[i], strlen(texts[i]), &err));
    return t;
}

static void expect_texts(const hone_tensor *t, int rank, const int64_t *dims, const char *const *texts) {
    assert_int_equal(t->dtype, HONE_STRING);
    assert_int_equal(t->rank, rank);
    for (int i = 0; i < rank; i++) assert_int_equal(t->dims[i], dims[i]);
    for (int64_t i = 0; i < t->count; i++) assert_string_equal(hone_tensor_string(t, i, NULL), texts[i]);
}

static hone_node *node_of(hone_graph *g, const char *op, hone_value *x, int outputs) {
    hone_node *n = hone_graph_add_node(g, hone_op_find("", op), "node", 1, &x, outputs);
    for (int o = 0; o < outputs; o++) hone_graph_add_output(g, n->outputs[o]);
    return n;
}

static void test_split(void **state) {
    (void)state;
    static const struct {
        const char *text, *delimiter; /* NULL: left out */
        int64_t most;                 /* -1: left out */
        int64_t count;
        const char *parts[4];
    } cases[] = {{"a,b,,c", ",", -1, 4, {"a", "b", "", "c"}},
                 {"a,b,,c", ",", 1, 2, {"a", "b,,c"}},
                 {"a,b", ",", 0, 1, {"a,b"}},
                 {"", ",", -1, 1, {""}},
                 {",", ",", -1, 2, {"", ""}},
                 {"aXYbXYX", "XY", -1, 3, {"a", "b", "X"}},
                 {"  a \t b\n", NULL, -1, 2, {"a", "b"}},
                 {"  a  b  c ", "", 1, 2, {"a", "b  c "}},
                 {" a b ", "", 0, 1, {"a b "}},
                 {"  ", NULL, -1, 0, {NULL}},
                 {"", NULL, 3, 0, {NULL}}};
    for (int c = 0; c < COUNT(cases); c++) {
        hone_graph *g = hone_graph_new("split");
        hone_node *n = node_of(g, "StringSplit", graph_input(g, "x", HONE_STRING, SHAPE(1)), 2);
        if (cases[c].delimiter) hone_node_set_string(g, n, "delimiter", cases[c].delimiter);
        if (cases[c].most >= 0) hone_node_set_int(g, n, "maxsplit", cases[c].most);
        hone_tensor *in = texts_of(SHAPE(1), &cases[c].text), *out[2];
        graph_run(g, NULL, &in, out, 2);
        expect_texts(out[0], SHAPE(1, cases[c].count), cases[c].parts);
        assert_int_equal(hone_tensor_int(out[1], 0), cases[c].count);
        hone_tensor_free(in);
        hone_tensor_free(out[0]);
        hone_tensor_free(out[1]);
        hone_graph_free(g);
    }
}

/* Shorter ones are filled up; the next run starts anew. */
static void test_split_again(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("split");
    node_of(g, "StringSplit", graph_input(g, "x", HONE_STRING, SHAPE(2)), 2);
    runner r = runner_make(g, NULL, 1);
    static const char *const x[2][2] = {{"a b c", "d"}, {"", "e f"}};
    static const char *const want[2][6] = {{"a", "b", "c", "d", "", ""}, {"", "", "e", "f"}};
    for (int run = 0; run < 4; run++) {
        hone_tensor *in = texts_of(SHAPE(2), x[run % 2]);
        const hone_tensor *out[2];
        runner_run(&r, &in, out);
        expect_texts(out[0], SHAPE(2, run % 2 ? 2 : 3), want[run % 2]);
        hone_tensor_free(in);
    }
    runner_free(&r);
    hone_graph_free(g);
}

static void test_concat_of_any_bytes(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("concat");
    hone_value *x = graph_input(g, "x", HONE_STRING, SHAPE(2, 1)),
               *y = graph_input(g, "y", HONE_STRING, SHAPE(2));
    hone_graph_add_output(g, graph_op(g, "StringConcat", x, y));
    hone_tensor *in[] = {tensor_make(HONE_STRING, SHAPE(2, 1)), tensor_make(HONE_STRING, SHAPE(2))}, *out;
    check_ok(hone_tensor_set_string(in[0], 0, "a\0b", 3, &err));
    check_ok(hone_tensor_set_string(in[1], 1, "\xff", 1, &err));
    graph_run(g, NULL, in, &out, 1);
    static const char *const want[] = {"a\0b", "a\0b\xff", "", "\xff"};
    static const size_t sizes[] = {3, 4, 0, 1};
    for (int i = 0; i < 4; i++) {
        size_t size;
        const char *text = hone_tensor_string(out, i, &size);
        assert_int_equal(size, sizes[i]);
        assert_memory_equal(text, want[i], size);
    }
    for (int i = 0; i < 2; i++) hone_tensor_free(in[i]);
    hone_tensor_free(out);
    hone_graph_free(g);
}

static void test_normalizer(void **state) {
    (void)state;
    static const char *const x[] = {"Monday", "\xc3\x89t\xc3\xa9", "tuesday", "I", "monday"};
    static const struct {
        const char *change, *locale, *stopwords[2];
        int sensitive;
        int64_t count;
        const char *want[5];
    } cases[] = {
        {"NONE", NULL, {NULL}, 0, 5, {"Monday", "\xc3\x89t\xc3\xa9", "tuesday", "I", "monday"}},
        {"UPPER", NULL, {"monday"}, 1, 4, {"MONDAY", "\xc3\x89T\xc3\x89", "TUESDAY", "I"}},
        {"LOWER", "tr_TR", {"MONDAY"}, 0, 3, {"\xc3\xa9t\xc3\xa9", "tuesday", "\xc4\xb1"}},
        {"LOWER", NULL, {"monday", "\xc3\xa9T\xc3\x89"}, 0, 2, {"tuesday", "i"}},
        {"NONE", NULL, {"Monday", "nothing"}, 1, 4, {"\xc3\x89t\xc3\xa9", "tuesday", "I", "monday"}},
    };
    for (int c = 0; c < COUNT(cases); c++)
        for (int rank = 1; rank < 3; rank++) {
            hone_graph *g = hone_graph_new("normalizer");
            int64_t dims[] = {1, 5}, result[] = {1, cases[c].count};
            hone_node *n =
                node_of(g, "StringNormalizer", graph_input(g, "x", HONE_STRING, rank, dims + 2 - rank), 1);
            hone_node_set_string(g, n, "case_change_action", cases[c].change);
            hone_node_set_int(g, n, "is_case_sensitive", cases[c].sensitive);
            if (cases[c].locale) hone_node_set_string(g, n, "locale", cases[c].locale);
            hone_string words[2];
            size_t count = 0;
            for (; count < 2 && cases[c].stopwords[count]; count++)
                words[count] =
                    (hone_string){(char *)cases[c].stopwords[count], strlen(cases[c].stopwords[count])};
            if (count) hone_node_set_strings(g, n, "stopwords", words, count);
            hone_tensor *in = texts_of(rank, dims + 2 - rank, x), *out;
            graph_run(g, NULL, &in, &out, 1);
            expect_texts(out, rank, result + 2 - rank, cases[c].want);
            hone_tensor_free(in);
            hone_tensor_free(out);
            hone_graph_free(g);
        }
}

static void test_patterns(void **state) {
    (void)state;
    static const char *const x[] = {"abc", "ab", "", "abcd"};
    hone_graph *g = hone_graph_new("regex");
    hone_node *n = node_of(g, "RegexFullMatch", graph_input(g, "x", HONE_STRING, SHAPE(2, 2)), 1);
    hone_node_set_string(g, n, "pattern", "(?i)A.*C?");
    hone_tensor *in = texts_of(SHAPE(2, 2), x), *out;
    graph_run(g, NULL, &in, &out, 1);
    for (int i = 0; i < 4; i++) assert_int_equal(tensor_at(out, i), i != 2);
    hone_tensor_free(out);
    hone_node_set_string(g, n, "pattern", "(a");
    runner r = runner_make(g, NULL, 1);
    const hone_tensor *view;
    assert_int_equal(hone_context_run(r.context, (const hone_tensor *const *)&in, &view, &err),
                     HONE_INVALID_ARGUMENT);
    assert_string_equal(err.node, "node");
    runner_free(&r);
    hone_tensor_free(in);
    hone_graph_free(g);
}

static hone_graph *tokenizer(int count, const char *separators, const char *token, int least, int mark) {
    hone_graph *g = hone_graph_new("tokens");
    hone_value *x = graph_input(g, "x", HONE_STRING, SHAPE(count));
    hone_node *n = hone_graph_add_node(g, hone_op_find("com.microsoft", "Tokenizer"), "node", 1, &x, 1);
    hone_graph_add_output(g, n->outputs[0]);
    hone_node_set_string(g, n, "pad_value", "#");
    hone_node_set_int(g, n, "mincharnum", least);
    hone_node_set_int(g, n, "mark", mark);
    hone_string s[8];
    size_t parts = 0;
    for (const char *at = separators; at; at = strchr(at, '|') ? strchr(at, '|') + 1 : NULL)
        s[parts++] = (hone_string){(char *)at, strcspn(at, "|")};
    if (separators) hone_node_set_strings(g, n, "separators", s, parts);
    if (token) hone_node_set_string(g, n, "tokenexp", token);
    return g;
}

/* Separators stand between bars. */
static void test_tokens(void **state) {
    (void)state;
    static const char *const x[] = {"the cat", "\xc5\x81, a;bb", ""};
    static const struct {
        const char *separators, *token;
        int least, mark, width;
        const char *want[30];
    } cases[] = {
        {NULL, "[a-z]+", 1, 0, 2, {"the", "cat", "a", "bb", "#", "#"}},
        {NULL, "[a-z]+", 2, 1, 4, {"\2", "the", "cat", "\3", "\2", "bb", "\3", "#", "\2", "\3", "#", "#"}},
        {NULL, "c|ca|t", 1, 0, 3, {"t", "ca", "t", "#", "#", "#", "#", "#", "#"}},
        {NULL, "z", 1, 1, 0, {NULL}},
        {" ", NULL, 1, 0, 2, {"the", "cat", "\xc5\x81,", "a;bb", "#", "#"}},
        {"[;,]| ", NULL, 1, 0, 3, {"the", "cat", "#", "\xc5\x81", "a", "bb", "#", "#", "#"}},
        {"", NULL, 1, 0, 7, {"t", "h", "e", " ", "c", "a", "t", "\xc5\x81", ",", " ", "a",
                             ";", "b", "b", "#", "#", "#", "#", "#",        "#", "#"}},
    };
    for (int c = 0; c < COUNT(cases); c++) {
        hone_graph *g = tokenizer(3, cases[c].separators, cases[c].token, cases[c].least, cases[c].mark);
        hone_tensor *in = texts_of(SHAPE(3), x), *out;
        graph_run(g, NULL, &in, &out, 1);
        assert_int_equal(out->rank, 2);
        assert_int_equal(out->dims[1], cases[c].width);
        for (int i = 0; i < out->count; i++)
            assert_string_equal(hone_tensor_string(out, i, NULL), cases[c].want[i]);
        hone_tensor_free(in);
        hone_tensor_free(out);
        hone_graph_free(g);
    }
}

static void test_wrong_tokenizers(void **state) {
    (void)state;
    hone_graph *wrong[] = {tokenizer(1, NULL, NULL, 1, 0), tokenizer(1, " ", "a", 1, 0),
                           tokenizer(1, " ", NULL, 0, 0)};
    for (int i = 0; i < COUNT(wrong); i++) {
        hone_model *model = NULL;
        assert_int_equal(hone_model_compile(wrong[i], NULL, &model, &err), HONE_INVALID_ARGUMENT);
        assert_string_equal(err.node, "node");
        hone_graph_free(wrong[i]);
    }
}

/* Pool: a; b; a b, b b; a b a */
static void test_ngrams(void **state) {
    (void)state;
    static const struct {
        const char *mode;
        int64_t least, most, skips;
        double want[5];
    } cases[] = {{"TF", 1, 1, 0, {3, 3, 0, 0, 0}},   {"TF", 1, 1, 5, {3, 3, 0, 0, 0}},
                 {"TF", 2, 2, 0, {0, 0, 2, 1, 0}},   {"TF", 2, 2, 1, {0, 0, 3, 2, 0}},
                 {"TF", 1, 3, 0, {3, 3, 2, 1, 1}},   {"IDF", 1, 3, 0, {1, 2, 3, 4, 5}},
                 {"TFIDF", 1, 3, 0, {3, 6, 6, 4, 5}}};
    static const char *const letters[] = {"a", "b", "a", "b", "b", "a"};
    for (int c = 0; c < COUNT(cases); c++)
        for (int whole = 0; whole < 2; whole++) {
            hone_graph *g = hone_graph_new("ngrams");
            hone_dtype dtype = whole ? HONE_INT32 : HONE_STRING;
            hone_node *n = node_of(g, "TfIdfVectorizer", graph_input(g, "x", dtype, SHAPE(1, 6)), 1);
            hone_string texts[9];
            int64_t numbers[9];
            static const char pool[] = "ababbbaba"; /* a | b | ab bb | aba: 9 tokens */
            static char one[9][2];
            for (int i = 0; i < 9; i++) {
                one[i][0] = pool[i];
                texts[i] = (hone_string){one[i], 1};
                numbers[i] = pool[i];
            }
            hone_node_set_string(g, n, "mode", cases[c].mode);
            hone_node_set_int(g, n, "min_gram_length", cases[c].least);
            hone_node_set_int(g, n, "max_gram_length", cases[c].most);
            hone_node_set_int(g, n, "max_skip_count", cases[c].skips);
            hone_node_set_ints(g, n, "ngram_counts", (int64_t[]){0, 2, 6}, 3);
            hone_node_set_ints(g, n, "ngram_indexes", (int64_t[]){0, 1, 2, 3, 4}, 5);
            hone_node_set_floats(g, n, "weights", (float[]){1, 2, 3, 4, 5}, 5);
            if (whole)
                hone_node_set_ints(g, n, "pool_int64s", numbers, 9);
            else
                hone_node_set_strings(g, n, "pool_strings", texts, 9);
            hone_tensor *in = whole ? tensor_make(dtype, SHAPE(1, 6)) : texts_of(SHAPE(1, 6), letters), *out;
            for (int i = 0; whole && i < 6; i++) tensor_set(in, i, letters[i][0]);
            graph_run(g, NULL, &in, &out, 1);
            assert_int_equal(out->count, 5);
            for (int i = 0; i < 5; i++)
                if (tensor_at(out, i) != cases[c].want[i])
                    fail_msg("case %d [%d]: %g", c, i, tensor_at(out, i));
            hone_tensor_free(in);
            hone_tensor_free(out);
            hone_graph_free(g);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_split),
        cmocka_unit_test(test_split_again),
        cmocka_unit_test(test_concat_of_any_bytes),
        cmocka_unit_test(test_normalizer),
        cmocka_unit_test(test_patterns),
        cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_wrong_tokenizers),
        cmocka_unit_test(test_ngrams),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
