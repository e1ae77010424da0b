#include "import/config_model.h"

#include "base/error.h"
#include "base/file.h"
#include "base/half.h"
#include "base/memory.h"
#include "import/family.h"
#include "import/safetensors.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
    LONGEST_PATH = 4096,
    LARGEST_TEXT = 16 << 20,
    MOST_LAYERS = 1024,
    MOST_CONTEXT = 1 << 17,
    MOST_HEAD = 1024
};

typedef struct reader {
    char path[LONGEST_PATH]; /* of config.json */
    json_t *config;
    const hone_family_row *row;
    hone_store store;
    hone_arena *arena;
    hone_decoder_spec spec;
    hone_error *err;
} reader;

/* --- keys, under one of two names --- */

static const json_t *find(const reader *r, const char *name, const char *other) {
    const json_t *x = json_object_get(r->config, name);
    if (!x && other) x = json_object_get(r->config, other);
    return json_is_null(x) ? NULL : x;
}

static hone_status bad(const reader *r, const char *key, const char *why) {
    return hone_fail_file(r->err, HONE_CORRUPT, r->path, "the key %s %s", key, why);
}

static hone_status count(const reader *r, const char *name, const char *other, int64_t most, int64_t *out) {
    const json_t *x = find(r, name, other);
    if (!x) return HONE_OK;
    if (!json_is_integer(x) || json_integer_value(x) < 1 || json_integer_value(x) > most)
        return bad(r, name, "is no count");
    *out = json_integer_value(x);
    return HONE_OK;
}

static hone_status needed(const reader *r, const char *name, const char *other, int64_t most, int64_t *out) {
    HONE_TRY(count(r, name, other, most, out));
    return *out ? HONE_OK : bad(r, name, "is missing");
}

static double number_in(const json_t *object, const char *name, double otherwise) {
    const json_t *x = json_object_get(object, name);
    return json_is_number(x) ? json_number_value(x) : otherwise;
}

static double number(const reader *r, const char *name, double otherwise) {
    return number_in(r->config, name, otherwise);
}

/* --- rotation --- */

static hone_status divisors(reader *r, const json_t *list, const char *key, int64_t pairs,
                            const double **out) {
    if (json_array_size(list) != (size_t)pairs) return bad(r, key, "has no factor for each pair");
    double *d = hone_arena_array(r->arena, (size_t)pairs, sizeof *d);
    if (!d) return hone_fail_memory(r->err);
    for (int64_t i = 0; i < pairs; i++) {
        d[i] = json_number_value(json_array_get(list, (size_t)i));
        if (!(d[i] > 0)) return bad(r, key, "is not positive");
    }
    *out = d;
    return HONE_OK;
}

/* Of the parameters `p`, or none. */
static hone_status read_rates(reader *r, const json_t *p, double theta, hone_rotary_spec *out) {
    hone_scaling s = {.type = "none"};
    const json_t *type = json_object_get(p, "rope_type");
    if (!type) type = json_object_get(p, "type");
    if (json_is_string(type)) s.type = json_string_value(type);
    s.factor = number_in(p, "factor", 1);
    s.low = number_in(p, "low_freq_factor", 1);
    s.high = number_in(p, "high_freq_factor", 4);
    s.beta_fast = number_in(p, "beta_fast", 32);
    s.beta_slow = number_in(p, "beta_slow", 1);
    s.attention = number_in(p, "attention_factor", 0);
    s.original = number_in(p, "original_max_position_embeddings",
                           number(r, "original_max_position_embeddings", (double)r->spec.context));
    out->rates = hone_arena_array(r->arena, (size_t)out->dims + 1, sizeof *out->rates);
    if (!out->rates) return hone_fail_memory(r->err);
    theta = number_in(p, "rope_theta", theta);
    if (strcmp(s.type, "longrope") == 0) {
        const char *key = (double)r->spec.context > s.original ? "long_factor" : "short_factor";
        HONE_TRY(divisors(r, json_object_get(p, key), key, out->dims / 2, &s.divisors));
        if (!s.attention) { /* as the whole context has it, however long this graph's is */
            const double stretch = number(r, "max_position_embeddings", s.original) / s.original;
            s.attention = stretch > 1 ? sqrt(1 + log(stretch) / log(s.original)) : 1;
        }
    }
    if (theta > 0 && hone_rotary_rates(out, theta, &s, r->spec.context)) return HONE_OK;
    return hone_fail_file(r->err, HONE_UNSUPPORTED, r->path, "rotary positions of the type %s", s.type);
}

static hone_status read_rotation(reader *r) {
    hone_decoder_spec *s = &r->spec;
    const json_t *p = find(r, "rope_parameters", "rope_scaling"),
                 *whole = json_object_get(p, "full_attention"),
                 *local = json_object_get(p, "sliding_attention");
    const double theta = number(r, "rope_theta", 10000);
    const double share =
        number_in(whole ? whole : p, "partial_rotary_factor", number(r, "partial_rotary_factor", 1));
    s->rotary.dims = (int64_t)((double)s->head * share);
    if (s->rotary.dims < 2 || s->rotary.dims > s->head || s->rotary.dims % 2)
        return bad(r, "partial_rotary_factor", "leaves no pairs");
    HONE_TRY(read_rates(r, whole ? whole : p, theta, &s->rotary));
    if (!local && !find(r, "rope_local_base_freq", NULL)) return HONE_OK;
    s->local.dims = s->rotary.dims;
    return read_rates(r, local, number(r, "rope_local_base_freq", 10000), &s->local);
}

/* --- the rest --- */

static hone_status read_sizes(reader *r, int64_t context) {
    hone_decoder_spec *s = &r->spec;
    enum { LARGE = 1 << 24 };
    HONE_TRY(needed(r, "num_hidden_layers", "n_layer", MOST_LAYERS, &s->layers));
    HONE_TRY(needed(r, "hidden_size", "n_embd", LARGE, &s->width));
    HONE_TRY(needed(r, "num_attention_heads", "n_head", LARGE, &s->heads));
    HONE_TRY(needed(r, "vocab_size", NULL, LARGE, &s->vocabulary));
    HONE_TRY(needed(r, "max_position_embeddings", "n_positions", INT32_MAX, &s->context));
    s->inner = 4 * s->width;
    s->kv_heads = s->heads;
    HONE_TRY(count(r, "intermediate_size", "n_inner", LARGE, &s->inner));
    HONE_TRY(count(r, "num_key_value_heads", NULL, s->heads, &s->kv_heads));
    HONE_TRY(count(r, "head_dim", NULL, MOST_HEAD, &s->head));
    if (!s->head) s->head = s->width / s->heads;
    if (s->head < 1 || s->head > MOST_HEAD || s->heads % s->kv_heads)
        return bad(r, "num_attention_heads", "does not fit");
    if (context > s->context)
        return hone_fail_file(r->err, HONE_INVALID_ARGUMENT, r->path,
                              "a context of %lld; the model was trained for %lld", (long long)context,
                              (long long)s->context);
    const double original = number(r, "original_max_position_embeddings", 0);
    if (r->row->learned) return HONE_OK;
    if (context)
        s->context = context;
    else if (original > 0 && original < (double)s->context)
        s->context = (int64_t)original;
    else if (s->context > MOST_CONTEXT)
        s->context = MOST_CONTEXT;
    return HONE_OK;
}

static hone_status read_layers(reader *r) {
    hone_decoder_spec *s = &r->spec;
    const json_t *types = find(r, "layer_types", NULL), *turned = find(r, "no_rope_layers", NULL),
                 *use = find(r, "use_sliding_window", NULL);
    bool *local = hone_arena_array(r->arena, (size_t)s->layers, sizeof *local),
         *unturned = hone_arena_array(r->arena, (size_t)s->layers, sizeof *unturned);
    if (!local || !unturned) return hone_fail_memory(r->err);
    if (!json_is_false(use)) HONE_TRY(count(r, "sliding_window", NULL, INT32_MAX, &s->window));
    for (int64_t i = 0; i < s->layers; i++) {
        const char *type = json_string_value(json_array_get(types, (size_t)i));
        const json_t *is_turned = json_array_get(turned, (size_t)i);
        local[i] = type ? strcmp(type, "sliding_attention") == 0 : hone_windows_local(r->row->windows, i);
        unturned[i] = is_turned ? json_integer_value(is_turned) == 0
                                : r->row->turned_of && (i + 1) % r->row->turned_of == 0;
    }
    s->is_local = local;
    s->unturned = unturned;
    return HONE_OK;
}

static hone_status read_activation(reader *r) {
    const json_t *x = find(r, "hidden_activation", "hidden_act");
    if (!x) x = find(r, "activation_function", NULL);
    const char *name = json_string_value(x);
    if (!name) return HONE_OK;
    r->spec.activation = strcmp(name, "silu") == 0 || strcmp(name, "swish") == 0 ? "silu"
                         : strcmp(name, "gelu_pytorch_tanh") == 0 || strcmp(name, "gelu_new") == 0
                             ? "gelu-tanh"
                         : strcmp(name, "gelu") == 0 ? "gelu"
                                                     : NULL;
    return r->spec.activation ? HONE_OK
                              : hone_fail_file(r->err, HONE_UNSUPPORTED, r->path, "the activation %s", name);
}

/* √width in the precision that the model has. */
static float root(const reader *r) {
    const float x = sqrtf((float)r->spec.width);
    const json_t *t = find(r, "dtype", "torch_dtype");
    const char *dtype = json_is_string(t) ? json_string_value(t) : "";
    return strcmp(dtype, "bfloat16") == 0  ? hone_float_of_bfloat(hone_bfloat_of_float(x))
           : strcmp(dtype, "float16") == 0 ? hone_float_of_half(hone_half_of_float(x))
                                           : x;
}

static hone_status read_spec(reader *r, int64_t context) {
    hone_decoder_spec *s = &r->spec;
    *s = (hone_decoder_spec){.family = r->row->type,
                             .from = r->row->names,
                             .to = r->row->names,
                             .layer_norm = r->row->layer_norm,
                             .norm_plus = r->row->plus_one ? 1 : 0,
                             .activation = r->row->activation,
                             .in_first = r->row->in_first};
    HONE_TRY(read_sizes(r, context));
    HONE_TRY(read_layers(r));
    HONE_TRY(read_activation(r));
    const double pre = number(r, "query_pre_attn_scalar", 0);
    s->epsilon =
        (float)number(r, s->layer_norm ? "layer_norm_epsilon" : "rms_norm_eps", s->layer_norm ? 1e-5 : 1e-6);
    s->scale = (float)(pre > 0 ? 1 / sqrt(pre) : number(r, "attention_multiplier", 0));
    s->cap = (float)number(r, "attn_logit_softcapping", 0);
    s->logit_cap = (float)number(r, "final_logit_softcapping", 0);
    s->embed_scale = r->row->root ? root(r) : (float)number(r, "embedding_multiplier", 1);
    s->residual_scale = (float)number(r, "residual_multiplier", 1);
    s->logit_scale = (float)(1 / number(r, "logits_scaling", 1));
    return r->row->learned ? HONE_OK : read_rotation(r);
}

/* What older files have beside weights: masks and angles that follow from the rest. */
static void forget_buffers(const hone_store *s) {
    static const char *const ends[] = {".attn.bias", ".attn.masked_bias", ".rotary_emb.inv_freq"};
    for (size_t i = 0; i < s->count; i++)
        for (int k = 0; k < 3; k++) {
            const size_t n = strlen(s->tensors[i].name), m = strlen(ends[k]);
            if (n > m && strcmp(s->tensors[i].name + n - m, ends[k]) == 0) s->used[i] = true;
        }
}

static hone_status read_config(reader *r, const char *directory) {
    hone_blob blob;
    if (!hone_path_join(r->path, sizeof r->path, directory, "config.json"))
        return hone_fail_file(r->err, HONE_INVALID_ARGUMENT, directory, "the path is too long");
    HONE_TRY(hone_file_read(r->path, LARGEST_TEXT, &blob, r->err));
    r->config = json_loadb((const char *)blob.data, blob.size, 0, NULL);
    hone_blob_free(&blob);
    const char *type = json_string_value(json_object_get(r->config, "model_type"));
    if (!type) return hone_fail_file(r->err, HONE_CORRUPT, r->path, "has no model_type");
    r->row = hone_family_of_type(type);
    if (!r->row) return hone_fail_file(r->err, HONE_UNSUPPORTED, r->path, "models of the type %s", type);
    if (find(r, "quantization_config", NULL))
        return hone_fail_file(r->err, HONE_UNSUPPORTED, r->path,
                              "weights that are quantized (quantization_config)");
    return HONE_OK;
}

static hone_status build(reader *r, const char *directory, int64_t context, hone_graph **out) {
    hone_safetensors *files = NULL;
    HONE_TRY(read_config(r, directory));
    HONE_TRY(read_spec(r, context));
    HONE_TRY(hone_safetensors_open(directory, &files, r->err));
    r->store.path = directory;
    r->store.mapped = true;
    r->store.tensors = hone_safetensors_tensors(files, &r->store.count);
    r->store.used = hone_arena_array(r->arena, r->store.count + 1, sizeof *r->store.used);
    hone_status status = r->store.used ? HONE_OK : hone_fail_memory(r->err);
    if (status == HONE_OK) {
        forget_buffers(&r->store);
        status = hone_decoder_build(&r->spec, &r->store, out, r->err);
    }
    hone_safetensors_close(files);
    return status;
}

hone_status hone_config_graph(const char *directory, int64_t context, hone_graph **out, hone_error *err) {
    reader *r = hone_calloc(1, sizeof *r);
    if (!r) return hone_fail_memory(err);
    r->err = err;
    r->arena = hone_arena_new();
    hone_status status = r->arena ? build(r, directory, context, out) : hone_fail_memory(err);
    json_decref(r->config);
    hone_arena_free(r->arena);
    hone_free(r);
    return status;
}
