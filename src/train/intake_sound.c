/* Sound into what networks for images read: the logarithm of a mel spectrogram, made in the graph, so that whoever serves the
 * model sends samples.
 *
 *   audio [batch, samples] ── STFT, squares ── × mel weights ── log ── less the clip's mean, by its deviation
 *                                                                         ──► x [batch, 1, frames, mels] */
#include "train/intake.h"

#include "graph/infer.h"

#include <math.h>

enum { MELS = 32, WINDOW_MS = 32, HOP_MS = 16 };

static hone_value *integer(hone_graph *g, int64_t x) {
    return hone_graph_scalar(g, HONE_INT64, (double)x);
}

static hone_value *number(hone_graph *g, double x) {
    return hone_graph_scalar(g, HONE_FLOAT32, x);
}

static hone_value *axes(hone_graph *g, int64_t first, int64_t second, int count) {
    return hone_graph_ints(g, (int64_t[]){first, second}, (size_t)count);
}

static hone_value *mean_of_clip(hone_graph *g, hone_value *x) {
    return HONE_EMIT(g, "", "ReduceMean", x, axes(g, 1, 2, 2));
}

/* Hann's, periodic. */
static hone_value *window(hone_graph *g, int64_t size) {
    hone_tensor *t = NULL;
    if (hone_tensor_new(HONE_FLOAT32, 1, &size, &t, NULL) != HONE_OK) {
        hone_graph_out_of_memory(g);
        return NULL;
    }
    for (int64_t i = 0; i < size; i++)
        ((float *)t->data)[i] = (float)(0.5 - 0.5 * cos(2 * M_PI * (double)i / (double)size));
    hone_value *v = hone_graph_add_constant(g, "window", t);
    hone_tensor_free(t);
    return v;
}

hone_status hone_intake_sound(hone_graph *g, hone_value *audio, int64_t samples, int rate, hone_intake *f,
                              hone_error *err) {
    int64_t size = (int64_t)rate * WINDOW_MS / 1000 / 2 * 2, hop = (int64_t)rate * HOP_MS / 1000;
    if (size < 16 || hop < 1 || samples < size)
        return hone_fail(err, HONE_INVALID_ARGUMENT,
                         "%lld samples at %d a second are too few for windows of %d ms", (long long)samples,
                         rate, (int)WINDOW_MS);
    hone_value *signal = HONE_EMIT(g, "", "Unsqueeze", audio, axes(g, 2, 0, 1));
    hone_value *s = HONE_EMIT(g, "", "STFT", signal, integer(g, hop), window(g, size), integer(g, size));
    hone_value *power = HONE_EMIT(g, "", "ReduceSum", HONE_EMIT(g, "", "Mul", s, s), axes(g, 3, 0, 1));
    if (power) hone_node_set_int(g, power->producer, "keepdims", 0);
    hone_value *mel = HONE_EMIT(g, "", "MelWeightMatrix", integer(g, MELS), integer(g, size),
                                integer(g, rate), number(g, 60), number(g, 0.475 * rate));
    hone_value *x = HONE_EMIT(g, "", "MatMul", power, mel);
    x = HONE_EMIT(g, "", "Log", HONE_EMIT(g, "", "Add", x, number(g, 1e-6)));
    x = HONE_EMIT(g, "", "Sub", x, mean_of_clip(g, x));
    hone_value *variance = mean_of_clip(g, HONE_EMIT(g, "", "Mul", x, x));
    hone_value *deviation = HONE_EMIT(g, "", "Sqrt", HONE_EMIT(g, "", "Add", variance, number(g, 1e-5)));
    x = HONE_EMIT(g, "", "Div", x, deviation);
    f->x = HONE_EMIT(g, "", "Unsqueeze", x, axes(g, 1, 0, 1));
    f->rank = 3;
    f->dims[0] = 1;
    f->dims[1] = (samples - size) / hop + 1;
    f->dims[2] = MELS;
    return hone_graph_check(g, err);
}
