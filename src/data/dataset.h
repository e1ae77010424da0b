/* The inside of hone_dataset.
 *
 *   column   name, data [stored, sample shape], rows: which stored sample is sample i (NULL: all in order)
 *
 * Subsets and data sets with more columns share the data of others. */
#ifndef HONE_DATA_DATASET_H
#define HONE_DATA_DATASET_H

#include <hone/data.h>

#include <stdatomic.h>

/* Which stored samples, in which order; shared by the columns of a subset. */
typedef struct hone_rows {
    atomic_int references;
    uint32_t at[];
} hone_rows;

typedef struct hone_stored_column {
    char *name;
    hone_tensor *data; /* a reference of the data set's */
    hone_rows *rows;   /* likewise; NULL: all in order */
    int rank;          /* of a sample as models see it: bytes [n, h, w] are [1, h, w] */
    int64_t dims[HONE_MAX_RANK];
    int64_t size; /* values in a sample */
    int classes;
} hone_stored_column;

struct hone_dataset {
    hone_stored_column *columns;
    int column_count;
    int64_t count;
    bool whole;                     /* the same samples stand for both splits */
    const char *const *class_names; /* class_name_count of them; NULL: none */
    int class_name_count;
    char name[192], part[16]; /* "fashion-mnist", "train, " */
    char left_out[256];       /* arrays of the file that are no columns, and why; "": none */
    char describe[256];
};

/* Says what the data set is: part "train", "test" or "all". */
void hone_dataset_label(hone_dataset *d, const char *name, const char *part);
/* As `d`, with one more column, [count of d, …]. HONE_INVALID_ARGUMENT if the name is taken. */
hone_status hone_dataset_with_column(const hone_dataset *d, const char *name, hone_tensor *data,
                                     hone_dataset **out, hone_error *err);
/* hone_dataset_open("fashion-mnist"), wherever it is. */
hone_status hone_dataset_open_fashion(const char *dir, hone_split split, hone_dataset **out, hone_error *err);

/* A column as a part of a batch: values in a shape that holds as many as a sample of the column. */
typedef struct hone_feed {
    hone_reading reading;
    int rank; /* of a sample in the batch */
    int64_t dims[HONE_MAX_RANK];
} hone_feed;

/* A column in its own shape. */
hone_feed hone_feed_of(const hone_dataset *d, int column, hone_dtype dtype, bool unit);
/* A tensor for n samples of it, [n, sample shape]; over `data` where it isn't NULL. */
hone_status hone_feed_tensor(const hone_feed *f, int64_t n, void *data, hone_tensor **out, hone_error *err);

#endif
