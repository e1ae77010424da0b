/* For those who have read the graph already. */
#ifndef HONE_IMPORT_BESIDE_H
#define HONE_IMPORT_BESIDE_H

#include <hone/import.h>

/* What lies beside the ONNX file `path` that `g` was read from; the graph is taken over on success. As hone_import_open(). */
hone_status hone_import_beside(const char *path, hone_graph *g, hone_import **out, hone_error *err);

#endif
