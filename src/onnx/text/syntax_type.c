/* Types, and the content of tensors. */
#include "onnx/text/syntax.h"

#include <string.h>

static const struct {
    const char *name;
    hone_dtype dtype;
} prims[] = {{"float", HONE_FLOAT32},
             {"uint8", HONE_UINT8},
             {"int8", HONE_INT8},
             {"uint16", HONE_UINT16},
             {"int16", HONE_INT16},
             {"int32", HONE_INT32},
             {"int64", HONE_INT64},
             {"string", HONE_STRING},
             {"bool", HONE_BOOL},
             {"float16", HONE_FLOAT16},
             {"double", HONE_FLOAT64},
             {"uint32", HONE_UINT32},
             {"uint64", HONE_UINT64},
             {"complex64", HONE_COMPLEX64},
             {"complex128", HONE_COMPLEX128},
             {"bfloat16", HONE_BFLOAT16},
             {"float8e4m3fn", HONE_FLOAT8E4M3FN},
             {"float8e4m3fnuz", HONE_FLOAT8E4M3FNUZ},
             {"float8e5m2", HONE_FLOAT8E5M2},
             {"float8e5m2fnuz", HONE_FLOAT8E5M2FNUZ},
             {"uint4", HONE_UINT4},
             {"int4", HONE_INT4},
             {"float4e2m1", HONE_FLOAT4E2M1},
             {"float8e8m0", HONE_FLOAT8E8M0},
             {"uint2", HONE_UINT2},
             {"int2", HONE_INT2},
             {"undefined", HONE_UNDEFINED}};

/* What holds types, and its fields in TypeProto and inside. */
static const struct {
    const char *name;
    unsigned id, element;
} holders[] = {{"seq", 4, 1}, {"map", 5, 2}, {"optional", 9, 1}, {"sparse_tensor", 8, 0}};

static int prim_of(hone_span word) {
    for (int i = 0; i < (int)(sizeof prims / sizeof *prims); i++)
        if (hone_span_is(word, prims[i].name)) return i;
    return -1;
}

static int holder_of(hone_span word) {
    for (int i = 0; i < (int)(sizeof holders / sizeof *holders); i++)
        if (hone_span_is(word, holders[i].name)) return i;
    return -1;
}

bool hone_syntax_is_type(hone_span word) {
    return prim_of(word) >= 0 || holder_of(word) >= 0;
}

static hone_status read_prim(hone_script *t, hone_dtype *out) {
    hone_syntax_next(t);
    hone_span word = hone_script_word(t);
    int i = prim_of(word);
    if (i < 0) return hone_script_fail(t, word.at, "'%.*s' is no type", (int)word.size, word.at);
    *out = prims[i].dtype;
    return HONE_OK;
}

/* One dimension, as a message: a number, a name, or nothing for ?. */
static hone_status read_dim(hone_script *t, hone_syntax_type *type) {
    if (type->rank == (int)(sizeof type->dims / sizeof *type->dims))
        return hone_script_fail(t, t->at, "too many dimensions");
    size_t start = hone_script_put_begin(&t->wire, 1);
    int64_t *dim = &type->dims[type->rank++];
    *dim = -1;
    if (hone_script_is_digit(hone_syntax_next(t))) {
        HONE_TRY(hone_span_int(t, hone_script_number(t), 10, dim));
        hone_script_put_int(&t->wire, 1, *dim);
    } else if (!hone_syntax_take(t, '?')) {
        HONE_TRY(hone_syntax_name(t));
        hone_script_put_bytes(&t->wire, 2, t->string, t->size);
    }
    hone_script_put_end(&t->wire, start);
    return HONE_OK;
}

/* "float" is a scalar, "float[]" of any rank. */
static hone_status read_tensor(hone_script *t, unsigned id, hone_syntax_type *type) {
    HONE_TRY(read_prim(t, &type->dtype));
    size_t tensor = hone_script_put_begin(&t->wire, id);
    bool listed = hone_syntax_take(t, '[');
    hone_script_put_int(&t->wire, 1, type->dtype);
    type->rank = 0;
    if (listed && hone_syntax_take(t, ']')) {
        type->rank = HONE_RANK_ANY;
    } else {
        size_t shape = hone_script_put_begin(&t->wire, 2);
        if (listed) {
            do HONE_TRY(read_dim(t, type));
            while (hone_syntax_take(t, ','));
            HONE_TRY(hone_syntax_expect(t, ']'));
        }
        hone_script_put_end(&t->wire, shape);
    }
    hone_script_put_end(&t->wire, tensor);
    return HONE_OK;
}

/* The fields of a TypeProto into the wire. */
static hone_status read_type(hone_script *t, hone_syntax_type *type) {
    hone_syntax_next(t);
    const char *start = t->at;
    int i = holder_of(hone_script_word(t));
    if (i < 0) {
        t->at = start;
        return read_tensor(t, 1, type);
    }
    HONE_TRY(hone_script_enter(t));
    HONE_TRY(hone_syntax_expect(t, '('));
    if (holders[i].element == 0) {
        HONE_TRY(read_tensor(t, holders[i].id, type));
    } else {
        size_t holder = hone_script_put_begin(&t->wire, holders[i].id);
        if (holders[i].element == 2) {
            hone_dtype key;
            HONE_TRY(read_prim(t, &key));
            hone_script_put_int(&t->wire, 1, key);
            HONE_TRY(hone_syntax_expect(t, ','));
        }
        size_t element = hone_script_put_begin(&t->wire, holders[i].element);
        HONE_TRY(read_type(t, type));
        hone_script_put_end(&t->wire, element);
        hone_script_put_end(&t->wire, holder);
    }
    hone_script_leave(t);
    return hone_syntax_expect(t, ')');
}

hone_status hone_syntax_read_type(hone_script *t, hone_syntax_type *out) {
    size_t start = t->wire.size;
    *out = (hone_syntax_type){.rank = HONE_RANK_ANY};
    const char *at = t->at;
    HONE_TRY(read_type(t, out));
    if (t->wire.failed) return hone_fail_memory(t->err);
    out->size = t->wire.size - start;
    if (out->size > sizeof out->bytes) return hone_script_fail(t, at, "a type that is too long");
    memcpy(out->bytes, t->wire.data + start, out->size);
    t->wire.size = start;
    return HONE_OK;
}

void hone_syntax_put_type(hone_script *t, unsigned id, const hone_syntax_type *type) {
    hone_script_put_bytes(&t->wire, id, type->bytes, type->size);
}

/* --- content --- */

/* The field of TensorProto that has the elements of a dtype. */
static const char *field_of(hone_dtype dtype) {
    switch (dtype) {
    case HONE_FLOAT32:
    case HONE_COMPLEX64: return "float_data";
    case HONE_FLOAT64:
    case HONE_COMPLEX128: return "double_data";
    case HONE_INT64: return "int64_data";
    case HONE_UINT32:
    case HONE_UINT64: return "uint64_data";
    case HONE_STRING: return "string_data";
    default: return "int32_data";
    }
}

static hone_status read_element(hone_script *t, const ProtobufCFieldDescriptor *f) {
    hone_scalar x = {.is_string = hone_syntax_next(t) == '"', .base = 10};
    x.span.at = t->at;
    if (x.is_string)
        HONE_TRY(hone_syntax_string(t));
    else
        x.span = hone_script_number(t);
    if (!x.is_string && !x.span.size) return hone_script_fail(t, t->at, "an element is due");
    return hone_field_put(t, f, &x, hone_field_is_packed(f));
}

static hone_status read_elements(hone_script *t, hone_dtype dtype) {
    const char *name = field_of(dtype);
    const ProtobufCFieldDescriptor *f =
        hone_field_find(&hone__onnx__tensor_proto__descriptor, name, strlen(name), false);
    HONE_TRY(hone_syntax_expect(t, '{'));
    if (hone_syntax_take(t, '}')) return HONE_OK;
    size_t start = hone_field_is_packed(f) ? hone_script_put_begin(&t->wire, f->id) : 0;
    do HONE_TRY(read_element(t, f));
    while (hone_syntax_take(t, ','));
    if (start) hone_script_put_end(&t->wire, start);
    return hone_syntax_expect(t, '}');
}

hone_status hone_syntax_content(hone_script *t, const hone_syntax_type *type, const void *name, size_t size) {
    if (type->rank < 0 && type->size == 0)
        return hone_script_fail(t, t->at, "content needs the type of a tensor");
    for (int i = 0; i < type->rank; i++) {
        if (type->dims[i] < 0) return hone_script_fail(t, t->at, "content needs a shape of numbers");
        hone_script_put_int(&t->wire, 1, type->dims[i]);
    }
    hone_script_put_int(&t->wire, 2, type->dtype);
    hone_script_put_bytes(&t->wire, 8, name, size);
    if (hone_syntax_next(t) != '[') return read_elements(t, type->dtype);
    hone_script_put_int(&t->wire, 14, 1); /* external */
    return hone_syntax_pairs(t, 13, false);
}
