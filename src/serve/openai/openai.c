#include "serve/openai/openai.h"

#include "serve/format/json_write.h"
#include "serve/openai/body.h"
#include "serve/openai/embed.h"
#include "serve/openai/run.h"
#include "serve/request/verb.h"

#define KEEP_ANSWER ((size_t)1 << 20)

static void chat(hone_front *f, hone_request *r) {
    hone_openai_make(f, r, true);
}

static void complete(hone_front *f, hone_request *r) {
    hone_openai_make(f, r, false);
}

static void put_model(void *user, const char *name, const hone_servable *s) {
    hone_buffer *out = user;
    if (!s || !hone_servable_is_openai(s)) return;
    if (out->data[out->size - 1] == '}') hone_buffer_text(out, ", ");
    hone_buffer_text(out, "{\"id\": ");
    hone_json_write_string(out, name, strlen(name));
    hone_buffer_printf(out, ", \"object\": \"model\", \"created\": %lld, \"owned_by\": \"hone\"}",
                       (long long)hone_servable_created(s));
}

static void list(hone_front *f, hone_request *r) {
    hone_buffer *out = &f->answer;
    r->method = HONE_METHOD_STATUS;
    hone_buffer_clear(out, KEEP_ANSWER);
    hone_buffer_text(out, "{\"object\": \"list\", \"data\": [");
    if (!out->failed) hone_core_models(f->o.core, put_model, out);
    hone_buffer_text(out, "]}\n");
    if (out->failed)
        hone_request_fail(r, 503, "Out of memory");
    else
        hone_front_answer(f, r, 200, "application/json", out);
}

static const struct {
    const char *path;
    hone_verb verb;
    void (*handle)(hone_front *f, hone_request *r);
} rows[] = {{"/v1/chat/completions", HONE_VERB_POST, chat},
            {"/v1/completions", HONE_VERB_POST, complete},
            {"/v1/embeddings", HONE_VERB_POST, hone_openai_embed},
            {"/v1/models", HONE_VERB_GET, list}};
enum { ROWS = sizeof rows / sizeof *rows };

bool hone_openai_takes(hone_slice path) {
    for (int i = 0; i < ROWS; i++)
        if (hone_slice_equal(path, rows[i].path)) return true;
    return false;
}

void hone_openai_begin(hone_request *r) {
    r->write_error = hone_fault_write_plain;
    if (!r->body_most || r->body_most > HONE_OPENAI_MOST_BYTES) r->body_most = HONE_OPENAI_MOST_BYTES;
}

void hone_openai_handle(hone_front *f, hone_request *r) {
    for (int i = 0; i < ROWS; i++) {
        if (!hone_slice_equal(r->head.path, rows[i].path)) continue;
        if (hone_request_takes(r, rows[i].verb)) rows[i].handle(f, r);
        return;
    }
}
