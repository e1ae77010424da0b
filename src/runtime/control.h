/* Control nodes: steps that run other bodies. If runs one of two, Loop and Scan run one again and again.
 *
 *   inputs of the node ──► operands of the body ──► its regions, one level of the workspace deeper ──► its outputs
 *                              ▲                                                                          │
 *                              └── carried values, in buffers of the body's activation ◄──────────────────┘
 *
 * A body's outputs lie in its own workspace or in its carried buffers, never in what it was given: so one buffer for
 * each carried value is enough. */
#ifndef HONE_RUNTIME_CONTROL_H
#define HONE_RUNTIME_CONTROL_H

#include "runtime/session.h"

bool hone_is_control(const hone_node *n);
/* As a descriptor's `prepare`, for such a node of a compiled model. */
hone_status hone_control_prepare(hone_prepare *p, const hone_model *m, hone_error *err);
/* What a body keeps from run to run for the node that runs it. */
void hone_loop_state_free(struct hone_loop_state *s);

#endif
