/* Where a model lies, and opening what lies there without ever leaving it: links that lead out are refused. */
#ifndef HONE_SERVE_MODELS_PLACE_H
#define HONE_SERVE_MODELS_PLACE_H

#include "base/file_list.h"

#include <hone/error.h>

#include <dirent.h>

/* In a version's directory, and beside the versions. */
#define HONE_MODEL_FILE "model.onnx"
#define HONE_SETTINGS_FILE "config.json"
/* What a language model may come as instead; the last two as Hugging Face has them, with config.json beside them. */
#define HONE_GGUF_FILE "model.gguf"
#define HONE_WEIGHTS_FILE "model.safetensors"
#define HONE_TOKENIZER_FILE "tokenizer.json"
#define HONE_WEIGHTS_INDEX "model.safetensors.index.json"

/* Where a model's versions lie. Paths are from there: "7/model.onnx"; "" is the directory itself. */
typedef struct hone_place {
    const char *root, *inside; /* the directory ROOT/INSIDE; INSIDE may be "." */
    bool file; /* ROOT is a file: version 1. Paths are then from the directory that it lies in */
} hone_place;

/* The path for whoever reads it; of a file, "" is the file. */
void hone_place_name(const hone_place *p, const char *path, char *out, size_t size);
/* The path of a file of a version; false: too long. */
bool hone_place_part(const hone_place *p, const char *version, const char *file, char *out, size_t size);
/* What the file with the model in it is called in its version: the first of the above that is there, or model.onnx. */
const char *hone_place_model(const hone_place *p, const char *version);
/* The same of any directory; NULL: none of them is there. */
const char *hone_model_in(const char *directory);

/* HONE_NOT_FOUND: there is no such thing; HONE_FAILED_PRECONDITION: it leads out of the root; HONE_IO: the system
 * refuses. Where ROOT is a file, its user has named it: links are followed. */
hone_status hone_place_open(const hone_place *p, const char *path, int flags, int *out, hone_error *err);
/* A regular file to be read, and what it looks like. HONE_FAILED_PRECONDITION: it is something else, which is not
 * opened: that may do things. */
hone_status hone_place_open_file(const hone_place *p, const char *path, int *out, hone_fingerprint *is,
                                 hone_error *err);
/* A directory to be read; closedir() when done. */
hone_status hone_place_list(const hone_place *p, const char *path, DIR **out, hone_error *err);
/* What is there, be it a file or something else; `*out` is all zero on failure. */
hone_status hone_place_look(const hone_place *p, const char *path, hone_fingerprint *out, hone_error *err);
/* The same by one call of the system, which follows links anywhere: only to see whether anything changed. */
hone_fingerprint hone_place_glance(const hone_place *p, const char *path);

/* The files of a list, whose paths are from the directory of a version, as they are now. */
hone_print hone_place_print(const hone_place *p, const char *version, const hone_file_list *files);
hone_print hone_place_glance_print(const hone_place *p, const char *version, const hone_file_list *files);

/* As openat, but refuses (EXDEV or ELOOP) what leads out of the directory `dir`. */
int hone_open_beneath(int dir, const char *path, int flags);
/* The same by walking without following any link, as done where the system lacks openat2. */
int hone_open_walking(int dir, const char *path, int flags);

#endif
