#include "kernels/levels.h"
#include "kernels/vec.h"

#if VEC_F32 == 16
#define LOW 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define HIGH 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#elif VEC_F32 == 8
#define LOW 0, 8, 1, 9, 2, 10, 3, 11
#define HIGH 4, 12, 5, 13, 6, 14, 7, 15
#else
#define LOW 0, 4, 1, 5
#define HIGH 2, 6, 3, 7
#endif

void HONE_ISA_NAME(weave_f32)(const float *x, int64_t part, int64_t parts, int64_t n, float *y) {
    int64_t done = 0; /* of each part */
    if (parts == 1) {
        memcpy(y, x, (size_t)n * sizeof *y);
        return;
    }
    for (; parts == 2 && 2 * (done + VEC_F32) <= n; done += VEC_F32) {
        const vec_f32 a = vec_load(x + done), b = vec_load(x + part + done);
        vec_store(y + 2 * done, __builtin_shufflevector(a, b, LOW));
        vec_store(y + 2 * done + VEC_F32, __builtin_shufflevector(a, b, HIGH));
    }
    for (int64_t k = 0; k < parts; k++, x += part)
        for (int64_t i = done * parts + k, j = done; i < n; i += parts, j++) y[i] = x[j];
}
