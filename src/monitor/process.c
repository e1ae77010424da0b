/* The metrics that every process has, by the names that Prometheus' own clients use. */
#include "base/cpu.h"
#include "base/error.h"
#include "base/memory.h"
#include "monitor/metrics.h"

#include <hone/energy.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#ifdef __clang__
#define COMPILER "clang " __clang_version__
#else
#define COMPILER "gcc " __VERSION__
#endif

typedef struct process {
    hone_series *cpu, *resident, *virtual_memory, *open_fds, *max_fds, *energy;
    hone_energy_meter *meter;
} process;

static double seconds(clockid_t clock) {
    struct timespec t = {0};
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Ticks from boot to the start of this process: field 22 of /proc/self/stat, the 20th after the name in
 * brackets. */
static double start_after_boot(void) {
    char text[1024], *p = NULL;
    FILE *f = fopen("/proc/self/stat", "re");
    if (!f) return -1;
    size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[n] = 0;
    p = strrchr(text, ')');
    for (int field = 2; p && field < 22; field++) p = strchr(p + 1, ' ');
    return p ? strtod(p, NULL) / (double)sysconf(_SC_CLK_TCK) : -1;
}

static double start_time(void) {
    double start = start_after_boot(), age = seconds(CLOCK_BOOTTIME) - start;
    return seconds(CLOCK_REALTIME) - (start >= 0 && age > 0 ? age : 0);
}

static int open_fds(void) {
    DIR *d = opendir("/proc/self/fd");
    if (!d) return 0;
    int n = -1; /* the directory itself */
    for (struct dirent *e; (e = readdir(d));) n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

static void update(void *user) {
    process *p = user;
    hone_series_set(p->cpu, seconds(CLOCK_PROCESS_CPUTIME_ID));
    hone_energy_reading energy;
    hone_energy_read(p->meter, &energy);
    hone_series_set(p->energy, energy.joules);
    hone_series_set(p->open_fds, open_fds());
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) hone_series_set(p->max_fds, (double)limit.rlim_cur);
    FILE *f = fopen("/proc/self/statm", "re");
    unsigned long long total = 0, resident = 0;
    if (f && fscanf(f, "%llu %llu", &total, &resident) == 2) {
        double page = (double)sysconf(_SC_PAGESIZE);
        hone_series_set(p->virtual_memory, (double)total * page);
        hone_series_set(p->resident, (double)resident * page);
    }
    if (f) fclose(f);
}

static hone_status add(hone_metrics *m, hone_metric_type type, const char *name, const char *help,
                       double value, hone_series **out, hone_error *err) {
    hone_metric_options o = HONE_METRIC_OPTIONS_INIT;
    hone_metric *f = NULL;
    o.type = type;
    o.name = name;
    o.help = help;
    HONE_TRY(hone_metrics_add(m, &o, &f, err));
    HONE_TRY(hone_metric_series(f, NULL, out, err));
    hone_series_set(*out, value);
    return HONE_OK;
}

static hone_status add_build_info(hone_metrics *m, hone_error *err) {
    hone_metric_options o = HONE_METRIC_OPTIONS_INIT;
    o.type = HONE_METRIC_GAUGE;
    o.name = "hone_build_info";
    o.help = "Always 1; the labels say which Hone this is, what compiled it and what it uses of the CPU.";
    o.labels = (const char *const[]){"version", "compiler", "cpu", NULL};
    hone_metric *f = NULL;
    hone_series *s = NULL;
    HONE_TRY(hone_metrics_add(m, &o, &f, err));
    const char *values[] = {HONE_VERSION, COMPILER, hone_cpu_describe(hone_cpu_get())};
    HONE_TRY(hone_metric_series(f, values, &s, err));
    hone_series_set(s, 1);
    return HONE_OK;
}

static hone_status add_energy(hone_metrics *m, process *p, hone_error *err) {
    hone_metric_options o = HONE_METRIC_OPTIONS_INIT;
    o.type = HONE_METRIC_COUNTER;
    o.name = "hone_energy_joules_total";
    o.help =
        "Energy since the start: rapl, of the whole machine by its counters, or an estimate from CPU time.";
    o.labels = (const char *const[]){"source", NULL};
    hone_metric *f = NULL;
    hone_energy_reading now;
    HONE_TRY(hone_energy_open(NULL, &p->meter, err));
    hone_energy_read(p->meter, &now);
    HONE_TRY(hone_metrics_add(m, &o, &f, err));
    return hone_metric_series(f, &now.source, &p->energy, err);
}

hone_status hone_metrics_add_process(hone_metrics *m, hone_error *err) {
    if (m->process) return hone_fail(err, HONE_ALREADY_EXISTS, "the process metrics are there already");
    hone_series *start = NULL;
    process *p = hone_calloc(1, sizeof *p);
    if (!p) return hone_fail_memory(err);
    m->process = p; /* freed with the registry, also when the rest fails */
    HONE_TRY(add_build_info(m, err));
    HONE_TRY(add(m, HONE_METRIC_GAUGE, "process_start_time_seconds",
                 "Start time of the process since the Unix epoch.", start_time(), &start, err));
    HONE_TRY(add(m, HONE_METRIC_COUNTER, "process_cpu_seconds_total", "User and system CPU time spent.", 0,
                 &p->cpu, err));
    HONE_TRY(add(m, HONE_METRIC_GAUGE, "process_resident_memory_bytes", "Resident memory size.", 0,
                 &p->resident, err));
    HONE_TRY(add(m, HONE_METRIC_GAUGE, "process_virtual_memory_bytes", "Virtual memory size.", 0,
                 &p->virtual_memory, err));
    HONE_TRY(add(m, HONE_METRIC_GAUGE, "process_open_fds", "Number of open file descriptors.", 0,
                 &p->open_fds, err));
    HONE_TRY(add(m, HONE_METRIC_GAUGE, "process_max_fds", "Most file descriptors that may be open.", 0,
                 &p->max_fds, err));
    HONE_TRY(add_energy(m, p, err));
    return hone_metrics_on_write(m, update, p, err);
}

void hone_metrics_free_process(void *made) {
    process *p = made;
    if (p) hone_energy_close(p->meter);
    hone_free(p);
}
