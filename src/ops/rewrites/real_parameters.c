/* Quantized constants that nothing reads as such become real numbers: scales, shifts and statistics of normalizations, which
 * quantizers store in bytes, too, though they are few. */
#include "graph/evaluate.h"
#include "graph/infer.h"
#include "ops/ops.h"
#include "ops/rewrites/quantized.h"
#include "ops/rewrites/rewrites.h"

static bool has_real_parameters(const hone_op *op) {
    return op == &hone_op_batch_normalization || op == &hone_op_layer_normalization ||
           op == &hone_op_rms_normalization || op == &hone_op_instance_normalization ||
           op == &hone_op_group_normalization;
}

/* Do only normalizations read what `n` makes of constants, beside their images? */
static bool is_parameter(const hone_graph *g, const hone_node *n) {
    const hone_value *v = n->outputs[0];
    if (!v || v->use_count == 0 || hone_graph_is_output(g, v)) return false;
    for (int i = 0; i < n->input_count; i++)
        if (n->inputs[i] && !hone_is_constant(n->inputs[i])) return false;
    for (size_t i = 0; i < v->use_count; i++)
        if (v->uses[i].index == 0 || !has_real_parameters(v->uses[i].node->op)) return false;
    return true;
}

static hone_status make_real(hone_graph *g, hone_node *n, hone_error *err) {
    const hone_tensor *in[3] = {NULL};
    hone_tensor *real = NULL;
    for (int i = 0; i < n->input_count && i < 3; i++) in[i] = n->inputs[i] ? n->inputs[i]->data : NULL;
    HONE_TRY(hone_node_evaluate(n, in, &real, err));
    hone_graph_replace(g, n->outputs[0], hone_graph_add_constant(g, n->outputs[0]->name, real));
    hone_tensor_free(real);
    if (!g->failed) hone_graph_remove_node(g, n);
    return HONE_OK;
}

hone_status hone_rewrite_real_parameters(hone_graph *g, int *changes, hone_error *err) {
    for (hone_node *n = g->first, *next; n; n = next) {
        next = n->next;
        if (n->op != &hone_op_dequantize_linear || !is_parameter(g, n)) continue;
        HONE_TRY(make_real(g, n, err));
        ++*changes;
    }
    return hone_graph_check(g, err);
}
