#include "serve/models/shape_settings.h"

#include "base/error.h"
#include "base/utf8.h"

#include <stdio.h>
#include <string.h>

enum { SHOWN = 60 };

static hone_status wrong(const hone_config_reader *r, const char *where, const char *key, const char *what) {
    return hone_fail(r->err, HONE_INVALID_ARGUMENT, "\"%s.%.*s\" %s", where, HONE_UTF8_SHOWN(key, SHOWN),
                     what);
}

static hone_status check_object(const hone_config_reader *r, const char *where, const json_t *v) {
    if (json_is_object(v)) return HONE_OK;
    return hone_fail(r->err, HONE_INVALID_ARGUMENT, "\"%s\" is no object", where);
}

static hone_status check_name(const hone_config_reader *r, const char *where, const char *name) {
    if (strlen(name) <= HONE_MAX_SETTING_NAME) return HONE_OK;
    return hone_fail(r->err, HONE_INVALID_ARGUMENT, "\"%s\" has a name of more than %d bytes", where,
                     HONE_MAX_SETTING_NAME);
}

/* The dimension of that name, found or new. */
static hone_status find_dim(const hone_config_reader *r, const char *where, const char *name,
                            hone_servable_settings *s, int *out) {
    HONE_TRY(check_name(r, where, name));
    *out = hone_settings_find_dim(s, name);
    if (*out >= 0) return HONE_OK;
    if (s->dim_count == HONE_MAX_DIM_SETTINGS)
        return hone_fail(r->err, HONE_INVALID_ARGUMENT,
                         "\"%s\" makes it more than %d dimensions that the settings name", where,
                         HONE_MAX_DIM_SETTINGS);
    *out = s->dim_count++;
    s->dims[*out] = (hone_dim_setting){0};
    memcpy(s->dims[*out].name, name, strlen(name) + 1);
    return HONE_OK;
}

static hone_status find_tensor(const hone_config_reader *r, const char *where, const char *name,
                               hone_servable_settings *s, hone_tensor_setting **out) {
    HONE_TRY(check_name(r, where, name));
    const hone_tensor_setting *found = hone_settings_find_tensor(s, name);
    *out = found ? s->tensors + (found - s->tensors) : &s->tensors[s->tensor_count];
    if (found) return HONE_OK;
    if (s->tensor_count == HONE_MAX_TENSOR_SETTINGS)
        return hone_fail(r->err, HONE_INVALID_ARGUMENT,
                         "\"%s\" makes it more than %d inputs and outputs that the settings name", where,
                         HONE_MAX_TENSOR_SETTINGS);
    s->tensor_count++;
    **out = (hone_tensor_setting){.rank = -1};
    memcpy((*out)->name, name, strlen(name) + 1);
    return HONE_OK;
}

/* {"sequence": [16, 64, 128], "height": 224} */
static hone_status read_sizes(hone_config_reader *r, const char *key, json_t *value, hone_dim_setting *d) {
    char name[80];
    size_t count = hone_config_count(value);
    snprintf(name, sizeof name, "dims.%.*s", HONE_UTF8_SHOWN(key, SHOWN));
    if (count < 1 || count > HONE_MAX_DIM_SIZES)
        return hone_fail(r->err, HONE_INVALID_ARGUMENT, "\"%s\" has not 1 to %d sizes", name,
                         HONE_MAX_DIM_SIZES);
    for (size_t i = 0; i < count; i++) {
        HONE_TRY(hone_config_int_of(r, name, hone_config_at(value, i), 1, INT32_MAX, &d->sizes[i]));
        if (i > 0 && d->sizes[i] <= d->sizes[i - 1])
            return hone_fail(r->err, HONE_INVALID_ARGUMENT, "the sizes in \"%s\" do not ascend", name);
    }
    d->size_count = (int)count;
    return HONE_OK;
}

static hone_status read_dims(hone_config_reader *r, json_t *dims, hone_servable_settings *s) {
    const char *key;
    json_t *value;
    HONE_TRY(check_object(r, "dims", dims));
    json_object_foreach(dims, key, value) {
        int i = 0;
        HONE_TRY(find_dim(r, "dims", key, s, &i));
        HONE_TRY(read_sizes(r, key, value, &s->dims[i]));
    }
    if (hone_settings_buckets(s) > HONE_MAX_BUCKETS)
        return hone_fail(r->err, HONE_INVALID_ARGUMENT, "the sizes in \"dims\" make more than %d shapes",
                         HONE_MAX_BUCKETS);
    return HONE_OK;
}

/* ["batch", "sequence"], [null, 3, 224, 224] */
static hone_status read_shape(hone_config_reader *r, const char *key, json_t *shape,
                              hone_servable_settings *s, hone_tensor_setting *t) {
    if (!json_is_array(shape) || json_array_size(shape) > HONE_MAX_RANK)
        return wrong(r, "shapes", key, "is no list of dimensions");
    t->rank = (int)json_array_size(shape);
    for (int d = 0; d < t->rank; d++) {
        const json_t *v = json_array_get(shape, (size_t)d);
        int named = 0;
        if (json_is_string(v)) {
            HONE_TRY(find_dim(r, "shapes", json_string_value(v), s, &named));
            t->dims[d] = -2 - named;
        } else if (json_is_integer(v) && json_integer_value(v) > 0 && json_integer_value(v) <= INT32_MAX) {
            t->dims[d] = json_integer_value(v);
        } else if (json_is_null(v)) {
            t->dims[d] = -1;
        } else {
            return wrong(r, "shapes", key, "has something that is no name, no size and not null");
        }
    }
    return HONE_OK;
}

static hone_status read_shapes(hone_config_reader *r, json_t *shapes, hone_servable_settings *s) {
    const char *key;
    json_t *value;
    HONE_TRY(check_object(r, "shapes", shapes));
    json_object_foreach(shapes, key, value) {
        hone_tensor_setting *t = NULL;
        HONE_TRY(find_tensor(r, "shapes", key, s, &t));
        HONE_TRY(read_shape(r, key, value, s, t));
    }
    return HONE_OK;
}

static hone_status read_values(hone_config_reader *r, json_t *values, hone_servable_settings *s) {
    const char *key;
    json_t *value;
    HONE_TRY(check_object(r, "pad.values", values));
    json_object_foreach(values, key, value) {
        hone_tensor_setting *t = NULL;
        if (!json_is_number(value)) return wrong(r, "pad.values", key, "is no number");
        HONE_TRY(find_tensor(r, "pad.values", key, s, &t));
        t->is_real = json_is_real(value);
        t->whole = json_is_integer(value) ? json_integer_value(value) : 0;
        t->real = t->is_real ? json_real_value(value) : 0;
    }
    return HONE_OK;
}

static hone_status read_pad(hone_config_reader *r, json_t *pad, hone_servable_settings *s) {
    hone_config_field f[] = {{"dims", NULL}, {"values", NULL}, {"tolerance", NULL}, {NULL, NULL}};
    s->pad_all = json_is_true(pad);
    if (json_is_boolean(pad)) return HONE_OK;
    if (!json_is_object(pad))
        return hone_fail(r->err, HONE_INVALID_ARGUMENT, "\"pad\" is neither true, false nor an object");
    HONE_TRY(hone_config_fields(r, pad, "\"pad\"", f));
    s->pad_all = !f[0].value;
    for (size_t i = 0; i < hone_config_count(f[0].value); i++) {
        const char *name = json_string_value(hone_config_at(f[0].value, i));
        int d = 0;
        if (!name) return hone_fail(r->err, HONE_INVALID_ARGUMENT, "\"pad.dims\" is no list of names");
        HONE_TRY(find_dim(r, "pad.dims", name, s, &d));
        s->dims[d].pad = true;
    }
    if (f[1].value) HONE_TRY(read_values(r, f[1].value, s));
    if (!f[2].value) return HONE_OK;
    s->pad_tolerance = json_number_value(f[2].value);
    if (json_is_number(f[2].value) && s->pad_tolerance >= 0 && s->pad_tolerance <= 1) return HONE_OK;
    return hone_fail(r->err, HONE_INVALID_ARGUMENT, "\"pad.tolerance\" is no number from 0 to 1");
}

hone_status hone_shape_settings_read(hone_config_reader *r, const hone_config_field *dims,
                                     const hone_config_field *shapes, const hone_config_field *pad,
                                     hone_servable_settings *out) {
    if (dims->value) HONE_TRY(read_dims(r, dims->value, out));
    if (shapes->value) HONE_TRY(read_shapes(r, shapes->value, out));
    if (pad->value) HONE_TRY(read_pad(r, pad->value, out));
    return HONE_OK;
}
