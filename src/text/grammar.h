/* Grammars: pushdown automata over bytes. A state goes on by bytes, by itself, or by calling a rule, behind which another
 * state goes on. What may come next is a set of configurations, each a state and what is to be returned to; sets and stacks
 * are kept once each, and so is where each byte leads. */
#ifndef HONE_TEXT_GRAMMAR_H
#define HONE_TEXT_GRAMMAR_H

#include "base/error.h"
#include "base/memory.h"

#include <hone/text.h>

enum { HONE_GRAMMAR_MAX_STATES = 400000, HONE_GRAMMAR_MAX_DEPTH = 128, HONE_GRAMMAR_MAX_SET = 2000 };

typedef struct grammar_edge {
    enum { EDGE_BYTES, EDGE_FREE, EDGE_CALL } kind; /* FREE: without a byte */
    uint8_t low, high;
    int32_t to;   /* CALL: where the rule begins */
    int32_t back; /* CALL: where it goes on behind the rule */
    int32_t next; /* the state's next edge; -1: none */
} grammar_edge;

typedef struct grammar_state {
    int32_t first; /* edge; -1: none */
    bool returns;  /* the rule may end here */
    bool text;     /* any whole characters lead back to it, but for those that JSON escapes */
} grammar_state;

struct hone_grammar {
    grammar_state *states;
    size_t state_count, state_capacity;
    grammar_edge *edges;
    size_t edge_count, edge_capacity;
    int32_t start;
    bool failed; /* out of memory, or too large */
};

/* Building remembers failures in g->failed; states are then 0. */
int32_t hone_grammar_state(hone_grammar *g);
void hone_grammar_bytes(hone_grammar *g, int32_t from, int low, int high, int32_t to);
void hone_grammar_free_edge(hone_grammar *g, int32_t from, int32_t to);
void hone_grammar_call(hone_grammar *g, int32_t from, int32_t rule, int32_t back);
/* Behind the text; prefixes that stand there already are shared. */
int32_t hone_grammar_literal(hone_grammar *g, int32_t from, const char *text, size_t size);
/* Takes away what leads to no end, such as a rule that calls itself always. `ends`: whether a text of the grammar does. */
hone_status hone_grammar_prune(hone_grammar *g, bool *ends, hone_error *err);

/* --- sets of configurations, of one user --- */

typedef struct grammar_config {
    int32_t state, stack; /* stack 0: empty */
} grammar_config;

typedef struct grammar_set {
    grammar_config *configs; /* those that bytes lead on from */
    uint32_t count;
    bool accepts; /* the text may end here */
    bool text;    /* one of the states is */
    uint64_t hash;
    int32_t *next; /* for each byte: a set, 0 none, -1 not known yet */
    uint32_t *mask;
} grammar_set;

typedef struct grammar_stack {
    int32_t back, below, depth;
} grammar_stack;

typedef struct grammar_sets {
    const hone_grammar *g;
    hone_arena *arena;
    grammar_set *sets; /* sets[0]: nothing may come */
    size_t set_count, set_capacity;
    grammar_stack *stacks;
    size_t stack_count, stack_capacity;
    int32_t *set_slots, *stack_slots; /* -1: empty */
    size_t set_slot_count, stack_slot_count;
    grammar_config *work, *found;
    size_t work_capacity, found_capacity;
    uint64_t *seen;
    size_t seen_capacity;
} grammar_sets;

hone_status hone_grammar_sets_init(grammar_sets *s, const hone_grammar *g, int32_t *start, hone_error *err);
void hone_grammar_sets_free(grammar_sets *s);
/* The set behind a byte; 0: the byte may not come. */
hone_status hone_grammar_step(grammar_sets *s, int32_t set, uint8_t byte, int32_t *to, hone_error *err);

#endif
