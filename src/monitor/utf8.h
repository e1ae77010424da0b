/* UTF-8, for texts that come from outside and go into formats that demand it. */
#ifndef HONE_MONITOR_UTF8_H
#define HONE_MONITOR_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes of the character at `text` (zero-terminated, not at the zero); 0 if there is none. Overlong forms and
 * surrogates are none. */
size_t hone_utf8_length(const char *text);
bool hone_utf8_is_valid(const char *text);

#endif
