/* Comparisons and logic: what makes masks. */
#include "graph/infer.h"
#include "ops/common/axes.h"
#include "ops/common/legacy.h"
#include "ops/engine/elementwise.h"
#include "ops/math/compare_strings.h"

#include <math.h>

#define BOOL HONE_TYPE(HONE_BOOL)
#define STRING HONE_TYPE(HONE_STRING)
#define ORDERED (HONE_TYPES_NUMBER | HONE_TYPES_HALF)
#define MASK(types)                                                                                          \
    .inputs = HONE_SLOTS({"A", 'T', types, 0}, {"B", 'T', types, 0}),                                        \
    .outputs = HONE_SLOTS({"C", 0, BOOL, 0}), .infer = hone_infer_elementwise, .axes = hone_axes_broadcast,  \
    .prepare = prepare_mask, .overwrite = 3, .gradient_kind = HONE_GRADIENT_ZERO

static hone_status prepare_mask(hone_prepare *p, hone_error *err) {
    return p->in[0]->dtype == HONE_STRING ? hone_prepare_equal_strings(p, err)
                                          : hone_prepare_elementwise(p, err);
}

/* The map of two operands, a and b. */
#define MAP(id, expression)                                                                                  \
    static void map_##id(hone_map *m, const hone_node *n) {                                                  \
        (void)n;                                                                                             \
        hone_reg a = hone_map_in(m, 0), b = hone_map_in(m, 1);                                               \
        hone_map_out(m, 0, expression);                                                                      \
    }

MAP(greater, hone_map_gt(m, a, b))
const hone_op hone_op_greater = {.name = "Greater",
                                 .since = 13,
                                 .oldest = 1,
                                 .older = hone_older_broadcasting,
                                 MASK(ORDERED),
                                 .map = map_greater,
                                 .doc = "A > B"};

MAP(greater_or_equal, hone_map_ge(m, a, b))
const hone_op hone_op_greater_or_equal = {.name = "GreaterOrEqual",
                                          .since = 16,
                                          .oldest = 12,
                                          MASK(ORDERED),
                                          .map = map_greater_or_equal,
                                          .doc = "A >= B"};

MAP(less, hone_map_gt(m, b, a))
const hone_op hone_op_less = {.name = "Less",
                              .since = 13,
                              .oldest = 1,
                              .older = hone_older_broadcasting,
                              MASK(ORDERED),
                              .map = map_less,
                              .doc = "A < B"};

MAP(less_or_equal, hone_map_ge(m, b, a))
const hone_op hone_op_less_or_equal = {.name = "LessOrEqual",
                                       .since = 16,
                                       .oldest = 12,
                                       MASK(ORDERED),
                                       .map = map_less_or_equal,
                                       .doc = "A <= B"};

MAP(equal, hone_map_eq(m, a, b))

static bool has_map_equal(const hone_node *n) {
    return n->inputs[0]->type.dtype != HONE_STRING;
}

const hone_op hone_op_equal = {.name = "Equal",
                               .since = 19,
                               .oldest = 1,
                               .older = hone_older_broadcasting,
                               MASK(ORDERED | BOOL | STRING),
                               .late_types = STRING,
                               .commutes = true,
                               .map = map_equal,
                               .has_map = has_map_equal,
                               .doc = "A = B"};

MAP(and, hone_map_min(m, a, b))
const hone_op hone_op_and = {.name = "And",
                             .since = 7,
                             .oldest = 1,
                             .older = hone_older_broadcasting,
                             MASK(BOOL),
                             .commutes = true,
                             .map = map_and,
                             .doc = "both"};

MAP(or, hone_map_max(m, a, b))
const hone_op hone_op_or = {.name = "Or",
                            .since = 7,
                            .oldest = 1,
                            .older = hone_older_broadcasting,
                            MASK(BOOL),
                            .commutes = true,
                            .map = map_or,
                            .doc = "either, or both"};

MAP(xor, hone_map_ne(m, a, b))
const hone_op hone_op_xor = {.name = "Xor",
                             .since = 7,
                             .oldest = 1,
                             .older = hone_older_broadcasting,
                             MASK(BOOL),
                             .commutes = true,
                             .map = map_xor,
                             .doc = "one, not both"};

static void map_not(hone_map *m, const hone_node *n) {
    (void)n;
    hone_map_out(m, 0, hone_map_eq(m, hone_map_in(m, 0), hone_map_const(m, 0)));
}

const hone_op hone_op_not = {.name = "Not",
                             .since = 1,
                             .oldest = 1,
                             .inputs = HONE_SLOTS({"X", 'T', BOOL, 0}),
                             .outputs = HONE_SLOTS({"Y", 'T', BOOL, 0}),
                             .infer = hone_infer_same,
                             .axes = hone_axes_broadcast,
                             .prepare = hone_prepare_elementwise,
                             .overwrite = 1,
                             .map = map_not,
                             .gradient_kind = HONE_GRADIENT_ZERO,
                             .doc = "not X"};

/* --- what a number is --- */

#define IS(types)                                                                                            \
    .inputs = HONE_SLOTS({"X", 0, types, 0}), .outputs = HONE_SLOTS({"Y", 0, BOOL, 0}),                      \
    .infer = hone_infer_same, .axes = hone_axes_broadcast, .prepare = hone_prepare_elementwise,              \
    .widened = EIGHT, .gradient_kind = HONE_GRADIENT_ZERO
#define EIGHT                                                                                                \
    (HONE_TYPE(HONE_FLOAT8E4M3FN) | HONE_TYPE(HONE_FLOAT8E4M3FNUZ) | HONE_TYPE(HONE_FLOAT8E5M2) |            \
     HONE_TYPE(HONE_FLOAT8E5M2FNUZ))

static void map_is_nan(hone_map *m, const hone_node *n) {
    (void)n;
    hone_reg x = hone_map_in(m, 0);
    hone_map_out(m, 0, hone_map_ne(m, x, x));
}

const hone_op hone_op_is_nan = {.name = "IsNaN",
                                .since = 20,
                                .oldest = 9,
                                IS(HONE_TYPES_FLOAT | HONE_TYPES_HALF | EIGHT),
                                .map = map_is_nan,
                                .doc = "not a number"};

static void map_is_inf(hone_map *m, const hone_node *n) {
    hone_reg x = hone_map_in(m, 0);
    bool negative = hone_node_int(n, "detect_negative"), positive = hone_node_int(n, "detect_positive");
    if (negative && positive)
        x = hone_map_abs(m, x);
    else if (negative)
        x = hone_map_neg(m, x);
    hone_reg infinity = hone_map_const(m, INFINITY);
    /* NaN: equal to nothing */
    hone_map_out(m, 0, hone_map_eq(m, x, negative || positive ? infinity : hone_map_const(m, NAN)));
}

const hone_op hone_op_is_inf = {.name = "IsInf",
                                .since = 20,
                                .oldest = 10,
                                IS(HONE_TYPES_FLOAT | HONE_TYPES_HALF | EIGHT),
                                .attrs = HONE_ATTRS({"detect_negative", HONE_ATTR_INT, .i = 1},
                                                    {"detect_positive", HONE_ATTR_INT, .i = 1}),
                                .map = map_is_inf,
                                .doc = "infinite"};
