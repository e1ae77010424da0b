#include "serve/grpc/grpc_gzip.h"

#include "base/error.h"
#include "serve/grpc/grpc.h"

enum { PREFIX = HONE_GRPC_PREFIX };

static uint32_t big_endian(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void put_prefix(char *p, bool packed, size_t size) {
    p[0] = packed;
    p[1] = (char)(size >> 24);
    p[2] = (char)(size >> 16);
    p[3] = (char)(size >> 8);
    p[4] = (char)size;
}

static bool speaks_gzip(const hone_request *r) {
    return r->packer && hone_slice_equal(hone_head_field(&r->head, "grpc-encoding"), "gzip");
}

static hone_status check_encoding(hone_request *r, hone_error *err) {
    hone_slice encoding = hone_head_field(&r->head, "grpc-encoding");
    if (encoding.size == 0 || hone_slice_equal(encoding, "identity"))
        return hone_fail(err, HONE_INVALID_ARGUMENT,
                         "A message is packed, but grpc-encoding does not say how");
    if (speaks_gzip(r)) return HONE_OK;
    return hone_fail(err, HONE_UNSUPPORTED, "Messages may be packed with gzip, not with %.*s",
                     hone_slice_shown(encoding, 40), encoding.data);
}

bool hone_grpc_is_packed(const hone_request *r) {
    const uint8_t *p = (const uint8_t *)r->body.data;
    return r->body.size >= PREFIX && p[0] == 1 && r->body.size - PREFIX >= big_endian(p + 1);
}

bool hone_grpc_is_small(const hone_request *r) {
    const uint8_t *p = (const uint8_t *)r->body.data;
    return hone_packer_is_small(p + PREFIX, big_endian(p + 1));
}

hone_status hone_grpc_unpack(hone_request *r, hone_budget_room *room, hone_error *err) {
    const uint8_t *p = (const uint8_t *)r->body.data;
    HONE_TRY(check_encoding(r, err));
    hone_buffer out = {0};
    size_t packed = big_endian(p + 1), rest = r->body.size - PREFIX - packed;
    hone_buffer_put(&out, (const char[PREFIX]){0}, PREFIX);
    hone_status status = hone_packer_unpack(r->packer, p + PREFIX, packed, room, &out, err);
    size_t size = out.size - PREFIX;
    if (status == HONE_OK && size > UINT32_MAX)
        status = hone_fail(err, HONE_RESOURCE_EXHAUSTED, "The message unpacks to more than 4 GB");
    if (status == HONE_OK) {
        put_prefix(out.data, false, size);
        hone_buffer_put(&out, p + PREFIX + packed, rest);
        hone_buffer_put(&out, (const char[HONE_JSON_PAD]){0}, HONE_JSON_PAD);
        if (out.failed) status = hone_fail_memory(err);
    }
    if (status != HONE_OK) {
        hone_buffer_free(&out);
        return status;
    }
    out.size -= HONE_JSON_PAD;
    hone_buffer_free(&r->body);
    r->body = out;
    return HONE_OK;
}

bool hone_grpc_packs(const hone_request *r) {
    return speaks_gzip(r) && hone_gzip_accepted(hone_head_field(&r->head, "grpc-accept-encoding"));
}

void hone_grpc_mark_packed(hone_request *r, hone_buffer *message) {
    message->data[0] = 1;
    hone_request_field(r, "grpc-encoding", "gzip");
}
