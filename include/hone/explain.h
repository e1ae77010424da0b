/* Why a model gives what it gives: how much each element of its inputs has to do with one number of its output.
 *
 *     gradient methods      of float inputs; of tokens through the vectors that they become
 *     occlusion, Shapley    of any model and any input, by running it many times */
#ifndef HONE_EXPLAIN_H
#define HONE_EXPLAIN_H

#include <hone/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum hone_explain_method {
    HONE_EXPLAIN_SALIENCY,       /* |gradient| (Simonyan et al. 2013); of a token the norm of its vector's */
    HONE_EXPLAIN_INPUT_GRADIENT, /* input x gradient */
    HONE_EXPLAIN_SMOOTHGRAD,     /* the mean of gradients of noisy inputs (Smilkov et al. 2017) */
    HONE_EXPLAIN_INTEGRATED, /* integrated gradients from a baseline (Sundararajan et al. 2017): they add up to what the
                                    output differs from the baseline's */
    HONE_EXPLAIN_GRAD_CAM,  /* where in the picture, by a convolution's output (Selvaraju et al. 2017) */
    HONE_EXPLAIN_OCCLUSION, /* what the output loses when a part is covered (Zeiler and Fergus 2014) */
    HONE_EXPLAIN_SHAPLEY /* Shapley values of the parts, by random orders of them (Castro et al. 2009): they add up,
                                    too */
} hone_explain_method;

/* "saliency", …; NULL: there is no method of that number. */
HONE_API const char *hone_explain_method_name(int method);

typedef struct hone_explain_options {
    size_t size;
    hone_explain_method method;
    const char *output; /* of the model; NULL: the first of floats */
    int64_t target;     /* which of its numbers; < 0: the largest */
    double
        baseline; /* what an input without information has: numbers, and the ids of tokens. NaN: missing values. Tokens'
                           vectors are zeros */
    int steps;    /* points of the path from the baseline, noisy inputs, orders of the parts; 0: 50, 25, 30 */
    double noise; /* deviation, as a share of what the input ranges over */
    int patch; /* of pictures: the side of the parts that are covered, in pixels; 0: a seventh of the shorter one */
    const char *layer; /* grad-cam: a value [N, C, …places]; NULL: the last one with more than one place */
    uint64_t seed;     /* of noise and orders */
    int threads;
    /* Told now and then how far it is; false ends it with HONE_CANCELLED. NULL: nobody is told. */
    bool (*progress)(void *user, int64_t done, int64_t all);
    void *user;
} hone_explain_options;
#define HONE_EXPLAIN_OPTIONS_INIT                                                                            \
    {                                                                                                        \
        .size = sizeof(hone_explain_options), .method = HONE_EXPLAIN_INTEGRATED, .target = -1, .noise = 0.1, \
        .seed = 1                                                                                            \
    }

/* What has to do with it: of each input float32 of its shape. */
typedef struct hone_explanation {
    hone_explain_method method; /* the one that was used */
    char note[256];             /* why it is another one than asked for; "": it is not */
    const char *output;
    int64_t target;
    double score, base; /* the output's number, and that of the baseline (NaN: nobody asked) */
    int count;          /* of the model's inputs, in order */
    const char *const *names;
    hone_tensor *const *values; /* NULL: nothing can be said of that input */
} hone_explanation;

/* `inputs`: one tensor for each of the model's, of a single sample. A model that has no gradient on the way is explained by
 * occlusion, which `note` says. HONE_INVALID_ARGUMENT: no such output, target or layer, or several samples. On success
 * `*out` belongs to the caller. `options` NULL: the defaults. */
HONE_API hone_status hone_explain(const hone_graph *g, const hone_tensor *const *inputs,
                                  const hone_explain_options *options, hone_explanation **out,
                                  hone_error *err);
HONE_API void hone_explanation_free(hone_explanation *e); /* NULL is fine */

/* A picture of an explanation, as a PNG file: `image` is the input, [1, C, H, W] or [1, H, W, C] of one or three channels, in gray;
 * `values` over it, red for what speaks for the target, blue for what speaks against it. Small ones are enlarged.
 * On success free(*png). HONE_INVALID_ARGUMENT: it is no picture. */
HONE_API hone_status hone_explain_picture(const hone_tensor *image, const hone_tensor *values, void **png,
                                          size_t *size, hone_error *err);

#ifdef __cplusplus
}
#endif
#endif
