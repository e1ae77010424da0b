/* Ties an event loop to the core: predictions that were deferred run when the loop has parsed what was
 * there to parse, and those that compute threads have finished wake it. */
#ifndef HONE_SERVE_TURNS_H
#define HONE_SERVE_TURNS_H

#include "serve/models/core.h"
#include "serve/net/loop.h"

typedef struct hone_turns hone_turns;

/* Before the loop runs; its index is the worker's. */
hone_status hone_turns_new(hone_core *core, hone_loop *loop, hone_turns **out, hone_error *err);
/* When the core has stopped, before the loop is freed. NULL is fine. */
void hone_turns_free(hone_turns *t);

#endif
