/* The CPU quota of a cgroup. Private to this room; apart from hone_cpu_count() so that tests can give it
 * files. */
#ifndef HONE_BASE_CPU_QUOTA_H
#define HONE_BASE_CPU_QUOTA_H

/* CPUs that the cgroup may use, rounded up: the least of its own quota and those of its ancestors, cgroup v2
 * or v1. `membership` is the file /proc/self/cgroup and `mount` the directory /sys/fs/cgroup. 0: no limit. */
int hone_cpu_quota(const char *membership, const char *mount);

#endif
