/* Text that is shown to people. */
#ifndef HONE_BASE_TEXT_H
#define HONE_BASE_TEXT_H

#include <stddef.h>

/* Copies `text` into `out` of `size` bytes (> 0), always terminated: control characters become spaces, and a
 * text that is too long is cut between two UTF-8 characters. NULL is copied as "". */
void hone_text_line(char *out, size_t size, const char *text);

#endif
