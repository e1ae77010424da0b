#include "train/mix.h"

#include "base/error.h"
#include "base/random.h"
#include "data/picture_layout.h"
#include "graph/tensor.h"

#include <math.h>

hone_status hone_mixer_make(const hone_train_options *o, const hone_objective *objective,
                            const hone_dataset *data, const hone_feed *feeds, int target, hone_mixer *out,
                            hone_error *err) {
    *out = (hone_mixer){o->mixup, o->cutmix, target, false, 1};
    if (!(o->mixup > 0) && !(o->cutmix > 0)) return HONE_OK;
    out->labels = hone_dtype_is_int(feeds[target].reading.dtype);
    if (out->labels && (!objective->smoothes || feeds[target].rank != 0))
        return hone_fail(err, HONE_INVALID_ARGUMENT,
                         "mixup and cutmix need numbers as targets, or the objective cross-entropy, not %s",
                         objective->name);
    for (int i = 0; i < target; i++) {
        hone_column c;
        hone_dataset_column(data, feeds[i].reading.column, &c);
        if (feeds[i].reading.dtype != HONE_FLOAT32 || data->table)
            return hone_fail(err, HONE_INVALID_ARGUMENT,
                             "mixup and cutmix need inputs of numbers; column '%s' is none", c.name);
        if (o->cutmix > 0 && feeds[i].rank != 3)
            return hone_fail(err, HONE_INVALID_ARGUMENT,
                             "cutmix needs images; a sample of column '%s' has %d axes", c.name,
                             feeds[i].rank);
    }
    return HONE_OK;
}

/* --- the share --- */

static double normal(hone_rng *rng) {
    double u = 1 - (double)hone_rng_uniform(rng), v = (double)hone_rng_uniform(rng);
    return sqrt(-2 * log(u)) * cos(2 * M_PI * v);
}

/* The logarithm of a number of the gamma distribution (Marsaglia and Tsang 2000): for shapes near 0 the number itself is
 * too small for a double. */
static double log_gamma_draw(hone_rng *rng, double shape) {
    double less = shape < 1 ? log(1 - (double)hone_rng_uniform(rng)) / shape : 0;
    double d = (shape < 1 ? shape + 1 : shape) - 1.0 / 3, c = 1 / sqrt(9 * d);
    for (;;) {
        double x = normal(rng), v = 1 + c * x;
        if (v <= 0) continue;
        v = v * v * v;
        double u = 1 - (double)hone_rng_uniform(rng);
        if (log(u) < 0.5 * x * x + d - d * v + d * log(v)) return log(d * v) + less;
    }
}

/* Beta(a, a) */
static double draw_share(hone_rng *rng, double a) {
    double x = log_gamma_draw(rng, a), y = log_gamma_draw(rng, a);
    return 1 / (1 + exp(y - x));
}

/* --- mixing --- */

static void mix_values(hone_tensor *t, int64_t n, float share) {
    int64_t size = t->count / n;
    float *x = t->data, other = 1 - share;
    for (int64_t i = 0; i < n / 2; i++) {
        float *a = x + i * size, *b = x + (n - 1 - i) * size;
        for (int64_t k = 0; k < size; k++) {
            float p = a[k], q = b[k];
            a[k] = share * p + other * q;
            b[k] = share * q + other * p;
        }
    }
}

/* Exchanges the rectangle of all pairs. */
static void exchange(hone_tensor *t, int64_t n, int64_t top, int64_t left, int64_t height, int64_t width) {
    const hone_picture_layout l = hone_picture_layout_of(t->dims);
    int64_t size = t->count / n, row = l.width * l.pixel;
    float *x = t->data;
    for (int64_t i = 0; i < n / 2; i++)
        for (int64_t p = 0; p < l.planes; p++)
            for (int64_t y = top; y < top + height; y++)
                for (int64_t k = left * l.pixel; k < (left + width) * l.pixel; k++) {
                    int64_t at = (p * l.height + y) * row + k;
                    float *a = x + i * size + at, *b = x + (n - 1 - i) * size + at, kept = *a;
                    *a = *b;
                    *b = kept;
                }
}

/* A rectangle of the share 1 - `share` around any place, as far as it is on the image; gives what is left. */
static double cut(hone_rng *rng, hone_tensor *t, int64_t n, double share) {
    const hone_picture_layout l = hone_picture_layout_of(t->dims);
    double side = sqrt(1 - share);
    double y = hone_rng_uniform(rng) * (double)l.height, x = hone_rng_uniform(rng) * (double)l.width,
           h = side * (double)l.height / 2, w = side * (double)l.width / 2;
    int64_t top = (int64_t)fmax(round(y - h), 0), left = (int64_t)fmax(round(x - w), 0),
            height = (int64_t)fmin(round(y + h), (double)l.height) - top,
            width = (int64_t)fmin(round(x + w), (double)l.width) - left;
    if (height <= 0 || width <= 0) return 1;
    exchange(t, n, top, left, height, width);
    return 1 - (double)(height * width) / (double)(l.height * l.width);
}

static void turn_labels(const hone_mixer *m, const hone_batch *b) {
    const int64_t *from = b->tensors[m->target]->data;
    int64_t *to = b->tensors[m->target + 1]->data;
    for (int64_t i = 0; i < b->n; i++) to[i] = from[b->n - 1 - i];
}

void hone_mixer_mix(hone_mixer *m, uint64_t seed, const hone_batch *b) {
    if (!(m->mixup > 0) && !(m->cutmix > 0)) return;
    uint64_t parts[] = {(uint64_t)b->position.epoch, (uint64_t)b->position.sample, 0x6d6978};
    hone_rng rng = hone_rng_make(seed, hone_hash(parts, sizeof parts));
    bool cuts = m->cutmix > 0 && (!(m->mixup > 0) || hone_rng_uniform(&rng) < 0.5f);
    m->share = draw_share(&rng, cuts ? m->cutmix : m->mixup);
    if (b->n < 2) m->share = 1;
    if (m->labels) turn_labels(m, b);
    if (m->share == 1) return;
    double share = m->share;
    uint64_t place = rng.position; /* the same one in all inputs */
    for (int i = 0; i < m->target; i++) {
        rng.position = place;
        if (cuts)
            m->share = cut(&rng, b->tensors[i], b->n, share);
        else
            mix_values(b->tensors[i], b->n, (float)share);
    }
    if (!m->labels) mix_values(b->tensors[m->target], b->n, (float)m->share);
}
