/* The form that Scan had in opset 8. */
#ifndef HONE_OPS_CONTROL_SCAN_8_H
#define HONE_OPS_CONTROL_SCAN_8_H

#include "graph/op.h"

extern const hone_attr_def hone_scan_8_attrs[];
/* `lift`: batches, and sequences of different lengths. */
hone_status hone_scan_8_lift(hone_graph *g, hone_node *n, hone_error *err);

#endif
