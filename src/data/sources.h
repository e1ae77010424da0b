/* Sources of data: each reads one kind of file or folder. */
#ifndef HONE_DATA_SOURCES_H
#define HONE_DATA_SOURCES_H

#include "data/csv.h"
#include "data/dataset.h"

/* Opens a split of what lies at `path`; HONE_NOT_FOUND if there is no such split. */
typedef hone_status hone_open_fn(const char *path, hone_split split, const hone_data_options *options,
                                 hone_dataset **out, hone_error *err);

hone_open_fn hone_open_npz, hone_open_csv, hone_open_images, hone_open_text, hone_open_lm, hone_open_audio;

/* The split that a word means, "train", "valid"; -1: none. */
int hone_split_of(const char *word);
/* Do the cells of the first line name columns: none is a value, and no two are the same? */
bool hone_cells_have_names(const hone_cells *c);

#endif
