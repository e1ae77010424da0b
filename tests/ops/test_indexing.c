/* Operators that look up by index: what the data can show to be wrong names the node, and nothing is read or written
 * elsewhere; tensors without elements; several updates that meet. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "graph/tensor.h"
#include "ops/op_cases.h"

/* Builds the case and puts `index` at position `at` of its integer input. */
static void build(const op_case *c, int64_t at, int64_t index, built_case *b) {
    if (!case_build(c, HONE_FLOAT32, b)) fail_msg("%s %s cannot be built", c->op, c->inputs);
    for (int i = 0; i < b->inputs; i++) {
        if (b->data[i]->dtype == HONE_INT64) ((int64_t *)b->data[i]->data)[at] = index;
        if (b->data[i]->dtype == HONE_INT32) ((int32_t *)b->data[i]->data)[at] = (int32_t)index;
    }
}

static const struct {
    op_case c;
    int64_t at, size; /* of the axis that the index at position `at` is for */
} bad[] = {{{"Gather", "R4,3 I5<4", "", 1}, 3, 4},
           {{"Gather", "R4,3 L5<3", "axis=1", 1}, 4, 3},
           {{"GatherElements", "R3,4 L2,4<3", "", 1}, 6, 3},
           {{"GatherElements", "R2,300 I2,300<300", "axis=1", 1}, 570, 300},
           {{"GatherND", "R3,4,2 I5,2<3", "", 1}, 7, 4},
           {{"GatherND", "R3,4,2 I3,2,1<4", "batch_dims=1", 1}, 5, 4},
           {{"ScatterElements", "R3,4 I2,4<3 R2,4", "reduction=add", 1}, 7, 3},
           {{"ScatterElements", "R3,4 L3,3<4 R3,3", "axis=-1", 1}, 0, 4},
           {{"ScatterND", "R3,4,2 I5,2<3 R5,2", "", 1}, 3, 4},
           {{"GatherGrad", "R5,3 I5<4 R4,3", "", 1}, 2, 4},
           {{"GatherNDGrad", "R5,2 I5,2<3 R3,4,2", "", 1}, 8, 3}};

static void test_out_of_range(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        for (int below = 0; below < 2; below++) {
            hone_error err;
            built_case b;
            runner r;
            const hone_tensor *out[CASE_MAX_OUTPUTS];
            char want[100];
            int64_t index = below ? -bad[i].size - 1 : bad[i].size;
            build(&bad[i].c, bad[i].at, index, &b);
            assert_int_equal(runner_open(b.g, NULL, 2, &r, &err), HONE_OK);
            assert_int_equal(hone_context_run(r.context, (const hone_tensor *const *)b.data, out, &err),
                             HONE_INVALID_ARGUMENT);
            snprintf(want, sizeof want, "index %d at position %d is outside of an axis of %d", (int)index,
                     (int)bad[i].at, (int)bad[i].size);
            assert_string_equal(err.message, want);
            assert_string_equal(err.node, "node");
            runner_close(&r);
            case_free(&b);
        }
}

/* Runs without a fault; how many elements there are. */
static const struct {
    op_case c;
    int64_t count;
} empty[] = {{{"Gather", "R4,0 I5<4", "", 1}, 0},
             {{"Gather", "R0,3 I0", "", 1}, 0},
             {{"GatherElements", "R3,0 I3,0", "", 1}, 0},
             {{"GatherND", "R3,0 I2,1<3", "", 1}, 0},
             {{"GatherND", "R3,4 I0,2", "", 1}, 0},
             {{"ScatterElements", "R3,4 I0,4 R0,4", "", 1}, 12},
             {{"ScatterElements", "R3,0 I3,0 R3,0", "axis=1", 1}, 0},
             {{"ScatterND", "R3,4 I0,2 R0", "", 1}, 12},
             {{"ScatterND", "R3,0 I2,1<3 R2,0", "", 1}, 0},
             {{"ScatterND", "R3,4 I2,0 R2,3,4", "", 1}, 12},
             {{"GatherGrad", "R0,3 I0 R4,3", "", 1}, 12},
             {{"Pad", "R0,3 S=1,0,1,0", "", 1}, 6},
             {{"Pad", "R0,3 S=0,1,0,0", "mode=edge", 1}, 0},
             {{"Tile", "R0,3 S=2,2", "", 1}, 0},
             {{"Tile", "R2,3 S=2,0", "", 1}, 0},
             {{"Concat", "R0,3 R2,3", "axis=0", 1}, 6},
             {{"CenterCropPad", "R0 S=3", "", 1}, 3}};

static void test_nothing(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof empty / sizeof *empty; i++) {
        hone_error err;
        built_case b;
        runner r;
        const hone_tensor *out[CASE_MAX_OUTPUTS];
        if (!case_build(&empty[i].c, HONE_FLOAT32, &b)) fail_msg("%s cannot be built", empty[i].c.op);
        if (runner_open(b.g, NULL, 2, &r, &err) != HONE_OK ||
            hone_context_run(r.context, (const hone_tensor *const *)b.data, out, &err) != HONE_OK)
            fail_msg("%s %s: %s", empty[i].c.op, empty[i].c.inputs, err.message);
        assert_int_equal(out[0]->count, empty[i].count);
        runner_close(&r);
        case_free(&b);
    }
}

/* Updates that meet come in order: the last one stays, a sum has all of them. */
static void test_meeting(void **state) {
    (void)state;
    static const struct {
        const char *reduction;
        float want;
    } cases[] = {{"none", 5}, {"add", 1 + 2 + 3 + 5}, {"mul", 30}, {"max", 5}, {"min", 1}};
    for (int nd = 0; nd < 2; nd++)
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            hone_error err;
            char attrs[40];
            op_case c = {nd ? "ScatterND" : "ScatterElements", nd ? "R2 I3,1<1 R3" : "R2 I3<1 R3", attrs, 1};
            built_case b;
            runner r;
            const hone_tensor *out[CASE_MAX_OUTPUTS];
            snprintf(attrs, sizeof attrs, "reduction=%s", cases[i].reduction);
            if (!nd) c.inputs = "R4 I3<1 R3";
            assert_true(case_build(&c, HONE_FLOAT32, &b));
            ((float *)b.data[0]->data)[0] = 1;
            memcpy(b.data[2]->data, ((float[]){2, 3, 5}), 3 * sizeof(float));
            assert_int_equal(runner_open(b.g, NULL, 2, &r, &err), HONE_OK);
            assert_int_equal(hone_context_run(r.context, (const hone_tensor *const *)b.data, out, &err),
                             HONE_OK);
            assert_true(((const float *)out[0]->data)[0] == cases[i].want);
            assert_true(((const float *)out[0]->data)[1] == ((const float *)b.data[0]->data)[1]);
            runner_close(&r);
            case_free(&b);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_out_of_range), cmocka_unit_test(test_nothing),
                                       cmocka_unit_test(test_meeting)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
