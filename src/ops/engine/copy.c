#include "ops/engine/copy.h"

#include "base/bits.h"
#include "kernels/portable.h"

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
                     .run = 1,
                     .x_step = 1,
                     .whole = elements_in_order(rank, dims, y_strides)};
    hone_walk_init(&c->from);
    hone_walk_init(&c->to);
    if (n && y[n - 1] == 1) {
        c->run = d[--n];
        c->x_step = x[n];
    }
    for (int i = 0; i < n; i++) {
        hone_walk_add(&c->from, d[i], x[i]);
        hone_walk_add(&c->to, d[i], y[i]);
    }
    if (c->run == 0) c->from.count = 0;
    double each = c->x_step == 1 ? 0.05 * (double)c->size : 0.7;
    c->cut = hone_cut_make(c->from.count, 4 + each * (double)c->run, 1);
}

typedef struct job {
    const hone_copy *c;
    const char *x;
    char *y;
} job;

#define GATHER(type)                                                                                         \
    for (int64_t i = 0; i < c->run; i++) ((type *)y)[i] = ((const type *)x)[i * c->x_step]

static void copy_run(const hone_copy *c, const void *x, void *y) {
    if (c->x_step == 1)
        memcpy(y, x, (size_t)c->run * c->size);
    else if (c->x_step == 0)
        hone_fill(x, c->size, y, c->run);
    else
        switch (c->size) {
        case 1: GATHER(uint8_t); break;
        case 2: GATHER(uint16_t); break;
        case 4: GATHER(uint32_t); break;
        case 8: GATHER(uint64_t); break;
        default:
            for (int64_t i = 0; i < c->run; i++)
                memcpy((char *)y + (size_t)i * c->size, (const char *)x + i * c->x_step * (int64_t)c->size,
                       c->size);
        }
}

static void copy_runs(void *arg, int64_t begin, int64_t end, int worker) {
    (void)worker;
    const job *j = arg;
    const hone_copy *c = j->c;
    for (int64_t i = begin; i < end; i++)
        copy_run(c, j->x + hone_walk_offset(&c->from, i) * (int64_t)c->size,
                 j->y + hone_walk_offset(&c->to, i) * (int64_t)c->size);
}

void hone_clear_end(void *y, int64_t count, int bits) {
    if (bits < 8 && count > 0) ((uint8_t *)y)[(count - 1) * bits / 8] = 0;
}

static void copy_packed(const hone_copy *c, const void *x, void *y) {
    hone_clear_end(y, c->whole, c->bits);
    for (int64_t i = 0; i < c->from.count; i++) {
        int64_t from = c->x_start + hone_walk_offset(&c->from, i),
                to = c->y_start + hone_walk_offset(&c->to, i);
        if (c->x_step == 1)
            hone_bits_copy(x, from, y, to, c->run, c->bits);
        else
            for (int64_t k = 0; k < c->run; k++)
                hone_bits_set(y, to + k, c->bits, hone_bits_get(x, from + k * c->x_step, c->bits));
    }
}

void hone_copy_run(const hone_copy *c, const hone_frame *frame, const void *x, void *y) {
    if (c->from.count == 0) return;
    if (c->size == 0) {
        copy_packed(c, x, y);
        return;
    }
    job j = {c, (const char *)x + c->x_start * (int64_t)c->size, (char *)y + c->y_start * (int64_t)c->size};
    hone_cut_run(&c->cut, frame, copy_runs, &j);
}
