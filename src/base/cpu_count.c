#include "base/cpu_quota.h"
#include "base/pool.h"

#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdbool.h>
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

static int cpus_of(long long quota, long long period) {
    if (quota <= 0 || period <= 0) return 0;
    long long cpus = quota / period + (quota % period != 0);
    return cpus > INT_MAX ? 0 : (int)cpus;
}

/* The quota that stands in the directory `dir` itself. */
static int quota_in(const char *dir, bool v2) {
    char path[PATH_MAX], text[64];
    long long quota = 0, period = 0;
    if (v2) {
        if (snprintf(path, sizeof path, "%s/cpu.max", dir) >= (int)sizeof path) return 0;
        if (!read_text(path, text, sizeof text)) return 0;
        return sscanf(text, "%lld %lld", &quota, &period) == 2 ? cpus_of(quota, period) : 0; /* or "max" */
    }
    if (snprintf(path, sizeof path, "%s/cpu.cfs_quota_us", dir) >= (int)sizeof path) return 0;
    if (!read_text(path, text, sizeof text) || sscanf(text, "%lld", &quota) != 1) return 0; /* -1: none */
    if (snprintf(path, sizeof path, "%s/cpu.cfs_period_us", dir) >= (int)sizeof path) return 0;
    if (!read_text(path, text, sizeof text) || sscanf(text, "%lld", &period) != 1) return 0;
    return cpus_of(quota, period);
}

/* From `group` up to the root, which in a container is the only directory that exists. */
static int least_quota(const char *root, char *group, bool v2) {
    int least = 0;
    for (;;) {
        char dir[PATH_MAX];
        if (snprintf(dir, sizeof dir, "%s%s", root, group) < (int)sizeof dir) {
            int quota = quota_in(dir, v2);
            if (quota > 0 && (least == 0 || quota < least)) least = quota;
        }
        char *slash = strrchr(group, '/');
        if (!slash) return least;
        *slash = 0;
    }
}

static bool names_cpu(const char *controllers) {
    for (const char *word = controllers;; word++) {
        size_t length = strcspn(word, ",");
        if (length == 3 && memcmp(word, "cpu", 3) == 0) return true;
        word += length;
        if (!*word) return false;
    }
}

/* A line is "ID:CONTROLLERS:GROUP"; v2 has no controllers. */
int hone_cpu_quota(const char *membership, const char *mount) {
    char text[8192], root[PATH_MAX], *rest = text;
    if (!read_text(membership, text, sizeof text)) return 0;
    int least = 0;
    for (char *line; (line = strsep(&rest, "\n"));) {
        strsep(&line, ":");
        char *controllers = strsep(&line, ":");
        if (!controllers || !line) continue;
        bool v2 = !*controllers;
        if (!v2 && !names_cpu(controllers)) continue;
        if (snprintf(root, sizeof root, "%s%s", mount, v2 ? "" : "/cpu") >= (int)sizeof root) continue;
        int quota = least_quota(root, line, v2);
        if (quota > 0 && (least == 0 || quota < least)) least = quota;
    }
    return least;
}

/* The kernel refuses a mask that is smaller than its own, so it is tried larger and larger. */
static int cpus_in_affinity(void) {
    for (int most = 1024; most <= 1 << 20; most *= 4) {
        cpu_set_t *set = CPU_ALLOC((size_t)most);
        if (!set) return 1;
        size_t size = CPU_ALLOC_SIZE((size_t)most);
        int count = sched_getaffinity(0, size, set) == 0 ? CPU_COUNT_S(size, set) : 0;
        CPU_FREE(set);
        if (count > 0) return count;
    }
    return 1;
}

int hone_cpu_count(void) {
    int cpus = cpus_in_affinity();
    int quota = hone_cpu_quota("/proc/self/cgroup", "/sys/fs/cgroup");
    return quota > 0 && quota < cpus ? quota : cpus;
}
