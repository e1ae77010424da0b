#include "base/bits.h"
#include "base/error.h"
#include "graph/graph.h"
#include "serve/servable/warmup_inside.h"

#include <string.h>

enum { PADDED_SIZE = 8 }; /* of a dimension that requests are padded along, where nothing is known of it */

static uint64_t mix(uint64_t x) {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* Floats in [0, 1); whole numbers and bools 0 or 1, which most tables that they may be an index of have. */
static void fill(hone_tensor *t, uint64_t seed) {
    for (int64_t i = 0; i < t->count; i++) {
        uint64_t x = mix(seed * 0x9e3779b97f4a7c15u + (uint64_t)i + 1);
        double f = (double)(x >> 40) * 0x1p-24;
        switch (t->dtype) {
        case HONE_FLOAT32: ((float *)t->data)[i] = (float)f; break;
        case HONE_FLOAT64: ((double *)t->data)[i] = f; break;
        case HONE_FLOAT16: ((uint16_t *)t->data)[i] = (uint16_t)(0x3000 + (x & 0x7ff)); break;
        case HONE_BFLOAT16: ((uint16_t *)t->data)[i] = (uint16_t)(0x3e00 + (x & 0x7f)); break;
        case HONE_UINT4:
        case HONE_INT4:
        case HONE_FLOAT4E2M1:
        case HONE_UINT2:
        case HONE_INT2: hone_bits_set(t->data, i, hone_dtype_bits(t->dtype), (unsigned)(x & 1)); break;
        default:
            memset((char *)t->data + (size_t)i * hone_dtype_size(t->dtype), 0, hone_dtype_size(t->dtype));
            ((char *)t->data)[(size_t)i * hone_dtype_size(t->dtype)] = (char)(x & 1); /* little-endian */
        }
    }
}

/* A mask of nothing but zeros would leave a model nothing to look at: answers then depend on what it masks.
 * And of nothing but ones, or zeros, nobody could tell from padding by the same. */
static void begin_with_both(hone_tensor *t) {
    switch (t->dtype) {
    case HONE_BOOL:
    case HONE_INT8:
    case HONE_INT16:
    case HONE_INT32:
    case HONE_INT64:
    case HONE_UINT8:
    case HONE_UINT16:
    case HONE_UINT32:
    case HONE_UINT64:
        for (int64_t i = 0; i < 2 && i < t->count; i++)
            ((char *)t->data)[(size_t)i * hone_dtype_size(t->dtype)] = (char)(1 - i);
        break;
    default: break;
    }
}

/* That of the first recorded request; NULL if there is none. */
static const hone_tensor *recorded_input(const hone_warmer *w, int input) {
    return w->recorded && w->recorded->count > 0 ? w->recorded->tensors[input] : NULL;
}

void hone_made_up_sizes(hone_warmer *w) {
    const hone_servable *s = w->s;
    memcpy(w->sizes, w->bucket->dims, sizeof w->sizes);
    for (int i = 0; i < s->input_count; i++) {
        const hone_tensor *recorded = recorded_input(w, i);
        for (int d = 0; d < HONE_MAX_RANK; d++) {
            int j = s->in_axes[i][d];
            if (j < 0 || w->sizes[j] > 0) continue;
            bool padded = s->padded >> j & 1;
            int64_t size = recorded && d < recorded->rank ? recorded->dims[d] : 1;
            w->sizes[j] = padded && size < 2 ? PADDED_SIZE : size;
        }
    }
}

/* A free dimension's size: as the settings say, else as in the first recorded request, else 1. */
static int64_t size_of(const hone_warmer *w, int input, int d) {
    const hone_servable *s = w->s;
    const hone_tensor *recorded = recorded_input(w, input);
    const hone_tensor_setting *t = hone_settings_find_tensor(&s->settings, s->inputs[input].name);
    if (s->in_axes[input][d] >= 0) return w->sizes[s->in_axes[input][d]];
    if (t && d < t->rank && t->dims[d] >= 0) return t->dims[d];
    return recorded && d < recorded->rank ? recorded->dims[d] : 1;
}

static int rank_of(const hone_warmer *w, int input) {
    const hone_value_info *v = &w->s->inputs[input];
    const hone_tensor *recorded = recorded_input(w, input);
    const hone_tensor_setting *t = hone_settings_find_tensor(&w->s->settings, v->name);
    return v->rank >= 0 ? v->rank : t && t->rank >= 0 ? t->rank : recorded ? recorded->rank : -1;
}

static bool is_padded(const hone_servable *s, int input) {
    for (int d = 0; d < HONE_MAX_RANK; d++)
        if (s->in_axes[input][d] >= 0 && s->padded >> s->in_axes[input][d] & 1) return true;
    return false;
}

hone_status hone_made_up(const hone_warmer *w, int input, bool rows, uint64_t seed, hone_tensor **out,
                         hone_error *err) {
    const hone_value_info *v = &w->s->inputs[input];
    int64_t dims[HONE_MAX_RANK] = {0};
    int rank = rank_of(w, input);
    if (rank < 0) return hone_fail(err, HONE_UNSUPPORTED, "the rank of \"%s\" is not known", v->name);
    if (v->dtype == HONE_STRING) return hone_fail(err, HONE_UNSUPPORTED, "\"%s\" is text", v->name);
    for (int d = 0; d < rank; d++)
        dims[d] = d < v->rank && v->dims[d] >= 0 ? v->dims[d] : rows && d == 0 ? 1 : size_of(w, input, d);
    HONE_TRY(hone_tensor_new(v->dtype, rank, dims, out, err));
    fill(*out, seed);
    if (is_padded(w->s, input)) begin_with_both(*out);
    return HONE_OK;
}

hone_status hone_made_up_all(const hone_warmer *w, bool rows, uint64_t seed, hone_tensor **list,
                             hone_error *err) {
    for (int i = 0; i < w->s->input_count; i++) {
        hone_tensor_free(list[i]);
        list[i] = NULL;
    }
    for (int i = 0; i < w->s->input_count; i++)
        HONE_TRY(hone_made_up(w, i, rows, seed + (uint64_t)i, &list[i], err));
    return HONE_OK;
}
