/* Models, versions and tensors: what every front end serves from. Knows no protocol.
 *
 * A servable is one version of one model, loaded, with a context for each worker (a thread that computes,
 * numbered from 0). It is reference-counted: whoever found it may use it until it is released, also when it
 * has been replaced. */
#ifndef HONE_SERVE_CORE_H
#define HONE_SERVE_CORE_H

#include "serve/head.h"
#include "serve/stats.h"

#include <hone/session.h>

#define HONE_LATEST (-1)

typedef struct hone_core hone_core;
typedef struct hone_servable hone_servable;

/* `model_threads`: threads that one run of a model may use. `stats` is borrowed. */
hone_status hone_core_new(int workers, int model_threads, hone_stats *stats, hone_core **out,
                          hone_error *err);
void hone_core_free(hone_core *core); /* NULL is fine */

/* Compiles a graph (which may be freed) and runs it once with zeros where its shapes allow.
 * HONE_ALREADY_EXISTS if that version of that name is there. */
hone_status hone_core_add(hone_core *core, const char *name, int64_t version, const hone_graph *graph,
                          hone_error *err);
/* As hone_core_add, from an ONNX file. */
hone_status hone_core_load(hone_core *core, const char *name, int64_t version, const char *path,
                           hone_error *err);

/* A version, or HONE_LATEST. NULL if there is none; else hone_servable_release() when done. */
hone_servable *hone_core_find(hone_core *core, hone_slice name, int64_t version);
/* Calls `fn` for each version of a model, newest first; returns how many there are. */
typedef void hone_version_fn(void *user, int64_t version);
int hone_core_versions(hone_core *core, hone_slice name, hone_version_fn *fn, void *user);

void hone_servable_release(hone_servable *s); /* NULL is fine */
const char *hone_servable_name(const hone_servable *s);
int64_t hone_servable_version(const hone_servable *s);
hone_model_stats *hone_servable_stats(hone_servable *s);
const hone_graph *hone_servable_signature(const hone_servable *s);

int hone_servable_input_count(const hone_servable *s);
int hone_servable_output_count(const hone_servable *s);
/* Borrowed. The index must be in range. */
const hone_value_info *hone_servable_input(const hone_servable *s, int index);
const hone_value_info *hone_servable_output(const hone_servable *s, int index);
/* -1 if there is no such input. */
int hone_servable_find_input(const hone_servable *s, hone_slice name);

/* Runs it on the calling thread as `worker`. `outputs` are views that are valid until the worker's next run
 * of this servable. HONE_INVALID_ARGUMENT names an input whose shape does not fit. */
hone_status hone_servable_run(hone_servable *s, int worker, const hone_tensor *const *inputs,
                              const hone_tensor **outputs, hone_cancel_fn *cancel, void *user,
                              hone_error *err);

#endif
