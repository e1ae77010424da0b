#include "serve/api/front.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"

#include <strings.h>

#define KEEP_ANSWER ((size_t)1 << 20)
#define KEEP_TENSOR ((size_t)1 << 20)
#define KEEP_BODY ((size_t)256 << 10)
#define KEEP_SMALL ((size_t)16 << 10)
#define KEPT_ID ((size_t)4 << 10)
/* Larger bodies are decoded on a compute thread: the worker has others to look after. */
#define OFFLOAD_FROM ((size_t)64 << 10)

/* Calls kept for the next requests; so many of them with the large buffers that they have, the others with
 * small ones only. */
enum { SPARE_CALLS = 256, WITH_BUFFERS = 16 };

hone_status hone_front_new(const hone_front_options *options, hone_front **out, hone_error *err) {
    hone_front *f = hone_calloc(1, sizeof *f);
    if (!f) return hone_fail_memory(err);
    f->o = *options;
    hone_packer_init(&f->packer, options->body_limit, options->gzip_from, options->budget);
    *out = f;
    return HONE_OK;
}

static void free_call(hone_call *c) {
    hone_tensors_free(&c->tensors);
    hone_buffer_free(&c->body);
    hone_buffer_free(&c->kept);
    hone_buffer_free(&c->answer);
    hone_buffer_free(&c->packed_answer);
    hone_free(c->wanted);
    hone_free(c);
}

void hone_front_free(hone_front *f) {
    if (!f) return;
    for (hone_call *c = f->calls, *next; c; c = next) {
        next = c->next;
        free_call(c);
    }
    hone_buffer_free(&f->answer);
    hone_packer_free(&f->packer);
    hone_free(f);
}

bool hone_front_is_ready(const hone_front *f) {
    return !f->o.ready || atomic_load(f->o.ready);
}

/* --- calls --- */

static hone_call *take_call(hone_front *f) {
    hone_call *c = f->calls;
    if (!c) return hone_calloc(1, sizeof *c);
    f->calls = c->next;
    f->spare--;
    return c;
}

static void give_call(hone_call *c) {
    hone_front *f = c->front;
    hone_request *r = c->request;
    hone_servable_release(c->servable);
    r->id = (hone_slice){"", 0}; /* its text may be the call's */
    r->quit = NULL;
    hone_request_release(r);
    c->servable = NULL;
    c->request = NULL;
    if (f->spare == SPARE_CALLS) {
        hone_budget_room_close(&c->room);
        free_call(c);
        return;
    }
    hone_tensors_trim(&c->tensors, f->spare < WITH_BUFFERS ? KEEP_TENSOR : KEEP_SMALL);
    hone_buffer_clear(&c->body, f->spare < WITH_BUFFERS ? KEEP_BODY : KEEP_SMALL);
    hone_buffer_clear(&c->answer, f->spare < WITH_BUFFERS ? KEEP_BODY : KEEP_SMALL);
    hone_buffer_clear(&c->packed_answer, f->spare < WITH_BUFFERS ? KEEP_BODY : KEEP_SMALL);
    hone_budget_room_close(&c->room);
    c->next = f->calls;
    f->calls = c;
    f->spare++;
}

static void took(hone_call *c, hone_stage stage, uint64_t ns) {
    hone_stats_stage(c->front->o.stats, stage, (double)ns * 1e-9);
    c->request->stages[stage] = ns;
}

/* What the batcher has counted. */
static void note_run(hone_call *c) {
    const hone_prediction *p = &c->prediction;
    hone_request *r = c->request;
    r->stages[HONE_STAGE_QUEUE] = p->queue_time;
    r->stages[HONE_STAGE_BATCH] = p->batch_time;
    r->stages[HONE_STAGE_COMPUTE] = p->compute_time;
    r->rows = p->batch_rows;
}

/* A request that stops because its time is over says so. */
static void fail_call(hone_call *c, hone_status status, hone_error *err) {
    hone_request *r = c->request;
    hone_tally_add(hone_model_stats_tally(hone_servable_stats(c->servable)), HONE_TALLY_FAIL,
                   hone_now() - c->began);
    if (status == HONE_CANCELLED && r->deadline && hone_now() >= r->deadline)
        hone_fail(err, HONE_DEADLINE_EXCEEDED, "The request took longer than the server allows");
    else
        err->code = status;
    if (!r->ended && c->tensors.too_large && c->api->http)
        hone_request_fail(r, 413, err->message);
    else if (!r->ended)
        c->api->fail(r, err);
    give_call(c);
}

/* Does somebody still wait for the answer? If not, the call is over. */
static bool is_wanted(hone_call *c) {
    hone_request *r = c->request;
    hone_error err;
    if (!r->ended && !hone_request_is_cancelled(r)) return true;
    fail_call(c, hone_request_stopped(r, &err), &err);
    return false;
}

/* Has a compute thread decode it: it waits for that as others wait to be computed. */
static void offload(hone_call *c) {
    hone_model_stats_queue(hone_servable_stats(c->servable), 1);
    hone_core_offload(c->front->o.core, &c->work);
}

/* Nobody does: gives up what no thread works on yet. */
static void quit(hone_request *r) {
    hone_call *c = r->work;
    hone_core *core = c->front->o.core;
    hone_model_stats *stats = hone_servable_stats(c->servable);
    hone_error err;
    if (c->submitted) {
        hone_core_withdraw(core, &c->prediction);
    } else if (hone_core_withdraw_work(core, &c->work)) {
        hone_status status = hone_request_stopped(r, &err);
        hone_model_stats_queue(stats, -1);
        hone_model_stats_dropped(stats, status);
        fail_call(c, status, &err);
    }
}

static void tally(const hone_call *c, uint64_t end) {
    const hone_prediction *p = &c->prediction;
    hone_tally *t = hone_model_stats_tally(hone_servable_stats(c->servable));
    struct timespec now;
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    hone_tally_add(t, HONE_TALLY_SUCCESS, end - c->began);
    hone_tally_add(t, HONE_TALLY_INPUT, c->decoded - c->began);
    hone_tally_add(t, HONE_TALLY_QUEUE, p->queue_time);
    hone_tally_add(t, HONE_TALLY_INFER, p->compute_time);
    hone_tally_add(t, HONE_TALLY_OUTPUT, c->encoding);
    atomic_fetch_add_explicit(&t->rows, p->part.rows > 0 ? (uint64_t)p->part.rows : 1, memory_order_relaxed);
    if (p->part.offset == 0) atomic_fetch_add_explicit(&t->runs, 1, memory_order_relaxed);
    atomic_store_explicit(&t->last, (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000,
                          memory_order_relaxed);
}

/* Gives back what a large request was decoded from and to, but for the text of its id. */
static void drop_inputs(hone_call *c) {
    hone_buffer *body = &c->request->body;
    if (body->capacity > KEEP_BODY || c->body.capacity > KEEP_BODY) {
        c->kept.size = 0;
        hone_buffer_put(&c->kept, c->id.data, c->id.size < KEPT_ID ? c->id.size : KEPT_ID);
        c->id = (hone_slice){c->kept.data ? c->kept.data : "", c->kept.size};
    }
    hone_buffer_clear(body, KEEP_BODY);
    hone_buffer_clear(&c->body, KEEP_BODY);
    hone_tensors_trim(&c->tensors, KEEP_TENSOR);
    hone_budget_room_shrink(&c->room, c->answer.capacity + c->packed_answer.capacity);
}

static hone_buffer *answer_of(hone_call *c) {
    return c->prediction.here ? &c->front->answer : &c->answer;
}

/* What finds no room packed goes as it is. */
static void pack(hone_call *c, hone_buffer *out) {
    hone_buffer *packed = &c->packed_answer;
    hone_buffer_clear(packed, KEEP_ANSWER);
    packed->room = &c->room.room;
    bool good = hone_packer_pack(&c->front->packer, out, c->api->head, packed);
    packed->room = NULL;
    hone_buffer_clear(good ? out : packed, KEEP_ANSWER);
}

/* On the thread that has run it. */
static hone_status take(hone_prediction *p, const hone_tensor *const *outputs, hone_error *err) {
    hone_call *c = p->user;
    hone_buffer *out = answer_of(c);
    uint64_t start = hone_now();
    if (hone_request_is_cancelled(c->request)) return HONE_CANCELLED;
    hone_buffer_clear(out, KEEP_ANSWER);
    out->room = &c->room.room;
    c->outputs = outputs;
    hone_status status = c->api->encode(c, out, err);
    c->outputs = NULL;
    out->room = NULL;
    if (out->failed)
        status = c->room.refused
                     ? hone_fail(err, HONE_RESOURCE_EXHAUSTED,
                                 "There is no room for the answer at this time: it takes more than "
                                 "%zu bytes (--body-budget)",
                                 out->size)
                     : hone_fail_memory(err);
    if (status == HONE_OK && c->packs) pack(c, out);
    if (!p->here) drop_inputs(c);
    c->encoding = hone_now() - start;
    return status;
}

static void predicted(hone_prediction *p, hone_status status) {
    hone_call *c = p->user;
    hone_request *r = c->request;
    note_run(c);
    hone_budget_reduce(&r->share, r->body.size);
    r->id = c->id;
    if (status != HONE_OK) {
        fail_call(c, status, &c->err);
        return;
    }
    if (!is_wanted(c)) return;
    took(c, HONE_STAGE_SERIALIZE, c->encoding);
    tally(c, hone_now());
    /* What the client does not take at once stays covered. */
    hone_budget_move(&c->room.share, 0, &r->share);
    bool packed = c->packed_answer.size > 0;
    c->api->reply(c, packed ? &c->packed_answer : answer_of(c), packed);
    give_call(c);
}

/* What is wrong about the coding of a body is a matter of HTTP. */
static void refuse_body(hone_call *c, hone_status status, const hone_error *err) {
    int code = status == HONE_UNSUPPORTED                                   ? 415
               : status == HONE_RESOURCE_EXHAUSTED                          ? 413
               : status == HONE_OUT_OF_MEMORY || status == HONE_UNAVAILABLE ? 503
                                                                            : 400;
    hone_request_fail(c->request, code, err->message);
    give_call(c);
}

static void submit(hone_call *c) {
    took(c, HONE_STAGE_DECODE, c->decoded - c->began);
    c->request->id = c->id;
    if (!is_wanted(c)) return;
    if (c->bad_body) {
        refuse_body(c, c->status, &c->err);
        return;
    }
    if (c->status != HONE_OK) {
        fail_call(c, c->status, &c->err);
        return;
    }
    hone_request_limit_time(c->request, c->timeout);
    c->prediction = (hone_prediction){.servable = c->servable,
                                      .request = c->request,
                                      .inputs = c->tensors.inputs,
                                      .worker = c->front->o.worker,
                                      .take = take,
                                      .done = predicted,
                                      .err = &c->err,
                                      .user = c};
    c->submitted = true;
    hone_core_submit(c->front->o.core, &c->prediction);
}

static void decode(hone_work *w) {
    hone_call *c = w->user;
    c->decoded = hone_now();
    if (hone_request_is_cancelled(c->request)) return;
    if (c->packed) {
        const hone_buffer *body = &c->request->body;
        c->status =
            hone_packer_unpack(&c->front->packer, body->data, body->size, &c->room, &c->body, &c->err);
        c->bad_body = c->status != HONE_OK;
        if (c->bad_body) return;
    }
    c->status = hone_tensors_begin(&c->tensors, c->servable, &c->err);
    if (c->status == HONE_OK) c->status = c->api->decode(c, &c->err);
    if (c->status == HONE_OK) c->status = hone_tensors_finish(&c->tensors, &c->err);
    c->decoded = hone_now();
}

static void fill(hone_work *w) {
    hone_call *c = w->user;
    if (hone_request_is_cancelled(c->request)) return;
    hone_tensors_fill(&c->tensors);
    c->decoded = hone_now();
}

static void decode_all(hone_work *w) {
    hone_call *c = w->user;
    decode(w);
    if (c->status == HONE_OK) fill(w);
}

static void was_decoded(hone_work *w) {
    hone_call *c = w->user;
    hone_model_stats_queue(hone_servable_stats(c->servable), -1);
    submit(c);
}

/* Does the body come packed? HONE_UNSUPPORTED: in a way that is not understood. */
static hone_status look_at_coding(hone_call *c, hone_error *err) {
    hone_slice coding = hone_head_field(&c->request->head, "content-encoding");
    c->packed = false;
    if (!c->api->http || coding.size == 0 || hone_slice_equal_nocase(coding, "identity")) return HONE_OK;
    c->packed = hone_slice_equal_nocase(coding, "gzip") || hone_slice_equal_nocase(coding, "x-gzip");
    if (c->packed) return HONE_OK;
    return hone_fail(err, HONE_UNSUPPORTED, "The only Content-Encoding understood is gzip");
}

static bool is_small(const hone_call *c) {
    const hone_buffer *body = &c->request->body;
    if (c->packed && !hone_packer_is_small(body->data, body->size)) return false;
    return body->size <= OFFLOAD_FROM;
}

void hone_front_predict(hone_front *f, hone_request *r, hone_servable *s, const hone_api *api) {
    hone_error err;
    hone_request_set_model(r, hone_servable_stats(s));
    if (hone_servable_language(s)) {
        hone_fail(&err, HONE_FAILED_PRECONDITION,
                  "The model %s is a language model: ask it at /v1/chat/completions or /v1/completions",
                  hone_servable_name(s));
        api->fail(r, &err);
        hone_servable_release(s);
        return;
    }
    hone_call *c = take_call(f);
    if (!c) {
        hone_fail_memory(&err);
        api->fail(r, &err);
        hone_servable_release(s);
        return;
    }
    c->front = f;
    c->request = hone_request_retain(r);
    c->servable = s;
    c->api = api;
    c->rows = false;
    c->id = (hone_slice){"", 0};
    c->form = HONE_FORM_TYPED;
    c->timeout = 0;
    c->wanted_count = 0;
    hone_budget_room_open(&c->room, f->packer.budget);
    c->tensors.limit = f->o.body_limit;
    c->tensors.room = &c->room.room;
    c->tensors.too_large = false;
    c->err.message[0] = 0;
    c->status = HONE_OK;
    c->bad_body = false;
    c->packs = f->packer.from > 0 && api->packs(r);
    c->packed_answer.size = 0;
    c->submitted = false;
    c->work = (hone_work){.worker = f->o.worker, .run = decode_all, .done = was_decoded, .user = c};
    r->quit = quit;
    r->work = c;
    c->began = hone_now();
    took(c, HONE_STAGE_READ, r->received - r->started);
    if (look_at_coding(c, &err) != HONE_OK) {
        refuse_body(c, HONE_UNSUPPORTED, &err);
        return;
    }
    if (hone_request_should_stop(r)) {
        fail_call(c, hone_request_stopped(r, &err), &err);
        return;
    }
    /* What was covered for decoding the body is for that now. */
    hone_budget_move(&r->share, r->body.size, &c->room.share);
    if (!is_small(c)) {
        offload(c);
        return;
    }
    decode(&c->work);
    if (c->status == HONE_OK && hone_tensors_missing(&c->tensors) > OFFLOAD_FROM) {
        c->work.run = fill;
        offload(c);
        return;
    }
    hone_tensors_fill(&c->tensors);
    submit(c);
}

char *hone_call_body(hone_call *c, size_t *size) {
    hone_buffer *b = c->packed ? &c->body : &c->request->body;
    *size = b->size;
    return b->data;
}

static hone_status want(hone_call *c, int output, hone_form form, hone_error *err) {
    if (!hone_reserve(&c->wanted, &c->wanted_capacity, c->wanted_count + 1, sizeof *c->wanted))
        return hone_fail_memory(err);
    c->wanted[c->wanted_count++] = (hone_wanted){output, form};
    return HONE_OK;
}

hone_status hone_call_want(hone_call *c, hone_slice name, hone_form form, hone_error *err) {
    int output = hone_servable_find_output(c->servable, name);
    int shown = hone_slice_shown(name, 200);
    if (output < 0)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "the model has no output \"%.*s\"", shown, name.data);
    for (size_t i = 0; i < c->wanted_count; i++)
        if (c->wanted[i].output == output)
            return hone_fail(err, HONE_INVALID_ARGUMENT, "the output \"%.*s\" is asked for twice", shown,
                             name.data);
    return want(c, output, form, err);
}

hone_status hone_call_want_all(hone_call *c, hone_error *err) {
    if (c->wanted_count > 0) return HONE_OK;
    for (int i = 0; i < hone_servable_output_count(c->servable); i++)
        HONE_TRY(want(c, i, HONE_FORM_DEFAULT, err));
    return HONE_OK;
}

bool hone_front_packs(const hone_request *r) {
    return hone_gzip_accepted(hone_head_field(&r->head, "accept-encoding"));
}

void hone_front_answer_as(hone_request *r, int status, const char *content_type, hone_buffer *body,
                          bool packed) {
    if (packed) {
        hone_request_field(r, "content-encoding", "gzip");
        hone_request_field(r, "vary", "accept-encoding");
    }
    hone_request_answer_of(r, status, content_type, body);
}

void hone_front_answer(hone_front *f, hone_request *r, int status, const char *content_type,
                       hone_buffer *body) {
    hone_buffer *scratch = &f->packer.scratch;
    hone_buffer_clear(scratch, KEEP_ANSWER);
    bool packed = hone_front_packs(r) && hone_packer_pack(&f->packer, body, 0, scratch);
    hone_front_answer_as(r, status, content_type, packed ? scratch : body, packed);
    body->size = 0;
}

/* --- work for others --- */

typedef struct errand {
    hone_work work;
    hone_front *front;
    hone_request *request;
    void (*run)(void *arg);
    void (*done)(void *arg);
    void *arg;
} errand;

static void run_errand(hone_work *w) {
    errand *e = w->user;
    if (!hone_request_is_cancelled(e->request)) e->run(e->arg);
}

static void end_errand(hone_work *w) {
    errand *e = w->user;
    hone_request *r = e->request;
    r->quit = NULL;
    e->done(e->arg);
    hone_request_release(r);
    hone_free(e);
}

static void quit_errand(hone_request *r) {
    errand *e = r->work;
    if (hone_core_withdraw_work(e->front->o.core, &e->work)) end_errand(&e->work);
}

void hone_front_offload(hone_front *f, hone_request *r, void (*run)(void *arg), void (*done)(void *arg),
                        void *arg) {
    errand *e = hone_calloc(1, sizeof *e);
    if (!e) { /* it takes the worker's time instead */
        run(arg);
        done(arg);
        return;
    }
    *e = (errand){.front = f, .request = hone_request_retain(r), .run = run, .done = done, .arg = arg};
    e->work = (hone_work){.worker = f->o.worker, .run = run_errand, .done = end_errand, .user = e};
    r->quit = quit_errand;
    r->work = e;
    hone_core_offload(f->o.core, &e->work);
}

/* --- finding models --- */

hone_status hone_front_expect(hone_front *f, hone_slice name, int64_t version, hone_error *err) {
    if (!hone_core_is_coming(f->o.core, name, version)) return HONE_OK;
    return hone_fail(err, HONE_UNAVAILABLE, "the model \"%.*s\" is not loaded yet",
                     hone_slice_shown(name, 200), name.data);
}

hone_status hone_front_find(hone_front *f, hone_slice name, hone_slice version, hone_servable **out,
                            hone_error *err) {
    int64_t number = HONE_LATEST;
    int shown = hone_slice_shown(name, 200);
    if (name.size == 0) return hone_fail(err, HONE_INVALID_ARGUMENT, "the request names no model");
    if (version.size > 0 && !hone_version_parse(version.data, version.size, &number))
        return hone_fail(err, HONE_INVALID_ARGUMENT, "\"%.*s\" is no version of a model",
                         hone_slice_shown(version, 100), version.data);
    *out = hone_core_find(f->o.core, name, number);
    if (*out) return HONE_OK;
    HONE_TRY(hone_front_expect(f, name, number, err));
    if (version.size > 0)
        return hone_fail(err, HONE_NOT_FOUND, "the model \"%.*s\" is not there in version %lld", shown,
                         name.data, (long long)number);
    return hone_fail(err, HONE_NOT_FOUND, "the model \"%.*s\" is not there", shown, name.data);
}

/* --- paths --- */

bool hone_path_take(hone_slice *path, const char *word, bool ignore_case) {
    size_t n = strlen(word);
    if (path->size < n) return false;
    if ((ignore_case ? strncasecmp(path->data, word, n) : memcmp(path->data, word, n)) != 0) return false;
    *path = (hone_slice){path->data + n, path->size - n};
    return true;
}

bool hone_path_segment(hone_slice *path, char stop, char *out, size_t size) {
    const char *s = path->data;
    size_t end = 0, n = 0;
    while (end < path->size && s[end] != '/' && s[end] != stop) end++;
    *path = (hone_slice){s + end, path->size - end};
    for (size_t i = 0; i < end; i++) {
        char c = s[i];
        if (c == '%' && i + 2 < end && hone_hex_digit(s[i + 1]) >= 0 && hone_hex_digit(s[i + 2]) >= 0) {
            c = (char)(hone_hex_digit(s[i + 1]) * 16 + hone_hex_digit(s[i + 2]));
            i += 2;
        }
        if (c == 0 || n + 1 == size) return false;
        out[n++] = c;
    }
    out[n] = 0;
    return n > 0;
}
