#include "values.h"

#include "files.h"
#include "report.h"
#include "signals.h"

#include <hone/data.h>

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

static void print_element(const hone_tensor *t, int64_t i) {
    size_t size;
    if (hone_tensor_dtype(t) != HONE_STRING) {
        printf(" %.7g", hone_tensor_number(t, i));
        return;
    }
    const char *text = hone_tensor_string(t, i, &size);
    print_string(text, size);
}

/* A line. */
static void print_elements(const hone_tensor *t) {
    int64_t count = hone_tensor_count(t);
    putchar(' ');
    for (int64_t i = 0; i < count && i < SHOWN; i++) print_element(t, i);
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

static json_t *json_element(const hone_tensor *t, int64_t i) {
    size_t size;
    if (hone_tensor_dtype(t) != HONE_STRING) return cli_json_number(hone_tensor_number(t, i));
    const char *text = hone_tensor_string(t, i, &size);
    json_t *value = json_stringn(text, size);
    return value ? value : json_bytes(text, size);
}

static json_t *json_elements(const hone_tensor *t) {
    json_t *values = json_array();
    for (int64_t i = 0; i < hone_tensor_count(t) && i < SHOWN; i++)
        json_array_append_new(values, json_element(t, i));
    return values;
}

/* --- whole values as JSON --- */

static bool is_integer(hone_dtype dtype) {
    switch (dtype) {
    case HONE_INT64:
    case HONE_INT32:
    case HONE_INT16:
    case HONE_INT8:
    case HONE_UINT64:
    case HONE_UINT32:
    case HONE_UINT16:
    case HONE_UINT8: return true;
    default: return false;
    }
}

static int64_t integer(const hone_tensor *t, int64_t i) {
    return hone_tensor_dtype(t) == HONE_INT64 ? ((const int64_t *)hone_tensor_data(t))[i]
                                              : (int64_t)hone_tensor_number(t, i);
}

static json_t *json_whole(const hone_tensor *t);

static json_t *whole(const hone_tensor *t, int64_t i) {
    if (hone_tensor_dtype(t) == HONE_BOOL) return json_boolean(hone_tensor_number(t, i) != 0);
    return is_integer(hone_tensor_dtype(t)) ? json_integer(integer(t, i)) : json_element(t, i);
}

/* All of the elements from `*at` on that the dimensions from `d` on have, in lists. */
static json_t *nested(const hone_tensor *t, int d, int64_t *at) {
    if (d == hone_tensor_rank(t)) return whole(t, (*at)++);
    json_t *list = json_array();
    for (int64_t i = 0; i < hone_tensor_dims(t)[d]; i++) json_array_append_new(list, nested(t, d + 1, at));
    return list;
}

static json_t *map_value(const hone_tensor *values, int64_t i) {
    if (hone_tensor_kind(values) == HONE_KIND_SEQUENCE) return json_whole(hone_tensor_item(values, i));
    int64_t each = hone_tensor_count(values) / hone_tensor_dims(values)[0], at = i * each;
    return nested(values, 1, &at);
}

/* The first `most` entries; integers become text, as JSON has it. */
static json_t *json_map(const hone_tensor *map, int64_t most) {
    const hone_tensor *keys = hone_tensor_item(map, 0), *values = hone_tensor_item(map, 1);
    json_t *object = json_object();
    for (int64_t i = 0; i < hone_tensor_count(keys) && i < most; i++) {
        size_t size;
        char number[24];
        const char *key = number;
        if (hone_tensor_dtype(keys) == HONE_STRING)
            key = hone_tensor_string(keys, i, &size);
        else
            size = (size_t)snprintf(number, sizeof number, "%lld", (long long)integer(keys, i));
        if (json_object_setn_new(object, key, size, map_value(values, i)) == 0) continue;
        json_t *clean = cli_json_text(key); /* not UTF-8 */
        json_object_set_new(object, json_string_value(clean), map_value(values, i));
        json_decref(clean);
    }
    return object;
}

static json_t *json_whole(const hone_tensor *t) {
    int64_t at = 0;
    switch (hone_tensor_kind(t)) {
    case HONE_KIND_MAP: return json_map(t, INT64_MAX);
    case HONE_KIND_OPTIONAL: return hone_tensor_count(t) ? json_whole(hone_tensor_item(t, 0)) : json_null();
    case HONE_KIND_TENSOR: return nested(t, 0, &at);
    case HONE_KIND_SEQUENCE: break;
    }
    json_t *list = json_array();
    for (int64_t i = 0; i < hone_tensor_count(t); i++)
        json_array_append_new(list, json_whole(hone_tensor_item(t, i)));
    return list;
}

/* --- outputs --- */

static void print_value(const char *name, const hone_tensor *t, int indent);

static void print_entries(const hone_tensor *map, int indent) {
    const hone_tensor *keys = hone_tensor_item(map, 0), *values = hone_tensor_item(map, 1);
    int64_t count = hone_tensor_count(keys);
    printf("map of %lld\n", (long long)count);
    for (int64_t i = 0; i < count && i < SHOWN; i++) {
        json_t *value = map_value(values, i);
        char *text =
            value ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(7)) : NULL;
        printf("%*s", indent + 1, "");
        print_element(keys, i);
        printf(": %s\n", text ? text : "?");
        free(text);
        json_decref(value);
    }
    if (count > SHOWN) printf("%*s...\n", indent + 2, "");
}

static void print_items(const hone_tensor *t, int indent) {
    int64_t count = hone_tensor_count(t);
    printf("sequence of %lld\n", (long long)count);
    for (int64_t i = 0; i < count && i < SHOWN; i++)
        print_value(cli_text("%lld", (long long)i), hone_tensor_item(t, i), indent + 2);
    if (count > SHOWN) printf("%*s...\n", indent + 2, "");
}

static void print_value(const char *name, const hone_tensor *t, int indent) {
    while (hone_tensor_kind(t) == HONE_KIND_OPTIONAL && hone_tensor_count(t)) t = hone_tensor_item(t, 0);
    printf("%*s%s: ", indent, "", name);
    switch (hone_tensor_kind(t)) {
    case HONE_KIND_SEQUENCE: print_items(t, indent); break;
    case HONE_KIND_MAP: print_entries(t, indent); break;
    case HONE_KIND_OPTIONAL: puts("nothing"); break;
    case HONE_KIND_TENSOR:
        printf("%s\n%*s", cli_tensor_text(t), indent, "");
        print_elements(t);
        break;
    }
}

void cli_print_output(const char *name, const hone_tensor *t) {
    print_value(name, t, 0);
}

static json_t *json_output(const hone_tensor *t) {
    int64_t count = hone_tensor_count(t);
    switch (hone_tensor_kind(t)) {
    case HONE_KIND_TENSOR: break;
    case HONE_KIND_OPTIONAL:
        return json_pack("{s:s, s:o}", "kind", "optional", "value",
                         count ? json_output(hone_tensor_item(t, 0)) : json_null());
    case HONE_KIND_MAP:
        return json_pack("{s:s, s:I, s:o}", "kind", "map", "count",
                         (json_int_t)hone_tensor_count(hone_tensor_item(t, 0)), "first", json_map(t, SHOWN));
    case HONE_KIND_SEQUENCE: {
        json_t *items = json_array();
        for (int64_t i = 0; i < count && i < SHOWN; i++)
            json_array_append_new(items, json_output(hone_tensor_item(t, i)));
        return json_pack("{s:s, s:I, s:o}", "kind", "sequence", "count", (json_int_t)count, "first", items);
    }
    }
    return json_pack("{s:s, s:o, s:o}", "dtype", hone_dtype_name(hone_tensor_dtype(t)), "shape",
                     cli_json_shape(NULL, hone_tensor_dims(t), hone_tensor_rank(t)), "first",
                     json_elements(t));
}

json_t *cli_json_output(const char *name, const hone_tensor *t) {
    json_t *o = json_pack("{s:s}", "name", name);
    json_t *rest = json_output(t);
    json_object_update(o, rest);
    json_decref(rest);
    return o;
}

/* --- files --- */

static bool ends(const char *file, const char *ending) {
    size_t n = strlen(file), m = strlen(ending);
    return n > m && strcmp(file + n - m, ending) == 0;
}

static bool holds_maps(const hone_tensor *t) {
    hone_value_kind kind = hone_tensor_kind(t);
    return kind == HONE_KIND_MAP ||
           (kind == HONE_KIND_SEQUENCE && hone_tensor_count(t) && holds_maps(hone_tensor_item(t, 0)));
}

/* Is it one of maps that has none now? The file's name says so. */
static bool is_json(const char *file, const hone_tensor *t) {
    bool empty = hone_tensor_kind(t) == HONE_KIND_SEQUENCE && hone_tensor_count(t) == 0;
    return holds_maps(t) || (empty && ends(file, ".json"));
}

/* A name that promises another format than such a value has is refused. */
static int check_name(const char *file, const char *name, const hone_tensor *t) {
    bool npy = ends(file, ".npy"), npz = ends(file, ".npz"), json = ends(file, ".json");
    if (is_json(file, t))
        return npy || npz ? cli_error("%s: output '%s' has maps, which .json files have", file, name)
                          : CLI_OK;
    if (hone_tensor_kind(t) == HONE_KIND_SEQUENCE)
        return npy || json ? cli_error("%s: output '%s' is a sequence, which .npz files have", file, name)
                           : CLI_OK;
    return json ? cli_error("%s: output '%s' is a tensor, which .npy and .npz files have", file, name)
                : CLI_OK;
}

static hone_status save_sequence(const char *file, const hone_tensor *t, hone_error *err) {
    int count = (int)hone_tensor_count(t);
    char(*names)[24] = cli_alloc((size_t)count * sizeof *names);
    hone_named_tensor *arrays = cli_alloc((size_t)count * sizeof *arrays);
    for (int i = 0; i < count; i++) {
        snprintf(names[i], sizeof names[i], "arr_%d", i);
        arrays[i] = (hone_named_tensor){names[i], (hone_tensor *)hone_tensor_item(t, i)};
    }
    hone_status status = hone_npz_save(file, arrays, count, err);
    free(names);
    free(arrays);
    return status;
}

static hone_status save(const char *file, const char *name, const hone_tensor *t, hone_error *err) {
    if (is_json(file, t)) {
        json_t *value = json_whole(t);
        char *text = value ? json_dumps(value, JSON_INDENT(1) | JSON_REAL_PRECISION(9)) : NULL;
        json_decref(value);
        if (!text) exit(cli_error("out of memory"));
        hone_status status = cli_write_text(file, text, err);
        free(text);
        return status;
    }
    if (hone_tensor_kind(t) == HONE_KIND_SEQUENCE) return save_sequence(file, t, err);
    if (ends(file, ".npz")) return hone_npz_save(file, &(hone_named_tensor){name, (hone_tensor *)t}, 1, err);
    return hone_npy_save(file, t, err);
}

int cli_save_value(const char *file, const char *name, const hone_tensor *t) {
    hone_error err = {0};
    while (hone_tensor_kind(t) == HONE_KIND_OPTIONAL) {
        if (hone_tensor_count(t) == 0) return cli_error("%s: output '%s' holds nothing", file, name);
        t = hone_tensor_item(t, 0);
    }
    int named = check_name(file, name, t);
    if (named != CLI_OK) return named;
    cli_signals_hold();
    hone_status status = save(file, name, t, &err);
    cli_signals_release();
    return status == HONE_OK ? CLI_OK : cli_fail(&err);
}
