#include "base/cgroup.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static bool read_text(const char *path, char *text, size_t size) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    size_t length = 0;
    ssize_t got = 0;
    while (length < size - 1 && (got = read(fd, text + length, size - 1 - length)) > 0) length += (size_t)got;
    close(fd);
    text[length] = 0;
    return length > 0;
}

bool hone_cgroup_read(const char *dir, const char *name, char *text, size_t size) {
    char path[PATH_MAX];
    return snprintf(path, sizeof path, "%s/%s", dir, name) < (int)sizeof path && read_text(path, text, size);
}

static void climb(const char *root, char *group, bool v2, hone_cgroup_fn *fn, void *user) {
    for (;;) {
        char dir[PATH_MAX];
        if (snprintf(dir, sizeof dir, "%s%s", root, group) < (int)sizeof dir) fn(user, dir, v2);
        char *slash = strrchr(group, '/');
        if (!slash) return;
        *slash = 0;
    }
}

static bool names(const char *controllers, const char *wanted) {
    for (const char *word = controllers;; word++) {
        size_t length = strcspn(word, ",");
        if (length == strlen(wanted) && memcmp(word, wanted, length) == 0) return true;
        word += length;
        if (!*word) return false;
    }
}

/* A line is "ID:CONTROLLERS:GROUP"; v2 has no controllers. */
void hone_cgroup_each(const char *membership, const char *mount, const char *controller, hone_cgroup_fn *fn,
                      void *user) {
    char text[8192], root[PATH_MAX], *rest = text;
    if (!read_text(membership, text, sizeof text)) return;
    for (char *line; (line = strsep(&rest, "\n"));) {
        strsep(&line, ":");
        char *controllers = strsep(&line, ":");
        if (!controllers || !line) continue;
        const bool v2 = !*controllers;
        if (!v2 && !names(controllers, controller)) continue;
        if (snprintf(root, sizeof root, "%s%s%s", mount, v2 ? "" : "/", v2 ? "" : controller) <
            (int)sizeof root)
            climb(root, line, v2, fn, user);
    }
}
