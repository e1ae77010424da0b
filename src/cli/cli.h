/* The command line. It is the first user of the public API and includes nothing else of Hone.
 *
 *   main.c       the list of commands, help, exit statuses
 *   options.c    parsing and help, both from one table of options for each command
 *   report.c     errors, numbers for people, JSON for machines
 *   table.c      aligned tables
 *   training.c   what train, prune and distill share: data, interrupts, event files
 *   task.c       what a model has to do with the columns of the data, and how well it does
 *   tensorflow_serving.c   that server's flags, which scripts may still pass to `hone serve`
 *   notify.c               telling systemd
 *   progress.c   how far training is, on stderr
 *   cmd_*.c      one command each */
#ifndef HONE_CLI_H
#define HONE_CLI_H

#include <float.h>
#include <hone/train.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>

/* Exit statuses; a command that a signal ended has 128 + its number. */
enum { CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 2 };

/* --- options --- */

typedef enum cli_type {
    CLI_END,        /* of the table */
    CLI_POSITIONAL, /* const char *: an argument without a name */
    CLI_FLAG,       /* bool */
    CLI_TEXT,       /* const char * */
    CLI_INT,        /* int */
    CLI_INT64,      /* int64_t */
    CLI_SEED,       /* uint64_t, all of them */
    CLI_NUMBER,     /* double */
    CLI_CHOICE,     /* int: which of the words in `value`, "static|dynamic" */
    CLI_LIST        /* cli_list: may be given more than once */
} cli_type;

typedef struct cli_list {
    int count;
    const char *items[64];
} cli_list;

#define CLI_ABOVE_ZERO DBL_MIN
#define CLI_BELOW_ONE (1 - DBL_EPSILON)

/* One option: parsing, checks and help come from it. What `to` points at holds the default until the command
 * line is parsed, so the library's ..._OPTIONS_INIT are the defaults that the help shows. */
typedef struct cli_option {
    cli_type type;
    const char *name;  /* "epochs" for --epochs */
    const char *value; /* what stands for the value in the help: "N" */
    void *to;
    const char *help;
    double min, max;  /* of numbers */
    const char *zero; /* numbers: what the default 0 (or -1) means, "all CPUs"; "" shows none */
    bool required;
} cli_option;

/* A flag of another program, as --NAME or --NAME=VALUE: it is left out with a note, or refused where leaving it
 * out would change what a client sees ("false" and "0" are always left out). */
typedef struct cli_foreign {
    const char *name; /* NULL ends a list */
    bool refused;
    const char *advice; /* why, or what to do instead */
} cli_foreign;

extern const cli_foreign cli_tensorflow_serving[];

typedef struct cli_command {
    const char *name;
    const char *summary; /* one line */
    const char *details; /* more, shown under the options; NULL: no more */
    const cli_option *options;
    int (*run)(void);           /* gives the exit status */
    const cli_foreign *foreign; /* NULL: none */
} cli_command;

extern const cli_command cli_cmd_train, cli_cmd_eval, cli_cmd_quantize, cli_cmd_prune, cli_cmd_distill,
    cli_cmd_run, cli_cmd_inspect, cli_cmd_bench, cli_cmd_serve, cli_cmd_version;

/* Sets what the command's options point at. Gives CLI_OK, or CLI_USAGE after saying why. */
int cli_parse(const cli_command *command, int argc, char **argv);
void cli_print_help(const cli_command *command);
/* The word of `words` (NULL-terminated) that `given` was likely meant to be, or NULL. */
const char *cli_suggest(const char *given, const char *const *words);

/* Rows of an option table; what follows the help are more fields: `.required = true`. */
#define CLI_ROW(t, n, v, field, text, ...)                                                                   \
    { .type = t, .name = n, .value = v, .to = &(field), .help = text, __VA_ARGS__ }
#define OPT_MODEL(field)                                                                                     \
    CLI_ROW(CLI_POSITIONAL, "MODEL", "MODEL", field, "ONNX file to read", .required = true)
#define OPT_FLAG(name, field, help) CLI_ROW(CLI_FLAG, name, NULL, field, help)
#define OPT_TEXT(name, value, field, help, ...) CLI_ROW(CLI_TEXT, name, value, field, help, __VA_ARGS__)
#define OPT_LIST(name, value, field, help, ...) CLI_ROW(CLI_LIST, name, value, field, help, __VA_ARGS__)
#define OPT_CHOICE(name, words, field, help) CLI_ROW(CLI_CHOICE, name, words, field, help)
#define OPT_INT(name, value, field, low, high, help, ...)                                                    \
    CLI_ROW(CLI_INT, name, value, field, help, .min = low, .max = high, __VA_ARGS__)
#define OPT_INT64(name, value, field, low, high, help, ...)                                                  \
    CLI_ROW(CLI_INT64, name, value, field, help, .min = low, .max = high, __VA_ARGS__)
#define OPT_NUMBER(name, value, field, low, high, help, ...)                                                 \
    CLI_ROW(CLI_NUMBER, name, value, field, help, .min = low, .max = high, __VA_ARGS__)
#define OPT_SEED(field) CLI_ROW(CLI_SEED, "seed", "N", field, "seed of all that is random")
#define OPT_JSON(field) OPT_FLAG("json", field, "print the result as one line of JSON")
#define OPT_THREADS(field)                                                                                   \
    OPT_INT("threads", "N", field, 0, 1024, "threads to compute with, 0 for all CPUs", .zero = "all CPUs")
#define OPT_OUT(field) OPT_TEXT("out", "FILE", field, "ONNX file to write", .required = true)
#define OPT_DATA(field, ...)                                                                                 \
    OPT_TEXT("data", "DATA", field,                                                                          \
             "data set: fashion-mnist, idx:DIR (MNIST's four files) or npz:FILE (an array for each column, " \
             "such as x and y, or x_train, y_train, x_test and y_test)",                                     \
             __VA_ARGS__)
#define OPT_END                                                                                              \
    { .type = CLI_END }

/* --- reporting --- */

/* "train", for messages; NULL before a command is known. */
void cli_set_command(const char *name);
/* Each writes one line "hone COMMAND: ..." on stderr and gives the exit status it stands for. */
int cli_fail(const hone_error *err);
int cli_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
int cli_usage_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void cli_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Tells systemd, if it has started this process and wants to know: "READY=1". */
void cli_notify(const char *state);
/* From now on the library's messages are shown that are no warnings, too. */
void cli_log_all(void);

/* Leaves the function with an exit status if `expr` fails; needs `hone_error err` in scope. */
#define CLI_TRY(expr)                                                                                        \
    do {                                                                                                     \
        if ((expr) != HONE_OK) return cli_fail(&err);                                                        \
    } while (0)

/* Memory or the end of the program, with a message. */
void *cli_alloc(size_t size);

/* Prints one line and gives the object's reference back. */
void cli_print_json(json_t *object);
/* A number; null if it is not finite. */
json_t *cli_json_number(double x);
/* A path or a text that may be cut: what is not UTF-8 becomes U+FFFD. */
json_t *cli_json_text(const char *text);

/* Texts in a few static buffers that take turns: 8 of them may be in use at once. */
const char *cli_text(const char *format, ...) __attribute__((format(printf, 1, 2)));
const char *cli_count(int64_t n);      /* "407,123" */
const char *cli_percent(double part);  /* "88.53 %" */
const char *cli_clock(double seconds); /* "1:02", "1:00:02" */
/* "float32 [batch, 1, 28, 28]" of an input or output. */
const char *cli_type_text(const hone_graph *g, const hone_value_info *info);
const char *cli_tensor_text(const hone_tensor *t);
/* [1, 28, 28]; symbols of `g` (may be NULL) as strings, unknown dimensions null. */
json_t *cli_json_shape(const hone_graph *g, const int64_t *dims, int rank);

/* Of the monotonic clock. */
double cli_seconds_now(void);

/* Bytes of a file, -1 if there is none. */
int64_t cli_file_bytes(const char *path);
/* Whether a file can be written at `path`, found out by trying, before hours of work. */
hone_status cli_check_output(const char *path, hone_error *err);

/* As cli_check_output for files in a directory, which is made if it is not there. */
hone_status cli_check_directory(const char *path, hone_error *err);

/* --- tables --- */

typedef struct cli_table cli_table;

/* One letter a column: 'l' or 'r'. */
cli_table *cli_table_new(const char *align);
/* The next cell, row after row; copied. The first row is the heading. */
void cli_table_cell(cli_table *t, const char *text);
void cli_table_row(cli_table *t, ...) __attribute__((sentinel)); /* const char * cells, then NULL */
void cli_table_print(const cli_table *t, FILE *to);
void cli_table_free(cli_table *t);

/* --- tasks --- */

/* Which columns feed the model, and what its output is compared with. */
typedef struct cli_task {
    const char *objective, *target;
    cli_list inputs; /* NAME=COLUMN */
    hone_pairing pairings[64];
} cli_task;
#define OPT_TASK(t)                                                                                          \
    OPT_TEXT(                                                                                                \
        "objective", "NAME", (t).objective,                                                                  \
        "what the output is for: cross-entropy (classes), mean-squared-error (numbers) or "                  \
        "binary-cross-entropy (yes or no) (default: what the model was trained for, else cross-entropy)"),   \
        OPT_TEXT("target", "COLUMN", (t).target,                                                             \
                 "column to compare the output with (default: y, label or target, else the one left)"),      \
        OPT_LIST("input", "NAME=COLUMN", (t).inputs,                                                         \
                 "column that feeds an input (default: the one of its name, else x or the one left)")

/* Gives CLI_OK, or CLI_USAGE after saying what is wrong. */
int cli_read_task(cli_task *t, hone_task *out);
const char *cli_metric_value(const hone_metric *m); /* "88.53 %", "0.1234" */
const char *cli_metric_name(const hone_metric *m);  /* "mean absolute error" */
const char *cli_metrics(const hone_eval_report *r); /* "accuracy 88.53 %" */
/* Sets PREFIXaccuracy, …, PREFIXloss. */
void cli_json_metrics(json_t *object, const char *prefix, const hone_eval_report *r);

/* --- measuring models, before and after --- */

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
    const char *label; /* begins each line; "" */
    /* set as it goes */
    struct hone_events *events, *open_events; /* the first is NULL from its first failure on */
    int64_t log_steps;
    int64_t first_samples, first_step, step, steps;
    double first_seconds, drawn_at;
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
/* Ends it. Gives `status`, or another one after telling what the event file failed of. */
int cli_watch_close(cli_watch *w, int status);

/* progress.c: the bar on a terminal, one line an epoch elsewhere. */
void cli_progress_show(cli_watch *w, const hone_train_progress *p);
/* Takes the bar away, before something else is written. */
void cli_progress_clear(void);

/* SIGINT and SIGTERM end training after the step; a second one kills. Off again with cli_signals_default. */
void cli_signals_catch(void);
void cli_signals_default(void);
/* Between the two, signals that end the program wait, so that no file stays half-written. */
void cli_signals_hold(void);
void cli_signals_release(void);
/* hone_graph_save, with signals on hold. */
hone_status cli_save(const hone_graph *g, const char *path, hone_error *err);
/* The signal that came, 0 if none did. */
int cli_signal(void);
/* Says that training was stopped and gives the exit status. `checkpoint` NULL: there is none. */
int cli_interrupted(const cli_watch *w, const char *checkpoint);

/* The options that all training has, into a hone_train_options. */
#define OPT_TRAINING(o)                                                                                      \
    OPT_INT("batch", "N", (o).batch, 1, 1 << 20, "samples a step"),                                          \
        OPT_NUMBER("lr", "X", (o).learning_rate, CLI_ABOVE_ZERO, 1e6, "learning rate at the start"),         \
        OPT_NUMBER("momentum", "X", (o).momentum, 0, CLI_BELOW_ONE, "momentum of the gradient descent"),     \
        OPT_NUMBER("weight-decay", "X", (o).weight_decay, 0, 1e6, "weight decay", .zero = "none"),           \
        OPT_CHOICE("schedule", "constant|cosine", (o).schedule, "course of the learning rate"),              \
        OPT_INT64("train-samples", "N", (o).max_samples, 0, 1e15, "train on the first N samples only",       \
                  .zero = "all"),                                                                            \
        OPT_SEED((o).seed), OPT_THREADS((o).threads)

/* hone_build_model for a training with these options. */
hone_status cli_build(const char *description, const hone_dataset *data, const hone_train_options *o,
                      hone_graph **out, hone_error *err);
/* Opens the test split. One that is not there is no error: `*out` is NULL, and a note says so. */
hone_status cli_open_test(const char *spec, hone_dataset **out, hone_error *err);
/* Likewise, lets go of one that lacks what the model's task needs. */
void cli_check_test(const hone_graph *g, const hone_task *task, hone_dataset **test);

#endif
