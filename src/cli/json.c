#include "json.h"

#include "report.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void cli_print_json(json_t *object) {
    char *text = object ? json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(7)) : NULL;
    if (!text) exit(cli_error("out of memory"));
    puts(text);
    free(text);
    json_decref(object);
}

json_t *cli_json_number(double x) {
    return isfinite(x) ? json_real(x) : json_null();
}

/* The bytes of the character that begins at `s`; 0 if none does. */
static size_t character(const unsigned char *s) {
    size_t n = s[0] < 0x80 ? 1 : s[0] >= 0xc2 && s[0] < 0xe0 ? 2 : s[0] >= 0xe0 && s[0] < 0xf0 ? 3 : 4;
    if (n == 1) return 1;
    if (s[0] < 0xc2 || s[0] > 0xf4) return 0;
    for (size_t i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80) return 0;
    /* too long a form, a surrogate, beyond the last code point */
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf0 && s[1] < 0x90) ||
        (s[0] == 0xf4 && s[1] > 0x8f))
        return 0;
    return n;
}

json_t *cli_json_text(const char *text) {
    char *clean = cli_alloc(3 * strlen(text) + 1), *to = clean;
    for (const unsigned char *s = (const unsigned char *)text; *s;) {
        size_t n = character(s);
        memcpy(to, n ? (const char *)s : "\xef\xbf\xbd", n ? n : 3);
        to += n ? n : 3;
        s += n ? n : 1;
    }
    json_t *string = json_string(clean);
    free(clean);
    return string;
}

json_t *cli_json_shape(const hone_graph *g, const int64_t *dims, int rank) {
    json_t *list = json_array();
    for (int d = 0; d < rank; d++) {
        const char *symbol = g && dims[d] < 0 ? hone_graph_dim_name(g, dims[d]) : NULL;
        json_array_append_new(list, symbol        ? json_string(symbol)
                                    : dims[d] < 0 ? json_null()
                                                  : json_integer(dims[d]));
    }
    return list;
}
