#include "kernels/levels.h"
#include "kernels/vec.h"

#define BLOCK 64 /* elements square: the lines and pages of one block of x and y stay near */

/* The first and the second half of a[0] b[0] a[1] b[1] … */
#if VEC_F32 == 16
#define ZIP_LOW 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define ZIP_HIGH 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#elif VEC_F32 == 8
#define ZIP_LOW 0, 8, 1, 9, 2, 10, 3, 11
#define ZIP_HIGH 4, 12, 5, 13, 6, 14, 7, 15
#else
#define ZIP_LOW 0, 4, 1, 5
#define ZIP_HIGH 2, 6, 3, 7
#endif

/* One square of VEC_F32 x VEC_F32. Zipping row i with row i + half, log2(VEC_F32) times, moves the bits of
 * the column number where those of the row number were. */
static void square(const uint32_t *x, int64_t x_row, uint32_t *y, int64_t y_row) {
    vec_i32 r[VEC_F32], t[VEC_F32];
#pragma GCC unroll 16
    for (int i = 0; i < VEC_F32; i++) r[i] = vec_load_i32((const int32_t *)x + i * x_row);
#pragma GCC unroll 4
    for (int step = 1; step < VEC_F32; step *= 2) {
#pragma GCC unroll 8
        for (int i = 0; i < VEC_F32 / 2; i++) {
            t[2 * i] = __builtin_shufflevector(r[i], r[i + VEC_F32 / 2], ZIP_LOW);
            t[2 * i + 1] = __builtin_shufflevector(r[i], r[i + VEC_F32 / 2], ZIP_HIGH);
        }
#pragma GCC unroll 16
        for (int i = 0; i < VEC_F32; i++) r[i] = t[i];
    }
#pragma GCC unroll 16
    for (int i = 0; i < VEC_F32; i++) vec_store_i32((int32_t *)y + i * y_row, r[i]);
}

/* A part of a square, at an edge. */
static void corner(const uint32_t *x, int rows, int columns, int64_t x_row, uint32_t *y, int64_t y_row) {
    int32_t from[VEC_F32 * VEC_F32] __attribute__((aligned(64)));
    uint32_t to[VEC_F32 * VEC_F32] __attribute__((aligned(64)));
    for (int i = 0; i < VEC_F32; i++) {
        const vec_i32 row =
            i < rows ? vec_load_i32_n((const int32_t *)x + i * x_row, columns) : vec_bits(vec_zero());
        vec_store_i32(from + i * VEC_F32, row);
    }
    square((const uint32_t *)from, VEC_F32, to, VEC_F32);
    for (int j = 0; j < columns; j++)
        vec_store_i32_n((int32_t *)y + j * y_row, vec_load_i32((const int32_t *)to + j * VEC_F32), rows);
}

#define LEAST (VEC_F32 / 4) /* elements along an edge that are worth it */

static void edge(const uint32_t *x, int64_t rows, int64_t columns, int64_t x_row, uint32_t *y,
                 int64_t y_row) {
    for (int64_t i = 0, height; i < rows; i += height) {
        height = rows - i < VEC_F32 ? rows - i : VEC_F32;
        for (int64_t j = 0, width; j < columns; j += width) {
            width = columns - j < VEC_F32 ? columns - j : VEC_F32;
            const uint32_t *from = x + i * x_row + j;
            uint32_t *to = y + j * y_row + i;
            if (height > LEAST && width > LEAST) {
                corner(from, (int)height, (int)width, x_row, to, y_row);
                continue;
            }
            for (int64_t r = 0; r < height; r++)
                for (int64_t c = 0; c < width; c++) to[c * y_row + r] = from[r * x_row + c];
        }
    }
}

static void block(const uint32_t *x, int64_t rows, int64_t columns, int64_t x_row, uint32_t *y,
                  int64_t y_row) {
    const int64_t whole_rows = rows - rows % VEC_F32, whole_columns = columns - columns % VEC_F32;
    for (int64_t j = 0; j < whole_columns; j += VEC_F32)
        for (int64_t i = 0; i < whole_rows; i += VEC_F32)
            square(x + i * x_row + j, x_row, y + j * y_row + i, y_row);
    edge(x + whole_columns, whole_rows, columns - whole_columns, x_row, y + whole_columns * y_row, y_row);
    edge(x + whole_rows * x_row, rows - whole_rows, columns, x_row, y + whole_rows, y_row);
}

/* Three rows woven, as the colours of an image are: element e of VEC_F32 columns' worth is of row e % 3. */
#define FIRST_TWO(v, l)                                                                                      \
    ((VEC_F32 * v + l) % 3 == 2 ? 0 : (VEC_F32 * v + l) % 3 * VEC_F32 + (VEC_F32 * v + l) / 3)
#define AND_THIRD(v, l) ((VEC_F32 * v + l) % 3 == 2 ? VEC_F32 + (VEC_F32 * v + l) / 3 : l)
#define FOUR(X, v, l) X(v, l), X(v, l + 1), X(v, l + 2), X(v, l + 3)
#if VEC_F32 == 16
#define ALL(X, v) FOUR(X, v, 0), FOUR(X, v, 4), FOUR(X, v, 8), FOUR(X, v, 12)
#elif VEC_F32 == 8
#define ALL(X, v) FOUR(X, v, 0), FOUR(X, v, 4)
#else
#define ALL(X, v) FOUR(X, v, 0)
#endif
#define WOVEN(v)                                                                                             \
    __builtin_shufflevector(__builtin_shufflevector(a, b, ALL(FIRST_TWO, v)), c, ALL(AND_THIRD, v))

static void weave_three(const uint32_t *x, int64_t columns, int64_t x_row, uint32_t *y) {
    int64_t j = 0;
    for (; j + VEC_F32 <= columns; j += VEC_F32) {
        const int32_t *from = (const int32_t *)x + j;
        int32_t *to = (int32_t *)y + 3 * j;
        const vec_i32 a = vec_load_i32(from), b = vec_load_i32(from + x_row),
                      c = vec_load_i32(from + 2 * x_row);
        vec_store_i32(to, WOVEN(0));
        vec_store_i32(to + VEC_F32, WOVEN(1));
        vec_store_i32(to + 2 * VEC_F32, WOVEN(2));
    }
    for (; j < columns; j++)
        for (int i = 0; i < 3; i++) y[3 * j + i] = x[i * x_row + j];
}

void HONE_ISA_NAME(transpose_32)(const uint32_t *x, int64_t rows, int64_t columns, int64_t x_row, uint32_t *y,
                                 int64_t y_row) {
    if (rows == 3 && y_row == 3) {
        weave_three(x, columns, x_row, y);
        return;
    }
    for (int64_t i = 0; i < rows; i += BLOCK)
        for (int64_t j = 0; j < columns; j += BLOCK)
            block(x + i * x_row + j, rows - i < BLOCK ? rows - i : BLOCK,
                  columns - j < BLOCK ? columns - j : BLOCK, x_row, y + j * y_row + i, y_row);
}
