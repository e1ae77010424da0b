/* Built-in architectures. */
#include "graph/infer.h"

#include "base/random.h"
#include "train/task.h"

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

static hone_value *named(hone_graph *g, const char *name, double x) {
    hone_value *v = hone_graph_scalar(g, HONE_FLOAT32, x);
    if (v) hone_graph_rename(g, v, name);
    return v;
}

static hone_status set_classes(hone_graph *g, const hone_dataset *data, int classes, hone_error *err) {
    char text[65536] = "";
    size_t used = 0;
    for (int i = 0; i < classes; i++) {
        const char *name = hone_dataset_class_name(data, i);
        if (!name) return HONE_OK;
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%s", i ? "\n" : "", name);
        if (used >= sizeof text) return HONE_OK;
    }
    return hone_graph_set_metadata(g, "hone.classes", text, err);
}

/* What a network is built for. */
typedef struct site {
    const hone_dataset *data;
    const hone_build_options *options;
    hone_value *input;
    int column;  /* that feeds the input */
    int classes; /* of the target, where the objective wants labels; else 0 */
    double mean, deviation;
} site;

/* The graph's input "input", of the column's shape. */
static hone_status make_input(hone_graph *g, site *s, hone_error *err) {
    hone_type any = {.kind = HONE_KIND_TENSOR, .dtype = HONE_FLOAT32, .rank = HONE_RANK_ANY};
    hone_feed feed;
    int target;
    s->input = hone_graph_add_input(g, "input", &any);
    HONE_TRY(hone_graph_check(g, err));
    HONE_TRY(hone_task_wire(g, s->data, &s->options->task, &feed, &target, err));
    int64_t dims[HONE_MAX_RANK] = {hone_graph_symbol(g, "batch")};
    if (feed.rank + 1 > HONE_MAX_RANK)
        return hone_fail(err, HONE_UNSUPPORTED, "samples of rank %d", feed.rank);
    memcpy(dims + 1, feed.dims, (size_t)feed.rank * sizeof *dims);
    s->input->type = hone_type_make(HONE_FLOAT32, feed.rank + 1, dims);
    s->column = feed.reading.column;
    const hone_objective *objective;
    HONE_TRY(hone_task_objective(g, &s->options->task, &objective, err));
    hone_type output = hone_type_make(HONE_FLOAT32, 2, (int64_t[]){dims[0], HONE_DIM_ANY}), wanted;
    if (objective->target(&output, &wanted) && hone_dtype_is_int(wanted.dtype))
        s->classes = hone_dataset_classes(s->data, target);
    return HONE_OK;
}

static hone_status find_moments(site *s, hone_error *err) {
    const hone_build_options *o = s->options;
    s->mean = o->mean;
    s->deviation = o->deviation;
    if (s->deviation == 0) hone_dataset_moments(s->data, s->column, o->samples, &s->mean, &s->deviation);
    if (!((float)s->deviation > 0) || !isfinite((float)s->mean) || !isfinite((float)s->deviation))
        return hone_fail(err, HONE_INVALID_ARGUMENT, "the data cannot be standardized: mean %g, deviation %g",
                         s->mean, s->deviation);
    return HONE_OK;
}

static hone_status check_widths(const site *s, const int64_t *widths, int count, hone_error *err) {
    int64_t features = 1;
    for (int i = 1; i < s->input->type.rank; i++) features *= s->input->type.dims[i];
    if (features != widths[0])
        return hone_fail(err, HONE_INVALID_ARGUMENT,
                         "the model takes %lld values, but a sample of %s has %lld", (long long)widths[0],
                         hone_dataset_describe(s->data), (long long)features);
    if (s->classes > widths[count - 1])
        return hone_fail(err, HONE_INVALID_ARGUMENT, "the model has %lld outputs, but %s has %d classes",
                         (long long)widths[count - 1], hone_dataset_describe(s->data), s->classes);
    return HONE_OK;
}

static hone_status build_mlp(hone_graph *g, const int64_t *widths, int count, site *s, hone_error *err) {
    HONE_TRY(make_input(g, s, err));
    HONE_TRY(check_widths(s, widths, count, err));
    HONE_TRY(find_moments(s, err));
    hone_value *x = HONE_EMIT(g, "", "Sub", s->input, named(g, "mean", s->mean));
    x = HONE_EMIT(g, "", "Mul", x,
                  named(g, "scale", 1 / s->deviation)); /* dividing costs several times as much */
    x = HONE_EMIT(g, "", "Flatten", x);
    for (int i = 1; i < count; i++) {
        x = linear(g, x, i, widths[i - 1], widths[i], s->options->seed);
        if (i + 1 < count) x = HONE_EMIT(g, "", "Relu", x);
    }
    HONE_TRY(hone_graph_check(g, err));
    hone_graph_rename(g, x, "logits");
    hone_graph_add_output(g, x);
    HONE_TRY(set_classes(g, s->data, s->classes, err));
    HONE_TRY(hone_graph_check(g, err));
    return hone_graph_infer(g, err);
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
    hone_status status = build_mlp(g, widths, count, &(site){.data = data, .options = options}, err);
    if (status == HONE_OK)
        *out = g;
    else
        hone_graph_free(g);
    return status;
}
