/* Fast Fourier transforms in portable C: y[k] = the sum over j of x[j] e^(-2 pi i j k / n), of any length.
 *
 *   n = 2^a 3^b 5^c …     one pass for each factor, which also sorts (Stockham)
 *   a factor above 31     as a convolution with a chirp, of a length that is a power of two (Bluestein, 1970)
 *
 * Real and imaginary parts lie in arrays of their own. Several transforms run side by side, as lanes: element j of lane l is
 * x[j * lanes + l], so that loops over lanes are vector code. The caller gives all memory. */
#ifndef HONE_KERNELS_FFT_H
#define HONE_KERNELS_FFT_H

#include <stdint.h>

typedef struct hone_fft {
    int64_t n;
    int64_t length; /* of the passes: n, or the convolution's */
    int factors;
    int factor[40];
    const void *table; /* of the passes: for each the factors e^(-2 pi i j r / m) */
    const void *
        chirp; /* [n] e^(-pi i k^2 / n), then [length] the transform of its conjugate; NULL: none is needed */
} hone_fft;

/* How many numbers the tables of a transform of length n > 0 have, and how many the scratch of `lanes` transforms. */
int64_t hone_fft_table(int64_t n);
int64_t hone_fft_scratch(int64_t n, int64_t lanes);

/* Fills the tables; scratch is that of one lane. */
void hone_fft_make_f32(hone_fft *f, int64_t n, float *table, float *scratch);
void hone_fft_make_f64(hone_fft *f, int64_t n, double *table, double *scratch);
/* Transforms re and im, [n, lanes], in place. Swap them for the other sign of the exponent. */
void hone_fft_run_f32(const hone_fft *f, float *re, float *im, int64_t lanes, float *scratch);
void hone_fft_run_f64(const hone_fft *f, double *re, double *im, int64_t lanes, double *scratch);

#endif
