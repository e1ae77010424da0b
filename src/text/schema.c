/* JSON schemas to grammars of the texts that they allow. Everything that is made is allowed by the schema; of what a schema
 * allows, some is not made: other orders of properties, white space as one likes, numbers of very many digits. What a schema
 * says and Hone can't hold is an error, with its place. */
#include "text/schema.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_DEPTH = 64, MAX_LENGTH = 4000, MAX_ITEMS = 1000, MAX_VALUES = 10000 };

static int32_t schema(schema_compiler *c, int32_t from, const json_t *json);

/* --- keywords --- */

static bool is_among(const char *const *names, const char *name) {
    for (; *names; names++)
        if (strcmp(*names, name) == 0) return true;
    return false;
}

static bool is_note(const char *key) {
    static const char *const notes[] = {
        "title",    "description",     "default",          "examples",  "$schema", "$id",
        "$comment", "deprecated",      "readOnly",         "writeOnly", "$defs",   "definitions",
        "format",   "contentEncoding", "contentMediaType", NULL};
    return is_among(notes, key);
}

/* Every keyword that is no note is one of these. */
static bool only(schema_compiler *c, const json_t *json, const char *const *names) {
    for (void *it = json_object_iter((json_t *)json); it; it = json_object_iter_next((json_t *)json, it)) {
        const char *key = json_object_iter_key(it);
        if (is_note(key) || is_among(names, key)) continue;
        hone_schema_enter(c, key);
        hone_schema_unsupported(c, key);
        return false;
    }
    return true;
}

/* A number of things, or `usual`. */
static int64_t count_of(schema_compiler *c, const json_t *json, const char *key, int64_t usual,
                        int64_t most) {
    const json_t *v = json_object_get(json, key);
    double n = json_is_number(v) ? json_number_value(v) : -1;
    if (!v || c->failed) return usual;
    if (n >= 0 && n == floor(n) && n <= (double)most) return (int64_t)n;
    hone_schema_enter(c, key);
    hone_schema_fail(c, n >= 0 && n == floor(n) ? HONE_UNSUPPORTED : HONE_INVALID_ARGUMENT,
                     n >= 0 && n == floor(n) ? "it is too large" : "a count is needed");
    return usual;
}

/* --- values that are listed --- */

static bool has_type(const json_t *v, const char *type) {
    if (strcmp(type, "integer") == 0)
        return json_is_integer(v) || (json_is_real(v) && json_real_value(v) == floor(json_real_value(v)));
    if (strcmp(type, "number") == 0) return json_is_number(v);
    return strcmp(type, json_is_object(v)    ? "object"
                        : json_is_array(v)   ? "array"
                        : json_is_string(v)  ? "string"
                        : json_is_boolean(v) ? "boolean"
                        : json_is_null(v)    ? "null"
                                             : "") == 0;
}

static bool type_allows(const json_t *type, const json_t *v) {
    const json_t *one;
    size_t i;
    if (!type) return true;
    if (json_is_string(type)) return has_type(v, json_string_value(type));
    json_array_foreach(type, i,
                       one) if (json_is_string(one) && has_type(v, json_string_value(one))) return true;
    return false;
}

static bool add_value(schema_compiler *c, int32_t from, int32_t end, const json_t *v) {
    char *text = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT);
    if (!text) {
        hone_schema_fail(c, HONE_UNSUPPORTED, "a value that can't be written");
        return false;
    }
    hone_grammar_free_edge(c->g, hone_schema_literal(c, from, text), end);
    free(text);
    return true;
}

static int32_t listed(schema_compiler *c, int32_t from, const json_t *json) {
    static const char *const names[] = {"type", "enum", "const", NULL};
    const json_t *list = json_object_get(json, "enum"), *one = json_object_get(json, "const"), *v,
                 *type = json_object_get(json, "type");
    int32_t start = hone_schema_state(c), end = hone_schema_state(c);
    size_t i, added = 0;
    if (!only(c, json, names)) return 0;
    hone_grammar_free_edge(c->g, from, start);
    if (one && list) return hone_schema_unsupported(c, "const beside enum");
    if (list && (!json_is_array(list) || json_array_size(list) > MAX_VALUES))
        return hone_schema_fail(c, HONE_INVALID_ARGUMENT, "\"enum\" is a list of at most 10,000 values");
    if (one && type_allows(type, one)) added += add_value(c, start, end, one);
    json_array_foreach(list, i, v) if (type_allows(type, v) && !c->failed) added +=
        add_value(c, start, end, v);
    return added ? end : hone_schema_fail(c, HONE_INVALID_ARGUMENT, "no value is allowed");
}

/* --- texts --- */

static int32_t text_of(schema_compiler *c, int32_t from, const json_t *json) {
    int64_t least = count_of(c, json, "minLength", 0, MAX_LENGTH),
            most = count_of(c, json, "maxLength", -1, MAX_LENGTH);
    if (least == 0 && most < 0) return hone_schema_call(c, from, c->text);
    if (most >= 0 && most < least)
        return hone_schema_fail(c, HONE_INVALID_ARGUMENT, "maxLength is less than minLength");
    int32_t at = hone_schema_literal(c, from, "\""), end = hone_schema_state(c);
    for (int64_t i = 0; !c->g->failed; i++) {
        if (i >= least) hone_grammar_free_edge(c->g, hone_schema_literal(c, at, "\""), end);
        if (i == most) break;
        if (most < 0 && i == least) {
            hone_schema_free_text(c, at);
            break;
        }
        int32_t to = hone_schema_state(c);
        hone_schema_character(c, at, to, true);
        at = to;
    }
    return end;
}

/* --- lists --- */

static int32_t list_of(schema_compiler *c, int32_t from, const json_t *json) {
    const json_t *items = json_object_get(json, "items"), *first = json_object_get(json, "prefixItems");
    int64_t least = count_of(c, json, "minItems", 0, MAX_ITEMS),
            most = count_of(c, json, "maxItems", -1, MAX_ITEMS);
    size_t fixed = json_array_size(first);
    if (items && json_is_false(items) && (most < 0 || most > (int64_t)fixed)) most = (int64_t)fixed;
    if (most >= 0 && most < least)
        return hone_schema_fail(c, HONE_INVALID_ARGUMENT, "fewer items are allowed than needed");
    int32_t at = hone_schema_call(c, hone_schema_literal(c, from, "["), c->space), end = hone_schema_state(c),
            loop = -1;
    for (int64_t i = 0; !c->failed && !c->g->failed; i++) {
        /* at: behind i items, or behind "[" */
        if (i >= least) {
            int32_t before = i == 0 ? at : hone_schema_call(c, at, c->space);
            hone_grammar_free_edge(c->g, hone_schema_literal(c, before, "]"), end);
        }
        if (i == most) break;
        if (i > 0)
            at =
                hone_schema_call(c, hone_schema_literal(c, hone_schema_call(c, at, c->space), ","), c->space);
        bool repeats = most < 0 && i >= least && i >= (int64_t)fixed && i > 0;
        size_t before = hone_schema_enter(c, i < (int64_t)fixed ? "prefixItems" : "items");
        if (i < (int64_t)fixed) hone_schema_enter_index(c, (size_t)i);
        loop = at;
        at = i < (int64_t)fixed ? schema(c, at, json_array_get(first, (size_t)i))
             : items            ? schema(c, at, items)
                                : hone_schema_any_item(c, at);
        hone_schema_leave(c, before);
        if (!repeats) continue;
        int32_t behind = hone_schema_call(c, at, c->space);
        hone_grammar_free_edge(c->g, hone_schema_call(c, hone_schema_literal(c, behind, ","), c->space),
                               loop);
        hone_grammar_free_edge(c->g, hone_schema_literal(c, behind, "]"), end);
        break;
    }
    return end;
}

/* --- objects --- */

typedef struct property {
    const char *name;
    const json_t *schema; /* NULL: any */
    bool required, named; /* among "properties" */
} property;

/* "name": value */
static int32_t pair(schema_compiler *c, int32_t from, const property *p, const char *key) {
    json_t *name = json_string(p->name);
    char *text = name ? json_dumps(name, JSON_ENCODE_ANY) : NULL;
    json_decref(name);
    if (!text) return hone_schema_fail(c, HONE_OUT_OF_MEMORY, "out of memory");
    int32_t at = hone_schema_call(
        c, hone_schema_literal(c, hone_schema_call(c, hone_schema_literal(c, from, text), c->space), ":"),
        c->space);
    free(text);
    size_t before = hone_schema_enter(c, key);
    if (p->named) hone_schema_enter(c, p->name);
    at = p->schema ? schema(c, at, p->schema) : hone_schema_any_item(c, at);
    hone_schema_leave(c, before);
    return at;
}

static bool starts_with(const char *text, const char *with, size_t size) {
    return strncmp(text, with, size) == 0;
}

/* Behind so many bytes of a key that properties' names share: other characters, and the end where no name ends. Keys with
 * backslashes are left out: they could spell a name. */
static void other_keys(schema_compiler *c, int32_t at, const property *all, size_t count, size_t size,
                       const char *prefix, int32_t body, int32_t end) {
    bool taken[256] = {false}, is_name = false;
    if (++c->depth > 200)
        hone_schema_fail(c, HONE_UNSUPPORTED, "a name is too long beside additional properties");
    for (size_t i = 0; i < count; i++) {
        if (!starts_with(all[i].name, prefix, size)) continue;
        unsigned char next = (unsigned char)all[i].name[size];
        if (next >= 128)
            hone_schema_fail(c, HONE_UNSUPPORTED,
                             "names that are not ASCII beside additional properties are not supported");
        is_name = is_name || next == 0;
        taken[next] = next != 0;
    }
    if (!is_name) hone_grammar_free_edge(c->g, hone_schema_literal(c, at, "\""), end);
    for (int b = 0x20; b < 0x80 && !c->failed && !c->g->failed; b++) {
        if (b == '"' || b == '\\') continue;
        if (!taken[b]) {
            hone_grammar_bytes(c->g, at, b, b, body);
            continue;
        }
        char more[256];
        if (size + 2 > sizeof more) break;
        memcpy(more, prefix, size);
        more[size] = (char)b;
        more[size + 1] = 0;
        int32_t to = hone_schema_state(c);
        hone_grammar_bytes(c->g, at, b, b, to);
        other_keys(c, to, all, count, size + 1, more, body, end);
    }
    c->depth--;
}

static int32_t other_pair(schema_compiler *c, int32_t from, const property *all, size_t count,
                          const json_t *more) {
    int32_t at = hone_schema_literal(c, from, "\""), body = hone_schema_state(c), end = hone_schema_state(c);
    hone_schema_character(c, body, body, false);
    hone_grammar_free_edge(c->g, hone_schema_literal(c, body, "\""), end);
    other_keys(c, at, all, count, 0, "", body, end);
    at = hone_schema_call(c, hone_schema_literal(c, hone_schema_call(c, end, c->space), ":"), c->space);
    size_t before = hone_schema_enter(c, "additionalProperties");
    at = json_is_object(more) ? schema(c, at, more) : hone_schema_any_item(c, at);
    hone_schema_leave(c, before);
    return at;
}

/* Those of "properties" in its order, then the others that are required. */
static property *properties_of(schema_compiler *c, const json_t *json, const json_t *more, size_t *count) {
    const json_t *named = json_object_get(json, "properties"), *required = json_object_get(json, "required"),
                 *name;
    size_t i, n = json_object_size(named) + json_array_size(required);
    property *all = hone_calloc(n + 1, sizeof *all);
    *count = 0;
    if (!all) hone_schema_fail(c, HONE_OUT_OF_MEMORY, "out of memory");
    if ((named && !json_is_object(named)) || (required && !json_is_array(required)))
        hone_schema_fail(c, HONE_INVALID_ARGUMENT, "\"properties\" is an object and \"required\" a list");
    for (void *it = json_object_iter((json_t *)named); it && !c->failed;
         it = json_object_iter_next((json_t *)named, it))
        all[(*count)++] = (property){json_object_iter_key(it), json_object_iter_value(it), false, true};
    for (i = 0; i < json_array_size(required) && !c->failed; i++) {
        name = json_array_get(required, i);
        size_t k = 0;
        if (!json_is_string(name)) {
            hone_schema_fail(c, HONE_INVALID_ARGUMENT, "\"required\" is a list of names");
            break;
        }
        while (k < *count && strcmp(all[k].name, json_string_value(name)) != 0) k++;
        if (k == *count && json_is_false(more))
            hone_schema_fail(c, HONE_INVALID_ARGUMENT, "what is required is not allowed");
        if (k == *count)
            all[(*count)++] =
                (property){json_string_value(name), json_is_object(more) ? more : NULL, true, false};
        all[k].required = true;
    }
    return all;
}

static int32_t object_of(schema_compiler *c, int32_t from, const json_t *json) {
    const json_t *more = json_object_get(json, "additionalProperties");
    size_t count;
    bool named = json_object_get(json, "properties") || json_object_get(json, "required");
    /* with names, others come only where they are asked for */
    bool others = more ? !json_is_false(more) : !named;
    property *all = properties_of(c, json, more, &count);
    int32_t none = hone_schema_call(c, hone_schema_literal(c, from, "{"), c->space), some = -1,
            end = hone_schema_state(c);
    for (size_t i = 0; i < count && !c->failed && !c->g->failed; i++) {
        /* none: nothing was written yet; some: behind a value */
        const property *p = &all[i];
        int32_t begin = hone_schema_state(c), next_none = -1, next_some = hone_schema_state(c);
        if (none >= 0) hone_grammar_free_edge(c->g, none, begin);
        if (some >= 0)
            hone_grammar_free_edge(
                c->g,
                hone_schema_call(c, hone_schema_literal(c, hone_schema_call(c, some, c->space), ","),
                                 c->space),
                begin);
        hone_grammar_free_edge(c->g, pair(c, begin, p, p->named ? "properties" : "additionalProperties"),
                               next_some);
        if (!p->required && none >= 0) hone_grammar_free_edge(c->g, none, next_none = hone_schema_state(c));
        if (!p->required && some >= 0) hone_grammar_free_edge(c->g, some, next_some);
        none = next_none;
        some = next_some;
    }
    if (others && !c->failed) {
        int32_t begin = hone_schema_state(c), behind = hone_schema_state(c);
        if (none >= 0) hone_grammar_free_edge(c->g, none, begin);
        if (some >= 0) hone_grammar_free_edge(c->g, some, behind);
        hone_grammar_free_edge(c->g, other_pair(c, begin, all, count, more), behind);
        hone_grammar_free_edge(
            c->g,
            hone_schema_call(c, hone_schema_literal(c, hone_schema_call(c, behind, c->space), ","), c->space),
            begin);
        some = behind;
    }
    if (none >= 0) hone_grammar_free_edge(c->g, hone_schema_literal(c, none, "}"), end);
    if (some >= 0)
        hone_grammar_free_edge(c->g, hone_schema_literal(c, hone_schema_call(c, some, c->space), "}"), end);
    hone_free(all);
    return end;
}

/* --- types --- */

static int32_t typed(schema_compiler *c, int32_t from, const json_t *json, const char *type, bool alone) {
    static const char
        *const none[] = {"type", NULL},
               *const text[] = {"type", "minLength", "maxLength", NULL},
               *const whole[] = {"type", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", NULL},
               *const list[] = {"type", "items", "prefixItems", "minItems", "maxItems", NULL},
               *const object[] = {"type", "properties", "required", "additionalProperties", NULL};
    const bool is_text = strcmp(type, "string") == 0, is_whole = strcmp(type, "integer") == 0,
               is_list = strcmp(type, "array") == 0, is_object = strcmp(type, "object") == 0;
    /* with several types a keyword is of one of them */
    if (alone && !only(c, json,
                       is_text     ? text
                       : is_whole  ? whole
                       : is_list   ? list
                       : is_object ? object
                                   : none))
        return 0;
    if (is_text) return text_of(c, from, json);
    if (is_whole) return hone_schema_whole(c, from, json);
    if (is_list) return list_of(c, from, json);
    if (is_object) return object_of(c, from, json);
    if (strcmp(type, "number") == 0) {
        static const char *const limits[] = {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"};
        for (size_t i = 0; i < 4; i++)
            if (json_object_get(json, limits[i])) {
                hone_schema_enter(c, limits[i]);
                return hone_schema_unsupported(c, limits[i]);
            }
        return hone_schema_call(c, from, c->number);
    }
    if (strcmp(type, "null") == 0) return hone_schema_literal(c, from, "null");
    if (strcmp(type, "boolean") != 0)
        return hone_schema_fail(c, HONE_INVALID_ARGUMENT, "there is no such type");
    int32_t end = hone_schema_state(c);
    hone_grammar_free_edge(c->g, hone_schema_literal(c, from, "true"), end);
    hone_grammar_free_edge(c->g, hone_schema_literal(c, from, "false"), end);
    return end;
}

static int32_t several_types(schema_compiler *c, int32_t from, const json_t *json, const json_t *types) {
    static const char *const all[] = {"type",
                                      "minLength",
                                      "maxLength",
                                      "minimum",
                                      "maximum",
                                      "exclusiveMinimum",
                                      "exclusiveMaximum",
                                      "items",
                                      "prefixItems",
                                      "minItems",
                                      "maxItems",
                                      "properties",
                                      "required",
                                      "additionalProperties",
                                      NULL};
    int32_t end = hone_schema_state(c);
    const json_t *type;
    size_t i;
    if (!only(c, json, all)) return 0;
    if (json_array_size(types) == 0) return hone_schema_fail(c, HONE_INVALID_ARGUMENT, "no type is allowed");
    json_array_foreach(types, i, type) {
        int32_t start = hone_schema_state(c);
        hone_grammar_free_edge(c->g, from, start);
        if (!json_is_string(type)) return hone_schema_fail(c, HONE_INVALID_ARGUMENT, "a type is a name");
        hone_grammar_free_edge(c->g, typed(c, start, json, json_string_value(type), false), end);
    }
    return end;
}

/* Without a type: that of the keywords, for other types would be free. */
static const char *type_by_keywords(const json_t *json) {
    static const struct {
        const char *key, *type;
    } rows[] = {{"properties", "object"}, {"required", "object"},   {"additionalProperties", "object"},
                {"items", "array"},       {"prefixItems", "array"}, {"minItems", "array"},
                {"maxItems", "array"},    {"minLength", "string"},  {"maxLength", "string"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (json_object_get(json, rows[i].key)) return rows[i].type;
    return NULL;
}

/* --- references and choices --- */

static const json_t *resolve(const schema_compiler *c, const char *ref) {
    const json_t *at = c->root;
    if (*ref++ != '#') return NULL;
    while (at && *ref == '/') {
        char name[256];
        size_t n = 0;
        for (ref++; *ref && *ref != '/' && n + 1 < sizeof name; ref++) {
            name[n++] = *ref;
            if (*ref == '~' && (ref[1] == '0' || ref[1] == '1')) name[n - 1] = *++ref == '0' ? '~' : '/';
        }
        name[n] = 0;
        at = json_is_array(at) ? json_array_get(at, (size_t)strtoul(name, NULL, 10))
                               : json_object_get(at, name);
    }
    return *ref ? NULL : at;
}

/* A rule for the schema, made once; it may call itself. */
static int32_t rule_of(schema_compiler *c, const json_t *json) {
    for (size_t i = 0; i < c->rule_count; i++)
        if (c->rules[i].schema == json) return c->rules[i].start;
    if (c->rule_count == c->rule_capacity &&
        !hone_reserve(&c->rules, &c->rule_capacity, c->rule_count + 1, sizeof *c->rules))
        return hone_schema_fail(c, HONE_OUT_OF_MEMORY, "out of memory");
    int32_t start = hone_schema_state(c);
    c->rules[c->rule_count++] = (known_rule){json, start};
    hone_schema_ends(c, schema(c, start, json));
    return start;
}

static int32_t referred(schema_compiler *c, int32_t from, const json_t *json) {
    static const char *const names[] = {"$ref", NULL};
    const char *ref = json_string_value(json_object_get(json, "$ref"));
    const json_t *to = ref ? resolve(c, ref) : NULL;
    if (!only(c, json, names)) return 0;
    size_t before = hone_schema_enter(c, "$ref");
    if (!to) return hone_schema_fail(c, HONE_UNSUPPORTED, "it leads to nothing in this schema");
    for (int hops = 0; json_is_object(to) && json_object_get(to, "$ref"); hops++) {
        const char *next = json_string_value(json_object_get(to, "$ref"));
        if (hops == MAX_DEPTH || !next || !(to = resolve(c, next)))
            return hone_schema_fail(c, HONE_INVALID_ARGUMENT, "references go round, or to nothing");
    }
    int32_t at = hone_schema_call(c, from, rule_of(c, to));
    hone_schema_leave(c, before);
    return at;
}

static int32_t any_of(schema_compiler *c, int32_t from, const json_t *json, const char *key) {
    const char *const names[] = {key, "type", NULL};
    const json_t *list = json_object_get(json, key), *one, *type = json_object_get(json, "type");
    int32_t end = hone_schema_state(c);
    size_t i;
    if (!only(c, json, names)) return 0;
    size_t before = hone_schema_enter(c, key);
    if (!json_is_array(list) || json_array_size(list) == 0 || json_array_size(list) > MAX_ITEMS)
        return hone_schema_fail(c, HONE_INVALID_ARGUMENT, "a list of 1 to 1,000 schemas is needed");
    json_array_foreach(list, i, one) {
        int32_t start = hone_schema_state(c);
        size_t inside = hone_schema_enter_index(c, i);
        const json_t *its = json_object_get(one, "type");
        if (type && !(its && json_equal((json_t *)its, (json_t *)type)))
            return hone_schema_fail(
                c, HONE_UNSUPPORTED,
                "a type beside a choice is supported where all of the choice say the same one");
        hone_grammar_free_edge(c->g, from, start);
        hone_grammar_free_edge(c->g, schema(c, start, one), end);
        hone_schema_leave(c, inside);
        if (c->failed) return 0;
    }
    hone_schema_leave(c, before);
    return end;
}

/* Of two schemas no text is of both: their types differ, or a property that both require is another constant. */
static bool apart(const json_t *a, const json_t *b) {
    const json_t *x = json_object_get(a, "type"), *y = json_object_get(b, "type");
    if (json_is_string(x) && json_is_string(y) && !json_equal((json_t *)x, (json_t *)y)) {
        bool numbers =
            strcmp(json_string_value(x), "integer") == 0 || strcmp(json_string_value(y), "integer") == 0;
        numbers = numbers && (strcmp(json_string_value(x), "number") == 0 ||
                              strcmp(json_string_value(y), "number") == 0);
        return !numbers;
    }
    const json_t *p = json_object_get(a, "properties"), *q = json_object_get(b, "properties"), *name;
    size_t i;
    if (json_object_get(a, "const") && json_object_get(b, "const"))
        return !json_equal(json_object_get(a, "const"), json_object_get(b, "const"));
    json_array_foreach(json_object_get(a, "required"), i, name) {
        const char *key = json_string_value(name);
        const json_t *v = key ? json_object_get(json_object_get(p, key), "const") : NULL,
                     *w = key ? json_object_get(json_object_get(q, key), "const") : NULL, *other;
        size_t k;
        if (!v || !w || json_equal((json_t *)v, (json_t *)w)) continue;
        json_array_foreach(json_object_get(b, "required"), k,
                           other) if (json_equal((json_t *)other, (json_t *)name)) return true;
    }
    return false;
}

static int32_t one_of(schema_compiler *c, int32_t from, const json_t *json) {
    const json_t *list = json_object_get(json, "oneOf");
    for (size_t i = 0; i < json_array_size(list) && i < MAX_ITEMS; i++)
        for (size_t k = 0; k < i; k++)
            if (!apart(json_array_get(list, i), json_array_get(list, k))) {
                hone_schema_enter(c, "oneOf");
                return hone_schema_fail(
                    c, HONE_UNSUPPORTED,
                    "\"oneOf\" is supported where types, or constants that are required, tell its "
                    "schemas apart");
            }
    return any_of(c, from, json, "oneOf");
}

static int32_t all_of(schema_compiler *c, int32_t from, const json_t *json) {
    static const char *const names[] = {"allOf", NULL};
    const json_t *list = json_object_get(json, "allOf");
    if (!only(c, json, names)) return 0;
    size_t before = hone_schema_enter(c, "allOf");
    if (json_array_size(list) != 1)
        return hone_schema_fail(c, HONE_UNSUPPORTED, "\"allOf\" is supported with one schema");
    hone_schema_enter_index(c, 0);
    int32_t at = schema(c, from, json_array_get(list, 0));
    hone_schema_leave(c, before);
    return at;
}

static int32_t schema(schema_compiler *c, int32_t from, const json_t *json) {
    int32_t at = 0;
    if (c->failed || c->g->failed) return 0;
    if (++c->depth > MAX_DEPTH) return hone_schema_fail(c, HONE_UNSUPPORTED, "schemas are nested too deeply");
    const json_t *type = json_object_get(json, "type");
    if (json_is_true(json) || (json_is_object(json) && json_object_size(json) == 0))
        at = hone_schema_any_item(c, from);
    else if (!json_is_object(json))
        at = hone_schema_fail(c, json_is_false(json) ? HONE_UNSUPPORTED : HONE_INVALID_ARGUMENT,
                              json_is_false(json) ? "nothing is allowed" : "a schema is an object");
    else if (json_object_get(json, "$ref"))
        at = referred(c, from, json);
    else if (json_object_get(json, "enum") || json_object_get(json, "const"))
        at = listed(c, from, json);
    else if (json_object_get(json, "anyOf"))
        at = any_of(c, from, json, "anyOf");
    else if (json_object_get(json, "oneOf"))
        at = one_of(c, from, json);
    else if (json_object_get(json, "allOf"))
        at = all_of(c, from, json);
    else if (json_is_array(type))
        at = several_types(c, from, json, type);
    else if (json_is_string(type) || type_by_keywords(json))
        at = typed(c, from, json, type ? json_string_value(type) : type_by_keywords(json), true);
    else if (only(c, json, (const char *const[]){NULL}))
        at = hone_schema_any_item(c, from);
    c->depth--;
    return at;
}

static hone_status compile(schema_compiler *c, const json_t *root) {
    hone_schema_make_rules(c);
    c->root = root;
    c->g->start = rule_of(c, root);
    if (!c->failed && c->g->failed)
        hone_schema_fail(
            c, c->g->state_count >= HONE_GRAMMAR_MAX_STATES ? HONE_RESOURCE_EXHAUSTED : HONE_OUT_OF_MEMORY,
            "the schema takes too much memory");
    if (c->failed) return c->status;
    bool ends;
    HONE_TRY(hone_grammar_prune(c->g, &ends, c->err));
    if (!ends) hone_schema_fail(c, HONE_INVALID_ARGUMENT, "its texts would never end");
    return c->failed ? c->status : HONE_OK;
}

hone_status hone_grammar_from_schema(const char *json, size_t size, hone_grammar **out, hone_error *err) {
    json_error_t e;
    json_t *root = json_loadb(json, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &e);
    if (!root)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "JSON schema, line %d, column %d: %s", e.line, e.column,
                         e.text);
    schema_compiler c = {.g = hone_calloc(1, sizeof *c.g), .err = err};
    hone_status status = c.g ? compile(&c, root) : hone_fail_memory(err);
    json_decref(root);
    hone_free(c.rules);
    hone_bytes_free(&c.path);
    if (status == HONE_OK)
        *out = c.g;
    else
        hone_grammar_free(c.g);
    return status;
}
