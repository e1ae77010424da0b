/* Grad-CAM: a layer's channels, weighed by their mean gradients, added up; what speaks for the target is left, and brought to the
 * size of the input. */
#include "base/error.h"
#include "base/memory.h"
#include "explain/probe.h"
#include "graph/tensor.h"

#include <math.h>

enum { MOST = HONE_MAX_RANK };

/* Place `at` of `count` in a row of `n`: between which two, and how far, as bilinear resizing with half-pixel centres has it. */
static void between(int64_t at, int64_t count, int64_t n, int64_t *low, int64_t *high, double *part) {
    double x = ((double)at + 0.5) * (double)n / (double)count - 0.5;
    x = fmin(fmax(x, 0), (double)(n - 1));
    *low = (int64_t)x;
    *high = *low + 1 < n ? *low + 1 : *low;
    *part = x - (double)*low;
}

/* The map's value at a place of the input: linear along each axis. */
static double sample(const double *map, const int64_t *places, int rank, const int64_t *at,
                     const int64_t *dims) {
    double sum = 0;
    for (int corner = 0; corner < 1 << rank; corner++) {
        double weight = 1;
        int64_t index = 0;
        for (int d = 0; d < rank; d++) {
            int64_t low, high;
            double part;
            between(at[d], dims[d], places[d], &low, &high, &part);
            weight *= corner >> d & 1 ? part : 1 - part;
            index = index * places[d] + (corner >> d & 1 ? high : low);
        }
        sum += weight * map[index];
    }
    return sum;
}

static void add_up(const hone_tensor *x, const hone_tensor *gradient, double *map) {
    int64_t channels = x->dims[1], places = x->count / channels;
    for (int64_t c = 0; c < channels; c++) {
        const float *g = (const float *)gradient->data + c * places, *v = (const float *)x->data + c * places;
        double weight = 0;
        for (int64_t i = 0; i < places; i++) weight += g[i];
        for (int64_t i = 0; i < places; i++) map[i] += weight / (double)places * v[i];
    }
    for (int64_t i = 0; i < places; i++) map[i] = fmax(map[i], 0);
}

/* The axes of an input that the map's are: those behind the batch, but for the channels, which are first or last. */
static bool find_axes(const hone_tensor *x, int rank, int *first) {
    if (x->dtype != HONE_FLOAT32 || x->rank != rank + 2) return false;
    *first = x->dims[x->rank - 1] <= 4 && x->dims[1] > 4 ? 1 : 2;
    return true;
}

static void spread(const hone_tensor *x, const double *map, const int64_t *places, int rank, int first,
                   float *values) {
    int64_t at[MOST] = {0};
    for (int64_t i = 0; i < x->count; i++) {
        values[i] = (float)sample(map, places, rank, at + first, x->dims + first);
        for (int d = x->rank - 1; d >= 0 && ++at[d] == x->dims[d]; d--) at[d] = 0;
    }
}

static hone_status draw(hone_subject *s, const hone_point *p, hone_error *err) {
    const hone_tensor *x = p->start;
    int rank = x->rank - 2, first;
    if (rank < 1 || x->dims[0] != 1 || !p->gradient || x->count == 0)
        return hone_fail(err, HONE_UNSUPPORTED,
                         "the layer has no channels and places, or nothing hangs on it");
    double *map = hone_calloc((size_t)(x->count / x->dims[1]), sizeof *map);
    if (!map) return hone_fail_memory(err);
    add_up(x, p->gradient, map);
    hone_status status = HONE_UNSUPPORTED;
    for (int i = 0; i < s->input_count && status == HONE_UNSUPPORTED; i++) {
        float *values;
        if (!find_axes(s->inputs[i], rank, &first)) continue;
        status = hone_subject_values(s, i, &values, err);
        if (status == HONE_OK) spread(s->inputs[i], map, x->dims + 2, rank, first, values);
    }
    hone_free(map);
    return status == HONE_UNSUPPORTED
               ? hone_fail(err, status, "no input has the places of the layer, [1, C] and %d more", rank)
               : status;
}

hone_status hone_explain_by_layer(hone_subject *s, hone_error *err) {
    hone_probe *probe = NULL;
    double ignored;
    HONE_TRY(hone_probe_new(s, true, &probe, err));
    hone_status status = hone_probe_run(probe, &ignored, err);
    if (status == HONE_OK) status = draw(s, hone_probe_point(probe, 0), err);
    hone_probe_free(probe);
    return status;
}
