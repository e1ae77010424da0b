#include "serve/openai/calls.h"

#include "base/memory.h"
#include "serve/openai/random_id.h"
#include "text/stops.h"

static const char *const opening[] = {[HONE_TOOLS_JSON] = NULL,
                                      [HONE_TOOLS_TAGGED] = "<tool_call>",
                                      [HONE_TOOLS_MISTRAL] = "[TOOL_CALLS]",
                                      [HONE_TOOLS_LLAMA] = "<|python_tag|>"};
static const char *const closing = "</tool_call>";

void hone_calls_open(hone_calls *c, const hone_language *l, const hone_ask *a) {
    /* Where the answer is held to a call, it is JSON and nothing else. */
    bool held = a->tool_choice == HONE_TOOLS_REQUIRED || a->tool_choice == HONE_TOOLS_NAMED;
    *c = (hone_calls){.ask = a, .form = held ? HONE_TOOLS_JSON : l->tool_form};
}

void hone_calls_close(hone_calls *c) {
    for (size_t i = 0; i < c->count; i++) {
        hone_free(c->items[i].name);
        hone_buffer_free(&c->items[i].arguments);
    }
    hone_free(c->items);
    hone_buffer_free(&c->held);
    *c = (hone_calls){0};
}

/* --- calls that are whole --- */

static hone_called *add(hone_calls *c, const char *name) {
    char *own = hone_strdup(name);
    if (!own || !hone_reserve(&c->items, &c->capacity, c->count + 1, sizeof *c->items)) {
        hone_free(own);
        c->failed = true;
        return NULL;
    }
    hone_called *called = &c->items[c->count++];
    *called = (hone_called){.name = own};
    hone_random_id("call_", called->id, sizeof called->id);
    c->enough = !c->ask->several_calls;
    return called;
}

static bool add_call(hone_calls *c, const char *name, const json_t *arguments) {
    char *text = json_is_string(arguments) ? NULL : json_dumps(arguments, JSON_COMPACT | JSON_ENCODE_ANY);
    const char *said = json_is_string(arguments) ? json_string_value(arguments) : text ? text : "{}";
    hone_called *called = c->enough ? NULL : add(c, name);
    if (called) hone_buffer_text(&called->arguments, said);
    free(text);
    return true;
}

/* {"name": …, "arguments": {…}}; Llama says "parameters". */
static bool take_object(hone_calls *c, const json_t *o) {
    const char *name = json_string_value(json_object_get(o, "name"));
    const json_t *arguments = json_object_get(o, "arguments");
    if (!arguments) arguments = json_object_get(o, "parameters");
    if (!name || (arguments && !json_is_object(arguments) && !json_is_string(arguments))) return false;
    /* In an answer without marks an object with a name may be just that. */
    bool marked = c->form == HONE_TOOLS_TAGGED || c->form == HONE_TOOLS_MISTRAL;
    return (marked || hone_ask_tool(c->ask, name)) && add_call(c, name, arguments);
}

static bool take_json(hone_calls *c, const json_t *v) {
    size_t i;
    json_t *o;
    if (json_is_object(v)) return take_object(c, v);
    if (json_array_size(v) == 0) return false;
    json_array_foreach(v, i, o) if (!take_object(c, o)) return false;
    return true;
}

/* Objects one behind the other, with white space and semicolons between them. */
static bool take_values(hone_calls *c, const char *text, size_t size) {
    bool any = false;
    for (size_t at = 0;;) {
        json_error_t end;
        while (at < size && strchr(" \t\r\n;,", text[at]) && text[at]) at++;
        if (at == size) return any;
        json_t *v = json_loadb(text + at, size - at, JSON_DISABLE_EOF_CHECK, &end);
        bool fine = v && take_json(c, v);
        json_decref(v);
        if (!fine) return any;
        any = true;
        at += (size_t)end.position;
    }
}

/* NAME[ARGS]{…} or NAME{…}, once or more often. */
static bool take_named(hone_calls *c, const char *text, size_t size) {
    static const char mark[] = "[ARGS]";
    const char *brace = memchr(text, '{', size);
    size_t n = brace ? (size_t)(brace - text) : 0;
    char name[256];
    json_error_t end;
    if (n >= sizeof mark - 1 && memcmp(brace - (sizeof mark - 1), mark, sizeof mark - 1) == 0)
        n -= sizeof mark - 1;
    while (n > 0 && (text[n - 1] == ' ' || text[n - 1] == '\n')) n--;
    if (n == 0 || n >= sizeof name) return false;
    memcpy(name, text, n);
    name[n] = 0;
    json_t *v = json_loadb(brace, size - (size_t)(brace - text), JSON_DISABLE_EOF_CHECK, &end);
    bool fine = json_is_object(v) && add_call(c, name, v);
    json_decref(v);
    return fine;
}

static bool take_mistral(hone_calls *c, const char *text, size_t size) {
    const char *first = text, *end = text + size;
    while (first < end && (*first == ' ' || *first == '\n')) first++;
    if (first < end && (*first == '[' || *first == '{')) return take_values(c, first, (size_t)(end - first));
    for (bool any = false;; any = true) { /* one mark for each */
        const char *next = memmem(first, (size_t)(end - first), opening[c->form], strlen(opening[c->form]));
        if (!take_named(c, first, (size_t)((next ? next : end) - first))) return any;
        if (!next) return true;
        first = next + strlen(opening[c->form]);
    }
}

/* --- as it is said --- */

static void give(hone_calls *c, size_t size, hone_buffer *text) {
    hone_buffer_put(text, c->held.data, size);
    hone_buffer_drop(&c->held, size);
}

static size_t space_before(const char *text, size_t size) {
    while (size > 0 && strchr(" \t\r\n", text[size - 1]) && text[size - 1]) size--;
    return size;
}

/* Text up to a mark. White space in front of a mark belongs to it, and so does what is behind a call. */
static bool find_opening(hone_calls *c, const char *mark, hone_buffer *text) {
    size_t at = hone_stops_find(&mark, 1, c->held.data, c->held.size);
    bool found = at != SIZE_MAX;
    size_t end = found ? at : c->held.size - hone_stops_begun(&mark, 1, c->held.data, c->held.size);
    give(c, c->held.size ? space_before(c->held.data, end) : 0, text);
    if (!found) return false;
    hone_buffer_drop(&c->held, hone_stops_find(&mark, 1, c->held.data, c->held.size) + strlen(mark));
    c->inside = true;
    return true;
}

/* What was no call is text after all. */
static void give_back(hone_calls *c, const char *mark, size_t size, hone_buffer *text) {
    hone_buffer_text(text, mark);
    give(c, size, text);
}

static void close_tagged(hone_calls *c, size_t at, hone_buffer *text) {
    size_t whole = at == SIZE_MAX ? c->held.size : at;
    c->inside = false;
    if (!take_values(c, c->held.data ? c->held.data : "", whole)) {
        give_back(c, opening[c->form], whole, text);
        return;
    }
    hone_buffer_drop(&c->held, at == SIZE_MAX ? whole : at + strlen(closing));
}

static void feed_tagged(hone_calls *c, hone_buffer *text) {
    for (;;) {
        if (!c->inside && !find_opening(c, opening[c->form], text)) return;
        size_t at = hone_stops_find(&closing, 1, c->held.data, c->held.size);
        if (at == SIZE_MAX) return;
        close_tagged(c, at, text);
    }
}

/* Without marks only an answer that begins as JSON may be a call. */
static void feed_json(hone_calls *c, hone_buffer *text) {
    size_t at = 0;
    const char *mark = opening[c->form];
    while (at < c->held.size && strchr(" \t\r\n", c->held.data[at]) && c->held.data[at]) at++;
    if (at == c->held.size) return;
    char first = c->held.data[at];
    if (first == '{' || first == '[') return;
    size_t n = mark ? strlen(mark) : 0, there = c->held.size - at;
    if (mark && memcmp(c->held.data + at, mark, there < n ? there : n) == 0) return;
    c->plain = true;
    give(c, c->held.size, text);
}

static void feed_named(hone_calls *c) {
    if (c->count == 0) add(c, c->ask->tool);
    if (c->count) hone_buffer_put(&c->items[0].arguments, c->held.data, c->held.size);
    c->held.size = 0;
}

void hone_calls_feed(hone_calls *c, const char *said, size_t size, hone_buffer *text) {
    hone_buffer_put(&c->held, said, size);
    if (size == 0) return;
    if (c->plain || c->ask->tool_choice == HONE_TOOLS_NONE)
        give(c, c->held.size, text);
    else if (c->ask->tool_choice == HONE_TOOLS_NAMED)
        feed_named(c);
    else if (c->form == HONE_TOOLS_TAGGED)
        feed_tagged(c, text);
    else if (c->form == HONE_TOOLS_MISTRAL)
        c->inside = c->inside || find_opening(c, opening[c->form], text);
    else
        feed_json(c, text);
    c->failed |= c->held.failed;
}

void hone_calls_finish(hone_calls *c, hone_buffer *text) {
    const char *mark = opening[c->form], *all = c->held.data ? c->held.data : "";
    size_t n = mark ? strlen(mark) : 0;
    if (c->ask->tool_choice == HONE_TOOLS_NONE || c->plain) {
        give(c, c->held.size, text);
    } else if (c->form == HONE_TOOLS_TAGGED) {
        if (c->inside) close_tagged(c, SIZE_MAX, text);
    } else if (c->form == HONE_TOOLS_MISTRAL) {
        if (c->inside && !take_mistral(c, all, c->held.size)) give_back(c, mark, c->held.size, text);
        if (c->inside) c->held.size = 0;
    } else if (c->held.size) {
        const char *begin = mark ? memmem(all, c->held.size, mark, n) : NULL;
        size_t skip = begin ? (size_t)(begin - all) + n : 0;
        if (take_values(c, all + skip, c->held.size - skip)) c->held.size = 0;
    }
    /* White space behind a call is none of the answer's. */
    give(c, c->count && c->held.size ? space_before(c->held.data, c->held.size) : c->held.size, text);
    c->held.size = 0;
    c->failed |= c->held.failed;
}

/* --- held to a call --- */

static bool is_among(const char *const *names, const char *name) {
    for (; *names; names++)
        if (strcmp(*names, name) == 0) return true;
    return false;
}

/* Places in a schema are from its root, which is further out now. */
static void move_references(json_t *v, const char *to) {
    static const char *const data[] = {"const", "enum", "default", "examples", NULL};
    static const char *const maps[] = {"properties", "$defs", "definitions", NULL};
    size_t i;
    const char *key, *name;
    json_t *inner, *named;
    void *next;
    const char *at = json_string_value(json_object_get(v, "$ref"));
    if (at && at[0] == '#') {
        hone_buffer b = {0};
        hone_buffer_printf(&b, "#%s%s", to, at + 1);
        if (!b.failed) json_object_set_new(v, "$ref", json_stringn(b.data, b.size));
        hone_buffer_free(&b);
    }
    json_object_foreach_safe(v, next, key, inner) {
        if (is_among(maps, key))
            json_object_foreach(inner, name, named) move_references(named, to);
        else if (!is_among(data, key))
            move_references(inner, to);
    }
    json_array_foreach(v, i, inner) move_references(inner, to);
}

static json_t *schema_of(const json_t *function, const char *place) {
    const json_t *parameters = json_object_get(function, "parameters");
    if (json_object_size(parameters) == 0)
        return json_pack("{s:s, s:b}", "type", "object", "additionalProperties", 0);
    json_t *copy = json_deep_copy(parameters);
    if (copy && *place) move_references(copy, place);
    return copy;
}

json_t *hone_calls_schema(const hone_ask *a) {
    size_t i;
    json_t *tool, *any = json_array();
    if (a->tool_choice == HONE_TOOLS_NAMED) {
        json_decref(any);
        return schema_of(hone_ask_tool(a, a->tool), "");
    }
    json_array_foreach(a->tools, i, tool) {
        const json_t *function = json_object_get(tool, "function");
        char place[64];
        snprintf(place, sizeof place, "/anyOf/%zu/properties/arguments", i);
        json_array_append_new(any, json_pack("{s:s, s:{s:{s:O}, s:o}, s:[s, s], s:b}", "type", "object",
                                             "properties", "name", "const", json_object_get(function, "name"),
                                             "arguments", schema_of(function, place), "required", "name",
                                             "arguments", "additionalProperties", 0));
    }
    return json_pack("{s:o}", "anyOf", any);
}
