#include <hone/tensor.h>

static const struct {
    const char *name;
    int bits;
} dtypes[HONE_DTYPE_COUNT] = {
    [HONE_UNDEFINED] = {"undefined", 0},
    [HONE_FLOAT32] = {"float32", 32},
    [HONE_UINT8] = {"uint8", 8},
    [HONE_INT8] = {"int8", 8},
    [HONE_UINT16] = {"uint16", 16},
    [HONE_INT16] = {"int16", 16},
    [HONE_INT32] = {"int32", 32},
    [HONE_INT64] = {"int64", 64},
    [HONE_STRING] = {"string", 8 * sizeof(hone_string)},
    [HONE_BOOL] = {"bool", 8},
    [HONE_FLOAT16] = {"float16", 16},
    [HONE_FLOAT64] = {"float64", 64},
    [HONE_UINT32] = {"uint32", 32},
    [HONE_UINT64] = {"uint64", 64},
    [HONE_COMPLEX64] = {"complex64", 0},
    [HONE_COMPLEX128] = {"complex128", 0},
    [HONE_BFLOAT16] = {"bfloat16", 16},
    [HONE_FLOAT8E4M3FN] = {"float8e4m3fn", 8},
    [HONE_FLOAT8E4M3FNUZ] = {"float8e4m3fnuz", 8},
    [HONE_FLOAT8E5M2] = {"float8e5m2", 8},
    [HONE_FLOAT8E5M2FNUZ] = {"float8e5m2fnuz", 8},
    [HONE_UINT4] = {"uint4", 4},
    [HONE_INT4] = {"int4", 4},
    [HONE_FLOAT4E2M1] = {"float4e2m1", 4},
    [HONE_FLOAT8E8M0] = {"float8e8m0", 8},
    [HONE_UINT2] = {"uint2", 2},
    [HONE_INT2] = {"int2", 2},
};

static bool is_dtype(hone_dtype dtype) {
    return (unsigned)dtype < HONE_DTYPE_COUNT;
}

int hone_dtype_bits(hone_dtype dtype) {
    return is_dtype(dtype) ? dtypes[dtype].bits : 0;
}

size_t hone_dtype_size(hone_dtype dtype) {
    return (size_t)hone_dtype_bits(dtype) / 8;
}

const char *hone_dtype_name(hone_dtype dtype) {
    return dtypes[is_dtype(dtype) ? dtype : HONE_UNDEFINED].name;
}
