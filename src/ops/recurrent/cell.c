#include "ops/recurrent/cell.h"
#include "ops/common/curve.h"

#include <math.h>
#include <string.h>
#include <strings.h>

/* --- activations --- */

typedef hone_reg curve_fn(hone_map *m, const hone_cell_curve *c, hone_reg x);
/* dy/dx, given x and y */
typedef hone_reg slope_fn(hone_map *m, const hone_cell_curve *c, hone_reg x, hone_reg y);

static hone_reg number(hone_map *m, double x) {
    return hone_map_const(m, x);
}
static hone_reg one_less(hone_map *m, hone_reg x) {
    return hone_map_sub(m, number(m, 1), x);
}
static hone_reg scaled(hone_map *m, hone_reg x, double by) {
    return hone_map_mul(m, x, number(m, by));
}

static hone_reg relu(hone_map *m, const hone_cell_curve *c, hone_reg x) {
    (void)c;
    return hone_map_max(m, x, number(m, 0));
}
static hone_reg relu_slope(hone_map *m, const hone_cell_curve *c, hone_reg x, hone_reg y) {
    (void)c;
    (void)y;
    return hone_map_select(m, hone_map_gt(m, x, number(m, 0)), number(m, 1), number(m, 0));
}

static hone_reg tangent(hone_map *m, const hone_cell_curve *c, hone_reg x) {
    (void)c;
    return hone_map_tanh(m, x);
}
static hone_reg tangent_slope(hone_map *m, const hone_cell_curve *c, hone_reg x, hone_reg y) {
    (void)c;
    (void)x;
    return one_less(m, hone_map_mul(m, y, y));
}

static hone_reg sigmoid(hone_map *m, const hone_cell_curve *c, hone_reg x) {
    (void)c;
    return hone_map_sigmoid(m, x);
}
static hone_reg sigmoid_slope(hone_map *m, const hone_cell_curve *c, hone_reg x, hone_reg y) {
    (void)c;
    (void)x;
    return hone_map_mul(m, y, one_less(m, y));
}

static hone_reg affine(hone_map *m, const hone_cell_curve *c, hone_reg x) {
    return hone_map_add(m, scaled(m, x, c->alpha), number(m, c->beta));
}
static hone_reg affine_slope(hone_map *m, const hone_cell_curve *c, hone_reg x, hone_reg y) {
    (void)x;
    (void)y;
    return number(m, c->alpha);
}

static hone_reg leaky(hone_map *m, const hone_cell_curve *c, hone_reg x) {
    return hone_map_select(m, hone_map_gt(m, number(m, 0), x), scaled(m, x, c->alpha), x);
}
static hone_reg leaky_slope(hone_map *m, const hone_cell_curve *c, hone_reg x, hone_reg y) {
    (void)y;
    return hone_map_select(m, hone_map_gt(m, number(m, 0), x), number(m, c->alpha), number(m, 1));
}

static hone_reg threshold(hone_map *m, const hone_cell_curve *c, hone_reg x) {
    return hone_map_select(m, hone_map_gt(m, x, number(m, c->alpha)), x, number(m, 0));
}
static hone_reg threshold_slope(hone_map *m, const hone_cell_curve *c, hone_reg x, hone_reg y) {
    (void)y;
    return hone_map_select(m, hone_map_gt(m, x, number(m, c->alpha)), number(m, 1), number(m, 0));
}

static hone_reg scaled_tangent(hone_map *m, const hone_cell_curve *c, hone_reg x) {
    return scaled(m, hone_map_tanh(m, scaled(m, x, c->beta)), c->alpha);
}
static hone_reg scaled_tangent_slope(hone_map *m, const hone_cell_curve *c, hone_reg x, hone_reg y) {
    (void)y;
    hone_reg t = hone_map_tanh(m, scaled(m, x, c->beta));
    return scaled(m, one_less(m, hone_map_mul(m, t, t)), c->alpha * c->beta);
}

static hone_reg hard(hone_map *m, const hone_cell_curve *c, hone_reg x) {
    return hone_curve_ramp(m, x, c->alpha, c->beta);
}
static hone_reg hard_slope(hone_map *m, const hone_cell_curve *c, hone_reg x, hone_reg y) {
    (void)x;
    return hone_curve_inside(m, y, number(m, c->alpha), number(m, 0));
}

static hone_reg elu(hone_map *m, const hone_cell_curve *c, hone_reg x) {
    return hone_curve_elu(m, x, c->alpha);
}
static hone_reg elu_slope(hone_map *m, const hone_cell_curve *c, hone_reg x, hone_reg y) {
    hone_reg below = hone_map_add(m, y, number(m, c->alpha));
    return hone_map_select(m, hone_map_gt(m, number(m, 0), x), below, number(m, 1));
}

static hone_reg softsign(hone_map *m, const hone_cell_curve *c, hone_reg x) {
    (void)c;
    return hone_curve_softsign(m, x);
}
static hone_reg softsign_slope(hone_map *m, const hone_cell_curve *c, hone_reg x, hone_reg y) {
    (void)c;
    (void)x;
    hone_reg root = one_less(m, hone_map_abs(m, y));
    return hone_map_mul(m, root, root);
}

static hone_reg softplus(hone_map *m, const hone_cell_curve *c, hone_reg x) {
    (void)c;
    return hone_curve_softplus(m, x);
}
static hone_reg softplus_slope(hone_map *m, const hone_cell_curve *c, hone_reg x, hone_reg y) {
    (void)c;
    (void)y;
    return hone_map_sigmoid(m, x);
}

static const struct curve_row {
    const char *name;
    curve_fn *curve;
    slope_fn *slope;
    bool takes_alpha, takes_beta;
    float alpha, beta; /* their defaults */
} curve_rows[] = {{"Relu", relu, relu_slope},
                  {"Tanh", tangent, tangent_slope},
                  {"Sigmoid", sigmoid, sigmoid_slope},
                  {"Affine", affine, affine_slope, true, true, 1, 0},
                  {"LeakyRelu", leaky, leaky_slope, true, false, 0.01f},
                  {"ThresholdedRelu", threshold, threshold_slope, true, false, 1},
                  {"ScaledTanh", scaled_tangent, scaled_tangent_slope, true, true, 1, 1},
                  {"HardSigmoid", hard, hard_slope, true, true, 0.2f, 0.5f},
                  {"Elu", elu, elu_slope, true, false, 1},
                  {"Softsign", softsign, softsign_slope},
                  {"Softplus", softplus, softplus_slope}};
enum { CURVES = sizeof curve_rows / sizeof *curve_rows };

static int find_curve(hone_string name) {
    for (int i = 0; i < CURVES; i++)
        if (strlen(curve_rows[i].name) == name.size &&
            strncasecmp(name.data, curve_rows[i].name, name.size) == 0)
            return i;
    return -1;
}

/* --- attributes --- */

static const struct cell_row {
    int gates, curves;
    const char *usual[HONE_CELL_CURVES];
} cells[] = {[HONE_CELL_RNN] = {1, 1, {"Tanh"}},
             [HONE_CELL_GRU] = {3, 2, {"Sigmoid", "Tanh"}},
             [HONE_CELL_LSTM] = {4, 3, {"Sigmoid", "Tanh", "Tanh"}}};

/* 0: no such direction. */
static int directions_of(const hone_node *n) {
    const char *direction = hone_node_string(n, "direction");
    if (strcmp(direction, "bidirectional") == 0) return 2;
    return strcmp(direction, "forward") == 0 || strcmp(direction, "reverse") == 0;
}

static hone_status fail(const hone_node *n, hone_error *err, const char *what) {
    return hone_fail_node(err, HONE_UNSUPPORTED, n->name, hone_node_op_name(n), "%s", what);
}

/* The next element of a list that activations draw from in their order, or the default. */
static double draw(const hone_attr *list, size_t *next, float usual) {
    return list && *next < list->count ? list->floats[(*next)++] : usual;
}

static hone_status read_curves(const hone_node *n, hone_cell *c, hone_error *err) {
    const hone_attr *names = hone_node_attr(n, "activations"), *alpha = hone_node_attr(n, "activation_alpha"),
                    *beta = hone_node_attr(n, "activation_beta");
    size_t next_alpha = 0, next_beta = 0;
    if (names && names->count == 0) names = NULL;
    if (names && names->count != (size_t)(c->directions * c->curves))
        return fail(n, err, "as many activations as its directions need must be named");
    for (int d = 0; d < c->directions; d++)
        for (int k = 0; k < c->curves; k++) {
            const char *usual = cells[c->kind].usual[k];
            int row = find_curve(names ? names->strings[d * c->curves + k]
                                       : (hone_string){(char *)usual, strlen(usual)});
            if (row < 0) return fail(n, err, "an activation that ONNX does not list");
            const struct curve_row *r = &curve_rows[row];
            c->curve[d][k] = (hone_cell_curve){.kind = row};
            if (r->takes_alpha) c->curve[d][k].alpha = draw(alpha, &next_alpha, r->alpha);
            if (r->takes_beta) c->curve[d][k].beta = draw(beta, &next_beta, r->beta);
        }
    return HONE_OK;
}

static bool is_set(const hone_node *n, const char *name) {
    return hone_attr_find(n->op->attrs, name) && hone_node_int(n, name) != 0;
}

hone_status hone_cell_read(const hone_node *n, hone_cell_kind kind, hone_cell *c, hone_error *err) {
    const hone_attr *clip = hone_node_attr(n, "clip");
    *c = (hone_cell){.kind = kind,
                     .gates = cells[kind].gates,
                     .curves = cells[kind].curves,
                     .directions = directions_of(n),
                     .reset_after = is_set(n, "linear_before_reset"),
                     .input_forget = is_set(n, "input_forget"),
                     .batch_first = is_set(n, "layout"),
                     .clip = clip ? clip->f : INFINITY};
    if (c->directions == 0) return fail(n, err, "a direction that ONNX does not list");
    c->reverse[0] = strcmp(hone_node_string(n, "direction"), "reverse") == 0;
    c->reverse[1] = true;
    return read_curves(n, c, err);
}

/* --- maps --- */

/* What stages are emitted with. */
typedef struct emit {
    const hone_cell *cell;
    const hone_cell_curve *curve; /* of the direction */
    hone_dtype dtype;
    hone_map *m;
    hone_cell_stage *stage;
} emit;

static hone_reg read(emit *e, int buffer) {
    e->stage->in[e->stage->inputs] = buffer;
    return hone_map_input(e->m, e->stage->inputs++, e->dtype);
}

static void write(emit *e, int buffer, hone_reg r) {
    e->stage->out[e->stage->outputs++] = buffer;
    hone_map_add_output(e->m, r);
}

/* What an activation gets of its input, and what it makes of it. */
typedef struct gate {
    hone_reg x, y;
} gate;

/* Of the curves f, g, h; C' goes to h as it is, as in ONNX Runtime. */
static bool clips(const emit *e, int curve) {
    return e->cell->clip < INFINITY && curve < 2;
}

static gate activate(emit *e, int curve, hone_reg x) {
    const hone_cell_curve *c = &e->curve[curve];
    hone_reg held = x;
    if (clips(e, curve))
        held = hone_map_max(e->m, hone_map_min(e->m, x, number(e->m, e->cell->clip)),
                            number(e->m, -e->cell->clip));
    return (gate){x, curve_rows[c->kind].curve(e->m, c, held)};
}

/* The cotangent of the input from that of the result: nothing flows where it was clipped. */
static hone_reg back(emit *e, int curve, gate g, hone_reg dy) {
    const hone_cell_curve *c = &e->curve[curve];
    hone_reg dx = hone_map_mul(e->m, dy, curve_rows[c->kind].slope(e->m, c, g.x, g.y));
    if (!clips(e, curve)) return dx;
    hone_reg inside = hone_map_ge(e->m, number(e->m, e->cell->clip), hone_map_abs(e->m, g.x));
    return hone_map_select(e->m, inside, dx, number(e->m, 0));
}

static hone_reg mul(emit *e, hone_reg a, hone_reg b) {
    return hone_map_mul(e->m, a, b);
}
static hone_reg add(emit *e, hone_reg a, hone_reg b) {
    return hone_map_add(e->m, a, b);
}

/* --- RNN --- */

static void rnn_forward(emit *e) {
    write(e, HONE_CELL_NEXT, activate(e, 0, read(e, HONE_CELL_GATE)).y);
}

static void rnn_backward(emit *e) {
    gate a = activate(e, 0, read(e, HONE_CELL_GATE));
    hone_reg dh = add(e, read(e, HONE_CELL_DH), read(e, HONE_CELL_DY));
    write(e, HONE_CELL_GATE, back(e, 0, a, dh));
}

/* --- GRU --- */

enum { Z = HONE_CELL_GATE, R, N };

/* (1 - z) n + z h */
static hone_reg blend(emit *e, hone_reg z, hone_reg n, hone_reg h) {
    return add(e, mul(e, one_less(e->m, z), n), mul(e, z, h));
}

static void gru_forward(emit *e, int stage) {
    if (e->cell->reset_after) {
        gate z = activate(e, 0, read(e, Z)), r = activate(e, 0, read(e, R));
        hone_reg q = read(e, N), x = read(e, HONE_CELL_INPUT_H), h = read(e, HONE_CELL_H);
        write(e, HONE_CELL_NEXT, blend(e, z.y, activate(e, 1, add(e, x, mul(e, r.y, q))).y, h));
    } else if (stage == 0) {
        gate r = activate(e, 0, read(e, R));
        write(e, HONE_CELL_RESET, mul(e, r.y, read(e, HONE_CELL_H)));
    } else {
        gate z = activate(e, 0, read(e, Z)), n = activate(e, 1, read(e, N));
        write(e, HONE_CELL_NEXT, blend(e, z.y, n.y, read(e, HONE_CELL_H)));
    }
}

/* dn = dh (1 - z), dz = dh (h - n); through n to its recurrent part, and to r. */
static void gru_backward(emit *e, int stage) {
    if (stage == 1) {
        gate r = activate(e, 0, read(e, R));
        hone_reg dh = read(e, HONE_CELL_DH), d = read(e, HONE_CELL_RESET), h = read(e, HONE_CELL_H);
        write(e, R, back(e, 0, r, mul(e, d, h)));
        write(e, HONE_CELL_DH, add(e, dh, mul(e, d, r.y)));
        write(e, HONE_CELL_RESET, mul(e, r.y, h));
        return;
    }
    bool after = e->cell->reset_after;
    gate z = activate(e, 0, read(e, Z)), r = {0}, n;
    hone_reg q = read(e, N), dh = read(e, HONE_CELL_DH), x = q;
    if (after) {
        r = activate(e, 0, read(e, R));
        x = add(e, read(e, HONE_CELL_INPUT_H), mul(e, r.y, q));
    }
    hone_reg h = read(e, HONE_CELL_H);
    dh = add(e, dh, read(e, HONE_CELL_DY));
    n = activate(e, 1, x);
    hone_reg dn = back(e, 1, n, mul(e, dh, one_less(e->m, z.y)));
    write(e, Z, back(e, 0, z, mul(e, dh, hone_map_sub(e->m, h, n.y))));
    write(e, N, after ? mul(e, dn, r.y) : dn);
    write(e, HONE_CELL_DH, mul(e, dh, z.y));
    if (!after) return;
    write(e, R, back(e, 0, r, mul(e, dn, q)));
    write(e, HONE_CELL_INPUT_H, dn);
}

/* --- LSTM --- */

enum { I = HONE_CELL_GATE, O, F, G };

typedef struct lstm {
    gate i, o, f, g, h; /* of C' the last */
    hone_reg c, next;   /* C and C' */
    hone_reg p[3];      /* i, o, f */
} lstm;

static hone_reg with_peephole(emit *e, hone_reg a, hone_reg p, hone_reg c) {
    return p < 0 ? a : add(e, a, mul(e, p, c));
}

static lstm lstm_cell(emit *e, hone_reg i, hone_reg c, hone_reg o, hone_reg f, hone_reg g, bool peepholes) {
    lstm l = {.c = c};
    for (int k = 0; k < 3; k++) l.p[k] = peepholes ? read(e, HONE_CELL_P + k) : -1;
    l.i = activate(e, 0, with_peephole(e, i, l.p[0], c));
    if (e->cell->input_forget)
        l.f.y = one_less(e->m, l.i.y);
    else
        l.f = activate(e, 0, with_peephole(e, f, l.p[2], c));
    l.g = activate(e, 1, g);
    l.next = add(e, mul(e, l.f.y, c), mul(e, l.i.y, l.g.y));
    l.o = activate(e, 0, with_peephole(e, o, l.p[1], l.next));
    l.h = activate(e, 2, l.next);
    return l;
}

static void lstm_forward(emit *e, bool peepholes) {
    hone_reg i = read(e, I), c = read(e, HONE_CELL_C), o = read(e, O), f = read(e, F), g = read(e, G);
    lstm l = lstm_cell(e, i, c, o, f, g, peepholes);
    write(e, HONE_CELL_NEXT, mul(e, l.o.y, l.h.y));
    write(e, HONE_CELL_C, l.next);
}

static void lstm_backward(emit *e, bool peepholes) {
    hone_reg i = read(e, I), o = read(e, O), f = read(e, F), g = read(e, G), dc = read(e, HONE_CELL_DC),
             dh = read(e, HONE_CELL_DH), c = read(e, HONE_CELL_C);
    dh = add(e, dh, read(e, HONE_CELL_DY));
    lstm l = lstm_cell(e, i, c, o, f, g, peepholes);
    hone_reg d_o = back(e, 0, l.o, mul(e, dh, l.h.y));
    dc = add(e, dc, back(e, 2, l.h, mul(e, dh, l.o.y)));
    dc = with_peephole(e, dc, l.p[1], d_o);
    hone_reg di = mul(e, dc, l.g.y), df = mul(e, dc, c), dg = back(e, 1, l.g, mul(e, dc, l.i.y));
    if (e->cell->input_forget) {
        di = hone_map_sub(e->m, di, df);
        df = hone_map_number(e->m, 0, e->dtype);
    } else {
        df = back(e, 0, l.f, df);
    }
    di = back(e, 0, l.i, di);
    dc = with_peephole(e, mul(e, dc, l.f.y), l.p[0], di);
    write(e, I, di);
    write(e, O, d_o);
    write(e, F, df);
    write(e, G, dg);
    write(e, HONE_CELL_DC, e->cell->input_forget ? dc : with_peephole(e, dc, l.p[2], df));
    if (!peepholes) return;
    write(e, HONE_CELL_DP, mul(e, di, c));
    write(e, HONE_CELL_DP + 1, mul(e, d_o, l.next));
    write(e, HONE_CELL_DP + 2, mul(e, df, c));
}

/* --- stages --- */

int hone_cell_stages(const hone_cell *c) {
    return c->kind == HONE_CELL_GRU && !c->reset_after ? 2 : 1;
}

void hone_cell_forward(const hone_cell *c, int direction, int stage, bool peepholes, hone_dtype dtype,
                       hone_map *m, hone_cell_stage *out) {
    *out = (hone_cell_stage){0};
    emit e = {c, c->curve[direction], dtype, m, out};
    switch (c->kind) {
    case HONE_CELL_RNN: rnn_forward(&e); break;
    case HONE_CELL_GRU: gru_forward(&e, stage); break;
    case HONE_CELL_LSTM: lstm_forward(&e, peepholes); break;
    }
}

void hone_cell_backward(const hone_cell *c, int direction, int stage, bool peepholes, hone_dtype dtype,
                        hone_map *m, hone_cell_stage *out) {
    *out = (hone_cell_stage){0};
    emit e = {c, c->curve[direction], dtype, m, out};
    switch (c->kind) {
    case HONE_CELL_RNN: rnn_backward(&e); break;
    case HONE_CELL_GRU: gru_backward(&e, stage); break;
    case HONE_CELL_LSTM: lstm_backward(&e, peepholes); break;
    }
}
