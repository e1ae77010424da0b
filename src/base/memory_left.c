#include "base/memory_left.h"

#include "base/cgroup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void keep_least(size_t *least, unsigned long long bytes) {
    if (*least == 0 || bytes < *least) *least = bytes > 0 ? (size_t)bytes : 1;
}

/* The number behind a word that begins a line. */
static unsigned long long number_behind(const char *text, const char *word) {
    for (const char *at = text; (at = strstr(at, word)); at++)
        if (at == text || at[-1] == '\n') return strtoull(at + strlen(word), NULL, 10);
    return 0;
}

static unsigned long long read_number(const char *dir, const char *name) {
    char text[64];
    return hone_cgroup_read(dir, name, text, sizeof text) ? strtoull(text, NULL, 10) : 0; /* "max": 0 */
}

static void look(void *user, const char *dir, bool v2) {
    char text[8192] = "";
    const unsigned long long most = read_number(dir, v2 ? "memory.max" : "memory.limit_in_bytes"),
                             used = read_number(dir, v2 ? "memory.current" : "memory.usage_in_bytes");
    if (most == 0) return;
    hone_cgroup_read(dir, "memory.stat", text, sizeof text);
    const unsigned long long files = number_behind(text, v2 ? "inactive_file " : "total_inactive_file "),
                             held = used > files ? used - files : 0;
    keep_least(user, most > held ? most - held : 0);
}

size_t hone_memory_left_by(const char *meminfo, const char *membership, const char *mount) {
    char text[8192];
    size_t least = 0;
    FILE *f = fopen(meminfo, "re");
    const size_t size = f ? fread(text, 1, sizeof text - 1, f) : 0;
    if (f) fclose(f);
    text[size] = 0;
    const unsigned long long kilobytes = number_behind(text, "MemAvailable:");
    if (kilobytes) keep_least(&least, kilobytes * 1024);
    hone_cgroup_each(membership, mount, "memory", look, &least);
    return least;
}

size_t hone_memory_left(void) {
    return hone_memory_left_by("/proc/meminfo", "/proc/self/cgroup", "/sys/fs/cgroup");
}
