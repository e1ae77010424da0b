/* Strings at which a text ends. */
#ifndef HONE_TEXT_STOPS_H
#define HONE_TEXT_STOPS_H

#include <stddef.h>

/* The first place where one of them begins; SIZE_MAX: none does. Empty ones are left out. */
size_t hone_stops_find(const char *const *stops, size_t count, const char *text, size_t size);
/* Bytes at the end that one of them may begin with. */
size_t hone_stops_begun(const char *const *stops, size_t count, const char *text, size_t size);

#endif
