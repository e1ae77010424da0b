/* Tokenizers beside models. */
#ifndef HONE_CLI_TEXT_H
#define HONE_CLI_TEXT_H

#include <hone/data.h>
#include <hone/graph.h>
#include <hone/text.h>

/* Metadata of a model: the name of its tokenizer's file, in the model's directory. */
#define CLI_TOKENIZER_KEY "hone.tokenizer"

/* Where the tokenizer of a model at `path` is: as its metadata says, else tokenizer.json in its directory. Static. */
const char *cli_tokenizer_path(const hone_graph *g, const char *path);
/* Writes the tokenizer of a data set (if it has one) beside the model that is to be at `path`, STEM.tokenizer.json, and notes
 * its name in the model. */
hone_status cli_save_tokenizer(const hone_dataset *data, hone_graph *g, const char *path, hone_error *err);
/* That tokenizer, of the model in a file. */
hone_status cli_load_tokenizer(const char *path, hone_tokenizer **out, hone_error *err);

#endif
