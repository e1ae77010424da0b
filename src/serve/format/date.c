#include "serve/format/date.h"

#include <stdio.h>

void hone_date_write(char text[HONE_DATE_SIZE], time_t second) {
    static const char days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"},
                      months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    struct tm t;
    gmtime_r(&second, &t);
    char whole[80]; /* as large as the numbers could be */
    snprintf(whole, sizeof whole, "%s, %02d %s %04d %02d:%02d:%02d GMT", days[t.tm_wday % 7], t.tm_mday,
             months[t.tm_mon % 12], t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec);
    snprintf(text, HONE_DATE_SIZE, "%.29s", whole);
}

const char *hone_date_now(hone_date *d) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    if (now.tv_sec != d->second) {
        hone_date_write(d->text, now.tv_sec);
        d->second = now.tv_sec;
    }
    return d->text;
}
