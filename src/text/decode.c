/* From pieces back to text. */
#include "text/tokenizer.h"

#include "base/utf8.h"

#include <stdio.h>

/* --- one piece each --- added to `out` */

static bool starts_with(const char *text, size_t size, const char *with) {
    size_t n = strlen(with);
    return size >= n && memcmp(text, with, n) == 0;
}

/* All of `what` in the last `size` bytes of b becomes `by`, which is no longer. */
static void replace_all(hone_bytes *b, size_t from, const char *what, const char *by) {
    size_t n = strlen(what), m = strlen(by), to = from;
    for (size_t at = from; at < b->size;) {
        if (n > 0 && b->size - at >= n && memcmp(b->data + at, what, n) == 0) {
            memcpy(b->data + to, by, m);
            to += m;
            at += n;
        } else {
            b->data[to++] = b->data[at++];
        }
    }
    b->size = to;
}

static void clean_up(hone_bytes *b, size_t from) {
    static const char *const changes[][2] = {
        {" .", "."},   {" ?", "?"},           {" !", "!"},   {" ,", ","},     {" ' ", "'"},   {" n't", "n't"},
        {" 'm", "'m"}, {" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++)
        replace_all(b, from, changes[i][0], changes[i][1]);
}

static bool decode_wordpiece(const hone_decoder *d, const char *text, size_t size, bool first,
                             hone_bytes *out) {
    size_t from = out->size, prefix = strlen(d->text);
    bool goes_on = !first && prefix > 0 && starts_with(text, size, d->text);
    bool good = first || goes_on || hone_bytes_add(out, " ", 1);
    good = good &&
           (goes_on ? hone_bytes_add(out, text + prefix, size - prefix) : hone_bytes_add(out, text, size));
    if (good && d->cleanup) clean_up(out, from);
    return good;
}

static bool decode_bytes(const char *text, size_t size, hone_bytes *out) {
    size_t from = out->size;
    for (const char *at = text, *end = text + size; at < end;) {
        int byte = hone_character_byte(hone_utf8_decode(&at, end));
        char c = (char)byte;
        if (byte < 0) { /* an added token is no run of bytes */
            out->size = from;
            return hone_bytes_add(out, text, size);
        }
        if (!hone_bytes_add(out, &c, 1)) return false;
    }
    return true;
}

static bool decode_suffix(const hone_decoder *d, const char *text, size_t size, bool last, hone_bytes *out) {
    size_t from = out->size;
    if (!hone_bytes_add(out, text, size)) return false;
    replace_all(out, from, d->text, *d->text && !last ? " " : "");
    return true;
}

static bool decode_metaspace(const hone_decoder *d, const char *text, size_t size, bool first,
                             hone_bytes *out) {
    size_t mark = strlen(d->text);
    for (size_t at = 0; at < size;) {
        bool space = mark > 0 && starts_with(text + at, size - at, d->text);
        bool kept = !space || !(first && d->prepend);
        if (kept && !hone_bytes_add(out, space ? " " : text + at, 1)) return false;
        at += space ? mark : 1;
    }
    return true;
}

static bool decode_strip(const hone_decoder *d, const char *text, size_t size, hone_bytes *out) {
    size_t mark = strlen(d->text);
    for (int i = 0; i < d->start && mark && starts_with(text, size, d->text); i++) {
        text += mark;
        size -= mark;
    }
    for (int i = 0; i < d->stop && mark && size >= mark && memcmp(text + size - mark, d->text, mark) == 0;
         i++)
        size -= mark;
    return hone_bytes_add(out, text, size);
}

/* --- bytes by name --- "<0xE2>" */

static int named_byte(const char *text, size_t size) {
    unsigned byte;
    char name[8] = "";
    if (size != 6 || memcmp(text, "<0x", 3) != 0 || text[5] != '>') return -1;
    memcpy(name, text + 3, 2);
    return sscanf(name, "%2x", &byte) == 1 && strspn(name, "0123456789abcdefABCDEF") == 2 ? (int)byte : -1;
}

/* Bytes in a row are one piece if they are UTF-8, else each stands for an unknown character. */
static bool close_bytes(hone_spans *out, size_t from) {
    size_t count = out->text.size - from;
    if (count == 0) return true;
    if (!hone_utf8_is_valid(out->text.data + from, count)) {
        out->text.size = from;
        for (size_t i = 0; i < count; i++)
            if (!hone_bytes_text(&out->text, HONE_UTF8_REPLACEMENT)) return false;
    }
    return hone_spans_add(out, (hone_span){from, out->text.size, false});
}

static bool decode_fallback(const hone_spans *in, hone_spans *out) {
    size_t open = 0;
    bool inside = false, good = true;
    for (size_t i = 0; i < in->count && good; i++) {
        const char *text = in->text.data + in->items[i].start;
        size_t size = in->items[i].end - in->items[i].start, from = out->text.size;
        int byte = named_byte(text, size);
        char c = (char)byte;
        if (byte >= 0) {
            if (!inside) open = from;
            inside = true;
            good = hone_bytes_add(&out->text, &c, 1);
            continue;
        }
        if (inside) good = close_bytes(out, open);
        inside = false;
        from = out->text.size;
        good = good && hone_bytes_add(&out->text, text, size) &&
               hone_spans_add(out, (hone_span){from, out->text.size, false});
    }
    return good && (!inside || close_bytes(out, open));
}

/* --- chains --- */

static hone_status decode_each(const hone_decoder *d, hone_matcher *m, const hone_spans *in, hone_spans *out,
                               hone_error *err) {
    for (size_t i = 0; i < in->count; i++) {
        const char *text = in->text.data + in->items[i].start;
        size_t size = in->items[i].end - in->items[i].start, from = out->text.size;
        bool good = true;
        switch (d->kind) {
        case HONE_DECODE_BYTES: good = decode_bytes(text, size, &out->text); break;
        case HONE_DECODE_WORDPIECE: good = decode_wordpiece(d, text, size, i == 0, &out->text); break;
        case HONE_DECODE_SUFFIX: good = decode_suffix(d, text, size, i + 1 == in->count, &out->text); break;
        case HONE_DECODE_REPLACE:
            HONE_TRY(hone_normalize(&d->replace, m, text, size, &out->text, err));
            break;
        case HONE_DECODE_STRIP: good = decode_strip(d, text, size, &out->text); break;
        case HONE_DECODE_METASPACE: good = decode_metaspace(d, text, size, i == 0, &out->text); break;
        case HONE_DECODE_FALLBACK:
        case HONE_DECODE_FUSE: break;
        }
        if (!good || !hone_spans_add(out, (hone_span){from, out->text.size, false}))
            return hone_fail_memory(err);
    }
    return HONE_OK;
}

static bool fuse(const hone_spans *in, hone_spans *out) {
    for (size_t i = 0; i < in->count; i++)
        if (!hone_bytes_add(&out->text, in->text.data + in->items[i].start,
                            in->items[i].end - in->items[i].start))
            return false;
    return hone_spans_add(out, (hone_span){0, out->text.size, false});
}

hone_status hone_decode_all(const hone_decoder *d, hone_matcher *m, hone_spans **tokens, hone_spans **other,
                            hone_error *err) {
    for (; d; d = d->next) {
        hone_spans *in = *tokens, *out = *other;
        out->text.size = out->count = 0;
        bool good = true;
        if (d->kind == HONE_DECODE_FUSE)
            good = fuse(in, out);
        else if (d->kind == HONE_DECODE_FALLBACK)
            good = decode_fallback(in, out);
        else
            HONE_TRY(decode_each(d, m, in, out, err));
        if (!good) return hone_fail_memory(err);
        *tokens = out;
        *other = in;
    }
    return HONE_OK;
}
