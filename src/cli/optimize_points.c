#include "optimize.h"

#include "files.h"
#include "signals.h"

#include <hone/session.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Cheap ones first; what training makes is behind what it starts from. */
const cli_recipe cli_recipes[] = {
    {"fp32", NULL, .mode = HONE_QUANTIZE_STATIC},
    {"fp16", "fp32", .mode = HONE_QUANTIZE_FLOAT16},
    {"int8", "fp32", .mode = HONE_QUANTIZE_STATIC, .bits = 8},
    {"dynamic", "fp32", .mode = HONE_QUANTIZE_DYNAMIC, .bits = 8},
    {"weights4", "fp32", .mode = HONE_QUANTIZE_WEIGHTS, .bits = 4, .edge_bits = 8, .gptq = true},
    {"int4", "fp32", .mode = HONE_QUANTIZE_STATIC, .bits = 4, .edge_bits = 8, .gptq = true},
    {"int4-mixed", "fp32", .mode = HONE_QUANTIZE_STATIC, .bits = 4, .edge_bits = 4, .gptq = true,
     .keep_one = 4},
    {"int4-trained", "fp32", .mode = HONE_QUANTIZE_STATIC, .bits = 4, .edge_bits = 4, .epochs = 1},
    {"weights2-trained", "fp32", .mode = HONE_QUANTIZE_WEIGHTS, .bits = 2, .edge_bits = 4, .epochs = 1},
    {"sparse80", "fp32", .sparsity = 0.8, .epochs = 2},
    {"sparse80-packed", "sparse80", .mode = HONE_QUANTIZE_CLUSTERS, .clusters = 12, .epochs = 1},
    /* 0.7 of the channels are half of the multiply-adds between them */
    {"channels70", "fp32", .structured = 0.3, .epochs = 1},
    {"channels70-int8", "channels70", .mode = HONE_QUANTIZE_STATIC, .bits = 8},
    {"channels70-int4", "channels70", .mode = HONE_QUANTIZE_STATIC, .bits = 4, .edge_bits = 4, .epochs = 1},
    {"channels70-weights2", "channels70", .mode = HONE_QUANTIZE_WEIGHTS, .bits = 2, .edge_bits = 4,
     .epochs = 1},
    {"channels70-sparse60", "channels70", .sparsity = 0.6, .epochs = 1},
    {"channels70-packed", "channels70-sparse60", .mode = HONE_QUANTIZE_CLUSTERS, .clusters = 12, .epochs = 1},
    {"channels50", "channels70", .structured = 0.3, .epochs = 1},
    {"channels50-int8", "channels50", .mode = HONE_QUANTIZE_STATIC, .bits = 8},
    {"channels50-int4", "channels50", .mode = HONE_QUANTIZE_STATIC, .bits = 4, .edge_bits = 4, .epochs = 1},
    {"channels35", "channels50", .structured = 0.3, .epochs = 1},
    {"channels35-int8", "channels35", .mode = HONE_QUANTIZE_STATIC, .bits = 8},
};

int cli_recipe_count(void) {
    return (int)(sizeof cli_recipes / sizeof *cli_recipes);
}

static const cli_point *point_of(const cli_search *s, const char *name) {
    for (int i = 0; i < s->count; i++)
        if (strcmp(s->points[i].recipe->name, name) == 0) return &s->points[i];
    return NULL;
}

/* --- making --- */

static bool go_on(void *user, const hone_train_progress *p) {
    const cli_search *s = user;
    (void)p;
    return cli_signal() == 0 && cli_seconds_now() < s->deadline;
}

static hone_train_options training_of(cli_search *s, const cli_recipe *r) {
    hone_train_options o = s->finetune;
    o.epochs *= r->epochs;
    o.task = *s->task;
    o.progress = go_on;
    o.user = s;
    return o;
}

static hone_status prune(cli_search *s, const cli_recipe *r, const hone_graph *from, hone_graph **out,
                         hone_error *err) {
    hone_prune_options o = HONE_PRUNE_OPTIONS_INIT;
    o.structured = r->structured;
    o.sparsity = r->sparsity;
    o.finetune = training_of(s, r);
    o.distill = o.finetune.alpha > 0;
    return hone_prune(from, s->data.train, &o, out, NULL, err);
}

static int kept_of(const cli_search *s, const cli_recipe *r) {
    return r->keep_one ? (s->layers.count + r->keep_one - 1) / r->keep_one : 0;
}

/* The weights that cost most: found once. */
static hone_status keep_worst(cli_search *s, const cli_recipe *r, const hone_graph *from,
                              hone_quantize_options *o, const char ***names, hone_error *err) {
    hone_status status = HONE_OK;
    if (!r->keep_one) return HONE_OK;
    if (!s->layers.count) status = cli_layers_find(from, s->data.train, o, &s->layers, err);
    *names = cli_alloc((size_t)(s->layers.count + 1) * sizeof **names);
    for (int i = 0; i < kept_of(s, r); i++) (*names)[o->keep_count++] = s->layers.items[i].weight;
    o->keep = *names;
    return status;
}

static hone_status quantize(cli_search *s, const cli_recipe *r, const hone_graph *from, hone_graph **out,
                            hone_error *err) {
    hone_quantize_options o = HONE_QUANTIZE_OPTIONS_INIT;
    hone_train_options finetune = training_of(s, r);
    o.mode = r->mode;
    o.task = *s->task;
    o.threads = s->finetune.threads;
    if (r->bits) o.bits = r->bits;
    if (r->edge_bits) o.edge_bits = r->edge_bits;
    if (r->mode == HONE_QUANTIZE_WEIGHTS) o.block = 0;
    if (r->clusters) o.clusters = r->clusters;
    o.rounding = r->gptq ? HONE_ROUND_GPTQ : HONE_ROUND_AUTO;
    o.correct_bias = r->gptq;
    o.distill = finetune.alpha > 0;
    if (r->epochs) o.finetune = &finetune;
    const char **names = NULL;
    hone_status status = keep_worst(s, r, from, &o, &names, err);
    if (status == HONE_OK) status = hone_quantize(from, s->data.train, &o, out, NULL, err);
    free(names);
    return status;
}

static hone_status make(cli_search *s, const cli_point *p, hone_graph **out, hone_error *err) {
    const cli_recipe *r = p->recipe;
    const cli_point *from = r->from ? point_of(s, r->from) : NULL;
    hone_graph *g = NULL;
    if (!r->from) return hone_graph_copy(s->graph, out, err);
    if (!from->there) {
        *err = (hone_error){.code = HONE_UNSUPPORTED};
        snprintf(err->message, sizeof err->message, "there is no %s to make it of", r->from);
        return HONE_UNSUPPORTED;
    }
    hone_status status = hone_graph_load(from->path, &g, err);
    const bool prunes = r->structured > 0 || r->sparsity > 0;
    if (status == HONE_OK) status = (prunes ? prune : quantize)(s, r, g, out, err);
    hone_graph_free(g);
    return status;
}

/* --- measuring --- */

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Milliseconds of a run: on a busy machine the fastest eighth tells of the model. Joules are those of all runs. */
static hone_status time_runs(hone_context *c, const hone_tensor *const *inputs, const hone_tensor **outputs,
                             cli_energy *energy, double *ms, double *joules, hone_error *err) {
    enum { MOST = 4000, FEWEST = 16 };
    static double times[MOST];
    int runs = 0;
    hone_status status = hone_context_run(c, inputs, outputs, err);
    cli_energy_start(energy);
    const double start = cli_seconds_now();
    for (double before = start;
         status == HONE_OK && runs < MOST && (before - start < 0.3 || runs < FEWEST);) {
        status = hone_context_run(c, inputs, outputs, err);
        const double after = cli_seconds_now();
        times[runs++] = 1e3 * (after - before);
        before = after;
    }
    cli_energy_stop(energy);
    *joules = runs ? energy->reading.joules / runs : NAN;
    qsort(times, (size_t)runs, sizeof *times, compare);
    *ms = runs ? times[runs / 8] : NAN;
    return status;
}

/* One sample of zeros. */
static hone_status make_inputs(const hone_graph *g, hone_tensor **inputs, hone_error *err) {
    hone_value_info v;
    for (int i = 0; hone_graph_input(g, i, &v); i++) {
        for (int d = 0; d < v.rank; d++)
            if (v.dims[d] < 0) v.dims[d] = 1;
        hone_status status = hone_tensor_new(v.dtype, v.rank > 0 ? v.rank : 0, v.dims, &inputs[i], err);
        if (status != HONE_OK) return status;
    }
    return HONE_OK;
}

static hone_status time_model(hone_model *m, int threads, cli_energy *energy, double *ms, double *joules,
                              hone_error *err) {
    const hone_graph *g = hone_model_signature(m);
    const int in = hone_graph_input_count(g), out = hone_graph_output_count(g);
    hone_tensor **inputs = cli_alloc((size_t)(in + 1) * sizeof(hone_tensor *));
    const hone_tensor **outputs = cli_alloc((size_t)(out + 1) * sizeof(hone_tensor *));
    hone_session *session = NULL;
    hone_context *context = NULL;
    hone_session_options o = HONE_SESSION_OPTIONS_INIT;
    memset(inputs, 0, (size_t)(in + 1) * sizeof(hone_tensor *));
    o.threads = threads;
    hone_status status = hone_session_create(m, &o, &session, err);
    if (status == HONE_OK) status = hone_context_create(session, &context, err);
    if (status == HONE_OK) status = make_inputs(g, inputs, err);
    if (status == HONE_OK)
        status = time_runs(context, (const hone_tensor *const *)inputs, outputs, energy, ms, joules, err);
    for (int i = 0; i < in; i++) hone_tensor_free(inputs[i]);
    hone_context_free(context);
    hone_session_free(session);
    free(inputs);
    free(outputs);
    return status;
}

static double quality_of(const hone_eval_report *r) {
    return r->metrics[0].share ? r->metrics[0].value : -r->loss;
}

static hone_status measure(cli_search *s, const hone_graph *g, cli_point *p, hone_error *err) {
    hone_eval_report report;
    hone_graph_stats stats;
    hone_model *m = NULL;
    hone_status status = hone_model_compile(g, NULL, &m, err);
    if (status == HONE_OK) status = hone_graph_get_stats(g, &stats, err);
    if (status == HONE_OK)
        status = hone_evaluate_model(m, s->data.validation, s->task, s->finetune.threads, &report, err);
    if (status == HONE_OK) {
        p->quality = quality_of(&report);
        p->multiply_adds = stats.multiply_adds;
        s->share = report.metrics[0].share;
        s->metric = s->share ? report.metrics[0].name : "loss";
    }
    if (status == HONE_OK && s->data.test) {
        status = hone_evaluate_model(m, s->data.test, s->task, s->finetune.threads, &report, err);
        p->test = quality_of(&report);
    }
    for (int threads = 2; threads > 0 && status == HONE_OK; threads--)
        status = time_model(m, threads, &s->energy, &p->ms[threads - 1], &p->joules, err); /* of one thread */
    hone_model_free(m);
    return status;
}

hone_status cli_point_make(cli_search *s, int i, hone_error *err) {
    cli_point *p = &s->points[i];
    const double start = cli_seconds_now();
    hone_graph *g = NULL;
    p->test = NAN;
    hone_status status = make(s, p, &g, err);
    if (status == HONE_OK && p->recipe->epochs && (cli_signal() || cli_seconds_now() >= s->deadline)) {
        snprintf(err->message, sizeof err->message, "no time was left");
        status = HONE_CANCELLED;
    }
    p->seconds = cli_seconds_now() - start;
    if (status == HONE_OK) status = cli_save_as(g, p->path, p->recipe->clusters > 0, err);
    if (status == HONE_OK) status = measure(s, g, p, err);
    hone_graph_free(g);
    p->bytes = cli_model_bytes(p->path);
    p->there = status == HONE_OK;
    return status;
}

/* --- comparing and telling --- */

/* Is a as good as b in everything, and better in something? Times of 5 % are noise. */
static bool beats(const cli_point *a, const cli_point *b) {
    if (a->quality < b->quality || a->bytes > b->bytes || a->ms[0] > 1.05 * b->ms[0]) return false;
    return a->quality > b->quality || a->bytes < b->bytes || 1.05 * a->ms[0] < b->ms[0];
}

static bool equals(const cli_point *a, const cli_point *b) {
    return a->quality == b->quality && a->bytes == b->bytes;
}

void cli_points_compare(cli_search *s) {
    for (int i = 0; i < s->count; i++) {
        s->points[i].best = s->points[i].there;
        for (int k = 0; k < s->count; k++)
            if (s->points[k].there && (beats(&s->points[k], &s->points[i]) ||
                                       (k < i && equals(&s->points[k], &s->points[i])))) /* the same model */
                s->points[i].best = false;
    }
}

const char *cli_quality_text(const cli_search *s, double quality) {
    return s->share ? cli_percent(quality) : cli_text("%.4f", -quality);
}

const char *cli_point_command(const cli_search *s, int i) {
    static const char *const modes[] = {"static", "dynamic", "weights", "fp16", "bf16", "clusters"};
    const cli_point *p = &s->points[i];
    const cli_recipe *r = p->recipe;
    if (!r->from) return "";
    const char *from = point_of(s, r->from)->path,
               *epochs = r->epochs ? cli_text(" --finetune-epochs %d", r->epochs * s->finetune.epochs) : "";
    if (r->structured > 0 || r->sparsity > 0)
        return cli_text("hone prune %s --%s %g%s --out %s", from,
                        r->structured > 0 ? "structured" : "sparsity", r->structured + r->sparsity, epochs,
                        p->path);
    if (r->clusters)
        return cli_text("hone quantize %s --mode clusters --clusters %d%s --pack --out %s", from, r->clusters,
                        epochs, p->path);
    const char *bits = r->bits ? cli_text(" --bits %d", r->bits) : "",
               *edges = r->edge_bits ? cli_text(" --edge-bits %d", r->edge_bits) : "";
    const char *kept = r->keep_one ? cli_text(" --keep-worst %d", kept_of(s, r)) : "";
    return cli_text("hone quantize %s --mode %s%s%s%s%s%s%s --out %s", from, modes[r->mode], bits, edges,
                    r->mode == HONE_QUANTIZE_WEIGHTS ? " --block 0" : "",
                    r->gptq ? " --rounding gptq --correct-bias" : "", kept, epochs, p->path);
}
