#include "base/log.h"
#include "base/text.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>

static _Atomic(hone_log_fn *) log_fn;
static _Atomic(void *) log_user;
static atomic_int log_lowest;

void hone_log_set(hone_log_fn *fn, void *user, hone_log_level lowest) {
    atomic_store(&log_user, user);
    atomic_store(&log_lowest, (int)lowest);
    atomic_store(&log_fn, fn); /* last: who sees the function sees the rest */
}

void hone_log(hone_log_level level, const char *format, ...) {
    hone_log_fn *fn = atomic_load(&log_fn);
    if (!fn || (int)level < atomic_load(&log_lowest)) return;
    char text[1028], line[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    hone_text_line(line, sizeof line, text);
    fn(atomic_load(&log_user), level, line);
}
