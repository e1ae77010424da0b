/* SentencePiece's table of characters: what begins a text becomes another one, found in a double array (Aoe 1989) of units
 * of 32 bits, behind which the texts lie. */
#include "text/normalize.h"

#include <utf8proc.h>

enum { LONGEST = 6 /* bytes of a cluster that is looked up whole: fewer */ };

hone_status hone_charsmap_read(hone_arena *arena, const uint8_t *blob, size_t size, hone_charsmap *out,
                               hone_error *err) {
    uint32_t bytes = size >= 4 ? (uint32_t)blob[0] | (uint32_t)blob[1] << 8 | (uint32_t)blob[2] << 16 |
                                     (uint32_t)blob[3] << 24
                               : 0;
    if (size < 8 || bytes % 4 || bytes < 4 || bytes > size - 4)
        return hone_fail(err, HONE_CORRUPT, "normalizer: the table of characters is damaged");
    uint32_t *units = hone_arena_array(arena, bytes / 4, sizeof *units);
    char *texts = hone_arena_alloc(arena, size - 4 - bytes + 1);
    if (!units || !texts) return hone_fail_memory(err);
    for (size_t i = 0; i < bytes / 4; i++) {
        const uint8_t *u = blob + 4 + 4 * i;
        units[i] = (uint32_t)u[0] | (uint32_t)u[1] << 8 | (uint32_t)u[2] << 16 | (uint32_t)u[3] << 24;
    }
    memcpy(texts, blob + 4 + bytes, size - 4 - bytes);
    *out = (hone_charsmap){units, bytes / 4, texts, size - 4 - bytes};
    return HONE_OK;
}

/* --- base64 --- as tokenizer.json has it */

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

hone_status hone_charsmap_decode(hone_arena *arena, const char *text, size_t size, hone_charsmap *out,
                                 hone_error *err) {
    uint8_t *blob = hone_arena_alloc(arena, size / 4 * 3 + 4);
    uint32_t bits = 0;
    size_t n = 0, count = 0;
    if (!blob) return hone_fail_memory(err);
    while (size && text[size - 1] == '=') size--;
    for (size_t i = 0; i < size; i++) {
        const char *place = text[i] ? strchr(alphabet, text[i]) : NULL;
        if (!place) return hone_fail(err, HONE_CORRUPT, "normalizer: the table of characters is no base64");
        bits = bits << 6 | (uint32_t)(place - alphabet);
        count += 6;
        if (count < 8) continue;
        count -= 8;
        blob[n++] = (uint8_t)(bits >> count);
    }
    return hone_charsmap_read(arena, blob, n, out, err);
}

bool hone_charsmap_encode(const uint8_t *blob, size_t size, hone_bytes *out) {
    for (size_t i = 0; i < size; i += 3) {
        size_t left = size - i;
        uint32_t bits = (uint32_t)blob[i] << 16 | (left > 1 ? (uint32_t)blob[i + 1] << 8 : 0) |
                        (left > 2 ? blob[i + 2] : 0u);
        char four[4];
        for (int k = 0; k < 4; k++) four[k] = (size_t)k > left ? '=' : alphabet[bits >> (18 - 6 * k) & 63];
        if (!hone_bytes_add(out, four, 4)) return false;
    }
    return true;
}

/* --- looking up --- */

static size_t offset_of(uint32_t unit) {
    return (size_t)(unit >> 10) << ((unit & 1u << 9) >> 6);
}

/* What the shortest entry that the text begins with becomes; NULL: there is none. */
static const char *find(const hone_charsmap *m, const char *text, size_t size) {
    size_t at = offset_of(m->units[0]);
    for (size_t i = 0; i < size && text[i]; i++) {
        uint8_t c = (uint8_t)text[i];
        at ^= c;
        if (at >= m->count || (m->units[at] & (1u << 31 | 0xFF)) != c) return NULL;
        bool leaf = m->units[at] >> 8 & 1;
        at ^= offset_of(m->units[at]);
        if (!leaf) continue;
        size_t place = at < m->count ? m->units[at] & 0x7FFFFFFF : m->text_size;
        return place < m->text_size ? m->texts + place : NULL; /* a zero stands behind the last one */
    }
    return NULL;
}

static bool add_cluster(const hone_charsmap *m, const char *text, size_t size, hone_bytes *out) {
    const char *other = size < LONGEST ? find(m, text, size) : NULL;
    if (other) return hone_bytes_text(out, other);
    for (const char *at = text, *end = text + size; at < end;) {
        const char *c = at;
        hone_utf8_decode(&at, end);
        other = find(m, c, (size_t)(at - c));
        if (!(other ? hone_bytes_text(out, other) : hone_bytes_add(out, c, (size_t)(at - c)))) return false;
    }
    return true;
}

bool hone_charsmap_apply(const hone_charsmap *m, const char *text, size_t size, hone_bytes *out) {
    const char *end = text + size, *start = text;
    utf8proc_int32_t state = 0, before = -1;
    for (const char *at = text; at < end;) {
        const char *c = at;
        uint32_t code = hone_utf8_decode(&at, end);
        utf8proc_int32_t now = code < HONE_UNICODE_END ? (utf8proc_int32_t)code : 0xFFFD;
        if (before >= 0 && utf8proc_grapheme_break_stateful(before, now, &state)) {
            if (!add_cluster(m, start, (size_t)(c - start), out)) return false;
            start = c;
        }
        before = now;
    }
    return start == end || add_cluster(m, start, (size_t)(end - start), out);
}
