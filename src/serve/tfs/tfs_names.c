#include "serve/tfs/tfs_names.h"

#include "serve/format/grpc_code.h"

static const struct {
    hone_dtype dtype;
    int number;
    const char *name;
} types[] = {
    {HONE_FLOAT32, 1, "DT_FLOAT"},      {HONE_FLOAT64, 2, "DT_DOUBLE"}, {HONE_INT32, 3, "DT_INT32"},
    {HONE_UINT8, 4, "DT_UINT8"},        {HONE_INT16, 5, "DT_INT16"},    {HONE_INT8, 6, "DT_INT8"},
    {HONE_STRING, 7, "DT_STRING"},      {HONE_INT64, 9, "DT_INT64"},    {HONE_BOOL, 10, "DT_BOOL"},
    {HONE_BFLOAT16, 14, "DT_BFLOAT16"}, {HONE_UINT16, 17, "DT_UINT16"}, {HONE_FLOAT16, 19, "DT_HALF"},
    {HONE_UINT32, 22, "DT_UINT32"},     {HONE_UINT64, 23, "DT_UINT64"},
};
enum { TYPES = sizeof types / sizeof *types };

int hone_tfs_type(hone_dtype dtype) {
    for (int i = 0; i < TYPES; i++)
        if (types[i].dtype == dtype) return types[i].number;
    return 0;
}

const char *hone_tfs_type_name(hone_dtype dtype) {
    for (int i = 0; i < TYPES; i++)
        if (types[i].dtype == dtype) return types[i].name;
    return "DT_INVALID";
}

hone_dtype hone_tfs_dtype(uint64_t type) {
    for (int i = 0; i < TYPES; i++)
        if ((uint64_t)types[i].number == type) return types[i].dtype;
    return HONE_UNDEFINED;
}

static const struct {
    hone_status status;
    int number;
} codes[] = {
    {HONE_OK, 0},
    {HONE_CANCELLED, 1},
    {HONE_INVALID_ARGUMENT, 3},
    {HONE_DEADLINE_EXCEEDED, 4},
    {HONE_NOT_FOUND, 5},
    {HONE_ALREADY_EXISTS, 6},
    {HONE_RESOURCE_EXHAUSTED, 8},
    {HONE_OUT_OF_MEMORY, 8},
    {HONE_FAILED_PRECONDITION, 9},
    {HONE_OUT_OF_RANGE, 11},
    {HONE_UNSUPPORTED, 12},
    {HONE_INTERNAL, 13},
    {HONE_UNAVAILABLE, 14},
    {HONE_CORRUPT, 15},
};
enum { CODES = sizeof codes / sizeof *codes };

int hone_tfs_code(hone_status status) {
    for (int i = 0; i < CODES; i++)
        if (codes[i].status == status) return codes[i].number;
    return 2;
}

const char *hone_tfs_code_name(hone_status status) {
    return hone_grpc_code_name((hone_grpc_code)hone_tfs_code(status));
}
