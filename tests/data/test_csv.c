/* Tables of text: cells, types of columns, targets. */
#include "files.h"

#include "data/csv.h"
#include "data/dataset.h"
#include "graph/tensor.h"

#include <math.h>

static hone_error err;

/* --- cells --- */

static hone_status cut(const char *text, hone_cells *out) {
    hone_source *s = NULL;
    assert_int_equal(hone_source_memory(text, strlen(text), &s, &err), HONE_OK);
    hone_status status = hone_cells_read(s, out, &err);
    hone_source_close(s);
    return status;
}

/* Cells as they are read, "a|b;c|d". */
static void cells(const char *text, const char *wanted) {
    hone_cells c;
    char got[512] = "";
    assert_int_equal(cut(text, &c), HONE_OK);
    for (int64_t i = 0; i < c.rows * c.columns; i++) {
        size_t used = strlen(got);
        assert_int_equal(strlen(c.at[i].data), c.at[i].size);
        snprintf(got + used, sizeof got - used, "%s%s",
                 i == 0          ? ""
                 : i % c.columns ? "|"
                                 : ";",
                 c.at[i].data);
    }
    assert_string_equal(got, wanted);
    hone_cells_free(&c);
}

static void test_cells(void **state) {
    (void)state;
    cells("a,b\n1,2\n", "a|b;1|2");
    cells("a,b\r\n1,2", "a|b;1|2");
    cells("a,b\r1,2\r", "a|b;1|2");
    cells("\xef\xbb\xbf"
          "a,b\n",
          "a|b");
    cells("a, b \n\n 1 ,\n", "a|b;1|");
    cells("\"a,b\",\"c\nd\"\n\"say \"\"hi\"\"\", \"\" \n", "a,b|c\nd;say \"hi\"|");
    cells("a\tb c\t\n", "a|b c|");
    cells("a;b\n1,5;2\n", "a|b;1,5|2");
    cells("a|b\n", "a|b");
    cells("x\n1\n2\n", "x;1;2");
    cells("\"a\"b,c\n", "ab|c");
    cells("", "");
    cells("\n\n", "");
}

static void test_bad_cells(void **state) {
    (void)state;
    hone_cells c;
    assert_int_equal(cut("a,b\n1,\"2\n3,4\n", &c), HONE_CORRUPT);
    assert_string_equal(err.message, "line 2: a quoted cell never ends");
    hone_cells_free(&c);
    assert_int_equal(cut("a,b\n1\n1,2\n1,2,3\n", &c), HONE_OK);
    assert_true(c.rows == 2 && c.bad_rows == 2 && c.bad_line == 2 && c.bad_cells == 1);
    assert_true(c.lines[0] == 1 && c.lines[1] == 3);
    hone_cells_free(&c);
}

static double number(const char *text) {
    double x;
    return hone_cell_number(&(hone_string){(char *)(uintptr_t)text, strlen(text)}, &x) ? x : NAN;
}

static double date(const char *text) {
    double x;
    return hone_cell_date(&(hone_string){(char *)(uintptr_t)text, strlen(text)}, &x) ? x : NAN;
}

static void test_values(void **state) {
    (void)state;
    static const char *const none[] = {"",    "-",   ".",   "1.2.3", "1e",  "0x10",
                                       "inf", "nan", "1 2", "one",   "1,5", "e5"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) assert_true(isnan(number(none[i])));
    assert_true(number("1") == 1 && number("-1.5e3") == -1500 && number(".5") == 0.5 && number("+7.") == 7);
    assert_true(date("1970-01-01") == 0 && date("2000-03-01") == 11017 && date("1969-12-31") == -1);
    assert_true(date("2024-02-29T12:00:00Z") == 19782.5 && date("2024/02/29 06:00") == 19782.25);
    static const char *const undated[] = {"2024-13-01", "2024-02-30", "2024-02-29x", "20240229",
                                          "2024-02-29T25:00"};
    for (size_t i = 0; i < sizeof undated / sizeof *undated; i++) assert_true(isnan(date(undated[i])));
}

/* --- data sets --- */

static hone_status open_text(const char *text, hone_split split, const hone_data_options *o,
                             hone_dataset **out) {
    char spec[400];
    snprintf(spec, sizeof spec, "csv:%s", made_file("table.csv", text, strlen(text)));
    err = (hone_error){0};
    return hone_dataset_open_with(spec, split, o, out, &err);
}

static hone_dataset *opened(const char *text, const hone_data_options *o) {
    hone_dataset *d = NULL;
    if (open_text(text, HONE_SPLIT_TRAIN, o, &d) != HONE_OK) fail_msg("%s", err.message);
    return d;
}

static hone_dtype dtype_of(const hone_dataset *d, const char *name) {
    hone_column c = {.dtype = HONE_UNDEFINED};
    hone_dataset_column(d, hone_dataset_find(d, name), &c);
    return c.dtype;
}

static double value(const hone_dataset *d, const char *name, int64_t i) {
    double x;
    hone_reading r = {.column = hone_dataset_find(d, name), .dtype = HONE_FLOAT64};
    assert_int_equal(hone_dataset_read(d, &r, NULL, i, 1, &x, &err), HONE_OK);
    return x;
}

static const char *text(const hone_dataset *d, const char *name, int64_t i) {
    static hone_string s;
    hone_reading r = {.column = hone_dataset_find(d, name), .dtype = HONE_STRING};
    assert_int_equal(hone_dataset_read(d, &r, NULL, i, 1, &s, &err), HONE_OK);
    return s.data;
}

static bool noted(const hone_dataset *d, const char *part) {
    const char *note;
    for (int i = 0; (note = hone_dataset_note(d, i)); i++)
        if (strstr(note, part)) return true;
    return false;
}

static const char people[] = "age,city,since,member,id,income\n"
                             "30,Rome,2024-01-01,true,a1,10.5\n"
                             ",\"Paris, TX\",2024-01-02,false,b2,11\n"
                             "41,NA,2024-01-03,true,c3,\n"
                             "52,Rome,2024-01-04,false,d4,12.25\n"
                             "?,Oslo,2024-01-05,true,e5,13\n";

static void test_types(void **state) {
    (void)state;
    hone_dataset *d = opened(people, NULL);
    assert_int_equal(hone_dataset_count(d), 4); /* one has no income */
    assert_true(noted(d, "the target 'income' is numbers") &&
                noted(d, "1 rows are left out: they have no value"));
    assert_true(noted(d, "column 'since' is dates"));
    assert_int_equal(dtype_of(d, "age"), HONE_FLOAT64);
    assert_int_equal(dtype_of(d, "city"), HONE_STRING);
    assert_int_equal(dtype_of(d, "since"), HONE_FLOAT64);
    assert_int_equal(dtype_of(d, "member"), HONE_STRING);
    assert_int_equal(dtype_of(d, "income"), HONE_FLOAT64);
    assert_true(value(d, "age", 0) == 30 && isnan(value(d, "age", 1)) && value(d, "age", 2) == 52);
    assert_true(value(d, "since", 0) == 19723 && value(d, "income", 3) == 13);
    assert_string_equal(text(d, "city", 1), "Paris, TX");
    assert_string_equal(text(d, "member", 2), "false");
    assert_false(hone_dataset_is_split(d));
    uint32_t last = 3;
    hone_dataset *s = NULL;
    assert_int_equal(hone_dataset_subset(d, &last, 1, &s, &err), HONE_OK);
    hone_dataset_free(d); /* the texts live on */
    assert_string_equal(text(s, "city", 0), "Oslo");
    hone_dataset_free(s);
}

static void test_targets_of_classes(void **state) {
    (void)state;
    hone_data_options o = HONE_DATA_OPTIONS_INIT;
    hone_dataset *d = opened("x,class\n1,dog\n2,cat\n3,dog\n4,emu\n", NULL);
    int y = hone_dataset_find(d, "class");
    assert_int_equal(hone_dataset_usual_target(d, NULL), y);
    assert_int_equal(hone_dataset_classes(d, y), 3);
    assert_string_equal(hone_dataset_class_name(d, 0), "cat");
    assert_string_equal(hone_dataset_class_name(d, 2), "emu");
    assert_true(value(d, "class", 0) == 1 && value(d, "class", 1) == 0 && value(d, "class", 3) == 2);
    hone_dataset_free(d);

    o.target = "q"; /* few integers: classes, in the order of numbers */
    d = opened("q,x\n9,1\n10,2\n9,3\n10.0,4\n9,5\n10,6\n", &o);
    assert_int_equal(hone_dataset_classes(d, 0), 2);
    assert_string_equal(hone_dataset_class_name(d, 1), "10");
    assert_true(value(d, "q", 0) == 0 && value(d, "q", 3) == 1);
    hone_dataset_free(d);
    o.kind = HONE_TARGET_NUMBERS;
    d = opened("q,x\n9,1\n10,2\n9,3\n10.0,4\n9,5\n10,6\n", &o);
    assert_true(hone_dataset_classes(d, 0) == 0 && value(d, "q", 3) == 10);
    hone_dataset_free(d);

    o = (hone_data_options)HONE_DATA_OPTIONS_INIT; /* a model's classes, of which not all are here */
    o.classes = "ant\ncat\ndog";
    d = opened("x,class\n1,dog\n2,cat\n", &o);
    assert_true(value(d, "class", 0) == 2 && value(d, "class", 1) == 1);
    assert_int_equal(hone_dataset_classes(d, 1), 3);
    hone_dataset_free(d);
    d = NULL;
    assert_int_equal(open_text("x,class\n1,dog\n2,emu\n", HONE_SPLIT_TEST, &o, &d), HONE_INVALID_ARGUMENT);
    assert_non_null(
        strstr(err.message, "line 3: 'emu' in column 'class' is none of the model's 3 classes ('ant', …)"));
    assert_null(d);
}

static void test_header_lines(void **state) {
    (void)state;
    hone_data_options o = HONE_DATA_OPTIONS_INIT;
    hone_dataset *d = opened("1,2\n3,4\n5,6\n", NULL);
    assert_true(hone_dataset_count(d) == 3 && hone_dataset_find(d, "c1") == 0 &&
                hone_dataset_find(d, "c2") == 1);
    hone_dataset_free(d);
    d = opened("a,a\nb,c\n", NULL); /* no two names are the same */
    assert_true(hone_dataset_count(d) == 2 && hone_dataset_find(d, "c1") == 0);
    hone_dataset_free(d);
    o.header = 1;
    d = opened("a,a,\nb,c,1\n", &o);
    assert_true(hone_dataset_find(d, "a") == 0 && hone_dataset_find(d, "a.2") == 1 &&
                hone_dataset_find(d, "c3") == 2);
    hone_dataset_free(d);
    o.header = -1;
    d = opened("a,b\nc,d\n", &o);
    assert_int_equal(hone_dataset_count(d), 2);
    hone_dataset_free(d);
}

static void test_splits(void **state) {
    (void)state;
    static const char rows[] = "x,split,y\n1,train,a\n2,test,b\n3,train,b\n4,Train,a\n";
    hone_dataset *d = NULL;
    for (int split = 0; split < 2; split++) {
        assert_int_equal(open_text(rows, (hone_split)split, NULL, &d), HONE_OK);
        assert_int_equal(hone_dataset_count(d), split == 0 ? 3 : 1);
        assert_true(hone_dataset_is_split(d) && hone_dataset_find(d, "split") < 0);
        assert_int_equal(hone_dataset_classes(d, 1), 2); /* of the whole table */
        hone_dataset_free(d);
        d = NULL;
    }
    assert_int_equal(open_text(rows, HONE_SPLIT_VALIDATION, NULL, &d), HONE_NOT_FOUND);
    assert_int_equal(open_text("x,y\n1,a\n", HONE_SPLIT_VALIDATION, NULL, &d), HONE_NOT_FOUND);
    assert_null(d);
}

static void test_what_is_left_out(void **state) {
    (void)state;
    char rows[20000] = "name,empty,mostly,y\n";
    for (int i = 0; i < 300; i++) {
        size_t used = strlen(rows);
        snprintf(rows + used, sizeof rows - used, i == 7 ? "n%d,,many,%d\n" : "n%d,,%d,%d\n", i, i, i % 2);
    }
    hone_dataset *d = opened(rows, NULL);
    assert_true(hone_dataset_find(d, "name") < 0 && hone_dataset_find(d, "empty") < 0);
    assert_true(noted(d, "column 'name' is left out: almost every row has a text of its own"));
    assert_true(noted(d, "column 'empty' is left out: no row has a value"));
    assert_true(noted(d, "column 'mostly' is numbers: 1 texts in it count as missing, as 'many' in line 9"));
    assert_int_equal(hone_dataset_column_count(d), 2);
    hone_dataset_free(d);
    hone_data_options o = HONE_DATA_OPTIONS_INIT;
    o.texts = (const char *[]){"name", "mostly"};
    o.text_count = 2;
    d = opened(rows, &o);
    assert_true(dtype_of(d, "name") == HONE_STRING && dtype_of(d, "mostly") == HONE_STRING);
    hone_dataset_free(d);
    o.ignored = o.texts;
    o.ignored_count = 2;
    d = opened(rows, &o);
    assert_int_equal(hone_dataset_column_count(d), 1);
    hone_dataset_free(d);
}

static void refused(const char *rows, const hone_data_options *o, hone_status wanted, const char *part) {
    hone_dataset *d = NULL;
    assert_int_equal(open_text(rows, HONE_SPLIT_TRAIN, o, &d), wanted);
    assert_null(d);
    if (!strstr(err.message, part)) fail_msg("%s", err.message);
    assert_non_null(strstr(err.file, "table.csv"));
}

static void test_what_is_refused(void **state) {
    (void)state;
    hone_data_options o = HONE_DATA_OPTIONS_INIT;
    refused("", NULL, HONE_CORRUPT, "no rows of values");
    refused("a,b\n", NULL, HONE_CORRUPT, "no rows of values");
    refused("a,b\n1,2\n1\n1\n1\n", NULL, HONE_CORRUPT,
            "3 rows have another number of cells than the first, 2: line 3 has 1");
    refused("a,y\n1,\n2,NA\n", NULL, HONE_INVALID_ARGUMENT, "no row has a value in column 'y', the target");
    o.target = "z";
    refused("a,y\n1,2\n", &o, HONE_INVALID_ARGUMENT, "no column 'z'; there are 'a', 'y'");
    o.target = "y";
    o.kind = HONE_TARGET_NUMBERS;
    refused("a,y\n1,x\n", &o, HONE_INVALID_ARGUMENT, "column 'y', the target, has texts and not numbers");
    o.kind = HONE_TARGET_ANY;
    o.group = "g";
    refused("a,y\n1,x\n", &o, HONE_INVALID_ARGUMENT, "no column 'g'");
}

static void test_unlabeled(void **state) {
    (void)state;
    hone_data_options o = HONE_DATA_OPTIONS_INIT;
    o.target = "y";
    o.unlabeled = true;
    hone_dataset *d = opened("x,z\n1,2\n", &o);
    assert_int_equal(hone_dataset_column_count(d), 2);
    hone_dataset_free(d);
    d = opened("x,y\n1,a\n2,\n", &o);
    assert_true(hone_dataset_count(d) == 2 && hone_dataset_find(d, "y") < 0);
    hone_dataset_free(d);
    d = opened("x,y\n1,a\n2,b\n", &o);
    assert_int_equal(hone_dataset_classes(d, hone_dataset_find(d, "y")), 2);
    hone_dataset_free(d);
}

static void test_gzip(void **state) {
    (void)state;
    uint8_t packed[512];
    char spec[400];
    static const char rows[] = "x\ty\n1\ta\n2\tb\n";
    snprintf(spec, sizeof spec, "%s",
             made_file("rows.tsv.gz", packed, gzip_bytes(rows, strlen(rows), packed, sizeof packed)));
    hone_dataset *d = NULL;
    assert_int_equal(hone_dataset_open(spec, HONE_SPLIT_TRAIN, &d, &err),
                     HONE_OK); /* the kind is guessed, and told */
    assert_true(hone_dataset_count(d) == 2 && noted(d, "is read as csv:"));
    hone_dataset_free(d);
}

static hone_status open_people(hone_dataset **out) {
    return hone_dataset_open(test_path("table.csv"), HONE_SPLIT_TRAIN, out, &err);
}

static void test_out_of_memory(void **state) {
    (void)state;
    hone_dataset *d = NULL;
    made_file("table.csv", people, strlen(people));
    FAIL_EACH_ALLOCATION(open_people(&d), assert_null(d));
    hone_dataset_free(d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cells),
        cmocka_unit_test(test_bad_cells),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_targets_of_classes),
        cmocka_unit_test(test_header_lines),
        cmocka_unit_test(test_splits),
        cmocka_unit_test(test_what_is_left_out),
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_unlabeled),
        cmocka_unit_test(test_gzip),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, make_test_dir, remove_test_dir);
}
