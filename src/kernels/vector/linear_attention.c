#include "kernels/levels.h"
#include "kernels/vec_math.h"

/* A step: what all strips of columns share. */
typedef struct step {
    const float *q, *k, *e, *ke; /* k, e and k e: [depth] */
    int64_t depth, group, row;
    float scale;
    const float *beta;
} step;

enum { STRIP = 4 }; /* vectors of columns at once; rows in two chains, which hide their latency */

/* `vectors` vectors of columns, the last of which has `rest`. */
VEC_FN vec_f32 load(const float *p, int v, int vectors, int rest) {
    return v < vectors - 1 || rest == VEC_F32 ? vec_load(p + v * VEC_F32) : vec_load_n(p + v * VEC_F32, rest);
}
VEC_FN void store(float *p, vec_f32 x, int v, int vectors, int rest) {
    if (v < vectors - 1 || rest == VEC_F32)
        vec_store(p + v * VEC_F32, x);
    else
        vec_store_n(p + v * VEC_F32, x, rest);
}

/* sum[v] = the sum over rows of weight[row] S[row]. */
VEC_FN void weigh(const step *s, const float *state, const float *weight, const int vectors, const int rest,
                  vec_f32 *sum) {
    vec_f32 odd[STRIP];
    int64_t d = 0;
    VEC_UNROLL
    for (int v = 0; v < vectors; v++) sum[v] = odd[v] = vec_zero();
    for (; d + 2 <= s->depth; d += 2) {
        const float *at = state + d * s->row;
        const vec_f32 a = vec_set1(weight[d]), b = vec_set1(weight[d + 1]);
        VEC_UNROLL
        for (int v = 0; v < vectors; v++) {
            sum[v] = vec_fma(a, load(at, v, vectors, rest), sum[v]);
            odd[v] = vec_fma(b, load(at + s->row, v, vectors, rest), odd[v]);
        }
    }
    for (int v = 0; v < vectors && d < s->depth; v++)
        sum[v] = vec_fma(vec_set1(weight[d]), load(state + d * s->row, v, vectors, rest), sum[v]);
    VEC_UNROLL
    for (int v = 0; v < vectors; v++) sum[v] = sum[v] + odd[v];
}

/* to[row] = e[row] from[row] + k[row] u, and sum[v] = the sum over rows of q[row] to[row]. */
VEC_FN void update(const step *s, const float *from, float *to, const vec_f32 *u, const int vectors,
                   const int rest, vec_f32 *sum) {
    vec_f32 odd[STRIP];
    VEC_UNROLL
    for (int v = 0; v < vectors; v++) sum[v] = odd[v] = vec_zero();
    for (int64_t d = 0; d < s->depth; d++) {
        const vec_f32 e = vec_set1(s->e[d]), k = vec_set1(s->k[d]), q = vec_set1(s->q[d]);
        VEC_UNROLL
        for (int v = 0; v < vectors; v++) {
            vec_f32 x = vec_fma(k, u[v], e * load(from + d * s->row, v, vectors, rest));
            store(to + d * s->row, x, v, vectors, rest);
            vec_f32 next = vec_fma(q, x, sum[v]);
            sum[v] = odd[v];
            odd[v] = next;
        }
    }
    VEC_UNROLL
    for (int v = 0; v < vectors; v++) sum[v] = sum[v] + odd[v];
}

VEC_FN void strip(const step *s, const float *from, float *to, const float *v, float *y, int64_t y_head,
                  const int vectors, const int rest) {
    vec_f32 u[STRIP], sum[STRIP];
    const vec_f32 scale = vec_set1(s->scale);
    VEC_UNROLL
    for (int i = 0; i < vectors; i++) u[i] = load(v, i, vectors, rest);
    if (s->beta) {
        weigh(s, from, s->ke, vectors, rest, sum);
        VEC_UNROLL
        for (int i = 0; i < vectors; i++) u[i] = vec_set1(*s->beta) * (u[i] - sum[i]);
    }
    update(s, from, to, u, vectors, rest, sum);
    for (int64_t h = 0;;) {
        VEC_UNROLL
        for (int i = 0; i < vectors; i++) store(y + h * y_head, sum[i] * scale, i, vectors, rest);
        if (++h >= s->group) break;
        weigh(s, to, s->q + h * s->depth, vectors, rest, sum);
    }
}

/* e^decay and k e^decay. */
static void decays(const hone_linear_attention *a, const float *decay, const float *k, float *e, float *ke) {
    int64_t d = 0;
    const vec_f32 all = vec_exp(vec_set1(decay && !a->each ? *decay : 0));
    for (; d + VEC_F32 <= a->depth; d += VEC_F32) {
        vec_f32 x = decay && a->each ? vec_exp(vec_load(decay + d)) : all;
        vec_store(e + d, x);
        vec_store(ke + d, x * vec_load(k + d));
    }
    if (d < a->depth) {
        const int rest = (int)(a->depth - d);
        vec_f32 x = decay && a->each ? vec_exp(vec_load_n(decay + d, rest)) : all;
        vec_store_n(e + d, x, rest);
        vec_store_n(ke + d, x * vec_load_n(k + d, rest), rest);
    }
}

static void clear(const hone_linear_attention *a) {
    for (int64_t d = 0; d < a->depth; d++)
        memset((float *)a->to + d * a->state_row, 0, (size_t)a->columns * sizeof(float));
}

void HONE_ISA_NAME(linear_attention_f32)(const hone_linear_attention *a) {
    const float *from = a->from, *decay = a->decay, *beta = a->beta;
    float *to = a->to, *e = a->room, *ke = e + a->depth;
    if (!from) clear(a);
    if (!from) from = to;
    for (int64_t t = 0; t < a->steps; t++) {
        const step s = {.q = (const float *)a->q + t * a->q_step,
                        .k = (const float *)a->k + t * a->k_step,
                        .e = e,
                        .ke = ke,
                        .depth = a->depth,
                        .group = a->group,
                        .row = a->state_row,
                        .scale = (float)a->scale,
                        .beta = beta ? beta + t * a->beta_step : NULL};
        const float *v = (const float *)a->v + t * a->v_step;
        float *y = (float *)a->y + t * a->y_step;
        decays(a, decay ? decay + t * a->decay_step : NULL, s.k, e, ke);
        int64_t i = 0;
        for (; i + STRIP * VEC_F32 <= a->columns; i += STRIP * VEC_F32)
            strip(&s, from + i, to + i, v + i, y + i, a->y_head, STRIP, VEC_F32);
        for (; i + 2 * VEC_F32 <= a->columns; i += 2 * VEC_F32)
            strip(&s, from + i, to + i, v + i, y + i, a->y_head, 2, VEC_F32);
        for (; i + VEC_F32 <= a->columns; i += VEC_F32)
            strip(&s, from + i, to + i, v + i, y + i, a->y_head, 1, VEC_F32);
        if (i < a->columns) strip(&s, from + i, to + i, v + i, y + i, a->y_head, 1, (int)(a->columns - i));
        from = to;
    }
    if (from == to) return;
    for (int64_t d = 0; d < a->depth; d++)
        memcpy(to + d * a->state_row, from + d * a->state_row, (size_t)a->columns * sizeof(float));
}
