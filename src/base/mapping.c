#include "base/mapping.h"

#include "base/error.h"
#include "base/memory.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <unistd.h>

/* Once made it is never freed, but used again: so the handler of a signal can walk over all of them at any
 * time. */
struct hone_mapping {
    _Atomic(uintptr_t) base; /* at a page's start; 0: it is spare */
    atomic_size_t size;
    atomic_bool cut;
    hone_mapping *next; /* of all */
    hone_mapping *next_spare;
};

static _Atomic(hone_mapping *) all;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static hone_mapping *spare; /* under the lock */
static atomic_uint cuts;
static size_t page_size; /* before the handler is there */
static struct sigaction before;

static hone_mapping *take(void) {
    pthread_mutex_lock(&lock);
    hone_mapping *m = spare;
    if (m) {
        spare = m->next_spare;
    } else if ((m = hone_calloc(1, sizeof *m))) {
        m->next = atomic_load(&all);
        atomic_store(&all, m);
    }
    pthread_mutex_unlock(&lock);
    return m;
}

static void give_back(hone_mapping *m) {
    pthread_mutex_lock(&lock);
    m->next_spare = spare;
    spare = m;
    pthread_mutex_unlock(&lock);
}

hone_status hone_file_map(int fd, const char *path, uint64_t offset, size_t size, hone_mapping **out,
                          void **data, hone_error *err) {
    uint64_t start = offset & ~((uint64_t)sysconf(_SC_PAGESIZE) - 1);
    hone_mapping *m = take();
    if (!m) return hone_fail_memory(err);
    size_t bytes = size + (size_t)(offset - start);
    void *base = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, fd, (off_t)start);
    if (base == MAP_FAILED) {
        int code = errno;
        give_back(m);
        return hone_fail_errno(err, code, path, "cannot map");
    }
    atomic_store(&m->cut, false);
    atomic_store(&m->size, bytes);
    atomic_store(&m->base, (uintptr_t)base);
    *out = m;
    *data = (char *)base + (offset - start);
    return HONE_OK;
}

void hone_mapping_free(void *mapping) {
    hone_mapping *m = mapping;
    void *base = (void *)atomic_load(&m->base);
    atomic_store(&m->base, 0); /* before others can have the addresses */
    munmap(base, atomic_load(&m->size));
    give_back(m);
}

/* --- what files lose --- */

/* The mapping that has the address, which somebody reads, so that it is not freed meanwhile. */
static hone_mapping *find(uintptr_t address) {
    for (hone_mapping *m = atomic_load(&all); m; m = m->next) {
        uintptr_t base = atomic_load(&m->base);
        if (!base || address < base || address - base >= atomic_load(&m->size)) continue;
        if (atomic_load(&m->base) == base) return m; /* else the size was another one's */
    }
    return NULL;
}

static bool put_zeros(hone_mapping *m, uintptr_t address) {
    uintptr_t start = address & ~(uintptr_t)(page_size - 1);
    uintptr_t end = atomic_load(&m->base) + atomic_load(&m->size);
    return mmap((void *)start, end - start, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) !=
           MAP_FAILED;
}

static void on_bus_error(int number, siginfo_t *info, void *context) {
    int code = errno;
    uintptr_t address = (uintptr_t)info->si_addr;
    hone_mapping *m = info->si_code == BUS_ADRERR ? find(address) : NULL;
    if (m && put_zeros(m, address)) {
        atomic_store(&m->cut, true);
        atomic_fetch_add(&cuts, 1);
    } else if (before.sa_flags & SA_SIGINFO) {
        before.sa_sigaction(number, info, context);
    } else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) {
        before.sa_handler(number);
    } else {
        signal(number, SIG_DFL);
        raise(number); /* as soon as this returns */
    }
    errno = code;
}

void hone_mapping_guard(void) {
    struct sigaction action = {.sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO | SA_ONSTACK}, there;
    sigemptyset(&action.sa_mask);
    pthread_mutex_lock(&lock);
    page_size = (size_t)sysconf(_SC_PAGESIZE);
    sigaction(SIGBUS, NULL, &there);
    if (!(there.sa_flags & SA_SIGINFO) || there.sa_sigaction != on_bus_error) {
        before = there;
        sigaction(SIGBUS, &action, NULL);
    }
    pthread_mutex_unlock(&lock);
}

unsigned hone_mapping_cuts(void) {
    return atomic_load_explicit(&cuts, memory_order_relaxed);
}

bool hone_mapping_is_cut(const hone_mapping *m) {
    return atomic_load(&m->cut);
}
