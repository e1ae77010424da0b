#include "kernels/levels.h"
#include "kernels/vec_range.h"

#define PATCH_TYPE float
#define PATCH_LANES VEC_F32

VEC_FN void copy_run(const float *x, float *y, const int64_t step, int lo, int hi, int lanes, float fill) {
    (void)fill; /* 0 */
    const vec_f32 v = vec_load_lanes(x, step, lo, hi);
    if (lanes == VEC_F32)
        vec_store(y, v);
    else
        vec_store_n(y, v, lanes);
}

#include "kernels/patches.inc.h"

void HONE_ISA_NAME(patches_f32)(const hone_windows *w, const float *x, int64_t j0, int64_t j1, float *y,
                                int64_t y_row) {
    copy_patches(w, x, 0, w->channels, j0, j1, y, y_row, 0);
}
