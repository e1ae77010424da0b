/* safetensors files and Hugging Face directories: config.json, model.safetensors or its parts by an index. */
#ifndef HONE_IMPORT_SAFETENSORS_H
#define HONE_IMPORT_SAFETENSORS_H

#include "base/memory.h"
#include "import/stored.h"

#include <hone/error.h>

typedef struct hone_safetensors hone_safetensors;

/* Maps the weights of a directory. HONE_CORRUPT names the tensor or the file that is wrong. On success `*out` belongs to
 * the caller: hone_safetensors_close(). */
hone_status hone_safetensors_open(const char *directory, hone_safetensors **out, hone_error *err);
/* Reads one file of `size` bytes, which must outlive `out`: its tensors, appended to *tensors, which grows in the arena's
 * stead by hone_reserve. `name` stands for the file in errors. */
hone_status hone_safetensors_parse(const void *data, size_t size, const char *name, hone_arena *arena,
                                   hone_stored **tensors, size_t *count, size_t *capacity, hone_error *err);
const hone_stored *hone_safetensors_tensors(const hone_safetensors *s, size_t *count); /* by name */
void hone_safetensors_close(hone_safetensors *s);                                      /* NULL is fine */

#endif
