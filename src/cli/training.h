/* What train, prune and distill share: models measured before and after, event files, interrupts. */
#ifndef HONE_CLI_TRAINING_H
#define HONE_CLI_TRAINING_H

#include "data.h"
#include "json.h"
#include "progress.h"
#include "task.h"

typedef struct cli_score {
    hone_graph_stats stats;
    hone_eval_report eval;
    int64_t file_bytes; /* -1: not in a file */
} cli_score;

/* `test` NULL: no metrics. */
hone_status cli_score_graph(const hone_graph *g, const char *path, const hone_dataset *test,
                            const hone_task *task, int threads, cli_score *out, hone_error *err);
json_t *cli_json_score(const cli_score *s);
/* The table "before, after, change". */
void cli_print_change(const cli_score *before, const cli_score *after);

/* --- training --- */

struct hone_events;

/* Watches a training: draws progress, writes event files, ends it when asked by a signal. */
typedef struct cli_watch {
    cli_progress progress;
    bool resumes; /* it goes on with a run that has event files already */
    /* set as it goes */
    bool begun;
    char *dir;                                /* where its event file is */
    struct hone_events *events, *open_events; /* the first is NULL from its first failure on */
    int64_t log_steps;
    hone_error events_error; /* the first failure of the event file */
} cli_watch;

/* A hone_train_progress_fn; `user` is the cli_watch. */
bool cli_watch_step(void *user, const hone_train_progress *p);

/* Where event files go, and how often a point. */
typedef struct cli_log {
    const char *dir; /* NULL: none are written */
    int64_t steps;
} cli_log;
#define CLI_LOG_INIT                                                                                         \
    { NULL, 100 }
#define OPT_LOG(log)                                                                                         \
    OPT_TEXT("logdir", "DIR", (log).dir,                                                                     \
             "write event files for TensorBoard: loss, metric, learning rate, weights, the graph"),          \
        OPT_INT64("log-steps", "N", (log).steps, 1, 1e15, "steps between two points of a curve")

/* Begins an event file with the graph in it, in the folder `name` of the directory ("": in itself). */
hone_status cli_watch_open(cli_watch *w, const cli_log *log, const char *name, const hone_graph *g,
                           hone_error *err);
/* Notes what writing an event came to: the first failure ends the log. */
void cli_watch_event(cli_watch *w, hone_status status, const hone_error *err);
/* Ends it. Gives `status`, or another one after telling what the event file failed of. */
int cli_watch_close(cli_watch *w, int status);

/* Says that training was stopped and gives the exit status. `checkpoint` NULL: there is none. */
int cli_interrupted(const cli_watch *w, const char *checkpoint);

/* The options that all training has, into a hone_train_options. */
#define OPT_TRAINING(o)                                                                                      \
    OPT_INT("batch", "N", (o).batch, 1, 1 << 20, "samples a step"),                                          \
        OPT_CHOICE("optimizer", "sgd|adamw|adam|lion|rmsprop", (o).optimizer,                                \
                   "what makes steps of gradients"),                                                         \
        OPT_NUMBER("lr", "X", (o).learning_rate, CLI_ABOVE_ZERO, 1e6, "learning rate at its highest"),       \
        OPT_NUMBER("momentum", "X", (o).momentum, 0, CLI_BELOW_ONE, "momentum of sgd and rmsprop"),          \
        OPT_FLAG("nesterov", (o).nesterov, "sgd: Nesterov's momentum"),                                      \
        OPT_NUMBER("beta1", "X", (o).beta1, 0, CLI_BELOW_ONE,                                                \
                   "adam, lion: how much of the gradients' mean stays"),                                     \
        OPT_NUMBER("beta2", "X", (o).beta2, 0, CLI_BELOW_ONE,                                                \
                   "adam, rmsprop: how much of the squares' mean stays (lion: of the mean that is kept)"),   \
        OPT_NUMBER("epsilon", "X", (o).epsilon, CLI_ABOVE_ZERO, 1,                                           \
                   "adam, rmsprop: added to the root of the squares"),                                       \
        OPT_NUMBER("weight-decay", "X", (o).weight_decay, 0, 1e6,                                            \
                   "weight decay, of matrices and kernels, not of biases and norms", .zero = "none"),        \
        OPT_CHOICE("schedule", "constant|cosine|linear|step|plateau", (o).schedule,                          \
                   "how the learning rate goes behind the warm-up; step: a tenth from half of the way on, "  \
                   "a hundredth "                                                                            \
                   "from three quarters on; plateau: a third when validation gets no better"),               \
        OPT_NUMBER("warmup", "X", (o).warmup, 0, 1e15,                                                       \
                   "steps in which the learning rate rises, or a share of all steps (0.1)", .zero = "none"), \
        OPT_NUMBER("floor", "X", (o).floor, 0, 1, "share of the learning rate that is left at the end"),     \
        OPT_INT("cycles", "N", (o).cycles, 1, 1000, "times that the cosine begins anew"),                    \
        OPT_INT("plateau", "N", (o).plateau, 1, 1000000,                                                     \
                "epochs without a better validation that are a plateau"),                                    \
        OPT_NUMBER("clip-norm", "X", (o).clip_norm, 0, 1e30, "limit for the norm of all gradients together", \
                   .zero = "none"),                                                                          \
        OPT_NUMBER("clip-value", "X", (o).clip_value, 0, 1e30, "limit for each number of the gradients",     \
                   .zero = "none"),                                                                          \
        OPT_NUMBER("label-smoothing", "X", (o).label_smoothing, 0, CLI_BELOW_ONE,                            \
                   "share of each label that is spread over all classes", .zero = "none"),                   \
        OPT_FLAG("balance", (o).balance,                                                                     \
                 "samples of rare classes count more, so that all classes count the same"),                  \
        OPT_NUMBER("ema", "X", (o).average, 0, CLI_BELOW_ONE,                                                \
                   "average the weights over the steps, so much of the average stays in each (0.998); the "  \
                   "averages are "                                                                           \
                   "evaluated and kept",                                                                     \
                   .zero = "none"),                                                                          \
        OPT_INT("accumulate", "N", (o).accumulate, 1, 1 << 20,                                               \
                "batches whose gradients make one step together"),                                           \
        OPT_NUMBER("mixup", "A", (o).mixup, 0, 100,                                                          \
                   "samples and targets are mixed in pairs, by shares drawn from Beta(A, A)",                \
                   .zero = "not"),                                                                           \
        OPT_NUMBER(                                                                                          \
            "cutmix", "A", (o).cutmix, 0, 100,                                                               \
            "images exchange a rectangle in pairs, of a share drawn from Beta(A, A), and so do targets",     \
            .zero = "not"),                                                                                  \
        OPT_NUMBER("stochastic-depth", "P", (o).stochastic_depth, 0, CLI_BELOW_ONE,                          \
                   "residual branches are left out of a sample, the last one with this probability, those "  \
                   "before it more rarely",                                                                  \
                   .zero = "none"),                                                                          \
        OPT_TEXT(                                                                                            \
            "augment", "LIST", (o).augment,                                                                  \
            "what is done to the samples of a batch, with commas between: to images flip, crop:PIXELS, "     \
            "color:X, "                                                                                      \
            "trivial, erase:SHARE; to sound speed:SHARE, throat:SHARE, shift:SHARE, gain:DB, noise:SHARE, "  \
            "tilt:X, echo:SHARE, holes:SHARE"),                                                              \
        OPT_TEXT(                                                                                            \
            "even", "COLUMN", (o).even,                                                                      \
            "draw as many samples of each value of that column (source: a voice of a few clips as often as " \
            "one of many) instead of each sample once in an epoch"),                                         \
        OPT_INT64("train-samples", "N", (o).max_samples, 0, 1e15,                                            \
                  "train on N samples only, drawn by the seed", .zero = "all"),                              \
        OPT_SEED((o).seed), OPT_THREADS((o).threads)

#define OPT_FINETUNING(o)                                                                                    \
    OPT_NUMBER("temperature", "T", (o).temperature, CLI_ABOVE_ZERO, 1000,                                    \
               "softens the answers of the model as it was and as it becomes"),                              \
        OPT_NUMBER("alpha", "X", (o).alpha, 0, 1,                                                            \
                   "fine-tuning: weight of the answers of the model as it was; the labels have the rest")

/* hone_build_model for a training with these options. */
hone_status cli_build(const char *description, const hone_dataset *data, const hone_train_options *o,
                      hone_graph **out, hone_error *err);
/* Lets go of a test split that lacks what the model's task needs; a note says so. */
void cli_check_test(const hone_graph *g, const hone_task *task, hone_dataset **test);

#endif
