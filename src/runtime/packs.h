/* The store of packed constants of a model: each (constant, format) is packed once and shared by all plans. */
#ifndef HONE_RUNTIME_PACKS_H
#define HONE_RUNTIME_PACKS_H

#include "graph/run.h"

typedef struct hone_packs hone_packs;

hone_packs *hone_packs_new(void); /* NULL when out of memory */
void hone_packs_free(hone_packs *s);
/* Bytes of all that is packed. */
size_t hone_packs_bytes(hone_packs *s);

#endif
