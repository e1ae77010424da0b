/* Expressions of templates, as Python and Jinja's sandbox compute them. */
#include "text/template.h"

#include "base/unicode.h"

#include <math.h>

static tpl_value undefined(const char *name) {
    return (tpl_value){.kind = TPL_UNDEFINED, .name = name};
}

static bool is_undefined(tpl_run *r, const tpl_value *v) {
    if (v->kind == TPL_UNDEFINED) hone_tpl_fail(r, "'%.80s' is undefined", v->name ? v->name : "a value");
    return v->kind == TPL_UNDEFINED;
}

/* --- parts --- */

static tpl_value loop_attribute(tpl_run *r, tpl_loop *l, const char *name) {
    const int64_t at = (int64_t)l->index, count = (int64_t)l->items->count;
    const struct {
        const char *name;
        int64_t value;
    } numbers[] = {{"index0", at},           {"index", at + 1}, {"revindex0", count - at - 1},
                   {"revindex", count - at}, {"length", count}, {"depth0", l->depth},
                   {"depth", l->depth + 1}};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (strcmp(numbers[i].name, name) == 0) return hone_tpl_int(numbers[i].value);
    if (strcmp(name, "first") == 0) return hone_tpl_bool(at == 0);
    if (strcmp(name, "last") == 0) return hone_tpl_bool(at + 1 == count);
    if (strcmp(name, "previtem") == 0)
        return at ? l->items->items[at - 1] : undefined("there is no previous item");
    if (strcmp(name, "nextitem") == 0)
        return at + 1 < count ? l->items->items[at + 1] : undefined("there is no next item");
    tpl_value self = {.kind = TPL_LOOP, .loop = l};
    return hone_tpl_method_of(r, self, name, strlen(name));
}

tpl_value hone_tpl_attribute(tpl_run *r, tpl_value v, const char *name, size_t size) {
    const tpl_value *found = NULL;
    if (is_undefined(r, &v)) return v;
    if (size && name[0] == '_') return undefined(name); /* what the sandbox hides */
    if (v.kind == TPL_LOOP) return loop_attribute(r, v.loop, name);
    if (v.kind == TPL_NAMESPACE) {
        found = hone_tpl_get_name(v.dict, name, size);
        return found ? *found : undefined(name);
    }
    tpl_value method = hone_tpl_method_of(r, v, name, size);
    if (method.kind != TPL_UNDEFINED) return method;
    if (v.kind == TPL_DICT) found = hone_tpl_get_name(v.dict, name, size);
    return found ? *found : undefined(name);
}

static size_t character_at(const tpl_string *s, size_t n) {
    size_t at = 0;
    for (; at < s->size; at++)
        if ((s->data[at] & 0xC0) != 0x80 && n-- == 0) break;
    return at;
}

static tpl_value character(tpl_run *r, const tpl_string *s, size_t n) {
    size_t at = character_at(s, n), end = at + 1;
    while (end < s->size && (s->data[end] & 0xC0) == 0x80) end++;
    hone_tpl_step(r, s->size / 64);
    return hone_tpl_part(r, s, at, end - at);
}

tpl_value hone_tpl_item(tpl_run *r, tpl_value v, tpl_value key) {
    if (is_undefined(r, &v)) return v;
    const tpl_value *found = NULL;
    if (v.kind == TPL_DICT || v.kind == TPL_NAMESPACE) {
        if (key.kind == TPL_LIST || key.kind == TPL_DICT) return undefined("an item");
        found = hone_tpl_get(r, v.dict, key);
        if (found) return *found;
    }
    bool indexed = (v.kind == TPL_LIST && v.list->shape != TPL_IS_GENERATOR) || v.kind == TPL_STRING;
    if (indexed && (key.kind == TPL_INT || key.kind == TPL_BOOL)) {
        int64_t count = (int64_t)(v.kind == TPL_LIST ? v.list->count : hone_tpl_characters(v.s)),
                at = key.kind == TPL_INT ? key.i : key.b;
        if (at < 0) at += count;
        if (at < 0 || at >= count) return undefined("an item");
        return v.kind == TPL_LIST ? v.list->items[at] : character(r, v.s, (size_t)at);
    }
    if (key.kind != TPL_STRING) return undefined("an item");
    const char *name = hone_arena_strndup(r->arena, key.s->data, key.s->size);
    if (!name) return hone_tpl_fail_as(r, HONE_OUT_OF_MEMORY, "out of memory");
    return v.kind == TPL_DICT ? hone_tpl_method_of(r, v, name, key.s->size).kind == TPL_UNDEFINED
                                    ? undefined(name)
                                    : hone_tpl_method_of(r, v, name, key.s->size)
                              : hone_tpl_attribute(r, v, name, key.s->size);
}

/* A bound of a slice: within the list, or next to its ends. */
static bool bound(tpl_run *r, const tpl_value *v, int64_t count, int64_t usual, int64_t low, int64_t high,
                  int64_t *out) {
    *out = usual;
    if (v->kind == TPL_NONE) return true;
    if (v->kind != TPL_INT && v->kind != TPL_BOOL) {
        hone_tpl_fail(r, "slice indices must be integers");
        return false;
    }
    int64_t n = v->kind == TPL_INT ? v->i : v->b;
    if (n < 0) n = n < -count ? low : n + count;
    *out = n < low ? low : n > high ? high : n;
    return true;
}

static tpl_value slice(tpl_run *r, const tpl_node *n) {
    tpl_value v = hone_tpl_eval(r, n->a), parts[3];
    for (size_t i = 0; i < 3; i++) parts[i] = n->args[i] ? hone_tpl_eval(r, n->args[i]) : TPL_NOTHING;
    if (r->failed || is_undefined(r, &v)) return v;
    if (v.kind != TPL_STRING && (v.kind != TPL_LIST || v.list->shape == TPL_IS_GENERATOR))
        return hone_tpl_fail(r, "'%s' object has no slices", hone_tpl_kind(&v));
    int64_t count = (int64_t)(v.kind == TPL_LIST ? v.list->count : hone_tpl_characters(v.s)), start, stop;
    int64_t step = parts[2].kind == TPL_INT ? parts[2].i : 1;
    if (step == 0) return hone_tpl_fail(r, "slice step cannot be zero");
    int64_t low = step < 0 ? -1 : 0, high = step < 0 ? count - 1 : count;
    if (!bound(r, &parts[0], count, step < 0 ? high : low, low, high, &start) ||
        !bound(r, &parts[1], count, step < 0 ? low : high, low, high, &stop))
        return v;
    if (v.kind == TPL_STRING && step == 1) {
        size_t from = character_at(v.s, (size_t)start),
               to = stop > start ? character_at(v.s, (size_t)stop) : from;
        hone_tpl_step(r, v.s->size / 64);
        return hone_tpl_part(r, v.s, from, to - from);
    }
    tpl_list *items = hone_tpl_items(r, v);
    tpl_value l = hone_tpl_new_list(r, v.kind == TPL_LIST ? v.list->shape : TPL_IS_LIST);
    tpl_output out = {NULL, NULL, 0, 0};
    for (int64_t i = start; !r->failed && (step > 0 ? i < stop : i > stop); i += step) {
        if (v.kind == TPL_LIST)
            hone_tpl_append(r, l.list, items->items[i]);
        else
            hone_tpl_write_string(r, &out, items->items[i].s);
        if (step > count || step < -count) break;
    }
    return v.kind == TPL_LIST ? l : hone_tpl_written(r, &out);
}

/* --- arithmetic --- */

static bool as_int(const tpl_value *v, int64_t *out) {
    *out = v->kind == TPL_INT ? v->i : v->kind == TPL_BOOL ? v->b : 0;
    return v->kind == TPL_INT || v->kind == TPL_BOOL;
}
static bool as_float(const tpl_value *v, double *out) {
    int64_t i;
    bool whole = as_int(v, &i);
    *out = whole ? (double)i : v->f;
    return whole || v->kind == TPL_FLOAT;
}

static tpl_value floats(tpl_run *r, char sign, double a, double b) {
    double c = 0;
    if ((sign == '/' || sign == 'f' || sign == '%') && b == 0) return hone_tpl_fail(r, "division by zero");
    switch (sign) {
    case '+': c = a + b; break;
    case '-': c = a - b; break;
    case '*': c = a * b; break;
    case '/': c = a / b; break;
    case 'f': c = floor(a / b); break;
    case '%': c = a - floor(a / b) * b; break;
    default: c = pow(a, b);
    }
    return (tpl_value){.kind = TPL_FLOAT, .f = c};
}

static tpl_value integers(tpl_run *r, char sign, int64_t a, int64_t b) {
    int64_t c = 0;
    bool over = false;
    if (sign == '/' || (sign == 'p' && b < 0)) return floats(r, sign, (double)a, (double)b);
    if ((sign == 'f' || sign == '%') && b == 0) return hone_tpl_fail(r, "division by zero");
    if ((sign == 'f' || sign == '%') && b == -1) {
        over = sign == 'f' && __builtin_sub_overflow((int64_t)0, a, &c);
        return over ? hone_tpl_fail(r, "a number is too large") : hone_tpl_int(sign == 'f' ? c : 0);
    }
    switch (sign) {
    case '+': over = __builtin_add_overflow(a, b, &c); break;
    case '-': over = __builtin_sub_overflow(a, b, &c); break;
    case '*': over = __builtin_mul_overflow(a, b, &c); break;
    case 'f': c = a / b - (a % b != 0 && (a % b < 0) != (b < 0)); break;
    case '%': c = a % b + (a % b != 0 && (a % b < 0) != (b < 0) ? b : 0); break;
    default:
        for (c = 1; b > 0 && !over && hone_tpl_step(r, 1); b--) over = __builtin_mul_overflow(c, a, &c);
    }
    return over ? hone_tpl_fail(r, "a number is too large") : hone_tpl_int(c);
}

static tpl_value joined(tpl_run *r, const tpl_value *a, const tpl_value *b) {
    tpl_output out = {NULL, NULL, 0, 0};
    hone_tpl_write_string(r, &out, hone_tpl_string(r, a));
    hone_tpl_write_string(r, &out, hone_tpl_string(r, b));
    return hone_tpl_written(r, &out);
}

/* As Markup of Python's markupsafe: the side that is not safe is escaped. */
static void write_escaped(tpl_run *r, tpl_output *out, const tpl_string *s) {
    static const char *const names[] = {"&&amp;", "<&lt;", ">&gt;", "'&#39;", "\"&#34;"};
    for (size_t i = 0; i < s->size && !r->failed; i++) {
        const char *name = NULL;
        for (size_t k = 0; k < sizeof names / sizeof *names; k++)
            if (names[k][0] == s->data[i]) name = names[k] + 1;
        hone_tpl_write(r, out, name ? name : s->data + i, name ? strlen(name) : 1,
                       s->marks ? s->marks[i] : s->user);
    }
}

static tpl_value joined_safely(tpl_run *r, const tpl_string *a, const tpl_string *b) {
    tpl_output out = {NULL, NULL, 0, 0};
    for (int k = 0; k < 2; k++) {
        const tpl_string *s = k ? b : a;
        if (s->safe)
            hone_tpl_write_string(r, &out, s);
        else
            write_escaped(r, &out, s);
    }
    return hone_tpl_safe(r, hone_tpl_written(r, &out));
}

static tpl_value repeated(tpl_run *r, const tpl_value *v, int64_t times) {
    tpl_output out = {NULL, NULL, 0, 0};
    tpl_value l = hone_tpl_new_list(r, v->kind == TPL_LIST ? v->list->shape : TPL_IS_LIST);
    for (int64_t i = 0; i < times && !r->failed && hone_tpl_step(r, 1); i++) {
        if (v->kind == TPL_STRING)
            hone_tpl_write_string(r, &out, v->s);
        else
            for (size_t k = 0; k < v->list->count && !r->failed; k++)
                hone_tpl_append(r, l.list, v->list->items[k]);
    }
    return v->kind == TPL_STRING ? hone_tpl_written(r, &out) : l;
}

static tpl_value both_lists(tpl_run *r, const tpl_list *a, const tpl_list *b) {
    tpl_value l = hone_tpl_new_list(r, a->shape);
    for (size_t i = 0; i < a->count && !r->failed; i++) hone_tpl_append(r, l.list, a->items[i]);
    for (size_t i = 0; i < b->count && !r->failed; i++) hone_tpl_append(r, l.list, b->items[i]);
    return l;
}

static bool has_items(const tpl_value *v) {
    return v->kind == TPL_STRING || (v->kind == TPL_LIST && v->list->shape != TPL_IS_GENERATOR);
}

tpl_value hone_tpl_binary(tpl_run *r, char sign, tpl_value a, tpl_value b) {
    int64_t i, k;
    double x, y;
    if (r->failed) return a;
    if (sign == '~') return joined(r, &a, &b);
    if (as_int(&a, &i) && as_int(&b, &k)) return integers(r, sign, i, k);
    if (as_float(&a, &x) && as_float(&b, &y)) return floats(r, sign, x, y);
    if (is_undefined(r, &a) || is_undefined(r, &b)) return a;
    if (sign == '+' && a.kind == TPL_STRING && b.kind == TPL_STRING)
        return a.s->safe || b.s->safe ? joined_safely(r, a.s, b.s) : joined(r, &a, &b);
    if (sign == '+' && has_items(&a) && has_items(&b) && a.kind == b.kind && a.list->shape == b.list->shape)
        return both_lists(r, a.list, b.list);
    if (sign == '*' && has_items(&a) && as_int(&b, &i)) return repeated(r, &a, i);
    if (sign == '*' && has_items(&b) && as_int(&a, &i)) return repeated(r, &b, i);
    return hone_tpl_fail(r, "unsupported operands for %s: '%s' and '%s'",
                         sign == 'f'   ? "//"
                         : sign == 'p' ? "**"
                                       : (char[]){sign, 0},
                         hone_tpl_kind(&a), hone_tpl_kind(&b));
}

/* --- comparisons --- */

static bool contains(tpl_run *r, const tpl_value *in, const tpl_value *v) {
    if (in->kind == TPL_STRING) {
        if (v->kind != TPL_STRING) {
            hone_tpl_fail(r, "'in <string>' requires string as left operand, not %s", hone_tpl_kind(v));
            return false;
        }
        hone_tpl_step(r, in->s->size / 64);
        return v->s->size == 0 || memmem(in->s->data, in->s->size, v->s->data, v->s->size) != NULL;
    }
    if (in->kind == TPL_DICT && (v->kind == TPL_LIST || v->kind == TPL_DICT)) {
        hone_tpl_fail(r, "unhashable type: '%s'", hone_tpl_kind(v));
        return false;
    }
    if (in->kind == TPL_DICT) return hone_tpl_get(r, in->dict, *v) != NULL;
    tpl_list *items = hone_tpl_items(r, *in);
    for (size_t i = 0; items && i < items->count; i++)
        if (hone_tpl_equal(r, &items->items[i], v)) return true;
    return false;
}

static bool holds(tpl_run *r, char sign, const tpl_value *a, const tpl_value *b) {
    switch (sign) {
    case '=': return hone_tpl_equal(r, a, b);
    case '!': return !hone_tpl_equal(r, a, b);
    case 'i': return contains(r, b, a);
    case 'n': return !contains(r, b, a);
    default: break;
    }
    if (is_undefined(r, a) || is_undefined(r, b)) return false;
    int order = hone_tpl_order(r, a, b);
    return sign == '<' ? order < 0 : sign == '>' ? order > 0 : sign == 'l' ? order <= 0 : order >= 0;
}

static tpl_value compare(tpl_run *r, const tpl_node *n) {
    tpl_value left = hone_tpl_eval(r, n->args[0]);
    for (size_t i = 1; i < n->arg_count && !r->failed; i++) {
        tpl_value right = hone_tpl_eval(r, n->args[i]);
        if (r->failed || !holds(r, n->signs[i - 1], &left, &right)) return hone_tpl_bool(false);
        left = right;
    }
    return hone_tpl_bool(true);
}

/* --- nodes --- */

static tpl_value find_name(tpl_run *r, const tpl_node *n) {
    for (const tpl_scope *s = r->scope; s; s = s->outer) {
        const tpl_value *found = hone_tpl_get_name(&s->names, n->name, n->name_size);
        hone_tpl_step(r, s->names.count / 8);
        if (found) return *found;
    }
    for (const tpl_function *f = hone_tpl_functions; f->name; f++)
        if (strcmp(f->name, n->name) == 0) return (tpl_value){.kind = TPL_FUNCTION, .function = f};
    return undefined(n->name);
}

static tpl_value make_list(tpl_run *r, const tpl_node *n) {
    tpl_value l = hone_tpl_new_list(r, n->op == TPL_MAKE_LIST ? TPL_IS_LIST : TPL_IS_TUPLE);
    for (size_t i = 0; i < n->arg_count && !r->failed; i++)
        hone_tpl_append(r, l.list, hone_tpl_eval(r, n->args[i]));
    return l;
}

static tpl_value make_dict(tpl_run *r, const tpl_node *n) {
    tpl_value d = hone_tpl_new_dict(r, TPL_DICT);
    for (size_t i = 0; i + 1 < n->arg_count && !r->failed; i += 2) {
        tpl_value key = hone_tpl_eval(r, n->args[i]), v = hone_tpl_eval(r, n->args[i + 1]);
        hone_tpl_put(r, d.dict, key, v);
    }
    return d;
}

bool hone_tpl_evaluate_args(tpl_run *r, const tpl_node *n, tpl_args *out) {
    out->count = n->arg_count;
    out->names = n->keywords;
    out->items = hone_tpl_alloc(r, (n->arg_count + 1) * sizeof *out->items);
    for (size_t i = 0; i < n->arg_count && !r->failed; i++) out->items[i] = hone_tpl_eval(r, n->args[i]);
    return !r->failed;
}

tpl_value hone_tpl_call(tpl_run *r, tpl_value callee, const tpl_args *args) {
    tpl_value v = callee;
    if (r->failed || is_undefined(r, &callee)) return callee;
    if (!hone_tpl_enter(r)) return v;
    switch (callee.kind) {
    case TPL_FUNCTION: v = callee.function->call(r, args); break;
    case TPL_MACRO: v = hone_tpl_call_macro(r, callee.macro, args); break;
    case TPL_METHOD: v = hone_tpl_call_method(r, callee.method, args); break;
    case TPL_LOOP: v = hone_tpl_call_loop(r, callee.loop, args); break;
    default: hone_tpl_fail(r, "'%s' object is not callable", hone_tpl_kind(&callee));
    }
    r->depth--;
    return v;
}

static tpl_value call(tpl_run *r, const tpl_node *n) {
    tpl_args args;
    tpl_value callee = hone_tpl_eval(r, n->a);
    if (!hone_tpl_evaluate_args(r, n, &args)) return callee;
    r->line = n->line;
    return hone_tpl_call(r, callee, &args);
}

static tpl_value filter(tpl_run *r, const tpl_node *n) {
    tpl_args args;
    tpl_value v = hone_tpl_eval(r, n->a);
    if (r->failed || !hone_tpl_evaluate_args(r, n, &args)) return v;
    r->line = n->line;
    return hone_tpl_filter(r, n->name, v, &args);
}

static tpl_value test(tpl_run *r, const tpl_node *n) {
    tpl_args args;
    tpl_value v = hone_tpl_eval(r, n->a);
    if (r->failed || !hone_tpl_evaluate_args(r, n, &args)) return v;
    return hone_tpl_bool(hone_tpl_test(r, n->name, v, &args) != n->flag);
}

static tpl_value signed_number(tpl_run *r, const tpl_node *n) {
    tpl_value v = hone_tpl_eval(r, n->a);
    if (r->failed || is_undefined(r, &v)) return v;
    return n->op == TPL_NEGATIVE ? hone_tpl_binary(r, '-', hone_tpl_int(0), v)
                                 : hone_tpl_binary(r, '+', hone_tpl_int(0), v);
}

static tpl_value choose(tpl_run *r, const tpl_node *n) {
    tpl_value condition = hone_tpl_eval(r, n->b);
    if (r->failed) return condition;
    if (hone_tpl_true(&condition)) return hone_tpl_eval(r, n->a);
    return n->c ? hone_tpl_eval(r, n->c) : undefined("the inline if without else");
}

static tpl_value eval(tpl_run *r, const tpl_node *n) {
    tpl_value v;
    r->line = n->line;
    switch (n->op) {
    case TPL_CONST: return n->constant;
    case TPL_NAME: return find_name(r, n);
    case TPL_MAKE_LIST:
    case TPL_MAKE_TUPLE: return make_list(r, n);
    case TPL_MAKE_DICT: return make_dict(r, n);
    case TPL_ATTRIBUTE:
        v = hone_tpl_eval(r, n->a);
        r->line = n->line;
        return r->failed ? v : hone_tpl_attribute(r, v, n->name, n->name_size);
    case TPL_ITEM: {
        v = hone_tpl_eval(r, n->a);
        tpl_value key = hone_tpl_eval(r, n->b);
        return r->failed ? v : hone_tpl_item(r, v, key);
    }
    case TPL_SLICE: return slice(r, n);
    case TPL_CALL: return call(r, n);
    case TPL_FILTER: return filter(r, n);
    case TPL_TEST: return test(r, n);
    case TPL_NEGATIVE:
    case TPL_POSITIVE: return signed_number(r, n);
    case TPL_NOT: v = hone_tpl_eval(r, n->a); return hone_tpl_bool(!hone_tpl_true(&v));
    case TPL_AND:
        v = hone_tpl_eval(r, n->a);
        return r->failed || !hone_tpl_true(&v) ? v : hone_tpl_eval(r, n->b);
    case TPL_OR:
        v = hone_tpl_eval(r, n->a);
        return r->failed || hone_tpl_true(&v) ? v : hone_tpl_eval(r, n->b);
    case TPL_BINARY: {
        v = hone_tpl_eval(r, n->a);
        tpl_value right = hone_tpl_eval(r, n->b);
        r->line = n->line;
        return hone_tpl_binary(r, n->sign, v, right);
    }
    case TPL_COMPARE: return compare(r, n);
    case TPL_CHOOSE: return choose(r, n);
    default: return hone_tpl_fail(r, "an expression is needed");
    }
}

tpl_value hone_tpl_eval(tpl_run *r, const tpl_node *n) {
    if (!hone_tpl_step(r, 1) || !hone_tpl_enter(r)) return undefined(NULL);
    tpl_value v = eval(r, n);
    r->depth--;
    return v;
}
