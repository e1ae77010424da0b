#include "board.h"

#include "files.h"

#include <hone/monitor.h>

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PICTURES = 24, COLUMNS = 6, POINTS = 1000, CURVES = 10, MOST = 20000 };

/* The answers to the first samples. */
typedef struct answers {
    const hone_dataset *data;
    int64_t count, size; /* samples; outputs of each */
    float *outputs;      /* [MOST, size] */
    int64_t *labels;     /* [MOST] */
} answers;

static bool take(void *user, const hone_prediction *p) {
    answers *a = user;
    if (!p->labels || p->size < 2 || p->size > 1000 || a->count == MOST) return a->count == MOST;
    if (!a->outputs) {
        a->size = p->size;
        a->outputs = cli_alloc((size_t)(MOST * a->size) * sizeof *a->outputs);
        a->labels = cli_alloc(MOST * sizeof *a->labels);
    }
    int64_t n = p->n < MOST - a->count ? p->n : MOST - a->count;
    memcpy(a->outputs + a->count * a->size, p->output, (size_t)(n * a->size) * sizeof *a->outputs);
    memcpy(a->labels + a->count, p->labels, (size_t)n * sizeof *a->labels);
    a->count += n;
    return true;
}

/* The share of class c in softmax of sample i's outputs. */
static float share(const answers *a, int64_t i, int64_t c) {
    const float *x = a->outputs + i * a->size;
    double max = x[0], sum = 0;
    for (int64_t k = 1; k < a->size; k++) max = fmax(max, x[k]);
    for (int64_t k = 0; k < a->size; k++) sum += exp(x[k] - max);
    return (float)(exp(x[c] - max) / sum);
}

static int64_t answer(const answers *a, int64_t i) {
    const float *x = a->outputs + i * a->size;
    int64_t best = 0;
    for (int64_t k = 1; k < a->size; k++)
        if (x[k] > x[best]) best = k;
    return best;
}

static const char *class_name(const answers *a, int64_t c) {
    const char *name = hone_dataset_class_name(a->data, (int)c);
    return name ? name : cli_text("%lld", (long long)c);
}

/* --- pictures with answers --- green below what is right, red below what is wrong */

typedef struct sheet {
    uint8_t *rgb;
    int height, width;
} sheet;

static void put(const sheet *s, int y, int x, const uint8_t *rgb) {
    memcpy(s->rgb + ((size_t)y * (size_t)s->width + (size_t)x) * 3, rgb, 3);
}

static void draw_picture(const sheet *s, const float *x, const int64_t *dims, int top, int left, bool right) {
    static const uint8_t colours[2][3] = {{214, 39, 40}, {44, 160, 44}};
    int64_t plane = dims[1] * dims[2];
    for (int y = 0; y < dims[1]; y++)
        for (int k = 0; k < dims[2]; k++) {
            uint8_t rgb[3];
            for (int c = 0; c < 3; c++) {
                float v = x[(dims[0] == 3 ? c : 0) * plane + y * dims[2] + k] * 255;
                rgb[c] = (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
            }
            put(s, top + y, left + k, rgb);
        }
    for (int y = 0; y < 3; y++)
        for (int k = 0; k < dims[2]; k++) put(s, top + (int)dims[1] + y, left + k, colours[right]);
}

static const char *describe(const answers *a, int n) {
    const char *text = "| picture | is | is taken for | share |\n|---|---|---|---|\n";
    for (int i = 0; i < n; i++)
        text = cli_text("%s| %d | %s | %s | %.1f %% |\n", text, i + 1, class_name(a, a->labels[i]),
                        class_name(a, answer(a, i)), 100 * (double)share(a, i, answer(a, i)));
    return text;
}

static hone_status draw_pictures(hone_events *e, const answers *a, int64_t step, hone_error *err) {
    hone_column c;
    int column = hone_dataset_find(a->data, "x"), n = a->count < PICTURES ? (int)a->count : PICTURES;
    if (!hone_dataset_column(a->data, column, &c) || c.rank != 3 || (c.dims[0] != 1 && c.dims[0] != 3) ||
        c.dims[1] > 512 || c.dims[2] > 512 || n == 0)
        return HONE_OK;
    int64_t dims[] = {c.dims[0], c.dims[1], c.dims[2]}, size = dims[0] * dims[1] * dims[2];
    int cell_height = (int)dims[1] + 5, cell_width = (int)dims[2] + 2, rows = (n + COLUMNS - 1) / COLUMNS;
    sheet s = {.height = rows * cell_height, .width = COLUMNS * cell_width};
    s.rgb = cli_alloc((size_t)s.height * (size_t)s.width * 3);
    memset(s.rgb, 255, (size_t)s.height * (size_t)s.width * 3);
    float *x = cli_alloc((size_t)(n * size) * sizeof *x);
    hone_reading reading = {.column = column, .dtype = HONE_FLOAT32, .unit = true};
    hone_status status = hone_dataset_read(a->data, &reading, NULL, 0, n, x, err);
    for (int i = 0; i < n && status == HONE_OK; i++)
        draw_picture(&s, x + i * size, dims, i / COLUMNS * cell_height, i % COLUMNS * cell_width,
                     answer(a, i) == a->labels[i]);
    if (status == HONE_OK)
        status =
            hone_events_image(e, "answers/examples", step, s.rgb, s.height, s.width, describe(a, n), err);
    free(x);
    free(s.rgb);
    return status;
}

/* --- what is taken for what --- a row for each class: the darker, the more of its samples */

static hone_status draw_confusion(hone_events *e, const answers *a, const hone_eval_details *d, int64_t step,
                                  hone_error *err) {
    enum { WIDEST = 1024, CELL = 24 };
    int n = d ? d->classes : 0, cell = n > 0 ? WIDEST / n : 0;
    if (cell > CELL) cell = CELL;
    if (cell < 2) return HONE_OK;
    sheet s = {.height = n * cell, .width = n * cell};
    s.rgb = cli_alloc((size_t)s.height * (size_t)s.width * 3);
    const char *text = "Rows are classes, columns what they are taken for, in this order:";
    for (int i = 0; i < n; i++) {
        double all = 0;
        text = cli_text("%s%s %s", text, i ? "," : "", class_name(a, i));
        for (int k = 0; k < n; k++) all += (double)d->confusion[i * n + k];
        for (int k = 0; k < n; k++) {
            double part = all > 0 ? (double)d->confusion[i * n + k] / all : 0;
            uint8_t dark = (uint8_t)(255 - 255 * sqrt(part)),
                    rgb[3] = {dark, dark, (uint8_t)(255 - (255 - dark) / 2)};
            for (int y = 0; y < cell; y++)
                for (int x = 0; x < cell; x++) put(&s, i * cell + y, k * cell + x, rgb);
        }
    }
    hone_status status = hone_events_image(e, "answers/confusion", step, s.rgb, s.height, s.width, text, err);
    free(s.rgb);
    return status;
}

/* --- precision and recall --- */

static hone_status draw_curves(hone_events *e, const answers *a, int64_t step, hone_error *err) {
    float *scores = cli_alloc((size_t)a->count * sizeof *scores + 1);
    bool *is = cli_alloc((size_t)a->count * sizeof *is + 1);
    hone_status status = HONE_OK;
    for (int64_t c = 0; c < a->size && c < CURVES && status == HONE_OK; c++) {
        for (int64_t i = 0; i < a->count; i++) {
            scores[i] = share(a, i, c);
            is[i] = a->labels[i] == c;
        }
        status = hone_events_curve(e, cli_text("precision_and_recall/%s", class_name(a, c)), step, scores, is,
                                   a->count, err);
    }
    free(scores);
    free(is);
    return status;
}

/* --- the projector --- reads tables beside the event files */

static hone_status write_table(const char *dir, const char *name, const answers *a, bool labels,
                               hone_error *err) {
    FILE *f = fopen(cli_text("%s/%s", dir, name), "w");
    int64_t n = a->count < POINTS ? a->count : POINTS;
    for (int64_t i = 0; f && i < n; i++) {
        if (labels) {
            fprintf(f, "%s\n", class_name(a, a->labels[i]));
            continue;
        }
        for (int64_t k = 0; k < a->size; k++)
            fprintf(f, "%s%.6g", k ? "\t" : "", (double)a->outputs[i * a->size + k]);
        fputc('\n', f);
    }
    if (f && fclose(f) == 0) return HONE_OK;
    *err = (hone_error){.code = HONE_IO};
    snprintf(err->file, sizeof err->file, "%s/%s", dir, name);
    snprintf(err->message, sizeof err->message, "cannot write: %s", strerror(errno));
    return err->code;
}

static hone_status write_projector(const cli_watch *w, const answers *a, hone_error *err) {
    hone_status status = write_table(w->dir, "outputs.tsv", a, false, err);
    if (status == HONE_OK) status = write_table(w->dir, "outputs_classes.tsv", a, true, err);
    FILE *f = status == HONE_OK ? fopen(cli_text("%s/projector_config.pbtxt", w->dir), "w") : NULL;
    if (!f) return status;
    fputs("embeddings {\n  tensor_name: \"outputs\"\n  tensor_path: \"outputs.tsv\"\n  metadata_path: "
          "\"outputs_classes.tsv\"\n}\n",
          f);
    fclose(f);
    return HONE_OK;
}

/* --- all --- */

static hone_status show(cli_watch *w, const answers *a, const hone_eval_details *d, int64_t step,
                        hone_error *err) {
    hone_status status = draw_pictures(w->events, a, step, err);
    if (status == HONE_OK) status = draw_confusion(w->events, a, d, step, err);
    if (status == HONE_OK) status = draw_curves(w->events, a, step, err);
    if (status == HONE_OK) status = write_projector(w, a, err);
    return status;
}

void cli_board_answers(cli_watch *w, const hone_graph *g, const hone_dataset *data, const hone_task *task,
                       int threads, int64_t step) {
    hone_error err = {0};
    hone_model *m = NULL;
    hone_eval_report report;
    hone_eval_details *details = NULL;
    answers a = {.data = data};
    hone_eval_options options = HONE_EVAL_OPTIONS_INIT;
    options.threads = threads;
    options.prediction = take;
    options.user = &a;
    if (!w->events || !data) return;
    hone_status status = hone_model_compile(g, NULL, &m, &err);
    if (status == HONE_OK) status = hone_evaluate_details(m, data, task, &options, &report, &details, &err);
    if (status == HONE_OK && a.count > 0)
        cli_watch_event(w, show(w, &a, details, step, &err), &err); /* numbers have no such pictures */
    hone_eval_details_free(details);
    hone_model_free(m);
    free(a.outputs);
    free(a.labels);
}

void cli_board_settings(cli_watch *w, const char *model, const hone_train_options *o) {
    static const char *const optimizers[] = {"sgd", "adamw", "adam", "lion", "rmsprop"},
                             *const schedules[] = {"constant", "cosine", "linear", "step", "plateau"},
                             *const metrics[] = {"loss", "accuracy", "validation/loss",
                                                 "validation/accuracy"};
    const hone_hparam params[] = {{"model", model},
                                  {"optimizer", optimizers[o->optimizer]},
                                  {"learning_rate", NULL, o->learning_rate},
                                  {"schedule", schedules[o->schedule]},
                                  {"warmup", NULL, o->warmup},
                                  {"batch", NULL, o->batch},
                                  {"epochs", NULL, o->epochs},
                                  {"momentum", NULL, o->momentum},
                                  {"weight_decay", NULL, o->weight_decay},
                                  {"label_smoothing", NULL, o->label_smoothing},
                                  {"ema", NULL, o->average},
                                  {"augment", o->augment ? o->augment : "none"},
                                  {"lora", NULL, o->lora_rank},
                                  {"seed", NULL, (double)o->seed}};
    hone_error err = {0};
    if (w->events)
        cli_watch_event(
            w, hone_events_hparams(w->events, params, sizeof params / sizeof *params, metrics, 4, &err),
            &err);
}
