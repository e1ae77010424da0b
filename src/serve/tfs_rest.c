#include "serve/tfs_rest.h"

#include "base/error.h"
#include "base/memory.h"
#include "serve/clock.h"
#include "serve/json_write.h"
#include "serve/tfs_json.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define KEEP_ANSWER ((size_t)1 << 20)
#define JSON "application/json"

enum { NAME_MOST = 255 };

struct hone_tfs {
    hone_core *core;
    hone_stats *stats;
    int worker;
    hone_tfs_body body;
    hone_buffer answer;
};

hone_status hone_tfs_new(hone_core *core, hone_stats *stats, int worker, hone_tfs **out, hone_error *err) {
    hone_tfs *t = hone_calloc(1, sizeof *t);
    if (!t) return hone_fail_memory(err);
    t->core = core;
    t->stats = stats;
    t->worker = worker;
    *out = t;
    return HONE_OK;
}

void hone_tfs_free(hone_tfs *t) {
    if (!t) return;
    hone_tfs_body_free(&t->body);
    hone_buffer_free(&t->answer);
    hone_free(t);
}

int hone_tfs_http_status(hone_status status) {
    switch (status) {
    case HONE_OK: return 200;
    case HONE_INVALID_ARGUMENT:
    case HONE_FAILED_PRECONDITION:
    case HONE_OUT_OF_RANGE: return 400;
    case HONE_NOT_FOUND: return 404;
    case HONE_ALREADY_EXISTS: return 409;
    case HONE_RESOURCE_EXHAUSTED: return 429;
    case HONE_OUT_OF_MEMORY:
    case HONE_UNAVAILABLE: return 503;
    case HONE_DEADLINE_EXCEEDED: return 504;
    case HONE_UNSUPPORTED: return 501;
    case HONE_CANCELLED: return 499;
    default: return 500;
    }
}

static void fail(hone_request *r, hone_status status, const hone_error *err) {
    hone_request_fail(r, hone_tfs_http_status(status), err->message);
}

/* --- paths --- */

typedef struct target {
    char name[NAME_MOST + 1];  /* "": none was given */
    char label[NAME_MOST + 1]; /* "": none */
    bool has_version;
    int64_t version;
    hone_method method;
} target;

/* Takes `word` from the front, ignoring case. */
static bool take(hone_slice *s, const char *word) {
    size_t n = strlen(word);
    if (s->size < n || strncasecmp(s->data, word, n) != 0) return false;
    *s = (hone_slice){s->data + n, s->size - n};
    return true;
}

static hone_slice take_segment(hone_slice *s) {
    size_t n = 0;
    while (n < s->size && s->data[n] != '/' && s->data[n] != ':') n++;
    hone_slice segment = {s->data, n};
    *s = (hone_slice){s->data + n, s->size - n};
    return segment;
}

static int hex(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* %41 becomes A. False if it is too long, empty, or hides a zero byte. */
static bool decode(hone_slice s, char out[NAME_MOST + 1]) {
    size_t n = 0;
    for (size_t i = 0; i < s.size; i++) {
        char c = s.data[i];
        if (c == '%' && i + 2 < s.size && hex(s.data[i + 1]) >= 0 && hex(s.data[i + 2]) >= 0) {
            c = (char)(hex(s.data[i + 1]) * 16 + hex(s.data[i + 2]));
            i += 2;
        }
        if (c == 0 || n == NAME_MOST) return false;
        out[n++] = c;
    }
    out[n] = 0;
    return n > 0;
}

static bool is_method(hone_slice s, target *out) {
    if (hone_slice_is(s, "predict"))
        out->method = HONE_METHOD_PREDICT;
    else if (hone_slice_is(s, "classify"))
        out->method = HONE_METHOD_CLASSIFY;
    else if (hone_slice_is(s, "regress"))
        out->method = HONE_METHOD_REGRESS;
    else
        return false;
    return true;
}

/* HONE_INVALID_ARGUMENT with an empty message if the path is none of this API. */
static hone_status parse_target(const hone_request *r, target *out, hone_error *err) {
    hone_slice rest = r->head.path;
    bool get = hone_slice_is(r->head.method, "GET"), post = hone_slice_is(r->head.method, "POST");
    err->message[0] = 0;
    *out = (target){.method = HONE_METHOD_STATUS};
    if ((!get && !post) || !take(&rest, "/v1/models")) return HONE_INVALID_ARGUMENT;
    if (take(&rest, "/") && !decode(take_segment(&rest), out->name)) return HONE_INVALID_ARGUMENT;
    if (take(&rest, "/versions/")) {
        hone_slice digits = take_segment(&rest);
        if (digits.size == 0) return HONE_INVALID_ARGUMENT;
        for (size_t i = 0; i < digits.size; i++) {
            char c = digits.data[i];
            if (c < '0' || c > '9') return HONE_INVALID_ARGUMENT;
            if (__builtin_mul_overflow(out->version, 10, &out->version) ||
                __builtin_add_overflow(out->version, c - '0', &out->version))
                return hone_fail(err, HONE_INVALID_ARGUMENT, "Failed to convert version: %.*s to numeric.",
                                 (int)(digits.size < 100 ? digits.size : 100), digits.data);
        }
        out->has_version = true;
    } else if (take(&rest, "/labels/") && !decode(take_segment(&rest), out->label)) {
        return HONE_INVALID_ARGUMENT;
    }
    if (get) {
        if (take(&rest, "/metadata")) out->method = HONE_METHOD_METADATA;
        return rest.size == 0 ? HONE_OK : HONE_INVALID_ARGUMENT;
    }
    return out->name[0] && take(&rest, ":") && is_method(rest, out) ? HONE_OK : HONE_INVALID_ARGUMENT;
}

static hone_status find(hone_tfs *t, const target *at, hone_servable **out, hone_error *err) {
    if (!at->name[0]) return hone_fail(err, HONE_INVALID_ARGUMENT, "Missing model name in request.");
    if (at->label[0])
        return hone_fail(err, HONE_INVALID_ARGUMENT, "Unrecognized servable version label: %s", at->label);
    *out = hone_core_find(t->core, (hone_slice){at->name, strlen(at->name)},
                          at->has_version ? at->version : HONE_LATEST);
    if (*out) return HONE_OK;
    if (at->has_version)
        return hone_fail(err, HONE_NOT_FOUND, "Servable not found for request: Specific(%s, %lld)", at->name,
                         (long long)at->version);
    return hone_fail(err, HONE_NOT_FOUND, "Servable not found for request: Latest(%s)", at->name);
}

/* --- predict --- */

static double seconds(uint64_t from, uint64_t to) {
    return (double)(to - from) * 1e-9;
}

static hone_status predict(hone_tfs *t, hone_servable *s, hone_request *r, hone_error *err) {
    uint64_t start = hone_now();
    hone_stats_stage(t->stats, HONE_STAGE_READ, seconds(r->started, r->received));
    if (hone_request_should_stop(r)) return hone_fail(err, HONE_CANCELLED, "The request was cancelled");
    HONE_TRY(hone_tfs_decode(&t->body, s, r->body.data, r->body.size, err));
    uint64_t decoded = hone_now();
    hone_stats_stage(t->stats, HONE_STAGE_DECODE, seconds(start, decoded));
    HONE_TRY(
        hone_servable_run(s, t->worker, t->body.tensors, t->body.outputs, hone_request_should_stop, r, err));
    uint64_t computed = hone_now();
    hone_stats_stage(t->stats, HONE_STAGE_COMPUTE, seconds(decoded, computed));
    HONE_TRY(hone_tfs_encode(&t->body, s, &t->answer, err));
    hone_stats_stage(t->stats, HONE_STAGE_SERIALIZE, seconds(computed, hone_now()));
    return HONE_OK;
}

static bool is_plain(const hone_request *r) {
    hone_slice coding = hone_head_field(&r->head, "content-encoding");
    return coding.size == 0 || hone_slice_is(coding, "identity");
}

static void handle_predict(hone_tfs *t, hone_servable *s, hone_request *r) {
    hone_error err = {0};
    if (!is_plain(r)) {
        hone_request_fail(r, 415, "The only Content-Encoding understood is identity");
        return;
    }
    hone_status status = predict(t, s, r, &err);
    if (status == HONE_CANCELLED && r->deadline && hone_now() >= r->deadline)
        status = hone_fail(&err, HONE_DEADLINE_EXCEEDED, "The request took longer than the server allows");
    if (status == HONE_OK)
        hone_request_answer(r, 200, JSON, t->answer.data, t->answer.size);
    else
        fail(r, status, &err);
}

/* --- status and metadata --- */

static void put_version(void *user, int64_t version) {
    hone_buffer *out = user;
    bool first = out->data && out->data[out->size - 1] == '[';
    hone_buffer_printf(out,
                       "%s\n  {\n   \"version\": \"%lld\",\n   \"state\": \"AVAILABLE\",\n   \"status\": {\n"
                       "    \"error_code\": \"OK\",\n    \"error_message\": \"\"\n   }\n  }",
                       first ? "" : ",", (long long)version);
}

static hone_status write_status(hone_tfs *t, const target *at, hone_error *err) {
    hone_slice name = {at->name, strlen(at->name)};
    if (!at->name[0]) return hone_fail(err, HONE_INVALID_ARGUMENT, "Missing model name in request.");
    if (at->label[0])
        return hone_fail(err, HONE_INVALID_ARGUMENT, "Unrecognized servable version label: %s", at->label);
    hone_buffer_text(&t->answer, "{\n \"model_version_status\": [");
    if (at->has_version) {
        hone_servable *s = hone_core_find(t->core, name, at->version);
        if (!s)
            return hone_fail(err, HONE_NOT_FOUND, "Could not find version %lld of model %s",
                             (long long)at->version, at->name);
        hone_servable_release(s);
        put_version(&t->answer, at->version);
    } else if (hone_core_versions(t->core, name, put_version, &t->answer) == 0) {
        return hone_fail(err, HONE_NOT_FOUND, "Could not find any versions of model %s", at->name);
    }
    hone_buffer_text(&t->answer, "\n ]\n}\n");
    return HONE_OK;
}

static const char *tensorflow_type(hone_dtype dtype) {
    switch (dtype) {
    case HONE_FLOAT32: return "DT_FLOAT";
    case HONE_FLOAT64: return "DT_DOUBLE";
    case HONE_FLOAT16: return "DT_HALF";
    case HONE_BFLOAT16: return "DT_BFLOAT16";
    case HONE_INT8: return "DT_INT8";
    case HONE_UINT8: return "DT_UINT8";
    case HONE_INT16: return "DT_INT16";
    case HONE_UINT16: return "DT_UINT16";
    case HONE_INT32: return "DT_INT32";
    case HONE_UINT32: return "DT_UINT32";
    case HONE_INT64: return "DT_INT64";
    case HONE_UINT64: return "DT_UINT64";
    case HONE_BOOL: return "DT_BOOL";
    case HONE_STRING: return "DT_STRING";
    default: return "DT_INVALID";
    }
}

static void put_value_info(hone_buffer *out, const hone_graph *g, const hone_value_info *v, bool first) {
    hone_buffer_text(out, first ? "\n     " : ",\n     ");
    hone_json_write_string(out, v->name, strlen(v->name));
    hone_buffer_printf(out, ": {\n      \"dtype\": \"%s\",\n      \"tensor_shape\": {\n       \"dim\": [",
                       tensorflow_type(v->dtype));
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
        snprintf(text, sizeof text, "Malformed request: %.*s %.*s",
                 (int)(method.size < 32 ? method.size : 32), method.data,
                 (int)(path.size < 500 ? path.size : 500), path.data);
    hone_request_fail(r, 400, text);
}

static void answer_text(hone_tfs *t, hone_request *r) {
    if (t->answer.failed)
        hone_request_fail(r, 503, "Out of memory");
    else
        hone_request_answer(r, 200, JSON, t->answer.data, t->answer.size);
}

static void handle_model(hone_tfs *t, hone_request *r, const target *at) {
    hone_error err = {0};
    hone_servable *s = NULL;
    hone_status status = find(t, at, &s, &err);
    if (status != HONE_OK) {
        fail(r, status, &err);
        return;
    }
    r->model = hone_servable_stats(s);
    if (at->method == HONE_METHOD_PREDICT) {
        handle_predict(t, s, r);
    } else if (at->method == HONE_METHOD_METADATA) {
        write_metadata(&t->answer, s);
        answer_text(t, r);
    } else {
        hone_request_fail(r, 501,
                          "Only predict is there: ONNX models have no signatures for classify and regress");
    }
    hone_servable_release(s);
}

void hone_tfs_handle(hone_tfs *t, hone_request *r) {
    hone_error err = {0};
    target at;
    if (parse_target(r, &at, &err) != HONE_OK) {
        malformed(r, &err);
        return;
    }
    r->method = at.method;
    hone_buffer_clear(&t->answer, KEEP_ANSWER);
    if (at.method != HONE_METHOD_STATUS) {
        handle_model(t, r, &at);
        return;
    }
    hone_status status = write_status(t, &at, &err);
    if (status == HONE_OK)
        answer_text(t, r);
    else
        fail(r, status, &err);
}
