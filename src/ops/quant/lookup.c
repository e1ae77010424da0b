/* Lookup: y[i] = values[the bits of x[i]]. */
#include "graph/infer.h"
#include "graph/run.h"
#include "kernels/portable.h"
#include "ops/common/axes.h"
#include "ops/common/cut.h"

#define CODES 256

typedef struct params {
    hone_cut cut;
    size_t size; /* of a value */
} params;

typedef struct job {
    size_t size;
    const void *table;
    const uint8_t *x;
    char *y;
} job;

static void run_range(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    hone_lookup(j->table, j->size, j->x + begin, j->y + (size_t)begin * j->size, end - begin);
}

static hone_status run(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    const params *p = step->params;
    job j = {p->size, hone_step_in(step, frame, 1), hone_step_in(step, frame, 0),
             hone_step_out(step, frame, 0)};
    hone_cut_run(&p->cut, frame, run_range, &j);
    return HONE_OK;
}

static hone_status prepare(hone_prepare *p, hone_error *err) {
    params *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    *q = (params){hone_cut_make(hone_type_count(p->in[0]), 0.3, 64), hone_dtype_size(p->out[0].dtype)};
    p->params = q;
    p->run = run;
    p->kernel = "lookup";
    return HONE_OK;
}

static hone_status infer(hone_infer *ctx, hone_error *err) {
    const hone_type *values = ctx->in[1];
    if (hone_type_is_concrete(values) && hone_type_count(values) != CODES)
        return hone_infer_fail(ctx, err, "the table must have %d values", CODES);
    return hone_infer_same(ctx, err);
}

static void axes(const hone_node *n, hone_axes *out) {
    for (int i = 0; i < n->inputs[0]->type.rank; i++) hone_axes_same(out, 0, i, i);
}

const hone_op hone_op_lookup = {
    .domain = HONE_PRIVATE_DOMAIN,
    .name = "Lookup",
    .since = 1,
    .oldest = 1,
    .inputs = HONE_SLOTS({"X", 0, HONE_TYPES_BYTE, 0}, {"values", 'T', HONE_TYPES_FIXED, 0}),
    .outputs = HONE_SLOTS({"Y", 'T', HONE_TYPES_FIXED, 0}),
    .infer = infer,
    .axes = axes,
    .overwrite = 1,
    .prepare = prepare,
    .doc = "for each of the 256 values of X another one: elementwise work on bytes"};
