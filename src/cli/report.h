/* Errors, numbers for people. */
#ifndef HONE_CLI_REPORT_H
#define HONE_CLI_REPORT_H

#include <hone/graph.h>
#include <hone/log.h>
#include <stdio.h>

/* Exit statuses; a command that a signal ended has 128 + its number. */
enum {
    CLI_OK = 0,
    CLI_FAILED = 1,
    CLI_USAGE = 2,
    CLI_GATE = 3 /* what was asked for could not be reached */
};

/* "train", for messages; NULL before a command is known. */
void cli_set_command(const char *name);
/* Called before each line on stderr, to take away what stands on the terminal's last one; NULL: nothing does. */
void cli_set_before_line(void (*fn)(void));
/* Each writes one line "hone COMMAND: ..." on stderr and gives the exit status it stands for. */
int cli_fail(const hone_error *err);
int cli_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
int cli_usage_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void cli_silence(void); /* of notes, not of errors */
void cli_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* From now on the library's messages are shown that are no warnings, too. */
void cli_log_all(void);

/* Leaves the function with an exit status if `expr` fails; needs `hone_error err` in scope. */
#define CLI_TRY(expr)                                                                                        \
    do {                                                                                                     \
        if ((expr) != HONE_OK) return cli_fail(&err);                                                        \
    } while (0)

/* The same, and if the error names a node but no file, it is of the model at `path`. */
#define CLI_TRY_MODEL(path, expr)                                                                            \
    do {                                                                                                     \
        if ((expr) != HONE_OK) return cli_fail_model(&err, path);                                            \
    } while (0)
int cli_fail_model(hone_error *err, const char *path);

/* Memory or the end of the program, with a message. */
void *cli_alloc(size_t size);

/* Texts in a few static buffers that take turns: 8 of them may be in use at once. */
const char *cli_text(const char *format, ...) __attribute__((format(printf, 1, 2)));
const char *cli_count(int64_t n);      /* "407,123" */
const char *cli_percent(double part);  /* "88.53 %" */
const char *cli_clock(double seconds); /* "1:02", "1:00:02" */
/* "sequence", "map", "optional"; NULL of a tensor. */
const char *cli_kind_text(hone_value_kind kind);
/* "float32 [batch, 1, 28, 28]" of an input or output, or its kind where it is no tensor. */
const char *cli_type_text(const hone_graph *g, const hone_value_info *info);
const char *cli_tensor_text(const hone_tensor *t);

/* Of the monotonic clock. */
double cli_seconds_now(void);

#endif
