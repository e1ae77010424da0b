/* Reading models from disk: a version, its recorded requests, the settings (listing.h says where they lie). */
#ifndef HONE_SERVE_MODELS_REPOSITORY_H
#define HONE_SERVE_MODELS_REPOSITORY_H

#include "base/file.h"
#include "serve/models/place.h"
#include "serve/servable/warmup.h"

#include <hone/graph.h>
#include <hone/import.h>

/* A model that was read: a graph, or a language model with its tokenizer. */
typedef struct hone_loaded {
    hone_graph *graph;
    hone_tokenizer *tokenizer; /* what lies beside the graph; NULL: nothing */
    hone_import *language;
} hone_loaded;
void hone_loaded_free(hone_loaded *l); /* what it holds */

/* Reads a version (`map`: its weights stay in their files; `context`: as of hone_import_options). `files`, a list that is
 * empty, gets what was read or looked for, also on failure: the model, its external data, and what a language model
 * has beside it. HONE_UNAVAILABLE: something was written to meanwhile. */
hone_status hone_repository_load(const hone_place *place, const char *version, bool map, int64_t context,
                                 hone_loaded *out, hone_file_list *files, hone_error *err);
/* Recorded requests with `inputs` tensors each; at most 100. `files` gets more. */
hone_status hone_repository_recorded(const hone_place *place, const char *version, int inputs,
                                     hone_recorded *out, hone_file_list *files, hone_error *err);
/* config.json; an empty blob if there is none. */
hone_status hone_repository_settings(const hone_place *place, hone_blob *out, hone_error *err);

/* Bytes of the regular files in a version's directory. */
uint64_t hone_repository_weigh(const hone_place *place, const char *version);
/* Is a part of one of the files missing, as of one that has its size before its content? Sets its path. */
bool hone_repository_has_holes(const hone_place *place, const char *version, const hone_file_list *files,
                               const char **path);

#endif
