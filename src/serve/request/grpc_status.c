#include "serve/request/grpc_status.h"

#include "base/utf8.h"

#include <stdio.h>

enum { MAX_MESSAGE_TEXT = 1024 };

bool hone_grpc_takes(const hone_request *r) {
    hone_slice type = hone_head_field(&r->head, "content-type");
    size_t n = sizeof HONE_GRPC_CONTENT_TYPE - 1;
    if (type.size < n || !hone_slice_equal_nocase((hone_slice){type.data, n}, HONE_GRPC_CONTENT_TYPE))
        return false;
    return type.size == n || type.data[n] == '+' || type.data[n] == ';' || type.data[n] == ' ';
}

/* As gRPC writes status messages: printable ASCII but for '%', all else as %XX. So are spaces at the ends,
 * with which clients refuse fields. */
static void encode_text(char *out, size_t room, const char *text) {
    static const char hex[] = "0123456789ABCDEF";
    size_t n = 0, left = strlen(text), taken;
    for (const char *p = text; left > 0; p += taken, left -= taken) {
        size_t size = hone_utf8_length(p, left);
        const char *shown = size ? p : HONE_UTF8_REPLACEMENT;
        bool edge = *p == ' ' && (p == text || left == 1),
             plain = *p >= ' ' && *p <= '~' && *p != '%' && !edge;
        taken = size ? size : 1;
        if (!size) size = 3;
        if (n + (plain ? 1 : 3 * size) >= room) break;
        for (size_t i = 0; i < size; i++) {
            unsigned char c = (unsigned char)shown[i];
            out[n++] = plain ? (char)c : '%';
            if (plain) continue;
            out[n++] = hex[c >> 4];
            out[n++] = hex[c & 15];
        }
    }
    out[n] = 0;
}

void hone_grpc_fail(hone_request *r, hone_grpc_code code, const char *message) {
    char number[16], text[MAX_MESSAGE_TEXT];
    bool begun = r->begun;
    void (*add)(hone_request *, const char *, const char *) =
        begun ? hone_request_trailer : hone_request_field;
    r->grpc_status = (int)code;
    hone_request_note_error(r, message);
    snprintf(number, sizeof number, "%d", (int)code);
    encode_text(text, sizeof text, message);
    if (code == HONE_GRPC_UNIMPLEMENTED && !begun)
        hone_request_field(r, "grpc-accept-encoding", HONE_GRPC_ENCODINGS);
    add(r, "grpc-status", number);
    add(r, "grpc-message", text);
    if (!begun) hone_request_begin(r, 200, HONE_GRPC_CONTENT_TYPE, 0);
    r->status = hone_grpc_http_status(code);
    hone_request_end(r);
}

void hone_grpc_fail_error(hone_request *r, const hone_error *err) {
    hone_grpc_fail(r, hone_grpc_code_of(err->code), err->message);
}

void hone_request_expire(hone_request *r) {
    hone_error err;
    if (r->ended || !r->stream) return;
    hone_request_explain(HONE_DEADLINE_EXCEEDED, &err);
    hone_request_retain(r);
    if (!r->begun)
        hone_request_refuse(r, 504, err.message);
    else if (hone_grpc_takes(r))
        hone_grpc_fail_error(r, &err);
    hone_request_abandon(r);
    hone_request_release(r);
}

void hone_request_refuse(hone_request *r, int status, const char *message) {
    if (hone_grpc_takes(r))
        hone_grpc_fail(r, hone_grpc_code_of_http(status), message);
    else
        hone_request_fail(r, status, message);
}
