#include "serve/grpc/grpc_gzip.h"

#include "base/error.h"

enum { PREFIX = 5, KEEP_SCRATCH = 1 << 20 };

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

hone_status hone_grpc_unpack(hone_request *r, hone_error *err) {
    const uint8_t *p = (const uint8_t *)r->body.data;
    if (r->body.size == 0 || p[0] != 1) return HONE_OK;
    HONE_TRY(check_encoding(r, err));
    if (r->body.size < PREFIX || r->body.size - PREFIX < big_endian(p + 1)) return HONE_OK;
    hone_packer *packer = r->packer;
    hone_buffer *out = &packer->scratch;
    size_t packed = big_endian(p + 1);
    hone_buffer_clear(out, KEEP_SCRATCH);
    hone_buffer_put(out, (const char[PREFIX]){0}, PREFIX);
    HONE_TRY(hone_packer_unpack(packer, p + PREFIX, packed, out, err));
    size_t size = out->size - PREFIX, rest = r->body.size - PREFIX - packed;
    if (size > UINT32_MAX)
        return hone_fail(err, HONE_RESOURCE_EXHAUSTED, "The message unpacks to more than 4 GB");
    put_prefix(out->data, false, size);
    hone_buffer_put(out, p + PREFIX + packed, rest);
    hone_buffer_put(out, (const char[HONE_JSON_PAD]){0}, HONE_JSON_PAD);
    if (out->failed) return hone_fail_memory(err);
    out->size -= HONE_JSON_PAD;
    hone_buffer body = r->body;
    r->body = *out;
    *out = body;
    return hone_packer_keep(packer, r, r->body.size, err);
}

hone_buffer *hone_grpc_pack(hone_request *r, hone_buffer *out) {
    if (!speaks_gzip(r) || !hone_gzip_accepted(hone_head_field(&r->head, "grpc-accept-encoding"))) return out;
    hone_buffer *packed = hone_packer_pack(r->packer, out, PREFIX);
    if (!packed) return out;
    put_prefix(packed->data, true, packed->size - PREFIX);
    hone_request_field(r, "grpc-encoding", "gzip");
    return packed;
}
