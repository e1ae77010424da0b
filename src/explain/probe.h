/* A model with its gradient: the number asked about, and how it changes with some float values of the model, the *points*.
 *
 *      inputs ──► prefix ──► point │ point ──► head ──► output          point: an input, the vectors of tokens, a layer
 *                                  │ gradient ◄─────────┘
 *
 * A point that is no input is computed once, by a graph of its own, and is an input of the head. So all points are tensors
 * that callers may change between runs. */
#ifndef HONE_EXPLAIN_PROBE_H
#define HONE_EXPLAIN_PROBE_H

#include "explain/subject.h"

typedef struct hone_point {
    int input;                   /* of the model, that it comes of; -1: of a layer */
    bool tokens;                 /* vectors of an input of tokens, [its shape, …] */
    hone_tensor *at, *start;     /* float32: what the next run takes; what the model has there */
    const hone_tensor *gradient; /* of the last run; NULL: the number does not hang on it */
} hone_point;

typedef struct hone_probe hone_probe;

/* Points for all inputs that have some; `layer`: one, the value that the options name, or the last one [N, C, …places] of more
 * than one place. HONE_UNSUPPORTED: there is no gradient on the way, or no point. */
hone_status hone_probe_new(const hone_subject *s, bool layer, hone_probe **out, hone_error *err);
void hone_probe_free(hone_probe *p); /* NULL is fine */
int hone_probe_count(const hone_probe *p);
hone_point *hone_probe_point(hone_probe *p, int index);
/* The number where the points are, and the gradients. */
hone_status hone_probe_run(hone_probe *p, double *score, hone_error *err);

#endif
