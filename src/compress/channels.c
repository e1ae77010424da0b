#include "compress/channels.h"

#include <math.h>
#include <string.h>

void hone_channels_free(hone_channels *c) {
    hone_free(c->members);
    hone_free(c->ties);
    *c = (hone_channels){.size = 0};
}

bool hone_channels_have(const hone_channels *c, const hone_value *x, int axis) {
    for (int i = 0; i < c->count; i++)
        if (c->members[i].value == x && c->members[i].axis == axis) return true;
    return false;
}

bool hone_multiplies(const hone_node *n) {
    const hone_value *w = n->input_count > 1 ? n->inputs[1] : NULL;
    return n->op->quantize == HONE_QUANTIZE_INTEGER && w && w->storage == HONE_STORAGE_CONSTANT && w->data &&
           w->type.dtype == HONE_FLOAT32 && n->inputs[0] && n->outputs[0];
}

/* --- links --- */

/* The axis of input `input` that runs along that one of the output; -1: none. */
static int along(const hone_axes *links, int input, int output_axis) {
    for (int i = 0; i < links->count; i++) {
        const hone_axis_link *l = &links->links[i];
        if (l->kind == HONE_AXIS_SAME && l->input == input && l->output == 0 && l->output_axis == output_axis)
            return l->axis;
    }
    return -1;
}

static hone_status links_of(const hone_node *n, hone_axes *links, hone_error *err) {
    if (n->op->axes) n->op->axes(n, links);
    return links->failed ? hone_fail_memory(err) : HONE_OK;
}

hone_status hone_summed_axis(const hone_node *n, int axis, int *out, hone_error *err) {
    HONE_AXES(links);
    *out = -1;
    HONE_TRY(links_of(n, &links, err));
    for (int i = 0; i < links.count && *out < 0; i++) {
        const hone_axis_link *l = &links.links[i];
        if (l->kind == HONE_AXIS_CONTRACTED && l->input == 0 && l->axis == axis && l->input2 == 1)
            *out = l->axis2;
        if (l->kind == HONE_AXIS_CONTRACTED && l->input == 1 && l->input2 == 0 && l->axis2 == axis)
            *out = l->axis;
        if (l->kind == HONE_AXIS_SAME && l->input == 0 && l->axis == axis)
            *out = along(&links, 1, l->output_axis);
    }
    return HONE_OK;
}

/* --- spreading --- */

static bool is_real(const hone_value *v) {
    return v && !v->type.element && v->type.dtype == HONE_FLOAT32;
}

static hone_status add_member(hone_channels *c, hone_value *v, int axis, int64_t inner, hone_error *err) {
    for (int i = 0; i < c->count; i++) {
        if (c->members[i].value != v || c->members[i].axis != axis) continue;
        c->fixed |= c->members[i].inner != inner;
        return HONE_OK;
    }
    /* whole channels, as many as there are */
    if (!is_real(v) || v->type.rank <= axis || v->type.dims[axis] < 1 ||
        v->type.dims[axis] % (c->size * inner) || c->count == HONE_GROUP_MAX_MEMBERS) {
        c->fixed = true;
        return HONE_OK;
    }
    if (!hone_reserve(&c->members, &c->capacity, (size_t)c->count + 1, sizeof *c->members))
        return hone_fail_memory(err);
    c->members[c->count++] = (hone_group_member){v, axis, inner};
    return HONE_OK;
}

/* A constant that others read, too, has to stay. */
static hone_status add_tie(hone_channels *c, const hone_node *n, int input, int axis, int64_t inner,
                           bool gives, hone_error *err) {
    hone_value *v = n->inputs[input];
    if (axis < 0 || !is_real(v) || v->storage != HONE_STORAGE_CONSTANT || !v->data || v->use_count != 1 ||
        v->data->dims[axis] % (c->size * inner)) {
        c->fixed = true;
        return HONE_OK;
    }
    if (!hone_reserve(&c->ties, &c->tie_capacity, (size_t)c->tie_count + 1, sizeof *c->ties))
        return hone_fail_memory(err);
    c->ties[c->tie_count++] =
        (hone_channel_tie){n, v, axis, inner, gives, .weight = input == 1 && hone_multiplies(n)};
    return HONE_OK;
}

static bool scales_with_inputs(const hone_node *n) {
    return n->op->scaling == HONE_SCALING_INPUTS || n->op->moves || n->op->quantize == HONE_QUANTIZE_BITS;
}

/* All weights of the maker have the channels, or it can't make them larger. */
static hone_status divide_weights(hone_channels *c, const hone_node *n, const hone_axes *links,
                                  hone_group_member m, hone_error *err) {
    const bool product = hone_multiplies(n);
    for (int i = product ? 1 : 0; i < n->input_count; i++) {
        const hone_slot *slot = hone_op_input(n->op, i);
        if (!n->inputs[i] || !(product || (slot && slot->flags & HONE_SLOT_WEIGHT))) continue;
        HONE_TRY(add_tie(c, n, i, along(links, i, m.axis), m.inner, true, err));
    }
    return HONE_OK;
}

/* From the output to input `input`, which must have the channels. */
static hone_status go_back(hone_channels *c, const hone_node *n, int input, const hone_axes *links,
                           hone_group_member m, hone_error *err) {
    bool linked = false;
    for (int i = 0; i < links->count; i++) {
        const hone_axis_link *l = &links->links[i];
        if (l->input != input || l->output != 0 || l->output_axis != m.axis) continue;
        int64_t inner = m.inner;
        if (l->kind == HONE_AXIS_FACTORED) {
            if (m.inner % l->inner || n->inputs[input]->type.dims[l->axis] != c->size) continue;
            inner /= l->inner;
        } else if (l->kind != HONE_AXIS_SAME) {
            continue;
        }
        linked = true;
        HONE_TRY(n->inputs[input]->storage == HONE_STORAGE_CONSTANT
                     ? add_tie(c, n, input, l->axis, inner, true, err)
                     : add_member(c, n->inputs[input], l->axis, inner, err));
    }
    c->fixed |= !linked;
    return HONE_OK;
}

static hone_status spread_to_maker(hone_channels *c, hone_group_member m, hone_error *err) {
    const hone_node *n = m.value->producer;
    HONE_AXES(links);
    if (!n || m.value->output_index != 0) {
        c->fixed = true;
        return HONE_OK;
    }
    HONE_TRY(links_of(n, &links, err));
    if (hone_multiplies(n) || n->op->scaling == HONE_SCALING_WEIGHTS)
        return divide_weights(c, n, &links, m, err);
    c->fixed |= !scales_with_inputs(n);
    for (int i = 0; i < n->input_count && !c->fixed; i++)
        if (is_real(n->inputs[i])) HONE_TRY(go_back(c, n, i, &links, m, err));
    return HONE_OK;
}

static hone_status spread_to_reader(hone_channels *c, hone_group_member m, const hone_use *use,
                                    hone_error *err) {
    hone_node *n = use->node;
    HONE_AXES(links);
    if (use->index >= n->capture_first) {
        c->fixed = true;
        return HONE_OK;
    }
    if (hone_multiplies(n) && use->index == 0) {
        int axis;
        HONE_TRY(hone_summed_axis(n, m.axis, &axis, err));
        return add_tie(c, n, 1, axis, m.inner, false, err);
    }
    bool linked = false;
    HONE_TRY(links_of(n, &links, err));
    for (int i = 0; i < links.count && scales_with_inputs(n); i++) {
        const hone_axis_link *l = &links.links[i];
        const bool runs_along = l->kind == HONE_AXIS_SAME || l->kind == HONE_AXIS_FACTORED;
        if (l->input != use->index || l->axis != m.axis || l->output != 0 || !runs_along || !n->outputs[0])
            continue;
        linked = true;
        HONE_TRY(add_member(c, n->outputs[0], l->output_axis,
                            l->kind == HONE_AXIS_FACTORED ? m.inner * l->inner : m.inner, err));
    }
    c->fixed |= !linked;
    return HONE_OK;
}

hone_status hone_channels_find(const hone_graph *g, hone_value *x, int axis, hone_channels *out,
                               hone_error *err) {
    *out = (hone_channels){.size = x->type.rank > axis ? x->type.dims[axis] : 0};
    out->fixed = out->size < 1;
    if (!out->fixed) HONE_TRY(add_member(out, x, axis, 1, err));
    for (int i = 0; i < out->count && !out->fixed; i++) {
        const hone_group_member m = out->members[i];
        out->fixed |= hone_graph_is_output(g, m.value);
        HONE_TRY(spread_to_maker(out, m, err));
        for (size_t u = 0; u < m.value->use_count && !out->fixed; u++)
            HONE_TRY(spread_to_reader(out, m, &m.value->uses[u], err));
    }
    return HONE_OK;
}

/* --- scaling --- */

static int64_t channel_of(const hone_channel_tie *t, int64_t row, int64_t size, int64_t i) {
    return i / row % t->value->data->dims[t->axis] / t->inner % size;
}

static int64_t row_of(const hone_channel_tie *t) {
    int64_t row = 1;
    for (int i = t->axis + 1; i < t->value->data->rank; i++) row *= t->value->data->dims[i];
    return row;
}

void hone_tie_largest(const hone_channel_tie *t, int64_t size, double *largest) {
    const float *x = t->value->data->data;
    const int64_t row = row_of(t);
    for (int64_t i = 0; i < t->value->data->count; i++) {
        double *most = &largest[channel_of(t, row, size, i)];
        *most = fmax(*most, fabsf(x[i]));
    }
}

static hone_status scale_tie(const hone_channel_tie *t, int64_t size, const double *s, hone_error *err) {
    hone_tensor *from = t->value->data, *to = NULL;
    const int64_t row = row_of(t);
    HONE_TRY(hone_tensor_copy_of(HONE_FLOAT32, from->rank, from->dims, from->data, &to, err));
    float *x = to->data;
    for (int64_t i = 0; i < to->count; i++) {
        const double f = s[channel_of(t, row, size, i)];
        x[i] = (float)(t->gives ? x[i] / f : x[i] * f);
    }
    hone_tensor_free(from);
    t->value->data = to;
    return HONE_OK;
}

hone_status hone_channels_scale(const hone_channels *c, const double *s, hone_error *err) {
    for (int i = 0; i < c->tie_count; i++) HONE_TRY(scale_tie(&c->ties[i], c->size, s, err));
    return HONE_OK;
}
