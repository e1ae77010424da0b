#include "base/half.h"
#include "graph/infer.h"
#include "graph/pattern_inside.h"

#include <math.h>
#include <string.h>

/* --- values --- */

double hone_constant_number(const hone_value *v) {
    if (!v || v->storage != HONE_STORAGE_CONSTANT || !v->data || v->data->count != 1) return NAN;
    switch (v->data->dtype) {
    case HONE_FLOAT32: return *(const float *)v->data->data;
    case HONE_FLOAT64: return *(const double *)v->data->data;
    case HONE_FLOAT16: return hone_float_of_half(*(const uint16_t *)v->data->data);
    case HONE_BFLOAT16: return hone_float_of_bfloat(*(const uint16_t *)v->data->data);
    default: return hone_dtype_is_int(v->data->dtype) ? (double)hone_tensor_int(v->data, 0) : NAN;
    }
}

/* What a constant of that type may differ by from a number written in decimals: it was rounded, maybe more than once. */
static double rounding(hone_dtype dtype) {
    return dtype == HONE_BFLOAT16 ? 8e-3 : dtype == HONE_FLOAT16 ? 1e-3 : 1e-6;
}

static bool is_close(double x, hone_dtype dtype, double wanted) {
    return fabs(x - wanted) <= rounding(dtype) * fabs(wanted);
}

/* A constant of one element that adds no axes to what `reader` makes of its other inputs. */
static bool is_scalar(const hone_value *v, const hone_node *reader) {
    if (isnan(hone_constant_number(v))) return false;
    int most = v->type.rank == 0 ? 0 : -1;
    for (int i = 0; i < reader->input_count; i++)
        if (reader->inputs[i] && reader->inputs[i] != v && reader->inputs[i]->type.rank > most)
            most = reader->inputs[i]->type.rank;
    return v->type.rank <= most;
}

static bool is_list(const hone_value *v, const int64_t *ints, int count) {
    if (v->storage != HONE_STORAGE_CONSTANT || !hone_dtype_is_int(v->type.dtype) || v->type.rank != 1 ||
        v->data->count != count)
        return false;
    for (int i = 0; i < count; i++)
        if (hone_tensor_int(v->data, i) != ints[i]) return false;
    return true;
}

#define SMALL 4096 /* bytes up to which constants are compared by content */

static bool is_same(const hone_value *a, const hone_value *b) {
    if (a == b) return true;
    if (!a || !b || a->storage != HONE_STORAGE_CONSTANT || b->storage != HONE_STORAGE_CONSTANT) return false;
    const hone_tensor *x = a->data, *y = b->data;
    return x->dtype == y->dtype && x->dtype != HONE_STRING && x->rank == y->rank && x->bytes == y->bytes &&
           x->bytes <= SMALL && memcmp(x->dims, y->dims, (size_t)x->rank * sizeof *x->dims) == 0 &&
           memcmp(x->data, y->data, x->bytes) == 0;
}

/* --- nodes --- */

static bool has_op(const hone_term *t, const hone_op *op) {
    switch (t->class) {
    case HONE_CLASS_VIEW: return op->view == hone_view_whole;
    case HONE_CLASS_MOVE: return op->quantize == HONE_QUANTIZE_BITS;
    case HONE_CLASS_NONE: break;
    }
    return op == t->op;
}

static bool has_value(const hone_node *n, const hone_term_attr *a) {
    const char *name = a->def->name;
    size_t count;
    switch (a->def->type) {
    case HONE_ATTR_INT: return (double)hone_node_int(n, name) == a->number;
    case HONE_ATTR_FLOAT: return is_close(hone_node_float(n, name), HONE_FLOAT32, a->number);
    case HONE_ATTR_STRING: {
        const char *text = hone_node_string(n, name);
        return text && strcmp(text, a->text) == 0;
    }
    default: {
        const int64_t *ints = hone_node_ints(n, name, &count);
        return (int)count == a->count && (count == 0 || memcmp(ints, a->ints, count * sizeof *ints) == 0);
    }
    }
}

static bool is_default(const hone_node *n, const hone_attr *a) {
    const hone_attr_def *def = hone_attr_find(n->op->attrs, a->name);
    if (!def) return true; /* nobody reads it */
    switch (a->type) {
    case HONE_ATTR_INT: return a->i == def->i;
    case HONE_ATTR_FLOAT: return a->f == def->f;
    case HONE_ATTR_STRING: return def->s && strcmp(a->s.data, def->s) == 0;
    case HONE_ATTR_INTS: return a->count == 0;
    default: return false;
    }
}

static bool attrs_match(const hone_term *t, const hone_node *n) {
    if (t->class) return true;
    for (int i = 0; i < t->attr_count; i++)
        if (!has_value(n, &t->attrs[i])) return false;
    for (int i = 0; i < n->attr_count && !t->any_attrs; i++) {
        bool listed = false;
        for (int k = 0; k < t->attr_count && !listed; k++)
            listed = strcmp(t->attrs[k].def->name, n->attrs[i].name) == 0;
        if (!listed && !is_default(n, &n->attrs[i])) return false;
    }
    return true;
}

static bool is_matched(const hone_match *m, const hone_node *n) {
    for (int i = 0; i < m->node_count; i++)
        if (m->node[i] == n) return true;
    return false;
}

/* Do only nodes of the match read what `n` gives? Of the root: apart from output 0. */
static bool is_private(const hone_match *m, const hone_node *n) {
    for (int o = n == m->root; o < n->output_count; o++) {
        const hone_value *v = n->outputs[o];
        if (!v) continue;
        for (size_t i = 0; i < v->use_count; i++)
            if (n == m->root || !is_matched(m, v->uses[i].node)) return false;
        if (hone_graph_is_output(m->graph, v)) return false;
    }
    return true;
}

/* --- the search --- what is still to be matched is a list; each step takes the first goal and, where there are several
 * ways, tries one after the other with all that follows */

typedef struct goal goal;
struct goal {
    const hone_term *term;
    hone_value *value; /* NULL: left out */
    const hone_node *reader;
    const goal *next;
};

typedef struct search {
    hone_match *m;
    const hone_pattern *pattern;
    hone_match_check *check;
} search;

static bool solve(search *s, const goal *g);

static bool finish(const search *s) {
    const hone_match *m = s->m;
    for (int i = 0; i < m->node_count; i++)
        if (!m->shared[i] && !is_private(m, m->node[i])) return false;
    return !s->check || s->check(m);
}

static bool solve_name(search *s, const goal *g) {
    hone_match *m = s->m;
    const hone_term *t = g->term, *definition = s->pattern->definition[t->name];
    uint32_t bit = 1u << t->name;
    if (m->bound & bit) return is_same(m->value[t->name], g->value) && solve(s, g->next);
    if (!g->value) {
        if (!t->optional) return false;
    } else {
        if (t->constant && g->value->storage != HONE_STORAGE_CONSTANT) return false;
        if ((m->patterns->scalars & bit) && !is_scalar(g->value, g->reader)) return false;
    }
    m->bound |= bit;
    m->value[t->name] = g->value;
    const goal defined = {definition, g->value, g->reader, g->next};
    if (solve(s, definition && g->value ? &defined : g->next)) return true;
    m->bound &= ~bit;
    return false;
}

static bool solve_call(search *s, const goal *g) {
    hone_match *m = s->m;
    const hone_term *t = g->term;
    hone_node *n = g->value ? g->value->producer : NULL;
    if (!n || n->map || g->value != n->outputs[0] || !has_op(t, n->op) || !attrs_match(t, n)) return false;
    int count = t->arg_count;
    if (n->input_count > count && !t->class) return false;
    goal args[HONE_MATCH_INPUTS];
    m->shared[m->node_count] = t->shared;
    m->node[m->node_count++] = n;
    int orders = n->op->commutes && count == 2 && n->input_count == 2 ? 2 : 1;
    for (int order = 0; order < orders; order++) {
        for (int i = 0; i < count; i++) {
            int k = order ? 1 - i : i;
            args[i] = (goal){t->args[i], k < n->input_count ? n->inputs[k] : NULL, n,
                             i + 1 < count ? &args[i + 1] : g->next};
        }
        if (solve(s, count ? args : g->next)) return true;
    }
    m->node_count--;
    return false;
}

static bool solve(search *s, const goal *g) {
    if (!g) return finish(s);
    const hone_term *t = g->term;
    switch (t->kind) {
    case HONE_TERM_NAME: return solve_name(s, g);
    case HONE_TERM_CALL: return solve_call(s, g);
    case HONE_TERM_NUMBER:
        return g->value && is_scalar(g->value, g->reader) &&
               is_close(hone_constant_number(g->value), g->value->type.dtype, t->number) && solve(s, g->next);
    case HONE_TERM_INTS: return g->value && is_list(g->value, t->ints, t->count) && solve(s, g->next);
    case HONE_TERM_EITHER: {
        const goal first = {t->first, g->value, g->reader, g->next},
                   second = {t->second, g->value, g->reader, g->next};
        return solve(s, &first) || solve(s, &second);
    }
    }
    return false;
}

bool hone_pattern_match(const hone_patterns *p, int form, hone_graph *g, hone_node *root,
                        hone_match_check *check, hone_match *m) {
    if (root->output_count < 1 || !root->outputs[0]) return false;
    m->graph = g;
    m->root = root;
    m->patterns = p;
    m->bound = 0;
    m->node_count = 0;
    search s = {m, &p->forms[form], check};
    const goal start = {p->forms[form].term, root->outputs[0], root, NULL};
    return solve(&s, &start);
}

static bool starts(const hone_pattern *p, const hone_term *t, const hone_op *op) {
    switch (t->kind) {
    case HONE_TERM_NAME: return p->definition[t->name] && starts(p, p->definition[t->name], op);
    case HONE_TERM_EITHER: return starts(p, t->first, op) || starts(p, t->second, op);
    case HONE_TERM_CALL: return has_op(t, op);
    case HONE_TERM_NUMBER:
    case HONE_TERM_INTS: break;
    }
    return false;
}

bool hone_pattern_starts(const hone_patterns *p, int form, const hone_op *op) {
    return starts(&p->forms[form], p->forms[form].term, op);
}

/* --- names of a match --- */

static int find_name(const hone_match *m, const char *name) {
    const hone_patterns *p = m->patterns;
    for (int i = 0; i < p->name_count; i++)
        if (strcmp(p->names[i], name) == 0) return i;
    return -1;
}

hone_value *hone_match_value(const hone_match *m, const char *name) {
    int i = find_name(m, name);
    return i >= 0 && (m->bound & (1u << i)) ? m->value[i] : NULL;
}

hone_node *hone_match_maker(const hone_match *m, const char *name) {
    const hone_value *v = hone_match_value(m, name);
    return v ? v->producer : NULL;
}

double hone_match_number(const hone_match *m, const char *name) {
    return hone_constant_number(hone_match_value(m, name));
}

bool hone_match_set(hone_match *m, const char *name, hone_value *v) {
    int i = find_name(m, name);
    if (i < 0) return false;
    m->bound |= 1u << i;
    m->value[i] = v;
    return true;
}

/* --- emitting --- */

typedef struct emitter {
    hone_match *m;
    const hone_pattern *pattern;
    hone_dtype dtype; /* of numbers */
    bool records, swaps;
    uint32_t choices, seen;
} emitter;

static hone_value *emit(emitter *e, const hone_term *t);

static void emit_attr(const emitter *e, hone_node *n, const hone_term_attr *a) {
    hone_graph *g = e->m->graph;
    double x = a->name >= 0 ? hone_constant_number(e->m->value[a->name]) : a->number;
    switch (a->def->type) {
    case HONE_ATTR_INT: hone_node_set_int(g, n, a->def->name, (int64_t)x); break;
    case HONE_ATTR_FLOAT: hone_node_set_float(g, n, a->def->name, (float)x); break;
    case HONE_ATTR_STRING: hone_node_set_string(g, n, a->def->name, a->text); break;
    default: hone_node_set_ints(g, n, a->def->name, a->ints, (size_t)a->count);
    }
}

/* For tests: an operator of the class that keeps the shape of its one input. */
static const hone_op *any_of(const hone_term *t) {
    for (int i = 0; hone_op_at(i); i++) {
        const hone_op *op = hone_op_at(i);
        if (has_op(t, op) && op->infer == hone_infer_same && !hone_op_input(op, 1)) return op;
    }
    return NULL;
}

static hone_value *emit_call(emitter *e, const hone_term *t) {
    hone_match *m = e->m;
    hone_value *in[HONE_MATCH_INPUTS] = {NULL};
    for (int i = 0; i < t->arg_count; i++) in[i] = emit(e, t->args[i]);
    const hone_op *op = t->op ? t->op : any_of(t);
    if (e->swaps && op && op->commutes && t->arg_count == 2) {
        hone_value *first = in[0];
        in[0] = in[1];
        in[1] = first;
    }
    hone_node *n = hone_graph_add_node(m->graph, op, m->root ? m->root->name : NULL, t->arg_count, in, 1);
    if (!n) return NULL;
    for (int i = 0; i < t->attr_count; i++) emit_attr(e, n, &t->attrs[i]);
    if (e->records && m->node_count < HONE_MATCH_NODES) {
        m->shared[m->node_count] = t->shared;
        m->node[m->node_count++] = n;
    }
    return n->outputs[0];
}

static hone_value *emit_name(emitter *e, const hone_term *t) {
    hone_match *m = e->m;
    if (m->bound & (1u << t->name)) return m->value[t->name];
    const hone_term *definition = e->pattern->definition[t->name];
    if (!definition) return NULL;
    m->value[t->name] = emit(e, definition);
    m->bound |= 1u << t->name;
    return m->value[t->name];
}

static hone_value *emit(emitter *e, const hone_term *t) {
    switch (t->kind) {
    case HONE_TERM_NAME: return emit_name(e, t);
    case HONE_TERM_CALL: return emit_call(e, t);
    case HONE_TERM_NUMBER: return hone_graph_scalar(e->m->graph, e->dtype, t->number);
    case HONE_TERM_INTS: return hone_graph_ints(e->m->graph, t->ints, t->count);
    case HONE_TERM_EITHER: break;
    }
    e->seen |= 1u << t->choice;
    return emit(e, e->choices >> t->choice & 1 ? t->second : t->first);
}

hone_value *hone_pattern_replace(hone_match *m) {
    const hone_pattern *p = m->patterns->replace;
    emitter e = {.m = m, .pattern = p, .dtype = m->root->outputs[0]->type.dtype};
    return emit(&e, p->term);
}

hone_value *hone_pattern_emit(hone_match *m, int form, hone_dtype dtype, uint32_t choices, bool swapped,
                              uint32_t *seen) {
    const hone_pattern *p = &m->patterns->forms[form];
    emitter e = {.m = m, .pattern = p, .dtype = dtype, .records = true, .swaps = swapped, .choices = choices};
    m->node_count = 0;
    hone_value *v = emit(&e, p->term);
    *seen = e.seen;
    return v;
}

int hone_pattern_choices(const hone_patterns *p, int form) {
    return p->forms[form].choices;
}
