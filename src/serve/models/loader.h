/* The loader: the thread that reads, compiles, loads and unloads models, so that no event loop ever waits for
 * that. It does one thing after the other: what discovery.h finds, and tasks. */
#ifndef HONE_SERVE_MODELS_LOADER_H
#define HONE_SERVE_MODELS_LOADER_H

#include "serve/batching/batcher.h"
#include "serve/models/registry.h"
#include "serve/models/task.h"

typedef struct hone_model_loader hone_model_loader;

/* Before the first servable. Both are borrowed; tasks are answered by the batcher. */
hone_status hone_model_loader_new(hone_registry *g, hone_batcher *batcher, hone_model_loader **out,
                                  hone_error *err);
/* Starts its thread. */
hone_status hone_model_loader_start(hone_model_loader *l, hone_error *err);
/* Has it look at everything, and goes on; `loaded` (NULL: nobody) is called on its thread when that is done, with its
 * lock held: it must not call the loader. */
void hone_model_loader_begin(hone_model_loader *l, void (*loaded)(void *user), void *user);
/* Has it begun, and is that not done yet? */
bool hone_model_loader_is_beginning(hone_model_loader *l);
/* Waits for that. HONE_OK, or what is wrong with the first model that was named; HONE_UNAVAILABLE: it was halted. */
hone_status hone_model_loader_wait(hone_model_loader *l, hone_error *err);
/* Any thread: gives up what is being loaded as soon as possible, and takes no more tasks: they fail with
 * HONE_UNAVAILABLE. Does not wait. */
void hone_model_loader_halt(hone_model_loader *l);
/* Halts it, and ends its thread. */
void hone_model_loader_stop(hone_model_loader *l);
void hone_model_loader_free(hone_model_loader *l); /* NULL is fine */

/* A servable's last reference is gone. Any thread. */
void hone_model_loader_retire(hone_model_loader *l, hone_servable *s);
/* Has it do a task of that kind. Both texts are copied; data NULL: there is none. */
void hone_model_loader_ask(hone_model_loader *l, hone_model_task *t, hone_slice name, hone_slice text);
/* Takes over a servable that was made elsewhere; waits for it. */
hone_status hone_model_loader_add(hone_model_loader *l, hone_servable *s, hone_error *err);
/* Any thread, a signal handler too: everything is to be looked at. */
void hone_model_loader_poke(hone_model_loader *l);

#endif
