#include "onnx/text/script.h"

#include <string.h>

hone_script_form hone_script_form_of(const void *data, size_t size) {
    hone_script t = {.begin = data, .at = data, .end = (const char *)data + size};
    for (const char *p = t.begin; p < t.end && p - t.begin < 256; p++)
        if ((unsigned char)*p < ' ' && *p != '\t' && *p != '\n' && *p != '\r') return HONE_SCRIPT_NONE;
    hone_script_skip(&t, true);
    if (t.at == t.end) return HONE_SCRIPT_NONE;
    if (*t.at == '{') return HONE_SCRIPT_JSON;
    if (*t.at == '<') return HONE_SCRIPT_ONNX;
    hone_span word = hone_script_word(&t);
    hone_script_skip(&t, true);
    return word.size && t.at < t.end && (*t.at == ':' || *t.at == '{') ? HONE_SCRIPT_PROTO : HONE_SCRIPT_NONE;
}

hone_status hone_script_read(hone_script_form form, const char *text, size_t size, hone_blob *out,
                             hone_error *err) {
    hone_script t = {.begin = text, .at = text, .end = text + size, .err = err};
    t.locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    hone_status status = t.locale ? HONE_OK : hone_fail_memory(err);
    if (status == HONE_OK)
        status = form == HONE_SCRIPT_JSON    ? hone_script_json(&t)
                 : form == HONE_SCRIPT_PROTO ? hone_script_proto(&t)
                                             : hone_script_onnx(&t);
    if (t.locale) freelocale(t.locale);
    hone_free(t.string);
    if (status == HONE_OK && t.wire.failed) status = hone_fail_memory(err);
    if (status == HONE_OK)
        *out = (hone_blob){t.wire.data, t.wire.size};
    else
        hone_free(t.wire.data);
    return status;
}
