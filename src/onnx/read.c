#include "onnx/message.h"
#include "onnx/onnx.h"

#include "graph/infer.h"
#include "graph/names.h"

#include <string.h>
#include <unistd.h>

/* Setting one looks at all others. */
#define MAX_METADATA 4096

/* A name that the file defines. */
typedef struct definition {
    const hone_node_message *node; /* NULL: an initializer or an input */
    hone_value *value;
    bool input, output; /* listed as one already */
} definition;

typedef struct reader {
    hone_graph *g;
    const hone_model_message *model;
    const hone_graph_message *m;
    const hone_onnx_source *source;
    hone_names *names; /* to definitions; those of the graph itself know fresh names, too */
    definition *definitions;
    size_t count;
    hone_node **nodes; /* of each node message; NULL: a Constant */
} reader;

static hone_status made(const reader *r, const void *thing, hone_error *err) {
    if (thing) return HONE_OK;
    HONE_TRY(hone_graph_check(r->g, err));
    return hone_fail(err, HONE_INTERNAL, "the graph refused a value");
}

/* --- names --- */

static definition *find(const reader *r, const char *name) {
    return hone_names_get(r->names, name);
}

static hone_status define(reader *r, const char *name, const hone_node_message *node, hone_error *err) {
    definition *d = &r->definitions[r->count++];
    d->node = node;
    return hone_names_put(r->names, name, d) ? HONE_OK : hone_fail_memory(err);
}

static hone_status define_input(reader *r, const char *name, hone_error *err) {
    definition *d = find(r, name);
    if (!*name) return hone_fail(err, HONE_CORRUPT, "an input has no name");
    if (d && d->input) return hone_fail_node(err, HONE_CORRUPT, name, NULL, "is an input twice");
    if (!d) HONE_TRY(define(r, name, NULL, err)); /* else an initializer: files before IR 4 list both */
    find(r, name)->input = true;
    return HONE_OK;
}

static hone_status define_outputs(reader *r, const hone_node_message *m, hone_error *err) {
    for (size_t i = 0; i < m->n_output; i++) {
        const char *name = m->output[i];
        if (!*name) continue;
        const definition *d = find(r, name);
        if (d)
            return hone_fail_node(err, HONE_CORRUPT, hone_message_node_name(m), m->op_type,
                                  "gives %s, which %s%s gives already", name,
                                  d->node ? "node " : "an input or initializer",
                                  d->node ? hone_message_node_name(d->node) : "");
        HONE_TRY(define(r, name, m, err));
    }
    return HONE_OK;
}

static hone_status define_names(reader *r, hone_error *err) {
    size_t total = r->m->n_initializer + r->m->n_input;
    for (size_t i = 0; i < r->m->n_node; i++) total += r->m->node[i]->n_output;
    r->definitions = hone_calloc(total + 1, sizeof *r->definitions);
    r->names = hone_names_new();
    if (!r->definitions || !r->names) return hone_fail_memory(err);
    for (size_t i = 0; i < r->m->n_initializer; i++) {
        const char *name = hone_message_text(r->m->initializer[i]->name);
        if (!*name) return hone_fail(err, HONE_CORRUPT, "an initializer has no name");
        if (find(r, name)) return hone_fail_node(err, HONE_CORRUPT, name, NULL, "is an initializer twice");
        HONE_TRY(define(r, name, NULL, err));
    }
    for (size_t i = 0; i < r->m->n_input; i++)
        HONE_TRY(define_input(r, hone_message_text(r->m->input[i]->name), err));
    for (size_t i = 0; i < r->m->n_node; i++) HONE_TRY(define_outputs(r, r->m->node[i], err));
    return HONE_OK;
}

/* --- values --- */

static hone_status add_constant(reader *r, const char *name, hone_tensor *t, hone_error *err) {
    definition *d = find(r, name);
    d->value = hone_graph_add_constant(r->g, name, t);
    hone_tensor_free(t);
    return made(r, d->value, err);
}

/* All constants come before any node: a node's outputs have fresh names until they get the file's. */
static hone_status read_constants(reader *r, hone_error *err) {
    for (size_t i = 0; i < r->m->n_initializer; i++) {
        hone_tensor *t = NULL;
        HONE_TRY(hone_message_tensor(r->m->initializer[i], r->source, &t, err));
        HONE_TRY(add_constant(r, r->m->initializer[i]->name, t, err));
    }
    for (size_t i = 0; i < r->m->n_node; i++) {
        hone_tensor *t = NULL;
        if (!hone_message_is_constant(r->m->node[i])) continue;
        HONE_TRY(hone_message_constant(r->m->node[i], r->source, &t, err));
        HONE_TRY(add_constant(r, r->m->node[i]->output[0], t, err));
    }
    return HONE_OK;
}

static hone_status check_declared(const char *name, const hone_type *declared, const hone_type *found,
                                  hone_error *err) {
    bool fits = (declared->dtype == HONE_UNDEFINED || declared->dtype == found->dtype) &&
                (declared->rank == HONE_RANK_ANY || declared->rank == found->rank);
    for (int i = 0; fits && i < declared->rank; i++)
        fits = declared->dims[i] < 0 || found->dims[i] < 0 || declared->dims[i] == found->dims[i];
    if (fits) return HONE_OK;
    char a[96], b[96];
    return hone_fail_node(err, HONE_CORRUPT, name, NULL, "is declared %s but is %s",
                          hone_type_format(NULL, declared, a, sizeof a),
                          hone_type_format(NULL, found, b, sizeof b));
}

static hone_status read_inputs(reader *r, hone_error *err) {
    for (size_t i = 0; i < r->m->n_input; i++) {
        const hone_value_message *m = r->m->input[i];
        definition *d = find(r, m->name);
        hone_type type;
        HONE_TRY(hone_message_type(r->g, m, &type, err));
        if (d->value) {
            HONE_TRY(check_declared(m->name, &type, &d->value->type, err));
            continue;
        }
        if (type.dtype == HONE_UNDEFINED)
            return hone_fail_node(err, HONE_CORRUPT, m->name, NULL, "the input has no type");
        d->value = hone_graph_add_input(r->g, m->name, &type);
        HONE_TRY(made(r, d->value, err));
    }
    return HONE_OK;
}

static hone_status read_outputs(reader *r, hone_error *err) {
    for (size_t i = 0; i < r->m->n_output; i++) {
        const hone_value_message *m = r->m->output[i];
        const char *name = hone_message_text(m->name);
        definition *d = find(r, name);
        hone_type type;
        if (!d) return hone_fail_node(err, HONE_CORRUPT, name, NULL, "is an output, but nothing gives it");
        if (d->output) return hone_fail_node(err, HONE_CORRUPT, name, NULL, "is an output twice");
        d->output = true;
        HONE_TRY(hone_message_type(r->g, m, &type, err));
        if (d->value->storage == HONE_STORAGE_INTERMEDIATE)
            d->value->type = type;
        else
            HONE_TRY(check_declared(name, &type, &d->value->type, err));
        hone_graph_add_output(r->g, d->value);
    }
    return HONE_OK;
}

/* --- nodes --- */

static hone_status check_import(const reader *r, const hone_node_message *m, hone_error *err) {
    const char *domain = hone_message_domain(m->domain);
    if (!m->op_type || !*m->op_type)
        return hone_fail_node(err, HONE_CORRUPT, hone_message_node_name(m), NULL, "the node has no operator");
    if (hone_message_opset(r->model, domain) > 0) return HONE_OK;
    return hone_fail_node(err, HONE_CORRUPT, hone_message_node_name(m), m->op_type,
                          "the model imports no operator set of %s", *domain ? domain : "ai.onnx");
}

/* The node and its outputs; inputs follow when all outputs of all nodes are there, in whatever order they
 * come. */
static hone_status read_node(reader *r, size_t index, hone_error *err) {
    hone_node_message *m = r->m->node[index];
    const char *domain = hone_message_domain(m->domain);
    const hone_op *op = hone_op_find(domain, m->op_type);
    const hone_op_version *form = hone_op_form(op, hone_message_opset(r->model, domain));
    size_t outputs = m->n_output;
    while (outputs > 0 && !*m->output[outputs - 1]) outputs--;
    if (outputs == 0)
        return hone_fail_node(err, HONE_CORRUPT, hone_message_node_name(m), m->op_type,
                              "the node has no outputs");
    for (size_t i = 0; i < outputs; i++) {
        const hone_slot *slot = i < INT16_MAX ? hone_op_output(op, (int)i) : NULL;
        if (!slot || (slot->flags & HONE_SLOT_SAVED))
            return hone_fail_node(err, HONE_CORRUPT, hone_message_node_name(m), m->op_type,
                                  "has %zu outputs, more than the operator gives", outputs);
    }
    hone_node *n = hone_graph_add_node(r->g, op, hone_message_node_name(m), 0, NULL, (int)outputs);
    HONE_TRY(made(r, n, err));
    for (size_t i = 0; i < outputs; i++) {
        if (!*m->output[i]) continue;
        hone_graph_rename(r->g, n->outputs[i], m->output[i]);
        find(r, m->output[i])->value = n->outputs[i];
    }
    r->nodes[index] = n;
    return hone_message_attrs(r->g, n, m, hone_op_form_attrs(op, form), r->source, err);
}

static hone_status connect_node(reader *r, size_t index, hone_error *err) {
    const hone_node_message *m = r->m->node[index];
    hone_node *n = r->nodes[index];
    size_t inputs = m->n_input;
    while (inputs > 0 && !*m->input[inputs - 1]) inputs--;
    if (inputs > INT16_MAX || (inputs > 0 && !hone_op_input(n->op, (int)inputs - 1)))
        return hone_fail_node(err, HONE_CORRUPT, hone_message_node_name(m), m->op_type,
                              "has %zu inputs, more than the operator takes", inputs);
    for (size_t i = inputs; i-- > 0;) { /* the last first: the list then grows once */
        const char *name = m->input[i];
        const definition *d = find(r, name);
        if (!*name) continue;
        if (!d)
            return hone_fail_node(err, HONE_CORRUPT, hone_message_node_name(m), m->op_type,
                                  "reads %s, which nothing gives", name);
        hone_node_set_input(r->g, n, (int)i, d->value);
        HONE_TRY(hone_graph_check(r->g, err));
    }
    return HONE_OK;
}

/* Inputs that the operator must have. Before lifting, an older form may have fewer than the newest; only the
 * first is then asked for. */
static hone_status check_inputs(const hone_node *n, bool lifted, hone_error *err) {
    for (int i = 0;; i++) {
        const hone_slot *slot = hone_op_input(n->op, i);
        if (!slot || (!lifted && i > 0)) break;
        if (i < n->input_count && n->inputs[i]) continue;
        bool repeated = i > 0 && slot == hone_op_input(n->op, i - 1);
        if (repeated && i >= n->input_count) break;
        if (slot->flags & HONE_SLOT_OPTIONAL) continue;
        return hone_fail_node(err, HONE_CORRUPT, n->name, n->op->name, "input %s is missing", slot->name);
    }
    return HONE_OK;
}

/* In topological order, so that a lift may ask for the types of what comes before. */
static hone_status lift_nodes(reader *r, hone_error *err) {
    size_t count = 0;
    for (hone_node *n = r->g->first; n; n = n->next) r->nodes[count++] = n;
    for (size_t i = 0; i < count; i++) {
        hone_node *n = r->nodes[i];
        int64_t opset = hone_message_opset(r->model, hone_op_domain(n->op));
        const hone_op_version *form = hone_op_form(n->op, opset);
        bool lifts = form && form->lift;
        HONE_TRY(check_inputs(n, !lifts, err));
        if (!lifts) continue;
        r->g->insert_before = n;
        HONE_TRY(form->lift(r->g, n, err));
        r->g->insert_before = NULL;
        HONE_TRY(hone_graph_check(r->g, err));
    }
    for (const hone_node *n = r->g->first; n; n = n->next) HONE_TRY(check_inputs(n, true, err));
    return HONE_OK;
}

static hone_status read_nodes(reader *r, hone_error *err) {
    r->nodes = hone_calloc(r->m->n_node + 1, sizeof *r->nodes);
    if (!r->nodes) return hone_fail_memory(err);
    for (size_t i = 0; i < r->m->n_node; i++)
        if (!hone_message_is_constant(r->m->node[i])) HONE_TRY(read_node(r, i, err));
    for (size_t i = 0; i < r->m->n_node; i++)
        if (r->nodes[i]) HONE_TRY(connect_node(r, i, err));
    return HONE_OK;
}

/* --- the model --- */

static hone_status read_texts(reader *r, hone_error *err) {
    const char *doc = hone_message_text(r->m->doc_string);
    for (size_t i = 0; i < r->model->n_opset_import; i++)
        hone_graph_set_opset(r->g, hone_message_domain(r->model->opset_import[i]->domain),
                             r->model->opset_import[i]->version);
    if (r->model->n_metadata_props > MAX_METADATA)
        return hone_fail(err, HONE_UNSUPPORTED, "more than %d entries of metadata", MAX_METADATA);
    if (*doc && !(r->g->doc = hone_arena_strdup(r->g->arena, doc))) return hone_fail_memory(err);
    for (size_t i = 0; i < r->model->n_metadata_props; i++) {
        const hone_entry_message *m = r->model->metadata_props[i];
        if (!m->key || !*m->key) return hone_fail(err, HONE_CORRUPT, "metadata without a key");
        HONE_TRY(hone_graph_set_metadata(r->g, m->key, hone_message_text(m->value), err));
    }
    return HONE_OK;
}

static hone_status read_graph(reader *r, hone_error *err) {
    for (size_t i = 0; i < r->m->n_node; i++) HONE_TRY(check_import(r, r->m->node[i], err));
    HONE_TRY(hone_message_survey(r->model, err));
    HONE_TRY(read_texts(r, err));
    HONE_TRY(define_names(r, err));
    HONE_TRY(read_constants(r, err));
    HONE_TRY(read_inputs(r, err));
    HONE_TRY(read_nodes(r, err));
    HONE_TRY(read_outputs(r, err));
    HONE_TRY(hone_graph_sort(r->g, err));
    HONE_TRY(lift_nodes(r, err));
    HONE_TRY(hone_graph_check(r->g, err));
    return hone_graph_infer(r->g, err);
}

static hone_status read_model(const hone_model_message *m, const hone_onnx_source *source, hone_graph **out,
                              hone_error *err) {
    if (!m->graph || !m->has_ir_version) return hone_fail(err, HONE_CORRUPT, "is not an ONNX model");
    reader r = {.model = m, .m = m->graph, .source = source};
    const char *name = hone_message_text(m->graph->name);
    r.g = hone_graph_new(*name ? name : NULL);
    hone_status status = r.g ? read_graph(&r, err) : hone_fail_memory(err);
    hone_names_free(r.names);
    hone_free(r.definitions);
    hone_free(r.nodes);
    /* the builder's and the inference's complaints are about the file */
    if (status == HONE_INVALID_ARGUMENT) {
        status = HONE_CORRUPT;
        if (err) err->code = status;
    }
    if (status == HONE_OK)
        *out = r.g;
    else
        hone_graph_free(r.g);
    return status;
}

static hone_status read_source(hone_onnx_source *source, hone_graph **out, hone_error *err) {
    hone_unpacked m = {0};
    hone_status status = hone_message_unpack(&hone__onnx__model_proto__descriptor, source, &m, err);
    if (status == HONE_OK) status = read_model(m.message, source, out, err);
    hone_message_free(&m);
    hone_onnx_source_clear(source);
    return status == HONE_OK ? status : hone_error_in_file(err, status, source->name);
}

hone_status hone_onnx_read(const void *data, size_t size, const char *name, const char *dir, hone_graph **out,
                           hone_error *err) {
    /* no address stands for a file */
    hone_onnx_source source = {
        .data = data ? data : (const uint8_t *)"", .fd = -1, .size = size, .name = name, .dir = dir};
    return read_source(&source, out, err);
}

hone_status hone_onnx_read_file(int fd, uint64_t size, const char *name, const char *dir, bool map,
                                hone_graph **out, hone_error *err) {
    hone_onnx_source source = {.fd = fd, .size = size, .name = name, .dir = dir, .map = map};
    return read_source(&source, out, err);
}

hone_status hone_graph_load_memory(const void *data, size_t size, const char *name, hone_graph **out,
                                   hone_error *err) {
    return hone_onnx_read(data, size, name, NULL, out, err);
}

static hone_status load(const char *path, bool map, hone_graph **out, hone_error *err) {
    char dir[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t length = slash ? (size_t)(slash - path) + 1 : 0; /* with the slash, so that "/" stays itself */
    uint64_t size;
    int fd;
    if (length >= sizeof dir) return hone_fail_file(err, HONE_INVALID_ARGUMENT, path, "the path is too long");
    memcpy(dir, path, length);
    dir[length] = 0;
    HONE_TRY(hone_file_open(path, &fd, &size, err));
    hone_status status = hone_onnx_read_file(fd, size, path, dir, map, out, err);
    close(fd);
    return status;
}

hone_status hone_graph_load(const char *path, hone_graph **out, hone_error *err) {
    return load(path, false, out, err);
}

hone_status hone_graph_load_mapped(const char *path, hone_graph **out, hone_error *err) {
    return load(path, true, out, err);
}
