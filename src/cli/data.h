/* Data sets that a command opens: what the options say about them, and their parts. */
#ifndef HONE_CLI_DATA_H
#define HONE_CLI_DATA_H

#include "options.h"

#include <hone/graph.h>
#include <hone/train.h>

typedef struct cli_data {
    const char *spec, *test_spec, *group;
    const char *tokenizer;
    int64_t tokens, rate;
    double seconds;
    const char
        *model_path; /* of the model that will read the data: a tokenizer may lie beside it; NULL: none */
    const struct hone_tokenizer *reads; /* the model's tokenizer, where that is at hand; NULL: not */
    cli_list ignored;
    const char *resize;
    bool unlabeled; /* the target may be missing, and all samples are wanted */
    int header;
    double validation, test; /* below 1 a share of the samples, else their number; 0: none */
    int by;
} cli_data;
#define OPT_DATA(d, ...)                                                                                     \
    OPT_TEXT(                                                                                                \
        "data", "DATA", (d).spec,                                                                            \
        "data set: fashion-mnist, idx:DIR (MNIST's four files), npz:FILE (an array for each column, "        \
        "such as x and y, or x_train, y_train, x_test and y_test), csv:FILE (a table of numbers and "        \
        "texts), images:DIR (pictures, a folder for each class), audio:DIR (sound likewise, or a table of "  \
        "what is said in files), "                                                                           \
        "text:PATH (texts with labels) or lm:PATH (texts for a language model)",                             \
        __VA_ARGS__),                                                                                        \
        OPT_TEXT(                                                                                            \
            "resize", "WIDTHxHEIGHT", (d).resize,                                                            \
            "what pictures become (default: what the model takes, or their own size if all have one, else "  \
            "64x64)"),                                                                                       \
        OPT_TEXTS(d), OPT_LIST("ignore", "COLUMN", (d).ignored, "column of a table that is not to be read"), \
        OPT_CHOICE("header", "auto|yes|no", (d).header,                                                      \
                   "whether a table's first line has the names of its columns (auto: as it looks)")
/* Of texts and sound. */
#define OPT_TEXTS(d)                                                                                         \
    OPT_TEXT("tokenizer", "TOKENIZER", (d).tokenizer,                                                        \
             "how texts become numbers: bpe:4096, wordpiece:8000 or words:60000 is made of the training "    \
             "texts, FILE.json read (default: the model's; else words:60000 for text:, bpe:4096 for lm:)"),  \
        OPT_INT64("tokens", "N", (d).tokens, 0, 1 << 20, "tokens of a sample",                               \
                  .zero = "what 95 % of the texts have; 128 for lm:"),                                       \
        OPT_INT64("rate", "N", (d).rate, 0, 1 << 20, "samples a second that sound is brought to",            \
                  .zero = "the model's, else 16000"),                                                        \
        OPT_NUMBER("seconds", "X", (d).seconds, 0, 3600, "length that clips of sound are brought to",        \
                   .zero = "what 95 % of the clips have")
/* Parts of a data set that has none of its own. */
#define OPT_PARTS(d)                                                                                         \
    OPT_TEXT("test-data", "DATA", (d).test_spec,                                                             \
             "another data set to test on (its test split, if it has one)"),                                 \
        OPT_NUMBER(                                                                                          \
            "test", "X", (d).test, 0, 1e15,                                                                  \
            "keep a share of the samples (0.2), or so many (500), to test on, where the data set has "       \
            "no test split",                                                                                 \
            .zero = "none"),                                                                                 \
        OPT_CHOICE(                                                                                          \
            "split-by", "random|order", (d).by,                                                              \
            "draw the samples that are kept by the seed, of each class as many as of all, or keep the "      \
            "last ones"),                                                                                    \
        OPT_TEXT(                                                                                            \
            "group", "COLUMN", (d).group,                                                                    \
            "keep samples of the same value in this column together (a speaker, a patient): no part has "    \
            "some of what another one has")

typedef struct cli_parts {
    hone_dataset *train, *validation, *test;
    char rule[256]; /* how the test samples were drawn, for the model to remember; "": they were not */
} cli_parts;

/* Opens what `d` says and parts it: the test samples first, then those for validation; of what is left `*train_samples`
 * are drawn (0: all; set to 0). `seed` draws. `model` (may be NULL) is what will read it. All that is asked for is there
 * or it fails, but for a test split: without one `out->test` is NULL, and a note says so. cli_free_parts() when done, also after a
 * failure. */
hone_status cli_open_parts(const cli_data *d, const hone_task *task, const hone_graph *model, uint64_t seed,
                           int64_t *train_samples, cli_parts *out, hone_error *err);
/* Notes in the model which samples it was not trained on. */
hone_status cli_note_parts(hone_graph *g, const cli_parts *p, hone_error *err);
enum { CLI_ALL = 3 }; /* behind the splits */
/* A split as it is, or what stands for all of them. Where a model was trained on a part of the same number of samples, this is
 * the other part, or that (HONE_SPLIT_TRAIN), and a note says so; CLI_ALL: all of them. */
hone_status cli_open_split(const cli_data *d, const hone_task *task, const hone_graph *model, int split,
                           hone_dataset **out, hone_error *err);
/* The test part alone, as cli_open_parts() has it. */
hone_status cli_open_test(const cli_data *d, const hone_task *task, const hone_graph *model, uint64_t seed,
                          hone_dataset **out, hone_error *err);
void cli_free_parts(cli_parts *p); /* all zero is fine */

#endif
