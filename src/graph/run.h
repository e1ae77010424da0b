/* The contract between operators and the executor: what a descriptor's `pack` and `prepare` get and give, and
 * what its `run` sees. Operators include this; the executor (src/runtime) carries it out.
 *
 *   pack     once a model, after the last rewrite: say which constants to lay out anew, and how
 *   prepare  once for each combination of shapes: choose, find packed constants, state scratch, set run and params
 *   run      no allocation, no decisions: addresses come from the frame, everything else from params */
#ifndef HONE_GRAPH_RUN_H
#define HONE_GRAPH_RUN_H

#include "base/pool.h"
#include "base/random.h"
#include "graph/op.h"

#include <string.h>

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

/* Memory for output `o` of a running step, whose shape only the step knows: *data is aligned to 64 bytes and the step's
 * to fill. The address of the output is set, too. */
typedef hone_status hone_output_fn(hone_frame *f, const hone_step *s, int o, int rank, const int64_t *dims,
                                   void **data, hone_error *err);

/* Tensors that a run has made beside its values: the bytes of strings, the items of sequences. They are there as long as
 * the run's results. */
typedef struct hone_kept {
    hone_tensor **tensors;
    size_t count, capacity;
} hone_kept;
/* Takes the caller's reference over, also on failure. */
hone_status hone_kept_add(hone_kept *k, hone_tensor *t, hone_error *err);
void hone_kept_clear(hone_kept *k);

/* Where a context's random numbers come from: draw number `draw` of run number `run` has a stream of its own. */
typedef struct hone_draws {
    uint64_t seed, run;
    uint32_t draw;
} hone_draws;

/* One run of a plan: the addresses of all its values, and the threads. */
struct hone_frame {
    void **address;
    hone_pool *pool;        /* may be NULL: one thread */
    hone_output_fn *output; /* for outputs whose type inference leaves open */
    void *owner;            /* the executor's */
    hone_kept *kept;        /* what steps make beside their outputs, by hone_kept_add */
    hone_draws *draws;      /* NULL where nodes are evaluated: none of them draws */
};

static inline void *hone_step_in(const hone_step *s, const hone_frame *f, int i) {
    return i < s->in_count && s->in[i] >= 0 ? f->address[s->in[i]] : NULL;
}
static inline void *hone_step_out(const hone_step *s, const hone_frame *f, int i) {
    return i < s->out_count && s->out[i] >= 0 ? f->address[s->out[i]] : NULL;
}
/* Shared scratch of hone_prepare.scratch bytes, aligned to 64; NULL if that is 0. */
static inline void *hone_step_scratch(const hone_step *s, const hone_frame *f) {
    return s->scratch >= 0 ? f->address[s->scratch] : NULL;
}
/* Scratch of one worker, hone_prepare.worker_scratch bytes, aligned to 64; NULL if that is 0. */
static inline void *hone_step_worker_scratch(const hone_step *s, const hone_frame *f, int worker) {
    if (s->worker_scratch < 0) return NULL;
    return (char *)f->address[s->worker_scratch] + (size_t)worker * s->worker_scratch_size;
}

/* The generator of the next draw: of the context's seed, or of one that the node has. */
static inline hone_random hone_frame_random(hone_frame *f, const float *seed) {
    uint32_t bits = 0;
    if (seed) memcpy(&bits, seed, sizeof bits);
    return (hone_random){seed ? bits : f->draws->seed, f->draws->run << 24 ^ f->draws->draw++};
}

/* HONE_INVALID_ARGUMENT naming the step's node: for `run`. */
hone_status hone_step_fail(const hone_step *s, hone_error *err, const char *format, ...) HONE_PRINTF(3, 4);

/* Below this many nanoseconds of work a step stays on the caller: a hand-off costs some microseconds. */
#define HONE_PARALLEL_NANOSECONDS 20000
/* The pool to use for work of about `nanoseconds` in all: NULL when it should stay on the caller. */
static inline hone_pool *hone_frame_pool(const hone_frame *f, double nanoseconds) {
    return nanoseconds >= HONE_PARALLEL_NANOSECONDS ? f->pool : NULL;
}

/* --- packing --- */

/* Packs part number `part` of a constant from `source`, its bytes, to `out`, the packed form, aligned to 64 and
 * zero-filled before its first part. Parts run in any order, on several threads at once. */
typedef void hone_pack_fn(const void *source, const void *arg, int64_t part, void *out);

/* A packed form of a constant. Part i reads the `part_bytes` bytes of it from i * part_bytes on, and no others: so
 * the source can go as the packed form comes. Parts of about HONE_PACK_PART bytes serve both threads and memory. */
typedef struct hone_packing {
    const char *format; /* names the form, copied: one constant has each form once, whoever reads it */
    size_t bytes;       /* of the packed form */
    size_t part_bytes;  /* of the constant: some rows of it, or whatever can be packed alone */
    bool direct; /* kernels can also read the constant as it lies: one that is mapped is then left alone */
    hone_pack_fn *pack;
    const void *arg; /* `arg_size` bytes, copied */
    size_t arg_size;
} hone_packing;
#define HONE_PACK_PART ((size_t)1 << 20)

/* Rows of `row` bytes each in a part: a multiple of `unit`. */
static inline int64_t hone_pack_rows(size_t row, int64_t unit) {
    int64_t units = (int64_t)(HONE_PACK_PART / (row ? row : 1)) / unit;
    return units > 1 ? units * unit : unit;
}

/* What the model was compiled for: float32 weights may be rounded accordingly. */
hone_precision hone_packer_precision(const hone_packer *p);
/* Packs constant `input` of the node that is asked, which then reads it by hone_prepare_packed(), and only if that
 * gives NULL as it lies: a constant that all its readers have packed is freed. At most once an input. Where the input is
 * no constant nothing happens. */
hone_status hone_pack_constant(hone_packer *p, int input, const hone_packing *packing, hone_error *err);

/* --- preparing --- */

struct hone_prepare {
    const hone_node *node;
    const hone_type *const *in; /* concrete; NULL: left out */
    const hone_type *out;
    int in_count, out_count;
    const hone_tensor *const *constant; /* the content of constant inputs, else NULL: also of those packed */
    hone_arena *arena;                  /* of what lives as long as the plan */
    struct hone_packs *packs;           /* the model's store of packed constants */
    const hone_graph *main;             /* the model's main graph; NULL: a node is evaluated by itself */
    hone_precision precision;
    /* to set: */
    hone_run_fn *run;
    const void *params; /* of hone_prepare_alloc, or static */
    size_t scratch, worker_scratch;
    const char *kernel; /* for profiles; a literal */
};

/* Memory that lives as long as the plan, zero-filled; NULL when out of memory. */
void *hone_prepare_alloc(hone_prepare *p, size_t size);

/* The packed form that `pack` asked for constant `input` in; NULL: it has none. */
const void *hone_prepare_packed(const hone_prepare *p, int input, const char *format);
/* HONE_UNSUPPORTED naming the node. */
hone_status hone_prepare_fail(const hone_prepare *p, hone_error *err, const char *format, ...)
    HONE_PRINTF(3, 4);

#endif
