/* The operator descriptor: everything Hone knows of an operator. One const descriptor for the newest form of
 * each, one row in ops/ops.def. Drivers never branch on an operator's name; they ask its descriptor. */
#ifndef HONE_GRAPH_OP_H
#define HONE_GRAPH_OP_H

#include "base/cpu.h"
#include "graph/content.h"

/* Hone's own operators: gradients, optimizers, fused and lowered forms. Never written to a file. */
#define HONE_PRIVATE_DOMAIN "hone"

/* --- types --- sets of dtypes, a bit each */
#define HONE_TYPE(dtype) (1u << (dtype))
#define HONE_TYPES_FLOAT (HONE_TYPE(HONE_FLOAT32) | HONE_TYPE(HONE_FLOAT64))
#define HONE_TYPES_HALF (HONE_TYPE(HONE_FLOAT16) | HONE_TYPE(HONE_BFLOAT16)) /* computed in float32 */
#define HONE_TYPES_INT (HONE_TYPE(HONE_INT32) | HONE_TYPE(HONE_INT64))
#define HONE_TYPES_BYTE (HONE_TYPE(HONE_INT8) | HONE_TYPE(HONE_UINT8))
#define HONE_TYPES_NUMBER                                                                                    \
    (HONE_TYPES_FLOAT | HONE_TYPES_INT | HONE_TYPES_BYTE | HONE_TYPE(HONE_INT16) | HONE_TYPE(HONE_UINT16) |  \
     HONE_TYPE(HONE_UINT32) | HONE_TYPE(HONE_UINT64))
#define HONE_TYPES_FIXED /* all of whole bytes that are computed with */                                     \
    (HONE_TYPES_NUMBER | HONE_TYPE(HONE_BOOL) | HONE_TYPES_HALF)
#define HONE_TYPES_FLOAT8                                                                                    \
    (HONE_TYPE(HONE_FLOAT8E4M3FN) | HONE_TYPE(HONE_FLOAT8E4M3FNUZ) | HONE_TYPE(HONE_FLOAT8E5M2) |            \
     HONE_TYPE(HONE_FLOAT8E5M2FNUZ) | HONE_TYPE(HONE_FLOAT8E8M0))
#define HONE_TYPES_PACKED /* several elements a byte */                                                      \
    (HONE_TYPE(HONE_UINT4) | HONE_TYPE(HONE_INT4) | HONE_TYPE(HONE_FLOAT4E2M1) | HONE_TYPE(HONE_UINT2) |     \
     HONE_TYPE(HONE_INT2))
#define HONE_TYPES_STORED (HONE_TYPES_FIXED | HONE_TYPES_FLOAT8 | HONE_TYPES_PACKED) /* all but strings */
/* What operators take that only move elements. Strings are elements of sizeof(hone_string) bytes: a kernel copies the
 * struct, the bytes stay with their owner, which is an input, a constant, or the frame's run arena. */
#define HONE_TYPES_ALL (HONE_TYPES_STORED | HONE_TYPE(HONE_STRING))

typedef enum hone_slot_flags {
    HONE_SLOT_OPTIONAL = 1,
    HONE_SLOT_VARIADIC = 2, /* the last slot may repeat */
    HONE_SLOT_WEIGHT = 4,   /* trainable by default when it is a float constant */
    HONE_SLOT_SHAPE = 8,    /* an input whose content inference needs: a shape, a list of axes */
    HONE_SLOT_SAVED =
        16, /* an output beyond ONNX's, which gradients ask for (hone_gradient_saved): never in a file */
    /* How a new parameter starts; else uniformly, by the number of terms of a sum. */
    HONE_SLOT_ONES = 32,  /* a scale, a variance */
    HONE_SLOT_ZEROS = 64, /* a bias, a mean */
    HONE_SLOT_ROWS = 128  /* a table whose rows are looked up: small normal numbers */
} hone_slot_flags;

/* --- kinds --- sets of value kinds, a bit each */
#define HONE_KIND(kind) (1u << (kind))
#define HONE_KINDS_ALL                                                                                       \
    (HONE_KIND(HONE_KIND_TENSOR) | HONE_KIND(HONE_KIND_SEQUENCE) | HONE_KIND(HONE_KIND_MAP) |                \
     HONE_KIND(HONE_KIND_OPTIONAL))

typedef struct hone_slot {
    const char *name; /* NULL ends the table */
    char
        var; /* slots of the same letter have the same dtype (of the same kind: the same type); 0: on its own */
    uint32_t types; /* dtypes Hone's kernels take; of a sequence, optional or map: those of its elements */
    int flags;
    uint32_t kinds; /* 0: tensors only */
} hone_slot;
/* A table of slots; the last slot may be variadic. */
#define HONE_SLOTS(...) ((const hone_slot[]){__VA_ARGS__, {0}})

typedef struct hone_attr_def {
    const char *name; /* NULL ends the table */
    hone_attr_type type;
    bool required;
    int64_t i; /* the default, by type */
    float f;
    const char *s;
} hone_attr_def;
#define HONE_ATTRS(...) ((const hone_attr_def[]){__VA_ARGS__, {0}})

typedef enum hone_role {
    HONE_ROLE_PLAIN,
    HONE_ROLE_QUANTIZE,   /* real numbers to a grid */
    HONE_ROLE_DEQUANTIZE, /* and back; folding never passes one */
    /* Control: the executor runs the subgraphs; there is no `prepare`. */
    HONE_ROLE_BRANCH, /* the graph that the first row of `attrs` names if the input is true, else that of the second */
    HONE_ROLE_LOOP, /* attrs[0]: (iteration, condition, carried …) to (condition, carried …, scan outputs …) */
    HONE_ROLE_SCAN, /* attrs[0]: (carried …, slices …) to (carried …, scan outputs …) */
    HONE_ROLE_ITEMS /* attrs[0]: (an item of each sequence, tensors as they are …) to (an item of each output …) */
} hone_role;

/* --- inference --- */

typedef struct hone_infer {
    const hone_node *node;
    int input_count, output_count;
    const hone_type *const *in;         /* NULL: left out; behind input_count those of captured inputs */
    const hone_tensor *const *constant; /* the content where it is known, else NULL */
    const hone_content *const *content; /* what is known of small integer inputs, else NULL; NULL: of none */
    hone_type *out;                     /* to fill; kind and dtype come preset from the slots' letters */
    int depth;                          /* inside how many subgraphs the node is */
    bool record;                        /* what is found in subgraphs is written into their values */
} hone_infer;

/* Where a value lies inside of another one: the same bytes, nothing is copied. */
typedef struct hone_view {
    int input;     /* which input of the node */
    size_t offset; /* bytes from its first element */
} hone_view;

/* --- axes: how input axes map to output axes --- */

typedef enum hone_axis_kind {
    HONE_AXIS_SAME,       /* in[axis] runs along out[axis] */
    HONE_AXIS_CONTRACTED, /* in[axis] is summed over, together with in2[axis2] (in2 < 0: alone) */
    HONE_AXIS_FACTORED,   /* a factor of out[output_axis]: a position is a run of `inner` elements there */
    HONE_AXIS_NORMALIZED, /* runs along out[output_axis]; results depend on all of in[axis] together */
    HONE_AXIS_BLOCKED     /* can't be cut */
} hone_axis_kind;

typedef struct hone_axis_link {
    hone_axis_kind kind;
    int input, axis;         /* from this axis … */
    int output, output_axis; /* … to this one; output < 0: none (contracted) */
    int input2, axis2;       /* CONTRACTED: the partner */
    int64_t inner; /* FACTORED: elements of out[output_axis] for one position of in[axis], in a run */
} hone_axis_link;

typedef struct hone_axes {
    hone_axis_link *links;
    int count;
    size_t capacity;
    bool failed; /* memory was out: links are lacking */
} hone_axes;
/* Declares an empty list that is freed at the end of its block. */
#define HONE_AXES(name) hone_axes name __attribute__((cleanup(hone_axes_free))) = {NULL}
void hone_axes_free(hone_axes *a);

/* --- images with their channels last --- */

/* What a node is asked for: to do what it does on images [N, spatial axes ..., C]
 * (ops/common/channels_last.h). */
typedef struct hone_channels_last {
    hone_graph *graph; /* emit here: before the node */
    const hone_node *node;
    bool first; /* to set, where the result is as it was before, such as one without spatial axes */
} hone_channels_last;

/* --- gradient --- */

typedef enum hone_gradient_kind {
    HONE_GRADIENT_NONE, /* no rule: training through it is refused */
    HONE_GRADIENT_EXACT,
    HONE_GRADIENT_STRAIGHT_THROUGH,
    HONE_GRADIENT_ZERO /* piecewise constant: nothing flows */
} hone_gradient_kind;

/* Cotangents are float64 of float64 values, else float32, whatever the value's dtype: half-precision values are shown
 * to a rule as float32. */
typedef struct hone_gradient {
    hone_graph *graph;              /* emit here; values of the forward graph may be used as inputs */
    const hone_node *node;          /* the forward node */
    hone_value *const *dout;        /* cotangent of each output; NULL: none reaches it */
    const bool *wanted;             /* per input: is its cotangent asked for */
    hone_value **din;               /* to fill for wanted inputs; leave NULL where it is zero */
    struct hone_backward *backward; /* autodiff's own */
} hone_gradient;

/* --- training forms --- */

typedef struct hone_train_form {
    hone_graph *graph; /* emit here: before the node */
    hone_node *node;
} hone_train_form;

/* --- running (runtime/plan.h) --- */

typedef struct hone_packer hone_packer;
typedef struct hone_prepare hone_prepare;
typedef struct hone_step hone_step;
typedef struct hone_frame hone_frame;
/* HONE_OK, or a failure that names the node (hone_step_fail): an index out of range, a text that is no number. What
 * the step has written then is nobody's; variables that it updates in place may be updated in part. */
typedef hone_status hone_run_fn(const hone_step *step, hone_frame *frame, hone_error *err);

/* --- quantization --- */

typedef enum hone_quantize_rule {
    HONE_QUANTIZE_FLOAT,   /* stays in float, and the report says so */
    HONE_QUANTIZE_BITS,    /* works on the stored bits unchanged, or picks of them: Reshape, Transpose, MaxPool */
    HONE_QUANTIZE_INTEGER, /* computed in integers with a requantizing epilogue */
    HONE_QUANTIZE_TABLE    /* a 256-entry table made with its own float kernel: unary operators */
} hone_quantize_rule;

/* What must be multiplied by s > 0 for output 0 to be, at each position of axes that are linked. Operators that only move
 * elements (`moves`, HONE_QUANTIZE_BITS) need not say that it is their inputs. */
typedef enum hone_scaling {
    HONE_SCALING_NONE,   /* nothing does it */
    HONE_SCALING_INPUTS, /* all real inputs together: sums, maxima, means, rectifiers */
    HONE_SCALING_WEIGHTS /* those in slots of weights together: a normalization's scale and bias, a product's too */
} hone_scaling;

/* A node's operands, quantized: x uint8 with its zero point, w int8 (in the float weight's layout) with zero
 * point 0. */
typedef struct hone_integer_operands {
    hone_value *x, *x_zero;
    hone_tensor *w;
    const char *w_name;
} hone_integer_operands;

/* --- older opsets --- */

typedef struct hone_op_version {
    int since;                  /* 0 ends the list */
    const hone_attr_def *attrs; /* its attribute table; NULL: as the newest */
    /* Emits the newest form for `node`, whose op is the newest's descriptor, and replaces it; NULL: the same. */
    hone_status (*lift)(hone_graph *g, hone_node *node, hone_error *err);
} hone_op_version;

struct hone_op {
    const char *domain; /* NULL: ONNX's own, "" */
    const char *name;
    int since; /* opset of the newest form, which Hone's descriptor describes */
    hone_role role;
    const hone_slot *inputs, *outputs; /* HONE_SLOTS; NULL: none */
    const hone_attr_def *attrs;        /* HONE_ATTRS; NULL: none */
    const hone_op_version *older;      /* newest first; older forms that are the same need no row */
    int oldest;                        /* smallest opset whose form is accepted */
    uint32_t late_types; /* dtypes that only the newest form takes: nodes of them are written as the newest */
    /* Dtypes that the slots take and no kernel does: a node of them runs between Cast nodes, in what computes them
     * (hone_map_computes). */
    uint32_t widened;

    hone_status (*infer)(hone_infer *ctx, hone_error *err);
    /* Fills the links for this node's (inferred) shapes. NULL: every axis is blocked. */
    void (*axes)(const hone_node *node, hone_axes *out);
    /* Multiply-adds for concrete shapes. NULL: none. */
    int64_t (*multiply_adds)(const hone_node *node, const hone_type *const *in, const hone_type *out);

    /* Emits what the node does with the channels of images as their last axis, types being inferred, and gives
     * its result, output 0's axes likewise; NULL: it has no such form. Elementwise operators need none. */
    hone_value *(*channels_last)(hone_channels_last *ctx);
    /* Is that form so much faster that images are transposed for it? NULL: never. */
    bool (*prefers_last)(const hone_node *n);
    /* What is known of output 0's elements from what is known of the inputs, types being inferred; false: nothing.
     * Operators that only move elements (`moves`, or on the bits unchanged) need none. */
    bool (*content)(const hone_infer *ctx, hone_content *out);
    /* Bit o: the run tells the shape of output o (hone_frame.output). All others must be known once the
     * shapes of inputs, and the content of slots of shapes, are. */
    uint32_t run_shapes;
    bool draws; /* random numbers, other ones at each run: nobody computes it beforehand */
    bool moves; /* each element of output 0 is one of an input of its letter */
    /* Output `output` lies inside of an input, for these concrete types: a node whose outputs all do has nothing to
     * prepare or run. hone_view_whole: always, all of input 0's bytes. NULL or false: it has bytes of its own. */
    bool (*view)(const hone_infer *ctx, int output, hone_view *v);
    /* The other way round: input `input` may be computed right into its place, at this byte of output 0. Whoever
     * runs compares addresses and copies what does not lie there. NULL or false: it may not. */
    bool (*join)(const hone_infer *ctx, int input, size_t *offset);
    /* The output may overwrite input i when bit i is set, shapes and dtypes being equal. With several
     * outputs: output i may overwrite input i. */
    uint32_t overwrite;
    bool commutes; /* of two inputs: f(a, b) is f(b, a), to the bit */

    /* Packs constants (hone_pack_constant) as the kernels want them, once a model. Types are inferred, but not
     * concrete. NULL: kernels read all constants as they lie. */
    hone_status (*pack)(hone_packer *p, const hone_node *node, hone_error *err);
    /* Chooses the kernel for concrete shapes, states scratch, sets p->run. Operators that have a map take
     * hone_prepare_elementwise. */
    hone_status (*prepare)(hone_prepare *p, hone_error *err);
    /* This build has no kernel: files that need it are refused when they are read. */
    bool left_out;
    /* Elementwise operators: emits their vector code, of the dtypes that the slots allow. Every output has the shape of
     * the operands' broadcast. */
    void (*map)(hone_map *m, const hone_node *node);
    /* Does the map say what this node (types inferred) does? NULL: always. */
    bool (*has_map)(const hone_node *node);
    bool epilogue; /* its kernels can run a vector program over each finished strip of output 0 */
    bool (*without_epilogue)(
        const hone_node *node); /* nodes (types inferred) whose kernel can't; NULL: none */

    hone_gradient_kind gradient_kind;
    void (*gradient)(hone_gradient *ctx);
    /* Emits other operators for a node, which replace its outputs (hone_graph_replace), given types that are inferred:
     * what runs a function operator, which has no `prepare` then, and what trains an operator without a rule. */
    hone_status (*expand)(hone_graph *g, hone_node *node, hone_error *err);
    /* Which nodes, types inferred, expand although kernels and rules have the operator: forms that they lack. NULL: none. */
    bool (*expands)(const hone_node *node);
    /* Of operators whose output 0 is a list of maps, one for each row of input 0, from the same keys to the row's numbers:
     * these keys, a vector. *keys stays NULL where attributes are wrong. */
    hone_status (*row_keys)(const hone_node *node, hone_tensor **keys, hone_error *err);
    /* What stands for a node while training, where that is another one: emits it, and has it replace the node's outputs
     * (hone_graph_replace). A statistic, such as a running mean, is a constant input that hone_train_statistic makes a
     * variable; what is bound to it is written back into the model. */
    void (*train_form)(hone_train_form *ctx);
    /* Inside which domain test inputs are drawn so that central differences are right. [lo, hi], `avoid` a
     * kink that is kept at a distance. All 0: [-1, 1], no kink. */
    struct {
        float lo, hi;
        bool kink_at_zero;
    } domain_hint;

    /* What the node makes of its input when a network ends in it. NULL: nothing that losses know. */
    hone_link (*link)(const hone_node *node);

    /* float32: does the node only hold input 0 within [*low, *high], numbers or infinite? What quantizes to such a range holds
     * it, too. NULL: no. */
    bool (*limits)(const hone_node *node, double *low, double *high);

    hone_quantize_rule quantize;
    hone_scaling scaling;
    /* INTEGER operators: the axis of input 1 that has a row of weights for each position along axis *output of output 0;
     * -1: none. NULL: the links of `axes` tell. */
    int (*weight_channels)(const hone_node *node, int *output);
    /* INTEGER operators, for dynamic quantization: emits the exact int32 result of `node` on quantized
     * operands; NULL where this node has no such form (the caller then leaves it in float). The result lacks
     * what `node` adds after the product: *bias becomes that input's index, or -1. */
    hone_value *(*emit_integer)(hone_graph *g, const hone_node *node, const hone_integer_operands *q,
                                int *bias);
    const char *doc; /* one sentence for the support table */
};

/* The row of ops.def for (domain, name); NULL if there is none. */
const hone_op *hone_op_find(const char *domain, const char *name);
/* All rows: hone_op_at(0) … until NULL. */
const hone_op *hone_op_at(int index);
/* The domain as written in files: never NULL. */
const char *hone_op_domain(const hone_op *op);
bool hone_op_is_private(const hone_op *op);
bool hone_op_is_control(const hone_op *op); /* by its role */
/* `view` of operators whose output 0 always is input 0 in another shape. */
bool hone_view_whole(const hone_infer *ctx, int output, hone_view *v);
/* Is all that the node does said by its operator's map, so that it may be joined with others of its kind? */
bool hone_node_is_elementwise(const hone_node *n);
/* The slot of input (output) i, the variadic one for all that follow; NULL: too many. */
const hone_slot *hone_op_input(const hone_op *op, int i);
const hone_slot *hone_op_output(const hone_op *op, int i);
/* The row of an attribute table (may be NULL) for that name; NULL if there is none. */
const hone_attr_def *hone_attr_find(const hone_attr_def *table, const char *name);

#endif
