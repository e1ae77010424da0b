/* Methods that look at gradients with respect to the inputs. */
#include "base/error.h"
#include "base/memory.h"
#include "base/random.h"
#include "explain/probe.h"
#include "graph/tensor.h"

#include <math.h>

/* --- sums over the runs --- one array for each point */

typedef struct sums {
    hone_probe *probe;
    double **of;
} sums;

static void free_sums(sums *s) {
    for (int i = 0; s->of && i < hone_probe_count(s->probe); i++) hone_free(s->of[i]);
    hone_free(s->of);
}

static hone_status make_sums(hone_probe *p, sums *s, hone_error *err) {
    int count = hone_probe_count(p);
    *s = (sums){p, hone_calloc((size_t)count + 1, sizeof *s->of)};
    if (!s->of) return hone_fail_memory(err);
    for (int i = 0; i < count; i++) {
        s->of[i] = hone_calloc((size_t)hone_probe_point(p, i)->at->count + 1, sizeof(double));
        if (!s->of[i]) return hone_fail_memory(err);
    }
    return HONE_OK;
}

static void add(sums *s, double weight) {
    for (int i = 0; i < hone_probe_count(s->probe); i++) {
        const hone_tensor *g = hone_probe_point(s->probe, i)->gradient;
        for (int64_t k = 0; g && k < g->count; k++) s->of[i][k] += weight * ((const float *)g->data)[k];
    }
}

/* --- where the points go --- */

/* From the baseline, 0, to the model's, 1. Vectors of tokens come from zeros. */
static double from(const hone_subject *s, const hone_point *p) {
    return p->tokens ? 0 : s->options->baseline;
}

static void move(const hone_subject *s, hone_probe *probe, double share) {
    for (int i = 0; i < hone_probe_count(probe); i++) {
        const hone_point *p = hone_probe_point(probe, i);
        const float *start = p->start->data;
        float *at = p->at->data;
        double base = from(s, p);
        for (int64_t k = 0; k < p->at->count; k++) at[k] = (float)(base + share * (start[k] - base));
    }
}

/* Two independent normal numbers of two uniform ones (Box and Muller). */
static void add_noise(hone_probe *probe, double noise, hone_rng *rng) {
    for (int i = 0; i < hone_probe_count(probe); i++) {
        const hone_point *p = hone_probe_point(probe, i);
        const float *start = p->start->data;
        float *at = p->at->data, low = INFINITY, high = -INFINITY;
        for (int64_t k = 0; k < p->at->count; k++) {
            low = fminf(low, start[k]);
            high = fmaxf(high, start[k]);
        }
        double deviation = noise * (high > low ? (double)high - low : fabs((double)high));
        for (int64_t k = 0; k < p->at->count; k++) {
            double size = sqrt(-2 * log(1 - (double)hone_rng_uniform(rng)));
            at[k] = (float)(start[k] + deviation * size * cos(2 * M_PI * (double)hone_rng_uniform(rng)));
        }
    }
}

/* Point i of n of Gauss and Legendre's rule on [0, 1], and its weight: a root of the Legendre polynomial, by Newton. */
static double gauss(int n, int i, double *weight) {
    double x = cos(M_PI * (i + 0.75) / (n + 0.5)), slope = 1;
    for (int k = 0; k < 100; k++) {
        double before = 1, now = x;
        for (int j = 2; j <= n; j++) {
            double next = ((2 * j - 1) * x * now - (j - 1) * before) / j;
            before = now;
            now = next;
        }
        slope = n * (x * now - before) / (x * x - 1);
        double by = now / slope;
        x -= by;
        if (fabs(by) < 1e-15) break;
    }
    *weight = 1 / ((1 - x * x) * slope * slope);
    return (x + 1) / 2;
}

/* --- the methods --- */

static hone_status run_smooth(const hone_subject *s, sums *sum, hone_error *err) {
    int n = s->options->steps ? s->options->steps : 25;
    hone_rng rng = hone_rng_make(s->options->seed, 0);
    double ignored;
    for (int i = 0; i < n; i++) {
        add_noise(sum->probe, s->options->noise, &rng);
        HONE_TRY(hone_probe_run(sum->probe, &ignored, err));
        add(sum, 1.0 / n);
        HONE_TRY(hone_subject_tell(s, i + 1, n, err));
    }
    return HONE_OK;
}

static hone_status run_path(hone_subject *s, sums *sum, hone_error *err) {
    int n = s->options->steps ? s->options->steps : 50;
    double weight, ignored;
    for (int i = 0; i < n; i++) {
        move(s, sum->probe, gauss(n, i, &weight));
        HONE_TRY(hone_probe_run(sum->probe, &ignored, err));
        add(sum, weight);
        HONE_TRY(hone_subject_tell(s, i + 1, n, err));
    }
    move(s, sum->probe, 0);
    return hone_probe_run(sum->probe, &s->base, err);
}

/* What a point's elements come to, as values of the input: those of a token's vector together. */
static hone_status give(hone_subject *s, const hone_point *p, const double *sum, hone_error *err) {
    const float *start = p->start->data;
    float *values;
    if (p->gradient == NULL) return HONE_OK;
    HONE_TRY(hone_subject_values(s, p->input, &values, err));
    int64_t count = s->inputs[p->input]->count, each = count ? p->start->count / count : 0;
    bool absolute = s->options->method == HONE_EXPLAIN_SALIENCY;
    bool gradient = absolute || s->options->method == HONE_EXPLAIN_SMOOTHGRAD;
    double base = s->options->method == HONE_EXPLAIN_INTEGRATED ? from(s, p) : 0;
    for (int64_t i = 0; i < count; i++) {
        double x = 0;
        for (int64_t k = i * each; k < (i + 1) * each; k++)
            x += gradient && p->tokens ? sum[k] * sum[k] : gradient ? sum[k] : sum[k] * (start[k] - base);
        values[i] = (float)(gradient && p->tokens ? sqrt(x) : absolute ? fabs(x) : x);
    }
    return HONE_OK;
}

static hone_status run(hone_subject *s, sums *sum, hone_error *err) {
    double ignored;
    if (s->options->method == HONE_EXPLAIN_SMOOTHGRAD) return run_smooth(s, sum, err);
    if (s->options->method == HONE_EXPLAIN_INTEGRATED) return run_path(s, sum, err);
    HONE_TRY(hone_probe_run(sum->probe, &ignored, err));
    add(sum, 1);
    return HONE_OK;
}

hone_status hone_explain_by_gradient(hone_subject *s, hone_error *err) {
    hone_probe *probe = NULL;
    sums sum = {NULL, NULL};
    if (s->options->method == HONE_EXPLAIN_INTEGRATED && isnan(s->options->baseline))
        return hone_fail(err, HONE_UNSUPPORTED, "no path leads from missing values");
    HONE_TRY(hone_probe_new(s, false, &probe, err));
    hone_status status = make_sums(probe, &sum, err);
    if (status == HONE_OK) status = run(s, &sum, err);
    for (int i = 0; i < hone_probe_count(probe) && status == HONE_OK; i++)
        status = give(s, hone_probe_point(probe, i), sum.of[i], err);
    free_sums(&sum);
    hone_probe_free(probe);
    return status;
}
