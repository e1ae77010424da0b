#include "import/decoder.h"

#include "base/error.h"
#include "graph/infer.h"
#include "import/weights.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

hone_part_names hone_names_gguf = {
    [HONE_PART_EMBED] = "token_embd",
    [HONE_PART_POSITIONS] = "position_embd",
    [HONE_PART_LAST_NORM] = "output_norm",
    [HONE_PART_HEAD] = "output",
    [HONE_PART_NORM] = "blk.%d.attn_norm",
    [HONE_PART_Q] = "blk.%d.attn_q",
    [HONE_PART_K] = "blk.%d.attn_k",
    [HONE_PART_V] = "blk.%d.attn_v",
    [HONE_PART_QKV] = "blk.%d.attn_qkv",
    [HONE_PART_OUT] = "blk.%d.attn_output",
    [HONE_PART_Q_NORM] = "blk.%d.attn_q_norm",
    [HONE_PART_K_NORM] = "blk.%d.attn_k_norm",
    [HONE_PART_AFTER_NORM] = "blk.%d.post_attention_norm",
    [HONE_PART_MLP_NORM] = "blk.%d.ffn_norm",
    [HONE_PART_GATE] = "blk.%d.ffn_gate",
    [HONE_PART_UP] = "blk.%d.ffn_up",
    [HONE_PART_DOWN] = "blk.%d.ffn_down",
    [HONE_PART_MLP_AFTER_NORM] = "blk.%d.post_ffw_norm",
};

#define LLAMA                                                                                                \
    [HONE_PART_EMBED] = "model.embed_tokens", [HONE_PART_LAST_NORM] = "model.norm",                          \
    [HONE_PART_HEAD] = "lm_head", [HONE_PART_NORM] = "model.layers.%d.input_layernorm",                      \
    [HONE_PART_Q] = "model.layers.%d.self_attn.q_proj", [HONE_PART_K] = "model.layers.%d.self_attn.k_proj",  \
    [HONE_PART_V] = "model.layers.%d.self_attn.v_proj",                                                      \
    [HONE_PART_QKV] = "model.layers.%d.self_attn.qkv_proj",                                                  \
    [HONE_PART_OUT] = "model.layers.%d.self_attn.o_proj",                                                    \
    [HONE_PART_Q_NORM] = "model.layers.%d.self_attn.q_norm",                                                 \
    [HONE_PART_K_NORM] = "model.layers.%d.self_attn.k_norm",                                                 \
    [HONE_PART_GATE] = "model.layers.%d.mlp.gate_proj", [HONE_PART_UP] = "model.layers.%d.mlp.up_proj",      \
    [HONE_PART_GATE_UP] = "model.layers.%d.mlp.gate_up_proj",                                                \
    [HONE_PART_DOWN] = "model.layers.%d.mlp.down_proj"

hone_part_names hone_names_llama = {
    LLAMA,
    [HONE_PART_MLP_NORM] = "model.layers.%d.post_attention_layernorm",
};

hone_part_names hone_names_gemma = {
    LLAMA,
    [HONE_PART_AFTER_NORM] = "model.layers.%d.post_attention_layernorm",
    [HONE_PART_MLP_NORM] = "model.layers.%d.pre_feedforward_layernorm",
    [HONE_PART_MLP_AFTER_NORM] = "model.layers.%d.post_feedforward_layernorm",
};

hone_part_names hone_names_gpt2 = {
    [HONE_PART_EMBED] = "transformer.wte",
    [HONE_PART_POSITIONS] = "transformer.wpe",
    [HONE_PART_LAST_NORM] = "transformer.ln_f",
    [HONE_PART_HEAD] = "lm_head",
    [HONE_PART_NORM] = "transformer.h.%d.ln_1",
    [HONE_PART_QKV] = "transformer.h.%d.attn.c_attn",
    [HONE_PART_OUT] = "transformer.h.%d.attn.c_proj",
    [HONE_PART_MLP_NORM] = "transformer.h.%d.ln_2",
    [HONE_PART_UP] = "transformer.h.%d.mlp.c_fc",
    [HONE_PART_DOWN] = "transformer.h.%d.mlp.c_proj",
};

/* --- tensors --- */

typedef struct builder {
    const hone_decoder_spec *spec;
    const hone_store *store;
    hone_graph *g;
    hone_error *err;
    hone_status status; /* of the first failure */
    hone_value *ids, *positions, *cos[2], *sin[2];
} builder;

typedef char tensor_name[160];

/* "model.layers.3.mlp.up_proj.weight"; false: files of that kind have no such part. */
static bool name_of(hone_part_names *names, hone_part part, int layer, const char *suffix, tensor_name out) {
    const char *form = (*names)[part], *number = form ? strstr(form, "%d") : NULL;
    if (!form) return false;
    if (number)
        snprintf(out, sizeof(tensor_name), "%.*s%d%s%s", (int)(number - form), form, layer, number + 2,
                 suffix);
    else
        snprintf(out, sizeof(tensor_name), "%s%s", form, suffix);
    return true;
}

static const hone_stored *find(const builder *b, hone_part part, int layer, const char *suffix) {
    tensor_name name;
    return name_of(b->spec->from, part, layer, suffix, name) ? hone_store_take(b->store, name) : NULL;
}

static const hone_stored *need(builder *b, hone_part part, int layer) {
    tensor_name name;
    const hone_stored *t = find(b, part, layer, ".weight");
    if (t || b->status != HONE_OK) return t;
    if (!name_of(b->spec->from, part, layer, ".weight", name)) name[0] = 0;
    b->status = hone_fail_file(b->err, HONE_CORRUPT, b->store->path, "lacks the tensor %s", name);
    return NULL;
}

/* What the constant is called. */
static const char *constant_name(const builder *b, hone_part part, int layer, const char *suffix,
                                 const hone_stored *t, tensor_name out) {
    return name_of(b->spec->to, part, layer, suffix, out) ? out : t->name;
}

static bool has_shape(builder *b, const hone_stored *t, int rank, int64_t rows, int64_t columns) {
    if (t->rank == rank && t->dims[0] == rows && (rank == 1 || t->dims[1] == columns)) return true;
    if (b->status != HONE_OK) return false;
    char text[96];
    snprintf(text, sizeof text, rank == 1 ? "[%lld]" : "[%lld, %lld]", (long long)rows, (long long)columns);
    b->status =
        hone_fail_file(b->err, HONE_CORRUPT, b->store->path, "the tensor %s is not %s", t->name, text);
    return false;
}

static hone_value *vector(builder *b, hone_part part, int layer, const char *suffix, int64_t size, float plus,
                          hone_row_order order) {
    const hone_stored *t = find(b, part, layer, suffix);
    tensor_name name;
    hone_value *v = NULL;
    if (!t || !has_shape(b, t, 1, size, 0) || b->status != HONE_OK) return NULL;
    b->status = hone_weight_emit_vector(b->g, b->store, t, constant_name(b, part, layer, suffix, t, name),
                                        plus, order, &v, b->err);
    return v;
}

/* --- nodes --- */

static hone_value *scaled(builder *b, hone_value *x, float by) {
    return by == 1 ? x : HONE_EMIT(b->g, "", "Mul", x, hone_graph_scalar(b->g, HONE_FLOAT32, by));
}

static hone_value *reshaped(builder *b, hone_value *x, const int64_t *shape, int64_t rank) {
    return HONE_EMIT(b->g, "", "Reshape", x, hone_graph_ints(b->g, shape, rank));
}

/* x [batch, sequence, in] times the part's matrix, [out, in], and its bias. `head`: rows of a head in pairs. */
static hone_value *linear(builder *b, hone_value *x, hone_part part, int layer, int64_t in, int64_t out,
                          int64_t head) {
    const hone_stored *t = need(b, part, layer);
    const hone_row_order order = {b->spec->paired ? head : 0};
    const bool in_first = b->spec->in_first && part != HONE_PART_HEAD && part != HONE_PART_EMBED;
    tensor_name name;
    hone_value *w = NULL;
    if (!t || !has_shape(b, t, 2, in_first ? in : out, in_first ? out : in) || b->status != HONE_OK)
        return NULL;
    b->status = hone_weight_emit(b->g, b->store, t, constant_name(b, part, layer, ".weight", t, name), order,
                                 &w, b->err);
    if (!in_first) {
        w = HONE_EMIT(b->g, "", "Transpose", w);
        if (w) hone_node_set_ints(b->g, w->producer, "perm", (int64_t[]){1, 0}, 2);
    }
    hone_value *y = HONE_EMIT(b->g, "", "MatMul", x, w);
    hone_value *bias = vector(b, part, layer, ".bias", out, 0, order);
    return bias ? HONE_EMIT(b->g, "", "Add", y, bias) : y;
}

/* x unless there is such a norm. */
static hone_value *norm(builder *b, hone_value *x, hone_part part, int layer, int64_t size) {
    const hone_decoder_spec *s = b->spec;
    hone_value *weight = vector(b, part, layer, ".weight", size, s->norm_plus, (hone_row_order){0});
    if (!weight) return x;
    hone_value *bias = vector(b, part, layer, ".bias", size, 0, (hone_row_order){0});
    hone_value *y = s->layer_norm ? HONE_EMIT(b->g, "", "LayerNormalization", x, weight, bias)
                                  : HONE_EMIT(b->g, "", "RMSNormalization", x, weight);
    if (!y) return NULL;
    hone_node_set_int(b->g, y->producer, "axis", -1);
    hone_node_set_float(b->g, y->producer, "epsilon", s->epsilon);
    return y;
}

static hone_value *needed_norm(builder *b, hone_value *x, hone_part part, int layer) {
    need(b, part, layer);
    return norm(b, x, part, layer, b->spec->width);
}

/* The norm of q or k: of each head, or of all of them at once. */
static hone_value *head_norm(builder *b, hone_value *x, hone_part part, int layer, int64_t heads) {
    const hone_stored *t = find(b, part, layer, ".weight");
    const int64_t head = b->spec->head;
    if (!t) return x;
    if (t->rank == 1 && t->dims[0] == heads * head && heads > 1) return norm(b, x, part, layer, heads * head);
    x = reshaped(b, x, (int64_t[]){0, 0, heads, head}, 4);
    x = norm(b, x, part, layer, head);
    return reshaped(b, x, (int64_t[]){0, 0, heads * head}, 3);
}

static hone_value *capped(builder *b, hone_value *x, float cap) {
    if (cap <= 0) return x;
    hone_value *c = hone_graph_scalar(b->g, HONE_FLOAT32, cap);
    return HONE_EMIT(b->g, "", "Mul", HONE_EMIT(b->g, "", "Tanh", HONE_EMIT(b->g, "", "Div", x, c)), c);
}

static void split(builder *b, hone_value *x, const int64_t *sizes, int count, hone_value **out) {
    hone_value *in[] = {x, hone_graph_ints(b->g, sizes, count)};
    hone_node *n = hone_graph_add_node(b->g, hone_op_find("", "Split"), NULL, 2, in, count);
    if (n) hone_node_set_int(b->g, n, "axis", -1);
    for (int i = 0; i < count; i++) out[i] = n ? n->outputs[i] : NULL;
}

/* --- attention --- */

static bool is_local(const hone_decoder_spec *s, int layer) {
    return s->window > 0 && (!s->is_local || s->is_local[layer]);
}

static hone_value *turned(builder *b, hone_value *x, int layer, int64_t heads) {
    const hone_decoder_spec *s = b->spec;
    const int which = is_local(s, layer) && s->local.dims ? 1 : 0;
    const int64_t dims = which ? s->local.dims : s->rotary.dims;
    if (!dims || (s->unturned && s->unturned[layer])) return x;
    hone_value *y = HONE_EMIT(b->g, "", "RotaryEmbedding", x, b->cos[which], b->sin[which], b->positions);
    if (!y) return NULL;
    hone_node_set_int(b->g, y->producer, "num_heads", heads);
    if (dims != s->head) hone_node_set_int(b->g, y->producer, "rotary_embedding_dim", dims);
    return y;
}

static void add_past(builder *b, int layer, hone_value **past) {
    const hone_decoder_spec *s = b->spec;
    const char *const kinds[] = {"key", "value"};
    tensor_name name;
    for (int i = 0; i < 2; i++) {
        const int64_t dims[] = {hone_graph_symbol(b->g, "batch_size"), s->kv_heads,
                                hone_graph_symbol(b->g, "past_sequence_length"), s->head};
        const hone_type type = hone_type_make(HONE_FLOAT32, 4, dims);
        snprintf(name, sizeof name, "past_key_values.%d.%s", layer, kinds[i]);
        past[i] = hone_graph_add_input(b->g, name, &type);
    }
}

static void add_present(builder *b, int layer, hone_node *attention) {
    const char *const kinds[] = {"key", "value"};
    tensor_name name;
    for (int i = 0; attention && i < 2; i++) {
        snprintf(name, sizeof name, "present.%d.%s", layer, kinds[i]);
        hone_graph_rename(b->g, attention->outputs[1 + i], name);
        hone_graph_add_output(b->g, attention->outputs[1 + i]);
    }
}

static hone_value *attend(builder *b, hone_value *x, int layer) {
    const hone_decoder_spec *s = b->spec;
    const int64_t all = s->heads * s->head, kv = s->kv_heads * s->head;
    hone_value *in[6] = {NULL}; /* q, k, v, no mask, past */
    if (find(b, HONE_PART_QKV, layer, ".weight")) {
        hone_value *qkv = linear(b, x, HONE_PART_QKV, layer, s->width, all + 2 * kv, 0);
        split(b, qkv, (int64_t[]){all, kv, kv}, 3, in);
    } else {
        in[0] = linear(b, x, HONE_PART_Q, layer, s->width, all, s->head);
        in[1] = linear(b, x, HONE_PART_K, layer, s->width, kv, s->head);
        in[2] = linear(b, x, HONE_PART_V, layer, s->width, kv, 0);
    }
    in[0] = turned(b, head_norm(b, in[0], HONE_PART_Q_NORM, layer, s->heads), layer, s->heads);
    in[1] = turned(b, head_norm(b, in[1], HONE_PART_K_NORM, layer, s->kv_heads), layer, s->kv_heads);
    add_past(b, layer, in + 4);
    hone_node *n = hone_graph_add_node(b->g, hone_op_find("", "Attention"), NULL, 6, in, 3);
    if (!n) return NULL;
    hone_node_set_int(b->g, n, "is_causal", 1);
    hone_node_set_int(b->g, n, "q_num_heads", s->heads);
    hone_node_set_int(b->g, n, "kv_num_heads", s->kv_heads);
    if (s->scale > 0) hone_node_set_float(b->g, n, "scale", s->scale);
    if (s->cap > 0) hone_node_set_float(b->g, n, "softcap", s->cap);
    if (is_local(s, layer) && s->window < s->context)
        hone_node_set_int(b->g, n, "left_window_size", s->window - 1);
    add_present(b, layer, n);
    return linear(b, n->outputs[0], HONE_PART_OUT, layer, all, s->width, 0);
}

/* --- the two layers --- */

static hone_value *activated(builder *b, hone_value *x) {
    const char *name = b->spec->activation;
    if (strcmp(name, "silu") == 0) return HONE_EMIT(b->g, "", "Mul", x, HONE_EMIT(b->g, "", "Sigmoid", x));
    hone_value *y = HONE_EMIT(b->g, "", "Gelu", x);
    if (y && strcmp(name, "gelu-tanh") == 0) hone_node_set_string(b->g, y->producer, "approximate", "tanh");
    return y;
}

static hone_value *mlp(builder *b, hone_value *x, int layer) {
    const hone_decoder_spec *s = b->spec;
    const hone_stored *up_weight = find(b, HONE_PART_UP, layer, ".weight");
    const bool in_one = find(b, HONE_PART_GATE_UP, layer, ".weight") != NULL;
    hone_value *y[2];
    if (in_one || (up_weight && up_weight->rank == 2 && up_weight->dims[0] == 2 * s->inner)) {
        hone_value *both =
            linear(b, x, in_one ? HONE_PART_GATE_UP : HONE_PART_UP, layer, s->width, 2 * s->inner, 0);
        split(b, both, (int64_t[]){s->inner, s->inner}, 2, y);
    } else if (find(b, HONE_PART_GATE, layer, ".weight")) {
        y[0] = linear(b, x, HONE_PART_GATE, layer, s->width, s->inner, 0);
        y[1] = linear(b, x, HONE_PART_UP, layer, s->width, s->inner, 0);
    } else {
        hone_value *up = activated(b, linear(b, x, HONE_PART_UP, layer, s->width, s->inner, 0));
        return linear(b, up, HONE_PART_DOWN, layer, s->inner, s->width, 0);
    }
    hone_value *gated = HONE_EMIT(b->g, "", "Mul", activated(b, y[0]), y[1]);
    return linear(b, gated, HONE_PART_DOWN, layer, s->inner, s->width, 0);
}

static hone_value *layer_of(builder *b, hone_value *x, int layer) {
    const hone_decoder_spec *s = b->spec;
    hone_value *y = attend(b, needed_norm(b, x, HONE_PART_NORM, layer), layer);
    y = norm(b, y, HONE_PART_AFTER_NORM, layer, s->width);
    x = HONE_EMIT(b->g, "", "Add", x, scaled(b, y, s->residual_scale));
    y = mlp(b, needed_norm(b, x, HONE_PART_MLP_NORM, layer), layer);
    y = norm(b, y, HONE_PART_MLP_AFTER_NORM, layer, s->width);
    return HONE_EMIT(b->g, "", "Add", x, scaled(b, y, s->residual_scale));
}

/* --- the graph --- */

/* Cosines and sines [context, dims / 2] of angles in double precision. */
static void add_angles(builder *b, const hone_rotary_spec *r, int which) {
    const char *const names[2][2] = {{"rotary.cos", "rotary.sin"}, {"rotary.local_cos", "rotary.local_sin"}};
    const int64_t half = r->dims / 2, dims[] = {b->spec->context, half};
    hone_tensor *t[2] = {NULL, NULL};
    if (!r->dims) return;
    for (int i = 0; i < 2 && b->status == HONE_OK; i++)
        b->status = hone_tensor_new(HONE_FLOAT32, 2, dims, &t[i], b->err);
    if (b->status == HONE_OK) {
        float *cosines = t[0]->data, *sines = t[1]->data;
        for (int64_t i = 0; i < dims[0] * half; i++) {
            const double angle = (double)(i / half) * r->rates[i % half];
            cosines[i] = (float)(cos(angle) * r->magnitude);
            sines[i] = (float)(sin(angle) * r->magnitude);
        }
        b->cos[which] = hone_graph_add_constant(b->g, names[which][0], t[0]);
        b->sin[which] = hone_graph_add_constant(b->g, names[which][1], t[1]);
    }
    hone_tensor_free(t[0]);
    hone_tensor_free(t[1]);
}

static hone_value *rows(builder *b, hone_part part, hone_value *ids, int64_t count) {
    const hone_stored *t = need(b, part, 0);
    tensor_name name;
    hone_value *v = NULL;
    if (!t || !has_shape(b, t, 2, count, b->spec->width) || b->status != HONE_OK) return NULL;
    b->status = hone_weight_emit_rows(b->g, b->store, t, constant_name(b, part, 0, ".weight", t, name), ids,
                                      &v, b->err);
    return v;
}

static void build(builder *b) {
    const hone_decoder_spec *s = b->spec;
    const int64_t shape[] = {hone_graph_symbol(b->g, "batch_size"),
                             hone_graph_symbol(b->g, "sequence_length")};
    const hone_type ids = hone_type_make(HONE_INT64, 2, shape);
    b->ids = hone_graph_add_input(b->g, "input_ids", &ids);
    b->positions = hone_graph_add_input(b->g, "position_ids", &ids);
    add_angles(b, &s->rotary, 0);
    add_angles(b, &s->local, 1);
    hone_value *x = scaled(b, rows(b, HONE_PART_EMBED, b->ids, s->vocabulary), s->embed_scale);
    if (!s->rotary.dims)
        x = HONE_EMIT(b->g, "", "Add", x, rows(b, HONE_PART_POSITIONS, b->positions, s->context));
    for (int i = 0; i < s->layers && b->status == HONE_OK; i++) x = layer_of(b, x, i);
    x = needed_norm(b, x, HONE_PART_LAST_NORM, 0);
    const bool own_head = find(b, HONE_PART_HEAD, 0, ".weight") != NULL;
    x = linear(b, x, own_head ? HONE_PART_HEAD : HONE_PART_EMBED, 0, s->width, s->vocabulary, 0);
    x = capped(b, scaled(b, x, s->logit_scale), s->logit_cap);
    if (!x || b->status != HONE_OK) return;
    hone_graph_rename(b->g, x, "logits");
    hone_graph_add_output(b->g, x);
    for (size_t i = b->g->output_count - 1; i > 0; i--) /* logits come first */
        b->g->outputs[i] = b->g->outputs[i - 1];
    b->g->outputs[0] = x;
}

/* What nobody has used would be left out of the answer. */
static hone_status check_used(const hone_decoder_spec *s, const hone_store *store, hone_error *err) {
    for (size_t i = 0; i < store->count; i++)
        if (!store->used[i])
            return hone_fail_file(err, HONE_UNSUPPORTED, store->path,
                                  "the tensor %s has no place in a model of the family %s",
                                  store->tensors[i].name, s->family);
    return HONE_OK;
}

hone_status hone_decoder_build(const hone_decoder_spec *spec, const hone_store *store, hone_graph **out,
                               hone_error *err) {
    builder b = {.spec = spec, .store = store, .err = err, .status = HONE_OK};
    b.g = hone_graph_new(spec->family);
    if (!b.g) return hone_fail_memory(err);
    build(&b);
    if (b.status == HONE_OK) b.status = hone_graph_check(b.g, err);
    if (b.status == HONE_OK) b.status = check_used(spec, store, err);
    if (b.status == HONE_OK) b.status = hone_graph_infer(b.g, err);
    if (b.status == HONE_OK)
        *out = b.g;
    else
        hone_graph_free(b.g);
    return b.status;
}
