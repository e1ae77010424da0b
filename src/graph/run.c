#include "graph/run.h"

hone_status hone_step_fail(const hone_step *s, hone_error *err, const char *format, ...) {
    va_list args;
    va_start(args, format);
    hone_vfail_node(err, HONE_INVALID_ARGUMENT, s->node->name, s->node->op->name, format, args);
    va_end(args);
    return HONE_INVALID_ARGUMENT;
}

void *hone_prepare_alloc(hone_prepare *p, size_t size) {
    return hone_arena_alloc(p->arena, size);
}

hone_status hone_prepare_fail(const hone_prepare *p, hone_error *err, const char *format, ...) {
    va_list args;
    va_start(args, format);
    hone_vfail_node(err, HONE_UNSUPPORTED, p->node->name, p->node->op->name, format, args);
    va_end(args);
    return HONE_UNSUPPORTED;
}
