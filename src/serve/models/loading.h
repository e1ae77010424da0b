/* One version, loaded from its files beside what is served of it, and unloaded. On the loader's thread.
 *
 *      its files rest ──► read ──► they rested, and are as they were read ──► warmed up ──► published
 *            ▲                                  │ no: put off
 *            └──────────────────────────────────┘
 *
 * Which files a model has beside its own is known when it has been read. */
#ifndef HONE_SERVE_MODELS_LOADING_H
#define HONE_SERVE_MODELS_LOADING_H

#include "serve/models/reconcile.h"

/* Is it wanted, other than what is served, not being written to, and not waiting to be tried again? */
bool hone_version_should_load(hone_reconcile *c, const hone_record *r, hone_version *v, uint64_t now);
void hone_version_load(hone_reconcile *c, hone_record *r, hone_version *v);
void hone_version_unload(hone_registry *g, hone_record *r, hone_version *v);

/* Have files that look like `is` been left alone for a moment? Else looks again. */
bool hone_reconcile_rests(hone_reconcile *c, hone_rest *rest, const hone_print *is, int early, uint64_t now);
void hone_reconcile_look_again(hone_reconcile *c, uint64_t at);

#endif
