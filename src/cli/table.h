/* Aligned tables. */
#ifndef HONE_CLI_TABLE_H
#define HONE_CLI_TABLE_H

#include <stdio.h>

typedef struct cli_table cli_table;

/* One letter a column: 'l' or 'r'. */
cli_table *cli_table_new(const char *align);
/* The next cell, row after row; copied. The first row is the heading. */
void cli_table_cell(cli_table *t, const char *text);
void cli_table_row(cli_table *t, ...) __attribute__((sentinel)); /* const char * cells, then NULL */
void cli_table_print(const cli_table *t, FILE *to);
void cli_table_free(cli_table *t);

#endif
