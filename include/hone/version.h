/* Which Hone this is, and what it uses of this CPU. */
#ifndef HONE_VERSION_H
#define HONE_VERSION_H

#include <hone/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/* "0.1.0". */
HONE_API const char *hone_version(void);
/* The level of instructions in use and the extras: "v4,vnni,bf16". The environment variable HONE_CPU limits
 * them. */
HONE_API const char *hone_cpu_description(void);

#ifdef __cplusplus
}
#endif
#endif
