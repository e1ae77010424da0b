/* What lies in a model's directory, and in a repository of models.
 *
 *      ROOT/INSIDE/config.json
 *                 /1/model.onnx      and its external data; of a language model instead model.gguf, or config.json
 *                                    and model.safetensors, or several of these with an index
 *                   /warmup/NAME/input_0.pb …      recorded requests: a tensor (TensorProto) for each input
 *                   /test_data_set_0/input_0.pb …  ONNX's own name for the same                          */
#ifndef HONE_SERVE_MODELS_LISTING_H
#define HONE_SERVE_MODELS_LISTING_H

#include "serve/models/place.h"
#include "serve/models/remarks.h"

typedef struct hone_found {
    int64_t number;
    char name[24]; /* of its directory */
} hone_found;

typedef struct hone_listing {
    hone_found *versions; /* ascending */
    size_t count, capacity;
    hone_found *pending; /* directories that have no model.onnx (yet); the first few */
    size_t pending_count, pending_capacity;
    hone_fingerprint directory; /* looked at before what is in it */
    hone_print settings;        /* config.json; all zero: there is none */
    hone_remarks remarks;       /* named after the model */
    bool
        elsewhere; /* something hangs on links, or on more than is listed, of which directories here tell nothing */
} hone_listing;

/* Versions are those directories with a number for a name and a model in them, whatever that is: whoever loads it
 * says what is wrong with it. `name` is the model's. On success hone_listing_free() when done. HONE_NOT_FOUND: there is
 * no such directory or file. */
hone_status hone_repository_list(const hone_place *place, const char *name, hone_listing *out,
                                 hone_error *err);
void hone_listing_free(hone_listing *l);

/* Calls `fn` for each directory in `root` that may be a model's, and adds a remark on what else may have been meant to
 * be one. `*elsewhere` as above. */
hone_status hone_repository_models(const char *root, void (*fn)(void *user, const char *name), void *user,
                                   hone_remarks *remarks, bool *elsewhere, hone_error *err);

#endif
