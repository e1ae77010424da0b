/* MelWeightMatrix: triangles over the bins of a spectrum, evenly spaced on the mel scale, 2595 log10(1 + f / 700). */
#include "graph/infer.h"
#include "graph/run.h"
#include "kernels/portable.h"

#include <math.h>
#include <string.h>

#define NUMBERS (HONE_TYPES_NUMBER | HONE_TYPES_HALF)
#define REALS (HONE_TYPES_FLOAT | HONE_TYPES_HALF)

enum { BINS, LENGTH, RATE, LOWER, UPPER };

static int64_t number_of(const hone_infer *ctx, int i) {
    const hone_tensor *t = ctx->constant[i];
    return t && t->count == 1 ? hone_tensor_int(t, 0) : HONE_DIM_ANY;
}

static hone_status infer(hone_infer *ctx, hone_error *err) {
    int64_t dtype = hone_node_int(ctx->node, "output_datatype"), bins = number_of(ctx, BINS),
            length = number_of(ctx, LENGTH);
    for (int i = BINS; i <= UPPER; i++) HONE_TRY(hone_infer_one_element(ctx, i, err));
    if (dtype < 0 || dtype >= HONE_DTYPE_COUNT || !(NUMBERS & HONE_TYPE(dtype)))
        return hone_infer_fail(ctx, err, "a matrix of dtype %lld", (long long)dtype);
    if ((bins != HONE_DIM_ANY && bins < 0) || (length != HONE_DIM_ANY && length < 0))
        return hone_infer_fail(ctx, err, "%lld bins of a transform of length %lld", (long long)bins,
                               (long long)length);
    ctx->out[0].dtype = (hone_dtype)dtype;
    ctx->out[0].rank = 2;
    ctx->out[0].dims[0] = length == HONE_DIM_ANY ? length : length / 2 + 1;
    ctx->out[0].dims[1] = bins;
    return HONE_OK;
}

typedef struct params {
    hone_dtype dtypes[5], dtype;
    int64_t rows, bins;
} params;

static double at(const hone_step *s, const hone_frame *f, const params *p, int i) {
    double x = 0;
    hone_cast(p->dtypes[i], HONE_FLOAT64, hone_step_in(s, f, i), &x, 1);
    return x;
}

/* The spectrum's bin of edge i of bins + 2; the standard divides by their number. */
static double edge(double low, double high, int64_t i, int64_t bins, double length, double rate) {
    double mel = low + (double)i * (high - low) / (double)(bins + 2);
    return floor((length + 1) * 700 * (pow(10, mel / 2595) - 1) / rate);
}

static void fill(const params *p, double lower, double upper, double length, double rate, double *y) {
    double low = 2595 * log10(1 + lower / 700), high = 2595 * log10(1 + upper / 700);
    memset(y, 0, (size_t)(p->rows * p->bins) * sizeof *y);
    for (int64_t b = 0; b < p->bins; b++) {
        double from = edge(low, high, b, p->bins, length, rate),
               center = edge(low, high, b + 1, p->bins, length, rate),
               to = edge(low, high, b + 2, p->bins, length, rate);
        for (int64_t r = 0; r < p->rows; r++) {
            double k = (double)r, *w = &y[r * p->bins + b];
            if (k == center)
                *w = 1;
            else if (k >= from && k < center)
                *w = (k - from) / (center - from);
            else if (k > center && k < to)
                *w = (to - k) / (to - center);
        }
    }
}

static hone_status run(const hone_step *step, hone_frame *frame, hone_error *err) {
    const params *p = step->params;
    double *y = hone_step_scratch(step, frame), rate = at(step, frame, p, RATE);
    if (!(rate > 0)) return hone_step_fail(step, err, "a sample rate of %g", rate);
    fill(p, at(step, frame, p, LOWER), at(step, frame, p, UPPER), at(step, frame, p, LENGTH), rate, y);
    hone_cast(HONE_FLOAT64, p->dtype, y, hone_step_out(step, frame, 0), p->rows * p->bins);
    return HONE_OK;
}

static hone_status prepare(hone_prepare *p, hone_error *err) {
    params *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    for (int i = BINS; i <= UPPER; i++) q->dtypes[i] = p->in[i]->dtype;
    q->dtype = p->out[0].dtype;
    q->rows = p->out[0].dims[0];
    q->bins = p->out[0].dims[1];
    p->scratch = (size_t)(q->rows * q->bins) * sizeof(double);
    p->params = q;
    p->run = run;
    p->kernel = "mel";
    return HONE_OK;
}

const hone_op hone_op_mel_weight_matrix = {
    .name = "MelWeightMatrix",
    .since = 17,
    .oldest = 17,
    .inputs = HONE_SLOTS({"num_mel_bins", 'L', HONE_TYPES_INT, HONE_SLOT_SHAPE},
                         {"dft_length", 'L', HONE_TYPES_INT, HONE_SLOT_SHAPE},
                         {"sample_rate", 'L', HONE_TYPES_INT, 0}, {"lower_edge_hertz", 'E', REALS, 0},
                         {"upper_edge_hertz", 'E', REALS, 0}),
    .outputs = HONE_SLOTS({"output", 0, NUMBERS, 0}),
    .attrs = HONE_ATTRS({"output_datatype", HONE_ATTR_INT, .i = HONE_FLOAT32}),
    .infer = infer,
    .prepare = prepare,
    .gradient_kind = HONE_GRADIENT_ZERO,
    .doc = "weights that make mel bins of a spectrum"};
