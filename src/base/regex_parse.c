#include "base/regex_inside.h"
#include "base/unicode.h"

#include <string.h>

enum { MAX_DEPTH = 200, MAX_REPEAT = 1000, MAX_PATTERN = 1 << 16 };

static bool is_end(const regex_parser *p) {
    return p->at == p->end;
}
static bool looking_at(const regex_parser *p, const char *text) {
    size_t size = strlen(text);
    return (size_t)(p->end - p->at) >= size && memcmp(p->at, text, size) == 0;
}
static bool take(regex_parser *p, const char *text) {
    bool there = looking_at(p, text);
    if (there) p->at += strlen(text);
    return there;
}

/* --- classes by name --- */

static const struct {
    const char *name;
    const char *ranges; /* pairs */
} ascii_classes[] = {{"alnum", "09AZaz"},
                     {"alpha", "AZaz"},
                     {"ascii", "\x01\x7f"},
                     {"blank", "\t\t  "},
                     {"cntrl", "\x01\x1f\x7f\x7f"},
                     {"digit", "09"},
                     {"graph", "!~"},
                     {"lower", "az"},
                     {"print", " ~"},
                     {"punct", "!/:@[`{~"},
                     {"space", "\t\r  "},
                     {"upper", "AZ"},
                     {"word", "09AZaz__"},
                     {"xdigit", "09AFaf"}};

static void add_pairs(regex_parser *p, regex_set *s, const char *pairs) {
    for (; *pairs; pairs += 2) hone_regex_add(p, s, (unsigned char)pairs[0], (unsigned char)pairs[1]);
}

/* [:name:] or [:^name:] inside of a class. */
static bool parse_posix(regex_parser *p, regex_set *s) {
    const char *close = memmem(p->at, (size_t)(p->end - p->at), ":]", 2);
    const char *name = p->at + 2;
    bool negated = *name == '^';
    size_t size = (size_t)(close - name) - negated;
    for (size_t i = 0; i < sizeof ascii_classes / sizeof *ascii_classes; i++) {
        const char *known = ascii_classes[i].name;
        if (strlen(known) != size || memcmp(known, name + negated, size) != 0) continue;
        regex_set of = {NULL};
        add_pairs(p, &of, ascii_classes[i].ranges);
        if (known[0] == 'a' && known[1] == 's')
            hone_regex_add(p, &of, 0, 0); /* strings of pairs have no zero */
        if (known[0] == 'c') hone_regex_add(p, &of, 0, 0);
        hone_regex_add_class(p, s, &of, negated);
        p->at = close + 2;
        return true;
    }
    return hone_regex_fail(p, "a class that is not known");
}

typedef struct adding {
    regex_parser *p;
    regex_set *s;
} adding;
static void add_run(void *arg, uint32_t first, uint32_t last) {
    adding *a = arg;
    hone_regex_add(a->p, a->s, first, last);
}

/* \pL, \p{Lu}, \p{^L}, \P…, behind the backslash. */
static bool parse_property(regex_parser *p, regex_set *s) {
    bool negated = *p->at++ == 'P';
    if (is_end(p)) return hone_regex_fail(p, "\\p without a name");
    const char *name = p->at, *close = p->at + 1;
    size_t size = 1;
    if (*p->at == '{') {
        name++;
        close = memchr(p->at, '}', (size_t)(p->end - p->at));
        if (!close) return hone_regex_fail(p, "\\p{ without }");
        if (*name == '^') {
            negated = !negated;
            name++;
        }
        size = (size_t)(close - name);
        close++;
    }
    regex_set of = {NULL};
    adding a = {p, &of};
    if (size == 3 && memcmp(name, "Any", 3) == 0)
        hone_regex_add(p, &of, 0, HONE_UNICODE_END - 1);
    else if (!hone_unicode_category(name, size, add_run, &a))
        return hone_regex_fail(p, "a category that is not known; scripts are not");
    hone_regex_add_class(p, s, &of, negated);
    p->at = close;
    return true;
}

/* \d, \w, \s and their opposites, \p: true if one stands behind the backslash, which is where p is. */
static bool parse_class_escape(regex_parser *p, regex_set *s, bool *found) {
    static const char *const pairs[] = {"09", "09AZaz__", "\t\n\f\r  "};
    const char c = p->at + 1 < p->end ? p->at[1] : 0;
    const char *lower = c ? strchr("dws", c | 0x20) : NULL;
    *found = lower || c == 'p' || c == 'P';
    if (!*found) return true;
    p->at++;
    if (!lower) return parse_property(p, s);
    regex_set of = {NULL};
    add_pairs(p, &of, pairs[strchr("dws", c | 0x20) - "dws"]);
    hone_regex_add_class(p, s, &of, c < 'a');
    p->at++;
    return true;
}

/* --- single characters --- */

static bool parse_code(regex_parser *p, uint32_t *out) {
    const char *start = p->at;
    uint32_t c = hone_utf8_decode(&p->at, p->end);
    if (c < HONE_UNICODE_END) {
        *out = c;
        return true;
    }
    p->at = start;
    return hone_regex_fail(p, "no UTF-8");
}

static int hex_digit(char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* \xFF or \x{10FFFF}, behind the x. */
static bool parse_hex(regex_parser *p, uint32_t *out) {
    bool braces = take(p, "{");
    int digits = 0;
    *out = 0;
    for (; !is_end(p) && hex_digit(*p->at) >= 0 && (braces || digits < 2); digits++) {
        *out = *out * 16 + (uint32_t)hex_digit(*p->at++);
        if (*out >= HONE_UNICODE_END) return hone_regex_fail(p, "no code point");
    }
    if (digits == 0 || (braces && !take(p, "}")) || (!braces && digits < 2))
        return hone_regex_fail(p, "\\x needs digits");
    return true;
}

/* A character behind a backslash that is at p. */
static bool parse_escape(regex_parser *p, uint32_t *out) {
    static const char letters[] = "aftnrv", meanings[] = "\a\f\t\n\r\v";
    p->at++;
    if (is_end(p)) return hone_regex_fail(p, "a backslash at the end");
    const char c = *p->at;
    const char *letter = strchr(letters, c);
    if (c && letter) {
        p->at++;
        *out = (unsigned char)meanings[letter - letters];
        return true;
    }
    if (c == 'x') {
        p->at++;
        return parse_hex(p, out);
    }
    bool octal_follows = p->at + 1 < p->end && p->at[1] >= '0' && p->at[1] <= '7';
    if (c == '0' || (c >= '1' && c <= '7' && octal_follows)) {
        *out = 0;
        for (int i = 0; i < 3 && !is_end(p) && *p->at >= '0' && *p->at <= '7'; i++)
            *out = *out * 8 + (uint32_t)(*p->at++ - '0');
        return true;
    }
    bool is_letter = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (is_letter || (unsigned char)c >= 0x80) return hone_regex_fail(p, "an escape that is not known");
    p->at++;
    *out = (unsigned char)c;
    return true;
}

/* --- [...] --- */

static bool parse_class_code(regex_parser *p, uint32_t *out) {
    if (is_end(p)) return hone_regex_fail(p, "[ without ]");
    return *p->at == '\\' ? parse_escape(p, out) : parse_code(p, out);
}

static bool parse_class(regex_parser *p, regex_set *s) {
    regex_set of = {NULL};
    p->at++;
    bool negated = take(p, "^");
    for (bool first = true; first || !looking_at(p, "]"); first = false) {
        uint32_t low, high;
        bool found = false;
        if (is_end(p)) return hone_regex_fail(p, "[ without ]");
        if (looking_at(p, "[:") && memmem(p->at, (size_t)(p->end - p->at), ":]", 2)) {
            if (!parse_posix(p, &of)) return false;
            continue;
        }
        if (*p->at == '\\' && !parse_class_escape(p, &of, &found)) return false;
        if (found) continue;
        if (!parse_class_code(p, &low)) return false;
        high = low;
        if (looking_at(p, "-") && p->at + 1 < p->end && p->at[1] != ']') {
            p->at++;
            if (!parse_class_code(p, &high)) return false;
            if (high < low) return hone_regex_fail(p, "a range whose end comes first");
        }
        hone_regex_add(p, &of, low, high);
    }
    p->at++;
    hone_regex_add_class(p, s, &of, negated);
    return p->status == HONE_OK;
}

/* --- items --- */

static regex_item *new_item(regex_parser *p, int kind) {
    regex_item *item = hone_arena_alloc(p->arena, sizeof *item);
    if (!item) {
        hone_regex_out_of_memory(p);
        return NULL;
    }
    *item = (regex_item){.kind = kind, .min = 1, .max = 1};
    return item;
}

static regex_item *set_item(regex_parser *p, regex_set *s) {
    regex_item *item = new_item(p, REGEX_SET);
    hone_regex_normalize(s);
    if (!item) return NULL;
    item->ranges = s->ranges;
    item->count = s->count;
    return item;
}

static regex_item *code_item(regex_parser *p, uint32_t c) {
    regex_set s = {NULL};
    hone_regex_add(p, &s, c, c);
    if ((p->flags & REGEX_IGNORE_CASE) && (hone_unicode_upper(c) != c || hone_unicode_lower(c) != c))
        hone_regex_fold(p, &s);
    return set_item(p, &s);
}

static regex_item *assert_item(regex_parser *p, regex_assertion a) {
    regex_item *item = new_item(p, REGEX_ASSERT);
    if (item) item->assertion = a;
    return item;
}

static regex_alternative *parse_alternatives(regex_parser *p);

/* Flags up to `:` or `)`, which is taken; false: none of either. */
static bool parse_flags(regex_parser *p, bool *groups) {
    static const char letters[] = "imsU";
    int flags = p->flags;
    for (bool negated = false; !is_end(p); p->at++) {
        const char c = *p->at;
        const char *letter = c ? strchr(letters, c) : NULL;
        if (letter)
            flags = negated ? flags & ~(1 << (letter - letters)) : flags | 1 << (letter - letters);
        else if (c == '-' && !negated)
            negated = true;
        else if (c == ':' || c == ')') {
            *groups = c == ':';
            p->at++;
            p->flags = flags;
            return true;
        } else
            break;
    }
    return hone_regex_fail(p, "what follows (? is not known, or cannot be matched in linear time");
}

/* Behind ( : a group, or flags, which are no item. */
static regex_item *parse_group(regex_parser *p) {
    const int outside = p->flags;
    bool groups = true;
    p->at++;
    if (take(p, "?P<") ||
        (looking_at(p, "?<") && !looking_at(p, "?<=") && !looking_at(p, "?<!") && take(p, "?<"))) {
        const char *close = memchr(p->at, '>', (size_t)(p->end - p->at));
        if (!close || close == p->at) {
            hone_regex_fail(p, "a name without >");
            return NULL;
        }
        p->at = close + 1;
    } else if (take(p, "?")) {
        if (!parse_flags(p, &groups) || !groups) return NULL;
    }
    if (++p->depth > MAX_DEPTH) {
        hone_regex_fail(p, "groups that are nested too deeply");
        return NULL;
    }
    regex_item *item = new_item(p, REGEX_GROUP);
    regex_alternative *inside = parse_alternatives(p);
    if (p->status != HONE_OK || !item) return NULL;
    if (!take(p, ")")) {
        hone_regex_fail(p, "( without )");
        return NULL;
    }
    p->depth--;
    p->flags = outside;
    item->group = inside;
    return item;
}

/* \Q…\E */
static regex_item *parse_quoted(regex_parser *p, regex_item **last) {
    regex_item *first = NULL, **end = &first;
    p->at += 2;
    while (!is_end(p) && !looking_at(p, "\\E")) {
        uint32_t c = 0;
        if (!parse_code(p, &c) || !(*end = code_item(p, c))) return NULL;
        *last = *end;
        end = &(*end)->next;
    }
    take(p, "\\E");
    return first;
}

static regex_item *parse_backslash(regex_parser *p) {
    static const struct {
        const char *text;
        regex_assertion meaning;
    } assertions[] = {{"\\A", REGEX_BEGIN_TEXT},
                      {"\\z", REGEX_END_TEXT},
                      {"\\b", REGEX_WORD_EDGE},
                      {"\\B", REGEX_NO_WORD_EDGE}};
    for (size_t i = 0; i < sizeof assertions / sizeof *assertions; i++)
        if (take(p, assertions[i].text)) return assert_item(p, assertions[i].meaning);
    regex_set s = {NULL};
    bool found;
    uint32_t c = 0;
    if (!parse_class_escape(p, &s, &found)) return NULL;
    if (found) return set_item(p, &s);
    return parse_escape(p, &c) ? code_item(p, c) : NULL;
}

/* One item, or NULL: a failure, or what is no item. Of several `last` is the last. */
static regex_item *parse_item(regex_parser *p, regex_item **last) {
    const bool lines = p->flags & REGEX_MULTI_LINE;
    regex_set s = {NULL};
    uint32_t c = 0;
    regex_item *item = NULL;
    switch (*p->at) {
    case '(': item = parse_group(p); break;
    case '[': item = parse_class(p, &s) ? set_item(p, &s) : NULL; break;
    case '.':
        p->at++;
        hone_regex_add(p, &s, 0, p->flags & REGEX_DOT_ALL ? HONE_UNICODE_END - 1 : '\n' - 1);
        if (!(p->flags & REGEX_DOT_ALL)) hone_regex_add(p, &s, '\n' + 1, HONE_UNICODE_END - 1);
        item = set_item(p, &s);
        break;
    case '^':
        p->at++;
        item = assert_item(p, lines ? REGEX_BEGIN_LINE : REGEX_BEGIN_TEXT);
        break;
    case '$':
        p->at++;
        item = assert_item(p, lines ? REGEX_END_LINE : REGEX_END_TEXT);
        break;
    case '*':
    case '+':
    case '?': hone_regex_fail(p, "nothing to repeat"); break;
    case '\\':
        if (looking_at(p, "\\Q")) return parse_quoted(p, last);
        item = parse_backslash(p);
        break;
    default: item = parse_code(p, &c) ? code_item(p, c) : NULL;
    }
    *last = item;
    return item;
}

/* --- repetitions --- */

static bool parse_count(const char **at, const char *end, int *out) {
    const char *start = *at;
    for (*out = 0; *at < end && **at >= '0' && **at <= '9'; (*at)++)
        if (*out <= MAX_REPEAT) *out = *out * 10 + (**at - '0');
    return *at > start;
}

/* {n}, {n,} or {n,m}; false: what is at p is none of these, but a brace. */
static bool parse_braces(regex_parser *p, int *min, int *max) {
    const char *at = p->at + 1;
    if (!parse_count(&at, p->end, min)) return false;
    *max = *min;
    if (at < p->end && *at == ',') {
        at++;
        if (!parse_count(&at, p->end, max)) *max = REGEX_UNBOUNDED;
    }
    if (at == p->end || *at != '}') return false;
    p->at = at + 1;
    return true;
}

/* What may stand behind an item; `?` behind it, which asks for the shortest match, makes no difference to whole ones. */
static void parse_repetition(regex_parser *p, regex_item *item) {
    for (bool again = false; !is_end(p); again = true) {
        int min = 0, max = REGEX_UNBOUNDED;
        if (*p->at == '{') {
            if (!parse_braces(p, &min, &max)) return;
        } else if (*p->at == '*' || *p->at == '+' || *p->at == '?') {
            min = *p->at == '+';
            if (*p->at == '?') max = 1;
            p->at++;
        } else
            return;
        if (again) {
            hone_regex_fail(p, "a repetition of a repetition");
            return;
        }
        if (min > MAX_REPEAT || max > MAX_REPEAT || (max != REGEX_UNBOUNDED && max < min)) {
            hone_regex_fail(p, "so many repetitions");
            return;
        }
        take(p, "?");
        item->min = min;
        item->max = max;
    }
}

static regex_item *parse_items(regex_parser *p) {
    regex_item *first = NULL, **end = &first, *last;
    while (!is_end(p) && *p->at != '|' && *p->at != ')' && p->status == HONE_OK) {
        last = NULL;
        *end = parse_item(p, &last);
        if (p->status != HONE_OK) return NULL;
        if (!last) continue; /* flags, or nothing between \Q and \E */
        parse_repetition(p, last);
        end = &last->next;
    }
    return first;
}

static regex_alternative *parse_alternatives(regex_parser *p) {
    regex_alternative *first = NULL, **end = &first;
    do {
        regex_alternative *a = hone_arena_alloc(p->arena, sizeof *a);
        if (!a) {
            hone_regex_out_of_memory(p);
            return NULL;
        }
        a->first = parse_items(p);
        a->next = NULL;
        *end = a;
        end = &a->next;
    } while (p->status == HONE_OK && take(p, "|"));
    return first;
}

hone_status hone_regex_parse(hone_arena *arena, const char *pattern, size_t size, regex_alternative **out,
                             hone_error *err) {
    regex_parser p = {.arena = arena,
                      .pattern = pattern,
                      .at = pattern,
                      .end = pattern + size,
                      .status = HONE_OK,
                      .err = err};
    if (size > MAX_PATTERN) hone_regex_fail(&p, "it is too long");
    if (p.status == HONE_OK) *out = parse_alternatives(&p);
    if (p.status == HONE_OK && !is_end(&p)) hone_regex_fail(&p, ") without (");
    return p.status;
}
