/* A piece of somebody's text, not terminated: it lives as long as its owner says. */
#ifndef HONE_SERVE_FORMAT_SLICE_H
#define HONE_SERVE_FORMAT_SLICE_H

#include "base/utf8.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

typedef struct hone_slice {
    const char *data;
    size_t size;
} hone_slice;

static inline bool hone_slice_equal(hone_slice text, const char *word) {
    return strlen(word) == text.size && memcmp(text.data, word, text.size) == 0;
}
/* Ignoring the case of ASCII letters. */
static inline bool hone_slice_equal_nocase(hone_slice text, const char *word) {
    return strlen(word) == text.size && strncasecmp(text.data, word, text.size) == 0;
}
/* For "%.*s" in messages: the bytes of a text that are shown, at most `most`. */
static inline int hone_slice_shown(hone_slice text, int most) {
    return (int)hone_utf8_fit(text.data, text.size, (size_t)most);
}
/* Decimal digits and nothing else, for a number of at most `most` (9 or more); false: the text is none. */
static inline bool hone_slice_number(hone_slice text, uint64_t most, uint64_t *out) {
    uint64_t x = 0;
    for (size_t i = 0; i < text.size; i++) {
        unsigned digit = (unsigned)(unsigned char)text.data[i] - '0';
        if (digit > 9 || x > (most - digit) / 10) return false;
        x = x * 10 + digit;
    }
    *out = x;
    return text.size > 0;
}
/* 0 to 15; -1: it is no hexadecimal digit. */
static inline int hone_hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

#endif
