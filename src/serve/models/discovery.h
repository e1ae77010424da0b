/* Which models there are, by the repository, the configuration file and what was added, and when each is to be
 * looked at (reconcile.h), by changes in directories, the clock, and being asked. On the loader's thread. */
#ifndef HONE_SERVE_MODELS_DISCOVERY_H
#define HONE_SERVE_MODELS_DISCOVERY_H

#include "base/file.h"
#include "serve/models/reconcile.h"
#include "serve/models/watch.h"

typedef struct hone_discovery {
    hone_registry *registry;
    hone_watch *watch;
    uint64_t config_due, poll_due, root_due; /* when to look next; 0: never */
    hone_blob config,
        config_seen;        /* the file as it was applied last, and as it looked when it had just changed */
    char config_error[600]; /* likewise */
    bool root_dirty, root_blind, root_elsewhere; /* as of a record */
    hone_fingerprint root;
    char root_error[600];
    bool starting; /* what fails is told to whoever starts it */
    /* Waits until what was unloaded is gone, or for ten seconds. */
    void (*drain)(void *user);
    void *user;
} hone_discovery;

void hone_discovery_free(hone_discovery *d); /* what it holds */

/* A model from a directory with versions in it, or from one file. Before the loader is started. */
hone_status hone_discovery_add_path(hone_registry *g, const char *name, const char *path, hone_error *err);

void hone_discovery_reconcile(hone_discovery *d, hone_record *r, hone_urgency urgency); /* one model */
void hone_discovery_reconcile_dirty(hone_discovery *d, hone_urgency urgency);
/* Everything is to be looked at. */
void hone_discovery_mark_all(hone_discovery *d);
/* What looks different is, and what directories do not tell of. Finds what no directory that is watched can tell of: a
 * link on the way that leads elsewhere by now, a file that is held open by who writes to it. */
void hone_discovery_glance(hone_discovery *d);
/* Serves exactly this set, of which it takes parts; returns the first thing that is wrong with it.
 * `bounded`: by the repository, if there is one. */
hone_status hone_discovery_apply(hone_discovery *d, hone_model_set *set, bool bounded, hone_error *err);
hone_status hone_discovery_look_at_root(hone_discovery *d, hone_error *err);
/* Reads the configuration file, and applies it if it has changed or `force`. Unless forced, a change must
 * look the same twice, so that nothing is made of a file that is just being written. */
hone_status hone_discovery_read_config(hone_discovery *d, bool force, hone_error *err);
/* Takes what directories tell: what it is about is to be looked at. */
void hone_discovery_read_events(hone_discovery *d);

#endif
