/* What a servable knows of shapes: where the dimensions of its settings stand, into which bucket a request
 * falls, and what it is padded to. */
#ifndef HONE_SERVE_SERVABLE_SHAPES_H
#define HONE_SERVE_SERVABLE_SHAPES_H

#include "serve/servable/servable.h"

/* Finds the settings' dimensions among the inputs' and outputs', and makes the buckets: nothing is measured
 * yet. What the settings speak of and the model has not is warned of. */
hone_status hone_shapes_settle(hone_servable *s, hone_error *err);
/* Nothing is padded, although it should be. */
void hone_do_not_pad(hone_servable *s, const char *why);
/* Why requests can't be put together, as far as types tell; NULL: they may be. */
const char *hone_shapes_unfit(const hone_servable *s);
/* The dimensions of a part's input where it is padded to `target`. */
void hone_shapes_pad(const hone_servable *s, const hone_part *p, int input, const int64_t *target,
                     int64_t *dims);
/* Does the run of which these are the targets pad the part? */
bool hone_shapes_is_padded(const hone_servable *s, const hone_part *p, const int64_t *target);
/* Along these dimensions requests are padded to the largest of their run. */
unsigned hone_shapes_open(const hone_servable *s);

#endif
