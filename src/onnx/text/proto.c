/* Protobuf's text format. */
#include "onnx/text/script.h"

#include <string.h>

static char next(hone_script *t) {
    hone_script_skip(t, true);
    return t->at < t->end ? *t->at : 0;
}

static int digit_of(char c) {
    return hone_script_is_digit(c) ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : 99;
}

/* Up to `most` digits. */
static hone_status read_code(hone_script *t, int base, int most, unsigned *out) {
    int count = 0;
    *out = 0;
    for (; count < most && t->at < t->end && digit_of(*t->at) < base; count++)
        *out = *out * (unsigned)base + (unsigned)digit_of(*t->at++);
    return count ? HONE_OK : hone_script_fail(t, t->at, "digits are due");
}

/* Behind the backslash. */
static hone_status read_escape(hone_script *t) {
    static const char from[] = "abfnrtv\\'\"?", to[] = "\a\b\f\n\r\t\v\\'\"?";
    const char *at = t->at - 1;
    char c = t->at < t->end ? *t->at : 0;
    const char *plain = c ? strchr(from, c) : NULL;
    unsigned code;
    if (plain) {
        t->at++;
        return hone_script_add(t, &to[plain - from], 1);
    }
    if (c == 'u' || c == 'U') {
        t->at++;
        HONE_TRY(read_code(t, 16, c == 'u' ? 4 : 8, &code));
        return hone_script_add_character(t, at, code);
    }
    bool hex = (c | 32) == 'x';
    t->at += hex;
    HONE_TRY(read_code(t, hex ? 16 : 8, hex ? 2 : 3, &code));
    return hone_script_add(t, &(char){(char)code}, 1);
}

/* One after another, they are one. */
static hone_status read_strings(hone_script *t) {
    t->size = 0;
    for (char quote = next(t); quote == '"' || quote == '\''; quote = next(t)) {
        const char *start = t->at++;
        while (t->at < t->end && *t->at != quote && *t->at != '\n') {
            if (*t->at == '\\') {
                t->at++;
                HONE_TRY(read_escape(t));
            } else {
                HONE_TRY(hone_script_add(t, t->at++, 1));
            }
        }
        if (t->at == t->end || *t->at != quote)
            return hone_script_fail(t, start, "a string that does not end");
        t->at++;
    }
    return hone_script_add(t, NULL, 0);
}

static hone_status read_scalar(hone_script *t, const ProtobufCFieldDescriptor *f) {
    char c = next(t);
    hone_scalar x = {.span = {t->at, 0}, .is_string = c == '"' || c == '\''};
    if (x.is_string)
        HONE_TRY(read_strings(t));
    else
        x.span = hone_script_number(t);
    if (!x.is_string && !x.span.size) return hone_script_fail(t, t->at, "a value is due");
    if (!f) return HONE_OK;
    if (f->type == PROTOBUF_C_TYPE_BOOL && (hone_span_is(x.span, "t") || hone_span_is(x.span, "True")))
        x.span = (hone_span){"true", 4};
    return hone_field_put(t, f, &x, false);
}

static hone_status read_fields(hone_script *t, const ProtobufCMessageDescriptor *d, char close);

/* `f` NULL: a field that nobody reads. */
static hone_status read_message(hone_script *t, const ProtobufCFieldDescriptor *f) {
    char open = *t->at++;
    if (f && f->type != PROTOBUF_C_TYPE_MESSAGE)
        return hone_script_fail(t, t->at - 1, "%s is no message", f->name);
    HONE_TRY(hone_script_enter(t));
    size_t start = f ? hone_script_put_begin(&t->wire, f->id) : 0;
    HONE_TRY(read_fields(t, f ? f->descriptor : NULL, open == '{' ? '}' : '>'));
    if (f) hone_script_put_end(&t->wire, start);
    hone_script_leave(t);
    return HONE_OK;
}

static hone_status read_value(hone_script *t, const ProtobufCFieldDescriptor *f, bool colon) {
    char c = next(t);
    if (c == '{' || c == '<') return read_message(t, f);
    if (!colon) return hone_script_fail(t, t->at, "':' is due");
    return read_scalar(t, f);
}

static hone_status read_list(hone_script *t, const ProtobufCFieldDescriptor *f) {
    t->at++;
    if (next(t) == ']') {
        t->at++;
        return HONE_OK;
    }
    for (;;) {
        HONE_TRY(read_value(t, f, true));
        char c = next(t);
        if (c != ',' && c != ']') return hone_script_fail(t, t->at, "',' or ']' is due");
        t->at++;
        if (c == ']') return HONE_OK;
    }
}

/* Up to `close`, or the end of the text (0). `d` NULL: nobody reads them. */
static hone_status read_fields(hone_script *t, const ProtobufCMessageDescriptor *d, char close) {
    for (char c = next(t); c != close; c = next(t)) {
        hone_span name = hone_script_word(t);
        if (!name.size) return hone_script_fail(t, t->at, "the name of a field is due");
        const ProtobufCFieldDescriptor *f = d ? hone_field_find(d, name.at, name.size, false) : NULL;
        bool colon = next(t) == ':';
        if (colon) t->at++;
        if (next(t) == '[')
            HONE_TRY(read_list(t, f));
        else
            HONE_TRY(read_value(t, f, colon));
        if (next(t) == ',' || next(t) == ';') t->at++;
    }
    if (close) t->at++;
    return t->at == t->end || close ? HONE_OK : hone_script_fail(t, t->at, "a zero byte");
}

hone_status hone_script_proto(hone_script *t) {
    return read_fields(t, &hone__onnx__model_proto__descriptor, 0);
}
