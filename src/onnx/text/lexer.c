#include "onnx/text/script.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

hone_status hone_script_fail(const hone_script *t, const char *at, const char *format, ...) {
    char message[320];
    va_list args;
    size_t line = 1;
    const char *start = t->begin;
    if (at < t->begin || at > t->end) at = t->at; /* what a string held, not the text */
    for (const char *p = t->begin; p < at; p++)
        if (*p == '\n') {
            line++;
            start = p + 1;
        }
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    return hone_fail(t->err, HONE_CORRUPT, "line %zu, column %zu: %s", line, (size_t)(at - start) + 1,
                     message);
}

void hone_script_skip(hone_script *t, bool comments) {
    for (; t->at < t->end; t->at++) {
        if (comments && *t->at == '#')
            while (t->at < t->end && *t->at != '\n') t->at++;
        if (t->at == t->end || (*t->at != ' ' && *t->at != '\t' && *t->at != '\n' && *t->at != '\r')) return;
    }
}

hone_status hone_script_add(hone_script *t, const char *bytes, size_t size) {
    if (!hone_reserve(&t->string, &t->capacity, t->size + size + 1, 1)) return hone_fail_memory(t->err);
    if (size) memcpy(t->string + t->size, bytes, size);
    t->size += size;
    t->string[t->size] = 0;
    return HONE_OK;
}

/* As UTF-8. */
hone_status hone_script_add_character(hone_script *t, const char *at, unsigned code) {
    char bytes[4];
    if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return hone_script_fail(t, at, "no character");
    size_t n = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = n - 1; i > 0; i--, code >>= 6) bytes[i] = (char)(0x80 | (code & 0x3f));
    bytes[0] = (char)(lead[n] | code);
    return hone_script_add(t, bytes, n);
}

hone_status hone_script_enter(hone_script *t) {
    return ++t->depth > 2 * HONE_MESSAGE_MAX_DEPTH ? hone_script_fail(t, t->at, "nested too deeply")
                                                   : HONE_OK;
}

void hone_script_leave(hone_script *t) {
    t->depth--;
}

bool hone_span_is(hone_span s, const char *word) {
    return strlen(word) == s.size && memcmp(s.at, word, s.size) == 0;
}

bool hone_script_is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

bool hone_script_is_digit(char c) {
    return c >= '0' && c <= '9';
}

hone_span hone_script_word(hone_script *t) {
    hone_span s = {t->at, 0};
    while (t->at < t->end &&
           (hone_script_is_letter(*t->at) || (t->at > s.at && hone_script_is_digit(*t->at))))
        t->at++;
    s.size = (size_t)(t->at - s.at);
    return s;
}

hone_span hone_script_number(hone_script *t) {
    hone_span s = {t->at, 0};
    for (; t->at < t->end; t->at++) {
        char c = *t->at;
        bool sign = (c == '-' || c == '+') && (t->at == s.at || t->at[-1] == 'e' || t->at[-1] == 'E');
        if (!sign && c != '.' && !hone_script_is_digit(c) && !hone_script_is_letter(c)) break;
    }
    s.size = (size_t)(t->at - s.at);
    return s;
}

/* A copy that ends in a zero; false if it is longer than any number need be. */
static bool copy(hone_span s, char out[64]) {
    if (s.size == 0 || s.size >= 64) return false;
    memcpy(out, s.at, s.size);
    out[s.size] = 0;
    return true;
}

hone_status hone_span_float(const hone_script *t, hone_span s, double *out) {
    char text[64], *end = text;
    bool fits = copy(s, text);
    if (fits) *out = strtod_l(text, &end, t->locale);
    if (fits && end > text && *end == 'f' && !end[1]) end++; /* 1.5f */
    if (!fits || end == text || *end) return hone_script_fail(t, s.at, "no number");
    return HONE_OK;
}

hone_status hone_span_int(const hone_script *t, hone_span s, int base, int64_t *out) {
    char text[64], *end = text;
    double x;
    if (!copy(s, text)) return hone_script_fail(t, s.at, "no whole number");
    errno = 0;
    *out = strtoll(text, &end, base);
    if (errno == ERANGE && *text != '-') { /* beyond INT64_MAX: the bits of one without a sign */
        errno = 0;
        *out = (int64_t)strtoull(text, &end, base);
    }
    if (errno == 0 && end > text && !*end) return HONE_OK;
    x = errno == 0 && end > text ? strtod_l(text, &end, t->locale) : NAN; /* 1e3 */
    if (*end || !(fabs(x) < 0x1p53) || x != floor(x))
        return hone_script_fail(t, s.at, "no whole number of 64 bits");
    *out = (int64_t)x;
    return HONE_OK;
}
