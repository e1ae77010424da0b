#include "base/ranks.h"

#include "base/error.h"

#include <hone/ranks.h>

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *alone_sum(void *x, size_t n, hone_rank_type type) {
    (void)x, (void)n, (void)type;
    return NULL;
}

static const char *alone_share(void *x, size_t bytes) {
    (void)x, (void)bytes;
    return NULL;
}

static void alone_end(bool failed) {
    (void)failed;
}

static const hone_ranks alone = {0, 1, 1, alone_sum, alone_share, alone_end};
static const hone_ranks *current = &alone;

const hone_ranks *hone_ranks_get(void) {
    return current;
}

/* How many ranks the program that started this process says that there are: Open MPI, MPICH and its kin, Slurm. */
static int expected(void) {
    static const char *const names[] = {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *text = getenv(names[i]);
        int count = text ? atoi(text) : 0;
        if (count > 1) return count;
    }
    return 1;
}

/* Beside this library or program, else where the system looks. MPI looks for its own parts among the names of the process. */
static void *open_module(void) {
    union {
        hone_status (*function)(hone_error *err);
        void *address;
    } here = {hone_ranks_begin};
    Dl_info info;
    char path[4096];
    const char *slash = dladdr(here.address, &info) && info.dli_fname ? strrchr(info.dli_fname, '/') : NULL;
    void *module = NULL;
    if (slash && snprintf(path, sizeof path, "%.*s/libhone_mpi.so", (int)(slash - info.dli_fname),
                          info.dli_fname) < (int)sizeof path)
        module = dlopen(path, RTLD_NOW | RTLD_GLOBAL);
    return module ? module : dlopen("libhone_mpi.so", RTLD_NOW | RTLD_GLOBAL);
}

hone_status hone_ranks_begin(hone_error *err) {
    int count = expected();
    if (count == 1 || current != &alone) return HONE_OK;
    void *module = open_module();
    if (!module)
        return hone_fail(
            err, HONE_UNSUPPORTED,
            "this is one of %d processes of mpirun, and the part of Hone for that is not there: %s "
            "(it is built where MPI's development files are)",
            count, dlerror());
    union {
        void *symbol;
        hone_ranks_start_fn *start;
    } found = {dlsym(module, HONE_RANKS_START)};
    const char *why = "it has no function " HONE_RANKS_START;
    const hone_ranks *ranks = found.symbol ? found.start(&why) : NULL;
    if (!ranks) return hone_fail(err, HONE_UNAVAILABLE, "MPI does not start: %s", why);
    current = ranks;
    return HONE_OK;
}

void hone_ranks_end(bool failed) {
    const hone_ranks *r = current;
    current = &alone;
    r->end(failed);
}

int hone_rank(void) {
    return current->rank;
}

int hone_rank_count(void) {
    return current->count;
}

static hone_status check(const char *why, hone_error *err) {
    return why ? hone_fail(err, HONE_UNAVAILABLE, "the other processes of the training cannot be reached: %s",
                           why)
               : HONE_OK;
}

hone_status hone_ranks_sum(void *x, size_t n, hone_rank_type type, hone_error *err) {
    return check(current->sum(x, n, type), err);
}

hone_status hone_ranks_share(void *x, size_t bytes, hone_error *err) {
    return check(current->share(x, bytes), err);
}
