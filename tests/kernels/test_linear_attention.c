/* Linear attention by its definition, at every level, in double, and its state in blocks of columns. */
#include "kernel_test.h"

enum { STEPS = 5, DEPTH = 19, COLUMNS = 75, GROUP = 3, STATE = DEPTH * COLUMNS, GUARD = 7 };

typedef struct operands {
    float q[STEPS * GROUP * DEPTH], k[STEPS * DEPTH], v[STEPS * COLUMNS], decay[STEPS * DEPTH], beta[STEPS],
        from[STATE];
} operands;

typedef struct results {
    float y[STEPS * GROUP * COLUMNS + GUARD], to[STATE + GUARD], room[2 * DEPTH + COLUMNS];
} results;

static void fill(operands *o) {
    test_fill_f32(o->q, STEPS * GROUP * DEPTH, -1, 1, 1);
    test_fill_f32(o->k, STEPS * DEPTH, -0.3f, 0.3f, 2);
    test_fill_f32(o->v, STEPS * COLUMNS, -1, 1, 3);
    test_fill_f32(o->decay, STEPS * DEPTH, -2, 0, 4);
    test_fill_f32(o->beta, STEPS, 0, 1, 5);
    test_fill_f32(o->from, STATE, -1, 1, 6);
}

/* Which operands there are. */
typedef struct form {
    bool decay, each, beta, from;
    int64_t steps, depth, columns, group;
} form;

static hone_linear_attention make(const form *f, const operands *o, results *r) {
    return (hone_linear_attention){.steps = f->steps,
                                   .depth = f->depth,
                                   .columns = f->columns,
                                   .group = f->group,
                                   .scale = 0.5,
                                   .q = o->q,
                                   .k = o->k,
                                   .v = o->v,
                                   .decay = f->decay ? o->decay : NULL,
                                   .beta = f->beta ? o->beta : NULL,
                                   .each = f->each,
                                   .q_step = GROUP * DEPTH,
                                   .k_step = DEPTH,
                                   .v_step = COLUMNS,
                                   .decay_step = DEPTH,
                                   .beta_step = 1,
                                   .y_step = GROUP * COLUMNS,
                                   .y_head = COLUMNS,
                                   .state_row = COLUMNS,
                                   .from = f->from ? o->from : NULL,
                                   .to = r->to,
                                   .y = r->y,
                                   .room = r->room};
}

/* Column j alone, in double. */
static void check_column(const form *f, const operands *o, const results *r, int64_t j, const char *level) {
    double s[DEPTH], u;
    for (int64_t d = 0; d < f->depth; d++) s[d] = f->from ? o->from[d * COLUMNS + j] : 0;
    for (int64_t t = 0; t < f->steps; t++) {
        const float *k = o->k + t * DEPTH, *decay = o->decay + t * DEPTH;
        u = o->v[t * COLUMNS + j];
        for (int64_t d = 0; d < f->depth; d++) s[d] *= f->decay ? exp(decay[f->each ? d : 0]) : 1;
        for (int64_t d = 0; d < f->depth && f->beta; d++) u -= k[d] * s[d];
        if (f->beta) u *= o->beta[t];
        for (int64_t d = 0; d < f->depth; d++) s[d] += k[d] * u;
        for (int64_t h = 0; h < f->group; h++) {
            double y = 0;
            for (int64_t d = 0; d < f->depth; d++) y += o->q[t * GROUP * DEPTH + h * f->depth + d] * s[d];
            float got = r->y[(t * GROUP + h) * COLUMNS + j];
            if (!near(got, 0.5 * y, 1e-5, 1e-5))
                fail_msg("%s: y of step %d: %g, not %g", level, (int)t, got, 0.5 * y);
        }
    }
    for (int64_t d = 0; d < f->depth; d++)
        if (!near(r->to[d * COLUMNS + j], s[d], 1e-5, 1e-5))
            fail_msg("%s: state %d, %d: %g, not %g", level, (int)d, (int)j, r->to[d * COLUMNS + j], s[d]);
}

static const form forms[] = {
    {false, false, false, false, STEPS, DEPTH, COLUMNS, 1},
    {true, false, false, true, STEPS, DEPTH, 64, 2},
    {false, false, true, true, STEPS, DEPTH, 33, GROUP},
    {true, true, true, true, STEPS, DEPTH, COLUMNS, GROUP},
    {true, true, true, false, 1, 16, 7, 1},
    {true, false, true, true, STEPS, 1, 1, 2},
    {true, true, true, true, 0, DEPTH, 40, 1},
    {false, false, false, false, 0, DEPTH, 3, 1},
    {true, true, true, true, STEPS, 0, 20, 2},
};

/* Marks what is not its own. */
static void mark(results *r) {
    for (int i = 0; i < COUNT(r->y); i++) r->y[i] = 77;
    for (int i = 0; i < COUNT(r->to); i++) r->to[i] = 77;
}

static void check(const hone_kernels *k, const char *level) {
    static operands o;
    static results r, cut;
    fill(&o);
    for (int i = 0; i < COUNT(forms); i++) {
        const form *f = &forms[i];
        mark(&r);
        mark(&cut);
        hone_linear_attention a = make(f, &o, &r);
        k->linear_attention_f32(&a);
        for (int64_t j = 0; j < f->columns; j++) check_column(f, &o, &r, j, level);
        for (int64_t at = 0; at < COUNT(r.to); at++)
            if (at >= f->depth * COLUMNS || at % COLUMNS >= f->columns) assert_true(r.to[at] == 77);
        assert_true(r.y[COUNT(r.y) - GUARD] == 77);
        for (int64_t j = 0, n; j < f->columns; j += n) { /* a part of the columns: the same bits */
            n = f->columns - j < 23 ? f->columns - j : 23;
            hone_linear_attention part = make(f, &o, &cut);
            part.columns = n;
            part.v = o.v + j;
            part.y = cut.y + j;
            part.to = cut.to + j;
            if (part.from) part.from = o.from + j;
            k->linear_attention_f32(&part);
        }
        assert_memory_equal(r.y, cut.y, sizeof r.y);
        assert_memory_equal(r.to, cut.to, sizeof r.to);
    }
}

static void test_levels_agree(void **state) {
    (void)state;
    each_level(check);
}

/* The state in its own place: as decoding has it that carries on. */
static void check_in_place(const hone_kernels *k, const char *level) {
    static operands o;
    static results r, there;
    (void)level;
    fill(&o);
    const form *f = &forms[3];
    hone_linear_attention a = make(f, &o, &r), b = make(f, &o, &there);
    k->linear_attention_f32(&a);
    memcpy(there.to, o.from, sizeof o.from);
    b.from = there.to;
    k->linear_attention_f32(&b);
    assert_memory_equal(r.to, there.to, sizeof o.from);
}

static void test_in_place(void **state) {
    (void)state;
    each_level(check_in_place);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_levels_agree), cmocka_unit_test(test_in_place)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
