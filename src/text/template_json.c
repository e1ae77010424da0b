/* JSON in templates: the variables that come in, and what the filter tojson writes. */
#include "text/template.h"

#include "base/unicode.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

/* --- in --- */

static tpl_value value_of(tpl_run *r, const json_t *json, bool user);

static bool is_role(const json_t *json) {
    size_t size = json_string_length(json);
    const char *text = json_string_value(json);
    if (size == 0 || size > 24) return false;
    for (size_t i = 0; i < size; i++)
        if (!((text[i] >= 'a' && text[i] <= 'z') || text[i] == '_')) return false;
    return true;
}

static tpl_value object_of(tpl_run *r, const json_t *json) {
    tpl_value d = hone_tpl_new_dict(r, TPL_DICT);
    for (void *it = json_object_iter((json_t *)json); it && !r->failed;
         it = json_object_iter_next((json_t *)json, it)) {
        const char *key = json_object_iter_key(it);
        size_t size = json_object_iter_key_len(it);
        const json_t *v = json_object_iter_value(it);
        bool role = size == 4 && memcmp(key, "role", 4) == 0 && json_is_string(v) && is_role(v);
        /* keys of an object are not there twice */
        tpl_value k = hone_tpl_text(r, key, size, true), item = value_of(r, v, !role);
        if (r->failed) break;
        tpl_dict *to = d.dict;
        if (to->count == to->capacity) {
            size_t capacity = to->capacity ? 2 * to->capacity : 8;
            tpl_value *keys = hone_tpl_alloc(r, capacity * sizeof *keys),
                      *values = hone_tpl_alloc(r, capacity * sizeof *values);
            if (!keys || !values) break;
            if (to->count) memcpy(keys, to->keys, to->count * sizeof *keys);
            if (to->count) memcpy(values, to->values, to->count * sizeof *values);
            to->keys = keys;
            to->values = values;
            to->capacity = capacity;
        }
        to->keys[to->count] = k;
        to->values[to->count++] = item;
    }
    return d;
}

static tpl_value value_of(tpl_run *r, const json_t *json, bool user) {
    tpl_value v = TPL_NOTHING;
    const json_t *item;
    size_t i;
    if (!hone_tpl_step(r, 1)) return v;
    switch (json_typeof(json)) {
    case JSON_OBJECT: return object_of(r, json);
    case JSON_ARRAY:
        v = hone_tpl_new_list(r, TPL_IS_LIST);
        json_array_foreach(json, i, item) if (!r->failed) hone_tpl_append(r, v.list, value_of(r, item, true));
        return v;
    case JSON_STRING: return hone_tpl_text(r, json_string_value(json), json_string_length(json), user);
    case JSON_INTEGER: return hone_tpl_int(json_integer_value(json));
    case JSON_REAL: return (tpl_value){.kind = TPL_FLOAT, .f = json_real_value(json)};
    case JSON_TRUE:
    case JSON_FALSE: return hone_tpl_bool(json_is_true(json));
    default: return v;
    }
}

/* bos_token and its like come with the model. */
static void trust_tokens(tpl_run *r, tpl_value all) {
    for (size_t i = 0; i < all.dict->count && !r->failed; i++) {
        const tpl_string *key = all.dict->keys[i].s;
        tpl_value *v = &all.dict->values[i];
        if (key->size > 6 && memcmp(key->data + key->size - 6, "_token", 6) == 0 && v->kind == TPL_STRING)
            *v = hone_tpl_text(r, v->s->data, v->s->size, false);
    }
}

tpl_value hone_tpl_from_json(tpl_run *r, const char *json, size_t size) {
    json_error_t e;
    char text[300];
    json_t *root = json_loadb(json, size, JSON_ALLOW_NUL, &e);
    if (!root) {
        snprintf(text, sizeof text, "the template's variables, line %d, column %d: %.200s", e.line, e.column,
                 e.text);
        return hone_tpl_fail_as(r, HONE_INVALID_ARGUMENT, text);
    }
    tpl_value v = json_is_object(root) ? value_of(r, root, true)
                                       : hone_tpl_fail_as(r, HONE_INVALID_ARGUMENT,
                                                          "the template's variables are no JSON object");
    json_decref(root);
    if (!r->failed) trust_tokens(r, v);
    return v;
}

/* --- out --- as json.dumps */

static bool write_text(tpl_run *r, tpl_output *out, const tpl_string *s, bool ascii) {
    static const char named[] = "\"\"\\\\\nn\rr\tt\bb\ff";
    hone_tpl_write(r, out, "\"", 1, false);
    for (const char *at = s->data, *end = at + s->size; at < end && !r->failed;) {
        const char *from = at;
        char escaped[16] = "";
        uint32_t c = hone_utf8_decode(&at, end);
        for (size_t i = 0; named[i]; i += 2)
            if (c == (unsigned char)named[i]) snprintf(escaped, sizeof escaped, "\\%c", named[i + 1]);
        if (!*escaped && c < 32) snprintf(escaped, sizeof escaped, "\\u%04x", c);
        if (ascii && (c == 127 || (c > 127 && c < 0x10000)))
            snprintf(escaped, sizeof escaped, c == 127 ? "\x7f" : "\\u%04x", c);
        if (ascii && c >= 0x10000)
            snprintf(escaped, sizeof escaped, "\\u%04x\\u%04x", 0xD800 + ((c - 0x10000) >> 10),
                     0xDC00 + ((c - 0x10000) & 0x3FF));
        size_t place = (size_t)(from - s->data);
        bool user = s->marks ? s->marks[place] : s->user;
        if (*escaped)
            hone_tpl_write(r, out, escaped, strlen(escaped), user);
        else
            hone_tpl_write(r, out, from, (size_t)(at - from), user);
    }
    return hone_tpl_write(r, out, "\"", 1, false);
}

static bool write_line(tpl_run *r, tpl_output *out, const tpl_json_style *style, int depth) {
    if (style->indent < 0) return !r->failed;
    hone_tpl_write(r, out, "\n", 1, false);
    for (int i = 0; i < depth * style->indent && !r->failed; i++) hone_tpl_write(r, out, " ", 1, false);
    return !r->failed;
}

static bool write_separator(tpl_run *r, tpl_output *out, const tpl_json_style *style, bool key) {
    const tpl_string *s = key ? style->key : style->item;
    if (s) return hone_tpl_write_string(r, out, s);
    const char *usual = key ? ": " : style->indent < 0 ? ", " : ",";
    return hone_tpl_write(r, out, usual, strlen(usual), false);
}

static bool write_key(tpl_run *r, tpl_output *out, const tpl_value *key, bool ascii) {
    if (key->kind == TPL_STRING) return write_text(r, out, key->s, ascii);
    tpl_json_style flat = {-1, ascii, false, NULL, NULL};
    if (key->kind == TPL_UNDEFINED || key->kind > TPL_FLOAT) {
        hone_tpl_fail(r, "keys must be str, int, float, bool or None, not %s", hone_tpl_kind(key));
        return false;
    }
    hone_tpl_write(r, out, "\"", 1, false);
    hone_tpl_write_json(r, out, key, &flat);
    return hone_tpl_write(r, out, "\"", 1, false);
}

typedef struct keyed {
    tpl_value key, value;
} keyed;

static int by_key(const void *a, const void *b) {
    const tpl_string *x = ((const keyed *)a)->key.s, *y = ((const keyed *)b)->key.s;
    size_t n = x->size < y->size ? x->size : y->size;
    int order = n ? memcmp(x->data, y->data, n) : 0;
    return order ? order : (x->size > y->size) - (x->size < y->size);
}

static keyed *pairs_of(tpl_run *r, const tpl_dict *d, bool sorted) {
    keyed *pairs = hone_tpl_alloc(r, (d->count + 1) * sizeof *pairs);
    if (!pairs) return NULL;
    for (size_t i = 0; i < d->count; i++) {
        pairs[i] = (keyed){d->keys[i], d->values[i]};
        if (sorted && d->keys[i].kind != TPL_STRING) hone_tpl_fail(r, "only texts can be sorted as keys");
    }
    if (sorted && !r->failed && d->count) qsort(pairs, d->count, sizeof *pairs, by_key);
    return pairs;
}

static bool write_json(tpl_run *r, tpl_output *out, const tpl_value *v, const tpl_json_style *style,
                       int depth);

static bool write_object(tpl_run *r, tpl_output *out, const tpl_dict *d, const tpl_json_style *style,
                         int depth) {
    keyed *pairs = pairs_of(r, d, style->sorted);
    hone_tpl_write(r, out, "{", 1, false);
    for (size_t i = 0; i < d->count && !r->failed; i++) {
        if (i) write_separator(r, out, style, false);
        write_line(r, out, style, depth + 1);
        write_key(r, out, &pairs[i].key, style->ascii);
        write_separator(r, out, style, true);
        write_json(r, out, &pairs[i].value, style, depth + 1);
    }
    if (d->count) write_line(r, out, style, depth);
    return hone_tpl_write(r, out, "}", 1, false);
}

static bool write_array(tpl_run *r, tpl_output *out, const tpl_list *l, const tpl_json_style *style,
                        int depth) {
    hone_tpl_write(r, out, "[", 1, false);
    for (size_t i = 0; i < l->count && !r->failed; i++) {
        if (i) write_separator(r, out, style, false);
        write_line(r, out, style, depth + 1);
        write_json(r, out, &l->items[i], style, depth + 1);
    }
    if (l->count) write_line(r, out, style, depth);
    return hone_tpl_write(r, out, "]", 1, false);
}

static bool write_json(tpl_run *r, tpl_output *out, const tpl_value *v, const tpl_json_style *style,
                       int depth) {
    if (depth > TPL_MAX_CALLS) hone_tpl_fail(r, "values are nested too deeply");
    if (!hone_tpl_step(r, 1)) return false;
    switch (v->kind) {
    case TPL_NONE: return hone_tpl_write(r, out, "null", 4, false);
    case TPL_BOOL: return hone_tpl_write(r, out, v->b ? "true" : "false", v->b ? 4 : 5, false);
    case TPL_INT: return hone_tpl_write_value(r, out, v);
    case TPL_FLOAT:
        if (v->f - v->f == 0) return hone_tpl_write_value(r, out, v);
        return hone_tpl_write(r, out,
                              v->f > 0   ? "Infinity"
                              : v->f < 0 ? "-Infinity"
                                         : "NaN",
                              v->f > 0   ? 8
                              : v->f < 0 ? 9
                                         : 3,
                              false);
    case TPL_STRING: return write_text(r, out, v->s, style->ascii);
    case TPL_DICT: return write_object(r, out, v->dict, style, depth);
    case TPL_LIST:
        if (v->list->shape != TPL_IS_GENERATOR) return write_array(r, out, v->list, style, depth);
        /* fall through */
    default: hone_tpl_fail(r, "Object of type %s is not JSON serializable", hone_tpl_kind(v)); return false;
    }
}

bool hone_tpl_write_json(tpl_run *r, tpl_output *out, const tpl_value *v, const tpl_json_style *style) {
    return write_json(r, out, v, style, 0);
}
