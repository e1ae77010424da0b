/* Models, versions and tensors: what every front end serves from. Knows no protocol.
 *
 *      repository, config ──► loader's thread ──► versions ──publish──► servables ◄──find── front ends
 *                                                                                             │ submit
 *                                                        compute threads ◄──── queue ◄────────┤ costly
 *                                                              └─── completions ─► worker ◄───┘ cheap
 *
 * A servable is one version of one model, loaded and warmed up. It is reference-counted: whoever found it may
 * use it until it is released, also when it has been replaced. A worker is a thread that takes requests (an
 * event loop), numbered from 0. */
#ifndef HONE_SERVE_MODELS_CORE_H
#define HONE_SERVE_MODELS_CORE_H

#include "serve/models/model_config.h"
#include "serve/observe/stats.h"
#include "serve/request/head.h"

#include <hone/session.h>

#define HONE_LATEST (-1)

typedef struct hone_core hone_core;
typedef struct hone_servable hone_servable;
typedef struct hone_request hone_request;

/* `model_threads`: threads that one run of a model may use. `stats` is borrowed. */
hone_status hone_core_new(int workers, int model_threads, hone_stats *stats, hone_core **out,
                          hone_error *err);
/* Stops it first. NULL is fine. */
void hone_core_free(hone_core *core);

/* The core's: something to be called on a worker's thread. */
typedef struct hone_core_post {
    struct hone_core_post *next;
    void (*call)(struct hone_core_post *post);
} hone_core_post;

/* --- where models come from --- */

typedef enum hone_reload_policy {
    HONE_RELOAD_OVERLAP, /* a new version is loaded before the old one goes */
    HONE_RELOAD_REPLACE  /* the old one goes first: needs less memory, and requests fail meanwhile */
} hone_reload_policy;

/* Texts are copied. */
typedef struct hone_core_options {
    const char *repository;  /* DIR/NAME/VERSION/model.onnx: every NAME is a model; NULL: none */
    const char *config_file; /* a ModelServerConfig; NULL: none */
    int64_t config_poll_ms;  /* 0: the file is read once, and by hone_core_refresh */
    int64_t file_poll_ms;    /* where directories can't be watched; 0: looked at once, and by refresh */
    hone_reload_policy reload;
    size_t memory_limit; /* bytes of all loaded versions; 0: none */
    int compute_threads; /* that run costly models; 0: as many as workers */
    double inline_cost;  /* seconds; what costs less is run on the worker's thread; < 0: nothing */
    int max_queue;       /* requests that wait for a model whose settings don't say; more are refused */
    const hone_model_settings *defaults; /* what a model's own settings don't say; copied; NULL: the usual */
    bool polling;                        /* never inotify */
    uint64_t stall; /* nanoseconds; when workers take no results for so long, more room is made for them */
    uint64_t retry_least, retry_most; /* nanoseconds between tries to load what failed */
} hone_core_options;
#define HONE_CORE_OPTIONS_INIT                                                                               \
    {                                                                                                        \
        .file_poll_ms = 1000, .inline_cost = 100e-6, .max_queue = 1024, .stall = 50000000u,                  \
        .retry_least = 1000000000u, .retry_most = 60000000000u                                               \
    }

/* Before hone_core_start. NULL: the defaults. */
hone_status hone_core_configure(hone_core *core, const hone_core_options *options, hone_error *err);
/* A model from a directory with versions in it, or from one ONNX file, which is version 1. Watched. Before
 * hone_core_start. */
hone_status hone_core_add_path(hone_core *core, const char *name, const char *path, hone_error *err);
/* Starts the loader and the compute threads (as many as the system gives), and waits until everything has
 * been tried once. Fails if a model that was named (by hone_core_add_path or in the configuration) has no
 * version that could be loaded; what lies in the repository is left to the states. */
hone_status hone_core_start(hone_core *core, hone_error *err);
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
/* HONE_NOT_FOUND: no such model; HONE_INVALID_ARGUMENT: no such label, or its version is not loaded. The
 * message is TensorFlow Serving's. */
hone_status hone_core_find_label(hone_core *core, hone_slice name, hone_slice label, hone_servable **out,
                                 hone_error *err);
/* Calls `fn` for each version of a model that is loaded, newest first; returns how many there are. */
typedef void hone_version_fn(void *user, int64_t version);
int hone_core_versions(hone_core *core, hone_slice name, hone_version_fn *fn, void *user);

/* The life of a version, numbered as in tensorflow.serving.ModelVersionStatus.State. */
typedef enum hone_version_state {
    HONE_VERSION_START = 10,
    HONE_VERSION_LOADING = 20,
    HONE_VERSION_AVAILABLE = 30,
    HONE_VERSION_UNLOADING = 40,
    HONE_VERSION_END = 50
} hone_version_state;
const char *hone_version_state_name(hone_version_state state); /* "AVAILABLE" */

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
/* Calls `fn` for each model that is known, by name, loaded or not (then `latest` is NULL). */
typedef void hone_model_fn(void *user, const char *name, const hone_servable *latest);
int hone_core_models(hone_core *core, hone_model_fn *fn, void *user);

/* --- administration --- carried out on the loader's thread, one after the other */

/* Lives with the caller until `done` was called: by hone_core_turn of `worker`, or on the loader's thread if
 * that is -1, or by hone_core_stop with HONE_UNAVAILABLE. */
typedef struct hone_core_task {
    int worker;
    void (*done)(struct hone_core_task *t, hone_status status, const hone_error *err);
    void *user;
    /* The core's. */
    hone_core_post post;
    struct hone_core_task *next;
    int kind;
    char *name, *text; /* text NULL: none */
    size_t text_size;
    hone_servable *servable;
    hone_model_set set;
    hone_status status;
    hone_error err;
} hone_core_task;

/* Serves exactly these models from now on; what `set` holds is taken. Those of the repository stay as they
 * are. Done when all are loaded; an error is the first that was met, and the rest is served all the same.
 * HONE_FAILED_PRECONDITION: a label's version is not loaded; the label stays where it was. */
void hone_core_reload(hone_core *core, hone_core_task *t, hone_model_set *set);
/* Loads the versions of a model that the policy wants, now; one that was unloaded is served again.
 * `settings`: as config.json; they hold until that file changes, until a load without settings (data NULL),
 * which goes back to the file's, or until the process ends: they are not written down. HONE_NOT_FOUND:
 * neither configured nor in the repository. */
void hone_core_load_model(hone_core *core, hone_core_task *t, hone_slice name, hone_slice settings);
/* Unloads all versions; it stays so until hone_core_load_model or a reload. */
void hone_core_unload_model(hone_core *core, hone_core_task *t, hone_slice name);
/* Looks at the configuration file and at all directories now, as for SIGHUP. */
void hone_core_refresh(hone_core *core, hone_core_task *t);
/* Any thread, a signal handler too: hone_core_refresh that nobody waits for. */
void hone_core_poke(hone_core *core);

/* --- servables --- */

hone_servable *hone_servable_retain(hone_servable *s);
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
/* -1 if there is no such output. */
int hone_servable_find_output(const hone_servable *s, hone_slice name);

/* Runs it on the calling thread as `worker`, whatever it costs. `outputs` are views that are valid until the
 * worker's next run of this servable. HONE_INVALID_ARGUMENT names an input whose shape does not fit. */
hone_status hone_servable_run(hone_servable *s, int worker, const hone_tensor *const *inputs,
                              const hone_tensor **outputs, hone_cancel_fn *cancel, void *user,
                              hone_error *err);

/* --- predictions --- */

/* How the core reaches a worker's thread. */
typedef struct hone_core_port {
    void (*wake)(void *user); /* any thread: hone_core_turn is to be called soon */
    void (*defer)(void *user); /* the worker's thread: … at the end of this turn. NULL: nothing is deferred */
    void *user;
} hone_core_port;
/* Before the worker submits anything. A worker without a port runs everything on its own thread, inside
 * hone_core_submit. */
void hone_core_attach(hone_core *core, int worker, const hone_core_port *port);
/* The worker's thread: runs what was deferred and calls `done` of what is finished. */
void hone_core_turn(hone_core *core, int worker);

typedef struct hone_prediction hone_prediction;
/* On the worker's thread, once. `outputs` (one for each output of the servable) are valid during the call, or
 * until it submits something; NULL if `status` is not HONE_OK, and then `err` says more. The prediction may
 * be freed or submitted again. */
typedef void hone_prediction_fn(hone_prediction *p, hone_status status, const hone_tensor *const *outputs,
                                const hone_error *err);

/* Lives with the caller, as do the tensors, until `done` was called. */
struct hone_prediction {
    hone_servable *servable;          /* the core takes a reference of its own */
    hone_request *request;            /* likewise; its deadline and cancel flag count. NULL: none */
    const hone_tensor *const *inputs; /* one for each input of the servable, in order */
    int worker;
    hone_prediction_fn *done;
    void *user;
    /* What happened, for `done` to read: nanoseconds, and the rows of the run it was part of (0: it is not
     * cut in rows). */
    uint64_t queue_time, batch_time, compute_time;
    int64_t batch_rows;
    /* The core's. */
    hone_prediction *next;
    int64_t rows, offset; /* of the batch; rows < 0: not cut in rows */
    uint64_t submitted, deadline;
    struct hone_batch *batch;
    bool alone;
    hone_status status;
};

/* Runs a prediction, at once or later: `done` may have been called when this returns. Cheap ones run on the
 * worker's thread, those of one turn together; costly ones are queued for the compute threads. Fails (by
 * `done`) with HONE_INVALID_ARGUMENT (names the input that does not fit), HONE_RESOURCE_EXHAUSTED (the queue
 * is full), HONE_DEADLINE_EXCEEDED, HONE_CANCELLED, or as the run does. Counts the stages queue, batch and
 * compute. */
void hone_core_submit(hone_core *core, hone_prediction *p);

/* Other work that is too long for a worker's thread: `run` on a compute thread, then `done` on the worker's.
 * Lives with the caller until then. */
typedef struct hone_core_work {
    int worker;
    void (*run)(struct hone_core_work *w);
    void (*done)(struct hone_core_work *w);
    void *user;
    /* The core's. */
    hone_core_post post;
    struct hone_core_work *next;
} hone_core_work;
void hone_core_offload(hone_core *core, hone_core_work *w);

#endif
