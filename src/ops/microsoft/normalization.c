/* ONNX Runtime's normalizations: what is added before, what is looked up, then LayerNormalization or RMSNormalization. */
#include "graph/infer.h"
#include "ops/common/emit.h"

#define REAL (HONE_TYPES_FLOAT | HONE_TYPES_HALF)
#define FLOATS (HONE_TYPES_FLOAT | HONE_TYPES_HALF)
#define INT32 HONE_TYPE(HONE_INT32)
#define BYTES HONE_TYPES_BYTE
#define OPTIONAL HONE_SLOT_OPTIONAL

/* Rows of v normalized: the node. */
static hone_node *normalized(hone_graph *g, const hone_node *n, hone_value *v, hone_value *scale,
                             hone_value *shift, bool rms, int outputs) {
    hone_value *in[] = {v, scale, shift};
    hone_node *y = hone_graph_add_node(g, hone_op_find("", rms ? "RMSNormalization" : "LayerNormalization"),
                                       n->name, rms ? 2 : 3, in, outputs);
    if (y) hone_node_set_float(g, y, "epsilon", hone_node_float(n, "epsilon"));
    return y;
}

/* --- SkipLayerNormalization, SkipSimplifiedLayerNormalization --- of (x, skip, gamma, [beta,] bias), to (y, mean, inv_std,
 * x + skip + bias) */

static hone_status infer_skip(hone_infer *ctx, hone_error *err) {
    const hone_type *x = ctx->in[0];
    HONE_TRY(hone_infer_same(ctx, err));
    for (int o = 1; o < ctx->output_count; o++) {
        ctx->out[o].rank = x->rank;
        for (int i = 0; i < x->rank; i++) ctx->out[o].dims[i] = o < 3 && i == x->rank - 1 ? 1 : x->dims[i];
    }
    return HONE_OK;
}

static hone_status expand_skip(hone_graph *g, hone_node *n, bool rms, hone_error *err) {
    const hone_dtype dtype = n->inputs[0]->type.dtype, computes = hone_wide_dtype(dtype);
    hone_value *in[5];
    for (int i = 0; i < 5; i++) in[i] = hone_emit_wide(g, hone_input(n, i), computes);
    hone_value *sum = HONE_EMIT(g, "", "Add", in[0], in[1]), *bias = in[rms ? 3 : 4];
    if (bias) sum = HONE_EMIT(g, "", "Add", sum, bias);
    bool statistics = hone_output(g, n, 1) || hone_output(g, n, 2);
    if (rms && statistics)
        return hone_fail_node(err, HONE_UNSUPPORTED, n->name, hone_node_op_name(n), "statistics as results");
    hone_node *y = normalized(g, n, sum, in[2], rms ? NULL : in[3], rms, statistics ? 3 : 1);
    if (!y) return hone_graph_check(g, err);
    hone_give_output(g, n, 0, y->outputs[0], computes);
    for (int o = 1; o < 3 && statistics; o++) hone_give_output(g, n, o, y->outputs[o], computes);
    hone_give_output(g, n, 3, sum, computes);
    return hone_graph_check(g, err);
}

static hone_status expand_skip_layer(hone_graph *g, hone_node *n, hone_error *err) {
    return expand_skip(g, n, false, err);
}
static hone_status expand_skip_rms(hone_graph *g, hone_node *n, hone_error *err) {
    return expand_skip(g, n, true, err);
}

#define SKIP_OUTPUTS                                                                                         \
    HONE_SLOTS({"output", 'T', REAL, 0}, {"mean", 0, HONE_TYPE(HONE_FLOAT32), OPTIONAL},                     \
               {"inv_std_var", 0, HONE_TYPE(HONE_FLOAT32), OPTIONAL},                                        \
               {"input_skip_bias_sum", 'T', REAL, OPTIONAL})
#define TINY                                                                                                 \
    { "epsilon", HONE_ATTR_FLOAT, .f = 1e-12f }

const hone_op hone_op_microsoft_skip_layer_normalization = {
    .domain = "com.microsoft",
    .name = "SkipLayerNormalization",
    .since = 1,
    .oldest = 1,
    .inputs = HONE_SLOTS(
        {"input", 'T', REAL, 0}, {"skip", 'T', REAL, 0}, {"gamma", 'T', REAL, HONE_SLOT_WEIGHT | HONE_SLOT_ONES},
        {"beta", 'T', REAL, OPTIONAL | HONE_SLOT_WEIGHT | HONE_SLOT_ZEROS}, {"bias", 'T', REAL, OPTIONAL | HONE_SLOT_WEIGHT | HONE_SLOT_ZEROS}),
    .outputs = SKIP_OUTPUTS,
    .attrs = HONE_ATTRS(TINY),
    .infer = infer_skip,
    .expand = expand_skip_layer,
    .doc = "LayerNormalization of a sum"};

const hone_op hone_op_microsoft_skip_simplified_layer_normalization = {
    .domain = "com.microsoft",
    .name = "SkipSimplifiedLayerNormalization",
    .since = 1,
    .oldest = 1,
    .inputs =
        HONE_SLOTS({"input", 'T', REAL, 0}, {"skip", 'T', REAL, 0}, {"gamma", 'T', REAL, HONE_SLOT_WEIGHT | HONE_SLOT_ONES},
                   {"bias", 'T', REAL, OPTIONAL | HONE_SLOT_WEIGHT | HONE_SLOT_ZEROS}),
    .outputs = SKIP_OUTPUTS,
    .attrs = HONE_ATTRS(TINY),
    .infer = infer_skip,
    .expand = expand_skip_rms,
    .doc = "RMSNormalization of a sum"};

/* --- SimplifiedLayerNormalization --- in ONNX's domain, though ONNX has none of that name */

static hone_status expand_simplified(hone_graph *g, hone_node *n, hone_error *err) {
    hone_node *y = hone_graph_add_node(g, hone_op_find("", "RMSNormalization"), n->name, 2, n->inputs, 1);
    if (!y) return hone_graph_check(g, err);
    if (hone_output(g, n, 1))
        return hone_fail_node(err, HONE_UNSUPPORTED, n->name, hone_node_op_name(n), "statistics as results");
    hone_node_copy_attrs(g, y, n);
    hone_graph_replace(g, n->outputs[0], y->outputs[0]);
    return hone_graph_check(g, err);
}

const hone_op hone_op_simplified_layer_normalization = {
    .name = "SimplifiedLayerNormalization",
    .since = 1,
    .oldest = 1,
    .inputs = HONE_SLOTS({"X", 'T', FLOATS, 0}, {"scale", 'V', FLOATS, HONE_SLOT_WEIGHT | HONE_SLOT_ONES}),
    .outputs = HONE_SLOTS({"Y", 'V', FLOATS, 0}, {"inv_std_var", 0, HONE_TYPE(HONE_FLOAT32), OPTIONAL}),
    .attrs = HONE_ATTRS({"axis", HONE_ATTR_INT, .i = -1}, {"epsilon", HONE_ATTR_FLOAT, .f = 1e-5f},
                        {"stash_type", HONE_ATTR_INT, .i = HONE_FLOAT32}),
    .infer = hone_infer_same,
    .expand = expand_simplified,
    .doc = "RMSNormalization by the name that ONNX Runtime gave it"};

/* --- EmbedLayerNormalization, QEmbedLayerNormalization --- embeddings of words, positions and segments, summed */

enum { IDS, SEGMENTS, WORD, POSITION, SEGMENT, GAMMA, BETA, MASK };

static hone_status infer_embed(hone_infer *ctx, hone_error *err) {
    const hone_type *ids = ctx->in[IDS], *word = ctx->in[WORD];
    const hone_dtype dtype = ctx->in[GAMMA]->dtype;
    (void)err;
    const int64_t y[] = {ids->rank == 2 ? ids->dims[0] : HONE_DIM_ANY,
                         ids->rank == 2 ? ids->dims[1] : HONE_DIM_ANY,
                         word->rank == 2 ? word->dims[1] : HONE_DIM_ANY};
    if (ids->rank >= 0 && ids->rank != 2) return hone_infer_fail(ctx, err, "input_ids must have rank 2");
    const hone_dtype real = (REAL & HONE_TYPE(dtype)) ? dtype : HONE_FLOAT32;
    const hone_type types[] = {hone_type_make(real, 3, y), hone_type_make(HONE_INT32, 1, y),
                               hone_type_make(real, 3, y)};
    for (int o = 0; o < ctx->output_count; o++) ctx->out[o] = types[o];
    return HONE_OK;
}

/* Rows of the three tables for each word, and those that normalize, as real numbers. */
typedef struct embedding {
    hone_value *word, *position, *segment, *gamma, *beta;
    hone_dtype computes;
} embedding;

/* Rows 0 … T - 1 of a table. */
static hone_value *first_rows(hone_graph *g, hone_value *table, hone_value *ids) {
    hone_value *zero = hone_graph_ints(g, (int64_t[]){0}, 1);
    return HONE_EMIT(g, "", "Slice", table, zero, hone_emit_dim(g, ids, 1), zero);
}

static hone_value *rows(hone_graph *g, hone_value *table, hone_value *ids) {
    return table && ids ? HONE_EMIT(g, "", "Gather", table, ids) : NULL;
}

static hone_status expand_embedding(hone_graph *g, hone_node *n, const embedding *e, hone_error *err) {
    hone_value *ids = n->inputs[IDS], *mask = hone_input(n, MASK);
    hone_value *sum = HONE_EMIT(g, "", "Add", e->word, e->position);
    if (e->segment) sum = HONE_EMIT(g, "", "Add", sum, e->segment);
    hone_node *y = normalized(g, n, sum, e->gamma, e->beta, false, 1);
    if (!y) return hone_graph_check(g, err);
    hone_give_output(g, n, 0, y->outputs[0], e->computes);
    if (hone_output(g, n, 1)) {
        hone_value *zero = hone_graph_scalar(g, HONE_INT32, 0),
                   *count = mask ? mask : HONE_EMIT(g, "", "Mul", ids, zero);
        count = HONE_EMIT(g, "", "ReduceSum", count, hone_graph_ints(g, (int64_t[]){1}, 1));
        if (count) hone_node_set_int(g, count->producer, "keepdims", 0);
        hone_graph_replace(g, n->outputs[1], count);
    }
    hone_give_output(g, n, 2, sum, e->computes);
    return hone_graph_check(g, err);
}

static hone_status expand_embed(hone_graph *g, hone_node *n, hone_error *err) {
    const hone_dtype computes = hone_wide_dtype(n->inputs[WORD]->type.dtype);
    hone_value *in[BETA + 1];
    for (int i = WORD; i <= BETA; i++) in[i] = hone_emit_wide(g, hone_input(n, i), computes);
    hone_value *ids = n->inputs[IDS], *positions = hone_input(n, MASK + 1);
    const embedding e = {rows(g, in[WORD], ids),
                         positions ? rows(g, in[POSITION], positions) : first_rows(g, in[POSITION], ids),
                         rows(g, in[SEGMENT], hone_input(n, SEGMENTS)),
                         in[GAMMA],
                         in[BETA],
                         computes};
    return expand_embedding(g, n, &e, err);
}

const hone_op hone_op_microsoft_embed_layer_normalization = {
    .domain = "com.microsoft",
    .name = "EmbedLayerNormalization",
    .since = 1,
    .oldest = 1,
    .inputs = HONE_SLOTS({"input_ids", 0, INT32, 0}, {"segment_ids", 0, INT32, OPTIONAL},
                         {"word_embedding", 'T', REAL, 0}, {"position_embedding", 'T', REAL, 0},
                         {"segment_embedding", 'T', REAL, OPTIONAL}, {"gamma", 'T', REAL, HONE_SLOT_WEIGHT | HONE_SLOT_ONES},
                         {"beta", 'T', REAL, HONE_SLOT_WEIGHT | HONE_SLOT_ZEROS}, {"mask", 0, INT32, OPTIONAL},
                         {"position_ids", 0, INT32, OPTIONAL}),
    .outputs = HONE_SLOTS({"output", 'T', REAL, 0}, {"mask_index", 0, INT32, OPTIONAL},
                          {"embedding_sum", 'T', REAL, OPTIONAL}),
    .attrs = HONE_ATTRS(TINY, {"mask_index_type", HONE_ATTR_INT, .i = 1}),
    .infer = infer_embed,
    .expand = expand_embed,
    .doc = "LayerNormalization of summed embeddings of words, positions and segments"};

/* Codes of table k of the five, in the order of the scales, as real numbers. */
static hone_value *dequantized(hone_graph *g, const hone_node *n, int k, hone_value *codes) {
    enum { SCALES = MASK + 1, ZEROS = SCALES + 5 };
    return codes ? HONE_EMIT(g, "", "DequantizeLinear", codes, n->inputs[SCALES + k], n->inputs[ZEROS + k])
                 : NULL;
}

static hone_status expand_qembed(hone_graph *g, hone_node *n, hone_error *err) {
    hone_value *ids = n->inputs[IDS];
    const embedding e = {dequantized(g, n, 0, rows(g, n->inputs[WORD], ids)),
                         dequantized(g, n, 1, first_rows(g, n->inputs[POSITION], ids)),
                         dequantized(g, n, 2, rows(g, hone_input(n, SEGMENT), hone_input(n, SEGMENTS))),
                         dequantized(g, n, 3, n->inputs[GAMMA]),
                         dequantized(g, n, 4, n->inputs[BETA]),
                         HONE_FLOAT32};
    return expand_embedding(g, n, &e, err);
}

#define SCALE(name, flags)                                                                                   \
    { name, 0, HONE_TYPE(HONE_FLOAT32), flags }

const hone_op hone_op_microsoft_qembed_layer_normalization = {
    .domain = "com.microsoft",
    .name = "QEmbedLayerNormalization",
    .since = 1,
    .oldest = 1,
    .inputs = HONE_SLOTS({"input_ids", 0, INT32, 0}, {"segment_ids", 0, INT32, OPTIONAL},
                         {"word_embedding_quant", 'Q', BYTES, 0}, {"position_embedding_quant", 'Q', BYTES, 0},
                         {"segment_embedding", 'Q', BYTES, OPTIONAL}, {"gamma_quant", 'Q', BYTES, 0},
                         {"beta_quant", 'Q', BYTES, 0}, {"mask", 0, INT32, OPTIONAL},
                         SCALE("word_embedding_scale", 0), SCALE("position_embedding_scale", 0),
                         SCALE("segment_embedding_scale", OPTIONAL), SCALE("gamma_scale", 0),
                         SCALE("beta_scale", 0), {"word_embedding_zero_point", 'Q', BYTES, 0},
                         {"position_embedding_zero_point", 'Q', BYTES, 0},
                         {"segment_embedding_zero_point", 'Q', BYTES, OPTIONAL},
                         {"gamma_zero_point", 'Q', BYTES, 0}, {"beta_zero_point", 'Q', BYTES, 0}),
    .outputs =
        HONE_SLOTS({"layernorm_out", 0, HONE_TYPE(HONE_FLOAT32), 0}, {"mask_index_out", 0, INT32, OPTIONAL}),
    .attrs = HONE_ATTRS(TINY),
    .infer = infer_embed,
    .expand = expand_qembed,
    .doc = "EmbedLayerNormalization of tables of bytes"};
