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

/* A window that is inside of the image, of `lines` lines of `n` bytes, by pieces of `size`, n at most: what is too much is
 * overwritten by what comes behind it. */
VEC_FN void copy_whole(uint8_t *y, const uint8_t *x, int64_t lines, int64_t n, int64_t pitch,
                       const int size) {
    for (int64_t i = 0; i < lines; i++, y += n, x += pitch) memcpy(y, x, (size_t)size);
}

/* The same, if there is room behind, in x and in y; false: nothing is done. */
VEC_FN bool copied_whole(const hone_windows *w, const uint8_t *x, int64_t left, uint8_t *y, int64_t room) {
    const int64_t n = w->kernel[2] * w->channels, pitch = w->dilation[1] * w->in[2] * w->channels;
    const int64_t lines = w->kernel[1], size = n <= 16 ? 16 : n <= 32 ? 32 : 64;
    if (n > 64 || room < size || left < (lines - 1) * pitch + size) return false;
    if (size == 16)
        copy_whole(y, x, lines, n, pitch, 16);
    else if (size == 32)
        copy_whole(y, x, lines, n, pitch, 32);
    else
        copy_whole(y, x, lines, n, pitch, 64);
    return true;
}

void HONE_ISA_NAME(windows_8)(const hone_windows *w, const uint8_t *x, int64_t j0, int64_t j1, uint8_t *y,
                              int64_t y_row, uint8_t fill) {
    const int64_t line = w->kernel[2] * w->channels, pitch = w->in[2] * w->channels, all = w->in[1] * pitch;
    const int64_t behind = y_row - line * w->kernel[1], reach = (w->kernel[1] - 1) * w->dilation[1];
    int64_t row = j0 / w->out[2], column = j0 % w->out[2];
    for (int64_t j = j0; j < j1; j++) {
        const int64_t at = column * w->stride[2] - w->pad[2], first = row * w->stride[1] - w->pad[1];
        const int64_t from = first * pitch + at * w->channels;
        const bool inside = w->dilation[2] == 1 && at >= 0 && at + w->kernel[2] <= w->in[2] && first >= 0 &&
                            first + reach < w->in[1];
        if (inside && copied_whole(w, x + from, all - from, y, (j1 - j - 1) * y_row)) {
            y += line * w->kernel[1];
        } else {
            for (int64_t i = 0; i < w->kernel[1]; i++, y += line) {
                const int64_t h = first + i * w->dilation[1];
                if (h >= 0 && h < w->in[1])
                    copy_line(w, x + h * pitch, at, y, fill);
                else
                    memset(y, fill, (size_t)line);
            }
        }
        for (int64_t i = 0; i < behind; i++) y[i] = 0;
        y += behind;
        if (++column == w->out[2]) row++, column = 0;
    }
}
