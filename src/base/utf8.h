/* UTF-8, for texts that come from outside: files' names, what clients send. */
#ifndef HONE_BASE_UTF8_H
#define HONE_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

#define HONE_UTF8_REPLACEMENT "\xef\xbf\xbd" /* U+FFFD, for bytes that are none */

/* Bytes of the character at `text`, of which `left` bytes (> 0) are there; 0 if there is none. Overlong forms and
 * surrogates are none. */
size_t hone_utf8_length(const char *text, size_t left);
/* Where there is none: the bytes that one U+FFFD stands for, which are as many as begin a character, or one. So Unicode
 * recommends it (chapter 3.9), and others do it. */
size_t hone_utf8_broken(const char *text, size_t left);
bool hone_utf8_is_valid(const char *text, size_t size);
/* How many bytes of a text of `size` are shown where there is room for `most`: no character is cut. */
size_t hone_utf8_fit(const char *text, size_t size, size_t most);
/* Two arguments for "%.*s", of a terminated text. */
#define HONE_UTF8_SHOWN(text, most) (int)hone_utf8_fit(text, strnlen(text, (most) + 4), most), text

#endif
