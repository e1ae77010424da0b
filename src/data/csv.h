/* Tables of text: cells, and what they are. */
#ifndef HONE_DATA_CSV_H
#define HONE_DATA_CSV_H

#include "data/source.h"

#include <hone/tensor.h>

/* The cells of a table, row after row; each lies in `text`, without quotes, and a zero behind it. */
typedef struct hone_cells {
    char *text;
    hone_string *at; /* [rows, columns] */
    int64_t *lines;  /* [rows]: where each row begins, from 1 */
    int64_t rows;
    int columns;
    char delimiter;
    int64_t bad_rows, bad_line; /* of another number of cells, left out; the first one's line … */
    int bad_cells;              /* … and how many cells it has */
} hone_cells;

/* Reads a source to its end and cuts it at commas, tabs, semicolons or bars, whichever the first line has most of, and
 * at line ends; quoted cells may hold all of these (RFC 4180). Empty lines are no rows. HONE_CORRUPT names the line where a
 * quoted cell begins that never ends. hone_cells_free() when done, also after a failure. */
hone_status hone_cells_read(hone_source *s, hone_cells *out, hone_error *err);
void hone_cells_free(hone_cells *c); /* all zero is fine */

/* The number that a cell is, as a whole; false if it is none. "1.5", "-3e4"; no words, no hexadecimals. */
bool hone_cell_number(const hone_string *cell, double *out);
/* Days since 1970-01-01 of "2024-02-29", maybe with a time "T12:30:00" of UTC; false if it is no date. */
bool hone_cell_date(const hone_string *cell, double *out);
/* Is it one of the words for a value that is missing: nothing, NA, N/A, NaN, null, None, "?". */
bool hone_cell_missing(const hone_string *cell);

#endif
