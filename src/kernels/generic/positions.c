#include "kernels/positions.h"

#include "base/bits.h"
#include "kernels/portable.h"

#include <string.h>

struct pair {
    uint64_t first, second;
};

#define POSITIONS(type)                                                                                      \
    for (int64_t i = 0; i < n; i++) {                                                                        \
        int64_t k = ((const type *)index)[i];                                                                \
        if (k < 0) k += size;                                                                                \
        if (k < 0 || k >= size) return i;                                                                    \
        at[i] = base + k * stride + i * step;                                                                \
    }

int64_t hone_positions(const void *index, bool wide, int64_t n, int64_t size, int64_t base, int64_t stride,
                       int64_t step, int64_t *at) {
    if (wide) {
        POSITIONS(int64_t)
    } else {
        POSITIONS(int32_t)
    }
    return -1;
}

int64_t hone_tuple_positions(const int64_t *index, int64_t n, int width, const int64_t *dims,
                             const int64_t *strides, int64_t base, int64_t *at) {
    for (int64_t i = 0; i < n; i++) {
        at[i] = base;
        for (int d = 0; d < width; d++) {
            int64_t k = index[i * width + d];
            if (k < 0) k += dims[d];
            if (k < 0 || k >= dims[d]) return i * width + d;
            at[i] += k * strides[d];
        }
    }
    return -1;
}

#define TAKE(type)                                                                                           \
    do {                                                                                                     \
        type *out = (type *)y + to;                                                                          \
        if (!fill)                                                                                           \
            for (int64_t i = 0; i < n; i++) out[i] = ((const type *)x)[at[i]];                               \
        else                                                                                                 \
            for (int64_t i = 0; i < n; i++)                                                                  \
                out[i] = at[i] < 0 ? *(const type *)fill : ((const type *)x)[at[i]];                         \
    } while (0)

void hone_take(hone_element e, const void *x, const int64_t *at, int64_t n, const void *fill, void *y,
               int64_t to) {
    switch (e.size) {
    case 1: TAKE(uint8_t); break;
    case 2: TAKE(uint16_t); break;
    case 4: TAKE(uint32_t); break;
    case 8: TAKE(uint64_t); break;
    case 16: TAKE(struct pair); break;
    default:
        for (int64_t i = 0; i < n; i++)
            hone_bits_set(y, to + i, e.bits,
                          at[i] < 0 ? *(const uint8_t *)fill : hone_bits_get(x, at[i], e.bits));
    }
}

void hone_move(hone_element e, const void *x, int64_t from, void *y, int64_t to, int64_t n) {
    if (e.size)
        memcpy((char *)y + (size_t)to * e.size, (const char *)x + (size_t)from * e.size, (size_t)n * e.size);
    else
        hone_bits_copy(x, from, y, to, n, e.bits);
}

/* Short runs go column by column: `across`. */
#define MOVE_LINE(type, n, from_step, to_step)                                                               \
    for (int64_t i = 0; i < n; i++, from += from_step, to += to_step) *to = *from
#define MOVE_ROWS(type)                                                                                      \
    for (int64_t k = 0; k < (across ? run : rows); k++) {                                                    \
        const type *from = (const type *)x + k * (across ? x_step : x_row);                                  \
        type *to = (type *)y + k * (across ? 1 : y_row);                                                     \
        if (across)                                                                                          \
            MOVE_LINE(type, rows, x_row, y_row);                                                             \
        else if (x_step == 2)                                                                                \
            MOVE_LINE(type, run, 2, 1);                                                                      \
        else                                                                                                 \
            MOVE_LINE(type, run, x_step, 1);                                                                 \
    }                                                                                                        \
    break

void hone_move_rows(size_t size, const void *x, int64_t x_row, int64_t x_step, void *y, int64_t y_row,
                    int64_t rows, int64_t run) {
    const size_t enough = 32; /* bytes that are worth a call */
    const bool across = run < 8 && run < rows;
    if (x_step <= 1 && x_step >= 0 && (size_t)run * size >= enough) {
        for (int64_t r = 0; r < rows; r++) {
            const char *from = (const char *)x + r * x_row * (int64_t)size;
            char *to = (char *)y + r * y_row * (int64_t)size;
            if (x_step == 1)
                memcpy(to, from, (size_t)run * size);
            else
                hone_fill(from, size, to, run);
        }
        return;
    }
    switch (size) {
    case 1: MOVE_ROWS(uint8_t);
    case 2: MOVE_ROWS(uint16_t);
    case 4: MOVE_ROWS(uint32_t);
    case 8: MOVE_ROWS(uint64_t);
    default: MOVE_ROWS(struct pair);
    }
}

void hone_repeat(hone_element e, const void *value, void *y, int64_t to, int64_t n) {
    if (e.size)
        hone_fill(value, e.size, (char *)y + (size_t)to * e.size, n);
    else
        for (int64_t i = 0; i < n; i++) hone_bits_set(y, to + i, e.bits, *(const uint8_t *)value);
}

#define PUT(type)                                                                                            \
    for (int64_t i = 0; i < n; i++) ((type *)y)[at[i]] = ((const type *)x)[i]

void hone_put(hone_element e, const void *x, const int64_t *at, int64_t n, void *y) {
    switch (e.size) {
    case 1: PUT(uint8_t); break;
    case 2: PUT(uint16_t); break;
    case 4: PUT(uint32_t); break;
    case 8: PUT(uint64_t); break;
    case 16: PUT(struct pair); break;
    default:
        for (int64_t i = 0; i < n; i++) hone_bits_set(y, at[i], e.bits, hone_bits_get(x, i, e.bits));
    }
}

#define SELECT(type)                                                                                         \
    for (int64_t i = 0; i < n; i++)                                                                          \
        ((type *)y)[to + i] = condition[i * c] ? ((const type *)a)[from_a + i * step_a]                      \
                                               : ((const type *)b)[from_b + i * step_b];                     \
    break

void hone_select(hone_element e, const bool *condition, int64_t c, const void *a, int64_t from_a,
                 int64_t step_a, const void *b, int64_t from_b, int64_t step_b, void *y, int64_t to,
                 int64_t n) {
    switch (e.size) {
    case 1: SELECT(uint8_t);
    case 2: SELECT(uint16_t);
    case 4: SELECT(uint32_t);
    case 8: SELECT(uint64_t);
    case 16: SELECT(struct pair);
    default:
        for (int64_t i = 0; i < n; i++)
            hone_bits_set(y, to + i, e.bits,
                          condition[i * c] ? hone_bits_get(a, from_a + i * step_a, e.bits)
                                           : hone_bits_get(b, from_b + i * step_b, e.bits));
    }
}
