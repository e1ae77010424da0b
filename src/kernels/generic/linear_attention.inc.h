/* Linear attention over the scalar type REAL. */

/* S, as far apart as the state's rows; from NULL: 0. */
static void NAME(copy)(const hone_linear_attention *a, const REAL *from, REAL *to) {
    if (from == to) return;
    for (int64_t d = 0; d < a->depth; d++)
        if (from)
            memcpy(to + d * a->state_row, from + d * a->state_row, (size_t)a->columns * sizeof(REAL));
        else
            memset(to + d * a->state_row, 0, (size_t)a->columns * sizeof(REAL));
}

static const REAL *NAME(row)(const void *x, int64_t step, int64_t t) {
    return x ? (const REAL *)x + t * step : NULL;
}

static void NAME(factors)(const hone_linear_attention *a, int64_t t, REAL *e) {
    const REAL *decay = NAME(row)(a->decay, a->decay_step, t);
    REAL all = decay && !a->each ? EXP(*decay) : 1;
    for (int64_t d = 0; d < a->depth; d++) e[d] = decay && a->each ? EXP(decay[d]) : all;
}

/* u, and what beta multiplies to make it, of the state before step t. */
static void NAME(correct)(const hone_linear_attention *a, int64_t t, const REAL *s, const REAL *e, REAL *rest,
                          REAL *u) {
    const REAL *k = NAME(row)(a->k, a->k_step, t), *v = NAME(row)(a->v, a->v_step, t),
               *beta = NAME(row)(a->beta, a->beta_step, t);
    for (int64_t j = 0; j < a->columns; j++) rest[j] = v[j];
    for (int64_t d = 0; d < a->depth && beta; d++)
        for (int64_t j = 0; j < a->columns; j++) rest[j] -= k[d] * e[d] * s[d * a->state_row + j];
    for (int64_t j = 0; j < a->columns; j++) u[j] = beta ? *beta * rest[j] : rest[j];
}

/* S of step t from that before it, in its place. */
static void NAME(advance)(const hone_linear_attention *a, int64_t t, REAL *s, REAL *e, REAL *u) {
    const REAL *k = NAME(row)(a->k, a->k_step, t);
    NAME(factors)(a, t, e);
    NAME(correct)(a, t, s, e, u, u);
    for (int64_t d = 0; d < a->depth; d++)
        for (int64_t j = 0; j < a->columns; j++)
            s[d * a->state_row + j] = e[d] * s[d * a->state_row + j] + k[d] * u[j];
}

/* --- the gradient --- */

typedef struct NAME(rows) {
    REAL *e, *rest, *u, *du;
} NAME(rows);

/* dq, and what y says of dS: dS += scale q dy^T */
static void NAME(grad_read)(const hone_linear_attention_grad *g, int64_t t, const REAL *after, REAL *ds) {
    const hone_linear_attention *a = &g->forward;
    const REAL scale = (REAL)a->scale;
    for (int64_t h = 0; h < a->group; h++) {
        const REAL *q = NAME(row)(a->q, a->q_step, t) + h * a->depth,
                   *dy = (const REAL *)g->dy + t * a->y_step + h * a->y_head;
        for (int64_t d = 0; d < a->depth; d++) {
            const REAL *s = after + d * a->columns;
            REAL sum = 0;
            for (int64_t j = 0; j < a->columns; j++) {
                sum += s[j] * dy[j];
                ds[d * a->columns + j] += scale * q[d] * dy[j];
            }
            if (g->dq) ((REAL *)g->dq)[t * a->q_step + h * a->depth + d] = scale * sum;
        }
    }
}

/* dv and dbeta; du becomes what S^T k gets, times -1. */
static void NAME(grad_value)(const hone_linear_attention_grad *g, int64_t t, const REAL *ds,
                             const NAME(rows) * r) {
    const hone_linear_attention *a = &g->forward;
    const REAL *k = NAME(row)(a->k, a->k_step, t), *beta = NAME(row)(a->beta, a->beta_step, t);
    REAL sum = 0;
    for (int64_t j = 0; j < a->columns; j++) r->du[j] = 0;
    for (int64_t d = 0; d < a->depth; d++)
        for (int64_t j = 0; j < a->columns; j++) r->du[j] += k[d] * ds[d * a->columns + j];
    for (int64_t j = 0; j < a->columns && beta; j++) {
        sum += r->du[j] * r->rest[j];
        r->du[j] *= *beta;
    }
    if (beta && g->dbeta) ((REAL *)g->dbeta)[t * a->beta_step] += sum;
    if (g->dv) memcpy((REAL *)g->dv + t * a->v_step, r->du, (size_t)a->columns * sizeof(REAL));
}

/* dk, ddecay, and dS of the step before. */
static void NAME(grad_state)(const hone_linear_attention_grad *g, int64_t t, const REAL *before, REAL *ds,
                             const NAME(rows) * r) {
    const hone_linear_attention *a = &g->forward;
    const REAL *k = NAME(row)(a->k, a->k_step, t);
    REAL *dk = g->dk ? (REAL *)g->dk + t * a->k_step : NULL, all = 0;
    REAL *ddecay = g->ddecay ? (REAL *)g->ddecay + t * a->decay_step : NULL;
    for (int64_t d = 0; d < a->depth; d++) {
        const REAL *s = before + d * a->columns;
        REAL *at = ds + d * a->columns, sum = 0, of_decay = 0;
        for (int64_t j = 0; j < a->columns; j++) {
            sum += at[j] * r->u[j];
            if (a->beta) sum -= r->e[d] * s[j] * r->du[j];
            if (a->beta) at[j] -= k[d] * r->du[j];
            of_decay += at[j] * s[j];
            at[j] *= r->e[d];
        }
        if (dk) dk[d] = sum;
        if (ddecay && a->each) ddecay[d] = r->e[d] * of_decay;
        all += r->e[d] * of_decay;
    }
    if (ddecay && !a->each) *ddecay = all;
}

/* Steps [begin, end) back, `states` being those before each of them and behind the last. */
static void NAME(grad_steps)(const hone_linear_attention_grad *g, int64_t begin, int64_t end,
                             const REAL *states, REAL *ds, const NAME(rows) * r) {
    const hone_linear_attention *a = &g->forward;
    const int64_t size = a->depth * a->columns;
    for (int64_t t = end - 1; t >= begin; t--) {
        const REAL *before = states + (t - begin) * size;
        if (g->dy) NAME(grad_read)(g, t, before + size, ds);
        NAME(factors)(a, t, r->e);
        NAME(correct)(a, t, before, r->e, r->rest, r->u);
        NAME(grad_value)(g, t, ds, r);
        NAME(grad_state)(g, t, before, ds, r);
    }
}

void NAME(hone_linear_attention_grad)(const hone_linear_attention_grad *g) {
    const hone_linear_attention *a = &g->forward;
    const int64_t size = a->depth * a->columns, n = distance(a->steps), parts = (a->steps + n - 1) / n;
    REAL *starts = g->room, *states = starts + parts * size, *ds = states + (n + 1) * size;
    const NAME(rows) r = {ds + size, ds + size + a->depth, ds + size + a->depth + a->columns,
                          ds + size + a->depth + 2 * a->columns};
    NAME(copy)(a, a->from, states);
    for (int64_t t = 0; t < a->steps; t++) {
        if (t % n == 0) NAME(copy)(a, states, starts + t / n * size);
        NAME(advance)(a, t, states, r.e, r.u);
    }
    NAME(copy)(a, g->dto, ds);
    for (int64_t part = parts - 1; part >= 0; part--) {
        const int64_t begin = part * n, end = begin + n < a->steps ? begin + n : a->steps;
        NAME(copy)(a, starts + part * size, states);
        for (int64_t t = begin; t < end; t++) {
            REAL *next = states + (t - begin + 1) * size;
            NAME(copy)(a, next - size, next);
            NAME(advance)(a, t, next, r.e, r.u);
        }
        NAME(grad_steps)(g, begin, end, states, ds, &r);
    }
    if (g->dfrom) NAME(copy)(a, ds, g->dfrom);
}
