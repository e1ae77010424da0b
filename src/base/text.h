/* Text that is shown to people. */
#ifndef HONE_BASE_TEXT_H
#define HONE_BASE_TEXT_H

#include <stddef.h>

/* Copies `text` into `out` of `size` bytes (> 0), always terminated: control characters become spaces, bytes that are no
 * UTF-8 become U+FFFD, and a text that is too long is cut between two characters. NULL is copied as "". */
void hone_text_line(char *out, size_t size, const char *text);

#endif
