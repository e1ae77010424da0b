/* What work costs: joules, and grams of carbon dioxide where it is said how clean the power is. */
#ifndef HONE_CLI_ENERGY_H
#define HONE_CLI_ENERGY_H

#include "json.h"
#include "options.h"

#include <hone/energy.h>
#include <jansson.h>

typedef struct cli_energy {
    double watts, carbon; /* of a busy CPU; grams of CO2 equivalent for a kilowatt-hour, 0: not known */
    hone_energy_meter *meter;
    hone_energy_reading reading;
} cli_energy;
#define CLI_ENERGY_INIT                                                                                      \
    { .watts = 10 }

#define OPT_WATTS(field)                                                                                     \
    OPT_NUMBER("watts", "W", (field).watts, CLI_ABOVE_ZERO, 1e6,                                             \
               "power of a busy CPU, by which energy is estimated where the system shows no counters")
#define OPT_ENERGY(field)                                                                                    \
    OPT_WATTS(field), OPT_NUMBER("carbon-intensity", "G", (field).carbon, 0, 1e6,                            \
                                 "grams of CO2 equivalent for a kilowatt-hour here, to tell emissions, too", \
                                 .zero = "unknown")

/* Counts from now on; and until now. */
void cli_energy_start(cli_energy *e);
void cli_energy_stop(cli_energy *e);
/* "1.24 kJ" */
const char *cli_joules_text(double joules);
/* "estimated from CPU time" */
const char *cli_energy_source(const cli_energy *e);
/* "1.24 kJ (estimated from CPU time), 0.17 g CO2e", of a share of it. */
const char *cli_energy_text(const cli_energy *e, double share);
/* "energy_joules", "energy_source", "co2e_grams" of a share of it. */
void cli_energy_json(const cli_energy *e, double share, json_t *object);

#endif
