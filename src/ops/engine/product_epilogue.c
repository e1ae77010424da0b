#include "graph/infer.h"
#include "kernels/program.h"
#include "ops/engine/product_inside.h"

#include <math.h>

static bool is_row(const hone_type *t, int64_t n) {
    return hone_type_count(t) == n && t->rank > 0 && t->dims[t->rank - 1] == n;
}

static bool same_shape(const hone_type *a, const hone_type *b) {
    if (a->rank != b->rank) return false;
    for (int i = 0; i < a->rank; i++)
        if (a->dims[i] != b->dims[i]) return false;
    return true;
}

/* --- epilogues that fit into registers --- */

/* Where a map is looked at, from its result back to the strip. */
typedef struct place {
    const hone_prepare *p;
    const hone_map *map;
    const hone_map_code *at;
} place;

/* The input that register r is, or -1: an operand of the map that is not the strip. */
static int operand(const place *l, hone_reg r) {
    const hone_map_code *c = &l->map->code[r];
    return c->op == HONE_MAP_INPUT && c->input > 0 ? l->p->node->map_input + c->input - 1 : -1;
}

static void take_limit(place *l, int op, double *limit) {
    if (l->at->op != op || l->map->code[l->at->b].op != HONE_MAP_CONST) return;
    *limit = l->map->code[l->at->b].constant;
    l->at = &l->map->code[l->at->a];
}

/* The number that register r is; NaN: none. */
static double number(const place *l, hone_reg r) {
    const hone_map_code *c = &l->map->code[r];
    return c->op == HONE_MAP_CONST ? c->constant : NAN;
}

/* Is register r clamp(x slope + offset, 0, 1)? */
static bool is_ramp(const place *l, hone_reg r, hone_reg x, hone_product_epilogue *e) {
    const hone_map_code *most = &l->map->code[r], *least, *line;
    if (most->op != HONE_VOP_MAX || number(l, most->b) != 0) return false;
    least = &l->map->code[most->a];
    if (least->op != HONE_VOP_MIN || number(l, least->b) != 1) return false;
    line = &l->map->code[least->a];
    if (line->op != HONE_VOP_FMA || line->a != x) return false;
    e->slope = (float)number(l, line->b);
    e->offset = (float)number(l, line->c);
    return !isnan(e->slope) && !isnan(e->offset);
}

static void take_ramp(place *l, hone_product_epilogue *e) {
    if (l->at->op != HONE_VOP_MUL) return;
    for (int i = 0; i < 2 && !e->ramp; i++) {
        const hone_reg x = i ? l->at->b : l->at->a;
        if (!is_ramp(l, i ? l->at->a : l->at->b, x, e)) continue;
        e->ramp = true;
        l->at = &l->map->code[x];
    }
}

typedef bool fits_fn(const hone_type *t, const hone_type *y, int64_t n);

static bool fits_row(const hone_type *t, const hone_type *y, int64_t n) {
    return t->dtype == y->dtype && is_row(t, n);
}
static bool fits_whole(const hone_type *t, const hone_type *y, int64_t n) {
    (void)n;
    return t->dtype == y->dtype && same_shape(t, y);
}

static void take_sum(place *l, int64_t n, fits_fn *fits, int *input) {
    if (l->at->op != HONE_VOP_ADD || *input >= 0) return;
    hone_reg strip = l->at->a, other = l->at->b;
    if (operand(l, other) < 0) { /* other + strip */
        strip = l->at->b;
        other = l->at->a;
    }
    int i = operand(l, other);
    if (i < 0 || !fits(l->p->in[i], &l->p->out[0], n)) return;
    *input = i;
    l->at = &l->map->code[strip];
}

/* Is the map [+ row] [+ matrix] [clamp] [ramp] of the strip, and has room beside what the product adds by itself? */
static bool match(const hone_prepare *p, const hone_product *s, hone_product_epilogue *e) {
    hone_product_epilogue found = *e;
    place l = {p, p->node->map, NULL};
    if (l.map->outputs != 1 || s->relu || !(HONE_TYPE(p->out[0].dtype) & HONE_TYPES_FLOAT)) return false;
    l.at = &l.map->code[l.map->output[0]];
    if (s->kind == HONE_GEMM_F32 && !s->patches && p->out[0].dtype == HONE_FLOAT32) take_ramp(&l, &found);
    take_limit(&l, HONE_VOP_MIN, &found.hi);
    take_limit(&l, HONE_VOP_MAX, &found.lo);
    if (found.hi == e->hi) take_limit(&l, HONE_VOP_MIN, &found.hi);
    if (!(found.lo <= found.hi)) return false;
    if (s->addend < 0) take_sum(&l, s->n, fits_whole, &found.residual);
    if (s->addend < 0 && s->kind != HONE_GEMM_U8S8 && !s->patches) take_sum(&l, s->n, fits_row, &found.bias);
    if (l.at->op != HONE_MAP_INPUT || l.at->input != 0) return false;
    *e = found;
    return true;
}

/* --- what runs over strips --- */

static hone_status keep_scratch(hone_prepare *p, const hone_elementwise *e) {
    size_t scratch = hone_elementwise_scratch(e);
    if (scratch > p->worker_scratch) p->worker_scratch = scratch;
    return HONE_OK;
}

static hone_status prepare_map(hone_prepare *p, const hone_product *s, hone_product_epilogue *e,
                               hone_error *err) {
    const hone_map *m = p->node->map;
    if (!m || match(p, s, e) || hone_product_byte_sum_find(p, s, e)) return HONE_OK;
    const hone_type *in[HONE_PROGRAM_MAX_REGISTERS] = {NULL}; /* operand 0 is the strip itself */
    e->map_input = p->node->map_input;
    e->map_inputs = m->inputs;
    if (m->inputs > HONE_PROGRAM_MAX_REGISTERS) return hone_prepare_fail(p, err, "its epilogue is too long");
    in[0] = &p->out[0];
    for (int i = 1; i < m->inputs; i++) in[i] = p->in[e->map_input + i - 1];
    hone_elementwise *work = NULL;
    HONE_TRY(hone_elementwise_prepare(p, m, in, &p->out[0], &work, err));
    e->map = work;
    return keep_scratch(p, work);
}

/* What is added and has Y's shape is a residual as it is; else beta times it is broadcast to Y first. */
static hone_status prepare_addend(hone_prepare *p, const hone_product *s, hone_product_epilogue *e,
                                  hone_error *err) {
    if (s->addend < 0) return HONE_OK;
    if (s->beta == 1 && same_shape(p->in[s->addend], &p->out[0])) {
        e->residual = s->addend;
        return HONE_OK;
    }
    hone_arena *arena = hone_arena_new();
    hone_map *m = arena ? hone_map_new(arena) : NULL;
    hone_elementwise *work = NULL;
    if (m)
        hone_map_add_output(
            m, hone_map_mul(m, hone_map_input(m, 0, p->out[0].dtype), hone_map_const(m, s->beta)));
    hone_status status =
        m ? hone_elementwise_prepare(p, m, &p->in[s->addend], &p->out[0], &work, err) : hone_fail_memory(err);
    hone_arena_free(arena);
    if (status != HONE_OK) return status;
    e->addend = work;
    return keep_scratch(p, work);
}

hone_status hone_product_epilogue_prepare(hone_prepare *p, const hone_product *s, hone_product_epilogue *e,
                                          hone_error *err) {
    *e = (hone_product_epilogue){
        .bias = s->bias, .residual = -1, .other = -1, .lo = s->relu ? 0 : -INFINITY, .hi = INFINITY};
    HONE_TRY(prepare_addend(p, s, e, err));
    return prepare_map(p, s, e, err);
}

void hone_product_addend_run(const hone_product_job *j, int64_t m0, int64_t m1, int64_t n0, int64_t n1,
                             int worker) {
    const hone_product *s = &j->p->s;
    void *c = hone_step_in(j->step, j->frame, s->addend), *y = j->y;
    hone_block block = {s->n, m0, m1, n0, n1, NULL, 0};
    hone_elementwise_run_block(j->p->epilogue.addend, &c, &y, &block,
                               hone_step_worker_scratch(j->step, j->frame, worker));
}

void hone_product_map_run(const hone_product_job *j, int64_t m0, int64_t m1, int64_t n0, int64_t n1,
                          int worker) {
    const hone_product_epilogue *e = &j->p->epilogue;
    void *in[HONE_PROGRAM_MAX_REGISTERS], *y = j->y;
    in[0] = y;
    for (int i = 1; i < e->map_inputs; i++) in[i] = hone_step_in(j->step, j->frame, e->map_input + i - 1);
    hone_block block = {j->p->s.n, m0, m1, n0, n1, NULL, 0};
    hone_elementwise_run_block(e->map, in, &y, &block, hone_step_worker_scratch(j->step, j->frame, worker));
}
