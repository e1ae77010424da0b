#include "serve/tfs/tfs_admin.h"

#include "base/error.h"
#include "base/memory.h"
#include "serve/format/wire.h"
#include "serve/grpc/grpc.h"
#include "serve/tfs/tfs_names.h"

#define KEEP_ANSWER ((size_t)1 << 20)

enum { REQUEST_CONFIG = 1, SERVER_LIST = 1, SERVER_CUSTOM = 2, LIST_CONFIG = 1 };
enum { MODEL_NAME = 1, MODEL_PATH = 2, MODEL_POLICY = 7, MODEL_LABELS = 8, ENTRY_KEY = 1, ENTRY_VALUE = 2 };
enum {
    POLICY_LATEST = 100,
    POLICY_ALL = 101,
    POLICY_SPECIFIC = 102,
    LATEST_COUNT = 1,
    SPECIFIC_VERSIONS = 1
};
enum { RESPONSE_STATUS = 1, STATUS_CODE = 1, STATUS_MESSAGE = 2 };

enum { TEXT_MOST = 4096 };

void hone_tfs_put_status(hone_buffer *out, uint32_t number, hone_status status, const char *message) {
    size_t begun = hone_wire_begin(out, number);
    if (status != HONE_OK) hone_wire_put_number(out, STATUS_CODE, (uint64_t)hone_tfs_code(status));
    if (message[0]) hone_wire_put_text(out, STATUS_MESSAGE, message);
    hone_wire_end(out, begun);
}

/* --- reading a configuration --- */

/* A field's text, terminated. */
static hone_status read_text(const hone_wire_field *f, char out[TEXT_MOST], hone_error *err) {
    if (f->size >= TEXT_MOST || memchr(f->data, 0, f->size))
        return hone_fail(err, HONE_INVALID_ARGUMENT,
                         "a text in the configuration is too long or has a zero byte");
    memcpy(out, f->data, f->size);
    out[f->size] = 0;
    return HONE_OK;
}

static hone_status add_version(hone_policy *p, uint64_t version, hone_error *err) {
    if ((int64_t)version < 0) return hone_fail(err, HONE_INVALID_ARGUMENT, "a version can't be negative");
    if (p->version_count >= HONE_CONFIG_MAX_VERSIONS)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "the configuration lists too many versions");
    return hone_policy_add(p, (int64_t)version) ? HONE_OK : hone_fail_memory(err);
}

static hone_status read_specific(const hone_wire_field *message, hone_policy *p, hone_error *err) {
    hone_wire w = hone_wire_into(message);
    hone_wire_field f;
    p->kind = HONE_POLICY_SPECIFIC;
    while (hone_wire_next(&w, &f)) {
        if (hone_wire_is(&f, SPECIFIC_VERSIONS, HONE_WIRE_VARINT)) HONE_TRY(add_version(p, f.value, err));
        if (!hone_wire_is(&f, SPECIFIC_VERSIONS, HONE_WIRE_BYTES)) continue;
        hone_wire packed = hone_wire_into(&f);
        uint64_t version;
        while (hone_wire_varint(&packed, &version)) HONE_TRY(add_version(p, version, err));
        HONE_TRY(hone_wire_check(&packed, "ServableVersionPolicy", err));
    }
    return hone_wire_check(&w, "ServableVersionPolicy", err);
}

static hone_status read_latest(const hone_wire_field *message, hone_policy *p, hone_error *err) {
    hone_wire w = hone_wire_into(message);
    hone_wire_field f;
    p->kind = HONE_POLICY_LATEST;
    p->latest = 1;
    while (hone_wire_next(&w, &f))
        if (hone_wire_is(&f, LATEST_COUNT, HONE_WIRE_VARINT)) p->latest = (int64_t)(f.value & UINT32_MAX);
    return hone_wire_check(&w, "ServableVersionPolicy", err);
}

static hone_status read_policy(const hone_wire_field *message, hone_policy *p, hone_error *err) {
    hone_wire w = hone_wire_into(message);
    hone_wire_field f;
    while (hone_wire_next(&w, &f)) {
        if (hone_wire_is(&f, POLICY_LATEST, HONE_WIRE_BYTES)) HONE_TRY(read_latest(&f, p, err));
        if (hone_wire_is(&f, POLICY_ALL, HONE_WIRE_BYTES)) p->kind = HONE_POLICY_ALL;
        if (hone_wire_is(&f, POLICY_SPECIFIC, HONE_WIRE_BYTES)) HONE_TRY(read_specific(&f, p, err));
    }
    return hone_wire_check(&w, "ServableVersionPolicy", err);
}

static hone_status read_label(const hone_wire_field *message, hone_model_source *model, hone_error *err) {
    hone_wire w = hone_wire_into(message);
    hone_wire_field f;
    char label[TEXT_MOST] = "";
    int64_t version = 0;
    while (hone_wire_next(&w, &f)) {
        if (hone_wire_is(&f, ENTRY_KEY, HONE_WIRE_BYTES)) HONE_TRY(read_text(&f, label, err));
        if (hone_wire_is(&f, ENTRY_VALUE, HONE_WIRE_VARINT)) version = (int64_t)f.value;
    }
    HONE_TRY(hone_wire_check(&w, "ModelConfig", err));
    return hone_model_source_add_label(model, label, version, err);
}

static hone_status read_model(const hone_wire_field *message, hone_model_set *set, hone_error *err) {
    hone_wire w = hone_wire_into(message);
    hone_wire_field f;
    char name[TEXT_MOST] = "", path[TEXT_MOST] = "";
    hone_model_source *model;
    while (hone_wire_next(&w, &f)) {
        if (hone_wire_is(&f, MODEL_NAME, HONE_WIRE_BYTES)) HONE_TRY(read_text(&f, name, err));
        if (hone_wire_is(&f, MODEL_PATH, HONE_WIRE_BYTES)) HONE_TRY(read_text(&f, path, err));
    }
    HONE_TRY(hone_wire_check(&w, "ModelConfig", err));
    if (set->count >= HONE_CONFIG_MAX_MODELS)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "the configuration has too many models");
    HONE_TRY(hone_model_set_add(set, name, path, &model, err));
    w = hone_wire_into(message);
    while (hone_wire_next(&w, &f)) {
        if (hone_wire_is(&f, MODEL_POLICY, HONE_WIRE_BYTES)) HONE_TRY(read_policy(&f, &model->policy, err));
        if (hone_wire_is(&f, MODEL_LABELS, HONE_WIRE_BYTES)) HONE_TRY(read_label(&f, model, err));
    }
    return HONE_OK;
}

static hone_status read_list(const hone_wire_field *message, hone_model_set *set, hone_error *err) {
    hone_wire w = hone_wire_into(message);
    hone_wire_field f;
    while (hone_wire_next(&w, &f))
        if (hone_wire_is(&f, LIST_CONFIG, HONE_WIRE_BYTES)) HONE_TRY(read_model(&f, set, err));
    return hone_wire_check(&w, "ModelConfigList", err);
}

hone_status hone_tfs_read_config(const uint8_t *data, size_t size, hone_model_set *out, hone_error *err) {
    hone_wire w = hone_wire_of(data, size);
    hone_wire_field f;
    bool list = false;
    *out = (hone_model_set){0};
    while (hone_wire_next(&w, &f)) {
        if (!hone_wire_is(&f, SERVER_LIST, HONE_WIRE_BYTES)) continue;
        list = true;
        HONE_TRY(read_list(&f, out, err));
    }
    HONE_TRY(hone_wire_check(&w, "ModelServerConfig", err));
    if (list) return HONE_OK;
    return hone_fail(err, HONE_INVALID_ARGUMENT, "the configuration has no model_config_list");
}

/* --- carrying it out --- */

typedef struct reload {
    hone_model_task task;
    hone_front *front;
    hone_request *request;
} reload;

static void answer(hone_front *f, hone_request *r, hone_status status, const char *message) {
    hone_buffer_clear(&f->answer, KEEP_ANSWER);
    hone_grpc_begin_message(&f->answer);
    hone_tfs_put_status(&f->answer, RESPONSE_STATUS, status, message);
    hone_grpc_reply(r, &f->answer);
}

static void done(hone_model_task *t, hone_status status, const hone_error *err) {
    reload *l = t->user;
    answer(l->front, l->request, status, status != HONE_OK && err ? err->message : "");
    hone_request_release(l->request);
    hone_free(l);
}

static hone_status read_request(const hone_request *r, hone_model_set *set, hone_error *err) {
    const uint8_t *data;
    size_t size;
    HONE_TRY(hone_grpc_message(r, &data, &size, err));
    hone_wire w = hone_wire_of(data, size);
    hone_wire_field f, config = {.data = data};
    while (hone_wire_next(&w, &f))
        if (hone_wire_is(&f, REQUEST_CONFIG, HONE_WIRE_BYTES)) config = f;
    HONE_TRY(hone_wire_check(&w, "ReloadConfigRequest", err));
    return hone_tfs_read_config(config.data, config.size, set, err);
}

void hone_tfs_reload(hone_front *f, hone_request *r) {
    hone_error err = {0};
    hone_model_set set = {0};
    hone_status status = read_request(r, &set, &err);
    reload *l = status == HONE_OK ? hone_calloc(1, sizeof *l) : NULL;
    if (status == HONE_OK && !l) status = hone_fail_memory(&err);
    if (status != HONE_OK) {
        hone_model_set_free(&set);
        answer(f, r, status, err.message);
        return;
    }
    l->front = f;
    l->request = hone_request_retain(r);
    l->task.worker = f->o.worker;
    l->task.done = done;
    l->task.user = l;
    hone_core_reload(f->o.core, &l->task, &set);
}
