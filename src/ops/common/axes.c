#include "ops/common/axes.h"

void hone_axes_add(hone_axes *a, hone_axis_link link) {
    if (hone_reserve(&a->links, &a->capacity, (size_t)a->count + 1, sizeof link))
        a->links[a->count++] = link;
    else
        a->failed = true;
}

void hone_axes_same(hone_axes *a, int input, int axis, int output_axis) {
    hone_axes_add(a, (hone_axis_link){
                         .kind = HONE_AXIS_SAME, .input = input, .axis = axis, .output_axis = output_axis});
}

void hone_axes_contract(hone_axes *a, int input, int axis, int input2, int axis2) {
    hone_axes_add(a, (hone_axis_link){HONE_AXIS_CONTRACTED, input, axis, -1, 0, input2, axis2, 0});
    hone_axes_add(a, (hone_axis_link){HONE_AXIS_CONTRACTED, input2, axis2, -1, 0, input, axis, 0});
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
