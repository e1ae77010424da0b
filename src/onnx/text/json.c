/* Protobuf's mapping to JSON (ProtoJSON). */
#include "onnx/text/script.h"

#include <string.h>

static hone_status read_value(hone_script *t, const ProtobufCFieldDescriptor *f, bool packed);

static char next(hone_script *t) {
    hone_script_skip(t, false);
    return t->at < t->end ? *t->at : 0;
}

static hone_status expect(hone_script *t, char c) {
    if (next(t) != c) return hone_script_fail(t, t->at, "'%c' is due", c);
    t->at++;
    return HONE_OK;
}

static hone_status read_hex(hone_script *t, unsigned *out) {
    *out = 0;
    for (int i = 0; i < 4; i++, t->at++) {
        char c = t->at < t->end ? *t->at : 0;
        int digit = hone_script_is_digit(c)              ? c - '0'
                    : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
                                                         : -1;
        if (digit < 0) return hone_script_fail(t, t->at, "four hexadecimal digits are due");
        *out = *out << 4 | (unsigned)digit;
    }
    return HONE_OK;
}

/* Behind the backslash. */
static hone_status read_escape(hone_script *t) {
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *at = t->at - 1;
    char c = t->at < t->end ? *t->at : 0;
    t->at++;
    const char *plain = c ? strchr(from, c) : NULL;
    if (plain) return hone_script_add(t, &to[plain - from], 1);
    unsigned code, low;
    if (c != 'u') return hone_script_fail(t, at, "an escape that JSON does not have");
    HONE_TRY(read_hex(t, &code));
    if (code >= 0xd800 && code < 0xdc00 && t->end - t->at >= 6 && t->at[0] == '\\' && t->at[1] == 'u') {
        t->at += 2;
        HONE_TRY(read_hex(t, &low));
        if (low < 0xdc00 || low >= 0xe000) return hone_script_fail(t, at, "no character");
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    return hone_script_add_character(t, at, code);
}

static hone_status read_string(hone_script *t) {
    HONE_TRY(expect(t, '"'));
    const char *start = t->at - 1;
    t->size = 0;
    HONE_TRY(hone_script_add(t, NULL, 0));
    while (t->at < t->end && *t->at != '"') {
        const char *plain = t->at;
        while (t->at < t->end && *t->at != '"' && *t->at != '\\') t->at++;
        HONE_TRY(hone_script_add(t, plain, (size_t)(t->at - plain)));
        if (t->at == t->end || *t->at == '"') break;
        t->at++;
        HONE_TRY(read_escape(t));
    }
    if (t->at >= t->end) return hone_script_fail(t, start, "a string that does not end");
    t->at++;
    return HONE_OK;
}

/* Calls `item` for what stands between the brackets, parted by commas. */
static hone_status read_list(hone_script *t, char open, char close,
                             hone_status (*item)(hone_script *, const void *), const void *user) {
    HONE_TRY(expect(t, open));
    HONE_TRY(hone_script_enter(t));
    if (next(t) != close) {
        HONE_TRY(item(t, user));
        while (next(t) == ',') {
            t->at++;
            HONE_TRY(item(t, user));
        }
    }
    hone_script_leave(t);
    return expect(t, close);
}

/* --- what nobody reads --- */

static hone_status skip_value(hone_script *t, const void *user);

static hone_status skip_member(hone_script *t, const void *user) {
    HONE_TRY(read_string(t));
    HONE_TRY(expect(t, ':'));
    return skip_value(t, user);
}

static hone_status skip_value(hone_script *t, const void *user) {
    char c = next(t);
    if (c == '{') return read_list(t, '{', '}', skip_member, user);
    if (c == '[') return read_list(t, '[', ']', skip_value, user);
    if (c == '"') return read_string(t);
    return hone_script_number(t).size ? HONE_OK : hone_script_fail(t, t->at, "a value is due");
}

/* --- messages --- */

static bool is_null(hone_script *t) {
    next(t);
    if (t->end - t->at < 4 || memcmp(t->at, "null", 4) != 0) return false;
    t->at += 4;
    return true;
}

static hone_status read_element(hone_script *t, const void *field) {
    return read_value(t, field, false);
}

static hone_status read_packed(hone_script *t, const void *field) {
    return read_value(t, field, true);
}

static hone_status read_member(hone_script *t, const void *descriptor) {
    HONE_TRY(read_string(t));
    const ProtobufCFieldDescriptor *f = hone_field_find(descriptor, t->string, t->size, true);
    HONE_TRY(expect(t, ':'));
    if (!f) return skip_value(t, NULL);
    if (is_null(t)) return HONE_OK;
    if (f->label != PROTOBUF_C_LABEL_REPEATED) return read_value(t, f, false);
    if (!hone_field_is_packed(f)) return read_list(t, '[', ']', read_element, f);
    size_t start = hone_script_put_begin(&t->wire, f->id);
    HONE_TRY(read_list(t, '[', ']', read_packed, f));
    hone_script_put_end(&t->wire, start);
    return HONE_OK;
}

static hone_status read_value(hone_script *t, const ProtobufCFieldDescriptor *f, bool packed) {
    char c = next(t);
    if (f->type == PROTOBUF_C_TYPE_MESSAGE && c == '{') {
        size_t start = hone_script_put_begin(&t->wire, f->id);
        HONE_TRY(read_list(t, '{', '}', read_member, f->descriptor));
        hone_script_put_end(&t->wire, start);
        return HONE_OK;
    }
    hone_scalar x = {.span = {t->at, 0}, .is_string = c == '"', .base = 10, .base64 = true};
    if (x.is_string)
        HONE_TRY(read_string(t));
    else
        x.span = hone_script_number(t);
    return hone_field_put(t, f, &x, packed);
}

hone_status hone_script_json(hone_script *t) {
    HONE_TRY(read_list(t, '{', '}', read_member, &hone__onnx__model_proto__descriptor));
    next(t);
    return t->at == t->end ? HONE_OK : hone_script_fail(t, t->at, "something behind the model");
}
