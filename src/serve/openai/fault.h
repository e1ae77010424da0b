/* What is wrong with a request, as OpenAI's clients are told:
 *
 *      {"error": {"message": …, "type": …, "param": …, "code": …}} */
#ifndef HONE_SERVE_OPENAI_FAULT_H
#define HONE_SERVE_OPENAI_FAULT_H

#include "serve/request/request.h"

typedef struct hone_fault {
    int status;       /* of HTTP; 0: nothing is wrong */
    int retry;        /* seconds after which it may go better; 0: a usual time */
    const char *code; /* "model_not_found"; NULL: none. Not copied */
    char param[64];   /* the field that it is about; "": none */
    char message[512];
} hone_fault;

/* Notes what is wrong; false, always. `param` NULL: it is about no field. */
bool hone_fault_set(hone_fault *f, int status, const char *param, const char *code, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
/* A field whose value is not taken: 400. */
bool hone_fault_value(hone_fault *f, const char *param, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
bool hone_fault_memory(hone_fault *f); /* it is out: 503 */
/* Of an error that came from below: what the client did wrong, or we can't do now. */
bool hone_fault_take(hone_fault *f, const char *param, hone_status status, const hone_error *err);

void hone_fault_write(hone_buffer *out, const hone_fault *f);
/* The whole answer. */
void hone_fault_answer(hone_request *r, const hone_fault *f);
/* For hone_request.write_error: what others have to say to a client of this API. */
void hone_fault_write_plain(hone_buffer *out, int status, const char *message);

#endif
