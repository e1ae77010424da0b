#include "serve/grpc/grpc.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "serve/grpc/grpc_gzip.h"
#include "serve/request/verb.h"

#include <stdio.h>

enum { PREFIX = HONE_GRPC_PREFIX, KEEP_SCRATCH = 1 << 20 };

/* --- requests --- */

static uint32_t big_endian(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* The first message of `size` bytes; *whole false: it is not complete yet. */
static hone_status first_message(const uint8_t *data, size_t size, const uint8_t **message, size_t *length,
                                 bool *whole, hone_error *err) {
    *whole = false;
    if (size > 0 && data[0] > 1) return hone_fail(err, HONE_CORRUPT, "The message's prefix is malformed");
    if (size < PREFIX) return HONE_OK;
    *length = big_endian(data + 1);
    *message = data + PREFIX;
    *whole = size - PREFIX >= *length;
    return HONE_OK;
}

hone_status hone_grpc_message(const hone_request *r, const uint8_t **message, size_t *size, hone_error *err) {
    bool whole;
    HONE_TRY(first_message((const uint8_t *)r->body.data, r->body.size, message, size, &whole, err));
    if (!whole || r->body.size != PREFIX + *size || r->body.data[0] != 0)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "The call must have exactly one whole message");
    return HONE_OK;
}

hone_status hone_grpc_next_message(hone_request *r, const uint8_t **message, size_t *size, bool *whole,
                                   hone_error *err) {
    if (hone_grpc_is_packed(r)) {
        hone_budget_room room; /* what streams bring is small */
        hone_budget_room_open(&room, NULL);
        if (!hone_grpc_is_small(r))
            return hone_fail(err, HONE_RESOURCE_EXHAUSTED, "Packed messages of a stream have 64 KB at most");
        HONE_TRY(hone_grpc_unpack(r, &room, err));
    }
    return first_message((const uint8_t *)r->body.data, r->body.size, message, size, whole, err);
}

void hone_grpc_drop_message(hone_request *r, size_t size) {
    hone_buffer_drop(&r->body, PREFIX + size);
}

/* --- answers --- */

void hone_grpc_begin_message(hone_buffer *out) {
    static const char prefix[PREFIX];
    hone_buffer_put(out, prefix, PREFIX);
}

static bool end_message(hone_buffer *out) {
    if (out->failed || out->size < PREFIX || out->size - PREFIX > UINT32_MAX) return false;
    size_t n = out->size - PREFIX;
    out->data[1] = (char)(n >> 24);
    out->data[2] = (char)(n >> 16);
    out->data[3] = (char)(n >> 8);
    out->data[4] = (char)n;
    return true;
}

static void begin(hone_request *r) {
    hone_request_field(r, "grpc-accept-encoding", HONE_GRPC_ENCODINGS);
    hone_request_begin(r, 200, HONE_GRPC_CONTENT_TYPE, -1);
}

bool hone_grpc_send(hone_request *r, hone_buffer *out) {
    if (!end_message(out)) {
        hone_grpc_fail(r, HONE_GRPC_RESOURCE_EXHAUSTED, "Out of memory");
        return false;
    }
    if (!r->begun) begin(r);
    bool room = hone_request_part(r, out->data, out->size);
    out->size = 0;
    return room;
}

void hone_grpc_end(hone_request *r) {
    if (!r->begun) begin(r);
    r->grpc_status = HONE_GRPC_OK;
    hone_request_trailer(r, "grpc-status", "0");
    hone_request_end(r);
}

void hone_grpc_reply_as(hone_request *r, hone_buffer *out, bool packed) {
    if (!end_message(out)) {
        hone_grpc_fail(r, HONE_GRPC_RESOURCE_EXHAUSTED, "Out of memory");
        return;
    }
    if (packed) hone_grpc_mark_packed(r, out);
    begin(r);
    hone_request_part_of(r, out);
    hone_grpc_end(r);
}

void hone_grpc_reply(hone_request *r, hone_buffer *out) {
    hone_buffer *scratch = r->packer ? &r->packer->scratch : NULL;
    if (scratch) hone_buffer_clear(scratch, KEEP_SCRATCH);
    bool packed = !out->failed && hone_grpc_packs(r) && hone_packer_pack(r->packer, out, PREFIX, scratch);
    hone_grpc_reply_as(r, packed ? scratch : out, packed);
    out->size = 0;
}

/* --- services --- */

hone_status hone_grpc_register(hone_grpc_table *table, const hone_grpc_service *service, hone_error *err) {
    if (table->count == HONE_GRPC_SERVICES)
        return hone_fail(err, HONE_INTERNAL, "no room for the gRPC service %s", service->name);
    table->services[table->count++] = *service;
    return HONE_OK;
}

const hone_grpc_service *hone_grpc_find(const hone_grpc_table *table, hone_slice path, hone_slice *method) {
    if (path.size == 0 || path.data[0] != '/') return NULL;
    const char *name = path.data + 1, *slash = memchr(name, '/', path.size - 1);
    if (!slash) return NULL;
    *method = (hone_slice){slash + 1, (size_t)(path.data + path.size - slash - 1)};
    for (int i = 0; i < table->count; i++)
        if (hone_slice_equal((hone_slice){name, (size_t)(slash - name)}, table->services[i].name))
            return &table->services[i];
    return NULL;
}

bool hone_grpc_is_stream(const hone_grpc_table *table, const hone_request *r) {
    hone_slice method;
    const hone_grpc_service *service =
        hone_grpc_takes(r) ? hone_grpc_find(table, r->head.path, &method) : NULL;
    return service && service->streams;
}

void hone_grpc_unknown(hone_request *r) {
    char text[300];
    hone_slice path = r->head.path;
    snprintf(text, sizeof text, "There is no method %.*s here", hone_slice_shown(path, 200), path.data);
    hone_grpc_fail(r, HONE_GRPC_UNIMPLEMENTED, text);
}

/* --- packed calls --- */

typedef struct unpacking {
    const hone_grpc_table *table;
    int worker;
    hone_request *request;
    hone_budget_room room;
    bool ran;
    hone_status status;
    hone_error err;
} unpacking;

static void handle(const hone_grpc_table *table, int worker, hone_request *r) {
    hone_slice method;
    const hone_grpc_service *service = hone_grpc_find(table, r->head.path, &method);
    service->handle(service->user, worker, r, method);
}

static void unpack(void *arg) {
    unpacking *u = arg;
    u->ran = true;
    u->status = hone_grpc_unpack(u->request, &u->room, &u->err);
}

static void unpacked(void *arg) {
    unpacking *u = arg;
    hone_request *r = u->request;
    if (u->ran) hone_budget_move(&u->room.share, 0, &r->share);
    hone_budget_room_close(&u->room);
    if (r->ended || hone_request_is_cancelled(r)) {
        /* nobody waits for it */
    } else if (u->status != HONE_OK) {
        hone_grpc_fail_error(r, &u->err);
    } else {
        handle(u->table, u->worker, r);
    }
    hone_request_release(r);
    hone_free(u);
}

/* A large message is unpacked elsewhere. */
static void unpack_and_handle(const hone_grpc_table *table, int worker, hone_request *r) {
    unpacking *u = hone_calloc(1, sizeof *u);
    if (!u) {
        hone_grpc_fail(r, HONE_GRPC_RESOURCE_EXHAUSTED, "Out of memory");
        return;
    }
    u->table = table;
    u->worker = worker;
    u->request = hone_request_retain(r);
    hone_budget_room_open(&u->room, r->packer ? r->packer->budget : NULL);
    if (table->offload && r->packer && !hone_grpc_is_small(r)) {
        table->offload(table->user, worker, r, unpack, unpacked, u);
        return;
    }
    unpack(u);
    unpacked(u);
}

void hone_grpc_dispatch(const hone_grpc_table *table, int worker, hone_packer *packer, hone_request *r) {
    hone_slice method;
    const hone_grpc_service *service = hone_grpc_find(table, r->head.path, &method);
    r->packer = packer;
    if (!hone_request_takes(r, HONE_VERB_POST)) return;
    if (!service)
        hone_grpc_unknown(r);
    else if (!hone_request_take_timeout(r))
        hone_grpc_fail(r, HONE_GRPC_INVALID_ARGUMENT, "grpc-timeout is malformed");
    else if (r->deadline && hone_now() >= r->deadline)
        hone_grpc_fail(r, HONE_GRPC_DEADLINE_EXCEEDED, "The deadline has passed");
    else if (!service->streams && hone_grpc_is_packed(r))
        unpack_and_handle(table, worker, r);
    else
        service->handle(service->user, worker, r, method);
}
