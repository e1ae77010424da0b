#include "serve/openai/fault.h"

#include "serve/api/status.h"
#include "serve/format/json_write.h"

#include <stdarg.h>
#include <stdio.h>

static void set(hone_fault *f, int status, const char *param, const char *code) {
    f->status = status;
    f->code = code;
    snprintf(f->param, sizeof f->param, "%s", param ? param : "");
}

bool hone_fault_set(hone_fault *f, int status, const char *param, const char *code, const char *format, ...) {
    va_list args;
    set(f, status, param, code);
    va_start(args, format);
    vsnprintf(f->message, sizeof f->message, format, args);
    va_end(args);
    return false;
}

bool hone_fault_value(hone_fault *f, const char *param, const char *format, ...) {
    va_list args;
    set(f, 400, param, "invalid_value");
    va_start(args, format);
    vsnprintf(f->message, sizeof f->message, format, args);
    va_end(args);
    return false;
}

bool hone_fault_memory(hone_fault *f) {
    return hone_fault_set(f, 503, NULL, NULL, "Out of memory");
}

bool hone_fault_take(hone_fault *f, const char *param, hone_status status, const hone_error *err) {
    /* What the client's text or schema asks for and is not there is the client's to change. */
    int code = status == HONE_UNSUPPORTED ? 400 : hone_http_status_of(status);
    const char *name = status == HONE_OUT_OF_RANGE ? "context_length_exceeded" : NULL;
    return hone_fault_set(f, code, param, name, "%s",
                          err->message[0] ? err->message : hone_status_name(status));
}

static const char *type_of(int status) {
    switch (status) {
    case 401: return "authentication_error";
    case 403: return "permission_error";
    case 429: return "rate_limit_error";
    default: return status >= 500 ? "server_error" : "invalid_request_error";
    }
}

static const char *usual_code(int status) {
    switch (status) {
    case 401: return "invalid_api_key";
    case 429: return "rate_limit_exceeded";
    default: return NULL;
    }
}

static void put_or_null(hone_buffer *out, const char *text) {
    if (text && *text)
        hone_json_write_string(out, text, strlen(text));
    else
        hone_buffer_text(out, "null");
}

void hone_fault_write(hone_buffer *out, const hone_fault *f) {
    hone_buffer_text(out, "{\"error\": {\"message\": ");
    hone_json_write_string(out, f->message, strlen(f->message));
    hone_buffer_printf(out, ", \"type\": \"%s\", \"param\": ", type_of(f->status));
    put_or_null(out, f->param);
    hone_buffer_text(out, ", \"code\": ");
    put_or_null(out, f->code ? f->code : usual_code(f->status));
    hone_buffer_text(out, "}}");
}

void hone_fault_write_plain(hone_buffer *out, int status, const char *message) {
    hone_fault f;
    hone_fault_set(&f, status, NULL, NULL, "%s", message);
    hone_fault_write(out, &f);
}

void hone_fault_answer(hone_request *r, const hone_fault *f) {
    hone_buffer b = {0};
    hone_fault_write(&b, f);
    hone_request_fail_with(r, f->status, f->message, &b, f->retry > 1 ? f->retry : 1);
    hone_buffer_free(&b);
}
