#include "graph/infer.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

hone_type hone_type_make(hone_dtype dtype, int rank, const int64_t *dims) {
    hone_type t = {.kind = HONE_KIND_TENSOR, .dtype = dtype, .rank = rank};
    if (rank > 0) memcpy(t.dims, dims, (size_t)rank * sizeof *dims);
    return t;
}

hone_type hone_type_of(const hone_tensor *t) {
    hone_type type = hone_type_make(t->dtype, t->rank, t->dims);
    type.kind = hone_tensor_kind(t);
    if (type.kind == HONE_KIND_SEQUENCE || type.kind == HONE_KIND_OPTIONAL)
        type.element = hone_type_any(t->dtype);
    else if (type.kind == HONE_KIND_MAP)
        type.element = hone_type_any(hone_tensor_item(t, 1)->dtype);
    return type;
}

bool hone_type_takes(const hone_type *type, const hone_tensor *t) {
    const hone_type *element = type->element;
    hone_value_kind kind = hone_tensor_kind(t);
    bool fits = kind == type->kind && (type->dtype == HONE_UNDEFINED || t->dtype == type->dtype);
    if (kind == HONE_KIND_MAP && element) return fits && hone_tensor_item(t, 1)->dtype == element->dtype;
    for (int64_t i = 0; kind != HONE_KIND_TENSOR && element && fits && i < t->count; i++)
        fits = hone_type_takes(element, hone_tensor_item(t, i));
    if (kind != HONE_KIND_TENSOR) return fits;
    fits = fits && (type->rank < 0 || t->rank == type->rank);
    for (int d = 0; fits && d < type->rank; d++) fits = type->dims[d] < 0 || type->dims[d] == t->dims[d];
    return fits;
}

#define DTYPES(X)                                                                                            \
    X(0), X(1), X(2), X(3), X(4), X(5), X(6), X(7), X(8), X(9), X(10), X(11), X(12), X(13), X(14), X(15),    \
        X(16), X(17), X(18), X(19), X(20), X(21), X(22), X(23), X(24), X(25), X(26)
#define TENSOR(d) [d] = {.kind = HONE_KIND_TENSOR, .dtype = (hone_dtype)(d), .rank = HONE_RANK_ANY}
#define SEQUENCE(d)                                                                                          \
    [d] = {                                                                                                  \
        .kind = HONE_KIND_SEQUENCE, .dtype = (hone_dtype)(d), .rank = HONE_RANK_ANY, .element = &tensors[d]}
static const hone_type tensors[HONE_DTYPE_COUNT] = {DTYPES(TENSOR)};
static const hone_type sequences[HONE_DTYPE_COUNT] = {DTYPES(SEQUENCE)};
_Static_assert(HONE_DTYPE_COUNT == 27, "DTYPES lists all of them");

static unsigned known(hone_dtype dtype) {
    return (unsigned)dtype < HONE_DTYPE_COUNT ? dtype : HONE_UNDEFINED;
}

const hone_type *hone_type_any(hone_dtype dtype) {
    return &tensors[known(dtype)];
}

const hone_type *hone_type_any_sequence(hone_dtype dtype) {
    return &sequences[known(dtype)];
}

bool hone_type_is_concrete(const hone_type *t) {
    if (t->kind != HONE_KIND_TENSOR) return t->kind != 0;
    if (t->rank < 0) return false;
    for (int i = 0; i < t->rank; i++)
        if (t->dims[i] < 0) return false;
    return true;
}

int64_t hone_type_count(const hone_type *t) {
    int64_t n = 1; /* also of what holds items: there is one of it */
    bool fits = true;
    for (int i = 0; i < t->rank; i++) {
        if (t->dims[i] == 0) return 0;
        fits = fits && !__builtin_mul_overflow(n, t->dims[i], &n);
    }
    return fits ? n : INT64_MAX;
}

size_t hone_type_bytes(const hone_type *t) {
    size_t bytes;
    if (t->kind != HONE_KIND_TENSOR) return sizeof(hone_tensor *);
    return hone_shape_size(t->dtype, t->rank, t->dims, NULL, &bytes, NULL) == HONE_OK ? bytes : SIZE_MAX;
}

bool hone_type_equal(const hone_type *a, const hone_type *b) {
    if (a->kind != b->kind || a->dtype != b->dtype) return false;
    if (a->kind != HONE_KIND_TENSOR)
        return a->element == b->element ||
               (a->element && b->element && hone_type_equal(a->element, b->element));
    if (a->rank != b->rank) return false;
    for (int i = 0; i < a->rank; i++)
        if (a->dims[i] != b->dims[i]) return false;
    return true;
}

bool hone_type_join(hone_type *a, const hone_type *b) {
    if (a->kind != b->kind) return false;
    if (a->dtype == HONE_UNDEFINED) a->dtype = b->dtype;
    if (b->dtype != HONE_UNDEFINED && a->dtype != b->dtype) return false;
    if (a->kind != HONE_KIND_TENSOR) {
        if (!a->element) a->element = b->element;
        if (!b->element || hone_type_equal(a->element, b->element)) return true;
        if (a->element->kind != HONE_KIND_TENSOR || b->element->kind != HONE_KIND_TENSOR) return false;
        hone_dtype dtype = a->element->dtype == HONE_UNDEFINED ? b->element->dtype : a->element->dtype;
        if (b->element->dtype != HONE_UNDEFINED && b->element->dtype != dtype) return false;
        a->element = hone_type_any(dtype);
        return true;
    }
    if (a->rank != b->rank) a->rank = HONE_RANK_ANY;
    for (int i = 0; i < a->rank; i++)
        if (a->dims[i] != b->dims[i]) a->dims[i] = HONE_DIM_ANY;
    return true;
}

/* --- text --- */

typedef struct text {
    char *at;
    size_t left;
} text;

HONE_PRINTF(2, 3) static void put(text *t, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int n = vsnprintf(t->at, t->left, format, args);
    va_end(args);
    size_t used = n < 0 ? 0 : (size_t)n < t->left ? (size_t)n : t->left ? t->left - 1 : 0;
    t->at += used;
    t->left -= used;
}

static void put_tensor(text *to, const hone_graph *g, const hone_type *t) {
    put(to, "%s[%s", hone_dtype_name(t->dtype), t->rank < 0 ? "…" : "");
    for (int i = 0; i < t->rank; i++) {
        const char *comma = i ? ", " : "", *name = g ? hone_graph_dim_name(g, t->dims[i]) : NULL;
        if (t->dims[i] >= 0)
            put(to, "%s%lld", comma, (long long)t->dims[i]);
        else
            put(to, "%s%s", comma, name ? name : "?");
    }
    put(to, "]");
}

static void put_type(text *to, const hone_graph *g, const hone_type *t) {
    if (t->kind == HONE_KIND_SEQUENCE)
        put(to, "seq(");
    else if (t->kind == HONE_KIND_OPTIONAL)
        put(to, "optional(");
    else if (t->kind == HONE_KIND_MAP)
        put(to, "map(%s, ", hone_dtype_name(t->dtype));
    else {
        put_tensor(to, g, t);
        return;
    }
    put_type(to, g, t->element ? t->element : hone_type_any(HONE_UNDEFINED));
    put(to, ")");
}

const char *hone_type_format(const hone_graph *g, const hone_type *t, char *buffer, size_t size) {
    text to = {buffer, size};
    if (size) *buffer = 0;
    put_type(&to, g, t);
    return buffer;
}
