#include "serve/request/packer.h"

#include "base/error.h"

enum { KEEP_SCRATCH = 1 << 20, MOST_HEAD = 16 };

void hone_packer_free(hone_packer *p) {
    hone_gzip_free(p->gzip);
    hone_buffer_free(&p->scratch);
}

hone_status hone_packer_unpack(hone_packer *p, const void *data, size_t size, hone_buffer *out,
                               hone_error *err) {
    HONE_TRY(hone_gzip_unpack(&p->gzip, data, size, p->limit, out, err));
    if (!hone_buffer_reserve(out, HONE_JSON_PAD)) return hone_fail_memory(err);
    memset(out->data + out->size, 0, HONE_JSON_PAD);
    return HONE_OK;
}

hone_status hone_packer_keep(hone_packer *p, hone_request *r, size_t total, hone_error *err) {
    if (hone_budget_charge(p->budget, &r->share, hone_budget_of_body(total))) return HONE_OK;
    return hone_fail(err, HONE_UNAVAILABLE, "There is no room for the unpacked body at this time");
}

hone_buffer *hone_packer_pack(hone_packer *p, const hone_buffer *message, size_t head) {
    static const char zeros[MOST_HEAD];
    if (!p->from || message->size - head < p->from) return NULL;
    hone_buffer_clear(&p->scratch, KEEP_SCRATCH);
    hone_buffer_put(&p->scratch, zeros, head);
    if (p->scratch.failed ||
        !hone_gzip_pack(&p->gzip, message->data + head, message->size - head, &p->scratch) ||
        p->scratch.size >= message->size)
        return NULL;
    return &p->scratch;
}
