/* Weights in few bits, however a graph says so, become the operand of BitsProduct, and the product stays what it was. */
#include "base/bits.h"
#include "base/half.h"

#include "support/graphs.h"

enum {
    N = 37,
    K = 192,
    M = 3,
    WIDE = 1500, /* channels of what has no blocks */
    MANY = 2800  /* whose halves would be large as floats, so that they are not folded */
};

typedef struct setting {
    hone_dtype codes;
    int block;
    bool offset, zero, steps; /* steps: scales and offsets are computed from integers */
    bool first;               /* the offset is the first operand of Add */
    bool plain;               /* not such a product: what must be left alone */
    bool gemm, bias;          /* a bias of Gemm, or of an Add behind the product */
    bool turned;              /* codes are [K, N] */
    bool half;                /* scales and offsets are stored as float16 */
    int scales;               /* for all of 1: a scale for each channel, 2: one; block is K then */
} setting;

/* Of the scales that the product takes. */
static hone_dtype scales_of(const hone_model *m) {
    for (const hone_node *n = m->bodies[0].graph->first; n; n = n->next)
        if (strcmp(n->op->name, "BitsProduct") == 0) return n->inputs[2]->type.dtype;
    return HONE_UNDEFINED;
}

static int nodes(const hone_model *m, const char *op) {
    int count = 0;
    for (const hone_node *n = m->bodies[0].graph->first; n; n = n->next)
        count += strcmp(n->op->name, op) == 0;
    return count;
}

static hone_value *random_constant(hone_graph *g, const char *name, hone_dtype dtype, int rank,
                                   const int64_t *dims) {
    hone_tensor *t = tensor_make(dtype, rank, dims);
    hone_rng r = hone_rng_make(3, hone_hash(name, strlen(name)));
    if (dtype == HONE_FLOAT32)
        for (int64_t i = 0; i < t->count; i++) ((float *)t->data)[i] = 0.02f * hone_rng_uniform(&r) + 0.01f;
    else
        for (size_t i = 0; i < t->bytes; i++) ((uint8_t *)t->data)[i] = (uint8_t)hone_rng_u32(&r);
    hone_value *v = hone_graph_add_constant(g, name, t);
    hone_tensor_free(t);
    return v;
}

static hone_value *dequantized(hone_graph *g, hone_value *codes, hone_value *scale, hone_value *zero,
                               int64_t block) {
    hone_value *y = HONE_EMIT(g, "", "DequantizeLinear", codes, scale, zero);
    hone_node_set_int(g, y->producer, "axis", 1);
    hone_node_set_int(g, y->producer, "block_size", block);
    return y;
}

static int64_t channels_of(const setting *s) {
    return s->scales ? WIDE : s->half ? MANY : N;
}

static hone_value *as_halves(hone_graph *g, hone_value *v) {
    hone_tensor *t = tensor_make(HONE_FLOAT16, v->type.rank, v->type.dims);
    for (int64_t i = 0; i < t->count; i++)
        ((uint16_t *)t->data)[i] = hone_half_of_float(((const float *)v->data->data)[i]);
    v = HONE_EMIT(g, "", "Cast", hone_graph_add_constant(g, "halves", t));
    hone_node_set_int(g, v->producer, "to", HONE_FLOAT32);
    hone_tensor_free(t);
    return v;
}

/* [N, K / block] numbers. */
static hone_value *numbers(hone_graph *g, const setting *s, const char *name, const char *steps) {
    const int64_t count = K / s->block, n = channels_of(s);
    hone_value *v = random_constant(g, name, HONE_FLOAT32, SHAPE(n, s->steps ? count / 2 : count));
    if (s->half) v = as_halves(g, v);
    if (!s->steps) return v;
    return dequantized(g, random_constant(g, steps, HONE_INT8, SHAPE(n, count)), v, NULL, 2);
}

static hone_graph *make(const setting *s) {
    hone_graph *g = hone_graph_new("blocks");
    const int64_t count = K / s->block, n = channels_of(s);
    hone_value *x = s->gemm ? graph_input(g, "x", HONE_FLOAT32, SHAPE(M, K))
                            : graph_input(g, "x", HONE_FLOAT32, SHAPE(1, M, K));
    hone_value *codes =
        random_constant(g, "codes", s->codes, 2, s->turned ? (int64_t[]){K, n} : (int64_t[]){n, K});
    hone_value *zero = s->zero ? random_constant(g, "zero", s->codes, SHAPE(n, count)) : NULL;
    hone_value *scale = s->scales ? random_constant(g, "scale", HONE_FLOAT32, SHAPE(s->scales == 1 ? n : 1))
                                  : numbers(g, s, "scale", "scale_steps");
    hone_value *w = dequantized(g, codes, scale, zero, s->scales ? 0 : s->block);
    if (s->scales) hone_node_set_int(g, w->producer, "axis", s->turned);
    if (s->offset) {
        hone_value *m = HONE_EMIT(g, "", "Reshape", numbers(g, s, "offset", "offset_steps"),
                                  hone_graph_ints(g, (int64_t[]){n, count, 1}, 3));
        w = HONE_EMIT(g, "", "Reshape", w, hone_graph_ints(g, (int64_t[]){n, count, s->block}, 3));
        w = s->first ? HONE_EMIT(g, "", "Add", m, w) : HONE_EMIT(g, "", "Add", w, m);
        w = HONE_EMIT(g, "", "Reshape", w, hone_graph_ints(g, (int64_t[]){n, K}, 2));
    }
    if (s->plain) w = HONE_EMIT(g, "", "Mul", w, hone_graph_scalar(g, HONE_FLOAT32, 2));
    if (!s->turned && !s->gemm) {
        w = HONE_EMIT(g, "", "Transpose", w);
        hone_node_set_ints(g, w->producer, "perm", (int64_t[]){1, 0}, 2);
    }
    hone_value *bias = s->bias ? random_constant(g, "bias", HONE_FLOAT32, SHAPE(n)) : NULL;
    hone_value *y = s->gemm ? HONE_EMIT(g, "", "Gemm", x, w, bias) : HONE_EMIT(g, "", "MatMul", x, w);
    if (s->gemm) hone_node_set_int(g, y->producer, "transB", !s->turned);
    if (bias && !s->gemm) y = HONE_EMIT(g, "", "Add", bias, y);
    hone_graph_add_output(g, y);
    return g;
}

static void test_forms(void **state) {
    (void)state;
    static const setting settings[] = {
        {HONE_UINT4, 32},
        {HONE_INT4, 32},
        {HONE_UINT8, 32},
        {HONE_INT8, 32},
        {HONE_UINT2, 16},
        {HONE_INT2, 16},
        {HONE_UINT4, 32, .offset = true},
        {HONE_UINT4, 32, .offset = true, .first = true},
        {HONE_UINT8, 32, .offset = true, .steps = true},
        {HONE_UINT4, 32, .offset = true, .steps = true},
        {HONE_INT4, 16, .steps = true},
        {HONE_INT8, 16, .steps = true},
        {HONE_INT4, 32, .offset = true},
        {HONE_INT4, 32, .zero = true},
        {HONE_UINT4, 64, .zero = true},
        {HONE_INT8, 32, .zero = true, .offset = true},
        {HONE_UINT8, 96, .zero = true},
        {HONE_INT8, 32, .plain = true},
        {HONE_UINT4, 32, .half = true, .offset = true},
        {HONE_INT4, 32, .half = true, .offset = true},
        {HONE_INT8, 32, .half = true},
        {HONE_UINT8, 32, .half = true, .steps = true, .offset = true},
        {HONE_INT8, 32, .half = true, .plain = true},
        {HONE_UINT4, 32, .gemm = true, .bias = true},
        {HONE_INT4, 32, .bias = true},
        {HONE_INT8, 64, .gemm = true},
        {HONE_UINT8, K, .scales = 1},
        {HONE_INT8, K, .scales = 2, .bias = true},
        {HONE_INT8, K, .scales = 1, .turned = true, .gemm = true, .bias = true},
        {HONE_UINT4, K, .scales = 1, .turned = true},
    };
    for (int i = 0; i < COUNT(settings); i++) {
        const setting *s = &settings[i];
        hone_graph *g = make(s);
        hone_tensor *x = s->gemm ? tensor_random(HONE_FLOAT32, SHAPE(M, K), 1)
                                 : tensor_random(HONE_FLOAT32, SHAPE(1, M, K), 1),
                    *want, *got;
        graph_run(g, "all", &x, &want, 1);
        graph_run(g, NULL, &x, &got, 1);
        assert_close(got, want,
                     s->plain   ? 2e-5
                     : s->steps ? 2e-3
                                : 1e-4); /* w is up to 255 · 0.03 (times steps), 192 are summed */
        runner r = runner_make(g, NULL, 1);
        assert_int_equal(nodes(r.model, "BitsProduct"), !s->plain);
        if (!s->plain) assert_int_equal(nodes(r.model, "DequantizeLinear"), 0);
        if (!s->plain) assert_int_equal(nodes(r.model, "Add"), 0);
        if (!s->plain)
            assert_int_equal(scales_of(r.model), s->half && !s->steps ? HONE_FLOAT16 : HONE_FLOAT32);
        runner_free(&r);
        hone_tensor *all[] = {x, want, got};
        for (int k = 0; k < 3; k++) hone_tensor_free(all[k]);
        hone_graph_free(g);
    }
}

/* Rows of a table that is the weight of a product, too: taken from what is packed, the same bits, and the table is there
 * once. A row of another table of scales is none of it. */
static void test_rows(void **state) {
    (void)state;
    static const hone_dtype types[] = {HONE_INT8, HONE_UINT8};
    for (int i = 0; i < 8; i++) {
        const bool own = i / 2 % 2 == 0, steps = i / 4;
        hone_graph *g = hone_graph_new("tied");
        hone_value *ids = graph_input(g, "ids", HONE_INT64, SHAPE(2, 3));
        hone_value *codes = random_constant(g, "codes", types[i % 2], SHAPE(N, K));
        const int64_t count = K / 32, columns = steps ? count / 2 : count;
        hone_value *d = random_constant(g, "scale", HONE_FLOAT32, SHAPE(N, columns)),
                   *other = random_constant(g, "other", HONE_FLOAT32, SHAPE(N, columns)),
                   *step = random_constant(g, "steps", HONE_INT8, SHAPE(N, count)), *scale = d,
                   *rows = HONE_EMIT(g, "", "Gather", own ? d : other, ids);
        if (steps) { /* scales are steps times a number */
            scale = dequantized(g, step, d, NULL, 2);
            rows = dequantized(g, HONE_EMIT(g, "", "Gather", step, ids), rows, NULL, 2);
            hone_node_set_int(g, rows->producer, "axis", 2);
        }
        hone_value *x = dequantized(g, HONE_EMIT(g, "", "Gather", codes, ids), rows, NULL, 32);
        hone_node_set_int(g, x->producer, "axis", 2);
        hone_value *w = HONE_EMIT(g, "", "Transpose", dequantized(g, codes, scale, NULL, 32));
        hone_graph_add_output(g, x);
        hone_graph_add_output(g, HONE_EMIT(g, "", "MatMul", x, w));
        hone_tensor *index = tensor_make(HONE_INT64, SHAPE(2, 3)), *want[2], *got[2];
        const int64_t which[] = {0, 36, 15, 16, -1, 7};
        memcpy(index->data, which, sizeof which);
        graph_run(g, "all", &index, want, 2);
        graph_run(g, NULL, &index, got, 2);
        assert_same_bits(got[0], want[0]);
        assert_close(got[1], want[1], steps ? 2e-2 : 2e-4); /* steps are up to 127 */
        runner r = runner_make(g, NULL, 1);
        assert_int_equal(nodes(r.model, "BitsRows"), own);
        assert_int_equal(nodes(r.model, "Gather"), own ? 0 : 2 + steps);
        runner_free(&r);
        hone_tensor *all[] = {index, want[0], want[1], got[0], got[1]};
        for (int k = 0; k < COUNT(all); k++) hone_tensor_free(all[k]);
        hone_graph_free(g);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_forms), cmocka_unit_test(test_rows)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
