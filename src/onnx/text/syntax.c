/* The syntax of onnx.parser and onnx.printer (onnx/docs/Syntax.md):
 *
 *      model     < key: value, … > graph function*
 *      graph     name (type name, …) => (type name, …) <type name = {1, 2}, type name, …> { node* }
 *      node      [name] outputs = domain.Op:overload <attribute: type = value, …> (inputs)
 *      function  < key: value, … > name <attributes> (inputs) => (outputs) <type name, …> { node* }
 */
#include "onnx/text/syntax.h"

#include <string.h>

char hone_syntax_next(hone_script *t) {
    hone_script_skip(t, true);
    return t->at < t->end ? *t->at : 0;
}

bool hone_syntax_take(hone_script *t, char c) {
    if (hone_syntax_next(t) != c) return false;
    t->at++;
    return true;
}

hone_status hone_syntax_expect(hone_script *t, char c) {
    return hone_syntax_take(t, c) ? HONE_OK : hone_script_fail(t, t->at, "'%c' is due", c);
}

/* A string as onnx.printer writes it: a backslash stands before what is meant as it is. */
hone_status hone_syntax_string(hone_script *t) {
    HONE_TRY(hone_syntax_expect(t, '"'));
    const char *start = t->at - 1;
    t->size = 0;
    for (; t->at < t->end && *t->at != '"'; t->at++) {
        if (*t->at == '\\' && t->at + 1 < t->end) t->at++;
        HONE_TRY(hone_script_add(t, t->at, 1));
    }
    if (t->at == t->end) return hone_script_fail(t, start, "a string that does not end");
    t->at++;
    return hone_script_add(t, NULL, 0);
}

hone_status hone_syntax_name(hone_script *t) {
    if (hone_syntax_next(t) == '"') return hone_syntax_string(t);
    hone_span word = hone_script_word(t);
    if (!word.size) return hone_script_fail(t, t->at, "a name is due");
    t->size = 0;
    return hone_script_add(t, word.at, word.size);
}

static hone_status put_name(hone_script *t, unsigned id) {
    HONE_TRY(hone_syntax_name(t));
    hone_script_put_bytes(&t->wire, id, t->string, t->size);
    return HONE_OK;
}

static hone_status read_int(hone_script *t, int64_t *out) {
    hone_syntax_next(t);
    return hone_span_int(t, hone_script_number(t), 10, out);
}

/* --- keys and values before a model and a function --- */

/* "domain": version or "key": "value" as a message of two fields. */
static hone_status read_pair(hone_script *t, unsigned id, bool version) {
    int64_t number;
    size_t start = hone_script_put_begin(&t->wire, id);
    HONE_TRY(put_name(t, 1));
    HONE_TRY(hone_syntax_expect(t, ':'));
    if (version) {
        HONE_TRY(read_int(t, &number));
        hone_script_put_int(&t->wire, 2, number);
    } else {
        HONE_TRY(hone_syntax_string(t));
        hone_script_put_bytes(&t->wire, 2, t->string, t->size);
    }
    hone_script_put_end(&t->wire, start);
    return HONE_OK;
}

hone_status hone_syntax_pairs(hone_script *t, unsigned id, bool version) {
    HONE_TRY(hone_syntax_expect(t, '['));
    if (hone_syntax_take(t, ']')) return HONE_OK;
    do HONE_TRY(read_pair(t, id, version));
    while (hone_syntax_take(t, ','));
    return hone_syntax_expect(t, ']');
}

typedef struct key {
    const char *name;
    unsigned id;
    enum { INT, STRING, OPSETS, TEXTS } kind;
} key;

static const key model_keys[] = {
    {"ir_version", 1, INT},      {"producer_name", 2, STRING},  {"producer_version", 3, STRING},
    {"domain", 4, STRING},       {"model_version", 5, INT},     {"doc_string", 6, STRING},
    {"opset_import", 8, OPSETS}, {"metadata_props", 14, TEXTS}, {NULL, 0, INT}};
static const key function_keys[] = {{"doc_string", 8, STRING},     {"opset_import", 9, OPSETS},
                                    {"domain", 10, STRING},        {"overload", 13, STRING},
                                    {"metadata_props", 14, TEXTS}, {NULL, 0, INT}};

static hone_status read_key(hone_script *t, const key *keys) {
    int64_t number;
    hone_syntax_next(t);
    hone_span word = hone_script_word(t);
    while (keys->name && !hone_span_is(word, keys->name)) keys++;
    if (!keys->name)
        return hone_script_fail(t, word.at, "'%.*s' is none of the keys that belong here", (int)word.size,
                                word.at);
    HONE_TRY(hone_syntax_expect(t, ':'));
    switch (keys->kind) {
    case INT:
        HONE_TRY(read_int(t, &number));
        hone_script_put_int(&t->wire, keys->id, number);
        return HONE_OK;
    case STRING:
        HONE_TRY(hone_syntax_string(t));
        hone_script_put_bytes(&t->wire, keys->id, t->string, t->size);
        return HONE_OK;
    case OPSETS: return hone_syntax_pairs(t, keys->id, true);
    case TEXTS: break;
    }
    return hone_syntax_pairs(t, keys->id, false);
}

static hone_status read_keys(hone_script *t, const key *keys) {
    HONE_TRY(hone_syntax_expect(t, '<'));
    if (hone_syntax_take(t, '>')) return HONE_OK;
    do HONE_TRY(read_key(t, keys));
    while (hone_syntax_take(t, ','));
    return hone_syntax_expect(t, '>');
}

/* --- nodes --- */

/* Names as far as they go, parted by commas. */
static hone_status put_names(hone_script *t, unsigned id) {
    char c = hone_syntax_next(t);
    if (c != '"' && !hone_script_is_letter(c)) return HONE_OK;
    do HONE_TRY(put_name(t, id));
    while (hone_syntax_take(t, ','));
    return HONE_OK;
}

/* domain.Op:overload; the domain may have points of its own. */
static hone_status read_operator(hone_script *t) {
    hone_syntax_next(t);
    const char *start = t->at, *point = NULL;
    hone_span word;
    for (;;) {
        word = hone_script_word(t);
        if (!word.size) return hone_script_fail(t, t->at, "the name of an operator is due");
        if (t->at == t->end || *t->at != '.') break;
        point = t->at++;
    }
    if (point) hone_script_put_bytes(&t->wire, 7, start, (size_t)(point - start));
    hone_script_put_bytes(&t->wire, 4, word.at, word.size);
    return hone_syntax_take(t, ':') ? put_name(t, 8) : HONE_OK;
}

static hone_status read_node(hone_script *t) {
    if (hone_syntax_take(t, '[')) {
        HONE_TRY(put_name(t, 3));
        HONE_TRY(hone_syntax_expect(t, ']'));
    }
    HONE_TRY(put_names(t, 2));
    HONE_TRY(hone_syntax_expect(t, '='));
    HONE_TRY(read_operator(t));
    if (hone_syntax_next(t) == '<') HONE_TRY(hone_syntax_attributes(t, 5, 0));
    HONE_TRY(hone_syntax_expect(t, '('));
    HONE_TRY(put_names(t, 1));
    HONE_TRY(hone_syntax_expect(t, ')'));
    return hone_syntax_next(t) == '<' ? hone_syntax_attributes(t, 5, 0) : HONE_OK;
}

static hone_status read_nodes(hone_script *t, unsigned id) {
    HONE_TRY(hone_syntax_expect(t, '{'));
    while (!hone_syntax_take(t, '}')) {
        size_t start = hone_script_put_begin(&t->wire, id);
        HONE_TRY(read_node(t));
        hone_script_put_end(&t->wire, start);
    }
    return HONE_OK;
}

/* --- graphs --- */

enum { NODE = 1, NAME = 2, INITIALIZER = 5, INPUT = 11, OUTPUT = 12, VALUE_INFO = 13 };

/* "type name" is a value; "type name = {…}" an initializer, too. `value`: its field, 0: none where it has content. */
static hone_status read_value(hone_script *t, unsigned value, unsigned content_alone) {
    hone_syntax_type type;
    HONE_TRY(hone_syntax_read_type(t, &type));
    HONE_TRY(hone_syntax_name(t));
    bool content = value != OUTPUT && content_alone && hone_syntax_next(t) == '=';
    hone_blob name = {(uint8_t *)hone_alloc(t->size + 1), t->size};
    if (!name.data) return hone_fail_memory(t->err);
    memcpy(name.data, t->string, t->size);
    if (!content || value == INPUT) {
        size_t start = hone_script_put_begin(&t->wire, value);
        hone_script_put_bytes(&t->wire, 1, name.data, name.size);
        hone_syntax_put_type(t, 2, &type);
        hone_script_put_end(&t->wire, start);
    }
    hone_status status = HONE_OK;
    if (content) {
        t->at++;
        size_t start = hone_script_put_begin(&t->wire, INITIALIZER);
        status = hone_syntax_content(t, &type, name.data, name.size);
        hone_script_put_end(&t->wire, start);
    }
    hone_blob_free(&name);
    return status;
}

static hone_status read_values(hone_script *t, char open, char close, unsigned value, bool contents) {
    HONE_TRY(hone_syntax_expect(t, open));
    if (hone_syntax_take(t, close)) return HONE_OK;
    do HONE_TRY(read_value(t, value, contents));
    while (hone_syntax_take(t, ','));
    return hone_syntax_expect(t, close);
}

static hone_status read_arrow(hone_script *t) {
    HONE_TRY(hone_syntax_expect(t, '='));
    if (t->at == t->end || *t->at != '>') return hone_script_fail(t, t->at - 1, "'=>' is due");
    t->at++;
    return HONE_OK;
}

hone_status hone_syntax_graph_behind_name(hone_script *t) {
    HONE_TRY(hone_script_enter(t));
    hone_script_put_bytes(&t->wire, NAME, t->string, t->size);
    HONE_TRY(read_values(t, '(', ')', INPUT, true));
    HONE_TRY(read_arrow(t));
    HONE_TRY(read_values(t, '(', ')', OUTPUT, false));
    if (hone_syntax_next(t) == '<') HONE_TRY(read_values(t, '<', '>', VALUE_INFO, true));
    HONE_TRY(read_nodes(t, NODE));
    hone_script_leave(t);
    return HONE_OK;
}

/* --- functions --- */

/* A name, or a type and a name: which is told by what follows the first word. */
static hone_status read_parameter(hone_script *t, unsigned id) {
    if (hone_syntax_next(t) != '"') {
        const char *start = t->at;
        hone_script_word(t);
        char c = hone_syntax_next(t);
        t->at = start;
        hone_syntax_type type;
        if (c != ',' && c != ')') HONE_TRY(hone_syntax_read_type(t, &type));
    }
    return put_name(t, id);
}

static hone_status read_parameters(hone_script *t, unsigned id) {
    HONE_TRY(hone_syntax_expect(t, '('));
    if (hone_syntax_take(t, ')')) return HONE_OK;
    do HONE_TRY(read_parameter(t, id));
    while (hone_syntax_take(t, ','));
    return hone_syntax_expect(t, ')');
}

static hone_status read_function(hone_script *t) {
    HONE_TRY(read_keys(t, function_keys));
    HONE_TRY(put_name(t, 1));
    if (hone_syntax_next(t) == '<') HONE_TRY(hone_syntax_attributes(t, 11, 6));
    HONE_TRY(read_parameters(t, 4));
    HONE_TRY(read_arrow(t));
    HONE_TRY(read_parameters(t, 5));
    if (hone_syntax_next(t) == '<') HONE_TRY(read_values(t, '<', '>', 12, false));
    return read_nodes(t, 7);
}

hone_status hone_script_onnx(hone_script *t) {
    HONE_TRY(read_keys(t, model_keys));
    size_t start = hone_script_put_begin(&t->wire, 7);
    HONE_TRY(hone_syntax_name(t));
    HONE_TRY(hone_syntax_graph_behind_name(t));
    hone_script_put_end(&t->wire, start);
    while (hone_syntax_next(t)) {
        start = hone_script_put_begin(&t->wire, 25);
        HONE_TRY(read_function(t));
        hone_script_put_end(&t->wire, start);
    }
    return t->at == t->end ? HONE_OK : hone_script_fail(t, t->at, "a zero byte");
}
