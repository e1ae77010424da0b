#include "ops/common/curve.h"

/* 2 t / (1 - t), t = tanh(x / 2) */
hone_reg hone_curve_exp_minus_1(hone_map *m, hone_reg x) {
    hone_reg t = hone_map_tanh(m, hone_map_mul(m, x, hone_map_const(m, 0.5)));
    return hone_map_div(m, hone_map_add(m, t, t), hone_map_sub(m, hone_map_const(m, 1), t));
}

hone_reg hone_curve_elu(hone_map *m, hone_reg x, double alpha) {
    hone_reg e = hone_map_mul(m, hone_curve_exp_minus_1(m, x), hone_map_const(m, alpha));
    return hone_map_select(m, hone_map_gt(m, hone_map_const(m, 0), x), e, x);
}

/* log(1 + e) for 0 <= e <= 1, exact to some ulp: what 1 + e lost in rounding is put right by the quotient (Kahan). */
static hone_reg log_1_plus(hone_map *m, hone_reg e) {
    hone_reg one = hone_map_const(m, 1), u = hone_map_add(m, one, e), kept = hone_map_sub(m, u, one);
    hone_reg ratio = hone_map_div(m, e, kept);
    return hone_map_select(m, hone_map_gt(m, kept, hone_map_const(m, 0)),
                           hone_map_mul(m, hone_map_log(m, u), ratio), e);
}

hone_reg hone_curve_softplus(hone_map *m, hone_reg x) {
    hone_reg e = hone_map_exp(m, hone_map_neg(m, hone_map_abs(m, x)));
    return hone_map_add(m, hone_map_max(m, x, hone_map_const(m, 0)), log_1_plus(m, e));
}

hone_reg hone_curve_ramp(hone_map *m, hone_reg x, double alpha, double beta) {
    hone_reg line = hone_map_fma(m, x, hone_map_const(m, alpha), hone_map_const(m, beta));
    return hone_map_max(m, hone_map_min(m, line, hone_map_const(m, 1)), hone_map_const(m, 0));
}

hone_reg hone_curve_inside(hone_map *m, hone_reg r, hone_reg y, hone_reg z) {
    hone_reg zero = hone_map_const(m, 0), one = hone_map_const(m, 1);
    return hone_map_select(m, hone_map_gt(m, r, zero), hone_map_select(m, hone_map_gt(m, one, r), y, z), z);
}

hone_reg hone_curve_softsign(hone_map *m, hone_reg x) {
    return hone_map_div(m, x, hone_map_add(m, hone_map_abs(m, x), hone_map_const(m, 1)));
}
