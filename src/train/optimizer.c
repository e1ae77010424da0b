#include "train/optimizer.h"

#include "graph/infer.h"
#include "graph/op.h"

#include <math.h>
#include <string.h>

typedef struct optimizer {
    const hone_op *(*op)(void);
    const char *states[2]; /* names behind the weight's; NULL: none */
    bool corrected;        /* takes FIRST and SECOND */
    void (*set)(hone_graph *g, hone_node *n, const hone_train_options *o);
} optimizer;

static void set_sgd(hone_graph *g, hone_node *n, const hone_train_options *o) {
    hone_node_set_float(g, n, "momentum", (float)o->momentum);
    hone_node_set_int(g, n, "nesterov", o->nesterov);
}

static void set_betas(hone_graph *g, hone_node *n, const hone_train_options *o) {
    hone_node_set_float(g, n, "beta1", (float)o->beta1);
    hone_node_set_float(g, n, "beta2", (float)o->beta2);
}

static void set_adamw(hone_graph *g, hone_node *n, const hone_train_options *o) {
    set_betas(g, n, o);
    hone_node_set_float(g, n, "epsilon", (float)o->epsilon);
}

static void set_adam(hone_graph *g, hone_node *n, const hone_train_options *o) {
    set_adamw(g, n, o);
    hone_node_set_int(g, n, "coupled", 1);
}

static void set_rmsprop(hone_graph *g, hone_node *n, const hone_train_options *o) {
    hone_node_set_float(g, n, "alpha", (float)o->beta2);
    hone_node_set_float(g, n, "momentum", (float)o->momentum);
    hone_node_set_float(g, n, "epsilon", (float)o->epsilon);
}

static const hone_op *sgd(void) {
    return hone_op_find(HONE_PRIVATE_DOMAIN, "Sgd");
}
static const hone_op *adam(void) {
    return hone_op_find(HONE_PRIVATE_DOMAIN, "AdamStep");
}
static const hone_op *lion(void) {
    return hone_op_find(HONE_PRIVATE_DOMAIN, "LionStep");
}
static const hone_op *rmsprop(void) {
    return hone_op_find(HONE_PRIVATE_DOMAIN, "RmsPropStep");
}

static const optimizer optimizers[] = {
    [HONE_OPTIMIZER_SGD] = {sgd, {"momentum"}, false, set_sgd},
    [HONE_OPTIMIZER_ADAMW] = {adam, {"first", "second"}, true, set_adamw},
    [HONE_OPTIMIZER_ADAM] = {adam, {"first", "second"}, true, set_adam},
    [HONE_OPTIMIZER_LION] = {lion, {"momentum"}, false, set_betas},
    [HONE_OPTIMIZER_RMSPROP] = {rmsprop, {"momentum", "squares"}, false, set_rmsprop},
};

/* --- settings --- */

void hone_settings_add(hone_graph *g, const hone_train_options *o, bool parts, bool mixes, bool gathers,
                       hone_settings *out) {
    static const char *const names[] = {"rate", "first", "second", "average", "part", "mix"};
    bool corrected = optimizers[o->optimizer].corrected && !gathers;
    const bool needed[] = {!gathers, corrected, corrected, o->average > 0 && !gathers, parts, mixes};
    hone_type number = hone_type_make(HONE_FLOAT32, 0, NULL);
    for (int i = 0; i < HONE_SETTINGS; i++)
        out->at[i] = needed[i] ? hone_graph_add_input(g, names[i], &number) : NULL;
    if (!out->at[HONE_SETTING_AVERAGE]) return;
    out->averaged = hone_arena_array(g->arena, g->value_count + 1, sizeof *out->averaged);
    if (!out->averaged) {
        hone_graph_out_of_memory(g);
        out->at[HONE_SETTING_AVERAGE] = NULL;
    }
}

/* Of the learning rate, behind the warm-up; `t` in [0, 1). */
static double shape(const hone_train_options *o, double t) {
    double low = o->floor;
    switch (o->schedule) {
    case HONE_SCHEDULE_CONSTANT:
    case HONE_SCHEDULE_PLATEAU: return 1;
    case HONE_SCHEDULE_LINEAR: return low + (1 - low) * (1 - t);
    case HONE_SCHEDULE_STEP: return t < 0.5 ? 1 : t < 0.75 ? 0.1 : 0.01;
    case HONE_SCHEDULE_COSINE: break;
    }
    int cycles = o->cycles > 0 ? o->cycles : 1;
    double within = t * cycles - floor(t * cycles);
    return low + (1 - low) * 0.5 * (1 + cos(M_PI * within));
}

static double learning_rate(const hone_train_options *o, int64_t step, int64_t steps) {
    double warm = o->warmup < 1 ? o->warmup * (double)steps : o->warmup, at = (double)step;
    if (at < warm) return o->learning_rate * (at + 1) / (warm + 1);
    double left = (double)steps - warm;
    return o->learning_rate * shape(o, left > 0 ? (at - warm) / left : 0);
}

double hone_setting_value(const hone_train_options *o, hone_setting setting, int64_t step, int64_t steps,
                          double factor) {
    double t = (double)step + 1;
    switch (setting) {
    case HONE_SETTING_FIRST: return 1 / (1 - pow(o->beta1, t));
    case HONE_SETTING_SECOND: return 1 / (1 - pow(o->beta2, t));
    /* a mean of few steps at first: it must not remember where training began */
    case HONE_SETTING_AVERAGE: return 1 - fmin(o->average, t / (t + 9));
    default: return learning_rate(o, step, steps) * factor;
    }
}

/* --- gradients --- */

static hone_value *number(hone_graph *g, double x) {
    return hone_graph_scalar(g, HONE_FLOAT32, x);
}

static hone_value *sum_of_squares(hone_graph *g, hone_value *x) {
    hone_value *sum = HONE_EMIT(g, "", "ReduceSumSquare", x);
    if (sum) hone_node_set_int(g, sum->producer, "keepdims", 0);
    return sum;
}

/* All gradients times min(1, limit / norm) (Pascanu et al. 2013, arXiv 1211.5063). */
static void clip_norm(hone_graph *g, double limit, hone_value **gradients, int count) {
    hone_value **terms = hone_arena_array(g->arena, (size_t)count + 1, sizeof *terms);
    int n = 0;
    if (!terms) {
        hone_graph_out_of_memory(g);
        return;
    }
    for (int i = 0; i < count; i++)
        if (gradients[i]) terms[n++] = sum_of_squares(g, gradients[i]);
    if (n == 0) return;
    hone_value *sum = n > 1 ? hone_graph_emit(g, "", "Sum", terms, n) : terms[0];
    hone_value *norm = HONE_EMIT(g, "", "Sqrt", HONE_EMIT(g, "", "Add", sum, number(g, 1e-12)));
    hone_value *factor =
        HONE_EMIT(g, "", "Min", HONE_EMIT(g, "", "Div", number(g, limit), norm), number(g, 1));
    for (int i = 0; i < count; i++)
        if (gradients[i]) gradients[i] = HONE_EMIT(g, "", "Mul", gradients[i], factor);
}

void hone_clip_gradients(hone_graph *g, const hone_train_options *o, hone_value **gradients, int count) {
    for (int i = 0; i < count && o->clip_value > 0; i++)
        if (gradients[i])
            gradients[i] =
                HONE_EMIT(g, "", "Clip", gradients[i], number(g, -o->clip_value), number(g, o->clip_value));
    if (o->clip_norm > 0) clip_norm(g, o->clip_norm, gradients, count);
}

/* --- updates --- */

/* A variable named after `w`, beginning with `content`, or zeros. */
static hone_value *state(hone_graph *g, const hone_value *w, const char *name, const hone_tensor *content) {
    hone_tensor *t = NULL;
    hone_status made =
        content ? hone_tensor_copy_of(content->dtype, content->rank, content->dims, content->data, &t, NULL)
                : hone_tensor_new(w->data->dtype, w->data->rank, w->data->dims, &t, NULL);
    if (made != HONE_OK) {
        hone_graph_out_of_memory(g);
        return NULL;
    }
    hone_value *v = hone_graph_add_variable(g, hone_arena_printf(g->arena, "%s%s", w->name, name), t);
    hone_tensor_free(t);
    return v;
}

hone_value *hone_gather_gradient(hone_graph *g, const hone_value *w, hone_value *gradient,
                                 hone_value **variable) {
    *variable = state(g, w, ".gradient", NULL);
    return HONE_EMIT(g, "", "Add", *variable, gradient);
}

void hone_average_add(hone_graph *g, hone_settings *settings, hone_value *w, hone_value *next) {
    hone_value *rate = settings->at[HONE_SETTING_AVERAGE];
    if (!rate || w->data->dtype != HONE_FLOAT32) return;
    hone_value *average = state(g, w, ".average", w->data);
    hone_value *change = HONE_EMIT(g, "", "Mul", HONE_EMIT(g, "", "Sub", next, average), rate);
    hone_value *moved = HONE_EMIT(g, "", "Add", average, change);
    if (!moved) return;
    hone_graph_bind(g, moved, average);
    settings->averaged[settings->averaged_count][0] = w;
    settings->averaged[settings->averaged_count++][1] = average;
}

void hone_optimizer_add(hone_graph *g, const hone_train_options *o, hone_settings *settings, hone_value *w,
                        hone_value *gradient) {
    const optimizer *kind = &optimizers[o->optimizer];
    hone_value *in[7] = {w}, *states[2];
    int count = 1, state_count = 0;
    for (; state_count < 2 && kind->states[state_count]; state_count++)
        in[count++] = states[state_count] =
            state(g, w, hone_arena_printf(g->arena, ".%s", kind->states[state_count]), NULL);
    in[count++] = gradient;
    in[count++] = settings->at[HONE_SETTING_RATE];
    if (kind->corrected) {
        in[count++] = settings->at[HONE_SETTING_FIRST];
        in[count++] = settings->at[HONE_SETTING_SECOND];
    }
    const char *name = hone_arena_printf(g->arena, "%s.step", w->name);
    hone_node *n = hone_graph_add_node(g, kind->op(), name, count, in, 1 + state_count);
    if (!n) return;
    kind->set(g, n, o);
    hone_node_set_float(g, n, "weight_decay", w->data->rank > 1 ? (float)o->weight_decay : 0);
    hone_node_set_int(g, n, "lazy", 1);
    hone_graph_bind(g, n->outputs[0], w);
    for (int i = 0; i < state_count; i++)
        if (states[i]) hone_graph_bind(g, n->outputs[1 + i], states[i]);
    hone_average_add(g, settings, w, n->outputs[0]);
}
