/* Names of answers and of calls, which nobody has had before. */
#ifndef HONE_SERVE_OPENAI_RANDOM_ID_H
#define HONE_SERVE_OPENAI_RANDOM_ID_H

#include "base/random.h"

#include <stdio.h>

static inline void hone_random_id(const char *prefix, char *out, size_t size) {
    snprintf(out, size, "%s%016llx%08llx", prefix, (unsigned long long)hone_random_seed(),
             (unsigned long long)(hone_random_seed() >> 32));
}

#endif
