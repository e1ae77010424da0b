/* ONNX files made byte by byte for tests, by the field numbers of ONNX's specification: a second source
 * beside src/onnx/onnx.proto, and able to say what no proper writer would. */
#ifndef TESTS_ONNX_MODEL_H
#define TESTS_ONNX_MODEL_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct bytes {
    uint8_t data[1 << 16];
    size_t size;
} bytes;

static inline void put_raw(bytes *b, const void *data, size_t size) {
    if (size > sizeof b->data - b->size) abort();
    if (size) memcpy(b->data + b->size, data, size);
    b->size += size;
}

static inline void put_number(bytes *b, uint64_t x) {
    do {
        uint8_t byte = (uint8_t)((x & 0x7f) | (x > 0x7f ? 0x80 : 0));
        put_raw(b, &byte, 1);
    } while (x >>= 7);
}

static inline void put_int(bytes *b, int field, int64_t x) {
    put_number(b, (uint64_t)field << 3);
    put_number(b, (uint64_t)x);
}

static inline void put_float(bytes *b, int field, float x) {
    put_number(b, (uint64_t)field << 3 | 5);
    put_raw(b, &x, 4);
}

static inline void put_block(bytes *b, int field, const void *data, size_t size) {
    put_number(b, (uint64_t)field << 3 | 2);
    put_number(b, size);
    put_raw(b, data, size);
}

static inline void put_text(bytes *b, int field, const char *text) {
    put_block(b, field, text, strlen(text));
}

static inline void put_message(bytes *b, int field, const bytes *m) {
    put_block(b, field, m->data, m->size);
}

/* Calls put_text for each part of "a,b,,c"; "" has none. */
static inline void put_list(bytes *b, int field, const char *list) {
    while (*list) {
        size_t length = strcspn(list, ",");
        put_block(b, field, list, length);
        list += length + (list[length] == ',');
    }
}

/* --- attributes (NodeProto.attribute = 5) --- */

static inline void attr_begin(bytes *a, const char *name, int type) {
    a->size = 0;
    put_text(a, 1, name);
    put_int(a, 20, type);
}

static inline void attr_int(bytes *attrs, const char *name, int64_t x) {
    static bytes a;
    attr_begin(&a, name, 2);
    put_int(&a, 3, x);
    put_message(attrs, 5, &a);
}

static inline void attr_float(bytes *attrs, const char *name, float x) {
    static bytes a;
    attr_begin(&a, name, 1);
    put_float(&a, 2, x);
    put_message(attrs, 5, &a);
}

static inline void attr_string(bytes *attrs, const char *name, const char *x) {
    static bytes a;
    attr_begin(&a, name, 3);
    put_text(&a, 4, x);
    put_message(attrs, 5, &a);
}

static inline void attr_ints(bytes *attrs, const char *name, int count, const int64_t *x) {
    static bytes a;
    attr_begin(&a, name, 7);
    for (int i = 0; i < count; i++) put_int(&a, 8, x[i]);
    put_message(attrs, 5, &a);
}

static inline void attr_tensor(bytes *attrs, const char *name, const bytes *tensor) {
    static bytes a;
    attr_begin(&a, name, 4);
    put_message(&a, 5, tensor);
    put_message(attrs, 5, &a);
}

/* --- parts of a graph --- */

static inline void attr_graph(bytes *attrs, const char *name, const bytes *graph) {
    static bytes a;
    attr_begin(&a, name, 5);
    put_message(&a, 6, graph);
    put_message(attrs, 5, &a);
}

/* An attribute that refers to one of the function around it. */
static inline void attr_ref(bytes *attrs, const char *name, int type, const char *of) {
    static bytes a;
    attr_begin(&a, name, type);
    put_text(&a, 21, of);
    put_message(attrs, 5, &a);
}

/* `attrs` may be NULL. Lists are comma-separated names, "" one that is left out. */
static inline void put_node_as(bytes *to, int field, const char *domain, const char *op, const char *name,
                               const char *inputs, const char *outputs, const bytes *attrs) {
    static bytes n;
    n.size = 0;
    put_list(&n, 1, inputs);
    put_list(&n, 2, outputs);
    put_text(&n, 3, name);
    put_text(&n, 4, op);
    if (attrs) put_raw(&n, attrs->data, attrs->size);
    if (*domain) put_text(&n, 7, domain);
    put_message(to, field, &n);
}

static inline void put_node_of(bytes *graph, const char *domain, const char *op, const char *name,
                               const char *inputs, const char *outputs, const bytes *attrs) {
    put_node_as(graph, 1, domain, op, name, inputs, outputs, attrs);
}

static inline void put_node(bytes *graph, const char *op, const char *name, const char *inputs,
                            const char *outputs, const bytes *attrs) {
    put_node_of(graph, "", op, name, inputs, outputs, attrs);
}

enum { PART_INPUT = 11, PART_OUTPUT = 12, PART_VALUE = 13 };

/* `shape` is like "batch,3,?"; "" a scalar; NULL: no shape. */
static inline void put_value(bytes *graph, int part, const char *name, int dtype, const char *shape) {
    static bytes dim, dims, tensor, type, value;
    dims.size = tensor.size = type.size = value.size = 0;
    put_int(&tensor, 1, dtype);
    while (shape && *shape) {
        size_t length = strcspn(shape, ",");
        dim.size = 0;
        if (*shape == '-' || (*shape >= '0' && *shape <= '9'))
            put_int(&dim, 1, strtoll(shape, NULL, 10));
        else if (*shape != '?')
            put_block(&dim, 2, shape, length);
        put_message(&dims, 1, &dim);
        shape += length + (shape[length] == ',');
    }
    if (shape) put_message(&tensor, 2, &dims);
    put_message(&type, 1, &tensor);
    put_text(&value, 1, name);
    put_message(&value, 2, &type);
    put_message(graph, part, &value);
}

/* A TensorProto without its elements. */
static inline void tensor_begin(bytes *t, const char *name, int dtype, int rank, const int64_t *dims) {
    t->size = 0;
    for (int i = 0; i < rank; i++) put_int(t, 1, dims[i]);
    put_int(t, 2, dtype);
    if (*name) put_text(t, 8, name);
}

/* An initializer (GraphProto.initializer = 5) with raw bytes. */
static inline void put_initializer(bytes *graph, const char *name, int dtype, int rank, const int64_t *dims,
                                   const void *data, size_t size) {
    static bytes t;
    tensor_begin(&t, name, dtype, rank, dims);
    put_block(&t, 9, data, size);
    put_message(graph, 5, &t);
}

/* --- the model --- */

static inline void put_entry(bytes *b, int field, const char *key, const char *value) {
    static bytes e;
    e.size = 0;
    put_text(&e, 1, key);
    put_text(&e, 2, value);
    put_message(b, field, &e);
}

static inline void put_opset(bytes *model, const char *domain, int64_t version) {
    static bytes o;
    o.size = 0;
    put_text(&o, 1, domain);
    put_int(&o, 2, version);
    put_message(model, 8, &o);
}

/* A function; its nodes (field 7) and attributes follow. */
static inline void function_begin(bytes *to, const char *domain, const char *name, const char *inputs,
                                  const char *outputs) {
    to->size = 0;
    put_text(to, 1, name);
    put_list(to, 4, inputs);
    put_list(to, 5, outputs);
    put_text(to, 10, domain);
}

static inline void function_node(bytes *to, const char *op, const char *name, const char *inputs,
                                 const char *outputs, const bytes *attrs) {
    put_node_as(to, 7, "", op, name, inputs, outputs, attrs);
}

static inline void function_imports(bytes *to, const char *domain, int64_t version) {
    static bytes o;
    o.size = 0;
    put_text(&o, 1, domain);
    put_int(&o, 2, version);
    put_message(to, 9, &o);
}

/* An attribute of the function with the default x. */
static inline void function_default(bytes *to, const char *name, float x) {
    static bytes a;
    attr_begin(&a, name, 1);
    put_float(&a, 2, x);
    put_message(to, 11, &a);
}

enum { PART_FUNCTION = 25 };

/* A model of that graph; more fields may follow. */
static inline void model_of(bytes *model, const bytes *graph, int64_t opset) {
    model->size = 0;
    put_int(model, 1, 8);
    if (opset) put_opset(model, "", opset);
    put_message(model, 7, graph);
}

#endif
