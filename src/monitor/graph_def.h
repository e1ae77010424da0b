/* Graphs for event files. */
#ifndef HONE_MONITOR_GRAPH_DEF_H
#define HONE_MONITOR_GRAPH_DEF_H

#include "monitor/event.pb-c.h"

#include <hone/monitor.h>

/* A GraphDef of the graph, serialized. On success `*data` is the caller's: hone_free(). */
hone_status hone_graph_def(const hone_graph *g, uint8_t **data, size_t *size, hone_error *err);

#endif
