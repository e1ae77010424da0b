/* Text that grows, and the escapes of Prometheus' text format. */
#ifndef HONE_MONITOR_TEXT_H
#define HONE_MONITOR_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* A zeroed struct is empty; after an allocation failed it stays as it is and `failed` is set. */
typedef struct hone_text {
    char *data;
    size_t size, capacity;
    bool failed;
} hone_text;
void hone_text_add(hone_text *t, const char *text, size_t size);
/* Adds `value` as the text format wants it inside quotes (or in a HELP line, without escaped quotes). Bytes
 * that are not UTF-8 become U+FFFD. */
void hone_text_escape(hone_text *t, const char *value, bool quoted);

#endif
