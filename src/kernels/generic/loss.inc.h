/* Softmax gradients and cross entropy over the scalar type REAL. */

/* Eight sums, added in pairs: the same order for every n. */
static REAL NAME(dot)(const REAL *a, const REAL *b, int64_t n) {
    REAL s[8] = {0};
    int64_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (int l = 0; l < 8; l++) s[l] += a[i + l] * b[i + l];
    for (int l = 0; i < n; i++, l++) s[l] += a[i] * b[i];
    return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
}

void NAME(hone_softmax_grad)(const REAL *dy, const REAL *y, REAL *dx, int64_t n) {
    REAL s = NAME(dot)(dy, y, n);
    for (int64_t i = 0; i < n; i++) dx[i] = y[i] * (dy[i] - s);
}

void NAME(hone_log_softmax_grad)(const REAL *dy, const REAL *exp_y, REAL *dx, int64_t n) {
    REAL s = 0;
    for (int64_t i = 0; i < n; i++) s += dy[i];
    for (int64_t i = 0; i < n; i++) dx[i] = dy[i] - exp_y[i] * s;
}

static REAL NAME(weight)(const hone_cross_entropy *c, int64_t label) {
    if (label == -1) return 0;
    return c->weights ? ((const REAL *)c->weights)[label] : 1;
}

int64_t NAME(hone_cross_entropy)(const hone_cross_entropy *c, const REAL *log_prob, REAL *loss) {
    double total = 0, weights = 0;
    for (int64_t i = 0; i < c->samples * c->inner; i++) {
        int64_t label = label_at(c, i), sample = i / c->inner, at = i % c->inner;
        if (label == -2) return i;
        REAL w = NAME(weight)(c, label), l = 0;
        if (label >= 0) l = -w * log_prob[(sample * c->classes + label) * c->inner + at];
        if (c->reduction == HONE_REDUCE_NONE) loss[i] = l;
        total += l;
        weights += w;
    }
    if (c->reduction == HONE_REDUCE_SUM) *loss = (REAL)total;
    if (c->reduction == HONE_REDUCE_MEAN) *loss = (REAL)(total / weights);
    return -1;
}

int64_t NAME(hone_cross_entropy_grad)(const hone_cross_entropy *c, const REAL *dloss, REAL *dscores) {
    double weights = 1;
    if (c->reduction == HONE_REDUCE_MEAN) {
        weights = 0;
        for (int64_t i = 0; i < c->samples * c->inner; i++) {
            int64_t label = label_at(c, i);
            if (label == -2) return i;
            weights += NAME(weight)(c, label);
        }
    }
    for (int64_t i = 0; i < c->samples * c->inner; i++) {
        int64_t label = label_at(c, i), sample = i / c->inner, at = i % c->inner;
        if (label == -2) return i;
        REAL w = NAME(weight)(c, label);
        REAL d = c->reduction == HONE_REDUCE_NONE ? dloss[i] : *dloss;
        REAL f = label == -1 ? 0 : (REAL)(w * d / weights);
        REAL *row = dscores + sample * c->classes * c->inner + at;
        for (int64_t j = 0; j < c->classes; j++) row[j * c->inner] *= f;
        if (label >= 0) row[label * c->inner] -= f;
    }
    return -1;
}
