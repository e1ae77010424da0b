/* Cases for the generic suites of operators: one row says operator, inputs and attributes, from which a graph
 * of one node is built in float or double (test_moves.c: in any dtype).
 *
 * Inputs, separated by blanks:
 *
 *   R4,3    real numbers, which gradients go to; R alone is a scalar
 *   K3      the same, positive and without a gradient
 *   I4<10   int64 in [0, 10)
 *   L4<10   the same as int32
 *   U2,3    uint8
 *   C2,3    int8
 *   B2,3    bool
 *   S=2,-1  a constant int64 vector
 *   N=1,0.5 a constant float32 vector
 *   _       left out
 *
 * F and k are float32 whatever real is: quantized operators have no double form; k is small and positive.
 * Attributes: "axis=1 perm=0,2,1 reduction=sum". Last, how many outputs. */
#ifndef HONE_TESTS_OP_CASES_H
#define HONE_TESTS_OP_CASES_H

#include "base/random.h"
#include "graph/graph.h"
#include "graph/op.h"
#include "graph/tensor.h"

#include <hone/session.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct op_case {
    const char *op, *inputs, *attrs;
    int outputs;
} op_case;

static const op_case op_cases[] = {
    {"Add", "R2,3 R2,3", "", 1},
    {"Add", "R2,3 R3", "", 1},
    {"Add", "R2,1,3 R4,1", "", 1},
    {"Sub", "R2,3 R2,1", "", 1},
    {"Mul", "R2,3 R3", "", 1},
    {"Mul", "R R3", "", 1},
    {"Div", "R2,3 K3", "", 1},
    {"Div", "R2,3 R2,3", "", 1},
    {"Mod", "R2,3 R2,3", "fmod=1", 1},
    {"Mod", "R2,3 K3", "fmod=1", 1},
    {"Mod", "I2,3<100 I3<9", "", 1},
    {"Pow", "R2,3 R2,3", "", 1},
    {"Pow", "R2,3 R", "", 1},
    {"Pow", "R2,3 S=3", "", 1},
    {"Pow", "R2,3 S=-1", "", 1},
    {"Pow", "I2,3<5 I3<7", "", 1},
    {"Clip", "R3,5 R R", "", 1},
    {"Clip", "R3,5 K R", "", 1},
    {"Clip", "R4,5 R R", "", 1},
    {"Clip", "R3,6 R R", "", 1},
    {"Clip", "R3,5 _ R", "", 1},
    {"Clip", "R3,5 R", "", 1},
    {"Clip", "R3,5", "", 1},
    {"Max", "R2,3 R2,3 R3", "", 1},
    {"Max", "R2,1,3 R4,1", "", 1},
    {"Max", "R3", "", 1},
    {"Min", "R2,3 R2,3 R3", "", 1},
    {"Sum", "R2,3 R3 R R2,3", "", 1},
    {"Mean", "R2,3 R3 R2,1", "", 1},
    {"Greater", "R2,3 R3", "", 1},
    {"GreaterOrEqual", "I2,3<4 I3<4", "", 1},
    {"Less", "R2,3 R3", "", 1},
    {"LessOrEqual", "C2,3 C2,1", "", 1},
    {"Equal", "I2,3<2 I2,3<2", "", 1},
    {"And", "B2,3 B3", "", 1},
    {"Or", "B2,3 B2,1", "", 1},
    {"Xor", "B2,3 B2,3", "", 1},
    {"Not", "B2,3", "", 1},
    {"IsNaN", "R2,3", "", 1},
    {"IsInf", "R2,3", "detect_negative=0", 1},
    {"BitwiseAnd", "I2,3<100 I3<100", "", 1},
    {"BitwiseOr", "L2,3<100 L2,1<100", "", 1},
    {"BitwiseXor", "C2,3 C2,3", "", 1},
    {"BitwiseNot", "U2,3", "", 1},
    {"BitShift", "U2,3 U3", "direction=LEFT", 1},
    {"BitShift", "U2,3 U3", "direction=RIGHT", 1},
    {"Elu", "R3,5", "", 1},
    {"Elu", "R3,5", "alpha=0.3", 1},
    {"Selu", "R3,5", "", 1},
    {"Selu", "R3,5", "alpha=0.5 gamma=2", 1},
    {"Celu", "R3,5", "", 1},
    {"Celu", "R3,5", "alpha=0.7", 1},
    {"PRelu", "R3,5 R5", "", 1},
    {"PRelu", "R2,3,4 R3,1", "", 1},
    {"ThresholdedRelu", "R3,5", "", 1},
    {"ThresholdedRelu", "R3,5", "alpha=-0.5", 1},
    {"Shrink", "R3,5", "", 1},
    {"Shrink", "R3,5", "bias=0.25 lambd=0.4", 1},
    {"Softsign", "R3,5", "", 1},
    {"Swish", "R3,5", "", 1},
    {"Swish", "R3,5", "alpha=1.7", 1},
    {"SwiGLU", "R3,5 R3,5", "", 1},
    {"SwiGLU", "R3,5 R3,5", "alpha=1.7", 1},
    {"Mish", "R3,5", "", 1},
    {"Where", "B2,3 R2,3 R3", "", 1},
    {"Where", "B2,1 R R2,3", "", 1},
    {"Where", "B4,1,3 R2,1 R3", "", 1},
    {"Relu", "R3,5", "", 1},
    {"LeakyRelu", "R3,5", "", 1},
    {"LeakyRelu", "R3,5", "alpha=0.3", 1},
    {"Sigmoid", "R3,5", "", 1},
    {"Tanh", "R3,5", "", 1},
    {"Softplus", "R3,5", "", 1},
    {"Gelu", "R3,5", "", 1},
    {"Gelu", "R3,5", "approximate=tanh", 1},
    {"Neg", "R3,5", "", 1},
    {"Abs", "R3,5", "", 1},
    {"Sign", "R3,5", "", 1},
    {"Floor", "R3,5", "", 1},
    {"Ceil", "R3,5", "", 1},
    {"Round", "R3,5", "", 1},
    {"Sqrt", "R3,5", "", 1},
    {"Reciprocal", "R3,5", "", 1},
    {"Exp", "R3,5", "", 1},
    {"Log", "R3,5", "", 1},
    {"Erf", "R3,5", "", 1},
    {"Sin", "R3,5", "", 1},
    {"Cos", "R3,5", "", 1},
    {"Tan", "R3,5", "", 1},
    {"Asin", "R3,5", "", 1},
    {"Acos", "R3,5", "", 1},
    {"Atan", "R3,5", "", 1},
    {"Sinh", "R3,5", "", 1},
    {"Cosh", "R3,5", "", 1},
    {"Asinh", "R3,5", "", 1},
    {"Acosh", "R3,5", "", 1},
    {"Atanh", "R3,5", "", 1},
    {"ReluGrad", "R3,5 R3,5", "", 1},
    {"LeakyReluGrad", "R3,5 R3,5", "alpha=0.3", 1},
    {"GeluGrad", "R3,5 R3,5", "", 1},
    {"MatMul", "R3,4 R4,5", "", 1},
    {"MatMul", "R2,3,4 R4,5", "", 1},
    {"MatMul", "R2,3,4 R2,4,5", "", 1},
    {"MatMul", "R2,1,3,4 R3,4,2", "", 1},
    {"MatMul", "R4 R4,3", "", 1},
    {"MatMul", "R3,4 R4", "", 1},
    {"MatMul", "R4 R4", "", 1},
    {"MatMul", "R4 R2,4,3", "", 1},
    {"Gemm", "R3,4 R4,5 R5", "", 1},
    {"Gemm", "R3,4 R4,5", "alpha=0.5", 1},
    {"Gemm", "R3,4 R5,4 R3,1", "transB=1 alpha=1.5 beta=0.25", 1},
    {"Gemm", "R4,3 R4,5 R3,5", "transA=1", 1},
    {"Gemm", "R4,3 R5,4 R", "transA=1 transB=1", 1},
    {"Identity", "R2,3", "", 1},
    {"Flatten", "R2,3,4", "axis=1", 1},
    {"Flatten", "R2,3,4", "axis=2", 1},
    {"Flatten", "R2,3,4", "axis=0", 1},
    {"Flatten", "R2,1,4", "axis=-2", 1},
    {"Reshape", "R2,3,4 S=2,12", "", 1},
    {"Reshape", "R2,3,4 S=0,-1", "", 1},
    {"Reshape", "R2,3,4 S=6,2,2", "", 1},
    {"Reshape", "R2,12 S=2,1,3,4", "", 1},
    {"Reshape", "R6,4,5 S=6,-1", "", 1},
    {"Reshape", "R1 S=", "", 1},
    {"ReshapeLike", "R2,6 R3,4", "", 1},
    {"InsertAxis", "R2,3", "axis=1", 1},
    {"Squeeze", "R2,1,3,1", "", 1},
    {"Squeeze", "R2,1,3,1 S=1", "", 1},
    {"Unsqueeze", "R2,3 S=0,-1", "", 1},
    {"Expand", "R2,1,3 S=4,1,5,1", "", 1},
    {"Expand", "R3 S=2,3", "", 1},
    {"Gather", "R4,3,2 I2,2<4", "", 1},
    {"Gather", "R4,3,2 L5<3", "axis=-2", 1},
    {"Concat", "R2,3 R4,3", "axis=0", 1},
    {"Concat", "R2,3,2 R2,1,2 R2,4,2", "axis=1", 1},
    {"Split", "R6,3 S=1,3,2", "", 3},
    {"Split", "R2,7,3", "axis=1 num_outputs=3", 3},
    {"Slice", "R5,6 S=1,2 S=4,6", "", 1},
    {"Slice", "R5,6,3 S=-1,0 S=-9,6 S=0,1 S=-2,3", "", 1},
    {"Slice", "R5,3 S=2 S=5 S=0", "", 1},
    {"Slice", "R4,5 S=3 S=1 S=1", "", 1},
    {"Shape", "R5,3,2", "start=1", 1},
    {"Size", "R5,3,2", "", 1},
    {"ConstantOfShape", "S=2,3", "", 1},
    {"Transpose", "R2,3", "", 1},
    {"Transpose", "R2,3,4", "perm=0,2,1", 1},
    {"Transpose", "R2,3,4,2", "perm=3,1,0,2", 1},
    {"Transpose", "R2,3,4,2", "perm=2,0,1,3", 1},
    {"Cast", "R2,3", "to=11", 1},
    {"CastLike", "R2,3 R5", "", 1},
    {"CastLike", "R2,3 C5,7", "", 1},
    {"ReduceSumSquare", "R2,3,4 S=1", "", 1},
    {"ReduceSumSquare", "R2,3,4", "keepdims=0", 1},
    {"ReduceSumSquare", "R2,3 S=", "noop_with_empty_axes=1", 1},
    {"ReduceSumSquare", "I2,3<9 S=0", "keepdims=0", 1},
    {"ReduceL2", "R2,3,4 S=0,2", "", 1},
    {"ReduceL2", "R2,3,4 S=-1", "keepdims=0", 1},
    {"ReduceL2", "I2,3<9 S=0", "", 1},
    {"MeanVarianceNormalization", "R2,3,4,2", "", 1},
    {"MeanVarianceNormalization", "R3,5", "axes=0", 1},
    {"com.microsoft.Gelu", "R3,5", "", 1},
    {"com.microsoft.FastGelu", "R3,5", "", 1},
    {"com.microsoft.FastGelu", "R3,5 R5", "", 1},
    {"ai.onnx.ml.Scaler", "F3,4", "offset=1,2,3,4 scale=0.5", 1},
    {"ai.onnx.ml.Scaler", "I3,4<9", "offset=1 scale=0.5,1,2,3", 1},
    {"ai.onnx.ml.Scaler", "F3,4", "", 1},
    {"ai.onnx.ml.Binarizer", "F3,4", "threshold=0.1", 1},
    {"ai.onnx.ml.ArrayFeatureExtractor", "R3,4 I2<4", "", 1},
    {"ai.onnx.ml.Imputer", "R3,4", "imputed_value_floats=1,2,3,4 replaced_value_float=3", 1},
    {"ai.onnx.ml.Normalizer", "F3,4", "norm=L2", 1},
    {"ai.onnx.ml.FeatureVectorizer", "F3,4 F3,2", "", 1},
    {"ai.onnx.ml.FeatureVectorizer", "F3,4 F3,2", "inputdimensions=3,4", 1},
    {"ai.onnx.ml.LinearRegressor", "F3,2", "coefficients=1,2,3,4 intercepts=0.5,1 targets=2", 1},
    {"ai.onnx.ml.LinearClassifier", "F3,2", "coefficients=1,2,3,4 classlabels_ints=3,4", 2},
    {"ai.onnx.ml.SVMRegressor", "F3,2", "coefficients=1,2 rho=0.1", 1},
    {"ai.onnx.ml.SVMClassifier", "F3,2", "coefficients=1,2,3,4 rho=0.1 classlabels_ints=3,4", 2},
    {"ReduceSum", "R2,3,4", "", 1},
    {"ReduceSum", "R2,3,4 S=1", "", 1},
    {"ReduceSum", "R2,3,4 S=-1", "keepdims=0", 1},
    {"ReduceSum", "R2,3,4 S=0,2", "keepdims=0", 1},
    {"ReduceSum", "R2,3,4,2 S=0,2", "", 1},
    {"ReduceSum", "R2,3 S=", "noop_with_empty_axes=1", 1},
    {"ReduceMean", "R2,3,4", "keepdims=0", 1},
    {"ReduceMean", "R2,3,4 S=0", "", 1},
    {"ReduceMean", "R2,3,4 S=1,2", "keepdims=0", 1},
    {"ReduceMean", "R2,3,4,2 S=1,3", "", 1},
    {"ReduceProd", "R2,3,4", "", 1},
    {"ReduceProd", "R2,3,4 S=1", "keepdims=0", 1},
    {"ReduceProd", "R2,3 S=", "noop_with_empty_axes=1", 1},
    {"ReduceMax", "R2,3,4", "", 1},
    {"ReduceMax", "R2,3,4 S=0,2", "keepdims=0", 1},
    {"ReduceMax", "I2,3<9 S=0", "", 1},
    {"ReduceMax", "B2,3 S=0", "", 1},
    {"ReduceMin", "R2,3,4 S=-1", "", 1},
    {"ReduceMin", "C2,3 S=1", "", 1},
    {"ReduceL1", "R2,3,4 S=0,2", "keepdims=0", 1},
    {"ReduceLogSum", "R2,3,4 S=1", "", 1},
    {"ReduceLogSum", "I2,3<9 S=0", "keepdims=0", 1},
    {"ReduceLogSumExp", "R2,3,4", "", 1},
    {"ReduceLogSumExp", "R2,3,4 S=0,2", "keepdims=0", 1},
    {"ReduceLogSumExp", "R2,3 S=", "noop_with_empty_axes=1", 1},
    {"ArgMax", "R2,3,4", "", 1},
    {"ArgMax", "R2,3,4", "axis=-1 keepdims=0", 1},
    {"ArgMin", "I2,3,4<5", "axis=1 select_last_index=1", 1},
    {"ArgMin", "C3,4", "keepdims=0", 1},
    {"Hardmax", "R2,3,4", "", 1},
    {"Hardmax", "R2,3,4", "axis=1", 1},
    {"Hardmax", "R2,3,4", "axis=0", 1},
    {"Det", "R3,3", "", 1},
    {"Det", "R2,2,4,4", "", 1},
    {"Det", "R1,1", "", 1},
    {"DetGrad", "R2 R2,3,3", "", 1},
    {"LpNormalization", "R2,3,4", "", 1},
    {"LpNormalization", "R2,3,4", "axis=1 p=1", 1},
    {"LpNormalization", "R2,3", "axis=0", 1},
    {"LRN", "R2,5,3,2", "size=3", 1},
    {"LRN", "R2,5,3", "size=4 alpha=0.5 beta=0.5 bias=2", 1},
    {"WindowSum", "R2,5,3", "before=1 after=2", 1},
    {"GroupNormalization", "R2,6,3 R6 R6", "num_groups=3", 1},
    {"GroupNormalization", "R2,4,3,2 R4 R4", "num_groups=1 epsilon=0.01", 1},
    {"GroupNormalization", "R2,4 R4 R4", "num_groups=2", 1},
    {"InstanceNormalization", "R2,3,5 R3 R3", "", 1},
    {"InstanceNormalization", "R2,3,2,4 R3 R3", "epsilon=0.01", 1},
    {"GroupNormalizationGrad", "R2,6,3 R2,6,3 R6 R2,3 R2,3", "num_groups=3", 3},
    {"GroupNormalizationGrad", "R2,3,4 R2,3,4 R3 R2,3 R2,3", "", 3},
    {"Dropout", "R2,3", "", 2},
    {"DFT", "R2,8,2", "", 1},
    {"DFT", "R2,6,1", "onesided=1", 1},
    {"DFT", "R2,7,3,1 S=9 S=1", "onesided=1", 1},
    {"DFT", "R2,5,2 S=4", "inverse=1", 1},
    {"DFT", "R2,5,3,2 _ S=1", "inverse=1 onesided=1", 1},
    {"DFT", "R2,4,2 S=7", "inverse=1 onesided=1", 1},
    {"DFT", "R37,2,1 _ S=0", "", 1},
    {"STFT", "R2,12,1 S=3 R5", "", 1},
    {"STFT", "R2,12,2 S=4 _ S=4", "onesided=0", 1},
    {"HannWindow", "S=7", "", 1},
    {"BlackmanWindow", "S=7", "periodic=0", 1},
    {"MelWeightMatrix", "S=8 S=16 S=8192 k k", "", 1},
    {"SumTo", "R2,3,4 R3,1", "", 1},
    {"SumTo", "R2,3 R", "mean=1", 1},
    {"SumTo", "R2,3 R2,3", "", 1},
    {"BroadcastTo", "R3,1 R2,3,4", "", 1},
    {"BroadcastTo", "R4 R2,3,4", "mean=1", 1},
    {"BroadcastTo", "R R2,3", "", 1},
    {"Softmax", "R3,5", "", 1},
    {"Softmax", "R2,3,4", "axis=1", 1},
    {"Softmax", "R3,21", "axis=0", 1},
    {"LogSoftmax", "R3,5", "", 1},
    {"LogSoftmax", "R2,3,4", "axis=1", 1},
    {"LogSoftmax", "R3,21", "axis=0", 1},
    {"SoftmaxGrad", "R2,3,4 R2,3,4", "axis=1", 1},
    {"LogSoftmaxGrad", "R3,5 R3,5", "", 1},
    {"HardSigmoid", "R3,5", "", 1},
    {"HardSigmoid", "R3,5", "alpha=0.4 beta=0.3", 1},
    {"HardSigmoidGrad", "R3,5 R3,5", "alpha=0.4 beta=0.3", 1},
    {"HardSwish", "R3,5", "", 1},
    {"HardSwishGrad", "R3,5 R3,5", "", 1},
    {"BatchNormalization", "R4,3 R3 R3 R3 R3", "", 1},
    {"BatchNormalization", "R2,3,5 R3 R3 R3 R3", "epsilon=0.1", 1},
    {"BatchNormalization", "R2,3,2,3 R3 R3 R3 R3", "epsilon=0.01", 1},
    {"BatchNormalization", "R4,3 R3 R3 R3 R3", "training_mode=1", 1},
    {"BatchNormalization", "R2,3,4 R3 R3 R3 R3", "training_mode=1 momentum=0.7", 3},
    {"LayerNormalization", "R3,8 R8", "", 1},
    {"LayerNormalization", "R2,3,5 R2,3,5 R5", "axis=2", 3},
    {"LayerNormalization", "R2,3,5 R1,5", "axis=1", 1},
    {"RMSNormalization", "R2,3,5 R1", "", 1},
    {"LayerNormalization", "R2,3,5 R5 R5", "epsilon=0.1", 1},
    {"LayerNormalization", "R2,3,5 R3,5 R3,5", "axis=1", 2},
    {"LayerNormalization", "R4,7 R7 R7", "epsilon=0.01", 3},
    {"LayerNormalization", "R2,3,5 R2,3,5", "axis=-3", 3},
    {"RMSNormalization", "R3,8 R8", "", 1},
    {"RMSNormalization", "R2,3,5 R3,5", "axis=1 epsilon=0.1", 1},
    {"RMSNormalization", "R2,3,5 R5", "epsilon=0.1", 2},
    {"NormalizeGrad", "R3,8 R3,8 R8 K3,1 R3,1", "", 1},
    {"NormalizeGrad", "R2,3,5 R2,3,5 R3,5 K2,1,1", "axis=1", 1},
    {"SoftmaxCrossEntropyLoss", "R4,5 I4<5", "", 1},
    {"SoftmaxCrossEntropyLoss", "R4,5 L4<5", "reduction=sum", 1},
    {"SoftmaxCrossEntropyLoss", "R4,5 I4<5 K5", "reduction=none", 1},
    {"SoftmaxCrossEntropyLoss", "R4,5 I4<5 K5", "", 2},
    {"SoftmaxCrossEntropyLoss", "R4,5 I4<5", "reduction=none", 2},
    {"SoftmaxCrossEntropyLoss", "R2,3,4 L2,4<3", "ignore_index=1", 2},
    {"SoftmaxCrossEntropyLoss", "R2,3,2,3 I2,2,3<3 K3", "ignore_index=0 reduction=sum", 1},
    {"NegativeLogLikelihoodLoss", "R4,5 I4<5", "", 1},
    {"NegativeLogLikelihoodLoss", "R4,5 L4<5 K5", "reduction=sum", 1},
    {"NegativeLogLikelihoodLoss", "R2,3,4 I2,4<3 K3", "ignore_index=1 reduction=none", 1},
    {"NegativeLogLikelihoodLoss", "R2,3,2,3 I2,2,3<3 K3", "", 1},
    {"NegativeLogLikelihoodGrad", "R4 R4,5 I4<5", "reduction=none", 1},
    {"NegativeLogLikelihoodGrad", "R R4,5 I4<5 K5", "reduction=sum", 1},
    {"ai.onnx.preview.training.Adagrad", "R I<5 R3 R3 K3", "decay_factor=0.1 norm_coefficient=0.2", 2},
    {"ai.onnx.preview.training.Adam", "R I<1 R3 R3 R3 K3", "alpha=0.8", 3},
    {"ai.onnx.preview.training.Adam", "R I<5 R3 R3 R3 K3", "alpha=0.8 norm_coefficient_post=0.1", 3},
    {"ai.onnx.preview.training.Momentum", "R I<5 R3 R3 R3",
     "alpha=0.9 beta=0.5 norm_coefficient=0.1 mode=nesterov", 2},
    {"ai.onnx.preview.training.Momentum", "R I<5 R3 R2,2 R3 R2,2 R3 R2,2",
     "alpha=0.9 beta=0.5 norm_coefficient=0.1 mode=standard", 4},
    {"SoftmaxCrossEntropyGrad", "R4 R4,5 I4<5", "reduction=none", 1},
    {"SoftmaxCrossEntropyGrad", "R R4,5 I4<5 K5", "reduction=sum", 1},
    {"SumRanks", "F2,3 F4 F1", "", 3},
    {"CtcLoss", "R2,6,4 I2,3<3", "blank=3", 1},
    {"CtcLoss", "R3,4,3 L3,2<2", "blank=2", 1},
    {"Sgd", "R2,3 R2,3 R2,3 R", "momentum=0.9 weight_decay=0.01", 2},
    {"Sgd", "R2,3 R2,3 R2,3 R", "momentum=0.9 nesterov=1", 2},
    {"AdamStep", "R2,3 R2,3 K2,3 R2,3 R K K", "weight_decay=0.01", 3},
    {"AdamStep", "R2,3 R2,3 K2,3 R2,3 R K K", "weight_decay=0.01 coupled=1", 3},
    {"LionStep", "R2,3 R2,3 R2,3 R", "weight_decay=0.01", 2},
    {"RmsPropStep", "R2,3 R2,3 K2,3 R2,3 R", "momentum=0.5 weight_decay=0.01", 3},
    {"QuantizeLinear", "F2,3,4 k U", "", 1},
    {"QuantizeLinear", "F2,3,4 k3 C3", "axis=1", 1},
    {"QuantizeLinear", "F4,3 k3", "axis=-1", 1},
    {"QuantizeLinear", "F4,6 k4,3 U4,3", "axis=1 block_size=2", 1},
    {"QuantizeLinear", "F5,3 k2,3", "axis=0 block_size=4 output_dtype=5", 1},
    {"QuantizeLinear", "F3,4 k", "output_dtype=17", 1},
    {"DequantizeLinear", "U4,6 k4,3 U4,3", "axis=1 block_size=2", 1},
    {"DequantizeLinear", "C5,3 k2,3", "axis=0 block_size=4 output_dtype=10", 1},
    {"com.microsoft.QuantizeLinear", "F2,3 k C", "", 1},
    {"com.microsoft.DequantizeLinear", "C2,3 k3", "axis=1", 1},
    {"DequantizeLinear", "U2,3 k U", "", 1},
    {"DequantizeLinear", "C2,3,4 k3", "axis=1", 1},
    {"QuantizeGrad", "F2,3 F2,3 k3 C3", "axis=1 to=3", 1},
    {"QuantizeGrad", "F4,6 F4,6 k4,2", "axis=1 block_size=3 to=5", 1},
    {"DynamicQuantizeLinear", "F4,3", "", 3},
    {"MatMulInteger", "U3,4 C4,5", "", 1},
    {"MatMulInteger", "C2,3,4 U4,5 C3 U5", "", 1},
    {"MatMulInteger", "U2,3,4 U2,4,5 U U", "", 1},
    {"MatMulInteger", "U4 C4,2", "", 1},
    {"QLinearMatMul", "U3,4 k U C4,5 k C k U", "", 1},
    {"QLinearMatMul", "C3,4 k3 C3 U4,5 k5 U5 k C", "", 1},
    {"QuantizedMatMul", "U3,4 k U C4,5 k C k U", "", 1},
    {"IntegerGemm", "U3,4 k U C4,5 k5 _ F5", "to=1 relu=1", 1},
    {"IntegerGemm", "C3,4 k _ C5,4 k5", "to=2 transB=1 y_scale=0.01 y_zero_point=3", 1},
    {"Lookup", "U3,4 C256", "", 1},
    {"Lookup", "C2,300 U256", "", 1},
    {"Lookup", "U2,300 R256", "", 1},
#include "ops/op_cases_attention.inc.h"
#include "ops/op_cases_conv.inc.h"
#include "ops/op_cases_microsoft.inc.h"
#include "ops/op_cases_moves.inc.h"
#include "ops/op_cases_recurrent.inc.h"
};
#define OP_CASE_COUNT (int)(sizeof op_cases / sizeof *op_cases)

#define CASE_MAX_INPUTS 20
#define CASE_MAX_OUTPUTS 8

/* A graph of one node, its inputs and their content. */
typedef struct built_case {
    hone_graph *g;
    hone_node *node;
    int inputs; /* of the graph, in order */
    hone_tensor *data[CASE_MAX_INPUTS];
    bool real[CASE_MAX_INPUTS]; /* a gradient goes there */
    int slot[CASE_MAX_INPUTS];  /* which input of the node it is */
    int ones;                   /* in the place of each S */
} built_case;

/* "Add", "SumTo" (Hone's own), "com.microsoft.Gelu" */
static const hone_op *case_op(const op_case *c) {
    const char *dot = strrchr(c->op, '.');
    char domain[64];
    const hone_op *op = hone_op_find("", c->op);
    snprintf(domain, sizeof domain, "%.*s", dot ? (int)(dot - c->op) : 0, c->op);
    return op ? op : hone_op_find(dot ? domain : HONE_PRIVATE_DOMAIN, dot ? dot + 1 : c->op);
}

static double case_number(const hone_op *op, hone_rng *rng, char kind) {
    double lo = op->domain_hint.lo, hi = op->domain_hint.hi, x;
    if (kind == 'K' || kind == 'k') return 0.5 + hone_rng_uniform(rng);
    if (lo == hi) lo = -1, hi = 1;
    do x = lo + (hi - lo) * hone_rng_uniform(rng);
    while ((op->domain_hint.kink_at_zero || strcmp(op->name, "Div") == 0 || strcmp(op->name, "Mod") == 0) &&
           x > -0.1 && x < 0.1);
    return x;
}

static int case_dims(const char **at, int64_t *dims) {
    int rank = 0;
    while (**at >= '0' && **at <= '9') {
        dims[rank++] = strtoll(*at, (char **)at, 10);
        if (**at == ',') (*at)++;
    }
    return rank;
}

static hone_tensor *case_tensor(const hone_op *op, const char **at, hone_dtype real, hone_rng *rng) {
    char kind = *(*at)++;
    int64_t dims[HONE_MAX_RANK], below = 0;
    int rank = case_dims(at, dims);
    if (**at == '<') {
        (*at)++;
        below = strtoll(*at, (char **)at, 10);
    }
    hone_dtype dtype = kind == 'R' || kind == 'K' ? real
                       : kind == 'I'              ? HONE_INT64
                       : kind == 'L'              ? HONE_INT32
                       : kind == 'U'              ? HONE_UINT8
                       : kind == 'C'              ? HONE_INT8
                       : kind == 'B'              ? HONE_BOOL
                                                  : HONE_FLOAT32;
    hone_tensor *t = NULL;
    if (hone_tensor_new(dtype, rank, dims, &t, NULL) != HONE_OK) return NULL;
    for (int64_t i = 0; i < t->count; i++) {
        double x = case_number(op, rng, kind);
        uint32_t whole = hone_rng_u32(rng);
        switch (dtype) {
        case HONE_FLOAT64: ((double *)t->data)[i] = (float)x; break;
        case HONE_FLOAT32: ((float *)t->data)[i] = (float)x * (kind == 'k' ? 0.01f : 1); break;
        case HONE_INT64: ((int64_t *)t->data)[i] = below ? (int64_t)whole % below : 0; break;
        case HONE_INT32: ((int32_t *)t->data)[i] = below ? (int32_t)(whole % (uint32_t)below) : 0; break;
        case HONE_BOOL: ((uint8_t *)t->data)[i] = whole & 1; break;
        case HONE_UINT8:
        case HONE_INT8: ((uint8_t *)t->data)[i] = (uint8_t)whole; break;
        default: break; /* `real` of another kind: the test fills it */
        }
    }
    return t;
}

static hone_value *case_ones(built_case *b) {
    int64_t *values = calloc((size_t)b->ones, sizeof *values);
    for (int i = 0; values && i < b->ones; i++) values[i] = 1;
    hone_value *v = values ? hone_graph_ints(b->g, values, b->ones) : NULL;
    free(values);
    return v;
}

static hone_value *case_input(built_case *b, const hone_op *op, const char **at, int slot, hone_dtype real,
                              hone_rng *rng) {
    if (**at == 'S') {
        int64_t values[HONE_MAX_RANK];
        int n = 0;
        *at += 2;
        while (**at && **at != ' ') {
            values[n++] = strtoll(*at, (char **)at, 10);
            if (**at == ',') (*at)++;
        }
        if (b->ones) return case_ones(b);
        return hone_graph_ints(b->g, values, n);
    }
    if (**at == 'N') {
        float values[2 * HONE_MAX_RANK];
        int n = 0;
        *at += 2;
        while (**at && **at != ' ') {
            values[n++] = strtof(*at, (char **)at);
            if (**at == ',') (*at)++;
        }
        return hone_graph_floats(b->g, values, n);
    }
    int i = b->inputs++;
    b->real[i] = **at == 'R';
    b->slot[i] = slot;
    b->data[i] = case_tensor(op, at, real, rng);
    hone_type type = {.kind = HONE_KIND_TENSOR, .dtype = b->data[i]->dtype, .rank = b->data[i]->rank};
    memcpy(type.dims, b->data[i]->dims, sizeof type.dims);
    return hone_graph_add_input(b->g, "x", &type);
}

static hone_attr_type case_attr_type(const hone_op *op, const char *name) {
    const hone_attr_def *def = hone_attr_find(op->attrs, name);
    return def ? def->type : HONE_ATTR_NONE;
}

static void case_attrs(built_case *b, const char *text) {
    char copy[256], *save;
    snprintf(copy, sizeof copy, "%s", text);
    for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
        char *value = strchr(word, '=');
        *value++ = 0;
        int64_t ints[HONE_MAX_RANK];
        size_t n = 0;
        switch (case_attr_type(b->node->op, word)) {
        case HONE_ATTR_INT: hone_node_set_int(b->g, b->node, word, strtoll(value, NULL, 10)); break;
        case HONE_ATTR_FLOAT: hone_node_set_float(b->g, b->node, word, strtof(value, NULL)); break;
        case HONE_ATTR_STRING: hone_node_set_string(b->g, b->node, word, value); break;
        case HONE_ATTR_INTS:
            for (char *at = value; *at; at += *at == ',') ints[n++] = strtoll(at, &at, 10);
            hone_node_set_ints(b->g, b->node, word, ints, n);
            break;
        case HONE_ATTR_FLOATS: {
            float floats[HONE_MAX_RANK];
            for (char *at = value; *at; at += *at == ',') floats[n++] = strtof(at, &at);
            hone_node_set_floats(b->g, b->node, word, floats, n);
            break;
        }
        case HONE_ATTR_STRINGS: {
            hone_string strings[HONE_MAX_RANK];
            for (char *at = value, *end; *at; at = end + (*end == ',')) {
                end = at + strcspn(at, ",");
                strings[n++] = (hone_string){at, (size_t)(end - at)};
            }
            hone_node_set_strings(b->g, b->node, word, strings, n);
            break;
        }
        default: b->g->failed = true;
        }
    }
}

/* The case's graph, its node's outputs being graph outputs; `real` is the dtype of R and K inputs. ones > 0:
 * there are so many ones in the place of each S. */
static inline bool case_build_ones(const op_case *c, hone_dtype real, int ones, built_case *b) {
    const hone_op *op = case_op(c);
    hone_value *in[CASE_MAX_INPUTS];
    int count = 0;
    *b = (built_case){.g = hone_graph_new(c->op), .ones = ones};
    if (!op || !b->g) return false;
    hone_rng rng = hone_rng_make(7, hone_hash(c->inputs, strlen(c->inputs)));
    for (const char *at = c->inputs; *at;) {
        if (*at == ' ') at++;
        if (*at == '_') {
            in[count++] = NULL;
            at++;
        } else {
            in[count] = case_input(b, op, &at, count, real, &rng);
            count++;
        }
    }
    b->node = hone_graph_add_node(b->g, op, "node", count, in, c->outputs);
    if (!b->node) return false;
    case_attrs(b, c->attrs);
    for (int i = 0; i < c->outputs; i++) hone_graph_add_output(b->g, b->node->outputs[i]);
    return hone_graph_check(b->g, NULL) == HONE_OK;
}

static inline bool case_build(const op_case *c, hone_dtype real, built_case *b) {
    return case_build_ones(c, real, 0, b);
}

static inline void case_free(built_case *b) {
    for (int i = 0; i < b->inputs; i++) hone_tensor_free(b->data[i]);
    hone_graph_free(b->g);
}

/* --- running --- */

/* A graph ready to run. */
typedef struct runner {
    hone_model *model;
    hone_session *session;
    hone_context *context;
} runner;

static inline hone_status runner_open(const hone_graph *g, const char *disabled, int threads, runner *r,
                                      hone_error *err) {
    hone_model_options options = HONE_MODEL_OPTIONS_INIT;
    hone_session_options session = HONE_SESSION_OPTIONS_INIT;
    options.disable_rewrites = disabled;
    session.threads = threads;
    *r = (runner){0};
    hone_status status = hone_model_compile(g, &options, &r->model, err);
    if (status == HONE_OK) status = hone_session_create(r->model, &session, &r->session, err);
    if (status == HONE_OK) status = hone_context_create(r->session, &r->context, err);
    return status;
}

static inline void runner_close(runner *r) {
    hone_context_free(r->context);
    hone_session_free(r->session);
    hone_model_free(r->model);
}

static inline double tensor_at(const hone_tensor *t, int64_t i) {
    if (t->dtype == HONE_FLOAT64) return ((const double *)t->data)[i];
    if (t->dtype == HONE_FLOAT32) return ((const float *)t->data)[i];
    return (double)hone_tensor_int(t, i);
}

#endif
