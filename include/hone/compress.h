/* Optimization: each technique takes a graph and gives a smaller one, with a report. */
#ifndef HONE_COMPRESS_H
#define HONE_COMPRESS_H

#include <hone/train.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum hone_quantize_mode {
    HONE_QUANTIZE_STATIC, /* QDQ: weights of 8 bits or fewer (a scale a channel), uint8 activations, ranges from
                             calibration data */
    HONE_QUANTIZE_DYNAMIC, /* int8 weights; activations are quantized at every run */
    HONE_QUANTIZE_WEIGHTS, /* weights of 8 bits or fewer, also tables of rows; arithmetic stays in float */
    HONE_QUANTIZE_FLOAT16, /* weights are kept as float16, or bfloat16; arithmetic stays in float32 */
    HONE_QUANTIZE_BFLOAT16,
    HONE_QUANTIZE_CLUSTERS /* weights and biases become few different numbers, which each of them shares, and stay float: for
                              packed files (hone_graph_save_packed) */
} hone_quantize_mode;

/* How weights become codes. */
typedef enum hone_rounding {
    HONE_ROUND_AUTO,    /* NEAREST of 8 bits, SEARCH of fewer */
    HONE_ROUND_NEAREST, /* the largest weight that shares a scale gets the largest code */
    HONE_ROUND_SEARCH, /* scales with the least squared error; with data, errors count as their inputs are large */
    HONE_ROUND_GPTQ /* what rounding a weight does to sums is made up for by weights that are not rounded yet
                           (Frantar et al. 2022, arXiv 2210.17323); needs data */
} hone_rounding;

/* How WEIGHTS of matrices in blocks are written. */
typedef enum hone_dialect {
    HONE_DIALECT_ONNX, /* DequantizeLinear (operator set 21; of 2 bits 25) */
    HONE_DIALECT_ORT   /* com.microsoft MatMulNBits, where it can say it */
} hone_dialect;

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
    /* STATIC and WEIGHTS: bits of a weight, 8, 4, 3 (kept in 4) or 2. The first and the last weight of a model bear
     * rounding least: they have `edge_bits` where that is more. */
    int bits, edge_bits;
    hone_rounding rounding;
    /* WEIGHTS: of matrices and tables so many weights along what is summed share a scale, a multiple of 16; 0: all of a
     * channel, as in convolutions. `asymmetric`: they share a zero point, too. */
    int64_t block;
    bool asymmetric;
    hone_dialect dialect;
    int clusters; /* CLUSTERS: different numbers of a weight, 2 … 256; zeros, which stay zero, are one more */
    /* Biases make up for what rounding weights does to the means of sums (Nagel et al. 2019, arXiv 1906.04721); needs
     * data. */
    bool correct_bias;
    /* Weights, by name, that stay finer: at 8 bits where `bits` is less, else in float. Borrowed. */
    const char *const *keep;
    int keep_count;
    /* STATIC: all channels of a weight share one scale, for hardware that takes no other. */
    bool per_tensor;
    /* All but half precision. Channels are rescaled first, in a model that computes the same. `equalize`: what gives a channel
     * and what reads it get weights of one range (Nagel et al. 2019, arXiv 1906.04721). `smooth`, 0 … 1, 0: not: where
     * activations are large they become smaller and the weights that read them larger, by max|x|^smooth / max|w|^(1 - smooth)
     * (SmoothQuant: Xiao et al. 2022, arXiv 2211.10438); needs data. */
    bool equalize;
    double smooth;
    /* Weights that are stored in few bits already are opened and rounded again, which costs more than rounding once. */
    bool requantize;
    /* STATIC, WEIGHTS and CLUSTERS: quantization-aware training; of CLUSTERS the shared numbers are trained, and what is one
     * stays one. Of the others weights are rounded in each step, and the gradients of what comes out go
     * to what went in, as far as it is within the codes' range; steps of the codes are learned, too (Esser et al. 2020, arXiv
     * 1902.08153). NULL, or no epochs: none. `distill`: the float graph is its teacher, where the objective is
     * cross-entropy. */
    const hone_train_options *finetune;
    bool distill;
} hone_quantize_options;
#define HONE_QUANTIZE_OPTIONS_INIT                                                                           \
    {                                                                                                        \
        .size = sizeof(hone_quantize_options), .mode = HONE_QUANTIZE_STATIC, .calibration_samples = 1024,    \
        .calibration = {.percentile = 99.99}, .bits = 8, .edge_bits = 8, .block = 32, .clusters = 16         \
    }

typedef struct hone_quantize_report {
    int64_t
        quantized_nodes; /* computed in integers now; of WEIGHTS and half precision: weights kept in fewer bits */
    int64_t float_nodes;               /* multiply in float still; of these: weights kept in float32 */
    char float_names[512];             /* which, and why */
    int64_t bytes_before, bytes_after; /* of the initializers */
    int64_t rescaled;                  /* sets of channels that `equalize` and `smooth` looked at */
} hone_quantize_report;

/* Quantizes a float graph. `data` calibrates (NULL where nothing needs it: only STATIC, GPTQ, correct_bias, smooth and finetune do). On success `*out` belongs to the
 * caller. */
HONE_API hone_status hone_quantize(const hone_graph *g, const hone_dataset *data,
                                   const hone_quantize_options *options, hone_graph **out,
                                   hone_quantize_report *report, hone_error *err);

/* What a weight costs. */
typedef struct hone_sensitivity {
    char *weight;    /* its name */
    int64_t numbers; /* of it */
    double error;    /* of output 0 if it alone is quantized: root mean square, as a share of the output's */
} hone_sensitivity;

/* The weights that hone_quantize would go over to codes with these options (modes STATIC, DYNAMIC and WEIGHTS), the one that
 * costs most first. Each is tried by itself, on the samples that calibration has, 256 at most. On success
 * `*out` is the caller's: hone_sensitivity_free(). */
HONE_API hone_status hone_quantize_sensitivity(const hone_graph *g, const hone_dataset *data,
                                               const hone_quantize_options *options, hone_sensitivity **out,
                                               int *count, hone_error *err);
HONE_API void hone_sensitivity_free(hone_sensitivity *layers, int count);

typedef struct hone_prune_options {
    size_t size;
    double sparsity; /* share of weights set to zero, by magnitude; 0: none */
    /* Of each `group` neighbours among the weights that are summed all but the largest `kept` become zero (2 of 4), where
     * sums are whole groups, but for the first and the last weight; 0: no groups. */
    int kept, group;
    /* Share of hidden units removed for good, by norm; 0: none. At least that share goes, so that multiply-adds and
     * parameters of the layers that lose units become at most 1 - structured of what they were; one unit stays. */
    double structured;
    /* Share of the multiply-adds that goes at least by splitting some products and convolutions into two of a lower
     * rank, where outputs vary in few directions; 0: none. Behind `structured`. With data, directions are those of the outputs on
     * them, else the weights'. */
    double low_rank;
    /* Zeros stay zero; of two epochs and more, sparsity grows in a part of them. epochs 0: no fine-tuning. */
    hone_train_options finetune;
    bool distill; /* the model as it was teaches, where the objective is cross-entropy */
} hone_prune_options;
#define HONE_PRUNE_OPTIONS_INIT                                                                              \
    { .size = sizeof(hone_prune_options), .finetune = HONE_FINETUNE_OPTIONS_INIT(3) }

typedef struct hone_prune_report {
    int64_t parameters_before, parameters_after;
    int64_t weights; /* afterwards: those that pruning looks at, of rank 2 and more (no biases) */
    int64_t zeros;   /* of these, zero: zeros / weights is the sparsity */
    int64_t multiply_adds_before, multiply_adds_after;
    int64_t split;     /* layers that low_rank has split */
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
