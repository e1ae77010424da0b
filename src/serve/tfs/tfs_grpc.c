#include "serve/tfs/tfs_grpc.h"

#include "base/error.h"
#include "serve/format/wire.h"
#include "serve/tfs/tensor_proto.h"
#include "serve/tfs/tfs_admin.h"
#include "serve/tfs/tfs_names.h"
#include "serve/tfs/tfs_rest.h"

#define SIGNATURE "serving_default"
#define KEEP_ANSWER ((size_t)1 << 20)

enum { SPEC_NAME = 1, SPEC_VERSION = 2, SPEC_SIGNATURE = 3, SPEC_LABEL = 4, INT64_VALUE = 1 };
enum { ENTRY_KEY = 1, ENTRY_VALUE = 2 };
enum { PREDICT_SPEC = 1, PREDICT_INPUTS = 2, PREDICT_FILTER = 3, PREDICTED_OUTPUTS = 1, PREDICTED_SPEC = 2 };

/* --- which model --- */

typedef struct spec {
    hone_slice name, label, signature;
    bool has_version;
    int64_t version;
} spec;

static hone_status read_version(const hone_wire_field *message, spec *s, hone_error *err) {
    hone_wire w = hone_wire_into(message);
    hone_wire_field f;
    s->has_version = true;
    s->version = 0;
    while (hone_wire_next(&w, &f))
        if (hone_wire_is(&f, INT64_VALUE, HONE_WIRE_VARINT)) s->version = (int64_t)f.value;
    return hone_wire_check(&w, "ModelSpec", err);
}

static hone_status read_spec(const hone_wire_field *message, spec *s, hone_error *err) {
    hone_wire w = hone_wire_into(message);
    hone_wire_field f;
    while (hone_wire_next(&w, &f)) {
        if (hone_wire_is(&f, SPEC_NAME, HONE_WIRE_BYTES)) s->name = hone_wire_text(&f);
        if (hone_wire_is(&f, SPEC_SIGNATURE, HONE_WIRE_BYTES)) s->signature = hone_wire_text(&f);
        if (hone_wire_is(&f, SPEC_LABEL, HONE_WIRE_BYTES)) {
            s->label = hone_wire_text(&f);
            s->has_version = false;
        }
        if (hone_wire_is(&f, SPEC_VERSION, HONE_WIRE_BYTES)) {
            HONE_TRY(read_version(&f, s, err));
            s->label = (hone_slice){"", 0};
        }
    }
    return hone_wire_check(&w, "ModelSpec", err);
}

/* The model spec, which is field 1 of every request here. */
static hone_status request_spec(const hone_request *r, const char *message, spec *s, hone_error *err) {
    const uint8_t *data;
    size_t size;
    HONE_TRY(hone_grpc_message(r, &data, &size, err));
    hone_wire w = hone_wire_of(data, size);
    hone_wire_field f;
    *s = (spec){.name = {"", 0}, .label = {"", 0}, .signature = {"", 0}};
    while (hone_wire_next(&w, &f))
        if (hone_wire_is(&f, PREDICT_SPEC, HONE_WIRE_BYTES)) HONE_TRY(read_spec(&f, s, err));
    return hone_wire_check(&w, message, err);
}

static hone_status find(hone_front *f, const spec *s, hone_servable **out, hone_error *err) {
    return hone_tfs_find(f, s->name, s->label, s->has_version ? &s->version : NULL, out, err);
}

static void put_spec(hone_buffer *out, uint32_t number, const hone_servable *s, const char *signature) {
    size_t begun = hone_wire_begin(out, number);
    hone_wire_put_text(out, SPEC_NAME, hone_servable_name(s));
    size_t version = hone_wire_begin(out, SPEC_VERSION);
    hone_wire_put_number(out, INT64_VALUE, (uint64_t)hone_servable_version(s));
    hone_wire_end(out, version);
    if (signature) hone_wire_put_text(out, SPEC_SIGNATURE, signature);
    hone_wire_end(out, begun);
}

/* --- Predict --- */

static hone_status check_signature(hone_slice name, hone_error *err) {
    if (name.size == 0 || hone_slice_equal(name, SIGNATURE)) return HONE_OK;
    return hone_fail(err, HONE_FAILED_PRECONDITION, "Serving signature key \"%.*s\" not found.",
                     hone_slice_shown(name, 200), name.data);
}

static hone_status read_input(hone_call *c, const hone_wire_field *entry, hone_error *err) {
    hone_wire w = hone_wire_into(entry);
    hone_wire_field f, value = {.data = entry->data};
    hone_slice key = {"", 0};
    while (hone_wire_next(&w, &f)) {
        if (hone_wire_is(&f, ENTRY_KEY, HONE_WIRE_BYTES)) key = hone_wire_text(&f);
        if (hone_wire_is(&f, ENTRY_VALUE, HONE_WIRE_BYTES)) value = f;
    }
    HONE_TRY(hone_wire_check(&w, "PredictRequest", err));
    hone_feed *feed = hone_tensors_find(&c->tensors, key);
    int shown = hone_slice_shown(key, 200);
    if (!feed)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "the model has no input \"%.*s\"", shown, key.data);
    if (feed->given)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "the input \"%.*s\" is there twice", shown, key.data);
    return hone_tensor_proto_decode(&c->tensors, feed, &value, err);
}

static hone_status decode(hone_call *c, hone_error *err) {
    const uint8_t *data;
    size_t size;
    HONE_TRY(hone_grpc_message(c->request, &data, &size, err));
    hone_wire w = hone_wire_of(data, size);
    hone_wire_field f;
    while (hone_wire_next(&w, &f)) {
        if (hone_wire_is(&f, PREDICT_INPUTS, HONE_WIRE_BYTES)) HONE_TRY(read_input(c, &f, err));
        if (hone_wire_is(&f, PREDICT_FILTER, HONE_WIRE_BYTES))
            HONE_TRY(hone_call_want(c, hone_wire_text(&f), HONE_FORM_DEFAULT, err));
    }
    HONE_TRY(hone_wire_check(&w, "PredictRequest", err));
    return hone_call_want_all(c, err);
}

static hone_status encode(hone_call *c, hone_buffer *out, hone_error *err) {
    hone_grpc_begin_message(out);
    for (size_t i = 0; i < c->wanted_count; i++) {
        const hone_tensor *t = c->outputs[c->wanted[i].output];
        const char *name = hone_servable_output(c->servable, c->wanted[i].output)->name;
        if (!hone_tfs_type(t->dtype))
            return hone_fail(err, HONE_UNSUPPORTED,
                             "the output \"%s\" is of the type %s, which TensorFlow lacks", name,
                             hone_dtype_name(t->dtype));
        size_t value = hone_tensor_proto_size(t), key = strlen(name);
        size_t entry = hone_wire_bytes_size(ENTRY_KEY, key) + hone_wire_bytes_size(ENTRY_VALUE, value);
        hone_wire_put_tag(out, PREDICTED_OUTPUTS, HONE_WIRE_BYTES);
        hone_wire_put_varint(out, entry);
        hone_wire_put_bytes(out, ENTRY_KEY, name, key);
        hone_wire_put_tag(out, ENTRY_VALUE, HONE_WIRE_BYTES);
        hone_wire_put_varint(out, value);
        hone_tensor_proto_put(out, t);
    }
    put_spec(out, PREDICTED_SPEC, c->servable, SIGNATURE);
    return HONE_OK;
}

static void reply(hone_call *c, hone_buffer *out, bool packed) {
    hone_grpc_reply_as(c->request, out, packed);
}

static const hone_api predict_api = {
    decode, encode, reply, hone_grpc_fail_error, .packs = hone_grpc_packs, .head = HONE_GRPC_PREFIX};

static void predict(hone_front *f, hone_request *r) {
    hone_error err;
    hone_servable *servable = NULL;
    spec s;
    r->method = HONE_METHOD_PREDICT;
    hone_status status = request_spec(r, "PredictRequest", &s, &err);
    if (status == HONE_OK) status = find(f, &s, &servable, &err);
    if (status == HONE_OK) status = check_signature(s.signature, &err);
    if (status == HONE_OK) {
        hone_front_predict(f, r, servable, &predict_api);
        return;
    }
    hone_servable_release(servable);
    hone_grpc_fail_error(r, &err);
}

/* --- GetModelMetadata --- */

enum { METADATA_FIELD = 2, METADATA_MAP = 2, ANY_TYPE = 1, ANY_VALUE = 2, SIGNATURES = 1 };
enum { SIGNATURE_INPUTS = 1, SIGNATURE_OUTPUTS = 2, SIGNATURE_METHOD = 3 };
enum { INFO_NAME = 1, INFO_DTYPE = 2, INFO_SHAPE = 3 };

static hone_status check_fields(const hone_request *r, hone_error *err) {
    const uint8_t *data;
    size_t size;
    HONE_TRY(hone_grpc_message(r, &data, &size, err));
    hone_wire w = hone_wire_of(data, size);
    hone_wire_field f;
    bool any = false;
    while (hone_wire_next(&w, &f)) {
        if (!hone_wire_is(&f, METADATA_FIELD, HONE_WIRE_BYTES)) continue;
        any = true;
        if (!hone_slice_equal(hone_wire_text(&f), "signature_def"))
            return hone_fail(err, HONE_INVALID_ARGUMENT, "Metadata field %.*s is not supported",
                             hone_slice_shown(hone_wire_text(&f), 200), (const char *)f.data);
    }
    if (any) return HONE_OK;
    return hone_fail(err, HONE_INVALID_ARGUMENT,
                     "GetModelMetadataRequest must specify at least one metadata_field");
}

static void put_info(hone_buffer *out, uint32_t number, const hone_graph *g, const hone_value_info *v) {
    size_t entry = hone_wire_begin(out, number);
    hone_wire_put_text(out, ENTRY_KEY, v->name);
    size_t info = hone_wire_begin(out, ENTRY_VALUE);
    hone_wire_put_text(out, INFO_NAME, v->name);
    hone_wire_put_number(out, INFO_DTYPE, (uint64_t)hone_tfs_type(v->dtype));
    hone_shape_proto_put(out, INFO_SHAPE, v->rank, v->dims, g);
    hone_wire_end(out, info);
    hone_wire_end(out, entry);
}

static void put_signatures(hone_buffer *out, const hone_servable *s) {
    const hone_graph *g = hone_servable_signature(s);
    size_t entry = hone_wire_begin(out, SIGNATURES);
    hone_wire_put_text(out, ENTRY_KEY, SIGNATURE);
    size_t signature = hone_wire_begin(out, ENTRY_VALUE);
    for (int i = 0; i < hone_servable_input_count(s); i++)
        put_info(out, SIGNATURE_INPUTS, g, hone_servable_input(s, i));
    for (int i = 0; i < hone_servable_output_count(s); i++)
        put_info(out, SIGNATURE_OUTPUTS, g, hone_servable_output(s, i));
    hone_wire_put_text(out, SIGNATURE_METHOD, "tensorflow/serving/predict");
    hone_wire_end(out, signature);
    hone_wire_end(out, entry);
}

static void metadata(hone_front *f, hone_request *r) {
    hone_error err = {0};
    hone_servable *servable = NULL;
    spec s;
    r->method = HONE_METHOD_METADATA;
    hone_status status = request_spec(r, "GetModelMetadataRequest", &s, &err);
    if (status == HONE_OK) status = check_fields(r, &err);
    if (status == HONE_OK) status = find(f, &s, &servable, &err);
    if (status != HONE_OK) {
        hone_grpc_fail_error(r, &err);
        return;
    }
    hone_buffer *out = &f->answer;
    hone_buffer_clear(out, KEEP_ANSWER);
    hone_request_set_model(r, hone_servable_stats(servable));
    hone_grpc_begin_message(out);
    put_spec(out, PREDICT_SPEC, servable, NULL);
    size_t entry = hone_wire_begin(out, METADATA_MAP);
    hone_wire_put_text(out, ENTRY_KEY, "signature_def");
    size_t any = hone_wire_begin(out, ENTRY_VALUE);
    hone_wire_put_text(out, ANY_TYPE, "type.googleapis.com/tensorflow.serving.SignatureDefMap");
    size_t value = hone_wire_begin(out, ANY_VALUE);
    put_signatures(out, servable);
    hone_wire_end(out, value);
    hone_wire_end(out, any);
    hone_wire_end(out, entry);
    hone_servable_release(servable);
    hone_grpc_reply(r, out);
}

/* --- GetModelStatus --- */

enum { STATUS_VERSIONS = 1, VERSION_NUMBER = 1, VERSION_STATE = 2, VERSION_STATUS = 3 };

typedef struct states {
    hone_buffer *out;
    const int64_t *only; /* one version; NULL: all */
    int count;
} states;

static void put_state(void *user, const hone_version_status *v) {
    states *s = user;
    if (s->only && v->version != *s->only) return;
    s->count++;
    size_t version = hone_wire_begin(s->out, STATUS_VERSIONS);
    hone_wire_put_number(s->out, VERSION_NUMBER, (uint64_t)v->version);
    hone_wire_put_number(s->out, VERSION_STATE, (uint64_t)v->state);
    hone_tfs_put_status(s->out, VERSION_STATUS, v->code, v->message);
    hone_wire_end(s->out, version);
}

static hone_status list_states(hone_front *f, spec *s, hone_error *err) {
    int shown = hone_slice_shown(s->name, 200);
    states st = {.out = &f->answer};
    if (s->name.size == 0) return hone_fail(err, HONE_INVALID_ARGUMENT, "Missing model name in request.");
    if (s->label.size > 0) {
        hone_servable *found;
        HONE_TRY(find(f, s, &found, err));
        s->has_version = true;
        s->version = hone_servable_version(found);
        hone_servable_release(found);
    }
    if (s->has_version) st.only = &s->version;
    hone_core_states(f->o.core, s->name, put_state, &st);
    if (st.count > 0) return HONE_OK;
    HONE_TRY(hone_front_expect(f, s->name, st.only ? s->version : HONE_LATEST, err));
    if (st.only)
        return hone_fail(err, HONE_NOT_FOUND, "Could not find version %lld of model %.*s",
                         (long long)s->version, shown, s->name.data);
    return hone_fail(err, HONE_NOT_FOUND, "Could not find any versions of model %.*s", shown, s->name.data);
}

static void model_status(hone_front *f, hone_request *r) {
    hone_error err = {0};
    spec s;
    r->method = HONE_METHOD_STATUS;
    hone_buffer_clear(&f->answer, KEEP_ANSWER);
    hone_grpc_begin_message(&f->answer);
    hone_status status = request_spec(r, "GetModelStatusRequest", &s, &err);
    if (status == HONE_OK) status = list_states(f, &s, &err);
    if (status == HONE_OK)
        hone_grpc_reply(r, &f->answer);
    else
        hone_grpc_fail_error(r, &err);
}

/* --- services --- */

typedef void method_fn(hone_front *f, hone_request *r);

static void no_signatures(hone_front *f, hone_request *r) {
    (void)f;
    hone_grpc_fail(r, HONE_GRPC_UNIMPLEMENTED,
                   "Only Predict is there: ONNX models have no signatures for classification and regression");
}

static void no_session(hone_front *f, hone_request *r) {
    (void)f;
    hone_grpc_fail(r, HONE_GRPC_UNIMPLEMENTED,
                   "Only Predict is there: an ONNX model has no session to run parts of its graph in");
}

typedef struct method {
    const char *name;
    method_fn *call;
} method;

static const method predictions[] = {
    {"Predict", predict},       {"GetModelMetadata", metadata},    {"Classify", no_signatures},
    {"Regress", no_signatures}, {"MultiInference", no_signatures}, {NULL, NULL}};
static const method models[] = {
    {"GetModelStatus", model_status}, {"HandleReloadConfigRequest", hone_tfs_reload}, {NULL, NULL}};
static const method sessions[] = {{"SessionRun", no_session}, {NULL, NULL}};

static void call(const method *m, hone_front *f, hone_request *r, hone_slice name) {
    while (m->name && !hone_slice_equal(name, m->name)) m++;
    if (m->name)
        m->call(f, r);
    else
        hone_grpc_unknown(r);
}

static void prediction_service(void *fronts, int worker, hone_request *r, hone_slice name) {
    call(predictions, ((hone_front **)fronts)[worker], r, name);
}

static void model_service(void *fronts, int worker, hone_request *r, hone_slice name) {
    call(models, ((hone_front **)fronts)[worker], r, name);
}

static void session_service(void *fronts, int worker, hone_request *r, hone_slice name) {
    call(sessions, ((hone_front **)fronts)[worker], r, name);
}

hone_status hone_tfs_grpc_register(hone_grpc_table *table, hone_front **fronts, hone_error *err) {
    const hone_grpc_service services[] = {
        {.name = "tensorflow.serving.PredictionService", .handle = prediction_service, .user = fronts},
        {.name = "tensorflow.serving.ModelService", .handle = model_service, .user = fronts},
        {.name = "tensorflow.serving.SessionService", .handle = session_service, .user = fronts},
    };
    for (size_t i = 0; i < sizeof services / sizeof *services; i++)
        HONE_TRY(hone_grpc_register(table, &services[i], err));
    return HONE_OK;
}
