#include "kernels/image.h"

/* The way of kernels/pool.inc.h back: a line of dy is spread over a row, and the row added to all that its
 * windows saw. */
#define POOL_SPREAD(name, type)                                                                              \
    static void name##_line(const hone_pool *p, const type *dy, const type *columns, int64_t line,           \
                            type *share, type *dx) {                                                         \
        const hone_windows *w = &p->w;                                                                       \
        const int64_t depth = line / w->out[1], height = line % w->out[1], width = w->in[2];                 \
        const int64_t d0 = depth * w->stride[0] - w->pad[0], h0 = height * w->stride[1] - w->pad[1];         \
        const type rows = (type)(p->kind == HONE_POOL_MEAN                                                   \
                                     ? hone_pool_counted(p, 0, depth) * hone_pool_counted(p, 1, height)      \
                                     : 1);                                                                   \
        type *t = share + w->out[2];                                                                         \
        for (int64_t o = 0; o < w->out[2]; o++) share[o] = dy[o] / (columns[o] * rows);                      \
        for (int64_t i = 0; i < hone_pool_room(p) - w->out[2]; i++) t[i] = 0;                                \
        for (int64_t tap = 0; tap < w->kernel[2]; tap++)                                                     \
            for (int64_t o = 0; o < w->out[2]; o++) t[o * w->stride[2] + tap * w->dilation[2]] += share[o];  \
        for (int64_t i = 0; i < w->kernel[0]; i++)                                                           \
            for (int64_t j = 0; j < w->kernel[1]; j++) {                                                     \
                const int64_t d = d0 + i * w->dilation[0], h = h0 + j * w->dilation[1];                      \
                if (d < 0 || d >= w->in[0] || h < 0 || h >= w->in[1]) continue;                              \
                type *to = dx + (d * w->in[1] + h) * width;                                                  \
                for (int64_t k = 0; k < width; k++) to[k] += t[w->pad[2] + k];                               \
            }                                                                                                \
    }                                                                                                        \
    void hone_pool_spread_##name(const hone_pool *p, const type *dy, type *dx, int64_t c0, int64_t c1,       \
                                 type *room) {                                                               \
        const hone_windows *w = &p->w;                                                                       \
        const int64_t lines = w->out[0] * w->out[1];                                                         \
        type *columns = room, *share = room + w->out[2];                                                     \
        for (int64_t o = 0; o < w->out[2]; o++)                                                              \
            columns[o] = (type)(p->kind == HONE_POOL_MEAN ? hone_pool_counted(p, 2, o) : 1);                 \
        for (int64_t i = c0 * w->plane; i < c1 * w->plane; i++) dx[i] = 0;                                   \
        for (int64_t line = c0 * lines; line < c1 * lines; line++)                                           \
            name##_line(p, dy + line * w->out[2], columns, line % lines, share,                              \
                        dx + line / lines * w->plane);                                                       \
    }
POOL_SPREAD(f32, float)
POOL_SPREAD(f64, double)
