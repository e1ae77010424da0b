/* Checks of the canonical rows. */
#include "ops/rewrites/rewrites.h"

static bool is_float(const hone_value *v) {
    return (HONE_TYPE(v->type.dtype) & HONE_TYPES_FLOAT) != 0;
}

/* One number for each element of x's last axis. */
static bool is_row_of(const hone_value *v, const hone_value *x) {
    int64_t n = x->type.dims[x->type.rank - 1];
    return v->type.rank == 1 && n >= 0 && v->type.dims[0] == n;
}

/* `axes` is the last one of x alone; the scale, and the shift if there is one, are rows. */
bool hone_check_last_axis(const hone_match *m) {
    const hone_value *x = hone_match_value(m, "x"), *shift = hone_match_value(m, "shift");
    double axis = hone_match_number(m, "axes");
    int rank = x->type.rank;
    if (!is_float(x) || rank < 1 || (axis != -1 && axis != rank - 1)) return false;
    return is_row_of(hone_match_value(m, "scale"), x) && (!shift || is_row_of(shift, x));
}

bool hone_check_float(const hone_match *m) {
    return hone_dtype_is_float(m->root->outputs[0]->type.dtype);
}
