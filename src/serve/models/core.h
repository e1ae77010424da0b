/* Models, versions and tensors: what every front end serves from. Knows no protocol.
 *
 *      repository, config ──► loader's thread ──► versions ──publish──► servables ◄──find── front ends
 *                                                                                             │ submit
 *                                                        compute threads ◄──── queue ◄────────┤ costly
 *                                                              └─── completions ─► worker ◄───┘ cheap
 *
 * Whoever found a servable may use it until it is released, also when it has been replaced. A worker is a thread
 * that takes requests (an event loop), numbered from 0. */
#ifndef HONE_SERVE_MODELS_CORE_H
#define HONE_SERVE_MODELS_CORE_H

#include "serve/batching/prediction.h"
#include "serve/models/core_options.h"
#include "serve/models/task.h"
#include "serve/models/version_state.h"

#define HONE_LATEST (-1)

typedef struct hone_core hone_core;

/* `model_threads`: threads that one run of a model may use. `stats` is borrowed. */
hone_status hone_core_new(int workers, int model_threads, hone_stats *stats, hone_core **out,
                          hone_error *err);
/* Stops it first. NULL is fine. */
void hone_core_free(hone_core *core);

/* --- where models come from --- */

/* Before hone_core_start. NULL: the defaults. */
hone_status hone_core_configure(hone_core *core, const hone_core_options *options, hone_error *err);
/* A model from a directory with versions in it, or from one ONNX file, which is version 1. Watched. Before
 * hone_core_start. */
hone_status hone_core_add_path(hone_core *core, const char *name, const char *path, hone_error *err);
/* Starts the loader and the compute threads (as many as the system gives). */
hone_status hone_core_start(hone_core *core, hone_error *err);
/* Has everything tried once, and goes on; `loaded` (NULL: nobody) is called when that is done, on the loader's thread,
 * and must not call the core. */
void hone_core_load(hone_core *core, void (*loaded)(void *user), void *user);
/* Was that called, and has not everything been tried yet? */
bool hone_core_is_loading(hone_core *core);
/* Waits until everything has been tried once. Fails if a model that was named (by hone_core_add_path or in the
 * configuration) has no version that could be loaded; what lies in the repository is left to the states.
 * HONE_UNAVAILABLE: it was halted before that. */
hone_status hone_core_wait(hone_core *core, hone_error *err);
/* Any thread: what is being loaded is given up as soon as that can be done, and nothing more is loaded or unloaded:
 * who asks for that gets HONE_UNAVAILABLE. What is served is served on. */
void hone_core_halt(hone_core *core);
/* Ends the loader's and the compute threads; what is queued fails with HONE_UNAVAILABLE. Then, on the calling
 * thread, calls what is left to be called of all workers, which must not run any more. */
void hone_core_stop(hone_core *core);

/* Compiles a graph (which may be freed) and warms it up, on the calling thread. It is there until the core is
 * freed or it is unloaded. HONE_ALREADY_EXISTS if that version of that name is there. */
hone_status hone_core_add(hone_core *core, const char *name, int64_t version, const hone_graph *graph,
                          hone_error *err);

/* --- finding --- */

/* A version, or HONE_LATEST. NULL if there is none; else hone_servable_release() when done. */
hone_servable *hone_core_find(hone_core *core, hone_slice name, int64_t version);
/* Of what is not found: may it be about to be loaded? While everything is tried for the first time, that holds for
 * every name. */
bool hone_core_is_coming(hone_core *core, hone_slice name, int64_t version);
/* HONE_NOT_FOUND: no such model; HONE_INVALID_ARGUMENT: no such label, or its version is not loaded. The
 * message is TensorFlow Serving's. */
hone_status hone_core_find_label(hone_core *core, hone_slice name, hone_slice label, hone_servable **out,
                                 hone_error *err);
/* Calls `fn` for each version of a model that is loaded, newest first; returns how many there are. */
typedef void hone_version_fn(void *user, int64_t version);
int hone_core_versions(hone_core *core, hone_slice name, hone_version_fn *fn, void *user);

/* Valid during the call that gets it. */
typedef struct hone_version_status {
    const char *model;
    int64_t version;
    hone_version_state state;
    hone_status code;    /* HONE_OK, or why it could not be loaded, or its files are not taken over */
    const char *message; /* never NULL */
    size_t bytes;        /* of memory, while it is loaded */
} hone_version_status;
typedef void hone_version_status_fn(void *user, const hone_version_status *v);

/* Calls `fn` for each version that is or was to be served, newest first; of all models, by name, if name.data
 * is NULL. Returns how many there are. `fn` must not call the core. */
int hone_core_states(hone_core *core, hone_slice name, hone_version_status_fn *fn, void *user);
/* Is there such a model, loaded or not? */
bool hone_core_knows(hone_core *core, hone_slice name);
/* Has `changed` called, on whatever thread, when the state of some version has changed; it must not call the core. Before
 * hone_core_start. */
void hone_core_watch(hone_core *core, void (*changed)(void *user), void *user);
/* Calls `fn` for what is not served though it lies where models are looked for, and for models of which nothing is
 * served since something is wrong with their directories or settings, rather than with a version: says why, and what to
 * do. `fn` must not call the core. */
typedef void hone_remark_fn(void *user, const char *name, const char *text);
void hone_core_remarks(hone_core *core, hone_remark_fn *fn, void *user);
/* Calls `fn` for each model that is known, by name, loaded or not (then `latest` is NULL). */
typedef void hone_model_fn(void *user, const char *name, const hone_servable *latest);
int hone_core_models(hone_core *core, hone_model_fn *fn, void *user);

/* --- administration --- carried out on the loader's thread, one after the other */

/* Serves exactly these models from now on; what `set` holds is taken. Those of the repository stay as they
 * are. Done when all are loaded; an error is the first that was met, and the rest is served all the same.
 * HONE_FAILED_PRECONDITION: a label's version is not loaded; the label stays where it was. */
void hone_core_reload(hone_core *core, hone_model_task *t, hone_model_set *set);
/* Loads the versions of a model that the policy wants, now; one that was unloaded is served again.
 * `settings`: as config.json; they hold until that file changes, until a load without settings (data NULL),
 * which goes back to the file's, or until the process ends: they are not written down. HONE_NOT_FOUND:
 * neither configured nor in the repository. */
void hone_core_load_model(hone_core *core, hone_model_task *t, hone_slice name, hone_slice settings);
/* Unloads all versions; it stays so until hone_core_load_model or a reload. */
void hone_core_unload_model(hone_core *core, hone_model_task *t, hone_slice name);
/* Looks at the configuration file and at all directories now, as for SIGHUP. */
void hone_core_refresh(hone_core *core, hone_model_task *t);
/* Any thread, a signal handler too: hone_core_refresh that nobody waits for. */
void hone_core_poke(hone_core *core);

/* --- predictions --- */

/* Before the worker submits anything. A worker without a port runs everything on its own thread, inside
 * hone_core_submit. */
void hone_core_attach(hone_core *core, int worker, const hone_port *port);
/* The worker's thread: runs what was deferred and calls `done` of what is finished. */
void hone_core_turn(hone_core *core, int worker);

/* Runs a prediction, at once or later: `done` may have been called when this returns. Cheap ones run on the
 * worker's thread, those of one turn together; costly ones are queued for the compute threads. Fails (by
 * `done`) with HONE_INVALID_ARGUMENT (names the input that does not fit), HONE_RESOURCE_EXHAUSTED (the queue
 * is full), HONE_DEADLINE_EXCEEDED, HONE_CANCELLED, or as the run does. Counts the stages queue, batch and
 * compute. */
void hone_core_submit(hone_core *core, hone_prediction *p);

/* The worker's thread: as hone_batcher_start_beat and its like. */
void hone_core_start_beat(hone_core *core, int worker, hone_beat *beat);
void hone_core_stop_beat(hone_core *core, int worker, hone_beat *beat);
void hone_core_beat(hone_core *core, int worker);

/* Any thread, of texts too: has `post` called on the worker's thread. Whoever is to post, from another thread than the
 * core's, says so before: stopping waits until as many have posted for the last time as were expected. */
void hone_core_post(hone_core *core, int worker, hone_post *post);
void hone_core_expect(hone_core *core, int change);

/* Has a compute thread do work. */
void hone_core_offload(hone_core *core, hone_work *w);

/* What nobody waits for any more; by the worker that asked. A prediction that is still queued is told now, one that runs
 * is told in its time. True: the work will neither run nor be done. */
void hone_core_withdraw(hone_core *core, hone_prediction *p);
bool hone_core_withdraw_work(hone_core *core, hone_work *w);

#endif
