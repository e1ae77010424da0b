#include "ops/rewrites/rewrites.h"

/* What may stand behind a product that becomes one of integers: [Add] [Relu] [QuantizeLinear]. */
#define INTEGER_RESULT "QuantizeLinear(r, const y_scale, const y_zero?; ...) | r where r = Relu(p) | p, "

/* clang-format off */
static const hone_rewrite list[] = {
    {"layer-norm", HONE_STAGE_CANONICAL,
     .match = {"Add(n, shift) | n where "
               "n = Mul(q, scale), "
               "q = Div(d, e) | Mul(d, Reciprocal(e)) | Mul(d, Div(1, e)), "
               "e = Sqrt(Add(ReduceMean(s, axes), epsilon)), "
               "s = Pow(d, 2) | Mul(d, d), "
               "d = Sub(x, ReduceMean(x, axes))",
               "Add(Mul(x, r), Sub(shift, Mul(mean, r))) where "
               "r = Mul(i, scale), "
               "i = Reciprocal(e) | Div(1, e), "
               "e = Sqrt(Add(ReduceMean(s, axes), epsilon)), "
               "s = Pow(d, 2) | Mul(d, d), "
               "d = Sub(x, mean), "
               "mean = ReduceMean(x, axes)"},
     .replace = "LayerNormalization(x, scale, shift?; epsilon=epsilon)",
     .check = hone_check_last_axis,
     .example = {"x: f32[N, 3, 8]; scale: f32[8]; shift: f32[8]; axes = [-1]; epsilon = 0.00001",
                 "x: f64[N, 8]; scale: f64[8]; shift: f64[8]; axes = [1]; epsilon = f64 0.01"},
     .counterexample = {"x: f32[N, 3, 8]; scale: f32[8]; shift: f32[8]; axes = [1]; epsilon = 0.01",
                        "x: f32[N, 3, 8]; scale: f32[8]; shift: f32[8]; axes = [0, -1]; epsilon = 0.01",
                        "x: f32[N, 3, 8]; scale: f32[3, 8]; shift: f32[8]; axes = [-1]; epsilon = 0.01",
                        "x: f32[N, 8]; scale: f32[8]; shift: f32[N, 8]; axes = [-1]; epsilon = 0.01",
                        "x: f32[N, 8]; scale: f32[1]; shift: f32[8]; axes = [-1]; epsilon = 0.01"},
     .doc = "rows of mean 0 and variance 1, as PyTorch and TensorFlow write them"},
    {"rms-norm", HONE_STAGE_CANONICAL,
     .match = {"Mul(q, scale) where "
               "q = Div(x, e) | Mul(x, Reciprocal(e)) | Mul(x, Div(1, e)), "
               "e = Sqrt(Add(ReduceMean(s, axes), epsilon)), "
               "s = Pow(x, 2) | Mul(x, x)"},
     .replace = "RMSNormalization(x, scale; epsilon=epsilon)",
     .check = hone_check_last_axis,
     .example = {"x: f32[N, 3, 8]; scale: f32[8]; axes = [-1]; epsilon = 0.00001"},
     .counterexample = {"x: f32[N, 3, 8]; scale: f32[8]; axes = [1]; epsilon = 0.01",
                        "x: f32[N, 3, 8]; scale: f32[3, 8]; axes = [2]; epsilon = 0.01"},
     .doc = "rows of mean square 1"},
    {"gelu", HONE_STAGE_CANONICAL,
     .match = {"Mul(Mul(x, 0.5), s) | Mul(x, Mul(s, 0.5)) | Mul(Mul(x, s), 0.5) | Div(Mul(x, s), 2) where "
               "s = Add(f, 1) | Sum(1, f), "
               "f = Erf(Div(x, 1.4142135623730951) | Mul(x, 0.7071067811865476))"},
     .replace = "Gelu(x)",
     .example = {"x: f32[N, 5]", "x: f64[N, 5]"},
     .doc = "x times the normal distribution function of x, by erf"},
    {"gelu-tanh", HONE_STAGE_CANONICAL,
     .match = {"Mul(Mul(x, 0.5), s) | Mul(x, Mul(s, 0.5)) | Mul(Mul(x, s), 0.5) where "
               "s = Add(Tanh(t), 1) | Sum(1, Tanh(t)), "
               "t = Mul(Add(x, c) | Sum(x, c), 0.7978845608028654) | Mul(Mul(x, 0.7978845608028654), Add(l, 1)), "
               "l = Mul(Mul(x, 0.044715), x) | Mul(Mul(x, x), 0.044715), "
               "c = Mul(Pow(x, 3) | Mul(x, Mul(x, x)), 0.044715)"},
     .replace = "Gelu(x; approximate='tanh')",
     .example = {"x: f32[N, 5]"},
     .doc = "the same, by tanh"},
    {"hard-swish", HONE_STAGE_CANONICAL,
     .match = {"Mul(x, h) | Div(Mul(x, c), 6) | Mul(Mul(x, c), 0.16666666666666666) where "
               "h = HardSigmoid(x; alpha=0.16666666666666666, beta=0.5) | Div(c, 6) | Mul(c, 0.16666666666666666), "
               "c = Clip(s, 0, 6) | Min(Max(s, 0), 6) | Min(6, Max(0, s)) | Min(Relu(s), 6), "
               "s = Add(x, 3)"},
     .replace = "HardSwish(x)",
     .check = hone_check_float,
     .example = {"x: f32[N, 5]"},
     .counterexample = {"x: i32[N, 5]"},
     .doc = "x times a line held in [0, 1]"},

    {"free-batch", HONE_STAGE_CANONICAL,
     .run = hone_rewrite_free_batch,
     .doc = "a Reshape that gives samples other axes takes the batch as it is, where the file fixes its size"},
    {"real-parameters", HONE_STAGE_LOWER,
     .run = hone_rewrite_real_parameters,
     .doc = "quantized scales and shifts of normalizations become real numbers: they are few"},
    {"spread-blocks", HONE_STAGE_LOWER,
     .match = {"QuantizeLinear(spread, const y_scale, const y_zero?; ...) | spread where "
               "spread = ConvTranspose(x, w, bias?; strides=[2, 2], ...)"},
     .check = hone_check_spread_blocks,
     .build = hone_build_spread_blocks,
     .example = {"x: f32[2, 3, 5, 4]; w: const f32[3, 6, 2, 2]; bias: const f32[6]; y_scale = 0.05; y_zero = u8 3"},
     .counterexample = {"x: f32[2, 3, 5, 4]; w: const f32[3, 6, 3, 2]; bias: const f32[6]; y_scale = 0.05",
                        "x: f32[2, 3, 5, 4]; w: f32[3, 6, 2, 2]; bias: const f32[6]; y_scale = 0.05",
                        "x: f32[2, 3, 5, 4]; w: f32[3, 6, 2, 2]; bias: f32[6]; y_scale = 0.05"},
     .tolerance = 1e-4f,
     .doc = "a transposed convolution whose windows do not overlap is a product for each position, and a move"},
    {"split-quantized", HONE_STAGE_LOWER,
     .run = hone_rewrite_split_quantized,
     .doc = "quantized values are split before they become real numbers"},
    {"wide-codes", HONE_STAGE_LOWER,
     .run = hone_rewrite_wide_codes,
     .doc = "weights of 4 and 2 bits that meet quantized values become bytes, which integer products take"},
    {"quantize-first", HONE_STAGE_LOWER,
     .match = {"QuantizeLinear(Concat(a, b?, c?, d?, e?, f?, h?, i?; ...), const scale, const zero?; ...)",
               "QuantizeLinear(Pad(a, pads, value?, axes?; ...), const scale, const zero?; ...)",
               "QuantizeLinear(Resize(a, roi?, scales?, sizes?; ...), const scale, const zero?; ...)"},
     .check = hone_check_quantize_first,
     .build = hone_build_quantize_first,
     .example = {"a: f32[2, 3]; b: f32[2, 3]; pads = [0, 1, 1, 0]; value = 0.5; sizes = [4, 5]; scale = 0.02; zero = u8 7",
                 "a: f32[N, 3]; b: f32[2, 3]; c: f32[1, 3]; pads = [0, 1, 1, 0]; sizes = [4, 5]; scale = 0.02; zero = i8 -7"},
     .counterexample = {"a: f32[2, 3]; b: f32[2, 3]; scale: const f32[3] > 0; zero: const u8[3]"},
     .doc = "what is joined, padded or resized to the nearest is quantized before: fewer bytes are moved"},
    {"quantized-moves", HONE_STAGE_LOWER,
     .match = {"<move>(~DequantizeLinear(a, const scale, const zero?; ...))"},
     .check = hone_check_quantized_move,
     .build = hone_build_quantized_move,
     .example = {"a: u8[4, 6]; scale = 0.02; zero = u8 7", "a: i8[4, 6]; scale: const f32[1] > 0"},
     .counterexample = {"a: u8[4, 6]; scale: const f32[6] > 0", "a: const u8[4, 6]; scale = 0.02"},
     .doc = "what moves quantized values comes before they become real numbers: fewer bytes, and products see them"},
    {"requantize-same", HONE_STAGE_LOWER,
     .match = {"QuantizeLinear(~DequantizeLinear(a, const scale, const zero?; ...), const scale, const zero?; ...)"},
     .replace = "Identity(a)",
     .check = hone_check_same_steps,
     .example = {"a: u8[4, 6]; scale = 0.02; zero = u8 7", "a: i8[4, 6]; scale: const f32[1] > 0; zero: const i8[1]"},
     .counterexample = {"a: u8[4, 6]; scale: const f32[6] > 0; zero: const u8[6]", "a: i8[4, 6]; scale = 0.02"},
     .doc = "real numbers of a grid are quantized to the same grid: nothing changes"},
    {"lower-quantized", HONE_STAGE_LOWER,
     .match = {INTEGER_RESULT
               "p = Add(product, bias) | Gemm(x, w, bias; ...) | product, "
               "product = MatMul(x, w) | Gemm(x, w; ...), "
               "x = ~DequantizeLinear(a, const a_scale, const a_zero?; ...), "
               "w = ~Transpose(d) | ~Transpose(d; perm=[1, 0]) | d, "
               "d = ~DequantizeLinear(const b, const b_scale, const b_zero?; ...)"},
     .check = hone_check_quantized_product,
     .build = hone_build_quantized_product,
     .example = {"a: u8[5, 7]; a_scale = 0.02; a_zero = u8 120; b: const i8[7, 7]; b_scale = 0.01; "
                 "bias: const f32[7]; y_scale = 0.05; y_zero = u8 3",
                 "a: i8[N, 7]; a_scale = 0.02; b: const u8[7, 7]; b_scale = 0.01; b_zero = u8 99; "
                 "bias: const f32[1, 7]; y_scale = 0.05; y_zero = i8 3"},
     .counterexample = {"a: u8[7]; a_scale = 0.02; b: const i8[7, 7]; b_scale = 0.01",
                        "a: u8[5, 7]; a_scale: const f32[7] > 0; b: const i8[7, 7]; b_scale = 0.01",
                        "a: u8[5, 7]; a_scale = 0.02; b: const i8[7, 7]; b_scale = 0.01; bias: f32[7]",
                        "a: u8[5, 7]; a_scale = 0.02; b: const i8[7, 7]; b_scale = 0.01; bias: const f32[5, 1]",
                        "a: u8[5, 7]; a_scale = 0.02; b: const i8[7, 7]; b_scale = 0.01; y_scale: const f32[7] > 0"},
     .tolerance = 1e-4f,
     .doc = "products of quantized matrices are computed in integers"},
    {"lower-dynamic", HONE_STAGE_LOWER,
     .match = {INTEGER_RESULT
               "p = Add(scaled, bias) | scaled, "
               "scaled = Mul(Cast(product; to=1), scales), "
               "scales = ~Mul(a_scale, const b_scale), "
               "product = MatMulInteger(a, const b, a_zero?, const b_zero?)"},
     .check = hone_check_dynamic_product,
     .build = hone_build_quantized_product,
     .example = {"a: u8[5, 7]; a_scale: f32[] > 0; a_zero: u8[]; b: const i8[7, 4]; b_scale: const f32[4] > 0; "
                 "bias: const f32[4]; y_scale = 2; y_zero = u8 128",
                 "a: i8[N, 7]; a_scale: f32[1] > 0; b: const u8[7, 4]; b_zero = u8 99; b_scale = 0.01; "
                 "bias: const f32[4]; y_scale = 0.5; y_zero = i8 3"},
     .counterexample = {"a: u8[5, 7]; a_scale: f32[4] > 0; b: const i8[7, 4]; b_scale = 0.01",
                        "a: u8[5, 7]; a_scale: f32[] > 0; a_zero: u8[5]; b: const i8[7, 4]; b_scale = 0.01",
                        "a: u8[5, 7]; a_scale: f32[] > 0; b: const i8[2, 7, 4]; b_scale = 0.01",
                        "a: u8[5, 7]; a_scale: f32[] > 0; b: const i8[7, 4]; b_scale = 0.01; bias: f32[4]"},
     .tolerance = 1e-4f,
     .doc = "products of dynamically quantized matrices get their scales, bias and Relu where they are computed"},
    {"lower-quantized-conv", HONE_STAGE_LOWER,
     .match = {INTEGER_RESULT
               "p = Conv(x, w, bias?; ...), "
               "x = ~DequantizeLinear(a, const a_scale, const a_zero?; ...), "
               "w = ~DequantizeLinear(const b, const b_scale, const b_zero?; ...)"},
     .check = hone_check_quantized_conv,
     .build = hone_build_quantized_conv,
     .example = {"a: u8[N, 4, 7, 6]; a_scale = 0.02; a_zero = u8 120; b: const i8[5, 4, 3, 2]; b_scale = 0.01; "
                 "bias: const f32[5]; y_scale = 0.05; y_zero = u8 3",
                 "a: i8[2, 4, 7]; a_scale = 0.02; b: const u8[5, 4, 3]; b_scale = 0.01; b_zero = u8 99; "
                 "bias: const f32[5]; y_scale = 0.05; y_zero = i8 3"},
     .counterexample = {"a: u8[2, 4, 7]; a_scale = 0.02; b: const u8[5, 4, 3]; b_scale = 0.01; bias: f32[5]",
                        "a: i32[2, 4, 7]; a_scale = 0.02; b: const u8[5, 4, 3]; b_scale = 0.01; bias: f32[5]"},
     .tolerance = 1e-4f,
     .doc = "convolutions of quantized images are computed in integers"},
    {"lower-dynamic-conv", HONE_STAGE_LOWER,
     .match = {INTEGER_RESULT
               "p = Add(scaled, bias) | scaled, "
               "scaled = Mul(Cast(conv; to=1), scales), "
               "scales = ~Mul(a_scale, const b_scale), "
               "conv = ConvInteger(a, const b, a_zero?, const b_zero?; ...)"},
     .check = hone_check_dynamic_conv,
     .build = hone_build_dynamic_conv,
     .example = {"a: u8[N, 4, 7, 6]; a_scale: f32[] > 0; a_zero: u8[]; b: const i8[5, 4, 3, 2]; b_scale = 0.01; "
                 "bias: const f32[1, 5, 1, 1]; y_scale = 2; y_zero = u8 128",
                 "a: u8[2, 4, 7]; a_scale: f32[1] > 0; b: const u8[5, 4, 3]; b_zero = u8 99; "
                 "b_scale: const f32[5, 1] > 0; bias: const f32[5, 1]; y_scale = 0.5; y_zero = i8 3",
                 "a: u8[2, 4, 7]; a_scale: f32[] > 0; b: const i8[1, 4, 3]; b_zero = i8 0; b_scale: const f32[1, 1] > 0; "
                 "bias: const f32[1, 1]; y_scale = 0.5; y_zero = u8 3"},
     .counterexample = {"a: u8[2, 4, 7]; a_scale: f32[5, 1] > 0; b: const u8[5, 4, 3]; b_scale = 0.01",
                        "a: u8[2, 4, 7]; a_scale: f32[] > 0; b: const u8[5, 4, 3]; b_scale: const f32[5] > 0",
                        "a: u8[2, 4, 7]; a_scale: f32[] > 0; b: const u8[5, 4, 3]; b_scale = 0.01; bias: const f32[5]",
                        "a: u8[2, 4, 7]; a_scale: f32[] > 0; b: const u8[5, 4, 3]; b_scale = 0.01; bias: f32[5, 1]"},
     .tolerance = 1e-4f,
     .doc = "convolutions of dynamically quantized images get their scales, bias and Relu where they are computed"},
    {"bits-product", HONE_STAGE_LOWER,
     .run = hone_rewrite_bits_product,
     .doc = "weights in few bits stay packed, and are multiplied as they lie: with scales for blocks, which may have offsets, "
            "or for channels; rows that are looked up among them, too"},
    {"bits-rows", HONE_STAGE_LOWER,
     .match = {"Gather(~DequantizeLinear(const b, const scale, const zero?; ...), indices; ...)"},
     .check = hone_check_bits_rows,
     .build = hone_build_bits_rows,
     .example = {"b: const i8[7, 4]; scale = 0.5; zero = i8 3; indices = [1, 3]"},
     .counterexample = {"b: const i8[7, 4]; scale: const f32[4] > 0; indices = [1, 3]"},
     .doc = "rows are looked up among codes, and become real numbers then"},
    {"real-weights", HONE_STAGE_LOWER,
     .run = hone_rewrite_real_weights,
     .doc = "quantized weights of products in float without a kernel for their bits become real numbers once"},
    {"unsigned-activations", HONE_STAGE_LOWER,
     .run = hone_rewrite_unsigned_activations,
     .doc = "int8 between integer products becomes uint8, which their kernels take"},
    {"lazy-rows", HONE_STAGE_LOWER,
     .run = hone_rewrite_lazy_rows,
     .doc = "of a table of which rows are gathered an optimizer steps those rows alone"},
    {"gather-mean", HONE_STAGE_LOWER,
     .run = hone_rewrite_gather_mean,
     .doc = "means of gathered rows are made without a copy of these"},

    {"drop-dropout", HONE_STAGE_WEIGHTS,
     .match = {"Dropout(x, ratio?; ...)"},
     .replace = "Identity(x)",
     .example = {"x: f32[N, 3]; ratio = 0.5"},
     .doc = "nothing is dropped where nobody trains"},
    {"lower-batch-norm", HONE_STAGE_WEIGHTS,
     .match = {"BatchNormalization(x, const scale, const shift, const mean, const var; ...)"},
     .check = hone_check_batch_norm,
     .build = hone_build_batch_norm,
     .example = {"x: f32[N, 3, 4]; scale: const f32[3]; shift: const f32[3]; mean: const f32[3]; var: const f32[3] > 0",
                 "x: f32[N, 3]; scale: const f32[3]; shift: const f32[3]; mean: const f32[3]; var: const f32[3] > 0"},
     .counterexample = {"x: f64[N, 3]; scale: const f64[3]; shift: const f64[3]; mean: const f64[3]; "
                        "var: const f64[3] > 0"},
     .doc = "normalizing by constant statistics is scaling and shifting, which are folded or fused further"},
    {"fold-scale", HONE_STAGE_WEIGHTS,
     .match = {"Mul(product, const k) | Div(product, const k) where "
               "product = MatMul(x, const w) | Gemm(x, const w, const c?; ...)"},
     .check = hone_check_scaled_output,
     .build = hone_build_scaled_output,
     .example = {"x: f32[N, 6]; w: const f32[6, 4]; k = 0.7",
                 "x: f32[N, 6]; w: const f32[6, 4]; k: const f32[4] > 0",
                 "x: f32[N, 6]; w: const f32[6, 4]; k: const f32[1, 4] > 0; c: const f32[4]",
                 "x: f32[N, 6]; w: const f32[6, 4]; k: const f32[1] > 0; c: const f32[1]"},
     .counterexample = {"x: f32[5, 6]; w: const f32[6, 4]; k: const f32[5, 1]",
                        "x: f32[5, 6]; w: const f32[6, 4]; k: const f32[5, 4]",
                        "x: f32[5, 6]; w: const f32[6, 4]; k: const f32[1, 1, 4]",
                        "x: f32[5, 6]; w: const f32[6, 4]; k: const f32[4]; c: const f32[1]",
                        "x: f64[5, 6]; w: const f64[6, 4]; k: const f64[4]"},
     .doc = "scaling the columns of a product by constants scales its weights instead"},
    {"fold-bias", HONE_STAGE_WEIGHTS,
     .match = {"Add(product, const k) where product = Gemm(x, const w, const c?; ...)"},
     .check = hone_check_shifted_output,
     .build = hone_build_shifted_output,
     .example = {"x: f32[N, 6]; w: const f32[6, 4]; k: const f32[4]",
                 "x: f32[N, 6]; w: const f32[6, 4]; k = 0.5",
                 "x: f32[N, 6]; w: const f32[6, 4]; k: const f32[1, 4]; c: const f32[4]",
                 "x: f32[N, 6]; w: const f32[6, 4]; k: const f32[4]; c = 0.5"},
     .counterexample = {"x: f32[5, 6]; w: const f32[6, 4]; k: const f32[5, 1]",
                        "x: f32[5, 6]; w: const f32[6, 4]; k: const f32[1, 1, 4]",
                        "x: f32[5, 6]; w: const f32[6, 4]; k: const f32[4]; c: const f32[5, 4]"},
     .doc = "a row that is added to a product with a bias is added to the bias"},
    {"fold-affine", HONE_STAGE_WEIGHTS,
     .match = {"MatMul(v, const w) | Gemm(v, const w, const c?; ...) where "
               "v = <view>(u) | u, "
               "u = <view>(y) | y, "
               "y = Mul(x, const k) | Div(x, const k) | Add(x, const k) | Sub(x, const k) | Sub(const k, x)"},
     .check = hone_check_affine_input,
     .build = hone_build_affine_input,
     .example = {"x: f32[5, 6]; k = 0.7; w: const f32[6, 4]",
                 "x: f32[5, 6]; k = 0.7; w: const f32[6, 4]; c: const f32[4]"},
     .counterexample = {"x: f32[5, 6]; k = 0.7; w: const f32[6, 4]; c: const f32[5, 4]"},
     .doc = "scaling and shifting by constants goes into the weights of the layer behind it"},

    {"fold-channels", HONE_STAGE_WEIGHTS,
     .match = {"Mul(conv, const k) | Div(conv, const k) | Add(conv, const k) | Sub(conv, const k) where "
               "conv = Conv(x, const w, const c?; ...) | ConvTranspose(x, const w, const c?; ...)"},
     .check = hone_check_conv_channels,
     .build = hone_build_conv_channels,
     .example = {"x: f32[N, 4, 5, 6]; w: const f32[4, 4, 2, 3]; k: const f32[4, 1, 1] > 0; c: const f32[4]",
                 "x: f32[N, 4, 5, 6]; w: const f32[4, 4, 2, 3]; k: const f32[1, 4, 1, 1] > 0",
                 "x: f32[N, 4, 5]; w: const f32[4, 4, 2]; k = 0.7"},
     .counterexample = {"x: f32[5, 4, 5, 6]; w: const f32[4, 4, 2, 3]; k: const f32[5, 1, 1, 1] > 0",
                        "x: f32[N, 4, 5, 5]; w: const f32[4, 4, 2, 2]; k: const f32[4] > 0",
                        "x: f64[N, 4, 5, 6]; w: const f64[4, 4, 2, 3]; k: const f64[4, 1, 1] > 0"},
     .doc = "scaling and shifting channels by constants goes into the weights of the convolution that gives them"},
    {"fold-pad", HONE_STAGE_WEIGHTS,
     .match = {"Conv(Pad(x, const pads, const zero?, const axes?), w, c?; ...)"},
     .check = hone_check_conv_pad,
     .build = hone_build_conv_pad,
     .example = {"x: f32[N, 4, 5, 6]; w: f32[3, 4, 2, 3]; c: f32[3]; pads = [0, 0, 1, 2, 0, 0, 0, 1]; zero = 0",
                 "x: f32[N, 4, 5, 6]; w: f32[3, 4, 2, 3]; pads = [1, 2]; axes = [-1]; zero = 0"},
     .counterexample = {"x: f32[N, 4, 5, 6]; w: f32[3, 4, 2, 3]; pads = [0, 0, 1, 2, 0, 0, 0, 1]; zero = 1",
                        "x: f32[N, 4, 5, 6]; w: f32[3, 4, 2, 3]; pads = [0, 0, -1, 2, 0, 0, 0, 1]",
                        "x: f32[N, 3, 5, 6]; w: f32[3, 4, 2, 3]; pads = [0, 1, 1, 2, 0, 0, 0, 1]"},
     .doc = "zeros around the input of a convolution are pads of its own"},

    {"attention", HONE_STAGE_LAYOUT,
     .run = hone_rewrite_attention,
     .doc = "products around a Softmax become attention, of heads where they lie"},
    {"channels-last", HONE_STAGE_LAYOUT,
     .run = hone_rewrite_channels_last,
     .doc = "images lie with their channels last from convolution to convolution"},
    {"winograd", HONE_STAGE_LAYOUT,
     .run = hone_rewrite_winograd,
     .doc = "convolutions by 3 x 3 windows multiply less often: sums of weights by sums of elements, in tiles"},

    {"fuse-elementwise", HONE_STAGE_FUSE,
     .run = hone_rewrite_fuse_elementwise,
     .doc = "chains of elementwise operators become one vector program"},
    {"lower-lookups", HONE_STAGE_FUSE,
     .run = hone_rewrite_lower_lookups,
     .doc = "elementwise work on bytes, as between quantized values, becomes a table of 256 entries"},
    {"fuse-epilogue", HONE_STAGE_FUSE,
     .run = hone_rewrite_fuse_epilogue,
     .doc = "elementwise work behind a product runs on its finished strips"},
};
/* clang-format on */

const hone_rewrite *hone_rewrite_at(int index) {
    return index >= 0 && index < (int)(sizeof list / sizeof *list) ? &list[index] : NULL;
}
