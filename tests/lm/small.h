/* For tests: small language models. */
#ifndef HONE_TESTS_LM_SMALL_H
#define HONE_TESTS_LM_SMALL_H

#include "base/half.h"
#include "import/decoder.h"
#include "lm/model.h"
#include "support/graphs.h"

enum {
    LAYERS = 2,
    WIDTH = 64,
    HEADS = 4,
    KV_HEADS = 2,
    HEAD = 16,
    INNER = 96,
    VOCABULARY = 97,
    CONTEXT = 300
};

typedef struct small {
    hone_stored tensors[64];
    bool used[64];
    char names[64][64];
    float *data[64];
    size_t count;
} small;

static float *small_add(small *s, const char *name, int64_t rows, int64_t columns) {
    hone_stored *t = &s->tensors[s->count];
    float *x = calloc((size_t)((rows ? rows : 1) * columns), sizeof *x);
    snprintf(s->names[s->count], sizeof s->names[0], "%s", name);
    *t = (hone_stored){.name = s->names[s->count],
                       .rank = rows ? 2 : 1,
                       .format = hone_block_format_of(0),
                       .data = (const uint8_t *)x};
    t->dims[0] = rows ? rows : columns;
    t->dims[1] = rows ? columns : 0;
    s->data[s->count++] = x;
    return x;
}

static void small_random(small *s, const char *name, int64_t rows, int64_t columns, float about, float by) {
    hone_rng r = hone_rng_make(7, hone_hash(name, strlen(name)));
    float *x = small_add(s, name, rows, columns);
    for (int64_t i = 0; i < (rows ? rows : 1) * columns; i++)
        x[i] = about + by * (2 * hone_rng_uniform(&r) - 1);
}

static const char *in_layer(char *name, int i, const char *part) {
    snprintf(name, 64, "blk.%d.%s.weight", i, part);
    return name;
}

enum { Q4_1 = 3, Q8_0 = 8, IN_BLOCK = 32 }; /* numbers of formats */

/* A matrix rounded to blocks. */
static inline void small_to_blocks(small *s, size_t i, uint32_t number) {
    hone_stored *t = &s->tensors[i];
    const hone_block_format *f = hone_block_format_of(number);
    const size_t blocks = (size_t)(t->dims[0] * t->dims[1]) / IN_BLOCK;
    uint8_t *data = calloc(blocks, f->bytes);
    for (size_t b = 0; b < blocks; b++) {
        const float *x = s->data[i] + b * IN_BLOCK;
        uint8_t *to = data + b * f->bytes, *codes = to + (number == Q4_1 ? 4 : 2);
        float least = x[0], most = x[0];
        for (int k = 1; k < IN_BLOCK; k++) least = fminf(least, x[k]), most = fmaxf(most, x[k]);
        const float step = number == Q4_1 ? (most - least) / 15 : fmaxf(most, -least) / 127;
        const uint16_t halves[] = {hone_half_of_float(step), hone_half_of_float(least)};
        memcpy(to, halves, number == Q4_1 ? 4 : 2);
        for (int k = 0; k < IN_BLOCK; k++) {
            const long code = lrintf((number == Q4_1 ? x[k] - least : x[k]) / step);
            if (number == Q4_1)
                codes[k % 16] = (uint8_t)(codes[k % 16] | code << k / 16 * 4);
            else
                codes[k] = (uint8_t)code;
        }
    }
    free(s->data[i]);
    s->data[i] = (float *)(void *)data;
    t->format = f;
    t->data = data;
}

/* Random weights, or with `counts` such that behind token i comes token i + 1. With `blocks` matrices are in blocks of few
 * bits. */
static hone_graph *small_graph_of(bool counts, bool blocks) {
    small *s = calloc(1, sizeof *s);
    hone_error err;
    char name[64];
    const float by = counts ? 0 : 0.15f;
    const int64_t width = counts ? VOCABULARY - 1 : WIDTH; /* of four heads, whatever they are */
    if (counts) {
        float *embed = small_add(s, "token_embd.weight", VOCABULARY, width);
        float *head = small_add(s, "output.weight", VOCABULARY, width);
        for (int64_t i = 0; i < width; i++) embed[i * width + i] = head[(i + 1) * width + i] = 1;
    } else {
        small_random(s, "token_embd.weight", VOCABULARY, width, 0, 1);
    }
    small_random(s, "output_norm.weight", 0, width, 1, counts ? 0 : 0.5f);
    for (int i = 0; i < LAYERS; i++) {
        small_random(s, in_layer(name, i, "attn_norm"), 0, width, 1, by);
        small_random(s, in_layer(name, i, "ffn_norm"), 0, width, 1, by);
        small_random(s, in_layer(name, i, "attn_q"), HEADS * HEAD, width, 0, by);
        small_random(s, in_layer(name, i, "attn_k"), KV_HEADS * HEAD, width, 0, by);
        small_random(s, in_layer(name, i, "attn_v"), KV_HEADS * HEAD, width, 0, by);
        small_random(s, in_layer(name, i, "attn_output"), width, HEADS * HEAD, 0, by);
        small_random(s, in_layer(name, i, "ffn_gate"), INNER, width, 0, by);
        small_random(s, in_layer(name, i, "ffn_up"), INNER, width, 0, by);
        small_random(s, in_layer(name, i, "ffn_down"), width, INNER, 0, by);
    }
    for (size_t i = 0; i < s->count && blocks; i++)
        if (s->tensors[i].rank == 2) small_to_blocks(s, i, i ? Q4_1 : Q8_0);
    assert_null(hone_stored_sort(s->tensors, s->count));
    double rates[HEAD / 2];
    for (int i = 0; i < HEAD / 2; i++) rates[i] = pow(10000, -2.0 * i / HEAD);
    const hone_store store = {.path = "small", .tensors = s->tensors, .count = s->count, .used = s->used};
    const hone_decoder_spec spec = {.family = "llama",
                                    .from = &hone_names_gguf,
                                    .to = &hone_names_llama,
                                    .layers = LAYERS,
                                    .width = width,
                                    .inner = INNER,
                                    .heads = HEADS,
                                    .kv_heads = KV_HEADS,
                                    .head = HEAD,
                                    .vocabulary = VOCABULARY,
                                    .context = CONTEXT,
                                    .epsilon = 1e-5f,
                                    .activation = "silu",
                                    .rotary = {HEAD, rates, 1},
                                    .embed_scale = 1,
                                    .residual_scale = 1,
                                    .logit_scale = 1};
    hone_graph *g = NULL;
    check_ok(hone_decoder_build(&spec, &store, &g, &err));
    for (size_t i = 0; i < s->count; i++) free(s->data[i]);
    free(s);
    return g;
}

static inline hone_graph *small_graph(bool counts) {
    return small_graph_of(counts, false);
}

static inline hone_lm *small_lm_of(hone_graph *g, int64_t context, int threads) {
    hone_lm_options o = HONE_LM_OPTIONS_INIT;
    hone_error err;
    hone_lm *lm = NULL;
    o.context = context;
    o.threads = threads;
    check_ok(hone_lm_create(g, &o, &lm, &err));
    return lm;
}

static inline hone_lm *small_lm(bool counts, int64_t context, int threads) {
    return small_lm_of(small_graph(counts), context, threads);
}

static inline hone_lm_sequence *small_sequence(hone_lm *lm) {
    hone_error err;
    hone_lm_sequence *s = NULL;
    check_ok(hone_lm_sequence_new(lm, &s, &err));
    return s;
}

#endif
