#include "runtime/plan.h"

/* Does the node at `start` or a later one read v, which comes from before? */
static bool comes_in(const hone_body *b, const hone_value *v, int start) {
    if (b->last_reader[v->id] < start) return false;
    if (v->storage == HONE_STORAGE_INTERMEDIATE) return v->producer && v->producer->mark < start;
    return v->storage == HONE_STORAGE_INPUT || v->storage == HONE_STORAGE_CAPTURED;
}

static void add_input(hone_region *r, hone_value *v) {
    r->inputs[r->input_count++] = v;
}

hone_status hone_region_make(const hone_body *body, int start, hone_region **out, hone_error *err) {
    const hone_graph *g = body->graph;
    hone_region *r = hone_calloc(1, sizeof *r);
    hone_value **inputs = hone_calloc(g->value_count + 1, sizeof(hone_value *));
    if (!r || !inputs) {
        hone_free(r);
        hone_free(inputs);
        return hone_fail_memory(err);
    }
    *r = (hone_region){.body = body, .start = start, .inputs = inputs};
    if (start == 0) {
        for (size_t i = 0; i < g->input_count; i++) add_input(r, g->inputs[i]);
        for (size_t k = 0; k < g->capture_count; k++)
            if (g->captures[k]) add_input(r, g->captures[k]);
    } else
        for (size_t i = 0; i < g->value_count; i++)
            if (g->values[i] && comes_in(body, g->values[i], start)) add_input(r, g->values[i]);
    *out = r;
    return HONE_OK;
}

void hone_region_free(hone_region *r) {
    if (!r) return;
    hone_free(r->inputs);
    hone_free(r);
}
