#include "serve/models/config_reader.h"

#include "base/error.h"
#include "base/utf8.h"
#include "serve/models/policy.h"

#include <string.h>

size_t hone_config_count(const json_t *v) {
    return json_is_array(v) ? json_array_size(v) : v && !json_is_null(v);
}

json_t *hone_config_at(json_t *v, size_t i) {
    return json_is_array(v) ? json_array_get(v, i) : v;
}

/* Is `key` the field `name`, written so or in camelCase? */
static bool is_field(const char *key, const char *name) {
    for (; *key && *name; key++, name++) {
        if (*key == *name) continue;
        if (*name != '_' || !name[1]) return false;
        name++;
        if (*key != *name - 'a' + 'A') return false;
    }
    return !*key && !*name;
}

hone_status hone_config_fields(hone_config_reader *r, json_t *message, const char *where,
                               hone_config_field *fields) {
    const char *key;
    json_t *value;
    if (!json_is_object(message)) return hone_fail(r->err, HONE_INVALID_ARGUMENT, "%s is no message", where);
    json_object_foreach(message, key, value) {
        hone_config_field *f = fields;
        while (f->name && !is_field(key, f->name)) f++;
        if (!f->name)
            return hone_fail(r->err, HONE_INVALID_ARGUMENT, "%s has no field \"%.*s\"", where,
                             HONE_UTF8_SHOWN(key, 60));
        if (f->value)
            return hone_fail(r->err, HONE_INVALID_ARGUMENT, "%s has \"%.*s\" twice", where,
                             HONE_UTF8_SHOWN(key, 60));
        f->value = json_is_null(value) ? NULL : value;
    }
    return HONE_OK;
}

hone_status hone_config_only(hone_config_reader *r, const hone_config_field *f, json_t **out) {
    if (hone_config_count(f->value) != 1)
        return hone_fail(r->err, HONE_INVALID_ARGUMENT, "\"%s\" must have one value", f->name);
    *out = hone_config_at(f->value, 0);
    return HONE_OK;
}

hone_status hone_config_text(hone_config_reader *r, const hone_config_field *f, const char **out) {
    json_t *v = NULL;
    HONE_TRY(hone_config_only(r, f, &v));
    *out = json_string_value(v);
    return *out ? HONE_OK : hone_fail(r->err, HONE_INVALID_ARGUMENT, "\"%s\" is no text", f->name);
}

hone_status hone_config_int_of(hone_config_reader *r, const char *name, const json_t *v, int64_t least,
                               int64_t most, int64_t *out) {
    const char *text = json_string_value(v);
    bool fine = json_is_integer(v) || (text && hone_version_parse(text, strlen(text), out));
    if (json_is_integer(v)) *out = json_integer_value(v);
    if (fine && *out >= least && *out <= most) return HONE_OK;
    return hone_fail(r->err, HONE_INVALID_ARGUMENT, "\"%s\" is no whole number from %lld to %lld", name,
                     (long long)least, (long long)most);
}

hone_status hone_config_int(hone_config_reader *r, const hone_config_field *f, int64_t least, int64_t most,
                            int64_t *out) {
    json_t *v = NULL;
    if (!f->value) return HONE_OK;
    HONE_TRY(hone_config_only(r, f, &v));
    return hone_config_int_of(r, f->name, v, least, most, out);
}

hone_status hone_config_int32(hone_config_reader *r, const hone_config_field *f, int least, int most,
                              int *out) {
    int64_t x = *out;
    HONE_TRY(hone_config_int(r, f, least, most, &x));
    *out = (int)x;
    return HONE_OK;
}

hone_status hone_config_json(const char *text, size_t size, json_t **out, hone_error *err) {
    json_error_t e;
    *out = json_loadb(text, size, JSON_REJECT_DUPLICATES, &e);
    if (*out) return HONE_OK;
    return hone_fail(err, HONE_INVALID_ARGUMENT, "line %d, column %d: %s", e.line, e.column, e.text);
}
