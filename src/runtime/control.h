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

#include "runtime/activation.h"

/* As a descriptor's `prepare`, for such a node of a compiled model. */
hone_control_fn hone_control_prepare;

#endif
