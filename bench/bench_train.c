/* Training steps a second, on the public API.
 *
 *   bench_train [--data SPEC] [--model M] [--batch N] [--threads N] [--seconds S] [--json]
 *   bench_train … --rounds   reads a number of steps on each line of stdin, and answers the seconds they
 * took: so that another program can measure in turn (train_vs_torch.py)
 *
 * A step is all that a training does: gather and convert the samples, forward, backward, update, loss and
 * accuracy. */
#include "base/clock.h"

#include <hone/train.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WARM_UP = 50 };

typedef struct job {
    bool rounds, json;
    double seconds;
    int64_t begun, until; /* steps: at the start of this round, and its end */
    double start;
} job;

/* False at the end of stdin. */
static bool next_round(job *j, int64_t step) {
    char line[64];
    fflush(stdout);
    if (!fgets(line, sizeof line, stdin)) return false;
    j->begun = step;
    j->until = step + strtoll(line, NULL, 10);
    j->start = hone_seconds_now();
    return j->until > step;
}

static bool look(void *user, const hone_train_progress *p) {
    job *j = user;
    if (p->step < WARM_UP) return true;
    if (j->rounds) {
        if (p->step == WARM_UP) printf("ready\n");
        if (p->step > WARM_UP && p->step < j->until) return true;
        if (p->step > WARM_UP) printf("%.9f\n", hone_seconds_now() - j->start);
        return next_round(j, p->step);
    }
    if (p->step == WARM_UP) j->start = hone_seconds_now();
    j->until = p->step;
    return hone_seconds_now() - j->start < j->seconds;
}

static int fail(const hone_error *err) {
    char text[1024];
    fprintf(stderr, "bench_train: %s\n", hone_error_format(err, text, sizeof text));
    return 1;
}

static int usage(void) {
    fprintf(stderr,
            "usage: bench_train [--data SPEC] [--model M] [--batch N] [--threads N] [--seconds S] [--rounds] "
            "[--json]\n");
    return 2;
}

static hone_status bench(const char *spec, const char *model, hone_train_options *o, job *j,
                         hone_error *err) {
    hone_dataset *data = NULL;
    hone_graph *g = NULL;
    hone_status status = hone_dataset_open(spec, HONE_SPLIT_TRAIN, &data, err);
    if (status == HONE_OK) status = hone_build_model(model, data, NULL, &g, err);
    if (status == HONE_OK) status = hone_train(g, data, o, NULL, err);
    if (status == HONE_OK && !j->rounds) {
        double took = hone_seconds_now() - j->start;
        int64_t steps = j->until - WARM_UP;
        printf(j->json
                   ? "{\"batch\": %d, \"threads\": %d, \"steps_per_second\": %.1f, \"us_per_step\": %.2f}\n"
                   : "batch %d, threads %d: %.1f steps/s, %.2f µs a step\n",
               o->batch, o->threads, (double)steps / took, took / (double)steps * 1e6);
    }
    hone_graph_free(g);
    hone_dataset_free(data);
    return status;
}

int main(int argc, char **argv) {
    const char *spec = "fashion-mnist", *model = "mlp:784-128-10";
    hone_train_options o = HONE_TRAIN_OPTIONS_INIT;
    job j = {.seconds = 2};
    hone_error err;
    o.epochs = 100000;
    o.schedule = HONE_SCHEDULE_CONSTANT;
    o.threads = 1;
    o.progress = look;
    o.user = &j;
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(argv[i], "--rounds") == 0)
            j.rounds = true;
        else if (strcmp(argv[i], "--json") == 0)
            j.json = true;
        else if (!value)
            return usage();
        else if (strcmp(argv[i], "--data") == 0)
            spec = argv[++i];
        else if (strcmp(argv[i], "--model") == 0)
            model = argv[++i];
        else if (strcmp(argv[i], "--batch") == 0)
            o.batch = atoi(argv[++i]);
        else if (strcmp(argv[i], "--threads") == 0)
            o.threads = atoi(argv[++i]);
        else if (strcmp(argv[i], "--seconds") == 0)
            j.seconds = atof(argv[++i]);
        else
            return usage();
    }
    return bench(spec, model, &o, &j, &err) == HONE_OK ? 0 : fail(&err);
}
