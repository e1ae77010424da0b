#include "text/normalize.h"

#include <stdlib.h>
#include <utf8proc.h>

static bool is_plain(unsigned char byte) {
    return (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
}

uint32_t hone_byte_character(unsigned char byte) {
    if (is_plain(byte)) return byte;
    return 256u + (byte < 33 ? byte : byte < 161 ? byte - 127u + 33 : 67);
}

int hone_character_byte(uint32_t c) {
    if (c < 256) return is_plain((unsigned char)c) ? (int)c : -1;
    if (c >= 256 + 68) return -1;
    uint32_t k = c - 256;
    return (int)(k < 33 ? k : k < 67 ? k + 127 - 33 : 173);
}

bool hone_add_byte_characters(hone_bytes *out, const char *text, size_t size) {
    if (!hone_reserve(&out->data, &out->capacity, out->size + 2 * size + 4, 1)) return false;
    char *to = out->data + out->size;
    for (size_t i = 0; i < size; i++) {
        uint32_t c = hone_byte_character((unsigned char)text[i]);
        if (c < 128) {
            *to++ = (char)c;
        } else {
            *to++ = (char)(0xC0 | c >> 6);
            *to++ = (char)(0x80 | (c & 63));
        }
    }
    out->size = (size_t)(to - out->data);
    return true;
}

static bool is_ascii(const char *text, size_t size) {
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)text[i] >= 128) return false;
    return true;
}

/* Bytes that are no UTF-8 stay as they are, what lies between them is brought into the form. */
static hone_status add_form(const hone_normalizer *n, const char *text, size_t size, hone_bytes *out,
                            hone_error *err) {
    const int options = UTF8PROC_STABLE | (n->compose ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE) |
                        (n->compatible ? UTF8PROC_COMPAT : 0);
    const char *end = text + size;
    while (text < end) {
        const char *at = text, *bad = end;
        while (at < end) {
            const char *here = at;
            if (hone_utf8_decode(&at, end) < HONE_UNICODE_END) continue;
            bad = here;
            break;
        }
        utf8proc_uint8_t *done = NULL;
        utf8proc_ssize_t length = 0;
        if (bad > text)
            length =
                utf8proc_map((const utf8proc_uint8_t *)text, bad - text, &done, (utf8proc_option_t)options);
        bool kept = length >= 0 && hone_bytes_add(out, done, (size_t)length);
        free(done);
        if (!kept || (bad < end && !hone_bytes_add(out, bad, 1))) return hone_fail_memory(err);
        text = bad < end ? bad + 1 : end;
    }
    return HONE_OK;
}

static bool add_character(hone_bytes *out, uint32_t c) {
    char text[4];
    return hone_bytes_add(out, text, hone_utf8_encode(c, text));
}

static bool is_ideograph(uint32_t c) {
    return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x20000 && c <= 0x2A6DF) ||
           (c >= 0x2A700 && c <= 0x2B73F) || (c >= 0x2B740 && c <= 0x2B81F) ||
           (c >= 0x2B920 && c <= 0x2CEAF) || (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

/* Rust's to_lowercase: U+0130 alone becomes two characters; a sigma at a word's end is not looked at. */
static bool add_lower(hone_bytes *out, uint32_t c) {
    if (c == 0x130) return hone_bytes_text(out, "i\xcc\x87");
    return add_character(out, hone_unicode_lower(c));
}

static bool add_changed(const hone_normalizer *n, hone_bytes *out, uint32_t c) {
    switch (n->kind) {
    case HONE_NORMALIZE_LOWERCASE: return add_lower(out, c);
    case HONE_NORMALIZE_STRIP_ACCENTS: return hone_charset_has(&n->set, c) || add_character(out, c);
    case HONE_NORMALIZE_CLEAN:
        if (c == 0 || c == 0xFFFD || hone_charset_has(&n->set, c)) return true;
        return add_character(out, hone_charset_has(&n->space, c) ? ' ' : c);
    case HONE_NORMALIZE_CHINESE:
        if (!is_ideograph(c)) return add_character(out, c);
        return hone_bytes_add(out, " ", 1) && add_character(out, c) && hone_bytes_add(out, " ", 1);
    default: return add_character(out, c);
    }
}

static hone_status replace(const hone_normalizer *n, hone_matcher *m, const char *text, size_t size,
                           hone_bytes *out, hone_error *err) {
    hone_matcher_begin(m, size);
    for (size_t at = 0, start, end; at < size; at = end) {
        HONE_TRY(hone_pattern_find(n->pattern, m, text, size, at, &start, &end, err));
        bool none = start == HONE_PATTERN_NONE;
        if (!hone_bytes_add(out, text + at, (none ? size : start) - at)) return hone_fail_memory(err);
        if (none) break;
        if (!hone_bytes_add(out, n->text, n->text_size)) return hone_fail_memory(err);
        if (end == start) { /* an empty match */
            if (!hone_bytes_add(out, text + start, start < size)) return hone_fail_memory(err);
            end = start + 1;
        }
    }
    return HONE_OK;
}

static void strip(const hone_normalizer *n, const char **text, size_t *size) {
    const char *end = *text + *size, *keep = *text;
    for (const char *at = *text; n->left && at < end; *text = at)
        if (!hone_charset_has(&n->space, hone_utf8_decode(&at, end))) break;
    keep = *text;
    for (const char *at = *text; n->right && at < end;)
        if (!hone_charset_has(&n->space, hone_utf8_decode(&at, end))) keep = at;
    *size = (size_t)((n->right ? keep : end) - *text);
}

hone_status hone_normalize(const hone_normalizer *n, hone_matcher *m, const char *text, size_t size,
                           hone_bytes *out, hone_error *err) {
    bool good = true;
    switch (n->kind) {
    case HONE_NORMALIZE_FORM:
        if (!is_ascii(text, size)) return add_form(n, text, size, out, err);
        good = hone_bytes_add(out, text, size);
        break;
    case HONE_NORMALIZE_REPLACE: return replace(n, m, text, size, out, err);
    case HONE_NORMALIZE_PREPEND:
        good = size == 0 || (hone_bytes_add(out, n->text, n->text_size) && hone_bytes_add(out, text, size));
        break;
    case HONE_NORMALIZE_CHARSMAP: good = hone_charsmap_apply(&n->charsmap, text, size, out); break;
    case HONE_NORMALIZE_BYTES: good = hone_add_byte_characters(out, text, size); break;
    case HONE_NORMALIZE_STRIP:
        strip(n, &text, &size);
        good = hone_bytes_add(out, text, size);
        break;
    default:
        for (const char *at = text, *end = text + size; at < end && good;)
            good = add_changed(n, out, hone_utf8_decode(&at, end));
    }
    return good ? HONE_OK : hone_fail_memory(err);
}
