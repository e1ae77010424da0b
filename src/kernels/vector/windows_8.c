#include "kernels/levels.h"
#include "kernels/vec.h"

#define BYTES ((int64_t)sizeof(vec_i32))

/* n elements, in pieces of `size`, a constant, of which the last two overlap; n >= size. */
VEC_FN void copy_pieces(uint8_t *y, const uint8_t *x, int64_t n, const int64_t size) {
    for (int64_t i = 0; i + size < n; i += size) memcpy(y + i, x + i, (size_t)size);
    memcpy(y + n - size, x + n - size, (size_t)size);
}

/* n elements, where a call would take longer than the copy. */
VEC_FN void copy(uint8_t *y, const uint8_t *x, int64_t n) {
    if (n >= BYTES)
        copy_pieces(y, x, n, BYTES);
    else if (n >= 16)
        copy_pieces(y, x, n, 16);
    else if (n >= 4)
        copy_pieces(y, x, n, n >= 8 ? 8 : 4);
    else
        for (int64_t i = 0; i < n; i++) y[i] = x[i];
}

/* What a line of a window, whose first tap is element `at` of a line of the image, sees. */
VEC_FN void copy_line(const hone_windows *w, const uint8_t *x, int64_t at, uint8_t *y, uint8_t fill) {
    const int64_t c = w->channels, taps = w->kernel[2], step = w->dilation[2], width = w->in[2];
    if (step == 1 && at >= 0 && at + taps <= width) {
        copy(y, x + at * c, taps * c);
        return;
    }
    for (int64_t i = 0; i < taps; i++, at += step, y += c) {
        if (at >= 0 && at < width)
            copy(y, x + at * c, c);
        else
            memset(y, fill, (size_t)c);
    }
}

void HONE_ISA_NAME(windows_8)(const hone_windows *w, const uint8_t *x, int64_t j0, int64_t j1, uint8_t *y,
                              int64_t y_row, uint8_t fill) {
    const int64_t line = w->kernel[2] * w->channels, pitch = w->in[2] * w->channels;
    const int64_t behind = y_row - line * w->kernel[1];
    int64_t row = j0 / w->out[2], column = j0 % w->out[2];
    for (int64_t j = j0; j < j1; j++, y += behind) {
        const int64_t at = column * w->stride[2] - w->pad[2];
        for (int64_t i = 0; i < w->kernel[1]; i++, y += line) {
            const int64_t h = row * w->stride[1] - w->pad[1] + i * w->dilation[1];
            if (h >= 0 && h < w->in[1])
                copy_line(w, x + h * pitch, at, y, fill);
            else
                memset(y, fill, (size_t)line);
        }
        for (int64_t i = 0; i < behind; i++) y[i] = 0;
        if (++column == w->out[2]) row++, column = 0;
    }
}
