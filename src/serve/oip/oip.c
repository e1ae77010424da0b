#include "serve/oip/oip.h"

#include "base/error.h"
#include "base/memory.h"

const char *const hone_oip_extensions[] = {"model_repository", "model_configuration", "binary_tensor_data",
                                           "statistics", NULL};

static const struct {
    hone_dtype dtype;
    int config; /* inference.DataType */
    const char *name, *config_name;
} types[] = {
    {HONE_BOOL, 1, "BOOL", "BOOL"},       {HONE_UINT8, 2, "UINT8", "UINT8"},
    {HONE_UINT16, 3, "UINT16", "UINT16"}, {HONE_UINT32, 4, "UINT32", "UINT32"},
    {HONE_UINT64, 5, "UINT64", "UINT64"}, {HONE_INT8, 6, "INT8", "INT8"},
    {HONE_INT16, 7, "INT16", "INT16"},    {HONE_INT32, 8, "INT32", "INT32"},
    {HONE_INT64, 9, "INT64", "INT64"},    {HONE_FLOAT16, 10, "FP16", "FP16"},
    {HONE_FLOAT32, 11, "FP32", "FP32"},   {HONE_FLOAT64, 12, "FP64", "FP64"},
    {HONE_STRING, 13, "BYTES", "STRING"}, {HONE_BFLOAT16, 14, "BF16", "BF16"},
};
enum { TYPES = sizeof types / sizeof *types };

const char *hone_oip_datatype(hone_dtype dtype) {
    for (int i = 0; i < TYPES; i++)
        if (types[i].dtype == dtype) return types[i].name;
    return "";
}

const char *hone_oip_config_type(hone_dtype dtype) {
    for (int i = 0; i < TYPES; i++)
        if (types[i].dtype == dtype) return types[i].config_name;
    return "INVALID";
}

int hone_oip_config_number(hone_dtype dtype) {
    for (int i = 0; i < TYPES; i++)
        if (types[i].dtype == dtype) return types[i].config;
    return 0;
}

hone_status hone_oip_input(hone_call *c, hone_slice name, hone_slice datatype, int rank, const int64_t *dims,
                           hone_feed **out, hone_error *err) {
    int shown = hone_slice_shown(name, 200);
    hone_feed *feed = hone_tensors_find(&c->tensors, name);
    if (!feed)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "the model has no input \"%.*s\"", shown, name.data);
    if (feed->given || feed->raw)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "the input \"%.*s\" is there twice", shown, name.data);
    const char *wanted = hone_oip_datatype(feed->values.dtype);
    if (!hone_slice_equal(datatype, wanted))
        return hone_fail(err, HONE_INVALID_ARGUMENT,
                         "the input \"%s\" is of the datatype \"%.*s\", but the model takes %s", feed->name,
                         hone_slice_shown(datatype, 40), datatype.data, wanted);
    *out = feed;
    return hone_feed_said_shape(&c->tensors, feed, rank, dims, err);
}

hone_status hone_oip_raw(hone_feed *feed, char *data, size_t size, hone_error *err) {
    if (feed->values.dtype == HONE_STRING) return hone_feed_raw_texts(feed, data, size, err);
    return hone_feed_raw(feed, data, size, err);
}

hone_status hone_oip_timeout(hone_call *c, int64_t microseconds, hone_error *err) {
    if (microseconds < 0)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "the parameter \"timeout\" is negative");
    c->timeout = microseconds < INT64_MAX / 1000000 ? (uint64_t)microseconds * 1000 : 0;
    return HONE_OK;
}

const char *hone_oip_state(hone_version_state state) {
    switch (state) {
    case HONE_VERSION_AVAILABLE: return "READY";
    case HONE_VERSION_LOADING: return "LOADING";
    case HONE_VERSION_UNLOADING: return "UNLOADING";
    default: return "UNAVAILABLE";
    }
}

/* --- the repository --- */

typedef struct change {
    hone_model_task task;
    hone_front *front;
    hone_request *request;
    hone_oip_done_fn *done;
} change;

static void changed(hone_model_task *t, hone_status status, const hone_error *err) {
    change *c = t->user;
    c->done(c->front, c->request, status, err);
    hone_request_release(c->request);
    hone_free(c);
}

void hone_oip_change(hone_front *f, hone_request *r, bool load, hone_slice name, hone_slice settings,
                     hone_oip_done_fn *done) {
    change *c = hone_calloc(1, sizeof *c);
    if (!c) {
        hone_error err = {0};
        done(f, r, hone_fail_memory(&err), &err);
        return;
    }
    c->front = f;
    c->request = hone_request_retain(r);
    c->done = done;
    c->task.worker = f->o.worker;
    c->task.done = changed;
    c->task.user = c;
    if (load)
        hone_core_load_model(f->o.core, &c->task, name, settings);
    else
        hone_core_unload_model(f->o.core, &c->task, name);
}
