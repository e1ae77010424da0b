/* The pieces of JSON as automata: texts, numbers, any value. */
#include "text/schema.h"

#include <math.h>
#include <stdio.h>

enum { WHOLE_DIGITS = 15, SPACES = 20 };

int32_t hone_schema_fail(schema_compiler *c, hone_status status, const char *what) {
    if (!c->failed)
        c->status =
            hone_fail(c->err, status, "JSON schema, at '%.*s': %s",
                      (int)(c->path.size < 200 ? c->path.size : 200), c->path.data ? c->path.data : "", what);
    c->failed = true;
    return 0;
}

int32_t hone_schema_unsupported(schema_compiler *c, const char *key) {
    char text[160];
    snprintf(text, sizeof text, "\"%.100s\" is not supported", key);
    return hone_schema_fail(c, HONE_UNSUPPORTED, text);
}

/* --- places --- */

size_t hone_schema_enter(schema_compiler *c, const char *name) {
    size_t before = c->path.size;
    bool good = hone_bytes_text(&c->path, "/");
    for (; *name && good; name++)
        good = *name == '~'   ? hone_bytes_text(&c->path, "~0")
               : *name == '/' ? hone_bytes_text(&c->path, "~1")
                              : hone_bytes_add(&c->path, name, 1);
    if (!good) hone_schema_fail(c, HONE_OUT_OF_MEMORY, "out of memory");
    return before;
}
size_t hone_schema_enter_index(schema_compiler *c, size_t i) {
    char name[24];
    snprintf(name, sizeof name, "%zu", i);
    return hone_schema_enter(c, name);
}
void hone_schema_leave(schema_compiler *c, size_t before) {
    if (!c->failed) c->path.size = before;
}

/* --- pieces of JSON --- */

int32_t hone_schema_state(schema_compiler *c) {
    return hone_grammar_state(c->g);
}
int32_t hone_schema_literal(schema_compiler *c, int32_t from, const char *text) {
    return hone_grammar_literal(c->g, from, text, strlen(text));
}
int32_t hone_schema_call(schema_compiler *c, int32_t from, int32_t rule) {
    int32_t to = hone_schema_state(c);
    hone_grammar_call(c->g, from, rule, to);
    return to;
}
void hone_schema_ends(schema_compiler *c, int32_t at) {
    if (!c->g->failed) c->g->states[at].returns = true;
}

/* Nothing, a space, or a new line with at most so many spaces. */
static void make_space(schema_compiler *c) {
    int32_t at = c->space = hone_schema_state(c), one = hone_schema_state(c);
    hone_schema_ends(c, at);
    hone_grammar_bytes(c->g, at, ' ', ' ', one);
    hone_schema_ends(c, one);
    int32_t line = hone_schema_literal(c, at, "\n");
    for (int i = 0; i <= SPACES; i++) {
        hone_schema_ends(c, line);
        if (i < SPACES) line = hone_schema_literal(c, line, " ");
    }
}

static void hex(schema_compiler *c, int32_t from, int32_t to) {
    hone_grammar_bytes(c->g, from, '0', '9', to);
    hone_grammar_bytes(c->g, from, 'a', 'f', to);
    hone_grammar_bytes(c->g, from, 'A', 'F', to);
}

/* A character of a text as JSON writes it; `escapes`: also with a backslash, where halves of surrogates are left out. */
void hone_schema_character(schema_compiler *c, int32_t from, int32_t to, bool escapes) {
    hone_grammar *g = c->g;
    int32_t last = hone_schema_state(c), two = hone_schema_state(c), three = hone_schema_state(c),
            e0 = hone_schema_state(c), ed = hone_schema_state(c), f0 = hone_schema_state(c),
            f4 = hone_schema_state(c);
    hone_grammar_bytes(g, from, 0x20, 0x21, to);
    hone_grammar_bytes(g, from, 0x23, 0x5B, to);
    hone_grammar_bytes(g, from, 0x5D, 0x7F, to);
    hone_grammar_bytes(g, from, 0xC2, 0xDF, last);
    hone_grammar_bytes(g, from, 0xE0, 0xE0, e0);
    hone_grammar_bytes(g, from, 0xE1, 0xEC, two);
    hone_grammar_bytes(g, from, 0xED, 0xED, ed);
    hone_grammar_bytes(g, from, 0xEE, 0xEF, two);
    hone_grammar_bytes(g, from, 0xF0, 0xF0, f0);
    hone_grammar_bytes(g, from, 0xF1, 0xF3, three);
    hone_grammar_bytes(g, from, 0xF4, 0xF4, f4);
    hone_grammar_bytes(g, last, 0x80, 0xBF, to);
    hone_grammar_bytes(g, two, 0x80, 0xBF, last);
    hone_grammar_bytes(g, three, 0x80, 0xBF, two);
    hone_grammar_bytes(g, e0, 0xA0, 0xBF, last);
    hone_grammar_bytes(g, ed, 0x80, 0x9F, last);
    hone_grammar_bytes(g, f0, 0x90, 0xBF, two);
    hone_grammar_bytes(g, f4, 0x80, 0x8F, two);
    if (!escapes) return;
    int32_t back = hone_schema_literal(c, from, "\\"), u = hone_schema_literal(c, back, "u"),
            h3 = hone_schema_state(c), h2 = hone_schema_state(c), h1 = hone_schema_state(c),
            d = hone_schema_state(c);
    for (const char *e = "\"\\/bfnrt"; *e; e++) hone_grammar_bytes(g, back, *e, *e, to);
    hone_grammar_bytes(g, u, '0', '9', h3);
    for (const char *e = "abcefABCEF"; *e; e++) hone_grammar_bytes(g, u, *e, *e, h3);
    hone_grammar_bytes(g, u, 'd', 'd', d);
    hone_grammar_bytes(g, u, 'D', 'D', d);
    hone_grammar_bytes(g, d, '0', '7', h2);
    hex(c, h3, h2);
    hex(c, h2, h1);
    hex(c, h1, to);
}

void hone_schema_free_text(schema_compiler *c, int32_t at) {
    hone_schema_character(c, at, at, true);
    if (!c->g->failed) c->g->states[at].text = true;
}

static void make_text(schema_compiler *c) {
    c->text = hone_schema_state(c);
    int32_t inside = hone_schema_literal(c, c->text, "\"");
    hone_schema_free_text(c, inside);
    hone_schema_ends(c, hone_schema_literal(c, inside, "\""));
}

int32_t hone_schema_digits(schema_compiler *c, int32_t from, int low, int high) {
    int32_t to = hone_schema_state(c);
    hone_grammar_bytes(c->g, from, '0' + low, '0' + high, to);
    return to;
}

/* Up to so many digits more; all states on the way go on to `end`. */
static void some_digits(schema_compiler *c, int32_t at, int most, int32_t end) {
    for (int i = 0; i <= most; i++) {
        hone_grammar_free_edge(c->g, at, end);
        if (i < most) at = hone_schema_digits(c, at, 0, 9);
    }
}

static int32_t whole_part(schema_compiler *c, int32_t from) {
    int32_t sign = hone_schema_state(c), end = hone_schema_state(c);
    hone_grammar_free_edge(c->g, from, sign);
    hone_grammar_bytes(c->g, from, '-', '-', sign);
    hone_grammar_bytes(c->g, sign, '0', '0', end);
    some_digits(c, hone_schema_digits(c, sign, 1, 9), WHOLE_DIGITS - 1, end);
    return end;
}

static void make_numbers(schema_compiler *c) {
    c->whole = hone_schema_state(c);
    hone_schema_ends(c, whole_part(c, c->whole));
    c->number = hone_schema_state(c);
    int32_t at = whole_part(c, c->number), part = hone_schema_state(c), end = hone_schema_state(c), power,
            sign = hone_schema_state(c);
    some_digits(c, hone_schema_digits(c, hone_schema_literal(c, at, "."), 0, 9), 15, part);
    hone_grammar_free_edge(c->g, at, part);
    power = hone_schema_literal(c, part, "e");
    hone_grammar_bytes(c->g, part, 'E', 'E', power);
    hone_grammar_free_edge(c->g, power, sign);
    hone_grammar_bytes(c->g, power, '-', '-', sign);
    hone_grammar_bytes(c->g, power, '+', '+', sign);
    some_digits(c, hone_schema_digits(c, sign, 0, 9), 1, end);
    hone_grammar_free_edge(c->g, part, end);
    hone_schema_ends(c, end);
}

/* open item, item, … close, where `item` adds one behind a state. */
typedef int32_t item_fn(schema_compiler *c, int32_t from);

static int32_t repeated(schema_compiler *c, int32_t from, const char *open, const char *close,
                        item_fn *item) {
    int32_t inside = hone_schema_call(c, hone_schema_literal(c, from, open), c->space),
            end = hone_schema_state(c);
    int32_t behind = hone_schema_call(c, item(c, inside), c->space),
            again = hone_schema_call(c, hone_schema_literal(c, behind, ","), c->space);
    hone_grammar_free_edge(c->g, again, inside);
    int32_t shut = hone_schema_literal(c, behind, close),
            empty = hone_schema_literal(c, hone_schema_literal(c, from, open), close);
    hone_grammar_free_edge(c->g, shut, end);
    hone_grammar_free_edge(c->g, empty, end);
    return end;
}

int32_t hone_schema_any_item(schema_compiler *c, int32_t from) {
    return hone_schema_call(c, from, c->any);
}
static int32_t any_pair(schema_compiler *c, int32_t from) {
    int32_t key = hone_schema_call(c, hone_schema_call(c, from, c->text), c->space);
    return hone_schema_any_item(c, hone_schema_call(c, hone_schema_literal(c, key, ":"), c->space));
}

static void make_any(schema_compiler *c) {
    int32_t end = hone_schema_state(c), at = c->any;
    static const char *const words[] = {"null", "true", "false"};
    for (size_t i = 0; i < 3; i++) hone_grammar_free_edge(c->g, hone_schema_literal(c, at, words[i]), end);
    hone_grammar_call(c->g, at, c->text, end);
    hone_grammar_call(c->g, at, c->number, end);
    hone_grammar_free_edge(c->g, repeated(c, at, "[", "]", hone_schema_any_item), end);
    hone_grammar_free_edge(c->g, repeated(c, at, "{", "}", any_pair), end);
    hone_schema_ends(c, end);
}

void hone_schema_make_rules(schema_compiler *c) {
    make_space(c);
    make_text(c);
    make_numbers(c);
    c->any = hone_schema_state(c);
    make_any(c);
}

/* --- integers between limits --- */

static void any_digits(schema_compiler *c, int32_t from, int count, int32_t to) {
    for (int i = 0; i < count; i++) from = hone_schema_digits(c, from, 0, 9);
    hone_grammar_free_edge(c->g, from, to);
}

/* Numbers of as many digits as `low` and `high` have, between them. */
static void between(schema_compiler *c, int32_t from, const char *low, const char *high, int32_t to) {
    int count = (int)strlen(low);
    if (count == 0) {
        hone_grammar_free_edge(c->g, from, to);
        return;
    }
    if (strspn(low, "0") == strlen(low) && strspn(high, "9") == strlen(high)) {
        any_digits(c, from, count, to); /* each digit by itself would double what is there */
        return;
    }
    int a = low[0] - '0', b = high[0] - '0';
    static const char zeros[] = "0000000000000000", nines[] = "9999999999999999";
    if (a == b) {
        between(c, hone_schema_digits(c, from, a, a), low + 1, high + 1, to);
        return;
    }
    between(c, hone_schema_digits(c, from, a, a), low + 1, nines + strlen(nines) - (size_t)(count - 1), to);
    between(c, hone_schema_digits(c, from, b, b), zeros + strlen(zeros) - (size_t)(count - 1), high + 1, to);
    if (a + 1 < b) any_digits(c, hone_schema_digits(c, from, a + 1, b - 1), count - 1, to);
}

/* 0 <= low <= high */
static void not_negative(schema_compiler *c, int32_t from, int64_t low, int64_t high, int32_t to) {
    char a[24], b[24];
    for (int64_t first = 0, next = 10; first <= high && !c->g->failed; first = next, next *= 10) {
        int64_t l = low > first ? low : first, h = high < next - 1 ? high : next - 1;
        if (l > h) continue;
        snprintf(a, sizeof a, "%lld", (long long)l);
        snprintf(b, sizeof b, "%lld", (long long)h);
        between(c, from, a, b, to);
    }
}

int32_t hone_schema_whole(schema_compiler *c, int32_t from, const json_t *json) {
    const int64_t most = 999999999999999;
    static const char *const keys[] = {"minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"};
    double low = (double)-most, high = (double)most;
    bool limited = false;
    for (int k = 0; k < 4; k++) {
        const json_t *v = json_object_get(json, keys[k]);
        double n = json_number_value(v);
        if (!v) continue;
        limited = true;
        if (!json_is_number(v)) return hone_schema_fail(c, HONE_INVALID_ARGUMENT, "a limit is a number");
        if (k == 0 && ceil(n) > low) low = ceil(n);
        if (k == 1 && floor(n) + 1 > low) low = floor(n) + 1;
        if (k == 2 && floor(n) < high) high = floor(n);
        if (k == 3 && ceil(n) - 1 < high) high = ceil(n) - 1;
    }
    if (!limited) return hone_schema_call(c, from, c->whole);
    if (low > high)
        return hone_schema_fail(c, HONE_INVALID_ARGUMENT,
                                "no integer of at most 15 digits is between the limits");
    int32_t end = hone_schema_state(c);
    if (high >= 0) not_negative(c, from, low > 0 ? (int64_t)low : 0, (int64_t)high, end);
    if (low < 0)
        not_negative(c, hone_schema_literal(c, from, "-"), high < 0 ? (int64_t)-high : 1, (int64_t)-low, end);
    return end;
}
