/* Curves of one number as maps, for activations that stand alone and those inside of recurrent cells. */
#ifndef HONE_OPS_COMMON_CURVE_H
#define HONE_OPS_COMMON_CURVE_H

#include "graph/map.h"

/* e^x - 1 of x <= 0 without its cancellation near 0. */
hone_reg hone_curve_exp_minus_1(hone_map *m, hone_reg x);
/* x > 0 ? x : alpha (e^x - 1) */
hone_reg hone_curve_elu(hone_map *m, hone_reg x, double alpha);
/* log(1 + e^x) = max(x, 0) + log(1 + e^-|x|) */
hone_reg hone_curve_softplus(hone_map *m, hone_reg x);
/* alpha x + beta, held in [0, 1] */
hone_reg hone_curve_ramp(hone_map *m, hone_reg x, double alpha, double beta);
/* y where 0 < r < 1, else z: slopes of ramps. */
hone_reg hone_curve_inside(hone_map *m, hone_reg r, hone_reg y, hone_reg z);
/* x / (1 + |x|) */
hone_reg hone_curve_softsign(hone_map *m, hone_reg x);

#endif
