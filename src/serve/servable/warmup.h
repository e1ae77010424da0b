/* Warm-up: before a version takes traffic one of its instances is run at every size of batch: what a run costs
 * is measured, and it is proven that rows of a batch come out as they do alone. The other instances get the plans
 * and workspaces that they will need. */
#ifndef HONE_SERVE_SERVABLE_WARMUP_H
#define HONE_SERVE_SERVABLE_WARMUP_H

#include "serve/servable/servable.h"

/* Requests that were recorded: `count` times one tensor for each input. */
typedef struct hone_recorded {
    hone_tensor **tensors;
    size_t count, capacity; /* of requests; capacity of tensors */
} hone_recorded;
void hone_recorded_free(hone_recorded *r, int input_count);

/* `recorded` may be NULL. Inputs are made up: rows of 1, other free dimensions as the settings say, else as in the
 * first recorded request, else 1. A model that can't be run with them is served as it is, and not batched.
 * HONE_FAILED_PRECONDITION: a recorded request fails. HONE_CANCELLED: `halted` (NULL: nobody) became true. */
hone_status hone_warm_up(hone_servable *s, const hone_recorded *recorded, double inline_cost,
                         const atomic_bool *halted, hone_error *err);

#endif
