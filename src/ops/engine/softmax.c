#include "ops/engine/softmax.h"

#include "kernels/kernels.h"
#include "kernels/portable.h"
#include "ops/common/cut.h"
#include "ops/common/walk.h"

/* Rows that are not contiguous are gathered: so many at a time. */
#define GATHER 16

void hone_softmax_make(hone_softmax *s, hone_softmax_kind kind, const hone_type *x, int axis) {
    *s = (hone_softmax){.kind = kind,
                        .is_double = x->dtype == HONE_FLOAT64,
                        .outer = hone_dims_product(x, 0, axis),
                        .n = x->dims[axis],
                        .inner = hone_dims_product(x, axis + 1, x->rank)};
}

static size_t element(const hone_softmax *s) {
    return s->is_double ? sizeof(double) : sizeof(float);
}

static bool is_gradient(const hone_softmax *s) {
    return s->kind == HONE_SOFTMAX_GRAD || s->kind == HONE_LOG_SOFTMAX_GRAD;
}

size_t hone_softmax_scratch(const hone_softmax *s) {
    if (s->inner == 1) return 0;
    return (size_t)s->n * GATHER * element(s) * (is_gradient(s) ? 3 : 2);
}

void hone_exp_tiles(bool is_double, const void *x, void *y, int64_t n) {
    const hone_dtype dtype = is_double ? HONE_FLOAT64 : HONE_FLOAT32;
    const size_t size = hone_dtype_size(dtype);
    const hone_program program = {.inputs = 1,
                                  .registers = 2,
                                  .outputs = 1,
                                  .count = 1,
                                  .element = size,
                                  .output = {1},
                                  .code = {{HONE_VOP_EXP, (uint8_t)dtype, 1, 0, 0, 0}}};
    const hone_kernels *k = hone_kernels_get();
    for (int64_t at = 0; at < n; at += HONE_PROGRAM_TILE)
        k->program(&program, (void *[]){(char *)x + (size_t)at * size, (char *)y + (size_t)at * size},
                   hone_min_i64(HONE_PROGRAM_TILE, n - at));
}

static void one_row(const hone_softmax *s, const hone_kernels *k, const void *a, const void *b, void *y) {
    switch (s->kind) {
    case HONE_SOFTMAX:
        if (s->is_double)
            k->softmax_f64(a, y, s->n);
        else
            k->softmax_f32(a, y, s->n);
        return;
    case HONE_LOG_SOFTMAX:
        if (s->is_double)
            k->log_softmax_f64(a, y, s->n);
        else
            k->log_softmax_f32(a, y, s->n);
        return;
    case HONE_SOFTMAX_GRAD:
        if (s->is_double)
            hone_softmax_grad_f64(a, b, y, s->n);
        else
            hone_softmax_grad_f32(a, b, y, s->n);
        return;
    case HONE_LOG_SOFTMAX_GRAD:
        hone_exp_tiles(s->is_double, b, y, s->n);
        if (s->is_double)
            hone_log_softmax_grad_f64(a, y, y, s->n);
        else
            hone_log_softmax_grad_f32(a, y, y, s->n);
    }
}

typedef struct job {
    const hone_softmax *s;
    const hone_step *step;
    const hone_frame *frame;
    const char *a, *b;
    char *y;
} job;

static void contiguous_rows(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const hone_kernels *k = hone_kernels_get();
    size_t bytes = (size_t)j->s->n * element(j->s);
    for (int64_t i = begin; i < end; i++) {
        size_t at = (size_t)i * bytes;
        one_row(j->s, k, j->a + at, j->b ? j->b + at : NULL, j->y + at);
    }
}

/* [n, GATHER columns] becomes rows in scratch, and back. */
static void gather(const job *j, int64_t outer, int64_t first, int64_t count, int worker) {
    const hone_softmax *s = j->s;
    const hone_kernels *k = hone_kernels_get();
    size_t size = element(s), tile = (size_t)s->n * GATHER * size, row = (size_t)s->n * size;
    hone_transpose_fn *transpose = hone_transpose_for(size);
    size_t at = (size_t)(outer * s->n * s->inner + first) * size;
    char *y = hone_step_worker_scratch(j->step, j->frame, worker), *a = y + tile, *b = a + tile;
    transpose(j->a + at, s->n, count, s->inner, a, s->n);
    if (j->b) transpose(j->b + at, s->n, count, s->inner, b, s->n);
    for (int64_t i = 0; i < count; i++)
        one_row(s, k, a + (size_t)i * row, j->b ? b + (size_t)i * row : NULL, y + (size_t)i * row);
    transpose(y, count, s->n, s->n, j->y + at, s->inner);
}

static void gathered_rows(void *arg, int64_t begin, int64_t end, int worker) {
    const job *j = arg;
    int64_t inner = j->s->inner;
    for (int64_t i = begin, count; i < end; i += count) {
        count = hone_min_i64(hone_min_i64(GATHER, inner - i % inner), end - i);
        gather(j, i / inner, i % inner, count, worker);
    }
}

void hone_softmax_run(const hone_softmax *s, const hone_step *step, hone_frame *frame, const void *a,
                      const void *b, void *y) {
    if (s->outer == 0 || s->n == 0 || s->inner == 0) return;
    job j = {.s = s, .step = step, .frame = frame, .a = a, .b = b, .y = y};
    bool whole = s->inner == 1;
    hone_cut cut =
        hone_cut_make(s->outer * s->inner, (double)s->n * (s->is_double ? 20 : 1), whole ? 1 : GATHER);
    hone_cut_run(&cut, frame, whole ? contiguous_rows : gathered_rows, &j);
}
