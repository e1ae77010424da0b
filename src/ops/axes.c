#include "ops/axes.h"

void hone_axes_add(hone_axes *a, hone_axis_link link) {
    if (a->count < HONE_MAX_LINKS) a->links[a->count++] = link;
}

void hone_axes_broadcast(const hone_node *node, hone_axes *out) {
    const hone_type *y = &node->outputs[0]->type;
    for (int i = 0; i < node->input_count; i++) {
        if (!node->inputs[i]) continue;
        const hone_type *x = &node->inputs[i]->type;
        for (int a = 0; a < x->rank; a++) {
            int to = a + y->rank - x->rank;
            if (to < 0 || (x->dims[a] == 1 && y->dims[to] != 1)) continue;
            for (int o = 0; o < node->output_count; o++)
                hone_axes_add(out, (hone_axis_link){HONE_AXIS_SAME, .input = i, .axis = a, .output = o,
                                                    .output_axis = to});
        }
    }
}
