/* Lanes of a Fourier transform over the scalar type REAL: gathered from X, transformed, given to Y. */

/* The first number of transform i in a tensor whose axis has `count` elements of `parts`. */
static int64_t NAME(first)(const params *p, int64_t i, int64_t count, int64_t parts) {
    return (i / p->inner * count * p->inner + i % p->inner) * parts;
}

static void NAME(gather)(const job *j, int64_t first, int64_t lanes, REAL *re, REAL *im) {
    const params *p = j->p;
    const int64_t n = p->fft.n, step = p->inner * p->given_parts,
                  used = hone_min_i64(p->given, p->mirrors ? n / 2 + 1 : n);
    memset(re, 0, (size_t)(n * lanes) * sizeof *re);
    memset(im, 0, (size_t)(n * lanes) * sizeof *im);
    for (int64_t l = 0; l < lanes; l++) {
        const REAL *x = (const REAL *)j->x + NAME(first)(p, first + l, p->given, p->given_parts);
        for (int64_t k = 0; k < used; k++) {
            re[k * lanes + l] = x[k * step];
            im[k * lanes + l] = p->given_parts == 2 ? x[k * step + 1] : 0;
        }
    }
    for (int64_t k = 0; p->mirrors && k <= n / 2; k++) {
        const int64_t mirror = (n - k) % n;
        for (int64_t l = 0; l < lanes; l++) {
            if (mirror == k)
                im[k * lanes + l] = 0;
            else {
                re[mirror * lanes + l] = re[k * lanes + l];
                im[mirror * lanes + l] = -im[k * lanes + l];
            }
        }
    }
}

static void NAME(scatter)(const job *j, int64_t first, int64_t lanes, const REAL *re, const REAL *im) {
    const params *p = j->p;
    const int64_t n = p->fft.n, step = p->inner * p->wanted_parts,
                  used = hone_min_i64(p->wanted, p->doubles ? n / 2 + 1 : n);
    for (int64_t l = 0; l < lanes; l++) {
        REAL *y = (REAL *)j->y + NAME(first)(p, first + l, p->wanted, p->wanted_parts);
        for (int64_t k = 0; k < p->wanted; k++) {
            const bool twice = p->doubles && k != (n - k) % n;
            const REAL f = k < used ? (REAL)(twice ? 2 * p->scale : p->scale) : 0;
            const int64_t at = (k < used ? k : 0) * lanes + l;
            y[k * step] = f * re[at];
            if (p->wanted_parts == 2) y[k * step + 1] = f * im[at];
        }
    }
}

static void NAME(run_lanes)(const job *j, int64_t first, int64_t lanes, int worker) {
    const int64_t size = j->p->fft.n * lanes;
    REAL *re = hone_step_worker_scratch(j->step, j->frame, worker), *im = re + size, *scratch = im + size;
    NAME(gather)(j, first, lanes, re, im);
    if (j->p->positive)
        NAME(hone_fft_run)(&j->p->fft, im, re, lanes, scratch);
    else
        NAME(hone_fft_run)(&j->p->fft, re, im, lanes, scratch);
    NAME(scatter)(j, first, lanes, re, im);
}
