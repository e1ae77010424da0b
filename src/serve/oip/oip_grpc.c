#include "serve/oip/oip_grpc.h"

#include "base/error.h"
#include "serve/format/wire.h"
#include "serve/oip/oip_infer.h"

#include <stdio.h>

#define KEEP_ANSWER ((size_t)1 << 20)

enum { NAME = 1, VERSION = 2, CHANGE_NAME = 2, CHANGE_PARAMETERS = 3, INDEX_READY = 2 };
enum { ENTRY_KEY = 1, ENTRY_VALUE = 2, STRING_PARAM = 3 };

/* A method takes a request's message and appends its answer to f->answer, behind its prefix; the caller
 * then sends it, or the error. */
typedef hone_status method_fn(hone_front *f, hone_request *r, hone_wire w, hone_buffer *out, hone_error *err);

/* Name and version of a model, which are fields 1 and 2 of every request about one. */
static hone_status read_target(hone_wire *w, hone_slice *name, hone_slice *version, hone_error *err) {
    hone_wire_field f;
    *name = *version = (hone_slice){"", 0};
    while (hone_wire_next(w, &f)) {
        if (hone_wire_is(&f, NAME, HONE_WIRE_BYTES)) *name = hone_wire_text(&f);
        if (hone_wire_is(&f, VERSION, HONE_WIRE_BYTES)) *version = hone_wire_text(&f);
    }
    return hone_wire_check(w, "request of the inference service", err);
}

static hone_status find(hone_front *f, hone_wire *w, hone_servable **out, hone_error *err) {
    hone_slice name, version;
    *out = NULL;
    HONE_TRY(read_target(w, &name, &version, err));
    return hone_front_find(f, name, version, out, err);
}

static void put_number_text(hone_buffer *out, uint32_t number, int64_t x) {
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)x);
    hone_wire_put_text(out, number, text);
}

/* --- the server --- */

static hone_status server_live(hone_front *f, hone_request *r, hone_wire w, hone_buffer *out,
                               hone_error *err) {
    (void)f, (void)w, (void)err;
    r->method = HONE_METHOD_HEALTH;
    hone_wire_put_number(out, 1, 1);
    return HONE_OK;
}

static hone_status server_ready(hone_front *f, hone_request *r, hone_wire w, hone_buffer *out,
                                hone_error *err) {
    (void)w, (void)err;
    r->method = HONE_METHOD_HEALTH;
    if (hone_front_is_ready(f)) hone_wire_put_number(out, 1, 1);
    return HONE_OK;
}

static hone_status server_metadata(hone_front *f, hone_request *r, hone_wire w, hone_buffer *out,
                                   hone_error *err) {
    (void)f, (void)w, (void)err;
    r->method = HONE_METHOD_METADATA;
    hone_wire_put_text(out, 1, "hone");
    hone_wire_put_text(out, 2, HONE_VERSION);
    for (int i = 0; hone_oip_extensions[i]; i++) hone_wire_put_text(out, 3, hone_oip_extensions[i]);
    return HONE_OK;
}

/* --- a model --- */

static hone_status model_ready(hone_front *f, hone_request *r, hone_wire w, hone_buffer *out,
                               hone_error *err) {
    hone_servable *s;
    r->method = HONE_METHOD_HEALTH;
    hone_status status = find(f, &w, &s, err);
    if (status == HONE_OK) hone_wire_put_number(out, 1, 1);
    hone_servable_release(s);
    return status == HONE_NOT_FOUND || status == HONE_UNAVAILABLE ? HONE_OK : status;
}

static void put_version(void *user, int64_t version) {
    put_number_text(user, 2, version);
}

/* As TensorMetadata { name 1, datatype 2, shape 3 }, or as ModelInput { name 1, data_type 2, dims 4 } and
 * ModelOutput { …, dims 3 }. */
static void put_tensor(hone_buffer *out, uint32_t number, const hone_value_info *v, bool config,
                       uint32_t dims) {
    size_t tensor = hone_wire_begin(out, number);
    hone_wire_put_text(out, 1, v->name);
    if (config)
        hone_wire_put_number(out, 2, (uint64_t)hone_oip_config_number(v->dtype));
    else
        hone_wire_put_text(out, 2, hone_oip_datatype(v->dtype));
    size_t shape = hone_wire_begin(out, dims);
    for (int i = 0; i < v->rank; i++) hone_wire_put_varint(out, (uint64_t)(v->dims[i] < 0 ? -1 : v->dims[i]));
    hone_wire_end(out, shape);
    hone_wire_end(out, tensor);
}

static hone_status model_metadata(hone_front *f, hone_request *r, hone_wire w, hone_buffer *out,
                                  hone_error *err) {
    hone_servable *s;
    r->method = HONE_METHOD_METADATA;
    HONE_TRY(find(f, &w, &s, err));
    const char *name = hone_servable_name(s);
    hone_request_set_model(r, hone_servable_stats(s));
    hone_wire_put_text(out, 1, name);
    hone_core_versions(f->o.core, (hone_slice){name, strlen(name)}, put_version, out);
    hone_wire_put_text(out, 3, HONE_OIP_PLATFORM);
    for (int i = 0; i < hone_servable_input_count(s); i++)
        put_tensor(out, 4, hone_servable_input(s, i), false, 3);
    for (int i = 0; i < hone_servable_output_count(s); i++)
        put_tensor(out, 5, hone_servable_output(s, i), false, 3);
    hone_servable_release(s);
    return HONE_OK;
}

static hone_status model_config(hone_front *f, hone_request *r, hone_wire w, hone_buffer *out,
                                hone_error *err) {
    hone_servable *s;
    r->method = HONE_METHOD_METADATA;
    HONE_TRY(find(f, &w, &s, err));
    hone_request_set_model(r, hone_servable_stats(s));
    size_t config = hone_wire_begin(out, 1);
    hone_wire_put_text(out, 1, hone_servable_name(s));
    hone_wire_put_text(out, 2, HONE_OIP_PLATFORM);
    for (int i = 0; i < hone_servable_input_count(s); i++)
        put_tensor(out, 5, hone_servable_input(s, i), true, 4);
    for (int i = 0; i < hone_servable_output_count(s); i++)
        put_tensor(out, 6, hone_servable_output(s, i), true, 3);
    hone_wire_put_text(out, 17, "hone");
    hone_wire_end(out, config);
    hone_servable_release(s);
    return HONE_OK;
}

static void put_statistics(hone_buffer *out, const hone_servable *s) {
    const hone_tally *t = hone_model_stats_tally(hone_servable_stats((hone_servable *)(uintptr_t)s));
    size_t model = hone_wire_begin(out, 1);
    hone_wire_put_text(out, 1, hone_servable_name(s));
    put_number_text(out, 2, hone_servable_version(s));
    hone_wire_put_number(out, 3, atomic_load(&t->last));
    hone_wire_put_number(out, 4, atomic_load(&t->rows));
    hone_wire_put_number(out, 5, atomic_load(&t->runs));
    size_t all = hone_wire_begin(out, 6);
    for (uint32_t i = 0; i < HONE_TALLY_ITEMS; i++) {
        size_t item = hone_wire_begin(out, i + 1);
        hone_wire_put_number(out, 1, atomic_load(&t->count[i]));
        hone_wire_put_number(out, 2, atomic_load(&t->ns[i]));
        hone_wire_end(out, item);
    }
    hone_wire_end(out, all);
    hone_wire_end(out, model);
}

static void put_model_statistics(void *user, const char *name, const hone_servable *latest) {
    (void)name;
    if (latest) put_statistics(user, latest);
}

static hone_status model_statistics(hone_front *f, hone_request *r, hone_wire w, hone_buffer *out,
                                    hone_error *err) {
    hone_servable *s;
    hone_slice name, version;
    r->method = HONE_METHOD_STATUS;
    HONE_TRY(read_target(&w, &name, &version, err));
    if (name.size == 0) {
        hone_core_models(f->o.core, put_model_statistics, out);
        return HONE_OK;
    }
    HONE_TRY(hone_front_find(f, name, version, &s, err));
    hone_request_set_model(r, hone_servable_stats(s));
    put_statistics(out, s);
    hone_servable_release(s);
    return HONE_OK;
}

/* --- the repository --- */

typedef struct index_list {
    hone_buffer *out;
    bool ready;
} index_list;

static void put_entry(void *user, const hone_version_status *v) {
    index_list *l = user;
    if (l->ready && v->state != HONE_VERSION_AVAILABLE) return;
    size_t entry = hone_wire_begin(l->out, 1);
    hone_wire_put_text(l->out, 1, v->model);
    put_number_text(l->out, 2, v->version);
    hone_wire_put_text(l->out, 3, hone_oip_state(v->state));
    if (v->message[0]) hone_wire_put_text(l->out, 4, v->message);
    hone_wire_end(l->out, entry);
}

static void put_remark(void *user, const char *name, const char *text) {
    index_list *l = user;
    size_t entry = hone_wire_begin(l->out, 1);
    hone_wire_put_text(l->out, 1, name);
    hone_wire_put_text(l->out, 3, hone_oip_state(HONE_VERSION_END));
    hone_wire_put_text(l->out, 4, text);
    hone_wire_end(l->out, entry);
}

static hone_status repository_index(hone_front *f, hone_request *r, hone_wire w, hone_buffer *out,
                                    hone_error *err) {
    index_list l = {.out = out};
    hone_wire_field field;
    r->method = HONE_METHOD_STATUS;
    while (hone_wire_next(&w, &field))
        if (hone_wire_is(&field, INDEX_READY, HONE_WIRE_VARINT)) l.ready = field.value != 0;
    HONE_TRY(hone_wire_check(&w, "RepositoryIndexRequest", err));
    hone_core_states(f->o.core, (hone_slice){NULL, 0}, put_entry, &l);
    if (!l.ready) hone_core_remarks(f->o.core, put_remark, &l);
    return HONE_OK;
}

static void changed(hone_front *f, hone_request *r, hone_status status, const hone_error *err) {
    if (status != HONE_OK) {
        hone_grpc_fail(r, hone_grpc_code_of(status), err ? err->message : hone_status_name(status));
        return;
    }
    hone_buffer_clear(&f->answer, KEEP_ANSWER);
    hone_grpc_begin_message(&f->answer);
    hone_grpc_reply(r, &f->answer);
}

static hone_status read_parameter(const hone_wire_field *entry, hone_slice *settings, hone_error *err) {
    hone_wire w = hone_wire_into(entry), inner;
    hone_wire_field f, value = {.data = entry->data};
    hone_slice key = {"", 0};
    while (hone_wire_next(&w, &f)) {
        if (hone_wire_is(&f, ENTRY_KEY, HONE_WIRE_BYTES)) key = hone_wire_text(&f);
        if (hone_wire_is(&f, ENTRY_VALUE, HONE_WIRE_BYTES)) value = f;
    }
    HONE_TRY(hone_wire_check(&w, "ModelRepositoryParameter", err));
    if (key.size > 5 && memcmp(key.data, "file:", 5) == 0)
        return hone_fail(err, HONE_UNSUPPORTED,
                         "files of a model can't be sent: put them into the repository");
    inner = hone_wire_into(&value);
    while (hone_wire_next(&inner, &f))
        if (hone_wire_is(&f, STRING_PARAM, HONE_WIRE_BYTES) && hone_slice_equal(key, "config"))
            *settings = hone_wire_text(&f);
    return hone_wire_check(&inner, "ModelRepositoryParameter", err);
}

static hone_status change(hone_front *f, hone_request *r, hone_wire w, bool load, hone_error *err) {
    hone_wire_field field;
    hone_slice name = {"", 0}, settings = {NULL, 0};
    while (hone_wire_next(&w, &field)) {
        if (hone_wire_is(&field, CHANGE_NAME, HONE_WIRE_BYTES)) name = hone_wire_text(&field);
        if (hone_wire_is(&field, CHANGE_PARAMETERS, HONE_WIRE_BYTES))
            HONE_TRY(read_parameter(&field, &settings, err));
    }
    HONE_TRY(hone_wire_check(&w, "request of the inference service", err));
    hone_oip_change(f, r, load, name, settings, changed);
    return HONE_OK;
}

/* --- inference --- */

static void reply(hone_call *c, hone_buffer *out, bool packed) {
    hone_grpc_reply_as(c->request, out, packed);
}

static const hone_api infer_api = {hone_oip_infer_decode, hone_oip_infer_encode,    reply,
                                   hone_grpc_fail_error,  .packs = hone_grpc_packs, .head = HONE_GRPC_PREFIX};

static hone_status infer(hone_front *f, hone_request *r, hone_wire w, hone_error *err) {
    hone_servable *s;
    r->method = HONE_METHOD_PREDICT;
    HONE_TRY(find(f, &w, &s, err));
    hone_front_predict(f, r, s, &infer_api);
    return HONE_OK;
}

/* --- the service --- */

static const struct {
    const char *name;
    method_fn *method;
} methods[] = {{"ServerLive", server_live},           {"ServerReady", server_ready},
               {"ModelReady", model_ready},           {"ServerMetadata", server_metadata},
               {"ModelMetadata", model_metadata},     {"ModelConfig", model_config},
               {"ModelStatistics", model_statistics}, {"RepositoryIndex", repository_index}};

static hone_status dispatch(hone_front *f, hone_request *r, hone_slice method, hone_error *err) {
    const uint8_t *data;
    size_t size;
    HONE_TRY(hone_grpc_message(r, &data, &size, err));
    hone_wire w = hone_wire_of(data, size);
    if (hone_slice_equal(method, "ModelInfer")) return infer(f, r, w, err);
    if (hone_slice_equal(method, "RepositoryModelLoad")) return change(f, r, w, true, err);
    if (hone_slice_equal(method, "RepositoryModelUnload")) return change(f, r, w, false, err);
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        if (!hone_slice_equal(method, methods[i].name)) continue;
        hone_buffer_clear(&f->answer, KEEP_ANSWER);
        hone_grpc_begin_message(&f->answer);
        HONE_TRY(methods[i].method(f, r, w, &f->answer, err));
        hone_grpc_reply(r, &f->answer);
        return HONE_OK;
    }
    return hone_fail(err, HONE_UNSUPPORTED,
                     "There are no streams, shared memory, traces or log settings here: no method \"%.*s\"",
                     hone_slice_shown(method, 100), method.data);
}

static void handle(void *user, int worker, hone_request *r, hone_slice method) {
    hone_front **fronts = user;
    hone_error err;
    if (dispatch(fronts[worker], r, method, &err) != HONE_OK) hone_grpc_fail_error(r, &err);
}

hone_status hone_oip_grpc_register(hone_grpc_table *table, hone_front **fronts, hone_error *err) {
    const hone_grpc_service service = {
        .name = "inference.GRPCInferenceService", .handle = handle, .user = fronts};
    return hone_grpc_register(table, &service, err);
}
