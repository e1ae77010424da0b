/* GatherMean: means of gathered rows, bag by bag. Y[n] = the mean of X[indices[n, t]] over t. */
#include "graph/infer.h"
#include "graph/run.h"
#include "kernels/kernels.h"
#include "kernels/positions.h"
#include "ops/common/cut.h"
#include "ops/common/walk.h"

#include <stdatomic.h>

static hone_status infer(hone_infer *ctx, hone_error *err) {
    const hone_type *x = ctx->in[0], *index = ctx->in[1];
    if (x->rank < 0 || index->rank < 0) return HONE_OK;
    if (x->rank != 2 || index->rank != 2)
        return hone_infer_fail(ctx, err, "a table and bags must have rank 2");
    hone_type *y = &ctx->out[0];
    y->rank = hone_node_int(ctx->node, "keepdims") ? 3 : 2;
    y->dims[0] = index->dims[0];
    y->dims[1] = 1;
    y->dims[y->rank - 1] = x->dims[1];
    return HONE_OK;
}

typedef struct params {
    int64_t rows, width, bags, each;
    bool wide;
    hone_cut cut;
} params;

typedef struct job {
    const params *p;
    const hone_step *step;
    const hone_frame *frame;
    const float *x;
    const char *index;
    float *y;
    _Atomic int64_t bad; /* a position whose index is out of range; -1: none */
} job;

static void run_bags(void *arg, int64_t begin, int64_t end, int worker) {
    job *j = arg;
    const params *p = j->p;
    int64_t *at = hone_step_worker_scratch(j->step, j->frame, worker);
    float *share = (float *)(void *)(at + p->each);
    for (int64_t t = 0; t < p->each; t++) share[t] = 1 / (float)p->each;
    for (int64_t i = begin; i < end; i++) {
        const void *index = j->index + (size_t)(i * p->each) * (p->wide ? sizeof(int64_t) : sizeof(int32_t));
        const int64_t bad = hone_positions(index, p->wide, p->each, p->rows, 0, 1, 0, at);
        if (bad >= 0) {
            j->bad = i * p->each + bad;
            return;
        }
        hone_kernels_get()->weigh_rows_f32(j->x, p->width, at, share, (int)p->each, p->width,
                                           j->y + i * p->width);
    }
}

static hone_status run(const hone_step *step, hone_frame *frame, hone_error *err) {
    const params *p = step->params;
    job j = {.p = p,
             .step = step,
             .frame = frame,
             .x = hone_step_in(step, frame, 0),
             .index = hone_step_in(step, frame, 1),
             .y = hone_step_out(step, frame, 0),
             .bad = -1};
    hone_cut_run(&p->cut, frame, run_bags, &j);
    if (j.bad < 0) return HONE_OK;
    return hone_step_fail(step, err, "an index at position %lld is outside of an axis of %lld",
                          (long long)j.bad, (long long)p->rows);
}

static hone_status prepare(hone_prepare *p, hone_error *err) {
    const hone_type *x = p->in[0], *index = p->in[1];
    params *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    *q = (params){.rows = x->dims[0],
                  .width = x->dims[1],
                  .bags = index->dims[0],
                  .each = index->dims[1],
                  .wide = index->dtype == HONE_INT64};
    if (q->each > INT32_MAX || q->each == 0)
        return hone_prepare_fail(p, err, "bags of %lld", (long long)q->each);
    q->cut = hone_cut_make(q->bags, 10 + (double)q->each * (4 + 0.1 * (double)q->width), 1);
    p->worker_scratch = (size_t)q->each * (sizeof(int64_t) + sizeof(float));
    p->params = q;
    p->run = run;
    p->kernel = "gather_mean";
    return HONE_OK;
}

const hone_op hone_op_gather_mean = {
    .domain = HONE_PRIVATE_DOMAIN,
    .name = "GatherMean",
    .since = 1,
    .oldest = 1,
    .inputs = HONE_SLOTS({"data", 'T', HONE_TYPE(HONE_FLOAT32), 0}, {"indices", 0, HONE_TYPES_INT, 0}),
    .outputs = HONE_SLOTS({"Y", 'T', HONE_TYPE(HONE_FLOAT32), 0}),
    .attrs = HONE_ATTRS({"keepdims", HONE_ATTR_INT}),
    .infer = infer,
    .prepare = prepare,
    .doc = "the mean of the rows that each bag of indices takes from a table"};
