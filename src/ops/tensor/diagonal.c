/* Matrices by their diagonals: Trilu, EyeLike, and what Einsum has for a letter that stands twice. */
#include "base/bits.h"
#include "graph/infer.h"
#include "kernels/portable.h"
#include "ops/common/axes.h"
#include "ops/common/cut.h"
#include "ops/common/gradient.h"
#include "ops/engine/copy.h"

#include <string.h>

/* --- Trilu --- x on and above diagonal k, or on and below it; 0 elsewhere */

enum { INPUT, DIAGONAL };

typedef struct params {
    hone_element element;
    bool upper;
    int64_t rows, columns, elements;
    hone_cut cut; /* of the rows of all matrices */
} params;

typedef struct job {
    const params *p;
    const void *x;
    void *y;
    int64_t k;
} job;

static int64_t held(int64_t x, int64_t most) {
    return x < 0 ? 0 : x > most ? most : x;
}

static void keep_rows(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    static const uint64_t zero[2];
    const job *j = arg;
    const params *p = j->p;
    const hone_element e = p->element;
    for (int64_t row = begin; row < end; row++) {
        int64_t diagonal = row % p->rows + j->k, at = row * p->columns;
        int64_t split = held(p->upper ? diagonal : diagonal + 1, p->columns);
        int64_t from = p->upper ? split : 0, to = p->upper ? p->columns : split;
        hone_repeat(e, zero, j->y, at, from);
        if (j->y != j->x) hone_move(e, j->x, at + from, j->y, at + from, to - from);
        hone_repeat(e, zero, j->y, at + to, p->columns - to);
    }
}

static hone_status run_trilu(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    const params *p = step->params;
    const int64_t *k = hone_step_in(step, frame, DIAGONAL), most = p->rows + p->columns;
    job j = {p, hone_step_in(step, frame, INPUT), hone_step_out(step, frame, 0), k ? *k : 0};
    j.k = j.k > most ? most : j.k < -most ? -most : j.k;
    if (p->element.size) {
        hone_cut_run(&p->cut, frame, keep_rows, &j);
    } else if (p->cut.count) {
        if (j.y != j.x) hone_clear_end(j.y, p->elements, p->element.bits);
        keep_rows(&j, 0, p->cut.count, 0);
    }
    return HONE_OK;
}

static hone_status prepare_trilu(hone_prepare *p, hone_error *err) {
    const hone_type *x = p->in[INPUT];
    params *q = hone_prepare_alloc(p, sizeof *q);
    if (!q) return hone_fail_memory(err);
    *q = (params){.element = hone_element_of(x->dtype),
                  .upper = hone_node_int(p->node, "upper") != 0,
                  .rows = x->dims[x->rank - 2],
                  .columns = x->dims[x->rank - 1],
                  .elements = hone_type_count(x)};
    q->cut = hone_cut_make(q->columns ? q->elements / q->columns : 0,
                           8 + 0.05 * (double)(q->columns * (int64_t)q->element.size), 1);
    p->params = q;
    p->run = run_trilu;
    p->kernel = "triangle";
    return HONE_OK;
}

static hone_status infer_trilu(hone_infer *ctx, hone_error *err) {
    const hone_type *k = ctx->input_count > DIAGONAL ? ctx->in[DIAGONAL] : NULL;
    if (ctx->in[INPUT]->rank >= 0 && ctx->in[INPUT]->rank < 2)
        return hone_infer_fail(ctx, err, "the input has %d dimensions, no matrices", ctx->in[INPUT]->rank);
    if (k && hone_type_is_concrete(k) && hone_type_count(k) != 1)
        return hone_infer_fail(ctx, err, "k must be one number");
    return hone_infer_same(ctx, err);
}

/* All but the matrices'. */
static void axes_trilu(const hone_node *n, hone_axes *out) {
    for (int i = 0; i < n->inputs[INPUT]->type.rank - 2; i++) hone_axes_same(out, INPUT, i, i);
}

static void gradient_trilu(hone_gradient *ctx) {
    const hone_node *n = ctx->node;
    ctx->din[INPUT] =
        HONE_EMIT(ctx->graph, "", "Trilu", ctx->dout[0], n->input_count > 1 ? n->inputs[1] : NULL);
    if (ctx->din[INPUT]) hone_node_copy_attrs(ctx->graph, ctx->din[INPUT]->producer, n);
}

const hone_op hone_op_trilu = {.name = "Trilu",
                               .since = 14,
                               .oldest = 14,
                               .inputs = HONE_SLOTS({"input", 'T', HONE_TYPES_ALL, 0},
                                                    {"k", 0, HONE_TYPE(HONE_INT64), HONE_SLOT_OPTIONAL}),
                               .outputs = HONE_SLOTS({"output", 'T', HONE_TYPES_ALL, 0}),
                               .attrs = HONE_ATTRS({"upper", HONE_ATTR_INT, .i = 1}),
                               .infer = infer_trilu,
                               .axes = axes_trilu,
                               .prepare = prepare_trilu,
                               .overwrite = 1,
                               .gradient_kind = HONE_GRADIENT_EXACT,
                               .gradient = gradient_trilu,
                               .doc = "the upper or lower triangles of matrices, the rest being 0"};

/* --- EyeLike --- 1 on diagonal k of a matrix, 0 elsewhere */

typedef struct eye {
    hone_element element;
    uint64_t one;
    size_t bytes;
    int64_t first, step, count; /* elements of the diagonal */
} eye;

static hone_status run_eye(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    const eye *p = step->params;
    char *y = hone_step_out(step, frame, 0);
    if (p->bytes) memset(y, 0, p->bytes);
    for (int64_t i = 0; i < p->count; i++) hone_repeat(p->element, &p->one, y, p->first + i * p->step, 1);
    return HONE_OK;
}

static hone_status prepare_eye(hone_prepare *p, hone_error *err) {
    const hone_type *y = &p->out[0];
    eye *q = hone_prepare_alloc(p, sizeof *q);
    const float one = 1;
    const int64_t rows = y->dims[0], columns = y->dims[1], k = hone_node_int(p->node, "k");
    if (!q) return hone_fail_memory(err);
    *q = (eye){.element = hone_element_of(y->dtype), .bytes = hone_type_bytes(y), .step = columns + 1};
    int64_t row = k < 0 ? held(-(k + 1), rows - 1) + 1 : 0, column = k > 0 ? held(k, columns) : 0;
    int64_t down = rows - row, right = columns - column;
    q->count = down < right ? down : right;
    q->first = row * columns + column;
    hone_cast(HONE_FLOAT32, y->dtype, &one, &q->one, 1);
    p->params = q;
    p->run = run_eye;
    p->kernel = "identity matrix";
    return HONE_OK;
}

static hone_status infer_eye(hone_infer *ctx, hone_error *err) {
    const hone_attr *dtype = hone_node_attr(ctx->node, "dtype");
    if (ctx->in[0]->rank >= 0 && ctx->in[0]->rank != 2)
        return hone_infer_fail(ctx, err, "the input has %d dimensions where 2 are needed", ctx->in[0]->rank);
    HONE_TRY(hone_infer_same(ctx, err));
    ctx->out[0].dtype = dtype ? (hone_dtype)dtype->i : ctx->in[0]->dtype;
    if (dtype && (dtype->i < 0 || dtype->i >= HONE_DTYPE_COUNT || !(HONE_TYPES_FIXED & HONE_TYPE(dtype->i))))
        return hone_infer_fail(ctx, err, "dtype %lld is not supported", (long long)dtype->i);
    return HONE_OK;
}

const hone_op hone_op_eye_like = {.name = "EyeLike",
                                  .since = 22,
                                  .oldest = 9,
                                  .inputs = HONE_SLOTS({"input", 0, HONE_TYPES_FIXED, 0}),
                                  .outputs = HONE_SLOTS({"output", 0, HONE_TYPES_FIXED, 0}),
                                  .attrs = HONE_ATTRS({"dtype", HONE_ATTR_INT}, {"k", HONE_ATTR_INT}),
                                  .infer = infer_eye,
                                  .prepare = prepare_eye,
                                  .gradient_kind = HONE_GRADIENT_ZERO,
                                  .doc = "a matrix with 1 on a diagonal, of another one's shape"};

/* --- Diagonal --- axes `first` and `second` together, in the place of the first */

typedef struct diagonal {
    hone_copy copy;
    size_t zeros; /* bytes that become 0 first */
} diagonal;

static hone_status run_diagonal(const hone_step *step, hone_frame *frame, hone_error *err) {
    (void)err;
    const diagonal *p = step->params;
    void *y = hone_step_out(step, frame, 0);
    if (p->zeros) memset(y, 0, p->zeros);
    hone_copy_run(&p->copy, frame, hone_step_in(step, frame, 0), y);
    return HONE_OK;
}

/* A copy between the diagonal and a tensor of x's shape: out of it, or into it, with zeros around it. */
static hone_status copy_diagonal(hone_prepare *p, const hone_type *x, const hone_type *line, bool into,
                                 hone_error *err) {
    diagonal *q = hone_prepare_alloc(p, sizeof *q);
    const int first = (int)hone_node_int(p->node, "first"), second = (int)hone_node_int(p->node, "second");
    int64_t strides[HONE_MAX_RANK], own[HONE_MAX_RANK];
    if (!q) return hone_fail_memory(err);
    hone_strides_of(x->rank, x->dims, strides);
    hone_strides_of(line->rank, line->dims, own);
    strides[first] += strides[second];
    for (int i = second; i + 1 < x->rank; i++) strides[i] = strides[i + 1];
    hone_copy_make(&q->copy, x->dtype, line->rank, line->dims, into ? own : strides, into ? strides : own);
    q->zeros = into ? hone_type_bytes(x) : 0;
    p->params = q;
    p->run = run_diagonal;
    p->kernel = "diagonal";
    return HONE_OK;
}

static hone_status infer_diagonal(hone_infer *ctx, hone_error *err) {
    const hone_type *x = ctx->in[0];
    hone_type *y = &ctx->out[0];
    const int first = (int)hone_node_int(ctx->node, "first"),
              second = (int)hone_node_int(ctx->node, "second");
    if (x->rank < 0) return HONE_OK;
    if (first < 0 || second <= first || second >= x->rank)
        return hone_infer_fail(ctx, err, "axes %d and %d of %d", first, second, x->rank);
    y->rank = 0;
    for (int i = 0; i < x->rank; i++)
        if (i != second) y->dims[y->rank++] = x->dims[i];
    return hone_infer_same_dim(ctx, x->dims[first], x->dims[second], &y->dims[first], err);
}

static hone_status prepare_diagonal(hone_prepare *p, hone_error *err) {
    return copy_diagonal(p, p->in[0], &p->out[0], false, err);
}

static void gradient_diagonal(hone_gradient *ctx) {
    ctx->din[0] =
        HONE_EMIT(ctx->graph, HONE_PRIVATE_DOMAIN, "DiagonalGrad", ctx->dout[0], ctx->node->inputs[0]);
    if (ctx->din[0]) hone_node_copy_attrs(ctx->graph, ctx->din[0]->producer, ctx->node);
}

#define AXES .attrs = HONE_ATTRS({"first", HONE_ATTR_INT}, {"second", HONE_ATTR_INT, .i = 1})

const hone_op hone_op_diagonal = {.domain = HONE_PRIVATE_DOMAIN,
                                  .name = "Diagonal",
                                  .since = 1,
                                  .oldest = 1,
                                  .inputs = HONE_SLOTS({"X", 'T', HONE_TYPES_ALL, 0}),
                                  .outputs = HONE_SLOTS({"Y", 'T', HONE_TYPES_ALL, 0}),
                                  AXES,
                                  .infer = infer_diagonal,
                                  .prepare = prepare_diagonal,
                                  .gradient_kind = HONE_GRADIENT_EXACT,
                                  .gradient = gradient_diagonal,
                                  .doc = "the elements whose positions along two axes are the same"};

static hone_status infer_diagonal_grad(hone_infer *ctx, hone_error *err) {
    (void)err;
    return hone_infer_as_input(ctx, 1);
}

static hone_status prepare_diagonal_grad(hone_prepare *p, hone_error *err) {
    return copy_diagonal(p, p->in[1], p->in[0], true, err);
}

const hone_op hone_op_diagonal_grad = {
    .domain = HONE_PRIVATE_DOMAIN,
    .name = "DiagonalGrad",
    .since = 1,
    .oldest = 1,
    .inputs = HONE_SLOTS({"dY", 'T', HONE_TYPES_FLOAT, 0}, {"X", 'T', HONE_TYPES_FLOAT, 0}),
    .outputs = HONE_SLOTS({"dX", 'T', HONE_TYPES_FLOAT, 0}),
    AXES,
    .infer = infer_diagonal_grad,
    .prepare = prepare_diagonal_grad,
    .doc = "dY on the diagonal, and zeros"};
