/* Of REAL: float or double. */

/* Sizes are rounded as REAL, so that as many samples are taken as others take. */
static region NAME(place)(const hone_align *a, const double *r) {
    const REAL scale = (REAL)a->scale, shift = (REAL)a->shift;
    REAL at[4];
    for (int i = 0; i < 4; i++) at[i] = (REAL)r[i] * scale - shift;
    REAL width = at[2] - at[0], height = at[3] - at[1];
    if (a->whole) {
        width = width > 1 ? width : 1;
        height = height > 1 ? height : 1;
    }
    return (region){(double)at[0], (double)at[1], (double)(width / (REAL)a->out_width),
                    (double)(height / (REAL)a->out_height)};
}

/* Four elements around a sample, and their weights. */
typedef struct NAME(corners) {
    int64_t at[4];
    REAL weight[4];
} NAME(corners);

static NAME(corners) NAME(cross)(const hone_align *a, const pair *y, const pair *x) {
    NAME(corners) c;
    for (int k = 0; k < 4; k++) {
        c.at[k] = y->at[k / 2] * a->width + x->at[k % 2];
        c.weight[k] = (REAL)(y->weight[k / 2] * x->weight[k % 2]);
    }
    return c;
}

/* sum[c] += the sample, and best[c], where that is larger, the largest that an element of it weighs; *seen:
 * there is one. */
static void NAME(add)(const NAME(corners) * s, const REAL *x, int64_t plane, int64_t channels, bool largest,
                      bool seen, REAL *y) {
    for (int64_t c = 0; c < channels; c++, x += plane) {
        REAL v[4];
        for (int k = 0; k < 4; k++) v[k] = s->weight[k] * x[s->at[k]];
        if (!largest) {
            y[c] += v[0] + v[1] + v[2] + v[3];
            continue;
        }
        for (int k = 0; k < 4; k++)
            if ((k == 0 && !seen) || v[k] > y[c]) y[c] = v[k];
    }
}

/* One bin of up to CHANNELS channels. */
static void NAME(pool)(const hone_align *a, const samples *down, const samples *across, const REAL *x,
                       int64_t channels, REAL *y) {
    bool seen = false, zeros = down->count > 0 && across->count > 0 && (down->beyond || across->beyond);
    pair v, h;
    memset(y, 0, (size_t)channels * sizeof *y);
    for (int64_t i = down->first; i < down->last; i++) {
        bool inside = find_pair(down, i, a->height, &v);
        zeros |= !inside && across->count > 0;
        for (int64_t k = across->first; k < across->last && inside; k++) {
            if (!find_pair(across, k, a->width, &h)) {
                zeros = true;
                continue;
            }
            NAME(corners) s = NAME(cross)(a, &v, &h);
            NAME(add)(&s, x, a->height * a->width, channels, a->largest, seen, y);
            seen = true;
        }
    }
    if (!a->largest) {
        REAL all = (REAL)at_least_one(down->count * across->count);
        for (int64_t c = 0; c < channels; c++) y[c] /= all;
    } else if (zeros) {
        for (int64_t c = 0; c < channels; c++) y[c] = y[c] > 0 ? y[c] : 0;
    }
}

void NAME(hone_align)(const hone_align *a, const double *r, const REAL *x, int64_t channels, REAL *y) {
    const int64_t plane = a->height * a->width, bins = a->out_height * a->out_width;
    region at = NAME(place)(a, r);
    for (int64_t c0 = 0; c0 < channels; c0 += CHANNELS)
        for (int64_t bin = 0; bin < bins; bin++) {
            int64_t n = channels - c0 < CHANNELS ? channels - c0 : CHANNELS;
            samples down = find_samples(at.y, at.height, bin / a->out_width, a->grid, a->height);
            samples across = find_samples(at.x, at.width, bin % a->out_width, a->grid, a->width);
            REAL found[CHANNELS];
            NAME(pool)(a, &down, &across, x + c0 * plane, n, found);
            for (int64_t c = 0; c < n; c++) y[(c0 + c) * bins + bin] = found[c];
        }
}

/* Each sample's elements get their weights' part of dy. */
static void NAME(spread)(const hone_align *a, const samples *down, const samples *across, int64_t channels,
                         const REAL *dy, int64_t bins, REAL *dx) {
    const int64_t plane = a->height * a->width;
    const REAL all = (REAL)at_least_one(down->count * across->count);
    pair v, h;
    for (int64_t i = down->first; i < down->last; i++) {
        if (!find_pair(down, i, a->height, &v)) continue;
        for (int64_t k = across->first; k < across->last; k++) {
            if (!find_pair(across, k, a->width, &h)) continue;
            NAME(corners) s = NAME(cross)(a, &v, &h);
            for (int64_t c = 0; c < channels; c++)
                for (int t = 0; t < 4; t++) dx[c * plane + s.at[t]] += s.weight[t] * dy[c * bins] / all;
        }
    }
}

/* The first element that weighs what the bin has become gets all. */
static void NAME(give)(const hone_align *a, const samples *down, const samples *across, const REAL *x, REAL y,
                       REAL dy, REAL *dx) {
    pair v, h;
    for (int64_t i = down->first; i < down->last; i++) {
        if (!find_pair(down, i, a->height, &v)) continue;
        for (int64_t k = across->first; k < across->last; k++) {
            if (!find_pair(across, k, a->width, &h)) continue;
            NAME(corners) s = NAME(cross)(a, &v, &h);
            for (int t = 0; t < 4; t++) {
                if (s.weight[t] * x[s.at[t]] != y) continue;
                dx[s.at[t]] += s.weight[t] * dy;
                return;
            }
        }
    }
}

void NAME(hone_align_grad)(const hone_align *a, const double *r, const REAL *x, const REAL *dy,
                           int64_t channels, REAL *dx) {
    const int64_t plane = a->height * a->width, bins = a->out_height * a->out_width;
    region at = NAME(place)(a, r);
    for (int64_t bin = 0; bin < bins; bin++) {
        samples down = find_samples(at.y, at.height, bin / a->out_width, a->grid, a->height);
        samples across = find_samples(at.x, at.width, bin % a->out_width, a->grid, a->width);
        if (!a->largest) {
            NAME(spread)(a, &down, &across, channels, dy + bin, bins, dx);
            continue;
        }
        for (int64_t c = 0; c < channels; c++) {
            REAL y;
            NAME(pool)(a, &down, &across, x + c * plane, 1, &y);
            NAME(give)(a, &down, &across, x + c * plane, y, dy[c * bins + bin], dx + c * plane);
        }
    }
}

void NAME(hone_bins_max)(const REAL *x, int64_t height, int64_t width, const int64_t (*bins)[4],
                         int64_t count, int64_t channels, REAL *y) {
    for (int64_t c = 0; c < channels; c++, x += height * width)
        for (int64_t b = 0; b < count; b++) {
            const int64_t *at = bins[b];
            REAL best = at[0] < at[1] && at[2] < at[3] ? -(REAL)INFINITY : 0;
            for (int64_t i = at[0]; i < at[1]; i++)
                for (int64_t k = at[2]; k < at[3]; k++)
                    if (x[i * width + k] > best) best = x[i * width + k];
            *y++ = best;
        }
}

void NAME(hone_bins_max_grad)(const REAL *x, int64_t height, int64_t width, const int64_t (*bins)[4],
                              int64_t count, int64_t channels, const REAL *dy, REAL *dx) {
    for (int64_t c = 0; c < channels; c++, x += height * width, dx += height * width)
        for (int64_t b = 0; b < count; b++, dy++) {
            const int64_t *at = bins[b];
            int64_t best = -1;
            for (int64_t i = at[0]; i < at[1]; i++)
                for (int64_t k = at[2]; k < at[3]; k++)
                    if (best < 0 || x[i * width + k] > x[best]) best = i * width + k;
            if (best >= 0) dx[best] += *dy;
        }
}
