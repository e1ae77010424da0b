/* Events for people: images, precision and recall, hyperparameters. */
#include "base/error.h"
#include "base/memory.h"
#include "image/image.h"
#include "monitor/events_inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* --- images --- a list of texts: width, height, PNG */

hone_status hone_events_image(hone_events *e, const char *tag, int64_t step, const uint8_t *rgb, int height,
                              int width, const char *description, hone_error *err) {
    enum { MOST = 1 << 14 };
    if (height < 1 || width < 1 || height > MOST || width > MOST)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "an image of %d x %d", height, width);
    void *png = NULL;
    size_t size = 0;
    char text[2][16];
    hone_status status = hone_png_write(rgb, height, width, &png, &size, err);
    ProtobufCBinaryData list[3] = {{0, (uint8_t *)text[0]}, {0, (uint8_t *)text[1]}, {size, png}};
    list[0].len = (size_t)snprintf(text[0], sizeof text[0], "%d", width);
    list[1].len = (size_t)snprintf(text[1], sizeof text[1], "%d", height);
    Hone__Tb__TensorShapeProto__Dim dim = HONE__TB__TENSOR_SHAPE_PROTO__DIM__INIT, *dims = &dim;
    Hone__Tb__TensorShapeProto shape = HONE__TB__TENSOR_SHAPE_PROTO__INIT;
    Hone__Tb__TensorProto tensor = HONE__TB__TENSOR_PROTO__INIT;
    dim.size = 3;
    shape.n_dim = 1;
    shape.dim = &dims;
    tensor.dtype = HONE__TB__DATA_TYPE__DT_STRING;
    tensor.tensor_shape = &shape;
    tensor.n_string_val = 3;
    tensor.string_val = list;
    hone_event_kind kind = {.plugin = "images",
                            .data_class = HONE__TB__DATA_CLASS__DATA_CLASS_BLOB_SEQUENCE,
                            .description = description};
    if (status == HONE_OK) status = hone_events_tensor(e, tag, step, &kind, &tensor, err);
    free(png);
    return status;
}

/* --- precision and recall --- rows of as many numbers as there are thresholds */

enum {
    TRUE_POSITIVES,
    FALSE_POSITIVES,
    TRUE_NEGATIVES,
    FALSE_NEGATIVES,
    PRECISION,
    RECALL,
    ROWS,
    STEPS = 101
};

/* Thresholds 0, 0.01 … 1: a sample is taken for the class where its score is not below. */
static void count_curve(const float *scores, const bool *is, int64_t n, float rows[ROWS][STEPS]) {
    memset(rows, 0, sizeof(float) * ROWS * STEPS);
    for (int64_t i = 0; i < n; i++) {
        float s = scores[i] < 0 ? 0 : scores[i] > 1 ? 1 : scores[i];
        int last = s == s ? (int)(s * (STEPS - 1)) : -1; /* NaN: never */
        for (int k = 0; k < STEPS; k++) {
            bool taken = k <= last;
            rows[taken   ? is[i] ? TRUE_POSITIVES : FALSE_POSITIVES
                 : is[i] ? FALSE_NEGATIVES
                         : TRUE_NEGATIVES][k]++;
        }
    }
    for (int k = 0; k < STEPS; k++) {
        float taken = rows[TRUE_POSITIVES][k] + rows[FALSE_POSITIVES][k],
              all = rows[TRUE_POSITIVES][k] + rows[FALSE_NEGATIVES][k];
        rows[PRECISION][k] = taken > 0 ? rows[TRUE_POSITIVES][k] / taken : 1;
        rows[RECALL][k] = all > 0 ? rows[TRUE_POSITIVES][k] / all : 0;
    }
}

hone_status hone_events_curve(hone_events *e, const char *tag, int64_t step, const float *scores,
                              const bool *is, int64_t n, hone_error *err) {
    static const uint8_t content[] = {0x10, STEPS}; /* PrCurvePluginData: num_thresholds = 2 */
    float rows[ROWS][STEPS];
    count_curve(scores, is, n, rows);
    Hone__Tb__TensorShapeProto__Dim dims[2] = {HONE__TB__TENSOR_SHAPE_PROTO__DIM__INIT,
                                               HONE__TB__TENSOR_SHAPE_PROTO__DIM__INIT},
                                    *list[2] = {&dims[0], &dims[1]};
    Hone__Tb__TensorShapeProto shape = HONE__TB__TENSOR_SHAPE_PROTO__INIT;
    Hone__Tb__TensorProto tensor = HONE__TB__TENSOR_PROTO__INIT;
    dims[0].size = ROWS;
    dims[1].size = STEPS;
    shape.n_dim = 2;
    shape.dim = list;
    tensor.dtype = HONE__TB__DATA_TYPE__DT_FLOAT;
    tensor.tensor_shape = &shape;
    tensor.n_float_val = ROWS * STEPS;
    tensor.float_val = &rows[0][0];
    hone_event_kind kind = {.plugin = "pr_curves",
                            .data_class = HONE__TB__DATA_CLASS__DATA_CLASS_TENSOR,
                            .content = content,
                            .content_size = sizeof content};
    return hone_events_tensor(e, tag, step, &kind, &tensor, err);
}

/* --- hyperparameters --- */

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static hone_status write_hparams(hone_events *e, const char *tag, Hone__Tb__HParamsPluginData *data,
                                 hone_error *err) {
    size_t size = hone__tb__hparams_plugin_data__get_packed_size(data);
    uint8_t *content = hone_alloc(size + 1);
    if (!content) return hone_fail_memory(err);
    hone__tb__hparams_plugin_data__pack(data, content);
    float zero = 0;
    Hone__Tb__TensorShapeProto shape = HONE__TB__TENSOR_SHAPE_PROTO__INIT;
    Hone__Tb__TensorProto tensor = HONE__TB__TENSOR_PROTO__INIT;
    tensor.dtype = HONE__TB__DATA_TYPE__DT_FLOAT;
    tensor.tensor_shape = &shape;
    tensor.n_float_val = 1;
    tensor.float_val = &zero;
    hone_event_kind kind = {.plugin = "hparams",
                            .data_class = HONE__TB__DATA_CLASS__DATA_CLASS_TENSOR,
                            .content = content,
                            .content_size = size};
    hone_status status = hone_events_tensor(e, tag, 0, &kind, &tensor, err);
    hone_free(content);
    return status;
}

static hone_status start_session(hone_events *e, const hone_hparam *params, int count, hone_error *err) {
    size_t n = (size_t)count;
    Hone__Tb__HValue *values = hone_calloc(n + 1, sizeof *values);
    Hone__Tb__SessionStartInfo__HparamsEntry *entries = hone_calloc(n + 1, sizeof *entries),
                                             **list = hone_calloc(n + 1, sizeof(void *));
    hone_status status = values && entries && list ? HONE_OK : hone_fail_memory(err);
    for (size_t i = 0; i < n && status == HONE_OK; i++) {
        hone__tb__hvalue__init(&values[i]);
        hone__tb__session_start_info__hparams_entry__init(&entries[i]);
        entries[i].key = (char *)(uintptr_t)params[i].name;
        entries[i].value = &values[i];
        values[i].kind_case =
            params[i].text ? HONE__TB__HVALUE__KIND_STRING_VALUE : HONE__TB__HVALUE__KIND_NUMBER_VALUE;
        if (params[i].text)
            values[i].string_value = (char *)(uintptr_t)params[i].text;
        else
            values[i].number_value = params[i].number;
        list[i] = &entries[i];
    }
    Hone__Tb__SessionStartInfo info = HONE__TB__SESSION_START_INFO__INIT;
    Hone__Tb__HParamsPluginData data = HONE__TB__HPARAMS_PLUGIN_DATA__INIT;
    info.n_hparams = n;
    info.hparams = list;
    info.start_time_secs = now();
    data.data_case = HONE__TB__HPARAMS_PLUGIN_DATA__DATA_SESSION_START_INFO;
    data.session_start_info = &info;
    if (status == HONE_OK) status = write_hparams(e, "_hparams_/session_start_info", &data, err);
    hone_free(values);
    hone_free(entries);
    hone_free(list);
    return status;
}

static hone_status describe_experiment(hone_events *e, const hone_hparam *params, int count,
                                       const char *const *metrics, int metric_count, hone_error *err) {
    size_t n = (size_t)count, m = (size_t)metric_count;
    Hone__Tb__HParamInfo *infos = hone_calloc(n + 1, sizeof *infos),
                         **info_list = hone_calloc(n + 1, sizeof(void *));
    Hone__Tb__MetricInfo *rows = hone_calloc(m + 1, sizeof *rows),
                         **row_list = hone_calloc(m + 1, sizeof(void *));
    Hone__Tb__MetricName *names = hone_calloc(m + 1, sizeof *names);
    hone_status status = infos && info_list && rows && row_list && names ? HONE_OK : hone_fail_memory(err);
    for (size_t i = 0; i < n && status == HONE_OK; i++) {
        hone__tb__hparam_info__init(&infos[i]);
        infos[i].name = (char *)(uintptr_t)params[i].name;
        infos[i].type = params[i].text ? HONE__TB__HPARAM_TYPE__DATA_TYPE_STRING
                                       : HONE__TB__HPARAM_TYPE__DATA_TYPE_FLOAT64;
        info_list[i] = &infos[i];
    }
    for (size_t i = 0; i < m && status == HONE_OK; i++) {
        hone__tb__metric_info__init(&rows[i]);
        hone__tb__metric_name__init(&names[i]);
        names[i].tag = (char *)(uintptr_t)metrics[i];
        rows[i].name = &names[i];
        row_list[i] = &rows[i];
    }
    Hone__Tb__Experiment experiment = HONE__TB__EXPERIMENT__INIT;
    Hone__Tb__HParamsPluginData data = HONE__TB__HPARAMS_PLUGIN_DATA__INIT;
    experiment.time_created_secs = now();
    experiment.n_hparam_infos = n;
    experiment.hparam_infos = info_list;
    experiment.n_metric_infos = m;
    experiment.metric_infos = row_list;
    data.data_case = HONE__TB__HPARAMS_PLUGIN_DATA__DATA_EXPERIMENT;
    data.experiment = &experiment;
    if (status == HONE_OK) status = write_hparams(e, "_hparams_/experiment", &data, err);
    hone_free(infos);
    hone_free(info_list);
    hone_free(rows);
    hone_free(row_list);
    hone_free(names);
    return status;
}

hone_status hone_events_hparams(hone_events *e, const hone_hparam *params, int count,
                                const char *const *metrics, int metric_count, hone_error *err) {
    HONE_TRY(describe_experiment(e, params, count, metrics, metric_count, err));
    return start_session(e, params, count, err);
}
