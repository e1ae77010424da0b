#include "kernels/portable.h"

/* The label of one position: a class, or -1 for one that is ignored, or -2 for one that is out of range. */
static int64_t label_at(const hone_cross_entropy *c, int64_t i) {
    int64_t label = hone_cross_entropy_label(c, i);
    if (c->ignores && label == c->ignore_index) return -1;
    return label >= 0 && label < c->classes ? label : -2;
}

#define REAL float
#define NAME(x) x##_f32
#include "kernels/generic/loss.inc.h"
#undef REAL
#undef NAME

#define REAL double
#define NAME(x) x##_f64
#include "kernels/generic/loss.inc.h"
