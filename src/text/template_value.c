/* Values of templates: what they are, how they compare, how they are written. */
#include "text/template.h"

#include "base/unicode.h"
#include "base/utf8.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <utf8proc.h>

/* --- errors and memory --- */

tpl_value hone_tpl_fail_as(tpl_run *r, hone_status status, const char *text) {
    if (!r->failed) r->status = hone_fail(r->err, status, "%s", text);
    r->failed = true;
    return (tpl_value){.kind = TPL_UNDEFINED};
}

tpl_value hone_tpl_fail(tpl_run *r, const char *format, ...) {
    char text[400];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (!r->failed)
        r->status = hone_fail(r->err, HONE_INVALID_ARGUMENT, "line %d of the template: %.*s", r->line,
                              (int)hone_utf8_fit(text, strlen(text), 400), text);
    r->failed = true;
    return (tpl_value){.kind = TPL_UNDEFINED};
}

void *hone_tpl_alloc(tpl_run *r, size_t size) {
    void *block = NULL;
    if (r->failed) return NULL;
    if (size > TPL_MAX_MEMORY - r->memory)
        hone_tpl_fail_as(r, HONE_RESOURCE_EXHAUSTED, "the template needs too much memory");
    else if (!(block = hone_arena_alloc(r->arena, size)))
        hone_tpl_fail_as(r, HONE_OUT_OF_MEMORY, "out of memory");
    else
        r->memory += size;
    return block;
}

bool hone_tpl_step(tpl_run *r, size_t steps) {
    if (!r->failed && steps > TPL_MAX_STEPS - r->steps)
        hone_tpl_fail_as(r, HONE_RESOURCE_EXHAUSTED, "the template takes too many steps");
    if (!r->failed) r->steps += steps;
    return !r->failed;
}

bool hone_tpl_enter(tpl_run *r) {
    if (!r->failed && ++r->depth > TPL_MAX_CALLS) hone_tpl_fail(r, "the template goes too deep");
    return !r->failed;
}

/* --- making --- */

tpl_value hone_tpl_bool(bool b) {
    return (tpl_value){.kind = TPL_BOOL, .b = b};
}
tpl_value hone_tpl_int(int64_t i) {
    return (tpl_value){.kind = TPL_INT, .i = i};
}

static tpl_value string_value(tpl_run *r, tpl_string s) {
    tpl_string *kept = hone_tpl_alloc(r, sizeof *kept);
    if (!kept) return (tpl_value){.kind = TPL_UNDEFINED};
    *kept = s;
    return (tpl_value){.kind = TPL_STRING, .s = kept};
}

tpl_value hone_tpl_text(tpl_run *r, const char *text, size_t size, bool user) {
    char *copy = hone_tpl_alloc(r, size + 1);
    if (copy && size) memcpy(copy, text, size);
    return string_value(r, (tpl_string){copy, copy ? size : 0, NULL, user});
}

tpl_value hone_tpl_part(tpl_run *r, const tpl_string *s, size_t at, size_t size) {
    return string_value(r, (tpl_string){s->data + at, size, s->marks ? s->marks + at : NULL, s->user});
}

tpl_value hone_tpl_safe(tpl_run *r, tpl_value text) {
    if (r->failed) return text;
    tpl_string s = *text.s;
    s.safe = true;
    return string_value(r, s);
}

tpl_value hone_tpl_new_list(tpl_run *r, enum tpl_shape shape) {
    tpl_list *l = hone_tpl_alloc(r, sizeof *l);
    if (!l) return (tpl_value){.kind = TPL_UNDEFINED};
    l->shape = shape;
    return (tpl_value){.kind = TPL_LIST, .list = l};
}
tpl_value hone_tpl_new_dict(tpl_run *r, tpl_kind kind) {
    tpl_dict *d = hone_tpl_alloc(r, sizeof *d);
    return d ? (tpl_value){.kind = kind, .dict = d} : (tpl_value){.kind = TPL_UNDEFINED};
}

static void *more(tpl_run *r, const void *old, size_t count, size_t capacity, size_t size) {
    void *block = hone_tpl_alloc(r, capacity * size);
    if (block && count) memcpy(block, old, count * size);
    return block;
}

bool hone_tpl_append(tpl_run *r, tpl_list *l, tpl_value v) {
    if (r->failed) return false;
    if (l->count == l->capacity) {
        size_t capacity = l->capacity ? 2 * l->capacity : 4;
        tpl_value *items = more(r, l->items, l->count, capacity, sizeof *items);
        if (!items) return false;
        l->items = items;
        l->capacity = capacity;
    }
    l->items[l->count++] = v;
    return true;
}

static size_t find(tpl_run *r, const tpl_dict *d, const tpl_value *key) {
    size_t i = 0;
    for (; i < d->count && !hone_tpl_equal(r, &d->keys[i], key); i++) {
    }
    hone_tpl_step(r, i / 8);
    return i;
}

static bool add_pair(tpl_run *r, tpl_dict *d, tpl_value key, tpl_value v) {
    if (d->count == d->capacity) {
        size_t capacity = d->capacity ? 2 * d->capacity : 4;
        tpl_value *keys = more(r, d->keys, d->count, capacity, sizeof *keys),
                  *values = more(r, d->values, d->count, capacity, sizeof *values);
        if (!keys || !values) return false;
        d->keys = keys;
        d->values = values;
        d->capacity = capacity;
    }
    d->keys[d->count] = key;
    d->values[d->count++] = v;
    return true;
}

bool hone_tpl_put(tpl_run *r, tpl_dict *d, tpl_value key, tpl_value v) {
    if (r->failed) return false;
    if (key.kind == TPL_LIST || key.kind == TPL_DICT) {
        hone_tpl_fail(r, "unhashable type: '%s'", hone_tpl_kind(&key));
        return false;
    }
    size_t at = find(r, d, &key);
    if (at == d->count) return add_pair(r, d, key, v);
    d->values[at] = v;
    return !r->failed;
}

bool hone_tpl_put_name(tpl_run *r, tpl_dict *d, const char *name, tpl_value v) {
    size_t size = strlen(name);
    for (size_t i = 0; i < d->count; i++) {
        const tpl_string *s = d->keys[i].s;
        if (s->size != size || memcmp(s->data, name, size) != 0) continue;
        d->values[i] = v;
        return !r->failed;
    }
    tpl_value key = string_value(r, (tpl_string){name, size, NULL, false});
    return !r->failed && add_pair(r, d, key, v);
}

const tpl_value *hone_tpl_get(tpl_run *r, const tpl_dict *d, tpl_value key) {
    size_t at = find(r, d, &key);
    return at < d->count ? &d->values[at] : NULL;
}

const tpl_value *hone_tpl_get_name(const tpl_dict *d, const char *name, size_t size) {
    for (size_t i = 0; i < d->count; i++) {
        if (d->keys[i].kind != TPL_STRING) continue;
        const tpl_string *s = d->keys[i].s;
        if (s->size == size && memcmp(s->data, name, size) == 0) return &d->values[i];
    }
    return NULL;
}

/* --- asking --- */

bool hone_tpl_true(const tpl_value *v) {
    switch (v->kind) {
    case TPL_UNDEFINED:
    case TPL_NONE: return false;
    case TPL_BOOL: return v->b;
    case TPL_INT: return v->i != 0;
    case TPL_FLOAT: return v->f != 0;
    case TPL_STRING: return v->s->size > 0;
    case TPL_LIST: return v->list->count > 0 || v->list->shape == TPL_IS_GENERATOR;
    case TPL_DICT: return v->dict->count > 0;
    default: return true;
    }
}

static bool is_number(const tpl_value *v) {
    return v->kind == TPL_INT || v->kind == TPL_FLOAT || v->kind == TPL_BOOL;
}
static double number(const tpl_value *v) {
    return v->kind == TPL_FLOAT ? v->f : v->kind == TPL_BOOL ? (double)v->b : (double)v->i;
}

static bool equal_lists(tpl_run *r, const tpl_list *a, const tpl_list *b) {
    if (a->shape != b->shape || a->count != b->count) return false;
    for (size_t i = 0; i < a->count; i++)
        if (!hone_tpl_equal(r, &a->items[i], &b->items[i])) return false;
    return true;
}

static bool equal_dicts(tpl_run *r, const tpl_dict *a, const tpl_dict *b) {
    if (a->count != b->count) return false;
    for (size_t i = 0; i < a->count; i++) {
        const tpl_value *other = hone_tpl_get(r, b, a->keys[i]);
        if (!other || !hone_tpl_equal(r, &a->values[i], other)) return false;
    }
    return true;
}

bool hone_tpl_equal(tpl_run *r, const tpl_value *a, const tpl_value *b) {
    if (is_number(a) && is_number(b))
        return a->kind == TPL_FLOAT || b->kind == TPL_FLOAT
                   ? number(a) == number(b)
                   : (a->kind == TPL_INT ? a->i : a->b) == (b->kind == TPL_INT ? b->i : b->b);
    if (a->kind != b->kind || !hone_tpl_step(r, 1)) return false;
    switch (a->kind) {
    case TPL_UNDEFINED:
    case TPL_NONE: return true;
    case TPL_STRING: return a->s->size == b->s->size && memcmp(a->s->data, b->s->data, a->s->size) == 0;
    case TPL_LIST: return equal_lists(r, a->list, b->list);
    case TPL_DICT: return equal_dicts(r, a->dict, b->dict);
    case TPL_NAMESPACE: return a->dict == b->dict;
    case TPL_MACRO: return a->macro == b->macro;
    case TPL_FUNCTION: return a->function == b->function;
    default: return false;
    }
}

int hone_tpl_order(tpl_run *r, const tpl_value *a, const tpl_value *b) {
    if (is_number(a) && is_number(b)) {
        if (a->kind == TPL_INT && b->kind == TPL_INT) return (a->i > b->i) - (a->i < b->i);
        return (number(a) > number(b)) - (number(a) < number(b));
    }
    if (a->kind == TPL_STRING && b->kind == TPL_STRING) {
        size_t n = a->s->size < b->s->size ? a->s->size : b->s->size;
        int order = n ? memcmp(a->s->data, b->s->data, n) : 0; /* as code points: this is UTF-8 */
        return order ? order : (a->s->size > b->s->size) - (a->s->size < b->s->size);
    }
    if (a->kind == TPL_LIST && b->kind == TPL_LIST && a->list->shape == b->list->shape) {
        for (size_t i = 0; i < a->list->count && i < b->list->count && !r->failed; i++) {
            if (hone_tpl_equal(r, &a->list->items[i], &b->list->items[i])) continue;
            return hone_tpl_order(r, &a->list->items[i], &b->list->items[i]);
        }
        return (a->list->count > b->list->count) - (a->list->count < b->list->count);
    }
    hone_tpl_fail(r, "'%s' and '%s' can't be put in order", hone_tpl_kind(a), hone_tpl_kind(b));
    return 0;
}

const char *hone_tpl_kind(const tpl_value *v) {
    static const char *const names[] = {[TPL_UNDEFINED] = "Undefined", [TPL_NONE] = "NoneType",
                                        [TPL_BOOL] = "bool",           [TPL_INT] = "int",
                                        [TPL_FLOAT] = "float",         [TPL_STRING] = "str",
                                        [TPL_LIST] = "list",           [TPL_DICT] = "dict",
                                        [TPL_NAMESPACE] = "Namespace", [TPL_LOOP] = "LoopContext",
                                        [TPL_MACRO] = "Macro",         [TPL_METHOD] = "method",
                                        [TPL_FUNCTION] = "function"};
    if (v->kind == TPL_LIST && v->list->shape != TPL_IS_LIST)
        return v->list->shape == TPL_IS_TUPLE ? "tuple" : "generator";
    return names[v->kind];
}

bool hone_tpl_is_text(const tpl_value *v, const char *text) {
    return v->kind == TPL_STRING && v->s->size == strlen(text) && memcmp(v->s->data, text, v->s->size) == 0;
}

size_t hone_tpl_characters(const tpl_string *s) {
    size_t n = 0;
    for (size_t i = 0; i < s->size; i++) n += (s->data[i] & 0xC0) != 0x80;
    return n;
}

tpl_list *hone_tpl_items(tpl_run *r, tpl_value v) {
    if (v.kind == TPL_LIST) return v.list;
    tpl_list *l = hone_tpl_new_list(r, TPL_IS_LIST).list;
    if (r->failed) return NULL;
    if (v.kind == TPL_DICT)
        for (size_t i = 0; i < v.dict->count; i++) hone_tpl_append(r, l, v.dict->keys[i]);
    else if (v.kind == TPL_STRING)
        for (const char *at = v.s->data, *end = at + v.s->size; at < end && !r->failed;) {
            const char *c = at;
            hone_utf8_decode(&at, end);
            hone_tpl_append(r, l, hone_tpl_part(r, v.s, (size_t)(c - v.s->data), (size_t)(at - c)));
        }
    else if (v.kind != TPL_UNDEFINED)
        hone_tpl_fail(r, "'%s' object is not iterable", hone_tpl_kind(&v));
    return r->failed ? NULL : l;
}

/* --- writing --- */

static bool reserve(tpl_run *r, tpl_output *out, size_t size) {
    if (!hone_tpl_step(r, size / 64)) return false;
    if (out->capacity - out->size >= size) return true;
    size_t capacity = out->capacity ? out->capacity : 256;
    while (capacity - out->size < size) capacity *= 2;
    char *data = more(r, out->data, out->size, capacity, 1),
         *marks = more(r, out->marks, out->size, capacity, 1);
    if (!data || !marks) return false;
    out->data = data;
    out->marks = marks;
    out->capacity = capacity;
    return true;
}

bool hone_tpl_write(tpl_run *r, tpl_output *out, const char *text, size_t size, bool user) {
    if (r->failed || !reserve(r, out, size)) return false;
    if (size) memcpy(out->data + out->size, text, size);
    if (size) memset(out->marks + out->size, user, size);
    out->size += size;
    return true;
}

static bool write_part(tpl_run *r, tpl_output *out, const tpl_string *s, size_t at, size_t size) {
    size_t from = out->size;
    if (!hone_tpl_write(r, out, s->data + at, size, s->user)) return false;
    if (s->marks && size) memcpy(out->marks + from, s->marks + at, size);
    return true;
}

bool hone_tpl_write_string(tpl_run *r, tpl_output *out, const tpl_string *s) {
    return write_part(r, out, s, 0, s->size);
}

static bool plain(tpl_run *r, tpl_output *out, const char *text) {
    return hone_tpl_write(r, out, text, strlen(text), false);
}

tpl_value hone_tpl_written(tpl_run *r, const tpl_output *out) {
    bool all = true, none = true;
    for (size_t i = 0; i < out->size; i++) {
        all = all && out->marks[i];
        none = none && !out->marks[i];
    }
    return string_value(
        r, (tpl_string){out->data, out->size, all || none ? NULL : out->marks, all && out->size});
}

/* The shortest decimal number that is this one, as Python writes it. */
static void show_float(double f, char *text, size_t room) {
    if (isnan(f) || isinf(f)) {
        snprintf(text, room, isnan(f) ? "nan" : f > 0 ? "inf" : "-inf");
        return;
    }
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, room, "%.*e", digits - 1, f);
        if (strtod(text, NULL) != f) continue;
        int power = atoi(strchr(text, 'e') + 1);
        if (power >= -4 && power < 16)
            snprintf(text, room, "%.*f", digits - 1 - power > 1 ? digits - 1 - power : 1, f);
        return;
    }
}

static bool write_number(tpl_run *r, tpl_output *out, const tpl_value *v) {
    char text[400];
    if (v->kind == TPL_INT)
        snprintf(text, sizeof text, "%lld", (long long)v->i);
    else
        show_float(v->f, text, sizeof text);
    return plain(r, out, text);
}

static bool is_printable(uint32_t c) {
    switch (utf8proc_category((utf8proc_int32_t)c)) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP: return false;
    case UTF8PROC_CATEGORY_ZS: return c == ' ';
    default: return true;
    }
}

static bool write_quoted(tpl_run *r, tpl_output *out, const tpl_string *s) {
    bool has_single = memchr(s->data, '\'', s->size) != NULL,
         has_double = memchr(s->data, '"', s->size) != NULL;
    char quote = has_single && !has_double ? '"' : '\'';
    hone_tpl_write(r, out, &quote, 1, false);
    for (const char *at = s->data, *end = at + s->size; at < end && !r->failed;) {
        const char *from = at;
        char escaped[16] = "";
        uint32_t c = hone_utf8_decode(&at, end);
        if (c == '\\' || c == (uint32_t)quote)
            snprintf(escaped, sizeof escaped, "\\%c", (int)c);
        else if (c == '\n' || c == '\r' || c == '\t')
            snprintf(escaped, sizeof escaped, "\\%c", c == '\n' ? 'n' : c == '\r' ? 'r' : 't');
        else if (c < HONE_UNICODE_END && !is_printable(c))
            snprintf(escaped, sizeof escaped, c < 256 ? "\\x%02x" : c < 0x10000 ? "\\u%04x" : "\\U%08x", c);
        size_t place = (size_t)(from - s->data);
        if (*escaped)
            hone_tpl_write(r, out, escaped, strlen(escaped), s->marks ? s->marks[place] : s->user);
        else
            write_part(r, out, s, place, (size_t)(at - from));
    }
    return hone_tpl_write(r, out, &quote, 1, false);
}

static bool write_list(tpl_run *r, tpl_output *out, const tpl_list *l) {
    bool tuple = l->shape == TPL_IS_TUPLE;
    if (l->shape == TPL_IS_GENERATOR) {
        hone_tpl_fail(r, "a generator can't be written");
        return false;
    }
    plain(r, out, tuple ? "(" : "[");
    for (size_t i = 0; i < l->count && !r->failed; i++) {
        if (i) plain(r, out, ", ");
        hone_tpl_write_repr(r, out, &l->items[i]);
    }
    return plain(r, out, !tuple ? "]" : l->count == 1 ? ",)" : ")");
}

static bool write_dict(tpl_run *r, tpl_output *out, const tpl_dict *d) {
    plain(r, out, "{");
    for (size_t i = 0; i < d->count && !r->failed; i++) {
        if (i) plain(r, out, ", ");
        hone_tpl_write_repr(r, out, &d->keys[i]);
        plain(r, out, ": ");
        hone_tpl_write_repr(r, out, &d->values[i]);
    }
    return plain(r, out, "}");
}

bool hone_tpl_write_repr(tpl_run *r, tpl_output *out, const tpl_value *v) {
    bool good;
    if (v->kind == TPL_STRING) return write_quoted(r, out, v->s);
    if (v->kind == TPL_UNDEFINED) return plain(r, out, "Undefined");
    if (!hone_tpl_enter(r)) return false;
    good = hone_tpl_write_value(r, out, v);
    r->depth--;
    return good;
}

bool hone_tpl_write_value(tpl_run *r, tpl_output *out, const tpl_value *v) {
    switch (v->kind) {
    case TPL_UNDEFINED: return !r->failed;
    case TPL_NONE: return plain(r, out, "None");
    case TPL_BOOL: return plain(r, out, v->b ? "True" : "False");
    case TPL_INT:
    case TPL_FLOAT: return write_number(r, out, v);
    case TPL_STRING: return hone_tpl_write_string(r, out, v->s);
    case TPL_LIST: return write_list(r, out, v->list);
    case TPL_DICT: return write_dict(r, out, v->dict);
    default: hone_tpl_fail(r, "a %s can't be written", hone_tpl_kind(v)); return false;
    }
}

const tpl_string *hone_tpl_string(tpl_run *r, const tpl_value *v) {
    static const tpl_string empty = {"", 0, NULL, false};
    tpl_output out = {NULL, NULL, 0, 0};
    if (v->kind == TPL_STRING) return v->s;
    if (!hone_tpl_write_value(r, &out, v)) return &empty;
    tpl_value written = hone_tpl_written(r, &out);
    return r->failed ? &empty : written.s;
}
