/* Tokenizers beside models. */
#ifndef HONE_CLI_TEXT_H
#define HONE_CLI_TEXT_H

#include <hone/graph.h>
#include <hone/text.h>

/* Metadata of a model: the name of its tokenizer's file, in the model's directory. */
#define CLI_TOKENIZER_KEY "hone.tokenizer"

/* Where the tokenizer of a model at `path` is: as its metadata says, else tokenizer.json in its directory. Static. */
const char *cli_tokenizer_path(const hone_graph *g, const char *path);
/* That tokenizer, of the model in a file. */
hone_status cli_load_tokenizer(const char *path, hone_tokenizer **out, hone_error *err);

#endif
