/* Causal language models of the usual build as ONNX graphs: one builder over one description, whatever file the weights are
 * from. What a file has tensors for is built (biases, norms of q and k, norms behind attention and layers, fused weights); what
 * no tensor tells is said by the description.
 *
 *   inputs   input_ids, position_ids int64 [batch, sequence]; past_key_values.N.{key,value} [batch, kv_heads, past, head]
 *   outputs  logits [batch, sequence, vocabulary]; present.N.{key,value} */
#ifndef HONE_IMPORT_DECODER_H
#define HONE_IMPORT_DECODER_H

#include "graph/graph.h"
#include "import/stored.h"

/* The parts that have tensors. */
typedef enum hone_part {
    HONE_PART_EMBED,
    HONE_PART_POSITIONS,
    HONE_PART_LAST_NORM,
    HONE_PART_HEAD,
    HONE_PART_NORM, /* before attention */
    HONE_PART_Q,
    HONE_PART_K,
    HONE_PART_V,
    HONE_PART_QKV,
    HONE_PART_OUT,
    HONE_PART_Q_NORM,
    HONE_PART_K_NORM,
    HONE_PART_AFTER_NORM, /* behind attention, before it is added */
    HONE_PART_MLP_NORM,
    HONE_PART_GATE,
    HONE_PART_UP,
    HONE_PART_GATE_UP,
    HONE_PART_DOWN,
    HONE_PART_MLP_AFTER_NORM,
    HONE_PARTS
} hone_part;

/* Names of tensors without ".weight" and ".bias", one a part, with %d for the layer; NULL: a file of that kind has none. */
typedef const char *const hone_part_names[HONE_PARTS];
extern hone_part_names hone_names_gguf, hone_names_llama, hone_names_gemma, hone_names_gpt2;

/* Rotation by angles position · rate, of `dims` elements of each head. */
typedef struct hone_rotary_spec {
    int64_t dims;     /* 0: none */
    double *rates;    /* dims / 2 */
    double magnitude; /* of cosines and sines */
} hone_rotary_spec;

typedef struct hone_decoder_spec {
    const char *family;         /* for errors and metadata */
    hone_part_names *from, *to; /* the file's names; those of the graph's constants */
    int64_t layers, width, inner, heads, kv_heads, head, vocabulary, context;
    float epsilon;
    bool layer_norm;                /* with mean and shift; else of mean squares */
    float norm_plus;                /* added to the weights of norms */
    const char *activation;         /* "silu", "gelu", "gelu-tanh" */
    hone_rotary_spec rotary, local; /* local: of layers with a window; dims 0: as the others */
    int64_t window;                 /* keys that local layers see; 0: all */
    const bool *is_local;           /* one a layer; NULL: all, if there is a window */
    const bool *unturned;           /* one a layer: no rotation; NULL: none */
    float scale;                    /* of scores; 0: 1/√head */
    float cap, logit_cap;           /* of scores and logits, by tanh; 0: none */
    float embed_scale, residual_scale, logit_scale; /* factors; 1: none */
    bool paired;                                    /* rows of q and k lie in pairs, see hone_row_order */
    bool in_first;                                  /* matrices are [in, out] */
} hone_decoder_spec;

/* Builds the graph; its types are inferred. HONE_UNSUPPORTED names a tensor that the builder has no use for, HONE_CORRUPT one
 * that is missing or of another shape. On success `*out` belongs to the caller. */
hone_status hone_decoder_build(const hone_decoder_spec *spec, const hone_store *store, hone_graph **out,
                               hone_error *err);

#endif
