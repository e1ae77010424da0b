/* Commands and their options: parsing and help, both from one table of options for each command. */
#ifndef HONE_CLI_OPTIONS_H
#define HONE_CLI_OPTIONS_H

#include "report.h"

#include <float.h>

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
    double min, max; /* of numbers */
    const char
        *zero; /* numbers: what 0 (or the default -1) means, "all CPUs"; "": there is no default to show */
    bool required;
    bool alone; /* given, nothing else is required */
} cli_option;

/* A flag of another program, as --NAME or --NAME=VALUE: it is left out with a note, or refused where leaving it
 * out would change what a client sees ("false" and "0" are always left out). */
typedef struct cli_foreign {
    const char *name; /* NULL ends a list */
    bool refused;
    const char *advice; /* why, or what to do instead */
} cli_foreign;

extern const cli_foreign cli_tensorflow_serving[];

/* A name for options that go together: those given beside it count more. */
typedef struct cli_preset {
    const char *name;    /* NULL ends a list */
    const char *about;   /* what for */
    const char *options; /* "--epochs 10 --nesterov" */
} cli_preset;

typedef struct cli_command {
    const char *name;
    const char *summary; /* one line */
    const char *details; /* more, shown under the options; NULL: no more */
    const cli_option *options;
    int (*run)(void);           /* gives the exit status */
    const cli_foreign *foreign; /* NULL: none */
    const cli_preset *presets;  /* of the option --recipe; NULL: none */
} cli_command;

extern const cli_command cli_cmd_train, cli_cmd_eval, cli_cmd_quantize, cli_cmd_prune, cli_cmd_distill,
    cli_cmd_optimize, cli_cmd_run, cli_cmd_explain, cli_cmd_import, cli_cmd_generate, cli_cmd_inspect,
    cli_cmd_pack, cli_cmd_unpack, cli_cmd_tokenize, cli_cmd_bench, cli_cmd_serve, cli_cmd_version;
/* Those that this build has, in the order of the help; NULL ends it. */
extern const cli_command *const cli_commands[];

/* Sets what the command's options point at. Gives CLI_OK, or CLI_USAGE after saying why. */
int cli_parse(const cli_command *command, int argc, char **argv);
void cli_print_help(const cli_command *command);
/* The preset of that name, or NULL. */
const cli_preset *cli_find_preset(const cli_preset *presets, const char *name);
/* The word of `words` (NULL-terminated) that `given` was likely meant to be, or NULL. */
const char *cli_suggest(const char *given, const char *const *words);

/* Rows of an option table; what follows the help are more fields: `.required = true`. */
#define CLI_ROW(t, n, v, field, text, ...)                                                                   \
    { .type = t, .name = n, .value = v, .to = &(field), .help = text, __VA_ARGS__ }
#define OPT_MODEL(field)                                                                                     \
    CLI_ROW(CLI_POSITIONAL, "MODEL", "MODEL", field, "ONNX file to read", .required = true)
#define OPT_FLAG(name, field, help) CLI_ROW(CLI_FLAG, name, NULL, field, help)
#define OPT_MMAP(field)                                                                                      \
    OPT_FLAG("mmap-weights", field,                                                                          \
             "map weights instead of reading them: they take memory when they are used, and processes "      \
             "share them; their files must not change meanwhile. The first run packs those that kernels "    \
             "cannot read as they lie")
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
    OPT_INT("threads", "N", field, 0, 1024, "threads to compute with", .zero = "all CPUs")
#define OPT_PRECISION(field)                                                                                 \
    OPT_CHOICE("precision", "float32|bfloat16", field,                                                       \
               "what products and convolutions by float32 weights compute with: bfloat16 rounds their "      \
               "operands where the CPU has units for that (AMX), which is faster and less exact")
#define OPT_OUT(field) OPT_TEXT("out", "FILE", field, "ONNX file to write", .required = true)
#define OPT_PACK(field) OPT_FLAG("pack", field, "write a packed model, as hone pack does")
#define OPT_END                                                                                              \
    { .type = CLI_END }

#endif
