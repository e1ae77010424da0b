#include "compress/equalize.h"

#include "compress/channels.h"

#include <math.h>
#include <string.h>

#define MOST_SWEEPS 40
#define SETTLED 0.01 /* logarithm of what a channel still changes by */

/* Both sides of a channel get the geometric mean of their ranges: s = sqrt(given / read). Channels without weights on one side
 * stay. */
static hone_status factors(const hone_channels *c, double *s, double *change, hone_error *err) {
    double *given = hone_calloc((size_t)c->size, sizeof *given),
           *read = hone_calloc((size_t)c->size, sizeof *read);
    hone_status status = given && read ? HONE_OK : hone_fail_memory(err);
    for (int i = 0; i < c->tie_count && status == HONE_OK; i++)
        if (c->ties[i].weight) hone_tie_largest(&c->ties[i], c->size, c->ties[i].gives ? given : read);
    for (int64_t p = 0; p < c->size && status == HONE_OK; p++) {
        s[p] = given[p] > 0 && read[p] > 0 ? sqrt(given[p] / read[p]) : 1;
        *change = fmax(*change, fabs(log(s[p])));
    }
    hone_free(given);
    hone_free(read);
    return status;
}

static hone_status equalize(const hone_channels *c, double *change, hone_error *err) {
    double *s = hone_alloc((size_t)c->size * sizeof *s);
    hone_status status = s ? factors(c, s, change, err) : hone_fail_memory(err);
    if (status == HONE_OK) status = hone_channels_scale(c, s, err);
    hone_free(s);
    return status;
}

/* Products on both sides, and nothing that has its say. */
static bool can_equalize(const hone_channels *c) {
    bool given = false, read = false;
    for (int i = 0; i < c->tie_count; i++) {
        given |= c->ties[i].weight && c->ties[i].gives;
        read |= c->ties[i].weight && !c->ties[i].gives;
    }
    return given && read && !c->fixed && c->size > 1;
}

typedef struct sets {
    hone_channels *items;
    int count;
} sets;

static void free_sets(sets *s) {
    for (int i = 0; i < s->count; i++) hone_channels_free(&s->items[i]);
    hone_free(s->items);
}

static bool is_there(const sets *s, const hone_value *x, int axis) {
    for (int i = 0; i < s->count; i++)
        if (hone_channels_have(&s->items[i], x, axis)) return true;
    return false;
}

/* The sets of channels that products make. */
static hone_status find_sets(hone_graph *g, sets *out, hone_error *err) {
    out->items = hone_calloc(g->node_count + 1, sizeof *out->items);
    if (!out->items) return hone_fail_memory(err);
    for (hone_node *n = g->first; n; n = n->next) {
        if (!hone_multiplies(n)) continue;
        hone_value *y = n->outputs[0];
        for (int axis = 1; axis < y->type.rank; axis++) { /* the first one is samples */
            hone_channels *c = &out->items[out->count];
            if (is_there(out, y, axis)) continue;
            hone_status status = hone_channels_find(g, y, axis, c, err);
            if (status == HONE_OK && can_equalize(c)) {
                out->count++;
                break;
            }
            hone_channels_free(c);
            HONE_TRY(status);
        }
    }
    return HONE_OK;
}

hone_status hone_equalize(hone_graph *g, int64_t *groups, hone_error *err) {
    sets s = {NULL, 0};
    hone_status status = find_sets(g, &s, err);
    double change = INFINITY;
    /* a weight may be on the one side of some channels and on the other one of others */
    for (int sweep = 0; sweep < MOST_SWEEPS && change > SETTLED && status == HONE_OK; sweep++) {
        change = 0;
        for (int i = 0; i < s.count && status == HONE_OK; i++) status = equalize(&s.items[i], &change, err);
    }
    *groups = s.count;
    free_sets(&s);
    return status;
}
