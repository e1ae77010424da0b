/* What the tests of the API front ends share: a core with small models, a front end over it, and requests
 * that are answered into memory. */
#ifndef HONE_TESTS_SERVE_FRONTS_H
#define HONE_TESTS_SERVE_FRONTS_H

#include "base/memory.h"
#include "serve/api/front.h"
#include "serve/grpc/grpc.h"
#include "serve/models.h"
#include "serve/starting.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

typedef struct fixture {
    hone_stats *stats;
    hone_core *core;
    hone_front *front; /* of worker 0: &front is the list that services want */
    hone_grpc_table grpc;
    atomic_bool ready;
    hone_request *pool;
} fixture;

/* What came out of the sink. The body is terminated. */
typedef struct answer {
    int status, ends;
    int64_t length;
    char type[64];
    hone_buffer body, fields, trailers;
} answer;

static inline void answer_begin(hone_request *r, int status, const char *content_type, int64_t length) {
    answer *a = r->stream;
    a->status = status;
    a->length = length;
    snprintf(a->type, sizeof a->type, "%s", content_type ? content_type : "");
    hone_buffer_put(&a->fields, r->fields.data, r->fields.size);
}

static inline bool answer_part(hone_request *r, const void *data, size_t size) {
    hone_buffer_put(&((answer *)r->stream)->body, data, size);
    return true;
}

static inline void answer_end(hone_request *r) {
    answer *a = r->stream;
    hone_buffer_put(&a->trailers, r->trailers.data, r->trailers.size);
    a->ends++;
}

static inline bool answer_gone(hone_request *r) {
    (void)r;
    return false;
}

static const hone_sink answer_sink = {answer_begin, answer_part, answer_end, answer_gone};

static inline void answer_free(answer *a) {
    hone_buffer_free(&a->body);
    hone_buffer_free(&a->fields);
    hone_buffer_free(&a->trailers);
}

/* A field or trailer of an answer; "" if there is none. */
static inline const char *answer_field(const hone_buffer *fields, const char *name) {
    const char *n, *v;
    for (size_t at = 0; hone_request_next_field(fields, &at, &n, &v);)
        if (strcmp(n, name) == 0) return v;
    return "";
}

static inline void fixture_add(fixture *f, const char *name, int64_t version, hone_graph *g) {
    hone_error err = {0};
    assert_non_null(g);
    if (hone_core_add(f->core, name, version, g, &err) != HONE_OK) fail_msg("%s: %s", name, err.message);
    hone_graph_free(g);
}

static inline void fixture_open_with(fixture *f, hone_budget *budget) {
    hone_core_options c = HONE_CORE_OPTIONS_INIT;
    *f = (fixture){0};
    atomic_init(&f->ready, true);
    assert_int_equal(hone_stats_new(&f->stats, NULL), HONE_OK);
    assert_int_equal(hone_core_new(1, 1, f->stats, &f->core, NULL), HONE_OK);
    c.budget = budget;
    assert_int_equal(hone_core_configure(f->core, &c, NULL), HONE_OK);
    hone_front_options o = {.core = f->core,
                            .stats = f->stats,
                            .ready = &f->ready,
                            .body_limit = 1 << 20,
                            .budget = budget,
                            .gzip_from = 1024};
    assert_int_equal(hone_front_new(&o, &f->front, NULL), HONE_OK);
    fixture_add(f, "matrix", 1, matrix_model());
    fixture_add(f, "matrix", 3, matrix_model());
    fixture_add(f, "pair", 7, pair_model());
    fixture_add(f, "integer", 1, integer_model());
}

static inline void fixture_open(fixture *f) {
    fixture_open_with(f, NULL);
}

static inline void fixture_close(fixture *f) {
    hone_core_free(f->core);
    hone_front_free(f->front);
    hone_request_free_pool(&f->pool);
    hone_stats_free(f->stats);
}

static inline void fixture_wake(void *user) {
    (void)user;
}

/* From here on the core has a compute thread and answers later what is costly or of unknown cost. */
static inline void fixture_start(fixture *f) {
    assert_int_equal(start_core(f->core, NULL), HONE_OK);
    hone_core_attach(f->core, 0, &(hone_port){.wake = fixture_wake});
}

static inline hone_slice slice(const char *text) {
    return (hone_slice){text, strlen(text)};
}

typedef void handle_fn(fixture *f, hone_request *r);

/* Sends a request with fields "Name: value\n…" and waits for its answer. */
static inline answer fixture_send(fixture *f, handle_fn *handle, const char *method, const char *path,
                                  const char *fields, const void *body, size_t size) {
    answer a = {0};
    hone_request *r = hone_request_new(&f->pool);
    assert_non_null(r);
    hone_head head = {.method = slice(method), .path = slice(path), .query = slice(""), .content_length = -1};
    while (fields && *fields) {
        size_t name = strcspn(fields, ":"), line = strcspn(fields, "\n");
        head.fields[head.field_count++] = (hone_field){{fields, name}, {fields + name + 2, line - name - 2}};
        fields += line + (fields[line] == '\n');
    }
    assert_int_equal(hone_request_set_head(r, &head), HONE_OK);
    hone_buffer_put(&r->body, body, size);
    assert_int_equal(hone_request_end_body(r), HONE_OK);
    r->sink = &answer_sink;
    r->stream = &a;
    r->started = r->received = 1;
    handle(f, r);
    for (int i = 0; i < 200000 && a.ends == 0; i++) {
        hone_core_turn(f->core, 0);
        if (i > 1000) usleep(50);
    }
    hone_request_release(r);
    assert_int_equal(a.ends, 1);
    hone_buffer_byte(&a.body, 0);
    a.body.size--;
    return a;
}

/* --- gRPC --- */

static inline void handle_grpc(fixture *f, hone_request *r) {
    hone_grpc_dispatch(&f->grpc, 0, &f->front->packer, r);
}

/* Calls a method with more fields, and a message that is said to be packed or not; the answer's body is its
 * message without the prefix, *was_packed whether it is packed. */
static inline answer fixture_call_packed(fixture *f, const char *path, const char *more, bool packed,
                                         const void *message, size_t size, bool *was_packed) {
    hone_buffer body = {0};
    char fields[300];
    const uint8_t prefix[5] = {packed, (uint8_t)(size >> 24), (uint8_t)(size >> 16), (uint8_t)(size >> 8),
                               (uint8_t)size};
    hone_buffer_put(&body, prefix, sizeof prefix);
    hone_buffer_put(&body, message, size);
    snprintf(fields, sizeof fields, "content-type: application/grpc\nte: trailers\n%s", more);
    answer a = fixture_send(f, handle_grpc, "POST", path, fields, body.data, body.size);
    hone_buffer_free(&body);
    assert_int_equal(a.status, 200);
    *was_packed = a.body.size > 0 && a.body.data[0] == 1;
    if (a.body.size >= 5) {
        const uint8_t *p = (const uint8_t *)a.body.data;
        assert_int_equal((size_t)p[1] << 24 | (size_t)p[2] << 16 | (size_t)p[3] << 8 | p[4], a.body.size - 5);
        hone_buffer_drop(&a.body, 5);
    }
    return a;
}

/* Calls a method as most clients do; the answer's body is its message without the prefix. */
static inline answer fixture_call(fixture *f, const char *path, const void *message, size_t size) {
    bool packed;
    answer a = fixture_call_packed(f, path, "", false, message, size, &packed);
    assert_false(packed);
    return a;
}

/* Its grpc-status, which may be in the head where there is no message. */
static inline int answer_code(const answer *a) {
    const char *code = answer_field(&a->trailers, "grpc-status");
    return atoi(*code ? code : answer_field(&a->fields, "grpc-status"));
}

/* The same call again and again: once what it needs is there, nothing is allocated. */
static inline void check_allocates_nothing(fixture *f, const char *path, const hone_buffer *message) {
    uint64_t before = 0;
    answer a = {0};
    for (int i = 0; i < 200; i++) {
        if (i == 100) before = hone_alloc_count();
        hone_request *r = hone_request_new(&f->pool);
        const uint8_t prefix[5] = {0, 0, 0, 0, (uint8_t)message->size};
        hone_head head = {
            .method = slice("POST"), .path = slice(path), .query = slice(""), .content_length = -1};
        assert_int_equal(hone_request_set_head(r, &head), HONE_OK);
        hone_buffer_put(&r->body, prefix, 5);
        hone_buffer_put(&r->body, message->data, message->size);
        assert_int_equal(hone_request_end_body(r), HONE_OK);
        r->sink = &answer_sink;
        r->stream = &a;
        a.body.size = a.fields.size = a.trailers.size = 0;
        a.ends = 0;
        handle_grpc(f, r);
        assert_int_equal(a.ends, 1);
        assert_int_equal(answer_code(&a), 0);
        hone_request_release(r);
    }
    assert_int_equal(hone_alloc_count(), before);
    answer_free(&a);
}

static inline const char *answer_message(const answer *a) {
    const char *text = answer_field(&a->trailers, "grpc-message");
    return *text ? text : answer_field(&a->fields, "grpc-message");
}

#endif
