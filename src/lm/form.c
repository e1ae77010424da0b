#include "lm/form.h"

#include "base/error.h"
#include "graph/infer.h"

#include <hone/generate.h>

#include <string.h>

static hone_value *input(const hone_graph *g, const char *name) {
    for (size_t i = 0; i < g->input_count; i++)
        if (strcmp(g->inputs[i]->name, name) == 0) return g->inputs[i];
    return NULL;
}

bool hone_lm_takes(const hone_graph *g) {
    return input(g, "input_ids") && input(g, "past_key_values.0.key") && g->output_count &&
           strcmp(g->outputs[0]->name, "logits") == 0;
}

static hone_status fail(hone_error *err, const char *why) {
    return hone_fail(err, HONE_UNSUPPORTED, "this is no language model that Hone can run: %s", why);
}

int64_t hone_lm_positions(const hone_graph *g) {
    const hone_value *positions = input(g, "position_ids");
    const hone_op *rotary = hone_op_find("", "RotaryEmbedding"), *gather = hone_op_find("", "Gather");
    int64_t least = 0;
    for (size_t i = 0; positions && i < positions->use_count; i++) {
        const hone_node *n = positions->uses[i].node;
        const hone_value *table = n->op == rotary ? n->inputs[1] : n->op == gather ? n->inputs[0] : NULL;
        if (!table || table->storage != HONE_STORAGE_CONSTANT || table->type.rank != 2) continue;
        if (!least || table->type.dims[0] < least) least = table->type.dims[0];
    }
    return least;
}

/* --- what is kept --- */

enum { Q, K, V, MASK, PAST_KEY, PAST_VALUE, LENGTH, ATTENTION_INPUTS };

static bool has_past(const hone_node *n) {
    return n->op == hone_op_find("", "Attention") && n->input_count > PAST_VALUE && n->inputs[PAST_KEY] &&
           n->inputs[PAST_KEY]->storage == HONE_STORAGE_INPUT && n->inputs[PAST_VALUE] &&
           n->inputs[PAST_VALUE]->storage == HONE_STORAGE_INPUT;
}

/* A variable in the place of `past`, [1, rows, heads · width]; what is written into it. */
static hone_status keep(hone_graph *g, hone_value *past, hone_value *update, int64_t rows, hone_value *at,
                        hone_lm_form *form, hone_value **out, hone_error *err) {
    const hone_type *t = &past->type;
    hone_tensor *zeros = NULL;
    int64_t width;
    if (t->rank != 4 || t->dims[1] < 1 || t->dims[3] < 1 ||
        __builtin_mul_overflow(t->dims[1], t->dims[3], &width))
        return fail(err, "the shape of a past is not known");
    HONE_TRY(hone_tensor_new(t->dtype, 3, (int64_t[]){1, rows, width}, &zeros, err));
    form->past_bytes += hone_tensor_bytes(zeros);
    char *name = hone_arena_printf(g->arena, "kept.%s", past->name);
    hone_value *variable = name ? hone_graph_add_variable(g, name, zeros) : NULL;
    hone_tensor_free(zeros);
    *out = HONE_EMIT(g, "", "TensorScatter", variable, update, at);
    if (*out) hone_graph_bind(g, *out, variable);
    return hone_graph_check(g, err);
}

static hone_status keep_all(hone_graph *g, hone_node *n, int64_t rows, hone_value *at, hone_value *end,
                            hone_lm_form *form, hone_error *err) {
    hone_value *in[ATTENTION_INPUTS] = {n->inputs[Q]};
    if (n->inputs[MASK]) return fail(err, "its attention has a mask of its own");
    if (n->inputs[Q]->type.rank != 3 || n->inputs[K]->type.rank != 3)
        return fail(err, "the heads of its attention are an axis of their own");
    if (n->output_count > 3) return fail(err, "its attention gives scores");
    g->insert_before = n;
    hone_status status = keep(g, n->inputs[PAST_KEY], n->inputs[K], rows, at, form, &in[K], err);
    if (status == HONE_OK) status = keep(g, n->inputs[PAST_VALUE], n->inputs[V], rows, at, form, &in[V], err);
    in[LENGTH] = end;
    hone_node *kept =
        status == HONE_OK ? hone_graph_add_node(g, n->op, n->name, ATTENTION_INPUTS, in, 1) : NULL;
    g->insert_before = NULL;
    if (!kept) return status == HONE_OK ? hone_graph_check(g, err) : status;
    hone_node_copy_attrs(g, kept, n);
    hone_graph_replace(g, n->outputs[0], kept->outputs[0]);
    return hone_graph_check(g, err);
}

/* --- wanted rows --- */

/* What makes logits of rows of their own: elementwise nodes behind the last product. */
static bool keeps_rows(const hone_node *n) {
    static const char *const names[] = {"Mul", "Div", "Add", "Sub", "Tanh", "Cast", "Clip"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (n->op == hone_op_find("", names[i])) return true;
    return false;
}

static void pick_rows(hone_graph *g, hone_value *logits, hone_value *rows) {
    hone_node *n = logits->producer;
    while (n && keeps_rows(n)) n = n->inputs[0]->producer;
    if (!n || n->op != hone_op_find("", "MatMul") || n->inputs[0]->type.rank != 3) return;
    g->insert_before = n;
    hone_value *picked = HONE_EMIT(g, "", "Gather", n->inputs[0], rows);
    if (picked) hone_node_set_int(g, picked->producer, "axis", 1);
    if (picked) hone_node_set_input(g, n, 0, picked);
    g->insert_before = NULL;
}

/* --- the whole --- */

static void drop_pasts(hone_graph *g) {
    for (size_t i = g->input_count; i-- > 0;)
        if (!g->inputs[i]->use_count && strncmp(g->inputs[i]->name, "past_key_values.", 16) == 0)
            hone_graph_remove_input(g, g->inputs[i]);
}

static hone_value *add_input(hone_graph *g, const char *name, int64_t dim) {
    const hone_type type = hone_type_make(HONE_INT64, 1, &dim);
    return hone_graph_add_input(g, name, &type);
}

static void shape_ids(hone_graph *g, hone_value *v) {
    v->type.dims[0] = 1;
    v->type.dims[1] = hone_graph_symbol(g, "tokens");
}

static bool is_ids(const hone_value *v) {
    return v && v->type.dtype == HONE_INT64 && v->type.rank == 2;
}

hone_status hone_lm_form_make(hone_graph *g, int64_t rows, hone_lm_form *out, hone_error *err) {
    hone_value *ids = input(g, "input_ids"), *positions = input(g, "position_ids");
    hone_value *logits = g->output_count ? g->outputs[0] : NULL;
    *out = (hone_lm_form){0};
    if (!is_ids(ids)) return fail(err, "it has no input input_ids [batch, sequence]");
    if (!logits || strcmp(logits->name, "logits") != 0) return fail(err, "its first output is not logits");
    HONE_TRY(hone_graph_infer(g, err));
    if (logits->type.rank != 3 || logits->type.dims[2] < 1 || logits->type.dtype != HONE_FLOAT32)
        return fail(err, "its logits are not float32 [batch, sequence, vocabulary]");
    out->vocabulary = logits->type.dims[2];
    if (!positions) { /* nobody reads them: an input for all models alike */
        const int64_t any[] = {1, HONE_DIM_ANY};
        const hone_type type = hone_type_make(HONE_INT64, 2, any);
        positions = hone_graph_add_input(g, "position_ids", &type);
    }
    if (!is_ids(positions)) return fail(err, "position_ids are not int64 [batch, sequence]");
    hone_value *at = add_input(g, "hone.at", 1), *end = add_input(g, "hone.end", 1),
               *wanted = add_input(g, "hone.rows", hone_graph_symbol(g, "wanted"));
    HONE_TRY(hone_graph_check(g, err));
    int found = 0;
    for (hone_node *n = g->first, *next; n; n = next) {
        next = n->next;
        if (!has_past(n)) continue;
        HONE_TRY(keep_all(g, n, rows, at, end, out, err));
        found++;
    }
    if (!found) return fail(err, "no attention of it has a past");
    pick_rows(g, logits, wanted);
    g->output_count = 1;
    shape_ids(g, ids);
    shape_ids(g, positions);
    hone_graph_prune(g);
    drop_pasts(g);
    if (g->input_count != HONE_LM_INPUTS) return fail(err, "it has inputs whose meaning is not known");
    hone_value *const order[] = {ids, positions, at, end, wanted};
    memcpy(g->inputs, order, sizeof order);
    return hone_graph_check(g, err);
}
