/* Data set specifications: which source of data reads what. */
#include "base/error.h"
#include "base/file.h"
#include "data/idx.h"
#include "data/sources.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

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
    if (access(dir, R_OK | X_OK) != 0) return hone_fail_errno(err, errno, dir, "cannot read the directory");
    return hone_fail_file(err, HONE_NOT_FOUND, dir, "no %s-idx%d-ubyte or %s-idx%d-ubyte.gz here", stem, rank,
                          stem, rank);
}

static hone_status open_idx(const char *dir, hone_split split, const char *name, hone_dataset **out,
                            hone_error *err) {
    bool train = split == HONE_SPLIT_TRAIN;
    if (split == HONE_SPLIT_VALIDATION)
        return hone_fail_file(err, HONE_NOT_FOUND, dir, "no samples for validation here");
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
    if (status == HONE_NOT_FOUND && split != HONE_SPLIT_VALIDATION)
        return hone_fail_file(err, HONE_NOT_FOUND, dir,
                              "Fashion-MNIST is not installed: apt-get install dataset-fashion-mnist");
    HONE_TRY(status);
    (*out)->class_names = fashion_names;
    (*out)->class_name_count = sizeof fashion_names / sizeof *fashion_names;
    return HONE_OK;
}

/* --- all sources --- */

static hone_status open_dir(const char *path, hone_split split, const hone_data_options *options,
                            hone_dataset **out, hone_error *err) {
    char name[256];
    (void)options;
    snprintf(name, sizeof name, "idx:%s", path);
    return open_idx(path, split, name, out, err);
}

typedef struct source {
    const char *name, *form; /* "idx", "idx:DIR" */
    hone_open_fn *open;
} source;

static const source sources[] = {
    {"csv", "csv:FILE", hone_open_csv},         {"npz", "npz:FILE", hone_open_npz},
    {"images", "images:DIR", hone_open_images}, {"idx", "idx:DIR", open_dir},
    {"audio", "audio:DIR", hone_open_audio}, {"audio", "audio:DIR", hone_open_audio},    {"text", "text:PATH", hone_open_text},      {"lm", "lm:PATH", hone_open_lm},
};

enum { SOURCES = sizeof sources / sizeof *sources };

static bool ends_in(const char *name, const char *suffix) {
    size_t length = strlen(name), n = strlen(suffix);
    return length > n && strcasecmp(name + length - n, suffix) == 0;
}

static bool has_idx(const char *dir) {
    char name[64], path[4096];
    for (int form = 0; form < 8; form++) {
        snprintf(name, sizeof name, "%s-images%cidx3-ubyte%s", form & 4 ? "t10k" : "train",
                 form & 2 ? '.' : '-', form & 1 ? ".gz" : "");
        if (is_directory_entry(path, sizeof path, dir, name)) return true;
    }
    return false;
}

/* What a path without a source's name is likely to be; NULL: nothing. */
static const source *guess(const char *path) {
    static const struct {
        const char *suffix, *name;
    } suffixes[] = {{".npz", "npz"},    {".csv", "csv"},    {".tsv", "csv"},
                    {".csv.gz", "csv"}, {".tsv.gz", "csv"}, {".data", "csv"}};
    const char *name = NULL;
    struct stat st;
    for (size_t i = 0; !name && i < sizeof suffixes / sizeof *suffixes; i++)
        if (ends_in(path, suffixes[i].suffix)) name = suffixes[i].name;
    if (!name && stat(path, &st) == 0 && S_ISDIR(st.st_mode)) name = has_idx(path) ? "idx" : "images";
    for (int i = 0; name && i < SOURCES; i++)
        if (strcmp(sources[i].name, name) == 0) return &sources[i];
    return NULL;
}

static hone_status no_source(const char *spec, hone_error *err) {
    char list[256] = "fashion-mnist";
    for (int i = 0; i < SOURCES; i++) {
        size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%s", i + 1 < SOURCES ? ", " : " and ", sources[i].form);
    }
    return hone_fail(err, HONE_INVALID_ARGUMENT, "no data set '%s'; there are %s", spec, list);
}

hone_status hone_dataset_open_with(const char *spec, hone_split split, const hone_data_options *options,
                                   hone_dataset **out, hone_error *err) {
    static const hone_data_options defaults = HONE_DATA_OPTIONS_INIT;
    if (!options) options = &defaults;
    HONE_TRY(hone_check_options_size(options->size, sizeof *options, err));
    if (split != HONE_SPLIT_TRAIN && split != HONE_SPLIT_VALIDATION && split != HONE_SPLIT_TEST)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "no split %d", (int)split);
    if (strcmp(spec, "fashion-mnist") == 0) return hone_dataset_open_fashion(FASHION_DIR, split, out, err);
    for (int i = 0; i < SOURCES; i++) {
        size_t n = strlen(sources[i].name);
        if (strncmp(spec, sources[i].name, n) == 0 && spec[n] == ':' && spec[n + 1])
            return sources[i].open(spec + n + 1, split, options, out, err);
    }
    const source *meant = guess(spec);
    if (!meant) return no_source(spec, err);
    HONE_TRY(meant->open(spec, split, options, out, err));
    hone_dataset_note_down(*out, "%s is read as %s:%s", spec, meant->name, spec);
    return HONE_OK;
}

hone_status hone_dataset_open(const char *spec, hone_split split, hone_dataset **out, hone_error *err) {
    return hone_dataset_open_with(spec, split, NULL, out, err);
}
