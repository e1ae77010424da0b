/* Event files. A record, all little endian, is
 *
 *   length (8 bytes) | masked CRC of the length (4) | a serialized Event | masked CRC of it (4) */
#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "monitor/crc32c.h"
#include "monitor/events_inside.h"
#include "monitor/graph_def.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { FLUSH_AT = 64 << 10, FLUSH_AFTER = 2 /* seconds */, HEAD = 12, FRAME = 16, BUCKETS = 30 };

struct hone_events {
    pthread_mutex_t lock;
    int fd;
    char *path;
    uint8_t *buffer; /* whole records that are not written yet */
    size_t used, capacity;
    double flushed; /* when */
    off_t written;  /* length of the file: whole records, too */
};

static double wall_time(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* --- records --- */

static void store_little(uint8_t *p, uint64_t x, int bytes) {
    for (int i = 0; i < bytes; i++) p[i] = (uint8_t)(x >> 8 * i);
}

/* On failure the file is cut back to its last whole record, so that readers never see half of one. */
static hone_status flush(hone_events *e, hone_error *err) {
    size_t done = 0, size = e->used;
    e->used = 0;
    e->flushed = wall_time();
    while (done < size) {
        ssize_t n = write(e->fd, e->buffer + done, size - done);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) {
            int reason = n < 0 ? errno : ENOSPC;
            if (ftruncate(e->fd, e->written) != 0 || lseek(e->fd, e->written, SEEK_SET) < 0)
                return hone_fail_errno(err, errno, e->path, "cannot undo a failed write");
            return hone_fail_errno(err, reason, e->path, "cannot write");
        }
        done += (size_t)n;
    }
    e->written += (off_t)size;
    return HONE_OK;
}

static hone_status append(hone_events *e, const Hone__Tb__Event *event, hone_error *err) {
    size_t size = hone__tb__event__get_packed_size(event), need = 0;
    if (!hone_add_size(e->used, size + FRAME, &need) || !hone_reserve(&e->buffer, &e->capacity, need, 1))
        return hone_fail_memory(err);
    uint8_t *p = e->buffer + e->used;
    store_little(p, size, 8);
    store_little(p + 8, hone_crc32c_masked(p, 8), 4);
    hone__tb__event__pack(event, p + HEAD);
    store_little(p + HEAD + size, hone_crc32c_masked(p + HEAD, size), 4);
    e->used = need;
    bool due = e->used >= FLUSH_AT || fabs(wall_time() - e->flushed) >= FLUSH_AFTER;
    return due ? flush(e, err) : HONE_OK;
}

/* Appends an event, whose time is set to now. */
static hone_status append_now(hone_events *e, Hone__Tb__Event *event, hone_error *err) {
    event->wall_time = wall_time();
    pthread_mutex_lock(&e->lock);
    hone_status status = append(e, event, err);
    pthread_mutex_unlock(&e->lock);
    return status;
}

hone_status hone_events_flush(hone_events *e, hone_error *err) {
    pthread_mutex_lock(&e->lock);
    hone_status status = flush(e, err);
    pthread_mutex_unlock(&e->lock);
    return status;
}

/* --- opening and closing --- */

/* Two files of one process in one second get a number. */
static hone_status create(hone_events *e, const char *directory, hone_error *err) {
    char host[256] = "", name[400], path[4096], number[16] = "";
    if (gethostname(host, sizeof host - 1) != 0 || !host[0]) snprintf(host, sizeof host, "localhost");
    for (char *p = host; *p; p++)
        if (*p == '/') *p = '_';
    for (int i = 0; i < 1000; i++) {
        if (i) snprintf(number, sizeof number, ".%d", i);
        snprintf(name, sizeof name, "events.out.tfevents.%010lld.%s.%ld%s.hone", (long long)time(NULL), host,
                 (long)getpid(), number);
        if (!hone_path_join(path, sizeof path, directory, name))
            return hone_fail_file(err, HONE_INVALID_ARGUMENT, directory, "the path is too long");
        e->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (e->fd >= 0 || errno != EEXIST) break;
    }
    if (e->fd < 0) return hone_fail_errno(err, errno, path, "cannot create");
    e->path = hone_strdup(path);
    if (e->path) return HONE_OK;
    unlink(path);
    return hone_fail_memory(err);
}

static hone_status write_version(hone_events *e, hone_error *err) {
    Hone__Tb__Event event = HONE__TB__EVENT__INIT;
    Hone__Tb__SourceMetadata source = HONE__TB__SOURCE_METADATA__INIT;
    char version[] = "brain.Event:2", writer[] = "hone";
    source.writer = writer;
    event.source_metadata = &source;
    event.what_case = HONE__TB__EVENT__WHAT_FILE_VERSION;
    event.file_version = version;
    HONE_TRY(append_now(e, &event, err));
    return hone_events_flush(e, err);
}

hone_status hone_events_restart(hone_events *e, int64_t step, hone_error *err) {
    Hone__Tb__Event event = HONE__TB__EVENT__INIT;
    Hone__Tb__SessionLog log = HONE__TB__SESSION_LOG__INIT;
    log.status = HONE__TB__SESSION_LOG__STATUS__START;
    event.step = step;
    event.what_case = HONE__TB__EVENT__WHAT_SESSION_LOG;
    event.session_log = &log;
    return append_now(e, &event, err);
}

static void release(hone_events *e) {
    if (e->fd >= 0) close(e->fd);
    pthread_mutex_destroy(&e->lock);
    hone_free(e->buffer);
    hone_free(e->path);
    hone_free(e);
}

hone_status hone_events_open(const char *directory, hone_events **out, hone_error *err) {
    HONE_TRY(hone_dir_make(directory, err));
    hone_events *e = hone_calloc(1, sizeof *e);
    if (!e) return hone_fail_memory(err);
    e->fd = -1;
    pthread_mutex_init(&e->lock, NULL);
    hone_status status = create(e, directory, err);
    if (status == HONE_OK) {
        status = write_version(e, err);
        if (status != HONE_OK) unlink(e->path);
    }
    if (status == HONE_OK)
        *out = e;
    else
        release(e);
    return status;
}

hone_status hone_events_close(hone_events *e, hone_error *err) {
    if (!e) return HONE_OK;
    hone_status status = hone_events_flush(e, err);
    int fd = e->fd;
    e->fd = -1;
    if (close(fd) != 0 && status == HONE_OK) status = hone_fail_errno(err, errno, e->path, "cannot close");
    release(e);
    return status;
}

const char *hone_events_path(const hone_events *e) {
    return e->path;
}

/* --- what is shown --- */

hone_status hone_events_tensor(hone_events *e, const char *tag, int64_t step, const hone_event_kind *kind,
                               Hone__Tb__TensorProto *tensor, hone_error *err) {
    if (!tag || !*tag || !hone_utf8_is_valid(tag, strlen(tag)))
        return hone_fail(err, HONE_INVALID_ARGUMENT, "a tag must be a text in UTF-8 and not empty");
    Hone__Tb__SummaryMetadata__PluginData data = HONE__TB__SUMMARY_METADATA__PLUGIN_DATA__INIT;
    Hone__Tb__SummaryMetadata metadata = HONE__TB__SUMMARY_METADATA__INIT;
    Hone__Tb__Summary__Value value = HONE__TB__SUMMARY__VALUE__INIT, *values[] = {&value};
    Hone__Tb__Summary summary = HONE__TB__SUMMARY__INIT;
    Hone__Tb__Event event = HONE__TB__EVENT__INIT;
    data.plugin_name = (char *)(uintptr_t)kind->plugin;
    data.content = (ProtobufCBinaryData){kind->content_size, (uint8_t *)(uintptr_t)kind->content};
    metadata.plugin_data = &data;
    metadata.data_class = kind->data_class;
    if (kind->description) metadata.summary_description = (char *)(uintptr_t)kind->description;
    value.tag = (char *)(uintptr_t)tag;
    value.metadata = &metadata;
    value.value_case = HONE__TB__SUMMARY__VALUE__VALUE_TENSOR;
    value.tensor = tensor;
    summary.n_value = 1;
    summary.value = values;
    event.step = step;
    event.what_case = HONE__TB__EVENT__WHAT_SUMMARY;
    event.summary = &summary;
    return append_now(e, &event, err);
}

/* float, not double: TensorBoard's fast loader drops doubles. */
hone_status hone_events_scalar(hone_events *e, const char *tag, int64_t step, double value, hone_error *err) {
    float x = (float)value;
    Hone__Tb__TensorShapeProto shape = HONE__TB__TENSOR_SHAPE_PROTO__INIT;
    Hone__Tb__TensorProto tensor = HONE__TB__TENSOR_PROTO__INIT;
    tensor.dtype = HONE__TB__DATA_TYPE__DT_FLOAT;
    tensor.tensor_shape = &shape;
    tensor.n_float_val = 1;
    tensor.float_val = &x;
    return hone_events_tensor(
        e, tag, step,
        &(hone_event_kind){.plugin = "scalars", .data_class = HONE__TB__DATA_CLASS__DATA_CLASS_SCALAR},
        &tensor, err);
}

/* rows: [left edge, right edge, count]. All equal values have all edges equal and stand in the last bucket. */
static void count_buckets(const float *values, int64_t n, double rows[BUCKETS][3]) {
    double low = INFINITY, high = -INFINITY;
    for (int64_t i = 0; i < n; i++) {
        if (!isfinite(values[i])) continue;
        low = fmin(low, values[i]);
        high = fmax(high, values[i]);
    }
    if (low > high) low = high = 0;
    double width = (high - low) / BUCKETS;
    for (int b = 0; b < BUCKETS; b++) {
        rows[b][0] = low + width * b;
        rows[b][1] = b == BUCKETS - 1 ? high : low + width * (b + 1);
        rows[b][2] = 0;
    }
    for (int64_t i = 0; i < n; i++) {
        if (!isfinite(values[i])) continue;
        int b = width > 0 ? (int)((values[i] - low) / width) : BUCKETS;
        rows[b < BUCKETS ? b : BUCKETS - 1][2]++;
    }
}

hone_status hone_events_histogram(hone_events *e, const char *tag, int64_t step, const float *values,
                                  int64_t n, hone_error *err) {
    double rows[BUCKETS][3];
    count_buckets(values, n, rows);
    Hone__Tb__TensorShapeProto__Dim dims[2] = {HONE__TB__TENSOR_SHAPE_PROTO__DIM__INIT,
                                               HONE__TB__TENSOR_SHAPE_PROTO__DIM__INIT},
                                    *list[2] = {&dims[0], &dims[1]};
    Hone__Tb__TensorShapeProto shape = HONE__TB__TENSOR_SHAPE_PROTO__INIT;
    Hone__Tb__TensorProto tensor = HONE__TB__TENSOR_PROTO__INIT;
    dims[0].size = BUCKETS;
    dims[1].size = 3;
    shape.n_dim = 2;
    shape.dim = list;
    tensor.dtype = HONE__TB__DATA_TYPE__DT_DOUBLE;
    tensor.tensor_shape = &shape;
    tensor.n_double_val = BUCKETS * 3;
    tensor.double_val = &rows[0][0];
    return hone_events_tensor(
        e, tag, step,
        &(hone_event_kind){.plugin = "histograms", .data_class = HONE__TB__DATA_CLASS__DATA_CLASS_TENSOR},
        &tensor, err);
}

hone_status hone_events_text(hone_events *e, const char *tag, int64_t step, const char *text,
                             hone_error *err) {
    if (!hone_utf8_is_valid(text, strlen(text)))
        return hone_fail(err, HONE_INVALID_ARGUMENT, "the text is not UTF-8");
    ProtobufCBinaryData bytes = {strlen(text), (uint8_t *)(uintptr_t)text};
    Hone__Tb__TensorShapeProto shape = HONE__TB__TENSOR_SHAPE_PROTO__INIT;
    Hone__Tb__TensorProto tensor = HONE__TB__TENSOR_PROTO__INIT;
    tensor.dtype = HONE__TB__DATA_TYPE__DT_STRING;
    tensor.tensor_shape = &shape;
    tensor.n_string_val = 1;
    tensor.string_val = &bytes;
    return hone_events_tensor(
        e, tag, step,
        &(hone_event_kind){.plugin = "text", .data_class = HONE__TB__DATA_CLASS__DATA_CLASS_TENSOR}, &tensor,
        err);
}

hone_status hone_events_graph(hone_events *e, const hone_graph *g, hone_error *err) {
    Hone__Tb__Event event = HONE__TB__EVENT__INIT;
    HONE_TRY(hone_graph_def(g, &event.graph_def.data, &event.graph_def.len, err));
    event.what_case = HONE__TB__EVENT__WHAT_GRAPH_DEF;
    uint8_t *data = event.graph_def.data;
    hone_status status = append_now(e, &event, err);
    hone_free(data);
    return status;
}
