/* Fast Fourier transforms over the scalar type REAL. A pass of factor p over m p points of stride s, for each j < m, k < s:
 *
 *   y[k + s (p j + r)] = e^(-2 pi i j r / (m p)) times the sum over q of x[k + s (j + m q)] e^(-2 pi i q r / p)
 *
 * and the next one has stride s p; the first one's stride is the number of lanes. */

typedef struct NAME(parts) {
    REAL *re, *im;
} NAME(parts);

static void NAME(put)(REAL **table, double turns) {
    *(*table)++ = (REAL)cos(2 * PI * turns);
    *(*table)++ = (REAL)-sin(2 * PI * turns);
}

/* --- passes --- each takes the p inputs of one (j, k) and gives the p sums; `t` has the factors of r = 1 … p-1 */

#define PARTS                                                                                                \
    const REAL *restrict xr = x->re + at, *restrict xi = x->im + at;                                         \
    REAL *restrict yr = y->re + to, *restrict yi = y->im + to;
#define EACH for (int64_t k = 0; k < s; k++)
#define OUT(r, a, b)                                                                                         \
    do {                                                                                                     \
        const REAL c_ = (r) ? t[2 * (r)-2] : 1, d_ = (r) ? t[2 * (r)-1] : 0, a_ = (a), b_ = (b);             \
        yr[(r)*s + k] = a_ * c_ - b_ * d_;                                                                   \
        yi[(r)*s + k] = a_ * d_ + b_ * c_;                                                                   \
    } while (0)
#define FIRST(a, b)                                                                                          \
    do {                                                                                                     \
        yr[k] = (a);                                                                                         \
        yi[k] = (b);                                                                                         \
    } while (0)
#define LOAD(q) const REAL a##q = xr[(q)*step + k], b##q = xi[(q)*step + k]

static void NAME(pass2)(const NAME(parts) * x, int64_t at, int64_t step, const NAME(parts) * y, int64_t to,
                        int64_t s, const REAL *t) {
    PARTS
    EACH {
        LOAD(0);
        LOAD(1);
        FIRST(a0 + a1, b0 + b1);
        OUT(1, a0 - a1, b0 - b1);
    }
}

static void NAME(pass3)(const NAME(parts) * x, int64_t at, int64_t step, const NAME(parts) * y, int64_t to,
                        int64_t s, const REAL *t) {
    const REAL h = (REAL)0.866025403784438647;
    PARTS
    EACH {
        LOAD(0);
        LOAD(1);
        LOAD(2);
        const REAL a = a1 + a2, b = b1 + b2, u = a0 - a / 2, v = b0 - b / 2, c = h * (a1 - a2),
                   d = h * (b1 - b2);
        FIRST(a0 + a, b0 + b);
        OUT(1, u + d, v - c);
        OUT(2, u - d, v + c);
    }
}

static void NAME(pass4)(const NAME(parts) * x, int64_t at, int64_t step, const NAME(parts) * y, int64_t to,
                        int64_t s, const REAL *t) {
    PARTS
    EACH {
        LOAD(0);
        LOAD(1);
        LOAD(2);
        LOAD(3);
        const REAL a = a0 + a2, b = b0 + b2, c = a0 - a2, d = b0 - b2, e = a1 + a3, f = b1 + b3, g = a1 - a3,
                   h = b1 - b3;
        FIRST(a + e, b + f);
        OUT(1, c + h, d - g);
        OUT(2, a - e, b - f);
        OUT(3, c - h, d + g);
    }
}

static void NAME(pass5)(const NAME(parts) * x, int64_t at, int64_t step, const NAME(parts) * y, int64_t to,
                        int64_t s, const REAL *t) {
    const REAL c1 = (REAL)0.309016994374947424, c2 = (REAL)-0.809016994374947424,
               s1 = (REAL)0.951056516295153572, s2 = (REAL)0.587785252292473129;
    PARTS
    EACH {
        LOAD(0);
        LOAD(1);
        LOAD(2);
        LOAD(3);
        LOAD(4);
        const REAL p = a1 + a4, q = b1 + b4, u = a1 - a4, v = b1 - b4, e = a2 + a3, f = b2 + b3, g = a2 - a3,
                   h = b2 - b3;
        const REAL ra = a0 + c1 * p + c2 * e, rb = b0 + c1 * q + c2 * f, sa = a0 + c2 * p + c1 * e,
                   sb = b0 + c2 * q + c1 * f, ia = s1 * u + s2 * g, ib = s1 * v + s2 * h,
                   ja = s2 * u - s1 * g, jb = s2 * v - s1 * h;
        FIRST(a0 + p + e, b0 + q + f);
        OUT(1, ra + ib, rb - ia);
        OUT(2, sa + jb, sb - ja);
        OUT(3, sa - jb, sb + ja);
        OUT(4, ra - ib, rb + ia);
    }
}

/* `root` has e^(-2 pi i q / p). */
static void NAME(pass_any)(int p, const REAL *root, const NAME(parts) * x, int64_t at, int64_t step,
                           const NAME(parts) * y, int64_t to, int64_t s, const REAL *t) {
    PARTS
    for (int r = 0; r < p; r++) EACH {
            REAL a = 0, b = 0;
            for (int q = 0; q < p; q++) {
                const REAL c = root[2 * (q * r % p)], d = root[2 * (q * r % p) + 1];
                LOAD(q);
                a += aq * c - bq * d;
                b += aq * d + bq * c;
            }
            if (r == 0)
                FIRST(a, b);
            else
                OUT(r, a, b);
        }
}
#undef EACH
#undef PARTS
#undef OUT
#undef FIRST
#undef LOAD

/* Transforms of f->length points; the results are in re and im again. */
static void NAME(passes)(const hone_fft *f, REAL *re, REAL *im, int64_t lanes, REAL *scratch) {
    const int64_t size = f->length * lanes;
    NAME(parts) x = {re, im}, y = {scratch, scratch + size}, other;
    const REAL *t = f->table;
    int64_t m = f->length, s = lanes;
    for (int i = 0; i < f->factors; i++) {
        const int p = f->factor[i];
        const REAL *root = t;
        m /= p;
        if (p > 5) t += 2 * p;
        for (int64_t j = 0; j < m; j++, t += 2 * (p - 1)) {
            const int64_t at = s * j, step = s * m, to = s * p * j;
            switch (p) {
            case 2: NAME(pass2)(&x, at, step, &y, to, s, t); break;
            case 3: NAME(pass3)(&x, at, step, &y, to, s, t); break;
            case 4: NAME(pass4)(&x, at, step, &y, to, s, t); break;
            case 5: NAME(pass5)(&x, at, step, &y, to, s, t); break;
            default: NAME(pass_any)(p, root, &x, at, step, &y, to, s, t); break;
            }
        }
        s *= p;
        other = x;
        x = y;
        y = other;
    }
    if (x.re == re) return;
    memcpy(re, x.re, (size_t)size * sizeof *re);
    memcpy(im, x.im, (size_t)size * sizeof *im);
}

void NAME(hone_fft_make)(hone_fft *f, int64_t n, REAL *table, REAL *scratch) {
    bool convolves;
    REAL *chirp = table + plan(f, n, &convolves), *t = table;
    int64_t m = f->length;
    f->table = table;
    for (int i = 0; i < f->factors; i++) {
        const int p = f->factor[i];
        const double whole = (double)m;
        m /= p;
        for (int q = 0; p > 5 && q < p; q++) NAME(put)(&t, (double)q / p);
        for (int64_t j = 0; j < m; j++)
            for (int r = 1; r < p; r++) NAME(put)(&t, (double)(j * r) / whole);
    }
    if (!convolves) return;
    REAL *filter = chirp + 2 * n, *re = filter, *im = filter + f->length;
    f->chirp = chirp;
    memset(filter, 0, (size_t)(2 * f->length) * sizeof *filter);
    for (int64_t k = 0, square = 0; k < n; square = (square + 2 * k + 1) % (2 * n), k++) {
        REAL *at = chirp + 2 * k;
        NAME(put)(&at, (double)square / (double)(2 * n));
        re[k] = chirp[2 * k];
        im[k] = -chirp[2 * k + 1];
        if (k > 0) {
            re[f->length - k] = re[k];
            im[f->length - k] = im[k];
        }
    }
    NAME(passes)(f, re, im, 1, scratch);
}

/* x[k] e^(-pi i k^2 / n) */
static void NAME(modulate)(const hone_fft *f, const REAL *re, const REAL *im, REAL scale, int64_t lanes,
                           REAL *to_re, REAL *to_im) {
    const REAL *chirp = f->chirp;
    for (int64_t k = 0; k < f->n; k++) {
        const REAL c = scale * chirp[2 * k], d = scale * chirp[2 * k + 1];
        for (int64_t l = k * lanes; l < (k + 1) * lanes; l++) {
            const REAL a = re[l], b = im[l];
            to_re[l] = a * c - b * d;
            to_im[l] = a * d + b * c;
        }
    }
}

void NAME(hone_fft_run)(const hone_fft *f, REAL *re, REAL *im, int64_t lanes, REAL *scratch) {
    if (!f->chirp) {
        NAME(passes)(f, re, im, lanes, scratch);
        return;
    }
    const int64_t size = f->length * lanes, used = f->n * lanes;
    REAL *u = scratch, *v = u + size, *rest = v + size;
    const REAL *filter_re = (const REAL *)f->chirp + 2 * f->n, *filter_im = filter_re + f->length;
    NAME(modulate)(f, re, im, 1, lanes, u, v);
    memset(u + used, 0, (size_t)(size - used) * sizeof *u);
    memset(v + used, 0, (size_t)(size - used) * sizeof *v);
    NAME(passes)(f, u, v, lanes, rest);
    for (int64_t k = 0; k < f->length; k++)
        for (int64_t l = k * lanes; l < (k + 1) * lanes; l++) {
            const REAL a = u[l], b = v[l];
            u[l] = a * filter_re[k] - b * filter_im[k];
            v[l] = a * filter_im[k] + b * filter_re[k];
        }
    NAME(passes)(f, v, u, lanes, rest); /* the other sign */
    NAME(modulate)(f, u, v, (REAL)(1 / (double)f->length), lanes, re, im);
}
