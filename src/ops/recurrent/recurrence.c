#include "ops/recurrent/recurrence.h"

#include "graph/autodiff.h"
#include "graph/infer.h"
#include "ops/common/legacy.h"
#include "ops/common/walk.h"
#include "ops/recurrent/recurrence_inside.h"

#include <math.h>

#define FLOATS HONE_TYPES_FLOAT
#define SINGLE HONE_TYPE(HONE_FLOAT32)
#define BYTES HONE_TYPES_BYTE

void hone_recurrence_copy_attrs(hone_graph *g, hone_node *to, const hone_node *from, hone_cell_kind kind) {
    if (!to) return;
    hone_node_copy_attrs(g, to, from);
    hone_drop_attributes(to);
    hone_node_set_int(g, to, "cell", kind);
}

hone_status hone_recurrence_cell(const hone_node *n, hone_cell *c, hone_error *err) {
    int64_t kind = hone_node_int(n, "cell");
    if (kind < HONE_CELL_RNN || kind > HONE_CELL_LSTM)
        return hone_fail_node(err, HONE_INVALID_ARGUMENT, n->name, hone_node_op_name(n), "no such cell");
    return hone_cell_read(n, (hone_cell_kind)kind, c, err);
}

/* --- shapes --- */

hone_status hone_recurrence_match(const hone_infer *ctx, int i, int rank, int64_t *dims, hone_error *err) {
    const hone_type *t = i < ctx->input_count ? ctx->in[i] : NULL;
    if (!t || t->rank < 0) return HONE_OK;
    if (t->rank != rank) return hone_infer_fail(ctx, err, "input %d must have rank %d", i, rank);
    for (int k = 0; k < rank; k++) HONE_TRY(hone_infer_same_dim(ctx, t->dims[k], dims[k], &dims[k], err));
    return HONE_OK;
}

/* What the steps start from, and what they have for all of them: known in full only once they run. */
static hone_status match_others(const hone_infer *ctx, const hone_cell *c, int64_t batch, int64_t hidden,
                                hone_error *err) {
    int64_t state[2][3] = {{c->directions, batch, hidden}, {batch, c->directions, hidden}},
            p[] = {c->directions, hidden >= 0 ? 3 * hidden : HONE_DIM_ANY}, bias[] = {c->directions, hidden},
            units[] = {c->directions, hidden >= 0 ? c->gates * hidden : HONE_DIM_ANY};
    HONE_TRY(hone_recurrence_match(ctx, HONE_RECURRENCE_LENGTHS, 1, &batch, err));
    HONE_TRY(hone_recurrence_match(ctx, HONE_RECURRENCE_H0, 3, state[c->batch_first], err));
    HONE_TRY(hone_recurrence_match(ctx, HONE_RECURRENCE_C0, 3, state[c->batch_first], err));
    HONE_TRY(hone_recurrence_match(ctx, HONE_RECURRENCE_P, 2, p, err));
    HONE_TRY(hone_recurrence_match(ctx, HONE_RECURRENCE_RB, 2, bias, err));
    HONE_TRY(hone_recurrence_match(ctx, HONE_RECURRENCE_R_SCALE, 2, units, err));
    return hone_recurrence_match(ctx, HONE_RECURRENCE_R_ZERO, 2, units, err);
}

static hone_status infer(hone_infer *ctx, hone_error *err) {
    hone_cell c;
    HONE_TRY(hone_recurrence_cell(ctx->node, &c, err));
    const hone_type *gates = ctx->in[HONE_RECURRENCE_GATES], *r = ctx->in[HONE_RECURRENCE_R];
    if (gates->rank < 0 || r->rank < 0) return HONE_OK;
    if (gates->rank != 3 || r->rank != 3) return hone_infer_fail(ctx, err, "its operands must have rank 3");
    int64_t d, hidden = r->dims[2], all = hidden >= 0 ? c.directions * c.gates * hidden : HONE_DIM_ANY;
    HONE_TRY(hone_infer_same_dim(ctx, r->dims[0], c.directions * c.gates, &d, err));
    HONE_TRY(hone_infer_same_dim(ctx, r->dims[1], hidden, &hidden, err));
    HONE_TRY(hone_infer_same_dim(ctx, gates->dims[2], all, &d, err));
    int64_t steps = gates->dims[c.batch_first], batch = gates->dims[!c.batch_first];
    const int64_t y[2][4] = {{steps, c.directions, batch, hidden}, {batch, steps, c.directions, hidden}};
    const int64_t state[2][3] = {{c.directions, batch, hidden}, {batch, c.directions, hidden}};
    HONE_TRY(match_others(ctx, &c, batch, hidden, err));
    const hone_type types[HONE_RECURRENCE_OUTPUTS] = {hone_type_make(gates->dtype, 4, y[c.batch_first]),
                                                      hone_type_make(gates->dtype, 3, state[c.batch_first]),
                                                      hone_type_make(gates->dtype, 3, state[c.batch_first]),
                                                      *gates,
                                                      hone_type_make(gates->dtype, 4, y[c.batch_first])};
    for (int o = 0; o < ctx->output_count; o++) ctx->out[o] = types[o];
    return HONE_OK;
}

static int64_t multiply_adds(const hone_node *n, const hone_type *const *in, const hone_type *out) {
    (void)n;
    (void)out;
    const hone_type *gates = in[HONE_RECURRENCE_GATES];
    return hone_type_count(gates) * in[HONE_RECURRENCE_R]->dims[2];
}

/* --- running --- */

/* Rows [m0, m1) of units [n0, n1) of one direction, at a step. */
typedef hone_recurrence_params params;

typedef struct part {
    int direction;
    int64_t step, m0, m1, n0, n1;
} part;

static char *kept(const hone_recurrence_job *j, int direction, int which) {
    return j->kept + (size_t)direction * j->p->kept_bytes + j->p->kept[which];
}

/* H and H' change places from step to step. */
static char *hidden_of(const hone_recurrence_job *j, int direction, int64_t step) {
    return kept(j, direction, j->p->slots + (int)(step & 1));
}
static char *other(const hone_recurrence_job *j, int direction) {
    return kept(j, direction, j->p->slots + 2);
}

static int64_t gates_width(const params *p) {
    return p->cell.directions * p->cell.gates * p->steps.hidden;
}

/* Where gate `gate` of a direction begins in a row of gates. */
static int64_t gate_column(const params *p, int direction, int gate) {
    return (direction * p->cell.gates + gate) * p->steps.hidden;
}

/* The gates of row i side by side. */
static char *joined_row(const hone_recurrence_job *j, int direction, int64_t i) {
    const hone_steps *s = &j->steps;
    if (!j->rows) return kept(j, direction, 0);
    return hone_steps_at(s, j->rows, direction * s->batch + i, j->p->cell.gates * s->hidden, 0);
}

static const char *input_gates(const hone_recurrence_job *j, const part *w, int64_t i) {
    const hone_steps *s = &j->steps;
    int64_t sequence = hone_steps_sequence(s, i),
            time = hone_steps_time(s, i, w->step, j->p->cell.reverse[w->direction]);
    return hone_steps_at(s, j->gates, hone_steps_x_row(s, sequence, time), gates_width(j->p),
                         gate_column(j->p, w->direction, 0));
}

/* Do products find what is added to them in the input? Sequences that are sorted lie anywhere in it. */
static bool adds_input(const hone_recurrence_job *j) {
    return j->p->weights.is_joined && !j->p->cell.reset_after && !j->steps.order;
}

/* What is added to the products: where they will be, or, H apart, where they wait for them. */
static void load_gates(const hone_recurrence_job *j, const part *w) {
    const params *p = j->p;
    const hone_steps *s = &j->steps;
    for (int64_t i = w->m0; i < w->m1 && !adds_input(j); i++) {
        const char *x = input_gates(j, w, i);
        char *row = p->weights.is_joined ? joined_row(j, w->direction, i) : NULL;
        for (int g = 0; g < p->cell.gates; g++) {
            const int slot = hone_recurrence_slot(&p->cell, g);
            char *to = row && slot == g ? hone_steps_at(s, row, g, s->hidden, 0)
                                        : hone_steps_at(s, kept(j, w->direction, slot), i, s->hidden, w->n0);
            hone_steps_copy(s, to, hone_steps_at(s, x, g, s->hidden, w->n0), w->n1 - w->n0);
            if (row && slot != g)
                hone_steps_copy(s, hone_steps_at(s, row, g, s->hidden, 0),
                                hone_steps_at(s, j->rb, w->direction, s->hidden, 0), s->hidden);
        }
    }
}

/* All gates at once, from their rows to their matrices. */
static void multiply_joined(const hone_recurrence_job *j, const part *w) {
    const params *p = j->p;
    const hone_steps *s = &j->steps;
    hone_gemm gemm = p->gemm;
    gemm.a = hidden_of(j, w->direction, w->step);
    gemm.b = j->weights + (size_t)w->direction * p->weights.matrix_bytes;
    gemm.c = joined_row(j, w->direction, 0);
    gemm.epilogue.residual = gemm.c;
    if (adds_input(j)) {
        gemm.epilogue.residual = input_gates(j, w, 0);
        gemm.epilogue.residual_row = gates_width(p) * (s->batch_first ? s->steps : 1);
    }
    if (p->is_quantized) hone_recurrence_quantized_gemm(j, w->direction, 0, &gemm);
    p->weights.b.family->run(&gemm, w->m0, w->m1, 0, gemm.n);
    for (int64_t i = w->m0; i < w->m1 && j->rows; i++)
        for (int g = 0; g < p->cell.gates; g++)
            hone_steps_copy(s, hone_steps_at(s, kept(j, w->direction, g), i, s->hidden, 0),
                            hone_steps_at(s, joined_row(j, w->direction, i), g, s->hidden, 0), s->hidden);
}

/* The part's units of a gate, block by block. */
static void multiply_gate(const hone_recurrence_job *j, const part *w, int stage, int gate) {
    const params *p = j->p;
    const hone_steps *s = &j->steps;
    const int64_t units = p->weights.b.n, which = w->direction * p->cell.gates + gate;
    for (int64_t block = w->n0 / units; block * units < w->n1; block++) {
        const int64_t at = block * units;
        hone_gemm gemm = p->gemm;
        gemm.a = stage == 0 ? hidden_of(j, w->direction, w->step) : other(j, w->direction);
        gemm.b = j->weights + (size_t)(which * p->weights.blocks + block) * p->weights.matrix_bytes;
        gemm.c = hone_steps_at(s, kept(j, w->direction, gate), 0, s->hidden, at);
        if (hone_recurrence_slot(&p->cell, gate) == gate)
            gemm.epilogue.residual = gemm.c;
        else if (j->rb)
            gemm.epilogue.bias = hone_steps_at(s, j->rb, w->direction, s->hidden, at);
        if (p->is_quantized) hone_recurrence_quantized_gemm(j, w->direction, gate * s->hidden + at, &gemm);
        p->weights.b.family->run(&gemm, w->m0, w->m1, w->n0 > at ? w->n0 - at : 0,
                                 hone_min_i64(w->n1 - at, units));
    }
}

/* The gates that a stage needs of H, or of r H. */
static void multiply(const hone_recurrence_job *j, const part *w, int stage) {
    const params *p = j->p;
    const int first = stage == 0 ? 0 : 2, end = p->stages == 1 ? p->cell.gates : stage == 0 ? 2 : 3;
    if (p->weights.is_joined)
        multiply_joined(j, w);
    else
        for (int g = first; g < end; g++) multiply_gate(j, w, stage, g);
}

static void run_map(const hone_recurrence_job *j, const part *w, int stage, int worker) {
    const params *p = j->p;
    void *buffers[HONE_CELL_BUFFERS] = {NULL};
    for (int g = 0; g < p->slots; g++) buffers[HONE_CELL_GATE + g] = kept(j, w->direction, g);
    buffers[HONE_CELL_H] = hidden_of(j, w->direction, w->step);
    buffers[HONE_CELL_NEXT] = hidden_of(j, w->direction, w->step + 1);
    buffers[HONE_CELL_C] = buffers[HONE_CELL_RESET] = other(j, w->direction);
    for (int k = 0; k < 3; k++)
        buffers[HONE_CELL_P + k] =
            hone_steps_at(&j->steps, j->peepholes, 3 * w->direction + k, j->steps.hidden, 0);
    hone_steps_run(&p->maps[w->direction][stage], &j->steps, buffers, w->m0, w->m1, w->n0, w->n1,
                   hone_step_worker_scratch(j->step, j->frame, worker));
}

/* What this step gives goes to where it belongs. */
static void store(const hone_recurrence_job *j, const part *w) {
    const params *p = j->p;
    const hone_steps *s = &j->steps;
    const int64_t n = w->n1 - w->n0, hidden = s->hidden;
    const char *h = hidden_of(j, w->direction, w->step + 1), *c = other(j, w->direction);
    for (int64_t i = w->m0; i < w->m1; i++) {
        int64_t sequence = hone_steps_sequence(s, i);
        int64_t time = hone_steps_time(s, i, w->step, p->cell.reverse[w->direction]);
        int64_t y = hone_steps_y_row(s, sequence, time, w->direction);
        const char *hi = hone_steps_at(s, h, i, hidden, w->n0), *ci = hone_steps_at(s, c, i, hidden, w->n0);
        hone_steps_copy(s, hone_steps_at(s, j->y, y, hidden, w->n0), hi, n);
        hone_steps_copy(s, hone_steps_at(s, j->c, y, hidden, w->n0), ci, n);
        for (int g = 0; g < p->cell.gates && j->before; g++)
            hone_steps_copy(s,
                            hone_steps_at(s, j->before, hone_steps_x_row(s, sequence, time), gates_width(p),
                                          gate_column(p, w->direction, g) + w->n0),
                            hone_steps_at(s, kept(j, w->direction, g), i, hidden, w->n0), n);
        if (w->step + 1 != hone_steps_length(s, i)) continue;
        int64_t state = hone_steps_state_row(s, sequence, w->direction);
        hone_steps_copy(s, hone_steps_at(s, j->y_h, state, hidden, w->n0), hi, n);
        hone_steps_copy(s, hone_steps_at(s, j->y_c, state, hidden, w->n0), ci, n);
    }
}

static void run_stage(const hone_recurrence_job *j, const part *w, int stage, int worker) {
    if (stage == 0) load_gates(j, w);
    multiply(j, w, stage);
    run_map(j, w, stage, worker);
    if (stage + 1 == j->p->stages) store(j, w);
}

/* --- the two ways to cut: rows of sequences, each for all steps; or units, by a team that meets at each step --- */

static void run_rows(void *arg, int64_t begin, int64_t end, int worker) {
    hone_recurrence_job *j = arg;
    const params *p = j->p;
    const hone_steps *s = &j->steps;
    for (int64_t item = begin; item < end; item++) {
        part w = {.direction = (int)(item / p->row_blocks), .n1 = s->hidden};
        w.m0 = item % p->row_blocks * p->row_block;
        w.m1 = hone_min_i64(w.m0 + p->row_block, s->batch);
        for (; w.step < s->steps; w.step++) {
            w.m1 = hone_steps_running(s, w.m0, w.m1, w.step);
            if (w.m1 == w.m0) break;
            if (p->is_quantized)
                hone_recurrence_quantize(j, w.direction, hidden_of(j, w.direction, w.step), w.m1);
            for (int stage = 0; stage < p->stages; stage++) run_stage(j, &w, stage, worker);
        }
    }
}

/* Ticks of a step: H is quantized if R is, one part of each direction; then stages. */
static int ticks(const params *p) {
    return p->stages + p->is_quantized;
}

/* The units that stay together when a team cuts them: blocks, or panels. */
static int64_t team_unit(const params *p) {
    return p->weights.blocks > 1 ? p->weights.b.n : p->weights.b.family->panel;
}

static void run_units(void *arg, int64_t tick, int which, int worker) {
    const hone_recurrence_job *j = arg;
    const params *p = j->p;
    const int parts = j->parts, stage = (int)(tick % ticks(p)) - p->is_quantized;
    const int64_t unit = team_unit(p), units = hone_tasks(p->steps.hidden, unit), at = which % parts;
    part w = {.direction = which / parts,
              .step = tick / ticks(p),
              .n0 = units * at / parts * unit,
              .n1 = hone_min_i64(units * (at + 1) / parts * unit, p->steps.hidden)};
    w.m1 = hone_steps_running(&j->steps, 0, p->steps.batch, w.step);
    if (stage >= 0)
        run_stage(j, &w, stage, worker);
    else if (at == 0)
        hone_recurrence_quantize(j, w.direction, hidden_of(j, w.direction, w.step), w.m1);
}

/* The states before the first step. A sequence without steps has 0 as its last one, as in ONNX Runtime. */
static void load_states(hone_recurrence_job *j, int input, bool cell, char *out) {
    const hone_steps *s = &j->steps;
    const void *initial = hone_step_in(j->step, j->frame, input);
    for (int d = 0; d < s->directions; d++) {
        char *state = cell ? other(j, d) : hidden_of(j, d, 0);
        for (int64_t i = 0; i < s->batch; i++) {
            int64_t row = hone_steps_state_row(s, hone_steps_sequence(s, i), d);
            const char *x = hone_steps_at(s, initial, row, s->hidden, 0);
            hone_steps_copy(s, hone_steps_at(s, state, i, s->hidden, 0), x, s->hidden);
            if (hone_steps_length(s, i) == 0)
                hone_steps_copy(s, hone_steps_at(s, out, row, s->hidden, 0), NULL, s->hidden);
        }
    }
}

static hone_status run(const hone_step *step, hone_frame *frame, hone_error *err) {
    const params *p = step->params;
    char *scratch = hone_step_scratch(step, frame);
    hone_recurrence_job j = {.p = p,
                             .step = step,
                             .frame = frame,
                             .steps = p->steps,
                             .kept = scratch + p->at_kept,
                             .rows = p->weights.is_joined && p->steps.batch > 1 ? scratch + p->at_rows : NULL,
                             .gates = hone_step_in(step, frame, HONE_RECURRENCE_GATES),
                             .peepholes = hone_step_in(step, frame, HONE_RECURRENCE_P),
                             .rb = hone_step_in(step, frame, HONE_RECURRENCE_RB),
                             .y = hone_step_out(step, frame, HONE_RECURRENCE_Y),
                             .y_h = hone_step_out(step, frame, HONE_RECURRENCE_Y_H),
                             .y_c = hone_step_out(step, frame, HONE_RECURRENCE_Y_C),
                             .before = hone_step_out(step, frame, HONE_RECURRENCE_BEFORE),
                             .c = hone_step_out(step, frame, HONE_RECURRENCE_C)};
    HONE_TRY(hone_steps_sort(&j.steps, hone_step_in(step, frame, HONE_RECURRENCE_LENGTHS),
                             scratch + p->at_order, step, err));
    load_states(&j, HONE_RECURRENCE_H0, false, j.y_h);
    if (p->cell.kind == HONE_CELL_LSTM) load_states(&j, HONE_RECURRENCE_C0, true, j.y_c);
    for (int d = 0; d < j.steps.directions; d++) {
        hone_steps_pad_y(&j.steps, j.y, d);
        hone_steps_pad_y(&j.steps, j.c, d);
    }
    hone_steps_pad_x(&j.steps, j.before, gates_width(p), 0, gates_width(p));
    if (j.steps.steps == 0 || j.steps.batch == 0 || j.steps.hidden == 0) return HONE_OK;
    j.weights = hone_recurrence_weights_now(&j);
    if (p->is_quantized) hone_recurrence_quantized_begin(&j);
    hone_pool *pool = hone_frame_pool(frame, p->rows.nanoseconds);
    const int threads = hone_pool_threads(pool);
    j.parts = (int)hone_min_i64((threads + p->cell.directions - 1) / p->cell.directions, p->most_parts);
    if (j.parts > 1 && p->rows.count < threads)
        hone_team_run(pool, j.steps.steps * ticks(p), j.parts * p->cell.directions, run_units, &j);
    else
        hone_cut_run(&p->rows, frame, run_rows, &j);
    return HONE_OK;
}

/* --- preparing --- */

static void cut(params *q) {
    const hone_product_b *b = &q->weights.b;
    const hone_gemm_family *f = b->family;
    const hone_steps *s = &q->steps;
    const double row = hone_recurrence_row_cost(&q->cell, b, s->hidden);
    int64_t tiles = q->is_quantized ? 1 : hone_tasks(s->batch, 2 * f->rows);
    q->row_block =
        q->is_quantized ? s->batch : hone_tasks(hone_tasks(s->batch, tiles ? tiles : 1), f->rows) * f->rows;
    q->row_blocks = q->row_block ? hone_tasks(s->batch, q->row_block) : 1;
    int64_t items = q->row_blocks * s->directions;
    double step = row * (double)s->batch;
    q->rows =
        hone_cut_make(items, step * (double)(s->directions * s->steps) / (double)(items ? items : 1), 1);
    step /= HONE_RECURRENCE_PART_NANOSECONDS * ticks(q);
    q->most_parts = hone_min_i64(hone_tasks(s->hidden, team_unit(q)), HONE_TEAM_PARTS / s->directions);
    if (step < (double)q->most_parts) q->most_parts = (int64_t)step;
    if (q->weights.is_joined) q->most_parts = 1;
    q->packing = hone_cut_make(b->matrices, 0.5 * (double)(b->k * b->n), 1);
}

/* Gates that a product gives side by side are kept so where each has but one row. */
static void lay_out(params *q) {
    const size_t bytes = (size_t)(q->steps.batch * q->steps.hidden) * q->steps.size;
    const bool is_dense = q->weights.is_joined && q->steps.batch == 1;
    q->kept_bytes = 0;
    for (int i = 0; i < q->slots + 3; i++) {
        if (i >= q->cell.gates || !is_dense) q->kept_bytes = hone_align_64(q->kept_bytes);
        q->kept[i] = q->kept_bytes;
        q->kept_bytes += bytes;
    }
    q->kept_bytes = hone_align_64(q->kept_bytes);
}

static size_t take(hone_prepare *p, size_t bytes) {
    size_t at = hone_align_64(p->scratch);
    p->scratch = at + bytes;
    return at;
}

static hone_status prepare(hone_prepare *p, hone_error *err) {
    params *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    HONE_TRY(hone_recurrence_cell(p->node, &q->cell, err));
    const hone_type *gates = p->in[HONE_RECURRENCE_GATES], *r = p->in[HONE_RECURRENCE_R];
    q->steps = hone_steps_make(&q->cell, gates, r);
    q->is_quantized = r->dtype == HONE_INT8 || r->dtype == HONE_UINT8;
    if (!q->is_quantized && r->dtype != gates->dtype)
        return hone_prepare_fail(p, err, "R must be of the gates' type or of bytes");
    q->weights = hone_recurrence_weights_make(&q->cell, r);
    q->packed = hone_recurrence_packed(p, &q->weights);
    const hone_product_b *b = &q->weights.b;
    const bool direct = q->weights.is_direct;
    q->stages = hone_cell_stages(&q->cell);
    q->slots = q->cell.gates + q->cell.reset_after;
    lay_out(q);
    const int64_t row = q->weights.is_joined ? b->n : q->steps.hidden;
    q->gemm =
        (hone_gemm){.m = q->steps.batch,
                    .n = b->n,
                    .k = b->k,
                    .a_row = b->k,
                    .a_col = 1,
                    .b_row = direct ? 1 : 0,
                    .b_col = direct ? b->k : 1,
                    .c_row = row,
                    .epilogue = {.store = gates->dtype == HONE_FLOAT64 ? HONE_STORE_F64 : HONE_STORE_F32,
                                 .alpha = 1,
                                 .residual_row = row,
                                 .lo = -INFINITY,
                                 .hi = INFINITY}};
    HONE_TRY(hone_steps_maps(p, &q->cell, &q->steps, false,
                             HONE_RECURRENCE_P < p->in_count && p->in[HONE_RECURRENCE_P], q->maps, err));
    q->at_order = take(p, hone_steps_room(&q->steps));
    q->at_kept = take(p, (size_t)q->cell.directions * q->kept_bytes);
    q->at_rows = take(p, q->weights.is_joined && q->steps.batch > 1
                             ? (size_t)(q->cell.directions * q->steps.batch * b->n) * q->steps.size
                             : 0);
    q->at_packed = take(p, q->packed || direct ? 0 : hone_product_b_bytes(b, b->matrices));
    q->at_quantized = take(p, q->is_quantized ? hone_recurrence_quantized_room(q) : 0);
    cut(q);
    p->params = q;
    p->run = run;
    p->kernel = q->is_quantized ? "recurrence, quantized" : "recurrence";
    return HONE_OK;
}

/* --- the gradient --- */

/* v [T, B, D N W] as [D, N, W, T B], or transposed [D, N, T B, W]. */
static hone_value *by_direction(hone_gradient *ctx, hone_value *v, int64_t d, int64_t n, int64_t w,
                                bool transposed) {
    const int64_t shape[] = {-1, d, n, w}, perm[2][4] = {{1, 2, 3, 0}, {1, 2, 0, 3}};
    v = HONE_EMIT(ctx->graph, "", "Reshape", v, hone_graph_ints(ctx->graph, shape, 4));
    hone_value *y = HONE_EMIT(ctx->graph, "", "Transpose", v);
    if (y) hone_node_set_ints(ctx->graph, y->producer, "perm", perm[transposed], 4);
    return y;
}

static hone_value *reshape(hone_gradient *ctx, hone_value *v, const int64_t *shape, int rank) {
    return HONE_EMIT(ctx->graph, "", "Reshape", v, hone_graph_ints(ctx->graph, shape, rank));
}

/* v [T, B, D N W] summed over T and B: [D, N, W]. */
static hone_value *total(hone_gradient *ctx, hone_value *v, int64_t d, int64_t n, int64_t w) {
    const int64_t shape[] = {-1, d, n, w}, axis = 0;
    v = HONE_EMIT(ctx->graph, "", "ReduceSum", reshape(ctx, v, shape, 4),
                  hone_graph_ints(ctx->graph, &axis, 1));
    if (v) hone_node_set_int(ctx->graph, v->producer, "keepdims", 0);
    return v;
}

/* dR[d][g] is the sum over all steps of d gates^T operand. */
static void give_weights(hone_gradient *ctx, const hone_cell *c, hone_value *gates, hone_value *operand) {
    const hone_value *r = ctx->node->inputs[HONE_RECURRENCE_R];
    const int64_t hidden = r->type.dims[2], n = hone_recurrence_operands(c), shape[] = {-1, hidden, hidden};
    hone_value *a = by_direction(ctx, gates, c->directions, n, c->gates / n * hidden, false);
    hone_value *b = by_direction(ctx, operand, c->directions, n, hidden, true);
    ctx->din[HONE_RECURRENCE_R] = reshape(ctx, HONE_EMIT(ctx->graph, "", "MatMul", a, b), shape, 3);
}

/* The bias of GRU's h inside of the recurrent part: the last gate of the sum. */
static void give_bias(hone_gradient *ctx, const hone_cell *c, hone_value *gates) {
    const int64_t hidden = ctx->node->inputs[HONE_RECURRENCE_R]->type.dims[2], at[] = {2, 3, 1},
                  shape[] = {c->directions, hidden};
    hone_graph *g = ctx->graph;
    hone_value *sum = total(ctx, gates, c->directions, c->gates, hidden);
    sum = HONE_EMIT(g, "", "Slice", sum, hone_graph_ints(g, at, 1), hone_graph_ints(g, at + 1, 1),
                    hone_graph_ints(g, at + 2, 1));
    ctx->din[HONE_RECURRENCE_RB] = reshape(ctx, sum, shape, 2);
}

static hone_value *input_of(const hone_node *n, int i) {
    return i < n->input_count ? n->inputs[i] : NULL;
}

static bool wants(const hone_gradient *ctx, int i) {
    return i < ctx->node->input_count && ctx->wanted[i];
}

static void gradient(hone_gradient *ctx) {
    const hone_node *n = ctx->node;
    hone_graph *g = ctx->graph;
    hone_cell c;
    hone_value *in[HONE_RECURRENCE_GRAD_INPUTS] = {NULL};
    if (hone_recurrence_cell(n, &c, NULL) != HONE_OK) return; /* inference has read it */
    for (int i = 0; i <= HONE_RECURRENCE_P; i++) in[HONE_RECURRENCE_GRAD_GATES + i] = input_of(n, i);
    for (int o = 0; o <= HONE_RECURRENCE_Y_C; o++) in[o] = o < n->output_count ? ctx->dout[o] : NULL;
    in[HONE_RECURRENCE_GRAD_BEFORE] = hone_gradient_saved(ctx, HONE_RECURRENCE_BEFORE);
    in[HONE_RECURRENCE_GRAD_Y] = hone_gradient_saved(ctx, HONE_RECURRENCE_Y);
    if (c.kind == HONE_CELL_LSTM) in[HONE_RECURRENCE_GRAD_C] = hone_gradient_saved(ctx, HONE_RECURRENCE_C);
    hone_node *d = hone_graph_add_node(g, hone_op_find(HONE_PRIVATE_DOMAIN, "RecurrenceGrad"), NULL,
                                       HONE_RECURRENCE_GRAD_INPUTS, in, 1);
    if (!d) return;
    hone_recurrence_copy_attrs(g, d, n, c.kind);
    hone_value *gates = d->outputs[HONE_RECURRENCE_D_GATES], *recurrent = gates;
    ctx->din[HONE_RECURRENCE_GATES] = gates;
    if (c.reset_after && (wants(ctx, HONE_RECURRENCE_R) || wants(ctx, HONE_RECURRENCE_RB)))
        recurrent = hone_node_ask_output(g, d, HONE_RECURRENCE_D_RECURRENT);
    if (wants(ctx, HONE_RECURRENCE_R))
        give_weights(ctx, &c, recurrent, hone_node_ask_output(g, d, HONE_RECURRENCE_OPERAND));
    if (wants(ctx, HONE_RECURRENCE_RB)) give_bias(ctx, &c, recurrent);
    if (wants(ctx, HONE_RECURRENCE_H0))
        ctx->din[HONE_RECURRENCE_H0] = hone_node_ask_output(g, d, HONE_RECURRENCE_D_H0);
    if (wants(ctx, HONE_RECURRENCE_C0))
        ctx->din[HONE_RECURRENCE_C0] = hone_node_ask_output(g, d, HONE_RECURRENCE_D_C0);
    if (wants(ctx, HONE_RECURRENCE_P)) {
        const int64_t hidden = n->inputs[HONE_RECURRENCE_R]->type.dims[2],
                      shape[] = {c.directions, 3 * hidden};
        hone_value *sum =
            total(ctx, hone_node_ask_output(g, d, HONE_RECURRENCE_D_P), c.directions, 3, hidden);
        ctx->din[HONE_RECURRENCE_P] = reshape(ctx, sum, shape, 2);
    }
}

#define OPTIONAL HONE_SLOT_OPTIONAL

const hone_op hone_op_recurrence = {
    .domain = HONE_PRIVATE_DOMAIN,
    .name = "Recurrence",
    .since = 1,
    .oldest = 1,
    .inputs =
        HONE_SLOTS({"gates", 'T', FLOATS, 0}, {"R", 0, FLOATS | BYTES, 0},
                   {"lengths", 0, HONE_TYPE(HONE_INT32), OPTIONAL}, {"h0", 'T', FLOATS, OPTIONAL},
                   {"c0", 'T', FLOATS, OPTIONAL}, {"P", 'T', FLOATS, OPTIONAL}, {"Rb", 'T', FLOATS, OPTIONAL},
                   {"R_scale", 0, SINGLE, OPTIONAL}, {"R_zero", 0, BYTES, OPTIONAL}),
    .outputs = HONE_SLOTS({"Y", 'T', FLOATS, OPTIONAL}, {"Y_h", 'T', FLOATS, OPTIONAL},
                          {"Y_c", 'T', FLOATS, OPTIONAL}, {"before", 'T', FLOATS, HONE_SLOT_SAVED},
                          {"C", 'T', FLOATS, HONE_SLOT_SAVED}),
    .attrs = HONE_RECURRENCE_ATTRS,
    .infer = infer,
    .multiply_adds = multiply_adds,
    .pack = hone_recurrence_pack,
    .prepare = prepare,
    .gradient_kind = HONE_GRADIENT_EXACT,
    .gradient = gradient,
    .doc = "the steps of RNN, GRU and LSTM, given X W^T for all of them"};
