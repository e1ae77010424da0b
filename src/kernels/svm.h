/* What support vector machines need beside products of matrices. */
#ifndef HONE_KERNELS_SVM_H
#define HONE_KERNELS_SVM_H

#include <stdint.h>

/* y[j] = the sum over k of (x[k] - s[j][k])^2, s [count, n]. */
void hone_squared_distances_f32(const float *x, const float *s, int64_t count, int64_t n, float *y);
void hone_squared_distances_f64(const double *x, const double *s, int64_t count, int64_t n, double *y);

/* Decisions between each two of `classes`, (0, 1), (0, 2), … (1, 2), …: above 0 for the first. How many each class wins. */
void hone_svm_votes(const double *decisions, int64_t classes, double *votes);
/* Their probabilities: a sigmoid of a d + b for each decision, coupled as Wu, Lin and Weng ("Probability estimates for multi-
 * class classification by pairwise coupling", JMLR 2004, second method) do. `scratch` has room for classes^2 + classes. */
void hone_svm_probabilities(const double *decisions, const double *a, const double *b, int64_t classes,
                            double *probabilities, double *scratch);

#endif
