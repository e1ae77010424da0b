#include "explain/probe.h"

#include "base/error.h"
#include "base/memory.h"
#include "graph/autodiff.h"
#include "graph/expand.h"
#include "graph/infer.h"
#include "graph/rewrite.h"
#include "graph/tensor.h"

#include <string.h>

struct hone_probe {
    const hone_subject *subject;
    hone_engine head;
    hone_point *points;
    int count, output_count;
    const hone_tensor **feeds;   /* of the head's inputs */
    int *feed_of;                /* which the points are; -1: the head does not look at it */
    int *output_of;              /* which output the gradient of a point is; -1: none */
    const hone_tensor **outputs; /* the model's output, the gradients */
    hone_tensor *cotangent;
};

static bool is_float(const hone_type *t) {
    return t->kind == HONE_KIND_TENSOR && t->dtype == HONE_FLOAT32;
}

static bool is_whole(const hone_type *t) {
    return t->kind == HONE_KIND_TENSOR && hone_dtype_is_int(t->dtype);
}

/* --- the model, ready for gradients --- */

static hone_status open_model(const hone_graph *g, hone_graph **out, hone_error *err) {
    HONE_TRY(hone_graph_copy(g, out, err));
    HONE_TRY(hone_graph_sort(*out, err));
    HONE_TRY(hone_graph_infer(*out, err));
    HONE_TRY(hone_graph_rewrite_stage(*out, HONE_STAGE_CANONICAL, NULL, err));
    HONE_TRY(hone_graph_sort(*out, err));
    HONE_TRY(hone_graph_infer(*out, err));
    HONE_TRY(hone_graph_expand(*out, true, err));
    return hone_graph_infer(*out, err);
}

/* What the elements of an integer input become: the first float value that is made of it, or of what it was cast to, and of
 * constants alone; NULL: there is none. */
static hone_value *vectors_of(const hone_graph *g, const hone_value *input) {
    for (hone_node *n = g->first; n; n = n->next) {
        bool made = false, other = false;
        for (int i = 0; i < n->input_count; i++) {
            const hone_value *v = n->inputs[i];
            made = made || v == input;
            other = other || (v && v != input && !hone_value_constant(v));
        }
        if (!made || other || n->output_count != 1) continue;
        const hone_type *type = &n->outputs[0]->type;
        if (is_float(type) && type->rank > input->type.rank) return n->outputs[0];
        hone_value *next =
            is_whole(type) && type->rank == input->type.rank ? vectors_of(g, n->outputs[0]) : NULL;
        if (next) return next;
    }
    return NULL;
}

/* The last value [N, C, …places] of more than one place; NULL: there is none. */
static hone_value *last_layer(const hone_graph *g) {
    hone_value *last = NULL;
    for (const hone_node *n = g->first; n; n = n->next) {
        const hone_type *t = n->output_count > 0 && n->outputs[0] ? &n->outputs[0]->type : NULL;
        bool places = t && is_float(t) && t->rank >= 3 && t->rank <= 5;
        for (int d = 2; places && d < t->rank; d++) places = t->dims[d] != 1;
        if (places && t->dims[1] > 1) last = n->outputs[0];
    }
    return last;
}

/* --- points --- */

/* What the model has at a value that is no input. */
static hone_status compute(const hone_probe *p, const hone_graph *g, hone_value *v, hone_tensor **out,
                           hone_error *err) {
    const hone_subject *s = p->subject;
    hone_graph *prefix = NULL;
    hone_engine e = {NULL};
    const hone_tensor *y;
    const hone_tensor **in = hone_calloc(g->input_count + 1, sizeof *in);
    hone_status status = in ? hone_graph_extract(g, &v, 1, &prefix, err) : hone_fail_memory(err);
    for (size_t i = 0; status == HONE_OK && i < prefix->input_count; i++)
        for (int k = 0; k < s->input_count; k++)
            if (strcmp(prefix->inputs[i]->name, s->graph->inputs[k]->name) == 0) in[i] = s->inputs[k];
    if (status == HONE_OK) status = hone_engine_make(prefix, s->options->threads, &e, err);
    if (status == HONE_OK) status = hone_context_run(e.context, in, &y, err);
    if (status == HONE_OK) status = hone_tensor_copy_of(y->dtype, y->rank, y->dims, y->data, out, err);
    hone_engine_free(&e);
    hone_graph_free(prefix);
    hone_free(in);
    return status;
}

static hone_status add_point(hone_probe *p, hone_graph *g, int input, hone_value **v, hone_error *err) {
    hone_point *point = &p->points[p->count];
    *point = (hone_point){.input = input};
    if ((*v)->storage == HONE_STORAGE_INPUT) {
        const hone_tensor *x = p->subject->inputs[input];
        HONE_TRY(hone_tensor_copy_of(x->dtype, x->rank, x->dims, x->data, &point->start, err));
    } else {
        point->tokens = input >= 0;
        HONE_TRY(compute(p, g, *v, &point->start, err));
        hone_type type = hone_type_of(point->start);
        hone_value *cut = hone_graph_add_input(g, NULL, &type);
        if (!cut) return hone_graph_check(g, err);
        hone_graph_replace(g, *v, cut);
        *v = cut;
    }
    const hone_tensor *x = point->start;
    HONE_TRY(hone_tensor_copy_of(x->dtype, x->rank, x->dims, x->data, &point->at, err));
    p->count++;
    return HONE_OK;
}

static hone_status add_layer(hone_probe *p, hone_graph *g, hone_value **value, hone_error *err) {
    const char *name = p->subject->options->layer;
    *value = name ? hone_graph_find(g, name) : last_layer(g);
    if (name && (!*value || (*value)->storage != HONE_STORAGE_INTERMEDIATE || !is_float(&(*value)->type)))
        return hone_fail(err, HONE_INVALID_ARGUMENT, "the model has no value '%s' of floats", name);
    if (!*value) return hone_fail(err, HONE_UNSUPPORTED, "the model has no layer [N, C, ...places]");
    return add_point(p, g, -1, value, err);
}

static hone_status add_points(hone_probe *p, hone_graph *g, hone_value **values, hone_error *err) {
    for (int i = 0; i < p->subject->input_count; i++) {
        hone_value *v = g->inputs[i];
        hone_value *at = is_float(&v->type) ? v : is_whole(&v->type) ? vectors_of(g, v) : NULL;
        if (!at || at->use_count == 0) continue;
        values[p->count] = at;
        HONE_TRY(add_point(p, g, i, &values[p->count], err));
    }
    if (p->count > 0) return HONE_OK;
    return hone_fail(err, HONE_UNSUPPORTED, "no input is of floats, or of what becomes vectors");
}

/* --- the head --- */

static hone_status differentiate(hone_probe *p, hone_graph *g, hone_value **points, hone_value **gradients,
                                 hone_error *err) {
    const hone_subject *s = p->subject;
    hone_value *y = g->outputs[s->output];
    hone_type type = hone_type_make(y->type.dtype, y->type.rank, y->type.dims);
    hone_value *cotangent = hone_graph_add_input(g, NULL, &type);
    HONE_TRY(hone_graph_check(g, err));
    HONE_TRY(hone_graph_sort(g, err));
    HONE_TRY(hone_graph_differentiate(g, 1, &y, &cotangent, p->count, points, gradients, err));
    g->output_count = 0;
    hone_graph_add_output(g, y);
    p->output_count = 1;
    for (int i = 0; i < p->count; i++) {
        p->output_of[i] = gradients[i] ? p->output_count++ : -1;
        if (gradients[i]) hone_graph_add_output(g, gradients[i]);
    }
    hone_graph_prune(g);
    HONE_TRY(hone_graph_check(g, err));
    HONE_TRY(hone_graph_infer(g, err));
    /* what goes into each input: the model's, the points', the cotangent */
    for (size_t i = 0; i < g->input_count; i++) {
        p->feeds[i] = i < (size_t)s->input_count ? s->inputs[i] : NULL;
        if (g->inputs[i] == cotangent) p->feeds[i] = p->cotangent;
        for (int k = 0; k < p->count; k++)
            if (g->inputs[i] == points[k]) p->feeds[i] = p->points[k].at;
    }
    return hone_engine_make(g, s->options->threads, &p->head, err);
}

static hone_status make_cotangent(hone_probe *p, hone_error *err) {
    const hone_tensor *y = p->subject->outputs[p->subject->output];
    HONE_TRY(hone_tensor_new(y->dtype, y->rank, y->dims, &p->cotangent, err));
    if (y->dtype == HONE_FLOAT64)
        ((double *)p->cotangent->data)[p->subject->target] = 1;
    else
        ((float *)p->cotangent->data)[p->subject->target] = 1;
    return HONE_OK;
}

static hone_status build(hone_probe *p, bool layer, hone_error *err) {
    const hone_subject *s = p->subject;
    size_t n = (size_t)s->input_count + 1;
    hone_graph *g = NULL;
    hone_value **values = hone_calloc(2 * n, sizeof(hone_value *)); /* and their gradients */
    p->points = hone_calloc(n, sizeof *p->points);
    p->output_of = hone_calloc(n, sizeof *p->output_of);
    p->outputs = hone_calloc(n + 1, sizeof *p->outputs);
    p->feeds = hone_calloc(2 * n + 1, sizeof *p->feeds);
    hone_status status =
        values && p->points && p->output_of && p->outputs && p->feeds ? HONE_OK : hone_fail_memory(err);
    if (status == HONE_OK) status = make_cotangent(p, err);
    if (status == HONE_OK) status = open_model(s->graph, &g, err);
    if (status == HONE_OK) status = layer ? add_layer(p, g, values, err) : add_points(p, g, values, err);
    if (status == HONE_OK) status = differentiate(p, g, values, values + n, err);
    hone_graph_free(g);
    hone_free(values);
    return status;
}

hone_status hone_probe_new(const hone_subject *s, bool layer, hone_probe **out, hone_error *err) {
    hone_probe *p = hone_calloc(1, sizeof *p);
    if (!p) return hone_fail_memory(err);
    p->subject = s;
    hone_status status = build(p, layer, err);
    if (status == HONE_OK)
        *out = p;
    else
        hone_probe_free(p);
    return status;
}

void hone_probe_free(hone_probe *p) {
    if (!p) return;
    hone_engine_free(&p->head);
    for (int i = 0; p->points && i <= p->subject->input_count; i++) {
        hone_tensor_free(p->points[i].at);
        hone_tensor_free(p->points[i].start);
    }
    hone_free(p->points);
    hone_free(p->output_of);
    hone_free(p->outputs);
    hone_free(p->feeds);
    hone_tensor_free(p->cotangent);
    hone_free(p);
}

int hone_probe_count(const hone_probe *p) {
    return p->count;
}

hone_point *hone_probe_point(hone_probe *p, int index) {
    return &p->points[index];
}

hone_status hone_probe_run(hone_probe *p, double *score, hone_error *err) {
    HONE_TRY(hone_context_run(p->head.context, p->feeds, p->outputs, err));
    *score = hone_tensor_number(p->outputs[0], p->subject->target);
    for (int i = 0; i < p->count; i++)
        p->points[i].gradient = p->output_of[i] < 0 ? NULL : p->outputs[p->output_of[i]];
    return HONE_OK;
}
