#include "data/npy.h"
#include "base/file.h"
#include "base/memory.h"
#include "data/npy_strings.h"
#include "graph/tensor.h"

#include <hone/data.h>

#include <stdio.h>
#include <string.h>

/* Headers are padded to a few hundred bytes at most; longer ones belong to arrays of records. */
enum { HEADER_LIMIT = 64 << 10, PREAMBLE = 10, ALIGN = 64 };
static const char magic[6] = {'\x93', 'N', 'U', 'M', 'P', 'Y'};

static hone_status read_header(hone_source *s, hone_npy_header *h, hone_error *err) {
    uint8_t head[12];
    HONE_TRY(hone_source_read(s, head, 8, err));
    if (memcmp(head, magic, sizeof magic) != 0) return hone_fail(err, HONE_CORRUPT, "not a .npy file");
    int version = head[6];
    if (version < 1 || version > 3)
        return hone_fail(err, HONE_UNSUPPORTED, ".npy version %d.%d; Hone reads 1 to 3", version, head[7]);
    size_t wide = version == 1 ? 2 : 4, size = 0;
    HONE_TRY(hone_source_read(s, head + 8, wide, err));
    for (size_t i = wide; i-- > 0;) size = size << 8 | head[8 + i];
    if (size > HEADER_LIMIT) return hone_fail(err, HONE_CORRUPT, "a header of %zu bytes", size);
    if (size > s->limit)
        return hone_fail(err, HONE_CORRUPT, "the file ends too early: its header has %zu bytes", size);
    char *text = hone_alloc(size);
    if (!text) return hone_fail_memory(err);
    hone_status status = hone_source_read(s, text, size, err);
    if (status == HONE_OK) status = hone_npy_parse_header(text, size, h, err);
    hone_free(text);
    return status;
}

/* From first index fastest to last index fastest. */
static void reorder(const uint8_t *in, uint8_t *out, size_t size, int rank, const int64_t *dims,
                    int64_t count) {
    int64_t at[HONE_MAX_RANK] = {0}, stride[HONE_MAX_RANK], from = 0;
    for (int i = 0; i < rank; i++) stride[i] = i ? stride[i - 1] * dims[i - 1] : 1;
    for (int64_t to = 0; to < count; to++) {
        memcpy(out + (size_t)to * size, in + (size_t)from * size, size);
        for (int i = rank - 1; i >= 0; i--) {
            from += stride[i];
            if (++at[i] < dims[i]) break;
            from -= stride[i] * dims[i];
            at[i] = 0;
        }
    }
}

static hone_status to_row_major(hone_tensor **t, hone_error *err) {
    const hone_tensor *in = *t;
    hone_tensor *out = NULL;
    HONE_TRY(hone_tensor_new(in->dtype, in->rank, in->dims, &out, err));
    reorder(in->data, out->data, hone_dtype_size(in->dtype), in->rank, in->dims, in->count);
    hone_tensor_free(*t);
    *t = out;
    return HONE_OK;
}

/* The elements as they lie in the file, and the tensor of them. */
static hone_status read_strings(hone_source *s, const hone_npy_header *h, hone_tensor **out,
                                hone_error *err) {
    int64_t count;
    size_t one = hone_npy_string_bytes(h), bytes;
    if (hone_shape_size(HONE_STRING, h->rank, h->dims, &count, &bytes, NULL) != HONE_OK ||
        !hone_mul_size((size_t)count, one, &bytes) || bytes > s->limit)
        return hone_fail(err, HONE_CORRUPT, "the header promises more data than the file can hold");
    bool moved = h->fortran && h->rank > 1;
    uint8_t *data = hone_alloc(bytes + 1), *rows = moved ? hone_alloc(bytes + 1) : data;
    hone_status status = data && rows ? hone_source_read(s, data, bytes, err) : hone_fail_memory(err);
    if (status == HONE_OK) status = hone_source_end(s, err);
    if (status == HONE_OK && h->swapped && h->characters) hone_swap_bytes(data, bytes / 4, 4);
    if (status == HONE_OK && moved) reorder(data, rows, one, h->rank, h->dims, count);
    if (status == HONE_OK) status = hone_npy_strings(h, rows, count, out, err);
    if (moved) hone_free(rows);
    hone_free(data);
    return status;
}

static hone_status read_array(hone_source *s, const hone_npy_header *h, hone_tensor *t, hone_error *err) {
    HONE_TRY(hone_source_read(s, t->data, t->bytes, err));
    HONE_TRY(hone_source_end(s, err));
    if (h->swapped) hone_swap_bytes(t->data, (size_t)t->count, hone_dtype_size(h->dtype));
    uint8_t *flags = t->data;
    if (h->dtype == HONE_BOOL)
        for (size_t i = 0; i < t->bytes; i++) flags[i] = flags[i] != 0;
    return HONE_OK;
}

hone_status hone_npy_read(hone_source *s, hone_tensor **out, hone_error *err) {
    hone_npy_header h;
    size_t bytes = 0;
    HONE_TRY(read_header(s, &h, err));
    if (h.dtype == HONE_STRING) return read_strings(s, &h, out, err);
    if (hone_shape_size(h.dtype, h.rank, h.dims, NULL, &bytes, NULL) != HONE_OK || bytes > s->limit)
        return hone_fail(err, HONE_CORRUPT, "the header promises more data than the file can hold");
    hone_tensor *t = NULL;
    HONE_TRY(hone_tensor_new(h.dtype, h.rank, h.dims, &t, err));
    hone_status status = read_array(s, &h, t, err);
    if (status == HONE_OK && h.fortran && h.rank > 1) status = to_row_major(&t, err);
    if (status == HONE_OK)
        *out = t;
    else
        hone_tensor_free(t);
    return status;
}

hone_status hone_npy_load(const char *path, hone_tensor **out, hone_error *err) {
    hone_source *s = NULL;
    HONE_TRY(hone_source_open(path, &s, err));
    hone_status status = hone_npy_read(s, out, err);
    hone_source_close(s);
    return hone_error_in_file(err, status, path);
}

hone_status hone_npy_parse(const void *data, size_t size, hone_tensor **out, hone_error *err) {
    hone_source *s = NULL;
    HONE_TRY(hone_source_memory(data, size, &s, err));
    hone_status status = hone_npy_read(s, out, err);
    hone_source_close(s);
    return status;
}

/* --- writing --- */

static const char *descr_of(hone_dtype dtype) {
    switch (dtype) {
    case HONE_BOOL: return "b1";
    case HONE_UINT8: return "u1";
    case HONE_INT8: return "i1";
    case HONE_UINT16: return "u2";
    case HONE_INT16: return "i2";
    case HONE_UINT32: return "u4";
    case HONE_INT32: return "i4";
    case HONE_UINT64: return "u8";
    case HONE_INT64: return "i8";
    case HONE_FLOAT16: return "f2";
    case HONE_FLOAT32: return "f4";
    case HONE_FLOAT64: return "f8";
    default: return NULL;
    }
}

/* Preamble and header, padded with spaces to a multiple of 64 bytes that ends in a newline. `width`: of strings.
 * Returns the size. */
static size_t write_header(char out[512], const hone_tensor *t, size_t width) {
    size_t one = t->dtype == HONE_STRING ? 1 : hone_dtype_size(t->dtype);
    char order = one == 1 ? '|' : __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? '<' : '>', strings[24];
    snprintf(strings, sizeof strings, "S%zu", width);
    char *p = out + PREAMBLE, *end = out + 512;
    p += snprintf(p, (size_t)(end - p), "{'descr': '%c%s', 'fortran_order': False, 'shape': (", order,
                  t->dtype == HONE_STRING ? strings : descr_of(t->dtype));
    for (int i = 0; i < t->rank; i++)
        p += snprintf(p, (size_t)(end - p), i ? ", %lld" : "%lld", (long long)t->dims[i]);
    p += snprintf(p, (size_t)(end - p), t->rank == 1 ? ",), }" : "), }");
    size_t used = (size_t)(p - out), size = (used + 1 + ALIGN - 1) / ALIGN * ALIGN;
    memset(p, ' ', size - used - 1);
    out[size - 1] = '\n';
    memcpy(out, magic, sizeof magic);
    out[6] = 1;
    out[7] = 0;
    out[8] = (char)((size - PREAMBLE) & 0xff);
    out[9] = (char)((size - PREAMBLE) >> 8);
    return size;
}

hone_status hone_npy_front(const hone_tensor *t, hone_blob *out, hone_error *err) {
    char header[512];
    size_t width = 0, strings = 0, size;
    if (t->dtype == HONE_STRING)
        HONE_TRY(hone_npy_string_width(t, &width, err));
    else if (!descr_of(t->dtype))
        return hone_fail(err, HONE_UNSUPPORTED, "NumPy has no %s: cast it in the model",
                         hone_dtype_name(t->dtype));
    size_t head = write_header(header, t, width);
    if (!hone_mul_size(width, (size_t)t->count, &strings) || !hone_add_size(head, strings, &size) ||
        !(out->data = hone_calloc(size, 1)))
        return hone_fail_memory(err);
    out->size = size;
    memcpy(out->data, header, head);
    for (int64_t i = 0; width && i < t->count; i++) {
        const char *s = hone_tensor_string(t, i, &size);
        memcpy(out->data + head + (size_t)i * width, s, size);
    }
    return HONE_OK;
}

hone_status hone_npy_save(const char *path, const hone_tensor *t, hone_error *err) {
    hone_blob front;
    hone_writer *w = NULL;
    hone_status status = hone_npy_front(t, &front, err);
    if (status != HONE_OK) return hone_error_in_file(err, status, path);
    status = hone_writer_open(path, &w, err);
    if (status == HONE_OK) status = hone_writer_write(w, front.data, front.size, err);
    hone_blob_free(&front);
    if (status == HONE_OK && t->dtype != HONE_STRING) status = hone_writer_write(w, t->data, t->bytes, err);
    if (status == HONE_OK) return hone_writer_commit(w, err);
    hone_writer_abort(w);
    return status;
}
