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

typedef struct cli_perplexity {
    const char *model, *text; /* for messages; path of the text */
    int64_t window, windows;  /* windows 0: all */
    int threads;
    hone_precision precision;
    bool json;
} cli_perplexity;
/* Tells a text's perplexity; frees `m`. Gives an exit status. */
int cli_tell_perplexity(hone_import *m, const cli_perplexity *p);

#endif
