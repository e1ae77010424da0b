/* Loading a model: reading it, compiling it, and the memory that this takes at most.
 *
 *   bench_load MODEL [--rounds N] [--threads N] [--mmap-weights] [--json]
 *
 * Prints the median of the rounds, and by how much the resident memory of the process has grown at most; as JSON all
 * rounds. bench/load.py does it beside ONNX Runtime. */
#include "base/clock.h"

#include <hone/session.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_ROUNDS = 1000 };

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* A line of what the system says about this process. */
static double megabytes(const char *field) {
    char line[256];
    double kilobytes = 0;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, field, strlen(field)) == 0) kilobytes = atof(line + strlen(field));
    if (f) fclose(f);
    return kilobytes / 1024;
}

static hone_status load(const char *path, bool mapped, int threads, double *seconds, hone_error *err) {
    hone_graph *g = NULL;
    hone_model *m = NULL;
    hone_model_options options = HONE_MODEL_OPTIONS_INIT;
    options.threads = threads;
    double start = hone_seconds_now();
    hone_status status = mapped ? hone_graph_load_mapped(path, &g, err) : hone_graph_load(path, &g, err);
    seconds[0] = hone_seconds_now() - start;
    if (status == HONE_OK) status = hone_model_take(g, &options, &m, err);
    seconds[1] = hone_seconds_now() - start;
    hone_model_free(m);
    return status;
}

int main(int argc, char **argv) {
    const char *model = NULL;
    int rounds = 9, threads = 0;
    bool mapped = false, json = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--rounds") == 0 && i + 1 < argc)
            rounds = atoi(argv[++i]);
        else if (strcmp(argv[i], "--threads") == 0 && i + 1 < argc)
            threads = atoi(argv[++i]);
        else if (strcmp(argv[i], "--mmap-weights") == 0)
            mapped = true;
        else if (strcmp(argv[i], "--json") == 0)
            json = true;
        else
            model = argv[i];
    }
    if (!model || rounds < 1 || rounds > MAX_ROUNDS || threads < 0) {
        fputs("usage: bench_load MODEL [--rounds N] [--threads N] [--mmap-weights] [--json]\n", stderr);
        return 2;
    }
    static double read[MAX_ROUNDS], all[MAX_ROUNDS];
    const double before = megabytes("VmRSS:");
    for (int i = 0; i < rounds; i++) {
        hone_error err = {0};
        double seconds[2];
        if (load(model, mapped, threads, seconds, &err) != HONE_OK) {
            fprintf(stderr, "%s: %s\n", err.file, err.message);
            return 1;
        }
        read[i] = seconds[0];
        all[i] = seconds[1];
    }
    const double most = megabytes("VmHWM:") - before;
    if (json) {
        printf("{\"mb\": %.1f, \"ms\": [", most);
        for (int i = 0; i < rounds; i++) printf("%s%.3f", i ? ", " : "", 1e3 * all[i]);
        puts("]}");
        return 0;
    }
    qsort(read, (size_t)rounds, sizeof *read, compare);
    qsort(all, (size_t)rounds, sizeof *all, compare);
    printf("read %.1f ms, read and compiled %.1f ms, at most %.0f MB\n", 1e3 * read[rounds / 2],
           1e3 * all[rounds / 2], most);
    return 0;
}
