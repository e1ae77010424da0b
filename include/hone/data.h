/* Data sets and NPY files. */
#ifndef HONE_DATA_H
#define HONE_DATA_H

#include <hone/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A labelled data set, kept as stored (bytes stay bytes) and read-only: any number of threads may read it. */
typedef struct hone_dataset hone_dataset;

typedef enum hone_split { HONE_SPLIT_TRAIN, HONE_SPLIT_TEST } hone_split;

/* Opens one split of `spec`:
 *   fashion-mnist   where Debian's package dataset-fashion-mnist puts it
 *   idx:DIR         MNIST's four files, gzipped or not
 *   npz:FILE        arrays x_train, y_train, x_test and y_test; or x [n, …] and y [n], which stand for
 *                   both splits where there are no others
 *
 * HONE_NOT_FOUND says which package or file is missing. On success `*out` belongs to the caller. */
HONE_API hone_status hone_dataset_open(const char *spec, hone_split split, hone_dataset **out,
                                       hone_error *err);
HONE_API void hone_dataset_free(hone_dataset *d);

/* False for an npz:FILE whose x and y stand for both splits: the test samples are the training samples. */
HONE_API bool hone_dataset_is_split(const hone_dataset *d);
HONE_API int64_t hone_dataset_count(const hone_dataset *d);
/* The shape of one sample as a model sees it: [1, 28, 28] for images. Borrowed; `*rank` gets the rank. */
HONE_API const int64_t *hone_dataset_sample_shape(const hone_dataset *d, int *rank);
/* 1 + the largest label. */
HONE_API int hone_dataset_classes(const hone_dataset *d);
/* "T-shirt/top", …; NULL where the set has no names. Borrowed. */
HONE_API const char *hone_dataset_class_name(const hone_dataset *d, int label);
/* "fashion-mnist (train, 60000 samples)" */
HONE_API const char *hone_dataset_describe(const hone_dataset *d);

/* Copies samples indices[0 … n-1] (NULL: first … first+n-1) into x: float [n, sample shape], bytes scaled to
 * value/255; and labels into y: int64 [n]. x or y may be NULL. Allocates nothing. HONE_OUT_OF_RANGE names a
 * bad index. */
HONE_API hone_status hone_dataset_read(const hone_dataset *d, const uint32_t *indices, int64_t first,
                                       int64_t n, float *x, int64_t *y, hone_error *err);
/* Mean and standard deviation over all values of the first `samples` samples (0: all), as the model sees
 * them. */
HONE_API void hone_dataset_moments(const hone_dataset *d, int64_t samples, double *mean, double *deviation);
/* A data set of the given samples of another, which must outlive it. */
HONE_API hone_status hone_dataset_subset(const hone_dataset *d, const uint32_t *indices, int64_t n,
                                         hone_dataset **out, hone_error *err);

/* Reads a NumPy .npy file (versions 1–3, C or Fortran order, little or big endian; booleans, integers,
 * floats). */
HONE_API hone_status hone_npy_load(const char *path, hone_tensor **out, hone_error *err);
/* Writes one; it appears whole or not at all. */
HONE_API hone_status hone_npy_save(const char *path, const hone_tensor *t, hone_error *err);
/* Reads array `name` (without .npy) of an .npz file. HONE_NOT_FOUND lists the names that are there. */
HONE_API hone_status hone_npz_load(const char *path, const char *name, hone_tensor **out, hone_error *err);

#ifdef __cplusplus
}
#endif
#endif
