#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "explain/subject.h"
#include "graph/infer.h"
#include "graph/op.h"
#include "graph/tensor.h"
#include "image/image.h"

/* --- models --- */

static hone_tensor *random_tensor(int rank, const int64_t *dims, uint64_t seed) {
    hone_tensor *t;
    hone_rng rng = hone_rng_make(seed, 7);
    assert_int_equal(hone_tensor_new(HONE_FLOAT32, rank, dims, &t, NULL), HONE_OK);
    for (int64_t i = 0; i < t->count; i++) ((float *)t->data)[i] = 2 * hone_rng_uniform(&rng) - 1;
    return t;
}

static hone_value *weight(hone_graph *g, int rank, const int64_t *dims, uint64_t seed, bool positive) {
    hone_tensor *t = random_tensor(rank, dims, seed);
    for (int64_t i = 0; positive && i < t->count; i++)
        ((float *)t->data)[i] = 1 + fabsf(((float *)t->data)[i]);
    hone_value *v = hone_graph_add_constant(g, NULL, t);
    hone_tensor_free(t);
    return v;
}
#define WEIGHT(g, seed, positive, ...)                                                                       \
    weight(g, (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (int64_t[]){__VA_ARGS__}, seed,     \
           positive)

static hone_value *normalized(hone_graph *g, hone_value *x, int64_t channels, uint64_t seed) {
    return HONE_EMIT(g, "", "BatchNormalization", x, WEIGHT(g, seed, true, channels),
                     WEIGHT(g, seed + 1, false, channels), WEIGHT(g, seed + 2, false, channels),
                     WEIGHT(g, seed + 3, true, channels));
}

static hone_value *convolved(hone_graph *g, hone_value *x, int64_t from, int64_t to, uint64_t seed) {
    hone_value *y = HONE_EMIT(g, "", "Conv", x, WEIGHT(g, seed, false, to, from, 3, 3));
    hone_node_set_ints(g, y->producer, "pads", (int64_t[]){1, 1, 1, 1}, 4);
    return y;
}

static hone_graph *finish(hone_graph *g, hone_value *y) {
    hone_graph_add_output(g, y);
    assert_int_equal(hone_graph_check(g, NULL), HONE_OK);
    assert_int_equal(hone_graph_infer(g, NULL), HONE_OK);
    return g;
}

/* Convolutions, normalizations, rectified; 12 x 12 pictures. */
static hone_graph *picture_model(int64_t channels) {
    hone_graph *g = hone_graph_new("pictures");
    hone_type type = {HONE_KIND_TENSOR, HONE_FLOAT32, 4, {hone_graph_symbol(g, "batch"), channels, 12, 12}};
    hone_value *x = hone_graph_add_input(g, "x", &type);
    x = HONE_EMIT(g, "", "Sub", x, WEIGHT(g, 1, false, channels, 1, 1));
    x = HONE_EMIT(g, "", "Sigmoid", normalized(g, convolved(g, x, channels, 16, 2), 16, 3));
    x = HONE_EMIT(g, "", "Tanh", normalized(g, convolved(g, x, 16, 16, 10), 16, 11));
    x = HONE_EMIT(g, "", "Flatten", HONE_EMIT(g, "", "GlobalAveragePool", x));
    return finish(g, HONE_EMIT(g, "", "Gemm", x, WEIGHT(g, 20, false, 16, 5), WEIGHT(g, 21, false, 5)));
}

static hone_graph *row_model(void) {
    hone_graph *g = hone_graph_new("rows");
    hone_type type = {HONE_KIND_TENSOR, HONE_FLOAT32, 2, {hone_graph_symbol(g, "batch"), 6}};
    hone_value *x = hone_graph_add_input(g, "x", &type);
    x = HONE_EMIT(g, "", "Tanh",
                  HONE_EMIT(g, "", "Gemm", x, WEIGHT(g, 1, false, 6, 9), WEIGHT(g, 2, false, 9)));
    return finish(g, HONE_EMIT(g, "", "Gemm", x, WEIGHT(g, 3, false, 9, 3), WEIGHT(g, 4, false, 3)));
}

/* Tokens become vectors, whose mean is looked at. */
static hone_graph *token_model(void) {
    hone_graph *g = hone_graph_new("tokens");
    hone_type type = {HONE_KIND_TENSOR, HONE_INT64, 2, {hone_graph_symbol(g, "batch"), 5}};
    hone_value *ids = hone_graph_add_input(g, "ids", &type), *mask = hone_graph_add_input(g, "mask", &type);
    hone_value *x = HONE_EMIT(g, "", "Gather", WEIGHT(g, 1, false, 20, 4), ids);
    hone_value *part = HONE_EMIT(g, "", "Unsqueeze", mask, hone_graph_ints(g, (int64_t[]){2}, 1));
    part = HONE_EMIT(g, "", "Cast", part);
    hone_node_set_int(g, part->producer, "to", HONE_FLOAT32);
    x = HONE_EMIT(g, "", "Tanh", HONE_EMIT(g, "", "Mul", x, part));
    x = HONE_EMIT(g, "", "ReduceMean", x, hone_graph_ints(g, (int64_t[]){1}, 1));
    hone_node_set_int(g, x->producer, "keepdims", 0);
    return finish(g, HONE_EMIT(g, "", "Gemm", x, WEIGHT(g, 3, false, 4, 3), WEIGHT(g, 4, false, 3)));
}

/* --- what is true of explanations --- */

static hone_explanation *explain(const hone_graph *g, const hone_tensor *const *in, hone_explain_options o) {
    hone_explanation *e = NULL;
    hone_error err = {0};
    if (hone_explain(g, in, &o, &e, &err) != HONE_OK) fail_msg("%s", err.message);
    return e;
}

static hone_explain_options by(hone_explain_method m) {
    hone_explain_options o = HONE_EXPLAIN_OPTIONS_INIT;
    o.method = m;
    o.threads = 1;
    return o;
}

static double score(const hone_graph *g, const hone_tensor *const *in, int64_t target) {
    hone_engine e = {NULL};
    const hone_tensor *y;
    assert_int_equal(hone_engine_make(g, 1, &e, NULL), HONE_OK);
    assert_int_equal(hone_context_run(e.context, in, &y, NULL), HONE_OK);
    double x = hone_tensor_number(y, target);
    hone_engine_free(&e);
    return x;
}

/* Saliency is the size of the slope, input x gradient the slope times the number. */
static void check_slopes(hone_graph *g, hone_tensor *x) {
    const hone_tensor *in[] = {x};
    hone_explanation *s = explain(g, in, by(HONE_EXPLAIN_SALIENCY)),
                     *p = explain(g, in, by(HONE_EXPLAIN_INPUT_GRADIENT));
    assert_int_equal(s->method, HONE_EXPLAIN_SALIENCY);
    assert_int_equal(s->count, 1);
    assert_string_equal(s->names[0], "x");
    float *at = x->data;
    for (int64_t i = 0; i < x->count; i += 1 + x->count / 12) {
        const float before = at[i], h = 1e-2f;
        at[i] = before + h;
        double up = score(g, in, s->target);
        at[i] = before - h;
        double slope = (up - score(g, in, s->target)) / (2 * (double)h);
        at[i] = before;
        assert_true(fabs(fabs(slope) - ((float *)s->values[0]->data)[i]) < 2e-2 * (1 + fabs(slope)));
        assert_true(fabs(slope * before - ((float *)p->values[0]->data)[i]) < 2e-2 * (1 + fabs(slope)));
    }
    hone_explanation_free(s);
    hone_explanation_free(p);
}

static void knows_slopes(void **state) {
    (void)state;
    hone_graph *rows = row_model();
    hone_tensor *x = random_tensor(2, (int64_t[]){1, 6}, 5);
    check_slopes(rows, x);
    hone_tensor_free(x);
    hone_graph_free(rows);
    for (int64_t channels = 1; channels <= 3; channels += 2) {
        hone_graph *g = picture_model(channels);
        x = random_tensor(4, (int64_t[]){1, channels, 12, 12}, 6);
        check_slopes(g, x);
        hone_tensor_free(x);
        hone_graph_free(g);
    }
}

static double sum_of(const hone_tensor *t) {
    double sum = 0;
    for (int64_t i = 0; i < t->count; i++) sum += ((float *)t->data)[i];
    return sum;
}

/* Integrated gradients and Shapley values sum to what the output gains on the way from the baseline. */
static void adds_up(void **state) {
    (void)state;
    static const hone_explain_method additive[] = {HONE_EXPLAIN_INTEGRATED, HONE_EXPLAIN_SHAPLEY};
    for (int model = 0; model < 2; model++) {
        hone_graph *g = model ? picture_model(3) : row_model();
        hone_tensor *x = model ? random_tensor(4, (int64_t[]){1, 3, 12, 12}, 6)
                               : random_tensor(2, (int64_t[]){1, 6}, 5),
                    *zeros;
        assert_int_equal(hone_tensor_new(HONE_FLOAT32, x->rank, x->dims, &zeros, NULL), HONE_OK);
        const hone_tensor *in[] = {x}, *none[] = {zeros};
        for (int m = 0; m < 2; m++) {
            hone_explain_options o = by(additive[m]);
            if (m == 1) o.steps = 3;
            o.target = 2;
            hone_explanation *e = explain(g, in, o);
            assert_int_equal(e->target, 2);
            assert_true(fabs(e->score - score(g, in, 2)) < 1e-5 && fabs(e->base - score(g, none, 2)) < 1e-5);
            assert_true(fabs(sum_of(e->values[0]) - (e->score - e->base)) < 1e-3 * (1 + fabs(e->score)));
            hone_explanation_free(e);
        }
        hone_tensor_free(x);
        hone_tensor_free(zeros);
        hone_graph_free(g);
    }
}

/* y = x W: all methods that speak of x, or of what is left of it, say x W; saliency |W|. */
static void knows_what_is_linear(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("linear");
    hone_type type = {HONE_KIND_TENSOR, HONE_FLOAT32, 2, {1, 5}};
    hone_value *x = hone_graph_add_input(g, "x", &type);
    finish(g, HONE_EMIT(g, "", "MatMul", x, WEIGHT(g, 3, false, 5, 2)));
    hone_tensor *at = random_tensor(2, (int64_t[]){1, 5}, 8), *w = random_tensor(2, (int64_t[]){5, 2}, 3);
    const hone_tensor *in[] = {at};
    for (int m = HONE_EXPLAIN_SALIENCY; m <= HONE_EXPLAIN_SHAPLEY; m++) {
        if (m == HONE_EXPLAIN_GRAD_CAM) continue;
        hone_explain_options o = by((hone_explain_method)m);
        o.target = 1;
        hone_explanation *e = explain(g, in, o);
        assert_int_equal(e->method, m);
        for (int i = 0; i < 5; i++) {
            double slope = ((float *)w->data)[2 * i + 1], times = slope * ((float *)at->data)[i];
            double want = m == HONE_EXPLAIN_SALIENCY     ? fabs(slope)
                          : m == HONE_EXPLAIN_SMOOTHGRAD ? slope
                                                         : times;
            assert_true(fabs(((float *)e->values[0]->data)[i] - want) < 1e-5);
        }
        hone_explanation_free(e);
    }
    hone_tensor_free(at);
    hone_tensor_free(w);
    hone_graph_free(g);
}

/* A part of a picture that is covered takes away what the output then loses. */
static void covers_parts(void **state) {
    (void)state;
    hone_graph *g = picture_model(3);
    hone_tensor *x = random_tensor(4, (int64_t[]){1, 3, 12, 12}, 6), *covered;
    const hone_tensor *in[] = {x};
    hone_explain_options o = by(HONE_EXPLAIN_OCCLUSION);
    o.patch = 5;
    o.baseline = 0.25;
    hone_explanation *e = explain(g, in, o);
    const int corners[][2] = {{0, 0}, {5, 10}, {10, 5}};
    for (int k = 0; k < 3; k++) {
        int y = corners[k][0], z = corners[k][1];
        assert_int_equal(hone_tensor_copy_of(x->dtype, x->rank, x->dims, x->data, &covered, NULL), HONE_OK);
        for (int c = 0; c < 3; c++)
            for (int i = y; i < y + 5 && i < 12; i++)
                for (int j = z; j < z + 5 && j < 12; j++)
                    ((float *)covered->data)[(c * 12 + i) * 12 + j] = 0.25f;
        const hone_tensor *less[] = {covered};
        double lost = e->score - score(g, less, e->target);
        for (int c = 0; c < 3; c++)
            assert_true(fabs(((float *)e->values[0]->data)[(c * 12 + y) * 12 + z] - lost) < 1e-5);
        hone_tensor_free(covered);
    }
    hone_explanation_free(e);
    hone_tensor_free(x);
    hone_graph_free(g);
}

/* A layer whose channels are known: the map is what they come to. */
static void looks_at_a_layer(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("layer");
    hone_type type = {HONE_KIND_TENSOR, HONE_FLOAT32, 4, {1, 2, 4, 4}};
    hone_value *x = hone_graph_add_input(g, "x", &type), *layer = HONE_EMIT(g, "", "Relu", x);
    hone_graph_rename(g, layer, "layer");
    hone_value *y = HONE_EMIT(g, "", "Flatten", HONE_EMIT(g, "", "GlobalAveragePool", layer));
    finish(g, HONE_EMIT(g, "", "MatMul", y, WEIGHT(g, 9, false, 2, 3)));
    hone_tensor *at = random_tensor(4, (int64_t[]){1, 2, 4, 4}, 8),
                *w = random_tensor(2, (int64_t[]){2, 3}, 9);
    const hone_tensor *in[] = {at};
    for (int named = 0; named < 2; named++) {
        hone_explain_options o = by(HONE_EXPLAIN_GRAD_CAM);
        o.layer = named ? "layer" : NULL;
        o.target = 0;
        hone_explanation *e = explain(g, in, o);
        assert_int_equal(e->method, HONE_EXPLAIN_GRAD_CAM);
        for (int i = 0; i < 16; i++) {
            double map = 0;
            for (int c = 0; c < 2; c++)
                map += fmaxf(((float *)at->data)[c * 16 + i], 0) * ((float *)w->data)[c * 3] / 16;
            for (int c = 0; c < 2; c++)
                assert_true(fabs(((float *)e->values[0]->data)[c * 16 + i] - fmax(map, 0)) < 1e-5);
        }
        hone_explanation_free(e);
    }
    hone_tensor_free(at);
    hone_tensor_free(w);
    hone_graph_free(g);
}

/* Tokens count through their vectors; one that the mask hides counts nothing. */
static void reads_tokens(void **state) {
    (void)state;
    hone_graph *g = token_model();
    int64_t ids[] = {3, 17, 4, 0, 11}, seen[] = {1, 1, 1, 0, 1};
    hone_tensor *t[2];
    for (int i = 0; i < 2; i++)
        assert_int_equal(hone_tensor_copy_of(HONE_INT64, 2, (int64_t[]){1, 5}, i ? seen : ids, &t[i], NULL),
                         HONE_OK);
    const hone_tensor *in[] = {t[0], t[1]};
    for (int m = HONE_EXPLAIN_SALIENCY; m <= HONE_EXPLAIN_INTEGRATED; m++) {
        hone_explanation *e = explain(g, in, by((hone_explain_method)m));
        assert_int_equal(e->method, m);
        assert_non_null(e->values[0]);
        assert_null(e->values[1]);
        assert_int_equal(e->values[0]->count, 5);
        const float *v = e->values[0]->data;
        assert_true(v[3] == 0 && v[0] != 0 && v[1] != 0 && v[4] != 0);
        if (m == HONE_EXPLAIN_INTEGRATED)
            assert_true(fabs(sum_of(e->values[0]) - (e->score - e->base)) < 1e-3);
        hone_explanation_free(e);
    }
    hone_explain_options o = by(HONE_EXPLAIN_OCCLUSION);
    o.baseline = 7;
    hone_explanation *e = explain(g, in, o);
    int64_t kept = ids[1];
    ((int64_t *)t[0]->data)[1] = 7;
    assert_true(fabs(((float *)e->values[0]->data)[1] - (e->score - score(g, in, e->target))) < 1e-5);
    ((int64_t *)t[0]->data)[1] = kept;
    hone_explanation_free(e);
    for (int i = 0; i < 2; i++) hone_tensor_free(t[i]);
    hone_graph_free(g);
}

/* Without a gradient on the way it is by occlusion, and says so. */
static void falls_back(void **state) {
    (void)state;
    hone_graph *g = hone_graph_new("steps");
    hone_type type = {HONE_KIND_TENSOR, HONE_FLOAT32, 2, {1, 4}};
    hone_value *x = hone_graph_add_input(g, "x", &type);
    finish(g, HONE_EMIT(g, "", "Unique", x));
    hone_tensor *at = random_tensor(2, (int64_t[]){1, 4}, 8);
    const hone_tensor *in[] = {at};
    hone_explanation *e = explain(g, in, by(HONE_EXPLAIN_INTEGRATED));
    assert_int_equal(e->method, HONE_EXPLAIN_OCCLUSION);
    assert_non_null(strstr(e->note, "occlusion"));
    assert_non_null(strstr(e->note, "Unique"));
    hone_explanation_free(e);
    hone_tensor_free(at);
    hone_graph_free(g);
}

static void refuses(void **state) {
    (void)state;
    hone_graph *g = row_model();
    hone_tensor *x = random_tensor(2, (int64_t[]){1, 6}, 5), *two = random_tensor(2, (int64_t[]){2, 6}, 5);
    const hone_tensor *in[] = {x}, *several[] = {two};
    hone_explanation *e = NULL;
    hone_explain_options o = by(HONE_EXPLAIN_SALIENCY);
    o.target = 3;
    assert_int_equal(hone_explain(g, in, &o, &e, NULL), HONE_INVALID_ARGUMENT);
    o.target = -1;
    o.output = "nobody";
    assert_int_equal(hone_explain(g, in, &o, &e, NULL), HONE_INVALID_ARGUMENT);
    o.output = NULL;
    assert_int_equal(hone_explain(g, several, &o, &e, NULL), HONE_INVALID_ARGUMENT);
    o.steps = -1;
    assert_int_equal(hone_explain(g, in, &o, &e, NULL), HONE_INVALID_ARGUMENT);
    o = by(HONE_EXPLAIN_GRAD_CAM);
    o.layer = "nobody";
    assert_int_equal(hone_explain(g, in, &o, &e, NULL), HONE_INVALID_ARGUMENT);
    o = by(HONE_EXPLAIN_GRAD_CAM); /* there is none: by occlusion */
    e = explain(g, in, o);
    assert_int_equal(e->method, HONE_EXPLAIN_OCCLUSION);
    hone_explanation_free(e);
    void *png;
    size_t size;
    assert_int_equal(hone_explain_picture(x, x, &png, &size, NULL), HONE_INVALID_ARGUMENT);
    hone_tensor_free(x);
    hone_tensor_free(two);
    hone_graph_free(g);
}

/* Red where something speaks for it, blue where it speaks against it; pixels stay squares. */
static void draws(void **state) {
    (void)state;
    hone_tensor *x = random_tensor(4, (int64_t[]){1, 1, 8, 8}, 5), *v;
    void *png;
    size_t size;
    hone_image image;
    assert_int_equal(hone_tensor_new(HONE_FLOAT32, 4, x->dims, &v, NULL), HONE_OK);
    ((float *)v->data)[0] = 1;
    ((float *)v->data)[63] = -1;
    assert_int_equal(hone_explain_picture(x, v, &png, &size, NULL), HONE_OK);
    assert_int_equal(hone_image_read(png, size, &image, NULL), HONE_OK);
    assert_int_equal(image.width, 224);
    assert_int_equal(image.height, 224);
    const uint8_t *first = image.pixels + (27 * 224 + 27) * 3, *last = image.pixels + (200 * 224 + 200) * 3,
                  *other = image.pixels + (27 * 224 + 28) * 3;
    assert_true(first[0] > first[2] + 60 && last[2] > last[0] + 60 && other[0] == other[1] &&
                other[1] == other[2]);
    hone_image_free(&image);
    free(png);
    hone_tensor_free(x);
    hone_tensor_free(v);
}

/* The same seed gives the same. */
static void is_reproducible(void **state) {
    (void)state;
    static const hone_explain_method random[] = {HONE_EXPLAIN_SMOOTHGRAD, HONE_EXPLAIN_SHAPLEY};
    hone_graph *g = row_model();
    hone_tensor *x = random_tensor(2, (int64_t[]){1, 6}, 5);
    const hone_tensor *in[] = {x};
    for (int m = 0; m < 2; m++) {
        hone_explain_options o = by(random[m]);
        o.steps = 2;
        hone_explanation *a = explain(g, in, o), *b = explain(g, in, o);
        o.seed = 99;
        hone_explanation *c = explain(g, in, o);
        assert_memory_equal(a->values[0]->data, b->values[0]->data, a->values[0]->bytes);
        assert_memory_not_equal(a->values[0]->data, c->values[0]->data, a->values[0]->bytes);
        hone_explanation_free(a);
        hone_explanation_free(b);
        hone_explanation_free(c);
    }
    hone_tensor_free(x);
    hone_graph_free(g);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(knows_slopes),
                                       cmocka_unit_test(adds_up),
                                       cmocka_unit_test(knows_what_is_linear),
                                       cmocka_unit_test(covers_parts),
                                       cmocka_unit_test(reads_tokens),
                                       cmocka_unit_test(looks_at_a_layer),
                                       cmocka_unit_test(falls_back),
                                       cmocka_unit_test(refuses),
                                       cmocka_unit_test(draws),
                                       cmocka_unit_test(is_reproducible)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
