#include "graph/layout.h"
#include "ops/rewrites/rewrites.h"

hone_status hone_rewrite_choose_layouts(hone_graph *g, int *changes, hone_error *err) {
    return hone_graph_choose_layouts(g, hone_cpu_get(), changes, err);
}
