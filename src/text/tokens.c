#include "text/tokens.h"

#include "base/utf8.h"
#include "text/tokenizer.h"

#include <stdio.h>

bool hone_token_decodes(const hone_tokenizer *t, enum hone_decoder_kind kind) {
    for (const hone_decoder *d = t->decoders; d; d = d->next)
        if (d->kind == kind) return true;
    return false;
}

bool hone_token_is_special(const hone_tokenizer *t, int32_t id) {
    return id >= 0 && (size_t)id < t->added.count && t->added.pieces[id].text && t->special[id];
}

bool hone_token_bytes(const hone_tokenizer *t, int32_t id, hone_bytes *out) {
    static const char mark[] = "\xe2\x96\x81";
    size_t size;
    unsigned byte;
    const char *piece = hone_tokenizer_piece(t, id, &size);
    out->size = 0;
    bool added = id >= 0 && (size_t)id < t->added.count && t->added.pieces[id].text;
    if (!piece || (added && t->special[id])) return true;
    if (!added && hone_token_decodes(t, HONE_DECODE_BYTES)) {
        for (const char *at = piece, *end = piece + size; at < end;) {
            int b = hone_character_byte(hone_utf8_decode(&at, end));
            char c = (char)b;
            if (b < 0) { /* no run of bytes */
                out->size = 0;
                return hone_bytes_add(out, piece, size);
            }
            if (!hone_bytes_add(out, &c, 1)) return false;
        }
        return true;
    }
    if (size == 6 && sscanf(piece, "<0x%2X>", &byte) == 1 && piece[5] == '>') {
        char c = (char)byte;
        return hone_bytes_add(out, &c, 1);
    }
    for (size_t at = 0; at < size;) {
        bool space = size - at >= 3 && memcmp(piece + at, mark, 3) == 0;
        if (!hone_bytes_add(out, space ? " " : piece + at, 1)) return false;
        at += space ? 3 : 1;
    }
    return true;
}
