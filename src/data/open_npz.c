/* npz:FILE: an array for each column. */
#include "base/error.h"
#include "base/memory.h"
#include "data/npz.h"
#include "data/sources.h"
#include "graph/tensor.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

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
    return !ends_in(name, "_train") && !ends_in(name, "_test") && !ends_in(name, "_val");
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

hone_status hone_open_npz(const char *path, hone_split split, const hone_data_options *options,
                          hone_dataset **out, hone_error *err) {
    (void)options;
    static const char *const parts[] = {"train", "test", "val"},
                             *const suffixes[] = {"_train", "_test", "_val"},
                             *const names[] = {"*_train", "*_test", "*_val"};
    bool train = split == HONE_SPLIT_TRAIN, validation = split == HONE_SPLIT_VALIDATION;
    const char *part = parts[split], *suffix = suffixes[split];
    hone_npz *z = NULL;
    arrays a = {.count = 0};
    HONE_TRY(hone_npz_open(path, &z, err));
    if (!any_of(z, suffix) && !validation) {
        /* with NAME_train or NAME_test beside them, other arrays are the other split */
        if (!any_of(z, train ? "_test" : "_train")) part = "all";
        suffix = any_of(z, "") ? "" : suffix;
    }
    hone_status status =
        any_of(z, suffix) ? read_arrays(z, suffix, &a, err) : hone_npz_missing(z, names[split], err);
    if (status == HONE_OK) status = make_npz(&a, path, part, out, err);
    hone_npz_close(z);
    free_arrays(&a);
    return hone_error_in_file(err, status, path);
}
