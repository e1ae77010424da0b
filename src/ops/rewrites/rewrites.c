#include "ops/rewrites/rewrites.h"

/* What may stand behind a product that becomes one of integers: [Add] [Relu] [QuantizeLinear]. */
#define INTEGER_RESULT "QuantizeLinear(r, const y_scale, const y_zero?; ...) | r where r = Relu(p) | p, "

static const hone_rewrite list[] = {
    {"quantized-moves", HONE_STAGE_LOWER,
     .match = {"<move>(~DequantizeLinear(a, const scale, const zero?; ...))"},
     .check = hone_check_quantized_move, .build = hone_build_quantized_move,
     .example = {"a: u8[4, 6]; scale = 0.02; zero = u8 7", "a: i8[4, 6]; scale: const f32[1] > 0"},
     .counterexample = {"a: u8[4, 6]; scale: const f32[6] > 0", "a: const u8[4, 6]; scale = 0.02"},
     .doc = "what moves quantized values comes before they become real numbers: fewer bytes, and products "
            "see them"},
    {"lower-quantized", HONE_STAGE_LOWER,
     .match = {INTEGER_RESULT "p = Add(product, bias) | Gemm(x, w, bias; ...) | product, "
                              "product = MatMul(x, w) | Gemm(x, w; ...), "
                              "x = ~DequantizeLinear(a, const a_scale, const a_zero?; ...), "
                              "w = ~Transpose(d) | ~Transpose(d; perm=[1, 0]) | d, "
                              "d = ~DequantizeLinear(const b, const b_scale, const b_zero?; ...)"},
     .check = hone_check_quantized_product, .build = hone_build_quantized_product,
     .example = {"a: u8[5, 7]; a_scale = 0.02; a_zero = u8 120; b: const i8[7, 7]; b_scale = 0.01; bias: "
                 "const f32[7]; "
                 "y_scale = 0.05; y_zero = u8 3",
                 "a: i8[N, 7]; a_scale = 0.02; b: const u8[7, 7]; b_scale = 0.01; b_zero = u8 99; "
                 "bias: const f32[1, 7]; y_scale = 0.05; y_zero = i8 3"},
     .counterexample =
         {"a: u8[7]; a_scale = 0.02; b: const i8[7, 7]; b_scale = 0.01",
          "a: u8[5, 7]; a_scale: const f32[7] > 0; b: const i8[7, 7]; b_scale = 0.01",
          "a: u8[5, 7]; a_scale = 0.02; b: const i8[7, 7]; b_scale = 0.01; bias: f32[7]",
          "a: u8[5, 7]; a_scale = 0.02; b: const i8[7, 7]; b_scale = 0.01; bias: const f32[5, 1]",
          "a: u8[5, 7]; a_scale = 0.02; b: const i8[7, 7]; b_scale = 0.01; y_scale: const f32[7] > 0"},
     .tolerance = 1e-4f, .doc = "products of quantized matrices are computed in integers"},
    {"lower-dynamic", HONE_STAGE_LOWER,
     .match = {INTEGER_RESULT "p = Add(scaled, bias) | scaled, scaled = Mul(Cast(product; to=1), scales), "
                              "scales = ~Mul(a_scale, const b_scale), "
                              "product = MatMulInteger(a, const b, a_zero?, const b_zero?)"},
     .check = hone_check_dynamic_product, .build = hone_build_quantized_product,
     .example =
         {"a: u8[5, 7]; a_scale: f32[] > 0; a_zero: u8[]; b: const i8[7, 4]; b_scale: const f32[4] > 0; "
          "bias: const f32[4]; y_scale = 2; y_zero = u8 128",
          "a: i8[N, 7]; a_scale: f32[1] > 0; b: const u8[7, 4]; b_zero = u8 99; b_scale = 0.01; bias: const "
          "f32[4]; "
          "y_scale = 0.5; y_zero = i8 3"},
     .counterexample = {"a: u8[5, 7]; a_scale: f32[4] > 0; b: const i8[7, 4]; b_scale = 0.01",
                        "a: u8[5, 7]; a_scale: f32[] > 0; a_zero: u8[5]; b: const i8[7, 4]; b_scale = 0.01",
                        "a: u8[5, 7]; a_scale: f32[] > 0; b: const i8[2, 7, 4]; b_scale = 0.01",
                        "a: u8[5, 7]; a_scale: f32[] > 0; b: const i8[7, 4]; b_scale = 0.01; bias: f32[4]"},
     .tolerance = 1e-4f,
     .doc = "products of dynamically quantized matrices get their scales, bias and Relu where they are "
            "computed"},
    {"unsigned-activations", HONE_STAGE_LOWER, .run = hone_rewrite_unsigned_activations,
     .doc = "int8 between integer products becomes uint8, which their kernels take"},
    {"lower-batch-norm", HONE_STAGE_LOWER,
     .match = {"BatchNormalization(x, const scale, const shift, const mean, const var; ...)"},
     .check = hone_check_batch_norm, .build = hone_build_batch_norm,
     .example = {"x: f32[N, 3, 4]; scale: const f32[3]; shift: const f32[3]; mean: const f32[3]; var: const "
                 "f32[3] > 0",
                 "x: f32[N, 3]; scale: const f32[3]; shift: const f32[3]; mean: const f32[3]; var: const "
                 "f32[3] > 0"},
     .counterexample = {"x: f64[N, 3]; scale: const f64[3]; shift: const f64[3]; mean: const f64[3]; var: "
                        "const f64[3] > 0"},
     .doc = "normalizing by constant statistics is scaling and shifting, which are folded or fused further"},
    {"fold-scale", HONE_STAGE_LOWER,
     .match = {"Mul(product, const k) | Div(product, const k) where product = MatMul(x, const w) | "
               "Gemm(x, const w, const c?; ...)"},
     .check = hone_check_scaled_output, .build = hone_build_scaled_output,
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
    {"fold-bias", HONE_STAGE_LOWER,
     .match = {"Add(product, const k) where product = Gemm(x, const w, const c?; ...)"},
     .check = hone_check_shifted_output, .build = hone_build_shifted_output,
     .example = {"x: f32[N, 6]; w: const f32[6, 4]; k: const f32[4]",
                 "x: f32[N, 6]; w: const f32[6, 4]; k = 0.5",
                 "x: f32[N, 6]; w: const f32[6, 4]; k: const f32[1, 4]; c: const f32[4]",
                 "x: f32[N, 6]; w: const f32[6, 4]; k: const f32[4]; c = 0.5"},
     .counterexample = {"x: f32[5, 6]; w: const f32[6, 4]; k: const f32[5, 1]",
                        "x: f32[5, 6]; w: const f32[6, 4]; k: const f32[1, 1, 4]",
                        "x: f32[5, 6]; w: const f32[6, 4]; k: const f32[4]; c: const f32[5, 4]"},
     .doc = "a row that is added to a product with a bias is added to the bias"},
    {"fold-affine", HONE_STAGE_LOWER,
     .match =
         {"MatMul(v, const w) | Gemm(v, const w, const c?; ...) where v = <view>(u) | u, u = <view>(y) | y, "
          "y = Mul(x, const k) | Div(x, const k) | Add(x, const k) | Sub(x, const k) | Sub(const k, x)"},
     .check = hone_check_affine_input, .build = hone_build_affine_input,
     .example = {"x: f32[5, 6]; k = 0.7; w: const f32[6, 4]",
                 "x: f32[5, 6]; k = 0.7; w: const f32[6, 4]; c: const f32[4]"},
     .counterexample = {"x: f32[5, 6]; k = 0.7; w: const f32[6, 4]; c: const f32[5, 4]"},
     .doc = "scaling and shifting by constants goes into the weights of the layer behind it"},
    {"fuse-elementwise", HONE_STAGE_FUSE, .run = hone_rewrite_fuse_elementwise,
     .doc = "chains of elementwise operators become one vector program"},
    {"lower-lookups", HONE_STAGE_FUSE, .run = hone_rewrite_lower_lookups,
     .doc = "elementwise work between quantized values becomes a table of 256 entries"},
    {"fuse-epilogue", HONE_STAGE_FUSE, .run = hone_rewrite_fuse_epilogue,
     .doc = "elementwise work behind a product runs on its finished strips"},
};

const hone_rewrite *hone_rewrite_at(int index) {
    return index >= 0 && index < (int)(sizeof list / sizeof *list) ? &list[index] : NULL;
}
