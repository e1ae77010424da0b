#include "serve/models/repository.h"

#include "base/error.h"
#include "base/memory.h"
#include "onnx/onnx.h"
#include "serve/models/policy.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MODEL "model.onnx"
#define SETTINGS "config.json"
#define SETTINGS_MOST ((size_t)1 << 20)
#define RECORDED_MOST ((size_t)256 << 20) /* bytes of one tensor */

enum { VERSIONS_MOST = 100000, PENDING_MOST = 100, REQUESTS_MOST = 100 };

/* --- opening --- */

int hone_open_walking(int dir, const char *path, int flags) {
    char part[NAME_MAX + 1];
    int at = dir, made = -1;
    for (;;) {
        while (*path == '/') path++;
        size_t n = strcspn(path, "/");
        const char *rest = path + n + strspn(path + n, "/");
        if (n > NAME_MAX || (n == 2 && memcmp(path, "..", 2) == 0)) {
            errno = n > NAME_MAX ? ENAMETOOLONG : EXDEV;
            made = -1;
        } else {
            memcpy(part, n ? path : ".", n ? n : 2);
            if (n) part[n] = 0;
            int how = *rest ? O_PATH | O_DIRECTORY | O_CLOEXEC : flags | O_CLOEXEC;
            made = openat(at, part, how | O_NOFOLLOW);
        }
        int code = errno;
        if (at != dir) close(at);
        errno = code;
        if (made < 0 || !*rest) return made;
        at = made;
        path = rest;
    }
}

int hone_open_beneath(int dir, const char *path, int flags) {
    struct open_how how = {.flags = (unsigned)(flags | O_CLOEXEC),
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    long fd;
    int tries = 0;
    do fd = syscall(SYS_openat2, dir, path, &how, sizeof how);
    while (fd < 0 && errno == EAGAIN && ++tries < 100); /* something was renamed meanwhile */
    if (fd < 0 && (errno == ENOSYS || errno == EPERM)) return hone_open_walking(dir, path, flags);
    return (int)fd;
}

static hone_status cannot(hone_error *err, int code, const char *path, const char *what) {
    if (code == EXDEV || code == ELOOP)
        return hone_fail_file(err, HONE_FAILED_PRECONDITION, path,
                              "is not opened, since it leads out of the directory of its model");
    return hone_fail_errno(err, code == ENOTDIR ? ENOENT : code, path, what);
}

static void name_of(const hone_place *place, const char *path, char *out, size_t size) {
    bool plain = strcmp(place->inside, ".") == 0;
    snprintf(out, size, "%s%s%s%s%s", place->root, plain ? "" : "/", plain ? "" : place->inside,
             *path ? "/" : "", path);
}

/* INSIDE/PATH beneath the root; path "" for the directory itself. */
static hone_status open_inside(const hone_place *place, const char *path, int flags, int *out,
                               hone_error *err) {
    char inside[PATH_MAX], full[PATH_MAX];
    name_of(place, path, full, sizeof full);
    if (snprintf(inside, sizeof inside, "%s%s%s", place->inside, *path ? "/" : "", path) >= PATH_MAX)
        return cannot(err, ENAMETOOLONG, full, "cannot open");
    int root = open(place->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root < 0) return cannot(err, errno, place->root, "cannot open");
    *out = hone_open_beneath(root, inside, flags);
    int code = errno;
    close(root);
    return *out >= 0 ? HONE_OK : cannot(err, code, full, "cannot open");
}

/* A new name or other permissions make no new model of it. */
static hone_fingerprint fingerprint(const struct stat *is) {
    hone_fingerprint f = hone_fingerprint_of(is);
    f.changed = 0;
    return f;
}

/* --- listing --- */

static DIR *directory_of(int fd) {
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    if (!d && fd >= 0) close(fd);
    return d;
}

/* The regular file NAME in a directory; all zero if there is none. Follows links inside the root only. */
static hone_fingerprint look_at(const hone_place *place, const char *path) {
    struct stat info;
    int fd;
    hone_fingerprint f = {0};
    if (open_inside(place, path, O_PATH, &fd, NULL) != HONE_OK) return f;
    if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode)) f = fingerprint(&info);
    close(fd);
    return f;
}

/* Bytes of the regular files of a version. */
static uint64_t weigh(const hone_place *place, const char *version) {
    int fd;
    uint64_t bytes = 0;
    if (open_inside(place, version, O_RDONLY | O_DIRECTORY, &fd, NULL) != HONE_OK) return 0;
    DIR *d = directory_of(fd);
    if (!d) return 0;
    struct stat info;
    for (struct dirent *e = readdir(d); e; e = readdir(d))
        if (fstatat(dirfd(d), e->d_name, &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(info.st_mode))
            bytes += (uint64_t)info.st_size;
    closedir(d);
    return bytes;
}

static hone_status add_pending(hone_found *v, const char *name, hone_listing *out, hone_error *err) {
    if (out->pending_count == PENDING_MOST) return HONE_OK;
    if (!hone_reserve(&out->pending, &out->pending_capacity, out->pending_count + 1, sizeof *v))
        return hone_fail_memory(err);
    snprintf(v->name, sizeof v->name, "%s", name);
    out->pending[out->pending_count++] = *v;
    return HONE_OK;
}

static hone_status add_version(const hone_place *place, const char *name, hone_listing *out,
                               hone_error *err) {
    char path[64];
    hone_found v = {0};
    if (strlen(name) >= sizeof v.name || !hone_version_parse(name, strlen(name), &v.number)) return HONE_OK;
    snprintf(path, sizeof path, "%s/" MODEL, name);
    hone_fingerprint none = {0};
    v.file = look_at(place, path);
    int fd;
    if (hone_fingerprint_equal(&v.file, &none)) {
        /* a link that leads out is to be told, not to be passed over */
        hone_error cause = {0};
        if (open_inside(place, path, O_PATH, &fd, &cause) == HONE_OK) close(fd);
        if (cause.code != HONE_FAILED_PRECONDITION) {
            if (open_inside(place, name, O_PATH | O_DIRECTORY, &fd, NULL) != HONE_OK) return HONE_OK;
            close(fd);
            return add_pending(&v, name, out, err);
        }
        v.file.size = 1;
    }
    if (out->count == VERSIONS_MOST)
        return hone_fail(err, HONE_RESOURCE_EXHAUSTED, "more than %d versions", VERSIONS_MOST);
    snprintf(v.name, sizeof v.name, "%s", name);
    v.bytes = weigh(place, name);
    if (v.bytes < v.file.size) v.bytes = v.file.size;
    if (!hone_reserve(&out->versions, &out->capacity, out->count + 1, sizeof v)) return hone_fail_memory(err);
    out->versions[out->count++] = v;
    return HONE_OK;
}

static int by_number(const void *a, const void *b) {
    const hone_found *x = a, *y = b;
    int numbers = (x->number > y->number) - (x->number < y->number);
    return numbers ? numbers : strcmp(x->name, y->name);
}

static hone_status list_directory(const hone_place *place, hone_listing *out, hone_error *err) {
    int fd;
    hone_status status = HONE_OK;
    HONE_TRY(open_inside(place, "", O_RDONLY | O_DIRECTORY, &fd, err));
    DIR *d = directory_of(fd);
    if (!d) return hone_fail_memory(err);
    for (struct dirent *e = readdir(d); e && status == HONE_OK; e = readdir(d))
        status = add_version(place, e->d_name, out, err);
    closedir(d);
    if (out->count) qsort(out->versions, out->count, sizeof *out->versions, by_number);
    size_t kept = 0; /* "7" and "07" are the same version */
    for (size_t i = 0; i < out->count; i++)
        if (kept == 0 || out->versions[kept - 1].number != out->versions[i].number)
            out->versions[kept++] = out->versions[i];
    out->count = kept;
    out->settings = look_at(place, SETTINGS);
    return status;
}

static hone_status list_file(const hone_place *place, hone_listing *out, hone_error *err) {
    struct stat info;
    if (stat(place->root, &info) != 0) return hone_fail_errno(err, errno, place->root, "cannot open");
    if (!S_ISREG(info.st_mode)) return hone_fail_file(err, HONE_NOT_FOUND, place->root, "is no regular file");
    if (!hone_reserve(&out->versions, &out->capacity, 1, sizeof *out->versions)) return hone_fail_memory(err);
    out->versions[0] =
        (hone_found){.number = 1, .name = "1", .file = fingerprint(&info), .bytes = (uint64_t)info.st_size};
    out->count = 1;
    return HONE_OK;
}

hone_status hone_repository_list(const hone_place *place, hone_listing *out, hone_error *err) {
    *out = (hone_listing){0};
    hone_status status = place->file ? list_file(place, out, err) : list_directory(place, out, err);
    if (status != HONE_OK) hone_listing_free(out);
    return status;
}

void hone_listing_free(hone_listing *l) {
    hone_free(l->versions);
    hone_free(l->pending);
    *l = (hone_listing){0};
}

hone_status hone_repository_models(const char *root, void (*fn)(void *user, const char *name), void *user,
                                   hone_error *err) {
    int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return hone_fail_errno(err, errno, root, "cannot open");
    DIR *d = directory_of(fd);
    if (!d) return hone_fail_memory(err);
    for (struct dirent *e = readdir(d); e; e = readdir(d)) {
        if (e->d_name[0] == '.') continue;
        int inner = hone_open_beneath(dirfd(d), e->d_name, O_PATH | O_DIRECTORY);
        if (inner < 0) continue;
        close(inner);
        fn(user, e->d_name);
    }
    closedir(d);
    return HONE_OK;
}

/* --- reading --- */

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

/* A regular file, which must not change between this and check_unchanged(). */
static hone_status check_regular(int fd, const char *path, hone_fingerprint *file, uint64_t *size,
                                 hone_error *err) {
    struct stat info;
    if (fstat(fd, &info) != 0) return hone_fail_errno(err, errno, path, "cannot read");
    if (!S_ISREG(info.st_mode))
        return hone_fail_file(err, HONE_FAILED_PRECONDITION, path, "is no regular file");
    *file = fingerprint(&info);
    *size = (uint64_t)info.st_size;
    return HONE_OK;
}

static hone_status check_unchanged(int fd, const char *path, const hone_fingerprint *file, hone_error *err) {
    struct stat info;
    if (fstat(fd, &info) != 0) return HONE_OK;
    hone_fingerprint now = fingerprint(&info);
    if (hone_fingerprint_equal(file, &now)) return HONE_OK;
    return hone_fail_file(err, HONE_UNAVAILABLE, path, "was written to while it was read");
}

static hone_status read_file(int fd, const char *path, size_t limit, hone_blob *out, hone_fingerprint *file,
                             hone_error *err) {
    uint64_t size;
    HONE_TRY(check_regular(fd, path, file, &size, err));
    if (size > limit)
        return hone_fail_file(err, HONE_RESOURCE_EXHAUSTED, path, "has %llu bytes, the limit is %zu",
                              (unsigned long long)size, limit);
    hone_status status = read_all(fd, path, (size_t)size, out, err);
    if (status == HONE_OK) status = check_unchanged(fd, path, file, err);
    if (status != HONE_OK) hone_blob_free(out);
    return status;
}

static hone_status read_inside(const hone_place *place, const char *path, size_t limit, hone_blob *out,
                               hone_fingerprint *file, hone_error *err) {
    char full[PATH_MAX];
    int fd;
    /* O_NONBLOCK: opening a pipe must not wait for its other end */
    HONE_TRY(open_inside(place, path, O_RDONLY | O_NONBLOCK, &fd, err));
    name_of(place, path, full, sizeof full);
    hone_status status = read_file(fd, full, limit, out, file, err);
    close(fd);
    return status;
}

static hone_status read_model(int fd, const char *path, const char *dir, bool map, hone_graph **out,
                              hone_fingerprint *file, hone_error *err) {
    uint64_t size;
    HONE_TRY(check_regular(fd, path, file, &size, err));
    hone_graph *g = NULL;
    hone_onnx_file from = {.fd = fd, .size = size, .name = path, .dir = dir, .map = map};
    hone_status status = hone_onnx_read_file(&from, &g, err);
    /* a file that changes may be no model meanwhile: that it changed is what counts */
    hone_status changed = check_unchanged(fd, path, file, err);
    if (status == HONE_OK && changed == HONE_OK) {
        *out = g;
        return HONE_OK;
    }
    hone_graph_free(g);
    return changed == HONE_OK ? status : changed;
}

static hone_status load_directory(const hone_place *place, const char *version, bool map, hone_graph **out,
                                  hone_fingerprint *file, hone_error *err) {
    char path[64], full[PATH_MAX], dir[64];
    int directory, fd;
    snprintf(path, sizeof path, "%.23s/" MODEL, version);
    name_of(place, path, full, sizeof full);
    HONE_TRY(open_inside(place, version, O_PATH | O_DIRECTORY, &directory, err));
    hone_status status = open_inside(place, path, O_RDONLY | O_NONBLOCK, &fd, err);
    if (status == HONE_OK) {
        /* the directory that was opened, whatever its name stands for by now */
        snprintf(dir, sizeof dir, "/proc/self/fd/%d", directory);
        status = read_model(fd, full, dir, map, out, file, err);
        close(fd);
    }
    close(directory);
    return status;
}

static hone_status load_file(const hone_place *place, bool map, hone_graph **out, hone_fingerprint *file,
                             hone_error *err) {
    char dir[PATH_MAX];
    const char *slash = strrchr(place->root, '/');
    size_t length = slash ? (size_t)(slash - place->root) + 1 : 0;
    if (length >= sizeof dir) return hone_fail_errno(err, ENAMETOOLONG, place->root, "cannot open");
    memcpy(dir, place->root, length);
    dir[length] = 0;
    int fd = open(place->root, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) return hone_fail_errno(err, errno, place->root, "cannot open");
    hone_status status = read_model(fd, place->root, dir, map, out, file, err);
    close(fd);
    return status;
}

hone_status hone_repository_load(const hone_place *place, const char *version, bool map, hone_graph **out,
                                 hone_fingerprint *file, hone_error *err) {
    return place->file ? load_file(place, map, out, file, err)
                       : load_directory(place, version, map, out, file, err);
}

hone_status hone_repository_settings(const hone_place *place, hone_blob *out, hone_error *err) {
    hone_fingerprint file;
    hone_error cause = {0};
    *out = (hone_blob){0};
    if (place->file) return HONE_OK;
    hone_status status = read_inside(place, SETTINGS, SETTINGS_MOST, out, &file, &cause);
    if (status == HONE_OK || status == HONE_NOT_FOUND) return HONE_OK;
    if (err) *err = cause;
    return status;
}

/* --- recorded requests --- */

static hone_status read_tensor(const hone_place *place, const char *path, hone_tensor **out,
                               hone_error *err) {
    hone_blob blob = {0};
    hone_fingerprint file;
    HONE_TRY(read_inside(place, path, RECORDED_MOST, &blob, &file, err));
    hone_status status = hone_onnx_tensor(blob.data, blob.size, path, out, err);
    hone_blob_free(&blob);
    return status;
}

static hone_status read_request(const hone_place *place, const char *dir, int inputs, hone_recorded *out,
                                hone_error *err) {
    char path[PATH_MAX];
    size_t at = out->count * (size_t)inputs;
    if (!hone_reserve(&out->tensors, &out->capacity, at + (size_t)inputs + 1, sizeof *out->tensors))
        return hone_fail_memory(err);
    for (int i = 0; i < inputs; i++) {
        hone_status status =
            snprintf(path, sizeof path, "%s/input_%d.pb", dir, i) < PATH_MAX
                ? read_tensor(place, path, &out->tensors[at + (size_t)i], err)
                : hone_fail(err, HONE_INVALID_ARGUMENT, "the path of a recorded request is too long");
        if (status == HONE_OK) continue;
        while (i-- > 0) hone_tensor_free(out->tensors[at + (size_t)i]);
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

/* The directories in `path` whose names begin with `prefix`, sorted. */
static bool list_names(const hone_place *place, const char *path, const char *prefix, names *out) {
    int fd;
    if (open_inside(place, path, O_RDONLY | O_DIRECTORY, &fd, NULL) != HONE_OK) return true;
    DIR *d = directory_of(fd);
    bool fine = d != NULL;
    for (struct dirent *e = d ? readdir(d) : NULL; e && fine && out->count < REQUESTS_MOST; e = readdir(d)) {
        if (e->d_name[0] == '.' || strncmp(e->d_name, prefix, strlen(prefix)) != 0) continue;
        fine = hone_reserve(&out->items, &out->capacity, out->count + 1, sizeof *out->items);
        if (fine) snprintf(out->items[out->count++], sizeof *out->items, "%s", e->d_name);
    }
    if (d) closedir(d);
    if (out->count) qsort(out->items, out->count, sizeof *out->items, by_text);
    return fine;
}

static hone_status read_requests(const hone_place *place, const char *dir, const char *prefix, int inputs,
                                 hone_recorded *out, hone_error *err) {
    char path[PATH_MAX];
    names found = {0};
    hone_status status = list_names(place, dir, prefix, &found) ? HONE_OK : hone_fail_memory(err);
    for (size_t i = 0; i < found.count && status == HONE_OK && out->count < REQUESTS_MOST; i++) {
        snprintf(path, sizeof path, "%.40s/%s", dir, found.items[i]);
        status = read_request(place, path, inputs, out, err);
    }
    hone_free(found.items);
    return status;
}

hone_status hone_repository_recorded(const hone_place *place, const char *version, int inputs,
                                     hone_recorded *out, hone_error *err) {
    char warmup[40];
    *out = (hone_recorded){0};
    if (place->file || inputs == 0) return HONE_OK;
    snprintf(warmup, sizeof warmup, "%.23s/warmup", version);
    hone_status status = read_requests(place, warmup, "", inputs, out, err);
    if (status == HONE_OK) status = read_requests(place, version, "test_data_set", inputs, out, err);
    if (status != HONE_OK) hone_recorded_free(out, inputs);
    return status;
}
