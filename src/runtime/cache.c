#include "runtime/cache.h"

#include <pthread.h>

struct hone_plan_cache {
    hone_model *model;
    int threads;
    hone_control_fn *control;
    size_t max_plans;
    pthread_mutex_t lock; /* guards what follows */
    hone_plan **plans;
    size_t plan_count;
    hone_region **regions;
    size_t region_count, region_capacity;
    uint64_t clock, compiled;
};

hone_status hone_plan_cache_new(hone_model *m, int threads, size_t max_plans, hone_control_fn *control,
                                hone_plan_cache **out, hone_error *err) {
    hone_plan_cache *c = hone_calloc(1, sizeof *c);
    hone_plan **plans = hone_calloc(max_plans, sizeof(hone_plan *));
    if (!c || !plans) {
        hone_free(c);
        hone_free(plans);
        return hone_fail_memory(err);
    }
    c->model = m;
    c->threads = threads;
    c->control = control;
    c->max_plans = max_plans;
    c->plans = plans;
    pthread_mutex_init(&c->lock, NULL);
    *out = c;
    return HONE_OK;
}

void hone_plan_cache_free(hone_plan_cache *c) {
    if (!c) return;
    for (size_t i = 0; i < c->plan_count; i++) hone_plan_free(c->plans[i]);
    for (size_t i = 0; i < c->region_count; i++) hone_region_free(c->regions[i]);
    hone_free(c->plans);
    hone_free(c->regions);
    pthread_mutex_destroy(&c->lock);
    hone_free(c);
}

uint64_t hone_plan_cache_compiled(hone_plan_cache *c) {
    pthread_mutex_lock(&c->lock);
    uint64_t n = c->compiled;
    pthread_mutex_unlock(&c->lock);
    return n;
}

static hone_status find_region(hone_plan_cache *c, const hone_body *body, int start, const hone_region **out,
                               hone_error *err) {
    for (size_t i = 0; i < c->region_count; i++) {
        if (c->regions[i]->body != body || c->regions[i]->start != start) continue;
        *out = c->regions[i];
        return HONE_OK;
    }
    hone_region *r = NULL;
    if (!hone_reserve(&c->regions, &c->region_capacity, c->region_count + 1, sizeof(hone_region *)))
        return hone_fail_memory(err);
    HONE_TRY(hone_region_make(body, start, &r, err));
    c->regions[c->region_count++] = r;
    *out = r;
    return HONE_OK;
}

hone_status hone_plan_cache_region(hone_plan_cache *c, const hone_body *body, int start,
                                   const hone_region **out, hone_error *err) {
    pthread_mutex_lock(&c->lock);
    hone_status status = find_region(c, body, start, out, err);
    pthread_mutex_unlock(&c->lock);
    return status;
}

static hone_plan *find_plan(hone_plan_cache *c, const hone_region *r, uint64_t hash,
                            const hone_operand *inputs) {
    for (size_t i = 0; i < c->plan_count; i++) {
        hone_plan *p = c->plans[i];
        if (p->hash != hash || p->region != r || !hone_plan_fits(p, inputs)) continue;
        p->used = ++c->clock;
        return hone_plan_retain(p);
    }
    return NULL;
}

/* Keeps the plan in the place of the one unused for longest. */
static void keep_plan(hone_plan_cache *c, hone_plan *plan) {
    size_t at = c->plan_count;
    if (at == c->max_plans) {
        at = 0;
        for (size_t i = 1; i < c->plan_count; i++)
            if (c->plans[i]->used < c->plans[at]->used) at = i;
        hone_plan_free(c->plans[at]);
    } else {
        c->plan_count++;
    }
    c->plans[at] = hone_plan_retain(plan);
    plan->used = ++c->clock;
    c->compiled++;
}

hone_status hone_plan_cache_get(hone_plan_cache *c, const hone_region *r, const hone_operand *inputs,
                                hone_plan **out, hone_error *err) {
    uint64_t hash = hone_plan_hash(r, inputs);
    pthread_mutex_lock(&c->lock);
    hone_plan *plan = find_plan(c, r, hash, inputs), *made = NULL;
    pthread_mutex_unlock(&c->lock);
    if (!plan) {
        HONE_TRY(hone_plan_make(c->model, r, inputs, c->threads, c->control, &made, err));
        pthread_mutex_lock(&c->lock);
        plan = find_plan(c, r, hash, inputs); /* somebody else's, made meanwhile */
        if (!plan) {
            keep_plan(c, made);
            plan = hone_plan_retain(made);
        }
        pthread_mutex_unlock(&c->lock);
        hone_plan_free(made);
    }
    *out = plan;
    return HONE_OK;
}
