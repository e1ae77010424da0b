/* What is explained: a model that can be run, one sample, and the number of the output that is asked about. */
#ifndef HONE_EXPLAIN_SUBJECT_H
#define HONE_EXPLAIN_SUBJECT_H

#include "graph/graph.h"

#include <hone/explain.h>
#include <hone/session.h>

/* A compiled graph with what runs it. All zero is fine to free. */
typedef struct hone_engine {
    hone_model *model;
    hone_session *session;
    hone_context *context;
} hone_engine;
hone_status hone_engine_make(const hone_graph *g, int threads, hone_engine *out, hone_error *err);
void hone_engine_free(hone_engine *e);

typedef struct hone_subject {
    const hone_graph *graph;
    const hone_explain_options *options;
    const hone_tensor *const *inputs; /* of the model, borrowed */
    int input_count;
    int output; /* which; float32 or float64 */
    int64_t target;
    double score;
    hone_tensor **values; /* to fill: one for each input, zeros to begin with; NULL: nothing yet */
    double base;          /* to set: the baseline's score */
    hone_engine engine;
    const hone_tensor **outputs; /* of the last run */
} hone_subject;

/* The number asked about, of inputs like the subject's. */
hone_status hone_subject_score(const hone_subject *s, const hone_tensor *const *inputs, double *out,
                               hone_error *err);
/* Zeros for input i, if there are none yet. */
hone_status hone_subject_values(hone_subject *s, int i, float **out, hone_error *err);
/* Tells how far it is. */
hone_status hone_subject_tell(const hone_subject *s, int64_t done, int64_t all, hone_error *err);

/* The methods. HONE_UNSUPPORTED: there is no gradient. */
hone_status hone_explain_by_gradient(hone_subject *s, hone_error *err);
hone_status hone_explain_by_layer(hone_subject *s, hone_error *err);
hone_status hone_explain_by_parts(hone_subject *s, hone_error *err);

#endif
