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

static void block(const uint32_t *x, int64_t rows, int64_t columns, int64_t x_row, uint32_t *y,
                  int64_t y_row) {
    const int64_t whole_rows = rows - rows % VEC_F32, whole_columns = columns - columns % VEC_F32;
    for (int64_t j = 0; j < whole_columns; j += VEC_F32)
        for (int64_t i = 0; i < whole_rows; i += VEC_F32)
            square(x + i * x_row + j, x_row, y + j * y_row + i, y_row);
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = i < whole_rows ? whole_columns : 0; j < columns; j++)
            y[j * y_row + i] = x[i * x_row + j];
}

void HONE_ISA_NAME(transpose_32)(const uint32_t *x, int64_t rows, int64_t columns, int64_t x_row, uint32_t *y,
                                 int64_t y_row) {
    for (int64_t i = 0; i < rows; i += BLOCK)
        for (int64_t j = 0; j < columns; j += BLOCK)
            block(x + i * x_row + j, rows - i < BLOCK ? rows - i : BLOCK,
                  columns - j < BLOCK ? columns - j : BLOCK, x_row, y + j * y_row + i, y_row);
}
