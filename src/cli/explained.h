/* An explanation for people: lines on the terminal, a page, a picture, JSON. */
#ifndef HONE_CLI_EXPLAINED_H
#define HONE_CLI_EXPLAINED_H

#include "json.h"

#include <hone/explain.h>
#include <hone/text.h>

typedef struct cli_explained {
    const char *model;
    const hone_explanation *e;
    const hone_tensor *const *inputs;
    const char *classes;             /* names, one a line; NULL: none */
    const hone_tokenizer *tokenizer; /* of inputs of tokens; NULL: none */
} cli_explained;

/* "12 (Ankle boot)" */
const char *cli_explained_target(const cli_explained *x);
/* The index of a class's name, or number; -1: it is none. */
int64_t cli_explained_find(const char *classes, const char *text);
void cli_explained_print(const cli_explained *x);
json_t *cli_explained_json(const cli_explained *x);
/* Writes a page (.html), a picture (.png), all numbers (.json, .npz). Gives CLI_OK, or what the command ends with. */
int cli_explained_write(const cli_explained *x, const char *path);

#endif
