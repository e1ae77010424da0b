#include "base/bits.h"
#include "graph/infer.h"
#include "graph/run.h"
#include "kernels/portable.h"
#include "ops/common/axes.h"
#include "ops/common/cut.h"
#include "ops/common/walk.h"

#include <string.h>

/* perm as an array; the default reverses. False if it is no permutation of the axes. */
static bool permutation(const hone_node *n, int rank, int *perm) {
    size_t count;
    const int64_t *given = hone_node_ints(n, "perm", &count);
    bool seen[HONE_MAX_RANK] = {false};
    if (given && count != (size_t)rank) return false;
    for (int i = 0; i < rank; i++) {
        int64_t a = given ? given[i] : rank - 1 - i;
        if (a < 0 || a >= rank || seen[a]) return false;
        seen[a] = true;
        perm[i] = (int)a;
    }
    return true;
}

static hone_status infer(hone_infer *ctx, hone_error *err) {
    const hone_type *x = ctx->in[0];
    int perm[HONE_MAX_RANK];
    if (x->rank < 0) return HONE_OK;
    if (!permutation(ctx->node, x->rank, perm))
        return hone_infer_fail(ctx, err, "perm is no permutation of %d axes", x->rank);
    ctx->out[0].rank = x->rank;
    for (int i = 0; i < x->rank; i++) ctx->out[0].dims[i] = x->dims[perm[i]];
    return HONE_OK;
}

static void axes(const hone_node *n, hone_axes *out) {
    int perm[HONE_MAX_RANK], rank = n->inputs[0]->type.rank;
    if (rank < 0 || !permutation(n, rank, perm)) return;
    for (int i = 0; i < rank; i++)
        hone_axes_add(out, (hone_axis_link){HONE_AXIS_SAME, .axis = perm[i], .output_axis = i});
}

/* Axes of one element may go anywhere: nothing moves. */
static bool view(const hone_infer *ctx, int output, hone_view *v) {
    const hone_type *x = ctx->in[0];
    int perm[HONE_MAX_RANK], last = -1;
    if (!permutation(ctx->node, x->rank, perm)) return false;
    for (int i = 0; i < x->rank; i++) {
        if (x->dims[perm[i]] == 1) continue;
        if (perm[i] < last) return false;
        last = perm[i];
    }
    return hone_view_whole(ctx, output, v);
}

static void gradient(hone_gradient *ctx) {
    hone_value *d = HONE_EMIT(ctx->graph, "", "Transpose", ctx->dout[0]);
    size_t count;
    if (d && hone_node_ints(ctx->node, "perm", &count)) {
        int perm[HONE_MAX_RANK];
        int64_t back[HONE_MAX_RANK];
        permutation(ctx->node, (int)count, perm);
        for (int i = 0; i < (int)count; i++) back[perm[i]] = i;
        hone_node_set_ints(ctx->graph, d->producer, "perm", back, count);
    }
    ctx->din[0] = d;
}

/* After merging axes that stay neighbours, the output's last axis either is contiguous in the input, too
 * (rows are copied), or it and the axis that is contiguous there span matrices to transpose. */
typedef struct params {
    size_t size; /* bytes of an element; 0: it has `bits` and is moved for itself */
    int bits;
    hone_transpose_fn *transpose; /* NULL: copy rows */
    hone_walk outer_in, outer_out;
    int64_t rows, columns, x_row, y_row;
    hone_cut cut; /* of the rows to copy, of the columns of all matrices, or of the elements */
} params;

#define STRIP 128 /* columns at a time */

typedef struct job {
    const params *p;
    const char *x;
    char *y;
} job;

static void copy_rows(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const params *p = j->p;
    size_t bytes = (size_t)p->columns * p->size;
    for (int64_t i = begin; i < end; i++)
        memcpy(j->y + (size_t)i * bytes, j->x + (size_t)hone_walk_offset(&p->outer_in, i) * p->size, bytes);
}

static void transpose_strips(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const params *p = j->p;
    for (int64_t i = begin, count; i < end; i += count) {
        int64_t matrix = i / p->columns, first = i % p->columns;
        int64_t in = hone_walk_offset(&p->outer_in, matrix) + first;
        int64_t out = hone_walk_offset(&p->outer_out, matrix) + first * p->y_row;
        count = hone_min_i64(hone_min_i64(STRIP, p->columns - first), end - i);
        p->transpose(j->x + (size_t)in * p->size, p->rows, count, p->x_row, j->y + (size_t)out * p->size,
                     p->y_row);
    }
}

/* Output elements one by one, row by row: in a row they lie x_row apart in the input. */
static void move_packed(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const params *p = j->p;
    if (end > begin && end == p->cut.count)
        j->y[(end - 1) * p->bits / 8] = 0; /* its last bits may be nobody's */
    for (int64_t to = begin; to < end;) {
        int64_t column = to % p->columns, stop = hone_min_i64(end, to - column + p->columns);
        int64_t from = hone_walk_offset(&p->outer_in, to / p->columns) + column * p->x_row;
        for (; to < stop; to++, from += p->x_row)
            hone_bits_set(j->y, to, p->bits, hone_bits_get(j->x, from, p->bits));
    }
}

static hone_status run(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    const params *p = step->params;
    job j = {p, hone_step_in(step, frame, 0), hone_step_out(step, frame, 0)};
    hone_range_fn *move = p->size == 0 ? move_packed : p->transpose ? transpose_strips : copy_rows;
    hone_cut_run(&p->cut, frame, move, &j);
    return HONE_OK;
}

/* The output's axes, merged: sizes, and their strides in the input. */
static int merge(const hone_prepare *p, int64_t *dims, int64_t *strides) {
    const hone_type *x = p->in[0];
    int perm[HONE_MAX_RANK], rank = 0;
    int64_t stride[HONE_MAX_RANK], s = 1;
    permutation(p->node, x->rank, perm);
    for (int i = x->rank - 1; i >= 0; i--) {
        stride[i] = s;
        s *= x->dims[i];
    }
    for (int i = 0; i < x->rank; i++) {
        int64_t d = x->dims[perm[i]];
        if (d == 1) continue;
        if (rank && strides[rank - 1] == stride[perm[i]] * d) {
            dims[rank - 1] *= d;
            strides[rank - 1] = stride[perm[i]];
        } else {
            dims[rank] = d;
            strides[rank++] = stride[perm[i]];
        }
    }
    if (rank == 0) {
        dims[0] = strides[0] = 1;
        rank = 1;
    }
    return rank;
}

static void prepare_packed(hone_prepare *p, params *q, int rank, const int64_t *dims,
                           const int64_t *strides) {
    q->bits = hone_dtype_bits(p->out[0].dtype);
    hone_walk_init(&q->outer_in);
    for (int i = 0; i < rank - 1; i++) hone_walk_add(&q->outer_in, dims[i], strides[i]);
    q->columns = dims[rank - 1];
    q->x_row = strides[rank - 1];
    q->cut = hone_cut_make(q->outer_in.count * q->columns, 2, 8); /* whole bytes */
    p->kernel = "packed elements";
}

static hone_status prepare(hone_prepare *p, hone_error *err) {
    params *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    int64_t dims[HONE_MAX_RANK], strides[HONE_MAX_RANK], out_stride = 1;
    int rank = merge(p, dims, strides), across = -1;
    p->params = q;
    p->run = run;
    q->size = hone_dtype_size(p->out[0].dtype);
    if (q->size == 0) {
        prepare_packed(p, q, rank, dims, strides);
        return HONE_OK;
    }
    hone_walk_init(&q->outer_in);
    hone_walk_init(&q->outer_out);
    for (int i = 0; i < rank - 1; i++)
        if (strides[i] == 1) across = i;
    int64_t out_strides[HONE_MAX_RANK];
    for (int i = rank - 1; i >= 0; i--) {
        out_strides[i] = out_stride;
        out_stride *= dims[i];
    }
    for (int i = 0; i < rank - 1; i++) {
        if (i == across) continue;
        hone_walk_add(&q->outer_in, dims[i], strides[i]);
        hone_walk_add(&q->outer_out, dims[i], out_strides[i]);
    }
    q->columns = dims[rank - 1];
    if (across >= 0) {
        q->rows = dims[rank - 1];
        q->x_row = strides[rank - 1];
        q->columns = dims[across];
        q->y_row = out_strides[across];
        q->transpose = hone_transpose_for(q->size);
    }
    if (out_stride == 0) q->outer_in.count = 0; /* no elements */
    double byte = 0.1 * (double)q->size;
    q->cut = q->transpose ? hone_cut_make(q->outer_in.count * q->columns, byte * (double)q->rows, 16)
                          : hone_cut_make(q->outer_in.count, byte * (double)q->columns, 1);
    p->kernel = across >= 0 ? "transpose" : "copy rows";
    return HONE_OK;
}

const hone_op hone_op_transpose = {.name = "Transpose",
                                   .since = 13,
                                   .oldest = 1,
                                   .inputs = HONE_SLOTS({"data", 'T', HONE_TYPES_ALL, 0}),
                                   .outputs = HONE_SLOTS({"transposed", 'T', HONE_TYPES_ALL, 0}),
                                   .attrs = HONE_ATTRS({"perm", HONE_ATTR_INTS}),
                                   .infer = infer,
                                   .axes = axes,
                                   .view = view,
                                   .prepare = prepare,
                                   .gradient_kind = HONE_GRADIENT_EXACT,
                                   .gradient = gradient,
                                   .quantize = HONE_QUANTIZE_BITS,
                                   .doc = "the axes in another order"};
