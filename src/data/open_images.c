/* images:DIR and images:FILE: pictures in folders of their classes, or listed in a table. */
#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "data/pictures.h"
#include "data/sources.h"
#include "graph/tensor.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

/* A growing list of texts. */
typedef struct list {
    char **at;
    size_t count, room;
    bool starved; /* memory was out */
} list;

static void add(list *l, const char *text) {
    if (!hone_reserve(&l->at, &l->room, l->count + 1, sizeof *l->at) ||
        !(l->at[l->count] = hone_strdup(text)))
        l->starved = true;
    else
        l->count++;
}

static void free_list(list *l) {
    for (size_t i = 0; i < l->count; i++) hone_free(l->at[i]);
    hone_free(l->at);
}

static int by_bytes(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

typedef struct album {
    const char *path;
    const hone_data_options *options;
    list classes;
    list files;
    double *targets; /* [files.count]: class or number */
    size_t target_room;
    bool numbers;   /* targets are */
    bool split;     /* this is a split of its own */
    int64_t others; /* files of no picture's name */
} album;

/* --- folders --- */

static bool is_folder(const char *dir, const char *name) {
    char path[4096];
    struct stat st;
    return *name != '.' && hone_path_join(path, sizeof path, dir, name) && stat(path, &st) == 0 &&
           S_ISDIR(st.st_mode);
}

typedef struct listing {
    const char *dir;
    list *out;
    bool folders; /* wanted; else files */
} listing;

static void take_name(void *user, const char *name) {
    const listing *l = user;
    if (*name != '.' && is_folder(l->dir, name) == l->folders) add(l->out, name);
}

static hone_status list_names(const char *dir, bool folders, list *out, hone_error *err) {
    listing l = {dir, out, folders};
    HONE_TRY(hone_dir_list(dir, take_name, &l, err));
    if (out->starved) return hone_fail_memory(err);
    if (out->count) qsort(out->at, out->count, sizeof *out->at, by_bytes);
    return HONE_OK;
}

static bool is_picture(const char *name) {
    static const char *const suffixes[] = {".jpg", ".jpeg", ".png", ".webp", ".bmp",  ".ppm",
                                           ".pgm", ".pbm",  ".pnm", ".tif",  ".tiff", ".jp2"};
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && i < sizeof suffixes / sizeof *suffixes; i++)
        if (strcasecmp(dot, suffixes[i]) == 0) return true;
    return false;
}

static hone_status add_file(album *a, const char *path, double target, hone_error *err) {
    if (!hone_reserve(&a->targets, &a->target_room, a->files.count + 1, sizeof *a->targets))
        return hone_fail_memory(err);
    a->targets[a->files.count] = target;
    add(&a->files, path);
    return a->files.starved ? hone_fail_memory(err) : HONE_OK;
}

static hone_status add_folder(album *a, const char *dir, double target, hone_error *err) {
    list names = {NULL};
    hone_status status = list_names(dir, false, &names, err);
    for (size_t i = 0; i < names.count && status == HONE_OK; i++) {
        char path[4096];
        if (!is_picture(names.at[i]))
            a->others++;
        else if (!hone_path_join(path, sizeof path, dir, names.at[i]))
            status = hone_fail_file(err, HONE_UNSUPPORTED, dir, "a path of more than %zu bytes", sizeof path);
        else
            status = add_file(a, path, target, err);
    }
    free_list(&names);
    return status;
}

/* The folder of a split in `dir`, by any of its names; false if there is none. */
static bool find_split(const char *dir, hone_split split, char *path, size_t size) {
    static const char *const words[] = {"train", "training", "test",       "testing",
                                        "val",   "valid",    "validation", "dev"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (hone_split_of(words[i]) == (int)split && is_folder(dir, words[i]))
            return hone_path_join(path, size, dir, words[i]);
    return false;
}

/* The classes that a model knows, one a line. */
static hone_status split_lines(const char *text, list *out, hone_error *err) {
    for (const char *at = text; *at;) {
        size_t n = strcspn(at, "\n");
        char *line = hone_alloc(n + 1);
        if (!line) return hone_fail_memory(err);
        memcpy(line, at, n);
        line[n] = 0;
        add(out, line);
        hone_free(line);
        at += n + (at[n] == '\n');
    }
    return out->starved ? hone_fail_memory(err) : HONE_OK;
}

static int64_t class_of(const list *classes, const char *name) {
    for (size_t i = 0; i < classes->count; i++)
        if (strcmp(classes->at[i], name) == 0) return (int64_t)i;
    return -1;
}

static hone_status no_class(const album *a, const char *name, hone_error *err) {
    return hone_fail(err, HONE_INVALID_ARGUMENT, "'%s' is none of the %zu classes that are known ('%s', …)",
                     name, a->classes.count, a->classes.count ? a->classes.at[0] : "");
}

static hone_status add_classes(album *a, const char *dir, hone_error *err) {
    list folders = {NULL};
    hone_status status = list_names(dir, true, &folders, err);
    for (size_t i = 0; i < folders.count && status == HONE_OK; i++) {
        char path[4096];
        int64_t class = class_of(&a->classes, folders.at[i]);
        if (class < 0)
            status = no_class(a, folders.at[i], err);
        else if (hone_path_join(path, sizeof path, dir, folders.at[i]))
            status = add_folder(a, path, (double)class, err);
    }
    if (status == HONE_OK && folders.count == 0)
        status = hone_fail_file(err, HONE_NOT_FOUND, dir, "no folders of pictures, one for each class, here");
    free_list(&folders);
    return status;
}

static hone_status read_folders(album *a, hone_split split, hone_error *err) {
    char train[4096], dir[4096];
    a->split = find_split(a->path, HONE_SPLIT_TRAIN, train, sizeof train);
    snprintf(dir, sizeof dir, "%s", a->path);
    if (a->split ? !find_split(a->path, split, dir, sizeof dir) : split == HONE_SPLIT_VALIDATION)
        return hone_fail(err, HONE_NOT_FOUND, "no folder %s here",
                         split == HONE_SPLIT_TEST ? "test" : "val of samples for validation");
    if (a->options->classes && *a->options->classes)
        HONE_TRY(split_lines(a->options->classes, &a->classes, err));
    else
        HONE_TRY(list_names(a->split ? train : dir, true, &a->classes, err));
    return add_classes(a, dir, err);
}

/* --- tables --- */

static int column_of(const hone_cells *c, const char *const *words, int other) {
    for (; *words; words++)
        for (int i = 0; i < c->columns; i++)
            if (strcasecmp(c->at[i].data, *words) == 0) return i;
    return other < c->columns ? other : -1;
}

typedef struct rows {
    const album *a;
    const hone_cells *cells;
    int64_t first;
    int path, label, split; /* columns; -1: none */
} rows;

static const char *cell(const rows *r, int64_t row, int column) {
    return r->cells->at[(size_t)row * (size_t)r->cells->columns + (size_t)column].data;
}

static hone_status find_label_classes(const rows *r, album *a, hone_error *err) {
    const hone_data_options *o = a->options;
    a->numbers = o->kind == HONE_TARGET_NUMBERS;
    if (a->numbers) return HONE_OK;
    if (o->classes && *o->classes) return split_lines(o->classes, &a->classes, err);
    for (int64_t i = r->first; i < r->cells->rows; i++)
        if (class_of(&a->classes, cell(r, i, r->label)) < 0) add(&a->classes, cell(r, i, r->label));
    if (a->classes.starved) return hone_fail_memory(err);
    qsort(a->classes.at, a->classes.count, sizeof *a->classes.at, by_bytes);
    return HONE_OK;
}

static hone_status add_row(const rows *r, album *a, int64_t row, hone_error *err) {
    const char *name = cell(r, row, r->path), *slash = strrchr(a->path, '/'), *label = cell(r, row, r->label);
    char path[4096];
    int length = snprintf(path, sizeof path, "%.*s%s", slash && *name != '/' ? (int)(slash + 1 - a->path) : 0,
                          a->path, name);
    double target = 0;
    if (length >= (int)sizeof path)
        return hone_fail(err, HONE_UNSUPPORTED, "line %" PRId64 ": a path that is too long",
                         r->cells->lines[row]);
    if (a->numbers) {
        if (!hone_cell_number(&(hone_string){(char *)(uintptr_t)label, strlen(label)}, &target))
            return hone_fail(err, HONE_INVALID_ARGUMENT, "line %" PRId64 ": '%.60s' is no number",
                             r->cells->lines[row], label);
    } else {
        int64_t class = class_of(&a->classes, label);
        if (class < 0) return no_class(a, label, err);
        target = (double)class;
    }
    return add_file(a, path, target, err);
}

static hone_status add_rows(rows *r, album *a, hone_split split, hone_error *err) {
    static const char *const paths[] = {"path", "file", "filename", "image", NULL},
                             *const labels[] = {"label", "class", "target", "y", NULL},
                             *const splits[] = {"split", NULL};
    const hone_cells *c = r->cells;
    r->first = c->rows > 0 && (a->options->header ? a->options->header > 0 : hone_cells_have_names(c));
    r->path = column_of(c, paths, 0);
    r->label = column_of(c, a->options->target ? (const char *const[]){a->options->target, NULL} : labels, 1);
    r->split = r->first ? column_of(c, splits, c->columns) : -1;
    a->split = r->split >= 0;
    if (c->rows - r->first < 1) return hone_fail(err, HONE_CORRUPT, "no rows");
    if (r->label < 0 || r->path == r->label)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "a column of paths and one of labels are needed");
    if (split == HONE_SPLIT_VALIDATION && !a->split)
        return hone_fail(err, HONE_NOT_FOUND, "no rows for validation: no column 'split'");
    HONE_TRY(find_label_classes(r, a, err));
    for (int64_t i = r->first; i < c->rows; i++)
        if (!a->split || hone_split_of(cell(r, i, r->split)) == (int)split) HONE_TRY(add_row(r, a, i, err));
    return HONE_OK;
}

static hone_status read_list(album *a, hone_split split, hone_error *err) {
    hone_source *source = NULL;
    hone_cells cells = {NULL};
    hone_status status = hone_source_open(a->path, &source, err);
    if (status == HONE_OK) status = hone_cells_read(source, &cells, err);
    hone_source_close(source);
    rows r = {.a = a, .cells = &cells};
    if (status == HONE_OK) status = add_rows(&r, a, split, err);
    hone_cells_free(&cells);
    return status;
}

/* --- the data set --- */

static hone_status make_targets(const album *a, hone_tensor **out, hone_error *err) {
    int64_t n = (int64_t)a->files.count;
    HONE_TRY(hone_tensor_new(a->numbers ? HONE_FLOAT64 : HONE_INT64, 1, &n, out, err));
    for (int64_t i = 0; i < n; i++) {
        if (a->numbers)
            ((double *)(*out)->data)[i] = a->targets[i];
        else
            ((int64_t *)(*out)->data)[i] = (int64_t)a->targets[i];
    }
    return HONE_OK;
}

/* Both columns, of all files. */
static hone_status join(const album *a, const hone_pictures_report *r, hone_sample_source *source,
                        hone_dataset **out, hone_error *err) {
    int64_t planes[] = {r->channels, r->height, r->width}, pixels[] = {r->height, r->width, r->channels},
            *dims = a->options->channels_last ? pixels : planes;
    hone_dataset *x = NULL;
    hone_tensor *y = NULL;
    hone_status status =
        hone_dataset_make_streamed("x", HONE_UINT8, 3, dims, (int64_t)a->files.count, source, &x, err);
    if (status == HONE_OK) status = make_targets(a, &y, err);
    if (status == HONE_OK) status = hone_dataset_with_column(x, "y", y, out, err);
    hone_tensor_free(y);
    hone_dataset_free(x);
    return status;
}

/* Only the samples whose files are good. */
static hone_status leave_out(hone_dataset **d, const bool *good, int64_t n, hone_error *err) {
    uint32_t *kept = hone_alloc((size_t)n * sizeof *kept);
    int64_t count = 0;
    if (!kept) return hone_fail_memory(err);
    for (int64_t i = 0; i < n; i++)
        if (good[i]) kept[count++] = (uint32_t)i;
    hone_dataset *subset = NULL;
    hone_status status = hone_dataset_subset(*d, kept, count, &subset, err);
    hone_free(kept);
    if (status != HONE_OK) return status;
    hone_dataset_free(*d);
    *d = subset;
    return HONE_OK;
}

static void tell(const album *a, const hone_pictures_report *r, hone_dataset *d) {
    char text[400];
    bool mixed = r->least[0] != r->most[0] || r->least[1] != r->most[1];
    if (r->bad)
        hone_dataset_note_down(d, "%" PRId64 " of %zu pictures are left out, damaged: %s", r->bad,
                               a->files.count, hone_error_format(&r->error, text, sizeof text));
    if (a->others)
        hone_dataset_note_down(d, "%" PRId64 " files that are no pictures are left out", a->others);
    if (mixed && !a->options->height)
        hone_dataset_note_down(d,
                               "the pictures are of %d x %d to %d x %d pixels (width and height): each "
                               "becomes %d x %d; --resize "
                               "WIDTHxHEIGHT would be another size",
                               r->least[1], r->least[0], r->most[1], r->most[0], r->width, r->height);
}

static hone_status name_classes(hone_dataset *d, const album *a, hone_error *err) {
    if (a->classes.count == 0) return HONE_OK;
    hone_string *names = hone_alloc(a->classes.count * sizeof *names);
    if (!names) return hone_fail_memory(err);
    for (size_t i = 0; i < a->classes.count; i++)
        names[i] = (hone_string){a->classes.at[i], strlen(a->classes.at[i])};
    hone_status status = hone_dataset_name_classes(d, names, (int)a->classes.count, err);
    hone_free(names);
    return status;
}

static hone_status make(const album *a, hone_split split, hone_dataset **out, hone_error *err) {
    static const char *const parts[] = {"train", "test", "val"};
    const hone_data_options *o = a->options;
    hone_pictures_options p = {o->height, o->width, o->channels, o->channels_last, 0};
    hone_pictures_report r;
    hone_sample_source *source = NULL;
    hone_dataset *d = NULL;
    int64_t n = (int64_t)a->files.count;
    if (n == 0) return hone_fail(err, HONE_NOT_FOUND, "no pictures here");
    bool *good = hone_calloc((size_t)n, sizeof *good);
    hone_status status =
        good ? hone_pictures_new((const char *const *)a->files.at, n, &p, good, &r, &source, err)
             : hone_fail_memory(err);
    if (status == HONE_OK && r.bad == n) {
        source->free(source);
        if (err) *err = r.error;
        status = r.error.code;
    } else if (status == HONE_OK) {
        status = join(a, &r, source, &d, err);
        if (status == HONE_OK) status = name_classes(d, a, err);
        if (status == HONE_OK && r.bad) status = leave_out(&d, good, n, err);
    }
    hone_free(good);
    if (status != HONE_OK) {
        hone_dataset_free(d);
        return status;
    }
    hone_dataset_label(d, a->path, a->split ? parts[split] : "all");
    d->whole = !a->split;
    tell(a, &r, d);
    *out = d;
    return HONE_OK;
}

hone_status hone_open_images(const char *path, hone_split split, const hone_data_options *options,
                             hone_dataset **out, hone_error *err) {
    album a = {.path = path, .options = options};
    struct stat st;
    bool folder = stat(path, &st) != 0 || S_ISDIR(st.st_mode); /* what is not there is told by opening it */
    hone_status status = folder ? read_folders(&a, split, err) : read_list(&a, split, err);
    if (status == HONE_OK) status = make(&a, split, out, err);
    free_list(&a.classes);
    free_list(&a.files);
    hone_free(a.targets);
    return hone_error_in_file(err, status, path);
}
