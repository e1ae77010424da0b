/* Work of many like items, cut into tasks by what it costs: some 40 µs each, beside which a hand-off is little, and as
 * many as that makes, for any number of threads. Work that makes few of them is cut finer: into some 24, down to 2.5 µs
 * each. The number of threads never has a say, so a cut is the same wherever it is made. */
#ifndef HONE_OPS_COMMON_CUT_H
#define HONE_OPS_COMMON_CUT_H

#include "graph/run.h"

typedef struct hone_cut {
    int64_t count, each; /* items in all and of a task, both at least 0 and 1 */
    double nanoseconds;  /* of all */
} hone_cut;

/* Nanoseconds that a task should take when all the work takes so many. */
double hone_task_nanoseconds(double work);
/* `count` items of about `nanoseconds` each, `unit` of which stay together. */
hone_cut hone_cut_make(int64_t count, double nanoseconds, int64_t unit);
static inline int64_t hone_cut_tasks(const hone_cut *c) {
    return (c->count + c->each - 1) / c->each;
}

/* Items [begin, end), begin a multiple of `each`. */
typedef void hone_range_fn(void *arg, int64_t begin, int64_t end, int worker);
/* Runs all items: task by task on the frame's pool, or in one call where the work stays on the caller. */
void hone_cut_run(const hone_cut *c, const hone_frame *frame, hone_range_fn *fn, void *arg);

#endif
