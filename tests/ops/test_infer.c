/* Shapes: symbols live on, constants are read, and what does not fit is refused with the node's name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "graph/infer.h"
#include "ops/op_cases.h"

/* Inputs are dtypes and shapes, "f[N,3]": f float32, u uint8, s int8, i int64, l int32, b bool; N, M are symbols, ?
 * unknown; "S=…" as in op_cases.h. Expected: the outputs' types, or the start of an error. */
typedef struct shape_case {
    const char *op, *inputs, *attrs, *expected;
    int outputs;
} shape_case;

static const shape_case cases[] = {
    {"Identity", "f[N,3]", "", "float32[N, 3]", 1},
    {"Flatten", "f[N,3,4]", "axis=1", "float32[N, 12]", 1},
    {"Flatten", "f[N,3,4]", "axis=0", "float32[1, ?]", 1},
    {"Flatten", "f[N,1,4]", "axis=2", "float32[N, 4]", 1},
    {"Flatten", "f[N,2,4]", "axis=2", "float32[?, 4]", 1},
    {"Flatten", "f[N,3]", "axis=3", "axis 3 is outside", 1},
    {"Reshape", "f[N,784] S=-1,1,28,28", "", "float32[N, 1, 28, 28]", 1},
    {"Reshape", "f[N,1,28,28] S=0,-1", "", "float32[N, 784]", 1},
    {"Reshape", "f[N,6] S=-1,3", "", "float32[?, 3]", 1},
    {"Reshape", "f[N,M,6] S=0,0,2,-1", "", "float32[N, M, 2, 3]", 1},
    {"Reshape", "f[2,6] S=3,-1", "", "float32[3, 4]", 1},
    {"Reshape", "f[2,6] S=5,-1", "", "12 elements do not divide by 5", 1},
    {"Reshape", "f[2,6] S=5,2", "", "12 elements can't take", 1},
    {"Reshape", "f[2,6] S=-1,-1", "", "shape has two -1", 1},
    {"Reshape", "f[0,6] S=0,3", "allowzero=1", "float32[0, 3]", 1},
    {"Reshape", "f[2,6] i[3]", "", "float32[?, ?, ?]", 1},
    {"Reshape", "f[2,6] S=4,3037000500,3037000500,3037000500", "", "shape is too large", 1},
    {"Reshape", "f[N,3] S=0,8718687822177501183", "", "output reshaped is too large for any memory", 1},
    {"Tile", "i[N,3] S=1,900000000000000000", "", "output output is too large for any memory", 1},
    {"Transpose", "f[N,3,4]", "perm=1,0,2", "float32[3, N, 4]", 1},
    {"Transpose", "f[N,3]", "", "float32[3, N]", 1},
    {"Transpose", "f[N,3]", "perm=0,0", "perm is no permutation", 1},
    {"Cast", "f[N,3]", "to=7", "int64[N, 3]", 1},
    {"Cast", "f[N,3]", "to=14", "to dtype 14 is not supported", 1},
    {"ReduceMean", "f[N,3,4] S=1", "", "float32[N, 1, 4]", 1},
    {"ReduceMean", "f[N,3,4] S=-1,-2", "keepdims=0", "float32[N]", 1},
    {"ReduceSum", "f[N,3]", "keepdims=0", "float32[]", 1},
    {"ReduceSum", "f[N,3]", "noop_with_empty_axes=1", "float32[N, 3]", 1},
    {"ReduceSum", "f[N,3] S=2", "", "an axis is outside", 1},
    {"SumTo", "f[N,3] f[3]", "", "float32[3]", 1},
    {"BroadcastTo", "f[3] f[N,3]", "", "float32[N, 3]", 1},
    {"Pad", "f[N,3,M] S=0,1,0,0,2,0", "", "float32[N, 6, M]", 1},
    {"Pad", "f[N,3,M] S=0,1,0,0,0,2", "", "float32[N, 4, ?]", 1},
    {"Pad", "f[N,3] i[?]", "", "float32[?, ?]", 1},
    {"Pad", "f[N,3,M] S=1,1 _ S=-2", "", "float32[N, 5, M]", 1},
    {"Pad", "f[N,3] S=1,1 _ S=2", "", "axis 2 is outside", 1},
    {"Pad", "f[N,3] S=1,1,1", "", "3 pads where 4 are needed", 1},
    {"Pad", "f[N,3] S=0,-2,0,-2", "", "pads take 4 from axis 1, which has 3", 1},
    {"Pad", "f[N,3] S=0,0,0,0", "mode=mirror", "mode \"mirror\" is unknown", 1},
    {"CenterCropPad", "f[N,3,M] S=5", "axes=1", "float32[N, 5, M]", 1},
    {"CenterCropPad", "f[N,3] S=5", "", "the shape has 1 numbers for 2 axes", 1},
    {"CenterCropPad", "f[N,3] S=5,5", "axes=1,1", "axis 1 is there twice", 1},
    {"Tile", "f[N,3,1] S=1,2,4", "", "float32[N, 6, 4]", 1},
    {"Tile", "f[N,3] S=2,1", "", "float32[?, 3]", 1},
    {"Tile", "f[N,3] S=2", "", "1 repeats for 2 axes", 1},
    {"Tile", "f[N,3] S=2,-1", "", "a number of repeats is negative", 1},
    {"DepthToSpace", "f[N,8,M,4]", "blocksize=2", "float32[N, 2, ?, 8]", 1},
    {"DepthToSpace", "f[N,6,M,4]", "blocksize=2", "a depth of 6 does not divide by 4", 1},
    {"DepthToSpace", "f[N,8,4]", "blocksize=2", "the input has 3 dimensions where 4", 1},
    {"DepthToSpace", "f[N,8,4,4]", "blocksize=0", "blocksize 0 is out of range", 1},
    {"SpaceToDepth", "f[N,3,4,6]", "blocksize=2", "float32[N, 12, 2, 3]", 1},
    {"SpaceToDepth", "f[N,3,5,6]", "blocksize=2", "a height of 5 does not divide by 2", 1},
    {"Trilu", "f[N,M,3]", "", "float32[N, M, 3]", 1},
    {"Trilu", "f[3]", "", "the input has 1 dimensions, no matrices", 1},
    {"EyeLike", "f[N,3]", "dtype=7", "int64[N, 3]", 1},
    {"EyeLike", "f[N,3]", "dtype=8", "dtype 8 is not supported", 1},
    {"OneHot", "i[N,3] S=5 f[2]", "axis=1", "float32[N, 5, 3]", 1},
    {"OneHot", "i[N,3] i[1] f[2]", "", "float32[N, 3, ?]", 1},
    {"OneHot", "i[N] S=-1 f[2]", "", "depth -1 is out of range", 1},
    {"OneHot", "i[N] S=4 f[3]", "", "there must be two values", 1},
    {"ReverseSequence", "f[5,N,2] i[N]", "", "float32[5, N, 2]", 1},
    {"ReverseSequence", "f[5,4,2] i[5]", "", "dimensions 4 and 5 should", 1},
    {"ReverseSequence", "f[5,4,2] i[5]", "time_axis=1", "time_axis and batch_axis must be", 1},
    {"Compress", "f[N,3] b[2]", "axis=1", "float32[N, ?]", 1},
    {"Compress", "f[N,3] b[2]", "", "float32[?]", 1},
    {"BitCast", "f[N,3]", "to=6", "int32[N, 3]", 1},
    {"BitCast", "f[N,3]", "to=7", "elements of 32 bits cannot be int64", 1},
    {"CumSum", "f[N,3] S=1", "", "float32[N, 3]", 1},
    {"CumSum", "f[N,3] S=2", "", "axis 2 is outside", 1},
    {"TopK", "f[N,9] S=4", "", "float32[N, 4] int64[N, 4]", 2},
    {"TopK", "f[N,9] S=4", "axis=0", "float32[4, 9]", 1},
    {"TopK", "f[N,9] S=10", "", "10 elements of an axis of 9", 1},
    {"GridSample", "f[N,3,M,4] f[N,5,M,2]", "", "float32[N, 3, 5, M]", 1},
    {"GridSample", "f[N,3,M,4] f[N,5,M,3]", "", "dimensions 3 and 2 should", 1},
    {"GridSample", "f[N,3,4] f[N,5,2]", "mode=quadric", "mode \"quadric\" or padding_mode", 1},
    {"AffineGrid", "f[N,2,3] S=4,3,5,6", "", "float32[4, 5, 6, 2]", 1},
    {"AffineGrid", "f[N,2,3] i[4]", "", "float32[N, ?, ?, 2]", 1},
    {"AffineGrid", "f[N,2,3] S=4,3,5,6,7", "", "dimensions 2 and 3 should", 1},
    {"Unique", "f[N,3]", "axis=1", "float32[N, ?] int64[?] int64[3] int64[?]", 4},
    {"Unique", "f[2,3]", "", "float32[?] int64[?] int64[6]", 3},
    {"NonMaxSuppression", "f[N,M,4] f[N,2,M]", "", "int64[?, 3]", 1},
    {"NonMaxSuppression", "f[N,M,3] f[N,2,M]", "", "dimensions 3 and 4 should", 1},
    {"NonMaxSuppression", "f[N,M,4] f[N,2,M] i[1] f[] f[0]", "", "input 4 must have one element", 1},
    {"NonMaxSuppression", "f[N,M,4] f[N,2,M] i[0]", "", "input 2 must have one element", 1},
    {"NonMaxSuppression", "f[N,M,4] f[N,2,M] i[1] f[2]", "", "input 3 must have one element", 1},
    {"Einsum", "f[N,3,M] f[M,5]", "equation=abc,cd->dab", "float32[5, N, 3]", 1},
    {"Einsum", "f[N,3,M,4] f[N,4,5]", "equation=...ij,...jk", "float32[N, 3, M, 5]", 1},
    {"Einsum", "f[2,3] f[4,5]", "equation=ab,bc->ac", "dimensions 3 and 4 should", 1},
    {"Einsum", "f[2,3]", "equation=ab,bc->ac", "the equation is not one of 1 operands", 1},
    {"Einsum", "f[2,3] f[2]", "equation=ab->ac", "the equation is not one of 2 operands", 1},
    {"Einsum", "f[2,3]", "equation=abc->a", "the equation's term 0 has 3 letters for 2", 1},
    {"Einsum", "f[2,3]", "equation=ab->c", "the equation's output has a letter of no operand", 1},
    {"Einsum", "f[2,3]", "equation=ab->aa", "the equation's output has a letter twice", 1},
    {"Einsum", "f[2,3]", "equation=a1->a", "the equation has a \"1\" that means nothing", 1},
    {"Einsum", "f[2]", "equation=...ab->a", "the equation has more letters than", 1},
    {"Resize", "f[N,3,4,M] _ _ S=8,8", "axes=2,3", "float32[N, 3, 8, 8]", 1},
    {"Resize", "f[N,3,4] _ _ i[3]", "", "float32[?, ?, ?]", 1},
    {"Resize", "f[N,3,4] _ f[2]", "axes=1,2", "float32[N, ?, ?]", 1},
    {"Resize", "f[N,3,4] _ _ S=8,8", "", "2 sizes for 3 axes", 1},
    {"Resize", "f[N,3,4] _ _ S=8", "axes=3", "axis 3 is outside", 1},
    {"Resize", "f[N,3,4] _ _ S=8,8", "axes=1,-2", "axis 1 is there twice", 1},
    {"Resize", "f[N,3,4]", "", "either scales or sizes", 1},
    {"Resize", "f[N,3,4] _ f[3] S=1,2,3", "", "either scales or sizes", 1},
    {"Resize", "f[N,3,4] _ f[0] S=1,2,3", "", "float32[1, 2, 3]", 1},
    {"Resize", "f[N,3,4] _ _ S=8,8", "axes=1,2 mode=quintic", "mode \"quintic\" is unknown", 1},
    {"Resize", "f[N,3,4] _ _ S=8,8", "axes=1,2 antialias=1", "the nearest position has no antialiasing", 1},
    {"Resize", "f[N,3,6] _ _ S=7,7", "axes=1,2 keep_aspect_ratio_policy=not_larger", "float32[N, 4, 7]", 1},
    {"Resize", "f[N,0,6] _ _ S=7,7", "axes=1,2 keep_aspect_ratio_policy=not_larger",
     "axis 1 without elements", 1},
    {"Softmax", "f[N,10]", "", "float32[N, 10]", 1},
    {"Softmax", "f[N,10]", "axis=2", "axis 2 is outside", 1},
    {"SoftmaxCrossEntropyLoss", "f[N,10] i[N]", "", "float32[] float32[N, 10]", 2},
    {"SoftmaxCrossEntropyLoss", "f[N,10] i[?]", "reduction=none", "float32[N]", 1},
    {"SoftmaxCrossEntropyLoss", "f[N,10,5] l[N,5]", "reduction=none", "float32[N, 5]", 1},
    {"SoftmaxCrossEntropyLoss", "f[4,10] i[5]", "", "dimensions 4 and 5", 1},
    {"SoftmaxCrossEntropyLoss", "f[N,10] i[N] f[9]", "", "dimensions 10 and 9", 1},
    {"SoftmaxCrossEntropyLoss", "f[N,10] i[N]", "reduction=most", "reduction \"most\" is unknown", 1},
    {"QuantizeLinear", "f[N,3] f[] s[]", "", "int8[N, 3]", 1},
    {"QuantizeLinear", "f[N,3] f[]", "", "uint8[N, 3]", 1},
    {"QuantizeLinear", "f[N,3] f[4]", "", "dimensions 3 and 4", 1},
    {"QuantizeLinear", "f[N,3] f[]", "block_size=2", "blocks of scales", 1},
    {"DequantizeLinear", "u[N,3] f[] u[]", "", "float32[N, 3]", 1},
    {"DequantizeLinear", "u[N,3] f[] s[]", "", "input x_zero_point is int8 where uint8 is needed", 1},
    {"DynamicQuantizeLinear", "f[N,3]", "", "uint8[N, 3] float32[] uint8[]", 3},
    {"Gemm", "f[1,3] f[3,4] f[N,4]", "", "float32[1, 4]", 1},
    {"Gemm", "f[5,3] f[3,1] f[?,?]", "", "float32[5, 1]", 1},
    {"Gemm", "f[1,3] f[3,4] f[2,4]", "", "C does not broadcast", 1},
    {"MatMulInteger", "u[N,4] s[4,5]", "", "int32[N, 5]", 1},
    {"MatMulInteger", "u[N,4] s[3,5]", "", "dimensions 4 and 3", 1},
    {"MatMulInteger", "u[N,M,4] s[4]", "", "int32[N, M]", 1},
    {"QLinearMatMul", "u[N,4] f[] u[] s[4,5] f[5] s[5] f[] u[]", "", "uint8[N, 5]", 1},
    {"Lookup", "u[N,4] s[256]", "", "int8[N, 4]", 1},
    {"Conv", "f[N,3,H,W] f[8,3,3,3]", "pads=1,1,1,1", "float32[N, 8, H, W]", 1},
    {"Conv", "f[N,3,H,W] f[8,3,3,3]", "", "float32[N, 8, ?, ?]", 1},
    {"Conv", "f[N,3,H,20] f[8,3,3,3] f[8]", "auto_pad=SAME_UPPER strides=1,2", "float32[N, 8, H, 10]", 1},
    {"Conv", "f[N,3,9,9] f[8,3,3,3] f[7]", "", "dimensions 8 and 7", 1},
    {"Conv", "f[N,3,9,9] f[8,3,3]", "", "weights of rank 3 for an input of rank 4", 1},
    {"Conv", "f[N,3,9,9] f[8,3,3,3]", "kernel_shape=3,2", "kernel_shape is not the weights'", 1},
    {"Conv", "f[N,3,9,9] f[8,3,3,3]", "strides=1", "strides has 1 numbers for 2 axes", 1},
    {"ConvTranspose", "f[N,3,H,W] f[3,8,3,3]", "pads=1,1,1,1", "float32[N, 8, H, W]", 1},
    {"ConvTranspose", "f[N,6,H,9] f[6,8,2,2]", "group=3 strides=2,2", "float32[N, 24, ?, 18]", 1},
    {"ConvTranspose", "f[N,6,H,9] f[6,8,2,2]", "strides=2,2 output_shape=7,17", "float32[N, 8, 7, 17]", 1},
    {"ConvTranspose", "f[N,3,9,9] f[3,8,3,3]", "auto_pad=SAME_UPPER strides=2,2", "float32[N, 8, 18, 18]", 1},
    {"ConvTranspose", "f[N,3,9,9] f[4,8,3,3]", "", "dimensions 3 and 4", 1},
    {"ConvTranspose", "f[N,3,1,9] f[3,8,1,1]", "pads=1,0,1,0", "pads of 2 leave nothing of an axis of 1", 1},
    {"ConvTranspose", "f[N,3,1,9] f[3,8,1,1]", "output_padding=1", "output_padding has 1 numbers for 2 axes",
     1},
    {"ConvInteger", "u[N,3,H,W] s[8,3,3,3]", "pads=1,1,1,1", "int32[N, 8, H, W]", 1},
    {"ConvInteger", "u[N,3,H,W] s[8,3,3,3] u[3]", "", "input 2 has 3 elements", 1},
    {"QLinearConv", "u[N,3,9,9] f[] u[] s[8,3,3,3] f[8] s[8] f[] u[] l[8]", "", "uint8[N, 8, 7, 7]", 1},
    {"QLinearConv", "u[N,3,9,9] f[] u[] s[8,3,3,3] f[7] s[8] f[] u[]", "", "input 4 has 7 elements", 1},
    {"IntegerConv", "u[N,3,9,9] f[] _ s[8,3,3,3] f[8]", "to=3", "int8[N, 8, 7, 7]", 1},
    {"IntegerConvLast", "u[N,9,9,3] f[] _ s[8,27] f[8]", "kernel_shape=3,3 to=3", "int8[N, 7, 7, 8]", 1},
    {"IntegerConvLast", "u[N,9,9,3] _ _ s[8,27]", "kernel_shape=3,3 to=2", "no scales", 1},
    {"IntegerConvLast", "u[N,9,9,3] f[] _ s[8,27] f[7]", "kernel_shape=3,3 to=2", "input 4 has 7 elements",
     1},
    {"IntegerConvLast", "u[N,9,9,4] f[] _ s[8,27] f[8]", "kernel_shape=3,3", "dimensions 36 and 27", 1},
    {"IntegerConvLast", "u[N,9,9,3] f[] _ s[8,27] f[8]", "kernel_shape=3,3 to=7", "dtype 7 of the result", 1},
    {"IntegerDepthwiseLast", "u[N,9,9,3] _ _ s[9,3]", "kernel_shape=3,3 to=6", "int32[N, 7, 7, 3]", 1},
    {"IntegerDepthwiseLast", "u[N,9,9,3] f[3] _ s[9,3] f[3]", "kernel_shape=3,3", "input 1 has 3 elements",
     1},
    {"Col2Im", "f[N,12,M] S=5,6 S=2,3", "", "float32[N, 2, 5, 6]", 1},
    {"Col2Im", "f[N,M,20] S=5,6 i[2]", "", "float32[N, ?, 5, 6]", 1},
    {"Col2Im", "f[N,6,20] i[?] S=2,3", "", "float32[N, 1, ?, ?]", 1},
    {"Col2Im", "f[N,6,20] i[?] i[?]", "", "float32[…]", 1},
    {"Col2Im", "f[N,13,M] S=5,6 S=2,3", "", "13 channels do not divide by the 6 elements", 1},
    {"Col2Im", "f[N,12,17] S=5,6 S=2,3", "", "17 blocks where the image has room for 16", 1},
    {"Col2Im", "f[N,12,16] S=5,6 S=2,3,1", "", "block_shape has 3 numbers for 2 axes", 1},
    {"Col2Im", "f[N,12,16] S=5,6 S=2,0", "", "block_shape can't have 0", 1},
    {"Col2Im", "f[N,12,16] S=-5,6 S=2,2", "", "image_shape can't have -5", 1},
    {"Col2Im", "f[N,12,16] S=5,6 S=2,3", "strides=0,1", "strides can't have 0", 1},
    {"Col2Im", "f[N,12,16] S=5,6 S=2,3", "pads=0,1", "pads has 2 numbers for 4 axes", 1},
    {"Col2Im", "f[12,16] S=5,6 S=2,3", "", "the input has 2 dimensions where 3", 1},
    {"Col2Im", "f[N,1,0] S=2147483648,2147483648,2147483648 S=1,1,1", "", "0 blocks where", 1},
    {"DeformConv", "f[N,4,H,W] f[6,2,3,3] f[N,36,M,?]", "group=2 offset_group=2", "float32[N, 6, M, ?]", 1},
    {"DeformConv", "f[N,4,9,9] f[6,4,3,3] f[N,17,7,7]", "", "offset with 17 rows for 1 groups of 9 taps", 1},
    {"DeformConv", "f[N,0,H,1,1] f[0,0,2147483647,1,1] f[N,7,?,?,?]", "offset_group=2147483647",
     "offset with 7 rows for 2147483647 groups of 2147483647 taps", 1},
    {"DeformConv", "f[N,4,9,9] f[6,4,3,3] f[N,18,7,6]", "", "dimensions 7 and 6", 1},
    {"DeformConv", "f[N,4,9,9] f[6,4,3,3] f[N,18,7,7] f[5]", "", "dimensions 6 and 5", 1},
    {"DeformConv", "f[N,4,9,9] f[6,4,3,3] f[N,18,7,7] f[6] f[N,18,7,7]", "", "mask with 18 rows", 1},
    {"DeformConv", "f[N,4,9,9] f[6,4,3,3] f[N,18,7,7]", "offset_group=3", "4 channels in 3 groups", 1},
    {"DeformConv", "f[N,4,9,9] f[6,4,3,3] f[N,18,7,7]", "group=0", "group 0", 1},
    {"DeformConv", "f[N,4,9] f[6,4,3,3] f[N,18,7,7]", "", "weights of rank 4 for an input of rank 3", 1},
    {"MaxUnpool", "f[N,C,H,3] i[N,C,H,3]", "kernel_shape=2,2 strides=2,2", "float32[N, C, ?, 6]", 1},
    {"MaxUnpool", "f[N,C,2,3] i[N,C,2,3] S=1,2,5,6", "kernel_shape=2,2 strides=2,2", "float32[1, 2, 5, 6]",
     1},
    {"MaxUnpool", "f[N,C,2,3] i[N,C,2,3] S=1,2,3,6", "kernel_shape=2,2 strides=2,2",
     "output_shape has 3 where the windows make 4", 1},
    {"MaxUnpool", "f[1,1,2,3] i[1,1,3,3]", "kernel_shape=2,2 strides=2,2", "dimensions 2 and 3", 1},
    {"com.microsoft.MatMulNBits", "f[N,32] u[5,2,8] f[10]", "N=5 K=32 block_size=16", "float32[N, 5]", 1},
    {"com.microsoft.MatMulNBits", "f[N,32] u[5,2,8] f[10]", "N=-5 K=32 block_size=16", "-5 rows of weights",
     1},
    {"com.microsoft.MatMulNBits", "f[N,M] u[5,2,8] f[10]", "N=5 K=-1 block_size=16", "rows of -1 elements",
     1},
    {"com.microsoft.MatMulNBits", "f[N,M] u[5,2,8] f[10]", "N=5 K=9223372036854775807 block_size=16",
     "rows of 9223372036854775807 elements", 1},
    {"com.microsoft.MatMulNBits", "f[N,32] u[5,2,8] f[10]", "N=5 K=32 block_size=16 bits=0",
     "weights of 0 bits", 1},
    {"com.microsoft.GatherBlockQuantized", "u[9,16] i[N] f[9,2]", "block_size=16", "float32[N, 32]", 1},
    {"com.microsoft.GatherBlockQuantized", "u[9,16] i[N] f[9,2]", "bits=0", "weights of 0 bits", 1},
    {"com.microsoft.GatherBlockQuantized", "u[9,16] i[N] f[9,2]", "bits=-2", "weights of -2 bits", 1},
    {"BitsRows", "u[5,16] f[5,2] _ i[N,3]", "K=32 block_size=16", "float32[N, 3, 32]", 1},
    {"BitsRows", "u[5,15] f[5,2] _ i[N,3]", "K=32 block_size=16", "dimensions 15 and 16", 1},
    {"BitsRows", "u[2,5,16] f[2,5,2] _ i[N,3]", "K=32 block_size=16", "codes must have rank 2", 1},
    {"UnpackBits", "u[5,4,16] f[5,4,2] f[5,4,2]", "K=32 block_size=16", "float32[5, 4, 32]", 1},
    {"UnpackBits", "u[5,4,16] f[5,2]", "K=32 block_size=16", "input 1 has 2 dimensions, the codes have 3", 1},
    {"UnpackBits", "u[5,4,16] f[5,1,2]", "K=32 block_size=16", "dimensions 4 and 1", 1},
    {"UnpackBits", "u[5,4,16] f[5,4,2] u[5,1,1]", "K=32 block_size=16", "dimensions 4 and 1", 1},
    {"Split", "f[N,6] S=2,4", "axis=1", "float32[N, 2] float32[N, 4]", 2},
    {"Split", "f[N,6] S=6", "axis=1", "1 lengths for 2 parts", 2},
    {"Split", "f[N,6] i[3]", "axis=1", "3 lengths for 2 parts", 2},
    {"Split", "f[N,6] i[0]", "axis=1", "0 lengths for 2 parts", 2},
    {"Split", "f[N,6] S=8,-2", "axis=1", "a part of length -2", 2},
    {"Split", "f[N,6] S=4611686018427387904,4611686018427387904,4611686018427387904,4611686018427387910",
     "axis=1", "the parts have", 4},
    {"Split", "f[N,6]", "axis=1 num_outputs=9223372036854775807", "the parts have 2 in all", 2},
    {"MaxUnpool", "f[1,1,2] i[1,1,2]", "kernel_shape=2 pads=2,2", "2 windows make no axis", 1},
    {"Recurrence", "f[N,M,12] f[4,3,3] l[M] f[1,M,3] f[1,M,3] f[1,9]", "cell=2", "float32[N, 1, M, 3]", 1},
    {"Recurrence", "f[5,2,12] f[4,3,3] l[1]", "cell=2", "dimensions 1 and 2", 1},
    {"Recurrence", "f[5,2,12] f[4,3,3] _ f[1,2,0]", "cell=2", "dimensions 0 and 3", 1},
    {"Recurrence", "f[5,2,12] f[4,3,3] _ f[2,1,3]", "cell=2", "dimensions 2 and 1", 1},
    {"Recurrence", "f[2,5,12] f[4,3,3] _ f[2,1,3]", "cell=2 layout=1", "float32[2, 5, 1, 3]", 1},
    {"Recurrence", "f[5,2,12] f[4,3,3] _ _ f[1,2,2]", "cell=2", "dimensions 2 and 3", 1},
    {"Recurrence", "f[5,2,12] f[4,3,3] _ _ _ f[1,8]", "cell=2", "dimensions 8 and 9", 1},
    {"Recurrence", "f[5,2,9] f[3,3,3] _ f[1,2,3] _ _ f[1,2]", "cell=1 linear_before_reset=1",
     "dimensions 2 and 3", 1},
    {"RoiAlign", "f[N,C,H,W] f[M,4] i[M]", "output_height=7 output_width=6", "float32[M, C, 7, 6]", 1},
    {"RoiAlign", "f[N,C,H,W] f[M,5] i[M]", "", "dimensions 5 and 4", 1},
    {"RoiAlign", "f[N,C,H,W] f[3,4] i[2]", "", "dimensions 3 and 2", 1},
    {"RoiAlign", "f[N,C,H] f[M,4] i[M]", "", "the input has 3 dimensions", 1},
    {"RoiAlign", "f[N,C,H,W] f[M,4] i[M]", "mode=min", "mode \"min\" is unknown", 1},
    {"RoiAlign", "f[N,C,H,W] f[M,4] i[M]", "output_width=0", "regions become 1 x 0", 1},
    {"RoiAlign", "f[N,C,H,W] f[M,4] i[M]", "sampling_ratio=-1", "sampling_ratio -1 is out of range", 1},
    {"RoiAlign", "f[N,C,H,W] f[M,4] i[M]", "sampling_ratio=32768", "sampling_ratio 32768 is out of range", 1},
    {"MaxRoiPool", "f[N,C,H,W] f[M,5]", "pooled_shape=7,6", "float32[M, C, 7, 6]", 1},
    {"MaxRoiPool", "f[N,C,H,W] f[M,5]", "pooled_shape=7", "pooled_shape has 1 numbers, not 2", 1},
    {"MaxPool", "f[N,C,H,9]", "kernel_shape=3,3 pads=1,1,1,1 strides=1,2", "float32[N, C, H, 5]", 1},
    {"MaxPool", "f[N,C,8,8]", "kernel_shape=3,3 strides=2,2 ceil_mode=1",
     "float32[N, C, 4, 4] int64[N, C, 4, 4]", 2},
    {"MaxPool", "f[N,C,8,8]", "strides=2,2", "kernel_shape is missing", 1},
    {"MaxPool", "f[N,C,8,8]", "kernel_shape=9,9 strides=2,2 ceil_mode=1",
     "float32[N, C, 1, 1] int64[N, C, 1, 1]", 2},
    {"MaxPool", "f[N,C,8,8]", "kernel_shape=9,9 strides=2,2", "a window of 9 does not fit into 8", 1},
    {"MaxPool", "f[N,C,8,8]", "kernel_shape=10,10 strides=2,2 ceil_mode=1", "a window of 10", 1},
    {"AveragePool", "f[N,C,8,8]", "kernel_shape=9,9", "a window of 9 does not fit into 8", 1},
    {"GlobalAveragePool", "f[N,3,H,W]", "", "float32[N, 3, 1, 1]", 1},
    {"IntegerGemm", "u[N,4] f[] u[] s[5,4] f[5] _ f[5]", "transB=1 to=2", "uint8[N, 5]", 1},
};

static hone_value *shape_input(hone_graph *g, const char **at) {
    if (**at == 'S') {
        int64_t values[HONE_MAX_RANK];
        int n = 0;
        *at += 2;
        for (; **at && **at != ' '; *at += **at == ',') values[n++] = strtoll(*at, (char **)at, 10);
        return hone_graph_ints(g, values, n);
    }
    char kind = *(*at)++;
    hone_type type = {.kind = HONE_KIND_TENSOR};
    type.dtype = kind == 'u'   ? HONE_UINT8
                 : kind == 's' ? HONE_INT8
                 : kind == 'i' ? HONE_INT64
                 : kind == 'l' ? HONE_INT32
                 : kind == 'b' ? HONE_BOOL
                               : HONE_FLOAT32;
    for ((*at)++; **at != ']'; *at += **at == ',') {
        char name[2] = {**at, 0};
        if (**at >= '0' && **at <= '9') {
            type.dims[type.rank++] = strtoll(*at, (char **)at, 10);
            continue;
        }
        type.dims[type.rank++] = **at == '?' ? HONE_DIM_ANY : hone_graph_symbol(g, name);
        (*at)++;
    }
    (*at)++;
    return hone_graph_add_input(g, "x", &type);
}

static bool check(const shape_case *c) {
    op_case as_case = {c->op, "", c->attrs, c->outputs};
    const hone_op *op = case_op(&as_case);
    built_case b = {.g = hone_graph_new("shapes")};
    hone_value *in[CASE_MAX_INPUTS];
    hone_error err;
    char found[1024] = "";
    int count = 0;
    assert_non_null(op);
    for (const char *at = c->inputs; *at;) {
        if (*at == ' ') at++;
        in[count++] = *at == '_' ? (at++, NULL) : shape_input(b.g, &at);
    }
    b.node = hone_graph_add_node(b.g, op, "the node", count, in, c->outputs);
    assert_non_null(b.node);
    case_attrs(&b, c->attrs);
    if (hone_graph_infer(b.g, &err) != HONE_OK) {
        snprintf(found, sizeof found, "%s", err.message);
        assert_string_equal(err.node, "the node");
    } else {
        for (int i = 0; i < c->outputs; i++) {
            char text[128];
            size_t used = strlen(found);
            snprintf(found + used, sizeof found - used, "%s%s", i ? " " : "",
                     hone_type_format(b.g, &b.node->outputs[i]->type, text, sizeof text));
        }
    }
    bool ok = strncmp(found, c->expected, strlen(c->expected)) == 0;
    if (!ok) print_message("%s %s %s: \"%s\", not \"%s\"\n", c->op, c->inputs, c->attrs, found, c->expected);
    hone_graph_free(b.g);
    return ok;
}

static void test_shapes(void **state) {
    (void)state;
    int failures = 0;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) failures += !check(&cases[i]);
    assert_int_equal(failures, 0);
}

/* Is there an input whose content inference asks for, or do parts of the node ask for it? */
static bool takes_shapes(const built_case *b) {
    for (int i = 0; i < b->inputs; i++)
        if (hone_op_input(b->node->op, b->slot[i])->flags & HONE_SLOT_SHAPE) return true;
    return !b->node->op->prepare;
}

/* What inference says with symbols is what a run gives; what it leaves open the run tells. */
static void test_runs_agree(void **state) {
    (void)state;
    for (int i = 0; i < OP_CASE_COUNT; i++) {
        hone_error err;
        built_case b;
        runner r;
        const hone_tensor *out[CASE_MAX_OUTPUTS];
        assert_true(case_build(&op_cases[i], HONE_FLOAT32, &b));
        assert_int_equal(hone_graph_infer(b.g, &err), HONE_OK);
        assert_int_equal(runner_open(b.g, NULL, 2, &r, &err), HONE_OK);
        assert_int_equal(hone_context_run(r.context, (const hone_tensor *const *)b.data, out, &err), HONE_OK);
        for (int o = 0; o < op_cases[i].outputs; o++) {
            const hone_type *t = &b.node->outputs[o]->type;
            assert_int_equal(out[o]->dtype, t->dtype);
            assert_int_equal(out[o]->rank, t->rank);
            for (int d = 0; d < t->rank; d++)
                if (t->dims[d] != HONE_DIM_ANY)
                    assert_int_equal(out[o]->dims[d], t->dims[d]);
                else if (!(b.node->op->run_shapes >> o & 1) && !takes_shapes(&b))
                    fail_msg("%s %s: output %d", op_cases[i].op, op_cases[i].inputs, o);
        }
        runner_close(&r);
        case_free(&b);
    }
}

/* A shape of more numbers than content is known of is refused, or has nothing to do with shapes. */
static void test_long_shapes(void **state) {
    (void)state;
    for (int i = 0; i < OP_CASE_COUNT; i++) {
        hone_error err = {0};
        built_case b;
        runner r;
        const hone_tensor *out[CASE_MAX_OUTPUTS];
        if (!strstr(op_cases[i].inputs, "S=")) continue;
        assert_true(case_build_ones(&op_cases[i], HONE_FLOAT32, HONE_CONTENT_MAX + 1, &b));
        hone_status status = runner_open(b.g, NULL, 1, &r, &err);
        if (status == HONE_OK)
            status = hone_context_run(r.context, (const hone_tensor *const *)b.data, out, &err);
        for (int o = 0; status == HONE_OK && o < op_cases[i].outputs; o++)
            for (int d = 0; d < out[o]->rank; d++)
                if (out[o]->dims[d] < 0) fail_msg("%s %s", op_cases[i].op, op_cases[i].inputs);
        if (status != HONE_OK && status != HONE_INVALID_ARGUMENT && status != HONE_UNSUPPORTED)
            fail_msg("%s %s: %s", op_cases[i].op, op_cases[i].inputs, err.message);
        if (status != HONE_OK && !*err.node) fail_msg("%s %s: no node", op_cases[i].op, op_cases[i].inputs);
        runner_close(&r);
        case_free(&b);
    }
}

/* More parts than content is carried of. */
static void test_many_parts(void **state) {
    (void)state;
    enum { PARTS = HONE_CONTENT_MAX + 6 };
    hone_error err;
    runner r;
    float x[PARTS];
    int64_t ones[PARTS], dims[1] = {PARTS};
    const hone_tensor *out[PARTS];
    hone_tensor *in = NULL;
    hone_graph *g = hone_graph_new("parts");
    hone_type type = hone_type_make(HONE_FLOAT32, 1, dims);
    for (int i = 0; i < PARTS; i++) {
        ones[i] = 1;
        x[i] = (float)i;
    }
    hone_value *inputs[] = {hone_graph_add_input(g, "x", &type), hone_graph_ints(g, ones, PARTS)};
    hone_node *n = hone_graph_add_node(g, hone_op_find("", "Split"), "split", 2, inputs, PARTS);
    for (int i = 0; i < PARTS; i++) hone_graph_add_output(g, n->outputs[i]);
    assert_int_equal(hone_tensor_copy_of(HONE_FLOAT32, 1, dims, x, &in, &err), HONE_OK);
    assert_int_equal(runner_open(g, NULL, 1, &r, &err), HONE_OK);
    assert_int_equal(hone_context_run(r.context, (const hone_tensor *const *)&in, out, &err), HONE_OK);
    for (int i = 0; i < PARTS; i++) assert_true(out[i]->count == 1 && tensor_at(out[i], 0) == i);
    runner_close(&r);
    hone_tensor_free(in);
    hone_graph_free(g);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_shapes), cmocka_unit_test(test_runs_agree),
                                       cmocka_unit_test(test_long_shapes), cmocka_unit_test(test_many_parts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
