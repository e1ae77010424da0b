#include "graph/pattern_inside.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define MAX_ATTRS 16

typedef struct parser {
    hone_arena *arena;
    hone_patterns *all;
    hone_pattern *pattern;
    bool replacing;
    int calls;
    const char *text, *at;
    hone_status status; /* the first thing that is wrong */
    hone_error *err;
} parser;

/* --- tokens --- */

static void *fail(parser *p, const char *what) {
    if (p->status == HONE_OK)
        p->status = hone_fail(p->err, HONE_INTERNAL, "pattern \"%s\", column %d: %s", p->text,
                              (int)(p->at - p->text) + 1, what);
    return NULL;
}

static void *allocate(parser *p, size_t count, size_t size) {
    void *block = p->status == HONE_OK ? hone_arena_array(p->arena, count + 1, size) : NULL;
    if (!block && p->status == HONE_OK) p->status = hone_fail_memory(p->err);
    return block;
}

static void skip_blanks(parser *p) {
    while (isspace((unsigned char)*p->at)) p->at++;
}

static bool take(parser *p, const char *token) {
    size_t length = strlen(token);
    skip_blanks(p);
    if (strncmp(p->at, token, length) != 0) return false;
    p->at += length;
    return true;
}

static bool expect(parser *p, const char *token, const char *what) {
    if (take(p, token)) return true;
    fail(p, what);
    return false;
}

static size_t word_length(const char *at) {
    size_t n = 0;
    if (!isalpha((unsigned char)*at) && *at != '_') return 0;
    while (isalnum((unsigned char)at[n]) || at[n] == '_' || at[n] == '.') n++;
    return n;
}

static bool take_word(parser *p, const char *word) {
    skip_blanks(p);
    if (word_length(p->at) != strlen(word)) return false;
    return take(p, word);
}

static char *word(parser *p, const char *what) {
    skip_blanks(p);
    size_t n = word_length(p->at);
    if (!n) return fail(p, what);
    char *copy = allocate(p, n, 1);
    if (copy) memcpy(copy, p->at, n);
    p->at += n;
    return copy;
}

static bool number_ahead(parser *p) {
    skip_blanks(p);
    return isdigit((unsigned char)*p->at) || (*p->at == '-' && isdigit((unsigned char)p->at[1]));
}

static double number(parser *p) {
    char *end;
    double x = strtod(p->at, &end);
    p->at = end;
    return x;
}

/* "[1, -2]", the bracket being taken. */
static int64_t *ints(parser *p, int *count) {
    int64_t *list = allocate(p, HONE_MAX_RANK, sizeof *list);
    for (*count = 0; list && !take(p, "]");) {
        if (*count == HONE_MAX_RANK) return fail(p, "the list is too long");
        if (*count && !expect(p, ",", "a comma is missing")) return NULL;
        if (!number_ahead(p)) return fail(p, "an integer is missing");
        list[(*count)++] = (int64_t)number(p);
    }
    return list;
}

/* --- names --- */

static int name_index(parser *p, const char *text) {
    hone_patterns *all = p->all;
    for (int i = 0; i < all->name_count; i++)
        if (strcmp(all->names[i], text) == 0) return i;
    if (all->name_count == HONE_MATCH_NAMES) {
        fail(p, "too many names");
        return 0;
    }
    all->names[all->name_count] = text;
    return all->name_count++;
}

/* --- terms --- */

static hone_term *either(parser *p);

static hone_term *new_term(parser *p, hone_term_kind kind) {
    hone_term *t = allocate(p, 1, sizeof *t);
    if (t) t->kind = kind;
    return t;
}

static void attribute_value(parser *p, hone_term_attr *a) {
    hone_attr_type type = a->def->type;
    bool is_number = type == HONE_ATTR_INT || type == HONE_ATTR_FLOAT;
    a->name = -1;
    skip_blanks(p);
    if (is_number && number_ahead(p)) {
        a->number = number(p);
    } else if (type == HONE_ATTR_INTS && take(p, "[")) {
        a->ints = ints(p, &a->count);
    } else if (type == HONE_ATTR_STRING && *p->at == '\'') {
        size_t n = strcspn(p->at + 1, "'");
        char *copy = allocate(p, n, 1);
        if (copy) memcpy(copy, p->at + 1, n);
        a->text = copy;
        p->at += n + 1;
        expect(p, "'", "a quote is missing");
    } else if (is_number && p->replacing && word_length(p->at)) {
        const char *name = word(p, "a name is missing");
        if (!name) return;
        a->name = name_index(p, name);
        p->all->scalars |= 1u << a->name;
    } else {
        fail(p, "the value does not fit the attribute");
    }
}

static void attributes(parser *p, hone_term *t) {
    t->attrs = allocate(p, MAX_ATTRS, sizeof *t->attrs);
    while (p->status == HONE_OK) {
        if (take(p, "...")) {
            t->any_attrs = true;
            if (p->replacing) fail(p, "a node that is made has no other attributes");
            return;
        }
        const char *name = word(p, "an attribute is missing");
        if (!name) return;
        if (t->attr_count == MAX_ATTRS) {
            fail(p, "too many attributes");
            return;
        }
        hone_term_attr *a = &t->attrs[t->attr_count++];
        a->def = t->op ? hone_attr_find(t->op->attrs, name) : NULL;
        if (!a->def) fail(p, "the operator has no such attribute");
        if (p->status != HONE_OK || !expect(p, "=", "the attribute lacks a value")) return;
        attribute_value(p, a);
        if (!take(p, ",")) return;
    }
}

/* What stands in parentheses behind an operator or a class. */
static hone_term *arguments(parser *p, hone_term *t) {
    t->args = allocate(p, HONE_MATCH_INPUTS, sizeof(hone_term *));
    if (++p->calls > HONE_MATCH_NODES) return fail(p, "too many operators");
    skip_blanks(p);
    while (p->status == HONE_OK && *p->at != ')' && *p->at != ';') {
        if (t->arg_count == HONE_MATCH_INPUTS) return fail(p, "too many inputs");
        t->args[t->arg_count++] = either(p);
        if (!take(p, ",")) break;
        skip_blanks(p);
    }
    if (p->status == HONE_OK && take(p, ";")) attributes(p, t);
    if (p->status == HONE_OK && t->class && t->arg_count != 1)
        return fail(p, "a class of operators is matched by one input");
    return p->status == HONE_OK && expect(p, ")", "a parenthesis is missing") ? t : NULL;
}

/* "Add", "hone.IntegerGemm", "com.microsoft.Gelu": the domain is all before the last point. */
static const hone_op *find_operator(char *name) {
    char *point = strrchr(name, '.');
    if (!point) return hone_op_find("", name);
    *point = 0;
    const hone_op *op = hone_op_find(name, point + 1);
    *point = '.';
    return op;
}

static hone_term *call(parser *p, bool shared) {
    hone_term *t = new_term(p, HONE_TERM_CALL);
    if (!t) return NULL;
    t->shared = shared;
    if (take(p, "<")) {
        t->class = take_word(p, "view")   ? HONE_CLASS_VIEW
                   : take_word(p, "move") ? HONE_CLASS_MOVE
                                          : HONE_CLASS_NONE;
        if (!t->class) return fail(p, "there is no such class of operators");
        if (p->replacing) return fail(p, "a class is no operator to make a node of");
        if (!expect(p, ">(", "a parenthesis is missing")) return NULL;
        return arguments(p, t);
    }
    char *name = word(p, "an operator is missing");
    if (!name) return NULL;
    t->op = find_operator(name);
    if (!t->op) return fail(p, "there is no such operator");
    return expect(p, "(", "a parenthesis is missing") ? arguments(p, t) : NULL;
}

static bool call_ahead(parser *p) {
    skip_blanks(p);
    size_t n = word_length(p->at);
    return *p->at == '<' || (n && p->at[n] == '(');
}

static hone_term *single(parser *p) {
    if (take(p, "(")) {
        hone_term *t = either(p);
        return p->status == HONE_OK && expect(p, ")", "a parenthesis is missing") ? t : NULL;
    }
    if (take(p, "~")) return call(p, true);
    if (call_ahead(p)) return call(p, false);
    if (number_ahead(p)) {
        hone_term *t = new_term(p, HONE_TERM_NUMBER);
        if (t) t->number = number(p);
        return t;
    }
    if (take(p, "[")) {
        hone_term *t = new_term(p, HONE_TERM_INTS);
        if (t) t->ints = ints(p, &t->count);
        return t;
    }
    hone_term *t = new_term(p, HONE_TERM_NAME);
    if (!t) return NULL;
    t->constant = take_word(p, "const");
    const char *name = word(p, "a term is missing");
    if (!name) return NULL;
    t->name = name_index(p, name);
    t->optional = take(p, "?");
    return t;
}

static hone_term *either(parser *p) {
    hone_term *t = single(p);
    if (p->status != HONE_OK || !take(p, "|")) return t;
    if (p->replacing) return fail(p, "what is made has no alternatives");
    hone_term *both = new_term(p, HONE_TERM_EITHER);
    if (!both) return NULL;
    both->choice = p->pattern->choices++;
    if (both->choice == 31) return fail(p, "too many alternatives");
    both->first = t;
    both->second = either(p);
    return both;
}

static void definitions(parser *p) {
    do {
        const char *name = word(p, "a name is missing");
        if (!name || !expect(p, "=", "the name lacks a term")) return;
        int i = name_index(p, name);
        if (p->status == HONE_OK && p->pattern->definition[i]) fail(p, "the name is defined already");
        hone_term *t = p->status == HONE_OK ? either(p) : NULL;
        p->pattern->definition[i] = t;
    } while (p->status == HONE_OK && take(p, ","));
}

/* --- what must hold of a pattern as a whole --- */

#define DEEPEST 64

/* Adds the names that have a value whichever alternatives are taken. False: a name is defined by itself. */
static bool always_bound(const hone_pattern *p, const hone_term *t, int depth, uint32_t *names) {
    if (depth > DEEPEST) return false;
    switch (t->kind) {
    case HONE_TERM_NAME: {
        const hone_term *d = p->definition[t->name];
        *names |= t->optional ? 0 : 1u << t->name;
        return !d || always_bound(p, d, depth + 1, names);
    }
    case HONE_TERM_CALL:
        for (int i = 0; i < t->arg_count; i++)
            if (!always_bound(p, t->args[i], depth + 1, names)) return false;
        for (int i = 0; i < t->attr_count; i++)
            if (t->attrs[i].name >= 0) *names |= 1u << t->attrs[i].name;
        return true;
    case HONE_TERM_EITHER: {
        uint32_t a = 0, b = 0;
        if (!always_bound(p, t->first, depth + 1, &a) || !always_bound(p, t->second, depth + 1, &b))
            return false;
        *names |= a & b;
        return true;
    }
    case HONE_TERM_NUMBER:
    case HONE_TERM_INTS: break;
    }
    return true;
}

/* Is the last node a call, whichever alternatives are taken? */
static bool ends_in_call(const hone_pattern *p, const hone_term *t) {
    switch (t->kind) {
    case HONE_TERM_NAME: return p->definition[t->name] && ends_in_call(p, p->definition[t->name]);
    case HONE_TERM_EITHER: return ends_in_call(p, t->first) && ends_in_call(p, t->second);
    case HONE_TERM_CALL: return true;
    case HONE_TERM_NUMBER:
    case HONE_TERM_INTS: break;
    }
    return false;
}

static void check_whole(parser *p, uint32_t *bound) {
    hone_pattern *q = p->pattern;
    if (!always_bound(q, q->term, 0, bound))
        fail(p, "a name is defined by itself");
    else if (!p->replacing && !ends_in_call(q, q->term))
        fail(p, "its last node is of no operator");
}

static void parse_one(parser *p, const char *text, hone_pattern *pattern, uint32_t *bound) {
    p->text = p->at = text;
    p->pattern = pattern;
    p->calls = 0;
    pattern->term = either(p);
    if (p->status == HONE_OK && take_word(p, "where")) definitions(p);
    skip_blanks(p);
    if (p->status == HONE_OK && *p->at) fail(p, "the pattern should end here");
    if (p->status == HONE_OK) check_whole(p, bound);
}

hone_status hone_patterns_parse(hone_arena *arena, const char *const *forms, int form_count,
                                const char *replace, hone_patterns **out, hone_error *err) {
    parser p = {.arena = arena, .err = err};
    uint32_t everywhere = ~0u;
    hone_patterns *all = p.all = allocate(&p, 1, sizeof *all);
    hone_pattern *patterns = allocate(&p, (size_t)form_count + 1, sizeof *patterns);
    for (int i = 0; i < form_count && p.status == HONE_OK; i++) {
        uint32_t bound = 0;
        parse_one(&p, forms[i], &patterns[i], &bound);
        everywhere &= bound;
    }
    if (replace && p.status == HONE_OK) {
        uint32_t needed = 0;
        p.replacing = true;
        all->replace = &patterns[form_count];
        parse_one(&p, replace, all->replace, &needed);
        for (int i = 0; i < all->name_count && p.status == HONE_OK; i++)
            if ((needed & ~everywhere & (1u << i)) && !all->replace->definition[i])
                p.status = hone_fail(err, HONE_INTERNAL, "pattern \"%s\": %s is not known in every form",
                                     replace, all->names[i]);
    }
    if (p.status != HONE_OK) return p.status;
    all->forms = patterns;
    all->form_count = form_count;
    *out = all;
    return HONE_OK;
}
