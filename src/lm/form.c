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

enum { Q, K, V, MASK, PAST_KEY, PAST_VALUE };

static bool has_past(const hone_node *n) {
    return n->op == hone_op_find("", "Attention") && n->input_count > PAST_VALUE && n->inputs[PAST_KEY] &&
           n->inputs[PAST_KEY]->storage == HONE_STORAGE_INPUT && n->inputs[PAST_VALUE] &&
           n->inputs[PAST_VALUE]->storage == HONE_STORAGE_INPUT;
}

static bool is_real(const hone_value *v) {
    const hone_dtype d = v->type.dtype;
    return d == HONE_FLOAT32 || d == HONE_FLOAT16 || d == HONE_BFLOAT16;
}

static hone_status look_at_past(const hone_value *past, hone_lm_form *form, hone_error *err) {
    const hone_type *t = &past->type;
    int64_t elements;
    if (t->rank != 4 || t->dims[1] < 1 || t->dims[3] < 1 ||
        __builtin_mul_overflow(t->dims[1], t->dims[3], &elements) || elements > INT32_MAX)
        return fail(err, "the shape of a past is not known");
    form->page_bytes += (size_t)elements * HONE_LM_PAGE * sizeof(float);
    return HONE_OK;
}

static hone_status look_at_attention(const hone_node *n, hone_lm_form *form, hone_error *err) {
    if (n->inputs[MASK]) return fail(err, "its attention has a mask of its own");
    if (n->inputs[Q]->type.rank != 3 || n->inputs[K]->type.rank != 3)
        return fail(err, "the heads of its attention are an axis of their own");
    if (n->output_count > 3) return fail(err, "its attention gives scores");
    if (!is_real(n->inputs[Q]) || !is_real(n->inputs[V])) return fail(err, "its attention is not of floats");
    if (!hone_node_int(n, "is_causal") && hone_node_int(n, "right_window_size") != 0)
        return fail(err, "its tokens see what comes behind them");
    HONE_TRY(look_at_past(n->inputs[PAST_KEY], form, err));
    return look_at_past(n->inputs[PAST_VALUE], form, err);
}

/* A variable in the place of a past. */
static hone_value *keep(hone_graph *g, const hone_value *past, int64_t pages, bool keys, hone_error *err) {
    const int64_t heads = past->type.dims[1], width = past->type.dims[3],
                  dims[] = {pages, heads, keys ? width : HONE_LM_PAGE, keys ? HONE_LM_PAGE : width};
    hone_tensor *zeros = NULL;
    if (hone_tensor_new(HONE_FLOAT32, 4, dims, &zeros, err) != HONE_OK) {
        hone_graph_out_of_memory(g);
        return NULL;
    }
    char *name = hone_arena_printf(g->arena, "kept.%s", past->name);
    hone_value *variable = name ? hone_graph_add_variable(g, name, zeros) : NULL;
    hone_tensor_free(zeros);
    return variable;
}

static hone_status page(hone_graph *g, hone_node *n, int64_t pages, hone_value *const *shared,
                        hone_error *err) {
    hone_value *keys = keep(g, n->inputs[PAST_KEY], pages, true, err),
               *values = keep(g, n->inputs[PAST_VALUE], pages, false, err);
    hone_value *in[] = {keys,
                        values,
                        n->inputs[Q],
                        n->inputs[K],
                        n->inputs[V],
                        shared[HONE_LM_POSITIONS],
                        shared[HONE_LM_TEXT],
                        shared[HONE_LM_TABLES]};
    if (!keys || !values) return hone_graph_check(g, err);
    g->insert_before = n;
    hone_node *paged = hone_graph_add_node(g, hone_op_find(HONE_PRIVATE_DOMAIN, "PagedAttention"), n->name,
                                           sizeof in / sizeof *in, in, 3);
    g->insert_before = NULL;
    if (!paged) return hone_graph_check(g, err);
    const int64_t left = hone_node_int(n, "left_window_size");
    hone_node_set_int(g, paged, "q_heads", hone_node_int(n, "q_num_heads"));
    hone_node_set_int(g, paged, "kv_heads", hone_node_int(n, "kv_num_heads"));
    hone_node_set_float(g, paged, "scale", hone_node_float(n, "scale"));
    hone_node_set_float(g, paged, "softcap", hone_node_float(n, "softcap"));
    hone_node_set_int(g, paged, "window", left < 0 || left == INT64_MAX ? 0 : left + 1);
    hone_graph_bind(g, paged->outputs[0], keys);
    hone_graph_bind(g, paged->outputs[1], values);
    hone_graph_replace(g, n->outputs[0], paged->outputs[2]);
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
    hone_value *all = n->inputs[0];
    g->insert_before = n;
    hone_value *picked = HONE_EMIT(g, "", "Gather", all, rows);
    g->insert_before = NULL;
    if (!picked) return;
    hone_node_set_int(g, picked->producer, "axis", 1);
    for (size_t i = all->use_count; i-- > 0;) { /* an adapter's branch multiplies them, too */
        const hone_use use = all->uses[i];
        if (use.node->op == n->op && use.index == 0) hone_node_set_input(g, use.node, 0, picked);
    }
}

/* --- the whole --- */

static void drop_pasts(hone_graph *g) {
    for (size_t i = g->input_count; i-- > 0;)
        if (!g->inputs[i]->use_count && strncmp(g->inputs[i]->name, "past_key_values.", 16) == 0)
            hone_graph_remove_input(g, g->inputs[i]);
}

static hone_value *add_input(hone_graph *g, const char *name, int rank, const int64_t *dims) {
    const hone_type type = hone_type_make(HONE_INT64, rank, dims);
    return hone_graph_add_input(g, name, &type);
}

static bool is_ids(const hone_value *v) {
    return v && v->type.dtype == HONE_INT64 && v->type.rank == 2;
}

hone_status hone_lm_form_look(hone_graph *g, hone_lm_form *out, hone_error *err) {
    const hone_value *ids = input(g, "input_ids"), *positions = input(g, "position_ids");
    const hone_value *logits = g->output_count ? g->outputs[0] : NULL;
    *out = (hone_lm_form){0};
    if (!is_ids(ids)) return fail(err, "it has no input input_ids [batch, sequence]");
    if (positions && !is_ids(positions)) return fail(err, "position_ids are not int64 [batch, sequence]");
    if (!logits || strcmp(logits->name, "logits") != 0) return fail(err, "its first output is not logits");
    HONE_TRY(hone_graph_infer(g, err));
    if (logits->type.rank != 3 || logits->type.dims[2] < 1 || logits->type.dtype != HONE_FLOAT32)
        return fail(err, "its logits are not float32 [batch, sequence, vocabulary]");
    out->vocabulary = logits->type.dims[2];
    for (const hone_node *n = g->first; n; n = n->next)
        if (has_past(n)) HONE_TRY(look_at_attention(n, out, err));
    return out->page_bytes ? HONE_OK : fail(err, "no attention of it has a past");
}

hone_status hone_lm_form_make(hone_graph *g, int64_t pages, hone_error *err) {
    hone_value *logits = g->outputs[0], *in[HONE_LM_INPUTS];
    const int64_t tokens = hone_graph_symbol(g, "tokens"), wanted = hone_graph_symbol(g, "wanted"),
                  row[] = {1, tokens},
                  table[] = {hone_graph_symbol(g, "texts"), hone_graph_symbol(g, "pages")};
    in[HONE_LM_IDS] = input(g, "input_ids");
    in[HONE_LM_POSITIONS] = input(g, "position_ids");
    if (!in[HONE_LM_POSITIONS]) in[HONE_LM_POSITIONS] = add_input(g, "position_ids", 2, row);
    in[HONE_LM_TEXT] = add_input(g, "hone.text", 1, &tokens);
    in[HONE_LM_TABLES] = add_input(g, "hone.tables", 2, table);
    in[HONE_LM_ROWS] = add_input(g, "hone.rows", 1, &wanted);
    HONE_TRY(hone_graph_check(g, err));
    for (hone_node *n = g->first, *next; n; n = next) {
        next = n->next;
        if (has_past(n)) HONE_TRY(page(g, n, pages, in, err));
    }
    pick_rows(g, logits, in[HONE_LM_ROWS]);
    g->output_count = 1;
    for (int i = 0; i < 2; i++) memcpy(in[i]->type.dims, row, sizeof row);
    hone_graph_prune(g);
    drop_pasts(g);
    if (g->input_count != HONE_LM_INPUTS) return fail(err, "it has inputs whose meaning is not known");
    memcpy(g->inputs, in, sizeof in);
    return hone_graph_check(g, err);
}
