/* Statements of templates, and what a user calls. */
#include "text/template.h"

#include <stdlib.h>
#include <time.h>

typedef enum flow { GO_ON, BREAK, CONTINUE } flow;

static flow run_body(tpl_run *r, const tpl_node *body);

/* --- scopes --- */

static bool enter(tpl_run *r, tpl_scope *outer) {
    tpl_scope *s = hone_tpl_alloc(r, sizeof *s);
    if (!s) return false;
    s->outer = outer;
    r->scope = s;
    return true;
}

static bool set_name(tpl_run *r, const tpl_node *target, tpl_value v) {
    return hone_tpl_put_name(r, &r->scope->names, target->name, v);
}

static bool set_attribute(tpl_run *r, const tpl_node *target, tpl_value v) {
    tpl_value of = hone_tpl_eval(r, target->a);
    if (!r->failed && of.kind != TPL_NAMESPACE)
        hone_tpl_fail(r, "cannot assign attribute on non-namespace object");
    return !r->failed && hone_tpl_put_name(r, of.dict, target->name, v);
}

static bool set_target(tpl_run *r, const tpl_node *target, tpl_value v) {
    if (r->failed) return false;
    if (target->op == TPL_NAME) return set_name(r, target, v);
    if (target->op == TPL_ATTRIBUTE) return set_attribute(r, target, v);
    tpl_list *items = hone_tpl_items(r, v);
    if (items && items->count != target->arg_count)
        hone_tpl_fail(r, "%zu values where %zu are expected", items->count, target->arg_count);
    for (size_t i = 0; i < target->arg_count && !r->failed; i++)
        set_name(r, target->args[i], items->items[i]);
    return !r->failed;
}

/* --- texts of bodies --- */

static tpl_value text_of(tpl_run *r, const tpl_node *body) {
    tpl_output out = {NULL, NULL, 0, 0}, *outer = r->out;
    tpl_value v = {.kind = TPL_UNDEFINED};
    r->out = &out;
    run_body(r, body);
    r->out = outer;
    return r->failed ? v : hone_tpl_written(r, &out);
}

/* The block's text stands at the begin of its filters. */
static tpl_value filtered(tpl_run *r, const tpl_node *n, tpl_value v) {
    tpl_args args;
    if (!hone_tpl_enter(r)) return v;
    if (n->a) v = filtered(r, n->a, v);
    r->depth--;
    if (r->failed || n->op != TPL_FILTER || !hone_tpl_evaluate_args(r, n, &args)) return v;
    return hone_tpl_filter(r, n->name, v, &args);
}

/* --- loops --- */

static tpl_list *chosen_items(tpl_run *r, const tpl_node *n, tpl_value of) {
    tpl_list *items = hone_tpl_items(r, of), *kept;
    tpl_scope *outer = r->scope;
    if (!items || !n->c) return items;
    kept = hone_tpl_new_list(r, TPL_IS_LIST).list;
    for (size_t i = 0; i < items->count && !r->failed && enter(r, outer); i++) {
        set_target(r, n->a, items->items[i]);
        tpl_value holds = r->failed ? TPL_NOTHING : hone_tpl_eval(r, n->c);
        if (!r->failed && hone_tpl_true(&holds)) hone_tpl_append(r, kept, items->items[i]);
    }
    r->scope = outer;
    return r->failed ? NULL : kept;
}

static void run_loop(tpl_run *r, const tpl_node *n, tpl_value of, int depth) {
    tpl_scope *outer = r->scope;
    tpl_list *items = chosen_items(r, n, of);
    if (!items) return;
    if (items->count == 0) {
        if (enter(r, outer)) run_body(r, n->other);
        r->scope = outer;
        return;
    }
    tpl_loop *loop = hone_tpl_alloc(r, sizeof *loop);
    if (!loop) return;
    *loop = (tpl_loop){.items = items, .depth = depth, .node = n, .scope = outer};
    for (; loop->index < items->count && hone_tpl_step(r, 1) && enter(r, outer); loop->index++) {
        set_target(r, n->a, items->items[loop->index]);
        hone_tpl_put_name(r, &r->scope->names, "loop", (tpl_value){.kind = TPL_LOOP, .loop = loop});
        if (r->failed || run_body(r, n->body) == BREAK) break;
    }
    r->scope = outer;
}

tpl_value hone_tpl_call_loop(tpl_run *r, tpl_loop *loop, const tpl_args *args) {
    tpl_output out = {NULL, NULL, 0, 0}, *outer = r->out;
    tpl_scope *scope = r->scope;
    if (!loop->node->flag || args->count != 1) return hone_tpl_fail(r, "the loop is not recursive");
    r->out = &out;
    r->scope = loop->scope;
    run_loop(r, loop->node, args->items[0], loop->depth + 1);
    r->out = outer;
    r->scope = scope;
    return r->failed ? TPL_NOTHING : hone_tpl_written(r, &out);
}

/* --- macros --- */

static tpl_value macro_of(tpl_run *r, const tpl_node *n) {
    tpl_macro *m = hone_tpl_alloc(r, sizeof *m);
    if (!m) return TPL_NOTHING;
    *m = (tpl_macro){n, r->scope};
    return (tpl_value){.kind = TPL_MACRO, .macro = m};
}

static bool is_param(const tpl_node *n, const char *name) {
    for (size_t i = 0; i < n->param_count; i++)
        if (strcmp(n->params[i], name) == 0) return true;
    return false;
}

/* Gives the parameters their values in the scope that was entered. */
static bool bind(tpl_run *r, const tpl_node *n, const tpl_args *args) {
    tpl_value rest = hone_tpl_new_list(r, TPL_IS_TUPLE), named = hone_tpl_new_dict(r, TPL_DICT);
    tpl_dict *names = &r->scope->names;
    for (size_t i = 0; i < args->count && !r->failed; i++) {
        const char *name = args->names ? args->names[i] : NULL;
        if (!name && i < n->param_count)
            hone_tpl_put_name(r, names, n->params[i], args->items[i]);
        else if (!name)
            hone_tpl_append(r, rest.list, args->items[i]);
        else if (is_param(n, name) || strcmp(name, "caller") == 0)
            hone_tpl_put_name(r, names, name, args->items[i]);
        else
            hone_tpl_put_name(r, named.dict, name, args->items[i]);
    }
    for (size_t i = 0; i < n->param_count && !r->failed; i++) {
        if (hone_tpl_get_name(names, n->params[i], strlen(n->params[i]))) continue;
        tpl_value usual = n->args[i] ? hone_tpl_eval(r, n->args[i])
                                     : (tpl_value){.kind = TPL_UNDEFINED, .name = n->params[i]};
        hone_tpl_put_name(r, names, n->params[i], usual);
    }
    hone_tpl_put_name(r, names, "varargs", rest);
    return hone_tpl_put_name(r, names, "kwargs", named);
}

tpl_value hone_tpl_call_macro(tpl_run *r, const tpl_macro *m, const tpl_args *args) {
    tpl_scope *scope = r->scope;
    tpl_value v = TPL_NOTHING;
    if (enter(r, m->scope) && bind(r, m->node, args)) v = text_of(r, m->node->body);
    r->scope = scope;
    return v;
}

static void run_call_block(tpl_run *r, const tpl_node *n) {
    tpl_args args;
    tpl_value callee = hone_tpl_eval(r, n->a->a), caller = macro_of(r, n);
    if (r->failed || !hone_tpl_evaluate_args(r, n->a, &args)) return;
    const char **names = hone_tpl_alloc(r, (args.count + 1) * sizeof *names);
    for (size_t i = 0; i < args.count && names; i++) names[i] = args.names ? args.names[i] : NULL;
    if (!names) return;
    names[args.count] = "caller";
    args.items[args.count++] = caller; /* there is room for one more */
    args.names = names;
    tpl_value v = hone_tpl_call(r, callee, &args);
    if (!r->failed) hone_tpl_write_value(r, r->out, &v);
}

/* --- statements --- */

static void run_with(tpl_run *r, const tpl_node *n) {
    tpl_scope *outer = r->scope, *inner;
    if (!enter(r, outer)) return;
    inner = r->scope;
    for (size_t i = 0; i + 1 < n->arg_count && !r->failed; i += 2) {
        r->scope = outer;
        tpl_value v = hone_tpl_eval(r, n->args[i + 1]);
        r->scope = inner;
        if (!r->failed) set_name(r, n->args[i], v);
    }
    run_body(r, n->body);
    r->scope = outer;
}

static flow run_statement(tpl_run *r, const tpl_node *n) {
    tpl_value v;
    tpl_scope *outer = r->scope;
    switch (n->op) {
    case TPL_TEXT: hone_tpl_write_string(r, r->out, n->constant.s); break;
    case TPL_PRINT:
        v = hone_tpl_eval(r, n->a);
        if (!r->failed) hone_tpl_write_value(r, r->out, &v);
        break;
    case TPL_IF:
        v = hone_tpl_eval(r, n->a);
        return r->failed ? GO_ON : run_body(r, hone_tpl_true(&v) ? n->body : n->other);
    case TPL_FOR:
        v = hone_tpl_eval(r, n->b);
        if (!r->failed) run_loop(r, n, v, 0);
        break;
    case TPL_SET:
        v = hone_tpl_eval(r, n->b);
        set_target(r, n->a, v);
        break;
    case TPL_SET_BLOCK:
        if (!enter(r, outer)) break;
        v = text_of(r, n->body);
        r->scope = outer;
        if (n->b && !r->failed) v = filtered(r, n->b, v);
        set_target(r, n->a, v);
        break;
    case TPL_DEFINE: hone_tpl_put_name(r, &r->scope->names, n->name, macro_of(r, n)); break;
    case TPL_CALL_BLOCK: run_call_block(r, n); break;
    case TPL_FILTER_BLOCK:
        if (!enter(r, outer)) break;
        v = text_of(r, n->body);
        r->scope = outer;
        if (!r->failed) v = filtered(r, n->a, v);
        if (!r->failed) hone_tpl_write_value(r, r->out, &v);
        break;
    case TPL_WITH: run_with(r, n); break;
    case TPL_SCOPELESS: return run_body(r, n->body);
    case TPL_BREAK: return BREAK;
    case TPL_CONTINUE: return CONTINUE;
    default: hone_tpl_fail(r, "a statement is needed");
    }
    return GO_ON;
}

static flow run_body(tpl_run *r, const tpl_node *body) {
    flow f = GO_ON;
    hone_tpl_enter(r);
    for (const tpl_node *n = body; n && f == GO_ON && !r->failed; n = n->next) {
        r->line = n->line;
        if (hone_tpl_step(r, 1)) f = run_statement(r, n);
    }
    r->depth--;
    return f;
}

/* --- what a user calls --- */

struct hone_rendered {
    hone_arena *arena;
    hone_text_piece *pieces;
    size_t count;
};

hone_status hone_template_parse(const char *text, size_t size, hone_template **out, hone_error *err) {
    hone_template *t = hone_calloc(1, sizeof *t);
    if (!t || !(t->arena = hone_arena_new())) {
        hone_free(t);
        return hone_fail_memory(err);
    }
    hone_status status = hone_tpl_parse(t->arena, text, size, &t->body, err);
    if (status == HONE_OK)
        *out = t;
    else
        hone_template_free(t);
    return status;
}

void hone_template_free(hone_template *t) {
    if (!t) return;
    hone_arena_free(t->arena);
    hone_free(t);
}

/* Runs of the same mark. */
static void cut_pieces(tpl_run *r, const tpl_output *out, hone_rendered *to) {
    size_t count = 0;
    for (size_t i = 0; i < out->size; i++) count += i == 0 || out->marks[i] != out->marks[i - 1];
    to->pieces = hone_tpl_alloc(r, (count + 1) * sizeof *to->pieces);
    for (size_t i = 0; i < out->size && to->pieces; i++) {
        if (i == 0 || out->marks[i] != out->marks[i - 1])
            to->pieces[to->count++] = (hone_text_piece){out->data + i, 0, out->marks[i] != 0};
        to->pieces[to->count - 1].size++;
    }
}

static void render(tpl_run *r, const hone_template *t, const char *variables, size_t size,
                   hone_rendered *to) {
    tpl_output out = {NULL, NULL, 0, 0};
    tpl_scope globals = {.outer = NULL};
    tpl_value given = hone_tpl_from_json(r, variables, size);
    if (r->failed) return;
    globals.names = *given.dict;
    if (!enter(r, &globals)) return;
    r->out = &out;
    run_body(r, t->body);
    if (!r->failed) cut_pieces(r, &out, to);
}

hone_status hone_template_render(const hone_template *t, const char *variables, size_t size, int64_t now,
                                 hone_rendered **out, hone_error *err) {
    hone_rendered *to = hone_calloc(1, sizeof *to);
    if (!to || !(to->arena = hone_arena_new())) {
        hone_free(to);
        return hone_fail_memory(err);
    }
    tpl_run r = {.arena = to->arena, .now = now ? now : (int64_t)time(NULL), .err = err};
    render(&r, t, variables, size, to);
    if (!r.failed) {
        *out = to;
        return HONE_OK;
    }
    hone_rendered_free(to);
    return r.status;
}

const hone_text_piece *hone_rendered_pieces(const hone_rendered *r, size_t *count) {
    *count = r->count;
    return r->pieces;
}

void hone_rendered_free(hone_rendered *r) {
    if (!r) return;
    hone_arena_free(r->arena);
    hone_free(r);
}
