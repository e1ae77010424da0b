#include "base/error.h"
#include "base/text.h"
#include "base/utf8.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

void hone_text_line(char *out, size_t size, const char *text) {
    size_t left = text ? strlen(text) : 0, used = 0;
    while (left > 0) {
        size_t n = hone_utf8_length(text, left);
        const char *shown = n ? text : HONE_UTF8_REPLACEMENT;
        size_t bytes = n ? n : 3, taken = n ? n : 1;
        if (used + bytes >= size) break;
        memcpy(out + used, shown, bytes);
        unsigned char c = (unsigned char)*text;
        if (c < 0x20 || c == 0x7F) out[used] = ' ';
        used += bytes;
        text += taken;
        left -= taken;
    }
    out[used] = 0;
}

/* The new error is built beside the old one, because the arguments may point into the old one. */
static hone_status fill(hone_error *err, hone_status code, const char *file, const char *node, const char *op,
                        const char *format, va_list args) {
    if (!err) return code;
    hone_error made = {.code = code};
    char message[sizeof made.message + 4]; /* longer, so that hone_text_line sees where to cut */
    vsnprintf(message, sizeof message, format, args);
    hone_text_line(made.message, sizeof made.message, message);
    hone_text_line(made.file, sizeof made.file, file);
    hone_text_line(made.node, sizeof made.node, node);
    hone_text_line(made.op, sizeof made.op, op);
    *err = made;
    return code;
}

hone_status hone_fail(hone_error *err, hone_status code, const char *format, ...) {
    va_list args;
    va_start(args, format);
    fill(err, code, NULL, NULL, NULL, format, args);
    va_end(args);
    return code;
}

hone_status hone_fail_file(hone_error *err, hone_status code, const char *file, const char *format, ...) {
    va_list args;
    va_start(args, format);
    fill(err, code, file, NULL, NULL, format, args);
    va_end(args);
    return code;
}

hone_status hone_fail_node(hone_error *err, hone_status code, const char *node, const char *op,
                           const char *format, ...) {
    va_list args;
    va_start(args, format);
    hone_vfail_node(err, code, node, op, format, args);
    va_end(args);
    return code;
}

hone_status hone_vfail_node(hone_error *err, hone_status code, const char *node, const char *op,
                            const char *format, va_list args) {
    return fill(err, code, NULL, node, op, format, args);
}

const char *hone_errno_text(int errno_value, char *text, size_t size) {
#ifdef __GLIBC__
    return strerror_r(errno_value, text, size);
#else
    if (strerror_r(errno_value, text, size) != 0) snprintf(text, size, "error %d", errno_value);
    return text;
#endif
}

hone_status hone_fail_errno(hone_error *err, int errno_value, const char *file, const char *what) {
    char text[128];
    const char *reason = hone_errno_text(errno_value, text, sizeof text);
    return hone_fail_file(err, errno_value == ENOENT ? HONE_NOT_FOUND : HONE_IO, file, "%s: %s", what,
                          reason);
}

hone_status hone_error_in_file(hone_error *err, hone_status code, const char *file) {
    if (code != HONE_OK && err && !err->file[0]) hone_text_line(err->file, sizeof err->file, file);
    return code;
}

hone_status hone_fail_memory(hone_error *err) {
    return hone_fail(err, HONE_OUT_OF_MEMORY, "out of memory");
}

hone_status hone_check_options_size(size_t size, size_t expected, hone_error *err) {
    if (size == expected) return HONE_OK;
    return hone_fail(err, HONE_INVALID_ARGUMENT,
                     "options of size %zu, not %zu: they must start from their HONE_…_OPTIONS_INIT", size,
                     expected);
}

const char *hone_status_name(hone_status status) {
    switch (status) {
    case HONE_OK: return "ok";
    case HONE_INVALID_ARGUMENT: return "invalid_argument";
    case HONE_NOT_FOUND: return "not_found";
    case HONE_ALREADY_EXISTS: return "already_exists";
    case HONE_FAILED_PRECONDITION: return "failed_precondition";
    case HONE_OUT_OF_RANGE: return "out_of_range";
    case HONE_UNSUPPORTED: return "unsupported";
    case HONE_CORRUPT: return "corrupt";
    case HONE_IO: return "io";
    case HONE_OUT_OF_MEMORY: return "out_of_memory";
    case HONE_RESOURCE_EXHAUSTED: return "resource_exhausted";
    case HONE_UNAVAILABLE: return "unavailable";
    case HONE_DEADLINE_EXCEEDED: return "deadline_exceeded";
    case HONE_CANCELLED: return "cancelled";
    case HONE_INTERNAL: return "internal";
    }
    return "unknown";
}

const char *hone_error_format(const hone_error *err, char *text, size_t size) {
    if (size == 0) return text;
    char whole[sizeof(hone_error) + 32];
    const char *file = err->file, *node = err->node, *op = err->op;
    snprintf(whole, sizeof whole, "%s%s%s%s%s%s%s%s%s", file, *file ? ": " : "", *node ? "node " : "", node,
             *node && *op ? " (" : "", op, *node && *op ? ")" : "", *node || *op ? ": " : "", err->message);
    hone_text_line(text, size, whole);
    return text;
}
