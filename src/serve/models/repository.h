/* Models on disk, read without ever leaving the directory that they were said to lie in: symbolic links that
 * lead out of it are refused.
 *
 *      ROOT/INSIDE/config.json
 *                 /1/model.onnx      and its external data
 *                   /warmup/NAME/input_0.pb …      recorded requests: a tensor (TensorProto) for each input
 *                   /test_data_set_0/input_0.pb …  ONNX's own name for the same                          */
#ifndef HONE_SERVE_MODELS_REPOSITORY_H
#define HONE_SERVE_MODELS_REPOSITORY_H

#include "base/file.h"
#include "base/fingerprint.h"
#include "serve/servable/warmup.h"

#include <hone/graph.h>

/* Where a model's versions lie. */
typedef struct hone_place {
    const char *root, *inside; /* the directory ROOT/INSIDE; INSIDE may be "." */
    bool file;                 /* ROOT is a file: version 1 */
} hone_place;

typedef struct hone_found {
    int64_t number;
    char name[24]; /* of its directory */
    hone_fingerprint file;
    uint64_t bytes; /* of all files beside it, too */
} hone_found;

typedef struct hone_listing {
    hone_found *versions; /* ascending */
    size_t count, capacity;
    hone_found *pending; /* directories that have no model.onnx (yet); the first few */
    size_t pending_count, pending_capacity;
    hone_fingerprint settings;
} hone_listing;

/* Versions are those directories with a number for a name and a model.onnx in them. On success
 * hone_listing_free() when done. HONE_NOT_FOUND: there is no such directory or file. */
hone_status hone_repository_list(const hone_place *place, hone_listing *out, hone_error *err);
void hone_listing_free(hone_listing *l);
/* Calls `fn` for each directory in `root` that may be a model's. */
hone_status hone_repository_models(const char *root, void (*fn)(void *user, const char *name), void *user,
                                   hone_error *err);

/* Reads a version (`map`: its weights stay in their files); `*file` is what was read. HONE_UNAVAILABLE: it was written to
 * meanwhile. */
hone_status hone_repository_load(const hone_place *place, const char *version, bool map, hone_graph **out,
                                 hone_fingerprint *file, hone_error *err);
/* config.json; an empty blob if there is none. */
hone_status hone_repository_settings(const hone_place *place, hone_blob *out, hone_error *err);
/* Recorded requests with `inputs` tensors each; at most 100. */
hone_status hone_repository_recorded(const hone_place *place, const char *version, int inputs,
                                     hone_recorded *out, hone_error *err);

/* As openat, but refuses (EXDEV or ELOOP) what leads out of the directory `dir`. */
int hone_open_beneath(int dir, const char *path, int flags);
/* The same by walking without following any link, as done where the system lacks openat2. */
int hone_open_walking(int dir, const char *path, int flags);

#endif
