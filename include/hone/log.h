/* Logging: the library is silent unless it is given a function to log with. */
#ifndef HONE_LOG_H
#define HONE_LOG_H

#include <hone/error.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum hone_log_level {
    HONE_LOG_DEBUG,
    HONE_LOG_INFO,
    HONE_LOG_WARNING,
    HONE_LOG_ERROR
} hone_log_level;

/* Called from any thread; `message` is one line without newline, valid during the call. */
typedef void hone_log_fn(void *user, hone_log_level level, const char *message);

/* Sets the function (NULL: silence) and the lowest level it gets. Call it once, before anything else. */
HONE_API void hone_log_set(hone_log_fn *fn, void *user, hone_log_level lowest);

#ifdef __cplusplus
}
#endif
#endif
