/* Training and evaluating graphs. */
#ifndef HONE_TRAIN_H
#define HONE_TRAIN_H

#include <hone/data.h>
#include <hone/session.h>

#ifdef __cplusplus
extern "C" {
#endif

/* --- tasks: what a model has to do with the columns of a data set --- */

/* This column feeds that input. */
typedef struct hone_pairing {
    const char *input, *column;
} hone_pairing;

/* All of it may be left out: a task of zeros is what names alone say.
 *
 * An input is fed by the column paired with it, else by the column of its own name; one input that is left then takes
 * the column "x", or the only column that is left, or that is left and fits. The target is the column named, else "y", "label", "labels",
 * "target" or "targets", else the only column that feeds no input. Bytes feed float inputs as value/255. A column fits an
 * input of the same shape, and one that has axes of 1 more or less. */
typedef struct hone_task {
    /* The first output against the target, the mean over the samples:
     *   cross-entropy          logits float32 [batch, classes], a label each
     *   mean-squared-error     float32 [batch, …], as many numbers
     *   huber                  likewise: squared up to a deviation of the target, linear beyond
     *   cosine                 float32 [batch, …, n], as many numbers: 1 - the cosine of the vectors
     *   binary-cross-entropy   logits float32 [batch, …], as many numbers in [0, 1]
     *   next-token             logits float32 [batch, places, vocabulary], an id at each place (-100: none), the mean over places
     *   ctc                    logits float32 [batch, places, classes], of which class 0 is a blank; a sequence of symbols
     *                          from 1 on, negative numbers behind the last one (Graves et al. 2006)
     *   contrastive            vectors float32 [batch, n], an integer each: those of equal ones are to lie near each other
     *   info-nce               vectors float32 [batch, n], as many numbers: each is to be nearer to its own target than to others
     * NULL: what the model was last trained with (metadata "hone.objective"), else cross-entropy. */
    const char *objective;
    const char *target; /* a column; NULL: found by its name */
    const hone_pairing *pairings;
    int pairing_count;
} hone_task;

/* Whether `data` has what the task needs of it: a column for each input of `g`, and a target. `task` NULL: names decide.
 * HONE_INVALID_ARGUMENT says what is missing or does not fit. */
HONE_API hone_status hone_task_check(const hone_graph *g, const hone_dataset *data, const hone_task *task,
                                     hone_error *err);

/* The names of all objectives, in order, until NULL. */
HONE_API const char *hone_objective_name(int index);

/* A measure of how well a model does. */
typedef struct hone_metric {
    const char *name; /* "accuracy", "mean_absolute_error", "r2" */
    double value;
    bool share; /* in [0, 1], people read it in percent */
} hone_metric;

/* --- building --- */

typedef struct hone_build_options {
    size_t size;
    hone_task task;
    uint64_t seed;
    /* The input is standardized inside the model: with mean and deviation of its values in the first `samples` samples
     * (0: all), or with these, unless the deviation is 0. */
    int64_t samples;
    double mean, deviation;
    double
        dropout; /* share of the values before the last layer that training leaves out (mlp: behind each layer) */
    bool initialize; /* of a file with weights: those that can be trained begin anew */
} hone_build_options;
#define HONE_BUILD_OPTIONS_INIT                                                                              \
    { .size = sizeof(hone_build_options), .seed = 1 }

/* Builds a network to be trained on `data`. The description is one of
 *   mlp:784-128-10, cnn:16-32s2-48-p-64, …   a family of networks and its layers: hone_model_family() lists them. Sizes
 *                    of input and output come from the data. The input "input" is float [batch, sample shape of
 *                    its column], standardized inside the model; the output "logits" is float [batch, outputs]
 *   FILE             a model as ONNX text (or an ONNX file) that may lack weights: a float value that is declared
 *                    with a shape, is no input and is made by no node is a parameter; it starts from the seed, by what
 *                    reads it: scales and variances 1, biases and means 0, tables of rows normal with deviation 0.02,
 *                    others uniform in ±1/sqrt(terms of their sums). Where there was one, inputs are standardized, too
 * Class names of `data` go into the metadata. `options` NULL: the defaults. HONE_INVALID_ARGUMENT says what of the
 * description is wrong. */
HONE_API hone_status hone_build_model(const char *description, const hone_dataset *data,
                                      const hone_build_options *options, hone_graph **out, hone_error *err);

/* The name of family `index`, an example of what stands behind the colon, and what it builds; NULL: there are no
 * more. */
HONE_API const char *hone_model_family(int index, const char **form, const char **about);

/* --- heads --- */

typedef enum hone_head_kind {
    HONE_HEAD_REPLACE, /* in place of the last fully connected layer */
    HONE_HEAD_ADD      /* behind the output */
} hone_head_kind;

typedef struct hone_head_options {
    size_t size;
    hone_head_kind kind;
    const char *
        output; /* the value that it stands behind (REPLACE: whose last layer it replaces); NULL: the first output */
    hone_task task;
    uint64_t seed;
} hone_head_options;
#define HONE_HEAD_OPTIONS_INIT                                                                               \
    { .size = sizeof(hone_head_options), .seed = 1 }

/* Gives a trained model a new last layer, "head.weight" and "head.bias", with as many outputs as the target of `data` has
 * classes, or numbers. [batch, places, features] becomes the mean over the places, of those that an input with "mask" in its
 * name counts; [batch, channels, height, width] the mean over the image. The output is "logits"; the others go.
 * HONE_NOT_FOUND: no such value; HONE_UNSUPPORTED: no head can be put there. The graph is of no use after a failure. */
HONE_API hone_status hone_graph_set_head(hone_graph *g, const hone_dataset *data,
                                         const hone_head_options *options, hone_error *err);

/* --- several outputs --- */

/* What another output than the first is for. */
typedef struct hone_goal {
    const char *output;
    const char *objective; /* as hone_task.objective; NULL: cross-entropy */
    const char *target;    /* a column; NULL: the one of the output's name */
    double weight;         /* of its loss in the sum */
} hone_goal;

/* Makes that output the first one, with what is noted of it: what it was trained for, and the target's column. So evaluation
 * looks at it. HONE_NOT_FOUND lists the outputs. */
HONE_API hone_status hone_graph_put_first(hone_graph *g, const char *output, hone_error *err);

/* --- training --- */

/* How the learning rate goes behind the warm-up. */
typedef enum hone_schedule {
    HONE_SCHEDULE_CONSTANT,
    HONE_SCHEDULE_COSINE, /* half a wave down to the floor, `cycles` times (Loshchilov and Hutter 2017, arXiv 1608.03983) */
    HONE_SCHEDULE_LINEAR, /* straight down to the floor */
    HONE_SCHEDULE_STEP,   /* a tenth from half of the steps on, a hundredth from three quarters on */
    HONE_SCHEDULE_PLATEAU /* a third whenever validation has not got better for `plateau` epochs */
} hone_schedule;

typedef enum hone_optimizer {
    HONE_OPTIMIZER_SGD,    /* with momentum, Nesterov's if asked for */
    HONE_OPTIMIZER_ADAMW,  /* weight decay apart from the gradient (arXiv 1711.05101) */
    HONE_OPTIMIZER_ADAM,   /* weight decay as a part of the gradient (arXiv 1412.6980) */
    HONE_OPTIMIZER_LION,   /* arXiv 2302.06675 */
    HONE_OPTIMIZER_RMSPROP /* with momentum; beta2 fades the squares */
} hone_optimizer;

/* One look at a running training. */
typedef struct hone_train_progress {
    int epoch, epochs;     /* 1 … epochs */
    int64_t step, steps;   /* optimizer steps so far, and in all */
    int64_t samples;       /* samples seen in this epoch */
    int64_t epoch_samples; /* samples of an epoch */
    double loss;           /* mean over this epoch so far */
    double recent_loss;    /* mean of some 50 last steps, later ones counting more */
    hone_metric metric;    /* of the training samples of this epoch so far: the objective's first */
    double learning_rate;
    double seconds;                            /* since the start */
    double data_seconds;                       /* of these, spent on reading batches */
    bool epoch_done;                           /* the epoch ended with this step: the fields below are set */
    double validation_loss, validation_metric; /* NaN without validation data */
    const hone_graph *graph; /* at epoch_done: the model with the weights of now; borrowed */
} hone_train_progress;

/* Called after every step. Return false to stop after it (with a checkpoint where one is asked for). */
typedef bool hone_train_progress_fn(void *user, const hone_train_progress *progress);

typedef struct hone_train_options {
    size_t size;
    hone_task task;
    int epochs;
    int batch;
    double learning_rate;
    double momentum;
    double weight_decay; /* of weights of two axes and more, not of biases, scales and shifts */
    hone_schedule schedule;
    uint64_t seed;       /* order of the samples */
    int threads;         /* 0: one for each available CPU */
    int64_t max_samples; /* train on so many samples, drawn by the seed, of each class as of all; 0: all */
    /* Distillation (Hinton, Vinyals, Dean 2015, arXiv 1503.02531), with cross-entropy: the loss becomes
     *   alpha T^2 KL(teacher || student, both softened by T) + (1 - alpha) cross-entropy. */
    const hone_graph *teacher; /* NULL: none */
    double temperature, alpha;
    /* Low-rank adaptation (Hu et al. 2021, arXiv 2106.09685): weights stay as they are, but for an addend
     * alpha/rank A B of each matrix but tables of rows and what is frozen, of which A and B are trained; in the end it is
     * added. What `train` names is trained itself. */
    int lora_rank; /* 0: none; all weights are trained */
    double lora_alpha;
    bool lora_apart; /* A and B stay apart: the graph has them as constants NAME.lora_A.weight [rank, in] and
                        NAME.lora_B.weight [out, rank] beside the weight. So they do where a weight is stored in blocks */
    /* Checkpoints: a directory; NULL: none. One is written every `checkpoint_steps` steps (0: at the end of
     * each epoch), and when training is stopped. */
    const char *checkpoint_dir;
    int64_t checkpoint_steps;
    const char *resume_dir;         /* continue from the newest checkpoint there; NULL: start anew */
    const hone_dataset *validation; /* evaluated after each epoch; NULL: none */
    hone_train_progress_fn *progress;
    void *user;
    hone_optimizer optimizer;
    bool nesterov;
    double beta1, beta2, epsilon;
    double
        warmup; /* steps in which the learning rate rises to its full height; below 1: a share of all steps */
    double floor;                 /* what is left of the learning rate at the end, a share */
    int cycles;                   /* of the cosine */
    int plateau;                  /* epochs */
    double clip_norm, clip_value; /* of all gradients together, of each number; 0: not clipped */
    double label_smoothing;       /* of cross-entropy, in [0, 1) */
    /* Of cross-entropy: what a sample of each class counts. `balance`: so much that all classes count the same. NULL: 1 */
    const float *class_weights;
    int class_weight_count;
    bool balance;
    /* Weights and statistics are averaged over the steps, average' = average A + new (1 - A); the averages are what
     * is evaluated, reported and kept. 0: the last ones are. */
    double average;
    /* With validation data, the model of the epoch that did best on it is what remains (else the last). */
    bool keep_best;
    int patience; /* training ends when validation has not got better for that many epochs; 0: it goes on */
    /* What is done to the images of a batch, "flip,crop:1": hone_augment_check(). NULL: nothing. */
    const char *augment;
    /* Weights that stay as they are, and those of them that are trained all the same: patterns of the shell for
     * initializers' names, with commas between, "encoder.*,emb*". What is frozen together with its statistics is
     * run as in the model. NULL: none. */
    const char *freeze, *train;
    /* A step takes the gradients of so many batches together, each by its number of samples: what one batch of all of
     * them gives, within rounding, but for batch normalization, whose statistics are each batch's, for classes that are
     * weighted, and for tables of rows, whose moments then fade as all weights' do. */
    int accumulate;
    /* Samples of a batch are mixed in pairs, inputs and targets (Zhang et al. 2017, arXiv 1710.09412), or exchange a
     * rectangle (Yun et al. 2019, arXiv 1905.04899); the share of the one is drawn from Beta(x, x). With both, each batch
     * has one of them. 0: not. Inputs are float32, targets numbers, or labels of cross-entropy. */
    double mixup, cutmix;
    /* The branches of residual additions are left out, each sample's on its own, with a probability that rises to this
     * one at the last of them (Huang et al. 2016, arXiv 1603.09382). 0: not. */
    double stochastic_depth;
    /* A column of integers or texts: an epoch draws as many samples of each of its values, some of them more than once
     * and others not. NULL: each sample once. */
    const char *even;
    /* Other outputs that are trained, too. The loss is `weight` times that of the first, and theirs, by their weights; what
     * is reported beside it, validation and the best epoch go by the first. */
    const hone_goal *goals;
    int goal_count;
    double weight;
} hone_train_options;
/* What all trainings begin with. */
#define HONE_TRAIN_OPTIONS_COMMON                                                                            \
    .size = sizeof(hone_train_options), .momentum = 0.9, .schedule = HONE_SCHEDULE_COSINE, .seed = 1,        \
    .lora_alpha = 16, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8, .cycles = 1, .plateau = 2,              \
    .keep_best = true, .accumulate = 1, .weight = 1
#define HONE_TRAIN_OPTIONS_INIT                                                                              \
    {                                                                                                        \
        HONE_TRAIN_OPTIONS_COMMON, .epochs = 10, .batch = 64, .learning_rate = 0.01, .temperature = 4,       \
                                   .alpha = 0.7                                                              \
    }
/* For a model that is trained already and gets smaller: gently, for so many epochs. */
#define HONE_FINETUNE_OPTIONS_INIT(number)                                                                   \
    {                                                                                                        \
        HONE_TRAIN_OPTIONS_COMMON, .epochs = number, .batch = 128, .learning_rate = 1e-3,                    \
                                   .optimizer = HONE_OPTIMIZER_ADAMW, .weight_decay = 0.01, .warmup = 0.1,   \
                                   .temperature = 2, .alpha = 0.5                                            \
    }

typedef struct hone_train_report {
    int64_t steps;
    bool stopped;   /* the progress function ended it early */
    bool early;     /* hone_train_options.patience did */
    int best_epoch; /* whose model it is, from 1; 0: the last one's */
    double loss;    /* of the last epoch, on the training samples */
    hone_metric metric;
    double seconds;
} hone_train_report;

/* Trains the float weights of `g` in place. Results depend on neither threads nor time. `report` may be NULL. On
 * failure `g` is unchanged. HONE_INVALID_ARGUMENT names a column and the input or objective that it doesn't fit;
 * HONE_UNSUPPORTED lists all operators without a gradient. */
HONE_API hone_status hone_train(hone_graph *g, const hone_dataset *data, const hone_train_options *options,
                                hone_train_report *report, hone_error *err);

/* --- evaluating --- */

#define HONE_MAX_METRICS 4

typedef struct hone_eval_report {
    int64_t samples;
    const char *objective;
    double loss; /* the mean */
    /* Of the objective, the first is what training shows:
     *   cross-entropy          accuracy: the share of samples whose largest output is the label
     *   mean-squared-error, huber   mean_absolute_error, and r2: the share of the target's variance that is explained
     *   cosine                 cosine_similarity
     *   binary-cross-entropy   accuracy: the share of outputs on the target's side of 0 and 1/2
     *   next-token             accuracy; perplexity; bits_per_byte, where the data has a column text_bytes
     *   ctc                    character_error_rate: insertions, deletions and exchanges by the number of symbols;
     *                          word_error_rate, where a class of the model is named " "
     *   contrastive, info-nce  retrieval_accuracy: how often the nearest of a batch (250 samples, or what the model takes)
     *                          is one that belongs to it; the loss is such a batch's */
    hone_metric metrics[HONE_MAX_METRICS];
    int metric_count;
    double seconds; /* running and reading, without compiling */
} hone_eval_report;

/* Runs a model over a data set and compares its first output with the target. `task` NULL: names decide. threads 0:
 * one for each available CPU. */
HONE_API hone_status hone_evaluate(const hone_graph *g, const hone_dataset *data, const hone_task *task,
                                   int threads, hone_eval_report *out, hone_error *err);
/* The same for a model that is compiled, which a graph with large weights need not outlive. */
HONE_API hone_status hone_evaluate_model(hone_model *m, const hone_dataset *data, const hone_task *task,
                                         int threads, hone_eval_report *out, hone_error *err);

/* How a model did on one class. Ratios are NaN where there is nothing to divide by. */
typedef struct hone_class_score {
    int64_t samples, predicted, right; /* that are of it; that the model says are; both */
    double precision, recall, f1;      /* right / predicted, right / samples, their harmonic mean */
} hone_class_score;

/* What is known beyond the report. */
typedef struct hone_eval_details {
    int classes;              /* 0: the target is numbers, or there are more than 2048 classes */
    const int64_t *confusion; /* [classes, classes]: samples of class i that the model takes for class j */
    const hone_class_score *scores;     /* [classes] */
    double macro_f1, balanced_accuracy; /* means of F1 and of recall over the classes that the samples have */
    int top;                            /* 0: no more classes than that */
    double top_accuracy; /* the share of samples whose label is among the `top` largest outputs */
    double auc; /* of two classes: how likely a sample of the second has the higher score; NaN: none */
    double root_mean_squared_error; /* of numbers */
} hone_eval_details;
HONE_API void hone_eval_details_free(hone_eval_details *d); /* NULL is fine */

/* The first output and the target of samples [first, first + n) of a data set. */
typedef struct hone_prediction {
    int64_t first, n;
    const float *output; /* [n, size] */
    int64_t size;
    const int64_t *labels; /* [n]; NULL: none */
    const float *numbers;  /* [n, size]; NULL: none */
    /* Of ctc: what the output says, [n, places], and the target, [n, symbol_count], < 0 behind the last symbol. NULL: none. */
    const int64_t *said, *symbols;
    int64_t places, symbol_count;
} hone_prediction;
/* Return false to stop; `user` knows why. */
typedef bool hone_prediction_fn(void *user, const hone_prediction *p);

typedef struct hone_eval_options {
    size_t size;
    int threads;
    int top;                        /* hone_eval_details.top */
    hone_prediction_fn *prediction; /* called for all samples in order; NULL: nobody */
    void *user;
} hone_eval_options;
#define HONE_EVAL_OPTIONS_INIT                                                                               \
    { .size = sizeof(hone_eval_options), .top = 5 }

/* As hone_evaluate_model(), and more. Without a target in the data, which only `prediction` can bear, out->samples alone is
 * set and `*details` NULL. HONE_INVALID_ARGUMENT names the sample whose output is no number, and a column that has NaN
 * there. On success `*details` (may be NULL) belongs to the caller. */
HONE_API hone_status hone_evaluate_details(hone_model *m, const hone_dataset *data, const hone_task *task,
                                           const hone_eval_options *options, hone_eval_report *out,
                                           hone_eval_details **details, hone_error *err);

#ifdef __cplusplus
}
#endif
#endif
