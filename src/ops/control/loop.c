/* Loop and Scan: a subgraph, the body, runs again and again. Some of its outputs are carried: the next run gets them
 * as inputs. Others are scan outputs: those of all runs together, along an axis of their own. */
#include "graph/infer.h"
#include "ops/control/scan_8.h"

#include <string.h>

/* Types of what goes into the body and comes out of it. Carried values are in[in_first + i] and out[out_first + i]. */
typedef struct body {
    hone_graph *graph;
    hone_type *in, *out;
    int in_first, out_first, carried;
} body;

/* Shapes that still change after so many runs are taken as unknown, also those inside of so many other bodies. */
enum { PATIENCE = 3, MAX_DEPTH = 3 };

static void forget_shapes(const body *b) {
    for (int i = 0; i < b->carried; i++) {
        hone_type *t = &b->in[b->in_first + i];
        t->rank = HONE_RANK_ANY;
        if (t->element && t->element->kind == HONE_KIND_TENSOR) t->element = hone_type_any(t->element->dtype);
    }
}

/* Makes what goes in say only what holds after the run, too. */
static hone_status carry(const hone_infer *ctx, const body *b, bool *changed, hone_error *err) {
    *changed = false;
    for (int i = 0; i < b->carried; i++) {
        hone_type *in = &b->in[b->in_first + i], *out = &b->out[b->out_first + i], joined = *in;
        char before[96], after[96];
        /* an optional value that the body gives a value is one all the same */
        const hone_type *held = in->kind == HONE_KIND_OPTIONAL && out->kind != in->kind ? in->element : NULL;
        if (held && held->kind == out->kind && held->dtype == out->dtype) continue;
        if (!hone_type_join(&joined, out))
            return hone_infer_fail(ctx, err, "carried value %d is %s before and %s after a run of the body",
                                   i, hone_type_format(b->graph, in, before, sizeof before),
                                   hone_type_format(b->graph, out, after, sizeof after));
        *changed |= !hone_type_equal(&joined, in);
        *in = joined;
    }
    return HONE_OK;
}

/* Types that hold for every run of the body. */
static hone_status infer_body(const hone_infer *ctx, const body *b, hone_error *err) {
    int runs = ctx->depth > MAX_DEPTH ? 1 : PATIENCE + 2;
    if (runs == 1) forget_shapes(b);
    bool changed = true;
    for (int run = 1; changed && run <= runs; run++) {
        HONE_TRY(hone_infer_subgraph(ctx, b->graph, b->in, b->out, err));
        HONE_TRY(carry(ctx, b, &changed, err));
        if (changed && run == PATIENCE) forget_shapes(b);
    }
    return HONE_OK;
}

/* The type of a scan output: `t` of each run, along `axis`. */
static hone_status stack(const hone_infer *ctx, const hone_type *t, int64_t axis, int64_t length,
                         hone_type *out, hone_error *err) {
    *out = *t;
    int at;
    if (t->kind != HONE_KIND_TENSOR) return hone_infer_fail(ctx, err, "a scan output is not a tensor");
    if (t->rank < 0) return HONE_OK;
    if (t->rank == HONE_MAX_RANK)
        return hone_infer_fail(ctx, err, "a scan output has more than %d dimensions", HONE_MAX_RANK);
    HONE_TRY(hone_infer_axis(ctx, axis, t->rank + 1, false, &at, err));
    out->rank = t->rank + 1;
    memmove(&out->dims[at + 1], &out->dims[at], (size_t)(t->rank - at) * sizeof *out->dims);
    out->dims[at] = length;
    return HONE_OK;
}

static hone_status make_room(const hone_infer *ctx, body *b, hone_error *err) {
    b->graph = hone_node_graph(ctx->node, ctx->node->op->attrs[0].name);
    if (!b->graph) return hone_infer_fail(ctx, err, "the body is missing");
    b->in = hone_calloc(b->graph->input_count + b->graph->output_count + 1, sizeof *b->in);
    b->out = b->in + b->graph->input_count;
    return b->in ? HONE_OK : hone_fail_memory(err);
}

static hone_status check_body(const hone_infer *ctx, const body *b, int inputs, hone_error *err) {
    if (b->graph->input_count != (size_t)inputs)
        return hone_infer_fail(ctx, err, "the body has %zu inputs and needs %d", b->graph->input_count,
                               inputs);
    int outputs = b->out_first + (ctx->output_count > b->carried ? ctx->output_count : b->carried);
    if (b->graph->output_count < (size_t)outputs)
        return hone_infer_fail(ctx, err, "the body gives %zu outputs, %d are needed", b->graph->output_count,
                               outputs);
    return HONE_OK;
}

/* --- Loop --- */

/* A scalar, or one element if the body says so. */
static hone_type counter(const body *b, int input, hone_dtype dtype) {
    const hone_type *declared = &b->graph->inputs[input]->type;
    return hone_type_make(dtype, declared->rank == 1, (int64_t[]){1});
}

static hone_status infer_loop_body(hone_infer *ctx, body *b, hone_error *err) {
    for (int i = 0; i < 2; i++) HONE_TRY(hone_infer_one_element(ctx, i, err));
    HONE_TRY(check_body(ctx, b, 2 + b->carried, err));
    b->in[0] = counter(b, 0, HONE_INT64);
    b->in[1] = counter(b, 1, HONE_BOOL);
    for (int i = 0; i < b->carried; i++) {
        if (!ctx->in[2 + i]) return hone_infer_fail(ctx, err, "carried value %d is missing", i);
        b->in[2 + i] = *ctx->in[2 + i];
    }
    HONE_TRY(infer_body(ctx, b, err));
    if (b->out[0].kind != HONE_KIND_TENSOR ||
        (b->out[0].dtype != HONE_BOOL && b->out[0].dtype != HONE_UNDEFINED))
        return hone_infer_fail(ctx, err, "the body's condition is not bool");
    for (int i = 0; i < ctx->output_count; i++)
        if (i < b->carried)
            ctx->out[i] = b->in[2 + i].kind == b->out[1 + i].kind ? b->in[2 + i] : b->out[1 + i];
        else
            HONE_TRY(stack(ctx, &b->out[1 + i], 0, HONE_DIM_ANY, &ctx->out[i], err));
    return HONE_OK;
}

static hone_status infer_loop(hone_infer *ctx, hone_error *err) {
    body b = {.in_first = 2, .out_first = 1, .carried = ctx->input_count > 2 ? ctx->input_count - 2 : 0};
    hone_status status = make_room(ctx, &b, err);
    if (status == HONE_OK) status = infer_loop_body(ctx, &b, err);
    hone_free(b.in);
    return status;
}

const hone_op hone_op_loop = {
    .name = "Loop",
    .since = 25,
    .oldest = 1,
    .role = HONE_ROLE_LOOP,
    .inputs =
        HONE_SLOTS({"M", 0, HONE_TYPE(HONE_INT64), HONE_SLOT_OPTIONAL},
                   {"cond", 0, HONE_TYPE(HONE_BOOL), HONE_SLOT_OPTIONAL},
                   {"v_initial", 0, HONE_TYPES_ALL, HONE_SLOT_VARIADIC | HONE_SLOT_OPTIONAL, HONE_KINDS_ALL}),
    .outputs =
        HONE_SLOTS({"v_final_and_scan_outputs", 0, HONE_TYPES_ALL, HONE_SLOT_VARIADIC, HONE_KINDS_ALL}),
    .attrs = HONE_ATTRS({"body", HONE_ATTR_GRAPH, .required = true}),
    .infer = infer_loop,
    .doc = "runs a subgraph while a condition holds, at most M times"};

/* --- Scan --- */

/* Entry i of a list of axes; 0 if there is none. */
static hone_status axis_at(const hone_infer *ctx, const char *name, int count, int i, int64_t *out,
                           hone_error *err) {
    size_t given;
    const int64_t *axes = hone_node_ints(ctx->node, name, &given);
    if (axes && given != (size_t)count)
        return hone_infer_fail(ctx, err, "%s has %zu entries and needs %d", name, given, count);
    *out = axes ? axes[i] : 0;
    return HONE_OK;
}

/* What a run gets of scan input i: all but the axis, along which all inputs are of one length. */
static hone_status slice(const hone_infer *ctx, const body *b, int i, int64_t *length, hone_error *err) {
    const hone_type *in = ctx->in[b->carried + i];
    hone_type *out = &b->in[b->carried + i];
    int64_t axis = 0;
    int at;
    HONE_TRY(axis_at(ctx, "scan_input_axes", ctx->input_count - b->carried, i, &axis, err));
    *out = *in;
    if (in->rank < 0) return HONE_OK;
    HONE_TRY(hone_infer_axis(ctx, axis, in->rank, false, &at, err));
    HONE_TRY(hone_infer_same_dim(ctx, *length, in->dims[at], length, err));
    out->rank = in->rank - 1;
    memmove(&out->dims[at], &in->dims[at + 1], (size_t)(out->rank - at) * sizeof *out->dims);
    return HONE_OK;
}

static hone_status infer_scan_body(hone_infer *ctx, body *b, hone_error *err) {
    int64_t length = HONE_DIM_ANY;
    HONE_TRY(check_body(ctx, b, ctx->input_count, err));
    for (int i = 0; i < ctx->input_count; i++)
        if (!ctx->in[i]) return hone_infer_fail(ctx, err, "input %d is missing", i);
    for (int i = 0; i < b->carried; i++) b->in[i] = *ctx->in[i];
    for (int i = 0; i < ctx->input_count - b->carried; i++) HONE_TRY(slice(ctx, b, i, &length, err));
    HONE_TRY(infer_body(ctx, b, err));
    for (int i = 0; i < ctx->output_count; i++) {
        int64_t axis = 0;
        if (i < b->carried) {
            ctx->out[i] = b->in[i];
            continue;
        }
        int scans = (int)b->graph->output_count - b->carried;
        HONE_TRY(axis_at(ctx, "scan_output_axes", scans, i - b->carried, &axis, err));
        HONE_TRY(stack(ctx, &b->out[i], axis, length, &ctx->out[i], err));
    }
    return HONE_OK;
}

static hone_status infer_scan(hone_infer *ctx, hone_error *err) {
    int64_t scans = hone_node_int(ctx->node, "num_scan_inputs");
    if (scans < 1 || scans > ctx->input_count)
        return hone_infer_fail(ctx, err, "scans %lld of its %d inputs", (long long)scans, ctx->input_count);
    body b = {.carried = ctx->input_count - (int)scans};
    hone_status status = make_room(ctx, &b, err);
    if (status == HONE_OK) status = infer_scan_body(ctx, &b, err);
    hone_free(b.in);
    return status;
}

static const hone_op_version older_scan[] = {{9, NULL, NULL}, {8, hone_scan_8_attrs, hone_scan_8_lift}, {0}};

const hone_op hone_op_scan = {
    .name = "Scan",
    .since = 25,
    .oldest = 8,
    .older = older_scan,
    .role = HONE_ROLE_SCAN,
    .inputs = HONE_SLOTS({"initial_state_and_scan_inputs", 0, HONE_TYPES_ALL,
                          HONE_SLOT_VARIADIC | HONE_SLOT_OPTIONAL /* of opset 8: the lengths */}),
    .outputs = HONE_SLOTS({"final_state_and_scan_outputs", 0, HONE_TYPES_ALL, HONE_SLOT_VARIADIC}),
    .attrs = HONE_ATTRS({"body", HONE_ATTR_GRAPH, .required = true},
                        {"num_scan_inputs", HONE_ATTR_INT, .required = true},
                        {"scan_input_axes", HONE_ATTR_INTS}, {"scan_input_directions", HONE_ATTR_INTS},
                        {"scan_output_axes", HONE_ATTR_INTS}, {"scan_output_directions", HONE_ATTR_INTS}),
    .infer = infer_scan,
    .doc = "runs a subgraph for each slice of its inputs"};
