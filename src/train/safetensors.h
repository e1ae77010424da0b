/* Tensors in a file, in the safetensors format: u64 little-endian length of a JSON header, the header (name →
 * dtype, shape, data_offsets), the bytes. */
#ifndef HONE_TRAIN_SAFETENSORS_H
#define HONE_TRAIN_SAFETENSORS_H

#include "runtime/variables.h"

/* Writes all variables; the file appears whole or not at all. */
hone_status hone_safetensors_save(const char *path, const hone_variables *variables, hone_error *err);
/* Reads the content of every variable of the store. HONE_CORRUPT if the file is damaged, lacks one, or has
 * one of another type; the store may then be changed in part. */
hone_status hone_safetensors_load(const char *path, hone_variables *variables, hone_error *err);

#endif
