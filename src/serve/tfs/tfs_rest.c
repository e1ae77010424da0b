#include "serve/tfs/tfs_rest.h"

#include "base/error.h"
#include "serve/api/status.h"
#include "serve/format/json_write.h"
#include "serve/request/verb.h"
#include "serve/tfs/tfs_json.h"
#include "serve/tfs/tfs_names.h"

#include <stdio.h>

#define JSON "application/json"
#define KEEP_ANSWER ((size_t)1 << 20)

enum { NAME_MOST = 255 };

static void fail(hone_request *r, const hone_error *err) {
    hone_request_fail(r, hone_http_status_of(err->code), err->message);
}

/* --- paths --- */

typedef struct target {
    char name[NAME_MOST + 1];  /* "": none was given */
    char label[NAME_MOST + 1]; /* "": none */
    bool has_version;
    int64_t version;
    hone_method method;
} target;

static bool take(hone_slice *path, const char *word) {
    return hone_path_take(path, word, true);
}

static bool take_name(hone_slice *path, char out[NAME_MOST + 1]) {
    return hone_path_segment(path, ':', out, NAME_MOST + 1);
}

static bool is_method(hone_slice s, target *out) {
    if (hone_slice_equal_nocase(s, "predict"))
        out->method = HONE_METHOD_PREDICT;
    else if (hone_slice_equal_nocase(s, "classify"))
        out->method = HONE_METHOD_CLASSIFY;
    else if (hone_slice_equal_nocase(s, "regress"))
        out->method = HONE_METHOD_REGRESS;
    else
        return false;
    return true;
}

/* HONE_INVALID_ARGUMENT with an empty message if the path is none of this API. */
static hone_status parse_target(const hone_request *r, target *out, hone_error *err) {
    hone_slice rest = r->head.path;
    err->message[0] = 0;
    *out = (target){.method = HONE_METHOD_STATUS};
    if (!take(&rest, "/v1/models")) return HONE_INVALID_ARGUMENT;
    if (take(&rest, "/") && !take_name(&rest, out->name)) return HONE_INVALID_ARGUMENT;
    if (take(&rest, "/versions/")) {
        char digits[NAME_MOST + 1];
        if (!take_name(&rest, digits) || strspn(digits, "0123456789") != strlen(digits))
            return HONE_INVALID_ARGUMENT;
        if (!hone_version_parse(digits, strlen(digits), &out->version))
            return hone_fail(err, HONE_INVALID_ARGUMENT, "Failed to convert version: %s to numeric.", digits);
        out->has_version = true;
    } else if (take(&rest, "/labels/") && !take_name(&rest, out->label)) {
        return HONE_INVALID_ARGUMENT;
    }
    if (take(&rest, "/metadata")) {
        out->method = HONE_METHOD_METADATA;
        return rest.size == 0 ? HONE_OK : HONE_INVALID_ARGUMENT;
    }
    if (rest.size == 0) return HONE_OK;
    return out->name[0] && take(&rest, ":") && is_method(rest, out) ? HONE_OK : HONE_INVALID_ARGUMENT;
}

hone_status hone_tfs_find(hone_front *f, hone_slice name, hone_slice label, const int64_t *version,
                          hone_servable **out, hone_error *err) {
    int shown = hone_slice_shown(name, NAME_MOST);
    if (name.size == 0) return hone_fail(err, HONE_INVALID_ARGUMENT, "Missing model name in request.");
    if (label.size > 0) {
        hone_status status = hone_core_find_label(f->o.core, name, label, out, err);
        if (status != HONE_OK) HONE_TRY(hone_front_expect(f, name, HONE_LATEST, err));
        return status;
    }
    *out = hone_core_find(f->o.core, name, version ? *version : HONE_LATEST);
    if (*out) return HONE_OK;
    HONE_TRY(hone_front_expect(f, name, version ? *version : HONE_LATEST, err));
    if (version)
        return hone_fail(err, HONE_NOT_FOUND, "Servable not found for request: Specific(%.*s, %lld)", shown,
                         name.data, (long long)*version);
    return hone_fail(err, HONE_NOT_FOUND, "Servable not found for request: Latest(%.*s)", shown, name.data);
}

static hone_status find(hone_front *f, const target *at, hone_servable **out, hone_error *err) {
    return hone_tfs_find(f, (hone_slice){at->name, strlen(at->name)},
                         (hone_slice){at->label, strlen(at->label)}, at->has_version ? &at->version : NULL,
                         out, err);
}

/* --- predict --- */

static hone_status decode(hone_call *c, hone_error *err) {
    size_t size;
    char *text = hone_call_body(c, &size);
    return hone_tfs_decode(&c->tensors, text, size, &c->rows, err);
}

static hone_status encode(hone_call *c, hone_buffer *out, hone_error *err) {
    return hone_tfs_encode(c->servable, c->outputs, c->rows, out, err);
}

static void reply(hone_call *c, hone_buffer *out, bool packed) {
    hone_front_answer_as(c->request, 200, JSON, out, packed);
}

static const hone_api predict_api = {decode, encode, reply, fail, .packs = hone_front_packs, .http = true};

/* --- status and metadata --- */

typedef struct states {
    hone_buffer *out;
    const int64_t *only; /* one version; NULL: all */
    int count;
} states;

static void put_state(void *user, const hone_version_status *v) {
    states *s = user;
    if (s->only && v->version != *s->only) return;
    hone_buffer_printf(s->out,
                       "%s\n  {\n   \"version\": \"%lld\",\n   \"state\": \"%s\",\n   \"status\": {\n"
                       "    \"error_code\": \"%s\",\n    \"error_message\": ",
                       s->count++ ? "," : "", (long long)v->version, hone_version_state_name(v->state),
                       hone_tfs_code_name(v->code));
    hone_json_write_string(s->out, v->message, strlen(v->message));
    hone_buffer_text(s->out, "\n   }\n  }");
}

/* Clients of OpenAI's API ask here for a model, too: the status of a model of texts has the fields of both. */
static void write_language(hone_front *f, hone_slice name, hone_buffer *out) {
    hone_servable *s = hone_core_find(f->o.core, name, HONE_LATEST);
    if (s && hone_servable_is_openai(s)) {
        hone_buffer_text(out, " \"id\": ");
        hone_json_write_string(out, name.data, name.size);
        hone_buffer_printf(out, ",\n \"object\": \"model\",\n \"created\": %lld,\n \"owned_by\": \"hone\",\n",
                           (long long)hone_servable_created(s));
    }
    hone_servable_release(s);
}

static hone_status write_status(hone_front *f, const target *at, hone_error *err) {
    hone_slice name = {at->name, strlen(at->name)};
    int64_t version = at->version;
    states s = {.out = &f->answer};
    if (!at->name[0]) return hone_fail(err, HONE_INVALID_ARGUMENT, "Missing model name in request.");
    if (at->label[0]) {
        hone_servable *found;
        HONE_TRY(find(f, at, &found, err));
        version = hone_servable_version(found);
        hone_servable_release(found);
    }
    if (at->label[0] || at->has_version) s.only = &version;
    hone_buffer_text(s.out, "{\n");
    write_language(f, name, s.out);
    hone_buffer_text(s.out, " \"model_version_status\": [");
    hone_core_states(f->o.core, name, put_state, &s);
    if (s.count == 0) HONE_TRY(hone_front_expect(f, name, s.only ? version : HONE_LATEST, err));
    if (s.count == 0 && s.only)
        return hone_fail(err, HONE_NOT_FOUND, "Could not find version %lld of model %s", (long long)version,
                         at->name);
    if (s.count == 0)
        return hone_fail(err, HONE_NOT_FOUND, "Could not find any versions of model %s", at->name);
    hone_buffer_text(s.out, "\n ]\n}\n");
    return HONE_OK;
}

static void put_value_info(hone_buffer *out, const hone_graph *g, const hone_value_info *v, bool first) {
    hone_buffer_text(out, first ? "\n     " : ",\n     ");
    hone_json_write_string(out, v->name, strlen(v->name));
    hone_buffer_printf(out, ": {\n      \"dtype\": \"%s\",\n      \"tensor_shape\": {\n       \"dim\": [",
                       hone_tfs_type_name(v->dtype));
    for (int i = 0; i < v->rank; i++) {
        const char *name = v->dims[i] < 0 ? hone_graph_dim_name(g, v->dims[i]) : NULL;
        hone_buffer_printf(out,
                           "%s\n        {\n         \"size\": \"%lld\",\n         \"name\": ", i ? "," : "",
                           (long long)(v->dims[i] < 0 ? -1 : v->dims[i]));
        hone_json_write_string(out, name ? name : "", name ? strlen(name) : 0);
        hone_buffer_text(out, "\n        }");
    }
    hone_buffer_printf(out, "%s],\n       \"unknown_rank\": %s\n      },\n      \"name\": ",
                       v->rank > 0 ? "\n       " : "", v->rank < 0 ? "true" : "false");
    hone_json_write_string(out, v->name, strlen(v->name));
    hone_buffer_text(out, "\n     }");
}

static void write_metadata(hone_buffer *out, const hone_servable *s) {
    const hone_graph *g = hone_servable_signature(s);
    const char *name = hone_servable_name(s);
    hone_buffer_text(out, "{\n\"model_spec\":{\n \"name\": ");
    hone_json_write_string(out, name, strlen(name));
    hone_buffer_printf(out, ",\n \"signature_name\": \"\",\n \"version\": \"%lld\"\n}\n,\n",
                       (long long)hone_servable_version(s));
    hone_buffer_text(out,
                     "\"metadata\": {\"signature_def\": {\n \"signature_def\": {\n  \"serving_default\": {\n"
                     "   \"inputs\": {");
    for (int i = 0; i < hone_servable_input_count(s); i++)
        put_value_info(out, g, hone_servable_input(s, i), i == 0);
    hone_buffer_text(out, "\n   },\n   \"outputs\": {");
    for (int i = 0; i < hone_servable_output_count(s); i++)
        put_value_info(out, g, hone_servable_output(s, i), i == 0);
    hone_buffer_text(out, "\n   },\n   \"method_name\": \"tensorflow/serving/predict\"\n  }\n }\n}\n}\n}\n");
}

/* --- dispatch --- */

bool hone_tfs_takes(hone_slice path) {
    return take(&path, "/v1/");
}

static void malformed(hone_request *r, const hone_error *err) {
    char text[600];
    hone_slice method = r->head.method, path = r->head.path;
    if (err->message[0])
        snprintf(text, sizeof text, "%s", err->message);
    else
        snprintf(text, sizeof text, "Malformed request: %.*s %.*s", hone_slice_shown(method, 32), method.data,
                 hone_slice_shown(path, 500), path.data);
    hone_request_fail(r, 400, text);
}

static void answer_text(hone_front *f, hone_request *r) {
    if (f->answer.failed)
        hone_request_fail(r, 503, "Out of memory");
    else
        hone_front_answer(f, r, 200, JSON, &f->answer);
}

static void handle_model(hone_front *f, hone_request *r, const target *at) {
    hone_error err;
    hone_servable *s = NULL;
    if (find(f, at, &s, &err) != HONE_OK) {
        fail(r, &err);
        return;
    }
    if (at->method == HONE_METHOD_PREDICT) {
        hone_front_predict(f, r, s, &predict_api);
        return;
    }
    hone_request_set_model(r, hone_servable_stats(s));
    if (at->method == HONE_METHOD_METADATA) {
        write_metadata(&f->answer, s);
        answer_text(f, r);
    } else {
        hone_request_fail(r, 501,
                          "Only predict is there: ONNX models have no signatures for classify and regress");
    }
    hone_servable_release(s);
}

void hone_tfs_handle(hone_front *f, hone_request *r) {
    hone_error err;
    target at;
    if (parse_target(r, &at, &err) != HONE_OK) {
        malformed(r, &err);
        return;
    }
    bool reads = at.method == HONE_METHOD_STATUS || at.method == HONE_METHOD_METADATA;
    if (!hone_request_takes(r, reads ? HONE_VERB_GET : HONE_VERB_POST)) return;
    r->method = at.method;
    hone_buffer_clear(&f->answer, KEEP_ANSWER);
    if (at.method != HONE_METHOD_STATUS)
        handle_model(f, r, &at);
    else if (write_status(f, &at, &err) == HONE_OK)
        answer_text(f, r);
    else
        fail(r, &err);
}
