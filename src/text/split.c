#include "text/split.h"

#include "text/normalize.h"

bool hone_spans_add(hone_spans *s, hone_span span) {
    if (s->count == s->capacity && !hone_reserve(&s->items, &s->capacity, s->count + 1, sizeof span))
        return false;
    s->items[s->count++] = span;
    return true;
}

void hone_spans_free(hone_spans *s) {
    hone_bytes_free(&s->text);
    hone_free(s->items);
    *s = (hone_spans){.count = 0};
}

/* Parts of one piece, in order: matches, and what lies between them. */
typedef struct parts {
    const hone_splitter *step;
    hone_spans *out;
    size_t base;  /* items of `out` that are other pieces' */
    bool matched; /* the part before was a match */
    bool begins;
} parts;

/* Adds the part [start, end), empty ones apart, as the behaviour says. */
static bool add_part(parts *p, size_t start, size_t end, bool is_match) {
    if (start == end) return true;
    is_match = is_match != p->step->invert;
    bool before = p->matched, there = p->out->count > p->base;
    hone_span span = {start, end, p->begins};
    p->matched = is_match;
    p->begins = false;
    switch (p->step->behavior) {
    case HONE_REMOVED: return is_match || hone_spans_add(p->out, span);
    case HONE_ISOLATED: return hone_spans_add(p->out, span);
    case HONE_CONTIGUOUS:
        if (!there || is_match != before) return hone_spans_add(p->out, span);
        break;
    case HONE_MERGED_WITH_PREVIOUS:
        if (!there || !is_match || before) return hone_spans_add(p->out, span);
        break;
    case HONE_MERGED_WITH_NEXT: /* of matches in a row the last one is merged */
        if (!there || is_match || !before) return hone_spans_add(p->out, span);
        break;
    }
    p->out->items[p->out->count - 1].end = end;
    return true;
}

static hone_status by_pattern(parts *p, hone_matcher *m, hone_span s, hone_error *err) {
    const char *text = p->out->text.data + s.start;
    size_t size = s.end - s.start, at = 0, done = 0;
    hone_matcher_begin(m, size);
    while (done < size) {
        size_t start, end;
        HONE_TRY(hone_pattern_find(p->step->pattern, m, text, size, at, &start, &end, err));
        if (start == HONE_PATTERN_NONE) break;
        if (start == end) { /* an empty match parts nothing */
            const char *next = text + end;
            if (end == size) break;
            hone_utf8_decode(&next, text + size);
            at = (size_t)(next - text);
            continue;
        }
        if (!add_part(p, s.start + done, s.start + start, false) ||
            !add_part(p, s.start + start, s.start + end, true))
            return hone_fail_memory(err);
        at = done = end;
    }
    return add_part(p, s.start + done, s.end, false) ? HONE_OK : hone_fail_memory(err);
}

static bool by_set(parts *p, hone_span s) {
    const char *text = p->out->text.data, *end = text + s.end;
    size_t done = s.start;
    for (const char *at = text + s.start; at < end;) {
        const char *from = at;
        if (!hone_charset_has(&p->step->set, hone_utf8_decode(&at, end))) continue;
        while (p->step->kind == HONE_SPLIT_RUNS && at < end) {
            const char *next = at;
            if (!hone_charset_has(&p->step->set, hone_utf8_decode(&next, end))) break;
            at = next;
        }
        if (!add_part(p, done, (size_t)(from - text), false) ||
            !add_part(p, (size_t)(from - text), (size_t)(at - text), true))
            return false;
        done = (size_t)(at - text);
    }
    return add_part(p, done, s.end, false);
}

/* Pieces with another text each, added behind what is there. */
static bool rewrite(const hone_splitter *step, const char *text, hone_span s, hone_spans *out) {
    hone_bytes *to = &out->text;
    const char *from = text + s.start;
    size_t size = s.end - s.start, start = to->size, mark = step->text ? strlen(step->text) : 0;
    bool good = true;
    if (step->kind == HONE_SPLIT_BYTES) {
        good = hone_add_byte_characters(to, from, size);
    } else if (step->kind == HONE_SPLIT_SPACE) {
        good = (size > 0 && *from == ' ') || hone_bytes_add(to, " ", 1);
        good = good && hone_bytes_add(to, from, size);
    } else {
        bool marked = size > 0 && (*from == ' ' || (size >= mark && memcmp(from, step->text, mark) == 0));
        if (step->prepend && !marked && (s.begins || !step->first_only))
            good = hone_bytes_add(to, step->text, mark);
        for (size_t i = 0; i < size && good; i++)
            good = from[i] == ' ' ? hone_bytes_add(to, step->text, mark) : hone_bytes_add(to, from + i, 1);
    }
    return good && hone_spans_add(out, (hone_span){start, to->size, s.begins});
}

hone_status hone_split(const hone_splitter *step, hone_matcher *m, const hone_spans *in, hone_spans *out,
                       hone_error *err) {
    bool rewrites = step->kind >= HONE_SPLIT_METASPACE;
    out->text.size = out->count = 0;
    if (!rewrites && !hone_bytes_add(&out->text, in->text.data, in->text.size)) return hone_fail_memory(err);
    for (size_t i = 0; i < in->count; i++) {
        hone_span s = in->items[i];
        parts p = {.step = step, .out = out, .base = out->count, .begins = s.begins};
        bool good = true;
        if (s.start == s.end) continue;
        if (rewrites)
            good = rewrite(step, in->text.data, s, out);
        else if (step->kind == HONE_SPLIT_PATTERN)
            HONE_TRY(by_pattern(&p, m, s, err));
        else
            good = by_set(&p, s);
        if (!good) return hone_fail_memory(err);
    }
    return HONE_OK;
}
