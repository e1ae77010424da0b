/* Weights in a graph: whatever the format, what the graph makes of them is what the blocks stand for, bit for bit. */
#include "import/weights.h"
#include "support/graphs.h"

enum { ROWS = 5, COLUMNS = 512 };

static uint8_t *random_blocks(const hone_block_format *f, size_t *bytes) {
    hone_rng r = hone_rng_make(3, f->number);
    *bytes = ROWS * COLUMNS / f->weights * f->bytes;
    uint8_t *data = calloc(*bytes, 1);
    for (size_t i = 0; i < *bytes; i++) data[i] = (uint8_t)hone_rng_u32(&r);
    return data;
}

static void test_formats(void **state) {
    (void)state;
    const hone_block_format *f;
    for (size_t i = 0; (f = hone_block_format_at(i)); i++) {
        if (f->plain) continue;
        size_t bytes;
        hone_error err;
        uint8_t *data = random_blocks(f, &bytes);
        bool used = false;
        hone_stored t = {
            .name = "w", .rank = 2, .dims = {ROWS, COLUMNS}, .format = f, .data = data, .bytes = bytes};
        const hone_store store = {.path = "blocks", .tensors = &t, .count = 1, .used = &used};
        hone_graph *g = hone_graph_new("weights");
        hone_value *w = NULL, *x = graph_input(g, "x", HONE_FLOAT32, SHAPE(1));
        check_ok(hone_weight_emit(g, &store, &t, "w", (hone_row_order){0}, &w, &err));
        hone_graph_add_output(g, HONE_EMIT(g, "", "Add", w, x));
        static float want[ROWS * COLUMNS];
        hone_blocks_to_floats(f, data, ROWS * COLUMNS, want);
        hone_tensor *zero = tensor_make(HONE_FLOAT32, SHAPE(1)), *got;
        graph_run(g, "all", &zero, &got, 1);
        int numbers = 0;
        for (int k = 0; k < ROWS * COLUMNS; k++) {
            numbers += want[k] == want[k];
            if (((float *)got->data)[k] != want[k] && want[k] == want[k])
                fail_msg("%s: weight %d is %g, not %g", f->name, k, (double)((float *)got->data)[k],
                         (double)want[k]);
        }
        assert_true(numbers > ROWS * COLUMNS / 2); /* some scales are none */
        hone_tensor_free(zero);
        hone_tensor_free(got);
        hone_graph_free(g);
        free(data);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_formats)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
