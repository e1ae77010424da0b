/* RowsStep: an optimizer's step for the rows of a table that were gathered, whose gradients are sums of what flows to each of
 * them. The others, weights and state, stay as they are: the optimizer was allowed that ("lazy").
 *
 *   indices ──► the rows that there are, and where their gradients lie ──► some rows at a time: ┌ W, state, sum of dY ┐
 *                                                                                                └ the optimizer's map ┘ */
#include "graph/infer.h"
#include "graph/run.h"
#include "kernels/kernels.h"
#include "kernels/positions.h"
#include "ops/common/cut.h"
#include "ops/common/rows.h"
#include "ops/common/walk.h"
#include "ops/engine/elementwise.h"

#include <string.h>

#define FLOAT HONE_TYPE(HONE_FLOAT32)
#define BLOCK 2048 /* elements of the rows that are stepped together, about */
#define TABLES 3   /* W and two states, at most */

enum { DY = HONE_ROWS_DY, INDICES = HONE_ROWS_INDICES, NUMBERS = HONE_ROWS_NUMBERS };

static hone_status infer(hone_infer *ctx, hone_error *err) {
    (void)err;
    for (int o = 0; o < ctx->output_count; o++) ctx->out[o] = *ctx->in[0];
    return HONE_OK;
}

typedef struct params {
    const hone_elementwise *step;
    int tables, inputs;                      /* inputs: of the map */
    int64_t rows, width, count, each, block; /* each: indices that share a row of dY */
    bool wide;
    size_t at_slots, at_found, at_starts, at_order; /* in scratch */
    size_t at_buffers, buffer;                      /* in worker scratch */
    double nanoseconds;                             /* of a row */
} params;

typedef struct job {
    const params *p;
    const hone_step *step;
    const hone_frame *frame;
    const float *dy;
    float *in[TABLES], *out[TABLES];
    int32_t *slots;  /* [rows]: which of the found ones; -1: none */
    int32_t *found;  /* rows, as they come */
    int32_t *starts; /* where the indices of a found one begin in `order` */
    int32_t *order;
    int64_t unique;
} job;

static int64_t index_at(const params *p, const void *index, int64_t i) {
    const int64_t at = p->wide ? ((const int64_t *)index)[i] : ((const int32_t *)index)[i];
    return at < 0 ? at + p->rows : at;
}

/* Finds the rows, and sorts indices by them, those of a row in order. */
static hone_status sort(job *j, const void *index, hone_error *err) {
    const params *p = j->p;
    memset(j->slots, 0xff, (size_t)p->rows * sizeof *j->slots);
    for (int64_t i = 0; i < p->count; i++) {
        const int64_t row = index_at(p, index, i);
        if (row < 0 || row >= p->rows)
            return hone_step_fail(j->step, err, "an index at position %lld is outside of an axis of %lld",
                                  (long long)i, (long long)p->rows);
        if (j->slots[row] < 0) {
            j->slots[row] = (int32_t)j->unique;
            j->starts[j->unique] = 0;
            j->found[j->unique++] = (int32_t)row;
        }
        j->starts[j->slots[row]]++;
    }
    int32_t end = 0;
    for (int64_t i = 0; i < j->unique; i++) end = j->starts[i] += end;
    j->starts[j->unique] = end;
    for (int64_t i = p->count - 1; i >= 0; i--)
        j->order[--j->starts[j->slots[index_at(p, index, i)]]] = (int32_t)i;
    return HONE_OK;
}

static void step_rows(void *arg, int64_t begin, int64_t end, int worker) {
    const job *j = arg;
    const params *p = j->p;
    const size_t row = (size_t)p->width * sizeof(float);
    char *scratch = hone_step_worker_scratch(j->step, j->frame, worker);
    float *buffers = (float *)(void *)(scratch + p->at_buffers), *sums = buffers + 2 * TABLES * p->buffer;
    void *in[HONE_ROWS_INPUTS] = {NULL}, *out[TABLES] = {NULL};
    for (int t = 0; t < p->tables; t++) {
        in[t] = buffers + (size_t)t * p->buffer;
        out[t] = buffers + (size_t)(TABLES + t) * p->buffer;
    }
    in[DY] = sums;
    for (int i = NUMBERS; i < p->inputs; i++) in[i] = hone_step_in(j->step, j->frame, i);
    for (int64_t at = begin, count; at < end; at += count) {
        count = hone_min_i64(p->block, end - at);
        for (int64_t i = 0; i < count; i++) {
            for (int t = 0; t < p->tables; t++)
                memcpy((float *)in[t] + i * p->width, j->in[t] + j->found[at + i] * p->width, row);
            float *sum = sums + i * p->width;
            memset(sum, 0, row);
            for (int32_t k = j->starts[at + i]; k < j->starts[at + i + 1]; k++)
                hone_kernels_get()->add_f32(sum, j->dy + j->order[k] / p->each * p->width, p->width);
        }
        if (p->each > 1)
            for (int64_t i = 0; i < count * p->width; i++) sums[i] *= 1 / (float)p->each;
        hone_elementwise_run(p->step, in, out, 0, count * p->width, scratch);
        for (int t = 0; t < p->tables; t++)
            for (int64_t i = 0; i < count && j->out[t]; i++)
                memcpy(j->out[t] + j->found[at + i] * p->width, (float *)out[t] + i * p->width, row);
    }
}

static hone_status run(const hone_step *step, hone_frame *frame, hone_error *err) {
    const params *p = step->params;
    char *scratch = hone_step_scratch(step, frame);
    job j = {.p = p, .step = step, .frame = frame, .dy = hone_step_in(step, frame, DY)};
    j.slots = (int32_t *)(void *)(scratch + p->at_slots);
    j.found = (int32_t *)(void *)(scratch + p->at_found);
    j.starts = (int32_t *)(void *)(scratch + p->at_starts);
    j.order = (int32_t *)(void *)(scratch + p->at_order);
    HONE_TRY(sort(&j, hone_step_in(step, frame, INDICES), err));
    for (int t = 0; t < p->tables; t++) {
        j.in[t] = hone_step_in(step, frame, t);
        j.out[t] = hone_step_out(step, frame, t);
        if (j.out[t] && j.out[t] != j.in[t])
            memcpy(j.out[t], j.in[t], (size_t)(p->rows * p->width) * sizeof(float));
    }
    const double each = p->nanoseconds * (double)p->count / (double)(j.unique ? j.unique : 1);
    const hone_cut cut = hone_cut_make(j.unique, each, p->block);
    hone_cut_run(&cut, frame, step_rows, &j);
    return HONE_OK;
}

static size_t take(size_t *at, size_t bytes) {
    const size_t before = *at;
    *at += (bytes + 63) / 64 * 64;
    return before;
}

static hone_status prepare(hone_prepare *p, hone_error *err) {
    const hone_type *w = p->in[0], *dy = p->in[DY], *index = p->in[INDICES];
    params *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    q->rows = w->dims[0];
    q->width = hone_dims_product(w, 1, w->rank);
    q->count = hone_type_count(index);
    q->wide = index->dtype == HONE_INT64;
    q->tables = p->out_count;
    q->inputs = p->in_count;
    const int64_t given = q->width ? hone_type_count(dy) / q->width : 0;
    if (q->rows > INT32_MAX || q->count >= INT32_MAX) return hone_prepare_fail(p, err, "too many rows");
    if (q->width == 0 || q->count == 0) q->count = 0;
    if (q->count && (given == 0 || q->count % given))
        return hone_prepare_fail(p, err, "%lld rows of gradients for %lld indices", (long long)given,
                                 (long long)q->count);
    q->each = q->count ? q->count / given : 1;
    q->block = hone_max_i64(BLOCK / hone_max_i64(q->width, 1), 1);
    q->buffer = ((size_t)(q->block * q->width) + 15) / 16 * 16;
    hone_type rows = hone_type_make(HONE_FLOAT32, 1, (int64_t[]){q->block * q->width});
    const hone_type *in[HONE_ROWS_INPUTS] = {NULL};
    for (int t = 0; t < q->tables; t++) in[t] = &rows;
    in[DY] = &rows;
    for (int i = NUMBERS; i < p->in_count; i++) in[i] = p->in[i];
    hone_elementwise *step = NULL;
    HONE_TRY(hone_elementwise_prepare(p, p->node->map, in, &rows, &step, err));
    q->step = step;
    q->nanoseconds = 20 + 0.3 * (double)q->width;
    size_t scratch = 0;
    q->at_slots = take(&scratch, (size_t)q->rows * sizeof(int32_t));
    q->at_found = take(&scratch, (size_t)q->count * sizeof(int32_t));
    q->at_starts = take(&scratch, (size_t)(q->count + 1) * sizeof(int32_t));
    q->at_order = take(&scratch, (size_t)q->count * sizeof(int32_t));
    p->scratch = scratch;
    q->at_buffers = (hone_elementwise_scratch(step) + 63) / 64 * 64;
    p->worker_scratch = q->at_buffers + (2 * TABLES + 1) * q->buffer * sizeof(float);
    p->params = q;
    p->run = run;
    p->kernel = "rows";
    return HONE_OK;
}

const hone_op hone_op_rows_step = {
    .domain = HONE_PRIVATE_DOMAIN,
    .name = "RowsStep",
    .since = 1,
    .oldest = 1,
    .inputs = HONE_SLOTS({"W", 'T', FLOAT, 0}, {"first", 'T', FLOAT, HONE_SLOT_OPTIONAL},
                         {"second", 'T', FLOAT, HONE_SLOT_OPTIONAL}, {"dY", 'T', FLOAT, 0},
                         {"indices", 0, HONE_TYPES_INT, 0}, {"numbers", 'T', FLOAT, HONE_SLOT_VARIADIC}),
    .outputs = HONE_SLOTS({"W_new", 'T', FLOAT, 0}, {"first_new", 'T', FLOAT, HONE_SLOT_OPTIONAL},
                          {"second_new", 'T', FLOAT, HONE_SLOT_OPTIONAL}),
    .infer = infer,
    .prepare = prepare,
    .overwrite = 7,
    .doc = "an optimizer's step for those rows of a table that were gathered"};
