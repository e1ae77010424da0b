/* Language models at work: causal models that take tokens and a past (inputs input_ids, past_key_values.N.{key,value};
 * outputs logits, present.N.{key,value}) continue texts, and tell how likely a text is. */
#ifndef HONE_GENERATE_H
#define HONE_GENERATE_H

#include <hone/graph.h>
#include <hone/text.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hone_lm hone_lm;
/* A text under way: its tokens, and what the model keeps of them. For one thread at a time. */
typedef struct hone_lm_sequence hone_lm_sequence;

typedef struct hone_lm_options {
    size_t size;
    int threads; /* 0: one for each available CPU */
    int64_t
        context; /* tokens that a sequence can have; 0: as many as the model has positions for, at most 4096 */
    int64_t
        least; /* with context 0: as many as this, if the model has positions for them; 0: as said there */
    hone_precision precision;
} hone_lm_options;
#define HONE_LM_OPTIONS_INIT                                                                                 \
    { .size = sizeof(hone_lm_options) }

/* Has the graph the inputs and outputs of such a model? */
HONE_API bool hone_lm_takes(const hone_graph *g);
/* Makes such a graph one for whole texts, as it is trained: input_ids int64 [batch, sequence] alone, logits of all places.
 * HONE_UNSUPPORTED: what it keeps of texts is read by others, or it has other inputs. The graph is of no use after a failure. */
HONE_API hone_status hone_lm_forget_past(hone_graph *g, hone_error *err);
/* The way back: with position_ids, past_key_values and present. HONE_UNSUPPORTED: it was made otherwise. */
HONE_API hone_status hone_lm_recall_past(hone_graph *g, hone_error *err);
/* Compiles a graph, which is freed in any case. HONE_UNSUPPORTED: it is no causal language model. On success `*out` belongs
 * to the caller: hone_lm_free(). */
HONE_API hone_status hone_lm_create(hone_graph *g, const hone_lm_options *options, hone_lm **out,
                                    hone_error *err);
HONE_API void hone_lm_free(hone_lm *m); /* after its sequences; NULL is fine */
HONE_API int64_t hone_lm_context(const hone_lm *m);
HONE_API int64_t hone_lm_vocabulary(const hone_lm *m);
/* Bytes of weights, and of what is kept for each sequence. */
HONE_API size_t hone_lm_bytes(const hone_lm *m);
HONE_API size_t hone_lm_sequence_bytes(const hone_lm *m);

HONE_API hone_status hone_lm_sequence_new(hone_lm *m, hone_lm_sequence **out, hone_error *err);
HONE_API void hone_lm_sequence_free(hone_lm_sequence *s); /* NULL is fine */
/* Its tokens so far. Borrowed. */
HONE_API const int32_t *hone_lm_sequence_tokens(const hone_lm_sequence *s, size_t *count);
/* Makes the text be `ids`: what it begins with like those so far is not computed again, all else is forgotten. `*logits` (may
 * be NULL), valid until the next call, are [vocabulary] for what comes behind the last one: `count` is at least 1.
 * HONE_INVALID_ARGUMENT: an id that the model does not know; HONE_OUT_OF_RANGE: more than the context. On failure the
 * sequence is empty. */
HONE_API hone_status hone_lm_feed(hone_lm_sequence *s, const int32_t *ids, size_t count, const float **logits,
                                  hone_error *err);
/* As hone_lm_feed, and gives log p(ids[i] | those before it) for from <= i < count into out[i - from]; from >= 1. */
HONE_API hone_status hone_lm_score(hone_lm_sequence *s, const int32_t *ids, size_t count, size_t from,
                                   double *out, hone_error *err);

/* How the next token is drawn, in this order: penalties, temperature, top_k, top_p, min_p. */
typedef struct hone_sampling {
    size_t size;
    double temperature; /* 0: the likeliest token, of equals the one of the lowest id */
    int top_k;          /* of the so many likeliest; 0: all */
    double top_p;       /* of the fewest likeliest that together have this probability; 1: all */
    double min_p;       /* of those at least this share as likely as the likeliest; 0: all */
    double
        repetition_penalty; /* logits of tokens that are there already: divided by it where positive, else times it; 1:
                                  nothing */
    double presence_penalty,
        frequency_penalty; /* taken off once, or for each time that a generated token is there */
    uint64_t seed;         /* the same seed and tokens give the same answer */
} hone_sampling;
#define HONE_SAMPLING_INIT                                                                                   \
    { .size = sizeof(hone_sampling), .top_p = 1, .repetition_penalty = 1 }

typedef enum hone_finish {
    HONE_FINISH_END,    /* a token that ends texts, or a stop string */
    HONE_FINISH_LENGTH, /* max_tokens, or the context is full */
    HONE_FINISH_ASKED   /* the caller said so */
} hone_finish;

/* Gets the text as it comes, whole characters of UTF-8; false: no more of it. */
typedef bool hone_generate_fn(void *user, const char *text, size_t size);

typedef struct hone_generate_options {
    size_t size;
    hone_sampling sampling;
    int64_t max_tokens;  /* 0: as many as fit */
    const int32_t *ends; /* ids that end the text; they are not part of it */
    size_t end_count;
    const char *const *stops; /* texts that end it; they are not part of it */
    size_t stop_count;
    hone_generate_fn *text; /* NULL: nobody listens */
    void *user;
} hone_generate_options;
#define HONE_GENERATE_OPTIONS_INIT                                                                           \
    { .size = sizeof(hone_generate_options), .sampling = HONE_SAMPLING_INIT }

typedef struct hone_generate_report {
    hone_finish finish;
    size_t prompt_tokens, reused_tokens; /* reused: that were there already */
    size_t tokens;                       /* generated */
    double prompt_seconds, seconds;      /* until the first token; all others */
} hone_generate_report;

/* Continues `prompt`. The sequence's tokens are the prompt's and the generated ones afterwards, but for one that ends the
 * text. `report` (may be NULL). As hone_lm_feed. */
HONE_API hone_status hone_lm_generate(hone_lm_sequence *s, const hone_tokenizer *t, const int32_t *prompt,
                                      size_t count, const hone_generate_options *options,
                                      hone_generate_report *report, hone_error *err);

/* What a text is worth to a model: windows of `context` tokens each, of which the second half is scored. */
typedef struct hone_perplexity {
    size_t tokens;     /* scored */
    double loss;       /* mean of -log p of them */
    double perplexity; /* e^loss */
    double seconds;
} hone_perplexity;
/* `ids` at least one window long; what is left of a last window is not scored. `first` >= 0 takes the place of each
 * window's first token. `window` is even; `limit` windows at most, 0: all. */
HONE_API hone_status hone_lm_perplexity(hone_lm *m, const int32_t *ids, size_t count, size_t window,
                                        size_t limit, int32_t first, hone_perplexity *out, hone_error *err);

#ifdef __cplusplus
}
#endif
#endif
