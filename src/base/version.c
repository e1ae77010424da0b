#include <hone/version.h>

#include "base/cpu.h"

const char *hone_version(void) {
    return HONE_VERSION;
}

const char *hone_cpu_description(void) {
    return hone_cpu_describe(hone_cpu_get());
}
