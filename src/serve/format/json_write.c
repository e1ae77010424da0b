#include "serve/format/json_write.h"

#include "base/half.h"
#include "base/utf8.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* --- shortest decimal of a float, by Giulietti's Schubfach ---
 *
 * A float is c·2^q. Of all decimals that round to it, the shortest and then nearest one is wanted: with k
 * chosen so that the rounding interval is at least 10^k wide, it is among the multiples of 10^k and 10^(k+1)
 * next to the float. The interval's ends and the float, times 4 and scaled by 10^-k, are computed with 64-bit
 * approximations of the powers and rounded to odd, which keeps every comparison exact. */

enum { POWER_FROM = -31, POWER_TO = 45 };

/* 10^k for k = POWER_FROM … POWER_TO, scaled to 64 bits and rounded up. */
static const uint64_t powers[POWER_TO - POWER_FROM + 1] = {
    0x81ceb32c4b43fcf5, 0xa2425ff75e14fc32, 0xcad2f7f5359a3b3f, 0xfd87b5f28300ca0e, 0x9e74d1b791e07e49,
    0xc612062576589ddb, 0xf79687aed3eec552, 0x9abe14cd44753b53, 0xc16d9a0095928a28, 0xf1c90080baf72cb2,
    0x971da05074da7bef, 0xbce5086492111aeb, 0xec1e4a7db69561a6, 0x9392ee8e921d5d08, 0xb877aa3236a4b44a,
    0xe69594bec44de15c, 0x901d7cf73ab0acda, 0xb424dc35095cd810, 0xe12e13424bb40e14, 0x8cbccc096f5088cc,
    0xafebff0bcb24aaff, 0xdbe6fecebdedd5bf, 0x89705f4136b4a598, 0xabcc77118461cefd, 0xd6bf94d5e57a42bd,
    0x8637bd05af6c69b6, 0xa7c5ac471b478424, 0xd1b71758e219652c, 0x83126e978d4fdf3c, 0xa3d70a3d70a3d70b,
    0xcccccccccccccccd, 0x8000000000000000, 0xa000000000000000, 0xc800000000000000, 0xfa00000000000000,
    0x9c40000000000000, 0xc350000000000000, 0xf424000000000000, 0x9896800000000000, 0xbebc200000000000,
    0xee6b280000000000, 0x9502f90000000000, 0xba43b74000000000, 0xe8d4a51000000000, 0x9184e72a00000000,
    0xb5e620f480000000, 0xe35fa931a0000000, 0x8e1bc9bf04000000, 0xb1a2bc2ec5000000, 0xde0b6b3a76400000,
    0x8ac7230489e80000, 0xad78ebc5ac620000, 0xd8d726b7177a8000, 0x878678326eac9000, 0xa968163f0a57b400,
    0xd3c21bcecceda100, 0x84595161401484a0, 0xa56fa5b99019a5c8, 0xcecb8f27f4200f3a, 0x813f3978f8940985,
    0xa18f07d736b90be6, 0xc9f2c9cd04674edf, 0xfc6f7c4045812297, 0x9dc5ada82b70b59e, 0xc5371912364ce306,
    0xf684df56c3e01bc7, 0x9a130b963a6c115d, 0xc097ce7bc90715b4, 0xf0bdc21abb48db21, 0x96769950b50d88f5,
    0xbc143fa4e250eb32, 0xeb194f8e1ae525fe, 0x92efd1b8d0cf37bf, 0xb7abc627050305ae, 0xe596b7b0c643c71a,
    0x8f7e32ce7bea5c70, 0xb35dbf821ae4f38c,
};

typedef struct decimal {
    uint32_t digits;
    int exponent;
} decimal;

/* floor(log2(10^k)), floor(log10(2^q)), floor(log10(3/4·2^q)) in the range of floats. */
static int log2_of_power10(int k) {
    return (k * 1741647) >> 19;
}
static int log10_of_power2(int q) {
    return (q * 1262611) >> 22;
}
static int log10_of_three_quarters(int q) {
    return (q * 1262611 - 524031) >> 22;
}

static uint32_t scaled(uint64_t power, uint32_t x) {
    unsigned __int128 product = (unsigned __int128)power * x;
    uint32_t whole = (uint32_t)(product >> 64), rest = (uint32_t)(product >> 32);
    return whole | (rest > 1);
}

/* Of a positive finite float's bits. */
static decimal shortest(uint32_t bits) {
    uint32_t mantissa = bits & 0x7fffff, biased = bits >> 23;
    uint32_t c = biased ? mantissa | 0x800000 : mantissa;
    int q = (int)(biased ? biased : 1) - 150;
    bool odd = c & 1, narrow_below = mantissa == 0 && biased > 1;
    int k = narrow_below ? log10_of_three_quarters(q) : log10_of_power2(q);
    int h = q + log2_of_power10(-k) + 1;
    uint64_t power = powers[-k - POWER_FROM];
    uint32_t low = scaled(power, (4 * c - 2 + narrow_below) << h) + odd;
    uint32_t middle = scaled(power, (4 * c) << h);
    uint32_t high = scaled(power, (4 * c + 2) << h) - odd;
    uint32_t s = middle / 4;
    if (s >= 10) {
        uint32_t tens = s / 10;
        bool down = low <= 40 * tens, up = 40 * tens + 40 <= high;
        if (down != up) return (decimal){tens + up, k + 1};
    }
    bool down = low <= 4 * s, up = 4 * s + 4 <= high;
    if (down != up) return (decimal){s + up, k};
    uint32_t half = 4 * s + 2;
    bool round_up = middle > half || (middle == half && (s & 1));
    return (decimal){s + round_up, k};
}

/* --- text --- */

static const char pairs[] =
    "00010203040506070809101112131415161718192021222324252627282930313233343536373839404142434445464748"
    "49505152535455565758596061626364656667686970717273747576777879808182838485868788899091929394959697"
    "9899";

/* Writes x so that it ends before `end`; returns its first character. */
static char *digits_before(char *end, uint64_t x) {
    while (x >= 100) {
        end -= 2;
        memcpy(end, pairs + 2 * (x % 100), 2);
        x /= 100;
    }
    if (x < 10) {
        *--end = (char)('0' + x);
        return end;
    }
    end -= 2;
    memcpy(end, pairs + 2 * x, 2);
    return end;
}

/* Lays out 0.DIGITS·10^(point) as printf's %g would with `precision` places, and at least one place after the
 * point. */
static char *layout(char *out, const char *digits, int n, int point, int precision) {
    int exponent = point - 1;
    if (exponent < -4 || exponent >= precision) {
        *out++ = digits[0];
        if (n > 1) {
            *out++ = '.';
            memcpy(out, digits + 1, (size_t)n - 1);
            out += n - 1;
        }
        return out + sprintf(out, "e%c%02d", exponent < 0 ? '-' : '+', abs(exponent));
    }
    if (point <= 0) {
        memcpy(out, "0.0000", 6);
        out += 2 - point;
        memcpy(out, digits, (size_t)n);
        return out + n;
    }
    if (n > point) {
        memcpy(out, digits, (size_t)point);
        out[point] = '.';
        memcpy(out + point + 1, digits + point, (size_t)(n - point));
        return out + n + 1;
    }
    memcpy(out, digits, (size_t)n);
    memset(out + n, '0', (size_t)(point - n));
    memcpy(out + point, ".0", 2);
    return out + point + 2;
}

static bool put_special(hone_buffer *b, double x) {
    if (isfinite(x)) return false;
    hone_buffer_text(b, isnan(x) ? "NaN" : x < 0 ? "-Infinity" : "Infinity");
    return true;
}

/* `text` has room for 24 bytes. */
static char *format_float(char *out, float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    if (bits >> 31) *out++ = '-';
    bits &= 0x7fffffff;
    float magnitude = fabsf(x);
    char digits[24], *end = digits + sizeof digits;
    if (magnitude < 1e6f && magnitude == (float)(int)magnitude) {
        char *first = digits_before(end, (uint64_t)magnitude);
        memcpy(out, first, (size_t)(end - first));
        out += end - first;
        memcpy(out, ".0", 2);
        return out + 2;
    }
    decimal d = shortest(bits);
    while (d.digits % 10 == 0) d.digits /= 10, d.exponent++;
    char *first = digits_before(end, d.digits);
    int n = (int)(end - first);
    return layout(out, first, n, n + d.exponent, n <= 6 ? 6 : 9);
}

void hone_json_write_float(hone_buffer *b, float x) {
    if (put_special(b, (double)x) || !hone_buffer_reserve(b, 32)) return;
    b->size = (size_t)(format_float(b->data + b->size, x) - b->data);
}

/* Doubles are rare in models: the fewest of 15 to 17 places that read back equal. */
void hone_json_write_double(hone_buffer *b, double x) {
    if (put_special(b, x) || !hone_buffer_reserve(b, 40)) return;
    char text[40], digits[20], *out = b->data + b->size;
    int precision = 14;
    do snprintf(text, sizeof text, "%.*e", precision, fabs(x));
    while (precision++ < 16 && strtod(text, NULL) != fabs(x));
    int n = 0;
    const char *p = text;
    for (; *p != 'e'; p++)
        if (*p >= '0' && *p <= '9') digits[n++] = *p; /* skips the locale's point */
    int exponent = atoi(p + 1);
    while (n > 1 && digits[n - 1] == '0') n--;
    if (signbit(x)) *out++ = '-';
    b->size = (size_t)(layout(out, digits, n, x == 0 ? 1 : exponent + 1, n <= 6 ? 6 : 17) - b->data);
}

void hone_json_write_integer(hone_buffer *b, int64_t x) {
    char text[24], *end = text + sizeof text;
    char *first = digits_before(end, x < 0 ? -(uint64_t)x : (uint64_t)x);
    if (x < 0) *--first = '-';
    hone_buffer_put(b, first, (size_t)(end - first));
}

void hone_json_write_string(hone_buffer *b, const char *text, size_t size) {
    const unsigned char *p = (const unsigned char *)text;
    hone_buffer_byte(b, '"');
    for (size_t i = 0; i < size;) {
        size_t n = hone_utf8_length(text + i, size - i);
        const char *escape = p[i] < 0x80 ? strchr("\"\"\\\\\nn\rr\tt\bb\ff", p[i]) : NULL;
        if (n == 0) {
            hone_buffer_text(b, HONE_UTF8_REPLACEMENT);
            n = hone_utf8_broken(text + i, size - i);
        } else if (p[i] < 0x20 || p[i] == '"' || p[i] == '\\') {
            if (p[i] && escape)
                hone_buffer_printf(b, "\\%c", escape[1]);
            else
                hone_buffer_printf(b, "\\u%04x", p[i]);
        } else {
            hone_buffer_put(b, p + i, n);
        }
        i += n;
    }
    hone_buffer_byte(b, '"');
}

/* --- tensors --- */

static void write_floats(hone_buffer *b, const float *x, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        if (!hone_buffer_reserve(b, 40)) return;
        char *out = b->data + b->size;
        if (i) *out++ = ',', *out++ = ' ';
        b->size = (size_t)(out - b->data);
        hone_json_write_float(b, x[i]);
    }
}

bool hone_json_write_elements(hone_buffer *b, const hone_tensor *t, int64_t first, int64_t count) {
    const void *data = hone_tensor_data(t);
    hone_dtype dtype = hone_tensor_dtype(t);
    if (count == 0) return true; /* an empty tensor may have no buffer */
    if (dtype == HONE_FLOAT32) {
        write_floats(b, (const float *)data + first, count);
        return true;
    }
    for (int64_t n = 0; n < count; n++) {
        int64_t i = first + n;
        const char *text;
        size_t size;
        if (n) hone_buffer_put(b, ", ", 2);
        switch (dtype) {
        case HONE_FLOAT16: hone_json_write_float(b, hone_float_of_half(((const uint16_t *)data)[i])); break;
        case HONE_BFLOAT16:
            hone_json_write_float(b, hone_float_of_bfloat(((const uint16_t *)data)[i]));
            break;
        case HONE_FLOAT64: hone_json_write_double(b, ((const double *)data)[i]); break;
        case HONE_BOOL: hone_buffer_text(b, ((const uint8_t *)data)[i] ? "true" : "false"); break;
        case HONE_INT8: hone_json_write_integer(b, ((const int8_t *)data)[i]); break;
        case HONE_UINT8: hone_json_write_integer(b, ((const uint8_t *)data)[i]); break;
        case HONE_INT16: hone_json_write_integer(b, ((const int16_t *)data)[i]); break;
        case HONE_UINT16: hone_json_write_integer(b, ((const uint16_t *)data)[i]); break;
        case HONE_INT32: hone_json_write_integer(b, ((const int32_t *)data)[i]); break;
        case HONE_UINT32: hone_json_write_integer(b, ((const uint32_t *)data)[i]); break;
        case HONE_INT64: hone_json_write_integer(b, ((const int64_t *)data)[i]); break;
        case HONE_UINT64:
            hone_buffer_printf(b, "%llu", (unsigned long long)((const uint64_t *)data)[i]);
            break;
        case HONE_STRING:
            text = hone_tensor_string(t, i, &size);
            hone_json_write_string(b, text, size);
            break;
        default: return false;
        }
    }
    return true;
}

void hone_json_write_bytes(hone_buffer *b, const void *data, size_t size) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const uint8_t *bytes = data;
    hone_buffer_byte(b, '"');
    for (size_t i = 0; i < size; i += 3) {
        uint32_t bits = 0;
        char out[4];
        for (size_t k = 0; k < 3; k++) bits = bits << 8 | (i + k < size ? bytes[i + k] : 0);
        for (size_t k = 0; k < 4; k++) out[k] = i + k <= size ? digits[bits >> (18 - 6 * k) & 63] : '=';
        hone_buffer_put(b, out, sizeof out);
    }
    hone_buffer_byte(b, '"');
}

static void write_b64(hone_buffer *b, const char *text, size_t size) {
    hone_buffer_text(b, "{\"b64\": ");
    hone_json_write_bytes(b, text, size);
    hone_buffer_byte(b, '}');
}

bool hone_json_write_base64(hone_buffer *b, const hone_tensor *t, int axis, int64_t first) {
    int rank = hone_tensor_rank(t);
    const int64_t *dims = hone_tensor_dims(t);
    if (hone_tensor_dtype(t) != HONE_STRING) return false;
    if (axis >= rank) {
        size_t size;
        const char *text = hone_tensor_string(t, first, &size);
        write_b64(b, text, size);
        return true;
    }
    int64_t stride = 1;
    for (int i = axis + 1; i < rank; i++) stride *= dims[i];
    hone_buffer_byte(b, '[');
    for (int64_t i = 0; i < dims[axis]; i++) {
        if (i) hone_buffer_put(b, ", ", 2);
        hone_json_write_base64(b, t, axis + 1, first + i * stride);
    }
    hone_buffer_byte(b, ']');
    return true;
}

bool hone_json_write_tensor(hone_buffer *b, const hone_tensor *t, int axis, int64_t first) {
    int rank = hone_tensor_rank(t);
    const int64_t *dims = hone_tensor_dims(t);
    if (axis >= rank) return hone_json_write_elements(b, t, first, 1);
    int64_t stride = 1;
    for (int i = axis + 1; i < rank; i++) stride *= dims[i];
    hone_buffer_byte(b, '[');
    if (axis == rank - 1) {
        if (!hone_json_write_elements(b, t, first, dims[axis])) return false;
    } else {
        for (int64_t i = 0; i < dims[axis]; i++) {
            if (i) hone_buffer_put(b, ", ", 2);
            if (!hone_json_write_tensor(b, t, axis + 1, first + i * stride)) return false;
        }
    }
    hone_buffer_byte(b, ']');
    return true;
}

static void write_key(hone_buffer *b, const hone_tensor *keys, int64_t i) {
    size_t size;
    if (hone_tensor_dtype(keys) == HONE_STRING) {
        const char *text = hone_tensor_string(keys, i, &size);
        hone_json_write_string(b, text, size);
        return;
    }
    hone_buffer_byte(b, '"');
    hone_json_write_integer(b, ((const int64_t *)hone_tensor_data(keys))[i]);
    hone_buffer_byte(b, '"');
}

bool hone_json_write_maps(hone_buffer *b, const hone_tensor *t, const hone_tensor *keys, int axis,
                          int64_t first) {
    const int rank = hone_tensor_rank(t);
    const int64_t *dims = hone_tensor_dims(t), count = hone_tensor_count(keys);
    if (axis >= rank || dims[rank - 1] != count) return false;
    if (axis < rank - 1) {
        int64_t stride = 1;
        for (int i = axis + 1; i < rank; i++) stride *= dims[i];
        hone_buffer_byte(b, '[');
        for (int64_t i = 0; i < dims[axis]; i++) {
            if (i) hone_buffer_put(b, ", ", 2);
            if (!hone_json_write_maps(b, t, keys, axis + 1, first + i * stride)) return false;
        }
        hone_buffer_byte(b, ']');
        return true;
    }
    hone_buffer_byte(b, '{');
    for (int64_t i = 0; i < count; i++) {
        if (i) hone_buffer_put(b, ", ", 2);
        write_key(b, keys, i);
        hone_buffer_put(b, ": ", 2);
        if (!hone_json_write_elements(b, t, first + i, 1)) return false;
    }
    hone_buffer_byte(b, '}');
    return true;
}
