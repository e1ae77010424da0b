/* Pruning: small weights become zero (sparsify.c), or whole hidden units go for good. */
#include "compress/groups.h"
#include "compress/low_rank.h"
#include "compress/sparsify.h"
#include "graph/infer.h"

#include <hone/compress.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_matrix(const hone_graph *g, const hone_value *v) {
    return hone_is_prunable(g, v);
}

static void count_weights(const hone_graph *g, hone_prune_report *report) {
    report->weights = report->zeros = 0;
    for (size_t i = 0; i < g->value_count; i++) {
        if (!is_matrix(g, g->values[i])) continue;
        const hone_tensor *t = g->values[i]->data;
        report->weights += t->count;
        for (int64_t k = 0; k < t->count; k++) report->zeros += ((const float *)t->data)[k] == 0;
    }
}

/* --- structured: units go --- */

typedef struct unit {
    double score;
    int64_t position;
} unit;

/* The product over the group's matrices of the norm of what belongs to a unit: what comes in times what goes
 * out. */
static hone_status score_units(const hone_group *group, unit *units, hone_error *err) {
    double *squares = hone_alloc((size_t)group->size * sizeof *squares);
    if (!squares) return hone_fail_memory(err);
    for (int64_t p = 0; p < group->size; p++) units[p] = (unit){1, p};
    for (int k = 0; k < group->count; k++) {
        const hone_group_member *m = &group->members[k];
        const hone_tensor *t = m->value->data;
        if (!t || t->dtype != HONE_FLOAT32 || t->count == t->dims[m->axis]) continue; /* biases have no say */
        int64_t row = 1;
        for (int i = m->axis + 1; i < t->rank; i++) row *= t->dims[i];
        memset(squares, 0, (size_t)group->size * sizeof *squares);
        for (int64_t i = 0; i < t->count; i++) {
            double x = ((const float *)t->data)[i];
            squares[i / row % t->dims[m->axis] / m->inner % group->size] += x * x;
        }
        for (int64_t p = 0; p < group->size; p++) units[p].score *= sqrt(squares[p]);
    }
    hone_free(squares);
    return HONE_OK;
}

static int by_score(const void *a, const void *b) {
    const unit *x = a, *y = b;
    if (x->score != y->score) return x->score < y->score ? -1 : 1;
    return (x->position > y->position) - (x->position < y->position);
}

/* keep[p] for the best units, at least one; the number of those that go. The biases of the layer behind count as
 * one more unit, one that stays: with h of them `in` wide and `out` behind, h (in + 1 + out) + out parameters become
 * at most 1 - share of that. */
static int64_t choose(unit *units, int64_t size, double share, bool *keep) {
    int64_t remove = (int64_t)ceil(share * (double)(size + 1) - 1e-9);
    if (remove > size - 1) remove = size - 1;
    qsort(units, (size_t)size, sizeof *units, by_score);
    for (int64_t r = 0; r < size; r++) keep[units[r].position] = r >= remove;
    return remove;
}

/* Are the group's positions what a weight gives? Else they are the features of the input, which nobody wants
 * cut. */
static hone_status are_units(const hone_group *group, bool *out, hone_error *err) {
    *out = false;
    for (int k = 0; k < group->count; k++) {
        const hone_group_member *m = &group->members[k];
        for (size_t u = 0; u < m->value->use_count; u++) {
            const hone_use *use = &m->value->uses[u];
            const hone_slot *slot = hone_op_input(use->node->op, use->index);
            HONE_AXES(axes);
            if (!slot || !(slot->flags & HONE_SLOT_WEIGHT) || !use->node->op->axes) continue;
            use->node->op->axes(use->node, &axes);
            if (axes.failed) return hone_fail_memory(err);
            for (int i = 0; i < axes.count; i++)
                *out |= axes.links[i].kind == HONE_AXIS_SAME && axes.links[i].input == use->index &&
                        axes.links[i].axis == m->axis;
        }
    }
    return HONE_OK;
}

static hone_status note_blocked(hone_prune_report *r, const hone_value *seed, const hone_group *group,
                                hone_error *err) {
    size_t used = strlen(r->blocked);
    bool units;
    if (used + 1 >= sizeof r->blocked || !group->blocker) return HONE_OK; /* the graph's edge is no news */
    HONE_TRY(are_units(group, &units, err));
    if (!units) return HONE_OK;
    snprintf(r->blocked + used, sizeof r->blocked - used, "%s%s: blocked by %s (%s)", used ? "; " : "",
             seed->name, group->blocker->name, group->blocker->op->name);
    return HONE_OK;
}

static hone_status cut_group(hone_graph *g, const hone_group *group, double share, hone_error *err) {
    unit *units = hone_alloc((size_t)group->size * sizeof *units);
    bool *keep = hone_alloc((size_t)group->size * sizeof *keep);
    hone_status status = units && keep ? score_units(group, units, err) : hone_fail_memory(err);
    if (status == HONE_OK && choose(units, group->size, share, keep) > 0)
        status = hone_group_cut(g, group, keep, err);
    hone_free(units);
    hone_free(keep);
    return status;
}

typedef struct removal {
    double share;
    bool *seen; /* (value, axis): was in a group already */
    size_t values;
    bool any; /* a group could be cut */
    hone_prune_report *report;
} removal;

static hone_status remove_along(removal *r, hone_graph *g, hone_value *v, int axis, hone_error *err) {
    hone_group group;
    if (r->seen[(size_t)v->id * HONE_MAX_RANK + (size_t)axis]) return HONE_OK;
    HONE_TRY(hone_group_find(g, v, axis, &group, err));
    for (int m = 0; m < group.count; m++)
        if ((size_t)group.members[m].value->id < r->values)
            r->seen[(size_t)group.members[m].value->id * HONE_MAX_RANK + (size_t)group.members[m].axis] =
                true;
    hone_status status = HONE_OK;
    if (group.blocked) {
        status = note_blocked(r->report, v, &group, err);
    } else if (group.size > 1) {
        status = cut_group(g, &group, r->share, err);
        r->any = true;
    }
    hone_group_free(&group);
    return status == HONE_OK ? hone_graph_infer(g, err) : status;
}

static hone_status remove_units(hone_graph *g, double share, hone_prune_report *report, hone_error *err) {
    removal r = {.share = share, .values = g->value_count, .report = report};
    r.seen = hone_calloc(r.values * HONE_MAX_RANK + 1, sizeof *r.seen);
    hone_status status = r.seen ? HONE_OK : hone_fail_memory(err);
    for (size_t i = 0; i < r.values && status == HONE_OK; i++)
        for (int axis = 0; is_matrix(g, g->values[i]) && axis < g->values[i]->type.rank && status == HONE_OK;
             axis++)
            status = remove_along(&r, g, g->values[i], axis, err);
    hone_free(r.seen);
    HONE_TRY(status);
    if (!r.any)
        return hone_fail(err, HONE_UNSUPPORTED, "no hidden units can be removed%s%s",
                         report->blocked[0] ? ": " : "", report->blocked);
    return HONE_OK;
}

/* Magnitudes must have an order. */
static hone_status check_finite(const hone_graph *g, hone_error *err) {
    for (size_t i = 0; i < g->value_count; i++) {
        const hone_value *v = g->values[i];
        for (int64_t k = 0; is_matrix(g, v) && k < v->data->count; k++)
            if (!isfinite(((const float *)v->data->data)[k]))
                return hone_fail_node(err, HONE_OUT_OF_RANGE, v->name, NULL, "weight %lld is not finite",
                                      (long long)k);
    }
    return HONE_OK;
}

/* --- */

static hone_status prune(hone_graph *g, const hone_graph *original, const hone_dataset *data,
                         const hone_prune_options *o, hone_prune_report *report, hone_error *err) {
    HONE_TRY(hone_graph_sort(g, err));
    HONE_TRY(hone_graph_infer(g, err));
    HONE_TRY(check_finite(g, err));
    if (o->structured > 0) HONE_TRY(remove_units(g, o->structured, report, err));
    if (o->low_rank > 0) {
        HONE_TRY(
            hone_low_rank(g, data, &o->finetune.task, o->finetune.threads, o->low_rank, &report->split, err));
        HONE_TRY(hone_graph_sort(g, err));
        HONE_TRY(hone_graph_infer(g, err));
    }
    if (o->sparsity > 0 || o->group) return hone_sparsify(g, original, data, o, err);
    if (o->finetune.epochs < 1) return HONE_OK;
    hone_train_options t;
    HONE_TRY(hone_finetune_options(g, original, &o->finetune, o->distill, &t, err));
    return hone_train(g, data, &t, NULL, err);
}

static hone_status check_options(const hone_prune_options *o, const hone_dataset *data, hone_error *err) {
    if (!(o->sparsity >= 0 && o->sparsity < 1) || !(o->structured >= 0 && o->structured < 1) ||
        !(o->low_rank >= 0 && o->low_rank < 1))
        return hone_fail(err, HONE_INVALID_ARGUMENT,
                         "sparsity %g, structured %g and low_rank %g must be at least 0 and below 1",
                         o->sparsity, o->structured, o->low_rank);
    if (o->group && (o->kept < 1 || o->kept >= o->group || o->group > 64 || o->sparsity > 0))
        return hone_fail(
            err, HONE_INVALID_ARGUMENT,
            "%d of %d weights, beside a sparsity of %g: a group has up to 64, of which some stay, and is "
            "asked for alone",
            o->kept, o->group, o->sparsity);
    if (o->sparsity == 0 && o->structured == 0 && o->low_rank == 0 && !o->group)
        return hone_fail(err, HONE_INVALID_ARGUMENT,
                         "pruning needs a sparsity, a share of units to remove or of multiply-adds");
    if (o->finetune.epochs < 0)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "fine-tuning for epochs %d", o->finetune.epochs);
    if (o->finetune.epochs > 0 && !data)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "fine-tuning needs data");
    return HONE_OK;
}

hone_status hone_prune(const hone_graph *g, const hone_dataset *data, const hone_prune_options *options,
                       hone_graph **out, hone_prune_report *report, hone_error *err) {
    hone_prune_options defaults = HONE_PRUNE_OPTIONS_INIT;
    hone_prune_report scratch;
    hone_graph_stats before, after;
    hone_graph *copy = NULL;
    if (!options) options = &defaults;
    HONE_TRY(hone_check_options_size(options->size, sizeof *options, err));
    if (!report) report = &scratch;
    *report = (hone_prune_report){.zeros = 0};
    HONE_TRY(check_options(options, data, err));
    HONE_TRY(hone_graph_get_stats(g, &before, err));
    HONE_TRY(hone_graph_copy(g, &copy, err));
    hone_status status = prune(copy, g, data, options, report, err);
    if (status == HONE_OK) status = hone_graph_get_stats(copy, &after, err);
    if (status != HONE_OK) {
        hone_graph_free(copy);
        return status;
    }
    report->parameters_before = before.parameters;
    report->parameters_after = after.parameters;
    count_weights(copy, report);
    report->multiply_adds_before = before.multiply_adds;
    report->multiply_adds_after = after.multiply_adds;
    *out = copy;
    return HONE_OK;
}
