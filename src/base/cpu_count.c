#include "base/cgroup.h"
#include "base/cpu_quota.h"
#include "base/pool.h"

#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>

static int cpus_of(long long quota, long long period) {
    if (quota <= 0 || period <= 0) return 0;
    long long cpus = quota / period + (quota % period != 0);
    return cpus > INT_MAX ? 0 : (int)cpus;
}

/* The quota that stands in the directory `dir` itself. */
static int quota_in(const char *dir, bool v2) {
    char text[64];
    long long quota = 0, period = 0;
    if (v2) {
        if (!hone_cgroup_read(dir, "cpu.max", text, sizeof text)) return 0;
        return sscanf(text, "%lld %lld", &quota, &period) == 2 ? cpus_of(quota, period) : 0; /* or "max" */
    }
    if (!hone_cgroup_read(dir, "cpu.cfs_quota_us", text, sizeof text) || sscanf(text, "%lld", &quota) != 1)
        return 0; /* -1: none */
    if (!hone_cgroup_read(dir, "cpu.cfs_period_us", text, sizeof text) || sscanf(text, "%lld", &period) != 1)
        return 0;
    return cpus_of(quota, period);
}

static void keep_least(void *user, const char *dir, bool v2) {
    int *least = user;
    const int quota = quota_in(dir, v2);
    if (quota > 0 && (*least == 0 || quota < *least)) *least = quota;
}

int hone_cpu_quota(const char *membership, const char *mount) {
    int least = 0;
    hone_cgroup_each(membership, mount, "cpu", keep_least, &least);
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
