/* Sequences of tensors: made, taken apart, and changed by making others of the same items. */
#include "ops/common/items.h"

#define SEQUENCE HONE_KIND(HONE_KIND_SEQUENCE)
#define POSITIONS (HONE_TYPE(HONE_INT32) | HONE_TYPE(HONE_INT64))

static hone_status infer_sequence(hone_infer *ctx, hone_error *err) {
    (void)err;
    ctx->out[0] = hone_items_type(HONE_KIND_SEQUENCE, ctx->out[0].dtype);
    return HONE_OK;
}

/* --- SequenceEmpty --- */

static hone_dtype empty_dtype(const hone_node *n) {
    return (hone_dtype)hone_node_int(n, "dtype");
}

static hone_status infer_empty(hone_infer *ctx, hone_error *err) {
    hone_dtype dtype = empty_dtype(ctx->node);
    if (hone_dtype_bits(dtype) == 0) return hone_infer_fail(ctx, err, "dtype %d is not known", (int)dtype);
    ctx->out[0] = hone_items_type(HONE_KIND_SEQUENCE, dtype);
    return HONE_OK;
}

static hone_status run_empty(const hone_step *s, hone_frame *f, hone_error *err) {
    hone_tensor *t = NULL;
    HONE_TRY(hone_tensor_of_items(HONE_KIND_SEQUENCE, empty_dtype(s->node), NULL, 0, &t, err));
    return hone_items_give(s, f, 0, t, err);
}

static hone_status prepare_empty(hone_prepare *p, hone_error *err) {
    return hone_items_prepare(p, run_empty, "sequence", err);
}

const hone_op hone_op_sequence_empty = {.name = "SequenceEmpty",
                                        .since = 11,
                                        .oldest = 11,
                                        .outputs = HONE_SLOTS({"output", 0, HONE_TYPES_ALL, 0, SEQUENCE}),
                                        .attrs = HONE_ATTRS({"dtype", HONE_ATTR_INT, .i = HONE_FLOAT32}),
                                        .infer = infer_empty,
                                        .prepare = prepare_empty,
                                        .doc = "a sequence of no tensors"};

/* --- SequenceConstruct --- */

/* A sequence of `count` items, whose references are taken, also on failure. */
static hone_status give_sequence(const hone_step *s, hone_frame *f, hone_dtype dtype, hone_tensor **items,
                                 int64_t count, hone_status status, hone_error *err) {
    hone_tensor *t = NULL;
    if (status == HONE_OK) status = hone_tensor_of_items(HONE_KIND_SEQUENCE, dtype, items, count, &t, err);
    for (int64_t i = 0; i < count; i++) hone_tensor_free(items[i]);
    hone_free(items);
    return status == HONE_OK ? hone_items_give(s, f, 0, t, err) : status;
}

static hone_status copy_input(const hone_step *s, const hone_frame *f, int i, hone_tensor **out,
                              hone_error *err) {
    const hone_items_params *p = s->params;
    const hone_type *t = &p->in[i];
    return hone_tensor_copy_of(t->dtype, t->rank, t->dims, hone_step_in(s, f, i), out, err);
}

static hone_status run_construct(const hone_step *s, hone_frame *f, hone_error *err) {
    const hone_items_params *p = s->params;
    hone_tensor **items = hone_calloc((size_t)p->count + 1, sizeof *items);
    if (!items) return hone_fail_memory(err);
    hone_status status = HONE_OK;
    for (int i = 0; i < p->count && status == HONE_OK; i++) status = copy_input(s, f, i, &items[i], err);
    return give_sequence(s, f, p->in[0].dtype, items, p->count, status, err);
}

static hone_status prepare_construct(hone_prepare *p, hone_error *err) {
    return hone_items_prepare(p, run_construct, "sequence", err);
}

const hone_op hone_op_sequence_construct = {
    .name = "SequenceConstruct",
    .since = 11,
    .oldest = 11,
    .inputs = HONE_SLOTS({"inputs", 'T', HONE_TYPES_ALL, HONE_SLOT_VARIADIC}),
    .outputs = HONE_SLOTS({"output_sequence", 'T', HONE_TYPES_ALL, 0, SEQUENCE}),
    .infer = infer_sequence,
    .prepare = prepare_construct,
    .doc = "a sequence of the inputs"};

/* --- SequenceInsert, SequenceErase --- */

/* The items of input 0, with `added` (may be NULL) before item `at`, or without that item. */
static hone_status give_changed(const hone_step *s, hone_frame *f, const hone_tensor *from, int64_t at,
                                hone_tensor *added, hone_error *err) {
    int64_t count = added ? from->count + 1 : from->count - 1;
    hone_tensor **items = hone_calloc((size_t)count + 1, sizeof *items);
    if (!items) {
        hone_tensor_free(added);
        return hone_fail_memory(err);
    }
    for (int64_t i = 0; i < count; i++) {
        int64_t source = i < at ? i : added ? i - 1 : i + 1;
        items[i] = added && i == at ? added : hone_tensor_retain(((hone_tensor *const *)from->data)[source]);
    }
    return give_sequence(s, f, from->dtype, items, count, HONE_OK, err);
}

static hone_status run_insert(const hone_step *s, hone_frame *f, hone_error *err) {
    const hone_items_params *p = s->params;
    const hone_tensor *from = hone_items_in(s, f, 0);
    int64_t at = from->count;
    hone_tensor *item = NULL;
    if (hone_step_in(s, f, 2))
        HONE_TRY(hone_items_index(s, f, 2, p->in[2].dtype, from->count, true, &at, err));
    HONE_TRY(copy_input(s, f, 1, &item, err));
    return give_changed(s, f, from, at, item, err);
}

static hone_status prepare_insert(hone_prepare *p, hone_error *err) {
    return hone_items_prepare(p, run_insert, "sequence", err);
}

static hone_status infer_insert(hone_infer *ctx, hone_error *err) {
    HONE_TRY(hone_infer_one_element(ctx, 2, err));
    return infer_sequence(ctx, err);
}

const hone_op hone_op_sequence_insert = {
    .name = "SequenceInsert",
    .since = 11,
    .oldest = 11,
    .inputs = HONE_SLOTS({"input_sequence", 'T', HONE_TYPES_ALL, 0, SEQUENCE},
                         {"tensor", 'T', HONE_TYPES_ALL, 0}, {"position", 0, POSITIONS, HONE_SLOT_OPTIONAL}),
    .outputs = HONE_SLOTS({"output_sequence", 'T', HONE_TYPES_ALL, 0, SEQUENCE}),
    .infer = infer_insert,
    .prepare = prepare_insert,
    .doc = "the sequence with one more tensor, by default at its end"};

static hone_status run_erase(const hone_step *s, hone_frame *f, hone_error *err) {
    const hone_items_params *p = s->params;
    const hone_tensor *from = hone_items_in(s, f, 0);
    int64_t at = from->count - 1;
    if (from->count == 0) return hone_step_fail(s, err, "the sequence is empty");
    if (hone_step_in(s, f, 1))
        HONE_TRY(hone_items_index(s, f, 1, p->in[1].dtype, from->count, false, &at, err));
    return give_changed(s, f, from, at, NULL, err);
}

static hone_status prepare_erase(hone_prepare *p, hone_error *err) {
    return hone_items_prepare(p, run_erase, "sequence", err);
}

static hone_status infer_erase(hone_infer *ctx, hone_error *err) {
    HONE_TRY(hone_infer_one_element(ctx, 1, err));
    return infer_sequence(ctx, err);
}

const hone_op hone_op_sequence_erase = {
    .name = "SequenceErase",
    .since = 11,
    .oldest = 11,
    .inputs = HONE_SLOTS({"input_sequence", 'T', HONE_TYPES_ALL, 0, SEQUENCE},
                         {"position", 0, POSITIONS, HONE_SLOT_OPTIONAL}),
    .outputs = HONE_SLOTS({"output_sequence", 'T', HONE_TYPES_ALL, 0, SEQUENCE}),
    .infer = infer_erase,
    .prepare = prepare_erase,
    .doc = "the sequence without one of its tensors, by default the last"};

/* --- SequenceAt, SequenceLength --- */

static hone_status infer_at(hone_infer *ctx, hone_error *err) {
    return hone_infer_one_element(ctx, 1, err); /* its shape, the run tells */
}

static hone_status run_at(const hone_step *s, hone_frame *f, hone_error *err) {
    const hone_items_params *p = s->params;
    const hone_tensor *from = hone_items_in(s, f, 0);
    int64_t at;
    HONE_TRY(hone_items_index(s, f, 1, p->in[1].dtype, from->count, false, &at, err));
    return hone_items_give_tensor(s, f, 0, hone_tensor_item(from, at), err);
}

static hone_status prepare_at(hone_prepare *p, hone_error *err) {
    return hone_items_prepare(p, run_at, "sequence", err);
}

const hone_op hone_op_sequence_at = {
    .name = "SequenceAt",
    .since = 11,
    .oldest = 11,
    .inputs = HONE_SLOTS({"input_sequence", 'T', HONE_TYPES_ALL, 0, SEQUENCE}, {"position", 0, POSITIONS, 0}),
    .outputs = HONE_SLOTS({"tensor", 'T', HONE_TYPES_ALL, 0}),
    .infer = infer_at,
    .run_shapes = 1,
    .prepare = prepare_at,
    .doc = "a tensor of a sequence"};

static hone_status infer_length(hone_infer *ctx, hone_error *err) {
    (void)err;
    ctx->out[0].rank = 0;
    return HONE_OK;
}

static hone_status run_length(const hone_step *s, hone_frame *f, hone_error *err) {
    (void)err;
    *(int64_t *)hone_step_out(s, f, 0) = hone_items_in(s, f, 0)->count;
    return HONE_OK;
}

static hone_status prepare_length(hone_prepare *p, hone_error *err) {
    return hone_items_prepare(p, run_length, "sequence", err);
}

const hone_op hone_op_sequence_length = {.name = "SequenceLength",
                                         .since = 11,
                                         .oldest = 11,
                                         .inputs =
                                             HONE_SLOTS({"input_sequence", 0, HONE_TYPES_ALL, 0, SEQUENCE}),
                                         .outputs = HONE_SLOTS({"length", 0, HONE_TYPE(HONE_INT64), 0}),
                                         .infer = infer_length,
                                         .prepare = prepare_length,
                                         .gradient_kind = HONE_GRADIENT_ZERO,
                                         .doc = "how many tensors a sequence has"};
