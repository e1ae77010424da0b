/* Texts as columns. */
#include "files.h"

#include "data/dataset.h"
#include "data/text.h"
#include "graph/tensor.h"

#include <sys/stat.h>

static hone_error err;

static void made(const char *name, const char *text) {
    write_file(test_path(name), text, strlen(text));
}

static hone_dataset *opened(const char *kind, const char *name, hone_split split,
                            const hone_data_options *o) {
    char spec[4200];
    hone_dataset *d = NULL;
    snprintf(spec, sizeof spec, "%s:%s", kind, test_path(name));
    if (hone_dataset_open_with(spec, split, o, &d, &err) != HONE_OK) fail_msg("%s: %s", spec, err.message);
    return d;
}

static void refuses(const char *kind, const char *name, const hone_data_options *o, const char *what) {
    char spec[4200];
    hone_dataset *d = NULL;
    snprintf(spec, sizeof spec, "%s:%s", kind, test_path(name));
    assert_int_not_equal(hone_dataset_open_with(spec, HONE_SPLIT_TRAIN, o, &d, &err), HONE_OK);
    if (!strstr(err.message, what)) fail_msg("%s: %s", spec, err.message);
}

/* Values of a column of one sample, as int64. */
static const int64_t *values(const hone_dataset *d, const char *column, int64_t sample) {
    static int64_t out[1024];
    hone_reading r = {hone_dataset_find(d, column), HONE_INT64, false};
    assert_int_equal(hone_dataset_read(d, &r, NULL, sample, 1, out, &err), HONE_OK);
    return out;
}

static int64_t value(const hone_dataset *d, const char *column, int64_t sample) {
    return *values(d, column, sample);
}

static hone_data_options with(const char *tokenizer, int64_t tokens) {
    hone_data_options o = HONE_DATA_OPTIONS_INIT;
    o.tokenizer = tokenizer;
    o.tokens = tokens;
    return o;
}

static void check_pets(const hone_dataset *d) {
    assert_int_equal(hone_dataset_count(d), 3);
    assert_string_equal(hone_dataset_class_name(d, 0), "cat");
    assert_string_equal(hone_dataset_class_name(d, 1), "dog");
    assert_int_equal(value(d, "y", 0), 1);
    assert_int_equal(value(d, "y", 1), 0);
    assert_int_equal(value(d, "y", 2), 1);
    const int64_t *ids = values(d, "input_ids", 0); /* "it barks it barks at it" and so on: it, barks, at … */
    assert_true(ids[0] >= 2 && ids[0] == ids[2] && ids[1] == ids[3]);
    assert_int_equal(value(d, "attention_mask", 1), 1);
    assert_int_equal(values(d, "input_ids", 1)[3], 0); /* [PAD] */
    assert_int_equal(values(d, "attention_mask", 1)[3], 0);
}

static void test_forms(void **state) {
    (void)state;
    hone_data_options o = with("words:100", 6);
    made("pets.tsv",
         "label\ttext\ndog\tit barks it barks at it\n\ncat\tit is\ndog\tit barks at\r\nnothing here\n");
    hone_dataset *d = opened("text", "pets.tsv", HONE_SPLIT_TRAIN, &o);
    check_pets(d);
    assert_false(hone_dataset_is_split(d));
    assert_non_null(strstr(hone_dataset_note(d, 0), "1 text is left out"));
    assert_non_null(strstr(hone_dataset_note(d, 0), "line 6"));
    assert_non_null(hone_dataset_tokenizer(d));
    hone_dataset_free(d);
    made("pets.jsonl", "{\"text\": \"it barks it barks at it\", \"label\": \"dog\"}\n{\"text\": \"it is\", "
                       "\"label\": \"cat\"}\n"
                       "{\"label\": \"dog\", \"text\": \"it barks at\"}\n");
    d = opened("text", "pets.jsonl", HONE_SPLIT_TRAIN, &o);
    check_pets(d);
    hone_dataset_free(d);
    made("pets.csv", "label,text\ndog,\"it barks it barks at it\"\ncat,it is\ndog,it barks at\n");
    d = opened("text", "pets.csv", HONE_SPLIT_TRAIN, &o);
    check_pets(d);
    hone_dataset_free(d);
    made("animals.csv", "said,kind\nit barks it barks at it,dog\nit is,cat\nit barks at,dog\n");
    o.target = "kind";
    d = opened("text", "animals.csv", HONE_SPLIT_TRAIN, &o);
    check_pets(d);
    hone_dataset_free(d);
    mkdir(test_path("pets"), 0777);
    mkdir(test_path("pets/cat"), 0777);
    mkdir(test_path("pets/dog"), 0777);
    made("pets/cat/1", "it is");
    made("pets/dog/1", "it barks it barks at it");
    made("pets/dog/2", "it barks at");
    o.target = NULL;
    d = opened("text", "pets", HONE_SPLIT_TRAIN, &o);
    assert_int_equal(hone_dataset_count(d), 3);
    assert_int_equal(value(d, "y", 0), 0);
    assert_int_equal(value(d, "y", 2), 1);
    hone_dataset_free(d);
}

static void test_splits(void **state) {
    (void)state;
    hone_data_options o = with("words:100", 0);
    hone_dataset *test = NULL;
    mkdir(test_path("parted"), 0777);
    made("parted/train.tsv", "a\tone one two two\nb\tthree three\n");
    made("parted/test.tsv", "b\ttwo one\n");
    hone_dataset *train = opened("text", "parted", HONE_SPLIT_TRAIN, &o);
    assert_true(hone_dataset_is_split(train));
    hone_column ids;
    assert_true(hone_dataset_column(train, 0, &ids));
    assert_int_equal(ids.dims[0], 8);
    hone_data_options same = with(NULL, 8);
    same.reads = hone_dataset_tokenizer(train);
    same.classes = "a\nb\n";
    test = opened("text", "parted", HONE_SPLIT_TEST, &same);
    assert_int_equal(value(test, "y", 0), 1); /* as in the training part, where b is the second class */
    assert_int_equal(values(test, "input_ids", 0)[1], values(train, "input_ids", 0)[0]);
    hone_dataset_free(test);
    same.classes = "a\nc\n";
    refuses("text", "parted", &same, "the label 'b' is no class of the model");
    hone_dataset_free(train);
    char spec[4200];
    snprintf(spec, sizeof spec, "text:%s", test_path("parted"));
    assert_int_equal(hone_dataset_open_with(spec, HONE_SPLIT_VALIDATION, &o, &test, &err), HONE_NOT_FOUND);
}

/* A long text is cut, and still ends as its tokenizer says. */
static void test_cut(void **state) {
    (void)state;
    hone_data_options o = with("wordpiece:100", 4);
    made("long.tsv", "a\tone one one one one one one\nb\tone\n");
    hone_dataset *d = opened("text", "long.tsv", HONE_SPLIT_TRAIN, &o);
    const int64_t *ids = values(d, "input_ids", 0);
    assert_true(ids[0] == 2 && ids[1] == ids[2] && ids[3] == 3); /* [CLS] one one [SEP] */
    ids = values(d, "input_ids", 1);
    assert_true(ids[0] == 2 && ids[2] == 3 && ids[3] == 0);
    hone_dataset_free(d);
}

static void test_windows(void **state) {
    (void)state;
    enum { PAD = 0, END = 1 };
    hone_data_options o = with("bpe:258", 4); /* bytes alone */
    mkdir(test_path("book"), 0777);
    made("book/1.txt", "abcde");
    made("book/2.txt", "xyz");
    hone_dataset *d = opened("lm", "book", HONE_SPLIT_TRAIN, &o);
    /* </s> a b c | d e: the targets a b c d, e </s>; then x y z </s> fill one window */
    assert_int_equal(hone_dataset_count(d), 3);
    assert_int_equal(values(d, "input_ids", 0)[0], END);
    int64_t a = values(d, "y", 0)[0];
    assert_int_equal(values(d, "input_ids", 0)[1], a);
    assert_int_equal(values(d, "y", 0)[3], values(d, "input_ids", 1)[0]);
    assert_int_equal(values(d, "y", 1)[1], END);
    assert_int_equal(values(d, "y", 1)[2], HONE_NO_TOKEN);
    assert_int_equal(values(d, "input_ids", 1)[2], PAD);
    assert_int_equal(values(d, "input_ids", 2)[0], END);
    assert_int_equal(values(d, "y", 2)[3], END);
    int64_t bytes = 0;
    for (int64_t i = 0; i < 3; i++) bytes += value(d, "text_bytes", i);
    assert_int_equal(bytes, 8);
    hone_dataset_free(d);
}

static void test_refusals(void **state) {
    (void)state;
    hone_data_options o = with("words:100", 0), bad = with("bpe:3", 0);
    refuses("text", "nowhere.tsv", &o, "cannot");
    made("empty.tsv", "");
    refuses("text", "empty.tsv", &o, "no texts");
    made("no-tabs.tsv", "one\ntwo\n");
    refuses("text", "no-tabs.tsv", &o, "line 1: no label and tab");
    made("half.jsonl", "{\"text\": \"a\", \"label\": \"b\"}\n{\"text\": \"a\"}\n");
    refuses("text", "half.jsonl", &o, "1 of 2 texts have no label");
    made("one.tsv", "a\tb\n");
    refuses("text", "one.tsv", &bad, "bpe:N takes N");
    refuses("lm", "one.tsv", &o, "no token for the end of a text");
    o.target = "none";
    made("named.csv", "label,text\na,b\n");
    refuses("text", "named.csv", &o, "no column 'none'");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_forms), cmocka_unit_test(test_splits),
                                       cmocka_unit_test(test_cut), cmocka_unit_test(test_windows),
                                       cmocka_unit_test(test_refusals)};
    return cmocka_run_group_tests(tests, make_test_dir, remove_test_dir);
}
