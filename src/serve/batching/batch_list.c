#include "serve/batching/batch_list.h"

enum { LOOK_AHEAD = 256 }; /* predictions that are looked at for one batch */

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

static bool same_shapes(const hone_prediction *a, const hone_prediction *b) {
    for (int i = 0; i < a->servable->input_count; i++) {
        const hone_tensor *s = a->inputs[i], *t = b->inputs[i];
        if (s->rank != t->rank) return false;
        for (int d = 1; d < s->rank; d++)
            if (s->dims[d] != t->dims[d]) return false;
    }
    return true;
}

static bool joins(const hone_servable *s, const hone_prediction *head, int64_t rows,
                  const hone_prediction *p) {
    return p->servable == s && p->part.rows > 0 && !p->alone &&
           rows + p->part.rows <= s->sizes[s->size_count - 1] && same_shapes(head, p);
}

int hone_batch_list_choose(const hone_servable *s, const hone_batch_list *l) {
    const hone_prediction *head = l->first;
    int64_t rows = head->part.rows, most = s->sizes[s->size_count - 1];
    int count = 1, best = 1, looked = 0;
    if (rows < 0 || rows >= most || head->alone) return 1;
    double rate = (double)rows / s->cost[hone_servable_size_index(s, rows)];
    for (const hone_prediction *p = head->next; p && rows < most && looked < LOOK_AHEAD;
         p = p->next, looked++) {
        if (!joins(s, head, rows, p)) continue;
        rows += p->part.rows;
        count++;
        double now = (double)rows / s->cost[hone_servable_size_index(s, rows)];
        if (now < rate) continue;
        rate = now;
        best = count;
    }
    return best;
}

void hone_batch_list_take(const hone_servable *s, hone_batch_list *from, int count, hone_batch_list *out) {
    hone_prediction *head = hone_batch_list_pop(from);
    hone_batch_list_append(out, head);
    int64_t rows = head->part.rows;
    for (hone_prediction *p = from->first, *next; p && out->count < count; p = next) {
        next = p->next;
        if (!joins(s, head, rows, p)) continue;
        rows += p->part.rows;
        hone_batch_list_remove(from, p);
        hone_batch_list_append(out, p);
    }
}
