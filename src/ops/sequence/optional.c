/* Optional values: one tensor or sequence, or nothing. */
#include "ops/common/items.h"

#define ANYTHING (HONE_KIND(HONE_KIND_TENSOR) | HONE_KIND(HONE_KIND_SEQUENCE) | HONE_KIND(HONE_KIND_OPTIONAL))

/* The cotangent of an optional value is that of the tensor which it holds. */
static void gradient(hone_gradient *ctx) {
    if (ctx->node->input_count > 0) ctx->din[0] = ctx->dout[0];
}

/* --- Optional --- */

static hone_status infer_optional(hone_infer *ctx, hone_error *err) {
    const hone_type *in = ctx->input_count > 0 ? ctx->in[0] : NULL, *type = hone_node_type(ctx->node, "type");
    if (!in && !type) return hone_infer_fail(ctx, err, "has neither an input nor a type");
    if (!in) in = type;
    ctx->out[0] = hone_items_type(HONE_KIND_OPTIONAL, in->dtype);
    if (in->kind == HONE_KIND_SEQUENCE) ctx->out[0].element = hone_type_any_sequence(in->dtype);
    return HONE_OK;
}

static hone_status run_optional(const hone_step *s, hone_frame *f, hone_error *err) {
    const hone_items_params *p = s->params;
    const hone_type *in = p->count ? &p->in[0] : NULL, *type = hone_node_type(s->node, "type");
    hone_tensor *item = NULL, *t = NULL;
    if (in && in->kind == HONE_KIND_TENSOR)
        HONE_TRY(hone_tensor_copy_of(in->dtype, in->rank, in->dims, hone_step_in(s, f, 0), &item, err));
    else if (in)
        item = hone_tensor_retain((hone_tensor *)hone_items_in(s, f, 0));
    hone_status status =
        hone_tensor_of_items(HONE_KIND_OPTIONAL, in ? in->dtype : type->dtype, &item, item != NULL, &t, err);
    hone_tensor_free(item);
    return status == HONE_OK ? hone_items_give(s, f, 0, t, err) : status;
}

static hone_status prepare_optional(hone_prepare *p, hone_error *err) {
    return hone_items_prepare(p, run_optional, "optional", err);
}

const hone_op hone_op_optional = {
    .name = "Optional",
    .since = 15,
    .oldest = 15,
    .inputs = HONE_SLOTS({"input", 'V', HONE_TYPES_ALL, HONE_SLOT_OPTIONAL,
                          HONE_KIND(HONE_KIND_TENSOR) | HONE_KIND(HONE_KIND_SEQUENCE)}),
    .outputs = HONE_SLOTS({"output", 'V', HONE_TYPES_ALL, 0, HONE_KIND(HONE_KIND_OPTIONAL)}),
    .attrs = HONE_ATTRS({"type", HONE_ATTR_TYPE}),
    .infer = infer_optional,
    .prepare = prepare_optional,
    .gradient_kind = HONE_GRADIENT_EXACT,
    .gradient = gradient,
    .doc = "an optional value that holds the input, or nothing"};

/* --- OptionalHasElement --- */

static hone_status infer_has(hone_infer *ctx, hone_error *err) {
    (void)err;
    ctx->out[0].rank = 0;
    return HONE_OK;
}

static hone_status run_has(const hone_step *s, hone_frame *f, hone_error *err) {
    (void)err;
    const hone_items_params *p = s->params;
    bool there = hone_step_in(s, f, 0) != NULL;
    if (there && p->in[0].kind == HONE_KIND_OPTIONAL) there = hone_items_in(s, f, 0)->count > 0;
    *(uint8_t *)hone_step_out(s, f, 0) = there;
    return HONE_OK;
}

static hone_status prepare_has(hone_prepare *p, hone_error *err) {
    return hone_items_prepare(p, run_has, "optional", err);
}

const hone_op hone_op_optional_has_element = {
    .name = "OptionalHasElement",
    .since = 18,
    .oldest = 15,
    .inputs = HONE_SLOTS({"input", 0, HONE_TYPES_ALL, HONE_SLOT_OPTIONAL, ANYTHING}),
    .outputs = HONE_SLOTS({"output", 0, HONE_TYPE(HONE_BOOL), 0}),
    .infer = infer_has,
    .prepare = prepare_has,
    .gradient_kind = HONE_GRADIENT_ZERO,
    .doc = "whether an optional value holds anything"};

/* --- OptionalGetElement --- */

static hone_status infer_get(hone_infer *ctx, hone_error *err) {
    (void)err;
    const hone_type *in = ctx->in[0], *element = in->kind == HONE_KIND_OPTIONAL ? in->element : in;
    if (element && element->kind == HONE_KIND_SEQUENCE)
        ctx->out[0] = hone_items_type(HONE_KIND_SEQUENCE, in->dtype);
    else if (in->kind == HONE_KIND_TENSOR)
        ctx->out[0] = *in;
    return HONE_OK; /* the shape of a tensor that is held, the run tells */
}

static bool view_get(const hone_infer *ctx, int output, hone_view *v) {
    return ctx->in[0]->kind != HONE_KIND_OPTIONAL && hone_view_whole(ctx, output, v);
}

static hone_status run_get(const hone_step *s, hone_frame *f, hone_error *err) {
    const hone_tensor *from = hone_items_in(s, f, 0);
    if (from->count == 0) return hone_step_fail(s, err, "the optional value holds nothing");
    const hone_tensor *item = hone_tensor_item(from, 0);
    if (hone_tensor_kind(item) == HONE_KIND_TENSOR) return hone_items_give_tensor(s, f, 0, item, err);
    return hone_items_give(s, f, 0, hone_tensor_retain((hone_tensor *)item), err);
}

static hone_status prepare_get(hone_prepare *p, hone_error *err) {
    return hone_items_prepare(p, run_get, "optional", err);
}

const hone_op hone_op_optional_get_element = {
    .name = "OptionalGetElement",
    .since = 18,
    .oldest = 15,
    .inputs = HONE_SLOTS({"input", 'V', HONE_TYPES_ALL, 0, ANYTHING}),
    .outputs = HONE_SLOTS(
        {"output", 'V', HONE_TYPES_ALL, 0, HONE_KIND(HONE_KIND_TENSOR) | HONE_KIND(HONE_KIND_SEQUENCE)}),
    .infer = infer_get,
    .run_shapes = 1,
    .view = view_get,
    .prepare = prepare_get,
    .gradient_kind = HONE_GRADIENT_EXACT,
    .gradient = gradient,
    .doc = "what an optional value holds"};
