/* Texts of ids that come one by one. The last ids are decoded again with each new one, for what a piece becomes may hang on
 * the one before it; what was said already is left out. */
#include "text/tokenizer.h"

#include "base/utf8.h"

enum { WINDOW = 16, LONGEST_WINDOW = 64, LONGEST_TAIL = 3 /* bytes of a character that is not whole */ };

struct hone_detokenizer {
    hone_encoder *encoder;
    bool special;
    hone_ids ids;    /* the window */
    hone_bytes said; /* of the window's text */
    hone_bytes out;
};

hone_status hone_detokenizer_new(const hone_tokenizer *t, bool special, hone_detokenizer **out,
                                 hone_error *err) {
    hone_detokenizer *d = hone_calloc(1, sizeof *d);
    if (!d) return hone_fail_memory(err);
    d->special = special;
    hone_status status = hone_encoder_new(t, &d->encoder, err);
    if (status == HONE_OK)
        *out = d;
    else
        hone_detokenizer_free(d);
    return status;
}

void hone_detokenizer_free(hone_detokenizer *d) {
    if (!d) return;
    hone_encoder_free(d->encoder);
    hone_free(d->ids.items);
    hone_bytes_free(&d->said);
    hone_bytes_free(&d->out);
    hone_free(d);
}

/* Bytes at the end that may become a character: such as begin one, or U+FFFD that stand for them one by one. */
static size_t tail_of(const char *text, size_t size) {
    size_t n = strlen(HONE_UTF8_REPLACEMENT), tail = 0;
    for (size_t k = 0; k < LONGEST_TAIL && size - tail >= n; k++) {
        if (memcmp(text + size - tail - n, HONE_UTF8_REPLACEMENT, n) != 0) break;
        tail += n;
    }
    if (tail) return tail;
    for (size_t k = 1; k <= LONGEST_TAIL && k <= size; k++) {
        unsigned char c = (unsigned char)text[size - k];
        if ((c & 0xC0) == 0x80) continue;
        size_t whole = c >= 0xF0 && c < 0xF5 ? 4 : c >= 0xE0 && c < 0xF0 ? 3 : c >= 0xC2 && c < 0xE0 ? 2 : 1;
        return whole > k ? k : 0;
    }
    return 0;
}

/* Adds text as UTF-8. */
static bool say(hone_detokenizer *d, const char *text, size_t size) {
    for (size_t at = 0; at < size;) {
        size_t n = hone_utf8_length(text + at, size - at);
        bool good =
            n ? hone_bytes_add(&d->out, text + at, n) : hone_bytes_text(&d->out, HONE_UTF8_REPLACEMENT);
        if (!good) return false;
        at += n ? n : hone_utf8_broken(text + at, size - at);
    }
    return true;
}

/* The window is the last id from now on, whose text was said. */
static hone_status shorten(hone_detokenizer *d, hone_error *err) {
    const char *text;
    size_t size;
    d->ids.items[0] = d->ids.items[d->ids.count - 1];
    d->ids.count = 1;
    HONE_TRY(hone_encoder_decode(d->encoder, d->ids.items, 1, d->special, &text, &size, err));
    d->said.size = 0;
    return hone_bytes_add(&d->said, text, size) ? HONE_OK : hone_fail_memory(err);
}

static hone_status go_on(hone_detokenizer *d, bool last, const char **out, size_t *out_size,
                         hone_error *err) {
    const char *text;
    size_t size, tail = 0;
    HONE_TRY(hone_encoder_decode(d->encoder, d->ids.items, d->ids.count, d->special, &text, &size, err));
    if (!last && d->ids.count < LONGEST_WINDOW) tail = tail_of(text, size);
    /* bytes by name are a text all together or not at all: half a character takes back those before it, for now */
    bool goes_on =
        size >= d->said.size && (d->said.size == 0 || memcmp(text, d->said.data, d->said.size) == 0);
    bool anyway = last || d->ids.count >= LONGEST_WINDOW;
    size_t end = size - tail;
    d->out.size = 0;
    if ((goes_on || anyway) && end > d->said.size) {
        size_t from = d->said.size;
        if (!say(d, text + from, end - from) || !hone_bytes_add(&d->said, text + from, end - from))
            return hone_fail_memory(err);
    }
    if (!hone_bytes_add(&d->out, "", 1)) return hone_fail_memory(err);
    *out = d->out.data;
    *out_size = d->out.size - 1;
    return ((goes_on && tail == 0 && d->ids.count >= WINDOW) || anyway) && !last ? shorten(d, err) : HONE_OK;
}

hone_status hone_detokenizer_feed(hone_detokenizer *d, int32_t id, const char **text, size_t *size,
                                  hone_error *err) {
    if (!hone_ids_add(&d->ids, id)) return hone_fail_memory(err);
    return go_on(d, false, text, size, err);
}

hone_status hone_detokenizer_finish(hone_detokenizer *d, const char **text, size_t *size, hone_error *err) {
    hone_status status = go_on(d, true, text, size, err);
    d->ids.count = d->said.size = 0;
    return status;
}
