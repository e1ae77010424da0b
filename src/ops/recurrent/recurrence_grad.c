/* RecurrenceGrad: back through the steps of a recurrence, from the last to the first. Gates as they were before their
 * activations are at hand, so a step is a map, then d H = the sum over gates of d gate R. */
#include "graph/infer.h"
#include "ops/common/cut.h"
#include "ops/common/walk.h"
#include "ops/engine/product_b.h"
#include "ops/recurrent/recurrence.h"
#include "ops/recurrent/steps.h"

#include <math.h>

#define FLOATS HONE_TYPES_FLOAT

/* --- shapes --- */

static hone_status infer(hone_infer *ctx, hone_error *err) {
    hone_cell c;
    HONE_TRY(hone_recurrence_cell(ctx->node, &c, err));
    const hone_type *gates = ctx->in[HONE_RECURRENCE_GRAD_GATES], *r = ctx->in[HONE_RECURRENCE_GRAD_R];
    if (gates->rank < 0 || r->rank < 0) return HONE_OK;
    if (gates->rank != 3 || r->rank != 3) return hone_infer_fail(ctx, err, "its operands must have rank 3");
    const int64_t hidden = r->dims[2], batch = gates->dims[!c.batch_first];
    const int64_t state[2][3] = {{c.directions, batch, hidden}, {batch, c.directions, hidden}};
    hone_type operand = *gates, p = *gates, h = hone_type_make(gates->dtype, 3, state[c.batch_first]);
    operand.dims[2] = hidden >= 0 ? c.directions * hone_recurrence_operands(&c) * hidden : HONE_DIM_ANY;
    p.dims[2] = hidden >= 0 ? c.directions * 3 * hidden : HONE_DIM_ANY;
    const hone_type types[HONE_RECURRENCE_GRAD_OUTPUTS] = {*gates, operand, *gates, h, h, p};
    for (int o = 0; o < ctx->output_count; o++) ctx->out[o] = types[o];
    return HONE_OK;
}

/* --- running --- */

typedef struct params {
    hone_cell cell;
    hone_steps steps;
    int stages;
    const hone_gemm_family *family;
    hone_gemm gemm; /* but for addresses */
    hone_steps_map maps[2][2];
    size_t at_order, at_kept; /* in scratch */
    int64_t row_block, row_blocks;
    hone_cut rows;
} params;

typedef struct job {
    const params *p;
    const hone_step *step;
    const hone_frame *frame;
    hone_steps steps;
    char *kept;
    const char *in[HONE_RECURRENCE_GRAD_INPUTS];
    char *out[HONE_RECURRENCE_GRAD_OUTPUTS];
} job;

/* Rows [m0, m1) of one direction, at a step. */
typedef struct part {
    int direction;
    int64_t step, m0, m1;
} part;

static size_t matrix_bytes(const hone_steps *s) {
    return hone_align_64((size_t)(s->batch * s->hidden) * s->size);
}

/* One of the cell's buffers. */
static char *kept(const job *j, int direction, int buffer) {
    return j->kept + (size_t)(direction * HONE_CELL_BUFFERS + buffer) * matrix_bytes(&j->steps);
}

static char *kept_row(const job *j, int direction, int buffer, int64_t i) {
    return hone_steps_at(&j->steps, kept(j, direction, buffer), i, j->steps.hidden, 0);
}

/* Row `row` of a tensor like gates, with `count` pieces of H for each direction, from piece `which` on. */
static char *piece(const job *j, const void *base, int64_t row, const part *w, int count, int which) {
    const hone_steps *s = &j->steps;
    return hone_steps_at(s, base, row, s->directions * count * s->hidden,
                         (w->direction * count + which) * s->hidden);
}

/* H or C before the step: of the step before, or the initial one. */
static const char *previous(const job *j, const part *w, int64_t i, int all, int initial) {
    const hone_steps *s = &j->steps;
    int64_t sequence = hone_steps_sequence(s, i);
    if (w->step == 0)
        return hone_steps_at(s, j->in[initial], hone_steps_state_row(s, sequence, w->direction), s->hidden,
                             0);
    int64_t time = hone_steps_time(s, i, w->step - 1, j->p->cell.reverse[w->direction]);
    return hone_steps_at(s, j->in[all], hone_steps_y_row(s, sequence, time, w->direction), s->hidden, 0);
}

static void load(const job *j, const part *w) {
    const hone_steps *s = &j->steps;
    const hone_cell *c = &j->p->cell;
    const int d = w->direction;
    for (int64_t i = w->m0; i < w->m1; i++) {
        int64_t sequence = hone_steps_sequence(s, i), time = hone_steps_time(s, i, w->step, c->reverse[d]),
                row = hone_steps_x_row(s, sequence, time), y = hone_steps_y_row(s, sequence, time, d);
        for (int g = 0; g < c->gates; g++)
            hone_steps_copy(s, kept_row(j, d, HONE_CELL_GATE + g, i),
                            piece(j, j->in[HONE_RECURRENCE_GRAD_BEFORE], row, w, c->gates, g), s->hidden);
        if (c->reset_after)
            hone_steps_copy(s, kept_row(j, d, HONE_CELL_INPUT_H, i),
                            piece(j, j->in[HONE_RECURRENCE_GRAD_GATES], row, w, c->gates, 2), s->hidden);
        hone_steps_copy(s, kept_row(j, d, HONE_CELL_DY, i),
                        hone_steps_at(s, j->in[HONE_RECURRENCE_GRAD_DY], y, s->hidden, 0), s->hidden);
        hone_steps_copy(s, kept_row(j, d, HONE_CELL_H, i),
                        previous(j, w, i, HONE_RECURRENCE_GRAD_Y, HONE_RECURRENCE_GRAD_H0), s->hidden);
        if (c->kind == HONE_CELL_LSTM)
            hone_steps_copy(s, kept_row(j, d, HONE_CELL_C, i),
                            previous(j, w, i, HONE_RECURRENCE_GRAD_C, HONE_RECURRENCE_GRAD_C0), s->hidden);
    }
}

/* to = [to +] gate R */
static void multiply(const job *j, const part *w, int gate, int to, bool adds) {
    const params *p = j->p;
    const hone_steps *s = &j->steps;
    hone_gemm g = p->gemm;
    g.a = kept(j, w->direction, HONE_CELL_GATE + gate);
    g.b = hone_steps_at(s, j->in[HONE_RECURRENCE_GRAD_R], w->direction * p->cell.gates + gate,
                        s->hidden * s->hidden, 0);
    g.c = kept(j, w->direction, to);
    g.epilogue.residual = adds ? g.c : NULL;
    p->family->run(&g, w->m0, w->m1, 0, s->hidden);
}

static void run_map(const job *j, const part *w, int stage, int worker) {
    const hone_steps *s = &j->steps;
    void *buffers[HONE_CELL_BUFFERS];
    for (int b = 0; b < HONE_CELL_BUFFERS; b++) buffers[b] = kept(j, w->direction, b);
    for (int k = 0; k < 3; k++)
        buffers[HONE_CELL_P + k] =
            hone_steps_at(s, j->in[HONE_RECURRENCE_GRAD_P], 3 * w->direction + k, s->hidden, 0);
    hone_steps_run(&j->p->maps[w->direction][stage], s, buffers, w->m0, w->m1, 0, s->hidden,
                   hone_step_worker_scratch(j->step, j->frame, worker));
}

/* `count` buffers of each direction, from those listed, to the row of a tensor. */
static void store_pieces(const job *j, const part *w, int64_t i, int64_t row, int output, int count,
                         const int *buffers) {
    for (int k = 0; k < count && j->out[output]; k++)
        hone_steps_copy(&j->steps, piece(j, j->out[output], row, w, count, k),
                        kept_row(j, w->direction, buffers[k], i), j->steps.hidden);
}

static void store(const job *j, const part *w) {
    const hone_steps *s = &j->steps;
    const hone_cell *c = &j->p->cell;
    int gates[HONE_CELL_GATES], recurrent[HONE_CELL_GATES];
    static const int operand[] = {HONE_CELL_H, HONE_CELL_H, HONE_CELL_RESET},
                     p[] = {HONE_CELL_DP, HONE_CELL_DP + 1, HONE_CELL_DP + 2};
    for (int g = 0; g < c->gates; g++) {
        gates[g] = HONE_CELL_GATE + hone_recurrence_slot(c, g);
        recurrent[g] = HONE_CELL_GATE + g;
    }
    for (int64_t i = w->m0; i < w->m1; i++) {
        int64_t time = hone_steps_time(s, i, w->step, c->reverse[w->direction]);
        int64_t row = hone_steps_x_row(s, hone_steps_sequence(s, i), time);
        store_pieces(j, w, i, row, HONE_RECURRENCE_D_GATES, c->gates, gates);
        store_pieces(j, w, i, row, HONE_RECURRENCE_D_RECURRENT, c->gates, recurrent);
        store_pieces(j, w, i, row, HONE_RECURRENCE_OPERAND, hone_recurrence_operands(c), operand);
        store_pieces(j, w, i, row, HONE_RECURRENCE_D_P, 3, p);
    }
}

static void run_step(const job *j, const part *w, int worker) {
    const params *p = j->p;
    const bool is_gru = p->cell.kind == HONE_CELL_GRU;
    int gates = p->cell.gates;
    load(j, w);
    run_map(j, w, 0, worker);
    if (p->stages == 2) {
        multiply(j, w, --gates, HONE_CELL_RESET, false);
        run_map(j, w, 1, worker);
    }
    for (int g = 0; g < gates; g++) multiply(j, w, g, HONE_CELL_DH, g > 0 || is_gru);
    store(j, w);
}

static void run_rows(void *arg, int64_t begin, int64_t end, int worker) {
    const job *j = arg;
    const params *p = j->p;
    const hone_steps *s = &j->steps;
    for (int64_t item = begin; item < end; item++) {
        part w = {.direction = (int)(item / p->row_blocks)};
        w.m0 = item % p->row_blocks * p->row_block;
        int64_t last = hone_min_i64(w.m0 + p->row_block, s->batch);
        for (w.step = hone_steps_length(s, w.m0) - 1; w.step >= 0; w.step--) {
            w.m1 = hone_steps_running(s, w.m0, last, w.step);
            run_step(j, &w, worker);
        }
    }
}

/* Cotangents of states: what comes in, and what goes out at the end. */
static void move_states(const job *j, int buffer, const char *from, char *to) {
    const hone_steps *s = &j->steps;
    for (int d = 0; d < s->directions; d++)
        for (int64_t i = 0; i < s->batch; i++) {
            int64_t row = hone_steps_state_row(s, hone_steps_sequence(s, i), d);
            char *state = kept_row(j, d, buffer, i);
            if (to)
                hone_steps_copy(s, hone_steps_at(s, to, row, s->hidden, 0),
                                hone_steps_length(s, i) ? state : NULL, s->hidden);
            else
                hone_steps_copy(s, state, hone_steps_at(s, from, row, s->hidden, 0), s->hidden);
        }
}

static void pad(const job *j) {
    const hone_cell *c = &j->p->cell;
    const int64_t piece_size = c->directions * j->steps.hidden;
    const int counts[] = {[HONE_RECURRENCE_D_GATES] = c->gates,
                          [HONE_RECURRENCE_OPERAND] = hone_recurrence_operands(c),
                          [HONE_RECURRENCE_D_RECURRENT] = c->gates,
                          [HONE_RECURRENCE_D_P] = 3};
    for (int o = 0; o < HONE_RECURRENCE_GRAD_OUTPUTS; o++)
        if (counts[o] > 0)
            hone_steps_pad_x(&j->steps, j->out[o], counts[o] * piece_size, 0, counts[o] * piece_size);
}

static hone_status run(const hone_step *step, hone_frame *frame, hone_error *err) {
    const params *p = step->params;
    char *scratch = hone_step_scratch(step, frame);
    job j = {.p = p, .step = step, .frame = frame, .steps = p->steps, .kept = scratch + p->at_kept};
    for (int i = 0; i < HONE_RECURRENCE_GRAD_INPUTS; i++) j.in[i] = hone_step_in(step, frame, i);
    for (int o = 0; o < HONE_RECURRENCE_GRAD_OUTPUTS; o++) j.out[o] = hone_step_out(step, frame, o);
    HONE_TRY(hone_steps_sort(&j.steps, hone_step_in(step, frame, HONE_RECURRENCE_GRAD_LENGTHS),
                             scratch + p->at_order, step, err));
    pad(&j);
    move_states(&j, HONE_CELL_DH, j.in[HONE_RECURRENCE_GRAD_DY_H], NULL);
    move_states(&j, HONE_CELL_DC, j.in[HONE_RECURRENCE_GRAD_DY_C], NULL);
    hone_cut_run(&p->rows, frame, run_rows, &j);
    if (j.out[HONE_RECURRENCE_D_H0]) move_states(&j, HONE_CELL_DH, NULL, j.out[HONE_RECURRENCE_D_H0]);
    if (j.out[HONE_RECURRENCE_D_C0]) move_states(&j, HONE_CELL_DC, NULL, j.out[HONE_RECURRENCE_D_C0]);
    return HONE_OK;
}

static hone_status prepare(hone_prepare *p, hone_error *err) {
    params *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    HONE_TRY(hone_recurrence_cell(p->node, &q->cell, err));
    const hone_type *gates = p->in[HONE_RECURRENCE_GRAD_GATES], *r = p->in[HONE_RECURRENCE_GRAD_R];
    const bool is_double = gates->dtype == HONE_FLOAT64;
    hone_steps *s = &q->steps;
    *s = hone_steps_make(&q->cell, gates, r);
    q->stages = hone_cell_stages(&q->cell);
    q->family = hone_kernels_get()->gemm[is_double ? HONE_GEMM_F64 : HONE_GEMM_F32];
    q->gemm = (hone_gemm){.m = s->batch,
                          .n = s->hidden,
                          .k = s->hidden,
                          .a_row = s->hidden,
                          .a_col = 1,
                          .b_row = s->hidden,
                          .b_col = 1,
                          .c_row = s->hidden,
                          .epilogue = {.store = is_double ? HONE_STORE_F64 : HONE_STORE_F32,
                                       .alpha = 1,
                                       .residual_row = s->hidden,
                                       .lo = -INFINITY,
                                       .hi = INFINITY}};
    HONE_TRY(hone_steps_maps(p, &q->cell, s, true,
                             p->in_count > HONE_RECURRENCE_GRAD_P && p->in[HONE_RECURRENCE_GRAD_P], q->maps,
                             err));
    q->at_order = 0;
    q->at_kept = hone_align_64(hone_steps_room(s));
    p->scratch = q->at_kept + (size_t)(q->cell.directions * HONE_CELL_BUFFERS) * matrix_bytes(s);
    q->row_block = 2 * q->family->rows;
    q->row_blocks = hone_tasks(s->batch, q->row_block);
    double row = (double)(q->cell.gates * s->hidden) * ((double)s->hidden * q->family->nanoseconds + 5);
    q->rows = hone_cut_make(q->row_blocks * s->directions, row * (double)(q->row_block * s->steps), 1);
    p->params = q;
    p->run = run;
    p->kernel = "recurrence gradient";
    return HONE_OK;
}

#define OPTIONAL HONE_SLOT_OPTIONAL

const hone_op hone_op_recurrence_grad = {
    .domain = HONE_PRIVATE_DOMAIN,
    .name = "RecurrenceGrad",
    .since = 1,
    .oldest = 1,
    .inputs = HONE_SLOTS({"dY", 'T', FLOATS, OPTIONAL}, {"dY_h", 'T', FLOATS, OPTIONAL},
                         {"dY_c", 'T', FLOATS, OPTIONAL}, {"gates", 'T', FLOATS, 0}, {"R", 'T', FLOATS, 0},
                         {"lengths", 0, HONE_TYPE(HONE_INT32), OPTIONAL}, {"h0", 'T', FLOATS, OPTIONAL},
                         {"c0", 'T', FLOATS, OPTIONAL}, {"P", 'T', FLOATS, OPTIONAL},
                         {"before", 'T', FLOATS, 0}, {"Y", 'T', FLOATS, 0}, {"C", 'T', FLOATS, OPTIONAL}),
    .outputs = HONE_SLOTS({"d_gates", 'T', FLOATS, 0}, {"operand", 'T', FLOATS, OPTIONAL},
                          {"d_recurrent", 'T', FLOATS, OPTIONAL}, {"d_h0", 'T', FLOATS, OPTIONAL},
                          {"d_c0", 'T', FLOATS, OPTIONAL}, {"d_P", 'T', FLOATS, OPTIONAL}),
    .attrs = HONE_RECURRENCE_ATTRS,
    .infer = infer,
    .prepare = prepare,
    .doc = "the gradient of Recurrence"};
