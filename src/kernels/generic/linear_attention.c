#include "kernels/linear_attention.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

/* Steps between two states that are kept. */
static int64_t distance(int64_t steps) {
    return steps > 1 ? (int64_t)ceil(sqrt((double)steps)) : 1;
}

int64_t hone_linear_attention_grad_room(int64_t steps, int64_t depth, int64_t columns) {
    /* those at starts, those of one distance, dS; factors of rows, and three rows of columns */
    int64_t each = distance(steps), states = (steps + each - 1) / each + each + 1 + 1, size, all;
    if (__builtin_mul_overflow(depth, columns, &size) || __builtin_mul_overflow(size, states, &all) ||
        __builtin_add_overflow(all, depth, &all) || __builtin_mul_overflow(columns, 3, &size) ||
        __builtin_add_overflow(all, size, &all))
        return -1;
    return all;
}

#define REAL float
#define NAME(x) x##_f32
#define EXP expf
#include "kernels/generic/linear_attention.inc.h"
#undef REAL
#undef NAME
#undef EXP

#define REAL double
#define NAME(x) x##_f64
#define EXP exp
#include "kernels/generic/linear_attention.inc.h"

static void read_state(const hone_linear_attention *a, int64_t t, const double *s) {
    for (int64_t h = 0; h < a->group; h++) {
        const double *q = row_f64(a->q, a->q_step, t) + h * a->depth;
        double *y = (double *)a->y + t * a->y_step + h * a->y_head;
        for (int64_t j = 0; j < a->columns; j++) y[j] = 0;
        for (int64_t d = 0; d < a->depth; d++)
            for (int64_t j = 0; j < a->columns; j++) y[j] += q[d] * s[d * a->state_row + j];
        for (int64_t j = 0; j < a->columns; j++) y[j] *= a->scale;
    }
}

void hone_linear_attention_f64(const hone_linear_attention *a) {
    double *to = a->to, *e = a->room, *u = e + a->depth;
    copy_f64(a, a->from, to);
    for (int64_t t = 0; t < a->steps; t++) {
        advance_f64(a, t, to, e, u);
        read_state(a, t, to);
    }
}
