/* Unicode: UTF-8, general categories, upper and lower case. */
#ifndef HONE_BASE_UNICODE_H
#define HONE_BASE_UNICODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HONE_UNICODE_END 0x110000u /* one more than the largest code point */

/* The code point at *text, which is before `end`, and goes on behind it. A byte that is no UTF-8 gives
 * HONE_UNICODE_END + that byte, and the text goes on by one. */
uint32_t hone_utf8_decode(const char **text, const char *end);
/* Writes 1 to 4 bytes for a code point and returns how many. What hone_utf8_decode gives for a byte becomes it again. */
size_t hone_utf8_encode(uint32_t c, char *out);

/* Calls `fn` for each run [first, last] of code points whose category begins with `name` ("L", "Lu", …). False: there is
 * no such category. */
typedef void hone_unicode_run_fn(void *arg, uint32_t first, uint32_t last);
bool hone_unicode_category(const char *name, size_t size, hone_unicode_run_fn *fn, void *arg);

/* One character for one, as the C.UTF-8 locale has it. */
uint32_t hone_unicode_upper(uint32_t c);
uint32_t hone_unicode_lower(uint32_t c);
/* The same for all characters that differ by case alone. */
static inline uint32_t hone_unicode_fold(uint32_t c) {
    return hone_unicode_lower(hone_unicode_upper(c));
}

#endif
