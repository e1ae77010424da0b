/* Methods of Python's texts, lists and dictionaries, and functions, as templates call them. */
#include "text/template.h"

#include "base/unicode.h"
#include "base/utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <utf8proc.h>

static const tpl_string *text_argument(tpl_run *r, const tpl_args *args, size_t place, const char *name) {
    const tpl_value *v = hone_tpl_argument(args, place, name);
    if (!v || v->kind == TPL_NONE) return NULL;
    if (v->kind != TPL_STRING) hone_tpl_fail(r, "%s must be str, not %s", name, hone_tpl_kind(v));
    return v->kind == TPL_STRING ? v->s : NULL;
}

static const tpl_string *needed_text(tpl_run *r, const tpl_args *args, size_t place, const char *name) {
    const tpl_string *s = text_argument(r, args, place, name);
    if (!s) hone_tpl_fail(r, "the argument %s is missing", name);
    return s;
}

static int64_t count_argument(tpl_run *r, const tpl_args *args, size_t place, const char *name) {
    const tpl_value *v = hone_tpl_argument(args, place, name);
    if (v && v->kind != TPL_INT) hone_tpl_fail(r, "%s must be an integer", name);
    return v && v->kind == TPL_INT ? v->i : -1;
}

/* --- texts --- */

static bool is_space(uint32_t c) {
    return c == ' ' || (c >= 9 && c <= 13) || (c >= 0x1C && c <= 0x1F) || c == 0x85 || c == 0xA0 ||
           c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
           c == 0x205F || c == 0x3000;
}

static bool is_one_of(uint32_t c, const tpl_string *set) {
    if (!set) return is_space(c);
    for (const char *at = set->data, *end = at + set->size; at < end;)
        if (hone_utf8_decode(&at, end) == c) return true;
    return false;
}

static tpl_value stripped(tpl_run *r, const tpl_string *s, const tpl_args *args, bool left, bool right) {
    const tpl_string *set = text_argument(r, args, 0, "chars");
    const char *start = s->data, *end = start + s->size;
    while (left && start < end) {
        const char *next = start;
        if (!is_one_of(hone_utf8_decode(&next, end), set)) break;
        start = next;
    }
    while (right && end > start) {
        const char *last = end - 1, *next;
        while (last > start && (*last & 0xC0) == 0x80) last--;
        next = last;
        if (!is_one_of(hone_utf8_decode(&next, end), set)) break;
        end = last;
    }
    hone_tpl_step(r, (s->size + (set ? set->size : 0)) / 16);
    return hone_tpl_part(r, s, (size_t)(start - s->data), (size_t)(end - start));
}
static tpl_value s_strip(tpl_run *r, const tpl_string *s, const tpl_args *args) {
    return stripped(r, s, args, true, true);
}
static tpl_value s_lstrip(tpl_run *r, const tpl_string *s, const tpl_args *args) {
    return stripped(r, s, args, true, false);
}
static tpl_value s_rstrip(tpl_run *r, const tpl_string *s, const tpl_args *args) {
    return stripped(r, s, args, false, true);
}

static void add_part(tpl_run *r, tpl_value l, const tpl_string *s, size_t at, size_t end) {
    tpl_value part = hone_tpl_part(r, s, at, end - at);
    if (!r->failed) hone_tpl_append(r, l.list, part);
}

static tpl_value words_of(tpl_run *r, const tpl_string *s, int64_t most) {
    tpl_value l = hone_tpl_new_list(r, TPL_IS_LIST);
    const char *at = s->data, *end = at + s->size;
    while (!r->failed) {
        const char *next = at;
        while (at < end && is_space(hone_utf8_decode(&next, end))) at = next;
        if (at == end) break;
        const char *stop = at;
        next = at;
        while (stop < end && !is_space(hone_utf8_decode(&next, end))) stop = next;
        if (most == 0) stop = end;
        add_part(r, l, s, (size_t)(at - s->data), (size_t)(stop - s->data));
        at = stop;
        most -= most > 0;
    }
    return l;
}

static tpl_value s_split(tpl_run *r, const tpl_string *s, const tpl_args *args) {
    const tpl_string *by = text_argument(r, args, 0, "sep");
    int64_t most = count_argument(r, args, 1, "maxsplit");
    hone_tpl_step(r, s->size / 16);
    if (r->failed || !by) return words_of(r, s, most);
    if (by->size == 0) return hone_tpl_fail(r, "empty separator");
    tpl_value l = hone_tpl_new_list(r, TPL_IS_LIST);
    size_t at = 0;
    while (!r->failed) {
        const char *found = most == 0 ? NULL : memmem(s->data + at, s->size - at, by->data, by->size);
        size_t end = found ? (size_t)(found - s->data) : s->size;
        add_part(r, l, s, at, end);
        if (!found) break;
        at = end + by->size;
        most -= most > 0;
    }
    return l;
}

static tpl_value s_rsplit(tpl_run *r, const tpl_string *s, const tpl_args *args) {
    const tpl_string *by = text_argument(r, args, 0, "sep");
    int64_t most = count_argument(r, args, 1, "maxsplit");
    if (r->failed || !by || by->size == 0 || most < 0) return s_split(r, s, args);
    tpl_value back = hone_tpl_new_list(r, TPL_IS_LIST), l = hone_tpl_new_list(r, TPL_IS_LIST);
    size_t end = s->size;
    for (size_t at = end; !r->failed && most > 0 && at >= by->size;) {
        if (memcmp(s->data + at - by->size, by->data, by->size) != 0) {
            at--;
            continue;
        }
        add_part(r, back, s, at, end);
        end = at -= by->size;
        most--;
    }
    if (!r->failed) add_part(r, back, s, 0, end);
    for (size_t i = r->failed ? 0 : back.list->count; i-- > 0;)
        hone_tpl_append(r, l.list, back.list->items[i]);
    return l;
}

static tpl_value s_splitlines(tpl_run *r, const tpl_string *s, const tpl_args *args) {
    tpl_value l = hone_tpl_new_list(r, TPL_IS_LIST);
    const tpl_value *keep = hone_tpl_argument(args, 0, "keepends");
    for (size_t at = 0; at < s->size && !r->failed;) {
        size_t end = at;
        while (end < s->size && s->data[end] != '\n' && s->data[end] != '\r') end++;
        size_t next =
            end + (end < s->size) + (end + 1 < s->size && s->data[end] == '\r' && s->data[end + 1] == '\n');
        add_part(r, l, s, at, keep && hone_tpl_true(keep) ? next : end);
        at = next;
    }
    return l;
}

/* A prefix, or any of a tuple of them. */
static bool has_end(tpl_run *r, const tpl_string *s, const tpl_value *what, bool front) {
    if (what && what->kind == TPL_LIST) {
        for (size_t i = 0; i < what->list->count; i++)
            if (has_end(r, s, &what->list->items[i], front)) return true;
        return false;
    }
    if (!what || what->kind != TPL_STRING) {
        hone_tpl_fail(r, "a text is needed to compare with");
        return false;
    }
    size_t n = what->s->size;
    return n <= s->size && memcmp(front ? s->data : s->data + s->size - n, what->s->data, n) == 0;
}
static tpl_value s_startswith(tpl_run *r, const tpl_string *s, const tpl_args *args) {
    return hone_tpl_bool(has_end(r, s, hone_tpl_argument(args, 0, "prefix"), true));
}
static tpl_value s_endswith(tpl_run *r, const tpl_string *s, const tpl_args *args) {
    return hone_tpl_bool(has_end(r, s, hone_tpl_argument(args, 0, "suffix"), false));
}
static tpl_value s_removeprefix(tpl_run *r, const tpl_string *s, const tpl_args *args) {
    const tpl_value *v = hone_tpl_argument(args, 0, "prefix");
    size_t n = has_end(r, s, v, true) ? v->s->size : 0;
    return hone_tpl_part(r, s, n, s->size - n);
}
static tpl_value s_removesuffix(tpl_run *r, const tpl_string *s, const tpl_args *args) {
    const tpl_value *v = hone_tpl_argument(args, 0, "suffix");
    size_t n = has_end(r, s, v, false) ? v->s->size : 0;
    return hone_tpl_part(r, s, 0, s->size - n);
}

static tpl_value s_replace(tpl_run *r, const tpl_string *s, const tpl_args *args) {
    const tpl_string *old = needed_text(r, args, 0, "old"), *by = needed_text(r, args, 1, "new");
    int64_t most = count_argument(r, args, 2, "count");
    tpl_output out = {NULL, NULL, 0, 0};
    size_t at = 0;
    while (!r->failed) {
        const char *found = most == 0 ? NULL : memmem(s->data + at, s->size - at, old->data, old->size);
        size_t end = found ? (size_t)(found - s->data) : s->size, step = old->size;
        if (found && step == 0) { /* between all characters */
            hone_tpl_write_string(r, &out, by);
            if (at == s->size) break;
            step = 1;
            while (at + step < s->size && (s->data[at + step] & 0xC0) == 0x80) step++;
            end = at + step;
            step = 0;
        }
        tpl_value part = hone_tpl_part(r, s, at, end - at);
        if (!r->failed) hone_tpl_write_string(r, &out, part.s);
        if (!found || r->failed) break;
        if (old->size) hone_tpl_write_string(r, &out, by);
        at = end + step;
        most -= most > 0;
    }
    return hone_tpl_written(r, &out);
}

enum casing { CASE_LOWER, CASE_UPPER, CASE_CAPITALIZE, CASE_TITLE };

static tpl_value cased(tpl_run *r, const tpl_string *s, enum casing how) {
    tpl_output out = {NULL, NULL, 0, 0};
    bool inside = false;
    for (const char *at = s->data, *end = at + s->size; at < end && !r->failed;) {
        size_t place = (size_t)(at - s->data);
        uint32_t c = hone_utf8_decode(&at, end);
        bool upper = how == CASE_UPPER || (how != CASE_LOWER && !inside),
             user = s->marks ? s->marks[place] : s->user;
        utf8proc_int32_t u = (utf8proc_int32_t)c;
        char text[8];
        if (c < HONE_UNICODE_END) c = (uint32_t)(upper ? utf8proc_toupper(u) : utf8proc_tolower(u));
        if (u == 0xDF && upper)
            hone_tpl_write(r, &out, how == CASE_UPPER ? "SS" : "Ss", 2, user);
        else
            hone_tpl_write(r, &out, text, hone_utf8_encode(c, text), user);
        utf8proc_category_t k =
            u < (utf8proc_int32_t)HONE_UNICODE_END ? utf8proc_category(u) : UTF8PROC_CATEGORY_CN;
        inside = how == CASE_CAPITALIZE || k == UTF8PROC_CATEGORY_LU || k == UTF8PROC_CATEGORY_LL ||
                 k == UTF8PROC_CATEGORY_LT;
    }
    return hone_tpl_written(r, &out);
}
static tpl_value s_lower(tpl_run *r, const tpl_string *s, const tpl_args *args) {
    (void)args;
    return cased(r, s, CASE_LOWER);
}
static tpl_value s_upper(tpl_run *r, const tpl_string *s, const tpl_args *args) {
    (void)args;
    return cased(r, s, CASE_UPPER);
}
static tpl_value s_capitalize(tpl_run *r, const tpl_string *s, const tpl_args *args) {
    (void)args;
    return cased(r, s, CASE_CAPITALIZE);
}
static tpl_value s_title(tpl_run *r, const tpl_string *s, const tpl_args *args) {
    (void)args;
    return cased(r, s, CASE_TITLE);
}

static tpl_value s_join(tpl_run *r, const tpl_string *s, const tpl_args *args) {
    const tpl_value *of = hone_tpl_argument(args, 0, "iterable");
    tpl_list *items = of ? hone_tpl_items(r, *of) : NULL;
    tpl_output out = {NULL, NULL, 0, 0};
    if (!of) hone_tpl_fail(r, "join needs a list");
    for (size_t i = 0; items && i < items->count && !r->failed; i++) {
        if (i) hone_tpl_write_string(r, &out, s);
        if (items->items[i].kind != TPL_STRING)
            return hone_tpl_fail(r, "sequence item %zu: expected str instance, %s found", i,
                                 hone_tpl_kind(&items->items[i]));
        hone_tpl_write_string(r, &out, items->items[i].s);
    }
    return hone_tpl_written(r, &out);
}

static int64_t place_of(tpl_run *r, const tpl_string *s, const tpl_args *args, bool last) {
    const tpl_string *what = needed_text(r, args, 0, "sub");
    if (!what || what->size > s->size) return -1;
    hone_tpl_step(r, s->size / 16);
    for (size_t i = 0; i <= s->size - what->size; i++) {
        size_t at = last ? s->size - what->size - i : i;
        if (memcmp(s->data + at, what->data, what->size) != 0) continue;
        tpl_string before = {s->data, at, NULL, false};
        return (int64_t)hone_tpl_characters(&before);
    }
    return -1;
}
static tpl_value s_find(tpl_run *r, const tpl_string *s, const tpl_args *args) {
    return hone_tpl_int(place_of(r, s, args, false));
}
static tpl_value s_rfind(tpl_run *r, const tpl_string *s, const tpl_args *args) {
    return hone_tpl_int(place_of(r, s, args, true));
}
static tpl_value s_index(tpl_run *r, const tpl_string *s, const tpl_args *args) {
    int64_t at = place_of(r, s, args, false);
    return at < 0 ? hone_tpl_fail(r, "substring not found") : hone_tpl_int(at);
}
static tpl_value s_count(tpl_run *r, const tpl_string *s, const tpl_args *args) {
    const tpl_string *what = needed_text(r, args, 0, "sub");
    int64_t n = 0;
    if (what && what->size == 0) return hone_tpl_int((int64_t)hone_tpl_characters(s) + 1);
    for (const char *at = s->data, *end = at + s->size;
         what && (at = memmem(at, (size_t)(end - at), what->data, what->size)); at += what->size)
        n++;
    return hone_tpl_int(n);
}

static tpl_value all_of(const tpl_string *s, bool digits, bool letters) {
    bool holds = s->size > 0;
    for (const char *at = s->data, *end = at + s->size; at < end && holds;) {
        uint32_t c = hone_utf8_decode(&at, end);
        utf8proc_category_t k =
            c < HONE_UNICODE_END ? utf8proc_category((utf8proc_int32_t)c) : UTF8PROC_CATEGORY_CN;
        holds = (digits && k == UTF8PROC_CATEGORY_ND) ||
                (letters && k >= UTF8PROC_CATEGORY_LU && k <= UTF8PROC_CATEGORY_LO);
    }
    return hone_tpl_bool(holds);
}
static tpl_value s_isdigit(tpl_run *r, const tpl_string *s, const tpl_args *args) {
    (void)r, (void)args;
    return all_of(s, true, false);
}
static tpl_value s_isalpha(tpl_run *r, const tpl_string *s, const tpl_args *args) {
    (void)r, (void)args;
    return all_of(s, false, true);
}
static tpl_value s_isalnum(tpl_run *r, const tpl_string *s, const tpl_args *args) {
    (void)r, (void)args;
    return all_of(s, true, true);
}
static tpl_value s_isspace(tpl_run *r, const tpl_string *s, const tpl_args *args) {
    tpl_args none = {NULL, NULL, 0};
    (void)args;
    tpl_value rest = stripped(r, s, &none, true, false);
    return hone_tpl_bool(!r->failed && s->size > 0 && rest.s->size == 0);
}

/* {} {0} {name}, and {:.2f} */
static tpl_value s_format(tpl_run *r, const tpl_string *s, const tpl_args *args) {
    tpl_output out = {NULL, NULL, 0, 0};
    size_t next = 0;
    for (size_t at = 0; at < s->size && !r->failed; at++) {
        char c = s->data[at];
        bool twice = at + 1 < s->size && s->data[at + 1] == c;
        if ((c != '{' && c != '}') || twice) {
            hone_tpl_write(r, &out, &c, 1, s->marks ? s->marks[at] : s->user);
            at += (c == '{' || c == '}') && twice;
            continue;
        }
        const char *close = memchr(s->data + at, '}', s->size - at), *colon;
        if (c == '}' || !close) return hone_tpl_fail(r, "a single brace in a format");
        size_t end = (size_t)(close - s->data), from = at + 1;
        colon = memchr(s->data + from, ':', end - from);
        size_t name_end = colon ? (size_t)(colon - s->data) : end;
        char name[64] = "", spec[16] = "";
        if (name_end - from >= sizeof name || end - name_end >= sizeof spec)
            return hone_tpl_fail(r, "a format is too long");
        memcpy(name, s->data + from, name_end - from);
        if (colon) memcpy(spec, colon + 1, end - name_end - 1);
        char *rest = name;
        size_t place = *name >= '0' && *name <= '9' ? strtoul(name, &rest, 10) : SIZE_MAX;
        const tpl_value *v =
            hone_tpl_argument(args, *name ? place : next++, *name && place == SIZE_MAX ? name : "");
        int digits;
        char shown[400], kind;
        if (!v || (place != SIZE_MAX && *rest))
            return hone_tpl_fail(r, "a format asks for '%s', which is not there", name);
        if (!*spec)
            hone_tpl_write_value(r, &out, v);
        else if (sscanf(spec, ".%d%c", &digits, &kind) == 2 && kind == 'f' && digits >= 0 && digits < 30 &&
                 (v->kind == TPL_FLOAT || v->kind == TPL_INT)) {
            snprintf(shown, sizeof shown, "%.*f", digits, v->kind == TPL_FLOAT ? v->f : (double)v->i);
            hone_tpl_write(r, &out, shown, strlen(shown), false);
        } else
            hone_tpl_fail(r, "the format '%s' is not supported", spec);
        at = end;
    }
    return hone_tpl_written(r, &out);
}

typedef tpl_value string_method(tpl_run *r, const tpl_string *s, const tpl_args *args);
static const struct {
    const char *name;
    string_method *call;
} string_methods[] = {{"strip", s_strip},
                      {"lstrip", s_lstrip},
                      {"rstrip", s_rstrip},
                      {"split", s_split},
                      {"rsplit", s_rsplit},
                      {"splitlines", s_splitlines},
                      {"startswith", s_startswith},
                      {"endswith", s_endswith},
                      {"replace", s_replace},
                      {"lower", s_lower},
                      {"upper", s_upper},
                      {"capitalize", s_capitalize},
                      {"title", s_title},
                      {"join", s_join},
                      {"find", s_find},
                      {"rfind", s_rfind},
                      {"index", s_index},
                      {"count", s_count},
                      {"isdigit", s_isdigit},
                      {"isalpha", s_isalpha},
                      {"isalnum", s_isalnum},
                      {"isspace", s_isspace},
                      {"format", s_format},
                      {"removeprefix", s_removeprefix},
                      {"removesuffix", s_removesuffix}};

/* --- dictionaries, lists, loops --- */

static tpl_value d_items(tpl_run *r, const tpl_dict *d, bool keys, bool values) {
    tpl_value l = hone_tpl_new_list(r, TPL_IS_LIST);
    for (size_t i = 0; i < d->count && !r->failed; i++) {
        tpl_value item = keys ? d->keys[i] : d->values[i];
        if (keys && values) {
            item = hone_tpl_new_list(r, TPL_IS_TUPLE);
            if (!r->failed) hone_tpl_append(r, item.list, d->keys[i]);
            if (!r->failed) hone_tpl_append(r, item.list, d->values[i]);
        }
        hone_tpl_append(r, l.list, item);
    }
    return l;
}

static tpl_value call_of_dict(tpl_run *r, const tpl_method *m, const tpl_args *args) {
    const tpl_dict *d = m->self.dict;
    if (strcmp(m->name, "items") == 0) return d_items(r, d, true, true);
    if (strcmp(m->name, "keys") == 0) return d_items(r, d, true, false);
    if (strcmp(m->name, "values") == 0) return d_items(r, d, false, true);
    if (strcmp(m->name, "copy") == 0) {
        tpl_value copy = hone_tpl_new_dict(r, TPL_DICT);
        for (size_t i = 0; i < d->count && !r->failed; i++)
            hone_tpl_put(r, copy.dict, d->keys[i], d->values[i]);
        return copy;
    }
    if (args->count < 1 || args->count > 2)
        return hone_tpl_fail(r, "get expects 1 or 2 arguments, got %zu", args->count);
    const tpl_value key = args->items[0];
    if (key.kind == TPL_LIST || key.kind == TPL_DICT)
        return hone_tpl_fail(r, "unhashable type: '%s'", hone_tpl_kind(&key));
    const tpl_value *found = hone_tpl_get(r, d, key);
    return found ? *found : args->count > 1 ? args->items[1] : TPL_NOTHING;
}

static tpl_value call_of_list(tpl_run *r, const tpl_method *m, const tpl_args *args) {
    const tpl_list *l = m->self.list;
    int64_t count = 0;
    if (strcmp(m->name, "copy") == 0) {
        tpl_value copy = hone_tpl_new_list(r, TPL_IS_LIST);
        for (size_t i = 0; i < l->count && !r->failed; i++) hone_tpl_append(r, copy.list, l->items[i]);
        return copy;
    }
    if (args->count != 1) return hone_tpl_fail(r, "%s takes one argument", m->name);
    for (size_t i = 0; i < l->count; i++) {
        if (!hone_tpl_equal(r, &l->items[i], &args->items[0])) continue;
        if (*m->name == 'i') return hone_tpl_int((int64_t)i);
        count++;
    }
    return *m->name == 'i' ? hone_tpl_fail(r, "the item is not in list") : hone_tpl_int(count);
}

static tpl_value call_of_loop(tpl_run *r, const tpl_method *m, const tpl_args *args) {
    tpl_loop *loop = m->self.loop;
    if (strcmp(m->name, "cycle") == 0)
        return args->count ? args->items[loop->index % args->count]
                           : hone_tpl_fail(r, "no items for cycling given");
    tpl_value now = hone_tpl_new_list(r, TPL_IS_TUPLE);
    for (size_t i = 0; i < args->count && !r->failed; i++) hone_tpl_append(r, now.list, args->items[i]);
    bool changed = r->failed || !loop->has_changed || !hone_tpl_equal(r, &loop->changed, &now);
    loop->changed = now;
    loop->has_changed = true;
    return hone_tpl_bool(changed);
}

static bool is_in(const char *const *names, const char *name, size_t size) {
    for (; *names; names++)
        if (strlen(*names) == size && memcmp(*names, name, size) == 0) return true;
    return false;
}

tpl_value hone_tpl_method_of(tpl_run *r, tpl_value self, const char *name, size_t size) {
    /* those that change their value are there, and the sandbox lets nobody call them */
    static const char *const of_dict[] = {"items", "keys",       "values", "get",     "copy",     "pop",
                                          "clear", "setdefault", "update", "popitem", "fromkeys", NULL},
                             *const of_list[] = {"index",  "count", "copy",    "append", "extend", "insert",
                                                 "remove", "pop",   "reverse", "sort",   "clear",  NULL},
                             *const of_loop[] = {"cycle", "changed", NULL};
    bool there = false;
    if (self.kind == TPL_STRING)
        for (size_t i = 0; i < sizeof string_methods / sizeof *string_methods && !there; i++)
            there = strlen(string_methods[i].name) == size && memcmp(string_methods[i].name, name, size) == 0;
    else if (self.kind == TPL_DICT)
        there = is_in(of_dict, name, size);
    else if (self.kind == TPL_LIST && self.list->shape != TPL_IS_GENERATOR)
        there =
            is_in(of_list, name, size) && (self.list->shape == TPL_IS_LIST || *name == 'i' || *name == 'c');
    else if (self.kind == TPL_LOOP)
        there = is_in(of_loop, name, size);
    tpl_method *m = there ? hone_tpl_alloc(r, sizeof *m) : NULL;
    if (!m) return (tpl_value){.kind = TPL_UNDEFINED, .name = name};
    *m = (tpl_method){self, name};
    return (tpl_value){.kind = TPL_METHOD, .method = m};
}

tpl_value hone_tpl_call_method(tpl_run *r, const tpl_method *m, const tpl_args *args) {
    static const char *const safe[] = {"items", "keys", "values", "get", "copy", "index", "count", NULL};
    if (m->self.kind == TPL_STRING) {
        for (size_t i = 0; i < sizeof string_methods / sizeof *string_methods; i++)
            if (strcmp(string_methods[i].name, m->name) == 0)
                return string_methods[i].call(r, m->self.s, args);
        return hone_tpl_fail(r, "a str has no method %s", m->name);
    }
    if (m->self.kind == TPL_LOOP) return call_of_loop(r, m, args);
    if (!is_in(safe, m->name, strlen(m->name)))
        return hone_tpl_fail(r, "access to attribute '%s' of '%s' object is unsafe.", m->name,
                             hone_tpl_kind(&m->self));
    return m->self.kind == TPL_DICT ? call_of_dict(r, m, args) : call_of_list(r, m, args);
}

/* --- functions --- */

static tpl_value g_namespace(tpl_run *r, const tpl_args *args) {
    tpl_value n = hone_tpl_new_dict(r, TPL_NAMESPACE);
    for (size_t i = 0; i < args->count && !r->failed; i++) {
        const tpl_value *v = &args->items[i];
        if (args->names && args->names[i])
            hone_tpl_put_name(r, n.dict, args->names[i], *v);
        else if (v->kind == TPL_DICT)
            for (size_t k = 0; k < v->dict->count && !r->failed; k++)
                hone_tpl_put(r, n.dict, v->dict->keys[k], v->dict->values[k]);
        else
            hone_tpl_fail(r, "namespace takes names and dictionaries");
    }
    return n;
}

static tpl_value g_dict(tpl_run *r, const tpl_args *args) {
    tpl_value d = g_namespace(r, args);
    d.kind = d.kind == TPL_NAMESPACE ? TPL_DICT : d.kind;
    return d;
}

static tpl_value g_raise(tpl_run *r, const tpl_args *args) {
    const tpl_value *message = hone_tpl_argument(args, 0, "message");
    const tpl_string *s = message ? hone_tpl_string(r, message) : NULL;
    char text[480];
    if (r->failed || !s) return hone_tpl_fail(r, "raise_exception needs a message");
    snprintf(text, sizeof text, "%.*s", (int)hone_utf8_fit(s->data, s->size, sizeof text - 1), s->data);
    return hone_tpl_fail_as(r, HONE_INVALID_ARGUMENT, text);
}

static tpl_value g_range(tpl_run *r, const tpl_args *args) {
    int64_t n[3] = {0, 0, 1};
    for (size_t i = 0; i < args->count && i < 3; i++) {
        if (args->items[i].kind != TPL_INT) return hone_tpl_fail(r, "range needs integers");
        n[i] = args->items[i].i;
    }
    if (args->count == 0 || args->count > 3 || n[2] == 0)
        return hone_tpl_fail(r, "range takes 1 to 3 integers, the last not 0");
    if (args->count == 1) {
        n[1] = n[0];
        n[0] = 0;
    }
    tpl_value l = hone_tpl_new_list(r, TPL_IS_LIST);
    enum { MOST = 100000 };
    for (int64_t i = n[0]; !r->failed && (n[2] > 0 ? i < n[1] : i > n[1]);) {
        if (l.list->count == MOST)
            return hone_tpl_fail(r,
                                 "Range too big. The sandbox blocks ranges larger than MAX_RANGE (100000).");
        hone_tpl_append(r, l.list, hone_tpl_int(i));
        if (__builtin_add_overflow(i, n[2], &i)) break;
    }
    return l;
}

static tpl_value g_strftime(tpl_run *r, const tpl_args *args) {
    const tpl_string *format = needed_text(r, args, 0, "format");
    char text[512], pattern[200];
    struct tm parts;
    time_t now = (time_t)r->now;
    if (r->failed || format->size == 0) return hone_tpl_text(r, "", 0, false);
    if (format->size >= sizeof pattern) return hone_tpl_fail(r, "a format of %zu bytes", format->size);
    memcpy(pattern, format->data, format->size);
    pattern[format->size] = 0;
    localtime_r(&now, &parts);
    size_t size = strftime(text, sizeof text, pattern, &parts);
    return hone_tpl_text(r, text, size, false);
}

const tpl_function hone_tpl_functions[] = {{"namespace", g_namespace},   {"dict", g_dict},
                                           {"range", g_range},           {"raise_exception", g_raise},
                                           {"strftime_now", g_strftime}, {NULL, NULL}};
