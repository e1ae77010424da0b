/* Unigram: the way to part a text whose pieces are the most likely together (Kudo 2018, arXiv 1804.10959), found by
 * Viterbi's algorithm. */
#include "text/model.h"

#include "base/unicode.h"

#include <math.h>

typedef struct hone_viterbi {
    double score;
    size_t from; /* where the last piece begins */
    int32_t id;
} hone_viterbi;

#define UNKNOWN_PENALTY 10.0 /* below the least likely piece */

static void offer(hone_viterbi *to, double score, size_t from, int32_t id) {
    if (score > to->score) *to = (hone_viterbi){score, from, id};
}

static void offer_pieces(const hone_token_model *m, hone_viterbi *best, const char *text, size_t size,
                         size_t at) {
    const char *next = text + at;
    hone_utf8_decode(&next, text + size);
    size_t one = (size_t)(next - text);
    bool single = false;
    for (size_t end = at + 1; end <= size && end - at <= m->pieces.longest; end++) {
        if (end < size && (text[end] & 0xC0) == 0x80) continue;
        int32_t id = hone_vocabulary_find(&m->pieces, text + at, end - at);
        if (id == HONE_NO_ID) continue;
        single = single || end == one;
        offer(&best[end], best[at].score + m->scores[id], at, id);
    }
    if (!single) offer(&best[one], best[at].score + m->least - UNKNOWN_PENALTY, at, HONE_NO_ID);
}

/* An unknown part becomes its bytes where the vocabulary has them, else one id for all that is unknown in a row. */
static bool add_part(const hone_token_model *m, const char *text, size_t size, bool *after_unknown,
                     hone_ids *out) {
    bool bytes = m->byte_fallback, before = *after_unknown;
    *after_unknown = false;
    for (size_t i = 0; i < size && bytes; i++) bytes = m->bytes[(unsigned char)text[i]] != HONE_NO_ID;
    for (size_t i = 0; i < size && bytes; i++)
        if (!hone_ids_add(out, m->bytes[(unsigned char)text[i]])) return false;
    if (bytes) return true;
    *after_unknown = true;
    return before || m->unknown == HONE_NO_ID || hone_ids_add(out, m->unknown);
}

hone_status hone_unigram_encode(const hone_token_model *m, hone_model_scratch *s, const char *text,
                                size_t size, hone_ids *out, hone_error *err) {
    if (s->best_capacity <= size && !hone_reserve(&s->best, &s->best_capacity, size + 1, sizeof *s->best))
        return hone_fail_memory(err);
    for (size_t i = 0; i <= size; i++) s->best[i] = (hone_viterbi){-INFINITY, 0, HONE_NO_ID};
    s->best[0].score = 0;
    for (size_t at = 0; at < size; at++)
        if (isfinite(s->best[at].score)) offer_pieces(m, s->best, text, size, at);
    /* back from the end; the path lies backwards in from/id */
    s->path.count = 0;
    for (size_t at = size; at > 0; at = s->best[at].from)
        if (!hone_ids_add(&s->path, (int32_t)at)) return hone_fail_memory(err);
    bool after_unknown = false, good = true;
    for (size_t i = s->path.count; i-- > 0 && good;) {
        const hone_viterbi *v = &s->best[s->path.items[i]];
        if (v->id != HONE_NO_ID) after_unknown = false;
        good = v->id != HONE_NO_ID
                   ? hone_ids_add(out, v->id)
                   : add_part(m, text + v->from, (size_t)s->path.items[i] - v->from, &after_unknown, out);
    }
    return good ? HONE_OK : hone_fail_memory(err);
}
