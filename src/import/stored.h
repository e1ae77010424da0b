/* Tensors as they lie in a file of weights, and what of them an importer has used. */
#ifndef HONE_IMPORT_STORED_H
#define HONE_IMPORT_STORED_H

#include "import/blocks.h"

typedef struct hone_stored {
    const char *name;
    int rank;
    int64_t dims[4]; /* as in ONNX: the slowest axis first */
    uint32_t type;   /* the file's name for it; `format` NULL: one that Hone does not know */
    const hone_block_format *format;
    const uint8_t *data;
    size_t bytes;
} hone_stored;

/* Sorts by name; gives one that is there twice, or NULL. */
const hone_stored *hone_stored_sort(hone_stored *tensors, size_t count);

/* All tensors of a model, by name. */
typedef struct hone_store {
    const char *path; /* for errors */
    const hone_stored *tensors;
    size_t count;
    bool *used;  /* one each */
    bool mapped; /* the data are files': pages that were read may go, and come again */
} hone_store;

/* The tensor of that name, which counts as used from now on; NULL: none. */
const hone_stored *hone_store_take(const hone_store *s, const char *name);

#endif
