#include "runtime/loop_state.h"

#include "base/memory.h"

static hone_loop_state *make(int carried, int stacks) {
    hone_loop_state *s = hone_calloc(1, sizeof *s);
    if (!s) return NULL;
    s->carried = hone_calloc((size_t)carried + 1, sizeof *s->carried);
    s->stacks = hone_calloc((size_t)stacks + 1, sizeof *s->stacks);
    if (!s->carried || !s->stacks) {
        hone_loop_state_free(s);
        return NULL;
    }
    s->carried_count = carried;
    s->stack_count = stacks;
    return s;
}

hone_status hone_loop_state_get(hone_loop_state **state, int carried, int stacks, hone_loop_state **out,
                                hone_error *err) {
    if (!*state && !(*state = make(carried, stacks))) return hone_fail_memory(err);
    *out = *state;
    return HONE_OK;
}

size_t hone_loop_state_bytes(const hone_loop_state *s) {
    size_t bytes = 0;
    for (int i = 0; i < s->carried_count; i++) bytes += s->carried[i].block.size;
    for (int i = 0; i < s->stack_count; i++) bytes += s->stacks[i].block.size;
    return bytes;
}

void hone_loop_state_free(hone_loop_state *s) {
    if (!s) return;
    for (int i = 0; i < s->carried_count; i++) hone_free(s->carried[i].block.data);
    for (int i = 0; i < s->stack_count; i++) hone_free(s->stacks[i].block.data);
    hone_free(s->carried);
    hone_free(s->stacks);
    hone_free(s);
}
