/* The inside of hone_dataset.
 *
 *   column   name, data [stored, sample shape], rows: which stored sample is sample i (NULL: all in order)
 *
 * Subsets and data sets with more columns share the data of others. */
#ifndef HONE_DATA_DATASET_H
#define HONE_DATA_DATASET_H

#include "base/error.h"

#include <hone/data.h>

#include <stdatomic.h>

/* Which stored samples, in which order; shared by the columns of a subset. */
typedef struct hone_rows {
    atomic_int references;
    uint32_t at[];
} hone_rows;

/* Samples that are made when somebody reads them, as pictures are of their files: memory does not depend on how many
 * there are. */
typedef struct hone_sample_source hone_sample_source;
struct hone_sample_source {
    atomic_int references;
    /* Makes stored sample `at`, in the column's dtype and shape. Called by any thread. */
    hone_status (*read)(hone_sample_source *s, int64_t at, void *out, hone_error *err);
    void (*free)(hone_sample_source *s);
};

typedef struct hone_stored_column {
    char *name;
    hone_dtype dtype;
    hone_tensor *data;          /* a reference of the data set's; NULL: there is a source */
    hone_sample_source *source; /* likewise; NULL: all samples are in memory */
    hone_rows *rows;            /* likewise; NULL: all in order */
    int rank;                   /* of a sample as models see it: bytes [n, h, w] are [1, h, w] */
    int64_t dims[HONE_MAX_RANK];
    int64_t size; /* values in a sample */
    int classes;
    bool one_hot; /* each sample is a single 1 among zeros */
} hone_stored_column;

/* Texts that a data set and its subsets share. */
typedef struct hone_texts {
    atomic_int references;
    char **class_names; /* class_count */
    int class_count;
    char **notes; /* note_count */
    int note_count;
    struct hone_tokenizer *tokenizer; /* that texts were read with; NULL: none */
} hone_texts;

struct hone_dataset {
    hone_stored_column *columns;
    int column_count;
    int64_t count;
    bool whole; /* the same samples stand for both splits */
    bool table; /* each column but the target is an input of its own, of numbers (NaN: missing) or texts */
    char target[128], group[128];   /* the column to be learned; what must stay together; "": not known */
    const char *const *class_names; /* class_name_count of them; NULL: none */
    int class_name_count;
    hone_texts *texts;        /* a reference; NULL: none of its own */
    char name[192], part[16]; /* "fashion-mnist", "train, " */
    int rate;                 /* of sound: samples a second; 0: it is none */
    char left_out[256];       /* arrays of the file that are no columns, and why; "": none */
    char describe[256];
};

/* Says what the data set is: part "train", "test" or "all". */
void hone_dataset_label(hone_dataset *d, const char *name, const char *part);
/* Adds a note (hone_dataset_note); without memory it is lost. */
void hone_dataset_note_down(hone_dataset *d, const char *format, ...) HONE_PRINTF(2, 3);
/* Notes the tokenizer that its texts were read with: a reference of its own. */
hone_status hone_dataset_set_tokenizer(hone_dataset *d, const struct hone_tokenizer *t, hone_error *err);
/* Names its classes; the texts are copied. */
hone_status hone_dataset_name_classes(hone_dataset *d, const hone_string *names, int count, hone_error *err);
/* As `d`, with one more column, [count of d, …]. HONE_INVALID_ARGUMENT if the name is taken. */
hone_status hone_dataset_with_column(const hone_dataset *d, const char *name, hone_tensor *data,
                                     hone_dataset **out, hone_error *err);
/* A data set of one column of samples that a source makes, [count, dims], to which hone_dataset_with_column() adds others.
 * Takes the reference of `source`, also on failure. */
hone_status hone_dataset_make_streamed(const char *column, hone_dtype dtype, int rank, const int64_t *dims,
                                       int64_t count, hone_sample_source *source, hone_dataset **out,
                                       hone_error *err);
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

/* Mean and standard deviation of a feature, over the `count` values of it that are numbers. */
typedef struct hone_feature_moments {
    double mean, deviation;
    int64_t count;
} hone_feature_moments;

/* Those of each feature of a column in the first `samples` samples (0: all), as a model sees it: float32, bytes scaled to
 * value/255. Value j of a sample is of feature j / inner % features: [features] has inner 1, images of channels first
 * have height * width. Of samples that a source makes some 2048 are looked at. */
hone_status hone_dataset_feature_moments(const hone_dataset *d, int column, int64_t features, int64_t inner,
                                         int64_t samples, hone_feature_moments *out, hone_error *err);
/* The labels of samples, as hone_dataset_read() has them: [n]. */
hone_status hone_dataset_read_labels(const hone_dataset *d, int column, const uint32_t *indices,
                                     int64_t first, int64_t n, int64_t *out, hone_error *err);
/* The different texts of a column, in order of their bytes, as strings [n]: if there are more than `most`, the most
 * frequent ones. `*all` (may be NULL): how many there are. On success `*out` belongs to the caller. */
hone_status hone_dataset_categories(const hone_dataset *d, int column, int64_t most, int64_t *all,
                                    hone_tensor **out, hone_error *err);
/* Finds the first value of a column that is NaN or infinite; false if there is none. */
bool hone_dataset_find_nan(const hone_dataset *d, int column, int64_t *sample, int64_t *value);
/* Has a column of floats whole numbers only, none below 0? */
bool hone_dataset_is_whole(const hone_dataset *d, int column);
/* HONE_INVALID_ARGUMENT names the value that hone_dataset_find_nan() finds. */
hone_status hone_dataset_check_numbers(const hone_dataset *d, int column, hone_error *err);

#endif
