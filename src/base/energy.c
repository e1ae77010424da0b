#include "base/error.h"
#include "base/memory.h"

#include <hone/energy.h>

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { ZONES = 64 };

/* A counter of powercap: a package, or its memory. */
typedef struct zone {
    char path[512];     /* of energy_uj */
    double last, range; /* microjoules; where it starts anew */
} zone;

struct hone_energy_meter {
    zone zones[ZONES];
    int count; /* 0: by CPU time */
    double joules, watts, cpu_start;
};

static double cpu_seconds(void) {
    struct timespec t = {0};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static bool read_number(const char *path, double *out) {
    FILE *f = fopen(path, "re");
    bool good = f && fscanf(f, "%lf", out) == 1;
    if (f) fclose(f);
    return good;
}

static bool read_name(const char *dir, const char *entry, char name[32]) {
    char path[512];
    if (snprintf(path, sizeof path, "%s/%s/name", dir, entry) >= (int)sizeof path) return false;
    FILE *f = fopen(path, "re");
    bool good = f && fscanf(f, "%31s", name) == 1;
    if (f) fclose(f);
    return good;
}

/* Packages and memory; cores and graphics are parts of a package, and psys is all of them together. */
static bool counts(const char *name) {
    return strncmp(name, "package-", 8) == 0 || strcmp(name, "dram") == 0;
}

static void add_zone(hone_energy_meter *m, const char *dir, const char *entry) {
    zone z;
    char name[32], path[512];
    if (m->count == ZONES || strncmp(entry, "intel-rapl:", 11) != 0 || !read_name(dir, entry, name) ||
        !counts(name))
        return;
    if (snprintf(z.path, sizeof z.path, "%s/%s/energy_uj", dir, entry) >= (int)sizeof z.path ||
        snprintf(path, sizeof path, "%s/%s/max_energy_range_uj", dir, entry) >= (int)sizeof path)
        return;
    if (read_number(z.path, &z.last) && read_number(path, &z.range)) m->zones[m->count++] = z;
}

static void find_zones(hone_energy_meter *m, const char *dir) {
    DIR *d = opendir(dir);
    for (const struct dirent *e; d && (e = readdir(d));) add_zone(m, dir, e->d_name);
    if (d) closedir(d);
}

hone_status hone_energy_open(const hone_energy_options *options, hone_energy_meter **out, hone_error *err) {
    hone_energy_options defaults = HONE_ENERGY_OPTIONS_INIT;
    if (!options) options = &defaults;
    HONE_TRY(hone_check_options_size(options->size, sizeof *options, err));
    if (!(options->watts > 0) || options->watts > 1e6)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "%g watts for a busy CPU", options->watts);
    hone_energy_meter *m = hone_calloc(1, sizeof *m);
    if (!m) return hone_fail_memory(err);
    m->watts = options->watts;
    m->cpu_start = cpu_seconds();
    find_zones(m, options->powercap ? options->powercap : "/sys/class/powercap");
    *out = m;
    return HONE_OK;
}

void hone_energy_read(hone_energy_meter *m, hone_energy_reading *out) {
    out->cpu_seconds = cpu_seconds() - m->cpu_start;
    for (int i = 0; i < m->count; i++) {
        zone *z = &m->zones[i];
        double now;
        if (!read_number(z->path, &now)) continue;
        m->joules += 1e-6 * (now >= z->last ? now - z->last : now + z->range - z->last);
        z->last = now;
    }
    if (m->count == 0) m->joules = out->cpu_seconds * m->watts;
    out->joules = m->joules;
    out->source = m->count ? "rapl" : "estimate";
}

void hone_energy_close(hone_energy_meter *m) {
    hone_free(m);
}
