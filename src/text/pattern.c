#include "text/pattern_inside.h"

#define BYTE_STEPS 4000 /* that a byte of text may cost, and */
#define TEXT_STEPS 1000000

/* Where matching goes on when what was tried first fails: at `step`, from `at` on; a loop's match may be shorter, down
 * to `low` (greedy), or longer (lazy: `low` is SIZE_MAX, `left` how many characters more). */
typedef struct hone_try {
    size_t step, at, low;
    int left;
    bool lazy;
} hone_try;

typedef struct match {
    const hone_pattern *p;
    hone_matcher *m;
    const char *text;
    size_t size;
    hone_error *err;
} match;

void hone_matcher_free(hone_matcher *m) {
    hone_free(m->tries);
    *m = (hone_matcher){NULL, 0, 0, 0};
}

void hone_matcher_begin(hone_matcher *m, size_t size) {
    m->count = 0;
    m->steps = TEXT_STEPS + (uint64_t)size * BYTE_STEPS;
}

static hone_status push(match *m, hone_try t) {
    hone_matcher *k = m->m;
    if (k->count == k->capacity && !hone_reserve(&k->tries, &k->capacity, k->count + 1, sizeof t))
        return hone_fail_memory(m->err);
    k->tries[k->count++] = t;
    return HONE_OK;
}

/* Is there a character of the set at *at? Goes behind it. */
static inline bool take(const match *m, const hone_charset *set, size_t *at) {
    if (*at >= m->size) return false;
    unsigned char first = (unsigned char)m->text[*at];
    if (first < 128) {
        if (!(set->ascii[first >> 6] >> (first & 63) & 1)) return false;
        ++*at;
        return true;
    }
    const char *next = m->text + *at;
    if (!hone_charset_has_wide(set, hone_utf8_decode(&next, m->text + m->size))) return false;
    *at = (size_t)(next - m->text);
    return true;
}

/* Where the character before `at` (> 0) begins. */
static size_t before(const match *m, size_t at) {
    const char *end = m->text + at;
    if ((unsigned char)end[-1] < 128) return at - 1;
    for (size_t k = 2; k <= 4 && k <= at; k++) {
        const char *next = end - k;
        if (hone_utf8_decode(&next, end) < HONE_UNICODE_END && next == end) return at - k;
    }
    return at - 1;
}

static bool is_behind(const match *m, const hone_charset *set, size_t at) {
    if (at == 0) return false;
    size_t from = before(m, at);
    return take(m, set, &from);
}

static bool is_edge(const match *m, size_t at) {
    size_t next = at;
    return is_behind(m, &m->p->word, at) != take(m, &m->p->word, &next);
}

/* A loop at *at: takes what it may and remembers what else it could have taken. False: too few. */
static hone_status loop(match *m, const pattern_step *s, size_t step, size_t *at, bool *matches) {
    int n = 0;
    size_t low = *at;
    for (; n < s->min; n++) {
        if (!(*matches = take(m, s->set, at))) return HONE_OK;
        low = *at;
    }
    *matches = true;
    int left = s->max < 0 ? INT32_MAX : s->max - n;
    if (s->greed == PATTERN_LAZY) return left ? push(m, (hone_try){step, *at, 0, left, true}) : HONE_OK;
    for (; left > 0 && take(m, s->set, at); left--) m->m->steps -= m->m->steps > 0;
    if (s->greed == PATTERN_POSSESSIVE || *at == low) return HONE_OK;
    return push(m, (hone_try){step + 1, *at, low, 0, false});
}

/* Takes up the last thing that was left to try, of those behind the first `base`. False: there is none. */
static bool retry(match *m, size_t base, size_t *step, size_t *at) {
    hone_matcher *k = m->m;
    while (k->count > base) {
        hone_try *t = &k->tries[k->count - 1];
        if (t->lazy) {
            const pattern_step *s = &m->p->steps[t->step];
            size_t next = t->at;
            if (!take(m, s->set, &next)) {
                k->count--;
                continue;
            }
            *step = t->step + 1;
            *at = t->at = next;
            if (--t->left == 0) k->count--;
            return true;
        }
        *step = t->step;
        if (t->at > t->low) {
            *at = t->at = before(m, t->at);
            if (t->at == t->low) k->count--;
        } else {
            *at = t->at;
            k->count--;
        }
        return true;
    }
    return false;
}

/* Runs from a step on until MATCH, whose place is `*end`. */
static hone_status run(match *m, size_t step, size_t at, bool *matches, size_t *end) {
    size_t base = m->m->count;
    for (;;) {
        const pattern_step *s = &m->p->steps[step];
        bool good = true, inner;
        size_t inner_end = 0;
        if (m->m->steps-- == 0)
            return hone_fail(m->err, HONE_RESOURCE_EXHAUSTED,
                             "the tokenizer's pattern takes too many steps on this text");
        switch (s->op) {
        case PATTERN_SET: good = take(m, s->set, &at); break;
        case PATTERN_LOOP: HONE_TRY(loop(m, s, step, &at, &good)); break;
        case PATTERN_SPLIT: HONE_TRY(push(m, (hone_try){s->other, at, at, 0, false})); break;
        case PATTERN_JUMP: break;
        case PATTERN_AHEAD:
        case PATTERN_ATOMIC:
            HONE_TRY(run(m, step + 1, at, &inner, &inner_end));
            good = inner != s->negated;
            if (good && s->op == PATTERN_ATOMIC) at = inner_end;
            break;
        case PATTERN_BEHIND: good = is_behind(m, s->set, at) != s->negated; break;
        case PATTERN_BEGIN: good = at == 0; break;
        case PATTERN_END: good = at == m->size; break;
        case PATTERN_LINE_BEGIN: good = at == 0 || m->text[at - 1] == '\n'; break;
        case PATTERN_LINE_END: good = at == m->size || m->text[at] == '\n'; break;
        case PATTERN_EDGE: good = is_edge(m, at) != s->negated; break;
        case PATTERN_MATCH:
            m->m->count = base;
            *matches = true;
            *end = at;
            return HONE_OK;
        }
        if (good)
            step = s->op == PATTERN_SPLIT || s->op == PATTERN_JUMP || s->op == PATTERN_AHEAD ||
                           s->op == PATTERN_ATOMIC
                       ? s->to
                       : step + 1;
        else if (!retry(m, base, &step, &at))
            break;
    }
    *matches = false;
    return HONE_OK;
}

hone_status hone_pattern_find(const hone_pattern *p, hone_matcher *matcher, const char *text, size_t size,
                              size_t at, size_t *start, size_t *end, hone_error *err) {
    match m = {p, matcher, text, size, err};
    const char *next = text + at;
    for (;; at = (size_t)(next - text)) {
        bool matches;
        HONE_TRY(run(&m, 0, at, &matches, end));
        *start = at;
        if (matches) return HONE_OK;
        if (at >= size) break;
        hone_utf8_decode(&next, text + size);
    }
    *start = HONE_PATTERN_NONE;
    return HONE_OK;
}
