/* Hone's own Rotation, which all rotary embeddings become: pairs of a head's first elements turned by an angle that
 * depends on its position.
 *
 *   Rotation(X, cos, sin, position?)    X [B, N, T, D], or [B, T, N D] where `heads` says N
 *
 *   cos, sin   [positions, R / 2], and where no position is given [B, T, R / 2]; R: the attribute `dim`, 0: all of D
 *   position   int64 [B, T]; or [1] or [B]: of the first of T, the others follow */
#ifndef HONE_OPS_ATTENTION_ROTARY_H
#define HONE_OPS_ATTENTION_ROTARY_H

#include "graph/graph.h"

typedef struct hone_rotation {
    hone_value *x, *cos, *sin, *position;
    int64_t heads, dim;
    bool interleaved;
} hone_rotation;

/* Emits it. */
hone_value *hone_rotation_emit(hone_graph *g, const hone_rotation *r);

#endif
