/* The control groups that this process is in: their limits are files in a directory of each. Private to this room. */
#ifndef HONE_BASE_CGROUP_H
#define HONE_BASE_CGROUP_H

#include <stdbool.h>
#include <stddef.h>

/* Asked of each directory, from the process's own group up to the root, which in a container is the only one that exists. */
typedef void hone_cgroup_fn(void *user, const char *dir, bool v2);
/* Groups of `controller` ("cpu", "memory"), cgroup v2 and v1. `membership` is the file /proc/self/cgroup and `mount` the
 * directory /sys/fs/cgroup: tests have their own. */
void hone_cgroup_each(const char *membership, const char *mount, const char *controller, hone_cgroup_fn *fn,
                      void *user);
/* The file `name` in `dir`, at most size - 1 bytes of it, terminated; false: there is none, or it is empty. */
bool hone_cgroup_read(const char *dir, const char *name, char *text, size_t size);

#endif
