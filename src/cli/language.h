/* Language models where a command takes other models, too. */
#ifndef HONE_CLI_LANGUAGE_H
#define HONE_CLI_LANGUAGE_H

#include <hone/graph.h>
#include <hone/import.h>
#include <stddef.h>

/* A file's text, `*size` bytes and a zero; free() it. Gives an exit status. */
int cli_read_text(const char *path, char **text, size_t *size);

/* Opens a model if it is a language model with a past, `*out`; else NULL, and the graph (NULL: it is not read) goes on as
 * any other. Gives an exit status. */
int cli_open_language(const char *path, hone_import **out, hone_graph **graph);

#define OPT_ADAPTER(to)                                                                                      \
    OPT_TEXT("lora", "DIR", to,                                                                              \
             "with the adapter of that directory: adapter_config.json, adapter_model.safetensors")
/* Puts the adapter of a directory into the model. Gives an exit status. */
int cli_add_adapter(hone_import *m, const char *directory);

typedef struct cli_perplexity {
    const char *model, *text; /* for messages; path of the text */
    const char *adapter;      /* a directory; NULL: none */
    int64_t window, windows;  /* windows 0: all */
    int threads;
    hone_precision precision;
    bool json;
} cli_perplexity;
/* Tells a text's perplexity; frees `m`. Gives an exit status. */
int cli_tell_perplexity(hone_import *m, const cli_perplexity *p);

#endif
