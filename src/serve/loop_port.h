/* Ties an event loop to the core: predictions that were deferred run when the loop has parsed what was
 * there to parse, and those that compute threads have finished wake it. */
#ifndef HONE_SERVE_LOOP_PORT_H
#define HONE_SERVE_LOOP_PORT_H

#include "serve/models/core.h"
#include "serve/net/loop.h"

typedef struct hone_loop_port hone_loop_port;

/* Before the loop runs; its index is the worker's. `beat_ms`: how often beats are called; 0: never. */
hone_status hone_loop_port_new(hone_core *core, hone_loop *loop, int beat_ms, hone_loop_port **out,
                               hone_error *err);
/* When the core has stopped, before the loop is freed. NULL is fine. */
void hone_loop_port_free(hone_loop_port *p);

#endif
