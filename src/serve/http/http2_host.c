/* What the HTTP/2 connections of a loop share: limits, memory, nghttp2's options. */
#include "base/error.h"
#include "base/memory.h"
#include "serve/http/http2_stream.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ADDRESS_SANITIZER 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define ADDRESS_SANITIZER 1
#endif

/* ASan watches the bounds of whole blocks only. */
#ifdef ADDRESS_SANITIZER
#define PLAIN_MEMORY true
#else
#define PLAIN_MEMORY false
#endif

enum { DEFLATE_TABLE = 1024 /* few fields come again in answers */ };

static void *take_block(size_t size, void *host) {
    return hone_slab_alloc(&((hone_http2_host *)host)->slab, size);
}

static void give_block(void *block, void *host) {
    hone_slab_free(&((hone_http2_host *)host)->slab, block);
}

static void *take_zeroed(size_t count, size_t size, void *host) {
    size_t bytes;
    void *block = hone_mul_size(count, size, &bytes) ? take_block(bytes, host) : NULL;
    if (block) memset(block, 0, bytes);
    return block;
}

/* When nghttp2 1.52 can't grow its queue of streams that have data to send, it frees an item twice. So that
 * never fails: there is a block in reserve, and who finds none before it starts does not start. */
static size_t reserve_size(const hone_http2_host *host) {
    size_t queue = 2 * sizeof(void *) * (size_t)host->options.limits.streams;
    return queue < 4096 ? 4096 : queue;
}

bool hone_http2_keep_reserve(hone_http2_host *host) {
    if (!host->reserve) host->reserve = hone_slab_alloc(&host->slab, reserve_size(host));
    return host->reserve;
}

static void *resize_block(void *block, size_t size, void *user) {
    hone_http2_host *host = user;
    void *resized = hone_slab_realloc(&host->slab, block, size);
    if (resized || !host->reserve || size > reserve_size(host)) return resized;
    resized = host->reserve;
    host->reserve = NULL;
    hone_slab_move(&host->slab, resized, block);
    return resized;
}

static void set_defaults(hone_http2_limits *l) {
    if (!l->head_bytes) l->head_bytes = 16 << 10;
    if (!l->body_bytes) l->body_bytes = (size_t)64 << 20;
    if (!l->streams) l->streams = 128;
    if (!l->resets.burst) l->resets = (hone_http2_rate){500, 100};
    if (!l->control.burst) l->control = (hone_http2_rate){1000, 200};
}

static bool set_up(hone_http2_host *host) {
    if (nghttp2_session_callbacks_new(&host->callbacks) != 0 || nghttp2_option_new(&host->option) != 0)
        return false;
    hone_http2_set_callbacks(host->callbacks);
    nghttp2_option *o = host->option;
    const hone_http2_rate *resets = &host->options.limits.resets;
    nghttp2_option_set_no_auto_window_update(o, 1);
    nghttp2_option_set_no_closed_streams(o, 1);
    nghttp2_option_set_max_deflate_dynamic_table_size(o, DEFLATE_TABLE);
    /* Ours strikes first, with a better reason. */
    nghttp2_option_set_stream_reset_rate_limit(o, 2 * (uint64_t)resets->burst,
                                               2 * (uint64_t)resets->per_second);
    return hone_http2_keep_reserve(host);
}

hone_status hone_http2_host_new(const hone_http2_host_options *options, hone_http2_host **out,
                                hone_error *err) {
    hone_http2_host *host = hone_calloc(1, sizeof *host);
    if (!host) return hone_fail_memory(err);
    host->options = *options;
    set_defaults(&host->options.limits);
    host->slab.plain = options->plain_memory || PLAIN_MEMORY;
    host->memory = (nghttp2_mem){host, take_block, give_block, take_zeroed, resize_block};
    if (!set_up(host)) {
        hone_http2_host_free(host);
        return hone_fail_memory(err);
    }
    *out = host;
    return HONE_OK;
}

void hone_http2_host_free(hone_http2_host *host) {
    if (!host) return;
    for (hone_http2_stream *s = host->spare, *next; s; s = next) {
        next = s->next;
        hone_http2_free_stream(host, s);
    }
    nghttp2_session_callbacks_del(host->callbacks);
    nghttp2_option_del(host->option);
    hone_slab_free(&host->slab, host->reserve);
    hone_slab_destroy(&host->slab);
    hone_free(host);
}
