/* What the kinds of quantization share: a job, its nodes, and its report. */
#ifndef HONE_COMPRESS_QUANTIZE_H
#define HONE_COMPRESS_QUANTIZE_H

#include "compress/codes.h"
#include "graph/op.h"

/* A node that multiplies by a constant weight, its input 1. */
typedef struct hone_quantized_node {
    hone_node *node;
    int axis, output_axis; /* of the weight, of the result: the channels */
    hone_codes weight;     /* the job's */
    const hone_value *float_weight; /* what it was made of, once the node is done */
} hone_quantized_node;

typedef struct hone_quantize_job {
    hone_graph *g;
    const hone_quantize_options *options;
    hone_quantize_report *report;
    hone_error *err;
    hone_quantized_node *nodes; /* what will compute in integers */
    int count;
    hone_value **scalars; /* constants of one number that were made, each once */
    size_t scalar_count, scalar_capacity;
} hone_quantize_job;

/* Fills j->nodes, and notes in the report which nodes stay in float, and why. */
hone_status hone_quantize_collect(hone_quantize_job *j);
void hone_quantize_note(hone_quantize_job *j, const hone_node *n, const char *reason);

/* Constants named after `base`. NULL when memory is out (remembered by the graph). */
hone_value *hone_quantize_constant(hone_quantize_job *j, const char *base, const char *suffix,
                                   hone_tensor *t);
hone_value *hone_quantize_scalar(hone_quantize_job *j, hone_dtype dtype, double x);

/* quantize_static.c, quantize_dynamic.c: the nodes of the job go over to integers. */
hone_status hone_quantize_static(hone_quantize_job *j, const hone_dataset *data);
hone_status hone_quantize_dynamic(hone_quantize_job *j);

#endif
