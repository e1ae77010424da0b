/* Processes that compute together, MPI's "ranks", as each of them sees the others. By default there is one. */
#ifndef HONE_BASE_RANKS_H
#define HONE_BASE_RANKS_H

#include <hone/error.h>

#include <stdbool.h>
#include <stddef.h>

typedef enum hone_rank_type { HONE_RANKS_F32, HONE_RANKS_F64 } hone_rank_type;

/* All ranks call the same functions in the same order. A function returns NULL, or what went wrong. */
typedef struct hone_ranks {
    int rank, count; /* which of how many */
    int here;        /* how many of them are on this machine */
    const char *(*sum)(void *x, size_t n,
                       hone_rank_type type);     /* over all ranks, in place: the same bits in each */
    const char *(*share)(void *x, size_t bytes); /* becomes what rank 0 has */
    void (*end)(bool failed);                    /* failed: ends all other ranks, too, and does not return */
} hone_ranks;

/* What the module for MPI exports, by this name: starts MPI. NULL: `*why` says what went wrong. */
typedef const hone_ranks *hone_ranks_start_fn(const char **why);
#define HONE_RANKS_START "hone_ranks_start"

const hone_ranks *hone_ranks_get(void);
hone_status hone_ranks_sum(void *x, size_t n, hone_rank_type type, hone_error *err);
hone_status hone_ranks_share(void *x, size_t bytes, hone_error *err);

#endif
