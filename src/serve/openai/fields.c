#include "serve/openai/fields.h"

#include "base/memory.h"

#include <math.h>

json_t *hone_member(const json_t *o, const char *name) {
    json_t *v = json_object_get(o, name);
    return json_is_null(v) ? NULL : v;
}

bool hone_member_number(const json_t *o, const char *name, double least, double most, double *out,
                        hone_fault *f) {
    const json_t *v = hone_member(o, name);
    if (!v) return true;
    double x = json_number_value(v);
    if (!json_is_number(v) || !(x >= least && x <= most))
        return hone_fault_value(f, name, "%s must be a number from %g to %g", name, least, most);
    *out = x;
    return true;
}

/* 3.0 is a whole number, too. */
bool hone_member_integer(const json_t *o, const char *name, int64_t least, int64_t most, int64_t *out,
                         hone_fault *f) {
    enum { EXACT = 53 }; /* bits */
    const json_t *v = hone_member(o, name);
    if (!v) return true;
    double real = json_real_value(v), bound = ldexp(1, EXACT);
    bool whole = json_is_integer(v) || (json_is_real(v) && fabs(real) <= bound && real == floor(real));
    json_int_t x = json_is_integer(v) ? json_integer_value(v) : whole ? (json_int_t)real : 0;
    if (!whole || x < least || x > most)
        return hone_fault_value(f, name, "%s must be a whole number from %lld to %lld", name,
                                (long long)least, (long long)most);
    *out = x;
    return true;
}

bool hone_member_truth(const json_t *o, const char *name, bool *out, hone_fault *f) {
    const json_t *v = hone_member(o, name);
    if (!v) return true;
    if (!json_is_boolean(v)) return hone_fault_value(f, name, "%s must be true or false", name);
    *out = json_is_true(v);
    return true;
}

bool hone_member_text(const json_t *o, const char *name, const char **out, hone_fault *f) {
    const json_t *v = hone_member(o, name);
    if (!v) return true;
    if (!json_is_string(v)) return hone_fault_value(f, name, "%s must be a string", name);
    *out = json_string_value(v);
    return true;
}

bool hone_member_object(const json_t *o, const char *name, json_t **out, hone_fault *f) {
    json_t *v = hone_member(o, name);
    if (!v) return true;
    if (!json_is_object(v)) return hone_fault_value(f, name, "%s must be an object", name);
    *out = v;
    return true;
}

bool hone_member_array(const json_t *o, const char *name, json_t **out, hone_fault *f) {
    json_t *v = hone_member(o, name);
    if (!v) return true;
    if (!json_is_array(v)) return hone_fault_value(f, name, "%s must be an array", name);
    *out = v;
    return true;
}

bool hone_member_ids(const json_t *list, const char *name, int32_t **out, size_t *count, hone_fault *f) {
    *count = json_array_size(list);
    *out = hone_calloc(*count + 1, sizeof **out);
    if (!*out) return hone_fault_memory(f);
    for (size_t i = 0; i < *count; i++) {
        const json_t *v = json_array_get(list, i);
        if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > INT32_MAX)
            return hone_fault_value(f, name, "%s has something in it that is no id of a token", name);
        (*out)[i] = (int32_t)json_integer_value(v);
    }
    return true;
}
