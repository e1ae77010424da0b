/* Between the messages of onnx.proto and the graph. Private to this room. */
#ifndef HONE_ONNX_MESSAGE_H
#define HONE_ONNX_MESSAGE_H

#include "base/error.h"
#include "onnx/form.h"
#include "onnx/onnx.pb-c.h"

#include <limits.h>

typedef Hone__Onnx__ModelProto hone_model_message;
typedef Hone__Onnx__GraphProto hone_graph_message;
typedef Hone__Onnx__NodeProto hone_node_message;
typedef Hone__Onnx__AttributeProto hone_attr_message;
typedef Hone__Onnx__TensorProto hone_tensor_message;
typedef Hone__Onnx__ValueInfoProto hone_value_message;
typedef Hone__Onnx__TypeProto hone_type_message;
typedef Hone__Onnx__StringStringEntryProto hone_entry_message;

/* Deeper nesting than this is taken for an attack on the stack. */
#define HONE_MESSAGE_MAX_DEPTH 64

/* --- wire.c --- */

/* HONE_CORRUPT, saying at which byte, unless `data` is a well-formed message: fields whole, wire types as
 * declared, text in UTF-8, no message nested too deeply and no single message given twice. HONE_UNSUPPORTED if
 * unpacked it took far more memory than its bytes. */
hone_status hone_message_check(const ProtobufCMessageDescriptor *type, const void *data, size_t size,
                               hone_error *err);

/* A message and the small blocks that it points to. */
typedef struct hone_unpacked {
    void *message;
    hone_arena *small;
} hone_unpacked;

/* Checks and unpacks. On success hone_message_free() when done; on failure `*out` is as good as freed. */
hone_status hone_message_unpack(const ProtobufCMessageDescriptor *type, const void *data, size_t size,
                                hone_unpacked *out, hone_error *err);
void hone_message_free(hone_unpacked *m); /* all zero is fine */
/* Gives a field's bytes back early, if they are many. The message must not point to them any more. */
void hone_message_free_block(void *block);

/* --- tensor.c --- */

/* A name for any element type of ONNX, for messages: "float8e4m3fn". */
const char *hone_message_dtype_name(int dtype);
/* Reads a tensor, and gives its raw bytes in the message back as soon as they are copied. `dir`: see
 * hone_onnx_read. */
hone_status hone_message_tensor(hone_tensor_message *m, const char *dir, hone_tensor **out, hone_error *err);

/* --- external.c --- */

/* Where the bytes of a tensor are that keeps them in another file. */
typedef struct hone_external {
    int fd;
    uint64_t offset;
    char path[PATH_MAX];
} hone_external;

/* Opens the file, which must lie inside `dir` (links resolved) and have the `bytes` bytes. On success
 * hone_external_close() when done. */
hone_status hone_external_open(hone_external *e, const hone_tensor_message *m, const char *dir, size_t bytes,
                               hone_error *err);
hone_status hone_external_read(const hone_external *e, void *data, size_t bytes, hone_error *err);
void hone_external_close(hone_external *e);
/* Moves the raw bytes of all tensors of `g` that are not small into the file `path`, leaving in the messages
 * where they are. Memory for that comes from `arena`. */
hone_status hone_external_write(hone_graph_message *g, const char *path, hone_arena *arena, hone_error *err);

/* --- names.c --- */

/* Text that may be absent: then "". */
const char *hone_message_text(const char *text);
/* "ai.onnx" and "" are one domain, called "". */
const char *hone_message_domain(const char *domain);
/* The version of `domain` that the model imports; 0: none. */
int64_t hone_message_opset(const hone_model_message *m, const char *domain);
/* What a node is called in messages: its name, else its first output. */
const char *hone_message_node_name(const hone_node_message *m);
/* ONNX's operator Constant, of whatever opset. */
bool hone_message_is_constant(const hone_node_message *m);

/* --- survey.c --- */

/* HONE_UNSUPPORTED listing everything of the model that Hone lacks. */
hone_status hone_message_survey(const hone_model_message *m, hone_error *err);

/* --- type.c --- */

/* HONE_CORRUPT if it breaks the format. Kinds, dtypes and ranks were checked by the survey. */
hone_status hone_message_type(hone_graph *g, const hone_value_message *m, hone_type *out, hone_error *err);

/* --- attr.c --- */

/* Checks a node's attributes against the table of its form and sets them. */
hone_status hone_message_attrs(hone_graph *g, hone_node *n, hone_node_message *m, const hone_attr_def *table,
                               const char *dir, hone_error *err);
/* The value of a Constant node. */
hone_status hone_message_constant(const hone_node_message *m, const char *dir, hone_tensor **out,
                                  hone_error *err);
/* The type that counts: the stated one, or the one of the field that is there. */
int hone_message_attr_type(const hone_attr_message *m);

#endif
