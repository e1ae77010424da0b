/* Gradients of ONNX's own node tests, of all attributes that these know: in double, against central
 * differences, at the inputs of the tests. Where the tests lie, and what happens if they are not there: as
 * in test_onnx_nodes.c. */
#include "base/file.h"
#include "base/random.h"
#include "graph/autodiff.h"
#include "graph/expand.h"
#include "graph/infer.h"
#include "graph/op.h"
#include "onnx/onnx.h"

#include <hone/session.h>

#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define STEP 1e-5
#define TOLERANCE 1e-5
#define KINK 1e-3   /* the differences to both sides differ by so much: no gradient is right there */
#define SHAKEN 3e-3 /* inputs are moved by up to half of it, away from ties */
#define ELEMENTS 12 /* of an input are tried at most */
#define MAX_VALUES 24

static const char *root;

/* What no gradient goes to, as in PyTorch: the weights of losses' classes, regions; what their own
 * functions cast to float. */
static const struct {
    const char *begins;
    int input; /* -1: all */
} apart[] = {{"test_nllloss_", 2},
             {"test_sce_", 2},
             {"test_resize_tf_crop_and_resize", 1},
             {"test_roialign_", 1},
             {"test_cast", -1},
             {"test_reduce_l2_", -1},
             {"test_causal_conv_with_state_", -1}};

static bool is_apart(const char *name, int input) {
    for (size_t i = 0; i < sizeof apart / sizeof *apart; i++)
        if (strncmp(name, apart[i].begins, strlen(apart[i].begins)) == 0 &&
            (apart[i].input < 0 || apart[i].input == input))
            return true;
    return false;
}

/* --- in double --- */

static bool can_widen(const hone_graph *g, const hone_value *v) {
    if (v->type.dtype != HONE_FLOAT32 || v->type.kind != HONE_KIND_TENSOR) return false;
    for (const hone_node *n = g->first; n; n = n->next)
        for (int i = 0; i < n->input_count; i++) {
            const hone_slot *slot = n->inputs[i] == v ? hone_op_input(n->op, i) : NULL;
            if (n->inputs[i] == v && !(slot && slot->types & HONE_TYPE(HONE_FLOAT64))) return false;
        }
    return true;
}

static hone_tensor *widened(const hone_tensor *t) {
    hone_tensor *wide = NULL;
    assert_int_equal(hone_tensor_new(HONE_FLOAT64, t->rank, t->dims, &wide, NULL), HONE_OK);
    for (int64_t i = 0; i < t->count; i++) ((double *)wide->data)[i] = ((const float *)t->data)[i];
    return wide;
}

/* One test: its graph in double, its inputs, a cotangent for each of its outputs. */
typedef struct node_test {
    const char *name;
    hone_graph *g;
    int inputs, cotangents;
    bool wide[MAX_VALUES];
    int output[MAX_VALUES];            /* of each cotangent */
    hone_tensor *data[2 * MAX_VALUES]; /* inputs, then cotangents */
} node_test;

static void free_test(node_test *t) {
    for (int i = 0; i < 2 * MAX_VALUES; i++) hone_tensor_free(t->data[i]);
    hone_graph_free(t->g);
}

static bool read_inputs(node_test *t) {
    for (int i = 0; i < t->inputs; i++) {
        char path[1024];
        hone_blob blob;
        snprintf(path, sizeof path, "%s/%s/test_data_set_0/input_%d.pb", root, t->name, i);
        if (hone_file_read(path, 0, &blob, NULL) != HONE_OK) return false;
        hone_status status =
            hone_onnx_value(blob.data, blob.size, &t->g->inputs[i]->type, path, &t->data[i], NULL);
        hone_blob_free(&blob);
        if (status != HONE_OK) return false;
    }
    return true;
}

static bool widen_inputs(node_test *t, hone_rng *rng) {
    bool any = false;
    for (int i = 0; i < t->inputs; i++) {
        hone_value *v = t->g->inputs[i];
        if (!can_widen(t->g, v)) continue;
        hone_tensor *wide = widened(t->data[i]);
        for (int64_t k = 0; k < wide->count; k++)
            ((double *)wide->data)[k] += SHAKEN * (hone_rng_uniform(rng) - 0.5);
        hone_tensor_free(t->data[i]);
        t->data[i] = wide;
        v->type.dtype = HONE_FLOAT64;
        any = t->wide[i] = true;
    }
    return any;
}

/* False: the test is not about numbers that can be double. */
static bool open_test(node_test *t, hone_rng *rng) {
    char path[1024];
    snprintf(path, sizeof path, "%s/%s/model.onnx", root, t->name);
    if (hone_graph_load(path, &t->g, NULL) != HONE_OK) return false;
    t->inputs = hone_graph_input_count(t->g);
    if (t->inputs > MAX_VALUES || hone_graph_output_count(t->g) > MAX_VALUES) return false;
    if (!read_inputs(t) || !widen_inputs(t, rng)) return false;
    for (size_t i = 0; i < t->g->value_count; i++) {
        hone_value *v = t->g->values[i];
        if (!v || v->storage != HONE_STORAGE_CONSTANT || !v->data || !can_widen(t->g, v)) continue;
        hone_tensor *wide = widened(v->data);
        hone_tensor_free(v->data);
        v->data = wide;
        v->type.dtype = HONE_FLOAT64;
    }
    for (hone_node *n = t->g->first; n; n = n->next)
        for (int o = 0; o < n->output_count; o++)
            if (n->outputs[o]) n->outputs[o]->type = (hone_type){.rank = HONE_RANK_ANY};
    return hone_graph_infer(t->g, NULL) == HONE_OK;
}

/* --- running --- */

typedef struct runner {
    hone_model *model;
    hone_session *session;
    hone_context *context;
} runner;

static hone_status runner_open(const hone_graph *g, runner *r, hone_error *err) {
    *r = (runner){0};
    hone_status status = hone_model_compile(g, NULL, &r->model, err);
    if (status == HONE_OK) status = hone_session_create(r->model, NULL, &r->session, err);
    return status == HONE_OK ? hone_context_create(r->session, &r->context, err) : status;
}

static void runner_close(runner *r) {
    hone_context_free(r->context);
    hone_session_free(r->session);
    hone_model_free(r->model);
}

static bool run(const runner *r, const node_test *t, const hone_tensor **out, hone_error *err) {
    return hone_context_run(r->context, (const hone_tensor *const *)t->data, out, err) == HONE_OK;
}

static void make_cotangents(node_test *t, const hone_tensor *const *out, hone_rng *rng) {
    for (int o = 0; o < hone_graph_output_count(t->g); o++) {
        if (hone_tensor_kind(out[o]) != HONE_KIND_TENSOR || out[o]->dtype != HONE_FLOAT64) continue;
        hone_tensor **c = &t->data[t->inputs + t->cotangents];
        assert_int_equal(hone_tensor_new(HONE_FLOAT64, out[o]->rank, out[o]->dims, c, NULL), HONE_OK);
        for (int64_t k = 0; k < (*c)->count; k++) ((double *)(*c)->data)[k] = hone_rng_uniform(rng) - 0.5;
        t->output[t->cotangents++] = o;
    }
}

/* The graph whose outputs are the gradients of the wide inputs, found[i] of them; HONE_UNSUPPORTED: there
 * is none. */
static hone_status differentiate(const node_test *t, hone_graph **out, bool *found, hone_error *err) {
    hone_value *outputs[MAX_VALUES], *cotangents[MAX_VALUES], *wanted[MAX_VALUES], *d[MAX_VALUES];
    int count = 0;
    HONE_TRY(hone_graph_copy(t->g, out, err));
    hone_graph *g = *out;
    HONE_TRY(hone_graph_infer(g, err));
    HONE_TRY(hone_graph_expand(g, true, err));
    HONE_TRY(hone_graph_infer(g, err));
    for (int c = 0; c < t->cotangents; c++) {
        outputs[c] = g->outputs[t->output[c]];
        hone_type type = outputs[c]->type;
        cotangents[c] = hone_graph_add_input(g, "cotangent", &type);
    }
    g->output_count = 0;
    for (int i = 0; i < t->inputs; i++)
        if (t->wide[i]) wanted[count++] = g->inputs[i];
    HONE_TRY(hone_graph_differentiate(g, t->cotangents, outputs, cotangents, count, wanted, d, err));
    for (int i = 0, at = 0; i < t->inputs; i++) {
        found[i] = t->wide[i] && d[at];
        if (found[i]) hone_graph_add_output(g, d[at]);
        at += t->wide[i];
    }
    return hone_graph_check(g, err);
}

static double number(const hone_tensor *t, int64_t i) {
    return ((const double *)t->data)[i];
}

/* <outputs, cotangents>; NaN if the run fails, infinite if an output has another length than before. */
static double objective(const runner *r, const node_test *t) {
    const hone_tensor *out[MAX_VALUES];
    double sum = 0;
    if (!run(r, t, out, NULL)) return NAN;
    for (int c = 0; c < t->cotangents; c++) {
        const hone_tensor *y = out[t->output[c]], *dy = t->data[t->inputs + c];
        if (y->count != dy->count) return INFINITY;
        for (int64_t k = 0; k < y->count; k++)
            if (isfinite(number(y, k))) sum += number(y, k) * number(dy, k);
    }
    return sum;
}

/* Is `exact` the slope along element k of that input, or is there none? */
static bool is_slope(const runner *r, const node_test *t, int input, int64_t k, double exact) {
    double *x = (double *)t->data[input]->data + k, at = *x, here = objective(r, t);
    *x = at + STEP;
    double above = objective(r, t);
    *x = at - STEP;
    double below = objective(r, t);
    *x = at;
    if (isinf(here) || isinf(above) || isinf(below)) return true;
    double up = (above - here) / STEP, down = (here - below) / STEP, slope = (above - below) / (2 * STEP);
    if (fabs(up - down) > KINK * (1 + fabs(slope))) return true;
    if (fabs(slope - exact) <= TOLERANCE * fmax(1, fabs(exact))) return true;
    print_message("%s: d input %d [%lld] is %.9g, not %.9g\n", t->name, input, (long long)k, exact, slope);
    return false;
}

typedef enum outcome { PASSED, FAILED, LEFT_OUT } outcome;

static bool compare(const node_test *t, const runner *forward, const hone_graph *backward, const bool *found,
                    hone_rng *rng) {
    hone_error err;
    runner r = {0};
    const hone_tensor *d[MAX_VALUES];
    bool ok = true;
    if (hone_graph_output_count(backward) > 0 &&
        (runner_open(backward, &r, &err) != HONE_OK || !run(&r, t, d, &err))) {
        print_message("%s: %s\n", t->name, err.message);
        ok = false;
    }
    for (int i = 0, at = 0; i < t->inputs && ok; i++) {
        const hone_tensor *x = t->data[i], *dx = found[i] ? d[at++] : NULL;
        for (int64_t n = 0; t->wide[i] && !is_apart(t->name, i) && n < x->count && n < ELEMENTS && ok; n++) {
            int64_t k = x->count <= ELEMENTS ? n : hone_rng_below(rng, (uint32_t)x->count);
            ok = (!dx || dx->count == x->count) && is_slope(forward, t, i, k, dx ? number(dx, k) : 0);
        }
    }
    runner_close(&r);
    return ok;
}

static outcome try_test(const char *name) {
    node_test t = {.name = name};
    hone_error err = {0};
    hone_rng rng = hone_rng_make(3, 1);
    runner forward = {0};
    hone_graph *backward = NULL;
    const hone_tensor *out[MAX_VALUES];
    bool found[MAX_VALUES] = {false};
    outcome o = LEFT_OUT;
    if (open_test(&t, &rng) && runner_open(t.g, &forward, &err) == HONE_OK && run(&forward, &t, out, &err))
        make_cotangents(&t, out, &rng);
    if (t.cotangents > 0) {
        hone_status status = differentiate(&t, &backward, found, &err);
        if (status == HONE_OK) o = compare(&t, &forward, backward, found, &rng) ? PASSED : FAILED;
        if (status != HONE_OK && !strstr(err.message, "no gradient")) {
            print_message("%s: %s\n", name, err.message);
            o = FAILED;
        }
    }
    hone_graph_free(backward);
    runner_close(&forward);
    free_test(&t);
    return o;
}

static void test_slopes(void **state) {
    (void)state;
    struct dirent **entries;
    int counts[3] = {0}, count = scandir(root, &entries, NULL, alphasort);
    if (count < 0) {
        print_message("%s: not there, ONNX's tests are skipped\n", root);
        skip();
    }
    for (int i = 0; i < count; i++) {
        if (strncmp(entries[i]->d_name, "test_", 5) == 0) counts[try_test(entries[i]->d_name)]++;
        free(entries[i]);
    }
    free(entries);
    print_message("%s: %d gradients right, %d wrong, %d tests without one\n", root, counts[PASSED],
                  counts[FAILED], counts[LEFT_OUT]);
    assert_int_equal(counts[FAILED], 0);
    assert_true(counts[PASSED] > 0);
}

int main(int argc, char **argv) {
    root = argc > 1 ? argv[1] : getenv("HONE_ONNX_TESTDATA");
    if (!root) root = "/usr/share/libonnx-testdata/data/node";
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_slopes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
