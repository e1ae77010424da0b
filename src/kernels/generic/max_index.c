#include "kernels/image.h"

#include <math.h>

/* The first tap that is inside along an axis, and how many taps there are up to the last one. */
typedef struct reach {
    int64_t first, end, at; /* at: where tap 0 is */
} reach;

static reach reach_of(const hone_windows *w, int axis, int64_t o) {
    const int64_t at = o * w->stride[axis] - w->pad[axis], step = w->dilation[axis];
    const int64_t end = w->in[axis] > at ? (w->in[axis] - at + step - 1) / step : 0;
    return (reach){at < 0 ? (-at + step - 1) / step : 0, end < w->kernel[axis] ? end : w->kernel[axis], at};
}

#define MAX_INDEX(name, type, least)                                                                         \
    static void name##_window(const hone_windows *w, const type *x, reach d, reach h, reach v, type *most,   \
                              int64_t *at) {                                                                 \
        *at = -1;                                                                                            \
        *most = least;                                                                                       \
        for (int64_t a = d.first; a < d.end; a++)                                                            \
            for (int64_t b = h.first; b < h.end; b++) {                                                      \
                const int64_t line = (d.at + a * w->dilation[0]) * w->in[1] + h.at + b * w->dilation[1];     \
                for (int64_t c = v.first; c < v.end; c++) {                                                  \
                    const int64_t i = line * w->in[2] + v.at + c * w->dilation[2];                           \
                    if (!(x[i] > *most) && *at >= 0) continue;                                               \
                    *at = i;                                                                                 \
                    *most = x[i];                                                                            \
                }                                                                                            \
            }                                                                                                \
    }                                                                                                        \
    void hone_max_index_##name(const hone_pool *p, const type *x, type *y, int64_t *index, int64_t line0,    \
                               int64_t line1) {                                                              \
        const hone_windows *w = &p->w;                                                                       \
        for (int64_t line = line0; line < line1; line++) {                                                   \
            const int64_t lines = w->out[0] * w->out[1], plane = line / lines * w->plane;                    \
            const reach d = reach_of(w, 0, line % lines / w->out[1]), h = reach_of(w, 1, line % w->out[1]);  \
            for (int64_t o = 0; o < w->out[2]; o++) {                                                        \
                const int64_t to = line * w->out[2] + o;                                                     \
                type most;                                                                                   \
                name##_window(w, x + plane, d, h, reach_of(w, 2, o), &most, &index[to]);                     \
                if (y) y[to] = most;                                                                         \
                index[to] += plane;                                                                          \
            }                                                                                                \
        }                                                                                                    \
    }
MAX_INDEX(f32, float, -INFINITY)
MAX_INDEX(f64, double, -INFINITY)
MAX_INDEX(u8, uint8_t, 0)
MAX_INDEX(s8, int8_t, INT8_MIN)

/* A window that sees nothing gives nothing. */
#define MAX_SPREAD(name, type)                                                                               \
    void hone_max_spread_##name(const hone_windows *w, const type *dy, const type *x, type *dx, int64_t c0,  \
                                int64_t c1) {                                                                \
        const int64_t lines = w->out[0] * w->out[1];                                                         \
        for (int64_t i = c0 * w->plane; i < c1 * w->plane; i++) dx[i] = 0;                                   \
        for (int64_t line = c0 * lines; line < c1 * lines; line++) {                                         \
            const int64_t plane = line / lines * w->plane;                                                   \
            const reach d = reach_of(w, 0, line % lines / w->out[1]), h = reach_of(w, 1, line % w->out[1]);  \
            for (int64_t o = 0; o < w->out[2]; o++) {                                                        \
                int64_t at;                                                                                  \
                type most;                                                                                   \
                name##_window(w, x + plane, d, h, reach_of(w, 2, o), &most, &at);                            \
                if (at >= 0) dx[plane + at] += dy[line * w->out[2] + o];                                     \
            }                                                                                                \
        }                                                                                                    \
    }
MAX_SPREAD(f32, float)
MAX_SPREAD(f64, double)
