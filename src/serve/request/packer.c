#include "serve/request/packer.h"

#include "base/error.h"

enum { MOST_HEAD = 16 };

void hone_packer_init(hone_packer *p, size_t limit, size_t from, hone_budget *budget) {
    *p = (hone_packer){.limit = limit, .from = from, .budget = budget};
    pthread_mutex_init(&p->lock, NULL);
}

void hone_packer_free(hone_packer *p) {
    for (int i = 0; i < p->spare_count; i++) hone_gzip_free(p->spare[i]);
    hone_buffer_free(&p->scratch);
    pthread_mutex_destroy(&p->lock);
}

static hone_gzip *borrow(hone_packer *p) {
    pthread_mutex_lock(&p->lock);
    hone_gzip *z = p->spare_count > 0 ? p->spare[--p->spare_count] : NULL;
    pthread_mutex_unlock(&p->lock);
    return z;
}

static void give_back(hone_packer *p, hone_gzip *z) {
    pthread_mutex_lock(&p->lock);
    bool kept = z && p->spare_count < HONE_PACKER_SPARE;
    if (kept) p->spare[p->spare_count++] = z;
    pthread_mutex_unlock(&p->lock);
    if (!kept) hone_gzip_free(z);
}

bool hone_packer_is_small(const void *data, size_t size) {
    return size <= HONE_PACKER_SMALL && hone_gzip_says(data, size) <= HONE_PACKER_SMALL;
}

hone_status hone_packer_unpack(hone_packer *p, const void *data, size_t size, hone_budget_room *room,
                               hone_buffer *out, hone_error *err) {
    hone_gzip *z = borrow(p);
    bool small = hone_packer_is_small(data, size);
    size_t limit = small && (!p->limit || p->limit > HONE_PACKER_SMALL) ? HONE_PACKER_SMALL : p->limit;
    room->is_body = true;
    out->room = &room->room;
    hone_status status = hone_gzip_unpack(&z, data, size, limit, out, err);
    if (status == HONE_OK && !hone_buffer_reserve(out, HONE_JSON_PAD)) status = hone_fail_memory(err);
    out->room = NULL;
    room->is_body = false;
    give_back(p, z);
    if (status == HONE_OUT_OF_MEMORY && room->refused)
        return hone_fail(err, HONE_UNAVAILABLE,
                         "There is no room for the unpacked body at this time (--body-budget)");
    if (status != HONE_OK) return status;
    memset(out->data + out->size, 0, HONE_JSON_PAD);
    hone_budget_room_cover(room); /* what it is decoded to; else that has to find room by itself */
    return HONE_OK;
}

bool hone_packer_pack(hone_packer *p, const hone_buffer *message, size_t head, hone_buffer *out) {
    static const char zeros[MOST_HEAD];
    if (!p->from || message->size - head < p->from) return false;
    hone_buffer_put(out, zeros, head);
    if (out->failed) return false;
    hone_gzip *z = borrow(p);
    bool packed = hone_gzip_pack(&z, message->data + head, message->size - head, out);
    give_back(p, z);
    return packed && out->size < message->size;
}
