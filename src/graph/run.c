#include "graph/run.h"

hone_status hone_prepare_fail(const hone_prepare *p, hone_error *err, const char *format, ...) {
    va_list args;
    va_start(args, format);
    hone_vfail_node(err, HONE_UNSUPPORTED, p->node->name, p->node->op->name, format, args);
    va_end(args);
    return HONE_UNSUPPORTED;
}
