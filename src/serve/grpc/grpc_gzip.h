/* gRPC's compression of messages. Private to the gRPC layer. */
#ifndef HONE_SERVE_GRPC_GRPC_GZIP_H
#define HONE_SERVE_GRPC_GRPC_GZIP_H

#include "serve/request/packer.h"

/* Is the first message of the body whole and packed? */
bool hone_grpc_is_packed(const hone_request *r);
/* May it be unpacked at once? */
bool hone_grpc_is_small(const hone_request *r);
/* Unpacks that message, on any thread. HONE_UNSUPPORTED: in another way than gzip; HONE_RESOURCE_EXHAUSTED: it would be
 * too large; HONE_UNAVAILABLE: there is no room for it. */
hone_status hone_grpc_unpack(hone_request *r, hone_budget_room *room, hone_error *err);
/* The message, whose prefix is filled in, is packed. */
void hone_grpc_mark_packed(hone_request *r, hone_buffer *message);

#endif
