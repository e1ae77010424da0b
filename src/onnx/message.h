/* Between the messages of onnx.proto and the graph. Private to this room. */
#ifndef HONE_ONNX_MESSAGE_H
#define HONE_ONNX_MESSAGE_H

#include "base/bulk.h"
#include "base/error.h"
#include "base/file_list.h"
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
typedef Hone__Onnx__FunctionProto hone_function_message;
typedef Hone__Onnx__SparseTensorProto hone_sparse_message;
typedef Hone__Onnx__OperatorSetIdProto hone_opset_message;

/* Deeper nesting than this is taken for an attack on the stack. */
#define HONE_MESSAGE_MAX_DEPTH 64

/* --- source.c --- */

/* Large raw data that stay where they are, out of the message. */
typedef struct hone_piece {
    uint64_t offset; /* in the source */
    size_t size;
    size_t mark; /* where the message goes on in the skeleton */
    void
        *data; /* what was read of it (hone_onnx_source_gather), for one tensor to take over; NULL: nothing */
    hone_bulk_part *part;
} hone_piece;

/* Where a message comes from. What is unpacked is a skeleton of it: large raw data are cut out, a mark (TensorProto's
 * `piece`) tells which, and they are read into their tensors, from memory or file. */
typedef struct hone_onnx_source {
    const uint8_t *data; /* NULL: a file */
    int fd;
    uint64_t size;
    const char *name;         /* of the file, for errors */
    const char *dir;          /* where external data are; NULL: nowhere */
    bool map;                 /* large weights are mapped, not read */
    hone_file_list *external; /* gets each look at a file of external data */
    hone_piece *pieces;
    size_t piece_count, piece_capacity;
} hone_onnx_source;

typedef struct hone_skeleton {
    const uint8_t *data;
    size_t size;
    uint8_t *own; /* to free; NULL: it is the source's memory */
} hone_skeleton;

/* Cuts the pieces out. Bytes that break the format stay as they are. */
hone_status hone_onnx_source_skim(hone_onnx_source *s, const ProtobufCMessageDescriptor *type,
                                  hone_skeleton *out, hone_error *err);
/* Is it our mark of piece `index` that ends at byte `end` of the skeleton? */
bool hone_onnx_source_is_mark(const hone_onnx_source *s, uint64_t index, size_t end);
/* The byte of the source that stands at byte `at` of the skeleton. */
uint64_t hone_onnx_source_position(const hone_onnx_source *s, size_t at);
hone_status hone_onnx_source_read(const hone_onnx_source *s, const hone_piece *p, void *data,
                                  hone_error *err);
/* Reads all pieces into one block, with several threads where they are large, but what is to be mapped. Without memory
 * each is read when its tensor is made. */
hone_status hone_onnx_source_gather(hone_onnx_source *s, hone_error *err);
void hone_onnx_source_clear(hone_onnx_source *s);

/* --- wire.c --- */

/* A message and the small blocks that it points to. */
typedef struct hone_unpacked {
    void *message;
    hone_arena *small;
} hone_unpacked;

/* Checks and unpacks. HONE_CORRUPT, saying at which byte, unless the source is a well-formed message: fields whole,
 * wire types as declared, text in UTF-8, no message nested too deeply and no single message given twice.
 * HONE_UNSUPPORTED if unpacked it took far more memory than its bytes. On success hone_message_free() when done, and
 * the source's pieces are filled; on failure `*out` is as good as freed. */
hone_status hone_message_unpack(const ProtobufCMessageDescriptor *type, hone_onnx_source *source,
                                hone_unpacked *out, hone_error *err);
void hone_message_free(hone_unpacked *m); /* all zero is fine */

/* --- tensor.c --- */

/* A name for any element type of ONNX, for messages: "float8e4m3fn". */
const char *hone_message_dtype_name(int dtype);
/* Reads a tensor of a message from `source` (NULL: one made by hand, without pieces and external data). */
hone_status hone_message_tensor(const hone_tensor_message *m, const hone_onnx_source *source,
                                hone_tensor **out, hone_error *err);

/* --- external.c --- */

/* Where the bytes of a tensor are that keeps them in another file. */
typedef struct hone_external {
    int fd;
    uint64_t offset;
    const char *location; /* the message's */
    char path[PATH_MAX];
} hone_external;

/* Opens the file, which must lie inside the source's `dir` (links resolved; no source or directory: it is refused) and
 * have the `bytes` bytes. On success hone_external_close() when done. */
hone_status hone_external_open(hone_external *e, const hone_tensor_message *m, const hone_onnx_source *source,
                               size_t bytes, hone_error *err);
/* Looks at it once more, after it was read. */
hone_status hone_external_check(const hone_external *e, const hone_onnx_source *source, hone_error *err);
void hone_external_close(hone_external *e);
/* Moves the raw bytes of all initializers of `g` and its subgraphs that are not small into the file `path`, leaving in
 * the messages where they are. Memory for that comes from `arena`. */
hone_status hone_external_write(hone_graph_message *g, const char *path, hone_arena *arena, hone_error *err);

/* --- names.c --- */

/* Text that may be absent: then "". */
const char *hone_message_text(const char *text);
/* "ai.onnx" and "" are one domain, called "". */
const char *hone_message_domain(const char *domain);
/* The operator sets that a model, or a function of it, imports. */
typedef struct hone_imports {
    hone_opset_message *const *list;
    size_t count;
} hone_imports;
hone_imports hone_message_imports(const hone_model_message *m);
/* The version of `domain` among them; 0: none. */
int64_t hone_message_opset(hone_imports imports, const char *domain);
/* What a node is called in messages: its name, else its first output. */
const char *hone_message_node_name(const hone_node_message *m);
/* ONNX's operator Constant, of whatever opset. */
bool hone_message_is_constant(const hone_node_message *m);

/* What a node is: an operator of Hone's, else a call of a function that the model brings along. */
typedef struct hone_meaning {
    const char *domain;
    int64_t opset; /* that is imported; 0: none */
    const hone_op
        *op; /* NULL: a call, or unknown. May be younger than the opset, when there is no function either */
    const hone_op_version *form;
    const hone_function_message *function;
} hone_meaning;
hone_meaning hone_message_meaning(const hone_model_message *model, hone_imports imports,
                                  const hone_node_message *m);

/* --- dead.c --- */

typedef struct hone_nodes {
    hone_node_message **list;
    size_t count;
} hone_nodes;
/* The nodes of the model's graph but for those that Hone does not know and no output needs. */
hone_status hone_message_needed(const hone_model_message *m, hone_arena *arena, hone_nodes *out,
                                hone_error *err);

/* --- survey.c --- */

/* HONE_UNSUPPORTED listing everything of the model that Hone lacks, in subgraphs and in functions that are called, too; if
 * there is `fn`, it is told instead. HONE_CORRUPT names a node whose domain is not imported. */
hone_status hone_message_survey(const hone_model_message *m, const hone_nodes *nodes, hone_lack_fn *fn,
                                void *user, hone_error *err);

/* --- type.c --- */

/* The type of a value, and a type alone (NULL: none; what the types of others hold is in g's arena). HONE_CORRUPT if it
 * breaks the format. Kinds, dtypes and ranks were checked by the survey. */
hone_status hone_message_type(hone_graph *g, const hone_value_message *m, hone_type *out, hone_error *err);
hone_status hone_message_type_alone(hone_graph *g, const hone_type_message *m, hone_type *out,
                                    hone_error *err);

/* --- attr.c --- */

/* Kinds of attributes that only messages have. */
enum { HONE_MESSAGE_SPARSE = 11, HONE_MESSAGE_SPARSES = 12 };
/* The type that counts: the stated one, or the one of the field that is there. */
int hone_message_attr_type(const hone_attr_message *m);

#endif
