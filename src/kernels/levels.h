/* The kernels that every ISA level has: the one list from which come their declarations
 * (hone_<field>_<level>) and the rows of the dispatch table. The list gives fields of hone_kernels; what is
 * not in it is the same at all levels and declared at the end. */
#ifndef HONE_KERNELS_LEVELS_H
#define HONE_KERNELS_LEVELS_H

#include "kernels/kernels.h"

/* X(field, level) */
#define HONE_KERNELS_GEMM_F32(X, level)                                                                      \
    X(gemm_f32_packed_size, level) X(gemm_f32_pack, level) X(gemm_f32_pack_part, level) X(gemm_f32, level)
#define HONE_KERNELS_GEMM_U8S8(X, level)                                                                     \
    X(gemm_u8s8_packed_size, level) X(gemm_u8s8_pack, level) X(gemm_u8s8, level)
/* clang-format off */
#define HONE_KERNELS_REST(X, level)                                                                          \
    X(sum_u8, level) X(flip_sign, level) X(program, level) X(cast, level)                                    \
    X(quantize_u8, level) X(quantize_s8, level) X(dequantize_u8, level) X(dequantize_s8, level)              \
    X(softmax_f32, level) X(log_softmax_f32, level) X(sum_f32, level) X(min_max_f32, level)                  \
    X(sum_rows_f32, level) X(argmax_f32, level) X(transpose_32, level)
/* clang-format on */
#define HONE_KERNELS_LEVEL(X, level)                                                                         \
    HONE_KERNELS_GEMM_F32(X, level) HONE_KERNELS_GEMM_U8S8(X, level) HONE_KERNELS_REST(X, level)

#define HONE_KERNEL_DECLARE(field, level)                                                                    \
    extern __typeof__(*((hone_kernels *)0)->field) hone_##field##_##level;
/* Panel and rows of the GEMMs are constants beside their functions. */
#define HONE_KERNEL_DECLARE_TILE_F32(level)                                                                  \
    extern const int hone_gemm_f32_panel_##level, hone_gemm_f32_rows_##level;
#define HONE_KERNEL_DECLARE_TILE(level)                                                                      \
    extern const int hone_gemm_u8s8_panel_##level, hone_gemm_u8s8_rows_##level;

HONE_KERNELS_LEVEL(HONE_KERNEL_DECLARE, generic)
HONE_KERNELS_LEVEL(HONE_KERNEL_DECLARE, v2)
HONE_KERNELS_LEVEL(HONE_KERNEL_DECLARE, v3)
HONE_KERNELS_LEVEL(HONE_KERNEL_DECLARE, v4)
HONE_KERNELS_GEMM_U8S8(HONE_KERNEL_DECLARE, v3_vnni) /* avx_vnni: 256 bits */
HONE_KERNELS_GEMM_U8S8(HONE_KERNEL_DECLARE, v4_vnni) /* avx512_vnni */
HONE_KERNEL_DECLARE_TILE_F32(generic)
HONE_KERNEL_DECLARE_TILE_F32(v2)
HONE_KERNEL_DECLARE_TILE_F32(v3)
HONE_KERNEL_DECLARE_TILE_F32(v4)
HONE_KERNEL_DECLARE_TILE(generic)
HONE_KERNEL_DECLARE_TILE(v2)
HONE_KERNEL_DECLARE_TILE(v3)
HONE_KERNEL_DECLARE_TILE(v4)
HONE_KERNEL_DECLARE_TILE(v3_vnni)
HONE_KERNEL_DECLARE_TILE(v4_vnni)

/* The same at every level: portable C. */
void hone_gemm_f64_generic(const hone_gemm_f64 *g, int64_t m0, int64_t m1, int64_t n0, int64_t n1);
/* One instruction of a program that computes in the type of the name. */
typedef void hone_instr_fn(const hone_instr *i, void *const *registers, int64_t n);
hone_instr_fn hone_instr_f64, hone_instr_i32, hone_instr_i64, hone_instr_u32, hone_instr_u64;
/* The plain form that the vector ones are tested against, with libm's functions. */
hone_instr_fn hone_instr_f32_reference;
void hone_softmax_f64(const double *x, double *y, int64_t n);
void hone_log_softmax_f64(const double *x, double *y, int64_t n);
double hone_sum_f64(const double *x, int64_t n);
void hone_sum_rows_f64(const double *x, int64_t rows, int64_t columns, int64_t row, double *y,
                       bool accumulate);

#endif
