#include "onnx/onnx.h"
#include "onnx/writer.h"

#include "graph/infer.h"

#include <stddef.h>
#include <string.h>

typedef struct writer {
    hone_onnx_writer file;
    hone_graph *inferred; /* a copy of the graph with all types, if it lacks some */
    hone_model_message *model;
} writer;

void *hone_onnx_make(hone_onnx_writer *w, const ProtobufCMessageDescriptor *type) {
    void *m = hone_arena_alloc(w->arena, type->sizeof_message);
    if (m) protobuf_c_message_init(type, m);
    return m;
}

/* What a version of onnx that knows the operator set reads. */
static int64_t ir_version(int64_t opset) {
    static const struct {
        int64_t opset, ir;
    } table[] = {{28, 14}, {25, 13}, {24, 12}, {23, 11}, {21, 10}, {19, 9}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (opset >= table[i].opset) return table[i].ir;
    return 8;
}

/* --- what is written --- */

/* What no file can say. */
static hone_status check_nodes(const hone_graph *g, hone_error *err) {
    for (const hone_node *n = g->first; n; n = n->next) {
        if (hone_op_is_private(n->op) || n->map)
            return hone_fail_node(err, HONE_FAILED_PRECONDITION, n->name, n->op->name,
                                  "only Hone itself has this operator; it can't be written to a file");
        for (int i = 0; i < n->attr_count; i++)
            if (!hone_attr_find(n->op->attrs, n->attrs[i].name))
                return hone_fail_node(err, HONE_FAILED_PRECONDITION, n->name, n->op->name,
                                      "ONNX has no attribute %s of this operator", n->attrs[i].name);
        const hone_graph *sub;
        for (int i = 0; (sub = hone_node_subgraph(n, i)); i++) HONE_TRY(check_nodes(sub, err));
    }
    return HONE_OK;
}

static hone_status check_graph(const hone_graph *g, hone_error *err) {
    HONE_TRY(hone_graph_check(g, err));
    if (g->binding_count)
        return hone_fail_node(err, HONE_FAILED_PRECONDITION, g->bindings[0].variable->name, NULL,
                              "a training graph, which updates its variables, can't be written");
    for (size_t i = 0; i < g->output_count; i++)
        for (size_t k = 0; k < i; k++)
            if (g->outputs[i] == g->outputs[k])
                return hone_fail_node(err, HONE_FAILED_PRECONDITION, g->outputs[i]->name, NULL,
                                      "is an output twice");
    return check_nodes(g, err);
}

static bool lacks_types(const hone_graph *g) {
    for (size_t i = 0; i < g->value_count; i++)
        if (g->values[i] && g->values[i]->type.dtype == HONE_UNDEFINED) return true;
    const hone_graph *sub;
    for (const hone_node *n = g->first; n; n = n->next)
        for (int i = 0; (sub = hone_node_subgraph(n, i)); i++)
            if (lacks_types(sub)) return true;
    return false;
}

/* Types of values that nobody has inferred yet; what inference can't tell stays unknown. */
static hone_status complete_types(writer *w, const hone_graph **g, hone_error *err) {
    if (!lacks_types(*g)) return HONE_OK;
    HONE_TRY(hone_graph_copy(*g, &w->inferred, err));
    *g = w->inferred;
    return hone_graph_infer(w->inferred, err);
}

/* --- the model --- */

static hone_status write_imports(writer *w, hone_error *err) {
    hone_model_message *m = w->model;
    m->opset_import = hone_arena_array(w->file.arena, w->file.opset_count + 1, sizeof *m->opset_import);
    if (!m->opset_import) return hone_fail_memory(err);
    for (size_t i = 0; i < w->file.opset_count; i++) {
        hone_opset_message *set = hone_onnx_make(&w->file, &hone__onnx__operator_set_id_proto__descriptor);
        if (!set) return hone_fail_memory(err);
        set->domain = (char *)w->file.opsets[i].domain;
        set->has_version = true;
        set->version = w->file.opsets[i].version;
        m->opset_import[m->n_opset_import++] = set;
    }
    return HONE_OK;
}

static hone_status write_metadata(writer *w, const hone_graph *g, hone_error *err) {
    hone_model_message *m = w->model;
    m->metadata_props = hone_arena_array(w->file.arena, g->metadata_count + 1, sizeof *m->metadata_props);
    if (!m->metadata_props) return hone_fail_memory(err);
    for (size_t i = 0; i < g->metadata_count; i++) {
        hone_entry_message *entry =
            hone_onnx_make(&w->file, &hone__onnx__string_string_entry_proto__descriptor);
        if (!entry) return hone_fail_memory(err);
        entry->key = (char *)g->metadata[i].key;
        entry->value = (char *)g->metadata[i].value;
        m->metadata_props[m->n_metadata_props++] = entry;
    }
    return HONE_OK;
}

static hone_status write_model(writer *w, const hone_graph *g, hone_error *err) {
    HONE_TRY(check_graph(g, err));
    HONE_TRY(complete_types(w, &g, err));
    HONE_TRY(hone_onnx_choose_opsets(&w->file, g, err));
    w->model = hone_onnx_make(&w->file, &hone__onnx__model_proto__descriptor);
    if (!w->model) return hone_fail_memory(err);
    w->model->has_ir_version = true;
    w->model->ir_version = ir_version(hone_onnx_opset(&w->file, ""));
    w->model->producer_name = (char *)"hone";
    w->model->producer_version = (char *)HONE_VERSION;
    HONE_TRY(write_imports(w, err));
    HONE_TRY(write_metadata(w, g, err));
    return hone_onnx_write_graph(&w->file, g, &w->model->graph, err);
}

static hone_status start(writer *w, const hone_graph *g, hone_error *err) {
    *w = (writer){.file.arena = hone_arena_new()};
    return w->file.arena ? write_model(w, g, err) : hone_fail_memory(err);
}

static void finish(writer *w) {
    hone_graph_free(w->inferred);
    hone_free(w->file.opsets);
    if (w->file.arena) hone_arena_free(w->file.arena);
}

static hone_status pack(const writer *w, size_t limit, hone_blob *out, hone_error *err) {
    size_t size = protobuf_c_message_get_packed_size(&w->model->base);
    if (size > limit)
        return hone_fail(err, HONE_OUT_OF_RANGE, "the model has %zu bytes, a file of this kind at most %zu",
                         size, limit);
    out->data = hone_alloc(size);
    if (!out->data) return hone_fail_memory(err);
    out->size = protobuf_c_message_pack(&w->model->base, out->data);
    return HONE_OK;
}

hone_status hone_onnx_write(const hone_graph *g, hone_blob *out, hone_error *err) {
    writer w;
    hone_status status = start(&w, g, err);
    if (status == HONE_OK) status = pack(&w, HONE_ONNX_INLINE_LIMIT, out, err);
    finish(&w);
    return status;
}

/* protobuf-c hands over piece after piece, so that a large model is not in memory a second time. */
typedef struct sink {
    ProtobufCBuffer base;
    hone_writer *writer;
    hone_status status;
    hone_error *err;
} sink;

static void append(ProtobufCBuffer *buffer, size_t size, const uint8_t *data) {
    sink *s = (sink *)buffer;
    if (s->status == HONE_OK) s->status = hone_writer_write(s->writer, data, size, s->err);
}

static hone_status store(writer *w, const char *path, size_t inline_limit, hone_error *err) {
    if (protobuf_c_message_get_packed_size(&w->model->base) > inline_limit) {
        char *data = hone_arena_printf(w->file.arena, "%s.data", path);
        if (!data) return hone_fail_memory(err);
        HONE_TRY(hone_external_write(w->model->graph, data, w->file.arena, err));
    }
    size_t size = protobuf_c_message_get_packed_size(&w->model->base);
    if (size > HONE_ONNX_INLINE_LIMIT)
        return hone_fail(err, HONE_OUT_OF_RANGE,
                         "the model has %zu bytes without its weights; %zu are possible", size,
                         HONE_ONNX_INLINE_LIMIT);
    sink s = {{append}, NULL, HONE_OK, err};
    HONE_TRY(hone_writer_open(path, &s.writer, err));
    protobuf_c_message_pack_to_buffer(&w->model->base, &s.base);
    if (s.status == HONE_OK) return hone_writer_commit(s.writer, err);
    hone_writer_abort(s.writer);
    return s.status;
}

hone_status hone_onnx_save(const hone_graph *g, const char *path, size_t inline_limit, hone_error *err) {
    writer w;
    hone_status status = start(&w, g, err);
    if (status == HONE_OK) status = store(&w, path, inline_limit, err);
    finish(&w);
    return status == HONE_OK ? status : hone_error_in_file(err, status, path);
}

hone_status hone_graph_save(const hone_graph *g, const char *path, hone_error *err) {
    return hone_onnx_save(g, path, HONE_ONNX_INLINE_LIMIT, err);
}
