#include "energy.h"

#include <math.h>

void cli_energy_start(cli_energy *e) {
    hone_energy_options o = HONE_ENERGY_OPTIONS_INIT;
    hone_error ignored;
    o.watts = e->watts;
    (void)hone_energy_open(&o, &e->meter, &ignored);
}

void cli_energy_stop(cli_energy *e) {
    if (e->meter) hone_energy_read(e->meter, &e->reading);
    hone_energy_close(e->meter);
    e->meter = NULL;
}

static double grams(const cli_energy *e, double share) {
    return e->reading.joules * share / 3.6e6 * e->carbon;
}

const char *cli_joules_text(double joules) {
    static const char *const units[] = {"nJ", "µJ", "mJ", "J", "kJ", "MJ"};
    int k = 0;
    for (joules *= 1e9; joules >= 1000 && k < 5; k++) joules /= 1000;
    return cli_text("%.3g %s", joules, units[k]);
}

const char *cli_energy_source(const cli_energy *e) {
    const bool counted = e->reading.source && e->reading.source[0] == 'r';
    return counted ? "all of the machine, by its counters" : "estimated from CPU time";
}

const char *cli_energy_text(const cli_energy *e, double share) {
    const char *source = cli_energy_source(e), *joules = cli_joules_text(e->reading.joules * share);
    if (e->carbon > 0) return cli_text("%s (%s), %.3g g CO2e", joules, source, grams(e, share));
    return cli_text("%s (%s)", joules, source);
}

void cli_energy_json(const cli_energy *e, double share, json_t *object) {
    if (!e->reading.source) return;
    json_object_set_new(object, "energy_joules", cli_json_number(e->reading.joules * share));
    json_object_set_new(object, "energy_source", json_string(e->reading.source));
    if (e->carbon > 0) json_object_set_new(object, "co2e_grams", cli_json_number(grams(e, share)));
}
