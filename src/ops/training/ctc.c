/* CtcLoss: sequences of symbols that are shorter than what a network says of them (kernels/ctc.h). The forward node gives the
 * gradient, too, where somebody asks for it.
 *
 *   scores [N, places, C] ── log-softmax ──► -log P(symbols) / their number ── mean ──► loss
 *   symbols [N, S], none < 0; < 0: the rest is filling                     └──► gradient [N, places, C] */
#include "kernels/ctc.h"
#include "graph/autodiff.h"
#include "graph/infer.h"
#include "graph/run.h"
#include "ops/common/cut.h"

#include <math.h>
#include <string.h>

#define FLOATS HONE_TYPES_FLOAT

enum { SCORES, SYMBOLS };

static hone_status infer(hone_infer *ctx, hone_error *err) {
    const hone_type *x = ctx->in[SCORES], *y = ctx->in[SYMBOLS];
    int64_t samples;
    if (x->rank >= 0 && x->rank != 3)
        return hone_infer_fail(ctx, err, "scores have %d dimensions where 3 are needed", x->rank);
    if (y->rank >= 0 && y->rank != 2)
        return hone_infer_fail(ctx, err, "symbols have %d dimensions where 2 are needed", y->rank);
    if (x->rank == 3 && y->rank == 2)
        HONE_TRY(hone_infer_same_dim(ctx, x->dims[0], y->dims[0], &samples, err));
    ctx->out[0].rank = 0;
    if (ctx->output_count < 2) return HONE_OK;
    ctx->out[1].rank = x->rank;
    memcpy(ctx->out[1].dims, x->dims, sizeof ctx->out[1].dims);
    return HONE_OK;
}

typedef struct params {
    int64_t samples, places, classes, symbols, blank;
    bool is_double, wide;
    size_t at_gradient, at_lattice, at_symbols; /* in worker scratch, behind log-probabilities */
    double nanoseconds;                         /* of a sample */
} params;

typedef struct job {
    const params *p;
    const hone_step *step;
    const hone_frame *frame;
    const void *scores, *symbols;
    void *gradient;
    double *losses; /* [samples]; < 0: a symbol is none of the classes */
} job;

static double real_at(const params *p, const void *x, int64_t i) {
    return p->is_double ? ((const double *)x)[i] : (double)((const float *)x)[i];
}

/* [places, classes] of sample i. */
static void log_softmax(const params *p, const void *scores, int64_t i, double *out) {
    for (int64_t t = 0; t < p->places; t++, out += p->classes) {
        double most = -INFINITY, sum = 0;
        for (int64_t c = 0; c < p->classes; c++) {
            out[c] = real_at(p, scores, (i * p->places + t) * p->classes + c);
            if (out[c] > most) most = out[c];
        }
        for (int64_t c = 0; c < p->classes; c++) sum += exp(out[c] - most);
        for (int64_t c = 0; c < p->classes; c++) out[c] -= most + log(sum);
    }
}

/* Gives how many there are; < 0: one is no class. */
static int64_t read_symbols(const params *p, const void *from, int64_t i, int64_t *out) {
    int64_t n = 0;
    for (; n < p->symbols; n++) {
        int64_t at = i * p->symbols + n,
                s = p->wide ? ((const int64_t *)from)[at] : ((const int32_t *)from)[at];
        if (s < 0) break;
        if (s >= p->classes || s == p->blank) return -1;
        out[n] = s;
    }
    return n;
}

static void put_gradient(const job *j, int64_t i, const double *from, double scale) {
    const params *p = j->p;
    const int64_t size = p->places * p->classes;
    for (int64_t k = 0; k < size; k++) {
        if (p->is_double)
            ((double *)j->gradient)[i * size + k] = from[k] * scale;
        else
            ((float *)j->gradient)[i * size + k] = (float)(from[k] * scale);
    }
}

static void run_samples(void *arg, int64_t begin, int64_t end, int worker) {
    const job *j = arg;
    const params *p = j->p;
    char *scratch = hone_step_worker_scratch(j->step, j->frame, worker);
    double *log_p = (double *)(void *)scratch, *gradient = (double *)(void *)(scratch + p->at_gradient),
           *lattice = (double *)(void *)(scratch + p->at_lattice);
    int64_t *symbols = (int64_t *)(void *)(scratch + p->at_symbols);
    for (int64_t i = begin; i < end; i++) {
        int64_t n = read_symbols(p, j->symbols, i, symbols);
        j->losses[i] = -1;
        if (n < 0) continue;
        log_softmax(p, j->scores, i, log_p);
        const double length = n > 0 ? (double)n : 1;
        j->losses[i] = hone_ctc(log_p, p->places, p->classes, symbols, n, p->blank,
                                j->gradient ? gradient : NULL, lattice) /
                       length;
        if (j->gradient) put_gradient(j, i, gradient, 1 / (length * (double)p->samples));
    }
}

static hone_status run(const hone_step *step, hone_frame *frame, hone_error *err) {
    const params *p = step->params;
    job j = {p,
             step,
             frame,
             hone_step_in(step, frame, SCORES),
             hone_step_in(step, frame, SYMBOLS),
             hone_step_out(step, frame, 1),
             hone_step_scratch(step, frame)};
    const hone_cut cut = hone_cut_make(p->samples, p->nanoseconds, 1);
    hone_cut_run(&cut, frame, run_samples, &j);
    double sum = 0;
    for (int64_t i = 0; i < p->samples; i++) {
        if (j.losses[i] < 0)
            return hone_step_fail(step, err,
                                  "a symbol of sample %lld is none of the %lld classes, or the blank (%lld)",
                                  (long long)i, (long long)p->classes, (long long)p->blank);
        if (j.losses[i] == INFINITY)
            return hone_step_fail(
                step, err,
                "the symbols of sample %lld find no room in %lld places: each needs one, and one that "
                "follows its like another one",
                (long long)i, (long long)p->places);
        sum += j.losses[i];
    }
    const double loss = p->samples ? sum / (double)p->samples : 0;
    void *out = hone_step_out(step, frame, 0);
    if (out && p->is_double) *(double *)out = loss;
    if (out && !p->is_double) *(float *)out = (float)loss;
    return HONE_OK;
}

static hone_status prepare(hone_prepare *p, hone_error *err) {
    const hone_type *x = p->in[SCORES], *y = p->in[SYMBOLS];
    params *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    *q = (params){.samples = x->dims[0],
                  .places = x->dims[1],
                  .classes = x->dims[2],
                  .symbols = y->dims[1],
                  .blank = hone_node_int(p->node, "blank"),
                  .is_double = x->dtype == HONE_FLOAT64,
                  .wide = y->dtype == HONE_INT64};
    if (q->blank < 0 || q->blank >= q->classes)
        return hone_prepare_fail(p, err, "the blank, %lld, is none of the %lld classes", (long long)q->blank,
                                 (long long)q->classes);
    const size_t table = (size_t)(q->places * q->classes) * sizeof(double);
    q->at_gradient = table;
    q->at_lattice = 2 * table;
    q->at_symbols = q->at_lattice + hone_ctc_scratch(q->places, q->symbols) * sizeof(double);
    q->nanoseconds = 25 * (double)(q->places * q->classes) + 60 * (double)(q->places * (2 * q->symbols + 1));
    p->scratch = (size_t)q->samples * sizeof(double);
    p->worker_scratch = q->at_symbols + (size_t)q->symbols * sizeof(int64_t);
    p->params = q;
    p->run = run;
    p->kernel = "ctc";
    return HONE_OK;
}

static void gradient(hone_gradient *ctx) {
    if (ctx->wanted[SCORES] && ctx->dout[0])
        ctx->din[SCORES] = HONE_EMIT(ctx->graph, "", "Mul", hone_gradient_saved(ctx, 1), ctx->dout[0]);
}

const hone_op hone_op_ctc_loss = {
    .domain = HONE_PRIVATE_DOMAIN,
    .name = "CtcLoss",
    .since = 1,
    .oldest = 1,
    .inputs = HONE_SLOTS({"scores", 'T', FLOATS, 0}, {"symbols", 'L', HONE_TYPES_INT, 0}),
    .outputs = HONE_SLOTS({"loss", 'T', FLOATS, 0}, {"gradient", 'T', FLOATS, HONE_SLOT_SAVED}),
    .attrs = HONE_ATTRS({"blank", HONE_ATTR_INT}),
    .infer = infer,
    .prepare = prepare,
    .gradient_kind = HONE_GRADIENT_EXACT,
    .gradient = gradient,
    .doc = "connectionist temporal classification of symbols and softmax(scores)"};
