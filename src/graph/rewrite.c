#include "graph/rewrite.h"

#include "graph/infer.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* --- names that are switched off --- */

/* Is `name` one of the comma-separated words? */
static bool listed(const char *words, const char *name) {
    size_t length = strlen(name);
    for (const char *w = words; w && *w;) {
        size_t n = strcspn(w, ",");
        if (n == length && strncmp(w, name, n) == 0) return true;
        w += n + (w[n] == ',');
    }
    return false;
}

static hone_status check_words(hone_rewrite_list *at, const char *words, hone_error *err) {
    for (const char *w = words; w && *w;) {
        size_t n = strcspn(w, ",");
        bool known = n == 3 && strncmp(w, "all", 3) == 0;
        for (int i = 0; !known && at(i); i++)
            known = strlen(at(i)->name) == n && strncmp(at(i)->name, w, n) == 0;
        if (!known) return hone_fail(err, HONE_INVALID_ARGUMENT, "there is no rewrite \"%.*s\"", (int)n, w);
        w += n + (w[n] == ',');
    }
    return HONE_OK;
}

/* --- the table: rows parsed once, and which of them can end at an operator --- */

typedef struct entry {
    const hone_op *op;
    int row, form;
} entry;

struct hone_rewrites {
    hone_rewrite_list *at;
    hone_arena *arena;
    hone_patterns **patterns; /* NULL: a row without */
    entry *entries;           /* by operator, row, form */
    size_t entry_count;
};

static int compare_entries(const void *a, const void *b) {
    const entry *x = a, *y = b;
    if (x->op != y->op) return (uintptr_t)x->op < (uintptr_t)y->op ? -1 : 1;
    return x->row != y->row ? x->row - y->row : x->form - y->form;
}

static int form_count(const hone_rewrite *r) {
    int forms = 0;
    while (forms < HONE_REWRITE_FORMS && r->match[forms]) forms++;
    return forms;
}

/* Fills `entries` unless it is NULL; gives their number. */
static size_t index_rows(const hone_rewrites *t, entry *entries) {
    size_t count = 0;
    for (int row = 0; t->at(row); row++)
        for (int form = 0; form < form_count(t->at(row)); form++)
            for (int k = 0; hone_op_at(k); k++) {
                if (!hone_pattern_starts(t->patterns[row], form, hone_op_at(k))) continue;
                if (entries) entries[count] = (entry){hone_op_at(k), row, form};
                count++;
            }
    return count;
}

static hone_status fill(hone_rewrites *t, hone_error *err) {
    size_t rows = 0;
    while (t->at((int)rows)) rows++;
    t->patterns = hone_arena_array(t->arena, rows + 1, sizeof(hone_patterns *));
    if (!t->patterns) return hone_fail_memory(err);
    for (int row = 0; t->at(row); row++) {
        const hone_rewrite *r = t->at(row);
        int forms = form_count(r);
        if (forms)
            HONE_TRY(hone_patterns_parse(t->arena, r->match, forms, r->replace, &t->patterns[row], err));
    }
    t->entry_count = index_rows(t, NULL);
    t->entries = hone_arena_array(t->arena, t->entry_count + 1, sizeof *t->entries);
    if (!t->entries) return hone_fail_memory(err);
    index_rows(t, t->entries);
    qsort(t->entries, t->entry_count, sizeof *t->entries, compare_entries);
    return HONE_OK;
}

hone_status hone_rewrites_new(hone_rewrite_list *at, hone_rewrites **out, hone_error *err) {
    hone_arena *arena = hone_arena_new();
    hone_rewrites *t = arena ? hone_arena_alloc(arena, sizeof *t) : NULL;
    hone_status status = HONE_OUT_OF_MEMORY;
    if (t) {
        *t = (hone_rewrites){.at = at, .arena = arena};
        status = fill(t, err);
    } else {
        hone_fail_memory(err);
    }
    if (status == HONE_OK)
        *out = t;
    else
        hone_arena_free(arena);
    return status;
}

void hone_rewrites_free(hone_rewrites *r) {
    if (r) hone_arena_free(r->arena);
}

/* The first entry of an operator, at or behind row `row`. */
static const entry *first_entry(const hone_rewrites *t, const hone_op *op, int row) {
    const entry wanted = {op, row, 0};
    size_t low = 0, high = t->entry_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (compare_entries(&t->entries[middle], &wanted) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return &t->entries[low];
}

/* --- rows with patterns, from `first` on until `end` --- */

typedef struct visit {
    hone_node *node;
    int row;
} visit;

typedef struct sweep {
    const hone_rewrites *rewrites;
    hone_graph *g;
    int first, end;
    const char *disabled;
    hone_node *next; /* where the sweep goes on */
    visit *also;     /* readers of what a row replaced, for the same row: so that chains need one sweep */
    size_t also_count, also_capacity;
    size_t changes, most; /* more than that many changes are a circle of rewrites */
} sweep;

enum { HERE = 0, GONE = -1 }; /* marks of nodes */

static bool is_dead(const hone_graph *g, const hone_node *n) {
    for (int o = 0; o < n->output_count; o++) {
        const hone_value *v = n->outputs[o];
        if (v && (v->use_count || hone_graph_is_output(g, v))) return false;
    }
    return true;
}

/* What was matched goes as far as nobody reads it any more. */
static void remove_dead(sweep *s, const hone_match *m) {
    for (bool any = true; any;) {
        any = false;
        for (int i = 0; i < m->node_count; i++) {
            hone_node *n = m->node[i];
            if (n->mark == GONE || !is_dead(s->g, n)) continue;
            if (s->next == n) s->next = n->prev;
            hone_graph_remove_node(s->g, n);
            n->mark = GONE;
            any = true;
        }
    }
}

static void visit_readers(sweep *s, const hone_value *v, int row) {
    if (!hone_reserve(&s->also, &s->also_capacity, s->also_count + v->use_count, sizeof *s->also)) {
        hone_graph_out_of_memory(s->g);
        return;
    }
    for (size_t i = 0; i < v->use_count; i++) s->also[s->also_count++] = (visit){v->uses[i].node, row};
}

static bool replace(sweep *s, int row, hone_match *m) {
    hone_graph *g = s->g;
    hone_value *old = m->root->outputs[0];
    size_t values = g->value_count;
    const hone_rewrite *r = s->rewrites->at(row);
    g->insert_before = m->root;
    g->stands_for = m->root;
    hone_value *v = r->build ? r->build(m) : hone_pattern_replace(m);
    g->insert_before = NULL;
    g->stands_for = NULL;
    if (!v || v == old || hone_graph_check(g, NULL) != HONE_OK) return false;
    /* an output of the graph keeps its name, which nothing that was there before may lose its own for */
    if (hone_graph_is_output(g, old) && (size_t)v->id < values) return false;
    if (v->type.dtype == HONE_UNDEFINED) v->type = old->type;
    hone_graph_replace(g, old, v);
    visit_readers(s, v, row);
    remove_dead(s, m);
    s->changes++;
    return true;
}

/* Tries the rows from `first` on until `end` at a node. */
static void look_at(sweep *s, hone_node *n, int first, int end) {
    const hone_rewrites *t = s->rewrites;
    const entry *stop = t->entries + t->entry_count;
    for (const entry *e = first_entry(t, n->op, first); e < stop && e->op == n->op && e->row < end; e++) {
        const hone_rewrite *r = t->at(e->row);
        hone_match m;
        if (listed(s->disabled, r->name)) continue;
        if (hone_pattern_match(t->patterns[e->row], e->form, s->g, n, r->check, &m) && replace(s, e->row, &m))
            return;
    }
}

static hone_status sweep_once(sweep *s, hone_error *err) {
    for (hone_node *n = s->g->first; n; n = n->next) n->mark = HERE;
    for (hone_node *n = s->g->last; n; n = s->next) {
        s->next = n->prev;
        look_at(s, n, s->first, s->end);
        while (s->also_count && s->changes <= s->most) {
            visit also = s->also[--s->also_count];
            if (also.node->mark == HERE) look_at(s, also.node, also.row, also.row + 1);
        }
        if (s->changes > s->most)
            return hone_fail_node(err, HONE_INTERNAL, n->name, n->op->name,
                                  "rewrites of \"%s\" and after go in a circle",
                                  s->rewrites->at(s->first)->name);
        HONE_TRY(hone_graph_check(s->g, err));
    }
    return HONE_OK;
}

static hone_status clean_up(hone_graph *g, hone_error *err) {
    hone_graph_prune(g);
    HONE_TRY(hone_graph_check(g, err));
    HONE_TRY(hone_graph_sort(g, err));
    return hone_graph_infer(g, err);
}

static hone_status match_rows(const hone_rewrites *t, hone_graph *g, int first, int end, const char *disabled,
                              hone_error *err) {
    sweep s = {.rewrites = t,
               .g = g,
               .first = first,
               .end = end,
               .disabled = disabled,
               .most = 16 * g->node_count + 256};
    hone_status status = HONE_OK;
    for (bool any = true; any && status == HONE_OK;) {
        size_t before = s.changes;
        status = sweep_once(&s, err);
        any = s.changes > before;
        if (any && status == HONE_OK) status = clean_up(g, err);
    }
    hone_free(s.also);
    return status;
}

/* --- stages --- */

static hone_status run_row(hone_graph *g, const hone_rewrite *r, hone_error *err) {
    int changes = 0;
    HONE_TRY(r->run(g, &changes, err));
    HONE_TRY(hone_graph_check(g, err));
    return changes ? clean_up(g, err) : HONE_OK;
}

/* Is row `row` one with patterns, of that stage? */
static bool is_matched(const hone_rewrites *t, int row, hone_stage stage) {
    const hone_rewrite *r = t->at(row);
    return r && r->stage == stage && r->match[0];
}

hone_status hone_rewrites_run(const hone_rewrites *t, hone_graph *g, hone_stage stage, const char *disabled,
                              hone_error *err) {
    HONE_TRY(check_words(t->at, disabled, err));
    if (listed(disabled, "all")) return HONE_OK;
    const hone_rewrite *r;
    for (int i = 0, end; (r = t->at(i)); i = end) {
        for (end = i; is_matched(t, end, stage); end++) continue;
        if (end > i) {
            HONE_TRY(match_rows(t, g, i, end, disabled, err));
            continue;
        }
        end++;
        if (r->stage == stage && !listed(disabled, r->name)) HONE_TRY(run_row(g, r, err));
    }
    return HONE_OK;
}

/* --- the compiler's list --- */

static hone_status own_table(const hone_rewrites **out, hone_error *err) {
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static hone_rewrites *table;
    pthread_mutex_lock(&lock);
    hone_status status = table ? HONE_OK : hone_rewrites_new(hone_rewrite_at, &table, err);
    *out = table;
    pthread_mutex_unlock(&lock);
    return status;
}

hone_status hone_rewrite_patterns(int index, const hone_patterns **out, hone_error *err) {
    const hone_rewrites *t;
    HONE_TRY(own_table(&t, err));
    *out = t->patterns[index];
    return HONE_OK;
}

hone_status hone_graph_rewrite_stage(hone_graph *g, hone_stage stage, const char *disabled, hone_error *err) {
    const hone_rewrites *t;
    HONE_TRY(own_table(&t, err));
    return hone_rewrites_run(t, g, stage, disabled, err);
}

hone_status hone_graph_rewrite(hone_graph *g, const char *disabled, hone_error *err) {
    for (int stage = 0; stage < HONE_STAGE_COUNT; stage++) {
        if (stage == HONE_STAGE_LAYOUT && !g->outer) { /* what runs as one must be seen to have one shape */
            g->names_dims = true;
            HONE_TRY(hone_graph_infer(g, err));
        }
        HONE_TRY(hone_graph_rewrite_stage(g, (hone_stage)stage, disabled, err));
    }
    return HONE_OK;
}
