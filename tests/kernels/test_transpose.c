#include "kernel_test.h"
#include "kernels/portable.h"

static const int size[] = {1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 130};
#define ROW 140
static uint32_t x[ROW * ROW], y[ROW * ROW];

static void check(const hone_kernels *k, const char *level) {
    for (uint32_t i = 0; i < ROW * ROW; i++) x[i] = i * 2654435761u;
    for (int a = 0; a < COUNT(size); a++)
        for (int b = 0; b < 2 * COUNT(size); b++) {
            const int rows = size[a], columns = size[b / 2], x_row = columns + 3, y_row = rows + b % 2 * 5;
            memset(y, 0xA5, sizeof y);
            k->transpose_32(x, rows, columns, x_row, y, y_row);
            for (int j = 0; j < columns; j++)
                for (int i = 0; i < y_row; i++) {
                    uint32_t want = i < rows ? x[i * x_row + j] : 0xA5A5A5A5u;
                    if (y[j * y_row + i] != want)
                        fail_msg("%s %d x %d at %d, %d", level, rows, columns, i, j);
                }
            assert_int_equal(y[columns * y_row], 0xA5A5A5A5u);
        }
}

static void test_transpose(void **state) {
    (void)state;
    each_level(check);
}

/* Elements of all sizes, as bytes. */
static void test_sizes(void **state) {
    (void)state;
    static const size_t bytes[] = {1, 2, 4, 8, 16};
    const char *from = (const char *)x, *to = (const char *)y;
    for (uint32_t i = 0; i < ROW * ROW; i++) x[i] = i * 2654435761u;
    for (int s = 0; s < COUNT(bytes); s++)
        for (int a = 0; size[a] < 33; a++)
            for (int b = 0; size[b] < 33; b++) {
                const int rows = size[a], columns = size[b], x_row = columns + 3, y_row = rows + 5;
                const size_t n = bytes[s];
                memset(y, 0xA5, sizeof y);
                hone_transpose_for(n)(x, rows, columns, x_row, y, y_row);
                for (int j = 0; j < columns; j++)
                    for (int i = 0; i < y_row; i++) {
                        const char *got = to + (size_t)(j * y_row + i) * n;
                        if (i < rows)
                            assert_memory_equal(got, from + (size_t)(i * x_row + j) * n, n);
                        else
                            assert_true(*got == (char)0xA5);
                    }
            }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_transpose), cmocka_unit_test(test_sizes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
