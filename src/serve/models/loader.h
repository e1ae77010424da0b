/* The inside of the loader: the thread that reads, compiles, loads and unloads models, so that no event
 * loop ever waits for that. What it does is one model after the other (reconcile.h); what it does it for
 * are changes in directories and in the configuration, the clock, and tasks. */
#ifndef HONE_SERVE_MODELS_LOADER_H
#define HONE_SERVE_MODELS_LOADER_H

#include "serve/models/reconcile.h"
#include "serve/models/watch.h"

struct hone_model_loader {
    hone_core *core;
    pthread_t thread;
    bool running;
    int wake_fd;
    hone_watch *watch;
    uint64_t config_due, poll_due;
    hone_blob config,
        config_seen;        /* the file as it was applied last, and as it looked when it had just changed */
    char config_error[600]; /* likewise */
    bool root_dirty, root_blind;
    bool starting;         /* what fails is told to whoever starts it */
    pthread_mutex_t lock;  /* guards what follows */
    pthread_cond_t change; /* of the next three */
    bool begun, ready, stop;
    hone_core_task *tasks, *last_task;
    hone_servable *retired;
    hone_status first_status;
    hone_error first_error;
};

/* --- sources.c: which models there are --- */

/* One model; `at_once`: files need not settle, and what failed is tried again. */
void hone_model_loader_reconcile(hone_model_loader *l, hone_record *r, bool at_once);
void hone_model_loader_reconcile_dirty(hone_model_loader *l, bool at_once);
/* Everything is to be looked at. */
void hone_model_loader_mark_all(hone_model_loader *l);
/* Serves exactly this set, of which it takes parts; returns the first thing that is wrong with it.
 * `bounded`: by the repository, if there is one. */
hone_status hone_model_loader_apply(hone_model_loader *l, hone_model_set *set, bool bounded, hone_error *err);
hone_status hone_model_loader_look_at_root(hone_model_loader *l, hone_error *err);
/* Reads the configuration file, and applies it if it has changed or `force`. Unless forced, a change must
 * look the same twice, so that nothing is made of a file that is just being written. */
hone_status hone_model_loader_read_config(hone_model_loader *l, bool force, hone_error *err);
void hone_model_loader_note_event(void *loader, const char *owner);
/* Is nothing of it served, nor about to go? */
bool hone_record_is_gone(const hone_record *r);

/* --- loader.c --- */

/* Waits until what was unloaded is gone, or for ten seconds. */
void hone_model_loader_drain(void *loader);

#endif
