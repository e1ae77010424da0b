/* The plans of a session, found by the hash of what they were made for. Plans are made outside of the lock, so that
 * several threads with new shapes compile at once. */
#ifndef HONE_RUNTIME_CACHE_H
#define HONE_RUNTIME_CACHE_H

#include "runtime/model.h"
#include "runtime/plan.h"

typedef struct hone_plan_cache hone_plan_cache;

/* At most `max_plans` are kept, those unused for longest go. `threads`: of the pool that runs them. `control` prepares
 * control nodes. The model must outlive the cache. */
hone_status hone_plan_cache_new(hone_model *m, int threads, size_t max_plans, hone_control_fn *control,
                                hone_plan_cache **out, hone_error *err);
void hone_plan_cache_free(hone_plan_cache *c);
/* The region of a body that starts at the node of that mark; lives as long as the cache. */
hone_status hone_plan_cache_region(hone_plan_cache *c, const hone_body *body, int start,
                                   const hone_region **out, hone_error *err);
/* The plan for these inputs; hone_plan_free when done. */
hone_status hone_plan_cache_get(hone_plan_cache *c, const hone_region *r, const hone_operand *inputs,
                                hone_plan **out, hone_error *err);
/* Plans made so far. */
uint64_t hone_plan_cache_compiled(hone_plan_cache *c);

#endif
