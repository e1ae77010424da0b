#include "table.h"

#include "report.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

struct cli_table {
    const char *align;
    size_t columns, cells, capacity;
    char **text;
};

cli_table *cli_table_new(const char *align) {
    cli_table *t = cli_alloc(sizeof *t);
    t->align = align;
    t->columns = strlen(align);
    return t;
}

void cli_table_cell(cli_table *t, const char *text) {
    if (t->cells == t->capacity) {
        t->capacity = t->capacity ? 2 * t->capacity : 64;
        char **grown = cli_alloc(t->capacity * sizeof *grown);
        if (t->cells) memcpy(grown, t->text, t->cells * sizeof *grown);
        free(t->text);
        t->text = grown;
    }
    size_t size = strlen(text) + 1;
    t->text[t->cells++] = memcpy(cli_alloc(size), text, size);
}

void cli_table_row(cli_table *t, ...) {
    va_list cells;
    va_start(cells, t);
    for (const char *text; (text = va_arg(cells, const char *));) cli_table_cell(t, text);
    va_end(cells);
}

/* Characters of UTF-8, each taken as one column wide. */
static int width(const char *text) {
    int n = 0;
    for (; *text; text++) n += (*text & 0xc0) != 0x80;
    return n;
}

void cli_table_print(const cli_table *t, FILE *to) {
    int *widths = cli_alloc(t->columns * sizeof *widths);
    for (size_t i = 0; i < t->cells; i++) {
        int w = width(t->text[i]);
        if (w > widths[i % t->columns]) widths[i % t->columns] = w;
    }
    for (size_t i = 0; i < t->cells; i++) {
        size_t column = i % t->columns;
        int space = widths[column] - width(t->text[i]);
        bool right = t->align[column] == 'r', last = column + 1 == t->columns;
        fprintf(to, "%*s%s%*s%s", right ? space : 0, "", t->text[i], right || last ? 0 : space, "",
                last ? "\n" : "  ");
        if (!last || i >= t->columns) continue;
        for (size_t c = 0; c < t->columns; c++) {
            for (int k = 0; k < widths[c]; k++) fputc('-', to);
            fputs(c + 1 == t->columns ? "\n" : "  ", to);
        }
    }
    free(widths);
}

void cli_table_free(cli_table *t) {
    if (!t) return;
    for (size_t i = 0; i < t->cells; i++) free(t->text[i]);
    free(t->text);
    free(t);
}
