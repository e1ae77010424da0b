#include "text/pattern_inside.h"

#include <string.h>

enum { MAX_DEPTH = 64, MAX_STEPS = 100000, MAX_TIMES = 1000 };

typedef struct parser {
    hone_arena *arena;
    hone_pattern *p;
    const char *text, *at, *end;
    bool ignore_case, dot_all;
    int depth;
    hone_error *err;
} parser;

static hone_status wrong(parser *q, hone_status code, const char *what) {
    return hone_fail(q->err, code, "pattern '%.*s' at %zu: %s",
                     (int)(q->end - q->text < 80 ? q->end - q->text : 80), q->text, (size_t)(q->at - q->text),
                     what);
}

/* --- steps --- */

static hone_status add_step(parser *q, pattern_step s) {
    hone_pattern *p = q->p;
    if (p->count == MAX_STEPS) return wrong(q, HONE_UNSUPPORTED, "it is too large");
    if (p->count == p->capacity) {
        size_t capacity = p->capacity ? 2 * p->capacity : 64;
        pattern_step *more = hone_arena_array(q->arena, capacity, sizeof *more);
        if (!more) return hone_fail_memory(q->err);
        if (p->count) memcpy(more, p->steps, p->count * sizeof *more);
        p->steps = more;
        p->capacity = capacity;
    }
    p->steps[p->count++] = s;
    return HONE_OK;
}

/* Room for one step at `at`: what stood there and behind it moves on by one. */
static hone_status insert_step(parser *q, size_t at, pattern_step s) {
    HONE_TRY(add_step(q, s));
    hone_pattern *p = q->p;
    for (size_t i = p->count - 1; i > at; i--) {
        p->steps[i] = p->steps[i - 1];
        if (p->steps[i].to >= at) p->steps[i].to++;
        if (p->steps[i].other >= at) p->steps[i].other++;
    }
    p->steps[at] = s;
    return HONE_OK;
}

/* `count` steps that stood at `from`, behind all. */
static hone_status copy_steps(parser *q, const pattern_step *steps, size_t count, size_t from) {
    size_t moved = q->p->count - from;
    for (size_t i = 0; i < count; i++) {
        pattern_step s = steps[i];
        s.to += moved;
        s.other += moved;
        HONE_TRY(add_step(q, s));
    }
    return HONE_OK;
}

/* --- sets --- */

static bool accept(parser *q, const char *what) {
    size_t n = strlen(what);
    if ((size_t)(q->end - q->at) < n || memcmp(q->at, what, n) != 0) return false;
    q->at += n;
    return true;
}

static int hex_digit(char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static hone_status parse_hex(parser *q, int most, uint32_t *out) {
    bool braces = accept(q, "{");
    int n = 0;
    *out = 0;
    for (; q->at < q->end && hex_digit(*q->at) >= 0 && n < (braces ? 6 : most); n++)
        *out = *out << 4 | (uint32_t)hex_digit(*q->at++);
    if (n == 0 || (braces && !accept(q, "}")) || *out >= HONE_UNICODE_END)
        return wrong(q, HONE_INVALID_ARGUMENT, "no such code point");
    return HONE_OK;
}

/* Behind \p or \P. */
static hone_status parse_category(parser *q, bool negated, hone_charset *out) {
    hone_charset s = {.arena = q->arena};
    const char *name = q->at;
    size_t size = 1;
    if (accept(q, "{")) {
        if (accept(q, "^")) negated = !negated;
        name = q->at;
        while (q->at < q->end && *q->at != '}') q->at++;
        size = (size_t)(q->at - name);
        if (!accept(q, "}")) return wrong(q, HONE_INVALID_ARGUMENT, "} is missing");
    } else if (q->at++ == q->end) {
        return wrong(q, HONE_INVALID_ARGUMENT, "a class is missing");
    }
    static const struct {
        const char *name, *category;
    } words[] = {{"Letter", "L"}, {"Number", "N"}, {"Punctuation", "P"},
                 {"Punct", "P"},  {"Mark", "M"},   {"Symbol", "S"}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (size == strlen(words[i].name) && memcmp(name, words[i].name, size) == 0) {
            name = words[i].category;
            size = 1;
        }
    if (!hone_charset_add_category(&s, name, size))
        return hone_fail(q->err, HONE_UNSUPPORTED,
                         "pattern '%.*s': no class \\p{%.*s}; there are general categories",
                         (int)(q->end - q->text < 80 ? q->end - q->text : 80), q->text,
                         (int)(size < 40 ? size : 40), name);
    if (negated) hone_charset_invert(&s);
    hone_charset_add_set(out, &s);
    return HONE_OK;
}

/* Behind a backslash: a class (added to `out`, *c is HONE_UNICODE_END) or a character. */
static hone_status parse_escape(parser *q, hone_charset *out, uint32_t *c) {
    hone_charset s = {.arena = q->arena};
    if (q->at == q->end) return wrong(q, HONE_INVALID_ARGUMENT, "\\ stands at the end");
    const char letter = *q->at++;
    *c = HONE_UNICODE_END;
    switch (letter) {
    case 's':
    case 'S': hone_charset_add_space(&s); break;
    case 'd':
    case 'D': hone_charset_add_category(&s, "Nd", 2); break;
    case 'w':
    case 'W': hone_charset_add_word(&s); break;
    case 'h':
    case 'H':
        hone_charset_add(&s, '0', '9');
        hone_charset_add(&s, 'a', 'f');
        hone_charset_add(&s, 'A', 'F');
        break;
    case 'p': return parse_category(q, false, out);
    case 'P': return parse_category(q, true, out);
    case 'n': *c = '\n'; return HONE_OK;
    case 'r': *c = '\r'; return HONE_OK;
    case 't': *c = '\t'; return HONE_OK;
    case 'f': *c = '\f'; return HONE_OK;
    case 'v': *c = '\v'; return HONE_OK;
    case 'a': *c = '\a'; return HONE_OK;
    case 'e': *c = 0x1B; return HONE_OK;
    case 'x': return parse_hex(q, 2, c);
    case 'u': return parse_hex(q, 4, c);
    default:
        if ((letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') ||
            (letter >= '0' && letter <= '9'))
            return wrong(q, HONE_UNSUPPORTED, "this letter or digit means nothing known behind a \\");
        q->at--;
        *c = hone_utf8_decode(&q->at, q->end);
        return HONE_OK;
    }
    if (letter < 'a') hone_charset_invert(&s);
    hone_charset_add_set(out, &s);
    return HONE_OK;
}

/* One character or class inside of brackets. */
static hone_status parse_member(parser *q, hone_charset *out, uint32_t *c) {
    if (accept(q, "\\")) {
        if (accept(q, "b")) {
            *c = '\b';
            return HONE_OK;
        }
        return parse_escape(q, out, c);
    }
    *c = hone_utf8_decode(&q->at, q->end);
    return HONE_OK;
}

static hone_status parse_posix(parser *q, hone_charset *out, bool *is_one) {
    static const struct {
        const char *name, *categories;
    } classes[] = {{"[:alpha:]", "L"},  {"[:digit:]", "Nd"}, {"[:alnum:]", "L Nd"},
                   {"[:upper:]", "Lu"}, {"[:lower:]", "Ll"}, {"[:punct:]", "P S"}};
    *is_one = true;
    if (accept(q, "[:space:]")) {
        hone_charset_add_space(out);
        return HONE_OK;
    }
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
        if (!accept(q, classes[i].name)) continue;
        for (const char *at = classes[i].categories; *at;
             at += strcspn(at, " ") + (at[strcspn(at, " ")] == ' '))
            hone_charset_add_category(out, at, strcspn(at, " "));
        return HONE_OK;
    }
    *is_one = false;
    return HONE_OK;
}

/* Behind "[". */
static hone_status parse_brackets(parser *q, hone_charset *out) {
    hone_charset all = {.arena = q->arena}, part = {.arena = q->arena};
    bool negated = accept(q, "^"), first = true, narrowed = false;
    if (++q->depth > MAX_DEPTH) return wrong(q, HONE_UNSUPPORTED, "it is too deep");
    for (;; first = false) {
        uint32_t c, last;
        bool posix;
        if (q->at == q->end) return wrong(q, HONE_INVALID_ARGUMENT, "] is missing");
        if (!first && accept(q, "]")) break;
        if (accept(q, "&&")) {
            if (narrowed)
                hone_charset_intersect(&all, &part);
            else
                all = part;
            part = (hone_charset){.arena = q->arena};
            narrowed = true;
            continue;
        }
        HONE_TRY(parse_posix(q, &part, &posix));
        if (posix) continue;
        if (accept(q, "[")) {
            HONE_TRY(parse_brackets(q, &part));
            continue;
        }
        HONE_TRY(parse_member(q, &part, &c));
        if (c == HONE_UNICODE_END) continue;
        last = c;
        if (q->end - q->at > 1 && q->at[0] == '-' && q->at[1] != ']') {
            q->at++;
            HONE_TRY(parse_member(q, &part, &last));
            if (last == HONE_UNICODE_END || last < c)
                return wrong(q, HONE_INVALID_ARGUMENT, "a range goes backwards");
        }
        hone_charset_add(&part, c, last);
    }
    q->depth--;
    if (narrowed) {
        hone_charset_intersect(&all, &part);
        part = all;
    }
    if (q->ignore_case) hone_charset_fold(&part);
    if (negated) hone_charset_invert(&part);
    hone_charset_add_set(out, &part);
    return HONE_OK;
}

static hone_status add_set(parser *q, hone_charset *s) {
    if (q->ignore_case) hone_charset_fold(s);
    hone_charset *kept = hone_arena_alloc(q->arena, sizeof *kept);
    if (!kept || !hone_charset_done(s)) return hone_fail_memory(q->err);
    *kept = *s;
    return add_step(q, (pattern_step){.op = PATTERN_SET, .set = kept});
}

static hone_status add_character(parser *q, uint32_t c) {
    hone_charset s = {.arena = q->arena};
    hone_charset_add(&s, c, c);
    return add_set(q, &s);
}

/* --- groups --- */

static hone_status parse_alternatives(parser *q);

/* A look or an atomic group: its steps behind it, and a MATCH. */
static hone_status parse_inner(parser *q, enum pattern_op op, bool negated) {
    size_t head = q->p->count;
    HONE_TRY(add_step(q, (pattern_step){.op = op, .negated = negated}));
    HONE_TRY(parse_alternatives(q));
    HONE_TRY(add_step(q, (pattern_step){.op = PATTERN_MATCH}));
    q->p->steps[head].to = q->p->count;
    return HONE_OK;
}

static hone_status parse_behind(parser *q, bool negated) {
    size_t head = q->p->count;
    HONE_TRY(parse_alternatives(q));
    pattern_step *s = &q->p->steps[head];
    if (q->p->count != head + 1 || s->op != PATTERN_SET)
        return wrong(q, HONE_UNSUPPORTED, "a look back can be at one character only");
    s->op = PATTERN_BEHIND;
    s->negated = negated;
    return HONE_OK;
}

/* Behind "(?": flags, which hold to the end of the group around them or of a group of their own. */
static hone_status parse_flags(parser *q, bool *own) {
    bool on = true;
    for (; q->at < q->end && *q->at != ':' && *q->at != ')'; q->at++) {
        if (*q->at == '-')
            on = false;
        else if (*q->at == 'i')
            q->ignore_case = on;
        else if (*q->at == 's' || *q->at == 'm')
            q->dot_all = on;
        else
            return wrong(q, HONE_UNSUPPORTED, "this kind of group");
    }
    *own = accept(q, ":");
    return HONE_OK;
}

/* Behind "(". `*empty`: flags alone, of the group around them. */
static hone_status parse_group(parser *q, bool *empty) {
    bool ignore_case = q->ignore_case, dot_all = q->dot_all, own = true;
    hone_status status = HONE_OK;
    *empty = false;
    if (++q->depth > MAX_DEPTH) return wrong(q, HONE_UNSUPPORTED, "it is too deep");
    if (accept(q, "?="))
        status = parse_inner(q, PATTERN_AHEAD, false);
    else if (accept(q, "?!"))
        status = parse_inner(q, PATTERN_AHEAD, true);
    else if (accept(q, "?>"))
        status = parse_inner(q, PATTERN_ATOMIC, false);
    else if (accept(q, "?<="))
        status = parse_behind(q, false);
    else if (accept(q, "?<!"))
        status = parse_behind(q, true);
    else {
        if (accept(q, "?")) status = parse_flags(q, &own);
        if (status == HONE_OK && own) status = parse_alternatives(q);
        *empty = !own;
    }
    HONE_TRY(status);
    if (!accept(q, ")")) return wrong(q, HONE_INVALID_ARGUMENT, ") is missing");
    if (own) {
        q->ignore_case = ignore_case;
        q->dot_all = dot_all;
    }
    q->depth--;
    return HONE_OK;
}

/* --- repetitions --- */

static bool parse_number(parser *q, int *out) {
    const char *from = q->at;
    for (*out = 0; q->at < q->end && *q->at >= '0' && *q->at <= '9' && *out <= MAX_TIMES; q->at++)
        *out = *out * 10 + (*q->at - '0');
    return q->at > from;
}

/* A quantifier at q->at; without one *min is -1. */
static hone_status parse_quantifier(parser *q, int *min, int *max, enum pattern_greed *greed) {
    const char *from = q->at;
    *min = -1;
    *max = -1;
    if (accept(q, "*"))
        *min = 0;
    else if (accept(q, "+"))
        *min = 1;
    else if (accept(q, "?"))
        *min = 0, *max = 1;
    else if (accept(q, "{")) {
        bool low = parse_number(q, min), comma = accept(q, ","), high = comma && parse_number(q, max);
        if (!low) *min = comma && high ? 0 : -1;
        if (!high) *max = comma ? -1 : *min;
        if (*min < 0 || !accept(q, "}")) { /* a brace that stands for itself */
            q->at = from;
            *min = -1;
            return HONE_OK;
        }
        if (*min > MAX_TIMES || *max > MAX_TIMES || (*max >= 0 && *max < *min))
            return wrong(q, HONE_INVALID_ARGUMENT, "no such number of times");
    }
    *greed = PATTERN_GREEDY;
    if (*min >= 0)
        *greed = accept(q, "?") ? PATTERN_LAZY : accept(q, "+") ? PATTERN_POSSESSIVE : PATTERN_GREEDY;
    return HONE_OK;
}

static pattern_step split(enum pattern_greed greed, size_t in, size_t out) {
    bool lazy = greed == PATTERN_LAZY;
    return (pattern_step){.op = PATTERN_SPLIT, .to = lazy ? out : in, .other = lazy ? in : out};
}

/* `count` steps that stood at `from`, as often as it says. */
static hone_status emit_times(parser *q, const pattern_step *steps, size_t count, size_t from, int min,
                              int max, enum pattern_greed greed) {
    hone_pattern *p = q->p;
    for (int i = 0; i < min; i++) HONE_TRY(copy_steps(q, steps, count, from));
    if (max < 0 && min > 0) return add_step(q, split(greed, p->count - count, p->count + 1));
    if (max < 0) {
        size_t head = p->count;
        HONE_TRY(add_step(q, split(greed, head + 1, head + count + 2)));
        HONE_TRY(copy_steps(q, steps, count, from));
        return add_step(q, (pattern_step){.op = PATTERN_JUMP, .to = head});
    }
    size_t end = p->count + (size_t)(max - min) * (count + 1);
    for (int i = min; i < max; i++) {
        HONE_TRY(add_step(q, split(greed, p->count + 1, end)));
        HONE_TRY(copy_steps(q, steps, count, from));
    }
    return HONE_OK;
}

static hone_status repeat(parser *q, size_t from, int min, int max, enum pattern_greed greed) {
    hone_pattern *p = q->p;
    size_t count = p->count - from;
    if (count == 1 && p->steps[from].op == PATTERN_SET) {
        pattern_step *s = &p->steps[from];
        s->op = PATTERN_LOOP;
        s->min = min;
        s->max = max;
        s->greed = greed;
        return HONE_OK;
    }
    pattern_step *steps = hone_arena_array(q->arena, count + 1, sizeof *steps);
    if (!steps) return hone_fail_memory(q->err);
    if (count) memcpy(steps, p->steps + from, count * sizeof *steps);
    p->count = from;
    if (greed != PATTERN_POSSESSIVE) return emit_times(q, steps, count, from, min, max, greed);
    HONE_TRY(add_step(q, (pattern_step){.op = PATTERN_ATOMIC}));
    HONE_TRY(emit_times(q, steps, count, from, min, max, PATTERN_GREEDY));
    HONE_TRY(add_step(q, (pattern_step){.op = PATTERN_MATCH}));
    p->steps[from].to = p->count;
    return HONE_OK;
}

/* --- sequences --- */

static hone_status parse_atom_escape(parser *q) {
    hone_charset s = {.arena = q->arena};
    uint32_t c;
    if (accept(q, "b")) return add_step(q, (pattern_step){.op = PATTERN_EDGE});
    if (accept(q, "B")) return add_step(q, (pattern_step){.op = PATTERN_EDGE, .negated = true});
    if (accept(q, "A")) return add_step(q, (pattern_step){.op = PATTERN_BEGIN});
    if (accept(q, "z")) return add_step(q, (pattern_step){.op = PATTERN_END});
    HONE_TRY(parse_escape(q, &s, &c));
    return c == HONE_UNICODE_END ? add_set(q, &s) : add_character(q, c);
}

static hone_status parse_atom(parser *q, bool *empty) {
    *empty = false;
    if (accept(q, "(")) return parse_group(q, empty);
    if (accept(q, "\\")) return parse_atom_escape(q);
    if (accept(q, "^")) return add_step(q, (pattern_step){.op = PATTERN_LINE_BEGIN});
    if (accept(q, "$")) return add_step(q, (pattern_step){.op = PATTERN_LINE_END});
    hone_charset s = {.arena = q->arena};
    if (accept(q, ".")) {
        if (!q->dot_all) hone_charset_add(&s, '\n', '\n');
        hone_charset_invert(&s);
        return add_set(q, &s);
    }
    if (accept(q, "[")) {
        bool ignore_case = q->ignore_case;
        HONE_TRY(parse_brackets(q, &s));
        q->ignore_case = false; /* done already, before it was turned around */
        hone_status status = add_set(q, &s);
        q->ignore_case = ignore_case;
        return status;
    }
    if (*q->at == '*' || *q->at == '+' || *q->at == '?')
        return wrong(q, HONE_INVALID_ARGUMENT, "nothing to repeat");
    return add_character(q, hone_utf8_decode(&q->at, q->end));
}

static hone_status parse_sequence(parser *q) {
    while (q->at < q->end && *q->at != '|' && *q->at != ')') {
        size_t from = q->p->count;
        int min, max;
        bool empty;
        enum pattern_greed greed = PATTERN_GREEDY;
        HONE_TRY(parse_atom(q, &empty));
        if (empty) continue;
        HONE_TRY(parse_quantifier(q, &min, &max, &greed));
        if (min >= 0) HONE_TRY(repeat(q, from, min, max, greed));
    }
    return HONE_OK;
}

static hone_status parse_alternatives(parser *q) {
    size_t from = q->p->count, jumps[256], count = 0;
    HONE_TRY(parse_sequence(q));
    while (accept(q, "|")) {
        if (count == sizeof jumps / sizeof *jumps) return wrong(q, HONE_UNSUPPORTED, "too many alternatives");
        HONE_TRY(insert_step(q, from, (pattern_step){.op = PATTERN_SPLIT}));
        for (size_t i = 0; i < count; i++) jumps[i] += jumps[i] >= from;
        jumps[count++] = q->p->count;
        HONE_TRY(add_step(q, (pattern_step){.op = PATTERN_JUMP}));
        q->p->steps[from].to = from + 1;
        q->p->steps[from].other = q->p->count;
        from = q->p->count;
        HONE_TRY(parse_sequence(q));
    }
    for (size_t i = 0; i < count; i++) q->p->steps[jumps[i]].to = q->p->count;
    return HONE_OK;
}

static hone_status parse_literal(parser *q) {
    if (q->at == q->end) return wrong(q, HONE_INVALID_ARGUMENT, "it is empty");
    while (q->at < q->end) HONE_TRY(add_character(q, hone_utf8_decode(&q->at, q->end)));
    return HONE_OK;
}

hone_status hone_pattern_compile(hone_arena *arena, const char *text, size_t size, bool literal,
                                 const hone_pattern **out, hone_error *err) {
    hone_pattern *p = hone_arena_alloc(arena, sizeof *p);
    if (!p) return hone_fail_memory(err);
    parser q = {.arena = arena, .p = p, .text = text, .at = text, .end = text + size, .err = err};
    p->word.arena = arena;
    hone_charset_add_word(&p->word);
    if (!hone_charset_done(&p->word)) return hone_fail_memory(err);
    HONE_TRY(literal ? parse_literal(&q) : parse_alternatives(&q));
    if (q.at < q.end) return wrong(&q, HONE_INVALID_ARGUMENT, "a ) has no (");
    HONE_TRY(add_step(&q, (pattern_step){.op = PATTERN_MATCH}));
    *out = p;
    return HONE_OK;
}
