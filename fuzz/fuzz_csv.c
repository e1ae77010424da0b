/* The reader of tables: any bytes give cells, each within the text and ended by a zero, or an error with a message. */
#include "data/csv.h"

#include <math.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_cell(const hone_string *cell) {
    double number = 0, date = 0;
    if (cell->data[cell->size] != 0) abort();
    if (hone_cell_number(cell, &number) && isnan(number)) abort();
    if (hone_cell_date(cell, &date) && !isfinite(date)) abort();
    hone_cell_missing(cell);
}

static void check_cells(const hone_cells *c) {
    if (c->rows < 0 || c->columns < (c->rows > 0) || c->bad_rows < 0) abort();
    for (int64_t i = 0; i < c->rows * c->columns; i++) check_cell(&c->at[i]);
    for (int64_t i = 0; i < c->rows; i++)
        if (c->lines[i] < 1 || (i && c->lines[i] <= c->lines[i - 1])) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    hone_source *source = NULL;
    hone_cells cells = {NULL};
    hone_error err = {0};
    hone_status status = hone_source_memory(data, size, &source, &err);
    if (status == HONE_OK) status = hone_cells_read(source, &cells, &err);
    if (status == HONE_OK)
        check_cells(&cells);
    else if (err.code != status || !err.message[0])
        abort();
    hone_cells_free(&cells);
    hone_source_close(source);
    return 0;
}
