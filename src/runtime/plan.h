/* A plan: the graph at fixed shapes, as a flat list of steps with offsets into one workspace.
 *
 *   address table   one entry for each value's root buffer, scratch included
 *                   workspace + offset | caller's input | constant or variable
 *   workspace       ┌ a ─────┬ c ──────────┐        a, b, c: buffers; two share bytes when their
 *                   │   b ───────┐ d ──┐   │        lifetimes (first … last step) do not meet
 *
 * Immutable and reference-counted; shared by the contexts of a session. */
#ifndef HONE_RUNTIME_PLAN_H
#define HONE_RUNTIME_PLAN_H

#include "runtime/model.h"

typedef enum hone_place { HONE_PLACE_WORKSPACE, HONE_PLACE_INPUT, HONE_PLACE_FIXED } hone_place;

typedef struct hone_location {
    hone_place place;
    size_t offset; /* WORKSPACE */
    int input;     /* INPUT: which */
    void *fixed;   /* FIXED */
} hone_location;

/* After the run: copy `bytes` from address[source] to address[target]. */
typedef struct hone_plan_copy {
    int source, target;
    size_t bytes;
} hone_plan_copy;

typedef struct hone_plan_output {
    int address;
    hone_type type;
} hone_plan_output;

typedef struct hone_plan {
    atomic_int references;
    hone_arena *arena;
    hone_type *inputs;      /* the concrete types it was made for */
    hone_tensor **contents; /* content of those inputs that inference asked for, else NULL */
    size_t input_count;
    hone_step *steps;
    int step_count;
    hone_location *locations;
    int address_count;
    size_t workspace; /* bytes */
    hone_plan_output *outputs;
    size_t output_count;
    hone_plan_copy *copies;
    size_t copy_count;
    uint64_t used; /* session's clock of the last use, for the LRU */
} hone_plan;

/* Makes a plan for the given inputs (types from the tensors, content where it matters). `threads`: of the
 * pool that will run it, for per-worker scratch. */
hone_status hone_plan_make(hone_model *m, const hone_tensor *const *inputs, int threads, hone_plan **out,
                           hone_error *err);
hone_plan *hone_plan_retain(hone_plan *p);
void hone_plan_free(hone_plan *p); /* gives a reference back */
/* Was the plan made for inputs like these? */
bool hone_plan_fits(const hone_plan *p, const hone_tensor *const *inputs);

#endif
