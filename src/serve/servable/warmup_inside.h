/* What the parts of warm-up share: warmup.c, which runs, made_up.c, which makes inputs up, and proof.c, which
 * looks whether padding changes answers. */
#ifndef HONE_SERVE_SERVABLE_WARMUP_INSIDE_H
#define HONE_SERVE_SERVABLE_WARMUP_INSIDE_H

#include "serve/servable/warmup.h"

enum { HONE_WARM_PATTERNS = 2 };

/* What is known while a servable is warmed up. */
typedef struct hone_warmer {
    hone_servable *s;
    const hone_recorded *recorded;              /* NULL: none */
    hone_instance *instance;                    /* where it is measured */
    hone_bucket *bucket;                        /* that is measured */
    int64_t sizes[HONE_MAX_DIM_SETTINGS];       /* of the settings' dimensions, for what is made up */
    hone_tensor **one[HONE_WARM_PATTERNS];      /* inputs of one row each, of different content */
    hone_tensor **expected[HONE_WARM_PATTERNS]; /* and what comes out */
    hone_tensor **inputs;                       /* of the size under test */
    double inline_cost;
    const atomic_bool *halted; /* NULL: nobody halts it */
} hone_warmer;

bool hone_warmer_is_halted(void *warmer);
/* What says nothing of the model: memory is out, or it was halted. */
static inline bool hone_is_no_fault(hone_status status) {
    return status == HONE_OUT_OF_MEMORY || status == HONE_CANCELLED;
}

/* Sets w->sizes: as the bucket has them, else as in the first recorded request, else small ones. */
void hone_made_up_sizes(hone_warmer *w);
/* Elements of an input of these sizes. `rows`: the leading dimension is that of the rows, and 1. */
hone_status hone_made_up(const hone_warmer *w, int input, bool rows, uint64_t seed, hone_tensor **out,
                         hone_error *err);
/* The same in place of each tensor of a list, which has one for each input. */
hone_status hone_made_up_all(const hone_warmer *w, bool rows, uint64_t seed, hone_tensor **list,
                             hone_error *err);

/* Do answers come out as they do alone, when made-up requests of the buckets are padded? If not, s->unpadded
 * says how they differ, and nothing is padded any more. Fails with hone_is_no_fault() only. */
hone_status hone_prove_padding(hone_warmer *w, hone_error *err);
/* The same of one request. */
hone_status hone_prove_request(hone_warmer *w, const hone_tensor *const *inputs, hone_error *err);

#endif
