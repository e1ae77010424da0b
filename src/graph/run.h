/* The contract between operators and the executor: what a descriptor's `prepare` gets and gives, and what its
 * `run` sees. Operators include this; the executor (src/runtime) carries it out.
 *
 *   prepare  once for each combination of shapes: choose, pack constants, state scratch, set run and params
 *   run      no allocation, no decisions: addresses come from the frame, everything else from params */
#ifndef HONE_GRAPH_RUN_H
#define HONE_GRAPH_RUN_H

#include "base/pool.h"
#include "graph/op.h"

/* One step of a plan: an operator at fixed shapes. Immutable while it runs. */
struct hone_step {
    hone_run_fn *run;
    const void *params;
    const int *in, *out; /* indices into frame->address; -1: left out */
    int in_count, out_count;
    int scratch, worker_scratch; /* likewise; -1: none */
    size_t worker_scratch_size;
    const hone_node *node;
    const char *kernel;
};

/* One run of a plan: the addresses of all its values, and the threads. */
struct hone_frame {
    void **address;
    hone_pool *pool; /* may be NULL: one thread */
};

static inline void *hone_step_in(const hone_step *s, const hone_frame *f, int i) {
    return i < s->in_count && s->in[i] >= 0 ? f->address[s->in[i]] : NULL;
}
static inline void *hone_step_out(const hone_step *s, const hone_frame *f, int i) {
    return i < s->out_count && s->out[i] >= 0 ? f->address[s->out[i]] : NULL;
}
/* Shared scratch of hone_prepare.scratch bytes, aligned to 64. */
static inline void *hone_step_scratch(const hone_step *s, const hone_frame *f) {
    return f->address[s->scratch];
}
/* Scratch of one worker, hone_prepare.worker_scratch bytes, aligned to 64. */
static inline void *hone_step_worker_scratch(const hone_step *s, const hone_frame *f, int worker) {
    return (char *)f->address[s->worker_scratch] + (size_t)worker * s->worker_scratch_size;
}

/* HONE_INVALID_ARGUMENT naming the step's node: for `run`. */
hone_status hone_step_fail(const hone_step *s, hone_error *err, const char *format, ...) HONE_PRINTF(3, 4);

/* Below this many nanoseconds of work a step stays on the caller: a hand-off costs some microseconds. */
#define HONE_PARALLEL_NANOSECONDS 20000
/* The pool to use for work of about `nanoseconds` in all: NULL when it should stay on the caller. */
static inline hone_pool *hone_frame_pool(const hone_frame *f, double nanoseconds) {
    return nanoseconds >= HONE_PARALLEL_NANOSECONDS ? f->pool : NULL;
}

struct hone_prepare {
    const hone_node *node;
    const hone_type *const *in; /* concrete; NULL: left out */
    const hone_type *out;
    int in_count, out_count;
    const hone_tensor *const *constant; /* the content of constant inputs, else NULL */
    hone_arena *arena;                  /* of what lives as long as the plan */
    struct hone_packs *packs;           /* the model's store of packed constants */
    /* to set: */
    hone_run_fn *run;
    const void *params; /* of hone_prepare_alloc, or static */
    size_t scratch, worker_scratch;
    const char *kernel; /* for profiles; a literal */
};

/* Memory that lives as long as the plan, zero-filled; NULL when out of memory. */
void *hone_prepare_alloc(hone_prepare *p, size_t size);

/* Makes the packed form of a constant into `out` (`bytes` of it, aligned to 64). */
typedef void hone_pack_fn(const hone_tensor *t, const void *arg, void *out);
/* The packed form of constant `t`, made once for each (t, format) of the model and shared by all plans.
 * `format` is a literal that names what pack does to t, arg included. NULL (and err) when out of memory. */
const void *hone_prepare_pack(hone_prepare *p, const hone_tensor *t, const char *format, size_t bytes,
                              hone_pack_fn *pack, const void *arg, hone_error *err);
/* HONE_UNSUPPORTED naming the node. */
hone_status hone_prepare_fail(const hone_prepare *p, hone_error *err, const char *format, ...)
    HONE_PRINTF(3, 4);

#endif
