#include "serve/models/watch.h"

#include "base/error.h"
#include "base/memory.h"

#include <errno.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/vfs.h>
#include <unistd.h>

#define EVENTS                                                                                               \
    (IN_CREATE | IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF |  \
     IN_ATTRIB)
/* Of file systems whose changes may be made elsewhere, where the kernel here does not see them. */
#define CIFS_MAGIC 0xff534d42
#define SMB2_MAGIC 0xfe534d42
#define FUSE_MAGIC 0x65735546
#define CEPH_MAGIC 0x00c36400
#define NINE_P_MAGIC 0x01021997

typedef struct entry {
    int wd;
    char *path, *owner;
    bool stale;
} entry;

struct hone_watch {
    int fd;
    entry *entries;
    size_t count, capacity;
    const char *owner; /* between begin and end */
    bool complete;
};

hone_status hone_watch_new(bool polling, hone_watch **out, hone_error *err) {
    hone_watch *w = hone_calloc(1, sizeof *w);
    if (!w) return hone_fail_memory(err);
    w->fd = polling ? -1 : inotify_init1(IN_NONBLOCK | IN_CLOEXEC); /* -1, too, beyond the limits */
    *out = w;
    return HONE_OK;
}

/* inotify gives one descriptor for one directory, whoever asked for it. */
static bool is_shared(const hone_watch *w, const entry *e) {
    for (size_t i = 0; i < w->count; i++)
        if (&w->entries[i] != e && w->entries[i].wd == e->wd) return true;
    return false;
}

static void drop(hone_watch *w, size_t index) {
    entry *e = &w->entries[index];
    if (e->wd >= 0 && !is_shared(w, e)) inotify_rm_watch(w->fd, e->wd);
    hone_free(e->path);
    hone_free(e->owner);
    *e = w->entries[--w->count];
}

void hone_watch_free(hone_watch *w) {
    if (!w) return;
    while (w->count) drop(w, w->count - 1);
    if (w->fd >= 0) close(w->fd);
    hone_free(w->entries);
    hone_free(w);
}

int hone_watch_fd(const hone_watch *w) {
    return w->fd;
}

static bool is_remote(const char *path) {
    struct statfs info;
    if (statfs(path, &info) != 0) return false;
    switch ((unsigned long)info.f_type & 0xffffffff) {
    case NFS_SUPER_MAGIC:
    case SMB_SUPER_MAGIC:
    case CIFS_MAGIC:
    case SMB2_MAGIC:
    case FUSE_MAGIC:
    case CEPH_MAGIC:
    case NINE_P_MAGIC:
    case AFS_SUPER_MAGIC:
    case CODA_SUPER_MAGIC: return true;
    default: return false;
    }
}

void hone_watch_begin(hone_watch *w, const char *owner) {
    w->owner = owner;
    w->complete = w->fd >= 0;
    for (size_t i = 0; i < w->count; i++)
        if (strcmp(w->entries[i].owner, owner) == 0) w->entries[i].stale = true;
}

bool hone_watch_add(hone_watch *w, const char *directory) {
    if (w->fd < 0) return false;
    /* Again also where it is watched: the directory of that name may be another one by now. */
    int wd = is_remote(directory) ? -1 : inotify_add_watch(w->fd, directory, EVENTS | IN_ONLYDIR);
    if (wd < 0) {
        w->complete = false;
        return false;
    }
    for (size_t i = 0; i < w->count; i++) {
        entry *e = &w->entries[i];
        if (e->wd != wd || strcmp(e->owner, w->owner) != 0) continue;
        e->stale = false;
        return false;
    }
    entry e = {wd, hone_strdup(directory), hone_strdup(w->owner), false};
    if (e.path && e.owner && hone_reserve(&w->entries, &w->capacity, w->count + 1, sizeof e)) {
        w->entries[w->count++] = e;
        return true;
    }
    hone_free(e.path);
    hone_free(e.owner);
    w->complete = false;
    return false;
}

bool hone_watch_end(hone_watch *w) {
    for (size_t i = w->count; i-- > 0;)
        if (w->entries[i].stale) drop(w, i);
    w->owner = NULL;
    return w->complete;
}

void hone_watch_forget(hone_watch *w, const char *owner) {
    hone_watch_begin(w, owner);
    hone_watch_end(w);
}

void hone_watch_read(hone_watch *w, void (*fn)(void *user, const char *owner, bool written), void *user) {
    char buffer[16 << 10] __attribute__((aligned(__alignof__(struct inotify_event))));
    for (;;) {
        ssize_t got = w->fd < 0 ? 0 : read(w->fd, buffer, sizeof buffer);
        if (got <= 0) return;
        for (char *p = buffer; p < buffer + got;) {
            const struct inotify_event *event = (const struct inotify_event *)p;
            p += sizeof *event + event->len;
            if (event->mask & IN_Q_OVERFLOW) fn(user, NULL, true);
            for (size_t i = 0; i < w->count; i++) {
                entry *e = &w->entries[i];
                if (e->wd != event->wd) continue;
                fn(user, e->owner, (event->mask & IN_CLOSE_WRITE) != 0);
                if (event->mask & IN_IGNORED) e->wd = -1; /* it is gone, and its number may be given anew */
            }
        }
    }
}
