/* libhone_mpi.so: base/ranks.h by MPI. Loaded when mpirun has started the process, so that nothing else needs MPI. */
#include "base/ranks.h"

#include <limits.h>
#include <mpi.h>
#include <stdint.h>

/* Of a call of MPI: NULL, or its own words for what went wrong. */
static const char *explain(int code) {
    static char text[MPI_MAX_ERROR_STRING];
    int length;
    if (code == MPI_SUCCESS) return NULL;
    if (MPI_Error_string(code, text, &length) != MPI_SUCCESS) return "an error that MPI does not know";
    return text;
}

/* MPI counts by int. */
enum { PIECE = 1 << 28 };

static const char *sum(void *x, size_t n, hone_rank_type type) {
    const size_t size = type == HONE_RANKS_F32 ? sizeof(float) : sizeof(double);
    const char *why = NULL;
    for (size_t at = 0; at < n && !why; at += PIECE) {
        const size_t count = n - at < PIECE ? n - at : PIECE;
        why =
            explain(MPI_Allreduce(MPI_IN_PLACE, (char *)x + at * size, (int)count,
                                  type == HONE_RANKS_F32 ? MPI_FLOAT : MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD));
    }
    return why;
}

static const char *share(void *x, size_t bytes) {
    const char *why = NULL;
    for (size_t at = 0; at < bytes && !why; at += PIECE)
        why = explain(MPI_Bcast((char *)x + at, (int)(bytes - at < PIECE ? bytes - at : PIECE), MPI_BYTE, 0,
                                MPI_COMM_WORLD));
    return why;
}

static void end(bool failed) {
    if (failed) MPI_Abort(MPI_COMM_WORLD, 1);
    MPI_Finalize();
}

static hone_ranks ranks = {.sum = sum, .share = share, .end = end};

static const char *look(void) {
    MPI_Comm near;
    const char *why = explain(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN));
    if (!why) why = explain(MPI_Comm_rank(MPI_COMM_WORLD, &ranks.rank));
    if (!why) why = explain(MPI_Comm_size(MPI_COMM_WORLD, &ranks.count));
    if (!why)
        why = explain(MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &near));
    if (!why) why = explain(MPI_Comm_size(near, &ranks.here));
    if (!why) why = explain(MPI_Comm_free(&near));
    return why;
}

__attribute__((visibility("default"))) hone_ranks_start_fn hone_ranks_start;

const hone_ranks *hone_ranks_start(const char **why) {
    int has;
    if ((*why = explain(MPI_Init_thread(NULL, NULL, MPI_THREAD_SERIALIZED, &has)))) return NULL;
    if (has < MPI_THREAD_SERIALIZED) {
        *why = "it is built without threads";
        return NULL;
    }
    return (*why = look()) ? NULL : &ranks;
}
