#include "files.h"

#include "json.h"
#include "report.h"
#include "signals.h"

#include <errno.h>
#include <fcntl.h>
#include <hone/graph.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int64_t cli_model_bytes(const char *path) {
    hone_error ignored = {0};
    int64_t bytes;
    return hone_graph_file_bytes(path, &bytes, &ignored) == HONE_OK ? bytes : cli_file_bytes(path);
}

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

hone_status cli_save_as(const hone_graph *g, const char *path, bool packed, hone_error *err) {
    cli_signals_hold();
    hone_status status = (packed ? hone_graph_save_packed : hone_graph_save)(g, path, err);
    cli_signals_release();
    return status;
}

hone_status cli_save(const hone_graph *g, const char *path, hone_error *err) {
    return cli_save_as(g, path, false, err);
}

static hone_status write_all(int fd, const char *data, size_t left) {
    while (left) {
        ssize_t n = write(fd, data, left);
        if (n < 0 && errno != EINTR) return HONE_IO;
        data += n > 0 ? n : 0;
        left -= n > 0 ? (size_t)n : 0;
    }
    return HONE_OK;
}

hone_status cli_write_text(const char *path, const char *text, hone_error *err) {
    return cli_write_bytes(path, text, strlen(text), err);
}

hone_status cli_write_bytes(const char *path, const void *data, size_t size, hone_error *err) {
    const char *slash = strrchr(path, '/');
    char *temporary = cli_alloc(strlen(path) + 64);
    sprintf(temporary, "%.*s.%s.tmp-%ld", slash ? (int)(slash - path + 1) : 0, path, slash ? slash + 1 : path,
            (long)getpid());
    int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    bool written = fd >= 0 && write_all(fd, data, size) == HONE_OK && fsync(fd) == 0;
    int failure = errno;
    if (fd >= 0 && close(fd) != 0 && written) failure = errno, written = false;
    if (written && rename(temporary, path) != 0) failure = errno, written = false;
    if (fd >= 0 && !written) unlink(temporary);
    free(temporary);
    return written ? HONE_OK : output_error(err, path, HONE_IO, strerror(failure));
}

static void add_lack(void *user, const hone_lack *l) {
    json_t *o = json_pack("{s:o, s:I, s:s, s:o}", "what", cli_json_text(l->what), "count",
                          (json_int_t)l->count, "where", l->where, "first", cli_json_text(l->first));
    if (l->op) {
        json_object_set_new(o, "operator", cli_json_text(l->op));
        json_object_set_new(o, "domain", cli_json_text(l->domain));
        json_object_set_new(o, "opset", json_integer(l->opset));
    }
    json_array_append_new(user, o);
}

int cli_load(const char *path, bool mapped, bool json, hone_graph **out) {
    hone_error err = {0};
    hone_status status = mapped ? hone_graph_load_mapped(path, out, &err) : hone_graph_load(path, out, &err);
    if (status == HONE_OK) return CLI_OK;
    json_t *list = json_array();
    if (status == HONE_UNSUPPORTED && json && hone_graph_survey(path, add_lack, list, NULL) == HONE_OK)
        cli_print_json(json_pack("{s:o, s:O}", "error", cli_json_text(err.message), "lacks", list));
    json_decref(list);
    return cli_fail(&err);
}
