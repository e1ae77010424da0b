/* Training on several machines: each process that `mpirun` starts takes its part of every batch.
 *
 *     mpirun -n 4 --host a,b,c,d PROGRAM …
 *
 * A program calls hone_ranks_begin() at its start, hone_train() as ever, with the same options in all processes, and
 * hone_ranks_end() at its end. What is to be written or printed once is for rank 0; hone_train() itself writes checkpoints
 * and tells its progress only there. docs/scale.md says what is exchanged. */
#ifndef HONE_RANKS_H
#define HONE_RANKS_H

#include <hone/error.h>

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Joins the others if mpirun started this process, by libhone_mpi.so, which is loaded only then; else does nothing.
 * HONE_UNSUPPORTED: it is not there. To be called by the thread that trains, before others are started. */
HONE_API hone_status hone_ranks_begin(hone_error *err);
/* Leaves the others. `failed`: ends them all, and this process with status 1, since they would wait for it in vain. */
HONE_API void hone_ranks_end(bool failed);
/* Which process this is, from 0, and of how many. 0 of 1 before hone_ranks_begin(). */
HONE_API int hone_rank(void);
HONE_API int hone_rank_count(void);

#ifdef __cplusplus
}
#endif

#endif
