/* Sparsity grows while the network is trained (Zhu and Gupta 2017, arXiv 1710.01878), in a part of the epochs, round by round:
 *
 *   round      1     2     3    …    R  │ last epochs
 *   sparsity   s (1 - (1 - r/R)^3)      │ s             masks are made anew before each round; zeros stay
 *   rate       full                     │ falls to 0 */
#include "compress/sparsify.h"

#include "compress/quantize.h"
#include "data/dataset.h"
#include "train/derive.h"
#include "train/objective.h"
#include "train/parametrize.h"
#include "train/task.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS_PER_EPOCH 6

bool hone_is_prunable(const hone_graph *g, const hone_value *v) {
    return hone_is_trainable(g, v) && v->type.rank >= 2;
}

hone_status hone_finetune_options(const hone_graph *g, const hone_graph *original,
                                  const hone_train_options *o, bool distill, hone_train_options *out,
                                  hone_error *err) {
    const hone_objective *objective;
    *out = *o;
    HONE_TRY(hone_task_objective(g, &o->task, &objective, err));
    if (distill && !o->teacher && objective->smoothes) out->teacher = original;
    return HONE_OK;
}

/* --- masks --- */

typedef struct mask {
    hone_value *weight;
    hone_tensor *tensor;
} mask;

typedef struct masks {
    mask *items;
    hone_parametrization *parametrizations;
    int count;
} masks;

static void free_masks(masks *m) {
    for (int i = 0; i < m->count; i++) hone_tensor_free(m->items[i].tensor);
    hone_free(m->items);
    hone_free(m->parametrizations);
}

static hone_parametrized apply_mask(hone_graph *g, hone_value *w, const void *arg) {
    hone_value *v = hone_graph_add_constant(g, "mask", (hone_tensor *)arg);
    return (hone_parametrized){.value = HONE_EMIT(g, "", "Mul", w, v), .variables = {w}, .variable_count = 1};
}

/* Masks of ones, one for each weight. */
static hone_status make_masks(hone_graph *g, masks *m, hone_error *err) {
    m->items = hone_calloc(g->value_count + 1, sizeof *m->items);
    m->parametrizations = hone_calloc(g->value_count + 1, sizeof *m->parametrizations);
    if (!m->items || !m->parametrizations) return hone_fail_memory(err);
    for (size_t i = 0; i < g->value_count; i++) {
        hone_value *v = g->values[i];
        if (!hone_is_prunable(g, v)) continue;
        mask *k = &m->items[m->count];
        HONE_TRY(hone_tensor_new(HONE_FLOAT32, v->data->rank, v->data->dims, &k->tensor, err));
        for (int64_t e = 0; e < k->tensor->count; e++) ((float *)k->tensor->data)[e] = 1;
        k->weight = v;
        m->parametrizations[m->count++] = (hone_parametrization){v->name, apply_mask, k->tensor};
    }
    if (m->count) return HONE_OK;
    return hone_fail(err, HONE_INVALID_ARGUMENT, "the model has no weights to prune");
}

/* What the mask leaves of a weight. */
static hone_status mask_weight(const mask *k, hone_error *err) {
    hone_tensor *w = NULL;
    const hone_tensor *from = k->weight->data;
    HONE_TRY(hone_tensor_copy_of(HONE_FLOAT32, from->rank, from->dims, from->data, &w, err));
    for (int64_t i = 0; i < w->count; i++)
        if (((const float *)k->tensor->data)[i] == 0) ((float *)w->data)[i] = 0;
    hone_tensor_free(k->weight->data);
    k->weight->data = w;
    return HONE_OK;
}

/* --- which weights: a share of all, by magnitude over the whole model --- */

static int by_magnitude(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Those of less magnitude than `limit` go, and the first `ties` of just that. Zeros go in any case. */
typedef struct cut {
    float limit;
    int64_t ties;
} cut;

static hone_status find_cut(const masks *m, double sparsity, cut *out, hone_error *err) {
    int64_t total = 0, at = 0;
    for (int i = 0; i < m->count; i++) total += m->items[i].weight->data->count;
    float *all = hone_alloc((size_t)(total + 1) * sizeof *all);
    if (!all) return hone_fail_memory(err);
    for (int i = 0; i < m->count; i++) {
        const hone_tensor *t = m->items[i].weight->data;
        for (int64_t k = 0; k < t->count; k++) all[at++] = fabsf(((const float *)t->data)[k]);
    }
    qsort(all, (size_t)total, sizeof *all, by_magnitude);
    int64_t zeros = llround(sparsity * (double)total), below = zeros;
    *out = (cut){.limit = zeros > 0 ? all[zeros - 1] : 0};
    while (below > 0 && all[below - 1] == out->limit) below--;
    out->ties = zeros - below;
    hone_free(all);
    return HONE_OK;
}

static hone_status cut_share(const masks *m, double sparsity, hone_error *err) {
    cut c = {0};
    HONE_TRY(find_cut(m, sparsity, &c, err));
    for (int i = 0; i < m->count; i++) {
        const mask *k = &m->items[i];
        const hone_tensor *w = k->weight->data;
        for (int64_t e = 0; e < w->count; e++) {
            const float x = fabsf(((const float *)w->data)[e]);
            const bool goes = x < c.limit || x == 0 || (x == c.limit && c.ties > 0);
            c.ties -= x == c.limit;
            ((float *)k->tensor->data)[e] = !goes;
        }
        HONE_TRY(mask_weight(k, err));
    }
    return HONE_OK;
}

/* --- which weights: all but `keep` of each `group` neighbours that are summed --- */

/* The axis of the weight that its first reader sums over, together with its input; -1: none, or others read it, too. */
static hone_status summed_axis(const hone_value *w, int *out, hone_error *err) {
    HONE_AXES(axes);
    const hone_node *n = w->use_count == 1 ? w->uses[0].node : NULL;
    *out = -1;
    if (!n || w->uses[0].index != 1 || n->op->quantize != HONE_QUANTIZE_INTEGER || !n->op->axes)
        return HONE_OK;
    n->op->axes(n, &axes);
    if (axes.failed) return hone_fail_memory(err);
    for (int i = 0; i < axes.count && *out < 0; i++) {
        const hone_axis_link *l = &axes.links[i];
        if (l->kind != HONE_AXIS_CONTRACTED) continue;
        if (l->input2 == 1) *out = l->axis2;
        if (l->input == 1) *out = l->axis;
    }
    return HONE_OK;
}

static void cut_group(const float *x, float *keep, int64_t stride, int group, int kept) {
    for (int i = 0; i < group; i++) {
        int larger = 0; /* and the first of equals */
        for (int k = 0; k < group; k++) {
            const float a = fabsf(x[k * stride]), b = fabsf(x[i * stride]);
            larger += a > b || (a == b && k < i);
        }
        keep[i * stride] = larger < kept;
    }
}

/* Does the weight fit? Its sums are whole groups, and not few. The first and the last weight of a model stay whole. */
static hone_status fits_groups(const masks *m, int i, int group, int *axis, hone_error *err) {
    const hone_value *w = m->items[i].weight;
    HONE_TRY(summed_axis(w, axis, err));
    const bool edge = i == 0 || i == m->count - 1;
    if (*axis >= 0 && (edge || w->data->dims[*axis] % group)) *axis = -1;
    return HONE_OK;
}

static hone_status cut_groups(const masks *m, int kept, int group, hone_error *err) {
    bool any = false;
    for (int i = 0; i < m->count; i++) {
        const mask *k = &m->items[i];
        const hone_tensor *w = k->weight->data;
        int axis;
        HONE_TRY(fits_groups(m, i, group, &axis, err));
        if (axis < 0) continue;
        int64_t inner = 1;
        for (int a = axis + 1; a < w->rank; a++) inner *= w->dims[a];
        for (int64_t at = 0; at < w->count; at++)
            if (at / inner % w->dims[axis] % group == 0)
                cut_group((const float *)w->data + at, (float *)k->tensor->data + at, inner, group, kept);
        HONE_TRY(mask_weight(k, err));
        any = true;
    }
    if (any) return HONE_OK;
    return hone_fail(err, HONE_UNSUPPORTED,
                     "no weight between the first and the last sums over whole groups of %d", group);
}

static int by_use(const void *a, const void *b) {
    const int x = ((const mask *)a)->weight->uses[0].node->mark,
              y = ((const mask *)b)->weight->uses[0].node->mark;
    return (x > y) - (x < y);
}

/* In the order in which they are used. */
static void sort_masks(hone_graph *g, masks *m) {
    int at = 0;
    for (hone_node *n = g->first; n; n = n->next) n->mark = at++;
    qsort(m->items, (size_t)m->count, sizeof *m->items, by_use);
}

/* --- training --- */

/* All rounds and the epochs behind them look like one training to whoever watches. */
typedef struct course {
    const hone_train_options *options;
    int round, grown;         /* the round, 0 behind them; epochs of the rounds */
    int64_t steps, all;       /* of what is done, and in all */
    hone_train_report report; /* of the last one */
} course;

static int64_t steps_of(int64_t samples, int batch) {
    return (samples + batch - 1) / batch;
}

static bool watch(void *user, const hone_train_progress *p) {
    const course *c = user;
    hone_train_progress seen = *p;
    const bool ends = c->round % ROUNDS_PER_EPOCH == 0;
    seen.epochs = c->options->epochs;
    seen.epoch = c->round ? (c->round + ROUNDS_PER_EPOCH - 1) / ROUNDS_PER_EPOCH : c->grown + p->epoch;
    seen.step += c->steps;
    seen.steps = c->all;
    seen.epoch_done = p->epoch_done && ends;
    return c->options->progress ? c->options->progress(c->options->user, &seen) : true;
}

static hone_status train(hone_graph *g, const hone_dataset *data, hone_train_options *o, const masks *m,
                         course *c, hone_error *err) {
    o->progress = watch;
    o->user = c;
    HONE_TRY(hone_train_parametrized(g, data, o, m->parametrizations, m->count, &c->report, err));
    c->steps += c->report.steps;
    return HONE_OK;
}

static int64_t samples_of_round(const hone_dataset *data) {
    const int64_t samples = hone_dataset_count(data) / ROUNDS_PER_EPOCH;
    return samples > 1 ? samples : hone_dataset_count(data);
}

/* A part of an epoch, drawn anew, at the full rate. */
static hone_status train_round(hone_graph *g, const hone_dataset *data, const masks *m, course *c,
                               hone_error *err) {
    hone_dataset *part = NULL;
    hone_draw_options draw = HONE_DRAW_OPTIONS_INIT;
    hone_train_options o = *c->options;
    const int64_t samples = samples_of_round(data);
    o.epochs = 1;
    o.seed += (uint64_t)c->round;
    o.schedule = HONE_SCHEDULE_CONSTANT;
    o.checkpoint_dir = o.resume_dir = NULL;
    o.validation = NULL;
    o.average = 0;
    draw.share = (double)samples;
    draw.seed = o.seed;
    draw.target = o.task.target;
    draw.group = "";
    if (samples < hone_dataset_count(data)) HONE_TRY(hone_dataset_draw(data, &draw, &part, NULL, err));
    hone_status status = train(g, part ? part : data, &o, m, c, err);
    hone_dataset_free(part);
    return status;
}

/* Sparsity grows, unless somebody ends it. */
static hone_status grow(hone_graph *g, const hone_dataset *data, double sparsity, int rounds, const masks *m,
                        course *c, hone_error *err) {
    for (int i = 1; i <= rounds && !c->report.stopped; i++) {
        c->round = i;
        HONE_TRY(cut_share(m, sparsity * (1 - pow(1 - (double)i / rounds, 3)), err));
        HONE_TRY(train_round(g, data, m, c, err));
    }
    c->round = 0;
    return HONE_OK;
}

static hone_status sparsify(hone_graph *g, const hone_dataset *data, const hone_prune_options *o,
                            const hone_train_options *t, const masks *m, hone_error *err) {
    const bool grows = o->sparsity > 0 && t->epochs >= 2;
    course c = {.options = t, .grown = grows ? (int)lround(0.6 * t->epochs) : 0};
    const int rounds = c.grown * ROUNDS_PER_EPOCH;
    if (t->epochs > 0)
        c.all = rounds * steps_of(samples_of_round(data), t->batch) +
                (t->epochs - c.grown) * steps_of(hone_dataset_count(data), t->batch);
    HONE_TRY(grow(g, data, o->sparsity, rounds, m, &c, err));
    if (c.report.stopped) return HONE_OK;
    if (o->sparsity > 0) HONE_TRY(cut_share(m, o->sparsity, err));
    if (o->group) HONE_TRY(cut_groups(m, o->kept, o->group, err));
    hone_train_options rest = *t;
    rest.epochs -= c.grown;
    return rest.epochs < 1 ? HONE_OK : train(g, data, &rest, m, &c, err);
}

hone_status hone_sparsify(hone_graph *g, const hone_graph *original, const hone_dataset *data,
                          const hone_prune_options *o, hone_error *err) {
    masks m = {NULL};
    hone_train_options t = o->finetune;
    hone_status status = HONE_OK;
    if (t.epochs > 0) status = hone_finetune_options(g, original, &o->finetune, o->distill, &t, err);
    if (status == HONE_OK) status = make_masks(g, &m, err);
    if (status == HONE_OK && o->group) sort_masks(g, &m);
    if (status == HONE_OK) status = sparsify(g, data, o, &t, &m, err);
    free_masks(&m);
    return status;
}
