/* Where: condition ? X : Y. A map, but for elements that nothing computes with, which are moved. */
#include "base/bits.h"
#include "graph/infer.h"
#include "kernels/positions.h"
#include "ops/common/axes.h"
#include "ops/common/cut.h"
#include "ops/common/gradient.h"
#include "ops/engine/copy.h"
#include "ops/engine/elementwise.h"

enum { CONDITION, YES, NO, OPERANDS };

static void map_where(hone_map *m, const hone_node *n) {
    (void)n;
    hone_map_out(m, 0,
                 hone_map_select(m, hone_map_in(m, CONDITION), hone_map_in(m, YES), hone_map_in(m, NO)));
}

static bool has_map(const hone_node *n) {
    return HONE_TYPES_FIXED & HONE_TYPE(n->outputs[0]->type.dtype);
}

/* --- what is moved --- */

typedef struct params {
    hone_element element;
    int64_t elements, row;    /* of y, of a row of it */
    hone_walk walk[OPERANDS]; /* rows of y to where they begin in the operands */
    int64_t step[OPERANDS];   /* from an element of a row to the next: 0 or 1 */
    hone_cut cut;             /* of the rows */
} params;

typedef struct job {
    const params *p;
    const void *in[OPERANDS];
    void *y;
} job;

static void select_rows(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const params *p = j->p;
    for (int64_t i = begin; i < end; i++) {
        int64_t from[OPERANDS];
        for (int k = 0; k < OPERANDS; k++) from[k] = hone_walk_offset(&p->walk[k], i);
        hone_select(p->element, (const bool *)j->in[CONDITION] + from[CONDITION], p->step[CONDITION],
                    j->in[YES], from[YES], p->step[YES], j->in[NO], from[NO], p->step[NO], j->y, i * p->row,
                    p->row);
    }
}

static hone_status run(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    const params *p = step->params;
    job j = {.p = p, .y = hone_step_out(step, frame, 0)};
    for (int k = 0; k < OPERANDS; k++) j.in[k] = hone_step_in(step, frame, k);
    if (p->element.size)
        hone_cut_run(&p->cut, frame, select_rows, &j);
    else
        select_rows(&j, 0, p->cut.count, 0);
    for (int64_t i = p->elements; !p->element.size && i * p->element.bits % 8; i++)
        hone_bits_set(j.y, i, p->element.bits, 0); /* behind the last one */
    return HONE_OK;
}

static void walk_operand(params *q, int k, const hone_type *x, const hone_type *y) {
    int64_t strides[HONE_MAX_RANK];
    hone_strides_of(x->rank, x->dims, strides);
    hone_walk_init(&q->walk[k]);
    for (int d = 0; d < y->rank; d++) {
        int from = d + x->rank - y->rank;
        int64_t stride = from >= 0 && x->dims[from] != 1 ? strides[from] : 0;
        if (d + 1 < y->rank)
            hone_walk_add(&q->walk[k], y->dims[d], stride);
        else
            q->step[k] = stride;
    }
}

static hone_status prepare(hone_prepare *p, hone_error *err) {
    const hone_type *y = &p->out[0];
    if (HONE_TYPES_FIXED & HONE_TYPE(y->dtype)) return hone_prepare_elementwise(p, err);
    params *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    *q = (params){.element = hone_element_of(y->dtype),
                  .elements = hone_type_count(y),
                  .row = y->rank ? y->dims[y->rank - 1] : 1};
    for (int k = 0; k < OPERANDS; k++) walk_operand(q, k, p->in[k], y);
    q->cut = hone_cut_make(q->row ? q->walk[0].count : 0, 10 + 2 * (double)q->row, 1);
    p->params = q;
    p->run = run;
    p->kernel = "select";
    return HONE_OK;
}

static void gradient(hone_gradient *ctx) {
    hone_value *condition = ctx->node->inputs[CONDITION], *dy = ctx->dout[0],
               *zero = hone_gradient_scalar(ctx, 0);
    if (ctx->wanted[YES])
        hone_gradient_give(ctx, YES, HONE_EMIT(ctx->graph, "", "Where", condition, dy, zero));
    if (ctx->wanted[NO]) hone_gradient_give(ctx, NO, HONE_EMIT(ctx->graph, "", "Where", condition, zero, dy));
}

const hone_op hone_op_where = {.name = "Where",
                               .since = 16,
                               .oldest = 9,
                               .inputs =
                                   HONE_SLOTS({"condition", 0, HONE_TYPE(HONE_BOOL), 0},
                                              {"X", 'T', HONE_TYPES_ALL, 0}, {"Y", 'T', HONE_TYPES_ALL, 0}),
                               .outputs = HONE_SLOTS({"output", 'T', HONE_TYPES_ALL, 0}),
                               .infer = hone_infer_elementwise,
                               .axes = hone_axes_broadcast,
                               .prepare = prepare,
                               .overwrite = 7,
                               .map = map_where,
                               .has_map = has_map,
                               .gradient_kind = HONE_GRADIENT_EXACT,
                               .gradient = gradient,
                               .doc = "condition ? X : Y"};
