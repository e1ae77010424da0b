#include "text/grammar.h"

/* Which states an end can be reached from. */
typedef struct ways {
    int32_t *source; /* of each edge: its state */
    int32_t *first;  /* of each state: where its edges begin in `into`; one more for the end of the last */
    int32_t *into;   /* edges that lead to a state, and calls that go on there */
    int32_t *queue;
    bool *ends;
} ways;

static bool make_ways(ways *w, const hone_grammar *g) {
    w->source = hone_calloc(g->edge_count + 1, sizeof *w->source);
    w->first = hone_calloc(g->state_count + 2, sizeof *w->first);
    w->into = hone_calloc(2 * g->edge_count + 1, sizeof *w->into);
    w->queue = hone_calloc(g->state_count + 1, sizeof *w->queue);
    w->ends = hone_calloc(g->state_count + 1, sizeof *w->ends);
    if (!w->source || !w->first || !w->into || !w->queue || !w->ends) return false;
    /* first[s + 2] counts, so that first[s + 1] is where the next one of s goes, and then where s ends */
    for (size_t i = 0; i < g->edge_count; i++) {
        const grammar_edge *e = &g->edges[i];
        w->first[e->to + 2]++;
        if (e->kind == EDGE_CALL) w->first[e->back + 2]++;
    }
    for (size_t s = 2; s < g->state_count + 2; s++) w->first[s] += w->first[s - 1];
    for (size_t s = 0; s < g->state_count; s++)
        for (int32_t i = g->states[s].first; i >= 0; i = g->edges[i].next) {
            const grammar_edge *e = &g->edges[i];
            w->source[i] = (int32_t)s;
            w->into[w->first[e->to + 1]++] = i;
            if (e->kind == EDGE_CALL) w->into[w->first[e->back + 1]++] = i;
        }
    return true;
}

static void free_ways(ways *w) {
    hone_free(w->source);
    hone_free(w->first);
    hone_free(w->into);
    hone_free(w->queue);
    hone_free(w->ends);
}

static bool leads_on(const ways *w, const grammar_edge *e) {
    return w->ends[e->to] && (e->kind != EDGE_CALL || w->ends[e->back]);
}

/* From the ends backwards. */
static void find_ends(ways *w, const hone_grammar *g) {
    size_t count = 0;
    for (size_t s = 0; s < g->state_count; s++)
        if (g->states[s].returns) w->ends[s] = true, w->queue[count++] = (int32_t)s;
    while (count > 0) {
        int32_t s = w->queue[--count];
        for (int32_t i = w->first[s]; i < w->first[s + 1]; i++) {
            int32_t e = w->into[i], from = w->source[e];
            if (w->ends[from] || !leads_on(w, &g->edges[e])) continue;
            w->ends[from] = true;
            w->queue[count++] = from;
        }
    }
}

hone_status hone_grammar_prune(hone_grammar *g, bool *ends, hone_error *err) {
    ways w = {0};
    if (!make_ways(&w, g)) {
        free_ways(&w);
        return hone_fail_memory(err);
    }
    find_ends(&w, g);
    for (size_t s = 0; s < g->state_count; s++)
        for (int32_t *at = &g->states[s].first; *at >= 0;) {
            grammar_edge *e = &g->edges[*at];
            if (leads_on(&w, e))
                at = &e->next;
            else
                *at = e->next;
        }
    *ends = w.ends[g->start];
    free_ways(&w);
    return HONE_OK;
}
