/* Warm-up: before a version takes traffic it is run on every thread that will run it, at every size of batch,
 * so that all plans and workspaces exist; what a run costs is measured; and it is proven that rows of a batch
 * come out as they do alone. */
#ifndef HONE_SERVE_SERVABLE_WARMUP_H
#define HONE_SERVE_SERVABLE_WARMUP_H

#include "serve/servable/servable.h"

/* Requests that were recorded: `count` times one tensor for each input. */
typedef struct hone_recorded {
    hone_tensor **tensors;
    size_t count, capacity; /* of requests; capacity of tensors */
} hone_recorded;
void hone_recorded_free(hone_recorded *r, int input_count);

/* `recorded` may be NULL. A model that can't be run with made-up inputs (its free dimensions may not all be
 * 1) is served as it is, and not batched. HONE_FAILED_PRECONDITION: a recorded request fails. */
hone_status hone_warm_up(hone_servable *s, const hone_recorded *recorded, double inline_cost,
                         hone_error *err);

#endif
