/* Training and evaluating graphs. */
#ifndef HONE_TRAIN_H
#define HONE_TRAIN_H

#include <hone/data.h>
#include <hone/session.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Builds a network from a short description:
 *   mlp:784-128-10   flatten, then fully connected layers with ReLU between; initialized uniformly in
 *                    ±1/sqrt(fan-in) from `seed`
 * The input is float [batch, sample shape of `data`], values in [0, 1]; `mean` and `deviation` standardize it
 * inside the model. The output "logits" is float [batch, classes]. Class names of `data` go into the
 * metadata. HONE_INVALID_ARGUMENT says what of the description is wrong. */
HONE_API hone_status hone_build_model(const char *description, const hone_dataset *data, double mean,
                                      double deviation, uint64_t seed, hone_graph **out, hone_error *err);

typedef enum hone_schedule { HONE_SCHEDULE_CONSTANT, HONE_SCHEDULE_COSINE } hone_schedule;

/* One look at a running training. */
typedef struct hone_train_progress {
    int epoch, epochs;     /* 1 … epochs */
    int64_t step, steps;   /* optimizer steps so far, and in all */
    int64_t samples;       /* samples seen in this epoch */
    int64_t epoch_samples; /* samples of an epoch */
    double loss;           /* mean over this epoch so far */
    double accuracy;       /* of the training samples of this epoch so far, in [0, 1] */
    double learning_rate;
    double seconds;      /* since the start */
    double data_seconds; /* of these, spent on reading batches */
    bool epoch_done;     /* the epoch ended with this step: the fields below are set */
    double validation_loss, validation_accuracy; /* NaN without validation data */
    const hone_graph *graph; /* at epoch_done: the model with the weights of now; borrowed */
} hone_train_progress;

/* Called after every step. Return false to stop after it (with a checkpoint where one is asked for). */
typedef bool hone_train_progress_fn(void *user, const hone_train_progress *progress);

typedef struct hone_train_options {
    size_t size;
    int epochs;
    int batch;
    double learning_rate;
    double momentum;
    double weight_decay;
    hone_schedule schedule;
    uint64_t seed;       /* order of the samples */
    int threads;         /* 0: one for each available CPU */
    int64_t max_samples; /* use only the first N training samples; 0: all */
    /* Distillation (Hinton, Vinyals, Dean 2015, arXiv 1503.02531): the loss becomes
     *   alpha T^2 KL(teacher || student, both softened by T) + (1 - alpha) cross-entropy. */
    const hone_graph *teacher; /* NULL: none */
    double temperature, alpha;
    /* Checkpoints: a directory; NULL: none. One is written every `checkpoint_steps` steps (0: at the end of
     * each epoch), and when training is stopped. */
    const char *checkpoint_dir;
    int64_t checkpoint_steps;
    const char *resume_dir;         /* continue from the newest checkpoint there; NULL: start anew */
    const hone_dataset *validation; /* evaluated after each epoch; NULL: none */
    hone_train_progress_fn *progress;
    void *user;
} hone_train_options;
#define HONE_TRAIN_OPTIONS_INIT                                                                              \
    {                                                                                                        \
        .size = sizeof(hone_train_options), .epochs = 10, .batch = 64, .learning_rate = 0.01,                \
        .momentum = 0.9, .schedule = HONE_SCHEDULE_COSINE, .seed = 1, .temperature = 4, .alpha = 0.7         \
    }

typedef struct hone_train_report {
    int64_t steps;
    bool stopped;          /* the progress function ended it early */
    double loss, accuracy; /* of the last epoch, on the training samples */
    double seconds;
} hone_train_report;

/* Trains the float weights of `g` in place with cross-entropy on output 0. `g`'s input 0 takes the samples.
 * Results depend on neither threads nor time. `report` may be NULL. On failure `g` is unchanged.
 * HONE_UNSUPPORTED lists all operators without a gradient. */
HONE_API hone_status hone_train(hone_graph *g, const hone_dataset *data, const hone_train_options *options,
                                hone_train_report *report, hone_error *err);

typedef struct hone_eval_report {
    int64_t samples;
    double accuracy; /* share of samples whose largest output is the label, in [0, 1] */
    double loss;     /* mean cross-entropy of the outputs as logits */
    double seconds;  /* running and reading, without compiling */
} hone_eval_report;

/* Runs a classifier over a data set. threads 0: one for each available CPU. */
HONE_API hone_status hone_evaluate(const hone_graph *g, const hone_dataset *data, int threads,
                                   hone_eval_report *out, hone_error *err);

#ifdef __cplusplus
}
#endif
#endif
