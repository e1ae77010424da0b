/* Kernels over boxes in a plane, in portable C. */
#ifndef HONE_KERNELS_BOXES_H
#define HONE_KERNELS_BOXES_H

#include <stdbool.h>

/* A box of four numbers: two corners [y, x, y, x], in any order, or, if `centered`, [x, y, width, height]. */
typedef struct hone_box {
    float x0, y0, x1, y1; /* x0 <= x1, y0 <= y1 */
} hone_box;
hone_box hone_box_read(const float *numbers, bool centered);
/* Is what two boxes share more than `threshold` of what they cover together? Boxes without an area share nothing. */
bool hone_boxes_overlap(const hone_box *a, const hone_box *b, float threshold);

#endif
