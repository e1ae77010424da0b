/* Which values of a graph get a grid, that is a QuantizeLinear and a DequantizeLinear behind them, and who reads it.
 *
 *   the input of each node that multiplies in integers, before what only moves it: bytes are moved then
 *   of images also what such nodes give to elementwise arithmetic whose result gets a grid: it computes on codes then */
#ifndef HONE_COMPRESS_GRIDS_H
#define HONE_COMPRESS_GRIDS_H

#include "compress/quantize.h"

typedef struct hone_grids {
    hone_value **values; /* those that get one */
    int count;
    uint8_t *marks; /* by value id */
} hone_grids;

hone_status hone_grids_find(const hone_quantize_job *j, hone_grids *out, hone_error *err);
void hone_grids_free(hone_grids *g);
/* Does this reader of `v`, one of the values, read its grid? Else it keeps v. */
bool hone_grids_are_read(const hone_grids *g, const hone_value *v, const hone_use *use);

#endif
