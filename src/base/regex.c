#include "base/regex.h"

#include "base/regex_inside.h"
#include "base/unicode.h"

#include <string.h>

enum { MAX_CODE = 50000 };

typedef enum opcode {
    CODE_SET,    /* a code point of ranges [x, x + y): on to the next instruction */
    CODE_ASSERT, /* x holds here */
    CODE_SPLIT,  /* x and y */
    CODE_JUMP,   /* x */
    CODE_MATCH
} opcode;

typedef struct instruction {
    opcode op;
    int x, y;
} instruction;

struct hone_regex {
    instruction *code;
    int count, capacity;
    regex_range *ranges;
    int range_count, range_capacity;
};

/* --- compiling --- */

typedef struct compiler {
    hone_arena *arena;
    hone_regex *r;
    hone_status status;
    hone_error *err;
} compiler;

static bool grow(compiler *c, void **items, int count, int *capacity, int need, size_t size) {
    if (count + need <= *capacity) return true;
    int more = 2 * *capacity + need + 16;
    void *larger = hone_arena_array(c->arena, (size_t)more, size);
    if (!larger) {
        if (c->status == HONE_OK) c->status = hone_fail_memory(c->err);
        return false;
    }
    if (count) memcpy(larger, *items, (size_t)count * size);
    *items = larger;
    *capacity = more;
    return true;
}

static int emit(compiler *c, opcode op, int x, int y) {
    hone_regex *r = c->r;
    if (c->status != HONE_OK) return 0;
    if (r->count >= MAX_CODE) {
        c->status =
            hone_fail(c->err, HONE_INVALID_ARGUMENT, "the pattern is too large: repetitions of repetitions");
        return 0;
    }
    if (!grow(c, (void **)&r->code, r->count, &r->capacity, 1, sizeof *r->code)) return 0;
    r->code[r->count] = (instruction){op, x, y};
    return r->count++;
}

/* Ranges are written once, however often the item is repeated: `min` keeps them apart. */
static void emit_set(compiler *c, const regex_item *item, int *at) {
    hone_regex *r = c->r;
    if (*at < 0) {
        if (!grow(c, (void **)&r->ranges, r->range_count, &r->range_capacity, item->count + 1,
                  sizeof *r->ranges))
            return;
        *at = r->range_count;
        if (item->count) memcpy(r->ranges + *at, item->ranges, (size_t)item->count * sizeof *r->ranges);
        r->range_count += item->count;
    }
    emit(c, CODE_SET, *at, item->count);
}

static void emit_alternatives(compiler *c, const regex_alternative *a);

static void emit_once(compiler *c, const regex_item *item, int *at) {
    switch (item->kind) {
    case REGEX_SET: emit_set(c, item, at); return;
    case REGEX_ASSERT: emit(c, CODE_ASSERT, (int)item->assertion, 0); return;
    case REGEX_GROUP: emit_alternatives(c, item->group); return;
    }
}

/* Instructions from `chain` on, linked by what is their second target until now, go to here. */
static void patch(compiler *c, int chain) {
    while (chain >= 0 && c->status == HONE_OK) {
        int next = c->r->code[chain].y;
        c->r->code[chain].y = c->r->count;
        chain = next;
    }
}

/* x{2,4}:  x x split(x split(x))     x{2,}:  x L: x split(L)     x*:  L: split(x jump(L)) */
static void emit_item(compiler *c, const regex_item *item) {
    int ranges = -1, start = c->r->count, chain = -1;
    for (int i = 0; i < item->min && c->status == HONE_OK; i++) {
        start = c->r->count;
        emit_once(c, item, &ranges);
    }
    if (item->max == REGEX_UNBOUNDED && item->min > 0) {
        emit(c, CODE_SPLIT, start, c->r->count + 1);
    } else if (item->max == REGEX_UNBOUNDED) {
        int split = emit(c, CODE_SPLIT, c->r->count + 1, -1);
        emit_once(c, item, &ranges);
        emit(c, CODE_JUMP, split, 0);
        patch(c, split);
    }
    for (int i = item->min; i < item->max && c->status == HONE_OK; i++) {
        chain = emit(c, CODE_SPLIT, c->r->count + 1, chain);
        emit_once(c, item, &ranges);
    }
    patch(c, chain);
}

static void emit_alternatives(compiler *c, const regex_alternative *a) {
    int ends = -1;
    for (; a && c->status == HONE_OK; a = a->next) {
        int split = a->next ? emit(c, CODE_SPLIT, c->r->count + 1, -1) : -1;
        for (const regex_item *i = a->first; i && c->status == HONE_OK; i = i->next) emit_item(c, i);
        if (!a->next) break;
        ends = emit(c, CODE_JUMP, 0, ends);
        patch(c, split);
    }
    while (ends >= 0 && c->status == HONE_OK) {
        int next = c->r->code[ends].y;
        c->r->code[ends].x = c->r->count;
        ends = next;
    }
}

hone_status hone_regex_compile(hone_arena *arena, const char *pattern, size_t size, const hone_regex **out,
                               hone_error *err) {
    hone_regex *r = hone_arena_alloc(arena, sizeof *r);
    regex_alternative *alternatives = NULL;
    if (!r) return hone_fail_memory(err);
    *r = (hone_regex){NULL};
    HONE_TRY(hone_regex_parse(arena, pattern, size, &alternatives, err));
    compiler c = {arena, r, HONE_OK, err};
    emit_alternatives(&c, alternatives);
    emit(&c, CODE_MATCH, 0, 0);
    *out = r;
    return c.status;
}

/* --- matching --- */

#define NOTHING UINT32_MAX /* before the first character and behind the last */

typedef struct matcher {
    const hone_regex *r;
    int *states, *next;    /* instructions: sets, and the match */
    uint32_t *mark, round; /* mark[i] is `round` if instruction i has been reached at this position */
    int *stack;
    int count; /* of states */
    uint32_t before, here;
} matcher;

size_t hone_regex_scratch(const hone_regex *r) {
    return (size_t)r->count * 2 * sizeof(size_t);
}

static matcher matcher_make(const hone_regex *r, void *scratch) {
    matcher m = {.r = r, .states = scratch, .round = 1, .before = NOTHING};
    m.next = m.states + r->count;
    m.mark = (uint32_t *)(m.next + r->count);
    m.stack = (int *)m.mark + r->count;
    memset(m.mark, 0, (size_t)r->count * sizeof *m.mark);
    return m;
}

static bool in_ranges(const hone_regex *r, const instruction *i, uint32_t c) {
    int low = i->x, end = i->x + i->y, high = end;
    while (low < high) {
        int middle = low + (high - low) / 2;
        if (c > r->ranges[middle].last)
            low = middle + 1;
        else
            high = middle;
    }
    return low < end && c >= r->ranges[low].first;
}

static bool is_word(uint32_t c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
}

static bool holds(const matcher *m, int assertion) {
    bool edge = is_word(m->before) != is_word(m->here);
    switch ((regex_assertion)assertion) {
    case REGEX_BEGIN_TEXT: return m->before == NOTHING;
    case REGEX_END_TEXT: return m->here == NOTHING;
    case REGEX_BEGIN_LINE: return m->before == NOTHING || m->before == '\n';
    case REGEX_END_LINE: return m->here == NOTHING || m->here == '\n';
    case REGEX_WORD_EDGE: return edge;
    case REGEX_NO_WORD_EDGE: return !edge;
    }
    return false;
}

static void push(matcher *m, int *top, int at) {
    if (m->mark[at] == m->round) return;
    m->mark[at] = m->round;
    m->stack[(*top)++] = at;
}

/* Adds to the first `count` of `states` all that is reached from instruction `at` without a character. */
static int reach(matcher *m, int at, int *states, int count) {
    int top = 0;
    push(m, &top, at);
    while (top > 0) {
        at = m->stack[--top];
        const instruction *i = &m->r->code[at];
        switch (i->op) {
        case CODE_SPLIT:
            push(m, &top, i->y);
            push(m, &top, i->x);
            break;
        case CODE_JUMP: push(m, &top, i->x); break;
        case CODE_ASSERT:
            if (holds(m, i->x)) push(m, &top, at + 1);
            break;
        case CODE_SET:
        case CODE_MATCH: states[count++] = at; break;
        }
    }
    return count;
}

/* From all states that take the character before this position. */
static void step(matcher *m) {
    int count = 0, *states = m->next;
    m->round++;
    for (int k = 0; k < m->count; k++) {
        const instruction *i = &m->r->code[m->states[k]];
        if (i->op == CODE_SET && in_ranges(m->r, i, m->before))
            count = reach(m, m->states[k] + 1, states, count);
    }
    m->next = m->states;
    m->states = states;
    m->count = count;
}

bool hone_regex_full_match(const hone_regex *r, const char *text, size_t size, void *scratch) {
    const char *at = text, *end = text + size;
    matcher m = matcher_make(r, scratch);
    m.here = at < end ? hone_utf8_decode(&at, end) : NOTHING;
    m.count = reach(&m, 0, m.states, 0);
    while (m.here != NOTHING && m.count > 0) {
        m.before = m.here;
        m.here = at < end ? hone_utf8_decode(&at, end) : NOTHING;
        step(&m);
    }
    for (int k = 0; k < m.count; k++)
        if (r->code[m.states[k]].op == CODE_MATCH) return m.here == NOTHING;
    return false;
}

/* --- where matches end --- from the last position to the first one: where a match ends that goes on with an
 * instruction at a position follows from those at the position behind the next character */

/* The character that ends at *at, which moves to where it begins. */
static uint32_t character_before(const char *text, const char **at) {
    const char *from = *at - 1;
    while (from > text && *at - from < 4 && ((unsigned char)*from & 0xC0) == 0x80) from--;
    const char *end = from;
    uint32_t c = hone_utf8_decode(&end, *at);
    if (end != *at) { /* no character ends there: one byte */
        from = *at - 1;
        end = from;
        c = hone_utf8_decode(&end, *at);
    }
    *at = from;
    return c;
}

static size_t larger(size_t a, size_t b) {
    return a > b ? a : b;
}

/* What follows without a character from the instructions behind; true: something changed. A jump back to a
 * loop takes what the loop's other way out has, too, so that loops in loops need no more rounds than one. */
static bool settle(const matcher *m, size_t *ends) {
    bool changed = false;
    for (int k = m->r->count - 1; k >= 0; k--) {
        const instruction *i = &m->r->code[k];
        size_t end = ends[k];
        if (i->op == CODE_SPLIT)
            end = larger(end, larger(ends[i->x], ends[i->y]));
        else if (i->op == CODE_JUMP)
            end = larger(end, larger(ends[i->x], i->x < k ? ends[m->r->code[i->x].y] : 0));
        else if (i->op == CODE_ASSERT && holds(m, i->x))
            end = larger(end, ends[k + 1]);
        changed |= end != ends[k];
        ends[k] = end;
    }
    return changed;
}

void hone_regex_ends(const hone_regex *r, const char *text, size_t size, void *scratch, size_t *out) {
    size_t *ends = scratch, *behind = ends + r->count; /* by instruction: 0 for none, else one more */
    const char *at = text + size, *from = at;
    matcher m = {.r = r, .before = NOTHING};
    memset(behind, 0, (size_t)r->count * sizeof *behind);
    for (size_t i = 0; i <= size; i++) out[i] = HONE_REGEX_NONE;
    for (;;) {
        m.here = m.before;
        m.before = from > text ? character_before(text, &from) : NOTHING;
        const size_t here = (size_t)(at - text);
        for (int k = 0; k < r->count; k++) {
            const instruction *i = &r->code[k];
            ends[k] = i->op == CODE_MATCH                            ? here + 1
                      : i->op == CODE_SET && in_ranges(r, i, m.here) ? behind[k + 1]
                                                                     : 0;
        }
        while (settle(&m, ends)) {
        }
        if (ends[0]) out[here] = ends[0] - 1;
        if (at == text) return;
        at = from;
        size_t *swap = ends;
        ends = behind;
        behind = swap;
    }
}
