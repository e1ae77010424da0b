/* Memory that this process can still have. */
#ifndef HONE_BASE_MEMORY_LEFT_H
#define HONE_BASE_MEMORY_LEFT_H

#include <stddef.h>

/* Bytes: what the system has available, or what the limits of cgroups leave, whichever is less. Files that were read do not
 * count as used: they go where memory is needed. 0: nobody tells. */
size_t hone_memory_left(void);
/* The same by other files, for tests: /proc/meminfo, /proc/self/cgroup, /sys/fs/cgroup. */
size_t hone_memory_left_by(const char *meminfo, const char *membership, const char *mount);

#endif
