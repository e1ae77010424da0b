#include "text/stops.h"

#include <stdint.h>
#include <string.h>

size_t hone_stops_find(const char *const *stops, size_t count, const char *text, size_t size) {
    size_t first = SIZE_MAX;
    for (size_t i = 0; i < count; i++) {
        const size_t n = strlen(stops[i]);
        const char *at = n && size ? memmem(text, size, stops[i], n) : NULL;
        if (at && (size_t)(at - text) < first) first = (size_t)(at - text);
    }
    return first;
}

size_t hone_stops_begun(const char *const *stops, size_t count, const char *text, size_t size) {
    size_t most = 0;
    for (size_t i = 0; i < count; i++) {
        const size_t n = strlen(stops[i]);
        for (size_t k = n && n - 1 < size ? n - 1 : size; k > most && k < n; k--)
            if (memcmp(text + size - k, stops[i], k) == 0) most = k;
    }
    return most;
}
