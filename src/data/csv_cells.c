#include "base/memory.h"
#include "data/csv.h"

#include <inttypes.h>
#include <string.h>

/* --- the text --- */

static hone_status read_text(hone_source *s, char **text, size_t *size, hone_error *err) {
    size_t room = 0, used = 0, got = 0;
    *text = NULL;
    do {
        if (!hone_reserve(text, &room, used + (64 << 10) + 1, 1)) return hone_fail_memory(err);
        HONE_TRY(s->read(s, *text + used, room - used - 1, &got, err));
        used += got;
    } while (got);
    (*text)[used] = 0;
    *size = used;
    return HONE_OK;
}

/* --- cutting --- */

static char delimiter_of(const char *text) {
    static const char all[] = ",\t;|";
    int counts[4] = {0}, best = 0;
    bool quoted = false;
    for (const char *c = text; *c && (quoted || (*c != '\n' && *c != '\r')); c++) {
        if (*c == '"') quoted = !quoted;
        const char *found = quoted ? NULL : strchr(all, *c);
        if (found) counts[found - all]++;
    }
    for (int i = 1; i < 4; i++)
        if (counts[i] > counts[best]) best = i;
    return all[best];
}

typedef struct scan {
    hone_cells *c;
    char *at, *end;
    int64_t line;
    size_t cells, room, lines_room;
} scan;

static bool is_blank(const scan *s, char c) {
    return (c == ' ' || c == '\t') && c != s->c->delimiter;
}

static bool ends_cell(const scan *s) {
    return s->at == s->end || *s->at == s->c->delimiter || *s->at == '\n' || *s->at == '\r';
}

/* s->at is at a quote; the cell is moved together where quotes are doubled. */
static hone_status quoted_cell(scan *s, hone_string *out, hone_error *err) {
    int64_t line = s->line;
    char *to = ++s->at;
    out->data = to;
    for (; s->at < s->end; s->at++) {
        if (*s->at == '\n') s->line++;
        if (*s->at == '"') {
            if (s->at + 1 == s->end || s->at[1] != '"') break;
            s->at++;
        }
        *to++ = *s->at;
    }
    if (s->at == s->end)
        return hone_fail(err, HONE_CORRUPT, "line %" PRId64 ": a quoted cell never ends", line);
    s->at++;
    while (!ends_cell(s)) { /* what stands behind the quotes is of the cell, too */
        if (!is_blank(s, *s->at)) *to++ = *s->at;
        s->at++;
    }
    out->size = (size_t)(to - out->data);
    return HONE_OK;
}

static hone_status next_cell(scan *s, hone_string *out, hone_error *err) {
    while (s->at < s->end && is_blank(s, *s->at)) s->at++;
    if (s->at < s->end && *s->at == '"') return quoted_cell(s, out, err);
    out->data = s->at;
    while (!ends_cell(s)) s->at++;
    char *last = s->at;
    while (last > out->data && is_blank(s, last[-1])) last--;
    out->size = (size_t)(last - out->data);
    return HONE_OK;
}

/* The cells of a row go behind those that are there; the zero behind a cell is written when the next one is known to begin
 * elsewhere. */
static hone_status next_row(scan *s, int64_t *count, hone_error *err) {
    hone_cells *c = s->c;
    *count = 0;
    for (bool more = true; more;) {
        hone_string cell;
        if (!hone_reserve(&c->at, &s->room, s->cells + (size_t)*count + 1, sizeof *c->at))
            return hone_fail_memory(err);
        HONE_TRY(next_cell(s, &cell, err));
        more = s->at < s->end && *s->at == c->delimiter;
        if (!more && s->at < s->end) {
            if (*s->at == '\r' && s->at + 1 < s->end && s->at[1] == '\n') s->at++;
            s->line++;
        }
        if (s->at < s->end) s->at++;
        cell.data[cell.size] = 0;
        c->at[s->cells + (size_t)(*count)++] = cell;
    }
    return HONE_OK;
}

static hone_status cut(scan *s, hone_error *err) {
    hone_cells *c = s->c;
    while (s->at < s->end) {
        int64_t line = s->line, count;
        HONE_TRY(next_row(s, &count, err));
        if (count == 1 && c->at[s->cells].size == 0) continue;
        if (c->columns == 0) c->columns = (int)count;
        if (count != c->columns) {
            if (c->bad_rows++ == 0) {
                c->bad_line = line;
                c->bad_cells = (int)count;
            }
            continue;
        }
        if (!hone_reserve(&c->lines, &s->lines_room, (size_t)c->rows + 1, sizeof *c->lines))
            return hone_fail_memory(err);
        c->lines[c->rows++] = line;
        s->cells += (size_t)count;
    }
    return HONE_OK;
}

hone_status hone_cells_read(hone_source *source, hone_cells *out, hone_error *err) {
    size_t size = 0;
    *out = (hone_cells){.text = NULL};
    HONE_TRY(read_text(source, &out->text, &size, err));
    scan s = {.c = out, .at = out->text, .end = out->text + size, .line = 1};
    if (size >= 3 && memcmp(s.at, "\xef\xbb\xbf", 3) == 0) s.at += 3;
    if (memchr(s.at, 0, (size_t)(s.end - s.at)))
        return hone_fail(err, HONE_CORRUPT, "not a table of text: there are zero bytes in it");
    out->delimiter = delimiter_of(s.at);
    return cut(&s, err);
}

void hone_cells_free(hone_cells *c) {
    hone_free(c->text);
    hone_free(c->at);
    hone_free(c->lines);
    *c = (hone_cells){.text = NULL};
}
