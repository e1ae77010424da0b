/* The inside of event files. A record, all little endian, is
 *
 *   length (8 bytes) | masked CRC of the length (4) | a serialized Event | masked CRC of it (4) */
#ifndef HONE_MONITOR_EVENTS_H
#define HONE_MONITOR_EVENTS_H

#include "monitor/event.pb-c.h"

#include <hone/monitor.h>

/* A GraphDef of the graph, serialized. On success `*data` is the caller's: hone_free(). */
hone_status hone_graph_def(const hone_graph *g, uint8_t **data, size_t *size, hone_error *err);

#endif
