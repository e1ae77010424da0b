/* Data set specifications: fashion-mnist, idx:DIR, npz:FILE. */
#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
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
    hone_named_tensor columns[] = {{"x", NULL}, {"y", NULL}};
    hone_status status = load_idx(dir, train ? "train-images" : "t10k-images", 3, &columns[0].tensor, err);
    if (status == HONE_OK)
        status = load_idx(dir, train ? "train-labels" : "t10k-labels", 1, &columns[1].tensor, err);
    if (status == HONE_OK)
        status = hone_error_in_file(err, hone_dataset_make(columns, 2, name, out, err), dir);
    if (status == HONE_OK) hone_dataset_label(*out, name, train ? "train" : "test");
    hone_tensor_free(columns[0].tensor);
    hone_tensor_free(columns[1].tensor);
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

enum { NAME = 128, MAX_COLUMNS = 1024 };

/* The arrays of one split that may become columns. */
typedef struct arrays {
    char (*names)[NAME];
    hone_named_tensor *tensors;
    int count;
    char left_out[256];
} arrays;

static void free_arrays(arrays *a) {
    for (int i = 0; i < a->count; i++) hone_tensor_free(a->tensors[i].tensor);
    hone_free(a->tensors);
    hone_free(a->names);
}

static void leave_out(arrays *a, const char *name, const char *why) {
    size_t used = strlen(a->left_out);
    snprintf(a->left_out + used, sizeof a->left_out - used, "%s'%s': %s", used ? "; " : "", name, why);
}

/* "x_train.npy" is the array "x_train". */
static void array_name(const hone_npz *z, int64_t index, char *out) {
    snprintf(out, NAME, "%s", hone_npz_name(z, index));
    size_t length = strlen(out);
    if (length > 4 && strcmp(out + length - 4, ".npy") == 0) out[length - 4] = 0;
}

static bool ends_in(const char *name, const char *suffix) {
    size_t length = strlen(name), n = strlen(suffix);
    return length > n && strcmp(name + length - n, suffix) == 0;
}

/* Does an array belong to the split? suffix "": the arrays of neither. */
static bool is_of(const char *name, const char *suffix) {
    if (*suffix) return ends_in(name, suffix);
    return !ends_in(name, "_train") && !ends_in(name, "_test");
}

static bool any_of(const hone_npz *z, const char *suffix) {
    char name[NAME];
    for (int64_t i = 0; hone_npz_name(z, i); i++) {
        array_name(z, i, name);
        if (is_of(name, suffix)) return true;
    }
    return false;
}

static hone_status read_array(hone_npz *z, const char *name, const char *suffix, bool is_npy, arrays *a,
                              hone_error *err) {
    hone_tensor *t = NULL;
    hone_error why = {0};
    hone_status status = hone_npz_read(z, name, &t, &why);
    /* no array at all, where the archive holds other files, too */
    if (status == HONE_UNSUPPORTED || status == HONE_NOT_FOUND || (status == HONE_CORRUPT && !is_npy)) {
        leave_out(a, name, why.message);
        return HONE_OK;
    }
    if (status != HONE_OK) {
        if (err) *err = why;
        return status;
    }
    if (t->rank < 1 || t->count == 0) {
        leave_out(a, name, t->rank < 1 ? "one value" : "empty");
        hone_tensor_free(t);
        return HONE_OK;
    }
    snprintf(a->names[a->count], NAME, "%.*s", (int)(strlen(name) - strlen(suffix)), name);
    a->tensors[a->count] = (hone_named_tensor){a->names[a->count], t};
    a->count++;
    return HONE_OK;
}

static hone_status read_arrays(hone_npz *z, const char *suffix, arrays *a, hone_error *err) {
    int64_t entries = 0;
    while (hone_npz_name(z, entries)) entries++;
    if (entries > MAX_COLUMNS)
        return hone_fail(err, HONE_UNSUPPORTED, "%" PRId64 " arrays; at most %d are possible", entries,
                         MAX_COLUMNS);
    a->names = hone_calloc((size_t)entries + 1, sizeof *a->names);
    a->tensors = hone_calloc((size_t)entries + 1, sizeof *a->tensors);
    if (!a->names || !a->tensors) return hone_fail_memory(err);
    for (int64_t i = 0; i < entries; i++) {
        char name[NAME];
        array_name(z, i, name);
        bool is_npy = ends_in(hone_npz_name(z, i), ".npy");
        if (is_of(name, suffix)) HONE_TRY(read_array(z, name, suffix, is_npy, a, err));
    }
    return HONE_OK;
}

/* The number of samples that most arrays have, the first of equals. */
static int64_t usual_count(const arrays *a) {
    int64_t usual = 0;
    int most = 0;
    for (int i = 0; i < a->count; i++) {
        int same = 0;
        for (int k = 0; k < a->count; k++)
            same += a->tensors[k].tensor->dims[0] == a->tensors[i].tensor->dims[0];
        if (same > most) usual = a->tensors[i].tensor->dims[0];
        if (same > most) most = same;
    }
    return usual;
}

/* Arrays of another length are about something else. */
static void keep_samples(arrays *a) {
    int64_t usual = usual_count(a);
    int kept = 0;
    for (int i = 0; i < a->count; i++) {
        hone_named_tensor *t = &a->tensors[i];
        if (t->tensor->dims[0] == usual) {
            a->tensors[kept++] = *t;
            continue;
        }
        char why[96];
        snprintf(why, sizeof why, "%" PRId64 " samples, not %" PRId64, t->tensor->dims[0], usual);
        leave_out(a, t->name, why);
        hone_tensor_free(t->tensor);
    }
    a->count = kept;
}

static hone_status make_npz(arrays *a, const char *path, const char *part, hone_dataset **out,
                            hone_error *err) {
    keep_samples(a);
    if (a->count == 0)
        return hone_fail(err, HONE_UNSUPPORTED, "no array is a column of data: %s", a->left_out);
    HONE_TRY(hone_dataset_make(a->tensors, a->count, path, out, err));
    hone_dataset_label(*out, path, part);
    memcpy((*out)->left_out, a->left_out, sizeof a->left_out);
    (*out)->whole = strcmp(part, "all") == 0;
    return HONE_OK;
}

static hone_status open_npz(const char *path, hone_split split, hone_dataset **out, hone_error *err) {
    bool train = split == HONE_SPLIT_TRAIN;
    const char *part = train ? "train" : "test", *suffix = train ? "_train" : "_test";
    hone_npz *z = NULL;
    arrays a = {.count = 0};
    HONE_TRY(hone_npz_open(path, &z, err));
    if (!any_of(z, suffix)) {
        /* with NAME_train or NAME_test beside them, other arrays are the other split */
        if (!any_of(z, train ? "_test" : "_train")) part = "all";
        suffix = any_of(z, "") ? "" : suffix;
    }
    hone_status status = any_of(z, suffix) ? read_arrays(z, suffix, &a, err)
                                           : hone_npz_missing(z, train ? "*_train" : "*_test", err);
    if (status == HONE_OK) status = make_npz(&a, path, part, out, err);
    hone_npz_close(z);
    free_arrays(&a);
    return hone_error_in_file(err, status, path);
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
