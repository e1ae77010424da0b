/* ONNX files: bytes to graphs and back. The public side is hone_graph_load() and hone_graph_save() of
 * <hone/graph.h>; this is what other rooms and tests use below it.
 *
 *      bytes ─► skim ─► wire check ─► messages ─► survey: what does Hone lack?
 *                └─ large raw data ──┐              └─► build ─► sort ─► lift old forms ─► infer ─► graph
 *                                    └──────────────────┘
 *
 * Nothing in a file is trusted: nesting, sizes and text are checked before messages are unpacked, shapes
 * before a tensor is allocated, and a path to external data may not leave the model's directory. */
#ifndef HONE_ONNX_ONNX_H
#define HONE_ONNX_ONNX_H

#include "base/file.h"
#include "base/file_list.h"
#include "graph/graph.h"

/* The newest operator set whose definitions Hone's descriptors were checked against. A model of a newer one
 * is refused: its operators might mean something else. */
#define HONE_ONNX_NEWEST_OPSET 28
#define HONE_ONNX_NEWEST_ML_OPSET 5 /* of ai.onnx.ml */
/* Files are written at this operator set or a newer one. */
#define HONE_ONNX_OLDEST_WRITTEN_OPSET 13
/* A message of protocol buffers has less than 2 GB. */
#define HONE_ONNX_INLINE_LIMIT ((size_t)INT32_MAX)

/* Builds a graph from the bytes of a file, which need not outlive the call. `name` stands for the file in
 * errors. `dir` is where external data is looked for; NULL: a model with external data is refused.
 *
 * HONE_CORRUPT: the file breaks its format or contradicts itself; HONE_UNSUPPORTED: it is right, but Hone
 * lacks something, all of which is listed (and sent to the log line by line, so that nothing is cut there). */
hone_status hone_onnx_read(const void *data, size_t size, const char *name, const char *dir, hone_graph **out,
                           hone_error *err);
/* Likewise, a model that may lack weights: a float value that is declared with a known shape, is no input and is made by
 * no node is a parameter: a constant of zeros, `trainable`. */
hone_status hone_onnx_read_architecture(const void *data, size_t size, const char *name, const char *dir,
                                        hone_graph **out, hone_error *err);
/* An open file with a model in it. */
typedef struct hone_onnx_file {
    int fd; /* the caller's */
    uint64_t size;
    const char *name; /* for errors */
    const char *dir;  /* as for hone_onnx_read */
    bool map;         /* large tensors stay in their files, as for hone_graph_load_mapped() */
    /* Gets the files of external data that were read or looked for, on failure, too: sorted, by their paths as the
     * model gives them; hone_file_list_free() when done. NULL: nobody asks. */
    hone_file_list *external;
} hone_onnx_file;
/* The same from a file. The bytes of large tensors go from it straight into them. HONE_UNAVAILABLE: a file of external
 * data was written to, or another one took its place, while it was read. */
hone_status hone_onnx_read_file(const hone_onnx_file *file, hone_graph **out, hone_error *err);
/* The bytes of a file; the same graph gives the same bytes. hone_blob_free() when done. HONE_OUT_OF_RANGE if
 * it would be larger than HONE_ONNX_INLINE_LIMIT. */
hone_status hone_onnx_write(const hone_graph *g, hone_blob *out, hone_error *err);
/* Writes a file. If it would be larger than `inline_limit`, tensors of 1 KB and more go to PATH.data, which
 * takes its place before the model does. */
hone_status hone_onnx_save(const hone_graph *g, const char *path, size_t inline_limit, hone_error *err);
/* A lone tensor (a TensorProto file, as the data sets of ONNX's node tests are). `name` stands for the file
 * in errors. */
hone_status hone_onnx_tensor(const void *data, size_t size, const char *name, hone_tensor **out,
                             hone_error *err);
/* A lone value of that type (a TensorProto, SequenceProto, MapProto or OptionalProto file: nothing in it says which). */
hone_status hone_onnx_value(const void *data, size_t size, const hone_type *type, const char *name,
                            hone_tensor **out, hone_error *err);

#endif
