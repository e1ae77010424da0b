#include "serve/format/text_format.h"

#include "base/error.h"
#include "serve/format/buffer.h"
#include "serve/format/json_scan.h"

#include <stdbool.h>
#include <string.h>

typedef struct parser {
    const char *start, *at, *end;
    int depth, max_depth;
    hone_buffer text; /* of the string being read */
    hone_error *err;
} parser;

static hone_status fail(const parser *p, const char *what) {
    int line = 1, column = 1;
    for (const char *c = p->start; c < p->at; c++) {
        column = *c == '\n' ? 1 : column + 1;
        line += *c == '\n';
    }
    return hone_fail(p->err, HONE_INVALID_ARGUMENT, "line %d, column %d: %s", line, column, what);
}

static void skip_space(parser *p) {
    for (; p->at < p->end; p->at++) {
        if (*p->at == '#')
            while (p->at < p->end && *p->at != '\n') p->at++;
        if (p->at == p->end) return;
        if (*p->at != ' ' && (*p->at < '\t' || *p->at > '\r')) return;
    }
}

static char peek(parser *p) {
    skip_space(p);
    return p->at < p->end ? *p->at : 0;
}

static bool take(parser *p, char c) {
    if (peek(p) != c || p->at == p->end) return false;
    p->at++;
    return true;
}

static bool is_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* --- scalars --- */

static void put_number(parser *p, unsigned base, int most) {
    unsigned x = 0;
    for (int i = 0; i < most && p->at < p->end && (unsigned)hone_hex_digit(*p->at) < base; i++)
        x = x * base + (unsigned)hone_hex_digit(*p->at++);
    hone_buffer_byte(&p->text, (char)x);
}

/* Behind a backslash. \u escapes are not taken: text is UTF-8. */
static hone_status read_escape(parser *p) {
    static const char from[] = "abfnrtv\\'\"?", to[] = "\a\b\f\n\r\t\v\\'\"?";
    if (p->at == p->end) return fail(p, "the string does not end");
    char c = *p->at;
    const char *known = c ? strchr(from, c) : NULL;
    if (c >= '0' && c <= '7') {
        put_number(p, 8, 3);
        return HONE_OK;
    }
    p->at++;
    if (known) {
        hone_buffer_byte(&p->text, to[known - from]);
        return HONE_OK;
    }
    if ((c != 'x' && c != 'X') || p->at == p->end || hone_hex_digit(*p->at) < 0)
        return fail(p, "unknown escape");
    put_number(p, 16, 2);
    return HONE_OK;
}

static hone_status read_quoted(parser *p) {
    char quote = *p->at++;
    while (p->at < p->end && *p->at != quote) {
        char c = *p->at;
        if (c == '\n') return fail(p, "the string does not end on its line");
        p->at++;
        if (c == '\\')
            HONE_TRY(read_escape(p));
        else
            hone_buffer_byte(&p->text, c);
    }
    if (p->at == p->end) return fail(p, "the string does not end");
    p->at++;
    return HONE_OK;
}

static hone_status new_text(parser *p, const char *data, size_t size, json_t **out) {
    if (p->text.failed) return hone_fail_memory(p->err);
    if (memchr(data, 0, size)) return fail(p, "a string with a zero byte");
    *out = json_stringn(data, size);
    return *out ? HONE_OK : fail(p, "the text is not UTF-8");
}

static hone_status read_scalar(parser *p, json_t **out) {
    char c = peek(p);
    hone_buffer_clear(&p->text, 4096);
    if (c == '"' || c == '\'') {
        do HONE_TRY(read_quoted(p)); /* strings side by side are one */
        while (peek(p) == '"' || peek(p) == '\'');
        return new_text(p, p->text.data ? p->text.data : "", p->text.size, out);
    }
    const char *from = p->at;
    if (take(p, '-')) skip_space(p);
    while (p->at < p->end && (is_word(*p->at) || *p->at == '.' || *p->at == '+' || *p->at == '-')) p->at++;
    return p->at > from ? new_text(p, from, (size_t)(p->at - from), out) : fail(p, "a value is missing");
}

/* --- messages --- */

static hone_status read_message(parser *p, char close, json_t **out);

static hone_status read_value(parser *p, json_t **out) {
    char c = peek(p);
    if (c != '{' && c != '<') return read_scalar(p, out);
    p->at++;
    return read_message(p, c == '{' ? '}' : '>', out);
}

static hone_status append(parser *p, json_t *values, hone_status status, json_t *value) {
    if (status != HONE_OK) return status;
    return json_array_append_new(values, value) == 0 ? HONE_OK : hone_fail_memory(p->err);
}

static hone_status read_list(parser *p, json_t *values) {
    json_t *value = NULL;
    if (take(p, ']')) return HONE_OK;
    do {
        hone_status status = read_value(p, &value);
        HONE_TRY(append(p, values, status, value));
    } while (take(p, ','));
    return take(p, ']') ? HONE_OK : fail(p, "',' or ']' is missing");
}

/* "name", or "[type.url/name]", which keeps its brackets. */
static hone_status read_name(parser *p, const char **name, size_t *size) {
    char c = peek(p);
    const char *from = p->at;
    if (c == '[') {
        while (p->at < p->end && *p->at != ']' && *p->at != '\n') p->at++;
        if (p->at == p->end || *p->at != ']') return fail(p, "']' is missing");
        p->at++;
    } else {
        while (p->at < p->end && is_word(*p->at)) p->at++;
    }
    *name = from;
    *size = (size_t)(p->at - from);
    if (*size == 0 || *size > 255 || (c >= '0' && c <= '9')) return fail(p, "the name of a field is missing");
    return HONE_OK;
}

static hone_status read_field(parser *p, json_t *message) {
    const char *name = "";
    size_t size = 0;
    json_t *value = NULL;
    HONE_TRY(read_name(p, &name, &size));
    for (size_t i = 0; i < size; i++)
        if (name[i] < ' ' || name[i] > '~') return fail(p, "the name of a field has odd characters");
    bool colon = take(p, ':');
    char c = peek(p);
    if (!colon && c != '{' && c != '<' && c != '[') return fail(p, "':' is missing");
    char key[256];
    memcpy(key, name, size);
    key[size] = 0;
    json_t *values = json_object_get(message, key);
    if (!values && json_object_set_new(message, key, values = json_array()) != 0)
        return hone_fail_memory(p->err);
    if (take(p, '[')) return read_list(p, values);
    hone_status status = read_value(p, &value);
    return append(p, values, status, value);
}

static hone_status read_fields(parser *p, char close, json_t *message) {
    for (;;) {
        char c = peek(p);
        if (p->at == p->end) return close ? fail(p, "a message does not end") : HONE_OK;
        if (close && c == close) {
            p->at++;
            return HONE_OK;
        }
        HONE_TRY(read_field(p, message));
        if (!take(p, ',')) take(p, ';');
    }
}

static hone_status read_message(parser *p, char close, json_t **out) {
    if (++p->depth > p->max_depth) return fail(p, "messages are nested too deep");
    json_t *message = json_object();
    hone_status status = message ? read_fields(p, close, message) : hone_fail_memory(p->err);
    p->depth--;
    if (status == HONE_OK)
        *out = message;
    else
        json_decref(message);
    return status;
}

hone_status hone_text_format_parse(const char *text, size_t size, int max_depth, json_t **out,
                                   hone_error *err) {
    parser p = {.start = text, .at = text, .end = text + size, .max_depth = max_depth, .err = err};
    hone_status status = read_message(&p, 0, out);
    hone_buffer_free(&p.text);
    return status;
}
