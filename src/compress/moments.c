/* Moments are computed by the graph itself, at the speed of its products: the node with an identity in the place of its weight
 * gives the rows that the weight is multiplied by, whatever windows, strides and pads it has.
 *
 *   x ─► node(x, identity) ─► rows [R, terms] ─► rows^T rows [terms, terms], sum of rows [terms] */
#include "compress/moments.h"

#include "compress/calibrate.h"
#include "graph/op.h"
#include "train/evaluate.h"

#include <math.h>
#include <string.h>

#define MOST_TERMS 4096              /* of a weight whose second moments are kept */
#define MOST_SUMS ((int64_t)1 << 26) /* second moments at a time: half a gigabyte */
#define DAMPING 0.01

void hone_moments_free(hone_moments *m) {
    hone_free(m->second);
    hone_free(m->first);
    hone_free(m->factor);
    *m = (hone_moments){.rows = 0};
}

hone_weight_view hone_weight_view_of(const hone_tensor *w, int axis) {
    hone_weight_view v = {.channels = w->dims[axis], .inner = 1};
    for (int i = axis + 1; i < w->rank; i++) v.inner *= w->dims[i];
    v.terms = v.channels ? w->count / v.channels : 0;
    return v;
}

/* Do all channels sum over the same? Then input 0 has an axis that is contracted with the weight. */
static bool sums_alike(const hone_node *n) {
    HONE_AXES(axes);
    bool contracts = false;
    if (n->op->axes) n->op->axes(n, &axes);
    for (int i = 0; i < axes.count; i++) {
        const hone_axis_link *l = &axes.links[i];
        contracts |= l->kind == HONE_AXIS_CONTRACTED && l->input + l->input2 == 1 && l->input != l->input2;
    }
    return contracts && !axes.failed;
}

static bool can_ask(const hone_moments_ask *a) {
    const hone_tensor *w = a->node->inputs[1]->data;
    if (!w || w->count == 0 || !sums_alike(a->node)) return false;
    const hone_weight_view v = hone_weight_view_of(w, a->axis);
    /* of a stack of matrices each has sums of its own */
    return v.terms <= MOST_TERMS && (w->rank == 2 || a->output_axis != a->node->outputs[0]->type.rank - 1);
}

/* [.., terms, ..] in the weight's form: 1 where a channel is the term. */
static hone_tensor *identity_for(const hone_tensor *w, int axis, hone_error *err) {
    const int64_t terms = hone_weight_view_of(w, axis).terms;
    int64_t dims[HONE_MAX_RANK];
    hone_tensor *t = NULL;
    memcpy(dims, w->dims, sizeof dims);
    dims[axis] = terms;
    if (hone_tensor_new(HONE_FLOAT32, w->rank, dims, &t, err) != HONE_OK) return NULL;
    const hone_weight_view v = hone_weight_view_of(t, axis);
    for (int64_t i = 0; i < terms; i++) ((float *)t->data)[hone_weight_at(&v, i, i)] = 1;
    return t;
}

/* The node's rows: its channels last, all else one axis. */
static hone_value *emit_rows(hone_graph *g, const hone_node *n, hone_value *identity, int channels,
                             int64_t terms) {
    hone_node *copy = hone_graph_add_node(g, n->op, NULL, 2, (hone_value *[]){n->inputs[0], identity}, 1);
    if (!copy) return NULL;
    hone_node_copy_attrs(g, copy, n);
    hone_value *y = copy->outputs[0];
    int64_t perm[HONE_MAX_RANK], count = 0, rank = n->outputs[0]->type.rank;
    for (int i = 0; i < rank; i++)
        if (i != channels) perm[count++] = i;
    perm[count] = channels;
    if (channels != rank - 1) {
        y = HONE_EMIT(g, "", "Transpose", y);
        if (y) hone_node_set_ints(g, y->producer, "perm", perm, (size_t)rank);
    }
    return HONE_EMIT(g, "", "Reshape", y, hone_graph_ints(g, (int64_t[]){-1, terms}, 2));
}

static void add_output(hone_graph *g, hone_value *v) {
    if (v) hone_graph_add_output(g, v);
}

/* Two outputs: the products of the rows' columns with each other, and the sums of the rows, with their number behind. */
static hone_status emit_moments(hone_graph *g, const hone_moments_ask *a, hone_error *err) {
    const hone_node *n = hone_graph_find(g, a->node->outputs[0]->name)->producer;
    const hone_tensor *w = a->node->inputs[1]->data;
    const int64_t terms = hone_weight_view_of(w, a->axis).terms;
    hone_tensor *t = identity_for(w, a->axis, err);
    if (!t) return hone_fail_memory(err);
    hone_value *identity = hone_graph_add_constant(g, "identity", t);
    hone_tensor_free(t);
    hone_value *rows = emit_rows(g, n, identity, a->output_axis, terms);
    hone_value *turned = HONE_EMIT(g, "", "Transpose", rows);
    add_output(g, HONE_EMIT(g, "", "MatMul", turned, rows));
    add_output(g, HONE_EMIT(g, "", "ReduceSum", rows, hone_graph_ints(g, (int64_t[]){0}, 1)));
    add_output(g, HONE_EMIT(g, "", "Shape", rows));
    return hone_graph_check(g, err);
}

typedef struct sums {
    hone_moments **moments;
    int count;
} sums;

static hone_status add_sums(void *user, int64_t first, int64_t n, const hone_tensor *const *outputs,
                            hone_error *err) {
    const sums *s = user;
    (void)first;
    (void)n; /* rows beyond n are of samples, too */
    for (int i = 0; i < s->count; i++) {
        hone_moments *m = s->moments[i];
        const float *second = outputs[3 * i]->data, *one = outputs[3 * i + 1]->data;
        for (int64_t k = 0; k < m->terms * m->terms; k++) m->second[k] += second[k];
        for (int64_t k = 0; k < m->terms; k++) m->first[k] += one[k];
        m->rows += *(const int64_t *)outputs[3 * i + 2]->data;
        if (!isfinite(m->second[0]) || !isfinite(m->first[0]))
            return hone_fail(err, HONE_OUT_OF_RANGE, "calibration data make infinite values");
    }
    return HONE_OK;
}

static hone_status make_room(hone_moments *m, int64_t terms, hone_error *err) {
    m->terms = terms;
    m->second = hone_calloc((size_t)(terms * terms), sizeof(double));
    m->first = hone_calloc((size_t)terms, sizeof(double));
    return m->second && m->first ? HONE_OK : hone_fail_memory(err);
}

/* Those of asks[chosen[0 … count-1]]. */
static hone_status find_some(const hone_graph *g, const hone_dataset *data, const hone_task *task,
                             int threads, const hone_moments_ask *asks, const int *chosen, int count,
                             hone_moments *moments, hone_error *err) {
    hone_graph *copy = NULL;
    hone_model *m = NULL;
    int target;
    sums s = {hone_calloc((size_t)count + 1, sizeof(hone_moments *)), count};
    hone_feed *inputs = hone_calloc(g->input_count + 1, sizeof *inputs);
    hone_status status = s.moments && inputs ? HONE_OK : hone_fail_memory(err);
    if (status == HONE_OK) status = hone_task_wire(g, data, task, inputs, &target, err);
    if (status == HONE_OK) status = hone_graph_copy(g, &copy, err);
    if (status == HONE_OK) copy->output_count = 0;
    for (int i = 0; i < count && status == HONE_OK; i++) {
        const hone_moments_ask *a = &asks[chosen[i]];
        s.moments[i] = &moments[chosen[i]];
        status = make_room(s.moments[i], hone_weight_view_of(a->node->inputs[1]->data, a->axis).terms, err);
        if (status == HONE_OK) status = emit_moments(copy, a, err);
    }
    if (status == HONE_OK) hone_graph_prune(copy);
    if (status == HONE_OK) status = hone_model_compile(copy, NULL, &m, err);
    hone_graph_free(copy);
    if (status == HONE_OK) status = hone_run_samples(m, data, inputs, 0, threads, add_sums, &s, NULL, err);
    hone_model_free(m);
    hone_free(inputs);
    hone_free(s.moments);
    return status;
}

hone_status hone_moments_find(const hone_graph *g, const hone_dataset *data, const hone_task *task,
                              int64_t samples, int threads, const hone_moments_ask *asks, int count,
                              hone_moments *moments, hone_error *err) {
    hone_dataset *drawn = NULL;
    int *chosen = hone_calloc((size_t)count + 1, sizeof *chosen), some = 0;
    int64_t room = MOST_SUMS;
    if (!chosen) return hone_fail_memory(err);
    hone_status status = hone_calibration_draw(data, task, samples, &drawn, err);
    for (int i = 0; i < count && status == HONE_OK; i++) {
        if (!can_ask(&asks[i])) continue;
        const int64_t terms = hone_weight_view_of(asks[i].node->inputs[1]->data, asks[i].axis).terms;
        if (some && terms * terms > room) {
            status = find_some(g, drawn ? drawn : data, task, threads, asks, chosen, some, moments, err);
            some = 0;
            room = MOST_SUMS;
        }
        chosen[some++] = i;
        room -= terms * terms;
    }
    if (some && status == HONE_OK)
        status = find_some(g, drawn ? drawn : data, task, threads, asks, chosen, some, moments, err);
    hone_dataset_free(drawn);
    hone_free(chosen);
    return status;
}

/* --- the factor --- H = R R^T with R upper triangular, so that U = R^-1 has U^T U = H^-1 */

/* From the last column to the first: column j of R goes into the upper triangle, and out of the lower one, which is what is left
 * of H. Rows are walked along, so that no sum waits for the one before. */
static bool split(double *h, int64_t n) {
    for (int64_t j = n - 1; j >= 0; j--) {
        double *left = h + j * n;
        if (!(left[j] > 0)) return false;
        left[j] = sqrt(left[j]);
        for (int64_t i = 0; i < j; i++) left[i] /= left[j];
        for (int64_t i = 0; i < j; i++) {
            double *row = h + i * n;
            const double f = left[i];
            for (int64_t k = 0; k <= i; k++) row[k] -= f * left[k];
            row[j] = f;
        }
    }
    return true;
}

/* u = r^-1, row by row from the last: u_i = (e_i - sum over k > i of r_ik u_k) / r_ii. */
static void invert(const double *r, double *u, int64_t n) {
    for (int64_t i = n - 1; i >= 0; i--) {
        double *row = u + i * n;
        row[i] = 1;
        for (int64_t k = i + 1; k < n; k++) {
            const double f = r[i * n + k], *below = u + k * n;
            for (int64_t j = k; j < n; j++) row[j] -= f * below[j];
        }
        for (int64_t j = i; j < n; j++) row[j] /= r[i * n + i];
    }
}

hone_status hone_moments_factor(hone_moments *m, hone_error *err) {
    const int64_t n = m->terms;
    if (m->factor || !m->second) return HONE_OK;
    double *r = hone_alloc((size_t)(n * n) * sizeof *r), *u = hone_calloc((size_t)(n * n), sizeof *u),
           mean = 0;
    if (!r || !u) {
        hone_free(r);
        hone_free(u);
        return hone_fail_memory(err);
    }
    memcpy(r, m->second, (size_t)(n * n) * sizeof *r);
    for (int64_t i = 0; i < n; i++) mean += r[i * n + i] / (double)n;
    /* an input that is always 0 stands for itself */
    for (int64_t i = 0; i < n; i++) r[i * n + i] = r[i * n + i] + (mean > 0 ? DAMPING * mean : 1);
    const bool positive = split(r, n);
    if (positive) invert(r, u, n);
    hone_free(r);
    if (positive)
        m->factor = u;
    else
        hone_free(u);
    return HONE_OK;
}
