/* gRPC's compression of messages, by the worker's packer. Private to the gRPC layer. */
#ifndef HONE_SERVE_GRPC_GRPC_GZIP_H
#define HONE_SERVE_GRPC_GRPC_GZIP_H

#include "serve/request/packer.h"

/* Unpacks the first message of the body, if it is whole and packed; what gives messages does it.
 * HONE_UNSUPPORTED: in another way than gzip; HONE_RESOURCE_EXHAUSTED: it would be too large. */
hone_status hone_grpc_unpack(hone_request *r, hone_error *err);
/* The whole answer, prefix and all, packed if it should be: `out`, or the packer's scratch. */
hone_buffer *hone_grpc_pack(hone_request *r, hone_buffer *out);

#endif
