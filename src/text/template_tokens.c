/* Tokens of a template's tags, and what is trimmed around these. */
#include "text/template_parser.h"

#include "base/unicode.h"
#include "base/utf8.h"

#include <stdlib.h>

void *hone_tpl_bad(tpl_parser *p, const char *what, const char *text, size_t size) {
    if (!p->failed)
        p->status = hone_fail(p->err, HONE_INVALID_ARGUMENT, "line %d of the template: %s '%.*s'", p->line,
                              what, (int)hone_utf8_fit(text, size, 60), text);
    p->failed = true;
    return NULL;
}
void *hone_tpl_bad_plain(tpl_parser *p, const char *what) {
    if (!p->failed)
        p->status = hone_fail(p->err, HONE_INVALID_ARGUMENT, "line %d of the template: %s", p->line, what);
    p->failed = true;
    return NULL;
}
void *hone_tpl_no_memory(tpl_parser *p) {
    if (!p->failed) p->status = hone_fail_memory(p->err);
    p->failed = true;
    return NULL;
}

static bool is_name(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c >= '0' && c <= '9') ||
           (c & 0x80);
}
static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
static bool starts(const tpl_parser *p, const char *with) {
    size_t n = strlen(with);
    return (size_t)(p->end - p->at) >= n && memcmp(p->at, with, n) == 0;
}
void hone_tpl_skip(tpl_parser *p, size_t n) {
    for (; n; n--) p->line += *p->at++ == '\n';
}
static void skip_spaces(tpl_parser *p) {
    while (p->at < p->end && hone_tpl_is_space(*p->at)) hone_tpl_skip(p, 1);
}

tpl_node *hone_tpl_node(tpl_parser *p, tpl_op op) {
    tpl_node *n = hone_arena_alloc(p->arena, sizeof *n);
    if (!n) return hone_tpl_no_memory(p);
    n->op = op;
    n->line = p->line;
    return n;
}

/* --- tokens of a tag --- */

/* Behind the tag; what follows it is trimmed. */
static bool take_close(tpl_parser *p) {
    char sign = 0;
    const char *start = p->at;
    if (p->at < p->end && (*p->at == '-' || (*p->at == '+' && *p->close == '%'))) {
        sign = *p->at;
        p->at++;
        if (!starts(p, p->close)) {
            p->at = start;
            return false;
        }
    }
    if (!starts(p, p->close)) return false;
    hone_tpl_skip(p, 2);
    if (sign == '-')
        skip_spaces(p);
    else if (sign == 0 && *p->close == '%' && p->at < p->end && *p->at == '\n')
        hone_tpl_skip(p, 1);
    p->line_starting = p->at[-1] == '\n';
    return true;
}

static size_t put_escape(tpl_parser *p, char *out, const char **from, const char *end) {
    static const char plain[] = "\\\\''\"\"a\ab\bf\fn\nr\rt\tv\v";
    const char *at = *from + 1; /* behind the backslash */
    if (at == end) return 0;
    char c = *at++;
    size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0, size = 1;
    *from = at;
    if (c == '\n') return 0;
    for (size_t i = 0; plain[i]; i += 2)
        if (plain[i] == c) {
            *out = plain[i + 1];
            return 1;
        }
    uint32_t code = 0;
    if (c >= '0' && c <= '7') {
        for (at--; at < end && at < *from + 2 && *at >= '0' && *at <= '7'; at++)
            code = 8 * code + (uint32_t)(*at - '0');
        *from = at;
        return hone_utf8_encode(code, out);
    }
    if (digits == 0 || (size_t)(end - at) < digits) {
        if (digits) hone_tpl_bad_plain(p, "an escape is cut off");
        out[0] = '\\';
        out[1] = c;
        return 2;
    }
    for (size_t i = 0; i < digits; i++) {
        char d = *at++;
        uint32_t value = is_digit(d)                          ? (uint32_t)(d - '0')
                         : (d | 32) >= 'a' && (d | 32) <= 'f' ? (uint32_t)((d | 32) - 'a' + 10)
                                                              : 99;
        if (value == 99) hone_tpl_bad_plain(p, "an escape needs hexadecimal digits");
        code = 16 * code + value;
    }
    *from = at;
    if (code >= HONE_UNICODE_END || (code >= 0xD800 && code < 0xE000)) {
        hone_tpl_bad_plain(p, "an escape is no character");
        return 0;
    }
    size = hone_utf8_encode(code, out);
    return size;
}

static void read_string(tpl_parser *p) {
    char quote = *p->at;
    const char *start = p->at + 1, *stop = start;
    while (stop < p->end && *stop != quote) stop += *stop == '\\' && stop + 1 < p->end ? 2 : 1;
    if (stop >= p->end) {
        hone_tpl_bad_plain(p, "a text is not closed");
        return;
    }
    char *out = hone_arena_alloc(p->arena, (size_t)(stop - start) + 8);
    size_t size = 0;
    if (!out) {
        hone_tpl_no_memory(p);
        return;
    }
    for (const char *at = start; at < stop && !p->failed;)
        if (*at == '\\')
            size += put_escape(p, out + size, &at, stop);
        else
            out[size++] = *at++;
    p->now = (tpl_token){.kind = TOKEN_STRING, .text = out, .size = size};
    hone_tpl_skip(p, (size_t)(stop + 1 - p->at));
}

static void read_number(tpl_parser *p) {
    char text[64];
    size_t n = 0;
    bool is_float = false;
    const char *at = p->at;
    while (at < p->end && n + 1 < sizeof text) {
        bool point = *at == '.' && !is_float && at + 1 < p->end && is_digit(at[1]);
        bool power =
            (*at | 32) == 'e' && at + 1 < p->end &&
            (is_digit(at[1]) || ((at[1] == '-' || at[1] == '+') && at + 2 < p->end && is_digit(at[2])));
        if (!is_digit(*at) && *at != '_' && !point && !power) break;
        is_float = is_float || point || power;
        if (*at != '_') text[n++] = *at;
        at++;
        if (power) text[n++] = *at++;
    }
    text[n] = 0;
    if (n + 1 >= sizeof text || (at < p->end && is_name(*at)))
        hone_tpl_bad(p, "a number goes on:", p->at, 40);
    p->now = (tpl_token){.kind = is_float ? TOKEN_FLOAT : TOKEN_INT};
    p->now.value.kind = is_float ? TPL_FLOAT : TPL_INT;
    if (is_float)
        p->now.value.f = strtod(text, NULL);
    else if (n > 18)
        hone_tpl_bad(p, "a number is too large:", text, n);
    else
        p->now.value.i = strtoll(text, NULL, 10);
    p->at = at;
}

void hone_tpl_advance(tpl_parser *p) {
    static const char *const longer[] = {"==", "!=", "<=", ">=", "//", "**"};
    skip_spaces(p);
    p->now = (tpl_token){.kind = TOKEN_END, .text = "", .size = 0};
    if (p->failed) return;
    if (p->at == p->end) {
        hone_tpl_bad_plain(p, "a tag is not closed");
        return;
    }
    if (p->braces == 0 && take_close(p)) return;
    char c = *p->at;
    if (c == '"' || c == '\'') {
        read_string(p);
    } else if (is_digit(c)) {
        read_number(p);
    } else if (is_name(c)) {
        const char *start = p->at;
        while (p->at < p->end && is_name(*p->at)) p->at++;
        p->now = (tpl_token){.kind = TOKEN_NAME, .text = start, .size = (size_t)(p->at - start)};
    } else {
        size_t size = 1;
        for (size_t i = 0; i < sizeof longer / sizeof *longer; i++)
            if (starts(p, longer[i])) size = 2;
        if (!strchr("+-*/%~|.,:;()[]{}<>=!", c) || (c == '!' && size == 1)) {
            hone_tpl_bad(p, "what is this:", p->at, 1);
            return;
        }
        p->braces += (c == '(' || c == '[' || c == '{') - (c == ')' || c == ']' || c == '}');
        if (p->braces < 0) hone_tpl_bad(p, "nothing is open before", p->at, 1);
        p->now = (tpl_token){.kind = TOKEN_SIGN, .text = p->at, .size = size};
        p->at += size;
    }
}

bool hone_tpl_is(const tpl_parser *p, tpl_token_kind kind, const char *text) {
    return p->now.kind == kind && p->now.size == strlen(text) && memcmp(p->now.text, text, p->now.size) == 0;
}
bool hone_tpl_take(tpl_parser *p, tpl_token_kind kind, const char *text) {
    if (!hone_tpl_is(p, kind, text)) return false;
    hone_tpl_advance(p);
    return true;
}
void hone_tpl_expect(tpl_parser *p, const char *text) {
    if (!hone_tpl_take_sign(p, text))
        hone_tpl_bad(p, "instead of what stands there is needed", text, strlen(text));
}
const char *hone_tpl_take_name(tpl_parser *p, size_t *size) {
    if (p->now.kind != TOKEN_NAME) return hone_tpl_bad(p, "a name is needed, not", p->now.text, p->now.size);
    *size = p->now.size;
    const char *name = hone_arena_strndup(p->arena, p->now.text, p->now.size);
    if (!name) return hone_tpl_no_memory(p);
    hone_tpl_advance(p);
    return name;
}
