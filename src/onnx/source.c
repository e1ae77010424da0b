#include "onnx/message.h"

#include "base/file.h"
#include "base/pool.h"

#include <pthread.h>
#include <string.h>

/* Raw data of this size or more are cut out. */
#define LARGE 4096
#define WINDOW ((size_t)64 << 10)
#define RAW_DATA 9

/* Stands for what is cut out: field 536870911, a fixed64, then the number of the piece. */
static const uint8_t mark[5] = {0xf9, 0xff, 0xff, 0xff, 0x0f};

/* The message without its large raw data. What breaks the format is kept as it is: the walk over the result says why
 * and where. */
typedef struct skim {
    hone_onnx_source *source;
    uint64_t at; /* the next byte to look at */
    const uint8_t *window;
    uint64_t window_at;
    size_t window_size;
    uint8_t *room; /* of a file's window */
    bool copying;  /* false: all so far is as in memory */
    uint8_t *out;
    size_t size, capacity;
    hone_status status;
    hone_error *err;
} skim;

static bool failed(skim *k, hone_status status) {
    if (k->status == HONE_OK) k->status = status;
    return k->status != HONE_OK;
}

/* --- bytes in --- */

static bool in_window(const skim *k, uint64_t at) {
    return at >= k->window_at && at - k->window_at < k->window_size;
}

static bool fill_window(skim *k) {
    uint64_t left = k->source->size - k->at;
    size_t size = left < WINDOW ? (size_t)left : WINDOW;
    if (failed(k, hone_file_read_at(k->source->fd, k->source->name, k->at, k->room, size, k->err)))
        return false;
    k->window = k->room;
    k->window_at = k->at;
    k->window_size = size;
    return true;
}

static bool number(skim *k, uint64_t end, uint64_t *out) {
    uint64_t x = 0;
    for (int shift = 0; shift < 64 && k->at < end; shift += 7) {
        if (!in_window(k, k->at) && !fill_window(k)) return false;
        uint8_t byte = k->window[k->at++ - k->window_at];
        x |= (uint64_t)(byte & 0x7f) << shift;
        if (byte >= 0x80) continue;
        *out = x;
        return true;
    }
    return false;
}

static bool skip(skim *k, uint64_t end, uint64_t size) {
    if (size > end - k->at) return false;
    k->at += size;
    return true;
}

/* --- bytes out --- */

static uint8_t *more(skim *k, size_t size) {
    if (k->status != HONE_OK) return NULL;
    if (!hone_reserve(&k->out, &k->capacity, k->size + size, 1)) {
        failed(k, hone_fail_memory(k->err));
        return NULL;
    }
    k->size += size;
    return k->out + k->size - size;
}

static void keep(skim *k, uint64_t from, uint64_t to) {
    if (!k->copying || from == to) return;
    size_t size = (size_t)(to - from);
    uint8_t *room = more(k, size);
    if (!room) return;
    if (in_window(k, from) && in_window(k, to - 1))
        memcpy(room, k->window + (from - k->window_at), size);
    else
        failed(k, hone_file_read_at(k->source->fd, k->source->name, from, room, size, k->err));
}

/* The field that begins at `start` and whose `size` bytes come next. */
static void cut(skim *k, uint64_t start, uint64_t size) {
    hone_onnx_source *s = k->source;
    if (!k->copying) {
        k->copying = true;
        keep(k, 0, start);
    }
    uint64_t index = s->piece_count;
    uint8_t *room = more(k, sizeof mark + 8);
    if (!room) return;
    if (!hone_reserve(&s->pieces, &s->piece_capacity, s->piece_count + 1, sizeof *s->pieces)) {
        failed(k, hone_fail_memory(k->err));
        return;
    }
    memcpy(room, mark, sizeof mark);
    for (int i = 0; i < 8; i++) room[sizeof mark + (size_t)i] = (uint8_t)(index >> (8 * i));
    s->pieces[s->piece_count++] = (hone_piece){.offset = k->at, .size = (size_t)size, .mark = k->size};
    k->at += size;
}

/* --- the walk --- */

static void skim_message(skim *k, const ProtobufCMessageDescriptor *type, uint64_t end, int depth);

/* A message inside of another. Its length keeps its width, however much is cut out. */
static void skim_inner(skim *k, const ProtobufCMessageDescriptor *type, uint64_t start, uint64_t size,
                       size_t width, int depth) {
    keep(k, start, k->at);
    size_t body = k->copying ? k->size : (size_t)k->at;
    skim_message(k, type, k->at + size, depth);
    if (k->status != HONE_OK || !k->copying) return;
    for (size_t i = 0, length = k->size - body; i < width; i++, length >>= 7)
        k->out[body - width + i] = (uint8_t)((length & 0x7f) | (i + 1 < width ? 0x80 : 0));
}

/* One field; false if it breaks the format. */
static bool skim_field(skim *k, const ProtobufCMessageDescriptor *type, uint64_t end, int depth) {
    uint64_t start = k->at, tag = 0, size = 0;
    bool sound = number(k, end, &tag) && tag <= UINT32_MAX;
    uint64_t behind = k->at;
    switch (sound ? (int)(tag & 7) : -1) {
    case PROTOBUF_C_WIRE_TYPE_VARINT: sound = number(k, end, &size); break;
    case PROTOBUF_C_WIRE_TYPE_64BIT: sound = skip(k, end, 8); break;
    case PROTOBUF_C_WIRE_TYPE_32BIT: sound = skip(k, end, 4); break;
    case PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED: {
        sound = number(k, end, &size) && size <= end - k->at;
        if (!sound) break;
        const ProtobufCFieldDescriptor *f =
            protobuf_c_message_descriptor_get_field(type, (unsigned)(tag >> 3));
        bool inner = f && f->type == PROTOBUF_C_TYPE_MESSAGE && depth < HONE_MESSAGE_MAX_DEPTH;
        if (size >= LARGE && f && f->id == RAW_DATA && type == &hone__onnx__tensor_proto__descriptor) {
            cut(k, start, size);
            return true;
        }
        if (size >= LARGE && inner) {
            skim_inner(k, f->descriptor, start, size, (size_t)(k->at - behind), depth + 1);
            return true;
        }
        k->at += size;
        break;
    }
    default: sound = false;
    }
    if (sound) keep(k, start, k->at);
    if (!sound) k->at = start;
    return sound;
}

static void skim_message(skim *k, const ProtobufCMessageDescriptor *type, uint64_t end, int depth) {
    while (k->status == HONE_OK && k->at < end && skim_field(k, type, end, depth)) continue;
    keep(k, k->at, end);
    k->at = end;
}

hone_status hone_onnx_source_skim(hone_onnx_source *s, const ProtobufCMessageDescriptor *type,
                                  hone_skeleton *out, hone_error *err) {
    skim k = {
        .source = s, .window = s->data, .window_size = (size_t)s->size, .copying = !s->data, .err = err};
    if (!s->data) {
        k.window_size = 0;
        k.room = hone_alloc(WINDOW);
        if (!k.room) return hone_fail_memory(err);
    }
    skim_message(&k, type, s->size, 0);
    hone_free(k.room);
    if (k.status != HONE_OK)
        hone_free(k.out);
    else if (k.copying)
        *out = (hone_skeleton){k.out, k.size, k.out};
    else
        *out = (hone_skeleton){s->data, (size_t)s->size, NULL};
    return k.status;
}

/* --- pieces --- */

bool hone_onnx_source_is_mark(const hone_onnx_source *s, uint64_t index, size_t end) {
    return index < s->piece_count && s->pieces[index].mark == end;
}

uint64_t hone_onnx_source_position(const hone_onnx_source *s, size_t at) {
    size_t low = 0, high = s->piece_count; /* pieces below `low` are cut out before `at` */
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (s->pieces[middle].mark <= at)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0) return at;
    const hone_piece *p = &s->pieces[low - 1];
    return p->offset + p->size + (at - p->mark);
}

hone_status hone_onnx_source_read(const hone_onnx_source *s, const hone_piece *p, void *data,
                                  hone_error *err) {
    if (!s->data) return hone_file_read_at(s->fd, s->name, p->offset, data, p->size, err);
    memcpy(data, s->data + p->offset, p->size);
    return HONE_OK;
}

/* --- all pieces at once --- */

#define CHUNK ((size_t)4 << 20)        /* that one thread reads at a time */
#define THREAD_BYTES ((size_t)8 << 20) /* that are worth a thread */

typedef struct chunk {
    const hone_piece *piece;
    size_t at, size;
} chunk;

typedef struct gathering {
    const hone_onnx_source *source;
    const chunk *chunks;
    pthread_mutex_t lock; /* guards what follows */
    hone_status status;
    hone_error *err;
} gathering;

static void read_chunk(void *arg, int64_t task, int worker) {
    (void)worker;
    gathering *g = arg;
    const chunk *c = &g->chunks[task];
    const hone_piece part = {.offset = c->piece->offset + c->at, .size = c->size};
    hone_error why = {0};
    hone_status status = hone_onnx_source_read(g->source, &part, (char *)c->piece->data + c->at, &why);
    if (status == HONE_OK) return;
    pthread_mutex_lock(&g->lock);
    if (g->status == HONE_OK && g->err) *g->err = why;
    g->status = status;
    pthread_mutex_unlock(&g->lock);
}

static hone_status read_chunks(const hone_onnx_source *s, const chunk *chunks, size_t count, size_t bytes,
                               hone_error *err) {
    const size_t most = bytes / THREAD_BYTES + 1, cpus = (size_t)hone_cpu_count();
    gathering g = {.source = s, .chunks = chunks, .err = err};
    hone_pool *pool = NULL;
    if (most > 1) HONE_TRY(hone_pool_new((int)(most < cpus ? most : cpus), &pool, err));
    pthread_mutex_init(&g.lock, NULL);
    hone_pool_run(pool, (int64_t)count, read_chunk, &g);
    pthread_mutex_destroy(&g.lock);
    hone_pool_free(pool);
    return g.status;
}

hone_status hone_onnx_source_gather(hone_onnx_source *s, hone_error *err) {
    size_t bytes = 0, count = 0, n = 0; /* of one source, so no sum overflows */
    for (size_t i = 0; i < s->piece_count; i++) {
        bytes += s->pieces[i].size;
        count += (s->pieces[i].size - 1) / CHUNK + 1;
    }
    if (s->piece_count < 2 || s->map) return HONE_OK;
    hone_bulk *bulk = hone_bulk_new(bytes, s->piece_count);
    chunk *chunks = bulk ? hone_alloc(count * sizeof *chunks) : NULL;
    for (size_t i = 0; i < s->piece_count && chunks; i++) {
        hone_piece *p = &s->pieces[i];
        p->data = hone_bulk_take(bulk, p->size, &p->part);
        for (size_t at = 0; at < p->size; at += CHUNK)
            chunks[n++] = (chunk){p, at, p->size - at < CHUNK ? p->size - at : CHUNK};
    }
    hone_bulk_free(bulk);
    hone_status status = chunks ? read_chunks(s, chunks, n, bytes, err) : HONE_OK;
    hone_free(chunks);
    return status;
}

void hone_onnx_source_clear(hone_onnx_source *s) {
    for (size_t i = 0; i < s->piece_count; i++)
        if (s->pieces[i].data) hone_bulk_part_free(s->pieces[i].part);
    hone_free(s->pieces);
    s->pieces = NULL;
    s->piece_count = s->piece_capacity = 0;
}
