/* Shape and Size: what a tensor's type says, as content. */
#include "graph/infer.h"
#include "graph/run.h"

#include <string.h>

/* Axes [start, end) that Shape gives. */
static void bounds(const hone_node *n, int rank, int *start, int *end) {
    const hone_attr *last = hone_node_attr(n, "end");
    int64_t from = hone_node_int(n, "start"), to = last ? last->i : rank;
    if (from < 0) from += rank;
    if (to < 0) to += rank;
    *start = (int)(from < 0 ? 0 : from > rank ? rank : from);
    *end = (int)(to < *start ? *start : to > rank ? rank : to);
}

static hone_status infer_shape(hone_infer *ctx, hone_error *err) {
    (void)err;
    int start, end;
    ctx->out[0].rank = 1;
    ctx->out[0].dims[0] = HONE_DIM_ANY;
    if (ctx->in[0]->rank < 0) return HONE_OK;
    bounds(ctx->node, ctx->in[0]->rank, &start, &end);
    ctx->out[0].dims[0] = end - start;
    return HONE_OK;
}

static bool content_shape(const hone_infer *ctx, hone_content *out) {
    const hone_type *x = ctx->in[0];
    int start, end;
    if (x->rank < 0) return false;
    bounds(ctx->node, x->rank, &start, &end);
    out->count = end - start;
    for (int i = start; i < end; i++) out->item[i - start] = hone_item_of_dim(x->dims[i]);
    return true;
}

static hone_status infer_size(hone_infer *ctx, hone_error *err) {
    (void)err;
    ctx->out[0].rank = 0;
    return HONE_OK;
}

/* One symbol among ones is known, too. */
static bool content_size(const hone_infer *ctx, hone_content *out) {
    const hone_type *x = ctx->in[0];
    hone_item product = {HONE_ITEM_NUMBER, 1};
    if (x->rank < 0) return false;
    for (int i = 0; i < x->rank; i++) {
        if (x->dims[i] == 1) continue;
        hone_item d = hone_item_of_dim(x->dims[i]);
        bool one = product.kind == HONE_ITEM_NUMBER && product.value == 1;
        if (one)
            product = d;
        else if (d.kind == HONE_ITEM_NUMBER && product.kind == HONE_ITEM_NUMBER)
            product.value *= d.value;
        else
            product.kind = HONE_ITEM_UNKNOWN;
    }
    out->count = 1;
    out->item[0] = product;
    return true;
}

typedef struct params {
    int64_t values[HONE_MAX_RANK];
    int count;
} params;

static hone_status run(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    const params *p = step->params;
    memcpy(hone_step_out(step, frame, 0), p->values, (size_t)p->count * sizeof *p->values);
    return HONE_OK;
}

/* For when nobody could evaluate it before. */
static hone_status prepare(hone_prepare *p, hone_error *err) {
    params *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    const hone_infer ctx = {
        .node = p->node, .input_count = p->in_count, .in = p->in, .constant = p->constant};
    hone_content c;
    if (!p->node->op->content(&ctx, &c)) return hone_prepare_fail(p, err, "the input's rank is not known");
    q->count = c.count;
    for (int i = 0; i < c.count; i++) q->values[i] = c.item[i].value;
    p->params = q;
    p->run = run;
    p->kernel = "shape";
    return HONE_OK;
}

static const hone_attr_def none[] = {{NULL}};

const hone_op hone_op_shape = {.name = "Shape",
                               .since = 25,
                               .oldest = 1,
                               .older = (const hone_op_version[]){{15, NULL, NULL}, {1, none, NULL}, {0}},
                               .inputs = HONE_SLOTS({"data", 0, HONE_TYPES_ALL, 0}),
                               .outputs = HONE_SLOTS({"shape", 0, HONE_TYPE(HONE_INT64), 0}),
                               .attrs = HONE_ATTRS({"start", HONE_ATTR_INT}, {"end", HONE_ATTR_INT}),
                               .infer = infer_shape,
                               .content = content_shape,
                               .prepare = prepare,
                               .gradient_kind = HONE_GRADIENT_ZERO,
                               .doc = "the dimensions, or those from `start` to `end`"};

const hone_op hone_op_size = {.name = "Size",
                              .since = 25,
                              .oldest = 1,
                              .inputs = HONE_SLOTS({"data", 0, HONE_TYPES_ALL, 0}),
                              .outputs = HONE_SLOTS({"size", 0, HONE_TYPE(HONE_INT64), 0}),
                              .infer = infer_size,
                              .content = content_size,
                              .prepare = prepare,
                              .gradient_kind = HONE_GRADIENT_ZERO,
                              .doc = "the number of elements"};
