/* NumPy's .npz: a zip archive of .npy files. */
#ifndef HONE_DATA_NPZ_H
#define HONE_DATA_NPZ_H

#include <hone/tensor.h>

typedef struct hone_npz hone_npz;

/* Opens the archive of a file; hone_npz_close() when done. `path` must outlive it. */
hone_status hone_npz_open(const char *path, hone_npz **out, hone_error *err);
/* The same from memory, which must outlive the archive. */
hone_status hone_npz_open_memory(const void *data, size_t size, hone_npz **out, hone_error *err);
void hone_npz_close(hone_npz *z); /* NULL is fine */

/* Is there an array of that name (without .npy)? */
bool hone_npz_has(const hone_npz *z, const char *name);
/* Names of the arrays, in the archive's order: NULL for an index past the end. Valid until the archive is
 * closed. */
const char *hone_npz_name(const hone_npz *z, int64_t index);
/* HONE_NOT_FOUND: says that there is no array of that name, and lists those that are there. */
hone_status hone_npz_missing(const hone_npz *z, const char *name, hone_error *err);
/* Reads one. HONE_NOT_FOUND lists the names that are there. */
hone_status hone_npz_read(hone_npz *z, const char *name, hone_tensor **out, hone_error *err);

#endif
