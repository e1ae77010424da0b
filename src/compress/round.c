/* Weights as codes: scales, and rounding. */
#include "base/bits.h"
#include "compress/codes.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* 2^(bits - 1) below zero and one fewer above it, but where scales go by the largest weight, and of 8 bits, which kernels
 * want: as many. */
int hone_code_highest(const hone_code_format *f) {
    return (1 << (f->bits - 1)) - 1;
}
int hone_code_lowest(const hone_code_format *f) {
    const bool even = f->bits == 8 || (f->rounding == HONE_ROUND_NEAREST && !f->asymmetric);
    return even ? -hone_code_highest(f) : -hone_code_highest(f) - 1;
}

/* What shares a scale: x[0 … n-1], where x counts as much as h says (NULL: all the same). */
typedef struct group {
    const double *x, *h;
    int64_t n;
    int low, high;
    bool asymmetric;
} group;

typedef struct grid {
    double scale;
    int zero;
} grid;

static int code_of(double x, grid s, int low, int high) {
    const double q = rint(x / s.scale) + s.zero;
    return (int)(q > high ? high : q < low ? low : q);
}

static double error_of(const group *g, grid s) {
    double sum = 0;
    for (int64_t i = 0; i < g->n; i++) {
        const double off = s.scale * (code_of(g->x[i], s, g->low, g->high) - s.zero) - g->x[i];
        sum += (g->h ? g->h[i] : 1) * off * off;
    }
    return sum;
}

/* A scale is a float, and none is so small that dividing by it overflows. */
static double as_scale(double x) {
    return x > 0 ? fmax((float)x, FLT_MIN) : 1;
}

/* A share of the range. */
static grid grid_for(const group *g, double min, double max, double share) {
    if (!g->asymmetric) return (grid){as_scale(share * fmax(max, -min) / g->high), 0};
    const double scale = as_scale(share * (max - min) / (g->high - g->low)),
                 zero = rint(g->low - share * min / scale);
    return (grid){scale, (int)fmin(fmax(zero, g->low), g->high)};
}

/* The scale with the least error for the codes that `s` gives. */
static grid fitted(const group *g, grid s) {
    double up = 0, down = 0;
    for (int64_t i = 0; i < g->n; i++) {
        const double q = code_of(g->x[i], s, g->low, g->high) - s.zero, h = g->h ? g->h[i] : 1;
        up += h * q * g->x[i];
        down += h * q * q;
    }
    return up > 0 && down > 0 ? (grid){as_scale(up / down), s.zero} : s;
}

/* Are the numbers of the group whole steps of `scale`, and codes? */
static bool are_steps(const group *g, double scale) {
    for (int64_t i = 0; i < g->n; i++) {
        const double q = g->x[i] / scale;
        if (fabs(q - rint(q)) > 1e-3 || rint(q) < g->low || rint(q) > g->high) return false;
    }
    return true;
}

/* The largest step that all numbers of the group are multiples of: the smallest of them is a few. */
static bool find_steps(const group *g, grid *out) {
    double least = INFINITY, most = 0;
    for (int64_t i = 0; i < g->n; i++) {
        if (g->x[i] != 0) least = fmin(least, fabs(g->x[i]));
        most = fmax(most, fabs(g->x[i]));
    }
    *out = (grid){1, 0};
    if (most == 0) return true;
    for (int k = 1; k <= -g->low; k++) {
        if (!are_steps(g, least / k)) continue;
        out->scale = as_scale(most / rint(most / (least / k)));
        return true;
    }
    return false;
}

static grid choose_grid(const group *g, bool search) {
    enum { STEPS = 32 };
    double min = 0, max = 0;
    for (int64_t i = 0; i < g->n; i++) {
        min = fmin(min, g->x[i]);
        max = fmax(max, g->x[i]);
    }
    grid best = grid_for(g, min, max, 1);
    if (!search || max - min <= 0) return best;
    double least = error_of(g, best);
    for (int i = 1; i < 2 * STEPS; i++) {
        grid s = grid_for(g, min, max, 1 - 0.75 * (i / 2) / STEPS);
        if (i % 2) s = fitted(g, s);
        const double error = error_of(g, s);
        if (error >= least) continue;
        least = error;
        best = s;
    }
    return best;
}

typedef struct job {
    const hone_code_format *f;
    hone_weight_view view;
    int64_t block, blocks;
    const float *w;
    const double *importance; /* [terms]; NULL: not known */
    const double *factor;     /* of the moments; NULL: weights are rounded one by one */
    double *x;                /* [terms]: a channel */
    int low, high;
    const grid *shared;  /* by all channels; NULL: each has its own */
    bool search, turned; /* turned: the scales' axes are [blocks, channels] */
    hone_codes *out;
} job;

/* The codes of weights [from, to) of a channel, which share a scale. What rounding one does is made up for by those behind it. */
static void round_block(const job *j, int64_t channel, int64_t from, int64_t to) {
    const group g = {j->x + from,     j->importance ? j->importance + from : NULL, to - from, j->low, j->high,
                     j->f->asymmetric};
    grid s;
    if (j->shared)
        s = *j->shared;
    else if (!j->f->on_grid || !find_steps(&g, &s))
        s = choose_grid(&g, j->search);
    const int64_t b = from / j->block, n = j->view.terms,
                  at = j->turned ? b * j->view.channels + channel : channel * j->blocks + b;
    ((float *)j->out->scale->data)[at] = (float)s.scale;
    if (j->out->zero) ((int8_t *)j->out->zero->data)[at] = (int8_t)s.zero;
    for (int64_t i = from; i < to; i++) {
        const int code = code_of(j->x[i], s, j->low, j->high);
        ((int8_t *)j->out->q->data)[hone_weight_at(&j->view, channel, i)] = (int8_t)code;
        if (!j->factor) continue;
        const double *row = j->factor + i * n, off = (j->x[i] - s.scale * (code - s.zero)) / row[i];
        for (int64_t k = i + 1; k < n; k++) j->x[k] -= off * row[k];
    }
}

static hone_status make_tensors(const hone_tensor *w, const job *j, hone_error *err) {
    int64_t dims[2] = {j->view.channels, j->blocks};
    if (j->turned) dims[0] = j->blocks, dims[1] = j->view.channels;
    const int rank = j->f->block ? 2 : 1;
    HONE_TRY(hone_tensor_new(HONE_INT8, w->rank, w->dims, &j->out->q, err));
    HONE_TRY(hone_tensor_new(HONE_FLOAT32, rank, dims, &j->out->scale, err));
    return j->f->asymmetric ? hone_tensor_new(HONE_INT8, rank, dims, &j->out->zero, err) : HONE_OK;
}

static void round_all(const job *j) {
    for (int64_t c = 0; c < j->view.channels; c++) {
        for (int64_t i = 0; i < j->view.terms; i++) j->x[i] = j->w[hone_weight_at(&j->view, c, i)];
        for (int64_t from = 0; from < j->view.terms; from += j->block) {
            const int64_t to = from + j->block;
            round_block(j, c, from, to < j->view.terms ? to : j->view.terms);
        }
    }
}

/* The grid of all channels together. */
static hone_status share_grid(job *j, grid *out, hone_error *err) {
    const int64_t terms = j->view.terms, all = j->view.channels * terms;
    double *x = hone_alloc((size_t)(all + 1) * sizeof *x), *h = hone_alloc((size_t)(all + 1) * sizeof *h);
    hone_status status = x && h ? HONE_OK : hone_fail_memory(err);
    for (int64_t i = 0; i < all && status == HONE_OK; i++) {
        x[i] = j->w[hone_weight_at(&j->view, i / terms, i % terms)];
        h[i] = j->importance ? j->importance[i % terms] : 1;
    }
    if (status == HONE_OK) {
        const group g = {x, h, all, j->low, j->high, j->f->asymmetric};
        *out = choose_grid(&g, j->search);
        j->shared = out;
    }
    hone_free(x);
    hone_free(h);
    return status;
}

hone_status hone_codes_of_weight(const hone_tensor *w, int axis, const hone_code_format *f,
                                 const hone_moments *moments, hone_codes *out, hone_error *err) {
    const hone_rounding rounding = f->rounding != HONE_ROUND_AUTO ? f->rounding
                                   : f->bits == 8                 ? HONE_ROUND_NEAREST
                                                                  : HONE_ROUND_SEARCH;
    job j = {.f = f,
             .view = hone_weight_view_of(w, axis),
             .w = w->data,
             .low = hone_code_lowest(f),
             .high = hone_code_highest(f),
             .search = rounding != HONE_ROUND_NEAREST,
             .turned = f->block && axis == 1,
             .out = out};
    const int64_t terms = j.view.terms, room = terms > 0 ? terms : 1;
    j.block = f->block ? f->block : room;
    j.blocks = f->block ? (terms + f->block - 1) / f->block : 1;
    *out = (hone_codes){.bits = f->bits, .shared = f->shared};
    double *importance = hone_alloc((size_t)room * sizeof *importance);
    j.x = hone_alloc((size_t)room * sizeof *j.x);
    hone_status status = importance && j.x ? make_tensors(w, &j, err) : hone_fail_memory(err);
    if (status == HONE_OK && moments && moments->rows && rounding != HONE_ROUND_NEAREST) {
        for (int64_t i = 0; i < terms; i++)
            importance[i] = moments->second[i * terms + i] / (double)moments->rows + 1e-9;
        j.importance = importance;
        if (rounding == HONE_ROUND_GPTQ) j.factor = moments->factor;
    }
    grid shared;
    if (status == HONE_OK && f->shared) status = share_grid(&j, &shared, err);
    if (status == HONE_OK)
        round_all(&j);
    else
        hone_codes_free(out);
    hone_free(importance);
    hone_free(j.x);
    return status;
}

hone_status hone_codes_real(const hone_codes *c, int axis, int64_t block, hone_tensor **out,
                            hone_error *err) {
    const hone_weight_view v = hone_weight_view_of(c->q, axis);
    const int64_t blocks = block ? (v.terms + block - 1) / block : 1;
    HONE_TRY(hone_tensor_new(HONE_FLOAT32, c->q->rank, c->q->dims, out, err));
    for (int64_t k = 0; k < v.channels; k++)
        for (int64_t i = 0; i < v.terms; i++) {
            const int64_t at = hone_weight_at(&v, k, i), b = block ? i / block : 0,
                          s = block && axis == 1 ? b * v.channels + k : k * blocks + b;
            const int zero = c->zero ? ((const int8_t *)c->zero->data)[s] : 0;
            ((float *)(*out)->data)[at] =
                ((const float *)c->scale->data)[s] * (float)(((const int8_t *)c->q->data)[at] - zero);
        }
    return HONE_OK;
}

/* ONNX Runtime 1.32 misreads matrices of 2 bits whose rows end within a byte, and has no integer kernels for weights of 2 bits
 * that it nevertheless looks for. */
int hone_codes_stored_bits(const hone_codes *c, bool integers) {
    const bool two = !integers && (c->q->rank != 2 || c->q->dims[1] % 4 == 0);
    return c->bits > 4 ? 8 : c->bits > 2 || !two ? 4 : 2;
}

hone_status hone_codes_pack(const hone_tensor *q, int bits, hone_tensor **out, hone_error *err) {
    if (bits == 8) return hone_tensor_copy_of(HONE_INT8, q->rank, q->dims, q->data, out, err);
    HONE_TRY(hone_tensor_new(bits == 4 ? HONE_INT4 : HONE_INT2, q->rank, q->dims, out, err));
    for (int64_t i = 0; i < q->count; i++)
        hone_bits_set((*out)->data, i, bits, (unsigned)((const int8_t *)q->data)[i] & ((1u << bits) - 1));
    return HONE_OK;
}
