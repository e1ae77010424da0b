#include "import/gguf_model.h"

#include "base/memory.h"
#include "import/family.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MOST_LAYERS = 1024, MOST_CONTEXT = 1 << 17, MOST_HEAD = 1024 };

typedef struct reader {
    const hone_gguf *file;
    const char *family; /* of the file: the keys' prefix */
    const hone_family_row *row;
    hone_store store;
    hone_arena *arena;
    hone_decoder_spec spec;
    hone_error *err;
} reader;

/* --- keys --- */

typedef char key_name[128];

static const char *key_of(const reader *r, const char *name, key_name key) {
    snprintf(key, sizeof(key_name), "%s.%s", r->family, name);
    return key;
}

static double number(const reader *r, const char *name, double otherwise) {
    key_name key;
    hone_gguf_float(r->file, key_of(r, name, key), &otherwise);
    return otherwise;
}

/* An integer, or an array of one and the same for all layers. 0: it is not there. */
static hone_status count(const reader *r, const char *name, int64_t most, int64_t *out) {
    key_name key;
    hone_gguf_array a;
    int64_t x = 0, more;
    key_of(r, name, key);
    if (hone_gguf_array_of(r->file, key, &a)) {
        if (!hone_gguf_next_int(&a, &x)) x = -1;
        while (hone_gguf_next_int(&a, &more))
            if (more != x)
                return hone_fail_file(r->err, HONE_UNSUPPORTED, hone_gguf_path(r->file),
                                      "the key %s differs from layer to layer", key);
    } else if (!hone_gguf_int(r->file, key, &x)) {
        return HONE_OK;
    }
    if (x < 1 || x > most)
        return hone_fail_file(r->err, HONE_CORRUPT, hone_gguf_path(r->file), "the key %s is %lld", key,
                              (long long)x);
    *out = x;
    return HONE_OK;
}

static hone_status needed(const reader *r, const char *name, int64_t most, int64_t *out) {
    key_name key;
    HONE_TRY(count(r, name, most, out));
    return *out ? HONE_OK
                : hone_fail_file(r->err, HONE_CORRUPT, hone_gguf_path(r->file), "lacks the key %s",
                                 key_of(r, name, key));
}

/* --- rotation --- */

static hone_status divisors(reader *r, const char *name, int64_t dims, const double **out) {
    const hone_stored *t = hone_store_take(&r->store, name);
    if (!t) return HONE_OK;
    if (t->rank != 1 || t->dims[0] != dims / 2 || !t->format || t->format->plain != HONE_FLOAT32)
        return hone_fail_file(r->err, HONE_CORRUPT, r->store.path, "the tensor %s is not float32 [%lld]",
                              name, (long long)dims / 2);
    double *d = hone_arena_array(r->arena, (size_t)dims / 2 + 1, sizeof *d);
    if (!d) return hone_fail_memory(r->err);
    for (int64_t i = 0; i < dims / 2; i++) {
        float x;
        memcpy(&x, t->data + 4 * i, sizeof x);
        if (!(x > 0))
            return hone_fail_file(r->err, HONE_CORRUPT, r->store.path, "the tensor %s is not positive", name);
        d[i] = (double)x;
    }
    *out = d;
    return HONE_OK;
}

static hone_status read_rotation(reader *r) {
    hone_decoder_spec *s = &r->spec;
    hone_scaling scaling = {.type = "none", .beta_fast = 32, .beta_slow = 1};
    const double theta = number(r, "rope.freq_base", 10000);
    const double *given = NULL, *wide = NULL, *near = NULL;
    key_name key;
    const char *text = "none";
    size_t size = 4;
    int64_t dims = s->head;
    HONE_TRY(count(r, "rope.dimension_count", s->head, &dims));
    if (dims % 2 || !(theta > 0))
        return hone_fail_file(r->err, HONE_CORRUPT, r->store.path, "its rotation is of %lld elements by %g",
                              (long long)dims, theta);
    hone_gguf_string(r->file, key_of(r, "rope.scaling.type", key), &text, &size);
    scaling.type = hone_arena_strndup(r->arena, text, size);
    s->rotary.rates = hone_arena_array(r->arena, (size_t)dims, sizeof(double));
    s->local.rates = hone_arena_array(r->arena, (size_t)dims, sizeof(double));
    if (!scaling.type || !s->rotary.rates || !s->local.rates) return hone_fail_memory(r->err);
    scaling.factor = number(r, "rope.scaling.factor", number(r, "rope.scale_linear", 1));
    scaling.original = number(r, "rope.scaling.original_context_length", (double)s->context);
    scaling.attention = number(r, "rope.scaling.attn_factor", 0);
    scaling.beta_fast = number(r, "rope.scaling.yarn_beta_fast", 32);
    scaling.beta_slow = number(r, "rope.scaling.yarn_beta_slow", 1);
    HONE_TRY(divisors(r, "rope_freqs.weight", dims, &given));
    HONE_TRY(divisors(r, "rope_factors_long.weight", dims, &wide));
    HONE_TRY(divisors(r, "rope_factors_short.weight", dims, &near));
    if (wide || near) scaling.type = "longrope";
    scaling.divisors = wide || near ? (double)s->context > scaling.original ? wide : near : given;
    s->rotary.dims = dims;
    if (!hone_rotary_rates(&s->rotary, theta, &scaling, s->context))
        return hone_fail_file(r->err, HONE_UNSUPPORTED, r->store.path, "the key %s is %s", key, scaling.type);
    if (r->row->windows == HONE_WINDOWS_SIX) {
        s->local.dims = dims;
        hone_rotary_rates(&s->local, number(r, "rope.freq_base_swa", 10000), NULL, s->context);
    }
    return HONE_OK;
}

/* --- the rest --- */

static hone_status read_sizes(reader *r, int64_t context) {
    hone_decoder_spec *s = &r->spec;
    int64_t experts = 0, value = 0;
    enum { LARGE = 1 << 24 };
    HONE_TRY(needed(r, "block_count", MOST_LAYERS, &s->layers));
    HONE_TRY(needed(r, "embedding_length", LARGE, &s->width));
    HONE_TRY(needed(r, "feed_forward_length", LARGE, &s->inner));
    HONE_TRY(needed(r, "attention.head_count", LARGE, &s->heads));
    HONE_TRY(needed(r, "context_length", INT32_MAX, &s->context));
    s->kv_heads = s->heads;
    HONE_TRY(count(r, "attention.head_count_kv", s->heads, &s->kv_heads));
    HONE_TRY(count(r, "attention.key_length", MOST_HEAD, &s->head));
    HONE_TRY(count(r, "attention.value_length", MOST_HEAD, &value));
    HONE_TRY(count(r, "expert_count", LARGE, &experts));
    HONE_TRY(count(r, "attention.sliding_window", INT32_MAX, &s->window));
    if (experts) return hone_fail_file(r->err, HONE_UNSUPPORTED, r->store.path, "mixtures of experts");
    if (!s->head) s->head = s->width / s->heads;
    if (s->head > MOST_HEAD || s->head < 1 || s->heads % s->kv_heads || (value && value != s->head))
        return hone_fail_file(r->err, HONE_UNSUPPORTED, r->store.path,
                              "%lld heads of %lld to %lld of %lld keys and %lld values", (long long)s->heads,
                              (long long)s->head, (long long)s->kv_heads, (long long)s->head,
                              (long long)(value ? value : s->head));
    if (context > s->context)
        return hone_fail_file(r->err, HONE_INVALID_ARGUMENT, r->store.path,
                              "a context of %lld; the model was trained for %lld", (long long)context,
                              (long long)s->context);
    const int64_t original = (int64_t)number(r, "rope.scaling.original_context_length", 0);
    const bool by_length = strcmp(r->row->gguf, "phi3") == 0 && original > 0 && original < s->context;
    if (context && !r->row->learned)
        s->context = context;
    else if (by_length)
        s->context = original; /* what is longer changes the answers to what is shorter */
    else if (s->context > MOST_CONTEXT && !r->row->learned)
        s->context = MOST_CONTEXT;
    return HONE_OK;
}

static hone_status read_layers(reader *r) {
    hone_decoder_spec *s = &r->spec;
    bool *local = hone_arena_array(r->arena, (size_t)s->layers, sizeof *local),
         *unturned = hone_arena_array(r->arena, (size_t)s->layers, sizeof *unturned);
    if (!local || !unturned) return hone_fail_memory(r->err);
    for (int64_t i = 0; i < s->layers; i++) {
        local[i] = hone_windows_local(r->row->windows, i);
        unturned[i] = r->row->turned_of && (i + 1) % r->row->turned_of == 0;
    }
    s->is_local = local;
    s->unturned = unturned;
    return HONE_OK;
}

static hone_status read_spec(reader *r, int64_t context) {
    hone_decoder_spec *s = &r->spec;
    *s = (hone_decoder_spec){.family = r->family,
                             .from = &hone_names_gguf,
                             .to = r->row->names,
                             .layer_norm = r->row->layer_norm,
                             .activation = r->row->activation,
                             .paired = r->row->paired};
    HONE_TRY(read_sizes(r, context));
    HONE_TRY(read_layers(r));
    const hone_stored *embed = hone_store_take(&r->store, "token_embd.weight");
    if (!embed || embed->rank != 2)
        return hone_fail_file(r->err, HONE_CORRUPT, r->store.path, "lacks the tensor token_embd.weight");
    s->vocabulary = embed->dims[0];
    s->epsilon = (float)number(
        r, s->layer_norm ? "attention.layer_norm_epsilon" : "attention.layer_norm_rms_epsilon", 1e-5);
    s->scale = (float)number(r, "attention.scale", 0);
    s->cap = (float)number(r, "attn_logit_softcapping", 0);
    s->logit_cap = (float)number(r, "final_logit_softcapping", 0);
    s->embed_scale = (float)number(r, "embedding_scale", r->row->root ? (double)sqrtf((float)s->width) : 1);
    s->residual_scale = (float)number(r, "residual_scale", 1);
    s->logit_scale = (float)(1 / number(r, "logit_scale", 1));
    /* the largest of both families divide by what a head of the width would have */
    if ((strcmp(r->family, "gemma2") == 0 && s->layers == 46) ||
        (strcmp(r->family, "gemma3") == 0 && s->layers == 62))
        s->scale = 1 / sqrtf((float)s->width / (float)s->heads);
    return r->row->learned ? HONE_OK : read_rotation(r);
}

static hone_status build(reader *r, int64_t context, hone_graph **out) {
    const char *text, *path = hone_gguf_path(r->file);
    size_t size;
    int64_t parts = 1;
    if (!hone_gguf_string(r->file, "general.architecture", &text, &size))
        return hone_fail_file(r->err, HONE_CORRUPT, path, "lacks the key general.architecture");
    if (hone_gguf_int(r->file, "split.count", &parts) && parts > 1)
        return hone_fail_file(r->err, HONE_UNSUPPORTED, path, "one of %lld files: put them together first",
                              (long long)parts);
    r->row = hone_family_of_gguf(text, size);
    if (!r->row)
        return hone_fail_file(r->err, HONE_UNSUPPORTED, path, "models of the architecture %.*s",
                              (int)(size < 64 ? size : 64), text);
    r->family = r->row->gguf;
    r->store.path = path;
    r->store.mapped = hone_gguf_is_mapped(r->file);
    r->store.tensors = hone_gguf_tensors(r->file, &r->store.count);
    r->store.used = hone_arena_array(r->arena, r->store.count + 1, sizeof *r->store.used);
    if (!r->store.used) return hone_fail_memory(r->err);
    HONE_TRY(read_spec(r, context));
    return hone_decoder_build(&r->spec, &r->store, out, r->err);
}

hone_status hone_gguf_graph(const hone_gguf *g, int64_t context, hone_graph **out, hone_error *err) {
    reader r = {.file = g, .err = err, .arena = hone_arena_new()};
    hone_status status = r.arena ? build(&r, context, out) : hone_fail_memory(err);
    hone_arena_free(r.arena);
    return status;
}
