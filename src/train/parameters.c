#include "train/parameters.h"

#include "base/random.h"
#include "graph/op.h"

#include <math.h>
#include <string.h>

#define MAX_MOVES 8
#define TABLE_DEVIATION 0.02f

/* What reads a parameter, directly or behind operators that only move elements. */
typedef struct reader {
    const hone_node *node;
    int index;
    const hone_value *value; /* as it is read there */
    const hone_slot *slot;
} reader;

/* The reader that says the most: a table of rows before a weight before any other. */
static void find_reader(const hone_value *v, int moves, reader *found) {
    for (size_t u = 0; u < v->use_count; u++) {
        const hone_node *n = v->uses[u].node;
        reader r = {n, v->uses[u].index, v, hone_op_input(n->op, v->uses[u].index)};
        const hone_value *moved = n->output_count > 0 ? n->outputs[0] : NULL;
        bool rows = r.slot && (r.slot->flags & HONE_SLOT_ROWS),
             role = r.slot && (r.slot->flags & (HONE_SLOT_WEIGHT | HONE_SLOT_ONES | HONE_SLOT_ZEROS));
        if (!role && n->op->quantize == HONE_QUANTIZE_BITS && r.index == 0 && moves < MAX_MOVES && moved)
            find_reader(moved, moves + 1, found);
        else if (rows || !found->node || (role && !(found->slot && found->slot->flags)))
            *found = r;
    }
}

/* Terms of the sum that an element of the output is: the elements that no axis of the output tells apart. */
static int64_t terms(const reader *r) {
    const hone_type *t = &r->value->type;
    int64_t count = 1, apart = 1;
    HONE_AXES(axes);
    if (r->node->op->axes) r->node->op->axes(r->node, &axes);
    for (int i = 0; i < t->rank; i++) count *= t->dims[i];
    for (int k = 0; k < axes.count; k++) {
        const hone_axis_link *l = &axes.links[k];
        if (l->input == r->index && l->output >= 0 &&
            (l->kind == HONE_AXIS_SAME || l->kind == HONE_AXIS_FACTORED) && l->axis < t->rank)
            apart *= t->dims[l->axis];
    }
    if (apart == 1 && t->rank > 0) apart = count / t->dims[t->rank - 1]; /* recurrent weights: [.., .., in] */
    return apart > 0 && count > apart ? count / apart : 1;
}

static float normal(hone_rng *rng) {
    float radius = sqrtf(-2 * logf(1 - hone_rng_uniform(rng)));
    return radius * cosf(2 * (float)M_PI * hone_rng_uniform(rng));
}

static void fill(hone_tensor *t, float x) {
    for (int64_t i = 0; i < t->count; i++) ((float *)t->data)[i] = x;
}

static hone_status initialize(hone_value *v, uint64_t seed, hone_error *err) {
    reader r = {NULL, 0, NULL, NULL};
    find_reader(v, 0, &r);
    if (!r.node)
        return hone_fail_node(err, HONE_INVALID_ARGUMENT, v->name, NULL, "is a parameter that no node reads");
    hone_tensor *t = NULL;
    HONE_TRY(hone_tensor_new(HONE_FLOAT32, v->data->rank, v->data->dims, &t, err));
    int flags = r.slot ? r.slot->flags : 0;
    float *x = t->data;
    hone_rng rng = hone_rng_make(seed, hone_hash(v->name, strlen(v->name)));
    if (flags & HONE_SLOT_ONES) {
        fill(t, 1);
    } else if (flags & HONE_SLOT_ZEROS) {
        fill(t, 0);
    } else if ((flags & HONE_SLOT_WEIGHT) && !(flags & HONE_SLOT_ROWS)) {
        float bound = 1 / sqrtf((float)terms(&r));
        for (int64_t i = 0; i < t->count; i++) x[i] = (2 * hone_rng_uniform(&rng) - 1) * bound;
    } else {
        for (int64_t i = 0; i < t->count; i++) x[i] = t->rank > 1 ? TABLE_DEVIATION * normal(&rng) : 0;
    }
    if (!(flags & HONE_SLOT_WEIGHT) && (flags & (HONE_SLOT_ONES | HONE_SLOT_ZEROS))) v->trainable = false;
    hone_tensor_free(v->data);
    v->data = t;
    return HONE_OK;
}

hone_status hone_initialize_parameters(hone_graph *g, uint64_t seed, hone_error *err) {
    for (size_t i = 0; i < g->value_count; i++) {
        hone_value *v = g->values[i];
        if (v && v->storage == HONE_STORAGE_CONSTANT && v->trainable) HONE_TRY(initialize(v, seed, err));
    }
    return HONE_OK;
}
