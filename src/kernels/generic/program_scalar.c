#include "kernels/levels.h"

#include <assert.h>
#include <math.h>

#define NAME hone_program_f64
#define TYPE double
#define MATH(fn) fn
#include "kernels/generic/program_scalar.inc.h"

#define NAME hone_program_f32_reference
#define TYPE float
#define MATH(fn) fn##f
#include "kernels/generic/program_scalar.inc.h"

#define NAME hone_program_i32
#define TYPE int32_t
#define UNSIGNED uint32_t
#include "kernels/generic/program_scalar.inc.h"

#define NAME hone_program_i64
#define TYPE int64_t
#define UNSIGNED uint64_t
#include "kernels/generic/program_scalar.inc.h"
