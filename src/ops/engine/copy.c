#include "ops/engine/copy.h"

#include "base/bits.h"

#include <string.h>

hone_element hone_element_of(hone_dtype dtype) {
    return (hone_element){hone_dtype_size(dtype), hone_dtype_bits(dtype)};
}

void hone_strides_of(int rank, const int64_t *dims, int64_t *strides) {
    int64_t s = 1;
    for (int i = rank - 1; i >= 0; i--) {
        strides[i] = s;
        s *= dims[i];
    }
}

/* Axes that run on into the next one in both x and y become one with it; axes of 1 go. */
static int merge(int rank, const int64_t *dims, const int64_t *xs, const int64_t *ys, int64_t *d, int64_t *x,
                 int64_t *y) {
    int n = 0;
    for (int i = 0; i < rank; i++) {
        if (dims[i] == 1) continue;
        if (n && x[n - 1] == xs[i] * dims[i] && y[n - 1] == ys[i] * dims[i]) {
            d[n - 1] *= dims[i];
            x[n - 1] = xs[i];
            y[n - 1] = ys[i];
        } else {
            d[n] = dims[i];
            x[n] = xs[i];
            y[n++] = ys[i];
        }
    }
    return n;
}

/* The elements of a box that lies in y without gaps, else 0. */
static int64_t elements_in_order(int rank, const int64_t *dims, const int64_t *strides) {
    int64_t count = 1;
    for (int i = rank - 1; i >= 0; i--) {
        if (dims[i] != 1 && strides[i] != count) return 0;
        count *= dims[i];
    }
    return count;
}

void hone_copy_make(hone_copy *c, hone_dtype dtype, int rank, const int64_t *dims, const int64_t *x_strides,
                    const int64_t *y_strides) {
    int64_t d[HONE_MAX_RANK], x[HONE_MAX_RANK], y[HONE_MAX_RANK];
    int n = merge(rank, dims, x_strides, y_strides, d, x, y);
    *c = (hone_copy){.size = hone_dtype_size(dtype),
                     .bits = hone_dtype_bits(dtype),
                     .rows = 1,
                     .run = 1,
                     .x_step = 1,
                     .whole = elements_in_order(rank, dims, y_strides)};
    hone_walk_init(&c->from);
    hone_walk_init(&c->to);
    if (n && y[n - 1] == 1) {
        c->run = d[--n];
        c->x_step = x[n];
    }
    if (n) {
        c->rows = d[--n];
        c->x_row = x[n];
        c->y_row = y[n];
    }
    for (int i = 0; i < n; i++) {
        hone_walk_add(&c->from, d[i], x[i]);
        hone_walk_add(&c->to, d[i], y[i]);
    }
    double each = c->x_step == 1 ? 0.05 * (double)c->size : 0.7;
    c->cut = hone_cut_make(c->run ? c->from.count * c->rows : 0, 2 + each * (double)c->run, 1);
}

typedef struct job {
    const hone_copy *c;
    const char *x;
    char *y;
} job;

static void copy_rows(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const hone_copy *c = j->c;
    for (int64_t i = begin, rows; i < end; i += rows) {
        int64_t at = i / c->rows, first = i % c->rows;
        rows = hone_min_i64(c->rows - first, end - i);
        int64_t from = hone_walk_offset(&c->from, at) + first * c->x_row,
                to = hone_walk_offset(&c->to, at) + first * c->y_row;
        hone_move_rows(c->size, j->x + from * (int64_t)c->size, c->x_row, c->x_step,
                       j->y + to * (int64_t)c->size, c->y_row, rows, c->run);
    }
}

void hone_clear_end(void *y, int64_t count, int bits) {
    if (bits < 8 && count > 0) ((uint8_t *)y)[(count - 1) * bits / 8] = 0;
}

static void copy_packed(const hone_copy *c, const void *x, void *y) {
    hone_clear_end(y, c->whole, c->bits);
    for (int64_t i = 0; i < c->cut.count; i++) {
        int64_t from = c->x_start + hone_walk_offset(&c->from, i / c->rows) + i % c->rows * c->x_row,
                to = c->y_start + hone_walk_offset(&c->to, i / c->rows) + i % c->rows * c->y_row;
        if (c->x_step == 1)
            hone_bits_copy(x, from, y, to, c->run, c->bits);
        else
            for (int64_t k = 0; k < c->run; k++)
                hone_bits_set(y, to + k, c->bits, hone_bits_get(x, from + k * c->x_step, c->bits));
    }
}

void hone_copy_run(const hone_copy *c, const hone_frame *frame, const void *x, void *y) {
    if (c->cut.count == 0) return;
    if (c->size == 0) {
        copy_packed(c, x, y);
        return;
    }
    job j = {c, (const char *)x + c->x_start * (int64_t)c->size, (char *)y + c->y_start * (int64_t)c->size};
    hone_cut_run(&c->cut, frame, copy_rows, &j);
}
