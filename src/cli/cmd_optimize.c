#include "optimize.h"

#include "files.h"
#include "gate.h"
#include "signals.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static struct {
    const char *model, *out, *report, *dir, *gate, *budget;
    cli_data data;
    int target;
    bool json;
    cli_task task;
    cli_energy energy;
    hone_train_options finetune;
} args = {.energy = CLI_ENERGY_INIT, .budget = "20m", .finetune = HONE_FINETUNE_OPTIONS_INIT(2)};

static const cli_option options[] = {
    OPT_MODEL(args.model),
    OPT_DATA(args.data, .required = true),
    OPT_PARTS(args.data),
    OPT_TASK(args.task),
    OPT_OUT(args.out),
    OPT_TEXT("dir", "DIR", args.dir,
             "where all models and points.json go; what is there already is not made again (default: OUT.d)"),
    OPT_TEXT("report", "FILE", args.report, "a page with tables, plots and the command for each model"),
    OPT_CHOICE("target", "size|latency", args.target,
               "of what passes the gate, the smallest or the fastest is taken"),
    OPT_TEXT("gate", "METRIC:X", args.gate,
             "what may be lost on validation samples: accuracy:0.5, in points, loss:0.02, or loss:1% of it "
             "(default: all may)"),
    OPT_TEXT("budget", "TIME", args.budget, "when no more models are begun, and training ends: 90s, 20m, 2h"),
    OPT_INT("finetune-epochs", "N", args.finetune.epochs, 1, 1000000,
            "epochs of training after each step that needs it"),
    OPT_FINETUNING(args.finetune),
    OPT_TRAINING(args.finetune),
    OPT_WATTS(args.energy),
    OPT_JSON(args.json),
    OPT_END,
};

enum { TARGET_SIZE, TARGET_LATENCY };

/* --- options --- */

static int read_budget(double *seconds) {
    char *end;
    *seconds = strtod(args.budget, &end);
    const double unit = *end == 'm' ? 60 : *end == 'h' ? 3600 : 1;
    if (*end && strchr("smh", *end)) end++;
    if (end == args.budget || *end || !(*seconds > 0 && *seconds < 1e9))
        return cli_usage_error("--budget needs a time as 90s, 20m or 2h, not '%s'", args.budget);
    *seconds *= unit;
    return CLI_OK;
}

/* --- the file of what is done --- */

/* FNV-1a of the model's file and of what shapes the points. */
static uint64_t mark_of(const char *path) {
    uint64_t hash = 0xcbf29ce484222325u;
    FILE *f = fopen(path, "rb");
    char text[256];
    for (int c; f && (c = getc(f)) != EOF;) hash = (hash ^ (uint64_t)c) * 0x100000001b3u;
    if (f) fclose(f);
    const hone_train_options *o = &args.finetune;
    snprintf(text, sizeof text, "%.80s %d %d %g %g %g %d %lld %llu", args.data.spec, o->epochs, o->batch,
             o->learning_rate, o->alpha, o->weight_decay, (int)o->optimizer, (long long)o->max_samples,
             (unsigned long long)o->seed);
    for (const char *t = text; *t; t++) hash = (hash ^ (uint8_t)*t) * 0x100000001b3u;
    return hash;
}

static char *join(const char *dir, const char *name, const char *end) {
    char *path = cli_alloc(strlen(dir) + strlen(name) + strlen(end) + 2);
    sprintf(path, "%s/%s%s", dir, name, end);
    return path;
}

static double number(const json_t *o, const char *key) {
    const json_t *v = json_object_get(o, key);
    return json_is_number(v) ? json_number_value(v) : NAN;
}

/* What an earlier run measured, of files that are still as it left them. */
static void read_point(cli_search *s, const json_t *o) {
    const char *name = json_string_value(json_object_get(o, "name"));
    for (int i = 0; name && i < s->count; i++) {
        cli_point *p = &s->points[i];
        const double quality = number(o, s->metric), bytes = number(o, "file_bytes");
        if (strcmp(p->recipe->name, name) != 0 || !isfinite(quality) ||
            cli_model_bytes(p->path) != (int64_t)bytes)
            continue;
        const double sign = s->share ? 1 : -1;
        p->there = true;
        p->quality = sign * quality;
        p->test = sign * number(o, "test");
        p->bytes = (int64_t)bytes;
        p->multiply_adds = (int64_t)number(o, "multiply_adds");
        p->ms[0] = number(o, "ms_1_thread");
        p->ms[1] = number(o, "ms_2_threads");
        p->joules = number(o, "joules");
        p->seconds = number(o, "seconds");
    }
}

static void read_points(cli_search *s, const char *path, uint64_t mark) {
    json_t *all = json_load_file(path, 0, NULL), *o;
    size_t i;
    const char *metric = json_string_value(json_object_get(all, "metric")),
               *was = json_string_value(json_object_get(all, "mark"));
    if (metric && was && strcmp(was, cli_text("%016llx", (unsigned long long)mark)) == 0) {
        s->share = strcmp(metric, "loss") != 0;
        s->metric = s->share ? "accuracy" : "loss";
        json_array_foreach(json_object_get(all, "points"), i, o) read_point(s, o);
        cli_layers_read(json_object_get(all, "sensitivity"), &s->layers);
    } else if (all) {
        cli_note("%s is of another model, other data or other options: all is made anew", path);
    }
    json_decref(all);
}

static hone_status write_points(const cli_search *s, const char *path, uint64_t mark, int chosen,
                                hone_error *err) {
    json_t *o = cli_search_json(s, chosen);
    json_object_set_new(o, "mark", json_string(cli_text("%016llx", (unsigned long long)mark)));
    char *text = json_dumps(o, JSON_INDENT(1) | JSON_PRESERVE_ORDER);
    json_decref(o);
    hone_status status = cli_write_text(path, text ? text : "", err);
    free(text);
    return status;
}

/* --- the search --- */

static void make_points(cli_search *s) {
    s->count = cli_recipe_count();
    s->points = cli_alloc((size_t)s->count * sizeof *s->points);
    for (int i = 0; i < s->count; i++)
        s->points[i] = (cli_point){
            .recipe = &cli_recipes[i],
            .path = join(s->dir, cli_recipes[i].name, cli_recipes[i].clusters ? ".hone" : ".onnx"),
            .test = NAN};
}

/* Where the data have no part for validation, a tenth of the training samples is one. */
static hone_status part(cli_search *s, hone_error *err) {
    hone_draw_options o = HONE_DRAW_OPTIONS_INIT;
    hone_dataset *all = s->data.train;
    if (s->data.validation) return HONE_OK;
    o.seed = args.finetune.seed;
    o.target = s->task->target;
    o.group = args.data.group;
    hone_status status = hone_dataset_draw(all, &o, &s->data.validation, &s->data.train, err);
    if (status == HONE_OK)
        hone_dataset_free(all);
    else
        s->data.train = all;
    return status;
}

static int make_all(cli_search *s, const char *state, uint64_t mark) {
    for (int i = 0; i < s->count; i++) {
        hone_error err = {0};
        cli_point *p = &s->points[i];
        if (p->there) continue;
        if (i > 0 && cli_seconds_now() >= s->deadline) {
            snprintf(p->why, sizeof p->why, "no time was left");
            continue;
        }
        hone_status status = cli_point_make(s, i, &err);
        if (cli_signal()) {
            cli_error("interrupted; the same command goes on with what is in %s", s->dir);
            return 128 + cli_signal();
        }
        if (status != HONE_OK && i == 0) return cli_fail_model(&err, args.model);
        if (status != HONE_OK) hone_error_format(&err, p->why, sizeof p->why);
        if (status == HONE_OK)
            cli_note("%s: %s, %s bytes, %.3g ms, made in %.0f s", p->recipe->name,
                     cli_quality_text(s, p->quality), cli_count(p->bytes), p->ms[0], p->seconds);
        CLI_TRY(write_points(s, state, mark, -1, &err));
    }
    return CLI_OK;
}

/* What loses no more than it may, and is the smallest or the fastest; -1: nothing. The model itself is none. */
static int choose(const cli_search *s, const cli_gate *gate) {
    const double whole = s->points[0].quality, unit = gate->relative ? 100 / fabs(whole) : s->share ? 100 : 1;
    int chosen = -1;
    for (int i = 1; i < s->count; i++) {
        const cli_point *p = &s->points[i], *best = chosen >= 0 ? &s->points[chosen] : NULL;
        const double lost = unit * (whole - p->quality);
        if (!p->there || lost > gate->most + 1e-9) continue;
        if (!best || (args.target == TARGET_SIZE ? p->bytes < best->bytes : p->ms[0] < best->ms[0]))
            chosen = i;
    }
    return chosen;
}

static hone_status take(const cli_search *s, int chosen, hone_error *err) {
    hone_graph *g = NULL;
    hone_status status = hone_graph_load(s->points[chosen].path, &g, err);
    if (status == HONE_OK) status = cli_save_as(g, args.out, s->points[chosen].recipe->clusters > 0, err);
    hone_graph_free(g);
    return status;
}

static int tell(cli_search *s, const char *state, uint64_t mark, const cli_gate *gate) {
    hone_error err = {0};
    cli_points_compare(s);
    if (gate->metric[0] && strcmp(gate->metric, s->metric) != 0)
        return cli_usage_error("--gate %s: what is measured of this model is its %s", args.gate, s->metric);
    const int chosen = choose(s, gate);
    CLI_TRY(write_points(s, state, mark, chosen, &err));
    if (args.report) CLI_TRY(cli_search_html(s, chosen, args.report, &err));
    if (chosen >= 0) CLI_TRY(take(s, chosen, &err));
    if (args.json)
        cli_print_json(cli_search_json(s, chosen));
    else
        cli_search_print(s, chosen);
    if (chosen < 0) {
        cli_error("no model passes --gate %s; the nearest are those that are best",
                  args.gate ? args.gate : "");
        return CLI_GATE;
    }
    if (!args.json) printf("wrote %s, the model %s\n", args.out, s->points[chosen].recipe->name);
    return CLI_OK;
}

static int work(cli_search *s) {
    hone_error err = {0};
    cli_gate gate;
    double budget;
    if (read_budget(&budget) != CLI_OK || cli_gate_read(args.gate, &gate) != CLI_OK) return CLI_USAGE;
    if (cli_read_task(&args.task, &args.finetune.task) != CLI_OK) return CLI_USAGE;
    s->task = &args.finetune.task;
    s->finetune = args.finetune;
    s->energy = args.energy;
    cli_energy_start(&s->energy); /* it says how it measures */
    cli_energy_stop(&s->energy);
    s->deadline = cli_seconds_now() + budget;
    CLI_TRY(cli_check_output(args.out, &err));
    CLI_TRY(cli_check_directory(s->dir, &err));
    CLI_TRY(hone_graph_load(args.model, &s->graph, &err));
    args.data.model_path = args.model;
    CLI_TRY(cli_open_parts(&args.data, s->task, s->graph, args.finetune.seed, &s->finetune.max_samples,
                           &s->data, &err));
    cli_check_test(s->graph, s->task, &s->data.test);
    CLI_TRY_MODEL(args.model, part(s, &err));
    const uint64_t mark = mark_of(args.model);
    char *state = join(s->dir, "points", ".json");
    make_points(s);
    read_points(s, state, mark);
    cli_signals_catch();
    int status = make_all(s, state, mark);
    if (status == CLI_OK) {
        cli_signals_default();
        status = tell(s, state, mark, &gate);
    }
    free(state);
    return status;
}

static int run(void) {
    char *dir = args.dir ? NULL : cli_alloc(strlen(args.out) + 3);
    if (dir) sprintf(dir, "%s.d", args.out);
    cli_search s = {.model = args.model, .dir = dir ? dir : args.dir, .metric = "accuracy", .share = true};
    int status = work(&s);
    for (int i = 0; i < s.count; i++) free(s.points[i].path);
    free(s.points);
    cli_layers_free(&s.layers);
    hone_graph_free(s.graph);
    cli_free_parts(&s.data);
    free(dir);
    return status;
}

const cli_command cli_cmd_optimize = {
    "optimize", "make a model small and fast in many ways, measure each, and take the best",
    "Quantizes in 8, 4 and 2 bits, removes channels, makes weights zero and packs them, and some of these\n"
    "together, trained where that needs it with the model as it was for a teacher. Each is measured: on\n"
    "validation samples, which training never sees, on test samples, its bytes, its multiply-adds, the time "
    "and\n"
    "energy of a sample. best: no other one is as good, as small and as fast. Interrupted, the same command "
    "goes\n"
    "on. Exit status 3: no model passes the gate.\n\n"
    "  hone optimize m.onnx --data fashion-mnist --gate accuracy:0.5 --out best.onnx --report report.html",
    options, run};
