/* Expressions of templates. */
#include "text/template_parser.h"

/* --- expressions --- */

static tpl_node *disjunction(tpl_parser *p);
static tpl_node *unary(tpl_parser *p, bool with_filters);

bool hone_tpl_add(tpl_parser *p, tpl_nodes *to, tpl_node *n, const char *keyword) {
    if (p->failed) return false;
    if (to->count == to->capacity) {
        size_t capacity = to->capacity ? 2 * to->capacity : 4;
        tpl_node **items = hone_arena_array(p->arena, capacity, sizeof *items);
        const char **keywords = hone_arena_array(p->arena, capacity, sizeof *keywords);
        if (!items || !keywords) {
            hone_tpl_no_memory(p);
            return false;
        }
        if (to->count) memcpy(items, to->items, to->count * sizeof *items);
        if (to->count) memcpy(keywords, to->keywords, to->count * sizeof *keywords);
        to->items = items;
        to->keywords = keywords;
        to->capacity = capacity;
    }
    to->items[to->count] = n;
    to->keywords[to->count++] = keyword;
    return true;
}

tpl_node *hone_tpl_with_args(tpl_node *n, const tpl_nodes *args) {
    if (!n) return NULL;
    n->args = args->items;
    n->keywords = args->keywords;
    n->arg_count = args->count;
    return n;
}

/* "(" was taken. */
tpl_nodes hone_tpl_arguments(tpl_parser *p) {
    tpl_nodes args = {NULL, NULL, 0, 0};
    while (!p->failed && !hone_tpl_sign(p, ")")) {
        const char *keyword = NULL;
        if (args.count && !hone_tpl_take_sign(p, ",")) {
            hone_tpl_bad(p, "a comma is needed before", p->now.text, p->now.size);
            break;
        }
        if (args.count && hone_tpl_sign(p, ")")) break;
        tpl_node *value = hone_tpl_expression(p);
        if (value && value->op == TPL_NAME && hone_tpl_sign(p, "=")) {
            hone_tpl_advance(p);
            keyword = value->name;
            value = hone_tpl_expression(p);
        } else if (args.count && args.keywords[args.count - 1]) {
            hone_tpl_bad_plain(p, "an argument without a name stands behind one with a name");
        }
        hone_tpl_add(p, &args, value, keyword);
    }
    hone_tpl_expect(p, ")");
    return args;
}

static tpl_node *constant(tpl_parser *p, tpl_value v) {
    tpl_node *n = hone_tpl_node(p, TPL_CONST);
    if (n) n->constant = v;
    return n;
}

tpl_node *hone_tpl_text_node(tpl_parser *p, tpl_op op, const char *text, size_t size) {
    tpl_node *n = hone_tpl_node(p, op);
    tpl_string *s = hone_arena_alloc(p->arena, sizeof *s);
    if (!n || !s) return hone_tpl_no_memory(p);
    *s = (tpl_string){text, size, NULL, false};
    n->constant = (tpl_value){.kind = TPL_STRING, .s = s};
    return n;
}

static bool ends_tuple(const tpl_parser *p, const char *extra) {
    return p->now.kind == TOKEN_END || hone_tpl_sign(p, ")") || hone_tpl_sign(p, "=") ||
           hone_tpl_sign(p, "]") || (extra && hone_tpl_word(p, extra));
}

/* a, b, … is a tuple; a alone is itself. */
tpl_node *hone_tpl_tuple(tpl_parser *p, bool with_choice, const char *extra, bool in_parentheses) {
    tpl_nodes items = {NULL, NULL, 0, 0};
    bool is_tuple = false;
    while (!p->failed) {
        if (items.count && !hone_tpl_take_sign(p, ",")) break;
        is_tuple = is_tuple || items.count > 0;
        if (ends_tuple(p, extra)) break;
        hone_tpl_add(p, &items, with_choice ? hone_tpl_expression(p) : disjunction(p), NULL);
    }
    if (p->failed) return NULL;
    if (!is_tuple && items.count == 1) return items.items[0];
    if (items.count == 0 && !in_parentheses)
        return hone_tpl_bad(p, "an expression is needed, not", p->now.text, p->now.size);
    return hone_tpl_with_args(hone_tpl_node(p, TPL_MAKE_TUPLE), &items);
}

static tpl_node *list(tpl_parser *p) {
    tpl_nodes items = {NULL, NULL, 0, 0};
    while (!p->failed && !hone_tpl_sign(p, "]")) {
        if (items.count) hone_tpl_expect(p, ",");
        if (hone_tpl_sign(p, "]")) break;
        hone_tpl_add(p, &items, hone_tpl_expression(p), NULL);
    }
    hone_tpl_expect(p, "]");
    return hone_tpl_with_args(hone_tpl_node(p, TPL_MAKE_LIST), &items);
}

static tpl_node *dict(tpl_parser *p) {
    tpl_nodes items = {NULL, NULL, 0, 0};
    while (!p->failed && !hone_tpl_sign(p, "}")) {
        if (items.count) hone_tpl_expect(p, ",");
        if (hone_tpl_sign(p, "}")) break;
        hone_tpl_add(p, &items, hone_tpl_expression(p), NULL);
        hone_tpl_expect(p, ":");
        hone_tpl_add(p, &items, hone_tpl_expression(p), NULL);
    }
    hone_tpl_expect(p, "}");
    return hone_tpl_with_args(hone_tpl_node(p, TPL_MAKE_DICT), &items);
}

static tpl_node *name_or_constant(tpl_parser *p) {
    static const struct {
        const char *name;
        tpl_value value;
    } rows[] = {{"true", {.kind = TPL_BOOL, .b = true}},
                {"True", {.kind = TPL_BOOL, .b = true}},
                {"false", {.kind = TPL_BOOL}},
                {"False", {.kind = TPL_BOOL}},
                {"none", {.kind = TPL_NONE}},
                {"None", {.kind = TPL_NONE}}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (hone_tpl_take_word(p, rows[i].name)) return constant(p, rows[i].value);
    tpl_node *n = hone_tpl_node(p, TPL_NAME);
    if (n) n->name = hone_tpl_take_name(p, &n->name_size);
    return n;
}

tpl_node *hone_tpl_primary(tpl_parser *p) {
    tpl_token t = p->now;
    if (p->failed) return NULL;
    if (t.kind == TOKEN_NAME) return name_or_constant(p);
    if (t.kind == TOKEN_INT || t.kind == TOKEN_FLOAT) {
        hone_tpl_advance(p);
        return constant(p, t.value);
    }
    if (t.kind == TOKEN_STRING) {
        hone_tpl_advance(p);
        if (p->now.kind != TOKEN_STRING) return hone_tpl_text_node(p, TPL_CONST, t.text, t.size);
        tpl_node *n = hone_tpl_node(p, TPL_BINARY), *rest = hone_tpl_primary(p); /* texts in a row are one */
        if (!n || !rest) return NULL;
        n->sign = '~';
        n->a = hone_tpl_text_node(p, TPL_CONST, t.text, t.size);
        n->b = rest;
        return n;
    }
    tpl_node *n;
    if (hone_tpl_take_sign(p, "(")) {
        n = hone_tpl_tuple(p, true, NULL, true);
        hone_tpl_expect(p, ")");
        return n;
    }
    if (hone_tpl_take_sign(p, "[")) return list(p);
    if (hone_tpl_take_sign(p, "{")) return dict(p);
    return hone_tpl_bad(p,
                        t.kind == TOKEN_END ? "an expression is cut off" : "an expression can't begin with",
                        t.text, t.size);
}

/* "[" was taken. */
static tpl_node *subscript(tpl_parser *p, tpl_node *of) {
    tpl_nodes parts = {NULL, NULL, 0, 0};
    bool slice = false;
    for (int i = 0; i < 3 && !p->failed; i++) {
        tpl_node *part = hone_tpl_sign(p, ":") || hone_tpl_sign(p, "]") ? NULL : hone_tpl_expression(p);
        hone_tpl_add(p, &parts, part, NULL);
        if (!hone_tpl_take_sign(p, ":")) break;
        slice = true;
    }
    tpl_node *n = hone_tpl_node(p, slice ? TPL_SLICE : TPL_ITEM);
    if (!n) return NULL;
    if (!slice && !p->failed && hone_tpl_sign(p, ",")) { /* a tuple of subscripts */
        while (hone_tpl_take_sign(p, ",") && !hone_tpl_sign(p, "]"))
            hone_tpl_add(p, &parts, hone_tpl_expression(p), NULL);
        n->b = hone_tpl_with_args(hone_tpl_node(p, TPL_MAKE_TUPLE), &parts);
    } else if (!slice) {
        n->b = parts.count ? parts.items[0] : NULL;
        if (!n->b) hone_tpl_bad_plain(p, "a subscript is empty");
    }
    hone_tpl_expect(p, "]");
    n->a = of;
    while (slice && !p->failed && parts.count < 3) hone_tpl_add(p, &parts, NULL, NULL);
    return slice ? hone_tpl_with_args(n, &parts) : n;
}

static tpl_node *call(tpl_parser *p, tpl_node *of) {
    tpl_nodes args = hone_tpl_arguments(p);
    tpl_node *n = hone_tpl_with_args(hone_tpl_node(p, TPL_CALL), &args);
    if (n) n->a = of;
    return n;
}

tpl_node *hone_tpl_postfix(tpl_parser *p, tpl_node *n) {
    while (n && !p->failed) {
        tpl_node *of = n;
        if (hone_tpl_take_sign(p, ".")) {
            n = hone_tpl_node(p, p->now.kind == TOKEN_INT ? TPL_ITEM : TPL_ATTRIBUTE);
            if (!n) return NULL;
            n->a = of;
            if (n->op == TPL_ITEM)
                n->b = hone_tpl_primary(p);
            else
                n->name = hone_tpl_take_name(p, &n->name_size);
        } else if (hone_tpl_take_sign(p, "[")) {
            n = subscript(p, of);
        } else if (hone_tpl_take_sign(p, "(")) {
            n = call(p, of);
        } else {
            break;
        }
    }
    return n;
}

/* name(args), behind "|" */
static tpl_node *filter(tpl_parser *p, tpl_node *of) {
    tpl_nodes args = {NULL, NULL, 0, 0};
    tpl_node *n = hone_tpl_node(p, TPL_FILTER);
    if (!n) return NULL;
    n->name = hone_tpl_take_name(p, &n->name_size);
    n->a = of;
    if (hone_tpl_take_sign(p, "(")) args = hone_tpl_arguments(p);
    return hone_tpl_with_args(n, &args);
}

static tpl_node *test(tpl_parser *p, tpl_node *of) {
    tpl_nodes args = {NULL, NULL, 0, 0};
    tpl_node *n = hone_tpl_node(p, TPL_TEST);
    if (!n) return NULL;
    n->flag = hone_tpl_take_word(p, "not");
    n->name = hone_tpl_take_name(p, &n->name_size);
    n->a = of;
    bool value = p->now.kind == TOKEN_NAME || p->now.kind == TOKEN_STRING || p->now.kind == TOKEN_INT ||
                 p->now.kind == TOKEN_FLOAT || hone_tpl_sign(p, "[") || hone_tpl_sign(p, "{");
    if (hone_tpl_take_sign(p, "("))
        args = hone_tpl_arguments(p);
    else if (hone_tpl_word(p, "is"))
        return hone_tpl_bad_plain(p, "tests can't be chained with is");
    else if (value && !hone_tpl_word(p, "else") && !hone_tpl_word(p, "or") && !hone_tpl_word(p, "and") &&
             !hone_tpl_word(p, "if"))
        hone_tpl_add(p, &args, hone_tpl_postfix(p, hone_tpl_primary(p)), NULL);
    return hone_tpl_with_args(n, &args);
}

tpl_node *hone_tpl_filters(tpl_parser *p, tpl_node *n) {
    if (!n && !p->failed) n = filter(p, NULL);
    while (n && !p->failed) {
        if (hone_tpl_take_sign(p, "|"))
            n = filter(p, n);
        else if (hone_tpl_take_word(p, "is"))
            n = test(p, n);
        else if (hone_tpl_take_sign(p, "("))
            n = call(p, n);
        else
            break;
    }
    return n;
}

static tpl_node *unary(tpl_parser *p, bool with_filters) {
    tpl_node *n;
    if (++p->depth > TPL_MAX_DEPTH) return hone_tpl_bad_plain(p, "expressions are nested too deeply");
    bool minus = hone_tpl_sign(p, "-"), plus = hone_tpl_sign(p, "+");
    if (minus || plus) {
        hone_tpl_advance(p);
        n = hone_tpl_node(p, minus ? TPL_NEGATIVE : TPL_POSITIVE);
        if (n) n->a = unary(p, false);
    } else {
        n = hone_tpl_primary(p);
    }
    n = hone_tpl_postfix(p, n);
    if (n && with_filters) n = hone_tpl_filters(p, n);
    p->depth--;
    return p->failed ? NULL : n;
}

typedef tpl_node *parse_fn(tpl_parser *p);

static tpl_node *unary_with_filters(tpl_parser *p) {
    return unary(p, true);
}

/* Left to right: operands by `inner`, with one of the signs between them; a sign and what it becomes. */
static tpl_node *left_to_right(tpl_parser *p, parse_fn *inner, const char *const (*signs)[2]) {
    tpl_node *n = inner(p);
    for (int i = 0; n && signs[i][0];) {
        if (!hone_tpl_take_sign(p, signs[i][0])) {
            i++;
            continue;
        }
        tpl_node *both = hone_tpl_node(p, TPL_BINARY);
        if (!both) return NULL;
        both->sign = signs[i][1][0];
        both->a = n;
        both->b = inner(p);
        n = both;
        i = 0;
    }
    return p->failed ? NULL : n;
}

static tpl_node *power(tpl_parser *p) {
    static const char *const signs[][2] = {{"**", "p"}, {NULL, NULL}};
    return left_to_right(p, unary_with_filters, signs);
}
static tpl_node *product(tpl_parser *p) {
    static const char *const signs[][2] = {{"*", "*"}, {"//", "f"}, {"/", "/"}, {"%", "%"}, {NULL, NULL}};
    return left_to_right(p, power, signs);
}
static tpl_node *joined(tpl_parser *p) {
    static const char *const signs[][2] = {{"~", "~"}, {NULL, NULL}};
    return left_to_right(p, product, signs);
}
static tpl_node *sum(tpl_parser *p) {
    static const char *const signs[][2] = {{"+", "+"}, {"-", "-"}, {NULL, NULL}};
    return left_to_right(p, joined, signs);
}

/* 0: none */
static char comparison_sign(tpl_parser *p) {
    static const char *const signs[][2] = {{"==", "="}, {"!=", "!"}, {"<=", "l"},
                                           {">=", "g"}, {"<", "<"},  {">", ">"}};
    for (size_t i = 0; i < sizeof signs / sizeof *signs; i++)
        if (hone_tpl_take_sign(p, signs[i][0])) return signs[i][1][0];
    if (hone_tpl_take_word(p, "in")) return 'i';
    if (hone_tpl_word(p, "not")) {
        tpl_parser before = *p;
        hone_tpl_advance(p);
        if (hone_tpl_take_word(p, "in")) return 'n';
        *p = before;
    }
    return 0;
}

static tpl_node *comparison(tpl_parser *p) {
    tpl_nodes operands = {NULL, NULL, 0, 0};
    char signs[64];
    size_t count = 0;
    hone_tpl_add(p, &operands, sum(p), NULL);
    for (char s; !p->failed && (s = comparison_sign(p));) {
        if (count + 1 == sizeof signs) return hone_tpl_bad_plain(p, "too many comparisons in a row");
        signs[count++] = s;
        hone_tpl_add(p, &operands, sum(p), NULL);
    }
    if (p->failed) return NULL;
    if (count == 0) return operands.items[0];
    tpl_node *n = hone_tpl_with_args(hone_tpl_node(p, TPL_COMPARE), &operands);
    if (n && !(n->signs = hone_arena_strndup(p->arena, signs, count))) return hone_tpl_no_memory(p);
    return n;
}

static tpl_node *negation(tpl_parser *p) {
    if (!hone_tpl_word(p, "not")) return comparison(p);
    if (++p->depth > TPL_MAX_DEPTH) return hone_tpl_bad_plain(p, "expressions are nested too deeply");
    hone_tpl_advance(p);
    tpl_node *n = hone_tpl_node(p, TPL_NOT);
    if (n) n->a = negation(p);
    p->depth--;
    return n;
}

static tpl_node *words(tpl_parser *p, parse_fn *inner, const char *between, tpl_op op) {
    tpl_node *n = inner(p);
    while (n && !p->failed && hone_tpl_take_word(p, between)) {
        tpl_node *both = hone_tpl_node(p, op);
        if (!both) return NULL;
        both->a = n;
        both->b = inner(p);
        n = both;
    }
    return p->failed ? NULL : n;
}
static tpl_node *conjunction(tpl_parser *p) {
    return words(p, negation, "and", TPL_AND);
}
static tpl_node *disjunction(tpl_parser *p) {
    return words(p, conjunction, "or", TPL_OR);
}

tpl_node *hone_tpl_expression(tpl_parser *p) {
    if (++p->depth > TPL_MAX_DEPTH) return hone_tpl_bad_plain(p, "expressions are nested too deeply");
    tpl_node *n = disjunction(p);
    while (n && !p->failed && hone_tpl_take_word(p, "if")) {
        tpl_node *choice = hone_tpl_node(p, TPL_CHOOSE);
        if (!choice) return NULL;
        choice->a = n;
        choice->b = disjunction(p);
        choice->c = !p->failed && hone_tpl_take_word(p, "else") ? hone_tpl_expression(p) : NULL;
        n = choice;
    }
    p->depth--;
    return p->failed ? NULL : n;
}
