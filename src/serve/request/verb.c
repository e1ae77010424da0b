#include "serve/request/verb.h"

#include <stdio.h>

hone_verb hone_verb_of(hone_slice method) {
    static const struct {
        const char *method;
        hone_verb verb;
    } rows[] = {{"POST", HONE_VERB_POST},   {"GET", HONE_VERB_GET},        {"HEAD", HONE_VERB_GET},
                {"PUT", HONE_VERB_OTHER},   {"DELETE", HONE_VERB_OTHER},   {"PATCH", HONE_VERB_OTHER},
                {"TRACE", HONE_VERB_OTHER}, {"OPTIONS", HONE_VERB_OPTIONS}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (hone_slice_equal(method, rows[i].method)) return rows[i].verb;
    return HONE_VERB_UNKNOWN;
}

static void tell_allowed(hone_request *r, const char *methods) {
    hone_request_field(r, "allow", methods);
    hone_request_answer(r, 200, NULL, "", 0);
}

bool hone_request_takes(hone_request *r, hone_verb verb) {
    const char *allowed = verb == HONE_VERB_GET ? "GET, HEAD, OPTIONS" : "POST, OPTIONS";
    hone_verb asked = hone_verb_of(r->head.method);
    if (asked == verb) return true;
    if (asked == HONE_VERB_OPTIONS) {
        tell_allowed(r, allowed);
        return false;
    }
    hone_request_field(r, "allow", allowed);
    hone_request_refuse_path(r, 405);
    return false;
}

bool hone_request_answer_verb(hone_request *r) {
    hone_slice method = r->head.method;
    hone_verb asked = hone_verb_of(method);
    char text[100];
    if (asked == HONE_VERB_UNKNOWN) {
        snprintf(text, sizeof text, "The method %.*s is not known here", hone_slice_shown(method, 32),
                 method.data);
        hone_request_fail(r, 501, text);
    } else if (asked == HONE_VERB_OPTIONS && hone_slice_equal(r->head.path, "*")) {
        tell_allowed(r, "GET, HEAD, POST, OPTIONS");
    } else {
        return false;
    }
    return true;
}
