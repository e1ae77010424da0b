#include "serve/request/request.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "serve/format/json_write.h"

#include <stdio.h>

enum { KEEP_BODY = 256 << 10, KEEP_TEXT = 4 << 10, POOLED = 256, WITH_BODY = 16 };
#define OWN_FROM ((size_t)64 << 10) /* bytes from which it is worth handing a buffer over */
#define LOOK_EVERY (5 * HONE_MILLISECOND)

hone_request *hone_request_new(hone_request **pool) {
    hone_request *r = pool ? *pool : NULL;
    if (r)
        *pool = r->next;
    else
        r = hone_calloc(1, sizeof *r);
    if (!r) return NULL;
    atomic_init(&r->references, 1);
    atomic_init(&r->cancelled, false);
    r->sink = NULL;
    r->endpoint = NULL;
    r->stream = NULL;
    r->pool = pool;
    r->next = NULL;
    r->started = r->received = r->deadline = r->next_look = 0;
    r->due = (hone_due){0};
    r->timed = r->bad_timeout = false;
    r->body_most = SIZE_MAX;
    r->counted = NULL;
    r->begun = r->ended = false;
    r->status = 0;
    r->more = NULL;
    r->packer = NULL;
    r->reader = NULL;
    r->whole = false;
    r->quit = NULL;
    r->work = NULL;
    r->resume = NULL;
    r->producer = NULL;
    r->write_error = NULL;
    r->method = HONE_METHOD_OTHER;
    r->model = NULL;
    r->bytes_in = r->bytes_out = 0;
    memset(r->stages, 0, sizeof r->stages);
    r->rows = 0;
    r->grpc_status = -1;
    r->id = (hone_slice){"", 0};
    r->trace = (hone_trace){0};
    return r;
}

hone_request *hone_request_retain(hone_request *r) {
    atomic_fetch_add_explicit(&r->references, 1, memory_order_relaxed);
    return r;
}

void hone_request_set_model(hone_request *r, hone_model_stats *model) {
    hone_model_stats *before = r->model;
    r->model = hone_model_stats_retain(model);
    hone_model_stats_release(before);
}

static void free_request(hone_request *r) {
    hone_buffer_free(&r->text);
    hone_buffer_free(&r->body);
    hone_buffer_free(&r->fields);
    hone_buffer_free(&r->trailers);
    hone_buffer_free(&r->error);
    hone_free(r);
}

void hone_request_uncount(hone_request *r) {
    if (r->counted) atomic_fetch_sub_explicit(r->counted, 1, memory_order_relaxed);
    r->counted = NULL;
}

void hone_request_release(hone_request *r) {
    if (!r || atomic_fetch_sub_explicit(&r->references, 1, memory_order_acq_rel) != 1) return;
    hone_deadlines_remove(r);
    hone_model_stats_release(r->model);
    r->model = NULL;
    hone_budget_release(&r->share);
    hone_request_uncount(r);
    int depth = r->pool && *r->pool ? (*r->pool)->depth + 1 : 0;
    if (!r->pool || depth == POOLED) {
        free_request(r);
        return;
    }
    hone_buffer_clear(&r->text, KEEP_TEXT);
    hone_buffer_clear(&r->body, depth < WITH_BODY ? KEEP_BODY : KEEP_TEXT);
    hone_buffer_clear(&r->fields, KEEP_TEXT);
    hone_buffer_clear(&r->trailers, KEEP_TEXT);
    hone_buffer_clear(&r->error, KEEP_TEXT);
    r->depth = depth;
    r->next = *r->pool;
    *r->pool = r;
}

void hone_request_free_pool(hone_request **pool) {
    for (hone_request *r = *pool, *next; r; r = next) {
        next = r->next;
        free_request(r);
    }
    *pool = NULL;
}

static hone_slice keep(hone_buffer *b, hone_slice s) {
    const char *at = b->data + b->size;
    hone_buffer_put(b, s.data, s.size);
    return (hone_slice){at, s.size};
}

hone_status hone_request_set_head(hone_request *r, const hone_head *head) {
    size_t size = head->method.size + head->path.size + head->query.size;
    for (size_t i = 0; i < head->field_count; i++)
        size += head->fields[i].name.size + head->fields[i].value.size;
    if (!hone_buffer_reserve(&r->text, size + 1))
        return HONE_OUT_OF_MEMORY; /* so that it does not move below */
    r->head.method = keep(&r->text, head->method);
    r->head.path = keep(&r->text, head->path);
    r->head.query = keep(&r->text, head->query);
    r->head.content_length = head->content_length;
    r->head.keep_alive = head->keep_alive;
    r->head.expects_continue = head->expects_continue;
    r->head.chunked_answer = head->chunked_answer;
    r->head.field_count = head->field_count;
    for (size_t i = 0; i < head->field_count; i++) {
        r->head.fields[i].name = keep(&r->text, head->fields[i].name);
        r->head.fields[i].value = keep(&r->text, head->fields[i].value);
    }
    return HONE_OK;
}

void hone_request_take(hone_request *r, const void *data, size_t size) {
    r->bytes_in += size;
    hone_buffer_put(&r->body, data, size);
}

hone_status hone_request_end_body(hone_request *r) {
    if (!hone_buffer_reserve(&r->body, HONE_JSON_PAD)) return HONE_OUT_OF_MEMORY;
    memset(r->body.data + r->body.size, 0, HONE_JSON_PAD);
    r->whole = true;
    return HONE_OK;
}

void hone_request_cancel(hone_request *r) {
    atomic_store_explicit(&r->cancelled, true, memory_order_relaxed);
}

void hone_request_abandon(hone_request *r) {
    void (*quit)(hone_request *) = r->quit;
    hone_request_cancel(r);
    hone_deadlines_remove(r);
    r->quit = NULL;
    if (quit) quit(r);
}

bool hone_request_should_stop(void *request) {
    hone_request *r = request;
    if (atomic_load_explicit(&r->cancelled, memory_order_relaxed)) return true;
    uint64_t now = hone_now();
    if (r->deadline && now >= r->deadline) return true;
    if (now < r->next_look) return false;
    if (r->next_look && (!r->stream || r->sink->gone(r))) hone_request_cancel(r);
    r->next_look = now + LOOK_EVERY;
    return atomic_load_explicit(&r->cancelled, memory_order_relaxed);
}

hone_status hone_request_explain(hone_status status, hone_error *err) {
    switch (status) {
    case HONE_DEADLINE_EXCEEDED:
        return hone_fail(err, status, "The request took longer than the server allows");
    case HONE_CANCELLED: return hone_fail(err, status, "The request was cancelled");
    case HONE_UNAVAILABLE: return hone_fail(err, status, "The server is stopping");
    default: return hone_fail(err, status, "The prediction failed: %s", hone_status_name(status));
    }
}

hone_status hone_request_stopped(const hone_request *r, hone_error *err) {
    bool late = r->deadline && hone_now() >= r->deadline;
    return hone_request_explain(late ? HONE_DEADLINE_EXCEEDED : HONE_CANCELLED, err);
}

void hone_request_bring_forward(hone_request *r, uint64_t deadline) {
    if (!deadline || (r->deadline && r->deadline <= deadline)) return;
    r->deadline = deadline;
    if (r->due.wheel) hone_deadlines_put(r->due.wheel, r);
}

void hone_request_limit_time(hone_request *r, uint64_t timeout) {
    if (timeout) hone_request_bring_forward(r, r->started + timeout);
}

static void add_field(hone_buffer *fields, const char *name, const char *value) {
    hone_buffer_put(fields, name, strlen(name) + 1);
    hone_buffer_put(fields, value, strlen(value) + 1);
}

void hone_request_field(hone_request *r, const char *name, const char *value) {
    add_field(&r->fields, name, value);
}

void hone_request_trailer(hone_request *r, const char *name, const char *value) {
    add_field(&r->trailers, name, value);
}

bool hone_request_next_field(const hone_buffer *fields, size_t *at, const char **name, const char **value) {
    if (fields->failed || *at >= fields->size) return false;
    *name = fields->data + *at;
    *value = *name + strlen(*name) + 1;
    *at = (size_t)(*value - fields->data) + strlen(*value) + 1;
    return true;
}

void hone_request_begin(hone_request *r, int status, const char *content_type, int64_t length) {
    r->begun = true;
    r->status = status;
    if (r->stream) r->sink->begin(r, status, content_type, length);
}

bool hone_request_part(hone_request *r, const void *data, size_t size) {
    r->bytes_out += size;
    return r->stream ? r->sink->part(r, data, size) : true;
}

bool hone_request_part_of(hone_request *r, hone_buffer *data) {
    bool room = true;
    if (data->size < OWN_FROM || !r->stream || !r->sink->take) {
        room = hone_request_part(r, data->data, data->size);
    } else {
        r->bytes_out += data->size;
        room = r->sink->take(r, data);
    }
    data->size = 0;
    return room;
}

void hone_request_end(hone_request *r) {
    r->ended = true;
    hone_deadlines_remove(r);
    if (r->stream) r->sink->end(r);
}

void hone_request_answer(hone_request *r, int status, const char *content_type, const void *data,
                         size_t size) {
    if (r->stream && r->sink->whole) {
        hone_deadlines_remove(r);
        r->begun = r->ended = true;
        r->status = status;
        r->bytes_out += size;
        r->sink->whole(r, status, content_type, data, size);
        return;
    }
    hone_request_begin(r, status, content_type, (int64_t)size);
    hone_request_part(r, data, size);
    hone_request_end(r);
}

void hone_request_answer_of(hone_request *r, int status, const char *content_type, hone_buffer *data) {
    if (data->size < OWN_FROM) {
        hone_request_answer(r, status, content_type, data->data, data->size);
        data->size = 0;
        return;
    }
    hone_request_begin(r, status, content_type, (int64_t)data->size);
    hone_request_part_of(r, data);
    hone_request_end(r);
}

void hone_request_note_error(hone_request *r, const char *message) {
    hone_buffer_clear(&r->error, KEEP_TEXT);
    hone_buffer_text(&r->error, message);
}

void hone_request_join_trace(hone_request *r) {
    char parent[HONE_TRACEPARENT_SIZE], state[HONE_TRACESTATE_MOST + 1];
    if (!hone_trace_of(&r->head, &r->trace)) return;
    hone_trace_write(&r->trace, parent);
    hone_request_field(r, "traceparent", parent);
    if (hone_trace_state(&r->head, state)) hone_request_field(r, "tracestate", state);
}

static void write_error(hone_buffer *out, int status, const char *message) {
    (void)status;
    hone_buffer_text(out, "{\n    \"error\": ");
    hone_json_write_string(out, message, strlen(message));
    hone_buffer_text(out, "\n}");
}

void hone_request_fail_with(hone_request *r, int status, const char *message, const hone_buffer *body,
                            int retry) {
    char seconds[16];
    hone_request_note_error(r, message);
    snprintf(seconds, sizeof seconds, "%d", retry);
    if (status == 429 || status == 503) hone_request_field(r, "retry-after", seconds);
    if (body->failed)
        hone_request_answer(r, 503, "application/json", "{}", 2);
    else
        hone_request_answer(r, status, "application/json", body->data, body->size);
}

void hone_request_fail(hone_request *r, int status, const char *message) {
    hone_buffer b = {0};
    (r->write_error ? r->write_error : write_error)(&b, status, message);
    hone_request_fail_with(r, status, message, &b, 1);
    hone_buffer_free(&b);
}

void hone_request_refuse_path(hone_request *r, int status) {
    char text[400];
    hone_slice path = r->head.path, method = r->head.method;
    snprintf(text, sizeof text, "%s: %.*s %.*s", status == 405 ? "Method not allowed" : "Not found",
             hone_slice_shown(method, 32), method.data, hone_slice_shown(path, 300), path.data);
    hone_request_fail(r, status, text);
}
