#include "ops/engine/reduce.h"

#include "graph/run.h"
#include "kernels/portable.h"
#include "ops/common/cut.h"
#include "ops/common/walk.h"

typedef struct params {
    hone_dtype dtype;
    const hone_folding *folding;
    hone_walk kept, reduced; /* all groups but the innermost: positions in the input */
    int64_t run;             /* elements of a contiguous run; or rows of `width` */
    int64_t width;           /* 0: the last group is reduced */
    bool short_runs;         /* of at least one element, one behind the other */
    hone_cut cut;            /* of the outputs */
    bool mean;
    int64_t divisor;
} params;

#define STRIP 1024 /* columns whose sums stay in the cache */

#define SHORT_RUN 16 /* elements: shorter runs of float32 are reduced side by side */
#define SIDE_BY_SIDE 64

typedef struct job {
    const params *p;
    const char *x;
    char *y;
} job;

static void divide(const params *p, void *y, int64_t n) {
    for (int64_t i = 0; i < n; i++) switch (p->dtype) {
        case HONE_FLOAT32: ((float *)y)[i] /= (float)p->divisor; break;
        case HONE_FLOAT64: ((double *)y)[i] /= (double)p->divisor; break;
        case HONE_INT32: ((int32_t *)y)[i] = (int32_t)(((int32_t *)y)[i] / p->divisor); break;
        case HONE_UINT32: ((uint32_t *)y)[i] = (uint32_t)(((uint32_t *)y)[i] / p->divisor); break;
        case HONE_UINT64: ((uint64_t *)y)[i] /= (uint64_t)p->divisor; break;
        default: ((int64_t *)y)[i] /= p->divisor;
        }
}

static void reduce_runs(void *arg, int64_t first, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const params *p = j->p;
    size_t size = hone_dtype_size(p->dtype);
    for (int64_t i = first; i < end; i++) {
        const char *x = j->x + (size_t)hone_walk_offset(&p->kept, i) * size;
        char *y = j->y + (size_t)i * size;
        if (p->reduced.count == 0) p->folding->run(x, 0, y, false);
        for (int64_t r = 0; r < p->reduced.count; r++)
            p->folding->run(x + (size_t)hone_walk_offset(&p->reduced, r) * size, p->run, y, r > 0);
    }
    if (p->mean) divide(p, j->y + (size_t)first * size, end - first);
}

/* The same of short runs that lie one behind the other: turned to rows, a vector of outputs at a time. */
static void reduce_short_runs(void *arg, int64_t first, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const params *p = j->p;
    const float *x = (const float *)(const void *)j->x;
    float *y = (float *)(void *)j->y, rows[SHORT_RUN * SIDE_BY_SIDE];
    for (int64_t i = first, count; i < end; i += count) {
        count = hone_min_i64(SIDE_BY_SIDE, end - i);
        hone_kernels_get()->transpose_32((const uint32_t *)(const void *)(x + i * p->run), count, p->run,
                                         p->run, (uint32_t *)(void *)rows, SIDE_BY_SIDE);
        p->folding->rows(rows, p->run, count, SIDE_BY_SIDE, y + i, false);
    }
    if (p->mean) divide(p, y + first, end - first);
}

static void reduce_strip(const job *j, int64_t outer, int64_t first, int64_t columns) {
    const params *p = j->p;
    size_t size = hone_dtype_size(p->dtype);
    const char *x = j->x + (size_t)(hone_walk_offset(&p->kept, outer) + first) * size;
    char *y = j->y + (size_t)(outer * p->width + first) * size;
    if (p->reduced.count == 0) p->folding->rows(x, 0, columns, p->width, y, false);
    for (int64_t r = 0; r < p->reduced.count; r++)
        p->folding->rows(x + (size_t)hone_walk_offset(&p->reduced, r) * size, p->run, columns, p->width, y,
                         r > 0);
    if (p->mean) divide(p, y, columns);
}

static void reduce_strips(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    int64_t width = j->p->width;
    for (int64_t i = begin, columns; i < end; i += columns) {
        columns = hone_min_i64(hone_min_i64(STRIP, width - i % width), end - i);
        reduce_strip(j, i / width, i % width, columns);
    }
}

static hone_status run(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    const params *p = step->params;
    job j = {p, hone_step_in(step, frame, 0), hone_step_out(step, frame, 0)};
    hone_cut_run(&p->cut, frame,
                 p->width        ? reduce_strips
                 : p->short_runs ? reduce_short_runs
                                 : reduce_runs,
                 &j);
    return HONE_OK;
}

static const char *const kernel_name[][2] = {[HONE_FOLD_SUM] = {"sum", "sum rows"},
                                             [HONE_FOLD_PRODUCT] = {"product", "product of rows"},
                                             [HONE_FOLD_MAX] = {"max", "max of rows"},
                                             [HONE_FOLD_MIN] = {"min", "min of rows"}};

hone_status hone_reduce_prepare(hone_prepare *p, const hone_type *x, const bool *mask, hone_fold fold,
                                bool mean, hone_error *err) {
    params *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    int64_t dims[HONE_MAX_RANK], strides[HONE_MAX_RANK], stride = 1, outputs = 1;
    bool reduced[HONE_MAX_RANK];
    int groups = 0;
    q->dtype = x->dtype;
    q->folding =
        x->dtype == HONE_FLOAT32 ? &hone_kernels_get()->fold_f32[fold] : hone_folding_of(x->dtype, fold);
    q->mean = mean;
    q->divisor = 1;
    hone_walk_init(&q->kept);
    hone_walk_init(&q->reduced);
    for (int i = x->rank - 1; i >= 0; stride *= x->dims[i--]) { /* innermost first */
        if (mask[i])
            q->divisor *= x->dims[i];
        else
            outputs *= x->dims[i];
        if (x->dims[i] == 1) continue;
        if (groups && reduced[groups - 1] == mask[i])
            dims[groups - 1] *= x->dims[i];
        else {
            dims[groups] = x->dims[i];
            strides[groups] = stride;
            reduced[groups++] = mask[i];
        }
    }
    int taken = 0;
    q->run = 1;
    if (groups && reduced[0]) {
        q->run = dims[taken++];
    } else if (groups) {
        q->width = dims[taken++];
        if (groups > 1) q->run = dims[taken++];
    }
    for (int i = groups - 1; i >= taken; i--)
        hone_walk_add(reduced[i] ? &q->reduced : &q->kept, dims[i], strides[i]);
    if (outputs == 0) { /* nothing to do */
        q->kept.count = 0;
        q->width = 0;
    }
    /* also a single one: a row alone is summed in the same order as among others */
    q->short_runs = x->dtype == HONE_FLOAT32 && groups > 0 && groups <= 2 && reduced[0] && q->run > 0 &&
                    q->run <= SHORT_RUN;
    double sum = 0.1 * (double)q->reduced.count * (double)q->run;
    q->cut = q->width ? hone_cut_make(q->kept.count * q->width, sum, 64)
                      : hone_cut_make(q->kept.count, sum + 5, 1);
    if (mean && q->divisor == 0 && !(HONE_TYPES_FLOAT & HONE_TYPE(q->dtype)))
        return hone_prepare_fail(p, err, "the integer mean of no elements");
    p->params = q;
    p->run = run;
    p->kernel = kernel_name[fold][q->width != 0];
    return HONE_OK;
}
