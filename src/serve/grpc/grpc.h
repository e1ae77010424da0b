/* gRPC over a request: framing and status. A call is a request whose content type is application/grpc; its
 * path is
 * "/package.Service/Method", its body the message behind a 5-byte prefix (compressed flag, u32 big-endian
 * length).
 *
 *   answer   begin(200, application/grpc) · prefix + message · end with trailers grpc-status, grpc-message
 *   failure  trailers only
 *
 * Messages may be packed with gzip. An answer is, if it is large, its client accepts that, and packs its own
 * messages (or would: says grpc-encoding: gzip): nearly every gRPC library accepts gzip unasked, which says
 * nothing about what its user wants to spend time on. */
#ifndef HONE_SERVE_GRPC_GRPC_H
#define HONE_SERVE_GRPC_GRPC_H

#include "serve/request/grpc_status.h"
#include "serve/request/packer.h"
#include "serve/request/timeout.h"

/* The one message of a unary call, inside r->body. HONE_INVALID_ARGUMENT: not exactly one whole message. */
hone_status hone_grpc_message(const hone_request *r, const uint8_t **message, size_t *size, hone_error *err);
/* Of a stream: the first message of what is there of the body. *whole false: it is not complete yet (an error
 * if the body is). hone_grpc_drop_message takes it away when it has been read. */
hone_status hone_grpc_next_message(hone_request *r, const uint8_t **message, size_t *size, bool *whole,
                                   hone_error *err);
void hone_grpc_drop_message(hone_request *r, size_t size);
/* Room for the prefix at the start of an answer, in an empty buffer; the message is appended behind it. */
void hone_grpc_begin_message(hone_buffer *out);
/* Fills the prefix in and answers with the message, packed if that is allowed and worth it, and status OK; it is empty
 * then. */
void hone_grpc_reply(hone_request *r, hone_buffer *out);
/* May answers to this call be packed? And the same answer as it is: packed, behind room for its prefix, or not. */
bool hone_grpc_packs(const hone_request *r);
void hone_grpc_reply_as(hone_request *r, hone_buffer *out, bool packed);
/* Of a stream: sends one message (begin_message, the message), true if the client keeps up; `out` is
 * emptied. */
bool hone_grpc_send(hone_request *r, hone_buffer *out);
/* Of a stream: ends it with status OK. */
void hone_grpc_end(hone_request *r);

/* --- services --- */

/* Answers a call of `method` ("Predict") of its service; as any handler it may do so later, after
 * hone_request_retain. It runs on the loop's thread; `worker` is the loop's number. Of a service that streams
 * it is called as soon as the head is there and must set r->more. A method it does not know:
 * hone_grpc_unknown. */
typedef void hone_grpc_fn(void *user, int worker, hone_request *r, hone_slice method);

/* One row for each service; front ends register theirs when the server is made. */
typedef struct hone_grpc_service {
    const char *name; /* "tensorflow.serving.PredictionService"; borrowed */
    hone_grpc_fn *handle;
    void *user;
    bool streams; /* its methods read a stream of messages */
} hone_grpc_service;

enum { HONE_GRPC_SERVICES = 16, HONE_GRPC_PREFIX = 5 };

typedef struct hone_grpc_table {
    hone_grpc_service services[HONE_GRPC_SERVICES];
    int count;
    /* Has `run` called with `arg` on a thread that may take its time, unless nobody waits for the request any more, and
     * then `done`, in any case, on the worker's. NULL: everything is done by the worker. */
    void (*offload)(void *user, int worker, hone_request *r, void (*run)(void *arg), void (*done)(void *arg),
                    void *arg);
    void *user;
} hone_grpc_table;

hone_status hone_grpc_register(hone_grpc_table *table, const hone_grpc_service *service, hone_error *err);
/* The row that a path "/SERVICE/METHOD" is for, and the method; NULL if there is none. */
const hone_grpc_service *hone_grpc_find(const hone_grpc_table *table, hone_slice path, hone_slice *method);
/* grpc.reflection.v1 and v1alpha.ServerReflection over the descriptors of src/serve/grpc/proto and the services of the
 * table, which must stay where it is. */
hone_status hone_grpc_register_reflection(hone_grpc_table *table, hone_error *err);
/* Is it a call of a service that streams? For hone_loop_config.streams. */
bool hone_grpc_is_stream(const hone_grpc_table *table, const hone_request *r);
/* Answers a call: takes its timeout into r->deadline, finds the service, or says UNIMPLEMENTED. `packer`: the
 * worker's; NULL: nothing is unpacked or packed. */
void hone_grpc_dispatch(const hone_grpc_table *table, int worker, hone_packer *packer, hone_request *r);
/* UNIMPLEMENTED: there is no such method. */
void hone_grpc_unknown(hone_request *r);

#endif
