#include "kernels/boxes.h"

static float least(float a, float b) {
    return a < b ? a : b;
}

static float most(float a, float b) {
    return a > b ? a : b;
}

hone_box hone_box_read(const float *n, bool centered) {
    if (centered) return (hone_box){n[0] - n[2] / 2, n[1] - n[3] / 2, n[0] + n[2] / 2, n[1] + n[3] / 2};
    return (hone_box){least(n[1], n[3]), least(n[0], n[2]), most(n[1], n[3]), most(n[0], n[2])};
}

bool hone_boxes_overlap(const hone_box *a, const hone_box *b, float threshold) {
    float width = least(a->x1, b->x1) - most(a->x0, b->x0), height = least(a->y1, b->y1) - most(a->y0, b->y0);
    if (!(width > 0 && height > 0)) return false;
    float shared = width * height, area_a = (a->x1 - a->x0) * (a->y1 - a->y0),
          area_b = (b->x1 - b->x0) * (b->y1 - b->y0), all = area_a + area_b - shared;
    return area_a > 0 && area_b > 0 && all > 0 && shared / all > threshold;
}
