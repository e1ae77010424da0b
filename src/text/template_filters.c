/* Filters and tests of templates. */
#include "text/template.h"

#include "base/unicode.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

const tpl_value *hone_tpl_argument(const tpl_args *args, size_t place, const char *name) {
    for (size_t i = 0; i < args->count; i++) {
        const char *keyword = args->names ? args->names[i] : NULL;
        if (keyword ? strcmp(keyword, name) == 0 : i == place) return &args->items[i];
    }
    return NULL;
}

static bool flag(const tpl_args *args, size_t place, const char *name, bool usual) {
    const tpl_value *v = hone_tpl_argument(args, place, name);
    return v ? hone_tpl_true(v) : usual;
}

static int64_t whole(tpl_run *r, const tpl_args *args, size_t place, const char *name, int64_t usual) {
    const tpl_value *v = hone_tpl_argument(args, place, name);
    if (!v || v->kind == TPL_NONE) return usual;
    if (v->kind != TPL_INT && v->kind != TPL_BOOL) hone_tpl_fail(r, "%s needs an integer", name);
    return v->kind == TPL_INT ? v->i : v->kind == TPL_BOOL && v->b;
}

static tpl_value method(tpl_run *r, tpl_value v, const char *name, const tpl_args *args) {
    const tpl_string *s = hone_tpl_string(r, &v);
    tpl_method m = {{.kind = TPL_STRING, .s = s}, name};
    return r->failed ? v : hone_tpl_call_method(r, &m, args);
}

/* --- of one value --- */

static tpl_value f_tojson(tpl_run *r, tpl_value v, const tpl_args *args) {
    tpl_output out = {NULL, NULL, 0, 0};
    tpl_json_style style = {.indent = -1};
    const tpl_value *ascii = hone_tpl_argument(args, 0, "ensure_ascii"),
                    *separators = hone_tpl_argument(args, 2, "separators");
    style.indent = (int)whole(r, args, 1, "indent", -1);
    if (style.indent > 64) hone_tpl_fail(r, "an indent of %d", style.indent);
    style.ascii = ascii && hone_tpl_true(ascii);
    style.sorted = flag(args, 3, "sort_keys", false);
    if (separators && separators->kind == TPL_LIST && separators->list->count == 2 &&
        separators->list->items[0].kind == TPL_STRING && separators->list->items[1].kind == TPL_STRING) {
        style.item = separators->list->items[0].s;
        style.key = separators->list->items[1].s;
    }
    hone_tpl_write_json(r, &out, &v, &style);
    return hone_tpl_written(r, &out);
}

static tpl_value f_length(tpl_run *r, tpl_value v, const tpl_args *args) {
    (void)args;
    if (v.kind == TPL_UNDEFINED) return hone_tpl_int(0);
    if (v.kind == TPL_STRING) return hone_tpl_int((int64_t)hone_tpl_characters(v.s));
    if (v.kind == TPL_DICT) return hone_tpl_int((int64_t)v.dict->count);
    if (v.kind == TPL_LIST && v.list->shape != TPL_IS_GENERATOR) return hone_tpl_int((int64_t)v.list->count);
    return hone_tpl_fail(r, "object of type '%s' has no len()", hone_tpl_kind(&v));
}

static tpl_value f_string(tpl_run *r, tpl_value v, const tpl_args *args) {
    (void)args;
    const tpl_string *s = hone_tpl_string(r, &v);
    return r->failed ? v : (tpl_value){.kind = TPL_STRING, .s = s};
}

static tpl_value f_safe(tpl_run *r, tpl_value v, const tpl_args *args) {
    return hone_tpl_safe(r, f_string(r, v, args));
}

static tpl_value f_default(tpl_run *r, tpl_value v, const tpl_args *args) {
    const tpl_value *other = hone_tpl_argument(args, 0, "default_value");
    bool falsy = flag(args, 1, "boolean", false);
    if (v.kind != TPL_UNDEFINED && !(falsy && !hone_tpl_true(&v))) return v;
    return other ? *other : hone_tpl_text(r, "", 0, false);
}

static tpl_value f_trim(tpl_run *r, tpl_value v, const tpl_args *args) {
    return method(r, v, "strip", args);
}
static tpl_value f_lower(tpl_run *r, tpl_value v, const tpl_args *args) {
    return method(r, v, "lower", args);
}
static tpl_value f_upper(tpl_run *r, tpl_value v, const tpl_args *args) {
    return method(r, v, "upper", args);
}
static tpl_value f_capitalize(tpl_run *r, tpl_value v, const tpl_args *args) {
    return method(r, v, "capitalize", args);
}
/* Words begin behind white space and opening brackets here. */
static tpl_value f_title(tpl_run *r, tpl_value v, const tpl_args *args) {
    tpl_args none = {NULL, NULL, 0};
    tpl_output out = {NULL, NULL, 0, 0};
    const tpl_string *s = hone_tpl_string(r, &v);
    (void)args;
    for (size_t at = 0, end; at < s->size && !r->failed; at = end) {
        for (end = at; end < s->size && !strchr("- \t\n\r\f\v({[<", s->data[end]);) end++;
        tpl_value word = hone_tpl_part(r, s, at, end - at), changed = method(r, word, "capitalize", &none);
        if (!r->failed) hone_tpl_write_string(r, &out, changed.s);
        if (end == s->size || r->failed) break;
        tpl_value between = hone_tpl_part(r, s, end++, 1);
        if (!r->failed) hone_tpl_write_string(r, &out, between.s);
    }
    return hone_tpl_written(r, &out);
}
static tpl_value f_replace(tpl_run *r, tpl_value v, const tpl_args *args) {
    return method(r, v, "replace", args);
}

static tpl_value f_int(tpl_run *r, tpl_value v, const tpl_args *args) {
    const tpl_value *other = hone_tpl_argument(args, 0, "default");
    tpl_value usual = other ? *other : hone_tpl_int(0);
    char text[64], *end;
    double f = v.kind == TPL_FLOAT ? v.f : NAN;
    (void)r;
    if (v.kind == TPL_INT) return v;
    if (v.kind == TPL_BOOL) return hone_tpl_int(v.b);
    if (v.kind == TPL_STRING && v.s->size > 0 && v.s->size < sizeof text) {
        memcpy(text, v.s->data, v.s->size);
        text[v.s->size] = 0;
        long long i = strtoll(text, &end, 10);
        if (end != text && end[strspn(end, " \t\n\r")] == 0) return hone_tpl_int(i);
        f = strtod(text, &end);
        if (end == text || end[strspn(end, " \t\n\r")] != 0) f = NAN;
    }
    return isnan(f) || fabs(f) > 9e18 ? usual : hone_tpl_int((int64_t)f);
}

static tpl_value f_float(tpl_run *r, tpl_value v, const tpl_args *args) {
    const tpl_value *other = hone_tpl_argument(args, 0, "default");
    tpl_value usual = other ? *other : (tpl_value){.kind = TPL_FLOAT};
    char text[64], *end;
    (void)r;
    if (v.kind == TPL_FLOAT) return v;
    if (v.kind == TPL_INT || v.kind == TPL_BOOL)
        return (tpl_value){.kind = TPL_FLOAT, .f = v.kind == TPL_INT ? (double)v.i : v.b};
    if (v.kind != TPL_STRING || v.s->size == 0 || v.s->size >= sizeof text) return usual;
    memcpy(text, v.s->data, v.s->size);
    text[v.s->size] = 0;
    double f = strtod(text, &end);
    return end == text || end[strspn(end, " \t\n\r")] ? usual : (tpl_value){.kind = TPL_FLOAT, .f = f};
}

static tpl_value f_abs(tpl_run *r, tpl_value v, const tpl_args *args) {
    (void)args;
    tpl_value zero = hone_tpl_int(0);
    if (v.kind == TPL_STRING || v.kind == TPL_LIST || v.kind == TPL_DICT || v.kind == TPL_NONE)
        return hone_tpl_fail(r, "bad operand type for abs(): '%s'", hone_tpl_kind(&v));
    return hone_tpl_order(r, &v, &zero) < 0 ? hone_tpl_binary(r, '-', zero, v) : v;
}

/* To the even neighbour where it lies between two, as Python rounds. */
static tpl_value f_round(tpl_run *r, tpl_value v, const tpl_args *args) {
    const tpl_value *how = hone_tpl_argument(args, 1, "method");
    double scale = pow(10, (double)whole(r, args, 0, "precision", 0)), x;
    if (v.kind != TPL_INT && v.kind != TPL_FLOAT) return hone_tpl_fail(r, "only numbers can be rounded");
    x = (v.kind == TPL_INT ? (double)v.i : v.f) * scale;
    x = how && hone_tpl_is_text(how, "ceil")    ? ceil(x)
        : how && hone_tpl_is_text(how, "floor") ? floor(x)
                                                : nearbyint(x);
    return (tpl_value){.kind = TPL_FLOAT, .f = x / scale};
}

/* Lines but the first are indented, and empty ones are not. */
static tpl_value f_indent(tpl_run *r, tpl_value v, const tpl_args *args) {
    const tpl_value *width = hone_tpl_argument(args, 0, "width");
    bool first = flag(args, 1, "first", false), blank = flag(args, 2, "blank", false);
    tpl_output out = {NULL, NULL, 0, 0}, in = {NULL, NULL, 0, 0};
    const tpl_string *s = hone_tpl_string(r, &v);
    if (width && width->kind == TPL_STRING)
        hone_tpl_write_string(r, &in, width->s);
    else
        for (int64_t n = whole(r, args, 0, "width", 4); n > 0 && !r->failed; n--)
            hone_tpl_write(r, &in, " ", 1, false);
    tpl_value indent = hone_tpl_written(r, &in);
    if (r->failed) return v;
    if (first) hone_tpl_write_string(r, &out, indent.s);
    for (size_t at = 0; at < s->size && !r->failed;) {
        const char *stop = memchr(s->data + at, '\n', s->size - at);
        size_t end = stop ? (size_t)(stop - s->data) + 1 : s->size;
        bool empty = s->data[at] == '\n';
        if (at > 0 && (blank || !empty)) hone_tpl_write_string(r, &out, indent.s);
        tpl_value line = hone_tpl_part(r, s, at, end - at);
        if (!r->failed) hone_tpl_write_string(r, &out, line.s);
        at = end;
    }
    return hone_tpl_written(r, &out);
}

/* --- of several --- */

static tpl_value f_list(tpl_run *r, tpl_value v, const tpl_args *args) {
    (void)args;
    tpl_list *items = hone_tpl_items(r, v);
    tpl_value l = hone_tpl_new_list(r, TPL_IS_LIST);
    for (size_t i = 0; items && i < items->count && !r->failed; i++)
        hone_tpl_append(r, l.list, items->items[i]);
    return l;
}

static tpl_value f_items(tpl_run *r, tpl_value v, const tpl_args *args) {
    (void)args;
    tpl_value l = hone_tpl_new_list(r, TPL_IS_GENERATOR);
    if (v.kind == TPL_UNDEFINED || r->failed) return l;
    if (v.kind != TPL_DICT) return hone_tpl_fail(r, "Can only get item pairs from a mapping.");
    for (size_t i = 0; i < v.dict->count && !r->failed; i++) {
        tpl_value pair = hone_tpl_new_list(r, TPL_IS_TUPLE);
        if (!r->failed) hone_tpl_append(r, pair.list, v.dict->keys[i]);
        if (!r->failed) hone_tpl_append(r, pair.list, v.dict->values[i]);
        hone_tpl_append(r, l.list, pair);
    }
    return l;
}

/* a.b.0 of a value */
static tpl_value path(tpl_run *r, tpl_value v, const tpl_value *attribute) {
    if (attribute->kind == TPL_INT) return hone_tpl_item(r, v, *attribute);
    if (attribute->kind != TPL_STRING) return hone_tpl_fail(r, "an attribute is a text or a number");
    const tpl_string *s = attribute->s;
    for (size_t at = 0; at <= s->size && !r->failed;) {
        const char *dot = memchr(s->data + at, '.', s->size - at);
        size_t end = dot ? (size_t)(dot - s->data) : s->size;
        bool digits = end > at && end - at < 10;
        int64_t number = 0;
        for (size_t i = at; i < end && digits; i++) {
            digits = s->data[i] >= '0' && s->data[i] <= '9';
            number = 10 * number + s->data[i] - '0';
        }
        tpl_value key = digits ? hone_tpl_int(number) : hone_tpl_part(r, s, at, end - at);
        if (!r->failed) v = hone_tpl_item(r, v, key);
        at = end + 1;
    }
    return v;
}

static tpl_value f_join(tpl_run *r, tpl_value v, const tpl_args *args) {
    const tpl_value *between = hone_tpl_argument(args, 0, "d"),
                    *attribute = hone_tpl_argument(args, 1, "attribute");
    tpl_list *items = hone_tpl_items(r, v);
    tpl_output out = {NULL, NULL, 0, 0};
    for (size_t i = 0; items && i < items->count && !r->failed; i++) {
        tpl_value item = attribute ? path(r, items->items[i], attribute) : items->items[i];
        if (i && between) hone_tpl_write_value(r, &out, between);
        if (!r->failed) hone_tpl_write_value(r, &out, &item);
    }
    return hone_tpl_written(r, &out);
}

static tpl_value f_first(tpl_run *r, tpl_value v, const tpl_args *args) {
    (void)args;
    tpl_list *items = hone_tpl_items(r, v);
    return items && items->count ? items->items[0] : (tpl_value){.kind = TPL_UNDEFINED, .name = "first"};
}
static tpl_value f_last(tpl_run *r, tpl_value v, const tpl_args *args) {
    (void)args;
    tpl_list *items = hone_tpl_items(r, v);
    return items && items->count ? items->items[items->count - 1]
                                 : (tpl_value){.kind = TPL_UNDEFINED, .name = "last"};
}

static tpl_value f_reverse(tpl_run *r, tpl_value v, const tpl_args *args) {
    (void)args;
    tpl_list *items = hone_tpl_items(r, v);
    tpl_value l = hone_tpl_new_list(r, TPL_IS_GENERATOR);
    for (size_t i = items ? items->count : 0; i-- > 0 && !r->failed;)
        hone_tpl_append(r, l.list, items->items[i]);
    if (v.kind != TPL_STRING || r->failed) return l;
    tpl_args none = {NULL, NULL, 0};
    return f_join(r, l, &none);
}

static tpl_value f_sum(tpl_run *r, tpl_value v, const tpl_args *args) {
    const tpl_value *attribute = hone_tpl_argument(args, 0, "attribute"),
                    *start = hone_tpl_argument(args, 1, "start");
    tpl_list *items = hone_tpl_items(r, v);
    tpl_value sum = start ? *start : hone_tpl_int(0);
    for (size_t i = 0; items && i < items->count && !r->failed; i++)
        sum = hone_tpl_binary(r, '+', sum, attribute ? path(r, items->items[i], attribute) : items->items[i]);
    return sum;
}

/* --- by order --- */

static tpl_value folded(tpl_run *r, tpl_value v, bool as_it_is) {
    tpl_args none = {NULL, NULL, 0};
    return v.kind == TPL_STRING && !as_it_is ? method(r, v, "lower", &none) : v;
}

typedef struct keyed {
    tpl_value key, value;
} keyed;

static void merge_sort(tpl_run *r, keyed *a, keyed *room, size_t count, bool reverse) {
    if (count < 2 || !hone_tpl_step(r, count)) return;
    size_t half = count / 2, i = 0, k = half, n = 0;
    merge_sort(r, a, room, half, reverse);
    merge_sort(r, a + half, room, count - half, reverse);
    while (i < half && k < count && !r->failed) {
        int order = hone_tpl_order(r, &a[i].key, &a[k].key);
        bool second = reverse ? order < 0 : order > 0;
        room[n++] = second ? a[k++] : a[i++];
    }
    while (i < half) room[n++] = a[i++];
    while (k < count) room[n++] = a[k++];
    memcpy(a, room, n * sizeof *a);
}

static tpl_value sorted(tpl_run *r, keyed *items, size_t count, bool reverse) {
    keyed *room = hone_tpl_alloc(r, (count + 1) * sizeof *room);
    tpl_value l = hone_tpl_new_list(r, TPL_IS_LIST);
    if (!r->failed) merge_sort(r, items, room, count, reverse);
    for (size_t i = 0; i < count && !r->failed; i++) hone_tpl_append(r, l.list, items[i].value);
    return l;
}

static tpl_value f_sort(tpl_run *r, tpl_value v, const tpl_args *args) {
    bool reverse = flag(args, 0, "reverse", false), as_it_is = flag(args, 1, "case_sensitive", false);
    const tpl_value *attribute = hone_tpl_argument(args, 2, "attribute");
    tpl_list *items = hone_tpl_items(r, v);
    keyed *all = items ? hone_tpl_alloc(r, (items->count + 1) * sizeof *all) : NULL;
    for (size_t i = 0; all && i < items->count && !r->failed; i++)
        all[i] =
            (keyed){folded(r, attribute ? path(r, items->items[i], attribute) : items->items[i], as_it_is),
                    items->items[i]};
    return r->failed ? v : sorted(r, all, items->count, reverse);
}

static tpl_value f_dictsort(tpl_run *r, tpl_value v, const tpl_args *args) {
    bool as_it_is = flag(args, 0, "case_sensitive", false), reverse = flag(args, 2, "reverse", false);
    const tpl_value *by = hone_tpl_argument(args, 1, "by");
    bool by_value = by && hone_tpl_is_text(by, "value");
    tpl_args none = {NULL, NULL, 0};
    if (v.kind != TPL_DICT) return hone_tpl_fail(r, "'%s' object has no items to sort", hone_tpl_kind(&v));
    tpl_value pairs = f_items(r, v, &none);
    keyed *all = hone_tpl_alloc(r, (v.dict->count + 1) * sizeof *all);
    for (size_t i = 0; all && i < v.dict->count && !r->failed; i++)
        all[i] = (keyed){folded(r, by_value ? v.dict->values[i] : v.dict->keys[i], as_it_is),
                         pairs.list->items[i]};
    return r->failed ? v : sorted(r, all, v.dict->count, reverse);
}

static tpl_value f_unique(tpl_run *r, tpl_value v, const tpl_args *args) {
    bool as_it_is = flag(args, 0, "case_sensitive", false);
    const tpl_value *attribute = hone_tpl_argument(args, 1, "attribute");
    tpl_list *items = hone_tpl_items(r, v);
    tpl_value l = hone_tpl_new_list(r, TPL_IS_GENERATOR), seen = hone_tpl_new_dict(r, TPL_DICT);
    for (size_t i = 0; items && i < items->count && !r->failed; i++) {
        tpl_value key =
            folded(r, attribute ? path(r, items->items[i], attribute) : items->items[i], as_it_is);
        if (r->failed || hone_tpl_get(r, seen.dict, key)) continue;
        hone_tpl_put(r, seen.dict, key, TPL_NOTHING);
        hone_tpl_append(r, l.list, items->items[i]);
    }
    return l;
}

static tpl_value extreme(tpl_run *r, tpl_value v, const tpl_args *args, int sign) {
    bool as_it_is = flag(args, 0, "case_sensitive", false);
    const tpl_value *attribute = hone_tpl_argument(args, 1, "attribute");
    tpl_list *items = hone_tpl_items(r, v);
    tpl_value best = {.kind = TPL_UNDEFINED, .name = "an item of nothing"}, best_key = best;
    for (size_t i = 0; items && i < items->count && !r->failed; i++) {
        tpl_value key =
            folded(r, attribute ? path(r, items->items[i], attribute) : items->items[i], as_it_is);
        if (r->failed || (i > 0 && hone_tpl_order(r, &key, &best_key) * sign <= 0)) continue;
        best = items->items[i];
        best_key = key;
    }
    return best;
}
static tpl_value f_min(tpl_run *r, tpl_value v, const tpl_args *args) {
    return extreme(r, v, args, -1);
}
static tpl_value f_max(tpl_run *r, tpl_value v, const tpl_args *args) {
    return extreme(r, v, args, 1);
}

/* --- by other filters and tests --- */

/* What is empty, or none, has no items here. */
static tpl_list *items_if_any(tpl_run *r, tpl_value v) {
    return hone_tpl_true(&v) ? hone_tpl_items(r, v) : hone_tpl_new_list(r, TPL_IS_LIST).list;
}

static const char *name_of(tpl_run *r, const tpl_value *v) {
    const char *name =
        v && v->kind == TPL_STRING ? hone_arena_strndup(r->arena, v->s->data, v->s->size) : NULL;
    if (!name) hone_tpl_fail(r, "the name of a filter or test is needed");
    return name;
}

static tpl_args behind(const tpl_args *args, size_t n) {
    return (tpl_args){args->items + n, args->names ? args->names + n : NULL,
                      args->count > n ? args->count - n : 0};
}

static tpl_value f_map(tpl_run *r, tpl_value v, const tpl_args *args) {
    tpl_args rest = behind(args, 1);
    const tpl_value *attribute = hone_tpl_argument(args, SIZE_MAX, "attribute"),
                    *usual = hone_tpl_argument(args, SIZE_MAX, "default");
    const char *name = attribute ? NULL : name_of(r, hone_tpl_argument(args, 0, "filter"));
    tpl_list *items = items_if_any(r, v);
    tpl_value l = hone_tpl_new_list(r, TPL_IS_GENERATOR);
    for (size_t i = 0; items && i < items->count && !r->failed; i++) {
        tpl_value item = attribute ? path(r, items->items[i], attribute)
                                   : hone_tpl_filter(r, name, items->items[i], &rest);
        if (attribute && usual && item.kind == TPL_UNDEFINED) item = *usual;
        hone_tpl_append(r, l.list, item);
    }
    return l;
}

static tpl_value choose(tpl_run *r, tpl_value v, const tpl_args *args, bool by_attribute, bool keep) {
    const tpl_value *attribute = by_attribute ? hone_tpl_argument(args, 0, "attribute") : NULL;
    size_t at = by_attribute ? 1 : 0;
    const char *test = args->count > at ? name_of(r, &args->items[at]) : NULL;
    tpl_args rest = behind(args, at + 1);
    tpl_list *items = items_if_any(r, v);
    tpl_value l = hone_tpl_new_list(r, TPL_IS_GENERATOR);
    if (by_attribute && !attribute) hone_tpl_fail(r, "the attribute is missing");
    for (size_t i = 0; items && i < items->count && !r->failed; i++) {
        tpl_value asked = attribute ? path(r, items->items[i], attribute) : items->items[i];
        bool holds = !r->failed && (test ? hone_tpl_test(r, test, asked, &rest) : hone_tpl_true(&asked));
        if (holds == keep) hone_tpl_append(r, l.list, items->items[i]);
    }
    return l;
}
static tpl_value f_select(tpl_run *r, tpl_value v, const tpl_args *args) {
    return choose(r, v, args, false, true);
}
static tpl_value f_reject(tpl_run *r, tpl_value v, const tpl_args *args) {
    return choose(r, v, args, false, false);
}
static tpl_value f_selectattr(tpl_run *r, tpl_value v, const tpl_args *args) {
    return choose(r, v, args, true, true);
}
static tpl_value f_rejectattr(tpl_run *r, tpl_value v, const tpl_args *args) {
    return choose(r, v, args, true, false);
}

static tpl_value f_attr(tpl_run *r, tpl_value v, const tpl_args *args) {
    const tpl_value *name = hone_tpl_argument(args, 0, "name");
    const char *text = name_of(r, name);
    if (r->failed) return v;
    if (v.kind == TPL_DICT) return hone_tpl_method_of(r, v, text, name->s->size);
    return hone_tpl_attribute(r, v, text, name->s->size);
}

tpl_value hone_tpl_filter(tpl_run *r, const char *name, tpl_value v, const tpl_args *args) {
    static const struct {
        const char *name;
        tpl_value (*run)(tpl_run *r, tpl_value v, const tpl_args *args);
    } rows[] = {{"tojson", f_tojson},     {"length", f_length},
                {"count", f_length},      {"string", f_string},
                {"safe", f_safe},         {"default", f_default},
                {"d", f_default},         {"trim", f_trim},
                {"lower", f_lower},       {"upper", f_upper},
                {"title", f_title},       {"capitalize", f_capitalize},
                {"replace", f_replace},   {"int", f_int},
                {"float", f_float},       {"abs", f_abs},
                {"round", f_round},       {"indent", f_indent},
                {"list", f_list},         {"items", f_items},
                {"join", f_join},         {"first", f_first},
                {"last", f_last},         {"reverse", f_reverse},
                {"sum", f_sum},           {"sort", f_sort},
                {"dictsort", f_dictsort}, {"unique", f_unique},
                {"min", f_min},           {"max", f_max},
                {"map", f_map},           {"select", f_select},
                {"reject", f_reject},     {"selectattr", f_selectattr},
                {"attr", f_attr},         {"rejectattr", f_rejectattr}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].name, name) == 0) return rows[i].run(r, v, args);
    return hone_tpl_fail(r, "No filter named '%.60s'.", name);
}

/* --- tests --- */

static bool is_iterable(const tpl_value *v) {
    return v->kind == TPL_STRING || v->kind == TPL_LIST || v->kind == TPL_DICT || v->kind == TPL_UNDEFINED;
}

static bool test_kind(const char *name, const tpl_value *v, bool *holds) {
    const bool number = v->kind == TPL_INT || v->kind == TPL_FLOAT || v->kind == TPL_BOOL;
    const struct {
        const char *name;
        bool holds;
    } rows[] = {{"defined", v->kind != TPL_UNDEFINED},
                {"undefined", v->kind == TPL_UNDEFINED},
                {"none", v->kind == TPL_NONE},
                {"string", v->kind == TPL_STRING},
                {"number", number},
                {"mapping", v->kind == TPL_DICT},
                {"iterable", is_iterable(v)},
                {"sequence", is_iterable(v) && !(v->kind == TPL_LIST && v->list->shape == TPL_IS_GENERATOR)},
                {"boolean", v->kind == TPL_BOOL},
                {"true", v->kind == TPL_BOOL && v->b},
                {"false", v->kind == TPL_BOOL && !v->b},
                {"integer", v->kind == TPL_INT},
                {"float", v->kind == TPL_FLOAT},
                {"callable", v->kind >= TPL_MACRO || v->kind == TPL_LOOP}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (strcmp(rows[i].name, name) != 0) continue;
        *holds = rows[i].holds;
        return true;
    }
    return false;
}

static bool test_pair(tpl_run *r, const char *name, const tpl_value *v, const tpl_value *other, bool *holds) {
    static const char *const names[][2] = {
        {"eq", "="},       {"equalto", "="},     {"==", "="}, {"ne", "!"},    {"!=", "!"}, {"lt", "<"},
        {"lessthan", "<"}, {"<", "<"},           {"gt", ">"}, {">", ">"},     {"le", "l"}, {"<=", "l"},
        {"ge", "g"},       {"greaterthan", ">"}, {">=", "g"}, {"sameas", "="}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(names[i][0], name) != 0) continue;
        char sign = names[i][1][0];
        bool equal = hone_tpl_equal(r, v, other);
        int order = sign == '=' || sign == '!' ? 0 : hone_tpl_order(r, v, other);
        *holds = sign == '='   ? equal && (name[0] != 's' || v->kind == other->kind)
                 : sign == '!' ? !equal
                 : sign == '<' ? order < 0
                 : sign == '>' ? order > 0
                 : sign == 'l' ? order <= 0
                               : order >= 0;
        return true;
    }
    return false;
}

static bool test_in(tpl_run *r, const tpl_value *v, const tpl_value *in) {
    tpl_list *items;
    if (in->kind == TPL_STRING && v->kind == TPL_STRING)
        return v->s->size == 0 || memmem(in->s->data, in->s->size, v->s->data, v->s->size) != NULL;
    items = hone_tpl_items(r, *in);
    for (size_t i = 0; items && i < items->count; i++)
        if (hone_tpl_equal(r, &items->items[i], v)) return true;
    return false;
}

bool hone_tpl_test(tpl_run *r, const char *name, tpl_value v, const tpl_args *args) {
    const tpl_value *other = hone_tpl_argument(args, 0, "other");
    tpl_args none = {NULL, NULL, 0};
    bool holds = false;
    if (test_kind(name, &v, &holds)) return holds;
    if (other && test_pair(r, name, &v, other, &holds)) return holds;
    if (other && strcmp(name, "in") == 0) return test_in(r, &v, other);
    bool odd = strcmp(name, "odd") == 0, even = strcmp(name, "even") == 0,
         by = strcmp(name, "divisibleby") == 0;
    if (odd || even || (by && other)) {
        tpl_value rest = hone_tpl_binary(r, '%', v, by ? *other : hone_tpl_int(2)), zero = hone_tpl_int(0);
        return !r->failed && hone_tpl_equal(r, &rest, &zero) != odd;
    }
    if (strcmp(name, "lower") == 0 || strcmp(name, "upper") == 0) {
        tpl_value changed = method(r, v, *name == 'l' ? "lower" : "upper", &none);
        return !r->failed && hone_tpl_equal(r, &changed, &v);
    }
    hone_tpl_fail(r, "No test named '%.60s'.", name);
    return false;
}
