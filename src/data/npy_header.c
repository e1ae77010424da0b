#include "data/npy.h"

#include <string.h>

/* A reader of the Python literals that occur in headers: {'descr': '<f4', 'fortran_order': False, 'shape':
 * (3, 4), } */
typedef struct cursor {
    const char *at, *end;
} cursor;

static void skip_space(cursor *c) {
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\n' || *c->at == '\t' || *c->at == '\r')) c->at++;
}

static bool accept(cursor *c, char x) {
    skip_space(c);
    if (c->at == c->end || *c->at != x) return false;
    c->at++;
    return true;
}

static bool accept_word(cursor *c, const char *word) {
    size_t n = strlen(word);
    skip_space(c);
    if ((size_t)(c->end - c->at) < n || memcmp(c->at, word, n) != 0) return false;
    c->at += n;
    return true;
}

/* A quoted text without escapes. */
static bool read_text(cursor *c, char *out, size_t size) {
    skip_space(c);
    if (c->at == c->end || (*c->at != '\'' && *c->at != '"')) return false;
    char quote = *c->at++;
    const char *close = memchr(c->at, quote, (size_t)(c->end - c->at));
    if (!close || (size_t)(close - c->at) >= size) return false;
    memcpy(out, c->at, (size_t)(close - c->at));
    out[close - c->at] = 0;
    c->at = close + 1;
    return strchr(out, '\\') == NULL;
}

static bool read_number(cursor *c, int64_t *out) {
    skip_space(c);
    if (c->at == c->end || *c->at < '0' || *c->at > '9') return false;
    int64_t x = 0;
    for (; c->at < c->end && *c->at >= '0' && *c->at <= '9'; c->at++)
        if (__builtin_mul_overflow(x, 10, &x) || __builtin_add_overflow(x, *c->at - '0', &x)) return false;
    accept(c, 'L'); /* Python 2 wrote (3L, 4L) */
    *out = x;
    return true;
}

static hone_status read_shape(cursor *c, hone_npy_header *h, hone_error *err) {
    if (!accept(c, '(')) return hone_fail(err, HONE_CORRUPT, "the shape is not a tuple");
    for (h->rank = 0; !accept(c, ')');) {
        if (h->rank == HONE_MAX_RANK)
            return hone_fail(err, HONE_UNSUPPORTED, "more than %d dimensions", HONE_MAX_RANK);
        if (!read_number(c, &h->dims[h->rank++]))
            return hone_fail(err, HONE_CORRUPT, "bad number in the shape");
        if (accept(c, ',')) continue;
        if (h->rank == 1 || !accept(c, ')')) return hone_fail(err, HONE_CORRUPT, "the shape is not a tuple");
        break;
    }
    return HONE_OK;
}

/* 'S12' or 'U5': strings. Elements of no width are refused: a header could promise any number of them. */
static bool read_width(const char *code, hone_npy_header *h) {
    cursor digits = {code + 1, code + strlen(code)};
    int64_t width;
    if ((*code != 'S' && *code != 'U') || !read_number(&digits, &width) || digits.at != digits.end)
        return false;
    if (width < 1 || width > INT32_MAX) return false;
    h->dtype = HONE_STRING;
    h->width = (size_t)width;
    h->characters = *code == 'U';
    return true;
}

static hone_status read_descr(cursor *c, hone_npy_header *h, hone_error *err) {
    static const struct {
        const char *code;
        hone_dtype dtype;
    } table[] = {{"b1", HONE_BOOL},  {"u1", HONE_UINT8},   {"i1", HONE_INT8},    {"u2", HONE_UINT16},
                 {"i2", HONE_INT16}, {"u4", HONE_UINT32},  {"i4", HONE_INT32},   {"u8", HONE_UINT64},
                 {"i8", HONE_INT64}, {"f2", HONE_FLOAT16}, {"f4", HONE_FLOAT32}, {"f8", HONE_FLOAT64}};
    char text[64];
    skip_space(c);
    if (c->at < c->end && *c->at == '[') return hone_fail(err, HONE_UNSUPPORTED, "arrays of records");
    if (!read_text(c, text, sizeof text)) return hone_fail(err, HONE_CORRUPT, "bad element type");
    const char *code = text;
    char order = '|';
    if (strchr("<>|=", text[0]) && text[0]) order = *code++;
    if (*code == 'O')
        return hone_fail(err, HONE_UNSUPPORTED, "an array of Python objects; Hone never reads those");
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    h->swapped = order == '>';
#else
    h->swapped = order == '<';
#endif
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strcmp(code, table[i].code) == 0) {
            h->dtype = table[i].dtype;
            return HONE_OK;
        }
    if (read_width(code, h)) return HONE_OK;
    return hone_fail(err, HONE_UNSUPPORTED, "elements of the NumPy type '%s'", text);
}

hone_status hone_npy_parse_header(const char *text, size_t size, hone_npy_header *out, hone_error *err) {
    enum { DESCR = 1, ORDER = 2, SHAPE = 4 };
    hone_npy_header h = {0};
    cursor c = {text, text + size};
    int seen = 0, key;
    if (!accept(&c, '{')) return hone_fail(err, HONE_CORRUPT, "the header is not a dictionary");
    while (!accept(&c, '}')) {
        char name[32];
        if (!read_text(&c, name, sizeof name) || !accept(&c, ':'))
            return hone_fail(err, HONE_CORRUPT, "the header is not a dictionary");
        if (strcmp(name, "descr") == 0) {
            key = DESCR;
            HONE_TRY(read_descr(&c, &h, err));
        } else if (strcmp(name, "fortran_order") == 0) {
            key = ORDER;
            h.fortran = accept_word(&c, "True");
            if (!h.fortran && !accept_word(&c, "False"))
                return hone_fail(err, HONE_CORRUPT, "bad fortran_order");
        } else if (strcmp(name, "shape") == 0) {
            key = SHAPE;
            HONE_TRY(read_shape(&c, &h, err));
        } else {
            return hone_fail(err, HONE_CORRUPT, "the header has the unknown key '%s'", name);
        }
        if (seen & key) return hone_fail(err, HONE_CORRUPT, "the header says '%s' twice", name);
        seen |= key;
        if (accept(&c, ',')) continue;
        if (!accept(&c, '}')) return hone_fail(err, HONE_CORRUPT, "the header is not a dictionary");
        break;
    }
    skip_space(&c);
    if (c.at != c.end) return hone_fail(err, HONE_CORRUPT, "text after the header's end");
    if (seen != (DESCR | ORDER | SHAPE))
        return hone_fail(err, HONE_CORRUPT, "the header lacks descr, fortran_order or shape");
    *out = h;
    return HONE_OK;
}
