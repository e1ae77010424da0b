/* The packed constants of a model. They are made once, when the graph is rewritten, by all threads together; a
 * constant that every reader has packed goes part by part as its packed forms come. Mapped constants stay: they are
 * read as they lie where kernels can do that, and packed when the first plan needs them where not. */
#ifndef HONE_RUNTIME_PACKS_H
#define HONE_RUNTIME_PACKS_H

#include "graph/run.h"

typedef struct hone_packs hone_packs;

/* Asks every node of a sorted and inferred graph what to pack, and packs it. Values of constants that nobody reads
 * as they are then have data without bytes (hone_value_constant: NULL). On success `*out` belongs to the caller. */
hone_status hone_packs_make(hone_graph *g, int threads, hone_precision precision, hone_packs **out,
                            hone_error *err);
void hone_packs_free(hone_packs *s);
/* Bytes of all that is packed. */
size_t hone_packs_bytes(hone_packs *s);

#endif
