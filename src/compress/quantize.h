/* What the kinds of quantization share: a job, its nodes, and its report. */
#ifndef HONE_COMPRESS_QUANTIZE_H
#define HONE_COMPRESS_QUANTIZE_H

#include "compress/codes.h"
#include "graph/op.h"

/* A node that multiplies by a constant weight, its input 1. */
typedef struct hone_quantized_node {
    hone_node *node;
    int axis, output_axis;          /* of the weight, of the result: the channels */
    hone_codes weight;              /* the job's */
    const hone_value *float_weight; /* what it was made of, once the node is done */
    hone_moments moments;           /* the job's; of what it multiplies, where they are asked for */
} hone_quantized_node;

/* Weights that can become codes, in the order in which they are found. */
typedef struct hone_layers {
    hone_sensitivity *items;
    int count;
    size_t capacity;
} hone_layers;

typedef struct hone_quantize_job {
    hone_graph *g;
    const hone_graph *original; /* what it is a copy of */
    const hone_quantize_options *options;
    hone_quantize_report *report;
    hone_error *err;
    hone_quantized_node *nodes; /* what will compute in integers */
    int count;
    const char *only;     /* the weight that goes over, alone; NULL: all */
    hone_layers *layers;  /* gets all that might; NULL: nobody asks */
    hone_value **scalars; /* constants of one number that were made, each once */
    size_t scalar_count, scalar_capacity;
} hone_quantize_job;

/* hone_quantize of the weight `only` alone (NULL: of all). `layers` (may be NULL) gets all that it might be, also if it
 * is none of them: then nothing is made. */
hone_status hone_quantize_some(const hone_graph *g, const hone_dataset *data, const hone_quantize_options *o,
                               const char *only, hone_layers *layers, hone_graph **out, hone_error *err);
/* Is weight w one that goes over? Asked of each that can. */
hone_status hone_quantize_wants(hone_quantize_job *j, const hone_value *w, bool *wants);
/* Do the options want it finer? */
bool hone_quantize_keeps(const hone_quantize_job *j, const hone_value *w);

/* Fills j->nodes, and notes in the report which nodes stay in float, and why. */
hone_status hone_quantize_collect(hone_quantize_job *j);
void hone_quantize_note(hone_quantize_job *j, const hone_node *n, const char *reason);

/* The axes of a node's weight, its input 1, and of its result that run along its channels; q->axis -1: there are none. */
hone_status hone_quantize_channels(hone_quantized_node *q, hone_error *err);
/* Does the operator have an integer form for this node on q->weight? */
bool hone_quantize_has_form(hone_graph *g, const hone_quantized_node *q);
/* What is multiplied and added must be numbers: HONE_OUT_OF_RANGE names the node and the weight. */
hone_status hone_quantize_check_finite(const hone_node *n, hone_error *err);

/* The format of weight w, `index` of `count` in the order in which they are used. */
hone_code_format hone_quantize_format(const hone_quantize_job *j, const hone_value *w, int index, int count);
/* Finds the moments that the options ask for, for those of j->nodes that have a node. */
hone_status hone_quantize_moments(hone_quantize_job *j, const hone_dataset *data);
/* The bias of a node whose weight goes over to codes makes up for what that does to the means of its sums. */
hone_status hone_quantize_correct(hone_quantize_job *j, const hone_quantized_node *q, int64_t block);

/* Is the graph trained while its weights are rounded? */
bool hone_quantize_trains(const hone_quantize_options *o);
/* quantize_training.c: trains the graph, whose activations are on their grids already, with each of weights[i] rounded in the
 * way of formats[i] from the scales of j->nodes[i].weight on; then these codes are those that were learned. */
hone_status hone_quantize_train(hone_quantize_job *j, const hone_dataset *data, hone_value *const *weights,
                                const hone_code_format *formats);

/* Constants named after `base`. NULL when memory is out (remembered by the graph). */
hone_value *hone_quantize_constant(hone_quantize_job *j, const char *base, const char *suffix,
                                   hone_tensor *t);
hone_value *hone_quantize_scalar(hone_quantize_job *j, hone_dtype dtype, double x);

/* quantize_static.c, quantize_dynamic.c: the nodes of the job go over to integers. */
hone_status hone_quantize_static(hone_quantize_job *j, const hone_dataset *data);
hone_status hone_quantize_dynamic(hone_quantize_job *j);
/* quantize_weights.c, quantize_half.c: what is kept of weights, arithmetic staying in float. */
hone_status hone_quantize_weights(hone_quantize_job *j, const hone_dataset *data);
hone_status hone_quantize_half(hone_quantize_job *j, hone_dtype dtype);
/* cluster.c: weights of few different numbers. */
hone_status hone_quantize_clusters(hone_quantize_job *j, const hone_dataset *data);

#endif
