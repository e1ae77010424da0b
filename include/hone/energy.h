/* Energy of what a program does: by the counters of the CPU where the system shows them, else an estimate from CPU time. The two
 * are never mixed: a reading says which it is.
 *
 *     rapl       Linux' powercap: what all CPU packages and their memory took, so that of all programs of the machine. Often
 *                for root only, and seldom in virtual machines
 *     estimate   CPU time of this process times a power for each busy CPU */
#ifndef HONE_ENERGY_H
#define HONE_ENERGY_H

#include <hone/error.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hone_energy_options {
    size_t size;
    double
        watts; /* of a busy CPU, for the estimate. The default, 10, is a server's 280 W socket by its 28 cores;
                             laptops have less, old machines more */
    const char
        *powercap; /* the folder of the counters; NULL: /sys/class/powercap. "": the estimate in any case */
} hone_energy_options;
#define HONE_ENERGY_OPTIONS_INIT                                                                             \
    { .size = sizeof(hone_energy_options), .watts = 10 }

typedef struct hone_energy_reading {
    double joules;
    double cpu_seconds; /* of this process, user and system */
    const char *source; /* "rapl", "estimate" */
} hone_energy_reading;

/* One thread at a time may use one. */
typedef struct hone_energy_meter hone_energy_meter;

/* Counts from now on. `options` NULL: the defaults. On success `*out` belongs to the caller. */
HONE_API hone_status hone_energy_open(const hone_energy_options *options, hone_energy_meter **out,
                                      hone_error *err);
/* Since it was opened. Counters start anew at some hundred kilojoules: to be asked more often than once in ten minutes. */
HONE_API void hone_energy_read(hone_energy_meter *m, hone_energy_reading *out);
HONE_API void hone_energy_close(hone_energy_meter *m); /* NULL is fine */

#ifdef __cplusplus
}
#endif

#endif
