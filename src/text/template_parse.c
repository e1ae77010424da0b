/* What stands between tags, and statements. */
#include "text/template_parser.h"

#include <stdlib.h>

static tpl_node *parse_body(tpl_parser *p, const char *const *stops);

/* --- between tags --- */

static size_t without_end_spaces(const char *text, size_t size) {
    while (size && hone_tpl_is_space(text[size - 1])) size--;
    return size;
}

/* White space between the begin of the line and a tag goes. */
static size_t without_indent(const tpl_parser *p, const char *text, size_t size, bool line_starting) {
    size_t at = size;
    while (at && text[at - 1] != '\n') at--;
    if (at == 0 && !line_starting) return size;
    for (size_t i = at; i < size; i++)
        if (!hone_tpl_is_space(text[i])) return size;
    (void)p;
    return at;
}

/* The text up to the next tag, or to the end; NULL: there is none. */
static tpl_node *parse_text(tpl_parser *p) {
    const char *start = p->at, *tag = start;
    while (tag < p->end && !(*tag == '{' && tag + 1 < p->end && strchr("{%#", tag[1]))) tag++;
    size_t size = (size_t)(tag - start);
    bool line_starting = p->line_starting;
    hone_tpl_skip(p, size);
    if (tag < p->end) {
        char sign = tag + 2 < p->end ? tag[2] : 0;
        if (sign == '-')
            size = without_end_spaces(start, size);
        else if (sign != '+' && tag[1] != '{')
            size = without_indent(p, start, size, line_starting);
        p->line_starting = false;
    }
    return size ? hone_tpl_text_node(p, TPL_TEXT, start, size) : NULL;
}

static void skip_comment(tpl_parser *p) {
    const char *at = p->at + 2;
    while (at + 1 < p->end && !(at[0] == '#' && at[1] == '}')) at++;
    if (at + 1 >= p->end) {
        hone_tpl_bad_plain(p, "a comment is not closed");
        return;
    }
    char sign = at > p->at + 2 ? at[-1] : 0;
    hone_tpl_skip(p, (size_t)(at + 2 - p->at));
    if (sign == '-')
        while (p->at < p->end && hone_tpl_is_space(*p->at)) hone_tpl_skip(p, 1);
    else if (sign != '+' && p->at < p->end && *p->at == '\n')
        hone_tpl_skip(p, 1);
    p->line_starting = p->at[-1] == '\n';
}

/* Behind {% raw %}: its text, and {% endraw %} is taken. */
static tpl_node *parse_raw(tpl_parser *p) {
    const char *start = p->at;
    for (const char *at = start; at + 1 < p->end; at++) {
        if (at[0] != '{' || at[1] != '%') continue;
        const char *word = at + 2;
        bool trims = word < p->end && *word == '-';
        if (word < p->end && (*word == '-' || *word == '+')) word++;
        while (word < p->end && hone_tpl_is_space(*word)) word++;
        if (p->end - word < 6 || memcmp(word, "endraw", 6) != 0) continue;
        size_t size = (size_t)(at - start);
        hone_tpl_skip(p, (size_t)(word + 6 - p->at));
        hone_tpl_advance(p);
        size = trims ? without_end_spaces(start, size) : without_indent(p, start, size, true);
        return hone_tpl_text_node(p, TPL_TEXT, start, size);
    }
    return hone_tpl_bad_plain(p, "{% raw %} is not closed");
}

/* --- statements --- the word that says which is taken */

static void end_tag(tpl_parser *p) {
    if (!p->failed && p->now.kind != TOKEN_END)
        hone_tpl_bad(p, "the tag does not end before", p->now.text, p->now.size);
}

static tpl_node *statement(tpl_parser *p, tpl_op op) {
    return hone_tpl_node(p, op);
}

static bool at_tag(const tpl_parser *p, const char *name) {
    return p->tag && strlen(name) == p->tag_size && memcmp(p->tag, name, p->tag_size) == 0;
}

static tpl_node *parse_if(tpl_parser *p) {
    static const char *const stops[] = {"elif", "else", "endif", NULL}, *const last[] = {"endif", NULL};
    tpl_node *n = statement(p, TPL_IF);
    if (!n) return NULL;
    n->a = hone_tpl_tuple(p, false, NULL, false);
    end_tag(p);
    n->body = parse_body(p, stops);
    if (p->failed) return NULL;
    if (at_tag(p, "elif")) {
        if (++p->depth > TPL_MAX_DEPTH * 4) return hone_tpl_bad_plain(p, "too many elif");
        n->other = parse_if(p);
        p->depth--;
        return n;
    }
    if (at_tag(p, "else")) {
        end_tag(p);
        n->other = parse_body(p, last);
    }
    end_tag(p);
    return n;
}

/* a, or (a, b), or a.b */
static tpl_node *parse_target(tpl_parser *p, const char *extra) {
    tpl_node *n = hone_tpl_primary(p);
    if (n && n->op == TPL_NAME && hone_tpl_take_sign(p, ".")) {
        tpl_node *of = n;
        if (!(n = hone_tpl_node(p, TPL_ATTRIBUTE))) return NULL;
        n->a = of;
        n->name = hone_tpl_take_name(p, &n->name_size);
        return n;
    }
    if (hone_tpl_sign(p, ",")) {
        tpl_nodes items = {NULL, NULL, 0, 0};
        hone_tpl_add(p, &items, n, NULL);
        while (!p->failed && hone_tpl_take_sign(p, ",") && !hone_tpl_word(p, extra) && !hone_tpl_sign(p, "="))
            hone_tpl_add(p, &items, hone_tpl_primary(p), NULL);
        n = hone_tpl_with_args(hone_tpl_node(p, TPL_MAKE_TUPLE), &items);
    }
    if (p->failed) return NULL;
    bool good = n->op == TPL_NAME || n->op == TPL_MAKE_TUPLE;
    for (size_t i = 0; i < n->arg_count && good; i++) good = n->args[i]->op == TPL_NAME;
    return good ? n : hone_tpl_bad_plain(p, "a value can be given to names only");
}

static tpl_node *parse_for(tpl_parser *p) {
    static const char *const stops[] = {"else", "endfor", NULL}, *const last[] = {"endfor", NULL};
    tpl_node *n = statement(p, TPL_FOR);
    if (!n) return NULL;
    n->a = parse_target(p, "in");
    if (!p->failed && !hone_tpl_take_word(p, "in")) return hone_tpl_bad_plain(p, "a loop needs in");
    n->b = hone_tpl_tuple(p, false, "recursive", false);
    if (!p->failed && hone_tpl_take_word(p, "if")) n->c = hone_tpl_expression(p);
    if (!p->failed) n->flag = hone_tpl_take_word(p, "recursive");
    end_tag(p);
    p->loops++;
    n->body = parse_body(p, stops);
    p->loops--;
    if (!p->failed && at_tag(p, "else")) {
        end_tag(p);
        n->other = parse_body(p, last);
    }
    end_tag(p);
    return n;
}

static tpl_node *parse_set(tpl_parser *p) {
    static const char *const last[] = {"endset", NULL};
    tpl_node *target = parse_target(p, "="), *n;
    if (p->failed) return NULL;
    if (hone_tpl_take_sign(p, "=")) {
        if (!(n = statement(p, TPL_SET))) return NULL;
        n->b = hone_tpl_tuple(p, true, NULL, false);
        end_tag(p);
    } else {
        if (!(n = statement(p, TPL_SET_BLOCK))) return NULL;
        if (hone_tpl_take_sign(p, "|")) n->b = hone_tpl_filters(p, NULL);
        end_tag(p);
        n->body = parse_body(p, last);
        end_tag(p);
    }
    n->a = target;
    return n;
}

/* (a, b=1), of which "(" was taken. */
static void parse_params(tpl_parser *p, tpl_node *n) {
    tpl_nodes params = {NULL, NULL, 0, 0};
    while (!p->failed && !hone_tpl_sign(p, ")")) {
        size_t size;
        if (params.count) hone_tpl_expect(p, ",");
        if (hone_tpl_sign(p, ")")) break;
        const char *name = hone_tpl_take_name(p, &size);
        tpl_node *usual = name && hone_tpl_take_sign(p, "=") ? hone_tpl_expression(p) : NULL;
        if (params.count && params.items[params.count - 1] && !usual)
            hone_tpl_bad_plain(p, "a parameter without a default stands behind one with it");
        hone_tpl_add(p, &params, usual, name);
    }
    hone_tpl_expect(p, ")");
    n->args = params.items;
    n->params = params.keywords;
    n->param_count = params.count;
}

static tpl_node *parse_macro(tpl_parser *p) {
    static const char *const last[] = {"endmacro", NULL};
    tpl_node *n = statement(p, TPL_DEFINE);
    if (!n) return NULL;
    n->name = hone_tpl_take_name(p, &n->name_size);
    hone_tpl_expect(p, "(");
    parse_params(p, n);
    end_tag(p);
    int loops = p->loops;
    p->loops = 0;
    n->body = parse_body(p, last);
    p->loops = loops;
    end_tag(p);
    return n;
}

static tpl_node *parse_call(tpl_parser *p) {
    static const char *const last[] = {"endcall", NULL};
    tpl_node *n = statement(p, TPL_CALL_BLOCK);
    if (!n) return NULL;
    n->name = "caller";
    if (hone_tpl_take_sign(p, "(")) parse_params(p, n);
    n->a = hone_tpl_expression(p);
    if (n->a && n->a->op != TPL_CALL) return hone_tpl_bad_plain(p, "a call block needs a call");
    end_tag(p);
    n->body = parse_body(p, last);
    end_tag(p);
    return n;
}

static tpl_node *parse_filter(tpl_parser *p) {
    static const char *const last[] = {"endfilter", NULL};
    tpl_node *n = statement(p, TPL_FILTER_BLOCK);
    if (!n) return NULL;
    n->a = hone_tpl_filters(p, NULL);
    end_tag(p);
    n->body = parse_body(p, last);
    end_tag(p);
    return n;
}

static tpl_node *parse_with(tpl_parser *p) {
    static const char *const last[] = {"endwith", NULL};
    tpl_nodes pairs = {NULL, NULL, 0, 0};
    tpl_node *n = statement(p, TPL_WITH);
    while (n && !p->failed && p->now.kind != TOKEN_END) {
        if (pairs.count) hone_tpl_expect(p, ",");
        tpl_node *target = hone_tpl_primary(p);
        if (target && target->op != TPL_NAME) return hone_tpl_bad_plain(p, "with needs names");
        hone_tpl_add(p, &pairs, target, NULL);
        hone_tpl_expect(p, "=");
        hone_tpl_add(p, &pairs, hone_tpl_expression(p), NULL);
    }
    end_tag(p);
    hone_tpl_with_args(n, &pairs);
    if (n) n->body = parse_body(p, last);
    end_tag(p);
    return n;
}

static tpl_node *parse_generation(tpl_parser *p) {
    static const char *const last[] = {"endgeneration", NULL};
    tpl_node *n = statement(p, TPL_SCOPELESS);
    end_tag(p);
    if (n) n->body = parse_body(p, last);
    end_tag(p);
    return n;
}

static tpl_node *parse_leave(tpl_parser *p, tpl_op op) {
    if (p->loops == 0) return hone_tpl_bad_plain(p, "break and continue belong into a loop");
    tpl_node *n = statement(p, op);
    end_tag(p);
    return n;
}
static tpl_node *parse_break(tpl_parser *p) {
    return parse_leave(p, TPL_BREAK);
}
static tpl_node *parse_continue(tpl_parser *p) {
    return parse_leave(p, TPL_CONTINUE);
}
static tpl_node *parse_raw_tag(tpl_parser *p) {
    end_tag(p);
    return parse_raw(p);
}

static tpl_node *parse_statement(tpl_parser *p) {
    static const struct {
        const char *name;
        tpl_node *(*parse)(tpl_parser *p);
    } rows[] = {{"if", parse_if},       {"for", parse_for},          {"set", parse_set},
                {"macro", parse_macro}, {"call", parse_call},        {"filter", parse_filter},
                {"with", parse_with},   {"raw", parse_raw_tag},      {"generation", parse_generation},
                {"break", parse_break}, {"continue", parse_continue}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (hone_tpl_take_word(p, rows[i].name)) return rows[i].parse(p);
    return hone_tpl_bad(p, "there is no statement", p->now.text, p->now.size);
}

/* --- bodies --- */

/* Begins to read a tag: what stands behind "{%" or "{{". */
static void open_tag(tpl_parser *p, const char *close) {
    p->close = close;
    p->braces = 0;
    hone_tpl_skip(p, 2);
    if (p->at < p->end && (*p->at == '-' || (*p->at == '+' && *close == '%'))) p->at++;
    hone_tpl_advance(p);
}

static tpl_node *parse_print(tpl_parser *p) {
    open_tag(p, "}}");
    tpl_node *n = hone_tpl_node(p, TPL_PRINT);
    if (!n) return NULL;
    n->a = hone_tpl_tuple(p, true, NULL, false);
    end_tag(p);
    return n;
}

static bool stops_here(tpl_parser *p, const char *const *stops) {
    for (; *stops; stops++) {
        if (!hone_tpl_word(p, *stops)) continue;
        p->tag = p->now.text;
        p->tag_size = p->now.size;
        hone_tpl_advance(p);
        return true;
    }
    return false;
}

/* Statements up to a tag of `stops`, whose word is taken; without them up to the end. */
static tpl_node *parse_body(tpl_parser *p, const char *const *stops) {
    tpl_node *first = NULL, **tail = &first;
    if (++p->depth > TPL_MAX_DEPTH * 4) return hone_tpl_bad_plain(p, "blocks are nested too deeply");
    while (!p->failed) {
        tpl_node *n = parse_text(p);
        if (n) {
            *tail = n;
            tail = &n->next;
        }
        if (p->at == p->end) {
            if (*stops) hone_tpl_bad(p, "the end is missing:", *stops, strlen(*stops));
            break;
        }
        if (p->at[1] == '#') {
            skip_comment(p);
            continue;
        }
        if (p->at[1] == '{') {
            n = parse_print(p);
        } else {
            open_tag(p, "%}");
            if (stops_here(p, stops)) break;
            n = parse_statement(p);
        }
        if (!n) continue; /* nothing, or an error */
        *tail = n;
        tail = &n->next;
    }
    p->depth--;
    return p->failed ? NULL : first;
}

/* Lines end in \n, and the last one's end goes. */
static char *with_plain_lines(hone_arena *arena, const char *text, size_t *size) {
    char *out = hone_arena_alloc(arena, *size + 1);
    size_t n = 0;
    if (!out) return NULL;
    for (size_t i = 0; i < *size; i++) {
        if (text[i] == '\r' && i + 1 < *size && text[i + 1] == '\n') continue;
        out[n++] = text[i] == '\r' ? '\n' : text[i];
    }
    if (n && out[n - 1] == '\n') n--;
    *size = n;
    return out;
}

hone_status hone_tpl_parse(hone_arena *arena, const char *text, size_t size, tpl_node **body,
                           hone_error *err) {
    static const char *const none[] = {NULL};
    if (size > TPL_MAX_SOURCE) return hone_fail(err, HONE_UNSUPPORTED, "a template of %zu bytes", size);
    const char *lines = with_plain_lines(arena, text, &size);
    if (!lines) return hone_fail_memory(err);
    tpl_parser p = {
        .arena = arena, .at = lines, .end = lines + size, .line = 1, .line_starting = true, .err = err};
    *body = parse_body(&p, none);
    return p.failed ? p.status : HONE_OK;
}
