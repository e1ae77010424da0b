#include "data/convert.h"

#include "base/error.h"
#include "graph/tensor.h"
#include "kernels/portable.h"

#include <hone/data.h>

#include <inttypes.h>
#include <math.h>

static bool is_signed(hone_dtype dtype) {
    return dtype == HONE_INT8 || dtype == HONE_INT16 || dtype == HONE_INT32 || dtype == HONE_INT64;
}

bool hone_dtype_holds_all(hone_dtype to, hone_dtype from) {
    size_t room = hone_dtype_size(to), need = hone_dtype_size(from);
    if (from == HONE_BOOL) return true;
    if (to == HONE_BOOL) return false;
    if (is_signed(from) == is_signed(to)) return room >= need;
    return is_signed(to) && room > need;
}

bool hone_dtype_holds(hone_dtype to, hone_dtype from, int64_t x) {
    size_t bits = 8 * hone_dtype_size(to);
    if (from == HONE_UINT64 && x < 0) return false; /* above INT64_MAX */
    if (to == HONE_BOOL) return x == 0 || x == 1;
    if (!is_signed(to)) return x >= 0 && (bits == 64 || x >> bits == 0);
    return bits == 64 || (x >> (bits - 1)) == (x < 0 ? -1 : 0);
}

static bool is_plain(hone_dtype dtype) {
    return (hone_dtype_is_float(dtype) || hone_dtype_is_int(dtype)) && hone_dtype_size(dtype) > 0;
}

static hone_status check_integers(const hone_tensor *t, hone_dtype dtype, hone_error *err) {
    for (int64_t i = 0; i < t->count; i++) {
        int64_t x = hone_tensor_int(t, i);
        if (hone_dtype_holds(dtype, t->dtype, x)) continue;
        if (t->dtype == HONE_UINT64)
            return hone_fail(err, HONE_OUT_OF_RANGE, "%s can't hold %" PRIu64, hone_dtype_name(dtype),
                             (uint64_t)x);
        return hone_fail(err, HONE_OUT_OF_RANGE, "%s can't hold %" PRId64, hone_dtype_name(dtype), x);
    }
    return HONE_OK;
}

/* No number becomes infinite. */
static hone_status check_floats(const hone_tensor *t, const hone_tensor *out, hone_error *err) {
    for (int64_t i = 0; i < t->count; i++)
        if (isinf(hone_tensor_number(out, i)) && !isinf(hone_tensor_number(t, i)))
            return hone_fail(err, HONE_OUT_OF_RANGE, "%s can't hold %g", hone_dtype_name(out->dtype),
                             hone_tensor_number(t, i));
    return HONE_OK;
}

hone_status hone_tensor_convert(const hone_tensor *t, hone_dtype dtype, hone_tensor **out, hone_error *err) {
    bool tensor = hone_tensor_kind(t) == HONE_KIND_TENSOR;
    if (tensor && t->dtype == dtype) {
        *out = hone_tensor_retain((hone_tensor *)t);
        return HONE_OK;
    }
    if (!tensor || !is_plain(t->dtype) || !is_plain(dtype) ||
        (hone_dtype_is_float(t->dtype) && !hone_dtype_is_float(dtype)))
        return hone_fail(err, HONE_INVALID_ARGUMENT, "%s can't become %s", hone_dtype_name(t->dtype),
                         hone_dtype_name(dtype));
    if (hone_dtype_is_int(dtype) && !hone_dtype_holds_all(dtype, t->dtype))
        HONE_TRY(check_integers(t, dtype, err));
    hone_tensor *made = NULL;
    HONE_TRY(hone_tensor_new(dtype, t->rank, t->dims, &made, err));
    hone_cast(t->dtype, dtype, t->data, made->data, t->count);
    hone_status status = hone_dtype_is_float(dtype) ? check_floats(t, made, err) : HONE_OK;
    if (status == HONE_OK)
        *out = made;
    else
        hone_tensor_free(made);
    return status;
}
