#include "serve/models/repository.h"

#include "base/error.h"
#include "base/memory.h"
#include "import/beside.h"
#include "onnx/onnx.h"
#include "serve/language/language.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define WARMUP "warmup"
#define SETTINGS_MOST ((size_t)1 << 20)
#define RECORDED_MOST ((size_t)256 << 20) /* bytes of one tensor */

enum { REQUESTS_MOST = 100 };

static hone_status read_all(int fd, const char *path, size_t size, hone_blob *out, hone_error *err) {
    out->size = 0;
    out->data = hone_alloc(size + 1);
    if (!out->data) return hone_fail_memory(err);
    while (out->size < size) {
        ssize_t got = read(fd, out->data + out->size, size - out->size);
        if (got > 0)
            out->size += (size_t)got;
        else if (got == 0)
            return hone_fail_file(err, HONE_UNAVAILABLE, path, "became shorter while it was read");
        else if (errno != EINTR)
            return hone_fail_errno(err, errno, path, "cannot read");
    }
    return HONE_OK;
}

static hone_status check_unchanged(int fd, const char *path, const hone_fingerprint *is, hone_error *err) {
    struct stat info;
    if (fstat(fd, &info) != 0) return HONE_OK;
    hone_fingerprint now = hone_fingerprint_of(&info);
    if (hone_fingerprint_same_content(is, &now)) return HONE_OK;
    return hone_fail_file(err, HONE_UNAVAILABLE, path, "was written to while it was read");
}

static hone_status read_file(int fd, const char *path, size_t limit, hone_blob *out,
                             const hone_fingerprint *is, hone_error *err) {
    if (is->size > limit)
        return hone_fail_file(err, HONE_RESOURCE_EXHAUSTED, path, "has %llu bytes, the limit is %zu",
                              (unsigned long long)is->size, limit);
    hone_status status = read_all(fd, path, (size_t)is->size, out, err);
    if (status == HONE_OK) status = check_unchanged(fd, path, is, err);
    if (status != HONE_OK) hone_blob_free(out);
    return status;
}

static hone_status read_inside(const hone_place *place, const char *path, size_t limit, hone_blob *out,
                               hone_fingerprint *is, hone_error *err) {
    char full[PATH_MAX];
    int fd;
    HONE_TRY(hone_place_open_file(place, path, &fd, is, err));
    hone_place_name(place, path, full, sizeof full);
    hone_status status = read_file(fd, full, limit, out, is, err);
    close(fd);
    return status;
}

/* --- a version --- */

static hone_status add_file(hone_file_list *files, const char *path, const hone_fingerprint *is,
                            hone_status status, hone_error *err) {
    if (hone_file_list_add(files, path, is)) return status;
    return status == HONE_OK ? hone_fail_memory(err) : status;
}

static hone_status add_external(hone_file_list *files, hone_file_list *external, hone_status status,
                                hone_error *err) {
    for (size_t i = 0; i < external->count; i++)
        status = add_file(files, external->items[i].path, &external->items[i].is, status, err);
    hone_file_list_free(external);
    return status;
}

/* From the directory that was opened, whatever its name stands for by now. */
static hone_status read_model(int fd, int directory, const char *path, bool map, hone_graph **out,
                              const hone_fingerprint *is, hone_file_list *external, hone_error *err) {
    char dir[64];
    snprintf(dir, sizeof dir, "/proc/self/fd/%d", directory);
    hone_onnx_file from = {
        .fd = fd, .size = is->size, .name = path, .dir = dir, .map = map, .external = external};
    hone_graph *g = NULL;
    hone_status status = hone_onnx_read_file(&from, &g, err);
    /* a file that changes may be no model meanwhile: that it changed is what counts */
    hone_status changed = check_unchanged(fd, path, is, err);
    if (status == HONE_OK && changed == HONE_OK) {
        *out = g;
        return HONE_OK;
    }
    hone_graph_free(g);
    return changed == HONE_OK ? status : changed;
}

static hone_status open_directory(const hone_place *place, const char *version, int *out, hone_error *err) {
    const char *path = place->file ? "." : version;
    return hone_place_open(place, path, O_PATH | O_DIRECTORY, out, err);
}

static hone_status read_graph(const hone_place *place, const char *version, bool map, hone_graph **out,
                              hone_file_list *files, hone_error *err) {
    char path[PATH_MAX], full[PATH_MAX];
    const char *model = hone_place_model(place, version);
    int directory = -1, fd;
    hone_fingerprint is = {0};
    hone_file_list external = {0};
    if (!hone_place_part(place, version, model, path, sizeof path))
        return hone_fail_errno(err, ENAMETOOLONG, place->root, "cannot open");
    hone_place_name(place, path, full, sizeof full);
    hone_status status = open_directory(place, version, &directory, err);
    if (status == HONE_OK) status = hone_place_open_file(place, path, &fd, &is, err);
    if (status == HONE_OK) {
        status = read_model(fd, directory, full, map, out, &is, &external, err);
        close(fd);
    }
    if (directory >= 0) close(directory);
    hone_status listed = add_external(files, &external, add_file(files, model, &is, status, err), err);
    if (status == HONE_OK && listed != HONE_OK) hone_graph_free(*out);
    return listed;
}

/* --- language models --- */

void hone_loaded_free(hone_loaded *l) {
    hone_graph_free(l->graph);
    hone_tokenizer_free(l->tokenizer);
    hone_import_free(l->language);
    *l = (hone_loaded){0};
}

/* Looks at a file that may be read as part of the model, and refuses one that leads out of its place. */
static hone_status look_at_part(const hone_place *place, const char *version, const char *file,
                                hone_file_list *files, hone_error *err) {
    char path[PATH_MAX];
    hone_fingerprint is;
    hone_error why = {0};
    int fd = -1;
    if (!hone_place_part(place, version, file, path, sizeof path))
        return hone_fail_errno(err, ENAMETOOLONG, place->root, "cannot open");
    hone_status status = hone_place_open_file(place, path, &fd, &is, &why);
    if (fd >= 0) close(fd);
    if (status == HONE_OK || status == HONE_NOT_FOUND) return add_file(files, file, &is, HONE_OK, err);
    if (err) *err = why;
    return status;
}

static hone_status look_at_parts(const hone_place *place, const char *version, hone_file_list *files,
                                 hone_error *err) {
    static const char *const parts[] = {HONE_TOKENIZER_FILE, "chat_template.jinja", "generation_config.json"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        HONE_TRY(look_at_part(place, version, parts[i], files, err));
    return HONE_OK;
}

/* As Hugging Face has them: whatever may belong to one. */
static hone_status look_at_all(const hone_place *place, const char *version, hone_file_list *files,
                               hone_error *err) {
    static const char *const kinds[] = {".json", ".jinja", ".safetensors"};
    DIR *d;
    hone_status status = HONE_OK;
    HONE_TRY(hone_place_list(place, place->file ? "." : version, &d, err));
    for (struct dirent *e; status == HONE_OK && (e = readdir(d));) {
        const char *dot = strrchr(e->d_name, '.');
        for (size_t i = 0; dot && status == HONE_OK && i < sizeof kinds / sizeof *kinds; i++)
            if (strcmp(dot, kinds[i]) == 0) status = look_at_part(place, version, e->d_name, files, err);
    }
    closedir(d);
    return status;
}

/* Has the graph an input of the ids of tokens? */
static bool reads_ids(const hone_graph *g) {
    hone_value_info v;
    for (int i = 0; i < hone_graph_input_count(g); i++) {
        hone_graph_input(g, i, &v);
        if (strcmp(v.name, "input_ids") == 0) return true;
    }
    return false;
}

/* What lies beside a graph that reads texts. It is a language model where it has a tokenizer. */
static hone_status read_beside(const hone_place *place, const char *version, hone_loaded *out,
                               hone_file_list *files, hone_error *err) {
    char path[PATH_MAX], full[PATH_MAX];
    if (!reads_ids(out->graph)) return HONE_OK;
    HONE_TRY(look_at_parts(place, version, files, err));
    hone_place_part(place, version, hone_place_model(place, version), path, sizeof path);
    hone_place_name(place, path, full, sizeof full);
    HONE_TRY(hone_import_beside(full, out->graph, &out->language, err));
    out->graph = NULL;
    const hone_tokenizer *t = hone_import_tokenizer(out->language);
    if (t && hone_language_is(hone_import_graph(out->language))) return HONE_OK;
    out->tokenizer = t ? hone_tokenizer_retain(t) : NULL;
    out->graph = hone_import_take_graph(out->language);
    hone_import_free(out->language);
    out->language = NULL;
    return HONE_OK;
}

static hone_status import(const hone_place *place, const char *version, const char *model, int64_t context,
                          hone_loaded *out, hone_file_list *files, hone_error *err) {
    char path[PATH_MAX], full[PATH_MAX];
    const char *dot = strrchr(model, '.');
    bool gguf = dot && strcmp(dot, ".gguf") == 0;
    hone_import_options o = HONE_IMPORT_OPTIONS_INIT;
    o.context = context;
    HONE_TRY(look_at_part(place, version, model, files, err));
    if (!gguf) HONE_TRY(look_at_all(place, version, files, err));
    hone_place_part(place, version, model, path, sizeof path);
    hone_place_name(place, path, full, sizeof full);
    if (!gguf) full[strlen(full) - strlen(model) - (strlen(full) > strlen(model))] = 0;
    HONE_TRY(hone_import_open(*full ? full : ".", &o, &out->language, err));
    if (!hone_import_tokenizer(out->language))
        return hone_fail_file(err, HONE_UNSUPPORTED, full, "the language model has no tokenizer");
    return HONE_OK;
}

static bool is_onnx(const char *model) {
    const char *dot = strrchr(model, '.');
    return !dot || (strcmp(dot, ".gguf") != 0 && strcmp(dot, ".safetensors") != 0 &&
                    strcmp(model, HONE_WEIGHTS_INDEX) != 0);
}

hone_status hone_repository_load(const hone_place *place, const char *version, bool map, int64_t context,
                                 hone_loaded *out, hone_file_list *files, hone_error *err) {
    const char *model = hone_place_model(place, version);
    hone_status status;
    *out = (hone_loaded){0};
    if (is_onnx(model)) {
        status = read_graph(place, version, map, &out->graph, files, err);
        if (status == HONE_OK) status = read_beside(place, version, out, files, err);
    } else {
        status = import(place, version, model, context, out, files, err);
    }
    if (status != HONE_OK) hone_loaded_free(out);
    return status;
}

uint64_t hone_repository_weigh(const hone_place *place, const char *version) {
    DIR *d;
    uint64_t bytes = 0;
    struct stat info;
    if (place->file) return hone_place_glance(place, "").size;
    if (hone_place_list(place, version, &d, NULL) != HONE_OK) return 0;
    for (struct dirent *e; (e = readdir(d));)
        if (fstatat(dirfd(d), e->d_name, &info, 0) == 0 && S_ISREG(info.st_mode))
            bytes += (uint64_t)info.st_size;
    closedir(d);
    return bytes;
}

static bool has_hole(const hone_place *place, const char *version, const char *file) {
    char path[PATH_MAX];
    hone_fingerprint is;
    int fd;
    if (!hone_place_part(place, version, file, path, sizeof path)) return false;
    if (hone_place_open_file(place, path, &fd, &is, NULL) != HONE_OK) return false;
    off_t hole = lseek(fd, 0, SEEK_HOLE);
    close(fd);
    return hole >= 0 && (uint64_t)hole < is.size;
}

bool hone_repository_has_holes(const hone_place *place, const char *version, const hone_file_list *files,
                               const char **path) {
    for (size_t i = 0; i < files->count; i++) {
        *path = files->items[i].path;
        if (has_hole(place, version, *path)) return true;
    }
    return false;
}

hone_status hone_repository_settings(const hone_place *place, hone_blob *out, hone_error *err) {
    hone_fingerprint is;
    hone_error cause = {0};
    *out = (hone_blob){0};
    if (place->file) return HONE_OK;
    hone_status status = read_inside(place, HONE_SETTINGS_FILE, SETTINGS_MOST, out, &is, &cause);
    if (status == HONE_OK || status == HONE_NOT_FOUND) return HONE_OK;
    if (err) *err = cause;
    return status;
}

/* --- recorded requests --- paths are those in the version's directory */

typedef struct recording {
    const hone_place *place;
    const char *version;
    int inputs;
    hone_recorded *out;
    hone_file_list *files;
} recording;

static hone_status read_tensor(const recording *r, const char *file, hone_tensor **out, hone_error *err) {
    char path[PATH_MAX];
    hone_blob blob = {0};
    hone_fingerprint is;
    if (!hone_place_part(r->place, r->version, file, path, sizeof path))
        return hone_fail(err, HONE_INVALID_ARGUMENT, "the path of a recorded request is too long");
    hone_status status = read_inside(r->place, path, RECORDED_MOST, &blob, &is, err);
    status = add_file(r->files, file, &is, status, err);
    if (status == HONE_OK) status = hone_onnx_tensor(blob.data, blob.size, path, out, err);
    hone_blob_free(&blob);
    return status;
}

static hone_status read_request(const recording *r, const char *dir, hone_error *err) {
    char path[PATH_MAX];
    hone_recorded *out = r->out;
    size_t inputs = (size_t)r->inputs, at = out->count * inputs;
    if (!hone_reserve(&out->tensors, &out->capacity, at + inputs + 1, sizeof *out->tensors))
        return hone_fail_memory(err);
    for (size_t i = 0; i < inputs; i++) {
        snprintf(path, sizeof path, "%.600s/input_%zu.pb", dir, i);
        hone_status status = read_tensor(r, path, &out->tensors[at + i], err);
        if (status == HONE_OK) continue;
        while (i-- > 0) hone_tensor_free(out->tensors[at + i]);
        return status;
    }
    out->count++;
    return HONE_OK;
}

typedef struct names {
    char (*items)[NAME_MAX + 1];
    size_t count, capacity;
} names;

static int by_text(const void *a, const void *b) {
    return strcmp(a, b);
}

/* The directories in the version's directory DIR whose names begin with `prefix`, sorted. */
static bool list_names(const recording *r, const char *dir, const char *prefix, names *out) {
    char path[PATH_MAX];
    DIR *d;
    bool fine = true;
    if (!hone_place_part(r->place, r->version, dir, path, sizeof path)) return true;
    if (hone_place_list(r->place, path, &d, NULL) != HONE_OK) return true;
    for (struct dirent *e; fine && out->count < REQUESTS_MOST && (e = readdir(d));) {
        if (e->d_name[0] == '.' || strncmp(e->d_name, prefix, strlen(prefix)) != 0) continue;
        fine = hone_reserve(&out->items, &out->capacity, out->count + 1, sizeof *out->items);
        if (fine) snprintf(out->items[out->count++], sizeof *out->items, "%s", e->d_name);
    }
    closedir(d);
    if (out->count) qsort(out->items, out->count, sizeof *out->items, by_text);
    return fine;
}

static hone_status read_requests(const recording *r, const char *dir, const char *prefix, hone_error *err) {
    char path[PATH_MAX];
    names found = {0};
    hone_status status = list_names(r, dir, prefix, &found) ? HONE_OK : hone_fail_memory(err);
    for (size_t i = 0; i < found.count && status == HONE_OK && r->out->count < REQUESTS_MOST; i++) {
        snprintf(path, sizeof path, "%s%s%s", dir, *dir ? "/" : "", found.items[i]);
        status = read_request(r, path, err);
    }
    hone_free(found.items);
    return status;
}

/* The directory itself tells of requests that come and go. */
static hone_status look_at_warmup(const recording *r, hone_error *err) {
    char path[PATH_MAX];
    hone_fingerprint is = {0};
    if (hone_place_part(r->place, r->version, WARMUP, path, sizeof path))
        hone_place_look(r->place, path, &is, NULL);
    return add_file(r->files, WARMUP, &is, HONE_OK, err);
}

hone_status hone_repository_recorded(const hone_place *place, const char *version, int inputs,
                                     hone_recorded *out, hone_file_list *files, hone_error *err) {
    recording r = {place, version, inputs, out, files};
    *out = (hone_recorded){0};
    if (place->file || inputs == 0) return HONE_OK;
    hone_status status = look_at_warmup(&r, err);
    if (status == HONE_OK) status = read_requests(&r, WARMUP, "", err);
    if (status == HONE_OK) status = read_requests(&r, "", "test_data_set", err);
    if (status != HONE_OK) hone_recorded_free(out, inputs);
    return status;
}
