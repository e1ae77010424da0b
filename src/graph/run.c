#include "graph/run.h"

#include <stdarg.h>
#include <stdio.h>

hone_status hone_prepare_fail(const hone_prepare *p, hone_error *err, const char *format, ...) {
    char message[sizeof err->message];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    return hone_fail_node(err, HONE_UNSUPPORTED, p->node->name, p->node->op->name, "%s", message);
}
