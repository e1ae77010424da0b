/* Running graphs. Three objects:
 *
 *   model     compiled once, immutable, shared by all: constants, packed weights
 *   session   options (threads) and the plans, one for each combination of input shapes, in a small LRU
 *   context   one a thread: a workspace and the last plan; a repeated shape costs one compare and no lock
 *
 * Running a context whose plan exists allocates nothing. Any number of threads gives the same bits. */
#ifndef HONE_SESSION_H
#define HONE_SESSION_H

#include <hone/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hone_model hone_model;
typedef struct hone_session hone_session;
typedef struct hone_context hone_context;

typedef struct hone_model_options {
    size_t size;
    /* Names of rewrites that are switched off, separated by commas; "all" for none at all. NULL: all rewrites
     * run. */
    const char *disable_rewrites;
    int threads; /* that pack weights; 0: one for each available CPU */
    hone_precision precision;
    /* Weights of few bits become float32 once and for all: more memory, less work for whoever runs many rows at a time, as
     * training does. */
    bool unpack_weights;
} hone_model_options;
#define HONE_MODEL_OPTIONS_INIT                                                                              \
    { .size = sizeof(hone_model_options) }

/* Compiles a graph, which is copied and may be freed. `options` NULL: the defaults. Fails with
 * HONE_UNSUPPORTED when an operator lacks a kernel for its types. On success `*out` belongs to the caller:
 * hone_model_free(). */
HONE_API hone_status hone_model_compile(const hone_graph *g, const hone_model_options *options,
                                        hone_model **out, hone_error *err);
/* The same for a graph that is not needed any more: it is freed in any case. Its weights are then in memory once, where
 * otherwise those that kernels want in a form of their own are there in both. */
HONE_API hone_status hone_model_take(hone_graph *g, const hone_model_options *options, hone_model **out,
                                     hone_error *err);
HONE_API hone_model *hone_model_retain(hone_model *m);
HONE_API void hone_model_free(hone_model *m);
/* The inputs, outputs and metadata of the graph that was compiled; nodes and weights it has none. Borrowed. */
HONE_API const hone_graph *hone_model_signature(const hone_model *m);
/* Bytes of constants and packed weights; what is mapped is not counted. */
HONE_API size_t hone_model_bytes(const hone_model *m);

typedef struct hone_session_options {
    size_t size;
    int threads; /* in all, the caller included; 0: one for each available CPU. The process has one pool of threads
                      for all sessions that ask for the same number */
    int max_plans; /* plans kept; those unused for longest go */
} hone_session_options;
#define HONE_SESSION_OPTIONS_INIT                                                                            \
    { .size = sizeof(hone_session_options), .threads = 1, .max_plans = 64 }

/* Holds a reference to the model. */
HONE_API hone_status hone_session_create(hone_model *m, const hone_session_options *options,
                                         hone_session **out, hone_error *err);
HONE_API void hone_session_free(hone_session *s); /* after its contexts */
HONE_API const hone_model *hone_session_model(const hone_session *s);
/* Plans compiled so far. */
HONE_API uint64_t hone_session_plans_compiled(const hone_session *s);

HONE_API hone_status hone_context_create(hone_session *s, hone_context **out, hone_error *err);
HONE_API void hone_context_free(hone_context *c);

/* Runs the graph. `inputs` has one tensor for each input of the signature, in order; they are read during the
 * call only. `outputs` (one entry for each output) gets views that the context owns, valid until its next run
 * or free. The bytes of strings in them may be those of the inputs, too: they are valid as long as those are.
 * HONE_INVALID_ARGUMENT names an input whose dtype or shape does not fit. One context serves one
 * thread at a time. Subnormal numbers count as zero while it runs. */
HONE_API hone_status hone_context_run(hone_context *c, const hone_tensor *const *inputs,
                                      const hone_tensor **outputs, hone_error *err);

/* Makes the plan and the memory for inputs like these without running: `inputs` tell shapes, and content where shapes
 * depend on it. Fails as hone_context_run does. What depends on data that is computed on the way is planned when it is
 * there. */
HONE_API hone_status hone_context_reserve(hone_context *c, const hone_tensor *const *inputs, hone_error *err);
/* From now on output `index` goes into `t`, which the caller keeps alive and whose shape it must have at each run, and
 * which may not overlap an input. It is computed there wherever possible, else copied; strings are copied, so that `t`
 * has its own. NULL: as before. */
HONE_API hone_status hone_context_bind_output(hone_context *c, int index, hone_tensor *t, hone_error *err);

/* State of a model: its variables, by name. A model has a first content of each, which all contexts share unless they
 * get some of their own. */
typedef struct hone_variables hone_variables;
/* A copy of what the model's variables hold now; `*out` belongs to the caller: hone_variables_free(). */
HONE_API hone_status hone_variables_copy_of(const hone_model *m, hone_variables **out, hone_error *err);
HONE_API void hone_variables_free(hone_variables *v); /* gives a reference back; NULL is fine */
/* The tensor of that name, borrowed and writable; NULL if there is none. */
HONE_API hone_tensor *hone_variables_get(const hone_variables *v, const char *name);
/* The context's runs read and write these from now on (a reference is held); NULL: the model's own. Contexts with
 * variables of their own run at the same time. HONE_INVALID_ARGUMENT names a variable that is missing or of another
 * type. */
HONE_API hone_status hone_context_set_variables(hone_context *c, hone_variables *v, hone_error *err);

/* What random operators give follows from `seed` and the number of the run, which is `run` for the context's next run and
 * grows by one at each; of nodes that have a seed, from that one and the number of the run. The generator is Philox4x32-10
 * (Salmon et al., SC 2011), so neither threads nor time have a say. Until it is set a context has a seed of its own that
 * the system gave, and counts from 0. */
HONE_API void hone_context_set_random(hone_context *c, uint64_t seed, uint64_t run);

/* Memory for intermediate values. A context has one of its own; contexts that run on the same thread may share one.
 * Outputs are then valid until any of them runs again. */
typedef struct hone_workspace hone_workspace;
HONE_API hone_status hone_workspace_create(hone_workspace **out, hone_error *err);
HONE_API void hone_workspace_free(hone_workspace *w); /* gives a reference back; NULL is fine */
HONE_API void hone_context_set_workspace(hone_context *c, hone_workspace *w); /* holds a reference */

/* Asked between steps; true ends the run with HONE_CANCELLED, and variables may then be updated in part. NULL:
 * never. */
typedef bool hone_cancel_fn(void *user);
HONE_API void hone_context_set_cancel(hone_context *c, hone_cancel_fn *fn, void *user);

/* One step of the plan that was run last: for profiles. */
typedef struct hone_step_info {
    const char *node, *op, *kernel; /* borrowed from the session */
    double microseconds;            /* of the last run with profiling on */
} hone_step_info;
HONE_API void hone_context_set_profiling(hone_context *c, bool on);
HONE_API int hone_context_step_count(const hone_context *c);
HONE_API bool hone_context_step(const hone_context *c, int index, hone_step_info *out);
/* Bytes of the workspace. */
HONE_API size_t hone_context_workspace(const hone_context *c);

#ifdef __cplusplus
}
#endif
#endif
