#include "files.h"

#include "report.h"
#include "signals.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int64_t cli_file_bytes(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 ? (int64_t)info.st_size : -1;
}

static hone_status output_error(hone_error *err, const char *path, hone_status code, const char *why) {
    *err = (hone_error){.code = code};
    snprintf(err->file, sizeof err->file, "%s", path);
    snprintf(err->message, sizeof err->message, "cannot write: %s", why);
    return code;
}

hone_status cli_check_output(const char *path, hone_error *err) {
    struct stat info;
    const char *slash = strrchr(path, '/');
    if (slash && !slash[1]) return output_error(err, path, HONE_INVALID_ARGUMENT, "not the name of a file");
    int found = stat(path, &info);
    if (found != 0 && errno == ENAMETOOLONG) return output_error(err, path, HONE_IO, strerror(errno));
    if (found == 0 && !S_ISREG(info.st_mode))
        return output_error(err, path, HONE_INVALID_ARGUMENT,
                            S_ISDIR(info.st_mode) ? "Is a directory" : "not a regular file");
    /* access() knows nothing of file systems that refuse new files, so one is made. */
    char *probe = cli_alloc(strlen(path) + 64);
    sprintf(probe, "%.*s.hone-check-%ld", slash ? (int)(slash - path + 1) : 0, path, (long)getpid());
    cli_signals_hold();
    int fd = open(probe, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600), failure = errno;
    if (fd >= 0) {
        close(fd);
        unlink(probe);
    }
    cli_signals_release();
    free(probe);
    return fd >= 0 ? HONE_OK : output_error(err, path, HONE_IO, strerror(failure));
}

/* mkdir -p; what cannot be made shows when a file is tried. */
static void make_directories(char *path) {
    for (char *at = path + 1; *at; at++) {
        if (*at != '/') continue;
        *at = 0;
        mkdir(path, 0777);
        *at = '/';
    }
}

hone_status cli_check_directory(const char *path, hone_error *err) {
    char *file = cli_alloc(strlen(path) + 8);
    sprintf(file, "%s/check", path);
    make_directories(file);
    hone_status status = cli_check_output(file, err);
    if (status != HONE_OK) snprintf(err->file, sizeof err->file, "%s", path);
    free(file);
    return status;
}

hone_status cli_save(const hone_graph *g, const char *path, hone_error *err) {
    cli_signals_hold();
    hone_status status = hone_graph_save(g, path, err);
    cli_signals_release();
    return status;
}
