/* What a model loses by each of its weights: it is quantized in that one alone, and what comes out is compared with what came
 * out before, on samples. */
#include "compress/quantize.h"
#include "train/evaluate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MOST_SAMPLES 256               /* they run through as many models as there are weights */
#define MOST_BYTES ((int64_t)64 << 20) /* of outputs that are kept */

/* Output 0 of the float model, sample by sample, and how far another one is off. */
typedef struct comparison {
    float *kept; /* NULL: the size is not known yet */
    int64_t samples, size;
    bool first; /* it is the float model that runs */
    double off, all;
} comparison;

static hone_status compare(void *user, int64_t first, int64_t n, const float *output, int64_t size,
                           hone_error *err) {
    comparison *c = user;
    if (!c->kept) {
        c->size = size;
        c->kept = hone_alloc((size_t)(c->samples * size) * sizeof *c->kept);
        if (!c->kept) return hone_fail_memory(err);
    }
    if (size != c->size || first + n > c->samples)
        return hone_fail(err, HONE_UNSUPPORTED, "the output's size differs from batch to batch");
    float *kept = c->kept + first * size;
    for (int64_t i = 0; i < n * size; i++) {
        if (c->first) {
            kept[i] = output[i];
            c->all += (double)output[i] * output[i];
        } else {
            c->off += ((double)output[i] - kept[i]) * ((double)output[i] - kept[i]);
        }
    }
    return HONE_OK;
}

static hone_status run(const hone_graph *g, const hone_dataset *data, const hone_quantize_options *o,
                       comparison *c, hone_error *err) {
    hone_model *m = NULL;
    int column;
    hone_feed *inputs = hone_calloc(g->input_count + 1, sizeof *inputs);
    hone_status status =
        inputs ? hone_task_wire(g, data, &o->task, inputs, &column, err) : hone_fail_memory(err);
    if (status == HONE_OK) status = hone_model_compile(g, NULL, &m, err);
    if (status == HONE_OK) status = hone_predict_all(m, data, inputs, o->threads, compare, c, NULL, err);
    hone_model_free(m);
    hone_free(inputs);
    return status;
}

/* As many samples as the outputs that are kept have room for. */
static hone_status draw(const hone_graph *g, const hone_dataset *data, const hone_quantize_options *o,
                        hone_dataset **out, hone_error *err) {
    int64_t bytes = sizeof(float), samples = o->calibration_samples;
    const hone_type *t = &g->outputs[0]->type;
    for (int i = 1; i < t->rank; i++) bytes *= t->dims[i] > 0 ? t->dims[i] : 1;
    if (!samples || samples > MOST_SAMPLES) samples = MOST_SAMPLES;
    if (samples > hone_dataset_count(data)) samples = hone_dataset_count(data);
    if (samples > MOST_BYTES / bytes) samples = MOST_BYTES / bytes > 0 ? MOST_BYTES / bytes : 1;
    return hone_calibration_draw(data, &o->task, samples, out, err);
}

static hone_status measure(const hone_graph *g, const hone_dataset *data, const hone_quantize_options *o,
                           hone_sensitivity *layers, int count, hone_error *err) {
    comparison c = {.samples = hone_dataset_count(data), .first = true};
    hone_status status = run(g, data, o, &c, err);
    c.first = false;
    for (int i = 0; i < count && status == HONE_OK; i++) {
        hone_graph *q = NULL;
        c.off = 0;
        status = hone_quantize_some(g, data, o, layers[i].weight, NULL, &q, err);
        if (status == HONE_OK) status = run(q, data, o, &c, err);
        layers[i].error = c.all > 0 ? sqrt(c.off / c.all) : 0;
        hone_graph_free(q);
    }
    hone_free(c.kept);
    return status;
}

static int by_error(const void *a, const void *b) {
    const hone_sensitivity *x = a, *y = b;
    return x->error != y->error ? (x->error < y->error) - (x->error > y->error)
                                : strcmp(x->weight, y->weight);
}

hone_status hone_quantize_sensitivity(const hone_graph *g, const hone_dataset *data,
                                      const hone_quantize_options *options, hone_sensitivity **out,
                                      int *count, hone_error *err) {
    hone_quantize_options o = HONE_QUANTIZE_OPTIONS_INIT;
    hone_dataset *drawn = NULL;
    hone_layers layers = {NULL, 0, 0};
    if (options) {
        HONE_TRY(hone_check_options_size(options->size, sizeof *options, err));
        o = *options;
    }
    if (o.mode > HONE_QUANTIZE_WEIGHTS || !data || g->output_count < 1)
        return hone_fail(err, HONE_INVALID_ARGUMENT,
                         "sensitivity is of quantized weights, and needs data and an output to compare");
    o.edge_bits = o.bits; /* alone, a weight is both the first and the last */
    o.finetune = NULL;
    o.keep_count = 0;
    hone_status status = hone_quantize_some(g, data, &o, "", &layers, NULL, err);
    if (status == HONE_OK) status = draw(g, data, &o, &drawn, err);
    o.calibration_samples = 0;
    if (status == HONE_OK) status = measure(g, drawn ? drawn : data, &o, layers.items, layers.count, err);
    hone_dataset_free(drawn);
    if (status != HONE_OK) {
        hone_sensitivity_free(layers.items, layers.count);
        return status;
    }
    qsort(layers.items, (size_t)layers.count, sizeof *layers.items, by_error);
    *out = layers.items;
    *count = layers.count;
    return HONE_OK;
}

void hone_sensitivity_free(hone_sensitivity *layers, int count) {
    for (int i = 0; i < count; i++) hone_free(layers[i].weight);
    hone_free(layers);
}
