/* One model brought to what its directory and its configuration want: which versions are loaded, taken
 * over, unloaded. On the loader's thread. */
#ifndef HONE_SERVE_MODELS_RECONCILE_H
#define HONE_SERVE_MODELS_RECONCILE_H

#include "serve/models/registry.h"

typedef enum hone_urgency {
    HONE_WHEN_AT_REST, /* what is being written to is left alone; what failed has time */
    HONE_AT_ONCE,      /* nothing waits but for files with holes, which may be filled yet */
    HONE_AS_IT_IS      /* nothing waits: at the start, or somebody asks for this model */
} hone_urgency;

typedef struct hone_reconcile {
    hone_registry *registry;
    hone_urgency urgency;
    bool told;    /* remarks are told at once, not when they have held for a moment */
    bool quiet;   /* whoever asked is told what is wrong: no need to log it */
    bool gently;  /* there are requests: models are made at a lower priority */
    uint64_t due; /* result: when to look again; 0: when something happens */
    /* Called when it is known what is there; `l` is empty if nothing is. */
    void (*watch)(void *user, hone_record *r, const hone_listing *l);
    /* Waits, in case of HONE_RELOAD_REPLACE, until what was unloaded is gone; or for not much longer. */
    void (*drain)(void *user);
    void *user;
} hone_reconcile;

void hone_record_reconcile(hone_reconcile *c, hone_record *r);
/* Unloads everything of it. */
void hone_record_unload(hone_registry *g, hone_record *r);
/* A servable is gone: its version's state becomes END. `s` is not looked into. */
void hone_record_ended(hone_registry *g, hone_record *r, int64_t version, const hone_servable *s);
/* Makes what is loaded follow new settings, which are copied. On failure the old ones stay. */
hone_status hone_record_set_settings(hone_registry *g, hone_record *r, const hone_model_settings *settings,
                                     hone_error *err);
/* Does what is there look different from when it was looked at, or loaded, last? Needs a call of the system for each
 * file, and says so, too, of what can't be opened. */
bool hone_record_has_changed(const hone_record *r);
/* Is nothing of it served, nor about to go? */
bool hone_record_is_gone(const hone_record *r);
/* What is wrong with it: the first of its versions that is wanted and not served, or a label that stands
 * for a version that is not loaded. */
hone_status hone_record_check(const hone_record *r, hone_error *err);
hone_place hone_record_place(const hone_record *r);

#endif
