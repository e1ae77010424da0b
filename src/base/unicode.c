#include "base/unicode.h"

#include "base/unicode_table.h"

#include <locale.h>
#include <pthread.h>
#include <string.h>
#include <wctype.h>

/* --- UTF-8 --- no overlong forms, no surrogates */

uint32_t hone_utf8_decode(const char **text, const char *end) {
    const unsigned char *s = (const unsigned char *)*text;
    const size_t left = (size_t)(end - *text);
    const unsigned first = s[0];
    size_t more = first < 0x80                    ? 0
                  : first >= 0xC2 && first < 0xE0 ? 1
                  : first >= 0xE0 && first < 0xF0 ? 2
                                                  : 3;
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
    uint32_t c = more == 0 ? first : first & (0x3Fu >> more);
    bool good = more < left && first < 0xF5 && (first < 0x80 || first >= 0xC2);
    for (size_t i = 1; good && i <= more; i++) {
        good = (s[i] & 0xC0) == 0x80;
        c = c << 6 | (s[i] & 0x3Fu);
    }
    good = good && c >= least[more] && c < HONE_UNICODE_END && (c < 0xD800 || c > 0xDFFF);
    *text += good ? more + 1 : 1;
    return good ? c : HONE_UNICODE_END + first;
}

size_t hone_utf8_encode(uint32_t c, char *out) {
    if (c >= HONE_UNICODE_END) {
        out[0] = (char)(c - HONE_UNICODE_END);
        return 1;
    }
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    static const unsigned char first[] = {0, 0xC0, 0xE0, 0xF0};
    size_t more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    for (size_t i = more; i > 0; i--, c >>= 6) out[i] = (char)(0x80 | (c & 0x3F));
    out[0] = (char)(first[more] | c);
    return more + 1;
}

/* --- categories --- */

bool hone_unicode_category(const char *name, size_t size, hone_unicode_run_fn *fn, void *arg) {
    bool known = false;
    for (size_t k = 0; k < sizeof unicode_categories / sizeof *unicode_categories; k++)
        known |= size > 0 && size <= 2 && memcmp(unicode_categories[k], name, size) == 0;
    if (!known) return false;
    uint32_t first = 0;
    for (const uint8_t *at = unicode_runs; first < HONE_UNICODE_END;) {
        uint32_t length = 0;
        int shift = 0;
        do {
            length |= (*at & 127u) << shift;
            shift += 7;
        } while (*at++ & 128);
        if (memcmp(unicode_categories[*at++], name, size) == 0) fn(arg, first, first + length - 1);
        first += length;
    }
    return true;
}

/* --- case --- */

static locale_t utf8;
static void make_utf8(void) {
    utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
}
static locale_t use_utf8(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_utf8);
    return utf8;
}

static uint32_t changed(uint32_t c, wint_t (*change)(wint_t, locale_t), char first, int step) {
    if (c < 0x80) return c >= (unsigned char)first && c < (unsigned char)first + 26u ? c + (uint32_t)step : c;
    locale_t l = c < HONE_UNICODE_END ? use_utf8() : (locale_t)0;
    return l ? (uint32_t)change(c, l) : c;
}

uint32_t hone_unicode_upper(uint32_t c) {
    return changed(c, towupper_l, 'a', -32);
}
uint32_t hone_unicode_lower(uint32_t c) {
    return changed(c, towlower_l, 'A', 32);
}
