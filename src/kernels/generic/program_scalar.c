#include "kernels/levels.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>

#define HONE_PASTE_(a, b) a##b
#define HONE_PASTE(a, b) HONE_PASTE_(a, b)

#define NAME hone_instr_f64
#define TYPE double
#define MATH(fn) fn
#include "kernels/generic/program_scalar.inc.h"

#define NAME hone_instr_f32_reference
#define TYPE float
#define MATH(fn) fn##f
#include "kernels/generic/program_scalar.inc.h"

#define NAME hone_instr_i32
#define TYPE int32_t
#define UNSIGNED uint32_t
#define SIGNED
#include "kernels/generic/program_scalar.inc.h"

#define NAME hone_instr_i64
#define TYPE int64_t
#define UNSIGNED uint64_t
#define SIGNED
#include "kernels/generic/program_scalar.inc.h"

#define NAME hone_instr_u32
#define TYPE uint32_t
#define UNSIGNED uint32_t
#include "kernels/generic/program_scalar.inc.h"

#define NAME hone_instr_u64
#define TYPE uint64_t
#define UNSIGNED uint64_t
#include "kernels/generic/program_scalar.inc.h"
