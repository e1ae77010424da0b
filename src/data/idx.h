/* IDX, the format of the MNIST files: two zero bytes, the element type, the rank, big-endian dimensions, the
 * data. */
#ifndef HONE_DATA_IDX_H
#define HONE_DATA_IDX_H

#include <hone/tensor.h>

/* Reads an IDX file, plain or gzipped. Its length must be exactly what its header says. */
hone_status hone_idx_load(const char *path, hone_tensor **out, hone_error *err);
/* The same from memory. */
hone_status hone_idx_parse(const void *data, size_t size, hone_tensor **out, hone_error *err);

#endif
