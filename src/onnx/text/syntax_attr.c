/* Attributes: their type is stated, or told by the value. */
#include "onnx/text/syntax.h"

#include <string.h>

/* As AttributeProto.AttributeType has them; a list is 5 more, a list of types one more. */
enum { ANY = 0, FLOAT = 1, INT = 2, STRING = 3, TENSOR = 4, GRAPH = 5, LIST = 5, TYPE = 13, TYPES = 14 };

static const struct {
    const char *name;
    int type;
} types[] = {{"float", FLOAT},           {"int", INT},
             {"string", STRING},         {"tensor", TENSOR},
             {"graph", GRAPH},           {"floats", FLOAT + LIST},
             {"ints", INT + LIST},       {"strings", STRING + LIST},
             {"tensors", TENSOR + LIST}, {"graphs", GRAPH + LIST},
             {"type_proto", TYPE},       {"type_protos", TYPES}};

static int single(int type) {
    return type == TYPES ? TYPE : type > LIST && type <= GRAPH + LIST ? type - LIST : type;
}

/* The field of AttributeProto for one value. */
static unsigned field_of(int type, bool list) {
    static const unsigned one[] = {0, 2, 3, 4, 5, 6}, many[] = {0, 7, 8, 9, 10, 11};
    if (type == TYPE) return list ? 15 : 14;
    return list ? many[type] : one[type];
}

static hone_status put_tensor(hone_script *t, unsigned id) {
    hone_syntax_type type;
    char name[256] = "";
    HONE_TRY(hone_syntax_read_type(t, &type));
    t->size = 0;
    char c = hone_syntax_next(t);
    if (c == '"' || hone_script_is_letter(c)) HONE_TRY(hone_syntax_name(t));
    size_t size = t->size < sizeof name ? t->size : sizeof name; /* nobody reads it */
    if (size) memcpy(name, t->string, size);
    hone_syntax_take(t, '=');
    size_t start = hone_script_put_begin(&t->wire, id);
    HONE_TRY(hone_syntax_content(t, &type, name, size));
    hone_script_put_end(&t->wire, start);
    return HONE_OK;
}

static hone_status put_graph(hone_script *t, unsigned id) {
    HONE_TRY(hone_syntax_name(t));
    size_t start = hone_script_put_begin(&t->wire, id);
    HONE_TRY(hone_syntax_graph_behind_name(t));
    hone_script_put_end(&t->wire, start);
    return HONE_OK;
}

static hone_status put_number(hone_script *t, int type, bool list) {
    hone_span s = hone_script_number(t);
    double x;
    int64_t n;
    if (type == INT) {
        HONE_TRY(hone_span_int(t, s, 10, &n));
        hone_script_put_int(&t->wire, field_of(type, list), n);
    } else {
        HONE_TRY(hone_span_float(t, s, &x));
        hone_script_put_float(&t->wire, field_of(type, list), (float)x);
    }
    return HONE_OK;
}

/* What the next value is. */
static int kind_of(hone_script *t) {
    char c = hone_syntax_next(t);
    const char *start = t->at;
    if (c == '"') return STRING;
    if (hone_script_is_letter(c)) {
        hone_span word = hone_script_word(t);
        char behind = hone_syntax_next(t);
        t->at = start;
        if (hone_span_is(word, "inf") || hone_span_is(word, "nan")) return behind == '(' ? GRAPH : FLOAT;
        if (!hone_syntax_is_type(word)) return GRAPH;
        return behind == '(' ? TYPE : TENSOR;
    }
    hone_span s = hone_script_number(t);
    t->at = start;
    for (size_t i = 0; i < s.size; i++)
        if (s.at[i] == '.' || hone_script_is_letter(s.at[i])) return FLOAT;
    return INT;
}

static hone_status put_value(hone_script *t, int type, bool list) {
    unsigned id = field_of(type, list);
    hone_syntax_type value;
    hone_syntax_next(t);
    switch (type) {
    case STRING:
        HONE_TRY(hone_syntax_string(t));
        hone_script_put_bytes(&t->wire, id, t->string, t->size);
        return HONE_OK;
    case TENSOR: return put_tensor(t, id);
    case GRAPH: return put_graph(t, id);
    case TYPE:
        HONE_TRY(hone_syntax_read_type(t, &value));
        hone_syntax_put_type(t, id, &value);
        return HONE_OK;
    default: return put_number(t, type, list);
    }
}

/* Of numbers that nobody gave a type one with a point makes all of them floats. */
static int kind_of_list(hone_script *t) {
    int kind = kind_of(t);
    const char *start = t->at;
    while (kind == INT && t->at < t->end) {
        hone_script_number(t);
        if (!hone_syntax_take(t, ',')) break;
        kind = kind_of(t);
    }
    t->at = start;
    return kind;
}

static hone_status read_list(hone_script *t, int *type) {
    const char *start = t->at++;
    int kind = single(*type);
    bool empty = hone_syntax_take(t, ']');
    if (kind == ANY) kind = empty ? ANY : kind_of_list(t);
    if (kind == ANY) return hone_script_fail(t, start, "an empty list needs a type, as in name: ints = []");
    *type = kind == TYPE ? TYPES : kind + LIST;
    if (empty) return HONE_OK;
    do HONE_TRY(put_value(t, kind, true));
    while (hone_syntax_take(t, ','));
    return hone_syntax_expect(t, ']');
}

static hone_status read_type_name(hone_script *t, int *type) {
    hone_syntax_next(t);
    hone_span word = hone_script_word(t);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (hone_span_is(word, types[i].name)) {
            *type = types[i].type;
            return HONE_OK;
        }
    return hone_script_fail(t, word.at, "'%.*s' is no type of an attribute", (int)word.size, word.at);
}

/* Behind the name. */
static hone_status read_attribute(hone_script *t) {
    int type = ANY;
    if (hone_syntax_take(t, ':')) HONE_TRY(read_type_name(t, &type));
    HONE_TRY(hone_syntax_expect(t, '='));
    char c = hone_syntax_next(t);
    if (c == '@') {
        t->at++;
        HONE_TRY(hone_syntax_name(t));
        hone_script_put_bytes(&t->wire, 21, t->string, t->size);
    } else if (c == '[') {
        HONE_TRY(read_list(t, &type));
    } else {
        if (type == ANY) type = kind_of(t);
        if (type != single(type)) return hone_script_fail(t, t->at, "a list is due");
        HONE_TRY(put_value(t, type, false));
    }
    if (type != ANY) hone_script_put_int(&t->wire, 20, type);
    return HONE_OK;
}

hone_status hone_syntax_attributes(hone_script *t, unsigned id, unsigned names) {
    HONE_TRY(hone_syntax_expect(t, '<'));
    if (hone_syntax_take(t, '>')) return HONE_OK;
    do {
        HONE_TRY(hone_syntax_name(t));
        char c = hone_syntax_next(t);
        if (names && c != ':' && c != '=') {
            hone_script_put_bytes(&t->wire, names, t->string, t->size);
            continue;
        }
        size_t start = hone_script_put_begin(&t->wire, id);
        hone_script_put_bytes(&t->wire, 1, t->string, t->size);
        HONE_TRY(read_attribute(t));
        hone_script_put_end(&t->wire, start);
    } while (hone_syntax_take(t, ','));
    return hone_syntax_expect(t, '>');
}
