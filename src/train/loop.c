/* The training loop. */
#include "base/clock.h"
#include "base/ranks.h"
#include "data/loader.h"
#include "runtime/model.h"
#include "train/adapt.h"
#include "train/bake.h"
#include "train/checkpoint.h"
#include "train/class_weights.h"
#include "train/evaluate.h"
#include "train/exchange.h"
#include "train/mix.h"
#include "train/options.h"
#include "train/recipe.h"
#include "train/stepper.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct trainer {
    const hone_ranks *ranks;
    const hone_train_options *options; /* those below */
    hone_train_options own;            /* the caller's, and what follows from the data */
    float *class_weights;
    hone_graph *graph; /* the caller's */
    const hone_dataset *data;
    hone_dataset *distilled; /* the data with the teacher's logits as one more column; NULL: no teacher */
    const hone_objective *objective;
    hone_feed *feeds; /* of a batch: the model's inputs, the target, the teacher's logits */
    int feed_count, target;
    hone_aims aims; /* of other outputs; their targets are the feeds from first_aim on */
    int first_aim;
    const hone_parametrization *parametrizations;
    int parametrization_count;
    hone_variables *variables;
    hone_baker *baker;
    hone_stepper *stepper;
    hone_loader *loader;
    hone_mixer mixer;
    hone_tensor *teacher; /* [samples, classes]: the teacher's logits, computed once */
    char *recipe;
    hone_train_state state;
    int64_t steps_per_epoch, steps;
    int64_t gathered; /* batches of this step so far */
    int64_t last;     /* of the output's last axis; 0: not known */
    int64_t classes;  /* values of the output in a sample; < 0: known when running */
    bool stopped;
    int hold; /* of the checkpoints' directory; < 0: none */
    double start;
    double recent, recent_weight; /* loss of the last steps, later ones counting more */
    bool early;
} trainer;

/* Of a step that is not its epoch's last. */
static int64_t step_samples(const hone_train_options *o) {
    return (int64_t)o->batch * o->accumulate;
}

static double setting(const trainer *t, hone_setting kind) {
    return hone_setting_value(t->options, kind, t->state.step, t->steps, t->state.rate_factor);
}

static hone_status remember(const trainer *t, hone_graph *g, hone_error *err) {
    HONE_TRY(hone_task_remember(g, t->objective, err));
    return hone_aims_remember(g, &t->aims, err);
}

/* Puts what has been learned into the constants of `g` that it came from. All is there before the first is put in, so
 * that on failure `g` is as it was. */
static hone_status write_back(const trainer *t, hone_graph *g, hone_error *err) {
    hone_tensor **learned = hone_calloc(g->value_count + 1, sizeof(hone_tensor *));
    if (!learned) return hone_fail_memory(err);
    hone_status status = hone_bake(t->baker, g, learned, err);
    if (status == HONE_OK) status = remember(t, g, err);
    for (size_t i = 0; i < g->value_count; i++) {
        if (learned[i] && status == HONE_OK) {
            hone_tensor_free(g->values[i]->data);
            g->values[i]->data = learned[i];
        } else {
            hone_tensor_free(learned[i]);
        }
    }
    hone_free(learned);
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
    hone_task_logits(t->objective, hone_graph_link(t->options->teacher, NULL), logits, n * classes,
                     (float *)t->teacher->data + first * classes);
    return HONE_OK;
}

/* Inputs paired by name as the student's are, where the teacher has such inputs. */
static hone_status wire_teacher(const trainer *t, hone_feed *inputs, hone_error *err) {
    const hone_graph *g = t->options->teacher;
    hone_task task = t->options->task;
    int target;
    for (int i = 0; i < task.pairing_count; i++) {
        const hone_value *v = hone_graph_find(g, task.pairings[i].input);
        if (!v || v->storage != HONE_STORAGE_INPUT) task.pairing_count = 0;
    }
    if (g->output_count < 1) return hone_fail(err, HONE_INVALID_ARGUMENT, "the teacher has no output");
    return hone_task_wire(g, t->data, &task, inputs, &target, err);
}

/* The logits become a column. */
static hone_status ask_teacher(trainer *t, hone_error *err) {
    const hone_train_options *o = t->options;
    if (!o->teacher) return HONE_OK;
    hone_feed *inputs = hone_calloc(o->teacher->input_count + 1, sizeof *inputs);
    hone_status status = inputs ? wire_teacher(t, inputs, err) : hone_fail_memory(err);
    hone_model *m = NULL;
    if (status == HONE_OK) status = hone_model_compile(o->teacher, NULL, &m, err);
    if (status == HONE_OK)
        status = hone_predict_all(m, t->data, inputs, o->threads, keep_logits, t, NULL, err);
    hone_model_free(m);
    hone_free(inputs);
    HONE_TRY(status);
    HONE_TRY(hone_dataset_with_column(t->data, "teacher's logits", t->teacher, &t->distilled, err));
    t->feeds[t->feed_count++] =
        hone_feed_of(t->distilled, t->distilled->column_count - 1, HONE_FLOAT32, false);
    return HONE_OK;
}

/* Looks at all targets before the first step, as far as it is known what the outputs will be. */
static hone_status check_targets(const trainer *t, hone_error *err) {
    HONE_TRY(hone_task_check_target(t->data, &t->feeds[t->target], t->objective, t->classes, t->last, err));
    for (int i = 0; i < t->aims.count; i++) {
        const hone_aim *aim = &t->aims.items[i];
        const hone_type *y = &t->graph->outputs[aim->output]->type;
        HONE_TRY(hone_task_check_target(t->data, &t->feeds[t->first_aim + i], aim->objective,
                                        hone_task_size(y), hone_task_last(y), err));
    }
    return HONE_OK;
}

/* What other outputs are compared with. */
static hone_status wire_aims(trainer *t, hone_error *err) {
    HONE_TRY(hone_aims_find(t->graph, t->options, &t->aims, err));
    if (t->aims.count && (t->mixer.mixup > 0 || t->mixer.cutmix > 0))
        return hone_fail(err, HONE_INVALID_ARGUMENT, "mixup and cutmix do not go with several outputs");
    t->first_aim = t->feed_count;
    t->feed_count += t->aims.count;
    return hone_aims_wire(&t->aims, t->graph, t->data, t->feeds + t->first_aim, err);
}

/* What feeds the model, and the target. */
static hone_status wire(trainer *t, hone_error *err) {
    const hone_task *task = &t->options->task;
    const hone_graph *g = t->graph;
    int target;
    if (g->input_count < 1 || g->output_count < 1)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "a model to train has inputs and an output");
    t->feeds = hone_calloc(g->input_count + 3 + (size_t)t->options->goal_count, sizeof *t->feeds);
    if (!t->feeds) return hone_fail_memory(err);
    HONE_TRY(hone_task_objective(g, task, &t->objective, err));
    HONE_TRY(hone_task_wire(g, t->data, task, t->feeds, &target, err));
    for (size_t i = 0; i < g->input_count && !t->data->table;
         i++) /* of a table NaN is a value that is missing */
        HONE_TRY(hone_dataset_check_numbers(t->data, t->feeds[i].reading.column, err));
    t->target = (int)g->input_count;
    t->feed_count = t->target + 1;
    HONE_TRY(hone_task_target(g, t->data, t->objective, target, &t->feeds[t->target], err));
    bool labels = hone_dtype_is_int(t->feeds[t->target].reading.dtype);
    if (t->options->label_smoothing > 0 && !t->objective->smoothes)
        return hone_fail(err, HONE_INVALID_ARGUMENT,
                         "label smoothing needs the objective cross-entropy, not %s", t->objective->name);
    if (t->options->teacher && !labels)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "a teacher needs the objective cross-entropy, not %s",
                         t->objective->name);
    HONE_TRY(hone_mixer_make(t->options, t->objective, t->data, t->feeds, t->target, &t->mixer, err));
    if (t->mixer.labels) t->feeds[t->feed_count++] = t->feeds[t->target]; /* those of the samples mixed in */
    return wire_aims(t, err);
}

static hone_status derive(const trainer *t, bool exchanges, hone_training *out, hone_error *err) {
    const hone_train_options *o = t->options;
    hone_derivation d = {.model = t->graph,
                         .options = o,
                         .objective = t->objective,
                         .aims = &t->aims,
                         .parametrizations = t->parametrizations,
                         .parametrization_count = t->parametrization_count,
                         .only_trained = o->lora_rank > 0,
                         .exchanges = exchanges};
    return hone_derive_training(&d, out, err);
}

static hone_status note_recipe(trainer *t, const hone_training *training, hone_error *err) {
    hone_recipe_subject made = {t->objective, t->graph, training->graph, t->data, t->feeds, t->feed_count};
    return hone_recipe_make(t->options, &made, &t->recipe, err);
}

static hone_status compile(trainer *t, const hone_training *training, hone_error *err) {
    const hone_train_options *o = t->options;
    const hone_type *output = &training->graph->outputs[1]->type;
    t->last = hone_task_last(output);
    t->classes = hone_task_size(output);
    HONE_TRY(hone_stepper_new(training, t->variables, o->threads, t->target, &t->stepper, err));
    return hone_baker_new(training, t->parametrizations, t->parametrization_count, t->variables, o->threads,
                          &t->baker, err);
}

/* --- the best epoch's weights --- variables beside the others, so that checkpoints have them */

#define BEST "best epoch: " /* and the constant's name */

static bool keeps_best(const trainer *t) {
    return t->options->keep_best && t->options->validation;
}

static bool has_best(const trainer *t) {
    return keeps_best(t) && t->state.best_epoch > 0;
}

/* The variable for the constant of that name; NULL: training doesn't change it. */
static hone_tensor *best_of(const trainer *t, const char *name) {
    char full[512];
    snprintf(full, sizeof full, BEST "%s", name);
    return hone_variables_get(t->variables, full);
}

static hone_status make_best(trainer *t, hone_error *err) {
    char full[512];
    for (size_t i = 0; keeps_best(t) && i < t->graph->value_count; i++) {
        const hone_value *v = t->graph->values[i];
        if (!v || v->storage != HONE_STORAGE_CONSTANT || !hone_baker_changes(t->baker, v->name)) continue;
        if (snprintf(full, sizeof full, BEST "%s", v->name) < (int)sizeof full)
            HONE_TRY(hone_variables_add(t->variables, full, v->data, NULL, err));
    }
    return HONE_OK;
}

/* The recipe is the same for any number of ranks. */
static hone_status make_step(trainer *t, hone_error *err) {
    hone_training training = {NULL};
    HONE_TRY(derive(t, false, &training, err));
    hone_status status = note_recipe(t, &training, err);
    if (status == HONE_OK && t->ranks->count > 1) {
        hone_training_free(&training);
        training = (hone_training){NULL};
        status = derive(t, true, &training, err);
    }
    if (status == HONE_OK) status = compile(t, &training, err);
    hone_training_free(&training);
    return status;
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
        s->sample != s->step % t->steps_per_epoch * step_samples(o) ||
        (t->objective->metric.share && s->score_sum > (double)samples_seen(t)))
        return hone_fail_file(err, HONE_CORRUPT, o->resume_dir,
                              "the newest checkpoint is damaged: step %lld is not sample %lld of epoch %lld",
                              (long long)s->step, (long long)s->sample, (long long)s->epoch);
    return HONE_OK;
}

static hone_status make_loader(trainer *t, hone_error *err) {
    const hone_train_options *o = t->options;
    hone_loader_options loader = HONE_LOADER_OPTIONS_INIT;
    loader.batch = o->batch;
    loader.part = t->ranks->rank;
    loader.parts = t->ranks->count;
    loader.seed = o->seed;
    loader.augment = o->augment;
    loader.even = o->even;
    loader.augmented = t->target;
    const hone_dataset *data = t->distilled ? t->distilled : t->data;
    return hone_loader_new(data, t->feeds, t->feed_count, &loader, &t->loader, err);
}

static hone_status set_up(trainer *t, hone_error *err) {
    const hone_train_options *o = t->options;
    int64_t samples = hone_dataset_count(t->data);
    HONE_TRY(wire(t, err));
    t->steps_per_epoch = (samples + step_samples(o) - 1) / step_samples(o);
    t->steps = t->steps_per_epoch * o->epochs;
    t->variables = hone_variables_new();
    if (!t->variables) return hone_fail_memory(err);
    HONE_TRY(hone_class_weights(&t->own, t->graph, t->objective, t->data, &t->feeds[t->target],
                                &t->class_weights, err));
    HONE_TRY(make_step(t, err));
    HONE_TRY(make_best(t, err));
    HONE_TRY(check_targets(t, err));
    if (o->checkpoint_dir) HONE_TRY(hone_checkpoint_hold(o->checkpoint_dir, &t->hold, err));
    if (o->resume_dir) HONE_TRY(resume(t, err));
    HONE_TRY(hone_exchange_start(t->variables, err));
    HONE_TRY(hone_ranks_share(&t->state, sizeof t->state, err));
    HONE_TRY(ask_teacher(t, err));
    HONE_TRY(make_loader(t, err));
    return hone_loader_seek(t->loader, (hone_loader_position){t->state.epoch, t->state.sample}, err);
}

static void tear_down(trainer *t) {
    hone_dir_release(t->hold);
    hone_stepper_free(t->stepper);
    hone_baker_free(t->baker);
    hone_variables_free(t->variables);
    hone_loader_free(t->loader);
    hone_tensor_free(t->teacher);
    hone_dataset_free(t->distilled);
    hone_free(t->class_weights);
    hone_aims_free(&t->aims);
    hone_free(t->feeds);
    free(t->recipe);
}

/* --- steps --- */

static hone_status score(trainer *t, const hone_batch *b, const hone_tensor *output, double *out,
                         hone_error *err) {
    const hone_tensor *target = b->tensors[t->target];
    hone_answers a = {
        output->data,         target->data,         b->n,
        output->count / b->n, target->count / b->n, output->rank > 0 ? output->dims[output->rank - 1] : 0};
    if (target->dtype == HONE_FLOAT32 && target->count != output->count)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "%lld outputs for %lld targets",
                         (long long)output->count, (long long)target->count);
    if (t->classes < 0) HONE_TRY(t->objective->check(&a, target->count / b->n, err));
    *out = t->objective->score(&a);
    if (!t->mixer.labels) return HONE_OK;
    a.target = b->tensors[t->target + 1]->data;
    *out = t->mixer.share * *out + (1 - t->mixer.share) * t->objective->score(&a);
    return HONE_OK;
}

/* Sums over the samples of a step. */
typedef struct sums {
    double loss, score;
} sums;

/* One batch of a step; its `part` of the step's samples counts as much of the gradient. */
static hone_status take_in(trainer *t, const hone_batch *b, double part, bool last, sums *sum,
                           hone_error *err) {
    const hone_tensor *outputs[2];
    double settings[HONE_SETTINGS], reached = 0;
    hone_mixer_mix(&t->mixer, t->options->seed, b);
    for (int i = 0; i < HONE_SETTINGS; i++) settings[i] = setting(t, (hone_setting)i);
    settings[HONE_SETTING_PART] = part;
    settings[HONE_SETTING_MIX] = t->mixer.share;
    uint64_t number = (uint64_t)((t->state.step * t->options->accumulate + t->gathered++) * t->ranks->count +
                                 t->ranks->rank);
    HONE_TRY(hone_stepper_run(t->stepper, b->tensors, t->feed_count, settings,
                              (hone_random){t->options->seed, number}, last, outputs, err));
    HONE_TRY(score(t, b, outputs[1], &reached, err));
    if (b->own == 0) return HONE_OK;
    sum->loss += *(const float *)outputs[0]->data * (double)b->n;
    sum->score += reached;
    return HONE_OK;
}

/* As many batches as make one; `b` is the last of them. */
static hone_status step(trainer *t, hone_batch *b, hone_error *err) {
    const hone_train_options *o = t->options;
    const double fade = 0.96;
    int64_t left = hone_dataset_count(t->data) - t->state.sample,
            all = left < step_samples(o) ? left : step_samples(o), seen = 0;
    sums sum = {0};
    t->gathered = 0;
    while (seen < all) {
        HONE_TRY(hone_loader_next(t->loader, b, err));
        seen += b->whole;
        HONE_TRY(take_in(t, b, (double)b->own / (double)all, seen == all, &sum, err));
    }
    HONE_TRY(hone_ranks_sum(&sum, sizeof sum / sizeof(double), HONE_RANKS_F64, err));
    if (!isfinite(sum.loss))
        return hone_fail(err, HONE_OUT_OF_RANGE,
                         "the loss became %g at step %lld: a smaller learning rate may help", fabs(sum.loss),
                         (long long)t->state.step + 1);
    if (t->state.sample == 0) t->state.loss_sum = t->state.score_sum = 0;
    t->state.loss_sum += sum.loss;
    t->state.score_sum += sum.score;
    t->recent = t->recent * fade + sum.loss / (double)all;
    t->recent_weight = t->recent_weight * fade + 1;
    t->state.step++;
    return HONE_OK;
}

static hone_metric metric(const trainer *t, double value) {
    hone_metric m = t->objective->metric;
    m.value = value;
    return m;
}

/* --- epochs --- */

/* Shares are better the larger they are, and of equal ones that with the smaller loss; of anything else the loss is looked
 * at. */
static double goodness(const trainer *t, const hone_train_progress *p) {
    if (!t->objective->metric.share) return -p->validation_loss;
    return p->validation_metric - 1e-9 * fmin(p->validation_loss, 100);
}

static void keep_best(const trainer *t, const hone_graph *now) {
    for (size_t i = 0; i < now->value_count; i++) {
        const hone_value *v = now->values[i];
        hone_tensor *kept = v && v->data ? best_of(t, v->name) : NULL;
        if (kept) memcpy(kept->data, v->data->data, kept->bytes);
    }
}

/* Keeps the model of the best epoch, and draws the consequences where it has not got better. */
static void judge_epoch(trainer *t, const hone_train_progress *p, const hone_graph *now) {
    const hone_train_options *o = t->options;
    double good = goodness(t, p);
    if (t->state.best_epoch == 0 || good > t->state.best) {
        t->state.best = good;
        t->state.best_epoch = p->epoch;
        if (keeps_best(t)) keep_best(t, now);
        return;
    }
    int64_t since = p->epoch - t->state.best_epoch;
    if (o->schedule == HONE_SCHEDULE_PLATEAU && o->plateau > 0 && since % o->plateau == 0)
        t->state.rate_factor /= 3;
    if (o->patience > 0 && since >= o->patience) t->early = true;
}

static hone_status report_epoch(trainer *t, hone_train_progress *p, hone_graph **now, hone_error *err) {
    p->validation_loss = p->validation_metric = NAN;
    HONE_TRY(hone_graph_copy(t->graph, now, err));
    HONE_TRY(write_back(t, *now, err));
    p->graph = *now;
    if (!t->options->validation) return HONE_OK;
    double measured[2] = {0};
    hone_eval_report r;
    if (t->ranks->rank == 0) {
        HONE_TRY(
            hone_evaluate(*now, t->options->validation, &t->options->task, t->options->threads, &r, err));
        measured[0] = r.loss;
        measured[1] = r.metrics[0].value;
    }
    HONE_TRY(hone_ranks_share(measured, sizeof measured, err));
    p->validation_loss = measured[0];
    p->validation_metric = measured[1];
    judge_epoch(t, p, *now);
    return HONE_OK;
}

/* Tells the caller; sets t->stopped when it wants to stop. */
static hone_status report(trainer *t, const hone_batch *b, double rate, hone_error *err) {
    int64_t seen = b->position.sample + b->whole;
    hone_graph *now = NULL;
    hone_train_progress p = {.epoch = (int)b->position.epoch + 1,
                             .epochs = t->options->epochs,
                             .step = t->state.step,
                             .steps = t->steps,
                             .samples = seen,
                             .epoch_samples = hone_dataset_count(t->data),
                             .loss = t->state.loss_sum / (double)seen,
                             .recent_loss = t->recent / t->recent_weight,
                             .metric = metric(t, t->state.score_sum / (double)seen),
                             .learning_rate = rate,
                             .seconds = hone_seconds_now() - t->start,
                             .data_seconds = hone_loader_seconds(t->loader),
                             .epoch_done = b->last};
    hone_status status = b->last ? report_epoch(t, &p, &now, err) : HONE_OK;
    if (status == HONE_OK && t->options->progress && !t->options->progress(t->options->user, &p))
        t->stopped = true;
    hone_graph_free(now);
    return status == HONE_OK ? hone_ranks_share(&t->stopped, sizeof t->stopped, err) : status;
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
    while (t->state.step < t->steps && !t->stopped && !t->early) {
        hone_batch b;
        double rate = setting(t, HONE_SETTING_RATE);
        HONE_TRY(step(t, &b, err));
        HONE_TRY(report(t, &b, rate, err));
        hone_loader_position next = hone_loader_tell(t->loader);
        t->state.epoch = next.epoch;
        t->state.sample = next.sample;
        HONE_TRY(checkpoint(t, b.last, err));
    }
    return HONE_OK;
}

/* The weights of the best epoch. */
static hone_status take_best(const trainer *t, hone_error *err) {
    for (size_t i = 0; i < t->graph->value_count; i++) {
        hone_value *v = t->graph->values[i];
        hone_tensor *best = v && v->data ? best_of(t, v->name) : NULL;
        if (!best) continue;
        hone_tensor_free(v->data);
        v->data = hone_tensor_retain(best);
    }
    return remember(t, t->graph, err);
}

static hone_status train(trainer *t, hone_train_report *report_out, hone_error *err) {
    HONE_TRY(set_up(t, err));
    HONE_TRY(run(t, err));
    HONE_TRY(has_best(t) && !t->stopped ? take_best(t, err) : write_back(t, t->graph, err));
    if (!report_out) return HONE_OK;
    double seen = (double)samples_seen(t);
    *report_out = (hone_train_report){.steps = t->state.step,
                                      .stopped = t->stopped && t->state.step < t->steps,
                                      .early = t->early,
                                      .best_epoch = has_best(t) ? (int)t->state.best_epoch : 0,
                                      .loss = t->state.loss_sum / seen,
                                      .metric = metric(t, t->state.score_sum / seen),
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
    HONE_TRY(hone_train_options_check(options, err));
    if (options->lora_rank && parametrization_count)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "adapters do not go with other parametrizations");
    hone_dataset *subset = NULL;
    int64_t count = hone_dataset_count(data);
    if (options->max_samples > 0 && options->max_samples < count) {
        hone_draw_options draw = HONE_DRAW_OPTIONS_INIT;
        draw.share = (double)options->max_samples;
        draw.seed = options->seed;
        draw.target = options->task.target;
        draw.group = "";
        HONE_TRY(hone_dataset_draw(data, &draw, &subset, NULL, err));
        data = subset;
    }
    trainer t = {.ranks = hone_ranks_get(),
                 .own = *options,
                 .graph = g,
                 .data = data,
                 .parametrizations = parametrizations,
                 .parametrization_count = parametrization_count,
                 .hold = -1,
                 .state = {.rate_factor = 1}};
    t.options = &t.own;
    if (t.ranks->rank > 0) { /* what is read, written and said once */
        t.own.progress = NULL;
        t.own.checkpoint_dir = t.own.resume_dir = NULL;
    }
    hone_graph *adapted = NULL;
    hone_status status = t.own.lora_rank ? hone_adapt(g, &t.own, &adapted, err) : HONE_OK;
    if (adapted) t.graph = adapted;
    if (status == HONE_OK) status = train(&t, report_out, err);
    tear_down(&t);
    if (adapted && status == HONE_OK) status = hone_adapted(g, adapted, &t.own, err);
    hone_graph_free(adapted);
    hone_dataset_free(subset);
    return status;
}

hone_status hone_train(hone_graph *g, const hone_dataset *data, const hone_train_options *options,
                       hone_train_report *report_out, hone_error *err) {
    return hone_train_parametrized(g, data, options, NULL, 0, report_out, err);
}
