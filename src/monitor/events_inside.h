/* What the kinds of events share. Private to this room. */
#ifndef HONE_MONITOR_EVENTS_INSIDE_H
#define HONE_MONITOR_EVENTS_INSIDE_H

#include "monitor/event.pb-c.h"

#include <hone/monitor.h>

/* How a plugin of TensorBoard knows a value of its own. */
typedef struct hone_event_kind {
    const char *plugin;
    Hone__Tb__DataClass data_class;
    const void *content; /* the plugin's own message, packed; NULL: none */
    size_t content_size;
    const char *description; /* Markdown; NULL: none */
} hone_event_kind;

hone_status hone_events_tensor(hone_events *e, const char *tag, int64_t step, const hone_event_kind *kind,
                               Hone__Tb__TensorProto *tensor, hone_error *err);

#endif
