#include "serve/models/place.h"

#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* --- names --- */

void hone_place_name(const hone_place *p, const char *path, char *out, size_t size) {
    const char *slash = p->file && *path ? strrchr(p->root, '/') : NULL;
    bool plain = p->file || strcmp(p->inside, ".") == 0;
    if (p->file && *path)
        snprintf(out, size, "%.*s%s", slash ? (int)(slash + 1 - p->root) : 0, p->root, path);
    else
        snprintf(out, size, "%s%s%s%s%s", p->root, plain ? "" : "/", plain ? "" : p->inside, *path ? "/" : "",
                 path);
}

bool hone_place_part(const hone_place *p, const char *version, const char *file, char *out, size_t size) {
    int n = snprintf(out, size, "%s%s%s", p->file ? "" : version, p->file ? "" : "/", file);
    return n >= 0 && (size_t)n < size;
}

static const char *const model_files[] = {HONE_MODEL_FILE, HONE_GGUF_FILE, HONE_WEIGHTS_FILE,
                                          HONE_WEIGHTS_INDEX};
enum { MODEL_FILES = sizeof model_files / sizeof *model_files };

const char *hone_place_model(const hone_place *p, const char *version) {
    const char *slash = p->file ? strrchr(p->root, '/') : NULL;
    char path[PATH_MAX];
    hone_fingerprint is;
    if (p->file) return slash ? slash + 1 : p->root;
    for (int i = 0; i < MODEL_FILES; i++)
        if (hone_place_part(p, version, model_files[i], path, sizeof path) &&
            hone_place_look(p, path, &is, NULL) != HONE_NOT_FOUND)
            return model_files[i];
    return HONE_MODEL_FILE;
}

const char *hone_model_in(const char *directory) {
    char path[PATH_MAX];
    for (int i = 0; i < MODEL_FILES; i++) {
        int n = snprintf(path, sizeof path, "%s/%s", directory, model_files[i]);
        if (n < (int)sizeof path && access(path, F_OK) == 0) return model_files[i];
    }
    return NULL;
}

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

static hone_status cannot(hone_error *err, int code, const char *path) {
    if (code == EXDEV || code == ELOOP)
        return hone_fail_file(err, HONE_FAILED_PRECONDITION, path,
                              "is not opened, since it leads out of the directory of its model");
    return hone_fail_errno(err, code == ENOTDIR ? ENOENT : code, path, "cannot open");
}

hone_status hone_place_open(const hone_place *p, const char *path, int flags, int *out, hone_error *err) {
    char inside[PATH_MAX], full[PATH_MAX];
    hone_place_name(p, path, full, sizeof full);
    if (p->file) {
        *out = open(full, flags | O_CLOEXEC);
        return *out >= 0 ? HONE_OK : cannot(err, errno, full);
    }
    if (snprintf(inside, sizeof inside, "%s%s%s", p->inside, *path ? "/" : "", path) >= PATH_MAX)
        return cannot(err, ENAMETOOLONG, full);
    int root = open(p->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root < 0) return cannot(err, errno, p->root);
    *out = hone_open_beneath(root, inside, flags);
    int code = errno;
    close(root);
    return *out >= 0 ? HONE_OK : cannot(err, code, full);
}

static const char *kind_of(mode_t mode) {
    return S_ISDIR(mode) ? "directory" : S_ISFIFO(mode) ? "pipe" : S_ISSOCK(mode) ? "socket" : "device";
}

hone_status hone_place_open_file(const hone_place *p, const char *path, int *out, hone_fingerprint *is,
                                 hone_error *err) {
    char full[PATH_MAX], link[40];
    struct stat info;
    int found;
    hone_status status = HONE_OK;
    hone_place_name(p, path, full, sizeof full);
    *is = (hone_fingerprint){0};
    HONE_TRY(hone_place_open(p, path, O_PATH, &found, err));
    if (fstat(found, &info) != 0) {
        status = cannot(err, errno, full);
    } else if (!S_ISREG(info.st_mode)) {
        status = hone_fail_file(err, HONE_FAILED_PRECONDITION, full, "is no regular file, but a %s",
                                kind_of(info.st_mode));
    } else {
        snprintf(link, sizeof link, "/proc/self/fd/%d",
                 found); /* the same file, whatever its path leads to by now */
        *out = open(link, O_RDONLY | O_CLOEXEC);
        if (*out < 0) status = cannot(err, errno, full);
    }
    close(found);
    if (status == HONE_OK) *is = hone_fingerprint_of(&info);
    return status;
}

hone_status hone_place_list(const hone_place *p, const char *path, DIR **out, hone_error *err) {
    int fd;
    HONE_TRY(hone_place_open(p, path, O_RDONLY | O_DIRECTORY, &fd, err));
    *out = fdopendir(fd);
    if (*out) return HONE_OK;
    close(fd);
    return hone_fail_memory(err);
}

/* --- looking --- */

hone_status hone_place_look(const hone_place *p, const char *path, hone_fingerprint *out, hone_error *err) {
    struct stat info;
    int fd;
    *out = (hone_fingerprint){0};
    HONE_TRY(hone_place_open(p, path, O_PATH, &fd, err));
    int code = fstat(fd, &info) == 0 ? 0 : errno;
    close(fd);
    if (code) return cannot(err, code, path);
    *out = hone_fingerprint_of(&info);
    return HONE_OK;
}

hone_fingerprint hone_place_glance(const hone_place *p, const char *path) {
    char full[PATH_MAX];
    struct stat info;
    hone_place_name(p, path, full, sizeof full);
    return stat(full, &info) == 0 ? hone_fingerprint_of(&info) : (hone_fingerprint){0};
}

static hone_print print(const hone_place *p, const char *version, const hone_file_list *files, bool glance) {
    hone_print print = {0};
    char path[PATH_MAX];
    for (size_t i = 0; i < files->count; i++) {
        hone_fingerprint is = {0};
        if (hone_place_part(p, version, files->items[i].path, path, sizeof path)) {
            if (glance)
                is = hone_place_glance(p, path);
            else
                hone_place_look(p, path, &is, NULL);
        }
        hone_print_add(&print, files->items[i].path, &is);
    }
    return print;
}

hone_print hone_place_print(const hone_place *p, const char *version, const hone_file_list *files) {
    return print(p, version, files, false);
}

hone_print hone_place_glance_print(const hone_place *p, const char *version, const hone_file_list *files) {
    return print(p, version, files, true);
}
