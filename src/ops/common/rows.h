/* Where RowsStep has what an optimizer has: W and its states, then these; its map's inputs are the node's. */
#ifndef HONE_OPS_COMMON_ROWS_H
#define HONE_OPS_COMMON_ROWS_H

enum { HONE_ROWS_DY = 3, HONE_ROWS_INDICES, HONE_ROWS_NUMBERS, HONE_ROWS_INPUTS = 16 };

#endif
