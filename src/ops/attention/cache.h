/* Hone's own CacheWrite: what is new goes behind what a cache has, [B, M, S, D], for each sequence at its own place.
 *
 *   CacheWrite(past?, update [B, M, T, D], position int64 [1] or [B], length? int32 or int64, one number)
 *
 * The result is as long as `past`, as `length`, and as `update` without a past, whichever is longest; what nothing is known of
 * is 0. */
#ifndef HONE_OPS_ATTENTION_CACHE_H
#define HONE_OPS_ATTENTION_CACHE_H

#include "graph/graph.h"

hone_value *hone_cache_emit(hone_graph *g, hone_value *past, hone_value *update, hone_value *position,
                            hone_value *length);

#endif
