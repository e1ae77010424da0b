/* How long processes that train together take to sum gradients: mpirun -n 4 bench_ranks [MOST]
 *
 * For 1, 16, 256 … to MOST (default 2^26) floats: the time of a sum, the median of several, and the rate at which each process
 * gets its gradients. docs/scale.md makes efficiencies of it. */
#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/ranks.h"

#include <hone/ranks.h>

#include <stdio.h>
#include <stdlib.h>

enum { RUNS = 31 };

static int by_size(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static hone_status measure(float *x, size_t n, hone_error *err) {
    double seconds[RUNS];
    for (int i = -2; i < RUNS; i++) {
        double began = hone_seconds_now();
        HONE_TRY(hone_ranks_sum(x, n, HONE_RANKS_F32, err));
        if (i >= 0) seconds[i] = hone_seconds_now() - began;
    }
    qsort(seconds, RUNS, sizeof *seconds, by_size);
    if (hone_rank() == 0)
        printf("%10zu floats %12.1f us %10.1f MB/s\n", n, seconds[RUNS / 2] * 1e6,
               (double)(n * sizeof(float)) / seconds[RUNS / 2] / 1e6);
    return HONE_OK;
}

int main(int argc, char **argv) {
    size_t most = argc > 1 ? strtoull(argv[1], NULL, 10) : (size_t)1 << 26;
    hone_error err = {0};
    hone_status status = hone_ranks_begin(&err);
    float *x = hone_calloc(most + 1, sizeof *x);
    if (status == HONE_OK && hone_rank() == 0) printf("%d processes\n", hone_rank_count());
    for (size_t n = 1; x && n <= most && status == HONE_OK; n *= 16) status = measure(x, n, &err);
    if (status != HONE_OK) fprintf(stderr, "bench_ranks: %s\n", err.message);
    hone_ranks_end(status != HONE_OK);
    hone_free(x);
    return status != HONE_OK;
}
