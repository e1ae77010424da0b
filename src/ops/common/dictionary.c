#include "ops/common/dictionary.h"

#include "base/random.h"
#include "graph/tensor.h"

#include <math.h>
#include <string.h>

static bool is_real(hone_dtype dtype) {
    return dtype == HONE_FLOAT32 || dtype == HONE_FLOAT64 || dtype == HONE_FLOAT16 || dtype == HONE_BFLOAT16;
}

/* The same for equal keys: 0 and -0, all NaNs. */
static double number_of(const hone_tensor *x, int64_t i) {
    double y = hone_tensor_number(x, i);
    return y == 0 ? 0 : y != y ? (double)NAN : y;
}

static uint64_t hash_of(const hone_tensor *x, int64_t i) {
    size_t size;
    if (x->dtype == HONE_STRING) {
        const char *text = hone_tensor_string(x, i, &size);
        return hone_hash(text, size);
    }
    double real = is_real(x->dtype) ? number_of(x, i) : 0;
    int64_t whole = is_real(x->dtype) ? 0 : hone_tensor_int(x, i);
    return is_real(x->dtype) ? hone_hash(&real, sizeof real) : hone_hash(&whole, sizeof whole);
}

static bool same(const hone_tensor *a, int64_t i, const hone_tensor *b, int64_t k) {
    if (a->dtype == HONE_STRING) {
        size_t na, nb;
        const char *x = hone_tensor_string(a, i, &na), *y = hone_tensor_string(b, k, &nb);
        return na == nb && (na == 0 || memcmp(x, y, na) == 0);
    }
    if (!is_real(a->dtype)) return hone_tensor_int(a, i) == hone_tensor_int(b, k);
    double x = hone_tensor_number(a, i), y = hone_tensor_number(b, k);
    return x == y || (x != x && y != y);
}

bool hone_dictionary_make(hone_arena *arena, const hone_tensor *keys, bool last, hone_dictionary *out) {
    size_t size = 4;
    while (size < 2 * (size_t)keys->count) size *= 2;
    *out = (hone_dictionary){*keys, hone_arena_array(arena, size, sizeof(int64_t)), size - 1};
    if (!out->slots) return false;
    for (uint64_t s = 0; s < size; s++) out->slots[s] = -1;
    for (int64_t i = 0; i < keys->count; i++) {
        uint64_t s = hash_of(keys, i) & out->mask;
        while (out->slots[s] >= 0 && !same(keys, out->slots[s], keys, i)) s = (s + 1) & out->mask;
        if (out->slots[s] < 0 || last) out->slots[s] = i;
    }
    return true;
}

int64_t hone_dictionary_find(const hone_dictionary *d, const hone_tensor *x, int64_t i) {
    for (uint64_t s = hash_of(x, i) & d->mask;; s = (s + 1) & d->mask) {
        if (d->slots[s] < 0) return -1;
        if (same(&d->keys, d->slots[s], x, i)) return d->slots[s];
    }
}
