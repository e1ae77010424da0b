/* Families of models: what of their build neither tensors nor keys tell, one row each. */
#ifndef HONE_IMPORT_FAMILY_H
#define HONE_IMPORT_FAMILY_H

#include "import/decoder.h"

/* Which layers see a window of keys only, if there is one. */
typedef enum hone_windows {
    HONE_WINDOWS_ALL,
    HONE_WINDOWS_SECOND, /* every other layer, from the first on */
    HONE_WINDOWS_SIX     /* five of six */
} hone_windows;

typedef struct hone_family_row {
    const char *gguf, *type; /* general.architecture; config.json's model_type. NULL: none */
    hone_part_names *names;  /* Hugging Face's */
    const char *activation;
    bool paired; /* GGUF: rows of q and k in pairs */
    bool layer_norm;
    bool learned;  /* positions have a table; no rotation */
    bool in_first; /* Hugging Face: matrices are [in, out] */
    bool plus_one; /* Hugging Face: weights of norms lack 1 */
    bool root;     /* embeddings times √width */
    hone_windows windows;
    int turned_of; /* > 0: every layer of that number is not rotated (unless the file says which) */
} hone_family_row;

/* NULL: none. */
const hone_family_row *hone_family_of_gguf(const char *architecture, size_t size);
const hone_family_row *hone_family_of_type(const char *model_type);

/* --- what both kinds of files ask for --- */

typedef struct hone_scaling {
    const char *type; /* "none", "linear", "llama3", "yarn", "longrope" */
    double factor, low, high, original;
    double beta_fast, beta_slow, attention; /* attention: of cosines and sines; 0: the type's own */
    const double *divisors;                 /* longrope, and given ones: one a pair; NULL: none */
} hone_scaling;

/* r->rates of base `theta` for r->dims elements, scaled for up to `context` positions; r->rates has room.
 * False: not a type that is known. */
bool hone_rotary_rates(hone_rotary_spec *r, double theta, const hone_scaling *scaling, int64_t context);
/* Whether layer `i` is a local one. */
bool hone_windows_local(hone_windows rule, int64_t layer);

#endif
