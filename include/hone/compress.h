/* Optimization: each technique takes a graph and gives a smaller one, with a report. */
#ifndef HONE_COMPRESS_H
#define HONE_COMPRESS_H

#include <hone/train.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum hone_quantize_mode {
    HONE_QUANTIZE_STATIC, /* QDQ: int8 weights (per channel), uint8 activations, ranges from calibration data */
    HONE_QUANTIZE_DYNAMIC /* int8 weights; activations are quantized at every run */
} hone_quantize_mode;

typedef enum hone_calibration_method {
    HONE_CALIBRATE_MINMAX,     /* all that was seen */
    HONE_CALIBRATE_PERCENTILE, /* but for a share of outliers */
    HONE_CALIBRATE_MSE,        /* least mean squared error of the codes */
    HONE_CALIBRATE_ENTROPY /* least divergence (Kullback-Leibler) of what is seen before and behind the codes */
} hone_calibration_method;

typedef struct hone_calibration {
    hone_calibration_method method;
    double percentile; /* of PERCENTILE: per cent that are kept, half of the others left out on either side */
} hone_calibration;

typedef struct hone_quantize_options {
    size_t size;
    hone_quantize_mode mode;
    hone_task task;              /* which columns feed the model's inputs; its objective does not matter */
    int64_t calibration_samples; /* so many, drawn from the data, of each class as of all; 0: all */
    int threads;                 /* 0: one for each available CPU */
    hone_calibration calibration;
} hone_quantize_options;
#define HONE_QUANTIZE_OPTIONS_INIT                                                                           \
    {                                                                                                        \
        .size = sizeof(hone_quantize_options), .mode = HONE_QUANTIZE_STATIC, .calibration_samples = 1024,    \
        .calibration = {                                                                                     \
            .percentile = 99.99                                                                              \
        }                                                                                                    \
    }

typedef struct hone_quantize_report {
    int64_t quantized_nodes;           /* computed in integers now */
    int64_t float_nodes;               /* multiply in float still */
    char float_names[512];             /* which, and why */
    int64_t bytes_before, bytes_after; /* of the initializers */
} hone_quantize_report;

/* Quantizes a float graph. `data` calibrates (may be NULL for dynamic). On success `*out` belongs to the
 * caller. */
HONE_API hone_status hone_quantize(const hone_graph *g, const hone_dataset *data,
                                   const hone_quantize_options *options, hone_graph **out,
                                   hone_quantize_report *report, hone_error *err);

typedef struct hone_prune_options {
    size_t size;
    double sparsity; /* share of weights set to zero, by magnitude; 0: none */
    /* Share of hidden units removed for good, by norm; 0: none. At least that share goes, so that multiply-adds and
     * parameters of the layers that lose units become at most 1 - structured of what they were; one unit stays. */
    double structured;
    hone_train_options finetune; /* epochs 0: no fine-tuning; zeros stay zero */
} hone_prune_options;
#define HONE_PRUNE_OPTIONS_INIT                                                                              \
    { .size = sizeof(hone_prune_options), .finetune = HONE_TRAIN_OPTIONS_INIT }

typedef struct hone_prune_report {
    int64_t parameters_before, parameters_after;
    int64_t weights; /* afterwards: those that pruning looks at, of rank 2 and more (no biases) */
    int64_t zeros;   /* of these, zero: zeros / weights is the sparsity */
    int64_t multiply_adds_before, multiply_adds_after;
    char blocked[512]; /* groups that could not be cut, and the node that blocks each */
} hone_prune_report;

/* Prunes a float graph and fine-tunes it on `data` (NULL only if finetune.epochs is 0). On success `*out`
 * belongs to the caller. */
HONE_API hone_status hone_prune(const hone_graph *g, const hone_dataset *data,
                                const hone_prune_options *options, hone_graph **out,
                                hone_prune_report *report, hone_error *err);

#ifdef __cplusplus
}
#endif
#endif
