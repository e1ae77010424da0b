#include "base/file.h"
#include "base/error.h"
#include "base/file_sync.h"
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

hone_status hone_file_open(const char *path, int *fd, uint64_t *size, hone_error *err) {
    /* O_NONBLOCK: opening a pipe must not wait for its other end; regular files ignore it */
    struct stat info;
    hone_status status = HONE_OK;
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (*fd < 0) return hone_fail_errno(err, errno, path, "cannot open");
    if (fstat(*fd, &info) != 0)
        status = hone_fail_errno(err, errno, path, "cannot read");
    else if (!S_ISREG(info.st_mode))
        status = hone_fail_file(err, HONE_INVALID_ARGUMENT, path, "is %s",
                                S_ISDIR(info.st_mode) ? "a directory" : "not a regular file");
    if (status == HONE_OK)
        *size = (uint64_t)info.st_size;
    else
        close(*fd);
    return status;
}

hone_status hone_file_read_at(int fd, const char *path, uint64_t offset, void *data, size_t size,
                              hone_error *err) {
    for (size_t done = 0; done < size;) {
        ssize_t got = pread(fd, (char *)data + done, size - done, (off_t)(offset + done));
        if (got > 0)
            done += (size_t)got;
        else if (got == 0)
            return hone_fail_file(err, HONE_IO, path, "became shorter while it was read");
        else if (errno != EINTR)
            return hone_fail_errno(err, errno, path, "cannot read");
    }
    return HONE_OK;
}

hone_status hone_file_read(const char *path, size_t limit, hone_blob *out, hone_error *err) {
    uint64_t size;
    int fd;
    HONE_TRY(hone_file_open(path, &fd, &size, err));
    hone_status status = HONE_OK;
    hone_blob blob = {.size = (size_t)size};
    if (limit > 0 && size > limit)
        status = hone_fail_file(err, HONE_RESOURCE_EXHAUSTED, path, "has %llu bytes, the limit is %zu",
                                (unsigned long long)size, limit);
    else if (!(blob.data = hone_alloc(blob.size)))
        status = hone_error_in_file(err, hone_fail_memory(err), path);
    if (status == HONE_OK) status = hone_file_read_at(fd, path, 0, blob.data, blob.size, err);
    close(fd);
    if (status == HONE_OK)
        *out = blob;
    else
        hone_blob_free(&blob);
    return status;
}

void hone_blob_free(hone_blob *blob) {
    hone_free(blob->data);
    *blob = (hone_blob){0};
}

struct hone_writer {
    int fd; /* -1 after a failed write */
    hone_error failure;
    size_t filled;
    char path[PATH_MAX];      /* as named by the caller: for errors */
    char target[PATH_MAX];    /* where that leads through symbolic links */
    char temporary[PATH_MAX]; /* beside the target */
    uint8_t buffer[32 << 10];
};

/* Where the file goes, and the permissions of the one that is there; 0 without one. */
static hone_status find_target(hone_writer *w, const char *path, mode_t *mode, hone_error *err) {
    struct stat info;
    size_t length = strlen(path);
    *mode = 0;
    if (length == 0 || path[length - 1] == '/')
        return hone_fail_file(err, HONE_INVALID_ARGUMENT, path, "is not the name of a file");
    if (length >= sizeof w->path) return hone_fail_errno(err, ENAMETOOLONG, path, "cannot write");
    memcpy(w->path, path, length + 1);
    memcpy(w->target, path, length + 1);
    if (lstat(path, &info) != 0) {
        if (errno == ENOENT) return HONE_OK;
        return hone_fail_errno(err, errno, path, "cannot write");
    }
    if (S_ISLNK(info.st_mode) && (!realpath(path, w->target) || stat(w->target, &info) != 0))
        return hone_fail_errno(err, errno, path, "cannot follow the link");
    /* a rename would put a file in the place of /dev/null */
    if (!S_ISREG(info.st_mode))
        return hone_fail_file(err, HONE_INVALID_ARGUMENT, path, "is %s",
                              S_ISDIR(info.st_mode) ? "a directory" : "not a regular file");
    *mode = info.st_mode & 0777;
    return HONE_OK;
}

static hone_status open_temporary(hone_writer *w, hone_error *err) {
    static atomic_uint counter;
    const char *slash = strrchr(w->target, '/');
    const char *name = slash ? slash + 1 : w->target;
    do {
        int length =
            snprintf(w->temporary, sizeof w->temporary, "%.*s.%.200s.tmp-%ld-%u", (int)(name - w->target),
                     w->target, name, (long)getpid(), atomic_fetch_add(&counter, 1));
        if (length < 0 || (size_t)length >= sizeof w->temporary)
            return hone_fail_errno(err, ENAMETOOLONG, w->path, "cannot write");
        w->fd = open(w->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    } while (w->fd < 0 &&
             (errno == EEXIST || errno == EINTR)); /* EEXIST: left by a dead process with our id */
    return w->fd < 0 ? hone_fail_errno(err, errno, w->path, "cannot write") : HONE_OK;
}

/* Removes the temporary and remembers why. */
static hone_status writer_fail(hone_writer *w, int errno_value, const char *what, hone_error *err) {
    hone_fail_errno(&w->failure, errno_value, w->path, what);
    unlink(w->temporary);
    if (w->fd >= 0) close(w->fd);
    w->fd = -1;
    if (err) *err = w->failure;
    return w->failure.code;
}

hone_status hone_writer_open(const char *path, hone_writer **out, hone_error *err) {
    hone_writer *w = hone_alloc(sizeof *w);
    if (!w) return hone_error_in_file(err, hone_fail_memory(err), path);
    w->filled = 0;
    w->fd = -1;
    mode_t mode;
    hone_status status = find_target(w, path, &mode, err);
    if (status == HONE_OK) status = open_temporary(w, err);
    if (status == HONE_OK && mode && fchmod(w->fd, mode) != 0)
        status = writer_fail(w, errno, "cannot set permissions", err);
    if (status != HONE_OK) {
        hone_free(w);
        return status;
    }
    *out = w;
    return HONE_OK;
}

static hone_status write_out(hone_writer *w, const uint8_t *data, size_t size, hone_error *err) {
    while (size > 0) {
        ssize_t done = write(w->fd, data, size);
        if (done < 0) {
            if (errno == EINTR) continue;
            return writer_fail(w, errno, "cannot write", err);
        }
        data += done;
        size -= (size_t)done;
    }
    return HONE_OK;
}

static hone_status flush(hone_writer *w, hone_error *err) {
    if (w->fd < 0) {
        if (err) *err = w->failure;
        return w->failure.code;
    }
    size_t size = w->filled;
    w->filled = 0;
    return write_out(w, w->buffer, size, err);
}

hone_status hone_writer_write(hone_writer *w, const void *data, size_t size, hone_error *err) {
    if (w->fd < 0 || size > sizeof w->buffer - w->filled) HONE_TRY(flush(w, err));
    if (size >= sizeof w->buffer) return write_out(w, data, size, err);
    if (size > 0) memcpy(w->buffer + w->filled, data, size);
    w->filled += size;
    return HONE_OK;
}

static hone_status sync_parent(const char *path, hone_error *err) {
    char parent[PATH_MAX];
    const char *slash = strrchr(path, '/');
    if (!slash) return hone_dir_sync(".", err);
    size_t length = slash == path ? 1 : (size_t)(slash - path);
    memcpy(parent, path, length);
    parent[length] = 0;
    return hone_dir_sync(parent, err);
}

static hone_status finish(hone_writer *w, hone_error *err) {
    HONE_TRY(flush(w, err));
    hone_file_stop_point();
    if (fsync(w->fd) != 0) return writer_fail(w, errno, "cannot write", err);
    int fd = w->fd;
    w->fd = -1;
    if (close(fd) != 0 && errno != EINTR) return writer_fail(w, errno, "cannot write", err);
    hone_file_stop_point();
    if (rename(w->temporary, w->target) != 0) return writer_fail(w, errno, "cannot put in place", err);
    return sync_parent(w->target, err);
}

hone_status hone_writer_commit(hone_writer *w, hone_error *err) {
    hone_status status = finish(w, err);
    hone_free(w);
    return status;
}

void hone_writer_abort(hone_writer *w) {
    if (!w) return;
    if (w->fd >= 0) {
        unlink(w->temporary);
        close(w->fd);
    }
    hone_free(w);
}

hone_status hone_file_replace(const char *path, const void *data, size_t size, hone_error *err) {
    hone_writer *w;
    HONE_TRY(hone_writer_open(path, &w, err));
    hone_status status = hone_writer_write(w, data, size, err);
    if (status == HONE_OK) return hone_writer_commit(w, err);
    hone_writer_abort(w);
    return status;
}
