#include "serve/oip/oip_rest.h"

#include "base/error.h"
#include "serve/api/status.h"
#include "serve/format/json_write.h"
#include "serve/oip/oip_json.h"
#include "serve/request/verb.h"

#define JSON "application/json"
#define RAW "application/octet-stream"
#define KEEP_ANSWER ((size_t)1 << 20)

enum { NAME_MOST = 255 };

static void fail(hone_request *r, const hone_error *err) {
    hone_request_fail(r, hone_http_status_of(err->code), err->message);
}

static void answer_with(hone_front *f, hone_request *r, int status) {
    if (f->answer.failed)
        hone_request_fail(r, 503, "Out of memory");
    else
        hone_front_answer(f, r, status, JSON, &f->answer);
}

static void answer(hone_front *f, hone_request *r) {
    answer_with(f, r, 200);
}

static void empty(hone_request *r, int status) {
    hone_request_answer(r, status, JSON, "", 0);
}

static void put_text(hone_buffer *out, const char *text) {
    hone_json_write_string(out, text, strlen(text));
}

/* --- the server --- */

static void server(hone_front *f, hone_request *r) {
    hone_buffer *out = &f->answer;
    r->method = HONE_METHOD_METADATA;
    hone_buffer_text(out, "{\"name\":\"hone\",\"version\":\"" HONE_VERSION "\",\"extensions\":[");
    for (int i = 0; hone_oip_extensions[i]; i++)
        hone_buffer_printf(out, "%s\"%s\"", i ? "," : "", hone_oip_extensions[i]);
    hone_buffer_text(out, "]}");
    answer(f, r);
}

/* 4xx stands for false; the protocol leaves the body to the server, and KServe's client reads it. */
static void health(hone_front *f, hone_request *r, bool live) {
    bool yes = live || hone_front_is_ready(f);
    r->method = HONE_METHOD_HEALTH;
    hone_buffer_printf(&f->answer, "{\"%s\":%s}", live ? "live" : "ready", yes ? "true" : "false");
    answer_with(f, r, yes ? 200 : 400);
}

/* --- a model --- */

static void model_health(hone_front *f, hone_request *r, hone_slice name, hone_status status) {
    bool yes = status == HONE_OK;
    r->method = HONE_METHOD_HEALTH;
    hone_buffer_text(&f->answer, "{\"name\":");
    hone_json_write_string(&f->answer, name.data, name.size);
    hone_buffer_text(&f->answer, yes ? ",\"ready\":true}" : ",\"ready\":false}");
    answer_with(f, r, yes ? 200 : 400);
}

static void put_dims(hone_buffer *out, const hone_value_info *v) {
    hone_buffer_byte(out, '[');
    for (int i = 0; i < v->rank; i++)
        hone_buffer_printf(out, "%s%lld", i ? "," : "", (long long)(v->dims[i] < 0 ? -1 : v->dims[i]));
    hone_buffer_byte(out, ']');
}

static void put_version(void *user, int64_t version) {
    hone_buffer *out = user;
    hone_buffer_printf(out, "%s\"%lld\"", out->data && out->data[out->size - 1] == '[' ? "" : ",",
                       (long long)version);
}

static void put_tensors(hone_buffer *out, const hone_servable *s, bool inputs, bool config) {
    int count = inputs ? hone_servable_input_count(s) : hone_servable_output_count(s);
    for (int i = 0; i < count; i++) {
        const hone_value_info *v = inputs ? hone_servable_input(s, i) : hone_servable_output(s, i);
        hone_buffer_text(out, i ? ",{\"name\":" : "{\"name\":");
        put_text(out, v->name);
        if (config)
            hone_buffer_printf(out, ",\"data_type\":\"TYPE_%s\",\"dims\":", hone_oip_config_type(v->dtype));
        else
            hone_buffer_printf(out, ",\"datatype\":\"%s\",\"shape\":", hone_oip_datatype(v->dtype));
        put_dims(out, v);
        hone_buffer_byte(out, '}');
    }
}

static void metadata(hone_front *f, hone_request *r, const hone_servable *s) {
    hone_buffer *out = &f->answer;
    const char *name = hone_servable_name(s);
    r->method = HONE_METHOD_METADATA;
    hone_buffer_text(out, "{\"name\":");
    put_text(out, name);
    hone_buffer_text(out, ",\"versions\":[");
    hone_core_versions(f->o.core, (hone_slice){name, strlen(name)}, put_version, out);
    hone_buffer_text(out, "],\"platform\":\"" HONE_OIP_PLATFORM "\",\"inputs\":[");
    put_tensors(out, s, true, false);
    hone_buffer_text(out, "],\"outputs\":[");
    put_tensors(out, s, false, false);
    hone_buffer_text(out, "]}");
    answer(f, r);
}

static void config(hone_front *f, hone_request *r, const hone_servable *s) {
    hone_buffer *out = &f->answer;
    r->method = HONE_METHOD_METADATA;
    hone_buffer_text(out, "{\"name\":");
    put_text(out, hone_servable_name(s));
    hone_buffer_text(out, ",\"platform\":\"" HONE_OIP_PLATFORM "\",\"backend\":\"hone\",\"max_batch_size\":0,"
                          "\"input\":[");
    put_tensors(out, s, true, true);
    hone_buffer_text(out, "],\"output\":[");
    put_tensors(out, s, false, true);
    hone_buffer_text(out, "]}");
    answer(f, r);
}

static void put_duration(hone_buffer *out, const char *name, const hone_tally *t, hone_tally_item item) {
    hone_buffer_printf(out, "\"%s\":{\"count\":%llu,\"ns\":%llu}", name,
                       (unsigned long long)atomic_load(&t->count[item]),
                       (unsigned long long)atomic_load(&t->ns[item]));
}

static void put_statistics(hone_buffer *out, const hone_servable *s) {
    static const char *const names[HONE_TALLY_ITEMS] = {"success",       "fail",          "queue",
                                                        "compute_input", "compute_infer", "compute_output"};
    const hone_tally *t = hone_model_stats_tally(hone_servable_stats((hone_servable *)(uintptr_t)s));
    hone_buffer_text(out, "{\"name\":");
    put_text(out, hone_servable_name(s));
    hone_buffer_printf(out,
                       ",\"version\":\"%lld\",\"last_inference\":%llu,\"inference_count\":%llu,"
                       "\"execution_count\":%llu,\"inference_stats\":{",
                       (long long)hone_servable_version(s), (unsigned long long)atomic_load(&t->last),
                       (unsigned long long)atomic_load(&t->rows), (unsigned long long)atomic_load(&t->runs));
    for (int i = 0; i < HONE_TALLY_ITEMS; i++) {
        if (i) hone_buffer_byte(out, ',');
        put_duration(out, names[i], t, (hone_tally_item)i);
    }
    hone_buffer_text(out, "},\"batch_stats\":[]}");
}

static void statistics(hone_front *f, hone_request *r, const hone_servable *s) {
    r->method = HONE_METHOD_STATUS;
    hone_buffer_text(&f->answer, "{\"model_stats\":[");
    put_statistics(&f->answer, s);
    hone_buffer_text(&f->answer, "]}");
    answer(f, r);
}

static void put_model_statistics(void *user, const char *name, const hone_servable *latest) {
    hone_buffer *out = user;
    (void)name;
    if (!latest) return;
    if (out->data && out->data[out->size - 1] != '[') hone_buffer_byte(out, ',');
    put_statistics(out, latest);
}

static void all_statistics(hone_front *f, hone_request *r) {
    r->method = HONE_METHOD_STATUS;
    hone_buffer_text(&f->answer, "{\"model_stats\":[");
    hone_core_models(f->o.core, put_model_statistics, &f->answer);
    hone_buffer_text(&f->answer, "]}");
    answer(f, r);
}

/* --- inference --- */

static void reply(hone_call *c, hone_buffer *out, bool packed) {
    char text[24];
    hone_buffer length = {.data = text, .capacity = sizeof text};
    if (!hone_oip_has_raw(c)) {
        hone_front_answer_as(c->request, 200, JSON, out, packed);
        return;
    }
    hone_json_write_integer(&length, (int64_t)c->json_size);
    hone_buffer_byte(&length, 0);
    hone_request_field(c->request, HONE_OIP_LENGTH_FIELD, text);
    hone_front_answer_as(c->request, 200, RAW, out, packed);
}

static const hone_api infer_api = {hone_oip_decode,           hone_oip_encode, reply, fail,
                                   .packs = hone_front_packs, .http = true};

/* --- the repository --- */

typedef struct index_list {
    hone_buffer *out;
    bool ready, any;
} index_list;

static void begin_entry(index_list *l, const char *name) {
    hone_buffer_text(l->out, l->any ? ",{\"name\":" : "{\"name\":");
    l->any = true;
    put_text(l->out, name);
}

static void end_entry(index_list *l, hone_version_state state, const char *reason) {
    hone_buffer_printf(l->out, ",\"state\":\"%s\",\"reason\":", hone_oip_state(state));
    put_text(l->out, reason);
    hone_buffer_byte(l->out, '}');
}

static void put_entry(void *user, const hone_version_status *v) {
    index_list *l = user;
    if (l->ready && v->state != HONE_VERSION_AVAILABLE) return;
    begin_entry(l, v->model);
    hone_buffer_printf(l->out, ",\"version\":\"%lld\"", (long long)v->version);
    end_entry(l, v->state, v->message);
}

static void put_remark(void *user, const char *name, const char *text) {
    index_list *l = user;
    begin_entry(l, name);
    end_entry(l, HONE_VERSION_END, text);
}

/* The members that the repository's requests have: {"ready": …} and {"parameters": {"config": …}}. */
static hone_status read_options(hone_json *j, bool outer, bool *ready, hone_slice *settings,
                                hone_error *err) {
    HONE_TRY(hone_json_expect(j, '{', err));
    if (hone_json_take(j, '}')) return HONE_OK;
    do {
        hone_slice key;
        HONE_TRY(hone_json_string(j, &key, err));
        HONE_TRY(hone_json_expect(j, ':', err));
        if (hone_slice_equal(key, "ready")) {
            *ready = hone_json_peek(j) == 't';
            HONE_TRY(hone_json_skip(j, err));
        } else if (hone_slice_equal(key, "config")) {
            HONE_TRY(hone_json_string(j, settings, err));
        } else if (outer && hone_slice_equal(key, "parameters")) {
            HONE_TRY(read_options(j, false, ready, settings, err));
        } else if (key.size > 5 && memcmp(key.data, "file:", 5) == 0) {
            return hone_fail(err, HONE_UNSUPPORTED,
                             "files of a model can't be sent: put them into the repository");
        } else {
            HONE_TRY(hone_json_skip(j, err));
        }
    } while (hone_json_take(j, ','));
    return hone_json_expect(j, '}', err);
}

static hone_status read_body(hone_request *r, bool *ready, hone_slice *settings, hone_error *err) {
    hone_json j;
    *ready = false;
    *settings = (hone_slice){NULL, 0};
    hone_json_init(&j, r->body.data, r->body.size);
    if (r->body.size == 0) return HONE_OK;
    HONE_TRY(read_options(&j, true, ready, settings, err));
    hone_json_peek(&j);
    return j.cursor == j.end ? HONE_OK
                             : hone_json_fail(&j, err,
                                              "The document root must not be followed by "
                                              "other values.");
}

static void repository_index(hone_front *f, hone_request *r) {
    hone_error err = {0};
    hone_slice settings;
    index_list l = {.out = &f->answer};
    r->method = HONE_METHOD_STATUS;
    if (read_body(r, &l.ready, &settings, &err) != HONE_OK) {
        fail(r, &err);
        return;
    }
    hone_buffer_byte(l.out, '[');
    hone_core_states(f->o.core, (hone_slice){NULL, 0}, put_entry, &l);
    if (!l.ready) hone_core_remarks(f->o.core, put_remark, &l);
    hone_buffer_byte(l.out, ']');
    answer(f, r);
}

static void changed(hone_front *f, hone_request *r, hone_status status, const hone_error *err) {
    (void)f;
    if (status == HONE_OK)
        empty(r, 200);
    else
        hone_request_fail(r, hone_http_status_of(status), err ? err->message : hone_status_name(status));
}

static void change(hone_front *f, hone_request *r, const char *name, bool load) {
    hone_error err = {0};
    hone_slice settings;
    bool ready;
    if (read_body(r, &ready, &settings, &err) != HONE_OK)
        fail(r, &err);
    else
        hone_oip_change(f, r, load, (hone_slice){name, strlen(name)}, settings, changed);
}

/* --- paths --- */

static bool is(hone_slice path, const char *word) {
    return hone_slice_equal(path, word);
}

/* What comes behind "/v2/models/M[/versions/V]". */
static void handle_model(hone_front *f, hone_request *r, hone_slice rest, hone_slice name,
                         hone_slice version) {
    bool infer = is(rest, "/infer");
    hone_error err;
    hone_servable *s = NULL;
    if (!infer && !is(rest, "") && !is(rest, "/ready") && !is(rest, "/config") && !is(rest, "/stats")) {
        hone_request_refuse_path(r, 404);
        return;
    }
    if (!hone_request_takes(r, infer ? HONE_VERB_POST : HONE_VERB_GET)) return;
    hone_status status = hone_front_find(f, name, version, &s, &err);
    if (is(rest, "/ready")) {
        model_health(f, r, name, status);
    } else if (infer) {
        r->method = HONE_METHOD_PREDICT;
        if (status == HONE_OK) {
            hone_front_predict(f, r, s, &infer_api);
            return;
        }
        fail(r, &err);
    } else if (status != HONE_OK) {
        fail(r, &err);
    } else {
        hone_request_set_model(r, hone_servable_stats(s));
        if (is(rest, "/config"))
            config(f, r, s);
        else if (is(rest, "/stats"))
            statistics(f, r, s);
        else
            metadata(f, r, s);
    }
    hone_servable_release(s);
}

static void handle_models(hone_front *f, hone_request *r, hone_slice rest) {
    char name[NAME_MOST + 1], version[NAME_MOST + 1] = "";
    if (!hone_path_segment(&rest, '/', name, sizeof name) ||
        (hone_path_take(&rest, "/versions/", false) &&
         !hone_path_segment(&rest, '/', version, sizeof version))) {
        hone_request_refuse_path(r, 404);
        return;
    }
    handle_model(f, r, rest, (hone_slice){name, strlen(name)}, (hone_slice){version, strlen(version)});
}

static void handle_repository(hone_front *f, hone_request *r, hone_slice rest) {
    char name[NAME_MOST + 1];
    if (is(rest, "/index")) {
        if (hone_request_takes(r, HONE_VERB_POST)) repository_index(f, r);
        return;
    }
    bool load = false;
    bool found = hone_path_take(&rest, "/models/", false) &&
                 hone_path_segment(&rest, '/', name, sizeof name) &&
                 ((load = is(rest, "/load")) || is(rest, "/unload"));
    if (!found)
        hone_request_refuse_path(r, 404);
    else if (hone_request_takes(r, HONE_VERB_POST))
        change(f, r, name, load);
}

bool hone_oip_takes(hone_slice path) {
    return hone_path_take(&path, "/v2", false) && (path.size == 0 || *path.data == '/');
}

void hone_oip_handle(hone_front *f, hone_request *r) {
    hone_slice rest = r->head.path;
    hone_buffer_clear(&f->answer, KEEP_ANSWER);
    hone_path_take(&rest, "/v2", false);
    bool root = rest.size == 0 || is(rest, "/"), live = is(rest, "/health/live");
    bool statistics_of_all = is(rest, "/models/stats");
    if (root || live || is(rest, "/health/ready") || statistics_of_all) {
        if (!hone_request_takes(r, HONE_VERB_GET)) return;
        if (root)
            server(f, r);
        else if (statistics_of_all)
            all_statistics(f, r);
        else
            health(f, r, live);
    } else if (hone_path_take(&rest, "/models/", false)) {
        handle_models(f, r, rest);
    } else if (hone_path_take(&rest, "/repository", false)) {
        handle_repository(f, r, rest);
    } else {
        hone_request_refuse_path(r, 404);
    }
}
