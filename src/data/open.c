/* Data set specifications: fashion-mnist, idx:DIR, npz:FILE. */
#include "base/error.h"
#include "base/file.h"
#include "data/dataset.h"
#include "data/idx.h"
#include "data/npz.h"
#include "graph/tensor.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define FASHION_DIR "/usr/share/datasets/fashion-mnist"

static const char *const fashion_names[] = {"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
                                            "Sandal",      "Shirt",   "Sneaker",  "Bag",   "Ankle boot"};

/* --- IDX --- */

static bool is_directory_entry(char *path, size_t size, const char *dir, const char *name) {
    return hone_path_join(path, size, dir, name) && hone_file_exists(path);
}

/* The names that are in use: with a dash or a dot, gzipped or not. */
static hone_status load_idx(const char *dir, const char *stem, int rank, hone_tensor **out, hone_error *err) {
    char name[64], path[4096];
    for (int form = 0; form < 4; form++) {
        snprintf(name, sizeof name, "%s%cidx%d-ubyte%s", stem, form & 2 ? '.' : '-', rank,
                 form & 1 ? ".gz" : "");
        if (is_directory_entry(path, sizeof path, dir, name)) return hone_idx_load(path, out, err);
    }
    return hone_fail_file(err, HONE_NOT_FOUND, dir, "no %s-idx%d-ubyte or %s-idx%d-ubyte.gz here", stem, rank,
                          stem, rank);
}

static hone_status open_idx(const char *dir, hone_split split, const char *name, hone_dataset **out,
                            hone_error *err) {
    bool train = split == HONE_SPLIT_TRAIN;
    hone_tensor *x = NULL, *y = NULL;
    hone_status status = load_idx(dir, train ? "train-images" : "t10k-images", 3, &x, err);
    if (status == HONE_OK) status = load_idx(dir, train ? "train-labels" : "t10k-labels", 1, &y, err);
    if (status == HONE_OK)
        status = hone_error_in_file(err, hone_dataset_make(x, y, name, split, out, err), dir);
    hone_tensor_free(x);
    hone_tensor_free(y);
    return status;
}

hone_status hone_dataset_open_fashion(const char *dir, hone_split split, hone_dataset **out,
                                      hone_error *err) {
    hone_status status = open_idx(dir, split, "fashion-mnist", out, err);
    if (status == HONE_NOT_FOUND)
        return hone_fail_file(err, HONE_NOT_FOUND, dir,
                              "Fashion-MNIST is not installed: apt-get install dataset-fashion-mnist");
    HONE_TRY(status);
    (*out)->class_names = fashion_names;
    (*out)->class_name_count = sizeof fashion_names / sizeof *fashion_names;
    return HONE_OK;
}

/* --- NPZ --- */

static void say_whole(hone_dataset *d, const char *path) {
    d->whole = true;
    snprintf(d->describe, sizeof d->describe, "%.180s (all, %" PRId64 " samples)", path, d->count);
}

static hone_status open_npz(const char *path, hone_split split, hone_dataset **out, hone_error *err) {
    bool train = split == HONE_SPLIT_TRAIN;
    const char *x_name = train ? "x_train" : "x_test", *y_name = train ? "y_train" : "y_test";
    hone_tensor *x = NULL, *y = NULL;
    hone_npz *z = NULL;
    HONE_TRY(hone_npz_open(path, &z, err));
    if (!hone_npz_has(z, x_name) && !hone_npz_has(z, y_name) && hone_npz_has(z, "x"))
        x_name = "x", y_name = "y";
    /* with x_train or x_test beside them, x and y are the other split */
    bool whole = x_name[1] == 0 && !hone_npz_has(z, train ? "x_test" : "x_train");
    hone_status status = hone_npz_read(z, x_name, &x, err);
    if (status == HONE_OK) status = hone_npz_read(z, y_name, &y, err);
    if (status == HONE_OK)
        status = hone_error_in_file(err, hone_dataset_make(x, y, path, split, out, err), path);
    if (status == HONE_OK && whole) say_whole(*out, path);
    hone_npz_close(z);
    hone_tensor_free(x);
    hone_tensor_free(y);
    return status;
}

hone_status hone_dataset_open(const char *spec, hone_split split, hone_dataset **out, hone_error *err) {
    if (split != HONE_SPLIT_TRAIN && split != HONE_SPLIT_TEST)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "no split %d", (int)split);
    if (strcmp(spec, "fashion-mnist") == 0) return hone_dataset_open_fashion(FASHION_DIR, split, out, err);
    if (strncmp(spec, "idx:", 4) == 0 && spec[4]) return open_idx(spec + 4, split, spec, out, err);
    if (strncmp(spec, "npz:", 4) == 0 && spec[4]) return open_npz(spec + 4, split, out, err);
    return hone_fail(err, HONE_INVALID_ARGUMENT,
                     "no data set '%s'; there are fashion-mnist, idx:DIR and npz:FILE", spec);
}
