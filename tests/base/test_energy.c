#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include <hone/energy.h>

#include "support/files.h"

/* A tree as powercap has it: one zone with its name, counter and range. */
static void put_zone(const char *zone, const char *name, double energy) {
    char path[512], text[64];
    snprintf(path, sizeof path, "%s/%s", test_dir, zone);
    mkdir(path, 0755);
    const struct {
        const char *file;
        double value;
    } files[] = {{"energy_uj", energy}, {"max_energy_range_uj", 262143328850.0}};
    snprintf(path, sizeof path, "%s/%s/name", test_dir, zone);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fprintf(f, "%s\n", name);
    fclose(f);
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s/%s", test_dir, zone, files[i].file);
        snprintf(text, sizeof text, "%.0f\n", files[i].value);
        assert_non_null(f = fopen(path, "w"));
        fputs(text, f);
        fclose(f);
    }
}

static hone_energy_meter *open_meter(const char *powercap, double watts) {
    hone_energy_options o = HONE_ENERGY_OPTIONS_INIT;
    hone_energy_meter *m = NULL;
    o.powercap = powercap;
    o.watts = watts;
    assert_int_equal(hone_energy_open(&o, &m, NULL), HONE_OK);
    return m;
}

/* Packages and memory together, once each, also when a counter starts anew. */
static void reads_counters(void **state) {
    (void)state;
    put_zone("intel-rapl:0", "package-0", 5000000);
    put_zone("intel-rapl:0:0", "core", 1000000);
    put_zone("intel-rapl:0:1", "dram", 2000000);
    put_zone("intel-rapl:1", "package-1", 262143328000.0);
    put_zone("intel-rapl:2", "psys", 9000000);
    put_zone("dtpm", "package-9", 0);
    hone_energy_meter *m = open_meter(test_dir, 10);
    hone_energy_reading r;
    hone_energy_read(m, &r);
    assert_string_equal(r.source, "rapl");
    assert_true(r.joules == 0);
    put_zone("intel-rapl:0", "package-0", 7500000); /* 2.5 J */
    put_zone("intel-rapl:0:0", "core", 3000000);    /* in the package's */
    put_zone("intel-rapl:0:1", "dram", 2250000);    /* 0.25 J */
    put_zone("intel-rapl:1", "package-1", 999150);  /* 1 J, from the start on */
    put_zone("intel-rapl:2", "psys", 99000000);
    hone_energy_read(m, &r);
    assert_true(fabs(r.joules - 3.75) < 1e-6);
    put_zone("intel-rapl:0", "package-0", 8500000);
    hone_energy_read(m, &r);
    assert_true(fabs(r.joules - 4.75) < 1e-6 && r.cpu_seconds >= 0);
    hone_energy_close(m);
}

static void estimates(void **state) {
    (void)state;
    hone_energy_meter *m = open_meter("", 25);
    hone_energy_reading r;
    volatile double x = 1;
    do {
        for (int i = 0; i < 1000000; i++) x = x * 1.0000001 + 1e-9;
        hone_energy_read(m, &r);
    } while (r.cpu_seconds < 0.01);
    assert_string_equal(r.source, "estimate");
    assert_true(fabs(r.joules - 25 * r.cpu_seconds) < 1e-9);
    hone_energy_close(m);
    hone_energy_options o = HONE_ENERGY_OPTIONS_INIT;
    o.watts = 0;
    assert_int_equal(hone_energy_open(&o, &m, NULL), HONE_INVALID_ARGUMENT);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(reads_counters), cmocka_unit_test(estimates)};
    return cmocka_run_group_tests(tests, make_test_dir, remove_test_dir);
}
