/* Pruning: small weights become zero and stay so while the rest is tuned, or whole hidden units go for good.
 */
#include "compress/groups.h"
#include "graph/infer.h"
#include "train/derive.h"
#include "train/parametrize.h"

#include <hone/compress.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_matrix(const hone_value *v) {
    return hone_is_trainable(v) && v->type.rank >= 2;
}

/* --- unstructured: masks --- */

static int by_magnitude(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* The magnitude below which `sparsity` of all weights (of rank 2 and more, over the whole model) lie. */
static hone_status threshold(const hone_graph *g, double sparsity, float *out, hone_error *err) {
    int64_t total = 0, at = 0;
    for (size_t i = 0; i < g->value_count; i++)
        if (is_matrix(g->values[i])) total += g->values[i]->data->count;
    if (!total) return hone_fail(err, HONE_INVALID_ARGUMENT, "the model has no weights to prune");
    float *all = hone_alloc((size_t)total * sizeof *all);
    if (!all) return hone_fail_memory(err);
    for (size_t i = 0; i < g->value_count; i++) {
        if (!is_matrix(g->values[i])) continue;
        const hone_tensor *t = g->values[i]->data;
        for (int64_t k = 0; k < t->count; k++) all[at++] = fabsf(((const float *)t->data)[k]);
    }
    qsort(all, (size_t)total, sizeof *all, by_magnitude);
    int64_t zeros = (int64_t)llround(sparsity * (double)total);
    *out = zeros > 0 ? all[zeros - 1] : -1;
    hone_free(all);
    return HONE_OK;
}

static hone_value *apply_mask(hone_graph *g, hone_value *w, const void *arg) {
    hone_value *mask = hone_graph_add_constant(g, "mask", (hone_tensor *)arg);
    return HONE_EMIT(g, "", "Mul", w, mask);
}

static void bake_mask(hone_tensor *w, const void *arg) {
    const float *mask = ((const hone_tensor *)arg)->data;
    float *x = w->data;
    for (int64_t i = 0; i < w->count; i++) x[i] = mask[i] != 0 ? x[i] : 0;
}

typedef struct masks {
    hone_parametrization *items;
    hone_tensor **tensors;
    int count;
} masks;

static void free_masks(masks *m) {
    for (int i = 0; i < m->count; i++) hone_tensor_free(m->tensors[i]);
    hone_free(m->items);
    hone_free(m->tensors);
}

/* A weight with its small entries zeroed, and the mask that says which. */
static hone_status mask_weight(hone_value *v, float limit, hone_tensor **mask, hone_error *err) {
    hone_tensor *w = NULL;
    HONE_TRY(hone_tensor_new(HONE_FLOAT32, v->data->rank, v->data->dims, mask, err));
    HONE_TRY(hone_tensor_copy_of(HONE_FLOAT32, v->data->rank, v->data->dims, v->data->data, &w, err));
    for (int64_t i = 0; i < w->count; i++) ((float *)(*mask)->data)[i] = fabsf(((float *)w->data)[i]) > limit;
    bake_mask(w, *mask);
    hone_tensor_free(v->data);
    v->data = w;
    return HONE_OK;
}

static hone_status make_masks(hone_graph *g, double sparsity, masks *m, hone_error *err) {
    float limit = 0;
    HONE_TRY(threshold(g, sparsity, &limit, err));
    m->items = hone_calloc(g->value_count + 1, sizeof *m->items);
    m->tensors = hone_calloc(g->value_count + 1, sizeof(hone_tensor *));
    if (!m->items || !m->tensors) return hone_fail_memory(err);
    for (size_t i = 0; i < g->value_count; i++) {
        if (!is_matrix(g->values[i])) continue;
        hone_tensor **mask = &m->tensors[m->count++];
        HONE_TRY(mask_weight(g->values[i], limit, mask, err));
        m->items[m->count - 1] = (hone_parametrization){g->values[i]->name, apply_mask, bake_mask, *mask};
    }
    return HONE_OK;
}

/* --- structured: units go --- */

/* The product over the group's matrices of the norm of what belongs to a unit: what comes in times what goes
 * out. */
static hone_status score_units(const hone_group *group, double *score, hone_error *err) {
    double *squares = hone_alloc((size_t)group->size * sizeof *squares);
    if (!squares) return hone_fail_memory(err);
    for (int64_t p = 0; p < group->size; p++) score[p] = 1;
    for (int k = 0; k < group->count; k++) {
        const hone_group_member *m = &group->members[k];
        const hone_tensor *t = m->value->data;
        if (!t || t->dtype != HONE_FLOAT32 || t->rank < 2) continue;
        int64_t row = 1;
        for (int i = m->axis + 1; i < t->rank; i++) row *= t->dims[i];
        memset(squares, 0, (size_t)group->size * sizeof *squares);
        for (int64_t i = 0; i < t->count; i++) {
            double x = ((const float *)t->data)[i];
            squares[i / row % t->dims[m->axis] / m->inner % group->size] += x * x;
        }
        for (int64_t p = 0; p < group->size; p++) score[p] *= sqrt(squares[p]);
    }
    hone_free(squares);
    return HONE_OK;
}

/* keep[p] for the best units; at least one. */
static void choose(const double *score, int64_t size, double share, bool *keep) {
    int64_t remove = (int64_t)floor(share * (double)size + 1e-9);
    if (remove > size - 1) remove = size - 1;
    for (int64_t p = 0; p < size; p++) keep[p] = true;
    for (int64_t r = 0; r < remove; r++) {
        int64_t worst = -1;
        for (int64_t p = 0; p < size; p++)
            if (keep[p] && (worst < 0 || score[p] < score[worst])) worst = p;
        keep[worst] = false;
    }
}

static void note_blocked(hone_prune_report *r, const hone_value *seed, const hone_group *group) {
    size_t used = strlen(r->blocked);
    if (used + 1 >= sizeof r->blocked || !group->blocker) return; /* the graph's edge is no news */
    snprintf(r->blocked + used, sizeof r->blocked - used, "%s%s: blocked by %s (%s)", used ? "; " : "",
             seed->name, group->blocker->name, group->blocker->op->name);
}

static hone_status cut_group(hone_graph *g, const hone_group *group, double share, hone_error *err) {
    double *score = hone_alloc((size_t)group->size * sizeof *score);
    bool *keep = hone_alloc((size_t)group->size * sizeof *keep);
    hone_status status = score && keep ? score_units(group, score, err) : hone_fail_memory(err);
    if (status == HONE_OK) {
        choose(score, group->size, share, keep);
        status = hone_group_cut(g, group, keep, err);
    }
    hone_free(score);
    hone_free(keep);
    return status;
}

typedef struct seen_axis {
    const hone_value *value;
    int axis;
} seen_axis;

static hone_status remove_units(hone_graph *g, double share, hone_prune_report *report, hone_error *err) {
    size_t room = g->value_count * HONE_MAX_RANK + 1, seen_count = 0;
    seen_axis *seen = hone_alloc(room * sizeof *seen);
    if (!seen) return hone_fail_memory(err);
    hone_status status = hone_graph_infer(g, err);
    int cuts = 0;
    for (size_t i = 0; i < g->value_count && status == HONE_OK; i++) {
        hone_value *v = g->values[i];
        for (int axis = 0; is_matrix(v) && axis < v->type.rank && status == HONE_OK; axis++) {
            bool done = false;
            for (size_t k = 0; k < seen_count && !done; k++)
                done = seen[k].value == v && seen[k].axis == axis;
            if (done) continue;
            hone_group group;
            status = hone_group_find(g, v, axis, &group, err);
            if (status != HONE_OK) break;
            for (int m = 0; m < group.count && seen_count < room; m++)
                seen[seen_count++] = (seen_axis){group.members[m].value, group.members[m].axis};
            if (group.blocked) {
                note_blocked(report, v, &group);
            } else if (group.size > 1) {
                status = cut_group(g, &group, share, err);
                cuts++;
            }
            hone_group_free(&group);
            if (status == HONE_OK) status = hone_graph_infer(g, err);
        }
    }
    hone_free(seen);
    if (status == HONE_OK && !cuts)
        return hone_fail(err, HONE_UNSUPPORTED, "no hidden units can be removed%s%s",
                         report->blocked[0] ? ": " : "", report->blocked);
    return status;
}

/* --- */

static hone_status prune(hone_graph *g, const hone_dataset *data, const hone_prune_options *o, masks *m,
                         hone_prune_report *report, hone_error *err) {
    HONE_TRY(hone_graph_sort(g, err));
    HONE_TRY(hone_graph_infer(g, err));
    if (o->structured > 0) HONE_TRY(remove_units(g, o->structured, report, err));
    if (o->sparsity > 0) HONE_TRY(make_masks(g, o->sparsity, m, err));
    if (o->finetune.epochs < 1) return HONE_OK;
    return hone_train_parametrized(g, data, &o->finetune, m->items, m->count, NULL, err);
}

static hone_status check_options(const hone_prune_options *o, const hone_dataset *data, hone_error *err) {
    if (!(o->sparsity >= 0 && o->sparsity < 1) || !(o->structured >= 0 && o->structured < 1))
        return hone_fail(err, HONE_INVALID_ARGUMENT,
                         "sparsity %g and structured %g must be at least 0 and below 1", o->sparsity,
                         o->structured);
    if (o->sparsity == 0 && o->structured == 0)
        return hone_fail(err, HONE_INVALID_ARGUMENT,
                         "pruning needs a sparsity or a share of units to remove");
    if (o->finetune.epochs > 0 && !data)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "fine-tuning needs data");
    return HONE_OK;
}

hone_status hone_prune(const hone_graph *g, const hone_dataset *data, const hone_prune_options *options,
                       hone_graph **out, hone_prune_report *report, hone_error *err) {
    hone_prune_report scratch;
    hone_graph_stats before, after;
    hone_graph *copy = NULL;
    masks m = {.count = 0};
    if (!report) report = &scratch;
    *report = (hone_prune_report){.zeros = 0};
    HONE_TRY(check_options(options, data, err));
    HONE_TRY(hone_graph_get_stats(g, &before, err));
    HONE_TRY(hone_graph_copy(g, &copy, err));
    hone_status status = prune(copy, data, options, &m, report, err);
    free_masks(&m);
    if (status == HONE_OK) status = hone_graph_get_stats(copy, &after, err);
    if (status != HONE_OK) {
        hone_graph_free(copy);
        return status;
    }
    report->parameters_before = before.parameters;
    report->parameters_after = after.parameters;
    report->zeros = after.parameters - after.nonzero_parameters;
    report->multiply_adds_before = before.multiply_adds;
    report->multiply_adds_after = after.multiply_adds;
    *out = copy;
    return HONE_OK;
}
