/* A plan: a region at fixed shapes, as a flat list of steps with offsets into one workspace.
 *
 *   region          a run of nodes of a body whose shapes are known when those of its inputs are. It ends before a
 *                   node that needs content which nobody knows yet, and behind one whose output's shape depends on
 *                   data: planning finds that out, nothing declares it. The next region then starts with what the
 *                   last one left, and its plan is made (or found) for the shapes that came out
 *   address table   one entry for each value of the body, and for scratch
 *   workspace       ┌ a ─────┬ c ──────────┐        a, b, c: buffers; two share bytes when their
 *                   │   b ───────┐ d ──┐   │        lifetimes (first … last step) do not meet
 *
 * Immutable and reference-counted; shared by the contexts of a session. */
#ifndef HONE_RUNTIME_PLAN_H
#define HONE_RUNTIME_PLAN_H

#include "graph/run.h"
#include "runtime/body.h"

#include <stdatomic.h>

/* Content of at most so many elements is evaluated while planning. */
#define HONE_PLAN_EVALUATE_MAX 64

/* What a region is given: a tensor by its parts, or a handle: `data` is where a `hone_tensor *` stands that holds items. */
typedef struct hone_operand {
    void *data;
    const int64_t *dims;
    int rank;
    hone_dtype dtype;
    bool handle;
} hone_operand;

static inline hone_operand hone_operand_of(void *data, const hone_type *t) {
    return (hone_operand){data, t->dims, t->rank, t->dtype, t->kind != HONE_KIND_TENSOR};
}

/* The nodes of a body from `start` on, and what they read of what comes before. */
typedef struct hone_region {
    const hone_body *body;
    int start;
    hone_value **inputs; /* for start 0: the graph's inputs, then its captures */
    size_t input_count;
} hone_region;

hone_status hone_region_make(const hone_body *body, int start, hone_region **out, hone_error *err);
void hone_region_free(hone_region *r);

typedef enum hone_place {
    HONE_PLACE_WORKSPACE,
    HONE_PLACE_INPUT,    /* the region's input `index` */
    HONE_PLACE_FIXED,    /* a constant, or what planning has evaluated */
    HONE_PLACE_VARIABLE, /* the variable whose value id is `index` */
    HONE_PLACE_CARRIED   /* lives on behind the region, in the buffer of value id `index` */
} hone_place;

typedef struct hone_location {
    int address; /* which entry of the table */
    hone_place place;
    int index;
    size_t offset; /* bytes, from the start of the place */
    void *fixed;
} hone_location;

/* A buffer that the region leaves behind. */
typedef struct hone_plan_carry {
    int value;    /* id */
    size_t bytes; /* 0: the step that makes it says */
} hone_plan_carry;

/* After the steps: copy `bytes` from address[source] to address[target]. */
typedef struct hone_plan_copy {
    int source, target;
    size_t bytes;
} hone_plan_copy;

typedef struct hone_plan_output {
    int address;
    bool open; /* the type is not concrete: the step that makes it says */
    hone_type type;
    int64_t count; /* elements, unless it is open */
    size_t bytes;
} hone_plan_output;

/* A value that is read behind the region. */
typedef struct hone_plan_export {
    int value; /* id */
    int address;
    hone_type type; /* not concrete: the step that makes it says */
} hone_plan_export;

/* An output of the graph that lies alone in its buffer: it may be computed somewhere else. */
typedef struct hone_plan_movable {
    int output;  /* of the graph */
    int address; /* that moves along with it; one row each */
    size_t offset;
} hone_plan_movable;

typedef struct hone_plan {
    atomic_int references;
    hone_arena *arena;
    const hone_region *region;
    int end;           /* the mark of the node behind the last one; node_count of the body: the last region */
    hone_type *inputs; /* the concrete types it was made for */
    hone_tensor **contents; /* of those inputs whose content inference has read, else NULL */
    size_t input_count;
    hone_tensor **evaluated; /* what planning has computed */
    size_t evaluated_count;
    hone_step *steps;
    int step_count;
    hone_location *locations; /* of all addresses but the inputs' */
    int location_count;
    hone_location *patches; /* of those that follow an input */
    int patch_count;
    int address_count;
    size_t workspace; /* bytes */
    hone_plan_carry *carries;
    size_t carry_count;
    hone_plan_export *exports;
    size_t export_count;
    hone_plan_copy *copies;
    size_t copy_count;
    hone_plan_output *outputs; /* of the graph: in the last region */
    hone_plan_movable *movables;
    size_t movable_count;
    uint64_t hash;         /* of the inputs' types */
    _Atomic uint64_t used; /* session's clock of the last use */
} hone_plan;

struct hone_model;
/* As a descriptor's `prepare`, for the control nodes of a model, which run bodies. */
typedef hone_status hone_control_fn(hone_prepare *p, const struct hone_model *m, hone_error *err);
/* Makes a plan for a region whose inputs are `inputs`. `threads`: of the pool that will run it, for per-worker
 * scratch. */
hone_status hone_plan_make(struct hone_model *m, const hone_region *r, const hone_operand *inputs,
                           int threads, hone_control_fn *control, hone_plan **out, hone_error *err);
hone_plan *hone_plan_retain(hone_plan *p);
void hone_plan_free(hone_plan *p); /* gives a reference back */
/* Was the plan made for inputs like these? */
bool hone_plan_fits(const hone_plan *p, const hone_operand *inputs);
/* The hash by which plans are found. */
uint64_t hone_plan_hash(const hone_region *r, const hone_operand *inputs);

#endif
