#include "values.h"

#include "report.h"

#include <stdlib.h>
#include <string.h>

enum { SHOWN = 10, TEXT_SHOWN = 60 };

/* Bytes of the printable UTF-8 character at p; 0: it is none. */
static size_t printable(const unsigned char *p, size_t left) {
    size_t n = *p < 0x80                 ? 1
               : *p >= 0xc2 && *p < 0xe0 ? 2
               : (*p & 0xf0) == 0xe0     ? 3
               : *p >= 0xf0 && *p < 0xf5 ? 4
                                         : 0;
    if (n == 0 || n > left || *p < 0x20 || *p == 0x7f) return 0;
    for (size_t i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80) return 0;
    bool c1 = p[0] == 0xc2 && p[1] < 0xa0; /* control characters */
    bool overlong = (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xf0 && p[1] < 0x90);
    bool outside = (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf4 && p[1] > 0x8f);
    return c1 || overlong || outside ? 0 : n;
}

/* In quotation marks, as C writes what is no text; "…" where it goes on. */
static void print_string(const char *text, size_t size) {
    const unsigned char *p = (const unsigned char *)text;
    fputs(" \"", stdout);
    size_t i = 0;
    while (i < size && i < TEXT_SHOWN) {
        size_t n = printable(p + i, size - i);
        const char *named = p[i] ? strchr("\nn\tt\rr\"\"\\\\", p[i]) : NULL;
        if (named && (p[i] < 0x20 || p[i] == '"' || p[i] == '\\'))
            printf("\\%c", named[1]), n = 1;
        else if (n == 0)
            printf("\\x%02x", p[i]), n = 1;
        else
            fwrite(p + i, 1, n, stdout);
        i += n;
    }
    fputs(i < size ? "…\"" : "\"", stdout);
}

void cli_print_values(const hone_tensor *t) {
    int64_t count = hone_tensor_count(t);
    putchar(' ');
    for (int64_t i = 0; i < count && i < SHOWN; i++) {
        size_t size;
        if (hone_tensor_dtype(t) != HONE_STRING) {
            printf(" %.7g", hone_tensor_number(t, i));
            continue;
        }
        const char *text = hone_tensor_string(t, i, &size);
        print_string(text, size);
    }
    puts(count > SHOWN ? " ..." : "");
}

/* {"b64": "…"}: of bytes that are no text. */
static json_t *json_bytes(const char *data, size_t size) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *text = malloc(size / 3 * 4 + 5), *to = text;
    if (!text) return NULL;
    for (size_t i = 0; i < size; i += 3) {
        unsigned bits = 0;
        for (size_t k = 0; k < 3; k++) bits = bits << 8 | (i + k < size ? (unsigned char)data[i + k] : 0);
        for (size_t k = 0; k < 4; k++) *to++ = i + k <= size ? digits[bits >> (18 - 6 * k) & 63] : '=';
    }
    json_t *o = json_pack("{s:s%}", "b64", text, (size_t)(to - text));
    free(text);
    return o;
}

json_t *cli_json_values(const hone_tensor *t) {
    json_t *values = json_array();
    for (int64_t i = 0; i < hone_tensor_count(t) && i < SHOWN; i++) {
        size_t size;
        const char *text = hone_tensor_dtype(t) == HONE_STRING ? hone_tensor_string(t, i, &size) : NULL;
        json_t *value = text ? json_stringn(text, size) : cli_json_number(hone_tensor_number(t, i));
        json_array_append_new(values, value || !text ? value : json_bytes(text, size));
    }
    return values;
}
