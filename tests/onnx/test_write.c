/* Writing: what is written reads back the same, byte for byte when written again. With a directory as
 * argument, the files made here are kept in it, for a peer to read (peer_onnx.py), each beside a description
 * of what is in it. */
#include "base/bits.h"
#include "base/file.h"
#include "base/memory.h"
#include "graph/infer.h"
#include "graph/op.h"
#include "onnx/model.h"
#include "onnx/onnx.h"
#include "support/control.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static hone_error err;
static char dir[200];
static bool keep;

static const char *path_of(const char *name) {
    static char path[4][300];
    static int turn;
    char *p = path[turn++ % 4];
    assert_true(hone_path_join(p, sizeof path[0], dir, name));
    return p;
}

static void ok(hone_status status) {
    if (status == HONE_OK) return;
    char text[1024];
    fail_msg("%s", hone_error_format(&err, text, sizeof text));
}

static hone_value *weight(hone_graph *g, const char *name, hone_dtype dtype, int rank, const int64_t *dims) {
    hone_tensor *t = NULL;
    ok(hone_tensor_new(dtype, rank, dims, &t, &err));
    if (dtype == HONE_FLOAT32)
        for (int64_t i = 0; i < t->count; i++) ((float *)t->data)[i] = (float)(i % 251) * 0.25f - 3;
    else if (dtype == HONE_STRING)
        for (int64_t i = 0; i < t->count; i++) ok(hone_tensor_set_string(t, i, "zw\0ei", i ? 5 : 0, &err));
    else if (hone_dtype_bits(dtype) < 8)
        for (int64_t i = 0; i < t->count; i++)
            hone_bits_set(t->data, i, hone_dtype_bits(dtype), (unsigned)i * 7 + 1);
    else if (dtype == HONE_BOOL)
        for (int64_t i = 0; i < t->count; i++) ((uint8_t *)t->data)[i] = i % 3 == 0;
    else
        for (size_t i = 0; i < t->bytes; i++) ((uint8_t *)t->data)[i] = (uint8_t)(i * 7 + 1);
    hone_value *v = hone_graph_add_constant(g, name, t);
    hone_tensor_free(t);
    return v;
}

/* x [batch, 4] → Gemm → Gelu → Add → y, with attributes of several types, metadata and a second output. */
static hone_graph *network(void) {
    hone_graph *g = hone_graph_new("network");
    assert_non_null(g);
    hone_type type = hone_type_make(HONE_FLOAT32, 2, (int64_t[]){hone_graph_symbol(g, "batch"), 4});
    hone_value *x = hone_graph_add_input(g, "x", &type);
    hone_value *w = weight(g, "w", HONE_FLOAT32, 2, (int64_t[]){3, 4});
    hone_value *b = weight(g, "b", HONE_FLOAT32, 1, (int64_t[]){3});
    g->doc = "made by a test";
    hone_node *fc = hone_graph_add_node(g, hone_op_find("", "Gemm"), "fc", 3, (hone_value *[]){x, w, b}, 1);
    hone_node_set_int(g, fc, "transB", 1);
    hone_node_set_float(g, fc, "alpha", 0.5f);
    hone_node *act = hone_graph_add_node(g, hone_op_find("", "Gelu"), "act", 1, fc->outputs, 1);
    hone_node_set_string(g, act, "approximate", "tanh");
    hone_node *sum = hone_graph_add_node(g, hone_op_find("", "Add"), "sum", 2,
                                         (hone_value *[]){act->outputs[0], fc->outputs[0]}, 1);
    hone_graph_rename(g, sum->outputs[0], "y");
    hone_graph_add_output(g, sum->outputs[0]);
    hone_graph_add_output(g, fc->outputs[0]);
    ok(hone_graph_set_metadata(g, "hone.classes", "cat\ndog", &err));
    ok(hone_graph_set_metadata(g, "author", "Zoë", &err));
    ok(hone_graph_infer(g, &err));
    ok(hone_graph_check(g, &err));
    return g;
}

static const hone_dtype all_dtypes[] = {HONE_FLOAT32, HONE_UINT8,  HONE_INT8,   HONE_UINT16,  HONE_INT16,
                                        HONE_INT32,   HONE_INT64,  HONE_STRING, HONE_BOOL,    HONE_FLOAT16,
                                        HONE_FLOAT64, HONE_UINT32, HONE_UINT64, HONE_BFLOAT16};
/* With the operator set that each needs. */
static const struct {
    hone_dtype dtype;
    int opset;
} small_dtypes[] = {{HONE_FLOAT8E4M3FN, 21},   {HONE_FLOAT8E4M3FNUZ, 21}, {HONE_FLOAT8E5M2, 21},
                    {HONE_FLOAT8E5M2FNUZ, 21}, {HONE_INT4, 21},           {HONE_UINT4, 21},
                    {HONE_FLOAT4E2M1, 23},     {HONE_FLOAT8E8M0, 24},     {HONE_INT2, 25},
                    {HONE_UINT2, 25}};
enum { DTYPES = sizeof all_dtypes / sizeof *all_dtypes, SMALL = sizeof small_dtypes / sizeof *small_dtypes };

/* A constant of every dtype, among them a scalar; inputs of every kind of shape. */
static hone_graph *every_dtype(bool small) {
    hone_graph *g = hone_graph_new("dtypes");
    for (int i = 0; i < (small ? (int)SMALL : (int)DTYPES); i++) {
        hone_dtype dtype = small ? small_dtypes[i].dtype : all_dtypes[i];
        char name[32];
        snprintf(name, sizeof name, "c_%s", hone_dtype_name(dtype));
        weight(g, name, dtype, i % 3, (int64_t[]){3, 3});
        snprintf(name, sizeof name, "x_%s", hone_dtype_name(dtype));
        hone_type type = hone_type_make(dtype, 3, (int64_t[]){hone_graph_symbol(g, "N"), HONE_DIM_ANY, i});
        if (i == 2 && !keep) type.rank = HONE_RANK_ANY; /* right, but onnx's checker refuses it */
        if (i == 3) type.rank = 0;
        hone_graph_add_input(g, name, &type);
    }
    weight(g, "empty", HONE_FLOAT32, 2, (int64_t[]){3, 0});
    hone_value *x = hone_graph_find(g, small ? "x_int4" : "x_float32");
    hone_value *y = HONE_EMIT(g, "", small ? "Identity" : "Relu", x);
    hone_graph_rename(g, y, "y");
    hone_graph_add_output(g, y);
    ok(hone_graph_infer(g, &err));
    return g;
}

/* --- equality --- */

static void same_tensor(const hone_tensor *a, const hone_tensor *b) {
    assert_int_equal(a->dtype, b->dtype);
    assert_int_equal(a->rank, b->rank);
    assert_memory_equal(a->dims, b->dims, sizeof a->dims);
    if (a->dtype != HONE_STRING && a->bytes) assert_memory_equal(a->data, b->data, a->bytes);
    for (int64_t i = 0; a->dtype == HONE_STRING && i < a->count; i++) {
        size_t before, after;
        const char *s = hone_tensor_string(a, i, &before), *r = hone_tensor_string(b, i, &after);
        assert_int_equal(before, after);
        assert_memory_equal(s, r, after + 1);
    }
}

static void same_type(const hone_graph *ga, const hone_type *a, const hone_graph *gb, const hone_type *b) {
    char ta[200], tb[200];
    assert_string_equal(hone_type_format(ga, a, ta, sizeof ta), hone_type_format(gb, b, tb, sizeof tb));
}

static void same_node(const hone_node *a, const hone_node *b) {
    assert_ptr_equal(a->op, b->op);
    assert_string_equal(a->name, b->name);
    assert_int_equal(a->input_count, b->input_count);
    assert_int_equal(a->output_count, b->output_count);
    for (int i = 0; i < a->input_count; i++) {
        assert_int_equal(a->inputs[i] == NULL, b->inputs[i] == NULL);
        if (a->inputs[i]) assert_string_equal(a->inputs[i]->name, b->inputs[i]->name);
    }
    for (int i = 0; i < a->output_count; i++) assert_string_equal(a->outputs[i]->name, b->outputs[i]->name);
    assert_int_equal(a->attr_count, b->attr_count);
    for (int i = 0; i < a->attr_count; i++) {
        const hone_attr *x = &a->attrs[i], *y = hone_node_attr(b, x->name);
        assert_non_null(y);
        assert_int_equal(x->type, y->type);
        assert_int_equal(x->i, y->i);
        assert_true(x->f == y->f);
        assert_int_equal(x->s.size, y->s.size);
        if (x->s.size) assert_memory_equal(x->s.data, y->s.data, x->s.size);
    }
}

static void same_graph(const hone_graph *a, const hone_graph *b) {
    assert_string_equal(a->name, b->name);
    assert_string_equal(a->doc ? a->doc : "", b->doc ? b->doc : "");
    assert_int_equal(a->node_count, b->node_count);
    for (const hone_node *x = a->first, *y = b->first; x; x = x->next, y = y->next) same_node(x, y);
    assert_int_equal(a->input_count, b->input_count);
    assert_int_equal(a->output_count, b->output_count);
    for (size_t i = 0; i < a->value_count; i++) {
        const hone_value *v = a->values[i];
        const hone_value *u = hone_graph_find(b, v->name);
        assert_non_null(u);
        assert_int_equal(u->storage,
                         v->storage == HONE_STORAGE_VARIABLE ? HONE_STORAGE_CONSTANT : v->storage);
        same_type(a, &v->type, b, &u->type);
        if (v->data) same_tensor(v->data, u->data);
    }
    for (size_t i = 0; i < a->input_count; i++) assert_string_equal(a->inputs[i]->name, b->inputs[i]->name);
    for (size_t i = 0; i < a->output_count; i++)
        assert_string_equal(a->outputs[i]->name, b->outputs[i]->name);
    assert_int_equal(a->metadata_count, b->metadata_count);
    for (size_t i = 0; i < a->metadata_count; i++)
        assert_string_equal(hone_graph_metadata(b, a->metadata[i].key), a->metadata[i].value);
}

/* Writes, reads, compares, writes again: the same bytes. */
static hone_graph *round_trip(const hone_graph *g) {
    hone_blob first = {0}, second = {0};
    hone_graph *again = NULL;
    ok(hone_onnx_write(g, &first, &err));
    ok(hone_graph_load_memory(first.data, first.size, "again", &again, &err));
    same_graph(g, again);
    ok(hone_onnx_write(again, &second, &err));
    assert_int_equal(first.size, second.size);
    assert_memory_equal(first.data, second.data, first.size);
    hone_blob_free(&first);
    hone_blob_free(&second);
    return again;
}

/* --- the description that the peer checks --- */

static void describe_dims(FILE *f, const hone_graph *g, const hone_type *type) {
    fprintf(f, "%d", type->rank);
    for (int i = 0; i < type->rank; i++) {
        const char *name = hone_graph_dim_name(g, type->dims[i]);
        if (name)
            fprintf(f, " %s", name);
        else if (type->dims[i] < 0)
            fprintf(f, " ?");
        else
            fprintf(f, " %lld", (long long)type->dims[i]);
    }
}

static void describe_tensor(FILE *f, const hone_tensor *t) {
    fprintf(f, "%d ", (int)t->dtype);
    hone_type type = hone_type_of(t);
    describe_dims(f, NULL, &type);
    fprintf(f, " = ");
    if (t->dtype == HONE_STRING)
        for (int64_t i = 0; i < t->count; i++) {
            size_t size;
            const char *s = hone_tensor_string(t, i, &size);
            fprintf(f, "'");
            fwrite(s, 1, size, f);
            fprintf(f, "'");
        }
    else
        for (size_t i = 0; i < t->bytes && i < 4096; i++) fprintf(f, "%02x", ((const uint8_t *)t->data)[i]);
    fprintf(f, "\n");
}

/* One fact a line; peer_onnx.py makes the same lines of what onnx reads. */
static void describe(const hone_graph *g, const char *name, int opset, int ir) {
    FILE *f = fopen(path_of(name), "w");
    assert_non_null(f);
    fprintf(f, "ir %d\nopset %d\nproducer hone " HONE_VERSION "\ngraph %s\ndoc %s\n", ir, opset, g->name,
            g->doc ? g->doc : "");
    for (size_t i = 0; i < g->metadata_count; i++) {
        fprintf(f, "metadata %s ", g->metadata[i].key);
        for (const char *p = g->metadata[i].value; *p; p++) fprintf(f, "%c", *p == '\n' ? '|' : *p);
        fprintf(f, "\n");
    }
    for (size_t i = 0; i < g->value_count; i++) {
        if (!g->values[i]->data) continue;
        fprintf(f, "initializer %s ", g->values[i]->name);
        describe_tensor(f, g->values[i]->data);
    }
    for (size_t i = 0; i < g->input_count + g->output_count; i++) {
        bool input = i < g->input_count;
        const hone_value *v = input ? g->inputs[i] : g->outputs[i - g->input_count];
        fprintf(f, "%s %s %d ", input ? "input" : "output", v->name, (int)v->type.dtype);
        describe_dims(f, g, &v->type);
        fprintf(f, "\n");
    }
    for (const hone_node *n = g->first; n; n = n->next) {
        fprintf(f, "node %s %s:", n->op->name, n->name);
        for (int i = 0; i < n->input_count; i++) fprintf(f, " %s", n->inputs[i] ? n->inputs[i]->name : "-");
        fprintf(f, " ->");
        for (int i = 0; i < n->output_count; i++) fprintf(f, " %s", n->outputs[i]->name);
        fprintf(f, "\n");
        for (int i = 0; i < n->attr_count; i++) {
            const hone_attr *a = &n->attrs[i];
            fprintf(f, "attribute %s %d ", a->name, (int)a->type);
            if (a->type == HONE_ATTR_INT) fprintf(f, "%lld\n", (long long)a->i);
            if (a->type == HONE_ATTR_FLOAT) fprintf(f, "%.9g\n", (double)a->f);
            if (a->type == HONE_ATTR_STRING) fprintf(f, "%s\n", a->s.data);
        }
    }
    fclose(f);
}

/* --- tests --- */

static void test_round_trip(void **state) {
    (void)state;
    hone_graph *g = network();
    hone_graph_free(round_trip(g));
    ok(hone_graph_save(g, path_of("network.onnx"), &err));
    describe(g, "network.txt", 20, 9);
    hone_graph *again = NULL;
    ok(hone_graph_load(path_of("network.onnx"), &again, &err));
    same_graph(g, again);
    assert_int_equal(hone_graph_opset(again, ""), 20);
    hone_graph_free(again);
    hone_graph_free(g);
}

static void test_every_dtype(void **state) {
    (void)state;
    hone_graph *g = every_dtype(false);
    hone_graph_free(round_trip(g));
    ok(hone_graph_save(g, path_of("dtypes.onnx"), &err));
    describe(g, "dtypes.txt", 13, 8);
    hone_graph_free(g);
}

/* float8, float4, and integers of less than a byte came with later operator sets. */
static void test_small_dtypes(void **state) {
    (void)state;
    hone_graph *g = every_dtype(true);
    hone_graph_free(round_trip(g));
    ok(hone_graph_save(g, path_of("small.onnx"), &err));
    describe(g, "small.txt", 25, 13);
    hone_graph_free(g);
    for (int i = 0; i < (int)SMALL; i++) {
        g = hone_graph_new("small");
        hone_type type = hone_type_make(small_dtypes[i].dtype, 1, (int64_t[]){3});
        hone_graph_add_output(g, HONE_EMIT(g, "", "Transpose", hone_graph_add_input(g, "x", &type)));
        ok(hone_graph_infer(g, &err));
        hone_graph *again = round_trip(g);
        assert_int_equal(hone_graph_opset(again, ""), small_dtypes[i].opset);
        hone_graph_free(again);
        hone_graph_free(g);
    }
}

static void test_variables(void **state) {
    (void)state;
    hone_graph *g = network();
    hone_graph_find(g, "w")->storage = HONE_STORAGE_VARIABLE;
    hone_graph *again = round_trip(g);
    assert_int_equal(hone_graph_find(again, "w")->storage, HONE_STORAGE_CONSTANT);
    hone_graph_free(again);
    hone_graph_free(g);
}

/* Types that nobody inferred are found while writing. */
/* Attributes that no run needs are kept, too. */
static void test_stash_type(void **state) {
    (void)state;
    for (int rms = 0; rms < 2; rms++) {
        hone_graph *g = hone_graph_new("stash");
        hone_value *x = graph_input(g, "x", HONE_FLOAT32, SHAPE(2, 4));
        hone_value *y = graph_op(g, rms ? "RMSNormalization" : "LayerNormalization", x,
                                 weight(g, "w", HONE_FLOAT32, SHAPE(4)));
        hone_node_set_int(g, y->producer, "stash_type", 1);
        hone_graph_add_output(g, y);
        ok(hone_graph_infer(g, &err));
        hone_graph *again = round_trip(g);
        assert_int_equal(hone_node_int(again->first, "stash_type"), 1);
        hone_graph_free(again);
        hone_graph_free(g);
    }
}

static void test_uninferred(void **state) {
    (void)state;
    hone_graph *g = network();
    for (size_t i = 0; i < g->value_count; i++)
        if (g->values[i]->producer)
            g->values[i]->type = (hone_type){.kind = HONE_KIND_TENSOR, .rank = HONE_RANK_ANY};
    hone_blob a = {0}, b = {0};
    ok(hone_onnx_write(g, &a, &err));
    ok(hone_graph_infer(g, &err));
    ok(hone_onnx_write(g, &b, &err));
    assert_int_equal(a.size, b.size);
    assert_memory_equal(a.data, b.data, a.size);
    hone_blob_free(&a);
    hone_blob_free(&b);
    hone_graph_free(g);
}

static hone_graph *large(void) {
    hone_graph *g = hone_graph_new("large");
    hone_type type = hone_type_make(HONE_FLOAT32, 2, (int64_t[]){hone_graph_symbol(g, "batch"), 31});
    hone_value *x = hone_graph_add_input(g, "x", &type);
    hone_value *small = weight(g, "small", HONE_FLOAT32, 1, (int64_t[]){33});
    hone_value *w1 = weight(g, "w1", HONE_FLOAT32, 2, (int64_t[]){31, 33});
    hone_value *w2 = weight(g, "w2", HONE_FLOAT32, 2, (int64_t[]){33, 301});
    hone_value *h = HONE_EMIT(g, "", "Add", HONE_EMIT(g, "", "MatMul", x, w1), small);
    hone_value *y = HONE_EMIT(g, "", "MatMul", h, w2);
    hone_graph_rename(g, y, "y");
    hone_graph_add_output(g, y);
    ok(hone_graph_infer(g, &err));
    return g;
}

/* Graphs in nodes, and values that are no tensors: for the peer, whose description knows of neither. */
static void test_for_the_peer(void **state) {
    (void)state;
    hone_graph *g = control_nested(), *again = NULL;
    const char *path = path_of("nested.onnx");
    ok(hone_graph_save(g, path, &err));
    ok(hone_graph_load(path, &again, &err));
    hone_graph_free(again);
    hone_graph_free(g);
    if (!keep) unlink(path);
    g = hone_graph_new("kinds");
    hone_type tensor = hone_type_make(HONE_FLOAT32, 2, (int64_t[]){hone_graph_symbol(g, "N"), 2});
    const hone_value_kind kinds[] = {HONE_KIND_SEQUENCE, HONE_KIND_OPTIONAL, HONE_KIND_MAP};
    for (int i = 0; i < 3; i++) {
        hone_type type = {.kind = kinds[i], .dtype = i == 2 ? HONE_INT64 : HONE_FLOAT32, .element = &tensor};
        hone_graph_add_input(g, NULL, &type);
    }
    hone_value *y = HONE_EMIT(g, "", "Relu", hone_graph_add_input(g, "x", &tensor));
    hone_graph_add_output(g, y);
    path = path_of("kinds.onnx");
    ok(hone_graph_save(g, path, &err));
    ok(hone_graph_load(path, &again, &err));
    assert_int_equal(again->inputs[2]->type.kind, HONE_KIND_MAP);
    hone_graph_free(again);
    hone_graph_free(g);
    if (!keep) unlink(path);
}

static void test_external_data(void **state) {
    (void)state;
    hone_graph *g = large(), *again = NULL;
    const char *path = path_of("large.onnx");
    ok(hone_onnx_save(g, path, 8192, &err));
    describe(g, "large.txt", 13, 8);
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    assert_true(info.st_size < 8192);
    assert_int_equal(stat(path_of("large.onnx.data"), &info), 0);
    assert_int_equal(info.st_size,
                     (31 * 33 * 4 + 63) / 64 * 64 + 33 * 301 * 4); /* the small one stays inside */
    ok(hone_graph_load(path, &again, &err));
    same_graph(g, again);
    hone_graph_free(again);
    hone_graph_free(g);
    if (keep) return;
    assert_int_equal(truncate(path_of("large.onnx.data"), info.st_size - 1), 0);
    assert_int_equal(hone_graph_load(path, &again, &err), HONE_CORRUPT);
    assert_non_null(strstr(err.file, "large.onnx.data"));
    assert_int_equal(unlink(path_of("large.onnx.data")), 0);
    assert_int_equal(hone_graph_load(path, &again, &err), HONE_NOT_FOUND);
}

/* A failed save leaves the old file as it was, and nothing beside it. */
static void test_failed_save(void **state) {
    (void)state;
    hone_graph *g = network(), *again = NULL;
    const char *path = path_of("kept.onnx");
    ok(hone_graph_save(g, path, &err));
    hone_node *n = hone_graph_add_node(g, hone_op_find(HONE_PRIVATE_DOMAIN, "ReluGrad"), "grad", 2,
                                       (hone_value *[]){g->inputs[0], g->inputs[0]}, 1);
    hone_graph_add_output(g, n->outputs[0]);
    assert_int_equal(hone_graph_save(g, path, &err), HONE_FAILED_PRECONDITION);
    assert_string_equal(err.node, "grad");
    assert_string_equal(err.op, "ReluGrad");
    assert_string_equal(err.file, path);
    ok(hone_graph_load(path, &again, &err));
    assert_int_equal(again->node_count, 3);
    hone_graph_free(again);
    assert_int_equal(unlink(path), 0);
    hone_graph_free(g);
    g = network();
    assert_int_equal(hone_graph_save(g, path_of("no/such/place.onnx"), &err), HONE_NOT_FOUND);
    hone_graph_free(g);
}

static void test_every_allocation_fails(void **state) {
    (void)state;
    hone_graph *g = every_dtype(false);
    hone_blob blob = {0};
    hone_status status = HONE_OUT_OF_MEMORY;
    uint64_t n = 1;
    for (; status != HONE_OK && n < 10000; n++) {
        hone_alloc_fail_at(n, false);
        status = hone_onnx_write(g, &blob, &err);
        hone_alloc_fail_at(0, false);
        if (status != HONE_OK) assert_int_equal(status, HONE_OUT_OF_MEMORY);
    }
    assert_true(n > 2);
    hone_blob_free(&blob);
    hone_graph_free(g);
    g = large();
    const char *path = path_of("oom.onnx");
    for (n = 1, status = HONE_OUT_OF_MEMORY; status != HONE_OK && n < 10000; n++) {
        hone_alloc_fail_at(n, false);
        status = hone_onnx_save(g, path, 1000, &err);
        hone_alloc_fail_at(0, false);
        if (status != HONE_OK) assert_int_equal(status, HONE_OUT_OF_MEMORY);
    }
    assert_true(n > 4);
    unlink(path);
    unlink(path_of("oom.onnx.data"));
    hone_graph_free(g);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),    cmocka_unit_test(test_every_dtype),
        cmocka_unit_test(test_small_dtypes),  cmocka_unit_test(test_variables),
        cmocka_unit_test(test_stash_type),    cmocka_unit_test(test_uninferred),
        cmocka_unit_test(test_external_data), cmocka_unit_test(test_for_the_peer),
        cmocka_unit_test(test_failed_save),   cmocka_unit_test(test_every_allocation_fails),
    };
    keep = argc > 1;
    snprintf(dir, sizeof dir, "%s", keep ? argv[1] : "/tmp/hone-write-XXXXXX");
    if (keep ? hone_dir_make(dir, NULL) != HONE_OK : !mkdtemp(dir)) return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (!keep) hone_dir_remove(dir, NULL);
    return failed;
}
