/* The numbers of JSON, inline for the scanner's loops. Each function reads at `p`, which is followed by
 * HONE_JSON_PAD zero bytes (json_scan.h) at the latest, and returns the byte after the number, or NULL. */
#ifndef HONE_SERVE_FORMAT_JSON_NUMBER_H
#define HONE_SERVE_FORMAT_JSON_NUMBER_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* 10^k, correctly rounded, exact up to 22. */
extern const double hone_json_power10[64];
extern const uint64_t hone_json_integer10[9];

/* strtof and strtod of the C locale at a number that was found to be well formed. */
float hone_json_slow_float(const char *p);
double hone_json_slow_double(const char *p);
/* NaN, Infinity, Inf, with a sign; else NULL. */
const char *hone_json_special(const char *p, double *out);

typedef struct hone_json_decimal {
    uint64_t digits; /* the first 19 significant ones */
    int exponent;    /* times 10^exponent */
    bool negative;
    bool cut; /* there were more digits */
} hone_json_decimal;

static inline bool hone_json_is_digit(char c) {
    return (unsigned char)(c - '0') < 10;
}

/* The eight bytes at p less '0', the first one lowest. Returns a mark in the highest bit of each that is no
 * digit; one behind a byte that is not ASCII means nothing. */
static inline uint64_t hone_json_digits(const char *p, uint64_t *x) {
    uint64_t chunk;
    memcpy(&chunk, p, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    chunk = __builtin_bswap64(chunk);
#endif
    chunk ^= 0x3030303030303030u;
    *x = chunk;
    return ((chunk + 0x7676767676767676u) | chunk) & 0x8080808080808080u;
}

/* How many of the eight bytes at p are digits before the first other one; their bits less '0' in `*x`. */
static inline unsigned hone_json_digit_run(const char *p, uint64_t *x) {
    uint64_t other = hone_json_digits(p, x);
    return other ? (unsigned)__builtin_ctzll(other) >> 3 : 8;
}

/* The value of the first n (1 to 8) digits in x: shifting puts zeros before them, then neighbours are joined
 * to pairs, fours, and all eight. */
static inline uint64_t hone_json_digits_value(uint64_t x, unsigned n) {
    x <<= 64 - 8 * n;
    x = x * 10 + (x >> 8);
    return (((x & 0x000000ff000000ffu) * 0x000f424000000064u) +
            (((x >> 16) & 0x000000ff000000ffu) * 0x0000271000000001u)) >>
           32;
}

/* Digits that do not fit in 19 places: counts instead of using them. */
static inline const char *hone_json_long_digits(const char *p, hone_json_decimal *d, int *places,
                                                bool fraction) {
    for (; hone_json_is_digit(*p); p++) {
        if (*places < 19) {
            d->digits = d->digits * 10 + (uint64_t)(*p - '0');
            if (d->digits) ++*places;
            if (fraction) d->exponent--;
        } else {
            d->cut = true;
            if (!fraction) d->exponent++;
        }
    }
    return p;
}

static inline const char *hone_json_exponent(const char *p, hone_json_decimal *d) {
    p++;
    bool negative = *p == '-';
    if (*p == '-' || *p == '+') p++;
    if (!hone_json_is_digit(*p)) return NULL;
    int e = 0;
    for (; hone_json_is_digit(*p); p++)
        if (e < 100000000) e = e * 10 + (*p - '0');
    d->exponent += negative ? -e : e;
    return p;
}

static inline const char *hone_json_scan_decimal(const char *p, hone_json_decimal *d) {
    d->negative = *p == '-';
    p += d->negative;
    const char *first = p;
    uint64_t digits = (uint64_t)(unsigned char)(*p - '0');
    if (digits > 9) return NULL;
    p++;
    while (hone_json_is_digit(*p)) {
        digits = digits * 10 + (uint64_t)(*p++ - '0');
        if (p - first > 8) goto many;
    }
    if (*first == '0' && p - first > 1) return NULL;
    d->exponent = 0;
    d->cut = false;
    if (*p == '.') {
        uint64_t x;
        unsigned n = hone_json_digit_run(++p, &x);
        if (n == 0) return NULL;
        digits = digits * hone_json_integer10[n] + hone_json_digits_value(x, n);
        p += n;
        d->exponent = -(int)n;
        if (n == 8 && hone_json_is_digit(*p)) {
            n = hone_json_digit_run(p, &x);
            if (p - first + (int)n > 20) goto many; /* 19 digits and the point */
            digits = digits * hone_json_integer10[n] + hone_json_digits_value(x, n);
            p += n;
            d->exponent -= (int)n;
            for (; hone_json_is_digit(*p); d->exponent--) {
                if (p - first >= 20) goto many;
                digits = digits * 10 + (uint64_t)(*p++ - '0');
            }
        }
    }
    d->digits = digits;
    if ((*p | 0x20) == 'e') return hone_json_exponent(p, d);
    return p;
many:
    p = first;
    if (*p == '0' && hone_json_is_digit(p[1])) return NULL;
    *d = (hone_json_decimal){.negative = d->negative};
    int places = 0;
    p = hone_json_long_digits(p, d, &places, false);
    if (*p == '.') {
        if (!hone_json_is_digit(*++p)) return NULL;
        p = hone_json_long_digits(p, d, &places, true);
    }
    if ((*p | 0x20) == 'e') return hone_json_exponent(p, d);
    return p;
}

/* What most numbers are: up to seven digits, or six with a point between them, and no exponent. NULL: another
 * kind. The digits and the power of ten are exact as floats, so one division rounds correctly. */
static inline const char *hone_json_short_float(const char *p, float *out) {
    static const float power10[] = {1e0f, 1e1f, 1e2f, 1e3f, 1e4f, 1e5f};
    bool negative = *p == '-';
    p += negative;
    uint64_t x, other = hone_json_digits(p, &x);
    unsigned n = other ? (unsigned)__builtin_ctzll(other) >> 3 : 0, places = 0;
    if (n == 0 || ((x & 0xff) == 0 && n > 1)) return NULL;
    if (p[n] == '.') {
        uint64_t before = ((uint64_t)1 << 8 * n) - 1;
        other &= other - 1;
        if (!other) return NULL;
        places = ((unsigned)__builtin_ctzll(other) >> 3) - n - 1;
        if (places == 0) return NULL;
        x = (x & before) << 8 | (x & ~(before << 8 | 0xff));
        n += places + 1;
    }
    if ((p[n] | 0x20) == 'e') return NULL;
    float value = (float)(int32_t)hone_json_digits_value(x, n) / power10[places];
    *out = negative ? -value : value;
    return p + n;
}

/* Correctly rounded to float. `digits` to double, a power of ten and one multiplication or division each err
 * by at most half a unit of a double, cut digits by less; so unless the double lies within a few units of the
 * middle between two floats, rounding it to float gives what rounding the decimal would. */
static inline const char *hone_json_scan_float(const char *p, float *out) {
    hone_json_decimal d;
    const char *end = hone_json_scan_decimal(p, &d);
    if (__builtin_expect(!end, 0)) {
        double special;
        end = hone_json_special(p, &special);
        if (end) *out = (float)special;
        return end;
    }
    const uint64_t least = 0x3810000000000000u, most = 0x47e0000000000000u; /* 2^-126, 2^127 */
    double x = (double)d.digits;
    if (d.exponent < 0) {
        if (__builtin_expect(d.exponent < -63, 0)) goto slow;
        x /= hone_json_power10[-d.exponent];
    } else {
        if (__builtin_expect(d.exponent > 63, 0)) goto slow;
        x *= hone_json_power10[d.exponent];
    }
    uint64_t bits;
    memcpy(&bits, &x, 8);
    unsigned from_middle = (unsigned)(bits & 0x1fffffff) - (0x10000000u - 8);
    bool normal = (bits - least < most - least) | (bits == 0);
    if (__builtin_expect(from_middle <= 16 || !normal, 0)) goto slow;
    *out = (float)(d.negative ? -x : x);
    return end;
slow:
    *out = d.digits ? hone_json_slow_float(p) : d.negative ? -0.0f : 0.0f;
    return *out - *out == 0 ? end : NULL; /* too large */
}

static inline const char *hone_json_scan_double(const char *p, double *out) {
    hone_json_decimal d;
    const char *end = hone_json_scan_decimal(p, &d);
    if (!end) return hone_json_special(p, out);
    if (d.digits <= (uint64_t)1 << 53 && !d.cut && d.exponent >= -22 && d.exponent <= 22) {
        double x = (double)d.digits;
        x = d.exponent < 0 ? x / hone_json_power10[-d.exponent] : x * hone_json_power10[d.exponent];
        *out = d.negative ? -x : x;
        return end;
    }
    *out = d.digits ? hone_json_slow_double(p) : d.negative ? -0.0 : 0.0;
    return *out - *out == 0 ? end : NULL;
}

/* An integer without fraction and exponent in [least, most]. `most` may pass INT64_MAX when least is 0. */
static inline const char *hone_json_scan_integer(const char *p, int64_t least, uint64_t most, uint64_t *out) {
    bool negative = *p == '-';
    p += negative;
    const char *first = p;
    uint64_t x = 0;
    for (; hone_json_is_digit(*p); p++)
        if (__builtin_mul_overflow(x, 10, &x) || __builtin_add_overflow(x, (uint64_t)(*p - '0'), &x))
            return NULL;
    if (p == first || (*first == '0' && p - first > 1) || *p == '.' || (*p | 0x20) == 'e') return NULL;
    if (negative ? x > -(uint64_t)least : x > most) return NULL;
    *out = negative ? -x : x;
    return p;
}

#endif
