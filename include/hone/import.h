/* Importing language models: from a GGUF file to a graph, a tokenizer, and what else is known of the model. */
#ifndef HONE_IMPORT_H
#define HONE_IMPORT_H

#include <hone/graph.h>
#include <hone/text.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A model with what belongs to it. */
typedef struct hone_import hone_import;

typedef struct hone_import_options {
    size_t size;
    int64_t
        context; /* tokens that the graph has positions for; 0: as many as the file says, at most 131072 */
} hone_import_options;
#define HONE_IMPORT_OPTIONS_INIT                                                                             \
    { .size = sizeof(hone_import_options) }

/* Reads a language model:
 *   FILE.gguf      GGUF, of the families that docs/language-models.md lists
 *   FILE.onnx      an ONNX file, with the files below beside it
 *   DIR            model.onnx, tokenizer.json, chat_template.jinja, generation_config.json; or, as Hugging Face has it,
 *                  config.json and model.safetensors, or several of these with an index, in the place of model.onnx
 * Weights stay as they are stored, nothing is rounded again. HONE_CORRUPT and HONE_UNSUPPORTED name the key, the tensor or
 * the file. On success `*out` belongs to the caller: hone_import_free(). */
HONE_API hone_status hone_import_open(const char *path, const hone_import_options *options, hone_import **out,
                                      hone_error *err);
HONE_API void hone_import_free(hone_import *m); /* NULL is fine */
/* Would hone_import_open() be asked for this path? A directory, or a file that begins as GGUF does. */
HONE_API bool hone_import_takes(const char *path);

/* Borrowed. */
HONE_API const hone_graph *hone_import_graph(const hone_import *m);
/* The graph becomes the caller's; hone_import_graph() is NULL from then on. */
HONE_API hone_graph *hone_import_take_graph(hone_import *m);
/* Another graph takes its place, and becomes the import's. */
HONE_API void hone_import_give_graph(hone_import *m, hone_graph *g);
HONE_API const hone_tokenizer *hone_import_tokenizer(const hone_import *m); /* NULL: there is none */
HONE_API const char *hone_import_template(const hone_import *m); /* the chat template; NULL: none */
/* The id that texts begin with, where the model wants one; -1: none. */
HONE_API int32_t hone_import_begin(const hone_import *m);
/* Ids that end a text. */
HONE_API const int32_t *hone_import_ends(const hone_import *m, size_t *count);

/* Writes model.onnx (large weights in model.onnx.data), tokenizer.json, chat_template.jinja, generation_config.json into a
 * directory, which is made if it is not there. Each file appears whole or not at all, model.onnx last. */
HONE_API hone_status hone_import_save(const hone_import *m, const char *directory, hone_error *err);

#ifdef __cplusplus
}
#endif
#endif
