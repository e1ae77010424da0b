/* The field Date of answers (RFC 9110, sections 5.6.7 and 6.6.1): "Sun, 06 Nov 1994 08:49:37 GMT". */
#ifndef HONE_SERVE_FORMAT_DATE_H
#define HONE_SERVE_FORMAT_DATE_H

#include <time.h>

enum { HONE_DATE_SIZE = 30 };

/* The last one that was written: it holds for a second. A zeroed struct has none. */
typedef struct hone_date {
    time_t second;
    char text[HONE_DATE_SIZE];
} hone_date;

/* `second` since 1970, of the years 1970 to 9999, whatever the locale. */
void hone_date_write(char text[HONE_DATE_SIZE], time_t second);
/* Of now. */
const char *hone_date_now(hone_date *d);

#endif
