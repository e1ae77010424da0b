#include "serve/format/json_scan.h"

#include "base/error.h"
#include "base/half.h"
#include "base/memory.h"
#include "serve/format/json_number.h"

#include <math.h>
#include <stdlib.h>

/* --- the cursor --- */

static inline bool is_space(char c) {
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static inline char *skip_space(char *p) {
    while (is_space(*p)) p++;
    return p;
}

char hone_json_peek(hone_json *j) {
    j->cursor = skip_space(j->cursor);
    return *j->cursor;
}

bool hone_json_take(hone_json *j, char c) {
    if (hone_json_peek(j) != c) return false;
    j->cursor++;
    return true;
}

hone_status hone_json_fail(const hone_json *j, hone_error *err, const char *reason) {
    size_t at = (size_t)(j->cursor - j->start), size = (size_t)(j->end - j->start);
    if (at >= size)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "JSON Parse error: %s at offset: %zu (the end)", reason,
                         size);
    return hone_fail(err, HONE_INVALID_ARGUMENT, "JSON Parse error: %s at offset: %zu", reason, at);
}

hone_status hone_json_expect(hone_json *j, char c, hone_error *err) {
    if (hone_json_take(j, c)) return HONE_OK;
    char reason[] = "Expected 'x'";
    reason[10] = c;
    return hone_json_fail(j, err, reason);
}

/* --- strings --- */

/* Four hexadecimal digits, or -1. The padding stops it at the end of the text. */
static int32_t hex4(const char *p) {
    int32_t x = 0;
    for (int i = 0; i < 4; i++) {
        int d = hone_hex_digit(p[i]);
        if (d < 0) return -1;
        x = x * 16 + d;
    }
    return x;
}

static char *put_utf8(char *out, int32_t c) {
    if (c < 0x80) {
        *out++ = (char)c;
    } else if (c < 0x800) {
        *out++ = (char)(0xc0 | c >> 6);
        *out++ = (char)(0x80 | (c & 63));
    } else if (c < 0x10000) {
        *out++ = (char)(0xe0 | c >> 12);
        *out++ = (char)(0x80 | (c >> 6 & 63));
        *out++ = (char)(0x80 | (c & 63));
    } else {
        *out++ = (char)(0xf0 | c >> 18);
        *out++ = (char)(0x80 | (c >> 12 & 63));
        *out++ = (char)(0x80 | (c >> 6 & 63));
        *out++ = (char)(0x80 | (c & 63));
    }
    return out;
}

/* Decodes the escape at *in (its backslash) to *out; false if there is no such escape. */
static bool unescape(char **in, char **out) {
    static const char letters[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    char *p = *in + 1;
    const char *letter = *p ? strchr(letters, *p) : NULL;
    if (letter) {
        *(*out)++ = values[letter - letters];
        *in = p + 1;
        return true;
    }
    if (*p != 'u') return false;
    int32_t c = hex4(p + 1);
    p += 5;
    if (c >= 0xd800 && c < 0xdc00) {
        int32_t low = p[0] == '\\' && p[1] == 'u' ? hex4(p + 2) : -1;
        if (low < 0xdc00 || low > 0xdfff) return false;
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
        p += 6;
    }
    if (c < 0 || (c >= 0xdc00 && c <= 0xdfff)) return false;
    *out = put_utf8(*out, c);
    *in = p;
    return true;
}

static hone_status bad_string(const hone_json *j, hone_error *err) {
    const char *p = j->cursor;
    return hone_json_fail(j, err,
                          p >= j->end  ? "Missing a closing quotation mark in string"
                          : *p == '\\' ? "Invalid escape character in string"
                                       : "Control character in string");
}

hone_status hone_json_string(hone_json *j, hone_slice *out, hone_error *err) {
    if (hone_json_peek(j) != '"') return hone_json_fail(j, err, "Expected a string");
    char *first = ++j->cursor, *p = first;
    while (*p != '"' && *p != '\\' && (unsigned char)*p >= 0x20) p++;
    char *to = p;
    while (*p != '"') {
        bool good = (unsigned char)*p >= 0x20;
        if (*p == '\\')
            good = unescape(&p, &to);
        else if (good)
            *to++ = *p++;
        if (!good) {
            j->cursor = p;
            return bad_string(j, err);
        }
    }
    j->cursor = p + 1;
    *out = (hone_slice){first, (size_t)(to - first)};
    return HONE_OK;
}

/* --- any value --- */

static bool take_word(hone_json *j, const char *word) {
    size_t n = strlen(word);
    if (strncmp(j->cursor, word, n) != 0) return false;
    j->cursor += n;
    return true;
}

static hone_status skip_value(hone_json *j, int depth, hone_error *err);

/* As hone_json_string, but changes nothing: the text can be read again. */
static hone_status skip_string(hone_json *j, hone_error *err) {
    if (hone_json_peek(j) != '"') return hone_json_fail(j, err, "Expected a string");
    char *p = j->cursor + 1, decoded[8];
    while (*p != '"') {
        char *to = decoded;
        if (*p == '\\' ? unescape(&p, &to) : (unsigned char)*p >= 0x20 && p++) continue;
        j->cursor = p;
        return bad_string(j, err);
    }
    j->cursor = p + 1;
    return HONE_OK;
}

static hone_status skip_members(hone_json *j, bool object, int depth, hone_error *err) {
    char close = object ? '}' : ']';
    if (hone_json_take(j, close)) return HONE_OK;
    do {
        if (object) {
            HONE_TRY(skip_string(j, err));
            HONE_TRY(hone_json_expect(j, ':', err));
        }
        HONE_TRY(skip_value(j, depth + 1, err));
    } while (hone_json_take(j, ','));
    return hone_json_expect(j, close, err);
}

static hone_status skip_value(hone_json *j, int depth, hone_error *err) {
    char c = hone_json_peek(j);
    double number;
    if (depth > HONE_JSON_MAX_DEPTH) return hone_json_fail(j, err, "Nested too deeply");
    switch (c) {
    case '{':
    case '[': j->cursor++; return skip_members(j, c == '{', depth, err);
    case '"': return skip_string(j, err);
    case 't':
        if (take_word(j, "true")) return HONE_OK;
        break;
    case 'f':
        if (take_word(j, "false")) return HONE_OK;
        break;
    case 'n':
        if (take_word(j, "null")) return HONE_OK;
        break;
    default: {
        const char *end = hone_json_scan_double(j->cursor, &number);
        if (!end) break;
        j->cursor += end - j->cursor;
        return HONE_OK;
    }
    }
    return hone_json_fail(j, err, "Invalid value");
}

hone_status hone_json_skip(hone_json *j, hone_error *err) {
    return skip_value(j, 0, err);
}

/* --- values of one type --- */

static const char *type_name(hone_dtype dtype) {
    switch (dtype) {
    case HONE_FLOAT32: return "float";
    case HONE_FLOAT64: return "double";
    default: return hone_dtype_name(dtype);
    }
}

/* Says what stands at the cursor, where a value of `dtype` should. */
static hone_status type_error(hone_json *j, hone_dtype dtype, hone_error *err) {
    const char *first = j->cursor, *last = first + 1, *type = NULL;
    hone_json_decimal d;
    double special;
    if (*first == '"')
        type = "String";
    else if (*first == '{')
        type = "Object";
    else if (take_word(j, "true"))
        type = "True";
    else if (take_word(j, "false"))
        type = "False";
    else if (take_word(j, "null"))
        type = "Null";
    else if (hone_json_scan_decimal(first, &d) || hone_json_special(first, &special))
        type = "Number";
    if (!type) return hone_json_fail(j, err, "Invalid value");
    while (last < j->end && last - first < 40 && !is_space(*last) && !strchr(",]}", *last)) last++;
    int shown = (int)hone_utf8_fit(first, (size_t)(j->end - first), (size_t)(last - first));
    bool real =
        dtype == HONE_FLOAT32 || dtype == HONE_FLOAT64 || dtype == HONE_FLOAT16 || dtype == HONE_BFLOAT16;
    if (real && strcmp(type, "Number") == 0)
        return hone_fail(err, HONE_INVALID_ARGUMENT,
                         "Cannot convert JSON value: %.*s to %s without loss of precision.", shown, first,
                         type_name(dtype));
    return hone_fail(err, HONE_INVALID_ARGUMENT, "JSON Value: %.*s Type: %s is not of expected type: %s",
                     shown, first, type, type_name(dtype));
}

bool hone_json_is_base64(const hone_json *j) {
    hone_json ahead = *j;
    if (!hone_json_take(&ahead, '{') || hone_json_peek(&ahead) != '"' || !take_word(&ahead, "\"b64\"") ||
        !hone_json_take(&ahead, ':') || hone_json_peek(&ahead) != '"')
        return false;
    return skip_string(&ahead, NULL) == HONE_OK && hone_json_take(&ahead, '}');
}

hone_status hone_json_float(hone_json *j, float *out, hone_error *err) {
    hone_json_peek(j);
    const char *end = hone_json_scan_float(j->cursor, out);
    if (!end) return type_error(j, HONE_FLOAT32, err);
    j->cursor += end - j->cursor;
    return HONE_OK;
}

hone_status hone_json_integer(hone_json *j, int64_t *out, hone_error *err) {
    uint64_t x;
    hone_json_peek(j);
    const char *end = hone_json_scan_integer(j->cursor, INT64_MIN, INT64_MAX, &x);
    if (!end) return type_error(j, HONE_INT64, err);
    *out = (int64_t)x;
    j->cursor += end - j->cursor;
    return HONE_OK;
}

hone_status hone_json_tensor_reserve(hone_json_tensor *t, size_t count, hone_error *err) {
    size_t element = hone_dtype_size(t->dtype), grown, bytes;
    if (count <= t->capacity) return HONE_OK;
    grown = hone_room_growth(t->capacity, count < 8 ? 8 : count);
    if (!hone_mul_size(grown - t->capacity, element, &bytes)) return hone_fail_memory(err);
    if (!hone_room_take(t->room, bytes))
        return hone_fail(err, HONE_RESOURCE_EXHAUSTED, "there is no room for %zu elements", count);
    return hone_reserve(&t->data, &t->capacity, grown, element) ? HONE_OK : hone_fail_memory(err);
}

static hone_status base64_error(hone_slice text, hone_error *err) {
    return hone_fail(err, HONE_INVALID_ARGUMENT, "JSON Value: {\"b64\": \"%.*s\"} can't be decoded as base64",
                     hone_slice_shown(text, 40), text.data);
}

static int base64_digit(unsigned char c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* In place; the padding may be left out. */
static hone_status decode_base64(hone_slice *text, hone_error *err) {
    char *out = (char *)(uintptr_t)text->data;
    size_t n = text->size, used = 0;
    uint32_t bits = 0;
    if (n % 4 == 0)
        for (int i = 0; i < 2 && n > 0 && text->data[n - 1] == '='; i++) n--;
    if (n % 4 == 1) return base64_error(*text, err);
    for (size_t i = 0; i < n; i++) {
        int digit = base64_digit((unsigned char)text->data[i]);
        if (digit < 0) return base64_error((hone_slice){text->data + i, text->size - i}, err);
        bits = bits << 6 | (uint32_t)digit;
        if (i % 4 != 0) out[used++] = (char)(bits >> (6 - 2 * (i % 4)));
    }
    text->size = used;
    return HONE_OK;
}

/* {"b64": "…"} */
static hone_status scan_base64(hone_json *j, hone_slice *text, hone_error *err) {
    hone_slice key;
    if (!hone_json_is_base64(j)) return type_error(j, HONE_STRING, err);
    HONE_TRY(hone_json_expect(j, '{', err));
    HONE_TRY(hone_json_string(j, &key, err));
    HONE_TRY(hone_json_expect(j, ':', err));
    HONE_TRY(hone_json_string(j, text, err));
    HONE_TRY(hone_json_expect(j, '}', err));
    return decode_base64(text, err);
}

static hone_status scan_text(hone_json *j, hone_json_tensor *t, hone_error *err) {
    hone_slice text;
    if (*j->cursor == '{')
        HONE_TRY(scan_base64(j, &text, err));
    else if (*j->cursor != '"')
        return type_error(j, HONE_STRING, err);
    else
        HONE_TRY(hone_json_string(j, &text, err));
    char *first = (char *)(uintptr_t)text.data;
    first[text.size] = 0; /* at the closing quotation mark, or before it */
    ((hone_string *)t->data)[t->count++] = (hone_string){first, text.size};
    return HONE_OK;
}

#define STORE(type, least, most)                                                                             \
    {                                                                                                        \
        uint64_t x;                                                                                          \
        end = hone_json_scan_integer(p, least, most, &x);                                                    \
        if (end) ((type *)t->data)[t->count] = (type)x;                                                      \
        break;                                                                                               \
    }

/* Half precision. What is no infinity must not become one. */
static const char *scan_narrow(const char *p, hone_dtype dtype, uint16_t *out) {
    double x = 0;
    const char *end = hone_json_scan_double(p, &x);
    float odd = hone_odd_float_of_double(x);
    bool half = dtype == HONE_FLOAT16;
    *out = half ? hone_half_of_float(odd) : hone_bfloat_of_float(odd);
    float back = half ? hone_float_of_half(*out) : hone_float_of_bfloat(*out);
    return isinf(back) && !isinf(x) ? NULL : end;
}

/* Appends the value at the cursor, which is no array. */
static hone_status scan_leaf(hone_json *j, hone_json_tensor *t, hone_error *err) {
    const char *p = j->cursor, *end = NULL;
    HONE_TRY(hone_json_tensor_reserve(t, t->count + 1, err));
    switch (t->dtype) {
    case HONE_FLOAT32: end = hone_json_scan_float(p, (float *)t->data + t->count); break;
    case HONE_FLOAT64: end = hone_json_scan_double(p, (double *)t->data + t->count); break;
    case HONE_FLOAT16:
    case HONE_BFLOAT16: end = scan_narrow(p, t->dtype, (uint16_t *)t->data + t->count); break;
    case HONE_INT8: STORE(int8_t, INT8_MIN, INT8_MAX)
    case HONE_UINT8: STORE(uint8_t, 0, UINT8_MAX)
    case HONE_INT16: STORE(int16_t, INT16_MIN, INT16_MAX)
    case HONE_UINT16: STORE(uint16_t, 0, UINT16_MAX)
    case HONE_INT32: STORE(int32_t, INT32_MIN, INT32_MAX)
    case HONE_UINT32: STORE(uint32_t, 0, UINT32_MAX)
    case HONE_INT64: STORE(int64_t, INT64_MIN, INT64_MAX)
    case HONE_UINT64: STORE(uint64_t, 0, UINT64_MAX)
    case HONE_BOOL:
        end = strncmp(p, "true", 4) == 0 ? p + 4 : strncmp(p, "false", 5) == 0 ? p + 5 : NULL;
        ((uint8_t *)t->data)[t->count] = *p == 't';
        break;
    case HONE_STRING: return scan_text(j, t, err);
    default:
        return hone_fail(err, HONE_UNSUPPORTED, "Conversion of JSON Value to type: %s",
                         hone_dtype_name(t->dtype));
    }
    if (!end) return type_error(j, t->dtype, err);
    j->cursor += end - j->cursor;
    t->count++;
    return HONE_OK;
}

/* --- nested arrays --- */

/* The hot loop: a run of floats separated by commas, from the cursor, which stands at the first. Stops at
 * what is no comma, or where the next value is none that it takes; the caller then sees why. Returns how
 * many. */
static int64_t scan_float_run(hone_json *j, hone_json_tensor *t) {
    char *p = j->cursor;
    float *data = t->data;
    size_t first = t->count, n = first;
    ptrdiff_t size = 0;
    bool brief = true;
    for (;;) {
        if (__builtin_expect(n == t->capacity, 0)) {
            t->count = n;
            if (hone_json_tensor_reserve(t, n + 1, NULL) != HONE_OK) break;
            data = t->data;
        }
        const char *end = brief ? hone_json_short_float(p, data + n) : NULL;
        if (end) {
            /* Most are as long as the one before. That this is a guess, which the compiler must not see
             * through, lets the processor begin with the next number before it knows where this one ends. */
            if (end - p != size) {
                size = end - p;
                __asm__("" : "+r"(size));
            }
            p += size;
        } else {
            end = hone_json_scan_float(p, data + n);
            if (__builtin_expect(!end, 0)) break;
            brief = end - p <= 8;
            p += end - p;
        }
        n++;
        j->cursor = p;
        if (*p == ' ') p = skip_space(p);
        if (*p != ',') break;
        p++;
        if (*p == ' ') p++;
        if ((unsigned char)*p <= ' ') p = skip_space(p);
    }
    t->count = n;
    return (int64_t)(n - first);
}

static hone_status close_array(hone_json_tensor *t, int level, int64_t size, hone_error *err) {
    if (t->dims[level] < 0) t->dims[level] = size;
    if (t->dims[level] == size) return HONE_OK;
    return hone_fail(err, HONE_INVALID_ARGUMENT,
                     "Encountered list at unexpected size: %lld at level: %d expected size: %lld",
                     (long long)size, level, (long long)t->dims[level]);
}

static hone_status open_array(hone_json *j, hone_json_tensor *t, int level, hone_error *err) {
    if (level >= HONE_MAX_RANK) return hone_json_fail(j, err, "More than 8 nested lists");
    if (t->rank >= 0 && level >= t->rank)
        return hone_fail(err, HONE_INVALID_ARGUMENT, "Encountered list at unexpected level: %d expected < %d",
                         level, t->rank);
    j->cursor++;
    return HONE_OK;
}

static hone_status leaves(hone_json *j, hone_json_tensor *t, int depth, int64_t *sizes, hone_error *err) {
    if (t->rank < 0) t->rank = depth;
    if (t->rank != depth)
        return hone_fail(err, HONE_INVALID_ARGUMENT,
                         "JSON Value found at incorrect level: %d in the JSON DOM. Expected at level: %d",
                         depth + 1, t->rank);
    int64_t run = depth > 0 && t->dtype == HONE_FLOAT32 ? scan_float_run(j, t) : 0;
    if (run == 0) {
        HONE_TRY(scan_leaf(j, t, err));
        run = 1;
    }
    if (depth > 0) sizes[depth - 1] += run;
    return HONE_OK;
}

hone_status hone_json_scan_tensor(hone_json *j, hone_json_tensor *t, hone_error *err) {
    int64_t sizes[HONE_MAX_RANK];
    int depth = 0;
    t->rank = -1;
    for (int i = 0; i < HONE_MAX_RANK; i++) t->dims[i] = -1;
    do {
        if (hone_json_peek(j) == '[') {
            HONE_TRY(open_array(j, t, depth, err));
            sizes[depth++] = 0;
            if (hone_json_peek(j) != ']') continue;
            if (t->rank < 0) t->rank = depth;
        } else {
            HONE_TRY(leaves(j, t, depth, sizes, err));
        }
        while (depth > 0 && hone_json_take(j, ']')) {
            depth--;
            HONE_TRY(close_array(t, depth, sizes[depth], err));
            if (depth > 0) sizes[depth - 1]++;
        }
        if (depth > 0) HONE_TRY(hone_json_expect(j, ',', err));
    } while (depth > 0);
    for (int i = 0; i < t->rank; i++)
        if (t->dims[i] < 0) t->dims[i] = 0; /* below an empty list */
    return HONE_OK;
}

void hone_json_tensor_reset(hone_json_tensor *t, hone_dtype dtype, size_t keep) {
    if (t->dtype != dtype || hone_json_tensor_bytes(t) > keep) {
        hone_free(t->data);
        t->data = NULL;
        t->capacity = 0;
    }
    t->dtype = dtype;
    t->count = 0;
    t->rank = 0;
}

void hone_json_tensor_free(hone_json_tensor *t) {
    hone_json_tensor_reset(t, HONE_UNDEFINED, 0);
}
