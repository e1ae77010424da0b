/* Kernels of images whose channels are last, against plain sums in double: blocks end where the image does,
 * so that a sanitizer sees a read beyond it, and however lines are cut the bits are the same. */
#include "base/random.h"
#include "kernel_test.h"

#include <float.h>

static hone_rng rng;

static float *numbers(int64_t count) {
    float *x = malloc((size_t)(count ? count : 1) * sizeof *x);
    assert_non_null(x);
    for (int64_t i = 0; i < count; i++) x[i] = hone_rng_uniform(&rng) * 2 - 1;
    return x;
}

static const int64_t channel_counts[] = {1, 3, 4, 5, 8, 15, 16, 19, 33, 50, 67};

/* --- channels each by itself --- */

#define LINES 3

/* dw = what is there + the sums of dy times what taps see. */
static void check_depthwise_grad(const hone_kernels *k, const char *level, hone_depthwise *d, const float *x,
                                 const float *dy, int64_t width) {
    const int64_t count = d->taps * d->channels;
    float *dw = numbers(count), *before = malloc((size_t)count * sizeof *before);
    memcpy(before, dw, (size_t)count * sizeof *dw);
    d->width = width;
    k->depthwise_grad_f32(d, x, dy, LINES, dw);
    for (int64_t i = 0; i < count; i++) {
        double sum = before[i], size = fabs(sum);
        for (int64_t at = 0; at < LINES * width; at++) {
            const int64_t c = i % d->channels,
                          from = at / width * d->line + at % width * d->step + d->offset[i / d->channels] + c;
            const double p = (double)dy[at * d->channels + c] * x[from];
            sum += p;
            size += fabs(p);
        }
        if (!(fabs(dw[i] - sum) <= (size + 4) * 8 * FLT_EPSILON))
            fail_msg("%s: %d channels: dw[%d] is %.9g, not %.9g", level, (int)d->channels, (int)i, dw[i],
                     sum);
    }
    free(dw), free(before);
}

/* Windows of 2 x `across`, the columns `apart`. */
static void check_depthwise(const hone_kernels *k, const char *level, int64_t channels, int64_t width,
                            int64_t stride, int64_t across, int64_t apart, int64_t form) {
    const int64_t in = (width - 1) * stride + (across - 1) * apart + 1, line = in * channels * stride;
    const int64_t count = ((LINES - 1) * stride + 2) * in * channels, each = width * channels,
                  taps = 2 * across;
    int64_t offset[10];
    for (int64_t t = 0; t < taps; t++) offset[t] = (t / across * in + t % across * apart) * channels;
    float *x = numbers(count), *w = numbers(taps * channels), *bias = numbers(channels),
          *residual = numbers(LINES * each), *y = numbers(LINES * each), *cut = numbers(LINES * each);
    hone_depthwise d = {
        .channels = channels,
        .width = width,
        .step = stride * channels,
        .line = line,
        .y_step = channels,
        .y_line = each,
        .taps = taps,
        .offset = offset,
        .weight = w,
        .epilogue = {.alpha = 1, .lo = form & 4 ? -0.5 : -INFINITY, .hi = form & 4 ? 0.75 : INFINITY}};
    if (form & 1) d.epilogue.bias = bias;
    if (form & 2) d.epilogue.residual = residual;
    k->depthwise_f32(&d, x, LINES, y);
    for (int64_t i = 0; i < LINES * each; i++) {
        const int64_t c = i % channels, at = i / channels % width, row = i / each;
        double sum = 0, size = 0;
        for (int64_t t = 0; t < taps; t++) {
            const double p = (double)w[t * channels + c] * x[row * line + at * d.step + offset[t] + c];
            sum += p;
            size += fabs(p);
        }
        if (form & 1) sum += bias[c];
        if (form & 2) sum += residual[i];
        sum = fmin(fmax(sum, d.epilogue.lo), d.epilogue.hi);
        if (!(fabs(y[i] - sum) <= (size + 4) * 4 * FLT_EPSILON))
            fail_msg("%s: %d channels, width %d: [%d] is %.9g, not %.9g", level, (int)channels, (int)width,
                     (int)i, y[i], sum);
    }
    /* line by line, and position by position */
    for (int64_t row = 0; row < LINES; row++) {
        if (form & 2) d.epilogue.residual = residual + row * each;
        k->depthwise_f32(&d, x + row * line, 1, cut + row * each);
    }
    assert_memory_equal(cut, y, (size_t)(LINES * each) * sizeof *y);
    d.width = 1;
    for (int64_t i = 0; i < LINES * width; i++) {
        if (form & 2) d.epilogue.residual = residual + i * channels;
        k->depthwise_f32(&d, x + i / width * line + i % width * d.step, 1, cut + i * channels);
    }
    assert_memory_equal(cut, y, (size_t)(LINES * each) * sizeof *y);
    k->depthwise_f32(&d, x, 0, NULL);
    check_depthwise_grad(k, level, &d, x, y, width);
    free(x), free(w), free(bias), free(residual), free(y), free(cut);
}

static void depthwise(const hone_kernels *k, const char *level) {
    for (int c = 0, form = 0; c < COUNT(channel_counts); c++)
        for (int64_t width = 1; width < 20; width++)
            for (int64_t stride = 1; stride < 3; stride++)
                for (int64_t across = 3; across < 6; across++)
                    for (int64_t apart = 1; apart < 3; apart++)
                        check_depthwise(k, level, channel_counts[c], width, stride, across, apart,
                                        form++ % 8);
    check_depthwise(k, level, 520, 7, 1, 3, 1, 3); /* in parts */
    check_depthwise(k, level, 200, 30, 2, 5, 1, 5);
}

/* NaN goes through sums and the clamp. */
static void depthwise_special(const hone_kernels *k, const char *level) {
    (void)level;
    const int64_t offset[] = {0};
    const float x[] = {NAN, INFINITY, -INFINITY, 0.5f, 7}, w[] = {1, 1, 1, 1, 1};
    float y[5];
    const hone_depthwise d = {.channels = 5,
                              .width = 1,
                              .step = 5,
                              .line = 5,
                              .y_step = 5,
                              .y_line = 5,
                              .taps = 1,
                              .offset = offset,
                              .weight = w,
                              .epilogue = {.alpha = 1, .lo = 0, .hi = 6}};
    k->depthwise_f32(&d, x, 1, y);
    assert_true(isnan(y[0]) && y[1] == 6 && y[2] == 0 && y[3] == 0.5f && y[4] == 6);
}

/* --- pooling --- */

static const hone_windows pools[] = {
    {.in = {1, 5, 6},
     .out = {1, 5, 6},
     .kernel = {1, 3, 3},
     .stride = {1, 1, 1},
     .pad = {0, 1, 1},
     .end = {0, 1, 1}},
    {.in = {1, 9, 11}, .out = {1, 4, 5}, .kernel = {1, 3, 3}, .stride = {1, 2, 2}},
    {.in = {1, 9, 11},
     .out = {1, 5, 5},
     .kernel = {1, 2, 3},
     .stride = {1, 2, 3},
     .pad = {0, 0, 2},
     .end = {0, 1, 1}},
    {.in = {3, 4, 5},
     .out = {2, 5, 4},
     .kernel = {2, 2, 2},
     .stride = {1, 1, 1},
     .pad = {0, 1, 0},
     .end = {0, 1, 0}},
    {.in = {1, 1, 40},
     .out = {1, 1, 14},
     .kernel = {1, 1, 5},
     .stride = {1, 1, 3},
     .pad = {0, 0, 2},
     .end = {0, 0, 3}},
    {.in = {1, 2, 2},
     .out = {1, 3, 3},
     .kernel = {1, 2, 2},
     .stride = {1, 2, 2},
     .pad = {0, 2, 2},
     .end = {0, 2, 2}},
    {.in = {1, 1, 1}, .out = {1, 1, 1}, .kernel = {1, 1, 1}, .stride = {1, 1, 1}},
};
#define IMAGES 2

/* Of one window and channel; `counted`: what a mean is divided by. */
static double pooled(const hone_pool *p, const float *x, const int64_t *o, int64_t channel) {
    const hone_windows *w = &p->w;
    double most = -INFINITY, sum = 0;
    int64_t counted = 0;
    for (int64_t tap = 0; tap < hone_windows_taps(w); tap++) {
        const int64_t t[3] = {tap / w->kernel[2] / w->kernel[1], tap / w->kernel[2] % w->kernel[1],
                              tap % w->kernel[2]};
        int64_t at = 0;
        bool inside = true, counts = true;
        for (int i = 0; i < 3; i++) {
            const int64_t h = o[i] * w->stride[i] - w->pad[i] + t[i] * w->dilation[i];
            inside &= h >= 0 && h < w->in[i];
            counts &= h < w->in[i] + w->end[i];
            at = at * w->in[i] + h;
        }
        counted += p->count_pads ? counts : inside;
        if (!inside) continue;
        most = fmax(most, x[at * w->channels + channel]);
        sum += x[at * w->channels + channel];
    }
    return p->kind == HONE_POOL_MAX ? most : sum / (double)counted;
}

static void check_pool(const hone_kernels *k, const char *level, const hone_pool *p) {
    const hone_windows *w = &p->w;
    const int64_t lines = IMAGES * w->out[0] * w->out[1], each = w->out[2] * w->channels, c = w->channels;
    float *x = numbers(IMAGES * w->plane * c), *y = numbers(lines * each), *cut = numbers(lines * each);
    x[0] = NAN; /* no maximum */
    k->pool_last_f32(p, x, y, 0, lines);
    for (int64_t i = 0; i < lines * each; i++) {
        const int64_t line = i / each, image = line / (w->out[0] * w->out[1]);
        const int64_t o[3] = {line / w->out[1] % w->out[0], line % w->out[1], i / c % w->out[2]};
        const double want = pooled(p, x + image * w->plane * c, o, i % c);
        if (!near(y[i], want, 4e-6, 1e-6))
            fail_msg("%s: %d channels, line %d: [%d] is %.9g, not %.9g", level, (int)c, (int)line,
                     (int)(i % each), y[i], want);
    }
    for (int64_t line = 0, some = 1; line < lines; line += some, some = some % 3 + 1)
        k->pool_last_f32(p, x, cut, line, line + some < lines ? line + some : lines);
    assert_memory_equal(cut, y, (size_t)(lines * each) * sizeof *y);
    free(x), free(y), free(cut);
}

static void pool(const hone_kernels *k, const char *level) {
    for (int i = 0; i < COUNT(pools); i++)
        for (int c = 0; c < COUNT(channel_counts); c++)
            for (int form = 0; form < 6; form++) {
                hone_pool p = {
                    .w = pools[i], .kind = form < 2 ? HONE_POOL_MAX : HONE_POOL_MEAN, .count_pads = form < 4};
                p.w.channels = channel_counts[c];
                p.w.plane = p.w.in[0] * p.w.in[1] * p.w.in[2];
                for (int axis = 0; axis < 3; axis++) p.w.dilation[axis] = 1 + form % 2;
                check_pool(k, level, &p);
            }
}

/* --- products whose rows are windows --- the same bits as of rows that are laid out */

typedef struct windows_case {
    int64_t channels, n, lines, width; /* positions */
    int64_t kernel[2], stride[2];
} windows_case;

static const windows_case products[] = {
    {3, 10, 5, 7, {3, 3}, {1, 1}},    {16, 33, 4, 9, {3, 3}, {2, 2}},   {7, 49, 6, 5, {2, 3}, {1, 3}},
    {300, 20, 3, 11, {1, 2}, {1, 1}}, {64, 97, 13, 13, {3, 3}, {1, 1}}, {5, 8, 30, 1, {3, 1}, {1, 1}},
    {1, 64, 1, 40, {1, 9}, {1, 2}},   {90, 17, 40, 4, {2, 2}, {2, 1}},  {1, 1, 1, 1, {1, 1}, {1, 1}},
    {32, 49, 9, 21, {3, 3}, {1, 1}},  {96, 20, 3, 70, {5, 1}, {1, 1}},
};

/* The same where the kernel has laid out the image: rows lie evenly, those between lines too. */
static void check_laid(const hone_gemm_family *f, const char *level, const windows_case *c,
                       const hone_gemm *plain, const float *x, const float *want) {
    if (!f->lay || c->channels % HONE_GEMM_LAY || c->stride[0] != 1 || c->stride[1] != 1) return;
    const int64_t in = c->width - 1 + c->kernel[1], rows = (c->lines - 1 + c->kernel[0]) * in;
    const int64_t part = (rows + HONE_GEMM_LAID_ROWS) * c->channels;
    uint16_t *laid = calloc((size_t)(part * f->parts), sizeof *laid);
    float *y = numbers(plain->m * plain->n);
    hone_gemm_run runs[64];
    int64_t used = 0;
    for (int64_t l = 0; l < c->kernel[0]; l++)
        for (int64_t at = 0, each = c->kernel[1] * c->channels; at < each; at += HONE_GEMM_LAY, used++)
            runs[used] = (hone_gemm_run){l * in * c->channels + at, HONE_GEMM_LAY};
    runs[used] = (hone_gemm_run){0, 0};
    f->lay(x, rows * c->channels, laid, part);
    hone_gemm g = *plain;
    g.a = laid;
    g.a_row = c->channels;
    g.runs = runs;
    g.a_line = c->width;
    g.a_part = part;
    g.a_line_rows = in;
    g.c = y;
    g.room = aligned_alloc(64, f->room(g.m, g.n, g.k, true));
    const int64_t half = g.m / 2 / c->width * c->width;
    f->run(&g, 0, half, 0, g.n);
    f->run(&g, half, g.m, 0, g.n);
    if (memcmp(y, want, (size_t)(g.m * g.n) * sizeof *y))
        fail_msg("%s: a product of %d channels, laid out", level, (int)c->channels);
    free(laid), free(y), free(g.room);
}

static void check_windows(const hone_gemm_family *f, const hone_gemm_family *packer, const char *level,
                          const windows_case *c) {
    const int64_t in = (c->width - 1) * c->stride[1] + c->kernel[1], row = in * c->channels;
    const int64_t count = ((c->lines - 1) * c->stride[0] + c->kernel[0]) * row,
                  each = c->kernel[1] * c->channels;
    const int64_t k = c->kernel[0] * each, m = c->lines * c->width, n = c->n;
    hone_gemm_run runs[64];
    int64_t used = 0;
    for (int64_t l = 0; l < c->kernel[0]; l++)
        for (int64_t at = 0; at < each; at += HONE_GEMM_RUN - 50, used++)
            runs[used] = (hone_gemm_run){l * row + at,
                                         each - at < HONE_GEMM_RUN - 50 ? each - at : HONE_GEMM_RUN - 50};
    runs[used] = (hone_gemm_run){0, 0};
    float *x = numbers(count), *a = numbers(m * k), *b = numbers(k * n), *y = numbers(m * n),
          *want = numbers(m * n), *bias = numbers(n), *residual = numbers(m * n),
          *packed = aligned_alloc(64, packer->packed_size(k, n));
    for (int64_t i = 0; i < m * k; i++) {
        const int64_t position = i / k, l = i % k;
        a[i] = x[(position / c->width * c->stride[0] + l / each) * row +
                 position % c->width * c->stride[1] * c->channels + l % each];
    }
    packer->pack(&(hone_gemm_b){k, n, b, n, 1, 0, packed, NULL}, 0, k, 0, n);
    void *room = f->room ? aligned_alloc(64, f->room(m, n, k, false)) : NULL;
    hone_gemm g = {
        .m = m,
        .n = n,
        .k = k,
        .a = a,
        .a_row = k,
        .a_col = 1,
        .b = packed,
        .c = want,
        .c_row = n,
        .room = room,
        .epilogue = {.alpha = 1, .bias = bias, .residual = residual, .residual_row = n, .lo = -1, .hi = 2}};
    f->run(&g, 0, m, 0, n);
    check_laid(f, level, c, &g, x, want);
    g.a = x;
    g.a_row = c->stride[1] * c->channels;
    g.runs = runs;
    g.a_line = c->width;
    g.a_line_step = c->stride[0] * row;
    g.c = y;
    f->run(&g, 0, m, 0, n);
    if (memcmp(y, want, (size_t)(m * n) * sizeof *y))
        fail_msg("%s: a product of %d channels", level, (int)c->channels);
    for (int64_t direct = 0; direct < 1 + f->direct; direct++) { /* any rows, packed and as B lies */
        memset(y, 0, (size_t)(m * n) * sizeof *y);
        g.b = direct ? b : packed;
        g.b_row = direct ? n : 0;
        g.b_col = 1;
        for (int64_t at = 0, some = 1; at < m; at += some, some++)
            for (int64_t column = 0; column < n; column += f->panel)
                f->run(&g, at, at + some < m ? at + some : m, column,
                       column + f->panel < n ? column + f->panel : n);
        if (memcmp(y, want, (size_t)(m * n) * sizeof *y))
            fail_msg("%s: a product of %d channels, in parts", level, (int)c->channels);
    }
    free(x), free(a), free(b), free(y), free(want), free(bias), free(residual), free(packed), free(room);
}

static void windows(const hone_kernels *k, const char *level) {
    const hone_gemm_family *f = k->gemm[HONE_GEMM_F32];
    assert_true(f->windows);
    const hone_gemm_family *tiles = k->gemm_f32_tiles;
    for (int i = 0; i < COUNT(products); i++) {
        check_windows(f, f, level, &products[i]);
        check_windows(&hone_gemm_f32_tiles, &hone_gemm_f32_tiles, "tiles in memory", &products[i]);
        check_windows(&hone_gemm_bf16_tiles, &hone_gemm_bf16_tiles, "tiles in memory", &products[i]);
        if (!tiles) continue;
        check_windows(tiles, f, level, &products[i]);
        check_windows(k->gemm[HONE_GEMM_BF16], k->gemm[HONE_GEMM_BF16], level, &products[i]);
    }
}

/* --- all of them --- */

static void test_depthwise(void **state) {
    (void)state;
    each_level(depthwise);
    each_level(depthwise_special);
}

static void test_pool(void **state) {
    (void)state;
    each_level(pool);
}

static void test_windows(void **state) {
    (void)state;
    each_level(windows);
}

/* --- moments --- */

static void moments(const hone_kernels *k, const char *level) {
    for (int c = 0; c < COUNT(channel_counts); c++)
        for (int64_t rows = 1; rows < 40; rows += 7) {
            const int64_t channels = channel_counts[c];
            float *x = numbers(rows * channels), *dy = numbers(rows * channels), *mean = numbers(channels),
                  *second = numbers(channels), *sum = numbers(channels), *product = numbers(channels);
            k->moments_f32(x, rows, channels, mean, second);
            k->comoments_f32(dy, x, mean, rows, channels, sum, product);
            for (int64_t i = 0; i < channels; i++) {
                double m = 0, squares = 0, s = 0, p = 0;
                for (int64_t r = 0; r < rows; r++) m += x[r * channels + i] / (double)rows;
                for (int64_t r = 0; r < rows; r++) {
                    const double d = x[r * channels + i] - m, g = dy[r * channels + i];
                    squares += d * d;
                    s += g;
                    p += g * d;
                }
                const double bound = (double)rows * 8 * FLT_EPSILON;
                if (!(fabs(mean[i] - m) <= bound && fabs(second[i] - squares) <= bound &&
                      fabs(sum[i] - s) <= bound && fabs(product[i] - p) <= bound))
                    fail_msg("%s: %d rows of %d channels, channel %d", level, (int)rows, (int)channels,
                             (int)i);
            }
            free(x), free(dy), free(mean), free(second), free(sum), free(product);
        }
}

/* --- Winograd's weights --- as in float64 from the points, taps forward and backward */

/* G: what a line of three weights becomes: the values of a polynomial at the points, each divided by what the points'
 * differences give. */
static void expand(int size, const double *w, double *u) {
    const double s = sqrt(0.5);
    const double points[2][4] = {{1, -1}, {s, -s, 2 * s, -2 * s}}, *p = points[size == 4];
    u[0] = w[0];
    for (int i = 0; i < size; i++) {
        double by = 1;
        for (int k = 0; k < size; k++)
            if (k != i) by *= p[i] - p[k];
        by *= p[i]; /* the difference to the point 0 */
        u[1 + i] = (w[0] + p[i] * w[1] + p[i] * p[i] * w[2]) / by;
    }
    u[size + 1] = w[2];
}

static void weights_of(int size, const float *w, double *u) {
    double half[3][6], all[6];
    for (int j = 0; j < 3; j++) {
        const double column[3] = {(double)w[j], (double)w[3 + j], (double)w[6 + j]};
        expand(size, column, half[j]);
    }
    for (int i = 0; i < size + 2; i++) {
        const double row[3] = {half[0][i], half[1][i], half[2][i]};
        expand(size, row, all);
        memcpy(u + i * (size + 2), all, (size_t)(size + 2) * sizeof *all);
    }
}

static void winograd_weights(const hone_kernels *k, const char *level) {
    for (int c = 0; c < COUNT(channel_counts); c++)
        for (int form = 0; form < 4; form++) {
            const int64_t channels = channel_counts[c], matrix = channels + 3;
            const int size = form & 1 ? 4 : 2, n = size + 2;
            float *w = numbers(9 * channels), *u = numbers(36 * matrix), *once = numbers(36 * matrix);
            const float *first = form & 2 ? w + 8 * channels : w;
            k->winograd_weights_f32(size, first, form & 2 ? -channels : channels, channels, u, matrix);
            for (int line = 0; line < n; line++)
                k->winograd_line_f32(size, line, first, form & 2 ? -channels : channels, channels,
                                     once + line * n * matrix, matrix);
            for (int64_t i = 0; i < channels; i++) {
                float taps[9];
                double want[36];
                for (int t = 0; t < 9; t++) taps[t] = w[(form & 2 ? 8 - t : t) * channels + i];
                weights_of(size, taps, want);
                for (int m = 0; m < n * n; m++)
                    if (!(fabs((double)u[m * matrix + i] - want[m]) <= 16 * FLT_EPSILON) ||
                        !(fabs((double)once[m * matrix + i] - want[m]) <=
                          FLT_EPSILON * fabs(want[m]) + 1e-12))
                        fail_msg("%s: size %d, matrix %d, channel %d of %d", level, size, m, (int)i,
                                 (int)channels);
            }
            free(w), free(u), free(once);
        }
}

static void test_winograd_weights(void **state) {
    (void)state;
    each_level(winograd_weights);
}

static void test_moments(void **state) {
    (void)state;
    each_level(moments);
}

int main(void) {
    rng = hone_rng_make(5, 1);
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_depthwise), cmocka_unit_test(test_pool),
                                       cmocka_unit_test(test_windows), cmocka_unit_test(test_moments),
                                       cmocka_unit_test(test_winograd_weights)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
