#include "graph/tensor.h"

#include "base/bits.h"
#include "base/bulk.h"
#include "base/error.h"
#include "base/half.h"
#include "base/memory.h"
#include "base/narrow.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

bool hone_dtype_is_float(hone_dtype dtype) {
    return dtype == HONE_FLOAT32 || dtype == HONE_FLOAT64 || dtype == HONE_FLOAT16 || dtype == HONE_BFLOAT16;
}

bool hone_dtype_is_int(hone_dtype dtype) {
    switch (dtype) {
    case HONE_UINT8:
    case HONE_INT8:
    case HONE_UINT16:
    case HONE_INT16:
    case HONE_INT32:
    case HONE_INT64:
    case HONE_UINT32:
    case HONE_UINT64:
    case HONE_UINT4:
    case HONE_INT4:
    case HONE_UINT2:
    case HONE_INT2:
    case HONE_BOOL: return true;
    default: return false;
    }
}

hone_status hone_shape_size(hone_dtype dtype, int rank, const int64_t *dims, int64_t *count, size_t *bytes,
                            hone_error *err) {
    size_t bits = (size_t)hone_dtype_bits(dtype);
    if (bits == 0) return hone_fail(err, HONE_INVALID_ARGUMENT, "unknown element type %d", (int)dtype);
    if (rank < 0 || rank > HONE_MAX_RANK)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "a tensor of rank %d; at most %d is possible", rank,
                         HONE_MAX_RANK);
    /* A zero anywhere makes the tensor empty, but the other dimensions must not overflow either: strides use
     * them. */
    size_t total = 1, nonzero = bits > 8 ? bits / 8 : 1;
    for (int i = 0; i < rank; i++) {
        if (dims[i] < 0) return hone_fail(err, HONE_INVALID_ARGUMENT, "dimension %d is negative", i);
        const size_t d = (size_t)dims[i];
        if (dims[i] > PTRDIFF_MAX ||
            (d > 0 && (!hone_mul_size(nonzero, d, &nonzero) || nonzero > PTRDIFF_MAX)))
            return hone_fail(err, HONE_INVALID_ARGUMENT, "the shape's size overflows at dimension %d", i);
        total = d == 0 ? 0 : total * d;
    }
    if (count) *count = (int64_t)total;
    if (bytes) *bytes = bits >= 8 ? total * (bits / 8) : (total + 8 / bits - 1) / (8 / bits);
    return HONE_OK;
}

static hone_status make(hone_dtype dtype, int rank, const int64_t *dims, void *borrowed, hone_tensor **out,
                        hone_error *err) {
    int64_t count = 0;
    size_t bytes = 0;
    HONE_TRY(hone_shape_size(dtype, rank, dims, &count, &bytes, err));
    hone_tensor *t = hone_calloc(1, sizeof *t);
    if (!t) return hone_fail_memory(err);
    atomic_init(&t->references, 1);
    t->dtype = dtype;
    t->rank = rank;
    if (rank > 0) memcpy(t->dims, dims, (size_t)rank * sizeof *dims);
    t->count = count;
    t->bytes = bytes;
    t->owns_data = borrowed == NULL;
    t->data = borrowed ? borrowed : hone_calloc(bytes ? bytes : 1, 1);
    if (!t->data) {
        hone_free(t);
        return hone_fail_memory(err);
    }
    *out = t;
    return HONE_OK;
}

hone_status hone_tensor_new(hone_dtype dtype, int rank, const int64_t *dims, hone_tensor **out,
                            hone_error *err) {
    return make(dtype, rank, dims, NULL, out, err);
}

hone_status hone_tensor_wrap(hone_dtype dtype, int rank, const int64_t *dims, void *data, hone_tensor **out,
                             hone_error *err) {
    if (!data || dtype == HONE_STRING)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "a wrapped tensor needs a buffer of plain elements");
    return make(dtype, rank, dims, data, out, err);
}

hone_status hone_tensor_borrow(hone_dtype dtype, int rank, const int64_t *dims, void *data,
                               hone_release_fn *release, void *owner, hone_tensor **out, hone_error *err) {
    HONE_TRY(hone_tensor_wrap(dtype, rank, dims, data, out, err));
    (*out)->release = release;
    (*out)->owner = owner;
    return HONE_OK;
}

hone_status hone_tensor_borrow_strings(int rank, const int64_t *dims, hone_string *data,
                                       hone_release_fn *release, void *owner, hone_tensor **out,
                                       hone_error *err) {
    HONE_TRY(make(HONE_STRING, rank, dims, data, out, err));
    (*out)->release = release;
    (*out)->owner = owner;
    return HONE_OK;
}

/* Into memory that is zero: pages of zeros stay untouched, and so take no memory until somebody writes there. */
static void copy_content(char *to, const char *from, size_t bytes) {
    enum { PAGE = 4096 };
    static const char zeros[PAGE];
    for (size_t at = 0; at < bytes; at += PAGE) {
        const size_t n = bytes - at < PAGE ? bytes - at : PAGE;
        if (memcmp(from + at, zeros, n) != 0) memcpy(to + at, from + at, n);
    }
}

hone_status hone_tensor_copy_of(hone_dtype dtype, int rank, const int64_t *dims, const void *data,
                                hone_tensor **out, hone_error *err) {
    hone_tensor *t = NULL;
    HONE_TRY(hone_tensor_new(dtype, rank, dims, &t, err));
    hone_status status = HONE_OK;
    if (dtype != HONE_STRING && t->bytes) copy_content(t->data, data, t->bytes);
    const hone_string *from = data;
    for (int64_t i = 0; dtype == HONE_STRING && i < t->count && status == HONE_OK; i++)
        if (from[i].data) status = hone_tensor_set_string(t, i, from[i].data, from[i].size, err);
    if (status == HONE_OK)
        *out = t;
    else
        hone_tensor_free(t);
    return status;
}

hone_status hone_tensor_set_string(hone_tensor *t, int64_t i, const void *bytes, size_t size,
                                   hone_error *err) {
    if (t->dtype != HONE_STRING || hone_tensor_kind(t) != HONE_KIND_TENSOR || !t->owns_data || i < 0 ||
        i >= t->count)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "a tensor with no string of its own at element %lld",
                         (long long)i);
    char *copy = size < SIZE_MAX ? hone_alloc(size + 1) : NULL;
    if (!copy) return hone_fail_memory(err);
    if (size) memcpy(copy, bytes, size);
    copy[size] = 0;
    hone_string *s = (hone_string *)t->data + i;
    hone_free(s->data);
    *s = (hone_string){copy, size};
    return HONE_OK;
}

const char *hone_tensor_string(const hone_tensor *t, int64_t i, size_t *size) {
    const hone_string *s = (const hone_string *)t->data + i;
    if (size) *size = s->size;
    return s->data ? s->data : "";
}

hone_status hone_tensor_shell(hone_dtype dtype, int rank, const int64_t *dims, hone_tensor **out,
                              hone_error *err) {
    static char nothing;
    HONE_TRY(make(dtype, rank, dims, &nothing, out, err));
    (*out)->data = NULL;
    (*out)->bytes = 0;
    return HONE_OK;
}

bool hone_tensor_is_own(const hone_tensor *t) {
    return (t->owns_data || t->in_bulk) && atomic_load_explicit(&t->references, memory_order_acquire) == 1;
}

hone_status hone_tensor_take(hone_tensor *t, int rank, const int64_t *dims, hone_tensor **out,
                             hone_error *err) {
    HONE_TRY(hone_tensor_wrap(t->dtype, rank, dims, t->data, out, err));
    (*out)->owns_data = t->owns_data;
    (*out)->in_bulk = t->in_bulk;
    (*out)->release = t->release;
    (*out)->owner = t->owner;
    t->owns_data = t->in_bulk = false;
    t->release = NULL;
    t->data = NULL;
    t->bytes = 0;
    return HONE_OK;
}

void hone_tensor_discard(hone_tensor *t, size_t offset, size_t bytes) {
    const bool own = hone_tensor_is_own(t);
    if (offset >= t->bytes || !(own || t->mapped)) return;
    if (own && t->in_bulk) hone_bulk_part_scatter(t->owner);
    if (own && !t->in_bulk) hone_scatter(t->data);
    hone_discard((char *)t->data + offset, bytes < t->bytes - offset ? bytes : t->bytes - offset);
}

/* --- what holds items --- */

hone_value_kind hone_tensor_kind(const hone_tensor *t) {
    return t->kind ? t->kind : HONE_KIND_TENSOR;
}

const hone_tensor *hone_tensor_item(const hone_tensor *t, int64_t i) {
    return ((hone_tensor *const *)t->data)[i];
}

static bool goes_into_sequence(const hone_tensor *item, hone_dtype dtype) {
    hone_value_kind kind = hone_tensor_kind(item);
    return kind == HONE_KIND_MAP || (kind == HONE_KIND_TENSOR && item->dtype == dtype);
}

static bool are_map(hone_tensor *const *items, int64_t count, hone_dtype dtype) {
    if (count != 2) return false;
    const hone_tensor *keys = items[0], *values = items[1];
    if (hone_tensor_kind(keys) != HONE_KIND_TENSOR || keys->rank != 1 || keys->dtype != dtype) return false;
    if (hone_tensor_kind(values) == HONE_KIND_SEQUENCE) return values->count == keys->count;
    return hone_tensor_kind(values) == HONE_KIND_TENSOR && values->rank > 0 && values->dims[0] == keys->count;
}

static bool go_together(hone_value_kind kind, hone_dtype dtype, hone_tensor *const *items, int64_t count) {
    if (kind == HONE_KIND_MAP) return are_map(items, count, dtype);
    if (kind == HONE_KIND_OPTIONAL)
        return count == 0 || (count == 1 && hone_tensor_kind(items[0]) != HONE_KIND_OPTIONAL);
    for (int64_t i = 0; i < count; i++)
        if (!goes_into_sequence(items[i], dtype)) return false;
    return kind == HONE_KIND_SEQUENCE && count >= 0;
}

hone_status hone_tensor_of_items(hone_value_kind kind, hone_dtype dtype, hone_tensor *const *items,
                                 int64_t count, hone_tensor **out, hone_error *err) {
    if (!go_together(kind, dtype, items, count))
        return hone_fail(err, HONE_INVALID_ARGUMENT,
                         "items that make no value of the kind that is asked for");
    hone_tensor *t = hone_calloc(1, sizeof *t);
    hone_tensor **held = hone_calloc((size_t)count + 1, sizeof *held);
    if (!t || !held) {
        hone_free(t);
        hone_free(held);
        return hone_fail_memory(err);
    }
    atomic_init(&t->references, 1);
    t->kind = kind;
    t->dtype = dtype;
    t->count = count;
    t->owns_data = true;
    t->data = held;
    for (int64_t i = 0; i < count; i++) held[i] = hone_tensor_retain(items[i]);
    *out = t;
    return HONE_OK;
}

/* --- references --- */

hone_tensor *hone_tensor_retain(hone_tensor *t) {
    if (t) atomic_fetch_add_explicit(&t->references, 1, memory_order_relaxed);
    return t;
}

void hone_tensor_free(hone_tensor *t) {
    if (!t || atomic_fetch_sub_explicit(&t->references, 1, memory_order_acq_rel) != 1) return;
    if (t->owns_data) {
        for (int64_t i = 0; hone_tensor_kind(t) != HONE_KIND_TENSOR && i < t->count; i++)
            hone_tensor_free(((hone_tensor **)t->data)[i]);
        if (t->dtype == HONE_STRING && hone_tensor_kind(t) == HONE_KIND_TENSOR)
            for (int64_t i = 0; i < t->count; i++) hone_free(((hone_string *)t->data)[i].data);
        hone_free(t->data);
    }
    if (t->release) t->release(t->owner);
    hone_free(t);
}

hone_dtype hone_tensor_dtype(const hone_tensor *t) {
    return t->dtype;
}
int hone_tensor_rank(const hone_tensor *t) {
    return t->rank;
}
const int64_t *hone_tensor_dims(const hone_tensor *t) {
    return t->dims;
}
int64_t hone_tensor_count(const hone_tensor *t) {
    return t->count;
}
size_t hone_tensor_bytes(const hone_tensor *t) {
    return t->bytes;
}
void *hone_tensor_data(const hone_tensor *t) {
    return t->data;
}

int64_t hone_tensor_int(const hone_tensor *t, int64_t i) {
    switch (t->dtype) {
    case HONE_BOOL:
    case HONE_UINT8: return ((const uint8_t *)t->data)[i];
    case HONE_INT8: return ((const int8_t *)t->data)[i];
    case HONE_UINT16: return ((const uint16_t *)t->data)[i];
    case HONE_INT16: return ((const int16_t *)t->data)[i];
    case HONE_INT32: return ((const int32_t *)t->data)[i];
    case HONE_UINT32: return ((const uint32_t *)t->data)[i];
    case HONE_INT64: return ((const int64_t *)t->data)[i];
    case HONE_UINT64: return (int64_t)((const uint64_t *)t->data)[i];
    case HONE_UINT4: return hone_bits_get(t->data, i, 4);
    case HONE_UINT2: return hone_bits_get(t->data, i, 2);
    case HONE_INT4: return ((int)hone_bits_get(t->data, i, 4) ^ 8) - 8;
    case HONE_INT2: return ((int)hone_bits_get(t->data, i, 2) ^ 2) - 2;
    default: return 0;
    }
}

double hone_tensor_number(const hone_tensor *t, int64_t i) {
    if (hone_tensor_kind(t) != HONE_KIND_TENSOR) return NAN;
    switch (t->dtype) {
    case HONE_FLOAT32: return (double)((const float *)t->data)[i];
    case HONE_FLOAT64: return ((const double *)t->data)[i];
    case HONE_FLOAT16: return (double)hone_float_of_half(((const uint16_t *)t->data)[i]);
    case HONE_BFLOAT16: return (double)hone_float_of_bfloat(((const uint16_t *)t->data)[i]);
    case HONE_UINT64: return (double)((const uint64_t *)t->data)[i];
    case HONE_FLOAT4E2M1: return (double)hone_float_of_small(t->dtype, hone_bits_get(t->data, i, 4));
    case HONE_STRING: return NAN;
    default: break;
    }
    if (hone_dtype_is_small_float(t->dtype))
        return (double)hone_float_of_small(t->dtype, ((const uint8_t *)t->data)[i]);
    return (double)hone_tensor_int(t, i);
}

/* Where a run of elements along an axis lies, of two tensors that differ in that axis only. */
typedef struct range {
    int64_t outer, run;           /* runs; elements of one */
    int64_t x, x_step, y, y_step; /* where the first one starts, and from one to the next */
} range;

static range range_of(const hone_tensor *t, int axis, int64_t from, int64_t n, const hone_tensor *out,
                      int64_t to) {
    int64_t outer = 1, inner = 1;
    for (int i = 0; i < axis; i++) outer *= t->dims[i];
    for (int i = axis + 1; i < t->rank; i++) inner *= t->dims[i];
    return (range){
        outer, n * inner, from * inner, t->dims[axis] * inner, to * inner, out->dims[axis] * inner};
}

void hone_tensor_move_range(const hone_tensor *t, int axis, int64_t from, int64_t n, hone_tensor *out,
                            int64_t to) {
    const int bits = hone_dtype_bits(t->dtype);
    range r = range_of(t, axis, from, n, out, to);
    for (int64_t o = 0; o < r.outer && r.run > 0; o++) {
        int64_t x = r.x + o * r.x_step, y = r.y + o * r.y_step;
        if (bits < 8)
            hone_bits_copy(t->data, x, out->data, y, r.run, bits);
        else
            memcpy((char *)out->data + y * bits / 8, (const char *)t->data + x * bits / 8,
                   (size_t)(r.run * bits / 8));
    }
}

hone_status hone_tensor_copy_range(const hone_tensor *t, int axis, int64_t from, int64_t n, hone_tensor *out,
                                   int64_t to, hone_error *err) {
    if (t->dtype != HONE_STRING) {
        hone_tensor_move_range(t, axis, from, n, out, to);
        return HONE_OK;
    }
    range r = range_of(t, axis, from, n, out, to);
    const hone_string *strings = t->data;
    for (int64_t o = 0; o < r.outer; o++)
        for (int64_t i = 0; i < r.run; i++) {
            const hone_string *s = &strings[r.x + o * r.x_step + i];
            HONE_TRY(hone_tensor_set_string(out, r.y + o * r.y_step + i, s->data, s->size, err));
        }
    return HONE_OK;
}

const char *hone_shape_format(int rank, const int64_t *dims, char *text, size_t size) {
    size_t used = (size_t)snprintf(text, size, "[");
    for (int i = 0; i < rank && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, i ? ", %lld" : "%lld", (long long)dims[i]);
    if (used < size) snprintf(text + used, size - used, "]");
    return text;
}
