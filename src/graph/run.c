#include "graph/run.h"

hone_status hone_step_fail(const hone_step *s, hone_error *err, const char *format, ...) {
    va_list args;
    va_start(args, format);
    hone_vfail_node(err, HONE_INVALID_ARGUMENT, s->node->name, hone_node_op_name(s->node), format, args);
    va_end(args);
    return HONE_INVALID_ARGUMENT;
}

void *hone_prepare_alloc(hone_prepare *p, size_t size) {
    return hone_arena_alloc(p->arena, size);
}

hone_status hone_prepare_fail(const hone_prepare *p, hone_error *err, const char *format, ...) {
    va_list args;
    va_start(args, format);
    hone_vfail_node(err, HONE_UNSUPPORTED, p->node->name, hone_node_op_name(p->node), format, args);
    va_end(args);
    return HONE_UNSUPPORTED;
}

hone_status hone_kept_add(hone_kept *k, hone_tensor *t, hone_error *err) {
    if (!hone_reserve(&k->tensors, &k->capacity, k->count + 1, sizeof(hone_tensor *))) {
        hone_tensor_free(t);
        return hone_fail_memory(err);
    }
    k->tensors[k->count++] = t;
    return HONE_OK;
}

void hone_kept_clear(hone_kept *k) {
    for (size_t i = 0; i < k->count; i++) hone_tensor_free(k->tensors[i]);
    k->count = 0;
}
