/* The training loop. */
#include "base/clock.h"
#include "data/loader.h"
#include "runtime/model.h"
#include "train/checkpoint.h"
#include "train/derive.h"
#include "train/evaluate.h"
#include "train/recipe.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct trainer {
    const hone_train_options *options;
    hone_graph *graph; /* the caller's */
    const hone_dataset *data;
    const hone_parametrization *parametrizations;
    int parametrization_count;
    hone_variables *variables;
    hone_model *model;
    hone_session *session;
    hone_context *context;
    hone_loader *loader;
    hone_tensor *rate;             /* float32 scalar */
    hone_tensor *teacher;          /* [samples, classes]: the teacher's logits, computed once */
    hone_tensor *teacher_batch[2]; /* [batch, classes] and the smaller last one */
    char *recipe;
    hone_train_state state;
    int64_t steps_per_epoch, steps;
    int64_t classes; /* of the logits; < 0: known when running */
    bool stopped;
    int hold; /* of the checkpoints' directory; < 0: none */
    double start;
} trainer;

static double learning_rate(const trainer *t) {
    double full = t->options->learning_rate;
    if (t->options->schedule == HONE_SCHEDULE_CONSTANT) return full;
    return full * 0.5 * (1 + cos(M_PI * (double)t->state.step / (double)t->steps));
}

/* --- the model of now --- */

static void bake(const trainer *t, const char *name, hone_tensor *w) {
    for (int i = 0; i < t->parametrization_count; i++)
        if (strcmp(t->parametrizations[i].weight, name) == 0)
            t->parametrizations[i].bake(w, t->parametrizations[i].arg);
}

/* A loss may have been fine before the update that went wrong. */
static hone_status check_finite(const trainer *t, const char *name, const hone_tensor *w, hone_error *err) {
    for (int64_t i = 0; i < w->count; i++)
        if (!isfinite(((const float *)w->data)[i]))
            return hone_fail_node(err, HONE_OUT_OF_RANGE, name, NULL,
                                  "a weight became %g by step %lld: a smaller learning rate may help",
                                  fabs(((const float *)w->data)[i]), (long long)t->state.step);
    return HONE_OK;
}

/* Puts the variables' content into the weights of `g` that they came from. All copies are made before the
 * first is put in, so that on failure `g` is as it was. */
static hone_status write_back(const trainer *t, hone_graph *g, hone_error *err) {
    hone_tensor **copies = hone_calloc(g->value_count + 1, sizeof(hone_tensor *));
    if (!copies) return hone_fail_memory(err);
    hone_status status = HONE_OK;
    for (size_t i = 0; i < g->value_count && status == HONE_OK; i++) {
        const hone_value *v = g->values[i];
        const hone_tensor *w = hone_is_trainable(v) ? hone_variables_get(t->variables, v->name) : NULL;
        if (!w) continue;
        status = check_finite(t, v->name, w, err);
        if (status == HONE_OK)
            status = hone_tensor_copy_of(w->dtype, w->rank, w->dims, w->data, &copies[i], err);
        if (status == HONE_OK) bake(t, v->name, copies[i]);
    }
    for (size_t i = 0; i < g->value_count; i++) {
        if (copies[i] && status == HONE_OK) {
            hone_tensor_free(g->values[i]->data);
            g->values[i]->data = copies[i];
        } else {
            hone_tensor_free(copies[i]);
        }
    }
    hone_free(copies);
    return status;
}

/* --- setting up --- */

static hone_status keep_logits(void *user, int64_t first, int64_t n, const float *logits, int64_t classes,
                               hone_error *err) {
    trainer *t = user;
    int64_t dims[] = {hone_dataset_count(t->data), classes},
            wanted = t->teacher ? t->teacher->dims[1] : t->classes;
    if (wanted >= 0 && classes != wanted)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "the teacher has %lld outputs, the student %lld",
                         (long long)classes, (long long)wanted);
    if (!t->teacher) HONE_TRY(hone_tensor_new(HONE_FLOAT32, 2, dims, &t->teacher, err));
    memcpy((float *)t->teacher->data + first * classes, logits, (size_t)(n * classes) * sizeof *logits);
    return HONE_OK;
}

static hone_status ask_teacher(trainer *t, hone_error *err) {
    const hone_train_options *o = t->options;
    if (!o->teacher) return HONE_OK;
    HONE_TRY(hone_predict_all(o->teacher, t->data, o->threads, keep_logits, t, NULL, err));
    int64_t count = hone_dataset_count(t->data), batch = o->batch < count ? o->batch : count;
    for (int i = 0; i < 2; i++) {
        int64_t dims[] = {i == 0 ? batch : count % batch, t->teacher->dims[1]};
        HONE_TRY(hone_tensor_new(HONE_FLOAT32, 2, dims, &t->teacher_batch[i], err));
    }
    return HONE_OK;
}

/* As far as it is known before running how many there are. */
static hone_status check_labels(const trainer *t, hone_error *err) {
    for (int64_t i = 0; t->classes >= 0 && i < hone_dataset_count(t->data); i++) {
        int64_t label;
        HONE_TRY(hone_dataset_read(t->data, NULL, i, 1, NULL, &label, err));
        HONE_TRY(hone_check_label(label, t->classes, err));
    }
    return HONE_OK;
}

static hone_status compile(trainer *t, hone_error *err) {
    hone_graph *derived = NULL;
    hone_session_options options = HONE_SESSION_OPTIONS_INIT;
    options.threads = t->options->threads;
    HONE_TRY(hone_derive_training(t->graph, t->options, t->parametrizations, t->parametrization_count,
                                  &derived, err));
    t->classes = derived->outputs[1]->type.dims[1];
    hone_status status = hone_recipe_make(t->options, t->graph, derived, t->data, &t->recipe, err);
    if (status == HONE_OK) status = hone_model_compile_shared(derived, NULL, t->variables, &t->model, err);
    hone_graph_free(derived);
    HONE_TRY(status);
    HONE_TRY(hone_session_create(t->model, &options, &t->session, err));
    HONE_TRY(hone_context_create(t->session, &t->context, err));
    return hone_tensor_new(HONE_FLOAT32, 0, NULL, &t->rate, err);
}

static hone_status check_options(const hone_train_options *o, hone_error *err) {
    if (o->epochs < 1 || o->batch < 1)
        return hone_fail(err, HONE_INVALID_ARGUMENT,
                         "training needs at least one epoch and a batch of at least 1");
    if (!((float)o->learning_rate > 0) || !isfinite((float)o->learning_rate) ||
        !(o->momentum >= 0 && o->momentum < 1) || !(o->weight_decay >= 0) ||
        !isfinite((float)o->weight_decay))
        return hone_fail(err, HONE_INVALID_ARGUMENT,
                         "learning rate %g, momentum %g or weight decay %g is out of range", o->learning_rate,
                         o->momentum, o->weight_decay);
    if (o->schedule != HONE_SCHEDULE_CONSTANT && o->schedule != HONE_SCHEDULE_COSINE)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "there is no schedule %d", (int)o->schedule);
    if (o->threads < 0 || o->max_samples < 0 || o->checkpoint_steps < 0)
        return hone_fail(err, HONE_INVALID_ARGUMENT,
                         "threads %d, max_samples %lld or checkpoint_steps %lld is negative", o->threads,
                         (long long)o->max_samples, (long long)o->checkpoint_steps);
    if (o->teacher && (!((float)o->temperature > 0) || !isfinite((float)o->temperature) ||
                       !(o->alpha >= 0 && o->alpha <= 1)))
        return hone_fail(err, HONE_INVALID_ARGUMENT,
                         "temperature %g must be above 0 and alpha %g within [0, 1]", o->temperature,
                         o->alpha);
    return HONE_OK;
}

/* Samples of the epoch that the last step belongs to, up to it. */
static int64_t samples_seen(const trainer *t) {
    return t->state.sample > 0 ? t->state.sample : hone_dataset_count(t->data);
}

static hone_status resume(trainer *t, hone_error *err) {
    const hone_train_options *o = t->options;
    const hone_train_state *s = &t->state;
    HONE_TRY(hone_checkpoint_load(o->resume_dir, t->variables, &t->state, t->recipe, err));
    if (s->step > t->steps || s->epoch != s->step / t->steps_per_epoch ||
        s->sample != s->step % t->steps_per_epoch * o->batch || s->correct > samples_seen(t))
        return hone_fail_file(err, HONE_CORRUPT, o->resume_dir,
                              "the newest checkpoint is damaged: step %lld is not sample %lld of epoch %lld",
                              (long long)s->step, (long long)s->sample, (long long)s->epoch);
    return hone_loader_seek(t->loader, (hone_loader_position){s->epoch, s->sample}, err);
}

static hone_status set_up(trainer *t, hone_error *err) {
    const hone_train_options *o = t->options;
    hone_loader_options loader = HONE_LOADER_OPTIONS_INIT;
    loader.batch = o->batch;
    loader.seed = o->seed;
    if (t->graph->input_count > 0) HONE_TRY(hone_check_samples(t->graph, t->data, err));
    HONE_TRY(hone_loader_new(t->data, &loader, &t->loader, err));
    t->steps_per_epoch = hone_loader_batches(t->loader);
    t->steps = t->steps_per_epoch * o->epochs;
    t->variables = hone_variables_new();
    if (!t->variables) return hone_fail_memory(err);
    HONE_TRY(compile(t, err));
    HONE_TRY(check_labels(t, err));
    if (o->checkpoint_dir) HONE_TRY(hone_checkpoint_hold(o->checkpoint_dir, &t->hold, err));
    if (o->resume_dir) HONE_TRY(resume(t, err));
    return ask_teacher(t, err);
}

static void tear_down(trainer *t) {
    hone_dir_release(t->hold);
    hone_context_free(t->context);
    hone_session_free(t->session);
    hone_model_free(t->model);
    hone_variables_free(t->variables);
    hone_loader_free(t->loader);
    hone_tensor_free(t->rate);
    hone_tensor_free(t->teacher);
    hone_tensor_free(t->teacher_batch[0]);
    hone_tensor_free(t->teacher_batch[1]);
    free(t->recipe);
}

/* --- steps --- */

static const hone_tensor *gather_teacher(trainer *t, const hone_batch *b) {
    hone_tensor *out = t->teacher_batch[b->n == t->teacher_batch[0]->dims[0] ? 0 : 1];
    size_t row = (size_t)t->teacher->dims[1];
    for (int64_t i = 0; i < b->n; i++)
        memcpy((float *)out->data + (size_t)i * row, (const float *)t->teacher->data + b->indices[i] * row,
               row * sizeof(float));
    return out;
}

static hone_status step(trainer *t, const hone_batch *b, hone_error *err) {
    const hone_tensor *inputs[4] = {b->x, b->y, t->rate, NULL}, *outputs[2];
    *(float *)t->rate->data = (float)learning_rate(t);
    if (t->teacher) inputs[3] = gather_teacher(t, b);
    HONE_TRY(hone_context_run(t->context, inputs, outputs, err));
    float loss = *(const float *)outputs[0]->data;
    int64_t classes = outputs[1]->dims[1], correct = 0;
    for (int64_t i = 0; i < b->n; i++) {
        int64_t label = ((const int64_t *)b->y->data)[i];
        HONE_TRY(hone_check_label(label, classes, err));
        correct += hone_argmax((const float *)outputs[1]->data + i * classes, classes) == label;
    }
    if (!isfinite(loss))
        return hone_fail(err, HONE_OUT_OF_RANGE,
                         "the loss became %g at step %lld: a smaller learning rate may help", fabs(loss),
                         (long long)t->state.step + 1);
    if (b->position.sample == 0) {
        t->state.loss_sum = 0;
        t->state.correct = 0;
    }
    t->state.loss_sum += (double)loss * (double)b->n;
    t->state.correct += correct;
    t->state.step++;
    return HONE_OK;
}

static hone_status report_epoch(trainer *t, hone_train_progress *p, hone_graph **now, hone_error *err) {
    p->validation_loss = p->validation_accuracy = NAN;
    HONE_TRY(hone_graph_copy(t->graph, now, err));
    HONE_TRY(write_back(t, *now, err));
    p->graph = *now;
    if (!t->options->validation) return HONE_OK;
    hone_eval_report r;
    HONE_TRY(hone_evaluate(*now, t->options->validation, t->options->threads, &r, err));
    p->validation_loss = r.loss;
    p->validation_accuracy = r.accuracy;
    return HONE_OK;
}

/* Tells the caller; sets t->stopped when it wants to stop. */
static hone_status report(trainer *t, const hone_batch *b, double rate, hone_error *err) {
    int64_t seen = b->position.sample + b->n;
    if (!t->options->progress) return HONE_OK;
    hone_graph *now = NULL;
    hone_train_progress p = {.epoch = (int)b->position.epoch + 1,
                             .epochs = t->options->epochs,
                             .step = t->state.step,
                             .steps = t->steps,
                             .samples = seen,
                             .epoch_samples = hone_dataset_count(t->data),
                             .loss = t->state.loss_sum / (double)seen,
                             .accuracy = (double)t->state.correct / (double)seen,
                             .learning_rate = rate,
                             .seconds = hone_seconds_now() - t->start,
                             .data_seconds = hone_loader_seconds(t->loader),
                             .epoch_done = b->last};
    hone_status status = b->last ? report_epoch(t, &p, &now, err) : HONE_OK;
    if (status == HONE_OK && !t->options->progress(t->options->user, &p)) t->stopped = true;
    hone_graph_free(now);
    return status;
}

/* After the step: the state says where the next one starts. */
static hone_status checkpoint(trainer *t, bool epoch_done, hone_error *err) {
    const hone_train_options *o = t->options;
    if (!o->checkpoint_dir) return HONE_OK;
    bool due = o->checkpoint_steps > 0 ? t->state.step % o->checkpoint_steps == 0 : epoch_done;
    if (!due && !t->stopped) return HONE_OK;
    return hone_checkpoint_save(o->checkpoint_dir, t->variables, &t->state, t->recipe, err);
}

static hone_status run(trainer *t, hone_error *err) {
    t->start = hone_seconds_now();
    while (t->state.step < t->steps && !t->stopped) {
        hone_batch b;
        double rate = learning_rate(t);
        HONE_TRY(hone_loader_next(t->loader, &b, err));
        HONE_TRY(step(t, &b, err));
        HONE_TRY(report(t, &b, rate, err));
        hone_loader_position next = hone_loader_tell(t->loader);
        t->state.epoch = next.epoch;
        t->state.sample = next.sample;
        HONE_TRY(checkpoint(t, b.last, err));
    }
    return HONE_OK;
}

static hone_status train(trainer *t, hone_train_report *report_out, hone_error *err) {
    HONE_TRY(set_up(t, err));
    HONE_TRY(run(t, err));
    HONE_TRY(write_back(t, t->graph, err));
    if (!report_out) return HONE_OK;
    double seen = (double)samples_seen(t);
    *report_out = (hone_train_report){.steps = t->state.step,
                                      .stopped = t->state.step < t->steps,
                                      .loss = t->state.loss_sum / seen,
                                      .accuracy = (double)t->state.correct / seen,
                                      .seconds = hone_seconds_now() - t->start};
    return HONE_OK;
}

hone_status hone_train_parametrized(hone_graph *g, const hone_dataset *data,
                                    const hone_train_options *options,
                                    const hone_parametrization *parametrizations, int parametrization_count,
                                    hone_train_report *report_out, hone_error *err) {
    hone_train_options defaults = HONE_TRAIN_OPTIONS_INIT;
    if (!options) options = &defaults;
    HONE_TRY(hone_check_options_size(options->size, sizeof *options, err));
    HONE_TRY(check_options(options, err));
    hone_dataset *subset = NULL;
    int64_t count = hone_dataset_count(data);
    if (options->max_samples > 0 && options->max_samples < count) {
        uint32_t *indices = hone_alloc((size_t)options->max_samples * sizeof *indices);
        if (!indices) return hone_fail_memory(err);
        for (int64_t i = 0; i < options->max_samples; i++) indices[i] = (uint32_t)i;
        hone_status status = hone_dataset_subset(data, indices, options->max_samples, &subset, err);
        hone_free(indices);
        HONE_TRY(status);
        data = subset;
    }
    trainer t = {.options = options,
                 .graph = g,
                 .data = data,
                 .parametrizations = parametrizations,
                 .parametrization_count = parametrization_count,
                 .hold = -1};
    hone_status status = train(&t, report_out, err);
    tear_down(&t);
    hone_dataset_free(subset);
    return status;
}

hone_status hone_train(hone_graph *g, const hone_dataset *data, const hone_train_options *options,
                       hone_train_report *report_out, hone_error *err) {
    return hone_train_parametrized(g, data, options, NULL, 0, report_out, err);
}
