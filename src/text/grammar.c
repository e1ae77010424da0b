#include "text/grammar.h"

#include <stdlib.h>
#include <string.h>

/* --- building --- */

int32_t hone_grammar_state(hone_grammar *g) {
    if (g->failed || g->state_count >= HONE_GRAMMAR_MAX_STATES ||
        (g->state_count == g->state_capacity &&
         !hone_reserve(&g->states, &g->state_capacity, g->state_count + 1, sizeof *g->states))) {
        g->failed = true;
        return 0;
    }
    g->states[g->state_count] = (grammar_state){.first = -1};
    return (int32_t)g->state_count++;
}

static void add_edge(hone_grammar *g, int32_t from, grammar_edge e) {
    if (g->failed) return;
    if (g->edge_count == g->edge_capacity &&
        !hone_reserve(&g->edges, &g->edge_capacity, g->edge_count + 1, sizeof *g->edges)) {
        g->failed = true;
        return;
    }
    e.next = g->states[from].first;
    g->states[from].first = (int32_t)g->edge_count;
    g->edges[g->edge_count++] = e;
}

void hone_grammar_bytes(hone_grammar *g, int32_t from, int low, int high, int32_t to) {
    if (low <= high)
        add_edge(g, from,
                 (grammar_edge){.kind = EDGE_BYTES, .low = (uint8_t)low, .high = (uint8_t)high, .to = to});
}
void hone_grammar_free_edge(hone_grammar *g, int32_t from, int32_t to) {
    add_edge(g, from, (grammar_edge){.kind = EDGE_FREE, .to = to});
}
void hone_grammar_call(hone_grammar *g, int32_t from, int32_t rule, int32_t back) {
    add_edge(g, from, (grammar_edge){.kind = EDGE_CALL, .to = rule, .back = back});
}

int32_t hone_grammar_literal(hone_grammar *g, int32_t from, const char *text, size_t size) {
    for (size_t i = 0; i < size && !g->failed; i++) {
        uint8_t c = (uint8_t)text[i];
        int32_t to = -1;
        for (int32_t e = g->states[from].first; e >= 0 && to < 0; e = g->edges[e].next)
            if (g->edges[e].kind == EDGE_BYTES && g->edges[e].low == c && g->edges[e].high == c)
                to = g->edges[e].to;
        if (to < 0) {
            to = hone_grammar_state(g);
            hone_grammar_bytes(g, from, c, c, to);
        }
        from = to;
    }
    return from;
}

void hone_grammar_free(hone_grammar *g) {
    if (!g) return;
    hone_free(g->states);
    hone_free(g->edges);
    hone_free(g);
}

/* --- sets --- */

static uint64_t mix(uint64_t h, uint64_t v) {
    h = (h ^ v) * 0x9E3779B97F4A7C15ull;
    return h ^ h >> 29;
}

static bool grow_slots(int32_t **slots, size_t *count, size_t used) {
    if (*count > 2 * used) return true;
    size_t more = *count ? 2 * *count : 256;
    int32_t *fresh = hone_alloc(more * sizeof *fresh);
    if (!fresh) return false;
    for (size_t i = 0; i < more; i++) fresh[i] = -1;
    hone_free(*slots);
    *slots = fresh;
    *count = more;
    return true;
}

static void put_slot(int32_t *slots, size_t count, uint64_t hash, int32_t id) {
    size_t at = (size_t)hash & (count - 1);
    while (slots[at] >= 0) at = (at + 1) & (count - 1);
    slots[at] = id;
}

/* The stack with one more state to return to; -1: out of memory, -2: too deep. */
static int32_t push_stack(grammar_sets *s, int32_t back, int32_t below) {
    uint64_t hash = mix(mix(1, (uint32_t)back), (uint32_t)below);
    int32_t depth = s->stacks[below].depth + 1;
    if (depth > HONE_GRAMMAR_MAX_DEPTH) return -2;
    if (s->stack_slot_count <= 2 * (s->stack_count + 1)) {
        if (!grow_slots(&s->stack_slots, &s->stack_slot_count, s->stack_count + 1)) return -1;
        for (size_t i = 1; i < s->stack_count; i++)
            put_slot(s->stack_slots, s->stack_slot_count,
                     mix(mix(1, (uint32_t)s->stacks[i].back), (uint32_t)s->stacks[i].below), (int32_t)i);
    }
    size_t at = (size_t)hash & (s->stack_slot_count - 1);
    for (; s->stack_slots[at] >= 0; at = (at + 1) & (s->stack_slot_count - 1)) {
        const grammar_stack *k = &s->stacks[s->stack_slots[at]];
        if (k->back == back && k->below == below) return s->stack_slots[at];
    }
    if (s->stack_count == s->stack_capacity &&
        !hone_reserve(&s->stacks, &s->stack_capacity, s->stack_count + 1, sizeof *s->stacks))
        return -1;
    s->stacks[s->stack_count] = (grammar_stack){back, below, depth};
    return s->stack_slots[at] = (int32_t)s->stack_count++;
}

typedef struct closure {
    grammar_sets *s;
    size_t work, found, seen;
    bool accepts, text, memory;
} closure;

static void add_work(closure *c, int32_t state, int32_t stack) {
    grammar_sets *s = c->s;
    uint64_t key = (uint64_t)(uint32_t)state << 32 | (uint32_t)stack;
    for (size_t i = 0; i < c->seen; i++)
        if (s->seen[i] == key) return;
    if (c->seen >= HONE_GRAMMAR_MAX_SET) return;
    if ((c->seen == s->seen_capacity &&
         !hone_reserve(&s->seen, &s->seen_capacity, c->seen + 1, sizeof *s->seen)) ||
        (c->work == s->work_capacity &&
         !hone_reserve(&s->work, &s->work_capacity, c->work + 1, sizeof *s->work))) {
        c->memory = true;
        return;
    }
    s->seen[c->seen++] = key;
    s->work[c->work++] = (grammar_config){state, stack};
}

static void add_found(closure *c, grammar_config k) {
    grammar_sets *s = c->s;
    if (c->found == s->found_capacity &&
        !hone_reserve(&s->found, &s->found_capacity, c->found + 1, sizeof *s->found)) {
        c->memory = true;
        return;
    }
    s->found[c->found++] = k;
}

/* Follows what needs no byte. */
static void close_over(closure *c) {
    grammar_sets *s = c->s;
    const hone_grammar *g = s->g;
    while (c->work && !c->memory) {
        grammar_config k = s->work[--c->work];
        const grammar_state *state = &g->states[k.state];
        bool bytes = false;
        if (state->returns && k.stack == 0) c->accepts = true;
        if (state->returns && k.stack != 0) add_work(c, s->stacks[k.stack].back, s->stacks[k.stack].below);
        for (int32_t e = state->first; e >= 0 && !c->memory; e = g->edges[e].next) {
            const grammar_edge *edge = &g->edges[e];
            if (edge->kind == EDGE_FREE) add_work(c, edge->to, k.stack);
            if (edge->kind == EDGE_CALL) {
                int32_t stack = push_stack(s, edge->back, k.stack);
                if (stack >= 0) add_work(c, edge->to, stack);
                c->memory = c->memory || stack == -1;
            }
            bytes = bytes || edge->kind == EDGE_BYTES;
        }
        c->text = c->text || state->text;
        if (bytes) add_found(c, k);
    }
}

static int by_config(const void *a, const void *b) {
    const grammar_config *x = a, *y = b;
    if (x->state != y->state) return x->state < y->state ? -1 : 1;
    return (x->stack > y->stack) - (x->stack < y->stack);
}

/* The number of the set that was found; -1: out of memory. */
static int32_t keep_set(closure *c) {
    grammar_sets *s = c->s;
    uint64_t hash = mix(2, c->accepts);
    if (c->found) qsort(s->found, c->found, sizeof *s->found, by_config);
    for (size_t i = 0; i < c->found; i++)
        hash = mix(mix(hash, (uint32_t)s->found[i].state), (uint32_t)s->found[i].stack);
    if (c->found == 0 && !c->accepts) return 0;
    if (s->set_slot_count <= 2 * (s->set_count + 1)) {
        if (!grow_slots(&s->set_slots, &s->set_slot_count, s->set_count + 1)) return -1;
        for (size_t i = 1; i < s->set_count; i++)
            put_slot(s->set_slots, s->set_slot_count, s->sets[i].hash, (int32_t)i);
    }
    size_t at = (size_t)hash & (s->set_slot_count - 1);
    for (; s->set_slots[at] >= 0; at = (at + 1) & (s->set_slot_count - 1)) {
        const grammar_set *k = &s->sets[s->set_slots[at]];
        if (k->hash == hash && k->count == c->found && k->accepts == c->accepts &&
            (c->found == 0 || memcmp(k->configs, s->found, c->found * sizeof *s->found) == 0))
            return s->set_slots[at];
    }
    if (s->set_count == s->set_capacity &&
        !hone_reserve(&s->sets, &s->set_capacity, s->set_count + 1, sizeof *s->sets))
        return -1;
    grammar_set *k = &s->sets[s->set_count];
    *k = (grammar_set){.count = (uint32_t)c->found, .accepts = c->accepts, .text = c->text, .hash = hash};
    k->configs = hone_arena_array(s->arena, c->found + 1, sizeof *k->configs);
    k->next = hone_arena_array(s->arena, 256, sizeof *k->next);
    if (!k->configs || !k->next) return -1;
    if (c->found) memcpy(k->configs, s->found, c->found * sizeof *k->configs);
    for (int b = 0; b < 256; b++) k->next[b] = -1;
    return s->set_slots[at] = (int32_t)s->set_count++;
}

hone_status hone_grammar_sets_init(grammar_sets *s, const hone_grammar *g, int32_t *start, hone_error *err) {
    *s = (grammar_sets){.g = g, .arena = hone_arena_new()};
    if (!s->arena || !hone_reserve(&s->sets, &s->set_capacity, 16, sizeof *s->sets) ||
        !hone_reserve(&s->stacks, &s->stack_capacity, 16, sizeof *s->stacks))
        return hone_fail_memory(err);
    s->sets[0] = (grammar_set){.count = 0};
    s->stacks[0] = (grammar_stack){0, 0, 0};
    s->set_count = s->stack_count = 1;
    closure c = {.s = s};
    add_work(&c, g->start, 0);
    close_over(&c);
    *start = c.memory ? -1 : keep_set(&c);
    return *start < 0 ? hone_fail_memory(err) : HONE_OK;
}

void hone_grammar_sets_free(grammar_sets *s) {
    hone_arena_free(s->arena);
    hone_free(s->sets);
    hone_free(s->stacks);
    hone_free(s->set_slots);
    hone_free(s->stack_slots);
    hone_free(s->work);
    hone_free(s->found);
    hone_free(s->seen);
    *s = (grammar_sets){.g = NULL};
}

hone_status hone_grammar_step(grammar_sets *s, int32_t set, uint8_t byte, int32_t *to, hone_error *err) {
    if (set == 0 || s->sets[set].count == 0) {
        *to = 0;
        return HONE_OK;
    }
    *to = s->sets[set].next[byte];
    if (*to >= 0) return HONE_OK;
    closure c = {.s = s};
    for (uint32_t i = 0; i < s->sets[set].count && !c.memory; i++) {
        const grammar_config k = s->sets[set].configs[i];
        for (int32_t e = s->g->states[k.state].first; e >= 0; e = s->g->edges[e].next) {
            const grammar_edge *edge = &s->g->edges[e];
            if (edge->kind == EDGE_BYTES && edge->low <= byte && byte <= edge->high)
                add_work(&c, edge->to, k.stack);
        }
    }
    if (!c.memory) close_over(&c);
    int32_t found = c.memory ? -1 : keep_set(&c);
    if (found < 0) return hone_fail_memory(err);
    *to = s->sets[set].next[byte] = found;
    return HONE_OK;
}
