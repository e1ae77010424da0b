/* Hone's own ScaledDotProduct, which all attention operators become:
 *
 *   S = softcap(scale Q K^T) + bias,  P = softmax(S) over the keys that a row may see,  Y = P V
 *
 *   Q    [B, N, T, D], or [B, T, N D] where q_heads says N;  Y likewise
 *   K, V [B, M, S, D] and [B, M, S, E], or [B, S, M D] and [B, S, M E] where kv_heads says M; N/M heads share one
 *   bias      broadcasts to [B, N, T, S]; keys beyond its last axis are not seen
 *   position  int64 [1] or [B]: where the first row of Q stands among the keys; left out: 0
 *   first, end int64 [1] or [B]: keys in [first, end) are seen
 *   sink      [N]: a key of that score and without a value, in each head
 *
 * With `causal`, row t sees keys up to position + t + ahead; with `window` W > 0 those from
 * position + t + 1 - W on. A row that sees no key is 0, or with `plain` what Softmax has for it, no number; B, T
 * and S may then be 1 in what has no more of them, as in the products and the Add that it stands for. The second output (qk) is S at the stage that `qk_mode` says, as ONNX's Attention has
 * it: 0 before softcap, 1 behind it, 2 with bias and -infinity where keys are not seen, 3 P. */
#ifndef HONE_OPS_ATTENTION_CORE_H
#define HONE_OPS_ATTENTION_CORE_H

#include "graph/op.h"

enum {
    HONE_CORE_Q,
    HONE_CORE_K,
    HONE_CORE_V,
    HONE_CORE_BIAS,
    HONE_CORE_POSITION,
    HONE_CORE_FIRST,
    HONE_CORE_END,
    HONE_CORE_SINK,
    HONE_CORE_INPUTS
};

/* What a node of it is made of. */
typedef struct hone_core {
    hone_value *in[HONE_CORE_INPUTS];
    int64_t q_heads, kv_heads; /* 0: of rank 4 */
    float scale, softcap;      /* scale 0: 1 / sqrt(D) */
    bool causal;
    int64_t ahead;  /* of causal */
    int64_t window; /* 0: none */
    int qk_mode;    /* < 0: no second output */
} hone_core;

/* Emits it; NULL when memory is out. */
hone_node *hone_core_emit(hone_graph *g, const hone_core *c);

/* --- of the operator itself --- */

/* The dimensions of Q, K or V as [B, heads, T, width]; false: not of that rank. */
bool hone_core_heads(const hone_type *t, int64_t heads, int64_t *dims);
/* No position, and no window, is farther away, so that sums do not overflow. */
#define HONE_CORE_FAR ((int64_t)1 << 48)
static inline int64_t hone_core_near(int64_t x) {
    return x > HONE_CORE_FAR ? HONE_CORE_FAR : x < -HONE_CORE_FAR ? -HONE_CORE_FAR : x;
}
/* hone_op.expand, for training. */
hone_status hone_core_expand(hone_graph *g, hone_node *n, hone_error *err);

#endif
