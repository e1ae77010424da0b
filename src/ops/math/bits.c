/* Operations on the bits of integers. */
#include "graph/infer.h"
#include "ops/common/axes.h"
#include "ops/engine/elementwise.h"

#include <string.h>

#define UNSIGNED                                                                                             \
    (HONE_TYPE(HONE_UINT8) | HONE_TYPE(HONE_UINT16) | HONE_TYPE(HONE_UINT32) | HONE_TYPE(HONE_UINT64))
#define SIGNED (HONE_TYPES_INT | HONE_TYPE(HONE_INT8) | HONE_TYPE(HONE_INT16))
#define WHOLE (UNSIGNED | SIGNED)
#define BINARY(types)                                                                                        \
    .inputs = HONE_SLOTS({"A", 'T', types, 0}, {"B", 'T', types, 0}),                                        \
    .outputs = HONE_SLOTS({"C", 'T', types, 0}), .infer = hone_infer_elementwise,                            \
    .axes = hone_axes_broadcast, .prepare = hone_prepare_elementwise, .overwrite = 3

#define MAP(id, expression)                                                                                  \
    static void map_##id(hone_map *m, const hone_node *n) {                                                  \
        (void)n;                                                                                             \
        hone_reg a = hone_map_in(m, 0), b = hone_map_in(m, 1);                                               \
        hone_map_out(m, 0, expression);                                                                      \
    }

MAP(bitwise_and, hone_map_and(m, a, b))
const hone_op hone_op_bitwise_and = {.name = "BitwiseAnd",
                                     .since = 18,
                                     .oldest = 18,
                                     BINARY(WHOLE),
                                     .commutes = true,
                                     .map = map_bitwise_and,
                                     .doc = "the bits that both have"};

MAP(bitwise_or, hone_map_or(m, a, b))
const hone_op hone_op_bitwise_or = {.name = "BitwiseOr",
                                    .since = 18,
                                    .oldest = 18,
                                    BINARY(WHOLE),
                                    .commutes = true,
                                    .map = map_bitwise_or,
                                    .doc = "the bits that either has"};

MAP(bitwise_xor, hone_map_xor(m, a, b))
const hone_op hone_op_bitwise_xor = {.name = "BitwiseXor",
                                     .since = 18,
                                     .oldest = 18,
                                     BINARY(WHOLE),
                                     .commutes = true,
                                     .map = map_bitwise_xor,
                                     .doc = "the bits that one has, not both"};

static void map_bitwise_not(hone_map *m, const hone_node *n) {
    (void)n;
    hone_reg x = hone_map_in(m, 0); /* -x - 1 */
    hone_map_out(m, 0, hone_map_sub(m, hone_map_neg(m, x), hone_map_const(m, 1)));
}

const hone_op hone_op_bitwise_not = {.name = "BitwiseNot",
                                     .since = 18,
                                     .oldest = 18,
                                     .inputs = HONE_SLOTS({"X", 'T', WHOLE, 0}),
                                     .outputs = HONE_SLOTS({"Y", 'T', WHOLE, 0}),
                                     .infer = hone_infer_same,
                                     .axes = hone_axes_broadcast,
                                     .prepare = hone_prepare_elementwise,
                                     .overwrite = 1,
                                     .map = map_bitwise_not,
                                     .doc = "the bits that X lacks"};

static void map_bit_shift(hone_map *m, const hone_node *n) {
    const char *direction = hone_node_string(n, "direction");
    bool left = direction && strcmp(direction, "LEFT") == 0;
    hone_reg x = hone_map_in(m, 0), by = hone_map_in(m, 1);
    hone_dtype dtype = n->outputs[0]->type.dtype;
    if (!left && (SIGNED & HONE_TYPE(dtype))) { /* by more than all bits: the sign is left */
        hone_reg most = hone_map_const(m, dtype == HONE_INT64 ? 63 : 31), zero = hone_map_const(m, 0);
        hone_reg outside = hone_map_max(m, hone_map_gt(m, zero, by), hone_map_gt(m, by, most));
        by = hone_map_select(m, outside, most, by);
    }
    hone_map_out(m, 0, left ? hone_map_shl(m, x, by) : hone_map_shr(m, x, by));
}

static hone_status infer_bit_shift(hone_infer *ctx, hone_error *err) {
    const char *direction = hone_node_string(ctx->node, "direction");
    if (!direction || (strcmp(direction, "LEFT") != 0 && strcmp(direction, "RIGHT") != 0))
        return hone_infer_fail(ctx, err, "direction must be LEFT or RIGHT");
    return hone_infer_elementwise(ctx, err);
}

const hone_op hone_op_bit_shift = {.name = "BitShift",
                                   .since = 28,
                                   .oldest = 11,
                                   .older = (const hone_op_version[]){{11, NULL, NULL}, {0}},
                                   .inputs = HONE_SLOTS({"X", 'T', WHOLE, 0}, {"Y", 'T', WHOLE, 0}),
                                   .outputs = HONE_SLOTS({"Z", 'T', WHOLE, 0}),
                                   .late_types = SIGNED,
                                   .attrs = HONE_ATTRS({"direction", HONE_ATTR_STRING, .required = true}),
                                   .infer = infer_bit_shift,
                                   .axes = hone_axes_broadcast,
                                   .prepare = hone_prepare_elementwise,
                                   .overwrite = 3,
                                   .map = map_bit_shift,
                                   .doc = "X times, or divided by, 2 to the power Y, rounded down"};
