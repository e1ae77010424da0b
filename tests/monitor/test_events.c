/* Event files. With "--write DIR" it writes an example there instead, with what is in it as DIR/expect.json,
 * for peer_tensorboard.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "graph/graph.h"
#include "graph/op.h"
#include "monitor/crc32c.h"
#include "monitor/graph_def.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static char test_dir[256];

static int make_dir(void **state) {
    (void)state;
    const char *base = getenv("TMPDIR");
    snprintf(test_dir, sizeof test_dir, "%s/hone-test-XXXXXX", base && *base ? base : "/tmp");
    return mkdtemp(test_dir) ? 0 : -1;
}

static int remove_dir(void **state) {
    (void)state;
    return hone_dir_remove(test_dir, NULL) == HONE_OK ? 0 : -1;
}

static const char *sub_dir(const char *name) {
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", test_dir, name);
    return path;
}

/* --- checksums --- */

static uint32_t slow_crc(const uint8_t *p, size_t size) {
    uint32_t crc = 0xffffffff;
    for (size_t i = 0; i < size * 8; i++) {
        uint32_t bit = (p[i / 8] >> i % 8 & 1) ^ (crc & 1);
        crc = crc >> 1 ^ (bit ? 0x82f63b78 : 0);
    }
    return ~crc;
}

static void test_crc(void **state) {
    (void)state;
    uint8_t bytes[300] = {0};
    assert_int_equal(hone_crc32c(0, "123456789", 9), 0xe3069283);
    assert_int_equal(hone_crc32c(0, bytes, 32), 0x8a9136aa); /* RFC 3720, B.4 */
    for (int i = 0; i < 32; i++) bytes[i] = (uint8_t)i;
    assert_int_equal(hone_crc32c(0, bytes, 32), 0x46dd794e);
    for (int i = 0; i < 300; i++) bytes[i] = (uint8_t)(i * i + 3 * i);
    for (size_t start = 0; start < 9; start++)
        for (size_t size = 0; size < 280; size += 1 + size / 20) {
            assert_int_equal(hone_crc32c(0, bytes + start, size), slow_crc(bytes + start, size));
            assert_int_equal(hone_crc32c(hone_crc32c(0, bytes + start, size / 3), bytes + start + size / 3,
                                         size - size / 3),
                             slow_crc(bytes + start, size));
        }
}

/* --- reading back --- */

typedef struct record_list {
    hone_blob file;
    Hone__Tb__Event *events[4096];
    size_t count;
} record_list;

static uint64_t load_little(const uint8_t *p, int bytes) {
    uint64_t x = 0;
    for (int i = bytes; i-- > 0;) x = x << 8 | p[i];
    return x;
}

static uint32_t unmask(uint32_t masked) {
    uint32_t rotated = masked - 0xa282ead8;
    return rotated >> 17 | rotated << 15;
}

/* Every record whole, every checksum right. */
static record_list *read_back(const char *path) {
    record_list *r = calloc(1, sizeof *r);
    assert_non_null(r);
    assert_int_equal(hone_file_read(path, 0, &r->file, NULL), HONE_OK);
    for (size_t at = 0; at < r->file.size;) {
        const uint8_t *p = r->file.data + at;
        assert_true(r->file.size - at >= 16);
        uint64_t size = load_little(p, 8);
        assert_true(r->file.size - at - 16 >= size);
        assert_int_equal(unmask((uint32_t)load_little(p + 8, 4)), slow_crc(p, 8));
        assert_int_equal(unmask((uint32_t)load_little(p + 12 + size, 4)), slow_crc(p + 12, size));
        assert_true(r->count < 4096);
        Hone__Tb__Event *e = hone__tb__event__unpack(NULL, size, p + 12);
        assert_non_null(e);
        assert_true(fabs(e->wall_time - (double)time(NULL)) < 300);
        r->events[r->count++] = e;
        at += size + 16;
    }
    assert_true(r->count > 0);
    assert_int_equal(r->events[0]->what_case, HONE__TB__EVENT__WHAT_FILE_VERSION);
    assert_string_equal(r->events[0]->file_version, "brain.Event:2");
    return r;
}

static void free_records(record_list *r) {
    for (size_t i = 0; i < r->count; i++) hone__tb__event__free_unpacked(r->events[i], NULL);
    hone_blob_free(&r->file);
    free(r);
}

static const Hone__Tb__TensorProto *tensor_of(const Hone__Tb__Event *e, const char *tag, int64_t step,
                                              const char *plugin) {
    assert_int_equal(e->what_case, HONE__TB__EVENT__WHAT_SUMMARY);
    assert_int_equal(e->summary->n_value, 1);
    const Hone__Tb__Summary__Value *v = e->summary->value[0];
    assert_string_equal(v->tag, tag);
    assert_int_equal(e->step, step);
    assert_string_equal(v->metadata->plugin_data->plugin_name, plugin);
    assert_int_equal(v->value_case, HONE__TB__SUMMARY__VALUE__VALUE_TENSOR);
    return v->tensor;
}

static hone_events *open_events(const char *dir) {
    hone_events *e = NULL;
    hone_error err = {0};
    if (hone_events_open(dir, &e, &err) != HONE_OK) fail_msg("%s: %s", err.file, err.message);
    return e;
}

/* Closes, reads back and gives the path's copy away. */
static record_list *close_and_read(hone_events *e) {
    char path[600];
    snprintf(path, sizeof path, "%s", hone_events_path(e));
    assert_int_equal(hone_events_close(e, NULL), HONE_OK);
    return read_back(path);
}

static void test_values(void **state) {
    (void)state;
    hone_events *e = open_events(sub_dir("deep/er/run"));
    const char *name = strrchr(hone_events_path(e), '/') + 1;
    assert_true(strncmp(name, "events.out.tfevents.", 20) == 0);
    assert_string_equal(name + strlen(name) - 5, ".hone");
    assert_true(fabs(strtod(name + 20, NULL) - (double)time(NULL)) < 300);
    record_list *r = read_back(hone_events_path(e)); /* valid from the beginning */
    assert_int_equal(r->count, 1);
    assert_string_equal(r->events[0]->source_metadata->writer, "hone");
    free_records(r);
    assert_int_equal(hone_events_scalar(e, "loss", 3, 0.1, NULL), HONE_OK);
    assert_int_equal(hone_events_scalar(e, "loss", INT64_MAX, NAN, NULL), HONE_OK);
    assert_int_equal(hone_events_text(e, "note/\xc3\xa4", 0, "**bold**\nline", NULL), HONE_OK);
    r = close_and_read(e);
    assert_int_equal(r->count, 4);
    const Hone__Tb__TensorProto *t = tensor_of(r->events[1], "loss", 3, "scalars");
    assert_int_equal(t->dtype, HONE__TB__DATA_TYPE__DT_FLOAT);
    assert_true(t->tensor_shape->n_dim == 0 && t->n_float_val == 1 && t->float_val[0] == 0.1f);
    assert_int_equal(r->events[1]->summary->value[0]->metadata->data_class,
                     HONE__TB__DATA_CLASS__DATA_CLASS_SCALAR);
    t = tensor_of(r->events[2], "loss", INT64_MAX, "scalars");
    assert_true(isnan(t->float_val[0]));
    t = tensor_of(r->events[3], "note/\xc3\xa4", 0, "text");
    assert_int_equal(t->dtype, HONE__TB__DATA_TYPE__DT_STRING);
    assert_true(t->n_string_val == 1 && t->string_val[0].len == 13 &&
                memcmp(t->string_val[0].data, "**bold**\nline", 13) == 0);
    free_records(r);
    assert_int_equal(hone_events_close(NULL, NULL), HONE_OK);
}

static const double *rows_of(const Hone__Tb__Event *e, const char *tag) {
    const Hone__Tb__TensorProto *t = tensor_of(e, tag, 1, "histograms");
    assert_int_equal(t->dtype, HONE__TB__DATA_TYPE__DT_DOUBLE);
    assert_true(t->tensor_shape->n_dim == 2 && t->tensor_shape->dim[0]->size == 30 &&
                t->tensor_shape->dim[1]->size == 3);
    assert_int_equal(t->n_double_val, 90);
    return t->double_val;
}

static void test_histogram(void **state) {
    (void)state;
    hone_events *e = open_events(sub_dir("histogram"));
    float ramp[301], same[5] = {2, 2, 2, 2, 2}, odd[6] = {NAN, INFINITY, -INFINITY, -1, 1, 0.999f};
    for (int i = 0; i <= 300; i++) ramp[i] = (float)(i - 150);
    assert_int_equal(hone_events_histogram(e, "ramp", 1, ramp, 301, NULL), HONE_OK);
    assert_int_equal(hone_events_histogram(e, "same", 1, same, 5, NULL), HONE_OK);
    assert_int_equal(hone_events_histogram(e, "odd", 1, odd, 6, NULL), HONE_OK);
    assert_int_equal(hone_events_histogram(e, "none", 1, NULL, 0, NULL), HONE_OK);
    assert_int_equal(hone_events_histogram(e, "wide", 1, (const float[]){-3e38f, 3e38f}, 2, NULL), HONE_OK);
    record_list *r = close_and_read(e);
    assert_int_equal(r->count, 6);
    const double *rows = rows_of(r->events[1], "ramp");
    for (int b = 0; b < 30; b++) {
        assert_true(fabs(rows[3 * b] - (b * 10 - 150)) < 1e-9 &&
                    fabs(rows[3 * b + 1] - (b * 10 - 140)) < 1e-9);
        assert_true(rows[3 * b + 2] == (b == 29 ? 11 : 10));
    }
    rows = rows_of(r->events[2], "same");
    for (int b = 0; b < 30; b++)
        assert_true(rows[3 * b] == 2 && rows[3 * b + 1] == 2 && rows[3 * b + 2] == (b == 29 ? 5 : 0));
    rows = rows_of(r->events[3], "odd"); /* only the finite ones */
    assert_true(rows[0] == -1 && rows[88] == 1 && rows[2] == 1 && rows[89] == 2);
    rows = rows_of(r->events[4], "none");
    for (int i = 0; i < 90; i++) assert_true(rows[i] == 0);
    rows = rows_of(r->events[5], "wide");
    assert_true(rows[2] == 1 && rows[89] == 1 && isfinite(rows[45]));
    free_records(r);
}

/* --- the graph --- */

static const hone_op conv_op = {.name = "Conv", .since = 1}, split_op = {.name = "Split", .since = 1},
                     private_op = {.domain = "hone", .name = "Fused", .since = 1};

/* The graph's builder looks operators up here when this test is linked without the operators. */
const hone_op *hone_op_find(const char *domain, const char *name) {
    (void)domain;
    (void)name;
    return NULL;
}

static hone_graph *make_graph(void) {
    hone_graph *g = hone_graph_new("g");
    assert_non_null(g);
    hone_tensor *w = NULL;
    assert_int_equal(hone_tensor_new(HONE_FLOAT32, 4, (int64_t[]){8, 1, 3, 3}, &w, NULL), HONE_OK);
    hone_type image = {.kind = HONE_KIND_TENSOR, .dtype = HONE_FLOAT32, .rank = 4, .dims = {0, 1, 28, 28}};
    image.dims[0] = hone_graph_symbol(g, "batch");
    hone_value *x = hone_graph_add_input(g, "image", &image),
               *weight = hone_graph_add_constant(g, "encoder.0.weight", w);
    hone_tensor_free(w);
    hone_node *conv =
        hone_graph_add_node(g, &conv_op, "/encoder/0/Conv", 3, (hone_value *[]){x, NULL, weight}, 1);
    conv->outputs[0]->type = image;
    conv->outputs[0]->type.dims[1] = 8;
    hone_node_set_ints(g, conv, "pads", (int64_t[]){1, 1, 1, 1}, 4);
    hone_node_set_int(g, conv, "group", 1);
    hone_node_set_string(g, conv, "auto_pad", "NOTSET");
    hone_node_set_float(g, conv, "alpha", 0.5f);
    hone_node *split = hone_graph_add_node(g, &split_op, "split", 1, conv->outputs, 2);
    hone_node *same = hone_graph_add_node(g, &private_op, "split", 2, split->outputs, 1); /* the name again */
    hone_graph_rename(g, same->outputs[0], "logits: odd");
    hone_graph_add_output(g, same->outputs[0]);
    assert_int_equal(hone_graph_check(g, NULL), HONE_OK);
    return g;
}

static const Hone__Tb__NodeDef *node_named(const Hone__Tb__GraphDef *def, const char *name) {
    for (size_t i = 0; i < def->n_node; i++)
        if (strcmp(def->node[i]->name, name) == 0) return def->node[i];
    fail_msg("no node %s", name);
    return NULL;
}

static const Hone__Tb__AttrValue *attr_of(const Hone__Tb__NodeDef *node, const char *key) {
    for (size_t i = 0; i < node->n_attr; i++)
        if (strcmp(node->attr[i]->key, key) == 0) return node->attr[i]->value;
    fail_msg("no attribute %s", key);
    return NULL;
}

static void check_graph(const Hone__Tb__GraphDef *def) {
    assert_int_equal(def->n_node, 6);
    const Hone__Tb__NodeDef *n = node_named(def, "image");
    assert_string_equal(n->op, "Placeholder");
    assert_int_equal(attr_of(n, "dtype")->type, HONE__TB__DATA_TYPE__DT_FLOAT);
    assert_string_equal(node_named(def, "encoder/0/weight")->op, "Const");
    n = node_named(def, "encoder/0/Conv");
    assert_string_equal(n->op, "Conv");
    assert_int_equal(n->n_input, 2); /* the one that is left out has no name */
    assert_string_equal(n->input[0], "image");
    assert_string_equal(n->input[1], "encoder/0/weight");
    assert_true(attr_of(n, "pads")->list->n_i == 4 && attr_of(n, "pads")->list->i[3] == 1);
    assert_true(attr_of(n, "group")->i == 1 && attr_of(n, "alpha")->f == 0.5f);
    assert_int_equal(attr_of(n, "auto_pad")->s.len, 6);
    const Hone__Tb__AttrValue__ListValue *shapes = attr_of(n, "_output_shapes")->list;
    assert_true(shapes->n_shape == 1 && shapes->shape[0]->n_dim == 4);
    assert_true(shapes->shape[0]->dim[0]->size == -1 && shapes->shape[0]->dim[1]->size == 8);
    n = node_named(def, "split");
    shapes = attr_of(n, "_output_shapes")->list;
    assert_true(shapes->n_shape == 2 && shapes->shape[1]->unknown_rank);
    n = node_named(def, "split_1");
    assert_string_equal(n->op, "hone.Fused");
    assert_string_equal(n->input[0], "split");
    assert_string_equal(n->input[1], "split:1");
    n = node_named(def, "logits__odd");
    assert_string_equal(n->op, "_Retval");
    assert_string_equal(n->input[0], "split_1");
}

static void test_graph(void **state) {
    (void)state;
    hone_graph *g = make_graph();
    hone_events *e = open_events(sub_dir("graph"));
    assert_int_equal(hone_events_graph(e, g, NULL), HONE_OK);
    record_list *r = close_and_read(e);
    assert_int_equal(r->count, 2);
    assert_int_equal(r->events[1]->what_case, HONE__TB__EVENT__WHAT_GRAPH_DEF);
    Hone__Tb__GraphDef *def =
        hone__tb__graph_def__unpack(NULL, r->events[1]->graph_def.len, r->events[1]->graph_def.data);
    assert_non_null(def);
    check_graph(def);
    hone__tb__graph_def__free_unpacked(def, NULL);
    free_records(r);
    hone_status status = HONE_OUT_OF_MEMORY;
    for (uint64_t n = 1; status != HONE_OK; n++) {
        uint8_t *data = NULL;
        size_t size = 0;
        hone_alloc_fail_at(n, false);
        status = hone_graph_def(g, &data, &size, NULL);
        hone_alloc_fail_at(0, false);
        if (status == HONE_OK)
            assert_true(n > 3);
        else
            assert_int_equal(status, HONE_OUT_OF_MEMORY);
        hone_free(data);
    }
    hone_graph_free(g);
}

/* --- what goes wrong --- */

static void test_refused(void **state) {
    (void)state;
    hone_events *e = NULL;
    hone_error err;
    char path[600];
    snprintf(path, sizeof path, "%s", sub_dir("file"));
    assert_int_equal(hone_file_replace(path, "x", 1, NULL), HONE_OK);
    assert_int_equal(hone_events_open(path, &e, &err), HONE_IO); /* a file is no directory */
    assert_int_not_equal(err.file[0], 0);
    assert_int_equal(hone_events_open("/proc/nothing/here", &e, &err) == HONE_OK, 0);
    assert_null(e);
    e = open_events(sub_dir("refused"));
    assert_int_equal(hone_events_scalar(e, "", 1, 1, &err), HONE_INVALID_ARGUMENT);
    assert_int_equal(hone_events_scalar(e, NULL, 1, 1, &err), HONE_INVALID_ARGUMENT);
    assert_int_equal(hone_events_scalar(e, "a\xff", 1, 1, &err), HONE_INVALID_ARGUMENT);
    assert_int_equal(hone_events_text(e, "a", 1, "\xff", &err), HONE_INVALID_ARGUMENT);
    record_list *r = close_and_read(e);
    assert_int_equal(r->count, 1);
    free_records(r);
}

/* A disk that is full for a while, played by the limit on the size of files. */
static void test_full_disk(void **state) {
    (void)state;
    struct rlimit before, small;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    hone_events *e = open_events(sub_dir("full"));
    hone_error err;
    small = before;
    small.rlim_cur = 200; /* in the middle of a record */
    for (int i = 0; i < 2; i++) assert_int_equal(hone_events_scalar(e, "a", i, i, NULL), HONE_OK);
    assert_int_equal(hone_events_flush(e, NULL), HONE_OK);
    for (int i = 0; i < 50; i++) assert_int_equal(hone_events_scalar(e, "b", i, i, NULL), HONE_OK);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    hone_status status = hone_events_flush(e, &err);
    hone_events *none = NULL;
    small.rlim_cur = 5;
    setrlimit(RLIMIT_FSIZE, &small);
    hone_status opened = hone_events_open(sub_dir("full2"), &none, NULL);
    setrlimit(RLIMIT_FSIZE, &before);
    signal(SIGXFSZ, SIG_DFL);
    assert_int_equal(status, HONE_IO);
    assert_string_equal(err.file, hone_events_path(e));
    assert_int_equal(opened, HONE_IO);
    record_list *r = read_back(hone_events_path(e)); /* whole records, none of the lost ones */
    assert_int_equal(r->count, 3);
    free_records(r);
    assert_int_equal(hone_events_scalar(e, "c", 9, 9, NULL), HONE_OK);
    r = close_and_read(e);
    assert_int_equal(r->count, 4);
    tensor_of(r->events[3], "c", 9, "scalars");
    free_records(r);
}

static hone_status write_and_close(const char *dir) {
    hone_events *e = NULL;
    HONE_TRY(hone_events_open(dir, &e, NULL));
    hone_status status = hone_events_scalar(e, "a", 1, 1, NULL);
    hone_status closed = hone_events_close(e, NULL);
    return status == HONE_OK ? closed : status;
}

static void test_out_of_memory(void **state) {
    (void)state;
    char dir[600];
    snprintf(dir, sizeof dir, "%s", sub_dir("memory"));
    hone_status status = HONE_OUT_OF_MEMORY;
    for (uint64_t n = 1; status != HONE_OK; n++) {
        hone_alloc_fail_at(n, false);
        status = write_and_close(dir);
        hone_alloc_fail_at(0, false);
        if (status == HONE_OK)
            assert_true(n > 3);
        else
            assert_int_equal(status, HONE_OUT_OF_MEMORY);
    }
}

/* --- several writers --- */

static void *write_many(void *arg) {
    hone_events *e = arg;
    for (int i = 0; i < 1000; i++)
        if (hone_events_scalar(e, "many", i, i, NULL) != HONE_OK) return arg;
    return NULL;
}

static void test_threads(void **state) {
    (void)state;
    hone_events *e = open_events(sub_dir("threads")), *other = open_events(sub_dir("threads"));
    assert_string_not_equal(hone_events_path(e), hone_events_path(other)); /* in the same second */
    assert_int_equal(hone_events_close(other, NULL), HONE_OK);
    pthread_t threads[3];
    for (int i = 0; i < 3; i++) assert_int_equal(pthread_create(&threads[i], NULL, write_many, e), 0);
    for (int i = 0; i < 3; i++) {
        void *result;
        pthread_join(threads[i], &result);
        assert_null(result);
    }
    uint64_t before = hone_alloc_count();
    for (int i = 0; i < 500; i++) assert_int_equal(hone_events_scalar(e, "steady", i, i, NULL), HONE_OK);
    assert_int_equal(hone_alloc_count(), before);
    record_list *r = close_and_read(e);
    assert_int_equal(r->count, 3501);
    free_records(r);
}

static int write_example(const char *dir) {
    char path[600];
    hone_events *e = NULL;
    snprintf(path, sizeof path, "%s/expect.json", dir);
    if (hone_events_open(dir, &e, NULL) != HONE_OK) return 1;
    FILE *f = fopen(path, "w");
    if (!f) return 1;
    float values[1000];
    bool fine = true;
    fprintf(f, "{\"scalars\": {\"train/loss\": [");
    for (int i = 0; i < 50; i++) {
        fprintf(f, "%s[%d, %.9g]", i ? ", " : "", i * 10, 1.0 / (i + 1));
        fine = fine && hone_events_scalar(e, "train/loss", i * 10, 1.0 / (i + 1), NULL) == HONE_OK;
    }
    fprintf(f, "], \"accuracy\": [[0, 0.5], [10000000000, 0.875]]},\n");
    fine = fine && hone_events_scalar(e, "accuracy", 0, 0.5, NULL) == HONE_OK;
    fine = fine && hone_events_scalar(e, "accuracy", 10000000000, 0.875, NULL) == HONE_OK;
    fprintf(f, "\"histograms\": {\"weights\": [[0, 1000], [1, 1000], [2, 1000]]},\n");
    for (int step = 0; step < 3; step++) {
        for (int i = 0; i < 1000; i++) values[i] = sinf((float)i) * (float)(step + 1);
        fine = fine && hone_events_histogram(e, "weights", step, values, 1000, NULL) == HONE_OK;
    }
    fine = fine && hone_events_text(e, "notes", 7, "**Hone** \xe2\x86\x92 TensorBoard", NULL) == HONE_OK;
    fprintf(f, "\"texts\": {\"notes\": [[7, \"**Hone** \xe2\x86\x92 TensorBoard\"]]},\n");
    hone_graph *g = make_graph();
    fine = fine && hone_events_graph(e, g, NULL) == HONE_OK;
    hone_graph_free(g);
    fprintf(f, "\"graph\": {\"image\": \"Placeholder\", \"encoder/0/weight\": \"Const\", \"encoder/0/Conv\": "
               "\"Conv\", "
               "\"split\": \"Split\", \"split_1\": \"hone.Fused\", \"logits__odd\": \"_Retval\"}}\n");
    fine = hone_events_close(e, NULL) == HONE_OK && fine;
    return fclose(f) == 0 && fine ? 0 : 1;
}

int main(int argc, char **argv) {
    if (argc == 3 && strcmp(argv[1], "--write") == 0) return write_example(argv[2]);
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_crc),           cmocka_unit_test(test_values),
                                       cmocka_unit_test(test_histogram),     cmocka_unit_test(test_graph),
                                       cmocka_unit_test(test_refused),       cmocka_unit_test(test_full_disk),
                                       cmocka_unit_test(test_out_of_memory), cmocka_unit_test(test_threads)};
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
