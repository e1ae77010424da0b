#include "ops/common/cut.h"

enum { TASK_MOST = 40000, TASK_LEAST = 2500, TASKS = 24 };

double hone_task_nanoseconds(double work) {
    double task = work / TASKS;
    return task > TASK_MOST ? TASK_MOST : task > TASK_LEAST ? task : TASK_LEAST;
}

hone_cut hone_cut_make(int64_t count, double nanoseconds, int64_t unit) {
    hone_cut c = {count, count > 0 ? count : 1, (double)count * nanoseconds};
    double units = hone_task_nanoseconds(c.nanoseconds) / (nanoseconds * (double)unit);
    if (units * (double)unit < (double)count) c.each = (units < 1.5 ? 1 : (int64_t)(units + 0.5)) * unit;
    return c;
}

typedef struct ranges {
    const hone_cut *cut;
    hone_range_fn *fn;
    void *arg;
} ranges;

static void run_task(void *arg, int64_t task, int worker) {
    const ranges *r = arg;
    int64_t begin = task * r->cut->each, end = begin + r->cut->each;
    r->fn(r->arg, begin, end < r->cut->count ? end : r->cut->count, worker);
}

void hone_cut_run(const hone_cut *c, const hone_frame *frame, hone_range_fn *fn, void *arg) {
    hone_pool *pool = hone_frame_pool(frame, c->nanoseconds);
    ranges r = {c, fn, arg};
    if (hone_pool_threads(pool) > 1)
        hone_pool_run(pool, hone_cut_tasks(c), run_task, &r);
    else if (c->count > 0)
        fn(arg, 0, c->count, 0);
}
