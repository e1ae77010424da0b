/* Inside of sessions and contexts: who runs what.
 *
 *   session   model, pool, plans
 *   context   ─ activation of body 0 ─ entry of region 0: the last plan, its address table
 *             │                       └ entry of region 1: …
 *             └ activation of body 1 (a branch of an If) ─ entries …
 *
 * Values that are read behind their region lie in the activation's carried buffers; all else is in the workspace. */
#ifndef HONE_RUNTIME_ACTIVATION_H
#define HONE_RUNTIME_ACTIVATION_H

#include "base/pool.h"
#include "runtime/cache.h"
#include "runtime/loop_state.h"

struct hone_session {
    hone_model *model;
    hone_pool *pool;
    hone_plan_cache *plans;
};

/* A region as a context ran it last. */
typedef struct hone_entry {
    const hone_region *region;
    hone_plan *plan; /* NULL: none yet */
    void **address;
    size_t address_capacity;
    hone_operand *inputs;            /* of regions behind the first: what they are given */
    const void *base;                /* the workspace for which addresses were resolved */
    const hone_variables *variables; /* likewise; NULL: the model's own */
    bool moved;                      /* outputs were bound elsewhere */
    double *microseconds;            /* of each step */
    size_t microseconds_capacity;
} hone_entry;

/* A body as a context runs it. */
typedef struct hone_activation {
    const hone_body *body;
    hone_entry *entries; /* the first one is region 0's */
    size_t entry_count, entry_capacity;
    hone_entry *last;      /* the one that gave the outputs */
    hone_operand *values;  /* by value id: what regions left behind; NULL: there was one region only */
    hone_carried *carried; /* by value id, likewise */
    hone_loop_state *loop; /* of the node that runs it again and again; NULL: none yet */
} hone_activation;

struct hone_context {
    hone_session *session;
    hone_workspace *workspace;
    hone_variables *variables;    /* NULL: the model's own */
    hone_activation *activations; /* by body */
    hone_operand *inputs;         /* of the main graph */
    const hone_tensor **handles;  /* by input: those that hold items */
    hone_tensor *outputs;         /* views of the last run's results */
    hone_tensor **bound;          /* by output: where the caller wants it; NULL: nowhere */
    size_t bound_count;
    hone_kept kept; /* of the last run */
    hone_cancel_fn *cancel;
    void *cancel_user;
    hone_growth growth;
    bool profiling;
    hone_draws draws; /* `run`: of the next run */
};

/* What a frame's owner is while an entry runs. */
typedef struct hone_running {
    hone_context *context;
    hone_activation *body;
    hone_entry *entry;
} hone_running;

/* Runs a body on inputs and captures; its outputs are then hone_activation_output's. `fits`: the caller knows that the
 * last plan of region 0 was made for inputs like these. */
hone_status hone_activation_run(hone_context *c, hone_activation *a, const hone_operand *inputs, bool fits,
                                hone_error *err);
/* Output `index` of the last run: valid until the body, or another one of its depth, runs again. */
hone_operand hone_activation_output(const hone_activation *a, size_t index);
/* The region's entry, with a plan for `inputs` adopted. */
hone_status hone_activation_enter(hone_context *c, hone_activation *a, int start, const hone_operand *inputs,
                                  bool fits, hone_entry **out, hone_error *err);
void hone_activation_clear(hone_activation *a);
/* Bytes that outlive a region or a run of the body. */
size_t hone_activation_bytes(const hone_activation *a);

#endif
