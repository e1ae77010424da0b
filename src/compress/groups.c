#include "compress/groups.h"

#include <string.h>

void hone_group_free(hone_group *group) {
    hone_free(group->members);
}

/* Adds a member unless it is there; one that is there with another `inner` can't be cut. */
static hone_status add(hone_group *group, hone_value *v, int axis, int64_t inner, const hone_node *node,
                       hone_error *err) {
    for (int i = 0; i < group->count; i++) {
        if (group->members[i].value != v || group->members[i].axis != axis) continue;
        if (group->members[i].inner != inner) {
            group->blocked = true;
            group->blocker = node;
        }
        return HONE_OK;
    }
    size_t capacity = (size_t)group->capacity;
    if (group->count == HONE_GROUP_MAX_MEMBERS) {
        group->blocked = true;
        group->blocker = node;
        return HONE_OK;
    }
    if (!hone_reserve(&group->members, &capacity, (size_t)group->count + 1, sizeof *group->members))
        return hone_fail_memory(err);
    group->capacity = (int)capacity;
    group->members[group->count++] = (hone_group_member){v, axis, inner};
    return HONE_OK;
}

/* Does the link say where positions of the member go? Backward through a factored axis only one factor can:
 * the one whose runs are as wide as the group's. */
static bool leads_on(const hone_group *group, const hone_node *n, const hone_axis_link *l, bool from_input,
                     int64_t inner) {
    if (l->kind != HONE_AXIS_FACTORED || from_input) return true;
    return inner % l->inner == 0 && n->inputs[l->input]->type.dims[l->axis] == group->size;
}

/* From one end of a link to the other: where the member is (input or output side), its neighbour joins. */
static hone_status follow(hone_group *group, const hone_node *n, const hone_axis_link *l, bool from_input,
                          int64_t inner, hone_error *err) {
    hone_value *x = n->inputs[l->input];
    switch (l->kind) {
    case HONE_AXIS_SAME:
        return from_input ? add(group, n->outputs[l->output], l->output_axis, inner, n, err)
                          : add(group, x, l->axis, inner, n, err);
    case HONE_AXIS_FACTORED:
        if (from_input) return add(group, n->outputs[l->output], l->output_axis, inner * l->inner, n, err);
        return add(group, x, l->axis, inner / l->inner, n, err);
    case HONE_AXIS_CONTRACTED:
        if (l->input2 < 0) break; /* a mean over fewer positions is another mean */
        return add(group, n->inputs[l->input2], l->axis2, inner, n, err);
    case HONE_AXIS_NORMALIZED:
    case HONE_AXIS_BLOCKED: break;
    }
    group->blocked = true;
    group->blocker = n;
    return HONE_OK;
}

/* All links of node n at the member; an axis without one is needed whole. */
static hone_status spread_through(hone_group *group, const hone_node *n, hone_group_member m, bool from_input,
                                  int index, hone_error *err) {
    HONE_AXES(axes);
    bool linked = false;
    if (n->op->axes) n->op->axes(n, &axes);
    if (axes.failed) return hone_fail_memory(err);
    for (int i = 0; i < axes.count; i++) {
        const hone_axis_link *l = &axes.links[i];
        bool here = from_input ? l->input == index && l->axis == m.axis
                               : l->output == index && l->output_axis == m.axis;
        if (!here || !leads_on(group, n, l, from_input, m.inner)) continue;
        linked = true;
        HONE_TRY(follow(group, n, l, from_input, m.inner, err));
    }
    if (!linked) {
        group->blocked = true;
        group->blocker = n;
    }
    return HONE_OK;
}

static hone_status spread(hone_graph *g, hone_group *group, hone_group_member m, hone_error *err) {
    if (m.value->storage == HONE_STORAGE_INPUT || hone_graph_is_output(g, m.value)) {
        group->blocked = true;
        return HONE_OK;
    }
    if (m.value->producer)
        HONE_TRY(spread_through(group, m.value->producer, m, false, m.value->output_index, err));
    for (size_t u = 0; u < m.value->use_count; u++)
        HONE_TRY(spread_through(group, m.value->uses[u].node, m, true, m.value->uses[u].index, err));
    return HONE_OK;
}

hone_status hone_group_find(hone_graph *g, hone_value *seed, int axis, hone_group *out, hone_error *err) {
    *out = (hone_group){.size = seed->type.dims[axis]};
    HONE_TRY(add(out, seed, axis, 1, NULL, err));
    for (int i = 0; i < out->count; i++) {
        hone_status status = spread(g, out, out->members[i], err);
        if (status == HONE_OK) continue;
        hone_group_free(out);
        return status;
    }
    return HONE_OK;
}

/* The constant without the positions that go. */
static hone_status cut_tensor(const hone_tensor *t, int axis, int64_t inner, int64_t size, const bool *keep,
                              hone_tensor **out, hone_error *err) {
    int64_t dims[HONE_MAX_RANK], kept = 0, end;
    memcpy(dims, t->dims, sizeof dims);
    for (int64_t i = 0; i < t->dims[axis]; i++) kept += keep[i / inner % size];
    dims[axis] = kept;
    HONE_TRY(hone_tensor_new(t->dtype, t->rank, dims, out, err));
    int64_t to = 0;
    for (int64_t from = 0; from < t->dims[axis]; from = end) { /* run by run */
        bool kept_run = keep[from / inner % size];
        for (end = from + 1; end < t->dims[axis] && keep[end / inner % size] == kept_run; end++) continue;
        if (!kept_run) continue;
        hone_status status = hone_tensor_copy_range(t, axis, from, end - from, *out, to, err);
        if (status != HONE_OK) {
            hone_tensor_free(*out);
            return status;
        }
        to += end - from;
    }
    return HONE_OK;
}

/* A view whose new shape is a constant that names the axis gets one of its own with the new length. */
static hone_status cut_shape(hone_graph *g, hone_node *n, int axis, int64_t before, int64_t after,
                             hone_error *err) {
    for (int i = 1; n->op->view == hone_view_whole && i < n->input_count; i++) {
        const hone_slot *slot = hone_op_input(n->op, i);
        const hone_tensor *shape = n->inputs[i] ? n->inputs[i]->data : NULL;
        if (!slot || !(slot->flags & HONE_SLOT_SHAPE) || !shape || shape->dtype != HONE_INT64) continue;
        if (axis >= shape->count || ((const int64_t *)shape->data)[axis] != before) continue;
        hone_tensor *t = NULL;
        HONE_TRY(hone_tensor_copy_of(HONE_INT64, shape->rank, shape->dims, shape->data, &t, err));
        ((int64_t *)t->data)[axis] = after;
        hone_node_set_input(g, n, i, hone_graph_add_constant(g, n->inputs[i]->name, t));
        hone_tensor_free(t);
    }
    return hone_graph_check(g, err);
}

/* Channels that each go by themselves are as many groups: their number follows. */
static void cut_count(hone_graph *g, hone_node *n, int64_t before, int64_t after) {
    if (before > 1 && hone_attr_find(n->op->attrs, "group") && hone_node_int(n, "group") == before)
        hone_node_set_int(g, n, "group", after);
}

static hone_status cut_member(hone_graph *g, const hone_group *group, const hone_group_member *m,
                              const bool *keep, int64_t kept, hone_error *err) {
    hone_value *v = m->value;
    hone_tensor *t = NULL;
    if (!v->data) {
        int64_t length = v->type.rank > m->axis ? v->type.dims[m->axis] : HONE_DIM_ANY;
        if (length >= 0) {
            const int64_t left = length / group->size * kept;
            HONE_TRY(cut_shape(g, v->producer, m->axis, length, left, err));
            cut_count(g, v->producer, length, left);
        }
        v->type.dims[m->axis] = HONE_DIM_ANY; /* found anew */
        return HONE_OK;
    }
    HONE_TRY(cut_tensor(v->data, m->axis, m->inner, group->size, keep, &t, err));
    hone_tensor_free(v->data);
    v->data = t;
    memcpy(v->type.dims, t->dims, sizeof v->type.dims);
    return HONE_OK;
}

hone_status hone_group_cut(hone_graph *g, const hone_group *group, const bool *keep, hone_error *err) {
    int64_t kept = 0;
    for (int64_t p = 0; p < group->size; p++) kept += keep[p];
    for (int i = 0; i < group->count; i++)
        HONE_TRY(cut_member(g, group, &group->members[i], keep, kept, err));
    return HONE_OK;
}
