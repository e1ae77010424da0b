#include "ops/engine/resample.h"

#include "graph/infer.h"
#include "kernels/kernels.h"
#include "kernels/portable.h"
#include "kernels/positions.h"
#include "ops/common/cut.h"
#include "ops/common/walk.h"

#include <string.h>

/* --- taps --- */

hone_taps *hone_taps_new(hone_prepare *p, int64_t count, int64_t taps) {
    hone_taps *t = hone_prepare_alloc(p, sizeof *t);
    if (!t) return NULL;
    t->count = count;
    t->start = hone_prepare_alloc(p, ((size_t)count + 1) * sizeof *t->start);
    t->from = hone_prepare_alloc(p, ((size_t)taps + 1) * sizeof *t->from);
    t->weight = hone_prepare_alloc(p, ((size_t)taps + 1) * sizeof *t->weight);
    return t->start && t->from && t->weight ? t : NULL;
}

hone_taps *hone_taps_of(hone_prepare *p, const int64_t *from, int64_t count) {
    hone_taps *t = hone_taps_new(p, count, count);
    int64_t taps = 0;
    for (int64_t i = 0; t && i < count; i++) {
        if (from[i] >= 0) {
            t->from[taps] = from[i];
            t->weight[taps++] = 1;
        }
        t->start[i + 1] = taps;
    }
    return t;
}

hone_taps *hone_taps_transposed(hone_prepare *p, const hone_taps *t, int64_t n) {
    int64_t taps = t->start[t->count];
    hone_taps *back = hone_taps_new(p, n, taps);
    if (!back) return NULL;
    for (int64_t k = 0; k < taps; k++) back->start[t->from[k] + 1]++;
    for (int64_t i = 0; i < n; i++) back->start[i + 1] += back->start[i];
    int64_t *next = hone_prepare_alloc(p, ((size_t)n + 1) * sizeof *next);
    if (!next) return NULL;
    memcpy(next, back->start, (size_t)n * sizeof *next);
    for (int64_t i = 0; i < t->count; i++)
        for (int64_t k = t->start[i]; k < t->start[i + 1]; k++) {
            int64_t at = next[t->from[k]]++;
            back->from[at] = i;
            back->weight[at] = t->weight[k];
        }
    return back;
}

/* --- one axis --- */

typedef struct pass {
    const hone_kernels *kernels;
    bool wide;
    int64_t n, m, inner;
    const hone_taps *taps;
    const void *weight; /* the taps' in the type computed in */
    const int32_t
        *pairs; /* the last axis, of float32 and two taps each: where they are, and `weight` has two each */
    double fill;
    hone_cut cut; /* of rows of `inner` elements, or, that being 1, of outer ones */
} pass;

typedef struct job {
    const pass *q;
    const char *x;
    char *y;
} job;

/* The last axis. */
static void weigh_rows(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const pass *q = j->q;
    const hone_taps *t = q->taps;
    for (int64_t i = begin; i < end; i++) {
        if (q->wide)
            hone_weigh_f64((const double *)(const void *)j->x + i * q->n, t->start, t->from, q->weight, q->m,
                           q->fill, (double *)(void *)j->y + i * q->m);
        else if (q->pairs)
            hone_weigh_pairs_f32((const float *)(const void *)j->x + i * q->n, q->pairs, q->weight, q->m,
                                 (float *)(void *)j->y + i * q->m);
        else
            hone_weigh_f32((const float *)(const void *)j->x + i * q->n, t->start, t->from, q->weight, q->m,
                           (float)q->fill, (float *)(void *)j->y + i * q->m);
    }
}

/* An axis with others inside of it: row i of y is position i % m. */
static void weigh_inner(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const pass *q = j->q;
    const size_t size = q->wide ? sizeof(double) : sizeof(float);
    for (int64_t i = begin; i < end; i++) {
        const int64_t at = i % q->m, first = q->taps->start[at];
        const int count = (int)(q->taps->start[at + 1] - first);
        const char *x = j->x + (size_t)(i / q->m * q->n * q->inner) * size;
        char *y = j->y + (size_t)(i * q->inner) * size;
        if (count == 0) {
            const float narrow = (float)q->fill;
            hone_fill(q->wide ? (const void *)&q->fill : &narrow, size, y, q->inner);
        } else if (q->wide)
            hone_weigh_rows_f64((const double *)(const void *)x, q->inner, q->taps->from + first,
                                (const double *)q->weight + first, count, q->inner, (double *)(void *)y);
        else
            q->kernels->weigh_rows_f32((const float *)(const void *)x, q->inner, q->taps->from + first,
                                       (const float *)q->weight + first, count, q->inner, (float *)(void *)y);
    }
}

/* Positions of one tap or two as pairs: one tap is two halves. */
static hone_status make_pairs(hone_prepare *p, pass *q, hone_error *err) {
    const hone_taps *t = q->taps;
    for (int64_t i = 0; i < q->m; i++)
        if (t->start[i + 1] == t->start[i] || t->start[i + 1] > t->start[i] + 2) return HONE_OK;
    if (q->wide || q->inner != 1 || q->n > INT32_MAX) return HONE_OK;
    int32_t *pairs = hone_prepare_alloc(p, 2 * (size_t)(q->m + 1) * sizeof *pairs);
    float *weight = hone_prepare_alloc(p, 2 * (size_t)(q->m + 1) * sizeof *weight);
    if (!pairs || !weight) return hone_fail_memory(err);
    for (int64_t i = 0; i < q->m; i++)
        for (int k = 0; k < 2; k++) {
            bool one = t->start[i + 1] == t->start[i] + 1;
            int64_t tap = t->start[i] + (one ? 0 : k);
            pairs[2 * i + k] = (int32_t)t->from[tap];
            weight[2 * i + k] = (float)(t->weight[tap] * (one ? 0.5 : 1));
        }
    q->pairs = pairs;
    q->weight = weight;
    return HONE_OK;
}

static hone_status make_pass(hone_prepare *p, pass *q, const hone_type *x, int axis, const hone_taps *taps,
                             bool wide, double fill, hone_error *err) {
    int64_t outer = hone_dims_product(x, 0, axis), all = taps->start[taps->count];
    *q = (pass){.kernels = hone_kernels_get(),
                .wide = wide,
                .n = x->dims[axis],
                .m = taps->count,
                .inner = hone_dims_product(x, axis + 1, x->rank),
                .taps = taps,
                .weight = taps->weight,
                .fill = fill};
    if (!wide) {
        float *weight = hone_prepare_alloc(p, ((size_t)all + 1) * sizeof *weight);
        if (!weight) return hone_fail_memory(err);
        for (int64_t i = 0; i < all; i++) weight[i] = (float)taps->weight[i];
        q->weight = weight;
    }
    double each = (double)all / (double)(q->m ? q->m : 1) + 1; /* taps */
    q->cut = q->inner == 1 ? hone_cut_make(outer, 5 + each * (double)q->m, 1)
                           : hone_cut_make(outer * q->m, 5 + 0.15 * each * (double)q->inner, 1);
    if (q->inner == 0 || q->m == 0) q->cut.count = 0;
    return make_pairs(p, q, err);
}

/* --- all axes --- */

struct hone_resample {
    hone_dtype dtype, computes;
    int64_t x_count, y_count;
    int passes;
    pass pass[HONE_MAX_RANK];
    int64_t half;     /* bytes of one of two buffers in scratch, between which passes go */
    hone_cut in, out; /* conversions */
};

static hone_dtype computes_in(hone_dtype dtype) {
    switch (dtype) {
    case HONE_FLOAT64:
    case HONE_INT32:
    case HONE_UINT32:
    case HONE_INT64:
    case HONE_UINT64: return HONE_FLOAT64;
    default: return HONE_FLOAT32;
    }
}

/* The axis to do next: the one that leaves the least; -1: all are done. */
static int next_axis(const hone_type *x, const hone_taps *const *taps, const bool *done) {
    int best = -1;
    for (int d = x->rank - 1; d >= 0; d--) {
        if (!taps[d] || done[d]) continue;
        if (best < 0 ||
            (double)taps[d]->count * (double)x->dims[best] < (double)taps[best]->count * (double)x->dims[d])
            best = d;
    }
    return best;
}

hone_status hone_resample_make(hone_prepare *p, const hone_type *x, const hone_type *y,
                               const hone_taps *const *taps, double fill, hone_resample **out,
                               hone_error *err) {
    hone_resample *q = *out = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    *q = (hone_resample){.dtype = y->dtype,
                         .computes = computes_in(y->dtype),
                         .x_count = hone_type_count(x),
                         .y_count = hone_type_count(y)};
    bool wide = q->computes == HONE_FLOAT64, done[HONE_MAX_RANK] = {false};
    hone_type now = *x;
    int64_t most = q->computes == q->dtype ? 0 : q->x_count > q->y_count ? q->x_count : q->y_count;
    for (int d; (d = next_axis(x, taps, done)) >= 0; done[d] = true) {
        HONE_TRY(make_pass(p, &q->pass[q->passes++], &now, d, taps[d], wide, fill, err));
        now.dims[d] = taps[d]->count;
        if (hone_type_count(&now) > most) most = hone_type_count(&now);
    }
    q->half = (most * (wide ? 8 : 4) + 63) / 64 * 64;
    q->in = hone_cut_make(q->x_count, 0.5, 64);
    q->out = hone_cut_make(q->y_count, 1, 64);
    p->scratch = 2 * (size_t)q->half;
    return HONE_OK;
}

typedef struct conversion {
    const hone_resample *q;
    const char *x;
    char *y;
} conversion;

static void widen(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const conversion *c = arg;
    size_t from = hone_dtype_size(c->q->dtype), to = hone_dtype_size(c->q->computes);
    hone_cast(c->q->dtype, c->q->computes, c->x + (size_t)begin * from, c->y + (size_t)begin * to,
              end - begin);
}

static void narrow(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const conversion *c = arg;
    size_t from = hone_dtype_size(c->q->computes), to = hone_dtype_size(c->q->dtype);
    char *x = (char *)(uintptr_t)c->x + (size_t)begin * from;
    if (!hone_dtype_is_float(c->q->dtype)) {
        if (c->q->computes == HONE_FLOAT64)
            hone_round_even_f64((double *)(void *)x, end - begin);
        else
            hone_round_even_f32((float *)(void *)x, end - begin);
    }
    hone_cast(c->q->computes, c->q->dtype, x, c->y + (size_t)begin * to, end - begin);
}

void hone_resample_run(const hone_resample *q, const hone_frame *frame, const void *x, void *y,
                       void *scratch) {
    char *buffer[2] = {scratch, (char *)scratch + q->half};
    const char *from = x;
    bool converts = q->computes != q->dtype;
    int next = 0;
    if (converts) {
        hone_cut_run(&q->in, frame, widen, &(conversion){q, from, buffer[0]});
        from = buffer[0];
        next = 1;
    }
    for (int i = 0; i < q->passes; i++) {
        const pass *s = &q->pass[i];
        bool last = i + 1 == q->passes && !converts;
        char *to = last ? y : buffer[next];
        hone_cut_run(&s->cut, frame, s->inner == 1 ? weigh_rows : weigh_inner, &(job){s, from, to});
        from = to;
        next = !next;
    }
    if (converts)
        hone_cut_run(&q->out, frame, narrow, &(conversion){q, from, y});
    else if (q->passes == 0 && q->y_count)
        memcpy(y, x, (size_t)q->y_count * hone_dtype_size(q->dtype));
}
