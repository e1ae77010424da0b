#include "ops/tensor/cast_string.h"

#include "base/bits.h"
#include "base/half.h"
#include "base/memory.h"
#include "base/narrow.h"
#include "graph/infer.h"
#include "ops/common/items.h"

#include <ctype.h>
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A decimal point is a point, whatever language the process speaks. */
static locale_t plain;
static void make_plain(void) {
    plain = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
}
static locale_t use_plain(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_plain);
    return plain ? uselocale(plain) : (locale_t)0;
}

/* --- texts of numbers --- as many digits as it takes to read the same number again; 1 and 0 for bool */

enum { TEXT_MOST = 32 };

static int write_text(const hone_tensor *x, int64_t i, char *text) {
    if (x->dtype == HONE_UINT64)
        return snprintf(text, TEXT_MOST, "%llu", (unsigned long long)((const uint64_t *)x->data)[i]);
    if (hone_dtype_is_int(x->dtype))
        return snprintf(text, TEXT_MOST, "%lld", (long long)hone_tensor_int(x, i));
    double number = hone_tensor_number(x, i);
    if (isnan(number)) return snprintf(text, TEXT_MOST, "NaN");
    if (isinf(number)) return snprintf(text, TEXT_MOST, number < 0 ? "-INF" : "INF");
    int most = x->dtype == HONE_FLOAT64 ? 17 : 9, size = 0;
    for (int digits = 1; digits <= most; digits++) {
        size = snprintf(text, TEXT_MOST, "%.*g", digits, number);
        if (most == 17 ? strtod(text, NULL) == number : strtof(text, NULL) == (float)number) break;
    }
    return size;
}

static hone_status run_to_string(const hone_step *s, hone_frame *f, hone_error *err) {
    const hone_items_params *p = s->params;
    hone_tensor x = hone_items_view(&p->in[0], hone_step_in(s, f, 0)), *texts = NULL;
    hone_string *y = hone_step_out(s, f, 0);
    size_t most;
    if (!hone_mul_size((size_t)x.count, TEXT_MOST, &most)) return hone_fail_memory(err);
    HONE_TRY(hone_tensor_new(HONE_UINT8, 1, (int64_t[]){(int64_t)most}, &texts, err));
    HONE_TRY(hone_kept_add(f->kept, texts, err));
    locale_t before = use_plain();
    char *at = texts->data;
    for (int64_t i = 0; i < x.count; i++, at += TEXT_MOST)
        y[i] = (hone_string){at, (size_t)write_text(&x, i, at)};
    if (before) uselocale(before);
    return HONE_OK;
}

/* --- numbers of texts --- */

typedef struct number {
    double real;
    int64_t whole;
    uint64_t natural;
    bool is_whole, is_natural; /* the text is an integer, which `whole` or `natural` has exactly */
} number;

/* False: the text, but for space around it, is none. */
static bool read_number(const char *text, size_t size, number *out) {
    char *end;
    *out = (number){.real = strtod(text, &end)};
    if (end == text) return false;
    for (const char *rest = end; rest < text + size; rest++)
        if (!isspace((unsigned char)*rest)) return false;
    if (strlen(text) != size) return false; /* a zero inside */
    errno = 0;
    out->whole = strtoll(text, &end, 10);
    out->is_whole = errno == 0 && !strpbrk(text, ".eExXnNfF");
    errno = 0;
    out->natural = strtoull(text, &end, 10);
    out->is_natural = errno == 0 && out->real >= 0 && !strpbrk(text, ".eExXnNfF");
    return true;
}

/* Toward zero, and as two's complement has it. */
static uint64_t bits_of(const number *x) {
    if (x->is_whole) return (uint64_t)x->whole;
    if (x->is_natural) return x->natural;
    if (x->real >= -0x1p63 && x->real < 0x1p63) return (uint64_t)(int64_t)x->real;
    return x->real >= 0 && x->real < 0x1p64 ? (uint64_t)x->real : 0;
}

static void put_number(const number *x, const char *text, hone_tensor *y, int64_t i) {
    int bits = hone_dtype_bits(y->dtype);
    uint64_t whole = bits_of(x);
    switch (y->dtype) {
    case HONE_FLOAT32: ((float *)y->data)[i] = strtof(text, NULL); return;
    case HONE_FLOAT64: ((double *)y->data)[i] = x->real; return;
    case HONE_FLOAT16: ((uint16_t *)y->data)[i] = hone_half_of_float((float)x->real); return;
    case HONE_BFLOAT16: ((uint16_t *)y->data)[i] = hone_bfloat_of_float((float)x->real); return;
    case HONE_BOOL: ((uint8_t *)y->data)[i] = x->real != 0; return;
    default: break;
    }
    if (bits < 8)
        hone_bits_set(y->data, i, bits, (unsigned)(whole & ((1u << bits) - 1)));
    else
        memcpy((char *)y->data + i * bits / 8, &whole, (size_t)bits / 8); /* little endian */
}

static hone_status run_of_string(const hone_step *s, hone_frame *f, hone_error *err) {
    const hone_items_params *p = s->params;
    hone_tensor x = hone_items_view(&p->in[0], hone_step_in(s, f, 0));
    hone_type type = p->in[0];
    type.dtype = (hone_dtype)hone_node_int(s->node, "to");
    hone_tensor y = hone_items_view(&type, hone_step_out(s, f, 0));
    locale_t before = use_plain();
    int64_t i = 0;
    number n;
    for (; i < x.count; i++) {
        size_t size;
        const char *text = hone_tensor_string(&x, i, &size);
        if (!read_number(text, size, &n)) break;
        put_number(&n, text, &y, i);
    }
    if (before) uselocale(before);
    if (i == x.count) return HONE_OK;
    return hone_step_fail(s, err, "element %lld, \"%.40s\", is no number", (long long)i,
                          hone_tensor_string(&x, i, NULL));
}

/* --- */

static bool is_string(const hone_type *t) {
    return t->dtype == HONE_STRING;
}

bool hone_is_cast_string(const hone_prepare *p) {
    return is_string(p->in[0]) != is_string(&p->out[0]);
}

hone_status hone_prepare_cast_string(hone_prepare *p, hone_error *err) {
    bool to = is_string(&p->out[0]);
    if (!to && hone_dtype_is_small_float(p->out[0].dtype))
        return hone_prepare_fail(p, err, "string to %s is not supported", hone_dtype_name(p->out[0].dtype));
    return hone_items_prepare(p, to ? run_to_string : run_of_string, "text", err);
}
