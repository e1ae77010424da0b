/* Graphs: a model is an ONNX graph at every stage. This header reads, writes and describes them; training,
 * quantizing, pruning and serving each take one. */
#ifndef HONE_GRAPH_H
#define HONE_GRAPH_H

#include <hone/tensor.h>

/* What products and convolutions by float32 weights compute with. */
typedef enum hone_precision {
    HONE_PRECISION_FLOAT32,
    /* Operands may be rounded to bfloat16 (8 bits of precision), where the CPU has units for such products; sums stay
     * float32. Elsewhere the same as HONE_PRECISION_FLOAT32. */
    HONE_PRECISION_BFLOAT16
} hone_precision;

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hone_graph hone_graph;

/* Reads an ONNX file: a ModelProto, or one as text, which is told by its content: the syntax of onnx.parser and
 * onnx.printer, or protobuf's JSON or text format; or a packed model (hone_graph_save_packed). HONE_CORRUPT names line and column of a text. What Hone lacks (operators, opsets, dtypes) is one error of code HONE_UNSUPPORTED: it lists all of
 * it or, where that is too long, counts it, and the list goes to the log. On success `*out` belongs to the caller: hone_graph_free(). */
HONE_API hone_status hone_graph_load(const char *path, hone_graph **out, hone_error *err);
/* As hone_graph_load, but large weights stay in their files, external data and what of the model's own is aligned: they
 * are mapped, and come into memory when something reads them. The files must not be written to or cut short as long as
 * somebody has the weights. Copies of the graph and models compiled from it share them. */
HONE_API hone_status hone_graph_load_mapped(const char *path, hone_graph **out, hone_error *err);
/* As hone_graph_load, from memory that need not outlive the call. `name` stands for the file in errors. */
HONE_API hone_status hone_graph_load_memory(const void *data, size_t size, const char *name, hone_graph **out,
                                            hone_error *err);
/* Writes an ONNX file at the smallest opset that can say the graph; the file appears whole or not at all. */
HONE_API hone_status hone_graph_save(const hone_graph *g, const char *path, hone_error *err);
/* Likewise a packed model, which is read wherever an ONNX file is: weights that are often zero, or of few kinds, take the bits
 * that they need. HONE_OUT_OF_RANGE where the model has more than 2 GB; HONE_UNSUPPORTED in builds that pack none. */
HONE_API hone_status hone_graph_save_packed(const hone_graph *g, const char *path, hone_error *err);
/* The ONNX file that a packed model stands for: what hone_graph_save() would have written. HONE_INVALID_ARGUMENT: it is no packed one. */
HONE_API hone_status hone_unpack(const char *path, const char *to, hone_error *err);
/* Bytes of a model's file, and of the files that it has its external data in, each once. */
HONE_API hone_status hone_graph_file_bytes(const char *path, int64_t *out, hone_error *err);
/* A deep copy, but constant tensors are shared. */
HONE_API hone_status hone_graph_copy(const hone_graph *g, hone_graph **out, hone_error *err);
HONE_API void hone_graph_free(hone_graph *g); /* NULL is fine */

/* Something that Hone lacks for a model. Nodes of one operator and operator set are one thing. All texts are borrowed. */
typedef struct hone_lack {
    const char *what;        /* "operator Foo of ai.onnx 17", "dtype 27, float6e2m3", … */
    const char *domain, *op; /* of an operator ("": ONNX's own domain); NULL: something else */
    int64_t opset;           /* of an operator: what the model imports */
    int64_t count;           /* how often it is there */
    const char *where;       /* what it was seen at: "node", "input", "initializer"; "": the file */
    const char *first;       /* the name of the first of them */
} hone_lack;
typedef void hone_lack_fn(void *user, const hone_lack *lack);
/* Calls `fn` for each thing that Hone lacks for the model in a file. HONE_OK also where there are none; else as
 * hone_graph_load(). */
HONE_API hone_status hone_graph_survey(const char *path, hone_lack_fn *fn, void *user, hone_error *err);

/* The type of an input or output. A dimension is a number, HONE_DIM_ANY, or a symbol whose name
 * hone_graph_dim_name() tells. */
#define HONE_DIM_ANY (-1)
#define HONE_RANK_ANY (-1)
typedef struct hone_value_info {
    const char *name; /* borrowed from the graph */
    hone_value_kind kind;
    hone_dtype dtype;
    int rank; /* HONE_RANK_ANY: unknown */
    int64_t dims[HONE_MAX_RANK];
} hone_value_info;

HONE_API const char *hone_graph_name(const hone_graph *g);
HONE_API int hone_graph_input_count(const hone_graph *g);
HONE_API int hone_graph_output_count(const hone_graph *g);
/* False if there is no such input or output. */
HONE_API bool hone_graph_input(const hone_graph *g, int index, hone_value_info *out);
HONE_API bool hone_graph_output(const hone_graph *g, int index, hone_value_info *out);
/* "batch" for a symbolic dimension, else NULL. Borrowed. */
HONE_API const char *hone_graph_dim_name(const hone_graph *g, int64_t dim);
/* A stored constant (an initializer: weights), by name: borrowed, or NULL. */
HONE_API const hone_tensor *hone_graph_initializer(const hone_graph *g, const char *name);
/* The names of all of them: index 0, 1, … until NULL. Borrowed. */
HONE_API const char *hone_graph_initializer_name(const hone_graph *g, int index);
/* Gives an initializer another content: ONNX lets a caller do so where a model's input is an initializer too, which is
 * then its default and no hone_graph_input(). Shapes that follow from it are inferred anew. A reference to `t` is held.
 * HONE_NOT_FOUND: there is none of that name; HONE_INVALID_ARGUMENT: `t` has another dtype or shape, or the graph can't
 * be with what is in it. The graph is then good for hone_graph_free() only. */
HONE_API hone_status hone_graph_set_initializer(hone_graph *g, const char *name, hone_tensor *t,
                                                hone_error *err);

/* Reads a value for an input or output of that kind and dtype from a file: ONNX's TensorProto, SequenceProto, MapProto
 * or OptionalProto (.pb), as the data of ONNX's own tests are. Nothing in such a file says which of them it is. On
 * success `*out` belongs to the caller: hone_tensor_free(). */
HONE_API hone_status hone_value_load(const char *path, const hone_value_info *type, hone_tensor **out,
                                     hone_error *err);

/* Metadata of the model (ONNX metadata_props): class names live under "hone.classes", separated by newlines. */
HONE_API const char *hone_graph_metadata(const hone_graph *g, const char *key); /* borrowed, NULL if absent */
HONE_API hone_status hone_graph_set_metadata(hone_graph *g, const char *key, const char *value,
                                             hone_error *err);

/* What a model costs, with what is inside of its control nodes (If, Loop, Scan). Multiply-adds are of the main graph: how
 * often a body runs, only a run knows. They count the products of matrix multiplications for one sample (symbols
 * taken as 1; where one cannot be 1, only those of fixed shapes). */
typedef struct hone_graph_stats {
    int64_t nodes, initializers;
    int64_t parameters;         /* elements of float and quantized weights */
    int64_t parameter_bytes;    /* bytes of all initializers */
    int64_t nonzero_parameters; /* parameters that are not zero */
    int64_t multiply_adds;
} hone_graph_stats;
HONE_API hone_status hone_graph_get_stats(const hone_graph *g, hone_graph_stats *out, hone_error *err);

/* Calls `fn` for each operator type with the number of its nodes, those inside of control nodes too, in the order of first
 * use. HONE_OUT_OF_MEMORY. */
typedef void hone_op_count_fn(void *user, const char *domain, const char *op, int64_t count);
HONE_API hone_status hone_graph_count_ops(const hone_graph *g, hone_op_count_fn *fn, void *user,
                                          hone_error *err);

#ifdef __cplusplus
}
#endif
#endif
