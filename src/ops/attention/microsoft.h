/* What com.microsoft's attention operators have in common. */
#ifndef HONE_OPS_ATTENTION_MICROSOFT_H
#define HONE_OPS_ATTENTION_MICROSOFT_H

#include "graph/op.h"

/* An attention of Q, K and V of dtype `computes`, whose outputs are those of a node. */
typedef struct hone_microsoft {
    hone_node *n;
    hone_dtype computes;
    hone_value *q;     /* [B, T, N D] */
    hone_value *k, *v; /* likewise of S, or [B, N, S, D] where they are not `counted` */
    bool counted;
    int64_t heads;
    hone_value *past_key, *past_value; /* [B, N, P, D] of `computes`, or NULL */
    hone_value *mask;                  /* int32, see hone_microsoft_mask, or NULL */
    hone_value *bias;                  /* added to scores, or NULL */
    bool causal, keep_scores;
    /* results, of `computes` */
    hone_value *y, *key, *value,
        *scores; /* key and value: with their past, [B, N, S, D]; scores if asked for */
} hone_microsoft;

/* Emits it; *a gets the results. Present keys are asked for with `present`. */
hone_status hone_microsoft_attend(hone_graph *g, hone_microsoft *a, bool present, hone_error *err);

/* For inference: [B, N, P + S, D] as presents have it; HONE_DIM_ANY where not known. */
int64_t hone_microsoft_sum(int64_t a, int64_t b);

#endif
