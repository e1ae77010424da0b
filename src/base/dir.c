#include "base/error.h"
#include "base/file.h"
#include "base/file_sync.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

void hone_file_stop_point(void) {
    static atomic_ulong passed;
    const char *at = getenv("HONE_TEST_STOP_AT");
    unsigned long n = atomic_fetch_add(&passed, 1) + 1;
    if (at && strtoul(at, NULL, 10) == n) kill(getpid(), SIGKILL);
}

static bool is_dir(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

/* Another process may make the same directory at the same time. */
static hone_status make_one(const char *path, hone_error *err) {
    if (mkdir(path, 0777) == 0) return HONE_OK;
    int error = errno; /* EEXIST, but also EROFS or EACCES where it exists already */
    if (is_dir(path)) return HONE_OK;
    return hone_fail_errno(err, error == EEXIST ? ENOTDIR : error, path, "cannot make the directory");
}

hone_status hone_dir_make(const char *path, hone_error *err) {
    char part[PATH_MAX];
    size_t length = strlen(path);
    if (length == 0) return hone_fail(err, HONE_INVALID_ARGUMENT, "the directory's name is empty");
    if (length >= sizeof part) return hone_fail_errno(err, ENAMETOOLONG, path, "cannot make the directory");
    memcpy(part, path, length + 1);
    for (size_t i = 1; i < length; i++) {
        if (part[i] != '/' || part[i - 1] == '/') continue;
        part[i] = 0;
        HONE_TRY(make_one(part, err));
        part[i] = '/';
    }
    return make_one(part, err);
}

hone_status hone_dir_sync(const char *path, hone_error *err) {
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return hone_fail_errno(err, errno, path, "cannot open the directory");
    hone_file_stop_point();
    int error = fsync(fd) == 0 ? 0 : errno;
    close(fd);
    /* EINVAL: a file system whose directories cannot be synced */
    return error == 0 || error == EINVAL ? HONE_OK
                                         : hone_fail_errno(err, error, path, "cannot sync the directory");
}

/* Removes what is in the directory `at`/`name`, then itself. `path` is its whole name, for errors, and has
 * room to grow. */
static hone_status remove_tree(int at, const char *name, char path[static PATH_MAX], hone_error *err) {
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return hone_fail_errno(err, errno, path, "cannot remove");
    DIR *dir = fdopendir(fd);
    if (!dir) {
        close(fd);
        return hone_error_in_file(err, hone_fail_memory(err), path);
    }
    hone_status status = HONE_OK;
    size_t length = strlen(path);
    for (struct dirent *entry; status == HONE_OK && (entry = readdir(dir));) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        if (snprintf(path + length, PATH_MAX - length, "/%s", entry->d_name) >= (int)(PATH_MAX - length))
            status = hone_fail_errno(err, ENAMETOOLONG, path, "cannot remove");
        else if (unlinkat(fd, entry->d_name, 0) == 0 || errno == ENOENT)
            continue;
        else if (errno == EISDIR)
            status = remove_tree(fd, entry->d_name, path, err);
        else
            status = hone_fail_errno(err, errno, path, "cannot remove");
    }
    closedir(dir);
    path[length] = 0;
    if (status == HONE_OK && unlinkat(at, name, AT_REMOVEDIR) != 0 && errno != ENOENT)
        status = hone_fail_errno(err, errno, path, "cannot remove");
    return status;
}

hone_status hone_dir_remove(const char *path, hone_error *err) {
    char whole[PATH_MAX];
    struct stat info;
    size_t length = strlen(path);
    if (length == 0) return hone_fail(err, HONE_INVALID_ARGUMENT, "the directory's name is empty");
    if (length >= sizeof whole) return hone_fail_errno(err, ENAMETOOLONG, path, "cannot remove");
    memcpy(whole, path, length + 1);
    while (length > 1 && whole[length - 1] == '/') whole[--length] = 0; /* "LINK/" would be followed */
    if (lstat(whole, &info) != 0)
        return errno == ENOENT ? HONE_OK : hone_fail_errno(err, errno, path, "cannot remove");
    return remove_tree(AT_FDCWD, whole, whole, err);
}

hone_status hone_dir_hold(const char *path, int *hold, hone_error *err) {
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return hone_fail_errno(err, errno, path, "cannot open the directory");
    if (flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
        close(fd);
        return hone_fail_file(err, HONE_UNAVAILABLE, path, "the directory is in use elsewhere");
    }
    *hold = fd;
    return HONE_OK;
}

void hone_dir_release(int hold) {
    if (hold >= 0) close(hold);
}

bool hone_file_exists(const char *path) {
    return access(path, F_OK) == 0;
}

bool hone_path_join(char *out, size_t size, const char *dir, const char *name) {
    size_t length = strlen(dir);
    const char *between = length == 0 || dir[length - 1] == '/' ? "" : "/";
    int written = snprintf(out, size, "%s%s%s", dir, between, name);
    return written >= 0 && (size_t)written < size;
}

hone_status hone_dir_rename(const char *from, const char *to, hone_error *err) {
    char parent[PATH_MAX];
    if (hone_file_exists(to)) return hone_fail_file(err, HONE_ALREADY_EXISTS, to, "exists already");
    hone_file_stop_point();
    if (rename(from, to) != 0) return hone_fail_errno(err, errno, to, "cannot rename the directory");
    const char *slash = strrchr(to, '/');
    size_t length = slash ? (size_t)(slash - to) : 0;
    if (length >= sizeof parent) return hone_fail_errno(err, ENAMETOOLONG, to, "cannot sync the directory");
    memcpy(parent, to, length);
    parent[length] = 0;
    return hone_dir_sync(!slash ? "." : length ? parent : "/", err);
}

hone_status hone_dir_list(const char *path, void (*fn)(void *user, const char *name), void *user,
                          hone_error *err) {
    DIR *dir = opendir(path);
    if (!dir) return hone_fail_errno(err, errno, path, "cannot read the directory");
    for (const struct dirent *e; (e = readdir(dir));)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) fn(user, e->d_name);
    closedir(dir);
    return HONE_OK;
}
