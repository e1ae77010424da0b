/* Built-in architectures. */
#include "graph/infer.h"

#include "base/random.h"
#include "train/intake.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_LAYERS 64
#define MAX_WIDTH 1000000

/* "784-128-10" into widths; the number of them. */
static hone_status parse_widths(const char *text, int64_t *widths, int *count, hone_error *err) {
    *count = 0;
    for (const char *at = text;; at++) {
        char *end;
        long w = strtol(at, &end, 10);
        if (*at < '0' || *at > '9' || w < 1 || w > MAX_WIDTH || (*end && *end != '-'))
            return hone_fail(err, HONE_INVALID_ARGUMENT,
                             "model \"mlp:%s\": expected widths such as mlp:784-128-10", text);
        if (*count == MAX_LAYERS)
            return hone_fail(err, HONE_INVALID_ARGUMENT, "model \"mlp:%s\": more than %d layers", text,
                             MAX_LAYERS);
        widths[(*count)++] = w;
        if (!*end) break;
        at = end;
    }
    if (*count < 2)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "model \"mlp:%s\": at least two widths are needed",
                         text);
    return HONE_OK;
}

/* Uniform in ±1/sqrt(fan_in). */
static hone_value *parameter(hone_graph *g, const char *name, int rank, const int64_t *dims, int64_t fan_in,
                             uint64_t seed) {
    hone_tensor *t = NULL;
    if (hone_tensor_new(HONE_FLOAT32, rank, dims, &t, NULL) != HONE_OK) {
        hone_graph_out_of_memory(g);
        return NULL;
    }
    hone_rng rng = hone_rng_make(seed, hone_hash(name, strlen(name)));
    float bound = 1.0f / sqrtf((float)fan_in), *x = t->data;
    for (int64_t i = 0; i < t->count; i++) x[i] = (2 * hone_rng_uniform(&rng) - 1) * bound;
    hone_value *v = hone_graph_add_constant(g, name, t);
    hone_tensor_free(t);
    return v;
}

static hone_value *linear(hone_graph *g, hone_value *x, int layer, int64_t in, int64_t out, uint64_t seed) {
    char weight[64], bias[64], node[64];
    snprintf(weight, sizeof weight, "layer%d.weight", layer);
    snprintf(bias, sizeof bias, "layer%d.bias", layer);
    snprintf(node, sizeof node, "layer%d", layer);
    int64_t dims[] = {in, out};
    hone_value *w = parameter(g, weight, 2, dims, in, seed), *b = parameter(g, bias, 1, &out, in, seed);
    hone_value *inputs[] = {x, w, b};
    hone_node *n = hone_graph_add_node(g, hone_op_find("", "Gemm"), node, 3, inputs, 1);
    return n ? n->outputs[0] : NULL;
}

static hone_status check_widths(const hone_intake *f, const hone_dataset *data, const int64_t *widths,
                                int count, hone_error *err) {
    int64_t features = 1;
    for (int i = 0; i < f->rank; i++) features *= f->dims[i];
    if (features != widths[0])
        return hone_fail(err, HONE_INVALID_ARGUMENT,
                         "the model takes %lld values, but a sample of %s has %lld", (long long)widths[0],
                         hone_dataset_describe(data), (long long)features);
    if (f->classes > widths[count - 1])
        return hone_fail(err, HONE_INVALID_ARGUMENT, "the model has %lld outputs, but %s has %d classes",
                         (long long)widths[count - 1], hone_dataset_describe(data), f->classes);
    return HONE_OK;
}

static hone_status build_mlp(hone_graph *g, const int64_t *widths, int count, const hone_dataset *data,
                             const hone_build_options *options, hone_intake *f, hone_error *err) {
    HONE_TRY(hone_intake_make(g, data, options, f, err));
    HONE_TRY(check_widths(f, data, widths, count, err));
    hone_value *x = f->rank == 1 ? f->x : HONE_EMIT(g, "", "Flatten", f->x);
    for (int i = 1; i < count; i++) {
        x = linear(g, x, i, widths[i - 1], widths[i], options->seed);
        if (i + 1 < count) x = HONE_EMIT(g, "", "Relu", x);
    }
    return hone_intake_finish(g, f, data, x, err);
}

hone_status hone_build_model(const char *description, const hone_dataset *data,
                             const hone_build_options *options, hone_graph **out, hone_error *err) {
    static const hone_build_options defaults = HONE_BUILD_OPTIONS_INIT;
    int64_t widths[MAX_LAYERS];
    int count;
    if (!options) options = &defaults;
    HONE_TRY(hone_check_options_size(options->size, sizeof *options, err));
    if (strncmp(description, "mlp:", 4) != 0)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "model \"%s\" is not known; there is mlp:WIDTH-WIDTH-…",
                         description);
    HONE_TRY(parse_widths(description + 4, widths, &count, err));
    hone_graph *g = hone_graph_new("mlp");
    if (!g) return hone_fail_memory(err);
    hone_intake intake = {0};
    hone_status status = build_mlp(g, widths, count, data, options, &intake, err);
    hone_intake_free(&intake);
    if (status == HONE_OK)
        *out = g;
    else
        hone_graph_free(g);
    return status;
}
