/* Blocks of weights. Called with a format's number and a count it turns blocks on stdin into floats on stdout, for
 * peer_gguf.py, which compares them with Python's gguf. */
#include "base/half.h"
#include "import/gguf_file.h"

static int convert(const char *number, const char *count) {
    const hone_block_format *f = hone_block_format_of((uint32_t)atoi(number));
    const size_t n = (size_t)atol(count);
    if (!f || n % f->weights) return 1;
    const size_t size = n / f->weights * f->bytes;
    char *in = malloc(size + 1);
    float *out = malloc(n * sizeof *out + 1);
    if (!in || !out || fread(in, 1, size, stdin) != size) return 1;
    hone_blocks_to_floats(f, in, n, out);
    return fwrite(out, sizeof *out, n, stdout) == n ? 0 : 1;
}

static void test_formats(void **state) {
    (void)state;
    size_t count = 0;
    for (const hone_block_format *f; (f = hone_block_format_at(count)); count++) {
        assert_ptr_equal(hone_block_format_of(f->number), f);
        assert_true(f->weights <= HONE_BLOCK_MOST &&
                    (f->plain || f->weights / f->group <= HONE_BLOCK_GROUPS));
    }
    assert_int_equal(count, 16);
    assert_null(hone_block_format_of(4));
}

/* Weights whose codes and numbers are read off by hand. */
static void test_by_hand(void **state) {
    (void)state;
    float y[256];
    uint8_t b[256] = {0};
    const uint16_t d = hone_half_of_float(0.5f), m = hone_half_of_float(-3);
    memcpy(b, &d, 2);
    memcpy(b + 2, &m, 2);
    b[4] = 0xe1;                                              /* weight 0: 1; weight 16: 14 */
    hone_blocks_to_floats(hone_block_format_of(3), b, 32, y); /* Q4_1 */
    assert_true(y[0] == -2.5f && y[16] == 4 && y[1] == -3);
    memset(b, 0, sizeof b);
    memcpy(b + 208, &d, 2);
    b[192] = 2;                                                 /* the scale of weights 0 … 15 */
    b[0] = 0x05;                                                /* weight 0: low bits 5 */
    b[128] = 0x02;                                              /* high bits 2: 37 - 32 */
    hone_blocks_to_floats(hone_block_format_of(14), b, 256, y); /* Q6_K */
    assert_true(y[0] == 5 && y[1] == -32 && y[16] == 0);
}

int main(int argc, char **argv) {
    if (argc == 3) return convert(argv[1], argv[2]);
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_formats), cmocka_unit_test(test_by_hand)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
