#include "ops/attention/core.h"

#include "base/cpu.h"
#include "graph/infer.h"
#include "kernels/kernels.h"
#include "kernels/portable.h"
#include "ops/common/cut.h"
#include "ops/common/emit.h"
#include "ops/common/walk.h"

#include <math.h>
#include <string.h>

#define FLOATS HONE_TYPES_FLOAT

hone_node *hone_core_emit(hone_graph *g, const hone_core *c) {
    hone_node *n = hone_graph_add_node(g, hone_op_find(HONE_PRIVATE_DOMAIN, "ScaledDotProduct"), NULL,
                                       HONE_CORE_INPUTS, c->in, c->qk_mode < 0 ? 1 : 2);
    if (!n) return NULL;
    hone_node_set_int(g, n, "q_heads", c->q_heads);
    hone_node_set_int(g, n, "kv_heads", c->kv_heads);
    hone_node_set_float(g, n, "scale", c->scale);
    hone_node_set_float(g, n, "softcap", c->softcap);
    hone_node_set_int(g, n, "causal", c->causal);
    hone_node_set_int(g, n, "ahead", c->ahead);
    hone_node_set_int(g, n, "window", c->window);
    hone_node_set_int(g, n, "qk_mode", c->qk_mode < 0 ? 0 : c->qk_mode);
    return n;
}

/* --- shapes --- */

bool hone_core_heads(const hone_type *t, int64_t heads, int64_t *dims) {
    if (t->rank != (heads ? 3 : 4)) return false;
    dims[0] = t->dims[0];
    dims[1] = heads ? heads : t->dims[1];
    dims[2] = t->dims[heads ? 1 : 2];
    dims[3] = !heads ? t->dims[3] : t->dims[2] >= 0 ? t->dims[2] / heads : HONE_DIM_ANY;
    return true;
}

/* Dimensions of which one may be 1 where the other is not: what both make together. */
static hone_status infer_either(const hone_infer *ctx, int64_t a, int64_t b, int64_t *out, hone_error *err) {
    if (a == 1 || b == 1) {
        *out = a == 1 ? b : a;
        return HONE_OK;
    }
    HONE_TRY(hone_infer_same_dim(ctx, a, b, out, err));
    if (*out < 0 && a != b) *out = HONE_DIM_ANY;
    return HONE_OK;
}

/* What plain products and an Add broadcast: batch and rows of q become those of the result. */
static hone_status infer_plain(const hone_infer *ctx, int64_t *q, const int64_t *k, const int64_t *v,
                               const hone_type *bias, hone_error *err) {
    int64_t more[4] = {1, 1, 1, 1}, keys;
    for (int i = 0; bias && i < bias->rank; i++) more[4 - bias->rank + i] = bias->dims[i];
    HONE_TRY(infer_either(ctx, q[0], k[0], &q[0], err));
    HONE_TRY(infer_either(ctx, q[0], more[0], &q[0], err));
    HONE_TRY(infer_either(ctx, q[0], v[0], &q[0], err));
    HONE_TRY(infer_either(ctx, q[2], more[2], &q[2], err));
    HONE_TRY(infer_either(ctx, k[2], more[3], &keys, err));
    return hone_infer_same_dim(ctx, keys, v[2], &keys, err);
}

static hone_status infer(hone_infer *ctx, hone_error *err) {
    const hone_node *n = ctx->node;
    const int64_t q_heads = hone_node_int(n, "q_heads"), kv_heads = hone_node_int(n, "kv_heads");
    const bool plain = hone_node_int(n, "plain") != 0;
    const hone_type *in[3] = {ctx->in[0], ctx->in[1], ctx->in[2]};
    int64_t q[4], k[4], v[4], d;
    if (in[0]->rank < 0 || in[1]->rank < 0 || in[2]->rank < 0) return HONE_OK;
    if (!hone_core_heads(in[0], q_heads, q) || !hone_core_heads(in[1], kv_heads, k) ||
        !hone_core_heads(in[2], kv_heads, v))
        return hone_infer_fail(ctx, err, "Q, K and V must have rank 4, or 3 where the heads are counted");
    for (int i = 0; i < 3; i++) {
        int64_t heads = i ? kv_heads : q_heads;
        if (heads && in[i]->dims[2] >= 0 && in[i]->dims[2] % heads)
            return hone_infer_fail(ctx, err, "%lld elements make no %lld heads", (long long)in[i]->dims[2],
                                   (long long)heads);
    }
    const hone_type *bias = HONE_CORE_BIAS < ctx->input_count ? ctx->in[HONE_CORE_BIAS] : NULL;
    if (bias && bias->rank < 0) bias = NULL;
    if (bias && (bias->rank > 4 || bias->rank < 1))
        return hone_infer_fail(ctx, err, "the bias has rank %d", bias->rank);
    int64_t keys = v[2];
    HONE_TRY(hone_infer_same_dim(ctx, k[1], v[1], &k[1], err));
    HONE_TRY(hone_infer_same_dim(ctx, q[3], k[3], &d, err));
    if (q[1] >= 0 && k[1] >= 0 && (k[1] == 0 || q[1] % k[1]))
        return hone_infer_fail(ctx, err, "%lld heads of Q can't share %lld of K", (long long)q[1],
                               (long long)k[1]);
    if (plain) {
        HONE_TRY(infer_plain(ctx, q, k, v, bias, err));
    } else {
        HONE_TRY(hone_infer_same_dim(ctx, q[0], k[0], &q[0], err));
        HONE_TRY(hone_infer_same_dim(ctx, q[0], v[0], &q[0], err));
        HONE_TRY(hone_infer_same_dim(ctx, k[2], v[2], &keys, err));
    }
    for (int i = 0; bias && i < bias->rank; i++) {
        int64_t own = bias->dims[bias->rank - 1 - i], all = i ? q[3 - i] : keys;
        if (own < 0 || all < 0 || own == all || (i > 0 || plain ? own == 1 : own < all)) continue;
        return hone_infer_fail(ctx, err, "a bias of %lld where there are %lld", (long long)own,
                               (long long)all);
    }
    const int64_t y4[] = {q[0], q[1], q[2], v[3]},
                  y3[] = {q[0], q[2], q[1] >= 0 && v[3] >= 0 ? q[1] * v[3] : HONE_DIM_ANY},
                  qk[] = {q[0], q[1], q[2], keys};
    const hone_type types[] = {hone_type_make(in[0]->dtype, q_heads ? 3 : 4, q_heads ? y3 : y4),
                               hone_type_make(in[0]->dtype, 4, qk)};
    for (int o = 0; o < ctx->output_count; o++) ctx->out[o] = types[o];
    return HONE_OK;
}

static int64_t multiply_adds(const hone_node *n, const hone_type *const *in, const hone_type *out) {
    int64_t y[4], k[4], v[4];
    hone_core_heads(out, hone_node_int(n, "q_heads"), y);
    hone_core_heads(in[1], hone_node_int(n, "kv_heads"), k);
    hone_core_heads(in[2], hone_node_int(n, "kv_heads"), v);
    return y[0] * y[1] * y[2] * v[2] * (k[3] + v[3]);
}

/* --- running --- */

/* Elements from one batch, head or row to the next. */
typedef struct place {
    int64_t batch, head, row;
} place;

typedef struct params {
    bool is_double;
    size_t size; /* of an element */
    const hone_gemm_family *family;
    const hone_kernels *kernels;
    int64_t batch, heads, kv_heads, rows, keys, seen, d, dv; /* seen: of the bias, or all */
    place q, k, v, y, bias;
    bool one_key; /* the bias has one number for all keys of a row */
    double scale, softcap;
    bool causal;
    int64_t ahead, window;
    bool plain;
    int qk_mode;
    bool by_group; /* one row: the heads that share one of K are the rows of a unit */
    int64_t groups, units, unit_rows, row_block, blocks;
    bool packs, packs_v;
    size_t packed, packed_v; /* bytes of one head of K, and of V */
    size_t at_room;          /* the kernel's, in worker scratch */
    size_t at_q;             /* rows of Q times the scale, likewise; 0: none */
    int64_t score_row;       /* elements of a row of scores in scratch */
    hone_cut packing, tasks;
} params;

typedef struct job {
    const params *p;
    const hone_step *step;
    const hone_frame *frame;
    const char *q, *k, *v, *bias;
    char *y, *qk, *packed, *packed_v;
    const int64_t *position, *first, *end; /* NULL: left out */
    int64_t many[3];                       /* 1: one for each batch; 0: one for all */
    const void *sink;
} job;

/* Some rows of one batch and one or several heads. */
typedef struct part {
    int64_t batch, head, row, count;
    int64_t lo, hi; /* keys that any of them sees */
    char *scores;
    void *room;
    float *q;
} part;

static char *at(const params *p, const void *base, int64_t element) {
    return (char *)base + element * (int64_t)p->size;
}

static int64_t place_of(const place *l, int64_t batch, int64_t head, int64_t row) {
    return batch * l->batch + head * l->head + row * l->row;
}

/* The head and the row of Q that row i of a part is. */
static int64_t head_of(const params *p, const part *w, int64_t i) {
    return p->by_group ? w->head + w->row + i : w->head;
}
static int64_t row_of(const params *p, const part *w, int64_t i) {
    return p->by_group ? 0 : w->row + i;
}
/* From one row of a part to the next. */
static int64_t step_of(const params *p, const place *l) {
    return p->by_group ? l->head : l->row;
}

/* The keys [*lo, *hi) that a row sees. */
static void sight(const job *j, int64_t batch, int64_t row, int64_t *lo, int64_t *hi) {
    const params *p = j->p;
    int64_t position = row + (j->position ? hone_core_near(j->position[batch * j->many[0]]) : 0);
    *lo = j->first ? j->first[batch * j->many[1]] : 0;
    *hi = j->end ? hone_min_i64(j->end[batch * j->many[2]], p->seen) : p->seen;
    if (p->causal) *hi = hone_min_i64(*hi, position + 1 + p->ahead);
    if (p->window > 0 && position + 1 - p->window > *lo) *lo = position + 1 - p->window;
    if (*lo < 0) *lo = 0;
    if (*hi < *lo) *hi = *lo;
    if (*lo > p->keys) *lo = *hi = p->keys;
}

/* --- Q K^T --- */

static void pack_heads(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const params *p = j->p;
    for (int64_t i = begin; i < end; i++) {
        const hone_gemm_b b = {.k = p->d,
                               .n = p->keys,
                               .b = at(p, j->k, place_of(&p->k, i / p->kv_heads, i % p->kv_heads, 0)),
                               .b_row = 1,
                               .b_col = p->k.row,
                               .packed = j->packed + (size_t)i * p->packed};
        p->family->pack(&b, 0, p->d, 0, p->keys);
        if (!p->packs_v) continue;
        const hone_gemm_b v = {.k = p->keys,
                               .n = p->dv,
                               .b = at(p, j->v, place_of(&p->v, i / p->kv_heads, i % p->kv_heads, 0)),
                               .b_row = p->v.row,
                               .b_col = 1,
                               .packed = j->packed_v + (size_t)i * p->packed_v};
        p->family->pack(&v, 0, p->keys, 0, p->dv);
    }
}

/* Scaled here, scores need nothing more behind their sums, and are the same bits. */
static void scale_q(const params *p, const part *w, const char *q) {
    const float *from = (const float *)(const void *)q, scale = (float)p->scale;
    for (int64_t i = 0; i < w->count; i++, from += step_of(p, &p->q))
        for (int64_t l = 0; l < p->d; l++) w->q[i * p->d + l] = from[l] * scale;
}

#define KEYS_AT_ONCE 64 /* which stay in the cache for all rows */

static void score(const job *j, const part *w, int64_t lo, int64_t hi) {
    const params *p = j->p;
    const int64_t kv = w->head / (p->heads / p->kv_heads), panel = p->family->panel;
    const char *q = at(p, j->q, place_of(&p->q, w->batch, head_of(p, w, 0), row_of(p, w, 0)));
    const char *k = at(p, j->k, place_of(&p->k, w->batch, kv, 0));
    if (!p->packs && !p->is_double) {
        for (int64_t from = lo, n; from < hi; from += n) {
            n = hone_min_i64(KEYS_AT_ONCE, hi - from);
            for (int64_t i = 0; i < w->count; i++)
                p->kernels->dot_rows_f32((const float *)(const void *)q + i * step_of(p, &p->q),
                                         (const float *)(const void *)k + from * p->k.row, n, p->k.row, p->d,
                                         (float)p->scale,
                                         (float *)(void *)w->scores + i * p->score_row + from);
        }
        return;
    }
    if (w->q) scale_q(p, w, q);
    const hone_gemm g = {.m = w->count,
                         .n = p->keys,
                         .k = p->d,
                         .a = w->q ? (const char *)w->q : q,
                         .a_row = w->q ? p->d : step_of(p, &p->q),
                         .a_col = 1,
                         .b = p->packs ? j->packed + (size_t)(w->batch * p->kv_heads + kv) * p->packed : k,
                         .b_row = p->packs ? 0 : 1,
                         .b_col = p->packs ? 1 : p->k.row,
                         .c = w->scores,
                         .c_row = p->score_row,
                         .room = w->room,
                         .epilogue = {.store = p->is_double ? HONE_STORE_F64 : HONE_STORE_F32,
                                      .alpha = w->q ? 1 : p->scale,
                                      .lo = -INFINITY,
                                      .hi = INFINITY}};
    p->family->run(&g, 0, w->count, lo / panel * panel, hone_min_i64(hone_tasks(hi, panel) * panel, p->keys));
}

/* --- softmax --- */

static void keep_qk(const job *j, const part *w, int64_t i, int mode, const char *scores) {
    const params *p = j->p;
    if (!j->qk || p->qk_mode != mode) return;
    int64_t row = (w->batch * p->heads + head_of(p, w, i)) * p->rows + row_of(p, w, i);
    memcpy(at(p, j->qk, row * p->keys), scores, (size_t)p->keys * p->size);
}

static void softcap(const params *p, char *x, int64_t n) {
    if (p->is_double)
        hone_softcap_f64((double *)(void *)x, n, p->softcap);
    else
        p->kernels->softcap_f32((float *)(void *)x, n, (float)p->softcap);
}

static void add_bias(const job *j, const part *w, int64_t i, char *x, int64_t from, int64_t n) {
    const params *p = j->p;
    const int64_t row = place_of(&p->bias, w->batch, head_of(p, w, i), row_of(p, w, i));
    const char *bias = at(p, j->bias, p->one_key ? row : row + from);
    if (p->one_key)
        for (int64_t k = 0; k < n; k++) ((float *)(void *)x)[k] += *(const float *)(const void *)bias;
    else if (p->is_double)
        hone_add_f64((double *)(void *)x, (const double *)(const void *)bias, n);
    else
        p->kernels->add_f32((float *)(void *)x, (const float *)(const void *)bias, n);
}

static void fill(const params *p, char *scores, int64_t from, int64_t to, double value) {
    const float narrow = (float)value;
    if (to <= from) return;
    hone_fill(p->is_double ? (const void *)&value : &narrow, p->size, at(p, scores, from), to - from);
}

/* P in the place of S, where no number of it is greater than -infinity: 0. */
static void normalize(const params *p, char *x, int64_t n) {
    if (p->is_double)
        p->kernels->softmax_f64((const double *)(void *)x, (double *)(void *)x, n);
    else
        p->kernels->softmax_f32((const float *)(void *)x, (float *)(void *)x, n);
}

static bool sees_nothing(const params *p, const char *x, int64_t n) {
    bool nothing = true;
    for (int64_t i = 0; i < n && nothing; i++)
        nothing = (p->is_double ? ((const double *)(const void *)x)[i]
                                : (double)((const float *)(const void *)x)[i]) == -INFINITY;
    return nothing;
}

static void weigh(const job *j, const part *w, int64_t i) {
    const params *p = j->p;
    char *scores = at(p, w->scores, i * p->score_row);
    int64_t lo, hi, full_lo = j->qk ? 0 : w->lo, full_hi = j->qk ? p->keys : w->hi;
    sight(j, w->batch, row_of(p, w, i), &lo, &hi);
    keep_qk(j, w, i, 0, scores);
    bool whole = j->qk && p->qk_mode == 1; /* also what is not seen */
    if (p->softcap > 0) softcap(p, at(p, scores, whole ? 0 : lo), whole ? p->keys : hi - lo);
    keep_qk(j, w, i, 1, scores);
    if (j->bias) add_bias(j, w, i, at(p, scores, lo), lo, hi - lo);
    if (j->qk && p->qk_mode == 2) {
        fill(p, scores, 0, lo, -INFINITY);
        fill(p, scores, hi, p->keys, -INFINITY);
        keep_qk(j, w, i, 2, scores);
    }
    char *seen = at(p, scores, lo);
    if (!p->plain && sees_nothing(p, seen, hi - lo)) {
        fill(p, scores, lo, hi, 0);
    } else {
        if (j->sink) memcpy(at(p, scores, hi), at(p, j->sink, head_of(p, w, i)), p->size);
        normalize(p, seen, hi - lo + (j->sink ? 1 : 0));
    }
    fill(p, scores, full_lo, lo, 0);
    fill(p, scores, hi, full_hi, 0);
    keep_qk(j, w, i, 3, scores);
}

/* --- P V --- */

static void gather(const job *j, const part *w) {
    const params *p = j->p;
    const int64_t kv = w->head / (p->heads / p->kv_heads);
    const hone_gemm g = {.m = w->count,
                         .n = p->dv,
                         .k = w->hi - w->lo,
                         .a = at(p, w->scores, w->lo),
                         .a_row = p->score_row,
                         .a_col = 1,
                         .b = p->packs_v ? j->packed_v + (size_t)(w->batch * p->kv_heads + kv) * p->packed_v
                                         : at(p, j->v, place_of(&p->v, w->batch, kv, w->lo)),
                         .b_row = p->packs_v ? 0 : p->v.row,
                         .b_col = p->packs_v ? p->keys : 1,
                         .c = at(p, j->y, place_of(&p->y, w->batch, head_of(p, w, 0), row_of(p, w, 0))),
                         .c_row = step_of(p, &p->y),
                         .room = w->room,
                         .epilogue = {.store = p->is_double ? HONE_STORE_F64 : HONE_STORE_F32,
                                      .alpha = 1,
                                      .lo = -INFINITY,
                                      .hi = INFINITY}};
    p->family->run(&g, 0, w->count, 0, p->dv);
}

static void run_parts(void *arg, int64_t begin, int64_t end, int worker) {
    const job *j = arg;
    const params *p = j->p;
    for (int64_t item = begin; item < end; item++) {
        int64_t unit = item / p->blocks, each = p->by_group ? p->kv_heads : p->heads;
        part w = {.batch = unit / each,
                  .head = unit % each * (p->by_group ? p->heads / p->kv_heads : 1),
                  .row = item % p->blocks * p->row_block,
                  .lo = p->keys,
                  .scores = hone_step_worker_scratch(j->step, j->frame, worker)};
        w.count = hone_min_i64(p->row_block, p->unit_rows - w.row);
        w.room = w.scores + p->at_room;
        if (p->at_q) w.q = (float *)(void *)(w.scores + p->at_q);
        for (int64_t i = 0; i < w.count; i++) {
            int64_t lo, hi;
            sight(j, w.batch, row_of(p, &w, i), &lo, &hi);
            if (lo < hi && lo < w.lo) w.lo = lo;
            if (lo < hi && hi > w.hi) w.hi = hi;
        }
        if (w.hi < w.lo) w.lo = w.hi = 0;
        score(j, &w, j->qk ? 0 : w.lo, j->qk ? p->keys : w.hi);
        for (int64_t i = 0; i < w.count; i++) weigh(j, &w, i);
        gather(j, &w);
    }
}

static const int64_t *numbers(const job *j, int i) {
    return hone_step_in(j->step, j->frame, i);
}

static hone_status run(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    const params *p = step->params;
    job j = {.p = p,
             .step = step,
             .frame = frame,
             .q = hone_step_in(step, frame, HONE_CORE_Q),
             .k = hone_step_in(step, frame, HONE_CORE_K),
             .v = hone_step_in(step, frame, HONE_CORE_V),
             .bias = hone_step_in(step, frame, HONE_CORE_BIAS),
             .sink = hone_step_in(step, frame, HONE_CORE_SINK),
             .y = hone_step_out(step, frame, 0),
             .qk = hone_step_out(step, frame, 1)};
    j.position = numbers(&j, HONE_CORE_POSITION);
    j.first = numbers(&j, HONE_CORE_FIRST);
    j.end = numbers(&j, HONE_CORE_END);
    for (int i = 0; i < 3; i++) j.many[i] = (p->groups >> i) & 1;
    if (p->packs) {
        j.packed = hone_step_scratch(step, frame);
        j.packed_v = j.packed + p->packed * (size_t)(p->batch * p->kv_heads);
        hone_cut_run(&p->packing, frame, pack_heads, &j);
    }
    hone_cut_run(&p->tasks, frame, run_parts, &j);
    return HONE_OK;
}

/* --- preparing --- */

/* Rows up to which scores are sums along rows of K as they lie; more pay for packing it. */
#define FEW_ROWS 4
#define SCORES 32768  /* of a part: they stay in the cache */
#define CACHE_SHARE 6 /* of the second-level cache's bytes, for more of them, beside a head's K or V */
#define MOST_TILES 8
#define EVEN_TILES                                                                                           \
    3 /* of rows: those of P V are then cut evenly also where part of a panel joins another one */
#define WIDE_SCORES (6 * SCORES) /* in the second-level one, of a kernel that lays out V anew for each part */

/* One batch, or one row, may stand for all. */
static place place_in(const int64_t *dims, const int64_t *all, bool counted) {
    const int64_t heads = dims[1], rows = dims[2], width = dims[3];
    place l = counted ? (place){rows * heads * width, width, heads * width}
                      : (place){heads * rows * width, rows * width, width};
    if (dims[0] != all[0]) l.batch = 0;
    if (rows != all[2]) l.row = 0;
    return l;
}

static void place_bias(params *q, const hone_type *t) {
    int64_t strides[4] = {0}, stride = 1;
    q->one_key = q->plain && t->dims[t->rank - 1] == 1;
    if (!q->plain) q->seen = t->dims[t->rank - 1];
    for (int i = t->rank - 1; i >= 0; i--) {
        strides[4 - t->rank + i] = t->dims[i] == 1 ? 0 : stride;
        stride *= t->dims[i];
    }
    q->bias = (place){strides[0], strides[1], strides[2]};
}

static bool is_power_of_two(double x) {
    int exponent;
    return frexp(x, &exponent) == 0.5;
}

static void cut(params *q, hone_prepare *p, bool starts_at_0) {
    const hone_gemm_family *f = q->family;
    const int64_t group = q->kv_heads ? q->heads / q->kv_heads : 1;
    q->by_group = q->rows == 1 && group > 1;
    q->unit_rows = q->by_group ? group : q->rows;
    q->units = q->batch * (q->by_group ? q->kv_heads : q->heads);
    q->packs = !q->is_double && q->rows > FEW_ROWS;
    q->packed = q->packs ? (f->packed_size(q->d, q->keys) + 63) & ~(size_t)63 : 0;
    const int64_t cached = (int64_t)(hone_cpu_cache() / CACHE_SHARE / sizeof(float)),
                  at_once = f->room ? WIDE_SCORES : hone_max_i64(SCORES, cached);
    int64_t tiles = at_once / (q->keys + 1) / f->rows;
    if (tiles > EVEN_TILES && tiles < MOST_TILES) tiles -= tiles % EVEN_TILES;
    if (tiles > MOST_TILES) tiles = MOST_TILES;
    q->row_block = f->rows * (tiles < 1 ? 1 : tiles);
    q->blocks = q->unit_rows > 0 ? hone_tasks(q->unit_rows, q->row_block) : 1;
    q->score_row = (q->keys + 1 + 15) & ~(int64_t)15; /* one more: a sink */
    double key = (double)(q->d + q->dv) * f->nanoseconds + 2;
    q->packing = hone_cut_make(q->packs ? q->batch * q->kv_heads : 0, 0.5 * (double)(q->keys * q->d), 1);
    q->tasks = hone_cut_make(q->unit_rows > 0 ? q->units * q->blocks : 0,
                             key * (double)(q->keys * hone_min_i64(q->row_block, q->unit_rows)), 1);
    /* V pays if parts share it, but is packed for sums from the first key on */
    q->packs_v = q->packs && !f->room && q->unit_rows > q->row_block && q->window <= 0 && starts_at_0;
    q->packed_v = q->packs_v ? (f->packed_size(q->keys, q->dv) + 63) & ~(size_t)63 : 0;
    p->scratch = q->packs ? (q->packed + q->packed_v) * (size_t)(q->batch * q->kv_heads) : 0;
    const int64_t most = hone_min_i64(q->row_block, q->unit_rows);
    q->at_room = ((size_t)(most * q->score_row) * q->size + 127) & ~(size_t)63;
    p->worker_scratch = q->at_room;
    if (q->packs && !f->room && is_power_of_two(q->scale)) {
        q->at_q = q->at_room;
        p->worker_scratch += (size_t)(most * q->d) * sizeof(float);
    }
    if (f->room) {
        const size_t scores = f->room(most, q->keys, q->d, false),
                     sums = f->room(most, q->dv, q->keys, false);
        p->worker_scratch += scores > sums ? scores : sums;
    }
}

static const hone_type *type_of(const hone_prepare *p, int i) {
    return i < p->in_count ? p->in[i] : NULL;
}

static hone_status prepare(hone_prepare *p, hone_error *err) {
    params *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    const int64_t q_heads = hone_node_int(p->node, "q_heads"), kv_heads = hone_node_int(p->node, "kv_heads");
    int64_t dq[4], dk[4], dv[4], dy[4];
    hone_core_heads(p->in[HONE_CORE_Q], q_heads, dq);
    hone_core_heads(p->in[HONE_CORE_K], kv_heads, dk);
    hone_core_heads(p->in[HONE_CORE_V], kv_heads, dv);
    hone_core_heads(&p->out[0], q_heads, dy);
    const float scale = hone_node_float(p->node, "scale");
    *q = (params){.is_double = p->out[0].dtype == HONE_FLOAT64,
                  .kernels = hone_kernels_get(),
                  .batch = dy[0],
                  .heads = dq[1],
                  .kv_heads = dk[1],
                  .rows = dy[2],
                  .keys = dv[2],
                  .seen = dv[2],
                  .d = dk[3],
                  .dv = dv[3],
                  .q = place_in(dq, dy, q_heads > 0),
                  .k = place_in(dk, (int64_t[]){dy[0], 0, dv[2]}, kv_heads > 0),
                  .v = place_in(dv, (int64_t[]){dy[0], 0, dv[2]}, kv_heads > 0),
                  .y = place_in(dy, dy, q_heads > 0),
                  .scale = scale != 0 ? (double)scale : 1 / sqrt((double)dk[3]),
                  .softcap = hone_node_float(p->node, "softcap"),
                  .causal = hone_node_int(p->node, "causal") != 0,
                  .ahead = hone_core_near(hone_node_int(p->node, "ahead")),
                  .window = hone_core_near(hone_node_int(p->node, "window")),
                  .plain = hone_node_int(p->node, "plain") != 0,
                  .qk_mode = (int)hone_node_int(p->node, "qk_mode")};
    q->size = q->is_double ? sizeof(double) : sizeof(float);
    q->family = q->kernels->gemm[q->is_double ? HONE_GEMM_F64 : HONE_GEMM_F32];
    const bool rounds = p->precision == HONE_PRECISION_BFLOAT16 && !q->is_double && q->rows > FEW_ROWS;
    if (rounds && q->kernels->gemm[HONE_GEMM_BF16]) q->family = q->kernels->gemm[HONE_GEMM_BF16];
    const hone_type *bias = type_of(p, HONE_CORE_BIAS), *sink = type_of(p, HONE_CORE_SINK);
    if (bias) place_bias(q, bias);
    if (sink && hone_type_count(sink) != q->heads)
        return hone_prepare_fail(p, err, "not one sink for each head");
    for (int i = 0; i < 3; i++) {
        const hone_type *t = type_of(p, HONE_CORE_POSITION + i);
        int64_t count = t ? hone_type_count(t) : 1;
        if (count != 1 && count != q->batch)
            return hone_prepare_fail(p, err, "%lld positions for a batch of %lld", (long long)count,
                                     (long long)q->batch);
        if (count != 1) q->groups |= 1 << i;
    }
    cut(q, p, !type_of(p, HONE_CORE_FIRST));
    p->params = q;
    p->run = run;
    p->kernel = q->is_double      ? "attention, double"
                : q->family->room ? "attention, bfloat16"
                : q->packs        ? "attention"
                                  : "attention, few rows";
    return HONE_OK;
}

#define OPTIONAL HONE_SLOT_OPTIONAL
#define INT64 HONE_TYPE(HONE_INT64)

const hone_op hone_op_scaled_dot_product = {
    .domain = HONE_PRIVATE_DOMAIN,
    .name = "ScaledDotProduct",
    .since = 1,
    .oldest = 1,
    .inputs = HONE_SLOTS({"Q", 'T', FLOATS, 0}, {"K", 'T', FLOATS, 0}, {"V", 'T', FLOATS, 0},
                         {"bias", 'T', FLOATS, OPTIONAL}, {"position", 0, INT64, OPTIONAL},
                         {"first", 0, INT64, OPTIONAL}, {"end", 0, INT64, OPTIONAL},
                         {"sink", 'T', FLOATS, OPTIONAL}),
    .outputs = HONE_SLOTS({"Y", 'T', FLOATS, 0}, {"qk", 'T', FLOATS, OPTIONAL}),
    .attrs = HONE_ATTRS({"q_heads", HONE_ATTR_INT}, {"kv_heads", HONE_ATTR_INT}, {"scale", HONE_ATTR_FLOAT},
                        {"softcap", HONE_ATTR_FLOAT}, {"causal", HONE_ATTR_INT}, {"ahead", HONE_ATTR_INT},
                        {"window", HONE_ATTR_INT}, {"qk_mode", HONE_ATTR_INT}, {"plain", HONE_ATTR_INT}),
    .infer = infer,
    .multiply_adds = multiply_adds,
    .prepare = prepare,
    .expand = hone_core_expand,
    .doc = "attention of heads of Q to those of K and V"};
