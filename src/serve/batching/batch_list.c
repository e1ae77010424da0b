#include "serve/batching/batch_list.h"

#include <string.h>

enum { LOOK_AHEAD = 256 }; /* predictions that are looked at for one batch */
#define OWN_LEAST 0.5      /* of a batch: more than half of it is never padding */

void hone_batch_list_append(hone_batch_list *l, hone_prediction *p) {
    p->next = NULL;
    p->previous = l->last;
    *(l->last ? &l->last->next : &l->first) = p;
    l->last = p;
    l->count++;
    if (p->part.rows > 0) l->rows += p->part.rows;
}

void hone_batch_list_remove(hone_batch_list *l, hone_prediction *p) {
    *(p->previous ? &p->previous->next : &l->first) = p->next;
    *(p->next ? &p->next->previous : &l->last) = p->previous;
    l->count--;
    if (p->part.rows > 0) l->rows -= p->part.rows;
    p->next = p->previous = NULL;
}

hone_prediction *hone_batch_list_pop(hone_batch_list *l) {
    hone_prediction *p = l->first;
    hone_batch_list_remove(l, p);
    return p;
}

/* Those that run together so far. */
typedef struct group {
    const hone_prediction *head;
    int64_t rows;
    double own;  /* elements along padded dimensions, of all rows; without any: rows */
    double work; /* seconds, each row for itself */
    int64_t target[HONE_MAX_DIM_SETTINGS]; /* what they are padded to, if there are several */
} group;

/* Of so many rows, each with so many elements along padded dimensions. */
static double cost_of(const hone_bucket *b, double rows, double volume) {
    return hone_bucket_cost(b, b->volume > 0 ? rows * volume / b->volume : rows);
}

static void add(const hone_servable *s, group *g, const hone_part *p) {
    double volume = hone_part_volume(s, p->sizes), rows = (double)p->rows;
    g->rows += p->rows;
    g->own += rows * volume;
    g->work += rows * cost_of(p->bucket, 1, volume);
    for (int j = 0; j < s->settings.dim_count; j++)
        if (p->target[j] > g->target[j]) g->target[j] = p->target[j];
}

static group group_of(const hone_servable *s, const hone_prediction *head) {
    group g = {.head = head};
    add(s, &g, &head->part);
    return g;
}

/* Elements along padded dimensions of a row as it runs: alone it is not padded. */
static double volume_of(const hone_servable *s, const group *g) {
    return hone_part_volume(s, g->rows > g->head->part.rows ? g->target : g->head->part.sizes);
}

/* Work a second: as it will run, rows filled up to the next size. */
static double rate_of(const hone_servable *s, const group *g) {
    const hone_bucket *b = g->head->part.bucket;
    return g->work / cost_of(b, b->sizes[hone_bucket_size_index(b, g->rows)], volume_of(s, g));
}

/* … and if it could run with just its rows, whose number may still grow. */
static double smooth_rate_of(const hone_servable *s, const group *g) {
    return g->work / cost_of(g->head->part.bucket, (double)g->rows, volume_of(s, g));
}

/* Takes it into the group, if it may be. What makes padding has to be worth it. */
static bool join(const hone_servable *s, group *g, const hone_prediction *p) {
    const hone_part *part = &p->part;
    if (p->servable != s || part->rows <= 0 || p->alone) return false;
    if (g->rows + part->rows > hone_bucket_most(g->head->part.bucket)) return false;
    if (!hone_part_joins(s, &g->head->part, part)) return false;
    group now = *g;
    add(s, &now, part);
    double padded = (double)now.rows * hone_part_volume(s, now.target);
    if (now.own < OWN_LEAST * padded) return false;
    if (now.own < padded && smooth_rate_of(s, &now) < smooth_rate_of(s, g)) return false;
    *g = now;
    return true;
}

int64_t hone_batch_list_enough(const hone_servable *s, const hone_prediction *head) {
    return s->settings.preferred_count > 0 ? s->settings.preferred[0] : hone_bucket_most(head->part.bucket);
}

int hone_batch_list_choose(const hone_servable *s, const hone_batch_list *l) {
    const hone_prediction *head = l->first;
    int count = 1, best = 1, looked = 0;
    int64_t most = hone_bucket_most(head->part.bucket);
    if (head->part.rows < 0 || head->part.rows >= most || head->alone) return 1;
    group g = group_of(s, head);
    double rate = rate_of(s, &g);
    /* what waited for others runs with them, whatever was measured: what it leaves would wait again */
    int64_t told = s->settings.max_delay_us > 0 ? hone_batch_list_enough(s, head) : INT64_MAX;
    if (head->part.rows >= told) told = INT64_MAX;
    for (const hone_prediction *p = head->next; p && g.rows < most && looked < LOOK_AHEAD;
         p = p->next, looked++) {
        if (!join(s, &g, p)) continue;
        count++;
        double now = rate_of(s, &g);
        if (g.rows >= told)
            told = INT64_MAX;
        else if (now < rate)
            continue;
        rate = now;
        best = count;
    }
    return best;
}

void hone_batch_list_take(const hone_servable *s, hone_batch_list *from, int count, hone_batch_list *out) {
    hone_prediction *head = hone_batch_list_pop(from);
    group g = group_of(s, head);
    hone_batch_list_append(out, head);
    for (hone_prediction *p = from->first, *next; p && out->count < count; p = next) {
        next = p->next;
        if (!join(s, &g, p)) continue;
        hone_batch_list_remove(from, p);
        hone_batch_list_append(out, p);
    }
}
