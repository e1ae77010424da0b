/* How DynamicQuantizeLinear chooses a scale. */
#ifndef HONE_OPS_COMMON_RANGE_H
#define HONE_OPS_COMMON_RANGE_H

#include <math.h>
#include <stdint.h>

/* Scale and zero point of uint8 for numbers from low to high. The range is made to hold 0; one without width, or with NaN,
 * has scale 1. */
static inline void hone_dynamic_range(float low, float high, float *scale, uint8_t *zero) {
    if (low > 0) low = 0;
    if (high < 0) high = 0;
    *scale = (high - low) / 255.0f;
    if (!(*scale > 0)) *scale = 1;
    float z = rintf((0.0f - low) / *scale);
    *zero = (uint8_t)(z > 0 ? z < 255 ? z : 255 : 0);
}

#endif
