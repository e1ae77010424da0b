/* The kernels that every ISA level has: the one list from which come their declarations
 * (hone_<field>_<level>) and the rows of the dispatch table. The list gives fields of hone_kernels; GEMM families
 * are constants beside their kernels; what is the same at all levels is declared at the end. */
#ifndef HONE_KERNELS_LEVELS_H
#define HONE_KERNELS_LEVELS_H

#include "kernels/kernels.h"

/* X(field, level) */
/* clang-format off */
#define HONE_KERNELS_LEVEL(X, level)                                                                         \
    X(sum_u8, level) X(flip_sign, level) X(program, level) X(cast, level)                                    \
    X(quantize_u8, level) X(quantize_s8, level) X(dequantize_u8, level) X(dequantize_s8, level)              \
    X(softmax_f32, level) X(log_softmax_f32, level) X(min_max_f32, level) X(argmax_f32, level)               \
    X(transpose_32, level)                                                                                   \
    X(weigh_rows_f32, level) X(normalize_f32, level) X(normalize_grad_f32, level)                            \
    X(dot_rows_f32, level) X(softcap_f32, level) X(add_f32, level)                                           \
    X(bits_round, level) X(bits_multiply, level) X(linear_attention_f32, level)                              \
    X(page_scores_f32, level) X(page_values_f32, level)                                                      \
    X(moments_f32, level) X(comoments_f32, level)                                                            \
    HONE_KERNELS_IMAGE(X, level)
/* Of kernels/image.h. */
#define HONE_KERNELS_IMAGE(X, level)                                                                         \
    X(patches_f32, level) X(patches_8, level) X(direct_f32, level) X(direct_8, level) X(weave_f32, level)    \
    X(winograd_input_f32, level) X(winograd_output_f32, level) X(winograd_weights_f32, level) X(winograd_line_f32, level)                                              \
    X(pool_f32, level) X(pool_all_f32, level) X(depthwise_f32, level) X(pool_last_f32, level)                \
    X(windows_8, level) X(depthwise_8, level) X(pool_last_8, level) X(depthwise_grad_f32, level)      \
    X(max_spread_last_f32, level)
/* clang-format on */

#define HONE_KERNEL_DECLARE(field, level)                                                                    \
    extern __typeof__(*((hone_kernels *)0)->field) hone_##field##_##level;
#define HONE_KERNELS_DECLARE(level)                                                                          \
    HONE_KERNELS_LEVEL(HONE_KERNEL_DECLARE, level)                                                           \
    extern const hone_gemm_family hone_gemm_f32_##level, hone_gemm_u8s8_##level;                             \
    extern const hone_folding hone_fold_f32_##level[HONE_FOLDS];

HONE_KERNELS_DECLARE(generic)
HONE_KERNELS_DECLARE(v2)
HONE_KERNELS_DECLARE(v3)
HONE_KERNELS_DECLARE(v4)
HONE_KERNELS_DECLARE(neon)
extern const hone_gemm_family hone_gemm_u8s8_v3_vnni; /* avx_vnni: 256 bits */
extern const hone_gemm_family hone_gemm_u8s8_v4_vnni; /* avx512_vnni */
extern const hone_gemm_family hone_gemm_u8s8_v4_amx;  /* tile registers */
extern const hone_gemm_family hone_gemm_f32_v4_amx, hone_gemm_bf16_v4_amx;
extern __typeof__(*((hone_kernels *)0)->bits_round) hone_bits_round_v3_vnni, hone_bits_round_v4_vnni;
extern __typeof__(*((hone_kernels *)0)->bits_multiply) hone_bits_multiply_v3_vnni, hone_bits_multiply_v4_vnni;
extern __typeof__(*((hone_kernels *)0)->depthwise_8) hone_depthwise_8_v3_vnni, hone_depthwise_8_v4_vnni;
extern const hone_gemm_family hone_gemm_u8s8_neon_dot, hone_gemm_u8s8_neon_i8mm;
extern __typeof__(*((hone_kernels *)0)->bits_round) hone_bits_round_neon_dot;
extern __typeof__(*((hone_kernels *)0)->bits_multiply) hone_bits_multiply_neon_dot;
extern __typeof__(*((hone_kernels *)0)->depthwise_8) hone_depthwise_8_neon_dot, hone_depthwise_8_neon_i8mm;
/* The kernels over tile registers with tiles in memory, for tests on machines without them. */
extern const hone_gemm_family hone_gemm_u8s8_tiles, hone_gemm_f32_tiles, hone_gemm_bf16_tiles;

/* The same at every level: portable C. */
extern const hone_gemm_family hone_gemm_f64;
/* One instruction of a program that computes in the type of the name. */
typedef void hone_instr_fn(const hone_instr *i, void *const *registers, int64_t n);
hone_instr_fn hone_instr_f64, hone_instr_i32, hone_instr_i64, hone_instr_u32, hone_instr_u64;
/* The plain form that the vector ones are tested against, with libm's functions. */
hone_instr_fn hone_instr_f32_reference;
void hone_softmax_f64(const double *x, double *y, int64_t n);
void hone_log_softmax_f64(const double *x, double *y, int64_t n);
void hone_normalize_f64(const hone_normalize *p, const double *x, double *y, double *mean, double *inv);
void hone_normalize_grad_f64(const hone_normalize *p, const double *dy, const double *x, double mean,
                             double inv, double *dx, double *dscale, double *dbias);
double hone_sum_f64(const double *x, int64_t n);

#endif
