/* The inside of hone_dataset. */
#ifndef HONE_DATA_DATASET_H
#define HONE_DATA_DATASET_H

#include <hone/data.h>

struct hone_dataset {
    hone_tensor *x;          /* [n, …], uint8 or float32; a reference of the data set's */
    uint16_t *labels;        /* [n]; of the whole set, also in a subset */
    const uint32_t *indices; /* a subset: which samples of x and labels; NULL: all in order */
    bool owns_labels;        /* false in a subset */
    bool whole;              /* the same samples stand for both splits */
    int64_t count;
    int rank; /* of a sample */
    int64_t dims[HONE_MAX_RANK];
    int64_t sample_size; /* values in a sample */
    int classes;
    const char *const *class_names; /* class_name_count of them; NULL: none */
    int class_name_count;
    char describe[256];
};

/* Makes a data set of samples and labels, which must fit together; references of its own are taken of x.
 * `name` is what describe says: "fashion-mnist (train". */
hone_status hone_dataset_make(hone_tensor *x, const hone_tensor *y, const char *name, hone_split split,
                              hone_dataset **out, hone_error *err);
/* hone_dataset_open("fashion-mnist"), wherever it is. */
hone_status hone_dataset_open_fashion(const char *dir, hone_split split, hone_dataset **out, hone_error *err);

#endif
