#include "serve/format/json_number.h"

#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>

const double hone_json_power10[64] = {
    1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
    1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22, 1e23, 1e24, 1e25, 1e26, 1e27, 1e28, 1e29, 1e30, 1e31,
    1e32, 1e33, 1e34, 1e35, 1e36, 1e37, 1e38, 1e39, 1e40, 1e41, 1e42, 1e43, 1e44, 1e45, 1e46, 1e47,
    1e48, 1e49, 1e50, 1e51, 1e52, 1e53, 1e54, 1e55, 1e56, 1e57, 1e58, 1e59, 1e60, 1e61, 1e62, 1e63};
const uint64_t hone_json_integer10[9] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000};

static pthread_once_t locale_once = PTHREAD_ONCE_INIT;
static locale_t c_locale; /* 0 if there was no memory for it: then the program's own is used */

static void make_locale(void) {
    c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

float hone_json_slow_float(const char *p) {
    pthread_once(&locale_once, make_locale);
    return c_locale ? strtof_l(p, NULL, c_locale) : strtof(p, NULL);
}

double hone_json_slow_double(const char *p) {
    pthread_once(&locale_once, make_locale);
    return c_locale ? strtod_l(p, NULL, c_locale) : strtod(p, NULL);
}

const char *hone_json_special(const char *p, double *out) {
    bool negative = *p == '-';
    p += negative;
    if (memcmp(p, "NaN", 3) == 0) {
        *out = NAN;
        return p + 3;
    }
    if (memcmp(p, "Inf", 3) != 0) return NULL;
    *out = negative ? -INFINITY : INFINITY;
    return p + (memcmp(p, "Infinity", 8) == 0 ? 8 : 3);
}
