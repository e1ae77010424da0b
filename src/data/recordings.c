#include "data/recordings.h"

#include "data/corpus.h"
#include "data/csv.h"
#include "data/sources.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

static hone_status add(hone_recording_list *l, const hone_recording *r, hone_error *err) {
    if (l->count == l->capacity && !hone_reserve(&l->items, &l->capacity, l->count + 1, sizeof *l->items))
        return hone_fail_memory(err);
    l->items[l->count++] = *r;
    return HONE_OK;
}

/* --- folders --- */

/* "kal16" of "DIR/kal16__zero.wav"; NULL: it names none. */
static const char *source_of(hone_arena *arena, const char *path) {
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path, *mark = strstr(name, "__");
    return mark && mark > name ? hone_arena_strndup(arena, name, (size_t)(mark - name)) : NULL;
}

static hone_status from_folder(const char *path, hone_split split, hone_recording_list *l, hone_error *err) {
    hone_corpus files = {NULL};
    hone_status status = hone_corpus_list(path, split, &files, err);
    for (size_t i = 0; i < files.count && status == HONE_OK; i++) {
        hone_recording r = {hone_arena_strdup(l->arena, files.items[i].text), NULL, NULL, NULL};
        if (r.path) r.source = source_of(l->arena, r.path);
        if (files.items[i].label) r.label = hone_arena_strdup(l->arena, files.items[i].label);
        status = !r.path || (files.items[i].label && !r.label) ? hone_fail_memory(err) : add(l, &r, err);
    }
    l->split = files.split;
    hone_corpus_free(&files);
    return status;
}

/* --- tables --- */

static int column_of(const hone_cells *c, const char *const *words) {
    for (; *words; words++)
        for (int i = 0; i < c->columns; i++)
            if (strcasecmp(c->at[i].data, *words) == 0) return i;
    return -1;
}

typedef struct columns {
    int path, text, label, source, split; /* -1: none */
} columns;

static hone_status find_columns(const hone_cells *c, columns *out, hone_error *err) {
    static const char *const paths[] = {"path", "file", "filename", "audio", NULL},
                             *const texts[] = {"text", "transcript", "transcription", "sentence", NULL},
                             *const labels[] = {"label", "class", "target", "y", NULL},
                             *const sources[] = {"source", "speaker", NULL},
                             *const splits[] = {"split", NULL};
    *out = (columns){-1, -1, -1, -1, -1};
    if (c->rows > 0)
        *out = (columns){column_of(c, paths), column_of(c, texts), column_of(c, labels),
                         column_of(c, sources), column_of(c, splits)};
    if (out->path < 0 || (out->text < 0 && out->label < 0))
        return hone_fail(err, HONE_INVALID_ARGUMENT,
                         "a table of sound has a line of names with 'path', and 'text' or 'label'");
    return HONE_OK;
}

/* The cell's text, in the arena; NULL: no memory. */
static const char *cell(const hone_cells *c, hone_arena *arena, int64_t row, int column) {
    const hone_string *s = &c->at[(size_t)row * (size_t)c->columns + (size_t)column];
    return hone_arena_strndup(arena, s->data, s->size);
}

static hone_status add_row(const char *table, const hone_cells *c, const columns *at, int64_t row,
                           hone_recording_list *l, hone_error *err) {
    hone_recording r = {NULL};
    const char *name = cell(c, l->arena, row, at->path), *slash = strrchr(table, '/');
    if (!name) return hone_fail_memory(err);
    if (!*name) return hone_fail(err, HONE_CORRUPT, "line %" PRId64 ": no path", c->lines[row]);
    r.path = hone_arena_printf(l->arena, "%.*s%s", slash && *name != '/' ? (int)(slash + 1 - table) : 0,
                               table, name);
    const char **to = at->text >= 0 ? &r.text : &r.label;
    *to = cell(c, l->arena, row, at->text >= 0 ? at->text : at->label);
    if (at->source >= 0) r.source = cell(c, l->arena, row, at->source);
    if (!r.path || !*to || (at->source >= 0 && !r.source)) return hone_fail_memory(err);
    return add(l, &r, err);
}

static hone_status add_rows(const char *table, const hone_cells *c, hone_split split, hone_recording_list *l,
                            hone_error *err) {
    columns at;
    HONE_TRY(find_columns(c, &at, err));
    l->split = at.split >= 0;
    l->texts = at.text >= 0;
    if (split == HONE_SPLIT_VALIDATION && !l->split)
        return hone_fail(err, HONE_NOT_FOUND, "no rows for validation: no column 'split'");
    for (int64_t i = 1; i < c->rows; i++) {
        const char *part = l->split ? c->at[(size_t)i * (size_t)c->columns + (size_t)at.split].data : NULL;
        if (!part || hone_split_of(part) == (int)split) HONE_TRY(add_row(table, c, &at, i, l, err));
    }
    if (l->count == 0 && l->split) return hone_fail(err, HONE_NOT_FOUND, "no rows of that split");
    return HONE_OK;
}

static hone_status from_table(const char *path, hone_split split, hone_recording_list *l, hone_error *err) {
    hone_source *source = NULL;
    hone_cells cells = {NULL};
    hone_status status = hone_source_open(path, &source, err);
    if (status == HONE_OK) status = hone_cells_read(source, &cells, err);
    hone_source_close(source);
    if (status == HONE_OK) status = add_rows(path, &cells, split, l, err);
    hone_cells_free(&cells);
    return status;
}

hone_status hone_recordings_find(const char *path, hone_split split, hone_recording_list *out,
                                 hone_error *err) {
    struct stat st;
    if (!(out->arena = hone_arena_new())) return hone_fail_memory(err);
    bool table = stat(path, &st) == 0 && S_ISREG(st.st_mode);
    return table ? from_table(path, split, out, err) : from_folder(path, split, out, err);
}

void hone_recording_list_free(hone_recording_list *l) {
    hone_free(l->items);
    if (l->arena) hone_arena_free(l->arena);
}
