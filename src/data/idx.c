#include "data/idx.h"

#include "data/source.h"
#include "graph/tensor.h"

static hone_dtype idx_dtype(uint8_t code) {
    switch (code) {
    case 0x08: return HONE_UINT8;
    case 0x09: return HONE_INT8;
    case 0x0B: return HONE_INT16;
    case 0x0C: return HONE_INT32;
    case 0x0D: return HONE_FLOAT32;
    case 0x0E: return HONE_FLOAT64;
    default: return HONE_UNDEFINED;
    }
}

static hone_status read_idx(hone_source *s, hone_tensor **out, hone_error *err) {
    uint8_t head[4], raw[HONE_MAX_RANK * 4];
    int64_t dims[HONE_MAX_RANK];
    HONE_TRY(hone_source_read(s, head, sizeof head, err));
    hone_dtype dtype = idx_dtype(head[2]);
    if (head[0] || head[1] || !dtype) return hone_fail(err, HONE_CORRUPT, "not an IDX file");
    int rank = head[3];
    if (rank == 0 || rank > HONE_MAX_RANK)
        return hone_fail(err, HONE_UNSUPPORTED, "%d dimensions; 1 to %d are possible", rank, HONE_MAX_RANK);
    HONE_TRY(hone_source_read(s, raw, (size_t)rank * 4, err));
    for (int i = 0; i < rank; i++) {
        const uint8_t *b = raw + 4 * i;
        dims[i] = (int64_t)b[0] << 24 | b[1] << 16 | b[2] << 8 | b[3];
    }
    size_t bytes = 0;
    if (hone_shape_size(dtype, rank, dims, NULL, &bytes, NULL) != HONE_OK || bytes > s->limit)
        return hone_fail(err, HONE_CORRUPT, "the header promises more data than the file can hold");
    hone_tensor *t = NULL;
    HONE_TRY(hone_tensor_new(dtype, rank, dims, &t, err));
    hone_status status = hone_source_read(s, t->data, bytes, err);
    if (status == HONE_OK) status = hone_source_end(s, err);
    if (status != HONE_OK) {
        hone_tensor_free(t);
        return status;
    }
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    hone_swap_bytes(t->data, (size_t)t->count, hone_dtype_size(dtype));
#endif
    *out = t;
    return HONE_OK;
}

hone_status hone_idx_load(const char *path, hone_tensor **out, hone_error *err) {
    hone_source *s = NULL;
    HONE_TRY(hone_source_open(path, &s, err));
    hone_status status = read_idx(s, out, err);
    hone_source_close(s);
    return hone_error_in_file(err, status, path);
}

hone_status hone_idx_parse(const void *data, size_t size, hone_tensor **out, hone_error *err) {
    hone_source *s = NULL;
    HONE_TRY(hone_source_memory(data, size, &s, err));
    hone_status status = read_idx(s, out, err);
    hone_source_close(s);
    return status;
}
