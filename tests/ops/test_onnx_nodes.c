/* ONNX's own node tests: every model whose operators Hone has is run on its data sets, fused and lowered as
 * well as node by node. The directory is the first argument, else HONE_ONNX_TESTDATA, else where Debian's
 * libonnx-testdata puts it; without it everything is skipped. What is known to fail stands, with the reason,
 * in onnx_expected_failures.txt; a listed test that passes is a failure, too. */
#include "base/file.h"
#include "base/narrow.h"
#include "graph/infer.h"
#include "onnx/onnx.h"

#include <hone/log.h>
#include <hone/session.h>

#include <dirent.h>
#include <limits.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define RTOL 1e-3
#define ATOL 1e-5
#define MAX_VALUES 16

#define DEBIAN "/usr/share/libonnx-testdata/data/"
static const char *const directories[] = {DEBIAN "node", DEBIAN "pytorch-converted",
                                          DEBIAN "pytorch-operator", DEBIAN "simple"};
static const char *root;

static bool is_beyond; /* an operator or a type that Hone lacks was seen */

static void look_at(void *user, const hone_lack *lack) {
    (void)user;
    if (lack->op || strncmp(lack->what, "dtype ", 6) == 0) is_beyond = true;
}

/* --- expected failures --- lines "name: reason" */

static char *expected_text;

static void load_expected(void) {
    hone_blob blob;
    hone_error err;
    if (hone_file_read(HONE_SOURCE_DIR "/tests/ops/onnx_expected_failures.txt", 0, &blob, &err) != HONE_OK)
        fail_msg("%s", err.message);
    expected_text = calloc(1, blob.size + 1);
    assert_non_null(expected_text);
    memcpy(expected_text, blob.data, blob.size);
    hone_blob_free(&blob);
}

static bool is_expected(const char *name) {
    size_t length = strlen(name);
    for (const char *line = expected_text; line && *line;) {
        if (strncmp(line, name, length) == 0 && line[length] == ':') return true;
        line = strchr(line, '\n');
        if (line) line++;
    }
    return false;
}

/* --- one test --- */

static hone_status read_value(const char *dir, const char *kind, int i, const hone_value *v,
                              hone_tensor **out, hone_error *err) {
    char path[1024];
    hone_blob blob;
    snprintf(path, sizeof path, "%s/%s_%d.pb", dir, kind, i);
    HONE_TRY(hone_file_read(path, 0, &blob, err));
    hone_status status = hone_onnx_value(blob.data, blob.size, &v->type, path, out, err);
    hone_blob_free(&blob);
    return status;
}

static bool is_close(double x, double wanted) {
    if (isnan(wanted) || isnan(x)) return isnan(wanted) && isnan(x);
    if (isinf(wanted) || isinf(x)) return x == wanted;
    return fabs(x - wanted) <= ATOL + RTOL * fabs(wanted);
}

static hone_status compare(const hone_tensor *x, const hone_tensor *wanted, int index, hone_error *err) {
    if (hone_tensor_kind(x) != hone_tensor_kind(wanted))
        return hone_fail(err, HONE_INTERNAL, "output %d is of another kind", index);
    if (hone_tensor_kind(x) != HONE_KIND_TENSOR) {
        if (x->count != wanted->count)
            return hone_fail(err, HONE_INTERNAL, "output %d has %lld items, not %lld", index,
                             (long long)x->count, (long long)wanted->count);
        for (int64_t i = 0; i < x->count; i++)
            HONE_TRY(compare(hone_tensor_item(x, i), hone_tensor_item(wanted, i), index, err));
        return HONE_OK;
    }
    char sx[96], sw[96];
    bool same_shape = x->dtype == wanted->dtype && x->rank == wanted->rank &&
                      memcmp(x->dims, wanted->dims, (size_t)x->rank * sizeof *x->dims) == 0;
    if (!same_shape)
        return hone_fail(err, HONE_INTERNAL, "output %d is %s%s, not %s%s", index, hone_dtype_name(x->dtype),
                         hone_shape_format(x->rank, x->dims, sx, sizeof sx), hone_dtype_name(wanted->dtype),
                         hone_shape_format(wanted->rank, wanted->dims, sw, sizeof sw));
    for (int64_t i = 0; x->dtype == HONE_STRING && i < x->count; i++) {
        size_t size, want;
        const char *s = hone_tensor_string(x, i, &size), *w = hone_tensor_string(wanted, i, &want);
        if (size != want || memcmp(s, w, size) != 0)
            return hone_fail(err, HONE_INTERNAL, "output %d [%lld]: \"%s\", not \"%s\"", index, (long long)i,
                             s, w);
    }
    if (x->dtype == HONE_STRING) return HONE_OK;
    if (!hone_dtype_is_float(x->dtype) && !hone_dtype_is_small_float(x->dtype)) {
        if (memcmp(x->data, wanted->data, x->bytes) == 0) return HONE_OK;
        return hone_fail(err, HONE_INTERNAL, "integers of output %d differ", index);
    }
    for (int64_t i = 0; i < x->count; i++) {
        double a = hone_tensor_number(x, i), b = hone_tensor_number(wanted, i);
        if (!is_close(a, b))
            return hone_fail(err, HONE_INTERNAL, "output %d [%lld]: %g, not %g", index, (long long)i, a, b);
    }
    return HONE_OK;
}

/* The data sets have bfloat16 as its bits, in uint16: NumPy knows no better. */
static void restore_dtype(hone_tensor *t, hone_dtype wanted) {
    if (hone_tensor_kind(t) != HONE_KIND_TENSOR) return;
    if (t->dtype == HONE_UINT16 && wanted == HONE_BFLOAT16) t->dtype = wanted;
}

static hone_status run_set(hone_context *context, const hone_graph *g, const char *dir, hone_error *err) {
    hone_tensor *in[MAX_VALUES] = {NULL}, *wanted[MAX_VALUES] = {NULL};
    const hone_tensor *out[MAX_VALUES];
    int inputs = hone_graph_input_count(g), outputs = hone_graph_output_count(g);
    if (inputs > MAX_VALUES || outputs > MAX_VALUES) return hone_fail(err, HONE_INTERNAL, "too many values");
    hone_status status = HONE_OK;
    for (int i = 0; i < inputs && status == HONE_OK; i++) {
        status = read_value(dir, "input", i, g->inputs[i], &in[i], err);
        if (status == HONE_OK) restore_dtype(in[i], g->inputs[i]->type.dtype);
    }
    for (int i = 0; i < outputs && status == HONE_OK; i++) {
        status = read_value(dir, "output", i, g->outputs[i], &wanted[i], err);
        if (status == HONE_OK) restore_dtype(wanted[i], g->outputs[i]->type.dtype);
    }
    if (status == HONE_OK) status = hone_context_run(context, (const hone_tensor *const *)in, out, err);
    for (int i = 0; i < outputs && status == HONE_OK; i++) status = compare(out[i], wanted[i], i, err);
    for (int i = 0; i < MAX_VALUES; i++) {
        hone_tensor_free(in[i]);
        hone_tensor_free(wanted[i]);
    }
    return status;
}

static hone_status run_model(const hone_graph *g, const char *name, const char *disabled, hone_error *err) {
    hone_model_options options = HONE_MODEL_OPTIONS_INIT;
    options.disable_rewrites = disabled;
    hone_session_options session_options = HONE_SESSION_OPTIONS_INIT;
    session_options.threads = 2;
    hone_model *model = NULL;
    hone_session *session = NULL;
    hone_context *context = NULL;
    hone_status status = hone_model_compile(g, &options, &model, err);
    if (status == HONE_OK) status = hone_session_create(model, &session_options, &session, err);
    if (status == HONE_OK) status = hone_context_create(session, &context, err);
    if (status == HONE_OK) hone_context_set_random(context, 1, 0); /* fails alike each time */
    for (int set = 0; status == HONE_OK; set++) {
        char dir[1024];
        snprintf(dir, sizeof dir, "%s/%s/test_data_set_%d", root, name, set);
        if (!hone_file_exists(dir)) {
            if (set == 0) status = hone_fail(err, HONE_INTERNAL, "has no data to compare with");
            break;
        }
        status = run_set(context, g, dir, err);
    }
    hone_context_free(context);
    hone_session_free(session);
    hone_model_free(model);
    return status;
}

typedef enum outcome { PASSED, FAILED, SKIPPED } outcome;

static outcome try_model(const char *name, hone_error *err) {
    char path[1024];
    hone_graph *g = NULL;
    snprintf(path, sizeof path, "%s/%s/model.onnx", root, name);
    is_beyond = false;
    if (hone_graph_load(path, &g, err) != HONE_OK) {
        hone_graph_survey(path, look_at, NULL, NULL);
        return is_beyond ? SKIPPED : FAILED;
    }
    hone_status status = run_model(g, name, NULL, err);
    if (status == HONE_OK) status = run_model(g, name, "all", err);
    hone_graph_free(g);
    return status == HONE_OK ? PASSED : FAILED;
}

static FILE *skipped_names; /* onnx_skipped.txt: which tests wait for what */

typedef struct counts {
    int passed, failed, expected, skipped;
} counts;

static void count_test(const char *name, counts *c) {
    hone_error err = {0};
    outcome o = try_model(name, &err);
    bool listed = is_expected(name);
    if (o == FAILED && !listed) print_message("%s: %s\n", name, err.message);
    if (o == PASSED && listed) print_message("%s: passes, though it is listed as failing\n", name);
    if (o == SKIPPED && skipped_names) fprintf(skipped_names, "%s/%s: %s\n", root, name, err.message);
    c->skipped += o == SKIPPED;
    c->passed += o == PASSED && !listed;
    c->expected += o == FAILED && listed;
    c->failed += o != SKIPPED && (o == FAILED) != listed;
}

static counts walk_root(void) {
    counts c = {0};
    struct dirent **entries;
    int count = scandir(root, &entries, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        if (strncmp(entries[i]->d_name, "test_", 5) == 0) count_test(entries[i]->d_name, &c);
        free(entries[i]);
    }
    if (count >= 0) free(entries);
    print_message(
        "%s: %d passed, %d failed, %d failed as expected, %d skipped for lack of an operator or type\n", root,
        c.passed, c.failed, c.expected, c.skipped);
    return c;
}

static void test_models(void **state) {
    (void)state;
    int failed = 0;
    load_expected();
    skipped_names = fopen("onnx_skipped.txt", "w");
    if (root) {
        counts c = walk_root();
        failed = c.failed;
        assert_true(c.passed > 0); /* a directory without tests proves nothing */
    } else if (!hone_file_exists(directories[0])) {
        print_message("%s: not there, ONNX's tests are skipped\n", directories[0]);
        free(expected_text);
        skip();
    } else {
        int passed = 0;
        for (size_t i = 0; i < sizeof directories / sizeof *directories; i++) {
            root = directories[i];
            counts c = walk_root();
            failed += c.failed;
            passed += c.passed;
        }
        assert_true(passed >= 150);
    }
    free(expected_text);
    if (skipped_names) fclose(skipped_names);
    hone_log_set(NULL, NULL, HONE_LOG_ERROR);
    assert_int_equal(failed, 0);
}

static const char *self;

/* This program, given a directory without tests, fails. */
static void test_an_empty_directory(void **state) {
    (void)state;
    char dir[] = "/tmp/hone-empty-XXXXXX", command[2048];
    assert_non_null(mkdtemp(dir));
    snprintf(command, sizeof command, "cd %s && '%s' %s >/dev/null 2>&1", dir, self, dir);
    int status = system(command);
    snprintf(command, sizeof command, "rm -r %s", dir);
    assert_int_equal(system(command), 0);
    assert_int_not_equal(status, 0);
}

int main(int argc, char **argv) {
    char path[PATH_MAX];
    self = realpath(argv[0], path);
    root = argc > 1 ? argv[1] : getenv("HONE_ONNX_TESTDATA");
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_models)};
    const struct CMUnitTest own[] = {cmocka_unit_test(test_an_empty_directory)};
    if (argc == 1 && cmocka_run_group_tests(own, NULL, NULL) != 0) return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
